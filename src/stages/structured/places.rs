//! A schema as it is written: its JSON, and where in the user's files each part of it stands.
//! Owns the reading of JSON and YAML texts; knows nothing of what they mean.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use crate::diag::{Diagnostic, Sources, Span};
use crate::spec::node::{Node, NodeValue};

/// A schema with its places.
pub struct Source {
    /// What is written.
    pub value: Value,
    /// Where the whole stands.
    whole: Span,
    /// Where the parts stand, by JSON pointer: of entries of maps, the keys.
    places: HashMap<String, Span>,
}

impl Source {
    /// Of YAML that is read already.
    ///
    /// # Errors
    /// A key that is set twice.
    pub fn yaml(node: &Node) -> Result<Source, Vec<Diagnostic>> {
        let mut source = Source {
            value: json(node),
            whole: node.span,
            places: HashMap::new(),
        };
        let mut faults = Vec::new();
        source.note(node, &mut String::new(), &|span| span, &mut faults);
        match faults.is_empty() {
            true => Ok(source),
            false => Err(faults),
        }
    }

    /// Of a JSON text that stands at `place`.
    ///
    /// # Errors
    /// It is not JSON; a key that is set twice.
    pub fn json(text: &str, place: Span) -> Result<Source, Vec<Diagnostic>> {
        let within = |start: usize, end: usize| Span {
            start: place.start + start as u32,
            end: place.start + end as u32,
            ..place
        };
        let value: Value = serde_json::from_str(text).map_err(|error| {
            let lines = text.split_inclusive('\n').take(error.line().max(1) - 1);
            let at = lines.map(str::len).sum::<usize>() + error.column().max(1) - 1;
            let start = text.floor_char_boundary(at.min(text.len()));
            let end = text.ceil_char_boundary((start + 1).min(text.len()));
            let full = error.to_string();
            let what = full.split(" at line ").next().unwrap_or(&full);
            let what = format!("this schema is not valid JSON: {what}");
            vec![Diagnostic::error(what).at(within(start, end), "")]
        })?;
        let mut source = Source {
            value,
            whole: within(0, text.len()),
            places: HashMap::new(),
        };
        // JSON is YAML, whose reader knows places; without them the whole is the place.
        let mut sources = Sources::default();
        let file = sources.add(Path::new(""), text);
        let mut faults = Vec::new();
        if let Ok(node) = Node::parse(&sources, file) {
            let here = |span: Span| within(span.start as usize, span.end as usize);
            source.note(&node, &mut String::new(), &here, &mut faults);
        }
        match faults.is_empty() {
            true => Ok(source),
            false => Err(faults),
        }
    }

    /// Where a part stands, or the innermost part around it that is known.
    pub fn place(&self, pointer: &str) -> Span {
        let mut at = pointer;
        loop {
            if let Some(span) = self.places.get(at) {
                return *span;
            }
            match at.rfind('/') {
                Some(end) => at = &at[..end],
                None => return self.whole,
            }
        }
    }

    fn note(
        &mut self,
        node: &Node,
        at: &mut String,
        here: &dyn Fn(Span) -> Span,
        faults: &mut Vec<Diagnostic>,
    ) {
        let length = at.len();
        match &node.value {
            NodeValue::Map(entries) => {
                for (key, inner) in entries.iter() {
                    at.push_str(&step(&key.name));
                    // Scalars are named by their values, which are what is wrong with them.
                    let span = match inner.value {
                        NodeValue::Map(_) | NodeValue::Seq(_) => key.span,
                        _ => inner.span,
                    };
                    if self.places.insert(at.clone(), here(span)).is_some() {
                        let what = format!("`{}` is set twice", key.name);
                        faults.push(Diagnostic::error(what).at(here(key.span), ""));
                    }
                    self.note(inner, at, here, faults);
                    at.truncate(length);
                }
            }
            NodeValue::Seq(items) => {
                for (n, inner) in items.iter().enumerate() {
                    at.push_str(&format!("/{n}"));
                    self.places.insert(at.clone(), here(inner.span));
                    self.note(inner, at, here, faults);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// A step of a JSON pointer.
pub fn step(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// YAML as JSON.
pub fn json(node: &Node) -> Value {
    match &node.value {
        NodeValue::Null => Value::Null,
        NodeValue::Bool(value) => (*value).into(),
        NodeValue::Int(value) => (*value).into(),
        NodeValue::Float(value) => (*value).into(),
        NodeValue::Str(value) => value.as_str().into(),
        NodeValue::Seq(items) => items.iter().map(json).collect(),
        NodeValue::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, node)| (key.name.clone(), json(node)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::FileId;

    fn read(text: &str) -> Result<Source, Vec<Diagnostic>> {
        let place = Span {
            file: FileId(3),
            start: 100,
            end: 100 + text.len() as u32,
        };
        Source::json(text, place)
    }

    #[test]
    fn parts_of_a_json_text_have_places() {
        let text = "{\"type\": \"object\",\n\"a/b\": {\"c\": [1, 2]}}";
        let source = read(text).unwrap_or_else(|_| panic!("valid"));
        let at = |pointer: &str| {
            let span = source.place(pointer);
            assert_eq!(span.file, FileId(3));
            &text[span.start as usize - 100..span.end as usize - 100]
        };
        assert_eq!(at("/type"), "\"object\"");
        assert_eq!(at("/a~1b"), "\"a/b\"");
        assert_eq!(at("/a~1b/c/1"), "2");
        assert_eq!(at("/a~1b/d/e"), "\"a/b\"");
        assert_eq!(at("/x"), text);
    }

    #[test]
    fn broken_json_is_told_with_its_place() {
        let told = |text: &str| {
            let fault = read(text).err().and_then(|mut faults| faults.pop());
            let fault = fault.unwrap_or_else(|| panic!("faults"));
            let place = fault.primary.as_ref().map(|(span, _)| span.start - 100);
            (fault.message, place)
        };
        let (message, place) = told("{\"é\": 1,\n \"a\" 2}");
        assert_eq!(message, "this schema is not valid JSON: expected `:`");
        assert_eq!(place, Some(15));
        assert_eq!(told("{\"a\": 1, \"a\": 2}").0, "`a` is set twice");
        assert_eq!(told("").1, Some(0));
    }
}
