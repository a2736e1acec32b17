//! Records of a test in the place of what stages make. Owns how a pipeline is changed for that:
//! a stage that is stood in for loads a file, and what only it read is left out.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Map, Value as Json};

use crate::diag::Span;
use crate::spec::decode::Src;
use crate::spec::node::{Key, Node, NodeValue};
use crate::spec::pipeline::{Pipeline, StageSpec};
use crate::stages::named::Named;

/// Lets a stage load these records instead. The records are kept in `folder`.
///
/// # Errors
/// The file for them cannot be written.
pub fn stand_in(stage: &mut StageSpec, records: &[Named<Json>], folder: &Path) -> io::Result<()> {
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
        && let Some(key) = stage.config.get("key").and_then(Node::as_str)
    {
        config.push(word("key", key, span));
    }
    stage.config = Node {
        span,
        value: NodeValue::Map(config),
    };
    stage.verb = Src {
        value: "load".to_owned(),
        span,
    };
    stage.from.clear();
    stage.with.clear();
    Ok(())
}

fn word(name: &str, text: &str, span: Span) -> (Key, Node) {
    let key = Key {
        name: name.to_owned(),
        span,
    };
    let value = NodeValue::Str(text.to_owned());
    (key, Node { span, value })
}

/// The stages that others read.
pub fn read(pipeline: &Pipeline) -> HashSet<String> {
    let stages = pipeline.stages.iter();
    let sources = stages.flat_map(|stage| {
        let with = stage.with.iter().map(|(_, source)| source);
        stage.from.iter().chain(with)
    });
    sources.map(|source| source.value.clone()).collect()
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
