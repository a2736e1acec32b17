//! A bundle's pipeline, run once more in a folder that is gone afterwards, with the calls that
//! are at hand, and what came of every stage against what the lock says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::compared::{Checked, Prompts, known};
use super::opened::Opened;
use crate::diag::Diagnostic;
use crate::engine::calls::{Calls, Means};
use crate::engine::halt::Halt;
use crate::engine::keep::Failures;
use crate::engine::pipe::Pipe;
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Source, Stock};
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::hash::Hash;
use crate::model::chat::Reply;
use crate::model::serve::Place;
use crate::record::Record;
use crate::replay::ledger::{Depth, Ledger, MissingCall};
use crate::share::bundle::hidden::{HiddenCall, StageRecords, marks};
use crate::share::bundle::salt::Salt;
use crate::share::lock::Lock;
use crate::store::Store;
use crate::trust::gather::{files_of_stages, of_programs};
use crate::trust::need::Need;

/// Rounds of looking up calls in the user's cache, one for each stage that asks in a row.
const ROUNDS: usize = 100;

/// What a bundle says of the run.
pub struct Then<'a> {
    /// The lock.
    pub lock: &'a Lock,
    /// Marks of records.
    pub records: &'a [StageRecords],
    /// Marks of calls.
    pub hidden: &'a [HiddenCall],
    /// What they are salted with, if the data is there and the same.
    pub salt: Option<&'a Salt>,
    /// Whether sensitive data is missing or another: then salted marks say nothing.
    pub other_data: bool,
    /// Whether texts of sensitive records are in it.
    pub open: bool,
    /// Whether the pipeline needs files that are nobody's data, and may not be on this machine.
    pub elsewhere: bool,
}

/// What may be done.
pub struct May<'a> {
    /// Programs may run.
    pub yes: bool,
    /// The user's own cache.
    pub store: Option<&'a Store>,
}

/// What came of it.
pub struct Rerun {
    /// Every stage whose output the lock knows, in order.
    pub stages: Vec<Checked>,
    /// Prompts of hidden calls.
    pub prompts: Vec<Prompts>,
}

/// Runs it.
///
/// # Errors
/// It cannot begin.
pub fn rerun(
    opened: &Opened,
    root: &Path,
    then: &Then<'_>,
    may: &May<'_>,
) -> Result<Rerun, Diagnostic> {
    let pipe = &opened.pipe;
    let store = Store::open(root)?;
    let refused = refused(pipe, may.yes);
    let wanted = wanted(pipe, then.lock, &refused);
    let mut run = Run {
        pipe,
        then,
        keys: Arc::default(),
        marks: BTreeMap::new(),
    };
    let (mut last, mut wanted_calls) = (None, HashSet::new());
    if !wanted.until.is_empty() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
        for _ in 0..ROUNDS {
            let survey = survey(pipe, &store, &wanted)?;
            let runs = (0..pipe.stages.len()).filter(|at| !refused.contains(at));
            let needs = of_programs(pipe, runs);
            let ledger = Arc::new(Ledger::new(Depth::Calls));
            let round = run.round(&store, &survey, &needs, &ledger);
            let outcome = runtime.block_on(round);
            let missing = ledger.missing(&names(pipe));
            let found = may
                .store
                .map_or(Ok(0), |own| runtime.block_on(fetch(own, &store, &missing)))?;
            // What is whole after a round is not asked about in the next.
            let calls = ledger.take_all(&names(pipe)).into_iter();
            let calls = calls.map(|call| (call.stage, call.record, call.call));
            wanted_calls.extend(calls);
            let calls = missing.iter();
            let calls = calls.map(|call| (call.stage.clone(), call.record.clone(), call.call));
            wanted_calls.extend(calls);
            last = Some(Ended {
                survey,
                outcome,
                missing,
            });
            if found == 0 {
                break;
            }
        }
        runtime.shutdown_background();
    }
    let stages = run.stages(opened, &store, &refused, last.as_ref())?;
    let prompts = last
        .as_ref()
        .map(|ended| run.prompts(opened, ended, &wanted_calls));
    Ok(Rerun {
        stages,
        prompts: prompts.unwrap_or_default(),
    })
}

/// A run that is over.
pub struct Ended {
    /// Its plan.
    pub survey: Survey,
    /// What became of it.
    pub outcome: Outcome,
    /// Calls that were not at hand.
    pub missing: Vec<MissingCall>,
}

/// Stage, record, and the call's key.
pub type Call = (String, String, Hash);

