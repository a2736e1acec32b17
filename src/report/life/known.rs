//! What of a life is not known: records that are missing decide about others, and failures that
//! are listed may be of another run. Owns an index of that, made once for all records. Pure.

use std::collections::{HashMap, HashSet};

use super::gather::Found;
use super::graph::Node;
use crate::engine::keep::Failure;
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;

/// What is looked up for each record.
pub struct Index<'a> {
    failed: HashMap<(&'a str, &'a str), &'a Failure>,
    listed: HashMap<(&'a str, &'a str), &'a Failure>,
    gathered: HashMap<(&'a Node, usize), &'a [Key]>,
    partners: HashMap<&'a Node, Vec<&'a Node>>,
    read: HashSet<(usize, usize, &'a Key)>,
    /// Of each stage, one before it that lacks records which decide whether others are left out.
    drops: Vec<Option<usize>>,
    /// Of each stage, one before it that lacks records which decide what is emitted.
    makes: Vec<Option<usize>>,
}

impl<'a> Index<'a> {
    /// Of what was found.
    pub fn new(found: &Found<'a>) -> Index<'a> {
        let by_record = |failures: &'a [Failure]| {
            let mut all = HashMap::new();
            for failure in failures {
                let record = (failure.stage.as_str(), failure.key.as_str());
                all.entry(record).or_insert(failure);
            }
            all
        };
        let listed = by_record(found.listed);
        let mut gathered = HashMap::new();
        for (of, by, into) in &found.family.gathered {
            gathered.entry((of, *by)).or_insert(into.as_slice());
        }
        let mut partners: HashMap<&Node, Vec<&Node>> = HashMap::new();
        for (partner, made) in &found.family.partners {
            partners.entry(made).or_default().push(partner);
        }
        let all = found.family.all();
        let mine: HashSet<&Key> = all.values().flatten().collect();
        let stages = found.graph.links.iter().enumerate();
        let read = stages.flat_map(|(at, links)| {
            let read = links.read.iter().filter(|(_, key)| mine.contains(key));
            read.map(move |(port, key)| (at, *port, key))
        });
        let read = read.collect();
        let lacks = lacks(found, &listed);
        let stages = 0..found.pipe.stages.len();
        let first = |from: Vec<usize>| first_lacking(found.pipe, &lacks, from);
        Index {
            failed: by_record(found.failures),
            listed,
            gathered,
            partners,
            read,
            drops: stages
                .clone()
                .map(|at| first(dropping(found.pipe, at)))
                .collect(),
            makes: stages.map(|at| first(making(found.pipe, at))).collect(),
        }
    }

    /// How a record failed as the pipeline is now.
    pub fn failed(&self, stage: &str, key: &str) -> Option<&'a Failure> {
        self.failed.get(&(stage, key)).copied()
    }

    /// How it failed, as the list of errors says.
    pub fn listed(&self, stage: &str, key: &str) -> Option<&'a Failure> {
        self.listed.get(&(stage, key)).copied()
    }

    /// What was made of the group in which a stage gathered a record.
    pub fn gathered(&self, node: &Node, by: usize) -> Option<&'a [Key]> {
        self.gathered.get(&(node, by)).copied()
    }

    /// What else a record was made of.
    pub fn partners(&self, node: &Node) -> &[&'a Node] {
        self.partners.get(node).map_or(&[], Vec::as_slice)
    }

    /// True if a stage took a record.
    pub fn was_read(&self, stage: usize, port: usize, key: &Key) -> bool {
        self.read.contains(&(stage, port, key))
    }

    /// The stage that lacks records which decide whether others are left out here.
    pub fn drops(&self, stage: usize) -> Option<usize> {
        self.drops[stage]
    }

    /// The stage that lacks records which decide what is emitted here.
    pub fn makes(&self, stage: usize) -> Option<usize> {
        self.makes[stage]
    }
}

/// The stages of which records are missing that may have been there. Where all that lacks an answer
/// failed in the last run, the stage made nothing of those.
fn lacks(found: &Found<'_>, listed: &HashMap<(&str, &str), &Failure>) -> Vec<bool> {
    let mut missed: HashMap<&str, bool> = HashMap::new();
    for (stage, key) in &found.missed {
        let failed = found.of_last && listed.contains_key(&(stage.as_str(), key.as_str()));
        let all = missed.entry(stage).or_insert(true);
        *all = *all && failed;
    }
    let stages = found.pipe.stages.iter().enumerate();
    let lacks = stages.map(|(at, stage)| {
        let all_failed = missed.get(stage.spec.name.value.as_str()) == Some(&true);
        found.broken[at] || (found.partial[at] && !all_failed)
    });
    lacks.collect()
}

/// The first of some stages, and of those before them, that lacks records.
fn first_lacking(pipe: &Pipe, lacks: &[bool], from: Vec<usize>) -> Option<usize> {
    let (mut left, mut met) = (from, HashSet::new());
    while let Some(at) = left.pop() {
        if lacks[at] {
            return Some(at);
        }
        if met.insert(at) {
            left.extend(pipe.stages[at].sources());
        }
    }
    None
}

/// The stages of which records decide whether a stage leaves another out.
fn dropping(pipe: &Pipe, at: usize) -> Vec<usize> {
    let stage = &pipe.stages[at];
    // These look at a record alone, and at what they name.
    let alone = matches!(
        stage.verb.name(),
        "where" | "explode" | "generate" | "judge" | "score"
    );
    match alone {
        true => stage.with.iter().map(|(_, from)| *from).collect(),
        false => stage.sources().collect(),
    }
}

/// The stages of which records decide what a stage makes of another.
fn making(pipe: &Pipe, at: usize) -> Vec<usize> {
    let stage = &pipe.stages[at];
    let named = stage.with.iter().map(|(_, from)| *from);
    match stage.verb.name() {
        // More records of the others add to these, or come before or after.
        "take" | "skip" | "sample" | "top_k" | "dedupe" | "group" | "stats" | "compare"
        | "pivot" => stage.sources().collect(),
        "join" => {
            let settings = stage.verb.settings();
            // One that has a partner keeps it, unless all partners are collected.
            let sure = matches!(
                settings["how"].as_str(),
                Some("semi") | Some("inner") | None
            ) && settings["into"].is_null();
            let right = stage.inputs.get(1).copied().filter(|_| !sure);
            right.into_iter().chain(named).collect()
        }
        _ => named.collect(),
    }
}
