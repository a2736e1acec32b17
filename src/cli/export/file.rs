//! One output or stage as one file.

use std::sync::Arc;

use super::chosen::chosen;
use super::look::look;
use super::{Args, Done, Format, Stop, Written, guard, pour, whole};
use crate::cli::free::free;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::stages::contract::Fault;
use crate::stages::spool::Spool;

/// Failed records that are named; of more, only their number is told.
const NAMED: usize = 5;

/// Writes the file.
pub fn write(args: &Args, pipe: &Arc<Pipe>, format: Format) -> Result<Done, Stop> {
    let all = chosen(args, pipe)?;
    let [one] = all.as_slice() else {
        let names = all.iter().map(|chosen| format!("`{}`", chosen.name));
        let fault = Diagnostic::error("one file holds one output or stage").note(format!(
            "there are {}",
            names.collect::<Vec<_>>().join(", ")
        ));
        return Err(fault.help("name one with `--output` or `--stage`").into());
    };
    let place = free(pipe, &args.common.settings, &args.to)?;
    let sensitive = guard(args, pipe, [(one.name.as_str(), one.from)])?;
    let looked = look(args, pipe, &[one.from])?;
    let build = pipe.build(one.place, Vec::new());
    let mut sink = one.what.sink(&format!("x.{}", format.name()), &build)?;
    // Text comes with each record; a table of columns with the last.
    let mut records = 0;
    let mut lost = Lost::default();
    let mut spool = Spool::new(build.temp_dir);
    looked.each(one.from, |record| {
        spool.push(record).map_err(|fault| whole(fault).into())
    })?;
    let mut next = 0;
    let bytes = pour(&place, |bytes| {
        if next == spool.count() {
            return sink.end(bytes).map_err(whole);
        }
        let record = spool.get(next).map_err(whole)?;
        next += 1;
        match sink.record(&record, bytes) {
            Ok(()) => records += 1,
            Err(fault) => lost.take(&record.key, fault)?,
        }
        Ok(true)
    })?;
    let mut missing = looked.missing;
    missing.extend(lost.lines());
    Ok(Done {
        files: vec![Written {
            path: args.to.clone(),
            records,
            bytes,
        }],
        missing,
        sensitive,
        notes: Vec::new(),
    })
}

/// Records that do not go into a file.
#[derive(Default)]
pub struct Lost {
    lines: Vec<String>,
    count: usize,
}

impl Lost {
    /// Notes one.
    ///
    /// # Errors
    /// It is more than one record's fault.
    pub fn take(&mut self, key: &str, fault: Fault) -> Result<(), Diagnostic> {
        match fault {
            Fault::Stage(fault) => return Err(*fault),
            Fault::Record(why) | Fault::Call(why) | Fault::Answer(why) => {
                self.count += 1;
                if self.lines.len() < NAMED {
                    self.lines
                        .push(format!("record `{key}` is left out: {why}"));
                }
            }
        }
        Ok(())
    }

    /// All of them, in lines.
    pub fn lines(mut self) -> Vec<String> {
        let more = self.count - self.lines.len();
        if more > 0 {
            self.lines.push(format!("and {more} more are left out"));
        }
        self.lines
    }
}
