//! The plan: a graph of stages, what each one's output is known to be, and what has to run.
//! Pure: files and cache are looked up through [`Known`].

use crate::hash::Hash;
use crate::parallel;
use petgraph::algo::toposort;
use petgraph::graph::DiGraph;
use serde::{Deserialize, Serialize};

use super::manifest::{Manifest, Sealed};

/// A stage as the planner sees it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its verb.
    pub verb: String,
    /// Indices of the stages it reads, in order of ports.
    pub inputs: Vec<usize>,
    /// Named inputs: name and index.
    pub with: Vec<(String, usize)>,
    /// True when its output is kept as an artifact.
    pub heavy: bool,
    /// By port: true when it treats each record that comes through it by itself.
    pub recordwise: Vec<bool>,
    /// True when it writes a file.
    pub sink: bool,
    /// True when it asks a model.
    pub asks: bool,
    /// What decides its output.
    pub manifest: Manifest,
    /// The same as keys have it.
    pub sealed: Sealed,
}

impl Node {
    /// Every stage it reads.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        self.inputs
            .iter()
            .copied()
            .chain(self.with.iter().map(|(_, at)| *at))
    }

    /// For each of [`sources`](Node::sources), whether it treats the records from there one by
    /// one: never so with named inputs, which expressions see as a whole.
    pub fn ports(&self) -> impl Iterator<Item = bool> {
        let named = self.with.iter().map(|_| false);
        self.recordwise.iter().copied().chain(named)
    }
}

/// What the cache remembers of a finished stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Hash of the artifact (heavy stages) or of the written file (sinks).
    pub content: Hash,
    /// How many records it holds.
    pub rows: u64,
}

/// What the planner asks of the cache and the output folder.
pub trait Known: Sync {
    /// The output remembered under a key.
    fn output(&self, key: Hash) -> Option<Output>;
    /// True when the artifact is in the cache.
    fn has_artifact(&self, content: Hash) -> bool;
    /// True when the sink's file is there with exactly this content.
    fn has_file(&self, stage: usize, content: Hash) -> bool;
}

/// What happens to a stage in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing: its output is there, or nobody needs it.
    Skip,
    /// Its artifact is read.
    Read,
    /// It runs.
    Run,
}

/// A planned stage.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its key by recipe: manifest and the recipes of its inputs. Always known.
    pub recipe: Hash,
    /// What is known of its output: for heavy stages and sinks.
    pub output: Option<Output>,
    /// Names its output's content as far as it is known before running.
    pub identity: Option<Hash>,
    /// True when its output is at hand.
    pub fresh: bool,
    /// What happens to it.
    pub action: Action,
}

/// The order in which stages can be planned and run, given what each one reads.
///
/// # Errors
/// The index of a node on a cycle.
pub fn order(sources: &[Vec<usize>]) -> Result<Vec<usize>, usize> {
    let mut graph = DiGraph::<usize, ()>::new();
    let ids: Vec<_> = (0..sources.len()).map(|at| graph.add_node(at)).collect();
    for (at, sources) in sources.iter().enumerate() {
        for source in sources {
            graph.add_edge(ids[*source], ids[at], ());
        }
    }
    let sorted = toposort(&graph, None).map_err(|cycle| graph[cycle.node_id()])?;
    Ok(sorted.into_iter().map(|id| graph[id]).collect())
}

/// The key of a stage over inputs whose identities are all known.
pub fn content_key(node: &Node, identity: impl Fn(usize) -> Option<Hash>) -> Option<Hash> {
    let inputs: Option<Vec<Hash>> = node.sources().map(identity).collect();
    Some(node.sealed.key(&inputs?))
}

/// The stages in levels: those of one read only such as are in levels before it.
fn levels(nodes: &[Node], order: &[usize]) -> Vec<Vec<usize>> {
    let mut levels: Vec<Vec<usize>> = Vec::new();
    let mut level_of = vec![0; nodes.len()];
    for &at in order {
        let level = nodes[at]
            .sources()
            .map(|i| level_of[i] + 1)
            .max()
            .unwrap_or(0);
        level_of[at] = level;
        if level == levels.len() {
            levels.push(Vec::new());
        }
        levels[level].push(at);
    }
    levels
}

/// What is known of a stage, given what is of those that it reads.
fn find(
    (at, node): (usize, &Node),
    planned: &[Option<Planned>],
    force: bool,
    known: &dyn Known,
) -> Planned {
    let of = |i: usize| planned[i].as_ref();
    let recipes: Vec<Hash> = node
        .sources()
        .filter_map(|i| of(i).map(|p| p.recipe))
        .collect();
    let recipe = node.sealed.key(&recipes);
    let named_by_recipe = |i: usize| of(i).is_some_and(|p| p.identity == Some(p.recipe));
    let by_content = match node.sources().all(named_by_recipe) {
        true => Some(recipe),
        false => content_key(node, |i| of(i).and_then(|p| p.identity)),
    };
    let kept = node.heavy || node.sink;
    let output = (kept && !force)
        .then(|| {
            known
                .output(recipe)
                .or_else(|| by_content.and_then(|key| known.output(key)))
        })
        .flatten();
    let fresh = match &output {
        Some(output) if node.sink => known.has_file(at, output.content),
        Some(output) => known.has_artifact(output.content),
        None => false,
    };
    let identity = if node.heavy {
        output.as_ref().map(|o| o.content)
    } else {
        by_content
    };
    Planned {
        recipe,
        output,
        identity,
        fresh,
        action: Action::Skip,
    }
}

/// Plans a run: what is known, and what has to run for the `targets`.
pub fn plan(
    nodes: &[Node],
    order: &[usize],
    targets: &[usize],
    force: &[bool],
    known: &dyn Known,
) -> Vec<Planned> {
    let mut planned: Vec<Option<Planned>> = vec![None; nodes.len()];
    for level in levels(nodes, order) {
        let found = parallel::map(&level, |&at| {
            find((at, &nodes[at]), &planned, force[at], known)
        });
        for (at, found) in level.into_iter().zip(found) {
            planned[at] = Some(found);
        }
    }
    let mut planned: Vec<Planned> = planned.into_iter().flatten().collect();
    let mut wanted: Vec<usize> = targets
        .iter()
        .copied()
        .filter(|at| !planned[*at].fresh)
        .collect();
    while let Some(at) = wanted.pop() {
        if planned[at].action != Action::Skip {
            continue;
        }
        planned[at].action = if planned[at].fresh && nodes[at].heavy {
            Action::Read
        } else {
            Action::Run
        };
        if planned[at].action == Action::Run {
            wanted.extend(nodes[at].sources());
        }
    }
    planned
}
