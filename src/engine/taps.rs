//! Records taken down as they pass, of some stages: for tests of pipelines and for what is told
//! of single records, which look at what is kept nowhere.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::lineage::{Key, Lineage};
use crate::record::Record;

/// What passed some stages, each by its index.
#[derive(Debug, Default)]
pub struct Taps {
    records: BTreeMap<usize, Tap>,
    lineage: Option<Lineage>,
}

#[derive(Debug, Default)]
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
            lineage: None,
        }
    }

    /// Notes too which records were made of which, in all of so many stages.
    pub fn with_lineage(mut self, stages: usize) -> Taps {
        self.lineage = Some(Lineage::new(stages));
        self
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
            lineage: None,
        }
    }

    /// Takes down no records, but which of them were made of which, in all of so many stages.
    pub fn tracing(stages: usize) -> Taps {
        Taps::default().with_lineage(stages)
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
            let mut taken = tap.taken.lock().unwrap_or_else(PoisonError::into_inner);
            match &tap.only {
                None => taken.extend_from_slice(records),
                Some(only) => {
                    let wanted = records.iter().filter(|record| only.contains(&record.key));
                    taken.extend(wanted.cloned());
                }
            }
        }
    }

    /// What a stage emitted.
    pub fn take(&self, stage: usize) -> Vec<Record> {
        let taken = self.records.get(&stage);
        let taken = taken.map(|tap| tap.taken.lock().unwrap_or_else(PoisonError::into_inner));
        taken
            .map(|mut taken| std::mem::take(&mut *taken))
            .unwrap_or_default()
    }
}
