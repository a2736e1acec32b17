//! Checks a node against a JSON Schema, as far as schemars writes such schemas, and reports
//! all faults at once with their places.

use serde_json::Value as Json;

use super::node::{Node, NodeValue};
use super::shapes::Shapes;
use crate::diag::{Diagnostic, Span};

/// Deepest nesting that is looked at; deeper nodes are left to decoding.
const DEPTH: usize = 64;

/// Checks nodes.
pub struct Checker<'a> {
    /// Where references lead.
    pub shapes: &'a Shapes,
    /// Nodes that are not known yet and fit anything.
    pub unknown: &'a [Span],
}

impl Checker<'_> {
    /// Every fault of the node under the schema.
    pub fn check(&self, node: &Node, schema: &Json) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        self.node(node, schema, 0, &mut faults);
        faults
    }

    fn node(&self, node: &Node, schema: &Json, depth: usize, faults: &mut Vec<Diagnostic>) {
        if depth > DEPTH || self.unknown.contains(&node.span) {
            return;
        }
        if *schema == Json::Bool(false) {
            faults.push(Diagnostic::error("nothing can stand here").at(node.span, ""));
            return;
        }
        let target = schema["$ref"]
            .as_str()
            .and_then(|r| self.shapes.definition(r));
        if let Some(target) = target {
            self.node(node, target, depth + 1, faults);
        }
        for part in list(schema, "allOf") {
            self.node(node, part, depth + 1, faults);
        }
        for word in ["anyOf", "oneOf"] {
            let options: Vec<&Json> = list(schema, word).collect();
            if !options.is_empty() {
                self.one_of(node, &options, depth, faults);
            }
        }
        let allowed = names(schema);
        if !allowed.is_empty() {
            let known = match &node.value {
                NodeValue::Str(text) => allowed.contains(&text.as_str()),
                _ => false,
            };
            if !known {
                faults.push(not_among(node, &allowed));
            }
            return;
        }
        let types = types(schema);
        if !types.is_empty() && !types.iter().any(|t| fits(node, t)) {
            faults.push(wrong_type(node, &types));
            return;
        }
        match &node.value {
            NodeValue::Map(_) => self.map(node, schema, depth, faults),
            NodeValue::Seq(items) => {
                if let Some(inner) = schema.get("items") {
                    for item in items {
                        self.node(item, inner, depth + 1, faults);
                    }
                }
                for (item, inner) in items.iter().zip(list(schema, "prefixItems")) {
                    self.node(item, inner, depth + 1, faults);
                }
                count(node, items.len(), schema, "Items", "items", faults);
            }
            NodeValue::Int(n) => range(node, *n as f64, schema, faults),
            NodeValue::Float(x) => range(node, *x, schema, faults),
            NodeValue::Str(text) => {
                count(
                    node,
                    text.chars().count(),
                    schema,
                    "Length",
                    "characters",
                    faults,
                );
            }
            NodeValue::Null | NodeValue::Bool(_) => {}
        }
    }

    fn map(&self, node: &Node, schema: &Json, depth: usize, faults: &mut Vec<Diagnostic>) {
        let properties = schema["properties"].as_object();
        let other = schema.get("additionalProperties");
        for (key, value) in node.entries() {
            match (properties.and_then(|p| p.get(&key.name)), other) {
                (Some(inner), _) => self.node(value, inner, depth + 1, faults),
                (None, Some(Json::Bool(false))) => faults.push(
                    Diagnostic::error(format!("unknown key `{}`", key.name))
                        .at(key.span, "")
                        .suggest(
                            &key.name,
                            properties
                                .into_iter()
                                .flat_map(|p| p.keys())
                                .map(String::as_str),
                        ),
                ),
                (None, Some(inner)) => self.node(value, inner, depth + 1, faults),
                (None, None) => {}
            }
        }
        for name in list(schema, "required").filter_map(Json::as_str) {
            if node.get(name).is_none() {
                let fault = Diagnostic::error(format!("missing key `{name}`")).at(node.span, "");
                let about = properties
                    .and_then(|p| p.get(name))
                    .and_then(|p| p["description"].as_str())
                    .and_then(|text| text.lines().next());
                faults.push(match about {
                    Some(text) => fault.note(format!("`{name}`: {}", text.trim_end_matches('.'))),
                    None => fault,
                });
            }
        }
    }

    /// Alternatives: the node must fit one. The faults of the one that is nearest are told.
    fn one_of(&self, node: &Node, options: &[&Json], depth: usize, faults: &mut Vec<Diagnostic>) {
        let mut best: Option<(usize, Vec<Diagnostic>)> = None;
        for option in options {
            let mut found = Vec::new();
            self.node(node, option, depth + 1, &mut found);
            if found.is_empty() {
                return;
            }
            if let Some(far) = self.distance(node, option)
                && best
                    .as_ref()
                    .is_none_or(|(was, with)| (far, found.len()) < (*was, with.len()))
            {
                best = Some((far, found));
            }
        }
        let flat: Vec<&Json> = options.iter().flat_map(|o| self.shapes.flat(o)).collect();
        let allowed: Vec<&str> = flat.iter().flat_map(|s| names(s)).collect();
        let is_text = matches!(node.value, NodeValue::Str(_));
        match best {
            Some((_, found)) => faults.extend(found),
            None if is_text && !allowed.is_empty() => faults.push(not_among(node, &allowed)),
            None => {
                let mut all: Vec<&str> = Vec::new();
                for schema in flat {
                    let mut here = types(schema);
                    if here.is_empty() && !names(schema).is_empty() {
                        here.push("string");
                    }
                    for kind in here {
                        if !all.contains(&kind) {
                            all.push(kind);
                        }
                    }
                }
                faults.push(wrong_type(node, &all));
            }
        }
    }

    /// How many keys of the node an alternative does not know, or none if it is of another
    /// kind altogether.
    fn distance(&self, node: &Node, option: &Json) -> Option<usize> {
        let flat = self.shapes.flat(option);
        let fitting: Vec<&&Json> = flat
            .iter()
            .filter(|s| types(s).iter().any(|t| fits(node, t)) && names(s).is_empty())
            .collect();
        fitting
            .iter()
            .map(|s| {
                let unknown = node.entries().iter().filter(|(key, _)| {
                    s["properties"].get(&key.name).is_none()
                        && s["additionalProperties"] == Json::Bool(false)
                });
                unknown.count() * 2
                    + list(s, "required")
                        .filter_map(Json::as_str)
                        .filter(|name| node.get(name).is_none())
                        .count()
            })
            .min()
    }
}

