//! A bundle's pipeline, run once more in a folder that is gone afterwards, with the calls that
//! are at hand, and what came of every stage against what the lock says.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::mpsc;

use super::opened::Opened;
use crate::diag::Diagnostic;
use crate::engine::board::State;
use crate::engine::calls::{Calls, Means};
use crate::engine::halt::Halt;
use crate::engine::keep::{ArtifactRecords, Failures};
use crate::engine::pipe::Pipe;
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Source, Stock};
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::hash::Hash;
use crate::model::chat::Reply;
use crate::model::serve::Place;
use crate::plan::graph::Output;
use crate::record::Record;
use crate::replay::ledger::{Depth, Ledger, MissingCall};
use crate::report::words::count;
use crate::share::bundle::agree::{First, first};
use crate::share::bundle::hidden::{HiddenCall, StageRecords, marks};
use crate::share::bundle::salt::{Of, Salt};
use crate::share::lock::Lock;
use crate::store::Store;
use crate::text::visible::plain;
use crate::trust::gather::{files_of_stages, of_programs};
use crate::trust::need::Need;

/// Records of an artifact that are read together.
const TOGETHER: usize = 256;
/// How it ends that calls are missing.
pub const LACKS: &str = "that the bundle does not hold";
/// Rounds of looking up calls in the user's cache, one for each stage that asks in a row.
const ROUNDS: usize = 100;

/// What became of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Is {
    /// Its output is the same to the byte.
    Same,
    /// It is another.
    Differs,
    /// It could not be made here.
    Unchecked,
}

/// A stage whose output the lock knows.
#[derive(Clone, Debug, Serialize)]
pub struct Checked {
    /// The stage, or the file that it writes.
    pub name: String,
    /// True for files.
    pub output: bool,
    /// What became of it.
    pub is: Is,
    /// Why it was not checked, or how it differs.
    pub why: Option<String>,
    /// The first record that differs.
    pub first: Option<First>,
    /// The key of that.
    pub key: Option<String>,
}

/// The prompts of a stage whose calls are hidden.
#[derive(Clone, Debug, Serialize)]
pub struct Prompts {
    /// The stage.
    pub stage: String,
    /// Calls that would be asked again to the byte.
    pub same: usize,
    /// Calls of the run that would not be asked any more.
    pub gone: usize,
    /// Records in which such a call first goes missing.
    pub first: Option<usize>,
}

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
            let needs = of_programs(pipe, 0..pipe.stages.len());
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

struct Ended {
    survey: Survey,
    outcome: Outcome,
    missing: Vec<MissingCall>,
}

/// Stage, record, and the call's key.
type Call = (String, String, Hash);

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

