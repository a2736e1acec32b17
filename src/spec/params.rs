//! Params: what the file declares, and the value each has for this run.
//!
//! The first that speaks decides: `-p`, then `--params` files (the last first), then
//! `CLUE_PARAM_NAME`, then the default. In an instance of another pipeline: what the instance
//! sets, then the param of the same name outside, then the default.

use std::path::{Path, PathBuf};

use minijinja::Value;

use super::file;
use super::node::{Key, Node, NodeValue};
use super::pipeline::{Overrides, Param, ParamKind};
use super::subst::{node_of, value_of};
use crate::diag::{Diagnostic, Sources};

const KINDS: [(&str, ParamKind); 7] = [
    ("string", ParamKind::String),
    ("int", ParamKind::Int),
    ("float", ParamKind::Float),
    ("bool", ParamKind::Bool),
    ("path", ParamKind::Path),
    ("list", ParamKind::List),
    ("map", ParamKind::Map),
];

/// A declaration: `name: default` or `name: {type, default, choices, help}`.
pub struct Declared<'a> {
    key: &'a Key,
    kind: ParamKind,
    default: Option<&'a Node>,
    choices: Option<Vec<Value>>,
    dir: &'a Path,
}

/// Where values come from.
pub enum Given<'a> {
    /// The command line and the environment.
    Run(&'a Overrides),
    /// The pipeline that this one is a part of.
    Bound {
        /// What it sets for this instance.
        own: &'a [(Key, Node)],
        /// The folder that relative paths in it start from.
        dir: &'a Path,
        /// Its own params; false: the value is at fault.
        outer: &'a [(Param, bool)],
    },
}

/// Reads one declaration of a file in `dir`.
pub fn declare<'a>(
    key: &'a Key,
    node: &'a Node,
    dir: &'a Path,
    faults: &mut Vec<Diagnostic>,
) -> Declared<'a> {
    let mut declared = Declared {
        key,
        kind: ParamKind::String,
        default: None,
        choices: None,
        dir,
    };
    if !is_name(&key.name) {
        faults.push(
            Diagnostic::error(format!("`{}` cannot name a param", key.name))
                .at(key.span, "")
                .help("use letters, digits and `_`, not beginning with a digit"),
        );
    }
    let NodeValue::Map(entries) = &node.value else {
        if !matches!(node.value, NodeValue::Null) {
            declared.default = Some(node);
            declared.kind = kind_of(node);
        }
        return declared;
    };
    declared.default = node
        .get("default")
        .filter(|default| !matches!(default.value, NodeValue::Null));
    declared.kind = declared.default.map_or(ParamKind::String, kind_of);
    for (name, value) in entries.iter() {
        match name.name.as_str() {
            "default" => {}
            "type" => match value.as_str() {
                Some(text) => match KINDS.iter().find(|(kind, _)| *kind == text) {
                    Some((_, kind)) => declared.kind = *kind,
                    None => faults.push(
                        Diagnostic::error(format!("unknown type `{text}`"))
                            .at(value.span, "")
                            .suggest(text, KINDS.iter().map(|(kind, _)| *kind)),
                    ),
                },
                None => faults.push(
                    Diagnostic::error(format!("expected a type, found {}", value.kind()))
                        .at(value.span, "")
                        .suggest("", KINDS.iter().map(|(kind, _)| *kind)),
                ),
            },
            "choices" => match &value.value {
                NodeValue::Seq(items) => {
                    declared.choices = Some(items.iter().map(value_of).collect());
                }
                _ => faults.push(
                    Diagnostic::error(format!("expected a list, found {}", value.kind()))
                        .at(value.span, ""),
                ),
            },
            "help" => {
                if value.as_str().is_none() {
                    faults.push(
                        Diagnostic::error(format!("expected text, found {}", value.kind()))
                            .at(value.span, ""),
                    );
                }
            }
            other => faults.push(
                Diagnostic::error(format!("unknown key `{other}`"))
                    .at(name.span, "")
                    .suggest(other, ["type", "default", "choices", "help"]),
            ),
        }
    }
    declared
}

