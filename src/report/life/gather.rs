//! Puts a record's life together from what was found. Pure.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::data::{Call, End, Field, Life, Place, Step, What};
use super::family::Family;
use super::graph::{Graph, Node};
use super::known::Index;
use super::why::{did, dropped, json};
use crate::engine::keep::Failure;
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::record::Record;
use crate::replay::cassette::Entry;
use crate::report::page::turns;

/// All that a record's life is made of.
pub struct Found<'a> {
    /// The pipeline.
    pub pipe: &'a Pipe,
    /// What its stages made of what.
    pub graph: &'a Graph,
    /// The record's relatives.
    pub family: &'a Family,
    /// Their fields.
    pub records: HashMap<Node, Record>,
    /// What was asked about them.
    pub calls: Vec<Entry>,
    /// Records that failed as the pipeline is now.
    pub failures: &'a [Failure],
    /// Records that are listed as failed.
    pub listed: &'a [Failure],
    /// Whether that list is of the last run, and that of these params.
    pub of_last: bool,
    /// Stages and records that lack an answer, by name and key.
    pub missed: HashSet<(String, String)>,
    /// Stages whose output is not all there.
    pub partial: Vec<bool>,
    /// Stages that broke off.
    pub broken: Vec<bool>,
}

/// Makes plain data of what was found; the steps in the order of the pipeline.
pub fn gather(key: &str, mut found: Found<'_>) -> Life {
    let mut calls: HashMap<(usize, String), Vec<Call>> = HashMap::new();
    for entry in std::mem::take(&mut found.calls) {
        // A tokenizer that was asked is no conversation.
        let stage = found.pipe.find(&entry.stage);
        if let Some(stage) = stage.filter(|_| entry.api.is_some()) {
            let about = (stage, entry.record.clone());
            calls.entry(about).or_default().push(call(entry));
        }
    }
    let index = Index::new(&found);
    let nodes = nodes(&found);
    let places: HashMap<&Node, usize> = nodes.iter().zip(0..).collect();
    let mut parents: HashMap<&Node, Vec<&Node>> = HashMap::new();
    let mut children: HashMap<&Node, Vec<&Node>> = HashMap::new();
    for (of, made) in &found.family.edges {
        parents.entry(made).or_default().push(of);
        children.entry(of).or_default().push(made);
    }
    let none = Vec::new();
    let steps = nodes.iter().map(|node| {
        let stage = &found.pipe.stages[node.0];
        let mut of: Vec<&Node> = parents.get(node).unwrap_or(&none).clone();
        of.sort_by_key(|of| place_in(&found, node.0, of.0));
        let made = children.get(node).unwrap_or(&none);
        let (fields, removed) = changes(&found, node, &of);
        let asked: Vec<&str> = of.iter().map(|of| &*of.1).collect();
        let about = asked.first().copied().unwrap_or(&node.1).to_owned();
        let place = place(found.family, node);
        Step {
            stage: stage.spec.name.value.clone(),
            verb: stage.verb.name(),
            key: node.1.to_string(),
            place,
            of: of
                .iter()
                .filter_map(|of| places.get(*of).copied())
                .collect(),
            with: partners(&found, &index, node),
            crowd: found.family.crowds.get(node).copied(),
            did: did(found.pipe, node.0),
            unsure: index.makes(node.0).map(|lacks| depends(&found, lacks)),
            fields,
            removed,
            calls: calls.remove(&(node.0, about)).unwrap_or_default(),
            ends: match place {
                Place::Before => Vec::new(),
                Place::Itself | Place::After => ends(&found, &index, node, made, &mut calls),
            },
        }
    });
    Life {
        key: key.to_owned(),
        apart: found.family.apart,
        steps: steps.collect(),
        notes: Vec::new(),
    }
}

/// The records that are shown, in the order of the pipeline and as the stages emitted them.
fn nodes(found: &Found<'_>) -> Vec<Node> {
    let all = found.family.all();
    let mut nodes = Vec::new();
    for at in &found.graph.order {
        let Some(keys) = all.get(at) else {
            continue;
        };
        let mut left: HashSet<&Key> = keys.iter().collect();
        let emitted = found.graph.links[*at].emitted.iter();
        nodes.extend(
            emitted
                .filter(|key| left.remove(key))
                .map(|key| (*at, key.clone())),
        );
    }
    nodes
}

fn place(family: &Family, node: &Node) -> Place {
    let has = |keys: &std::collections::BTreeMap<usize, HashSet<Key>>| {
        keys.get(&node.0).is_some_and(|keys| keys.contains(&node.1))
    };
    if has(&family.itself) {
        Place::Itself
    } else if has(&family.before) {
        Place::Before
    } else {
        Place::After
    }
}

/// What else a record was made of.
fn partners(found: &Found<'_>, index: &Index<'_>, node: &Node) -> Vec<(String, String)> {
    let told = index.partners(node).iter().map(|(at, key)| {
        let stage = found.pipe.stages[*at].spec.name.value.clone();
        (stage, key.to_string())
    });
    told.collect()
}

/// At which port a stage reads another.
fn place_in(found: &Found<'_>, stage: usize, from: usize) -> usize {
    let mut inputs = found.graph.inputs[stage].iter();
    inputs.position(|at| *at == from).unwrap_or(usize::MAX)
}

