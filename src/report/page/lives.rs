//! The life of each record of a table: the stages that it passed, and where it went to from there,
//! as far as that is known. Owns how that is kept small: most records of a table have one life.

use std::collections::{HashMap, HashSet};

use super::data::Path;
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::report::life::{Graph, Node};

/// The lives of the records of some stages.
#[derive(Default)]
pub struct Lives {
    /// What each record was made of, the first input's first.
    parents: HashMap<Node, Vec<Node>>,
    /// The stages that read each of the stages.
    readers: HashMap<usize, Vec<Reader>>,
}

/// All records that one was made of, by stage.
#[derive(Debug, Default)]
pub struct Past {
    /// The keys of those that a stage made, the record itself among them.
    pub made: HashMap<usize, Vec<Key>>,
    /// The keys under which a stage read what it made them of.
    pub read: HashMap<usize, Vec<Key>>,
}

/// A stage that reads the records of another.
struct Reader {
    stage: usize,
    writes: bool,
    /// The records that it passed on.
    passed: HashSet<Key>,
    /// The records that count in others that it made.
    gathered: HashSet<Key>,
    /// The records that it took.
    read: HashSet<Key>,
}

impl Lives {
    /// Of the records of these stages; those of which nothing was noted have no lives.
    pub fn new(pipe: &Pipe, graph: &Graph, stages: &[usize]) -> Lives {
        let mut lives = Lives::default();
        let mut wanted: HashMap<usize, HashSet<&Key>> = HashMap::new();
        for at in stages {
            let keys = graph.links[*at].emitted.iter().collect();
            wanted.insert(*at, keys);
            lives.readers.insert(*at, readers(pipe, graph, *at));
        }
        for &at in graph.order.iter().rev() {
            let Some(keys) = wanted.get(&at).cloned() else {
                continue;
            };
            let made = graph.links[at].made.iter();
            for link in made.filter(|link| keys.contains(&link.to)) {
                let Some(from) = graph.inputs[at].get(link.port) else {
                    continue;
                };
                let made = lives.parents.entry((at, link.to.clone())).or_default();
                made.push((*from, link.from.clone()));
                wanted.entry(*from).or_default().insert(&link.from);
            }
        }
        lives
    }

    /// The records that one was made of, the oldest first and itself last: of several, the first
    /// input's.
    pub fn of(&self, stage: usize, key: &Key) -> Vec<Node> {
        let mut path = vec![(stage, key.clone())];
        let first = |last: &Node| self.parents.get(last)?.first();
        while let Some(parent) = path.last().and_then(first) {
            path.push(parent.clone());
        }
        path.reverse();
        path
    }

    /// All that one was made of, whatever input it came from.
    pub fn past(&self, stage: usize, key: &Key) -> Past {
        self.past_of(vec![(stage, key.clone())])
    }

    /// All that several were made of, and they themselves.
    pub fn past_of(&self, mut open: Vec<Node>) -> Past {
        let mut past = Past::default();
        let mut seen = HashSet::new();
        while let Some(node) = open.pop() {
            if !seen.insert(node.clone()) {
                continue;
            }
            for parent in self.parents.get(&node).into_iter().flatten() {
                let read = past.read.entry(node.0).or_default();
                if !read.contains(&parent.1) {
                    read.push(parent.1.clone());
                }
                open.push(parent.clone());
            }
            past.made.entry(node.0).or_default().push(node.1);
        }
        past
    }

    /// A record's life without its keys.
    pub fn path(&self, nodes: &[Node]) -> Path {
        let mut ends = Vec::new();
        if let Some((stage, key)) = nodes.last() {
            let readers = self.readers.get(stage).into_iter().flatten();
            ends.extend(readers.filter_map(|reader| Some((reader.stage, reader.end(key)?))));
        }
        Path {
            stages: nodes.iter().map(|(stage, _)| *stage).collect(),
            ends,
        }
    }
}

impl Reader {
    /// What became of a record there, if that is known.
    fn end(&self, key: &Key) -> Option<&'static str> {
        if self.writes {
            Some("written")
        } else if self.gathered.contains(key) {
            Some("counted")
        } else if self.passed.contains(key) {
            Some("passed")
        } else if self.read.contains(key) {
            Some("left out")
        } else {
            None
        }
    }
}

fn readers(pipe: &Pipe, graph: &Graph, stage: usize) -> Vec<Reader> {
    let mut readers = Vec::new();
    for (at, reader) in pipe.stages.iter().enumerate() {
        let ports: Vec<usize> = (0..reader.inputs.len())
            .filter(|port| reader.inputs[*port] == stage)
            .collect();
        if ports.is_empty() {
            continue;
        }
        let links = &graph.links[at];
        let mine = |port: &usize| ports.contains(port);
        let passed = links.made.iter().filter(|link| mine(&link.port));
        let gathered = links.members.iter().filter(|(port, ..)| mine(port));
        let read = links.read.iter().filter(|(port, _)| mine(port));
        readers.push(Reader {
            stage: at,
            writes: reader.verb.writes().is_some(),
            passed: passed.map(|link| link.from.clone()).collect(),
            gathered: gathered.map(|(_, key, _)| key.clone()).collect(),
            read: read.map(|(_, key)| key.clone()).collect(),
        });
    }
    readers
}
