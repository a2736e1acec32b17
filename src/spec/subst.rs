//! Fills `{{ params.x }}` into the strings of the YAML, before anything is decoded.
//!
//! Strings that the schema calls expressions or templates are left alone: they read `params`
//! themselves. So are strings that read anything other than `params`.

use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Value};
use serde_json::Value as Json;

use super::node::{Key, Node, NodeValue};
use super::pipeline::Param;
use super::shapes::Shapes;
use crate::diag::{Diagnostic, Span, nearest};
use crate::jinja::expr::describe;

/// Fills params into nodes.
pub struct Filler<'a> {
    env: Arc<Environment<'static>>,
    params: Vec<(&'a str, bool)>,
    values: Value,
    shapes: &'a Shapes,
    /// What `each` is while an instance of another pipeline is made.
    pub each: Option<Value>,
    /// What it found.
    pub found: Found,
}

/// What is found while params are filled in.
#[derive(Default)]
pub struct Found {
    /// Nodes whose value is unknown because a param has none: not to be checked further.
    pub unknown: Vec<Span>,
    /// What went wrong.
    pub faults: Vec<Diagnostic>,
}

impl Found {
    /// Takes over what was found elsewhere.
    pub fn append(&mut self, other: Found) {
        self.unknown.extend(other.unknown);
        self.faults.extend(other.faults);
    }
}

impl<'a> Filler<'a> {
    /// With these params (false: its value is at fault, reported elsewhere).
    pub fn new(params: &'a [(Param, bool)], shapes: &'a Shapes) -> Filler<'a> {
        let values = Value::from_pairs(
            params
                .iter()
                .filter(|(_, known)| *known)
                .map(|(param, _)| (param.name.clone(), param.value.clone())),
        );
        Filler {
            env: Arc::new(crate::jinja::environment()),
            params: params
                .iter()
                .map(|(param, known)| (param.name.as_str(), *known))
                .collect(),
            values,
            shapes,
            each: None,
            found: Found::default(),
        }
    }

    /// Another one for the same params, with nothing found yet.
    pub fn fork(&self) -> Filler<'a> {
        Filler {
            env: self.env.clone(),
            params: self.params.clone(),
            values: self.values.clone(),
            shapes: self.shapes,
            each: self.each.clone(),
            found: Found::default(),
        }
    }

    /// A node with its strings filled. `schemas` are all that may describe it.
    pub fn fill(&mut self, node: &Node, schemas: &[&Json]) -> Node {
        if !has_braces(node) {
            return node.clone();
        }
        let shapes = self.shapes;
        let flat = || schemas.iter().flat_map(|s| shapes.flat(s));
        let value = match &node.value {
            NodeValue::Str(text) => {
                let is_jinja = |s: &Json| {
                    let format = s["format"].as_str();
                    format.is_some_and(|format| format.starts_with("jinja-"))
                };
                if flat().any(is_jinja) {
                    return node.clone();
                }
                return self.text(text, node);
            }
            NodeValue::Seq(items) => {
                let inner: Vec<&Json> = flat().filter_map(|s| s.get("items")).collect();
                NodeValue::Seq(items.iter().map(|item| self.fill(item, &inner)).collect())
            }
            NodeValue::Map(entries) => {
                let flat: Vec<&Json> = flat().collect();
                let filled = entries.iter().map(|(key, value)| {
                    let inner: Vec<&Json> = flat
                        .iter()
                        .filter_map(|s| {
                            s["properties"]
                                .get(&key.name)
                                .or_else(|| s.get("additionalProperties"))
                        })
                        .collect();
                    (key.clone(), self.fill(value, &inner))
                });
                NodeValue::Map(filled.collect())
            }
            other => other.clone(),
        };
        Node {
            span: node.span,
            value,
        }
    }

    /// Whether `when` holds; true if it cannot be known.
    pub fn when(&mut self, node: &Node) -> bool {
        match &node.value {
            NodeValue::Bool(kept) => *kept,
            NodeValue::Str(text) => {
                let text = text.trim();
                let text = text
                    .strip_prefix("{{")
                    .and_then(|t| t.strip_suffix("}}"))
                    .unwrap_or(text);
                self.eval(text, node.span)
                    .is_none_or(|value| value.is_true())
            }
            _ => {
                self.found.faults.push(
                    Diagnostic::error(format!(
                        "expected an expression over `params`, found {}",
                        node.kind()
                    ))
                    .at(node.span, ""),
                );
                true
            }
        }
    }

    /// What expressions see.
    fn context(&self) -> Value {
        let each = self.each.iter().map(|each| ("each", each.clone()));
        Value::from_pairs([("params", self.values.clone())].into_iter().chain(each))
    }

    /// The first of these names that cannot be read here.
    fn foreign<'n>(&self, names: impl IntoIterator<Item = &'n String>) -> Option<&'n String> {
        let here = |name: &str| name == "params" || (name == "each" && self.each.is_some());
        names.into_iter().find(|name| !here(root(name)))
    }

    /// The value of an expression that may read params only; none if it cannot be known.
    pub fn eval(&mut self, source: &str, span: Span) -> Option<Value> {
        let env = self.env.clone();
        let expression = match env.compile_expression_owned(source.to_owned()) {
            Ok(expression) => expression,
            Err(error) => {
                self.fault(&error, span);
                return None;
            }
        };
        let names = expression.undeclared_variables(true);
        if let Some(name) = self.foreign(&names) {
            self.found.faults.push(
                Diagnostic::error(format!("only `params` can be read here, not `{name}`"))
                    .at(span, ""),
            );
            return None;
        }
        if !self.known(names, span) {
            return None;
        }
        let _busy = crate::jinja::watch::busy(&source.into());
        let value = expression.eval(self.context());
        match value.and_then(|value| crate::jinja::size::check(&value).map(|()| value)) {
            Ok(value) if value.is_undefined() => {
                self.found
                    .faults
                    .push(Diagnostic::error("the expression has no value").at(span, ""));
                None
            }
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(&error, span);
                None
            }
        }
    }

    fn text(&mut self, text: &str, node: &Node) -> Node {
        let names = match self.env.template_from_str(text) {
            Ok(template) => template.undeclared_variables(true),
            Err(error) => {
                self.fault(&error, node.span);
                self.found.unknown.push(node.span);
                return node.clone();
            }
        };
        if let Some(name) = self.foreign(&names) {
            if name.contains('.') && nearest(root(name), ["params"]).is_some() {
                self.found.faults.push(
                    Diagnostic::error(format!("no value `{}`", root(name)))
                        .at(node.span, "")
                        .help("did you mean `params`?"),
                );
            }
            return node.clone();
        }
        if !self.known(names, node.span) {
            self.found.unknown.push(node.span);
            return node.clone();
        }
        let _busy = crate::jinja::watch::busy(&text.into());
        let value = match whole(text) {
            Some(source) => self
                .eval(source, node.span)
                .and_then(|value| node_of(&value, node.span)),
            None => match self.env.render_str(text, self.context()) {
                Ok(text) => Some(NodeValue::Str(text)),
                Err(error) => {
                    self.fault(&error, node.span);
                    None
                }
            },
        };
        let value = value.unwrap_or_else(|| {
            self.found.unknown.push(node.span);
            node.value.clone()
        });
        Node {
            span: node.span,
            value,
        }
    }

    /// Reports names of params that do not exist; false when a value cannot be known.
    fn known(&mut self, names: impl IntoIterator<Item = String>, span: Span) -> bool {
        let mut all_known = true;
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        for name in names.into_iter().filter(|name| root(name) == "params") {
            let Some(param) = name.split('.').nth(1) else {
                // All of `params` is read: every one must be known.
                all_known &= self.params.iter().all(|(_, known)| *known);
                continue;
            };
            match self.params.iter().find(|(p, _)| *p == param) {
                Some((_, known)) => all_known &= known,
                None => {
                    all_known = false;
                    self.found.faults.push(
                        Diagnostic::error(format!("no param `{param}`"))
                            .at(span, "")
                            .suggest(param, self.params.iter().map(|(p, _)| *p)),
                    );
                }
            }
        }
        all_known
    }

    fn fault(&mut self, error: &minijinja::Error, span: Span) {
        self.found
            .faults
            .push(Diagnostic::error(describe(error)).at(span, ""));
    }
}

