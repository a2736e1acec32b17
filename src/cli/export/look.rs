//! The records of stages, from the cache: read where they are kept, else made again of what is
//! kept, without models and programs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Args, Stop};
use crate::cli::rehearse::{Notes, rehearse};
use crate::cli::report::ran;
use crate::diag::Diagnostic;
use crate::engine::keep::ArtifactRecords;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::stock::Source;
use crate::engine::survey::{Wanted, survey};
use crate::engine::taps::Taps;
use crate::hash::Hash;
use crate::record::Record;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::words::count;
use crate::store::Store;

/// The records of some stages.
pub struct Looked {
    store: Store,
    /// Those that are kept: read when they are wanted.
    kept: BTreeMap<usize, Hash>,
    /// Those that were made again.
    made: BTreeMap<usize, Vec<Record>>,
    /// What is missing, in lines.
    pub missing: Vec<String>,
}

/// Looks for the records of these stages.
///
/// # Errors
/// The pipeline never ran, or a stage cannot be gone through again.
pub fn look(args: &Args, pipe: &Arc<Pipe>, stages: &[usize]) -> Result<Looked, Stop> {
    let store = Store::open_read(&args.common.settings.store)?;
    ran(&store, pipe)?;
    let wanted = |stages: &[usize]| Wanted {
        until: stages.to_vec(),
        whole: stages.to_vec(),
        ..Wanted::default()
    };
    let known = survey(pipe, &store, &wanted(stages))?;
    let mut looked = Looked {
        kept: BTreeMap::new(),
        made: BTreeMap::new(),
        missing: Vec::new(),
        store: store.clone(),
    };
    let mut again = Vec::new();
    for &at in stages {
        let output = known.planned[at].output.as_ref();
        match output.filter(|_| known.nodes[at].heavy && known.planned[at].fresh) {
            Some(output) => {
                looked.kept.insert(at, output.content);
            }
            None if again.contains(&at) => {}
            None => again.push(at),
        }
    }
    if again.is_empty() {
        return Ok(looked);
    }
    let notes = Notes {
        ledger: Arc::new(Ledger::new(Depth::Nothing)),
        taps: Arc::new(Taps::new(again.iter().copied())),
    };
    let plan = survey(pipe, &store, &wanted(&again))?;
    let (_, outcome) = rehearse(pipe, &store, &plan, Source::Nowhere, &notes)?;
    looked.missing = missing(pipe, &outcome, |_| true)?;
    for at in again {
        looked.made.insert(at, notes.taps.take(at));
    }
    if looked.kept.is_empty()
        && looked.made.values().all(Vec::is_empty)
        && let Some(line) = looked.missing.first()
    {
        let fault = Diagnostic::error("there is nothing to export").note(line.clone());
        return Err(fault
            .help("run the pipeline first, with these params")
            .into());
    }
    Ok(looked)
}

/// What a rehearsal could not make of the stages that count, in lines.
///
/// # Errors
/// A stage broke.
pub fn missing(
    pipe: &Pipe,
    outcome: &Outcome,
    counts: impl Fn(usize) -> bool,
) -> Result<Vec<String>, Stop> {
    if !outcome.faults.is_empty() {
        return Err(Stop::Faults(outcome.faults.clone()));
    }
    let mut lines = Vec::new();
    for (at, stage) in pipe.stages.iter().enumerate().filter(|(at, _)| counts(*at)) {
        let name = &stage.spec.name.value;
        let failed = outcome.failures.iter();
        let failed = failed.filter(|failure| failure.stage == *name).count();
        if failed > 0 {
            let failed = count(failed as u64, "record");
            lines.push(format!("{failed} failed in `{name}`"));
        }
        if outcome.stages[at].unanswered {
            lines.push(match stage.verb.name() {
                "exec" => format!("the output of the program in `{name}` is not in the cache"),
                _ => format!("not all of the answers or scores of `{name}` are in the cache"),
            });
        }
    }
    Ok(lines)
}

impl Looked {
    /// Does something with each record of a stage, in order.
    ///
    /// # Errors
    /// That does, or the cache is damaged.
    pub fn each(
        &self,
        stage: usize,
        mut act: impl FnMut(&Record) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let Some(content) = self.kept.get(&stage) else {
            let made = self.made.get(&stage);
            return made.into_iter().flatten().try_for_each(act);
        };
        let gone = || Diagnostic::error("the cache is damaged").help("run the pipeline again");
        let records = ArtifactRecords::open(&self.store, *content).map_err(Diagnostic::from)?;
        for record in records.ok_or_else(gone)? {
            act(&record.map_err(|_| gone())?)?;
        }
        Ok(())
    }
}
