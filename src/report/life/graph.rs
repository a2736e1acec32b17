//! What the stages of a pipeline made of what. Owns how that is had of what was noted, also where
//! records were read from the cache. Pure.

use std::collections::{BTreeSet, HashSet};

use crate::engine::lineage::{Key, Link, Links};
use crate::engine::pipe::Pipe;
use crate::engine::survey::Survey;
use crate::engine::taps::Taps;
use crate::plan::graph::Action;

/// A record as a stage emitted it: the stage's index, and its key.
pub type Node = (usize, Key);

/// What the stages of a pipeline made of what.
pub struct Graph {
    /// The stages that each one reads, in order of ports.
    pub inputs: Vec<Vec<usize>>,
    /// The stages, inputs first.
    pub order: Vec<usize>,
    /// What each did.
    pub links: Vec<Links>,
    /// Stages whose groups are records of their own, which live on; of others they are results.
    pub lives_on: Vec<bool>,
}

impl Graph {
    /// What was noted of a plan that was gone through.
    pub fn of(pipe: &Pipe, plan: &Survey, taps: &Taps) -> Graph {
        let stages = 0..pipe.stages.len();
        let links = |at| taps.lineage().map(|lineage| lineage.take(at));
        let inputs = pipe.stages.iter().map(|stage| stage.inputs.clone());
        let groups = pipe.stages.iter().map(|stage| stage.verb.name() == "group");
        let mut graph = Graph {
            inputs: inputs.collect(),
            order: as_written(pipe),
            links: stages.map(|at| links(at).unwrap_or_default()).collect(),
            lives_on: groups.collect(),
        };
        for &at in &pipe.order {
            if plan.planned[at].action == Action::Read {
                graph.reread(at);
            }
        }
        graph
    }

    /// Makes up for stages whose records were read from the cache, so that nobody could note
    /// what they were made of: these verbs leave keys as they are.
    pub fn reread(&mut self, stage: usize) {
        let mut read: Vec<(usize, Key)> = Vec::new();
        for (port, from) in self.inputs[stage].iter().enumerate() {
            let keys = self.links[*from].emitted.iter();
            read.extend(keys.map(|key| (port, key.clone())));
        }
        let links = &mut self.links[stage];
        let emitted: HashSet<&Key> = links.emitted.iter().collect();
        let kept = read.iter().filter(|(_, key)| emitted.contains(key));
        links.made = kept
            .map(|(port, key)| Link {
                port: *port,
                from: key.clone(),
                to: key.clone(),
            })
            .collect();
        links.read = read;
    }

    /// The stage that another reads at a port.
    pub fn from(&self, stage: usize, port: usize) -> Option<usize> {
        self.inputs[stage].get(port).copied()
    }
}

/// The stages as the file has them, but inputs first.
fn as_written(pipe: &Pipe) -> Vec<usize> {
    let mut left: Vec<HashSet<usize>> = pipe.stages.iter().map(|s| s.sources().collect()).collect();
    let free = (0..left.len()).filter(|at| left[*at].is_empty());
    let mut free: BTreeSet<usize> = free.collect();
    let mut readers: Vec<Vec<usize>> = vec![Vec::new(); left.len()];
    for (at, sources) in left.iter().enumerate() {
        for from in sources {
            readers[*from].push(at);
        }
    }
    let mut order = Vec::with_capacity(left.len());
    while let Some(at) = free.pop_first() {
        order.push(at);
        for reader in &readers[at] {
            left[*reader].remove(&at);
            if left[*reader].is_empty() {
                free.insert(*reader);
            }
        }
    }
    order
}
