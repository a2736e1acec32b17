//! Instances of other pipelines: `include` with a map. Each is a space of names of its own, once
//! or once for every combination of `for_each`. Owns that map and its checks; reads no file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minijinja::Value;

use super::decode::Src;
use super::file;
use super::files::Part;
use super::node::{Key, Node, NodeValue};
use super::scope::{MAX_SCOPES, Place};
use super::stages::stays_inside;
use super::subst::Filler;
use crate::diag::{Diagnostic, Span};

const KEYS: [&str; 6] = ["file", "as", "when", "for_each", "params", "inputs"];

/// An instance: a pipeline with values for its params.
pub struct Instance {
    /// Its file, and what its names begin with.
    pub place: Place,
    /// Values for its params.
    pub params: Vec<(Key, Node)>,
    /// The folder that relative paths in them start from.
    pub dir: PathBuf,
    /// Names of its stages, and the stages outside that stand in for them.
    pub inputs: Vec<(Key, Src<String>)>,
}

/// All instances that these files ask for, in order.
pub fn instances(parts: &[Part], prefix: &str, filler: &mut Filler<'_>) -> Vec<Instance> {
    let mut found: Vec<Instance> = Vec::new();
    for part in parts {
        for node in part.includes() {
            if matches!(node.value, NodeValue::Map(_)) {
                found.extend(instances_of(node, part, prefix, filler));
            }
        }
    }
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    found.retain(|instance| {
        let (name, span) = (&instance.place.prefix, instance.place.included);
        let Some(span) = span else { return true };
        match seen.insert(name.clone(), span) {
            None => true,
            Some(first) => {
                let shown = name.trim_end_matches('/');
                filler.found.faults.push(
                    Diagnostic::error(format!("two instances are called `{shown}`"))
                        .at(span, "")
                        .also(first, "first here")
                        .help("give each a name of its own with `as`, e.g. `as: task/{{ each.model.id }}`"),
                );
                false
            }
        }
    });
    found
}

fn instances_of(node: &Node, part: &Part, prefix: &str, filler: &mut Filler<'_>) -> Vec<Instance> {
    for (key, _) in node.entries() {
        if !KEYS.contains(&key.name.as_str()) {
            filler.found.faults.push(
                Diagnostic::error(format!("unknown key `{}`", key.name))
                    .at(key.span, "")
                    .suggest(&key.name, KEYS),
            );
        }
    }
    let Some(file_node) = node.get("file") else {
        filler
            .found
            .faults
            .push(Diagnostic::error("missing key `file`").at(node.span, ""));
        return Vec::new();
    };
    if node.get("when").is_some_and(|when| !filler.when(when)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for each in combinations(node, filler) {
        filler.each = each;
        found.extend(instance(node, file_node, part, prefix, filler));
    }
    filler.each = None;
    found
}

/// The values of `each`: none without `for_each`, else every combination, the last name
/// changing fastest.
fn combinations(node: &Node, filler: &mut Filler<'_>) -> Vec<Option<Value>> {
    let Some(for_each) = node.get("for_each") else {
        return vec![None];
    };
    if !matches!(for_each.value, NodeValue::Map(_)) {
        expected("a map of names and lists", for_each, filler);
        return Vec::new();
    }
    let mut all: Vec<Vec<(String, Value)>> = vec![Vec::new()];
    for (key, node) in for_each.entries() {
        let node = filler.fill(node, &[]);
        if filler.found.unknown.contains(&node.span) {
            return Vec::new();
        }
        let NodeValue::Seq(items) = &node.value else {
            expected("a list", &node, filler);
            return Vec::new();
        };
        // Before they are made: their number is a product.
        if all.len().saturating_mul(items.len()) > MAX_SCOPES {
            filler.found.faults.push(
                Diagnostic::error(format!("more than {MAX_SCOPES} instances")).at(node.span, ""),
            );
            return Vec::new();
        }
        all = all
            .into_iter()
            .flat_map(|so_far| {
                items.iter().map(move |item| {
                    let mut more = so_far.clone();
                    more.push((key.name.clone(), super::subst::value_of(item)));
                    more
                })
            })
            .collect();
    }
    all.into_iter()
        .map(|pairs| Some(Value::from_pairs(pairs)))
        .collect()
}

fn instance(
    node: &Node,
    file_node: &Node,
    part: &Part,
    prefix: &str,
    filler: &mut Filler<'_>,
) -> Option<Instance> {
    let file_node = filler.fill(file_node, &[]);
    let Some(file) = file_node.as_str() else {
        expected("a file to include", &file_node, filler);
        return None;
    };
    let path = file::join(&part.dir, file);
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
    let (name, span) = match node.get("as") {
        Some(name) => {
            let name = filler.fill(name, &[]);
            if filler.found.unknown.contains(&name.span) {
                return None;
            }
            match &name.value {
                NodeValue::Str(text) => (text.clone(), name.span),
                _ => {
                    expected("a name", &name, filler);
                    return None;
                }
            }
        }
        None => (stem.unwrap_or_default(), file_node.span),
    };
    if !stays_inside(&name) {
        filler.found.faults.push(
            Diagnostic::error(format!("`{name}` cannot name an instance"))
                .at(span, "")
                .help("stages and outputs get this name and a `/` before theirs"),
        );
        return None;
    }
    let params = match node.get("params") {
        Some(params) if matches!(params.value, NodeValue::Map(_)) => {
            filler.fill(params, &[]).entries().to_vec()
        }
        Some(other) => {
            expected("a map of params", other, filler);
            Vec::new()
        }
        None => Vec::new(),
    };
    if params
        .iter()
        .any(|(_, n)| filler.found.unknown.contains(&n.span))
    {
        return None;
    }
    let inputs = node
        .get("inputs")
        .map_or_else(Vec::new, |inputs| inputs_of(inputs, prefix, filler));
    Some(Instance {
        place: Place {
            path,
            prefix: format!("{prefix}{name}/"),
            included: Some(span),
        },
        params,
        dir: part.dir.clone(),
        inputs,
    })
}

/// Which stages outside stand in for which of its own.
fn inputs_of(node: &Node, prefix: &str, filler: &mut Filler<'_>) -> Vec<(Key, Src<String>)> {
    let node = filler.fill(node, &[]);
    if !matches!(node.value, NodeValue::Map(_)) {
        expected(
            "a map of its stages and the stages to read instead",
            &node,
            filler,
        );
    }
    let mut inputs = Vec::new();
    for (key, stage) in node.entries() {
        match stage.as_str() {
            Some(name) => inputs.push((
                key.clone(),
                Src {
                    value: format!("{prefix}{name}"),
                    span: stage.span,
                },
            )),
            None => expected("the name of a stage", stage, filler),
        }
    }
    inputs
}

fn expected(what: &str, node: &Node, filler: &mut Filler<'_>) {
    if !filler.found.unknown.contains(&node.span) {
        filler.found.faults.push(
            Diagnostic::error(format!("expected {what}, found {}", node.kind())).at(node.span, ""),
        );
    }
}
