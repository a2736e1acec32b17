//! Records taken down as they pass, of some stages: for tests of pipelines, which look at what
//! is kept nowhere.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::record::Record;

/// What passed some stages, each by its index.
#[derive(Debug, Default)]
pub struct Taps(BTreeMap<usize, Mutex<Vec<Record>>>);

impl Taps {
    /// Listens to these stages.
    pub fn new(stages: impl IntoIterator<Item = usize>) -> Taps {
        let empty = |at| (at, Mutex::default());
        Taps(stages.into_iter().map(empty).collect())
    }

    /// Takes down what a stage emits.
    pub fn note(&self, stage: usize, records: &[Record]) {
        if let Some(taken) = self.0.get(&stage) {
            let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.extend_from_slice(records);
        }
    }

    /// What a stage emitted.
    pub fn take(&self, stage: usize) -> Vec<Record> {
        let taken = self.0.get(&stage);
        let taken = taken.map(|taken| taken.lock().unwrap_or_else(PoisonError::into_inner));
        taken
            .map(|mut taken| std::mem::take(&mut *taken))
            .unwrap_or_default()
    }
}
