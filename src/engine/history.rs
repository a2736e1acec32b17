//! What a run leaves for later ones to compare with: the manifest of every stage as it last
//! finished, and, from that, why a stage has to run again, in the words of the user's files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::board::{Board, State, Stint};
use super::facts::{Facts, now};
use super::keep::ArtifactRecords;
use super::latency::Latencies;
use super::pipe::Pipe;
use super::run::{Outcome, StageOutcome};
use super::runs::{Kept, RunRecord, StageRecord, all};
use super::survey::{Survey, out_file};
use crate::hash::Hash;
use crate::plan::graph::{Action, Output};
use crate::plan::manifest::{ParamChange, Then};
use crate::store::{Store, StoreError};
use crate::text::secret::secrets;

/// The latest run of a pipeline, shares aside.
pub fn latest(store: &Store, pipe: &Pipe) -> Option<RunRecord> {
    let (id, kept) = Kept::latest(store, &absolute(&pipe.pipeline.file))?;
    kept.whole(store, &id)
}

/// The latest run of a pipeline, as it was when another one began.
#[derive(Clone, Default)]
pub struct Before(Option<(String, Kept)>);

impl Before {
    /// Its stages that the pipeline still has.
    fn stages(self, store: &Store, pipe: &Pipe) -> BTreeMap<String, StageRecord> {
        let last = self.0.and_then(|(id, kept)| kept.whole(store, &id));
        let mut stages = last.map(|run| run.stages).unwrap_or_default();
        let names = names(pipe);
        stages.retain(|name, _| names.contains(name));
        stages
    }
}

/// Keeps that a run begins, so that also one that is killed is known of, unless nothing is to be
/// done in it. Gives the one before. A cache that cannot be written is told of when something that
/// matters does not fit.
pub fn begun(store: &Store, pipe: &Pipe, survey: &Survey, facts: &Facts, id: &str) -> Before {
    let before = match facts.shard {
        Some(_) => Before::default(),
        None => Before(Kept::latest(store, &absolute(&pipe.pipeline.file))),
    };
    if !survey.is_idle() {
        let run = RunRecord {
            stages: before.clone().stages(store, pipe),
            names: names(pipe),
            ..plain(pipe, facts)
        };
        let _ = run.keep(store, id, None);
    }
    before
}

/// A run of the pipeline of which no stage is known yet, not even by its name.
fn plain(pipe: &Pipe, facts: &Facts) -> RunRecord {
    RunRecord {
        pipeline: absolute(&pipe.pipeline.file),
        params: params(pipe).collect(),
        stages: BTreeMap::new(),
        names: BTreeSet::new(),
        stages_in: None,
        facts: Some(facts.clone()),
        stints: BTreeMap::new(),
        latencies: BTreeMap::new(),
    }
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
    before: Before,
    facts: Facts,
    id: &str,
) -> Result<(), StoreError> {
    let run = RunRecord {
        stints: stints(survey, outcome).collect(),
        latencies: latencies(board).collect(),
        ..plain(pipe, &facts)
    };
    if facts.shard.is_some() {
        let names = names(pipe);
        return RunRecord { names, ..run }.keep(store, id, None);
    }
    let finished = finished(survey, outcome);
    let mark = mark(survey, outcome, &finished);
    let idle = outcome.stages.iter().all(|done| done.state == State::Fresh);
    let last = before.0.as_ref().filter(|_| idle);
    if let Some((_, last)) = last.filter(|(_, last)| last.is_like(mark, store)) {
        return run.keep_like(last, store, id);
    }
    let mut stages = before.stages(store, pipe);
    for (at, done) in outcome.stages.iter().enumerate() {
        let node = &survey.nodes[at];
        if !finished[at] {
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
    let names = names(pipe);
    let run = RunRecord {
        stages,
        names,
        ..run
    };
    run.keep(store, id, Some(mark))
}

/// A hash of all that [`remember`] keeps of stages: if nothing was done and it is the same as that
/// of the run before, so are they.
fn mark(survey: &Survey, outcome: &Outcome, finished: &[bool]) -> Hash {
    let mut bytes = Vec::with_capacity(128 * survey.nodes.len());
    for (at, node) in survey.nodes.iter().enumerate() {
        put_text(&mut bytes, &node.name);
        if !finished[at] {
            bytes.push(0);
            continue;
        }
        bytes.push(1);
        // The recipe has all of the manifest but the labels.
        bytes.extend(survey.planned[at].recipe.0);
        put_number(&mut bytes, node.manifest.labels().count());
        node.manifest
            .labels()
            .for_each(|label| put_text(&mut bytes, label));
        put_number(&mut bytes, node.sources().count());
        node.sources().for_each(|from| put_number(&mut bytes, from));
        match &outcome.stages[at].output {
            None => bytes.push(0),
            Some(Output { content, rows }) => {
                bytes.push(1);
                bytes.extend(content.0);
                bytes.extend(rows.to_le_bytes());
            }
        }
    }
    Hash::of_pieces("clue mark v2", &[&bytes])
}

/// A text after its length, so that no two lists of texts have the same bytes.
fn put_text(bytes: &mut Vec<u8>, text: &str) {
    put_number(bytes, text.len());
    bytes.extend(text.as_bytes());
}

fn put_number(bytes: &mut Vec<u8>, number: usize) {
    bytes.extend((number as u64).to_le_bytes());
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
    let runs = all(store, Some(&absolute(&pipe.pipeline.file))).into_iter();
    let runs = runs.map(|(_, run)| run);
    runs.filter(|run| !run.is_share()).collect()
}

/// True for stages whose output is what their manifest says: made now, or known before.
fn finished(survey: &Survey, outcome: &Outcome) -> Vec<bool> {
    let mut stages = outcome.stages.iter();
    let sound = stages.all(|stage| stage.state != State::Broken);
    let finished = |(at, stage): (usize, &StageOutcome)| match stage.state {
        State::Done | State::Reading => true,
        State::Fresh if survey.nodes[at].heavy || survey.nodes[at].sink => survey.planned[at].fresh,
        // What is not kept is as fresh as those that were made of it.
        State::Fresh => sound,
        _ => false,
    };
    outcome.stages.iter().enumerate().map(finished).collect()
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