/// Gives every param its value. The flag is false for a param at fault, whose value is
/// undefined.
pub fn resolve(
    declared: &[Declared<'_>],
    given: &Given<'_>,
    sources: &mut Sources,
    faults: &mut Vec<Diagnostic>,
) -> Vec<(Param, bool)> {
    let names: Vec<&str> = declared.iter().map(|d| d.key.name.as_str()).collect();
    let files = match given {
        Given::Run(overrides) => read_files(overrides, &names, sources, faults),
        Given::Bound { .. } => Vec::new(),
    };
    let unknown = |name: &str| !names.contains(&name);
    match given {
        Given::Run(overrides) => {
            for (name, _) in overrides.params.iter().filter(|(name, _)| unknown(name)) {
                faults.push(
                    Diagnostic::error(format!("no param `{name}` (given with `-p`)"))
                        .suggest(name, names.iter().copied()),
                );
            }
        }
        Given::Bound { own, .. } => {
            for (key, _) in own.iter().filter(|(key, _)| unknown(&key.name)) {
                faults.push(
                    Diagnostic::error(format!("no param `{}`", key.name))
                        .at(key.span, "")
                        .suggest(&key.name, names.iter().copied()),
                );
            }
        }
    }
    declared
        .iter()
        .map(|param| {
            let value = match given {
                Given::Run(overrides) => value(param, overrides, &files),
                Given::Bound { own, dir, outer } => bound(param, own, dir, outer),
            };
            let value = value.and_then(|value| match &value {
                Some(found) => chosen(param, found).map(|()| value),
                None => Ok(None),
            });
            let value = value.unwrap_or_else(|fault| {
                faults.push(fault);
                None
            });
            let known = value.is_some();
            let default = param.default;
            let default = default.and_then(|node| from_node(node, param.kind, param.dir).ok());
            let param = Param {
                is_default: known && value == default,
                name: param.key.name.clone(),
                value: value.unwrap_or(Value::UNDEFINED),
                kind: param.kind,
                span: param.key.span,
            };
            (param, known)
        })
        .collect()
}

/// Refuses what is not among the choices: a list's elements, else the value itself.
fn chosen(param: &Declared<'_>, value: &Value) -> Result<(), Diagnostic> {
    let Some(choices) = &param.choices else {
        return Ok(());
    };
    let items: Vec<Value> = match param.kind {
        ParamKind::List => value.try_iter().into_iter().flatten().collect(),
        _ => vec![value.clone()],
    };
    let Some(other) = items.iter().find(|item| !choices.contains(item)) else {
        return Ok(());
    };
    let shown: Vec<String> = choices.iter().map(Value::to_string).collect();
    let (other, name) = (other.to_string(), &param.key.name);
    Err(
        Diagnostic::error(format!("`{other}` is no choice for param `{name}`"))
            .at(param.key.span, "declared here")
            .suggest(&other, shown.iter().map(String::as_str)),
    )
}

fn value(
    param: &Declared<'_>,
    overrides: &Overrides,
    files: &[(PathBuf, Node)],
) -> Result<Option<Value>, Diagnostic> {
    let name = &param.key.name;
    if let Some((_, text)) = overrides.params.iter().rev().find(|(n, _)| n == name) {
        return from_text(text, param.kind).map(Some).map_err(|why| {
            Diagnostic::error(format!("`-p {name}=…`: {why}")).at(param.key.span, "declared here")
        });
    }
    for (dir, node) in files.iter().rev() {
        if let Some(node) = node.get(name) {
            return from_node(node, param.kind, dir).map(Some);
        }
    }
    if let Some(text) = overrides.env.get(&name.to_lowercase()) {
        return from_text(text, param.kind).map(Some).map_err(|why| {
            Diagnostic::error(format!("`CLUE_PARAM_{}`: {why}", name.to_uppercase()))
                .at(param.key.span, "declared here")
        });
    }
    match param.default {
        Some(node) => from_node(node, param.kind, param.dir).map(Some),
        None => Err(Diagnostic::error(format!("param `{name}` has no value"))
            .at(param.key.span, "has no default")
            .help(format!("set it with `-p {name}=…`"))),
    }
}

fn bound(
    param: &Declared<'_>,
    own: &[(Key, Node)],
    dir: &Path,
    outer: &[(Param, bool)],
) -> Result<Option<Value>, Diagnostic> {
    let name = &param.key.name;
    if let Some((_, node)) = own.iter().find(|(key, _)| key.name == *name) {
        return from_node(node, param.kind, dir).map(Some);
    }
    match outer.iter().find(|(outer, _)| outer.name == *name) {
        Some((_, false)) => return Ok(None),
        Some((outer, true)) => {
            if let Some(value) = node_of(&outer.value, outer.span) {
                let span = outer.span;
                return from_node(&Node { span, value }, param.kind, dir).map(Some);
            }
        }
        None => {}
    }
    match param.default {
        Some(node) => from_node(node, param.kind, param.dir).map(Some),
        None => Err(Diagnostic::error(format!("param `{name}` has no value"))
            .at(param.key.span, "has no default")
            .help(format!(
                "set it under `params` where this file is included, or give that file a param `{name}`"
            ))),
    }
}

fn read_files(
    overrides: &Overrides,
    names: &[&str],
    sources: &mut Sources,
    faults: &mut Vec<Diagnostic>,
) -> Vec<(PathBuf, Node)> {
    let mut files = Vec::new();
    let whole = overrides.params_files.iter().map(|path| (path, None));
    let sections = overrides.sections.iter();
    let sections = sections.map(|(path, section)| (path, Some(*section)));
    for (path, section) in whole.chain(sections) {
        let node = match file::read(path, sources) {
            Ok((_, node)) => node,
            Err(fault) => {
                faults.push(fault);
                continue;
            }
        };
        file::duplicates(&node, faults);
        let node = match section {
            Some(name) => match node.get(name) {
                Some(node) if !matches!(node.value, NodeValue::Null) => node.clone(),
                _ => continue,
            },
            None => node,
        };
        if !matches!(node.value, NodeValue::Map(_)) {
            faults.push(
                Diagnostic::error(format!("expected a map of params, found {}", node.kind()))
                    .at(node.span, ""),
            );
            continue;
        }
        for (key, _) in node.entries() {
            if !names.contains(&key.name.as_str()) {
                faults.push(
                    Diagnostic::error(format!("no param `{}`", key.name))
                        .at(key.span, "")
                        .suggest(&key.name, names.iter().copied()),
                );
            }
        }
        files.push((file::folder(path), node));
    }
    files
}

/// True for what an expression can name: letters, digits and `_`.
pub fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text.chars().next().is_some_and(|c| !c.is_numeric())
}

