//! What is known before a run: the manifest of every stage, and the plan that follows from the
//! cache and the output folder. Reads files to hash them; writes nothing.

use std::collections::HashSet;
use std::path::PathBuf;

use super::pipe::Pipe;
use super::shard::{Shard, Share};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::parallel;
use crate::plan::graph::{self, Action, Known, Node, Output, Planned};
use crate::plan::manifest::{Item, Manifest};
use crate::plan::waves::Part;
use crate::store::Store;

/// A pipeline with its plan.
pub struct Survey {
    /// The stages as the planner sees them.
    pub nodes: Vec<Node>,
    /// What happens to each.
    pub planned: Vec<Planned>,
    /// The stages that are wanted for their own sake.
    pub targets: Vec<usize>,
    /// The stages that run to their end even if their readers have enough before.
    pub whole: Vec<usize>,
    /// What of it this machine does, if several share the work.
    pub share: Option<Share>,
}

impl Survey {
    /// True if nothing has to be done.
    pub fn is_idle(&self) -> bool {
        let mut planned = self.planned.iter();
        planned.all(|planned| planned.action == Action::Skip)
    }

    /// What of a stage this machine does, if it does not do all: only its share of the records.
    pub fn shard(&self, at: usize) -> Option<Shard> {
        let share = self.share.as_ref()?;
        (share.parts[at] == Part::Share).then_some(share.shard)
    }

    /// The stages that ask a model and that the targets are made of, known or not.
    pub fn asking(&self) -> Vec<usize> {
        let mut needed = vec![false; self.nodes.len()];
        let mut open = self.targets.clone();
        while let Some(at) = open.pop() {
            if !std::mem::replace(&mut needed[at], true) {
                open.extend(self.nodes[at].sources());
            }
        }
        let asks = |at: &usize| needed[*at] && self.nodes[*at].asks;
        (0..self.nodes.len()).filter(asks).collect()
    }
}

/// Which part of a pipeline is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Only what these stages need (`--until`); all outputs if empty.
    pub until: Vec<usize>,
    /// Stages to run again even though their output is known (`--force`).
    pub force: Vec<usize>,
    /// Stages that run to their end even if their readers have enough before.
    pub whole: Vec<usize>,
}

/// Plans a run.
///
/// # Errors
/// A file that cannot be read.
pub fn survey(pipe: &Pipe, store: &Store, wanted: &Wanted) -> Result<Survey, Diagnostic> {
    let nodes = nodes(pipe, store)?;
    let targets = targets(&nodes, wanted);
    let force: Vec<bool> = (0..nodes.len())
        .map(|at| wanted.force.contains(&at))
        .collect();
    let known = Looked { pipe, store };
    let planned = graph::plan(&nodes, &pipe.order, &targets, &force, &known);
    Ok(Survey {
        nodes,
        planned,
        targets,
        whole: wanted.whole.clone(),
        share: None,
    })
}

/// The stages named; else the outputs, and stages that nobody reads.
fn targets(nodes: &[Node], wanted: &Wanted) -> Vec<usize> {
    if !wanted.until.is_empty() {
        return wanted.until.clone();
    }
    let read: HashSet<usize> = nodes.iter().flat_map(Node::sources).collect();
    (0..nodes.len())
        .filter(|at| nodes[*at].sink || (nodes[*at].heavy && !read.contains(at)))
        .collect()
}

/// The stages as the planner sees them.
fn nodes(pipe: &Pipe, store: &Store) -> Result<Vec<Node>, Diagnostic> {
    let all: Vec<usize> = (0..pipe.stages.len()).collect();
    let nodes = parallel::map(&all, |at| node(pipe, store, *at));
    nodes.into_iter().collect()
}

fn node(pipe: &Pipe, store: &Store, at: usize) -> Result<Node, Diagnostic> {
    let stage = &pipe.stages[at];
    let build = pipe.build(at, Vec::new());
    let traces = stage.verb.traces(&build);
    let mut items = vec![
        Item::Verb {
            name: stage.verb.name().to_owned(),
            version: stage.verb.version(),
        },
        Item::Settings {
            value: stage.verb.canonical(),
        },
    ];
    let params = &pipe.pipeline.scopes[stage.spec.scope].params;
    for name in &traces.params {
        if let Some(param) = params.iter().find(|p| p.name == *name) {
            items.push(Item::Param {
                name: name.clone(),
                value: serde_json::to_value(&param.value).unwrap_or_default(),
            });
        }
    }
    for (path, hash, _) in &traces.prompts {
        items.push(Item::Prompt {
            path: path.clone(),
            hash: *hash,
        });
    }
    for path in stage.verb.files(&build) {
        let hash = store.hash_file(&path).map_err(|error| {
            Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
                .at(stage.spec.verb.span, "")
        })?;
        items.push(Item::File {
            path: path.display().to_string(),
            hash,
        });
    }
    for name in &traces.models {
        if let Some(model) = build.models.get(name) {
            items.push(Item::Model {
                name: name.clone(),
                value: model.identity(),
            });
        }
    }
    // The names under which inputs are read are part of what expressions mean.
    if !stage.with.is_empty() {
        let names = stage.with.iter().map(|(name, _)| name.clone()).collect();
        items.push(Item::With { names });
    }
    let manifest = Manifest { items };
    Ok(Node {
        name: stage.spec.name.value.clone(),
        verb: stage.verb.name().to_owned(),
        inputs: stage.inputs.clone(),
        with: stage.with.clone(),
        heavy: stage.verb.heavy(),
        recordwise: (0..stage.inputs.len())
            .map(|port| stage.verb.recordwise(port))
            .collect(),
        sink: stage.verb.writes().is_some(),
        asks: !traces.models.is_empty(),
        sealed: manifest.seal(),
        manifest,
    })
}

struct Looked<'a> {
    pipe: &'a Pipe,
    store: &'a Store,
}

impl Known for Looked<'_> {
    fn output(&self, key: Hash) -> Option<Output> {
        self.store.get_result(key)
    }

    fn has_artifact(&self, content: Hash) -> bool {
        self.store.has_artifact(content)
    }

    fn has_file(&self, stage: usize, content: Hash) -> bool {
        out_file(self.pipe, stage)
            .and_then(|path| self.store.hash_file(&path).ok())
            .is_some_and(|hash| hash == content)
    }
}

/// The file that a stage writes.
pub fn out_file(pipe: &Pipe, stage: usize) -> Option<PathBuf> {
    let path = pipe.stages[stage].verb.writes()?;
    Some(pipe.folders.out.join(path))
}
