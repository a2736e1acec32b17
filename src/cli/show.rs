//! `clue show`: the records of a stage, from its artifact in the cache.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use super::session::{Common, bad, refuse};
use crate::diag::Diagnostic;
use crate::engine::keep::ArtifactRecords;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Wanted, survey};
use crate::store::Store;

/// Arguments of `clue show`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The stage
    stage: String,
    /// Only the record with this key
    key: Option<String>,
}

/// Prints records as JSON lines, each with its key.
pub fn show(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => pipe,
        Err(code) => return code,
    };
    let records = match find(args, &pipe) {
        Ok(records) => records,
        Err(fault) => return bad(&[fault], &pipe.pipeline.sources),
    };
    match print(records, args.key.as_deref()) {
        Ok(Some(0)) if args.key.is_some() => {
            refuse(&Diagnostic::error("no record with this key in this stage"))
        }
        // A reader that has gone away is no fault.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => refuse(&Diagnostic::error(format!("cannot write: {error}"))),
        Ok(None) => refuse(&Diagnostic::error("the artifact is damaged").help("run again")),
        Ok(_) => ExitCode::SUCCESS,
    }
}

fn find(args: &Args, pipe: &Pipe) -> Result<ArtifactRecords, Diagnostic> {
    let at = stage(pipe, &args.stage)?;
    let store = Store::open_read(&args.common.settings.store)?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let missing = || {
        let fault = Diagnostic::error(format!("no output of `{}` in the cache", args.stage));
        if survey.nodes[at].heavy {
            fault.help("run the pipeline first")
        } else {
            fault.help("only the output of `generate`, `score` and `exec` is kept")
        }
    };
    let output = survey.planned[at].output.as_ref().ok_or_else(missing)?;
    ArtifactRecords::open(&store, output.content)?.ok_or_else(missing)
}

/// A stage by its name.
///
/// # Errors
/// There is none: with the nearest name.
pub fn stage(pipe: &Pipe, name: &str) -> Result<usize, Diagnostic> {
    let names = pipe.stages.iter().map(|s| s.spec.name.value.as_str());
    pipe.find(name)
        .ok_or_else(|| Diagnostic::error(format!("no stage `{name}`")).suggest(name, names))
}

/// Prints records: how many; none if what is kept of them is damaged.
///
/// # Errors
/// They cannot be written.
fn print(records: ArtifactRecords, key: Option<&str>) -> io::Result<Option<usize>> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut printed = 0;
    for record in records {
        let Ok(record) = record else {
            return Ok(None);
        };
        if key.is_none_or(|key| *record.key == *key) {
            let line = serde_json::json!({"key": &*record.key, "fields": record.fields});
            writeln!(stdout, "{line}")?;
            printed += 1;
        }
    }
    stdout.flush()?;
    Ok(Some(printed))
}