/// The stages that must not run without the user's consent, and those made of them.
fn refused(pipe: &Pipe, yes: bool) -> HashSet<usize> {
    let mut refused = HashSet::new();
    for &at in &pipe.order {
        let own = !yes && !of_programs(pipe, [at]).is_empty();
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

/// The output that the lock knows of a stage.
fn known(pipe: &Pipe, lock: &Lock, at: usize) -> Option<(Hash, u64)> {
    let stage = &pipe.stages[at];
    match stage.verb.writes() {
        Some(path) => {
            let made = lock.outputs.get(&*path.to_string_lossy())?;
            Some((made.hash, made.records))
        }
        None => {
            let stage = lock.stages.get(&stage.spec.name.value)?;
            Some((stage.output?, stage.records.unwrap_or_default()))
        }
    }
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

struct Run<'a> {
    pipe: &'a Arc<Pipe>,
    then: &'a Then<'a>,
    /// Keys of records by their marks.
    keys: Arc<Mutex<HashMap<String, String>>>,
    /// Marks of records of stages that keep none.
    marks: BTreeMap<usize, Vec<[String; 2]>>,
}

impl Run<'_> {
    /// What the bundle says of a stage's records, if they can be compared.
    fn records(&self, at: usize) -> Option<&StageRecords> {
        let name = &self.pipe.stages[at].spec.name.value;
        let found = self.then.records.iter().find(|r| r.stage == *name)?;
        let usable = !found.salted || (self.then.salt.is_some() && !self.then.other_data);
        usable.then_some(found)
    }

    fn salt(&self, records: &StageRecords) -> Option<Salt> {
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

    /// Compares every stage with the lock.
    fn stages(
        &self,
        opened: &Opened,
        store: &Store,
        refused: &HashSet<usize>,
        ended: Option<&Ended>,
    ) -> Result<Vec<Checked>, Diagnostic> {
        let mut all = Vec::new();
        for &at in &self.pipe.order {
            if let Some(was) = known(self.pipe, self.then.lock, at) {
                all.push(self.stage(store, refused, ended, at, was)?);
            }
        }
        // Those that had to be left out come after what they would be made of.
        let lock = self.then.lock;
        for (name, file) in &opened.removed {
            let output = lock.outputs.contains_key(name);
            let known = lock
                .stages
                .get(name)
                .is_some_and(|stage| stage.output.is_some());
            if output || known {
                all.push(Checked {
                    name: name.clone(),
                    output,
                    is: Is::Unchecked,
                    why: Some(format!(
                        "needs `{}`, which is not in the bundle",
                        plain(file)
                    )),
                    first: None,
                    key: None,
                });
            }
        }
        Ok(all)
    }

    fn stage(
        &self,
        store: &Store,
        refused: &HashSet<usize>,
        ended: Option<&Ended>,
        at: usize,
        was: (Hash, u64),
    ) -> Result<Checked, Diagnostic> {
        let stage = &self.pipe.stages[at];
        let path = stage
            .verb
            .writes()
            .map(|path| path.to_string_lossy().into_owned());
        let mut checked = Checked {
            output: path.is_some(),
            name: path.unwrap_or_else(|| stage.spec.name.value.clone()),
            is: Is::Unchecked,
            why: None,
            first: None,
            key: None,
        };
        let outcome = ended
            .filter(|_| !refused.contains(&at))
            .map(|ended| &ended.outcome);
        let Some((ended, outcome)) = ended.zip(outcome) else {
            checked.why = Some("needs your consent (`--yes`) to run a program".to_owned());
            return Ok(checked);
        };
        let done = &outcome.stages[at];
        let whole = done.state != State::Broken && done.state != State::Lossy;
        match &done.output {
            Some(output) if whole => self.compare(&mut checked, store, at, was, output)?,
            _ => {
                let lacks = self.lacks(ended, at);
                if lacks > 0 {
                    let calls = count(lacks as u64, "call");
                    checked.why = Some(format!("needs {calls} {LACKS}"));
                } else {
                    checked.is = Is::Differs;
                    checked.why = Some(failed(outcome, self.pipe, at));
                }
            }
        }
        Ok(checked)
    }

    fn compare(
        &self,
        checked: &mut Checked,
        store: &Store,
        at: usize,
        (was, records): (Hash, u64),
        now: &Output,
    ) -> Result<(), Diagnostic> {
        if now.content == was {
            checked.is = Is::Same;
            return Ok(());
        }
        checked.is = Is::Differs;
        let number = match now.rows == records {
            true => count(records, "record"),
            false => format!(
                "{} → {}",
                count(records, "record"),
                count(now.rows, "record")
            ),
        };
        let (was, is) = (was.short(), now.content.short());
        checked.why = Some(format!("{was} → {is} ({number})"));
        let Some(then) = self.records(at) else {
            return Ok(());
        };
        let input = self.pipe.stages[at].inputs.first();
        let mut keys = HashMap::new();
        let now = match (self.pipe.stages[at].verb.writes(), input) {
            (Some(_), Some(input)) => self.marks.get(input).cloned().unwrap_or_default(),
            _ => self.artifact(store, now.content, then, &mut keys)?,
        };
        checked.first = first(then, &now);
        let shared = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key = checked.first.as_ref().map(|first| &first.key);
        let key = key.and_then(|key| keys.get(key).or_else(|| shared.get(key)));
        checked.key = key.map(|key| plain(key));
        Ok(())
    }

    /// The marks of the records that a stage keeps.
    fn artifact(
        &self,
        store: &Store,
        content: Hash,
        then: &StageRecords,
        keys: &mut HashMap<String, String>,
    ) -> Result<Vec<[String; 2]>, Diagnostic> {
        let salt = self.salt(then);
        let mut all = Vec::new();
        let Some(mut records) = ArtifactRecords::open(store, content)? else {
            return Ok(all);
        };
        loop {
            let batch = records.next(TOGETHER);
            let batch = batch.map_err(|_| Diagnostic::error("the artifact is damaged"))?;
            if batch.is_empty() {
                return Ok(all);
            }
            for record in batch {
                let both = marks(&record, salt.as_ref());
                keys.insert(both[0].clone(), record.key.to_string());
                all.push(both);
            }
        }
    }

    /// How many calls a stage and those it is made of lack.
    fn lacks(&self, ended: &Ended, at: usize) -> usize {
        let mut of = HashSet::new();
        let mut open = vec![at];
        while let Some(at) = open.pop() {
            if of.insert(&*self.pipe.stages[at].spec.name.value) {
                open.extend(ended.survey.nodes[at].sources());
            }
        }
        let missing = ended
            .missing
            .iter()
            .filter(|call| of.contains(call.stage.as_str()));
        missing.map(|call| call.call).collect::<HashSet<_>>().len()
    }

    /// Whether prompts that nobody may see are still the same: by the marks of the calls. Only
    /// where all is there that they are made of.
    fn prompts(&self, opened: &Opened, ended: &Ended, calls: &HashSet<Call>) -> Vec<Prompts> {
        let Some(salt) = self.then.salt.filter(|_| !self.then.other_data) else {
            return Vec::new();
        };
        let mark = |(stage, record, call): &Call| {
            let record = salt.mark(Of::Key, record.as_bytes());
            (stage.clone(), record, salt.mark(Of::Call, &call.0))
        };
        let now: HashSet<(String, String, String)> = calls.iter().map(mark).collect();
        let mut found: Vec<Prompts> = Vec::new();
        for &at in &self.pipe.order {
            let name = &self.pipe.stages[at].spec.name.value;
            let hidden: Vec<&HiddenCall> = self
                .then
                .hidden
                .iter()
                .filter(|call| call.stage == *name)
                .collect();
            let before = self.pipe.stages[at].sources();
            let fed = before.into_iter().all(|from| self.lacks(ended, from) == 0);
            if hidden.is_empty() || !fed || opened.lacks(name).is_some() {
                continue;
            }
            let is = |call: &&&HiddenCall| {
                let call = (call.stage.clone(), call.record.clone(), call.call.clone());
                now.contains(&call)
            };
            let same = hidden.iter().filter(is).count();
            let first = hidden.iter().position(|call| !is(&call));
            found.push(Prompts {
                stage: name.clone(),
                same,
                gone: hidden.len() - same,
                first: first.map(|at| at + 1),
            });
        }
        found
    }
}

/// Why a stage that had all it needs did not come to its end.
fn failed(outcome: &Outcome, pipe: &Pipe, at: usize) -> String {
    let name = &pipe.stages[at].spec.name.value;
    let own = outcome
        .failures
        .iter()
        .filter(|failure| failure.stage == *name)
        .count();
    let fault = outcome.faults.first();
    match (own, fault) {
        (0, Some(fault)) => format!("could not be made: {}", fault.message),
        (0, None) => "could not be made: records failed before it".to_owned(),
        (own, _) => format!("could not be made: {} failed", count(own as u64, "record")),
    }
}
