//! Records of a test in the place of what stages make. Owns how a pipeline is changed for that:
//! a stage that is stood in for loads a file, and what only it read is left out.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use crate::diag::Span;
use crate::spec::decode::Src;
use crate::spec::node::{Key, Node, NodeValue};
use crate::spec::pipeline::{Pipeline, StageSpec};
use crate::stages::named::Named;
use crate::trust::config::Config;

/// Lets a stage load these records instead, which are `sensitive` as those of the stage are. They
/// are kept in `folder`: in which file.
///
/// # Errors
/// The file for them cannot be written.
pub fn stand_in(
    stage: &mut StageSpec,
    records: &[Named<Json>],
    sensitive: bool,
    folder: &Path,
) -> io::Result<PathBuf> {
    let mut text = String::new();
    for record in records {
        let fields = record.iter();
        let fields: Map<String, Json> = fields
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect();
        text.push_str(&Json::Object(fields).to_string());
        text.push('\n');
    }
    let plain = |c: char| if c.is_alphanumeric() { c } else { '-' };
    let name: String = stage.name.chars().map(plain).collect();
    let path = folder.join(format!("{name}-{}.jsonl", stage.name.span.start));
    fs::create_dir_all(folder)?;
    fs::write(&path, text)?;
    let span = stage.verb.span;
    let mut config = vec![
        word("path", &path.to_string_lossy(), span),
        word("format", "jsonl", span),
    ];
    if stage.verb.value == "load"
        && let Some(field) = stage.config.get("key").and_then(Node::as_str)
    {
        config.push(word("key", field, span));
    }
    if sensitive {
        let value = NodeValue::Bool(true);
        config.push((key("sensitive", span), Node { span, value }));
    }
    stage.config = Node {
        span,
        value: NodeValue::Map(config.into()),
    };
    stage.verb = Src {
        value: "load".to_owned(),
        span,
    };
    stage.from.clear();
    stage.with.clear();
    Ok(path)
}

fn word(name: &str, text: &str, span: Span) -> (Key, Node) {
    let value = NodeValue::Str(text.to_owned());
    (key(name, span), Node { span, value })
}

fn key(name: &str, span: Span) -> Key {
    Key {
        name: name.to_owned(),
        span,
    }
}

/// The stages whose records are sensitive before any is stood in for: what `clue trust` saw.
pub fn sensitive(pipeline: &Pipeline, config: &Config) -> HashSet<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let marked: Vec<PathBuf> = config.sensitive.iter().map(|path| real(path)).collect();
    let own = |stage: &StageSpec| {
        let set = stage.config.get("sensitive").map(|node| &node.value);
        let path = stage.config.get("path").and_then(Node::as_str);
        let path = path.filter(|_| stage.verb.value == "load");
        let file = path.map(|path| real(&stage.dir.join(path)));
        matches!(set, Some(NodeValue::Bool(true)))
            || file.is_some_and(|file| marked.iter().any(|path| file.starts_with(path)))
    };
    let mut found: HashSet<String> = HashSet::new();
    loop {
        let count = found.len();
        for stage in &pipeline.stages {
            if own(stage) || sources(stage).any(|source| found.contains(source)) {
                found.insert(stage.name.value.clone());
            }
        }
        if found.len() == count {
            return found;
        }
    }
}

fn sources(stage: &StageSpec) -> impl Iterator<Item = &str> {
    let with = stage.with.iter().map(|(_, source)| source);
    let all = stage.from.iter().chain(with);
    all.map(|source| source.value.as_str())
}

/// The stages that others read.
pub fn read(pipeline: &Pipeline) -> HashSet<String> {
    let stages = pipeline.stages.iter();
    let read = stages.flat_map(|stage| sources(stage));
    read.map(str::to_owned).collect()
}

/// Leaves out the stages that were read `before`, and are read by no stage any more.
pub fn prune(pipeline: &mut Pipeline, before: &HashSet<String>) {
    loop {
        let now = read(pipeline);
        let count = pipeline.stages.len();
        pipeline.stages.retain(|stage| {
            let name = &stage.name.value;
            now.contains(name) || !before.contains(name)
        });
        if pipeline.stages.len() == count {
            return;
        }
    }
}

/// Leaves out what none of these stages is made of: a test needs no data that nothing it looks
/// at reads. Without any, all stays.
pub fn keep(pipeline: &mut Pipeline, wanted: &[String]) {
    if wanted.is_empty() {
        return;
    }
    let mut needed: HashSet<String> = HashSet::new();
    let mut open = wanted.to_vec();
    while let Some(name) = open.pop() {
        let stage = pipeline.stages.iter().find(|s| s.name.value == name);
        if let Some(stage) = stage.filter(|_| needed.insert(name.clone())) {
            open.extend(sources(stage).map(str::to_owned));
        }
    }
    let stages = &mut pipeline.stages;
    stages.retain(|stage| needed.contains(&stage.name.value));
}
