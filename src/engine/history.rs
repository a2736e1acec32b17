//! What earlier runs left to compare with: the manifest of every stage as it last finished,
//! and, from that, why a stage has to run again, in the words of the user's files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::board::{Board, State, Stint};
use super::facts::{Facts, now};
use super::keep::ArtifactRecords;
use super::latency::Latencies;
use super::pipe::Pipe;
use super::run::Outcome;
use super::survey::{Survey, out_file};
use crate::hash::Hash;
use crate::plan::graph::{Action, Output};
use crate::plan::manifest::{Manifest, ParamChange, Then};
use crate::store::{Store, StoreError};
use crate::text::secret::secrets;

/// What is kept of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunRecord {
    /// The pipeline's file, made absolute.
    pub pipeline: PathBuf,
    /// The values of its params.
    pub params: BTreeMap<String, serde_json::Value>,
    /// Every stage as it last finished, in this or an earlier run.
    pub stages: BTreeMap<String, StageRecord>,
    /// All stages of the pipeline then, finished or not. Runs of older versions have none.
    #[serde(default)]
    pub names: BTreeSet<String>,
    /// When it was, how it ended, what it took. Runs of older versions have none.
    #[serde(default)]
    pub facts: Option<Facts>,
    /// What the stages did that worked in this run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stints: BTreeMap<String, Stint>,
    /// How long the calls of each stage took that a model answered in this run.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
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

impl RunRecord {
    /// True for a run that did a share of the work: it has no outputs to tell of.
    pub fn is_share(&self) -> bool {
        self.facts
            .as_ref()
            .is_some_and(|facts| facts.shard.is_some())
    }
}

/// The latest run of a pipeline, shares aside.
pub fn latest(store: &Store, pipe: &Pipe) -> Option<RunRecord> {
    let file = absolute(&pipe.pipeline.file);
    store.find_run(|run: &RunRecord| run.pipeline == file && !run.is_share())
}

/// The stages of the latest run that the pipeline still has.
fn before(store: &Store, pipe: &Pipe) -> BTreeMap<String, StageRecord> {
    let last = latest(store, pipe).map(|run| run.stages);
    let mut stages = last.unwrap_or_default();
    let names = names(pipe);
    stages.retain(|name, _| names.contains(name));
    stages
}

/// Keeps that a run begins, so that also one that is killed is known of, unless nothing is to be
/// done in it. Gives the stages as they were before. A cache that cannot be written is told of when
/// something that matters does not fit.
pub fn begun(
    store: &Store,
    pipe: &Pipe,
    survey: &Survey,
    facts: &Facts,
    id: &str,
) -> BTreeMap<String, StageRecord> {
    let stages = match facts.shard {
        Some(_) => BTreeMap::new(),
        None => before(store, pipe),
    };
    if survey
        .planned
        .iter()
        .all(|planned| planned.action == Action::Skip)
    {
        return stages;
    }
    let run = RunRecord {
        pipeline: absolute(&pipe.pipeline.file),
        params: params(pipe).collect(),
        stages,
        names: names(pipe),
        facts: Some(facts.clone()),
        stints: BTreeMap::new(),
        latencies: BTreeMap::new(),
    };
    let _ = store.put_run(id, &run);
    run.stages
}