fn list<'a>(schema: &'a Json, word: &str) -> impl Iterator<Item = &'a Json> {
    schema[word].as_array().into_iter().flatten()
}

fn types(schema: &Json) -> Vec<&str> {
    match &schema["type"] {
        Json::String(one) => vec![one],
        Json::Array(many) => many.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// The strings that `enum` and `const` allow.
fn names(schema: &Json) -> Vec<&str> {
    list(schema, "enum")
        .chain(schema.get("const"))
        .filter_map(Json::as_str)
        .collect()
}

fn fits(node: &Node, kind: &str) -> bool {
    match &node.value {
        NodeValue::Null => kind == "null",
        NodeValue::Bool(_) => kind == "boolean",
        NodeValue::Int(_) => kind == "integer" || kind == "number",
        NodeValue::Float(_) => kind == "number",
        NodeValue::Str(_) => kind == "string",
        NodeValue::Seq(_) => kind == "array",
        NodeValue::Map(_) => kind == "object",
    }
}

fn wrong_type(node: &Node, types: &[&str]) -> Diagnostic {
    let words: Vec<&str> = types
        .iter()
        .filter(|t| **t != "null")
        .map(|t| match *t {
            "boolean" => "`true` or `false`",
            "integer" => "a whole number",
            "number" => "a number",
            "string" => "text",
            "array" => "a list",
            "object" => "a map",
            other => other,
        })
        .collect();
    let fault = Diagnostic::error(format!(
        "expected {}, found {}",
        words.join(" or "),
        node.kind()
    ))
    .at(node.span, "");
    let is_scalar = matches!(
        node.value,
        NodeValue::Bool(_) | NodeValue::Int(_) | NodeValue::Float(_)
    );
    if is_scalar && types.contains(&"string") {
        return fault.help("write it in quotes");
    }
    fault
}

fn not_among(node: &Node, allowed: &[&str]) -> Diagnostic {
    match node.as_str() {
        Some(text) => Diagnostic::error(format!("unknown value `{text}`"))
            .at(node.span, "")
            .suggest(text, allowed.iter().copied()),
        None => {
            let list: Vec<String> = allowed.iter().map(|name| format!("`{name}`")).collect();
            Diagnostic::error(format!(
                "expected {}, found {}",
                list.join(" or "),
                node.kind()
            ))
            .at(node.span, "")
        }
    }
}

fn range(node: &Node, value: f64, schema: &Json, faults: &mut Vec<Diagnostic>) {
    type Test = fn(f64, f64) -> bool;
    let rules: [(&str, &str, Test); 4] = [
        ("minimum", "at least", |x, bound| x >= bound),
        ("maximum", "at most", |x, bound| x <= bound),
        ("exclusiveMinimum", "more than", |x, bound| x > bound),
        ("exclusiveMaximum", "less than", |x, bound| x < bound),
    ];
    for (word, text, holds) in rules {
        if let Some(bound) = schema[word].as_f64()
            && !holds(value, bound)
        {
            faults.push(
                Diagnostic::error(format!("expected {text} {bound}, found {value}"))
                    .at(node.span, ""),
            );
        }
    }
}

fn count(
    node: &Node,
    len: usize,
    schema: &Json,
    word: &str,
    what: &str,
    faults: &mut Vec<Diagnostic>,
) {
    let bound = |side: &str| schema[format!("{side}{word}")].as_u64();
    let len = len as u64;
    let wrong = match (bound("min"), bound("max")) {
        (Some(least), _) if len < least => Some(("at least", least)),
        (_, Some(most)) if len > most => Some(("at most", most)),
        _ => None,
    };
    if let Some((text, bound)) = wrong {
        faults.push(
            Diagnostic::error(format!("expected {text} {bound} {what}, found {len}"))
                .at(node.span, ""),
        );
    }
}
