//! An earlier run, as far as its records are still known: what the cache kept of it is read, and
//! what lies between is made again where the stage is what it was. Owns what can be told of a run
//! and what cannot; makes nothing itself.

use super::facts::Ended;
use super::runs::{RunRecord, StageRecord};
use super::survey::Survey;
use crate::hash::Hash;
use crate::plan::graph::{Action, Planned};
use crate::store::Store;

/// What is known of the records that a stage emitted in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// They are at hand, or can be made again.
    Here,
    /// The stage did not run to its end, or records failed there or before.
    Unfinished,
    /// They were removed from the cache.
    Gone,
    /// They were not kept, and the stage, or one before it, is another now.
    Changed,
    /// The run had no such stage.
    Absent,
    /// It is stopped when others have enough: how many it emits is chance.
    Chance,
}

impl Known {
    /// True if there are records that others can be made of.
    pub fn is_had(self) -> bool {
        matches!(self, Known::Here | Known::Chance)
    }

    /// Why they are not known.
    pub fn words(self) -> &'static str {
        match self {
            Known::Here => "they are at hand",
            Known::Unfinished => "it did not run to its end, or records failed there or before",
            Known::Gone => "its records are no longer in the cache",
            Known::Changed => {
                "its records were not kept, and the pipeline is no longer the one that made them"
            }
            Known::Absent => "it is not there",
            Known::Chance => "it is stopped when `take` has enough, so how many it has is chance",
        }
    }
}

/// A run in the past.
pub struct Past {
    /// What is known of each stage.
    pub known: Vec<Known>,
    /// How the records are had.
    planned: Vec<Planned>,
}

impl Past {
    /// Of a run, by the pipeline as it is now. `open` says of each stage whether it is stopped
    /// when its readers have enough.
    pub fn of(
        now: &Survey,
        order: &[usize],
        store: &Store,
        run: &RunRecord,
        open: &[bool],
    ) -> Past {
        let count = now.nodes.len();
        let mut past = Past {
            known: vec![Known::Absent; count],
            planned: now.planned.clone(),
        };
        let unfinished = unfinished(now, order, run);
        for &at in order {
            let node = &now.nodes[at];
            past.planned[at].action = Action::Skip;
            let Some(old) = run.stages.get(&node.name) else {
                continue;
            };
            past.known[at] = if unfinished[at] {
                Known::Unfinished
            } else {
                past.stage(now, at, store, old)
            };
            // What comes after the reader that had enough is no chance.
            if past.known[at] == Known::Here && open.get(at).copied().unwrap_or(false) {
                past.known[at] = Known::Chance;
            }
        }
        past
    }

    /// How the records of a stage are had, if they are.
    fn stage(&mut self, now: &Survey, at: usize, store: &Store, old: &StageRecord) -> Known {
        let node = &now.nodes[at];
        if node.sink {
            return Known::Here;
        }
        if let Some(output) = old.output.as_ref().filter(|_| node.heavy)
            && store.has_artifact(output.content)
        {
            self.planned[at].output = Some(output.clone());
            self.planned[at].action = Action::Read;
            return Known::Here;
        }
        let names = node.sources().map(|from| now.nodes[from].name.as_str());
        let same = node.manifest.key(&[]) == old.manifest.key(&[])
            && names.eq(old.inputs.iter().map(String::as_str));
        let source = node.sources().map(|from| self.known[from]);
        let lacks = source
            .filter(|known| !known.is_had())
            .max_by_key(|known| *known as u8);
        let lost = if node.heavy {
            Known::Gone
        } else {
            Known::Changed
        };
        match lacks {
            _ if !same || node.verb == "exec" => lost,
            Some(lacks) => lacks,
            None => {
                self.planned[at].action = Action::Run;
                self.planned[at].output = None;
                Known::Here
            }
        }
    }

    /// The plan that makes the records of these stages pass.
    pub fn survey(&self, now: &Survey, wanted: &[usize]) -> Survey {
        let mut needed = vec![false; now.nodes.len()];
        let mut open = wanted.to_vec();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut needed[at], true) && self.planned[at].action == Action::Run {
                open.extend(now.nodes[at].sources());
            }
        }
        let mut planned = self.planned.clone();
        for (at, planned) in planned.iter_mut().enumerate() {
            if !needed[at] {
                planned.action = Action::Skip;
            }
        }
        Survey {
            nodes: now.nodes.clone(),
            planned,
            targets: wanted.to_vec(),
            whole: wanted.to_vec(),
            share: None,
        }
    }
}

/// The stages that did not come to their end in a run: what is kept of them is from an earlier
/// one.
fn unfinished(now: &Survey, order: &[usize], run: &RunRecord) -> Vec<bool> {
    let facts = run.facts.as_ref();
    let under_way = facts.is_some_and(|facts| facts.ended == Ended::Running);
    let mut unfinished = vec![under_way; now.nodes.len()];
    for &at in order {
        let node = &now.nodes[at];
        let Some(old) = run.stages.get(&node.name) else {
            continue;
        };
        let began = facts.map_or(0, |facts| facts.began);
        let finished = old.ran.is_some_and(|ran| ran >= began);
        let worked = run.stints.contains_key(&node.name);
        let behind = node.sources().any(|from| unfinished[from]);
        let left = facts.is_some() && !finished && (worked || behind);
        unfinished[at] = unfinished[at] || left || !follows(old, run);
    }
    unfinished
}

/// True if a stage was made of what the run has of its inputs, and not of what an earlier one had.
fn follows(stage: &StageRecord, run: &RunRecord) -> bool {
    let inputs = stage.inputs.iter();
    let recipes = inputs.map(|name| run.stages.get(name).map(|input| input.recipe));
    let recipes: Option<Vec<Hash>> = recipes.collect();
    recipes.is_some_and(|recipes| stage.manifest.key(&recipes) == stage.recipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::manifest::Manifest;

    #[test]
    fn a_stage_that_did_not_run_is_not_taken_for_one_that_did() {
        let manifest = |n: u8| -> Manifest {
            let items = serde_json::json!([{"is": "settings", "value": n}]);
            serde_json::from_value(serde_json::json!({ "items": items })).expect("a manifest")
        };
        let stage = |manifest: Manifest, inputs: &[&str], recipes: &[Hash]| StageRecord {
            recipe: manifest.key(recipes),
            manifest,
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: None,
            rows: None,
            ran: None,
        };
        let (old, new) = (stage(manifest(1), &[], &[]), stage(manifest(2), &[], &[]));
        let reader = stage(manifest(3), &["a"], &[old.recipe]);
        let run = |a: &StageRecord| RunRecord {
            pipeline: "/p.yaml".into(),
            params: std::collections::BTreeMap::new(),
            stages: [
                ("a".to_owned(), a.clone()),
                ("b".to_owned(), reader.clone()),
            ]
            .into(),
            names: std::collections::BTreeSet::new(),
            stages_in: None,
            facts: None,
            stints: std::collections::BTreeMap::new(),
            latencies: std::collections::BTreeMap::new(),
        };
        assert!(follows(&reader, &run(&old)));
        assert!(!follows(&reader, &run(&new)), "made of what was before");
        let mut gone = run(&old);
        gone.stages.remove("a");
        assert!(!follows(&reader, &gone));
    }
}