/// Keeps what a run did, together with what is still true of `before`, the stages as they were
/// when it began.
///
/// # Errors
/// The cache cannot be written.
pub fn remember(
    store: &Store,
    pipe: &Pipe,
    survey: &Survey,
    (outcome, board): (&Outcome, &Board),
    before: BTreeMap<String, StageRecord>,
    facts: Facts,
    id: &str,
) -> Result<(), StoreError> {
    let run = |stages| RunRecord {
        pipeline: absolute(&pipe.pipeline.file),
        params: params(pipe).collect(),
        stages,
        names: names(pipe),
        facts: Some(facts.clone()),
        stints: stints(survey, outcome).collect(),
        latencies: latencies(board).collect(),
    };
    if facts.shard.is_some() {
        return store.put_run(id, &run(BTreeMap::new()));
    }
    let mut stages = before;
    for (at, done) in outcome.stages.iter().enumerate() {
        let node = &survey.nodes[at];
        if !finished(survey, outcome, at) {
            continue;
        }
        let name = |i: usize| survey.nodes[i].name.clone();
        let old = stages.get(&node.name);
        let same = |old: &StageRecord| {
            done.state == State::Fresh
                && old.recipe == survey.planned[at].recipe
                && old.output == done.output
                && old.manifest == node.manifest
        };
        if old.is_some_and(same) {
            continue;
        }
        let (rows, ran) = match done.state {
            State::Done => (Some(board.stages[at].emitted.get()), Some(now())),
            _ => old.map_or((None, None), |old| (old.rows, old.ran)),
        };
        stages.insert(
            node.name.clone(),
            StageRecord {
                manifest: node.manifest.clone(),
                recipe: survey.planned[at].recipe,
                inputs: node.sources().map(name).collect(),
                output: done.output.clone(),
                rows,
                ran,
            },
        );
        let build = pipe.build(at, Vec::new());
        for (_, _, text) in pipe.stages[at].verb.traces(&build).prompts {
            store.put_blob(&text)?;
        }
    }
    store.put_run(id, &run(stages))
}

fn names(pipe: &Pipe) -> BTreeSet<String> {
    let stages = pipe.stages.iter();
    stages.map(|stage| stage.spec.name.value.clone()).collect()
}

/// What the stages did that worked: what was read from the cache is no work.
fn stints(survey: &Survey, outcome: &Outcome) -> impl Iterator<Item = (String, Stint)> {
    let stages = (0..survey.nodes.len()).filter(|at| survey.planned[*at].action == Action::Run);
    stages.filter_map(|at| Some((survey.nodes[at].name.clone(), outcome.stages[at].stint?)))
}

/// How long the calls of stages took.
fn latencies(board: &Board) -> impl Iterator<Item = (String, Latencies)> {
    let asked = board.stages.iter().filter(|row| row.asked.get() > 0);
    asked.map(|row| (row.name.clone(), row.clocked.taken()))
}

/// All runs of a pipeline that are remembered, newest first, shares aside.
pub fn runs(store: &Store, pipe: &Pipe) -> Vec<RunRecord> {
    let file = absolute(&pipe.pipeline.file);
    let runs = store.runs::<RunRecord>().into_iter();
    let runs = runs.map(|(_, run)| run);
    runs.filter(|run| run.pipeline == file && !run.is_share())
        .collect()
}

/// True for stages whose output is what their manifest says: made now, or known before.
fn finished(survey: &Survey, outcome: &Outcome, at: usize) -> bool {
    match outcome.stages[at].state {
        State::Done | State::Reading => true,
        State::Fresh => {
            let kept = survey.nodes[at].heavy || survey.nodes[at].sink;
            // What is not kept is as fresh as those that were made of it.
            if kept {
                survey.planned[at].fresh
            } else {
                outcome
                    .stages
                    .iter()
                    .all(|stage| stage.state != State::Broken)
            }
        }
        _ => false,
    }
}

/// The values of all params, each under its name in the whole pipeline.
pub fn params(pipe: &Pipe) -> impl Iterator<Item = (String, serde_json::Value)> {
    let scopes = pipe.pipeline.scopes.iter();
    scopes.flat_map(|scope| {
        scope.params.iter().map(|p| {
            let value = serde_json::to_value(&p.value).unwrap_or_default();
            (format!("{}{}", scope.prefix, p.name), value)
        })
    })
}

