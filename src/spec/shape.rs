//! Checks a node against a JSON Schema, as far as schemars writes such schemas, and reports
//! all faults at once with their places.

use serde_json::{Map, Value as Json};

use super::node::{Key, Node, NodeValue};
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
        let mut faults = Faults::Told(Vec::new());
        self.node(node, schema, 0, &mut faults);
        match faults {
            Faults::Told(faults) => faults,
            Faults::Noted(_) => Vec::new(),
        }
    }

    fn node(&self, node: &Node, schema: &Json, depth: usize, faults: &mut Faults) {
        if depth > DEPTH || self.unknown.contains(&node.span) {
            return;
        }
        if *schema == Json::Bool(false) {
            faults.add(|| Diagnostic::error("nothing can stand here").at(node.span, ""));
            return;
        }
        let words = Words::of(schema);
        if let Some(target) = words.target.and_then(|r| self.shapes.definition(r)) {
            self.node(node, target, depth + 1, faults);
        }
        for part in words.all_of {
            self.node(node, part, depth + 1, faults);
        }
        for options in [words.any_of, words.one_of] {
            if !options.is_empty() {
                self.one_of(node, options, depth, faults);
            }
        }
        let allowed = || {
            words
                .among
                .iter()
                .chain(words.only)
                .filter_map(Json::as_str)
        };
        if allowed().next().is_some() {
            if !node
                .as_str()
                .is_some_and(|text| allowed().any(|a| a == text))
            {
                faults.add(|| not_among(node, &names(schema)));
            }
            return;
        }
        if words.kind.is_some_and(|kind| !is_of(node, kind)) {
            faults.add(|| wrong_type(node, &types(schema)));
            return;
        }
        match &node.value {
            NodeValue::Map(entries) => self.map(node, entries, &words, depth, faults),
            NodeValue::Seq(items) => {
                if let Some(inner) = words.items {
                    for item in items.iter() {
                        self.node(item, inner, depth + 1, faults);
                    }
                }
                for (item, inner) in items.iter().zip(words.first_items) {
                    self.node(item, inner, depth + 1, faults);
                }
                if words.bounded {
                    let bounds = ["minItems", "maxItems"];
                    count(node, items.len(), schema, bounds, "items", faults);
                }
            }
            NodeValue::Int(n) if words.bounded => range(node, *n as f64, schema, faults),
            NodeValue::Float(x) if words.bounded => range(node, *x, schema, faults),
            NodeValue::Str(text) if words.bounded => {
                let bounds = ["minLength", "maxLength"];
                count(
                    node,
                    text.chars().count(),
                    schema,
                    bounds,
                    "characters",
                    faults,
                );
            }
            _ => {}
        }
    }

    fn map(
        &self,
        node: &Node,
        entries: &[(Key, Node)],
        words: &Words<'_>,
        depth: usize,
        faults: &mut Faults,
    ) {
        let properties = words.properties;
        for (key, value) in entries {
            match (properties.and_then(|p| p.get(&key.name)), words.other) {
                (Some(inner), _) => self.node(value, inner, depth + 1, faults),
                (None, Some(Json::Bool(false))) => faults.add(|| {
                    let known = properties.into_iter().flat_map(|p| p.keys());
                    Diagnostic::error(format!("unknown key `{}`", key.name))
                        .at(key.span, "")
                        .suggest(&key.name, known.map(String::as_str))
                }),
                (None, Some(inner)) => self.node(value, inner, depth + 1, faults),
                (None, None) => {}
            }
        }
        for name in words.required.iter().filter_map(Json::as_str) {
            if node.get(name).is_none() {
                faults.add(|| {
                    let fault = Diagnostic::error(format!("missing key `{name}`"));
                    let fault = fault.at(node.span, "");
                    let about = properties
                        .and_then(|p| p.get(name))
                        .and_then(|p| p["description"].as_str())
                        .and_then(|text| text.lines().next());
                    match about {
                        Some(text) => {
                            fault.note(format!("`{name}`: {}", text.trim_end_matches('.')))
                        }
                        None => fault,
                    }
                });
            }
        }
    }

    /// Alternatives: the node must fit one. The faults of the one that is nearest are told.
    fn one_of(&self, node: &Node, options: &[Json], depth: usize, faults: &mut Faults) {
        let is_it = |option: &Json| {
            let mut found = Faults::Noted(false);
            self.node(node, option, depth + 1, &mut found);
            matches!(found, Faults::Noted(false))
        };
        if options.iter().any(is_it) {
            return;
        }
        match faults {
            Faults::Noted(any) => *any = true,
            Faults::Told(faults) => self.nearest(node, options, depth, faults),
        }
    }

    /// Tells why no alternative fits.
    fn nearest(&self, node: &Node, options: &[Json], depth: usize, faults: &mut Vec<Diagnostic>) {
        let mut best: Option<(usize, Vec<Diagnostic>)> = None;
        for option in options {
            let mut found = Faults::Told(Vec::new());
            self.node(node, option, depth + 1, &mut found);
            let Faults::Told(found) = found else {
                continue;
            };
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

/// The faults of a node: told in words, or only noted, where the words may not be needed.
enum Faults {
    Told(Vec<Diagnostic>),
    Noted(bool),
}

impl Faults {
    fn add(&mut self, fault: impl FnOnce() -> Diagnostic) {
        match self {
            Faults::Told(faults) => faults.push(fault()),
            Faults::Noted(any) => *any = true,
        }
    }
}

/// What a schema says, found in one pass: to ask for each word takes longer, and most have few.
#[derive(Default)]
struct Words<'a> {
    target: Option<&'a str>,
    all_of: &'a [Json],
    any_of: &'a [Json],
    one_of: &'a [Json],
    /// Of `enum`, and of `const`: what is text among it is what is allowed.
    among: &'a [Json],
    only: Option<&'a Json>,
    kind: Option<&'a Json>,
    items: Option<&'a Json>,
    first_items: &'a [Json],
    properties: Option<&'a Map<String, Json>>,
    other: Option<&'a Json>,
    required: &'a [Json],
    /// True if there may be bounds of a number, or of how many items or characters.
    bounded: bool,
}

impl<'a> Words<'a> {
    fn of(schema: &'a Json) -> Words<'a> {
        let mut words = Words::default();
        for (word, value) in schema.as_object().into_iter().flatten() {
            let list = || value.as_array().map_or(&[][..], Vec::as_slice);
            match word.as_str() {
                "$ref" => words.target = value.as_str(),
                "allOf" => words.all_of = list(),
                "anyOf" => words.any_of = list(),
                "oneOf" => words.one_of = list(),
                "enum" => words.among = list(),
                "const" => words.only = Some(value),
                "type" => words.kind = Some(value),
                "items" => words.items = Some(value),
                "prefixItems" => words.first_items = list(),
                "properties" => words.properties = value.as_object(),
                "additionalProperties" => words.other = Some(value),
                "required" => words.required = list(),
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "minItems"
                | "maxItems" | "minLength" | "maxLength" => words.bounded = true,
                _ => {}
            }
        }
        words
    }
}

/// Whether a node is of the type, or one of the types, that a schema names.
fn is_of(node: &Node, kind: &Json) -> bool {
    match kind {
        Json::String(one) => fits(node, one),
        Json::Array(many) => many.iter().filter_map(Json::as_str).any(|t| fits(node, t)),
        _ => true,
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

fn range(node: &Node, value: f64, schema: &Json, faults: &mut Faults) {
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
            faults.add(|| {
                let what = format!("expected {text} {bound}, found {value}");
                Diagnostic::error(what).at(node.span, "")
            });
        }
    }
}

fn count(
    node: &Node,
    len: usize,
    schema: &Json,
    [least, most]: [&str; 2],
    what: &str,
    faults: &mut Faults,
) {
    let bound = |word: &str| schema[word].as_u64();
    let len = len as u64;
    let wrong = match (bound(least), bound(most)) {
        (Some(least), _) if len < least => Some(("at least", least)),
        (_, Some(most)) if len > most => Some(("at most", most)),
        _ => None,
    };
    if let Some((text, bound)) = wrong {
        faults.add(|| {
            let what = format!("expected {text} {bound} {what}, found {len}");
            Diagnostic::error(what).at(node.span, "")
        });
    }
}