fn names(pipe: &Pipe) -> Vec<&str> {
    pipe.stages.iter().map(|s| &*s.spec.name.value).collect()
}

/// Puts what the user's cache knows of missing calls into another; how many those were.
async fn fetch(own: &Store, store: &Store, missing: &[MissingCall]) -> Result<usize, Diagnostic> {
    let mut found = 0;
    let mut seen = HashSet::new();
    for call in missing.iter().filter(|call| seen.insert(call.call)) {
        if let Some(reply) = own.get_call::<Reply>(call.call) {
            store.put_call(call.call, &reply).await?;
            found += 1;
        }
    }
    Ok(found)
}

/// The stages that must not run without the user's consent, and those made of them. Those that
/// would read what they must not are not in the pipeline.
pub fn refused(pipe: &Pipe, yes: bool) -> HashSet<usize> {
    let mut refused = HashSet::new();
    for &at in &pipe.order {
        let own = !yes && pipe.stages[at].verb.name() == "exec";
        if own
            || pipe.stages[at]
                .sources()
                .any(|from| refused.contains(&from))
        {
            refused.insert(at);
        }
    }
    refused
}

/// All whose output is known: they came to their end in the run.
fn wanted(pipe: &Pipe, lock: &Lock, refused: &HashSet<usize>) -> Wanted {
    let all = (0..pipe.stages.len()).filter(|at| !refused.contains(at));
    let until: Vec<usize> = all.filter(|at| known(pipe, lock, *at).is_some()).collect();
    Wanted {
        whole: until.clone(),
        until,
        force: Vec::new(),
    }
}

/// What is run, and what is taken down of it.
pub struct Run<'a> {
    /// The pipeline.
    pub pipe: &'a Arc<Pipe>,
    /// What the bundle says of the run.
    pub then: &'a Then<'a>,
    /// Keys of records by their marks.
    pub keys: Arc<Mutex<HashMap<String, String>>>,
    /// Marks of records of stages that keep none.
    pub marks: BTreeMap<usize, Vec<[String; 2]>>,
}

impl Run<'_> {
    /// What the bundle says of a stage's records, if they can be compared.
    pub fn records(&self, at: usize) -> Option<&StageRecords> {
        let name = &self.pipe.stages[at].spec.name.value;
        let found = self.then.records.iter().find(|r| r.stage == *name)?;
        let usable = !found.salted || (self.then.salt.is_some() && !self.then.other_data);
        usable.then_some(found)
    }

    /// What its marks are salted with.
    pub fn salt(&self, records: &StageRecords) -> Option<Salt> {
        self.then.salt.filter(|_| records.salted).cloned()
    }

    async fn round(
        &mut self,
        store: &Store,
        survey: &Survey,
        needs: &[Need],
        ledger: &Arc<Ledger>,
    ) -> Outcome {
        let pipe = self.pipe;
        // Of a file, the records that it was written of.
        let read: BTreeMap<usize, Option<Salt>> = (0..pipe.stages.len())
            .filter(|at| survey.nodes[*at].sink)
            .filter_map(|at| {
                let records = self.records(at)?;
                Some((*survey.nodes[at].inputs.first()?, self.salt(records)))
            })
            .collect();
        let listened: Vec<usize> = read.keys().copied().collect();
        let keys = self.keys.clone();
        let brief = move |at: usize, record: &Record| {
            let both = marks(record, read.get(&at).and_then(Option::as_ref));
            let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
            keys.insert(both[0].clone(), record.key.to_string());
            both
        };
        let taps = Arc::new(Taps::new([]).briefly(listened.clone(), brief));
        let (events, _told) = mpsc::unbounded_channel();
        let halt = Halt::default();
        let nowhere = |_: &str| None::<Place>;
        let stock = Stock::new(store, Source::Cassette, ledger.clone());
        let means = Means::default();
        let calls = Calls::new(&pipe.models, nowhere, store, &halt, &events, means, stock);
        let shop = Shop {
            pipe: pipe.clone(),
            store: store.clone(),
            calls: Arc::new(calls),
            board: Arc::new(board(pipe, survey)),
            events,
            halt,
            failures: Arc::new(Failures::default()),
            taps: taps.clone(),
            agreed: Arc::new(files_of_stages(pipe, needs)),
            dry: false,
        };
        let outcome = execute(&shop, survey).await;
        for at in listened {
            let taken = taps.take_briefs(at);
            if !taken.is_empty() {
                self.marks.insert(at, taken);
            }
        }
        outcome
    }
}
