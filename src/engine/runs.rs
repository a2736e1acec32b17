//! The records of runs in the cache: what is kept of each, and how it is read again. The stages lie
//! beside the record, under their hash: runs in which nothing was done have the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::board::Stint;
use super::facts::Facts;
use super::latency::Latencies;
use crate::hash::Hash;
use crate::plan::graph::Output;
use crate::plan::manifest::Manifest;
use crate::store::{Store, StoreError};

/// A run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// The pipeline's file, made absolute.
    pub pipeline: PathBuf,
    /// The values of its params.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Every stage as it last finished, in this or an earlier run.
    pub stages: BTreeMap<String, StageRecord>,
    /// All stages of the pipeline then, finished or not. Runs of older versions have none.
    pub names: BTreeSet<String>,
    /// The hash of the text in the cache that holds both. Runs of older versions have none.
    pub stages_in: Option<Hash>,
    /// When it was, how it ended, what it took. Runs of older versions have none.
    pub facts: Option<Facts>,
    /// What the stages did that worked in this run.
    pub stints: BTreeMap<String, Stint>,
    /// How long the calls of each stage took that a model answered in this run.
    pub latencies: BTreeMap<String, Latencies>,
}

/// What lists of runs need of a record: the stages of many runs are much to read.
#[derive(Clone, Debug, Deserialize)]
pub struct Head {
    /// The pipeline's file, made absolute.
    pub pipeline: PathBuf,
    /// The values of its params.
    pub params: BTreeMap<String, serde_json::Value>,
    /// When it was, how it ended, what it took.
    #[serde(default)]
    pub facts: Option<Facts>,
}

/// A stage as it last finished.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageRecord {
    /// What decided its output.
    pub manifest: Manifest,
    /// Its key, inputs included.
    pub recipe: Hash,
    /// The stages it read.
    pub inputs: Vec<String>,
    /// What came out, for stages whose output is kept.
    pub output: Option<Output>,
    /// Records that it emitted then.
    #[serde(default)]
    pub rows: Option<u64>,
    /// When it ran, in milliseconds since 1970: what was in the cache keeps its time.
    #[serde(default)]
    pub ran: Option<u64>,
}

/// The stages of a run, as they are kept apart from it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stages {
    #[serde(default)]
    stages: BTreeMap<String, StageRecord>,
    #[serde(default)]
    names: BTreeSet<String>,
}

/// A run as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    pipeline: PathBuf,
    params: BTreeMap<String, serde_json::Value>,
    #[serde(default)]
    facts: Option<Facts>,
    /// The hash of the text that holds its [`Stages`].
    #[serde(default)]
    stages_in: Option<Hash>,
    /// Stages with the same mark are the same, if nothing was done since.
    #[serde(default)]
    mark: Option<Hash>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    stints: BTreeMap<String, Stint>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    latencies: BTreeMap<String, Latencies>,
    /// Of versions that kept the stages here.
    #[serde(default, skip_serializing)]
    stages: BTreeMap<String, StageRecord>,
    #[serde(default, skip_serializing)]
    names: BTreeSet<String>,
}

impl RunRecord {
    /// True for a run that did a share of the work: it has no outputs to tell of.
    pub fn is_share(&self) -> bool {
        is_share(self.facts.as_ref())
    }

    /// Keeps the run, in place of an earlier one with the same id.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn keep(mut self, store: &Store, id: &str, mark: Option<Hash>) -> Result<(), StoreError> {
        let stages = Stages {
            stages: std::mem::take(&mut self.stages),
            names: std::mem::take(&mut self.names),
        };
        let text = serde_json::to_string(&stages).unwrap_or_default();
        let stages_in = Some(store.put_blob(&text)?);
        store.put_run(id, &self.kept(stages_in, mark))
    }

    /// The same of a run that did nothing, with the stages of another one.
    ///
    /// # Errors
    /// As there.
    pub fn keep_like(self, other: &Kept, store: &Store, id: &str) -> Result<(), StoreError> {
        store.put_idle_run(id, &self.kept(other.stages_in, other.mark))
    }

    fn kept(self, stages_in: Option<Hash>, mark: Option<Hash>) -> Kept {
        Kept {
            pipeline: self.pipeline,
            params: self.params,
            facts: self.facts,
            stages_in,
            mark,
            stints: self.stints,
            latencies: self.latencies,
            stages: BTreeMap::new(),
            names: BTreeSet::new(),
        }
    }
}

impl Kept {
    /// The latest run of a pipeline's file, shares aside.
    pub fn latest(store: &Store, file: &Path) -> Option<(String, Kept)> {
        store.find_run(|run: &Kept| run.pipeline == file && !is_share(run.facts.as_ref()))
    }

    /// True if its stages are at hand and have that mark.
    pub fn is_like(&self, mark: Hash, store: &Store) -> bool {
        self.mark == Some(mark) && self.stages_in.is_some_and(|hash| store.has_blob(hash))
    }

    /// The run with its stages. One whose stages are lost is told.
    pub fn whole(self, store: &Store, id: &str) -> Option<RunRecord> {
        let stages = match self.stages_in {
            Some(hash) => store
                .get_blob(hash)
                .and_then(|text| serde_json::from_str(&text).ok()),
            None => Some(Stages {
                stages: self.stages,
                names: self.names,
            }),
        };
        let Some(Stages { stages, names }) = stages else {
            store.tell_lost(id);
            return None;
        };
        Some(RunRecord {
            pipeline: self.pipeline,
            params: self.params,
            stages,
            names,
            stages_in: self.stages_in,
            facts: self.facts,
            stints: self.stints,
            latencies: self.latencies,
        })
    }
}

/// All runs with their ids, newest first; of one pipeline's file, if it is given.
pub fn all(store: &Store, file: Option<&Path>) -> Vec<(String, RunRecord)> {
    let runs = store.runs::<Kept>().into_iter();
    let wanted = runs.filter(|(_, run)| file.is_none_or(|file| run.pipeline == file));
    wanted
        .filter_map(|(id, run)| Some((id.clone(), run.whole(store, &id)?)))
        .collect()
}

fn is_share(facts: Option<&Facts>) -> bool {
    facts.is_some_and(|facts| facts.shard.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::Ended;

    #[test]
    fn records_of_older_and_newer_versions_are_read() {
        let dir = tempfile::tempdir().expect("a folder");
        let store = Store::open(dir.path()).expect("a cache");
        let hash = Hash::of_bytes(b"");
        let stage = serde_json::json!({
            "manifest": {"items": []}, "recipe": hash, "inputs": [],
            "output": {"content": hash, "rows": 3},
        });
        let old = serde_json::json!({"pipeline": "/p.yaml", "params": {}, "stages": {"a": stage}});
        let read = |json: &serde_json::Value| {
            let kept: Kept = serde_json::from_value(json.clone()).expect("a record");
            kept.whole(&store, "1").expect("a run")
        };
        let run = read(&old);
        assert!(run.facts.is_none() && run.stages["a"].ran.is_none());
        let mut new = old;
        new["facts"] = serde_json::json!({
            "program": "9", "began": 1, "ended": "in a new way", "more": [1],
        });
        assert_eq!(read(&new).facts.expect("facts").ended, Ended::Other);
    }
}