fn kind_of(node: &Node) -> ParamKind {
    match node.value {
        NodeValue::Bool(_) => ParamKind::Bool,
        NodeValue::Int(_) => ParamKind::Int,
        NodeValue::Float(_) => ParamKind::Float,
        NodeValue::Seq(_) => ParamKind::List,
        NodeValue::Null | NodeValue::Str(_) | NodeValue::Map(_) => ParamKind::String,
    }
}

fn expected(kind: ParamKind) -> &'static str {
    match kind {
        ParamKind::String => "text",
        ParamKind::Int => "a whole number",
        ParamKind::Float => "a number",
        ParamKind::Bool => "`true` or `false`",
        ParamKind::Path => "a path",
        ParamKind::List => "a list",
        ParamKind::Map => "a map",
    }
}

fn from_node(node: &Node, kind: ParamKind, dir: &Path) -> Result<Value, Diagnostic> {
    Ok(match (kind, &node.value) {
        // An empty path stands for none.
        (ParamKind::Path, NodeValue::Str(text)) if text.is_empty() => Value::from(""),
        (ParamKind::Path, NodeValue::Str(text)) => Value::from(absolute(&file::join(dir, text))),
        (ParamKind::Float, NodeValue::Int(n)) => Value::from(*n as f64),
        (ParamKind::String, NodeValue::Str(_))
        | (ParamKind::Int, NodeValue::Int(_))
        | (ParamKind::Float, NodeValue::Float(_))
        | (ParamKind::Bool, NodeValue::Bool(_))
        | (ParamKind::List, NodeValue::Seq(_))
        | (ParamKind::Map, NodeValue::Map(_)) => value_of(node),
        _ => {
            return Err(Diagnostic::error(format!(
                "expected {}, found {}",
                expected(kind),
                node.kind()
            ))
            .at(node.span, ""));
        }
    })
}

/// Absolute, because whatever reads it may start from another folder.
fn absolute(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.to_string_lossy().into_owned()
}

fn from_text(text: &str, kind: ParamKind) -> Result<Value, String> {
    let wrong = || format!("expected {}, found `{text}`", expected(kind));
    match kind {
        ParamKind::String => Ok(Value::from(text)),
        ParamKind::Path if text.is_empty() => Ok(Value::from("")),
        ParamKind::Path => Ok(Value::from(absolute(Path::new(text)))),
        ParamKind::Int => text.parse::<i64>().map(Value::from).map_err(|_| wrong()),
        ParamKind::Float => text
            .parse::<f64>()
            .ok()
            .filter(|x| x.is_finite())
            .map(Value::from)
            .ok_or_else(wrong),
        ParamKind::Bool => text.parse::<bool>().map(Value::from).map_err(|_| wrong()),
        ParamKind::List if text.trim_start().starts_with('[') => match from_yaml(text) {
            Some(node) if matches!(node.value, NodeValue::Seq(_)) => Ok(value_of(&node)),
            _ => Err(wrong()),
        },
        ParamKind::Map => match from_yaml(text) {
            Some(node) if matches!(node.value, NodeValue::Map(_)) => Ok(value_of(&node)),
            _ => Err(wrong()),
        },
        ParamKind::List if text.trim().is_empty() => Ok(Value::from(Vec::<Value>::new())),
        ParamKind::List => Ok(text.split(',').map(|item| scalar(item.trim())).collect()),
    }
}

fn from_yaml(text: &str) -> Option<Node> {
    let mut sources = Sources::default();
    let file = sources.add(Path::new("-p"), text);
    Node::parse(&sources, file).ok()
}

/// A number only if it would be printed the same: `012` is an identifier.
fn scalar(text: &str) -> Value {
    match (text.parse::<i64>(), text.parse::<f64>()) {
        (Ok(n), _) if n.to_string() == text => Value::from(n),
        (_, Ok(x)) if x.to_string() == text && x.is_finite() => Value::from(x),
        _ => Value::from(text),
    }
}
