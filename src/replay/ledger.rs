//! What is noted of a run's calls: which could not be answered, and what was asked and answered.
//! Owns the order in which that is told, which does not depend on what came first.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use super::cassette::Entry;
use crate::hash::Hash;
use crate::model::chat::{Reply, Request};

/// How much is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Nothing.
    #[default]
    Nothing,
    /// Calls that could not be answered.
    Missing,
    /// Those, and the keys of calls that were.
    Keys,
    /// Those, with all that was asked and answered: as much memory as the prompts have.
    Calls,
}

/// A call that could not be answered. Holds no content of its record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingCall {
    /// The stage.
    pub stage: String,
    /// The key of the record that it is about.
    pub record: String,
    /// The model's name on its server.
    pub model: String,
    /// The call's key.
    pub call: Hash,
}

/// A call that somebody wants answered.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The key of the record that it is about.
    pub record: &'a str,
    /// The call's key.
    pub call: Hash,
    /// What is asked.
    pub request: &'a Request,
    /// When it was wanted, among the calls of the run: see [`Ledger::turn`].
    pub turn: u64,
}

/// What is noted of a run's calls.
#[derive(Debug, Default)]
pub struct Ledger {
    depth: Depth,
    /// The records whose calls are noted, for each stage, if not all are.
    only: Option<HashMap<String, HashSet<String>>>,
    turns: AtomicU64,
    missing: Mutex<Vec<MissingCall>>,
    lost: Mutex<HashSet<(String, String)>>,
    used: Mutex<HashSet<Hash>>,
    calls: Mutex<Vec<(u64, Entry)>>,
}

impl Ledger {
    /// An empty ledger.
    pub fn new(depth: Depth) -> Ledger {
        Ledger {
            depth,
            ..Ledger::default()
        }
    }

    /// An empty ledger of the calls about some records alone: their keys, for each stage.
    pub fn about(depth: Depth, only: HashMap<String, HashSet<String>>) -> Ledger {
        Ledger {
            depth,
            only: Some(only),
            ..Ledger::default()
        }
    }

    /// True if the calls about a record are noted.
    fn is_about(&self, stage: &str, record: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.get(stage).is_some_and(|keys| keys.contains(record)))
    }

    /// The next turn. Calls about one record take theirs in the order in which it asks.
    pub fn turn(&self) -> u64 {
        self.turns.fetch_add(1, Relaxed)
    }

    /// Notes a call that cannot be answered. It counts once its record is lost for that.
    pub fn miss(&self, wanted: &Wanted<'_>) {
        if self.depth >= Depth::Missing {
            lock(&self.missing).push(MissingCall {
                stage: wanted.stage.to_owned(),
                record: wanted.record.to_owned(),
                model: wanted.request.model.id.clone(),
                call: wanted.call,
            });
        }
    }

    /// Notes that a stage lost a record for want of answers.
    pub fn lose(&self, stage: &str, record: &str) {
        if self.depth >= Depth::Missing {
            lock(&self.lost).insert((stage.to_owned(), record.to_owned()));
        }
    }

    /// Notes a call with its answer.
    pub fn answered(&self, wanted: &Wanted<'_>, reply: &Reply) {
        if self.depth >= Depth::Keys {
            lock(&self.used).insert(wanted.call);
        }
        if self.depth >= Depth::Calls && self.is_about(wanted.stage, wanted.record) {
            let entry = Entry::new(wanted, reply);
            lock(&self.calls).push((wanted.turn, entry));
        }
    }

    /// The calls that could not be answered and that were needed, each once for each record: by
    /// stage in the order of `stages`, then by record.
    pub fn missing(&self, stages: &[&str]) -> Vec<MissingCall> {
        let mut missing = lock(&self.missing).clone();
        let lost = lock(&self.lost);
        missing.retain(|call| lost.contains(&(call.stage.clone(), call.record.clone())));
        if missing.is_empty() {
            return missing;
        }
        let place = places(stages);
        missing.sort_by(|a, b| {
            place(&a.stage)
                .cmp(&place(&b.stage))
                .then_with(|| shortlex(&a.record, &b.record))
                .then_with(|| a.call.cmp(&b.call))
        });
        missing.dedup();
        missing
    }

    /// The calls that could not be answered, whatever became of their records.
    pub fn missed(&self) -> Vec<MissingCall> {
        lock(&self.missing).clone()
    }

    /// True if a call was answered.
    pub fn has_used(&self, call: Hash) -> bool {
        lock(&self.used).contains(&call)
    }

    /// How many different calls were answered.
    pub fn used(&self) -> u64 {
        lock(&self.used).len() as u64
    }

    /// All calls with their answers, as often as they were wanted: by stage in the order of
    /// `stages`, then by record, then as they were wanted.
    pub fn take_all(&self, stages: &[&str]) -> Vec<Entry> {
        let mut calls = std::mem::take(&mut *lock(&self.calls));
        let place = places(stages);
        calls.sort_by(|(i, a), (j, b)| {
            place(&a.stage)
                .cmp(&place(&b.stage))
                .then_with(|| shortlex(&a.record, &b.record))
                .then(i.cmp(j))
        });
        calls.into_iter().map(|(_, entry)| entry).collect()
    }

    /// All calls with their answers, each once: by stage in the order of `stages`, then by
    /// record, then as they were wanted.
    pub fn take_calls(&self, stages: &[&str]) -> Vec<Entry> {
        let mut calls = self.take_all(stages);
        let mut seen = HashSet::new();
        calls.retain(|entry| seen.insert(entry.call));
        calls
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where each stage stands; others come last.
fn places<'a>(stages: &[&'a str]) -> impl Fn(&str) -> usize + use<'a> {
    let places: HashMap<&str, usize> = stages.iter().copied().zip(0..).collect();
    let last = stages.len();
    move |stage| places.get(stage).copied().unwrap_or(last)
}

