//! Records taken down as they pass, of some stages: for tests of pipelines, which look at what
//! is kept nowhere. Of stages with many of them, something short may be taken down instead.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::Record;

/// What is short of a record of a stage.
type Brief = dyn Fn(usize, &Record) -> [String; 2] + Send + Sync;

/// What passed some stages, each by its index.
#[derive(Default)]
pub struct Taps {
    records: BTreeMap<usize, Mutex<Vec<Record>>>,
    briefs: BTreeMap<usize, Mutex<Vec<[String; 2]>>>,
    brief: Option<Box<Brief>>,
}

impl Taps {
    /// Listens to these stages.
    pub fn new(stages: impl IntoIterator<Item = usize>) -> Taps {
        let empty = |at| (at, Mutex::default());
        Taps {
            records: stages.into_iter().map(empty).collect(),
            ..Taps::default()
        }
    }

    /// Listens to these stages too, and takes down something short of each record.
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

    /// Takes down what a stage emits.
    pub fn note(&self, stage: usize, records: &[Record]) {
        if let Some(taken) = self.records.get(&stage) {
            lock(taken).extend_from_slice(records);
        }
        if let (Some(taken), Some(brief)) = (self.briefs.get(&stage), &self.brief) {
            let short = records.iter().map(|record| brief(stage, record));
            lock(taken).extend(short);
        }
    }

    /// What a stage emitted.
    pub fn take(&self, stage: usize) -> Vec<Record> {
        take(&self.records, stage)
    }

    /// What is short of what a stage emitted.
    pub fn take_briefs(&self, stage: usize) -> Vec<[String; 2]> {
        take(&self.briefs, stage)
    }
}

fn take<T>(all: &BTreeMap<usize, Mutex<Vec<T>>>, stage: usize) -> Vec<T> {
    let taken = all.get(&stage).map(lock);
    taken
        .map(|mut taken| std::mem::take(&mut *taken))
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
