//! Records taken down as they pass, of some stages: for tests of pipelines and for reports, which
//! look at what is kept nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::record::Record;

/// What passed some stages, each by its index.
#[derive(Debug, Default)]
pub struct Taps {
    taken: BTreeMap<usize, Mutex<Vec<Record>>>,
    whole: BTreeSet<usize>,
}

impl Taps {
    /// Listens to these stages.
    pub fn new(stages: impl IntoIterator<Item = usize>) -> Taps {
        let empty = |at| (at, Mutex::default());
        Taps {
            taken: stages.into_iter().map(empty).collect(),
            whole: BTreeSet::new(),
        }
    }

    /// Wants these stages to go to their end, even if none of their readers needs it.
    #[must_use]
    pub fn to_the_end(mut self, stages: impl IntoIterator<Item = usize>) -> Taps {
        self.whole.extend(stages);
        self
    }

    /// True for a stage that has to go to its end.
    pub fn wants_all(&self, stage: usize) -> bool {
        self.whole.contains(&stage)
    }

    /// Takes down what a stage emits.
    pub fn note(&self, stage: usize, records: &[Record]) {
        if let Some(taken) = self.taken.get(&stage) {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.extend_from_slice(records);
        }
    }

    /// What a stage emitted.
    pub fn take(&self, stage: usize) -> Vec<Record> {
        let taken = self.taken.get(&stage);
        let taken = taken.map(|taken| taken.lock().unwrap_or_else(PoisonError::into_inner));
        taken
            .map(|mut taken| std::mem::take(&mut *taken))
            .unwrap_or_default()
    }
}
