//! What came of every stage of a bundle's pipeline against what the lock says, and of prompts
//! against salted hashes. Tells records by place and key, never by content.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use serde::Serialize;

use super::opened::{Lack, Opened};
use super::rerun::{Call, Ended, Run};
use crate::diag::Diagnostic;
use crate::engine::board::State;
use crate::engine::keep::ArtifactRecords;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::hash::Hash;
use crate::plan::graph::Output;
use crate::report::words::count;
use crate::share::bundle::agree::{First, first};
use crate::share::bundle::hidden::{HiddenCall, StageRecords, marks};
use crate::share::bundle::salt::Of;
use crate::share::lock::Lock;
use crate::store::Store;
use crate::text::visible::plain;
/// How it ends that calls are missing.
pub const LACKS: &str = "that the bundle does not hold";

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
    /// The key of a record whose prompt is another one, the least of them.
    pub key: Option<String>,
}

/// The output that the lock knows of a stage.
pub fn known(pipe: &Pipe, lock: &Lock, at: usize) -> Option<(Hash, u64)> {
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

impl Run<'_> {
    /// Compares every stage with the lock.
    pub fn stages(
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
        for (name, lack) in &opened.removed {
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
                    why: Some(lack.words()),
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
            checked.why = Some(Lack::Program.words());
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
                    // A file that is missing on this machine is no fault of the bundle.
                    let may_lack = self.then.elsewhere && !outcome.faults.is_empty();
                    checked.is = if may_lack { Is::Unchecked } else { Is::Differs };
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
        let records = ArtifactRecords::open(store, content)?.into_iter().flatten();
        for record in records {
            let record = record.map_err(|_| Diagnostic::error("the artifact is damaged"))?;
            let both = marks(&record, salt.as_ref());
            keys.insert(both[0].clone(), record.key.to_string());
            all.push(both);
        }
        Ok(all)
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
    pub fn prompts(&self, opened: &Opened, ended: &Ended, calls: &HashSet<Call>) -> Vec<Prompts> {
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
            let of_run: HashSet<(&str, &str)> = hidden
                .iter()
                .map(|call| (call.record.as_str(), call.call.as_str()))
                .collect();
            let records: HashSet<&str> = of_run.iter().map(|(record, _)| *record).collect();
            let other = calls
                .iter()
                .filter(|(stage, ..)| stage == name)
                .filter(|call| {
                    let (_, record, call) = mark(call);
                    records.contains(&*record) && !of_run.contains(&(&*record, &*call))
                });
            let key = other.map(|(_, record, _)| record).min();
            found.push(Prompts {
                stage: name.clone(),
                same,
                gone: hidden.len() - same,
                key: key.filter(|_| same < hidden.len()).map(|key| plain(key)),
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