/// The texts of all prompts as they are now.
fn prompts(pipe: &Pipe) -> impl Iterator<Item = (Hash, String)> {
    (0..pipe.stages.len()).flat_map(|at| {
        let traces = pipe.stages[at].verb.traces(&pipe.build(at, Vec::new()));
        let texts = traces.prompts.into_iter();
        texts.map(|(_, hash, text)| (hash, text.to_string()))
    })
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// Why every stage has to run, one line a reason; empty for stages that need not.
pub fn reasons(
    pipe: &Pipe,
    survey: &Survey,
    store: &Store,
    last: Option<&RunRecord>,
) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![Vec::new(); survey.nodes.len()];
    let texts: BTreeMap<Hash, String> = prompts(pipe).collect();
    let text = |hash: Hash| texts.get(&hash).cloned().or_else(|| store.get_blob(hash));
    let changed_params: Vec<ParamChange> = params(pipe)
        .filter_map(|(name, now)| {
            let was = last?.params.get(&name)?.clone();
            (was != now).then_some(ParamChange { name, was, now })
        })
        .collect();
    let now: Vec<(String, serde_json::Value)> = params(pipe).collect();
    let before = last.into_iter().flat_map(|run| &run.params);
    let secrets = secrets(now.iter().map(|(name, value)| (name, value)).chain(before));
    // A stage whose own recipe changed passes that on as "input `x` changed".
    for &at in &pipe.order {
        let node = &survey.nodes[at];
        let planned = &survey.planned[at];
        if planned.fresh {
            continue;
        }
        let old = last.and_then(|run| run.stages.get(&node.name));
        let Some(old) = old else {
            all[at].push(match last {
                None => "never ran".to_owned(),
                Some(_) => "new, or not finished before".to_owned(),
            });
            continue;
        };
        let mut why = node.manifest.changes(
            &old.manifest,
            &Then {
                text: &text,
                params: &changed_params,
                secrets: &secrets,
            },
        );
        let changed = |i: usize| {
            let name = &survey.nodes[i].name;
            let before = last.and_then(|run| run.stages.get(name));
            before.is_none_or(|before| before.recipe != survey.planned[i].recipe)
        };
        // Said where output is kept: what lies between only passes it on.
        let kept = node.heavy || node.sink;
        for source in node.sources().filter(|i| kept && changed(*i)) {
            why.push(format!("input `{}` changed", survey.nodes[source].name));
        }
        let names: Vec<&String> = node.sources().map(|i| &survey.nodes[i].name).collect();
        if why.is_empty() && !old.inputs.iter().eq(names) {
            why.push("reads other stages than before".to_owned());
        }
        if why.is_empty() && kept && old.recipe == planned.recipe {
            why.push(match (&planned.output, node.sink) {
                (Some(_), true) => match out_file(pipe, at).filter(|path| path.exists()) {
                    Some(path) => format!("{} is not what was written", path.display()),
                    None => "its file is not there".to_owned(),
                },
                (Some(_), false) => "its output is no longer in the cache".to_owned(),
                (None, _) => "it is not in this cache".to_owned(),
            });
        }
        all[at] = why;
    }
    all
}

/// Records that a heavy stage reads now and did not write before: how many there are.
pub fn new_records(store: &Store, old: &StageRecord, now: &HashSet<String>) -> Option<usize> {
    let content = old.output.as_ref()?.content;
    let mut known = 0;
    for record in ArtifactRecords::open(store, content).ok()?? {
        known += usize::from(now.contains(&*record.ok()?.key));
    }
    Some(now.len() - known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::facts::Ended;

    #[test]
    fn records_of_older_and_newer_versions_are_read() {
        let hash = Hash::of_bytes(b"");
        let stage = serde_json::json!({
            "manifest": {"items": []}, "recipe": hash, "inputs": [],
            "output": {"content": hash, "rows": 3},
        });
        let old = serde_json::json!({"pipeline": "/p.yaml", "params": {}, "stages": {"a": stage}});
        let run: RunRecord = serde_json::from_value(old.clone()).expect("an old record");
        assert!(run.facts.is_none() && run.stages["a"].ran.is_none());
        let mut new = old;
        new["facts"] = serde_json::json!({
            "program": "9", "began": 1, "ended": "in a new way", "more": [1],
        });
        let run: RunRecord = serde_json::from_value(new).expect("a newer record");
        assert_eq!(run.facts.expect("facts").ended, Ended::Other);
    }
}
