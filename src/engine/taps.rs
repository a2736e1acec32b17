//! Records taken down as they pass, of some stages: for tests of pipelines and for what is told
//! of single records, which look at what is kept nowhere. Of stages with many of them, something
//! short may be taken down instead.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::lineage::{Key, Lineage};
use crate::record::Record;

/// What is short of a record of a stage.
type Brief = dyn Fn(usize, &Record) -> [String; 2] + Send + Sync;

/// What passed some stages, each by its index.
#[derive(Default)]
pub struct Taps {
    records: BTreeMap<usize, Tap>,
    briefs: BTreeMap<usize, Mutex<Vec<[String; 2]>>>,
    brief: Option<Box<Brief>>,
    lineage: Option<Lineage>,
}

#[derive(Default)]
struct Tap {
    /// The records that are taken down, if not all are.
    only: Option<HashSet<Key>>,
    taken: Mutex<Vec<Record>>,
}

impl Taps {
    /// Listens to these stages.
    pub fn new(stages: impl IntoIterator<Item = usize>) -> Taps {
        let empty = |at| (at, Tap::default());
        Taps {
            records: stages.into_iter().map(empty).collect(),
            ..Taps::default()
        }
    }

    /// Listens to some records of some stages.
    pub fn only(wanted: impl IntoIterator<Item = (usize, HashSet<Key>)>) -> Taps {
        let tap = |(at, keys)| {
            let tap = Tap {
                only: Some(keys),
                taken: Mutex::default(),
            };
            (at, tap)
        };
        Taps {
            records: wanted.into_iter().map(tap).collect(),
            ..Taps::default()
        }
    }

    /// Takes down no records, but which of them were made of which, in all of so many stages.
    pub fn tracing(stages: usize) -> Taps {
        Taps::default().with_lineage(stages)
    }

    /// Notes too which records were made of which, in all of so many stages.
    #[must_use]
    pub fn with_lineage(mut self, stages: usize) -> Taps {
        self.lineage = Some(Lineage::new(stages));
        self
    }

    /// Listens to these stages too, and takes down something short of each record.
    #[must_use]
    pub fn briefly(
        mut self,
        stages: impl IntoIterator<Item = usize>,
        brief: impl Fn(usize, &Record) -> [String; 2] + Send + Sync + 'static,
    ) -> Taps {
        let empty = |at| (at, Mutex::default());
        self.briefs = stages.into_iter().map(empty).collect();
        self.brief = Some(Box::new(brief));
        self
    }

    /// Which records were made of which, if that is wanted.
    pub fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_ref()
    }

    /// Takes down what a stage emits.
    pub fn note(&self, stage: usize, records: &[Record]) {
        if let Some(lineage) = &self.lineage {
            lineage.emitted(stage, records);
        }
        if let Some(tap) = self.records.get(&stage) {
            let mut taken = lock(&tap.taken);
            match &tap.only {
                None => taken.extend_from_slice(records),
                Some(only) => {
                    let wanted = records.iter().filter(|record| only.contains(&record.key));
                    taken.extend(wanted.cloned());
                }
            }
        }
        if let (Some(taken), Some(brief)) = (self.briefs.get(&stage), &self.brief) {
            let short = records.iter().map(|record| brief(stage, record));
            lock(taken).extend(short);
        }
    }

    /// What a stage emitted.
    pub fn take(&self, stage: usize) -> Vec<Record> {
        let tap = self.records.get(&stage);
        tap.map(|tap| std::mem::take(&mut *lock(&tap.taken)))
            .unwrap_or_default()
    }

    /// What is short of what a stage emitted.
    pub fn take_briefs(&self, stage: usize) -> Vec<[String; 2]> {
        let taken = self.briefs.get(&stage);
        taken
            .map(|taken| std::mem::take(&mut *lock(taken)))
            .unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
