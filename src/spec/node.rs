//! A YAML document as a tree in which every key and value knows its place.
//! Owns parsing; knows nothing of what the keys mean.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Spanned};

use crate::diag::{Diagnostic, FileId, Sources, Span};

/// A YAML value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands. For maps and sequences: where they begin.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
}

/// What a YAML value is. Entries of maps keep their order, and duplicates.
#[derive(Clone, Debug)]
pub enum NodeValue {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// `[a, b]`
    Seq(Vec<Node>),
    /// `{a: b}`
    Map(Vec<(Key, Node)>),
}

/// A key of a map with its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// Parses a source file.
    ///
    /// # Errors
    /// One diagnostic at the place where the YAML is broken.
    pub fn parse(sources: &Sources, file: FileId) -> Result<Node, Diagnostic> {
        let text = sources.text(file);
        let options = serde_yaml::options! {
            strict_booleans: true,
            leading_zero_numbers_as_strings: true,
            duplicate_keys: DuplicateKeyPolicy::PassThrough,
        };
        match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options) {
            Ok(raw) => Ok(convert(raw, file, text)),
            Err(error) => {
                let error = error.without_snippet();
                let full = error.to_string();
                let message = full
                    .split(" at line ")
                    .next()
                    .unwrap_or(&full)
                    .trim()
                    .to_owned();
                let diagnostic = Diagnostic::error(format!("not valid YAML: {message}"));
                Err(match error.location() {
                    Some(place) => diagnostic.at(span_of(&place, file, text), ""),
                    None => diagnostic,
                })
            }
        }
    }

    /// The value of a key of a map. With duplicates: the first.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }

    /// The entries of a map; none for other nodes.
    pub fn entries(&self) -> &[(Key, Node)] {
        match &self.value {
            NodeValue::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The text of a string node.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Str(text) => Some(text),
            _ => None,
        }
    }

    /// What it is, as a message calls it.
    pub fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Bool(_) => "a boolean",
            NodeValue::Int(_) => "a whole number",
            NodeValue::Float(_) => "a number",
            NodeValue::Str(_) => "text",
            NodeValue::Seq(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }
}

fn span_of(place: &Location, file: FileId, text: &str) -> Span {
    let span = place.span();
    let start = span.byte_offset().map_or_else(
        || {
            text.char_indices()
                .nth(span.offset() as usize)
                .map_or(text.len(), |(at, _)| at)
        },
        |at| at as usize,
    );
    let start = start.min(text.len());
    let end = text[start..]
        .char_indices()
        .nth(span.len() as usize)
        .map_or(text.len(), |(at, _)| start + at);
    Span {
        file,
        start: start as u32,
        end: end as u32,
    }
}

fn convert(raw: Spanned<Raw>, file: FileId, text: &str) -> Node {
    let span = span_of(&raw.referenced, file, text);
    let value = match raw.value {
        Raw::Null => NodeValue::Null,
        Raw::Bool(b) => NodeValue::Bool(b),
        Raw::Int(n) => NodeValue::Int(n),
        Raw::Float(x) => NodeValue::Float(x),
        Raw::Str(s) => NodeValue::Str(s),
        Raw::Seq(items) => NodeValue::Seq(
            items
                .into_iter()
                .map(|item| convert(item, file, text))
                .collect(),
        ),
        Raw::Map(entries) => NodeValue::Map(
            entries
                .into_iter()
                .map(|(key, value)| {
                    let span = span_of(&key.referenced, file, text);
                    (
                        Key {
                            name: key.value,
                            span,
                        },
                        convert(value, file, text),
                    )
                })
                .collect(),
        ),
    };
    Node { span, value }
}

enum Raw {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Raw, D::Error> {
        d.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
        Raw::deserialize(d)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(i64::try_from(value).map_or(Raw::Float(value as f64), Raw::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Str(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::Seq(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key()? {
            entries.push((key, map.next_value()?));
        }
        Ok(Raw::Map(entries))
    }
}