/// Short keys first, so that `2` comes before `10`.
fn shortlex(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::chat::{Chat, Question};
    use crate::model::spec::ModelSpec;

    fn request() -> Request {
        Request {
            model: Arc::new(ModelSpec::new("writer", "m")),
            question: Question::Chat(Chat::default()),
        }
    }

    fn wanted<'a>(
        request: &'a Request,
        stage: &'a str,
        record: &'a str,
        call: u8,
        turn: u64,
    ) -> Wanted<'a> {
        Wanted {
            stage,
            record,
            call: Hash([call; 32]),
            request,
            turn,
        }
    }

    #[test]
    fn the_order_is_that_of_stages_and_records_whatever_came_first() {
        let request = request();
        let notes = [
            ("b", "1", 5, 7),
            ("a", "10", 4, 3),
            ("a", "2", 3, 2),
            ("a", "2", 9, 1),
            // Asked before about another record.
            ("b", "2", 4, 0),
        ];
        let told = |order: Vec<usize>| {
            let ledger = Ledger::new(Depth::Calls);
            for at in order {
                let (stage, record, call, turn) = notes[at];
                let wanted = wanted(&request, stage, record, call, turn);
                ledger.answered(&wanted, &Reply::default());
                ledger.miss(&wanted);
                ledger.miss(&wanted);
                // Of `b` the first record only: the others were wanted ahead.
                if (stage, record) != ("b", "2") {
                    ledger.lose(stage, record);
                }
            }
            let calls = ledger.take_calls(&["a", "b"]);
            let calls: Vec<String> = calls
                .iter()
                .map(|c| format!("{}{} {}", c.stage, c.record, c.call.0[0]))
                .collect();
            let missing = ledger.missing(&["a", "b"]);
            let missing: Vec<String> = missing
                .iter()
                .map(|c| format!("{}{} {}", c.stage, c.record, c.call.0[0]))
                .collect();
            (calls.join(", "), missing.join(", "))
        };
        let one = told(vec![0, 1, 2, 3, 4]);
        assert_eq!(one.0, "a2 9, a2 3, a10 4, b1 5");
        assert_eq!(one.1, "a2 3, a2 9, a10 4, b1 5");
        assert_eq!(told(vec![4, 3, 2, 1, 0]), one);
    }

    #[test]
    fn no_more_is_noted_than_is_asked_for() {
        let request = request();
        let wanted = wanted(&request, "a", "1", 1, 0);
        for (depth, counts) in [
            (Depth::Nothing, (0, false, 0)),
            (Depth::Missing, (1, false, 0)),
            (Depth::Keys, (1, true, 0)),
            (Depth::Calls, (1, true, 1)),
        ] {
            let ledger = Ledger::new(depth);
            ledger.miss(&wanted);
            ledger.lose("a", "1");
            ledger.answered(&wanted, &Reply::default());
            let used = ledger.has_used(wanted.call);
            let noted = (
                ledger.missing(&[]).len(),
                used,
                ledger.take_calls(&[]).len(),
            );
            assert_eq!(noted, counts, "{depth:?}");
        }
    }
}