/// Whether there may be something to fill in, anywhere in a node.
fn has_braces(node: &Node) -> bool {
    match &node.value {
        NodeValue::Str(text) => text.contains("{{"),
        NodeValue::Seq(items) => items.iter().any(has_braces),
        NodeValue::Map(entries) => entries.iter().any(|(_, value)| has_braces(value)),
        _ => false,
    }
}

fn root(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}

/// The expression of a string that is one `{{ … }}` and nothing else.
fn whole(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let alone = !inner.contains("{{") && !inner.contains("}}");
    alone.then(|| inner.trim_start_matches('-').trim_end_matches('-').trim())
}

/// A node's value as expressions see it.
pub fn value_of(node: &Node) -> Value {
    match &node.value {
        NodeValue::Null => Value::from(()),
        NodeValue::Bool(b) => Value::from(*b),
        NodeValue::Int(n) => Value::from(*n),
        NodeValue::Float(x) => Value::from(*x),
        NodeValue::Str(text) => Value::from(text.as_str()),
        NodeValue::Seq(items) => items.iter().map(value_of).collect(),
        NodeValue::Map(entries) => Value::from_pairs(
            entries
                .iter()
                .map(|(key, node)| (key.name.clone(), value_of(node))),
        ),
    }
}

/// A value of an expression as a node's value; none if YAML has nothing like it.
pub fn node_of(value: &Value, span: Span) -> Option<NodeValue> {
    let inner = |value: &Value| {
        Some(Node {
            span,
            value: node_of(value, span)?,
        })
    };
    Some(match value.kind() {
        ValueKind::Undefined | ValueKind::None => NodeValue::Null,
        ValueKind::Bool => NodeValue::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => {
            NodeValue::Int(i64::try_from(value.clone()).ok()?)
        }
        ValueKind::Number => NodeValue::Float(f64::try_from(value.clone()).ok()?),
        ValueKind::Map => NodeValue::Map(
            value
                .try_iter()
                .ok()?
                .map(|key| {
                    let node = inner(&value.get_item(&key).ok()?)?;
                    let name = key.to_string();
                    Some((Key { name, span }, node))
                })
                .collect::<Option<_>>()?,
        ),
        ValueKind::Seq | ValueKind::Iterable => NodeValue::Seq(
            value
                .try_iter()
                .ok()?
                .map(|v| inner(&v))
                .collect::<Option<_>>()?,
        ),
        _ => NodeValue::Str(value.to_string()),
    })
}