/// The fields that a stage added or changed, and those that it removed.
fn changes(found: &Found<'_>, node: &Node, of: &[&Node]) -> (Vec<Field>, Vec<String>) {
    let Some(record) = found.records.get(node) else {
        return (Vec::new(), Vec::new());
    };
    // What a gathering verb makes has nothing of its members as it was.
    let gathers = found.family.crowds.contains_key(node);
    let first = of.first().filter(|_| !gathers);
    let before = first.and_then(|of| found.records.get(*of));
    let mut changed = Vec::new();
    for (name, value) in record.fields.iter() {
        let was = before.and_then(|before| before.fields.get(name));
        let value = json(value);
        let was = was.map(json);
        if was.as_ref() != Some(&value) {
            changed.push(Field {
                name: name.to_string(),
                was,
                value,
            });
        }
    }
    let names = before.into_iter().flat_map(|before| before.fields.names());
    let removed = names.filter(|name| record.fields.get(name).is_none());
    (changed, removed.map(str::to_owned).collect())
}

/// Where a record ended: in each stage that reads it and made no record of it alone.
fn ends(
    found: &Found<'_>,
    index: &Index<'_>,
    node: &Node,
    made: &[&Node],
    calls: &mut HashMap<(usize, String), Vec<Call>>,
) -> Vec<End> {
    let pipe = found.pipe;
    let mut ends = Vec::new();
    for &at in &found.graph.order {
        let stage = &pipe.stages[at];
        let end = |what, why: Option<String>| End {
            stage: stage.spec.name.value.clone(),
            verb: stage.verb.name(),
            what,
            why,
            values: Vec::new(),
            into: Vec::new(),
            calls: Vec::new(),
        };
        for (name, _) in stage.with.iter().filter(|(_, from)| *from == node.0) {
            ends.push(end(What::Named, Some(format!("as `{name}`"))));
        }
        let ports = found.graph.inputs[at].iter().enumerate();
        for (port, _) in ports.filter(|(_, from)| **from == node.0) {
            if let Some(path) = stage.verb.writes() {
                let path = pipe.folders.out.join(path).display().to_string();
                ends.push(end(What::Written, Some(path)));
                continue;
            }
            if made.iter().any(|made| made.0 == at) {
                continue;
            }
            if let Some(into) = index.gathered(node, at) {
                let lacks = index.makes(at).map(|lacks| depends(found, lacks));
                ends.push(End {
                    into: into.iter().map(ToString::to_string).collect(),
                    ..end(What::Gathered, lacks)
                });
                continue;
            }
            ends.push(End {
                calls: calls.remove(&(at, node.1.to_string())).unwrap_or_default(),
                ..lost(found, index, node, at, port, &end)
            });
        }
    }
    ends
}

/// Why a stage made nothing of a record.
fn lost(
    found: &Found<'_>,
    index: &Index<'_>,
    node: &Node,
    at: usize,
    port: usize,
    end: &dyn Fn(What, Option<String>) -> End,
) -> End {
    let stage = &found.pipe.stages[at];
    let name = stage.spec.name.value.as_str();
    if let Some(failure) = index.failed(name, &node.1) {
        return end(What::Failed, Some(failure.why.clone()));
    }
    let listed = index.listed(name, &node.1);
    let list = match found.of_last {
        true => "the last list of errors",
        false => "a list of errors of another run",
    };
    let asked = (name.to_owned(), node.1.to_string());
    if found.missed.contains(&asked) {
        let mut why = "its call has no answer in the cache".to_owned();
        // That may be of another prompt or model than the present one.
        if let Some(failure) = listed {
            why.push_str(&format!("; {list} says: {}", failure.why));
        }
        return end(What::Missing, Some(why));
    }
    match listed {
        Some(failure) if found.of_last => {
            return end(What::Failed, Some(failure.why.clone()));
        }
        _ if found.broken[at] => {
            let why = "the stage broke off: what broke it is told below";
            return end(What::Missing, Some(why.to_owned()));
        }
        _ => {}
    }
    let verb = stage.verb.name();
    if verb == "exec" && !stage.verb.settings()["key"].is_null() {
        let why = "its program makes records of its own, of which ones it does not say";
        return end(What::Missing, Some(why.to_owned()));
    }
    if verb == "exec" && found.partial[at] {
        let why = "programs do not run here, and its output is not in the cache";
        return end(What::Missing, Some(why.to_owned()));
    }
    if !index.was_read(at, port, &node.1) {
        return match verb {
            "take" => end(
                What::Unread,
                Some(format!("it had its {}", stage.verb.settings())),
            ),
            _ => end(What::Missing, Some("it was not gone through".to_owned())),
        };
    }
    if found.partial[at] {
        let why = "its result is not in the cache".to_owned();
        return end(What::Missing, Some(why));
    }
    if let Some(lacks) = index.drops(at) {
        return end(What::Missing, Some(depends(found, lacks)));
    }
    let why = dropped(found.pipe, at, port, found.records.get(node));
    End {
        values: why.values,
        ..end(What::Dropped, Some(why.text))
    }
}

/// What a stage does where another lacks records that decide it.
fn depends(found: &Found<'_>, lacks: usize) -> String {
    let lacks = &found.pipe.stages[lacks].spec.name.value;
    format!("it depends on records of `{lacks}` that are not in the cache")
}

fn call(entry: Entry) -> Call {
    let mut sent = match entry.asked {
        Some(Json::Object(sent)) => sent,
        _ => serde_json::Map::new(),
    };
    let turns = turns(&mut sent);
    sent.shift_remove("model");
    Call {
        model: entry.model,
        turns,
        sent: Json::Object(sent),
        answer: entry.reply.text,
        thinking: entry.reply.thinking,
        finish: entry.reply.finish_reason,
        prompt_tokens: entry.reply.prompt_tokens,
        answer_tokens: entry.reply.answer_tokens,
    }
}
