//! Any YAML document as a tree, by serde-saphyr: anchors, merges, tags and all, and its
//! message for what is broken.

use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_yaml::options::DuplicateKeyPolicy;
use serde_yaml::{Location, Options, Spanned};

use super::{Key, Node, NodeValue};
use crate::diag::{Diagnostic, FileId, Span};

/// The tree of a text.
///
/// # Errors
/// One diagnostic at the place where the YAML is broken.
pub(super) fn read(text: &str, file: FileId) -> Result<Node, Diagnostic> {
    match serde_yaml::from_str_with_options::<Spanned<Raw>>(text, options()) {
        Ok(raw) => {
            let mut node = node(raw);
            settle(&mut node, file);
            Ok(node)
        }
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

/// What one plain scalar means, without its place.
pub(super) fn scalar(text: &str) -> Option<NodeValue> {
    let raw = serde_yaml::from_str_with_options::<Raw>(text, options()).ok()?;
    Some(raw.0)
}

fn options() -> Options {
    serde_yaml::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
    }
}

/// A value as it is read: what is in it knows its place already, in bytes of no file yet.
struct Raw(NodeValue);

fn node(raw: Spanned<Raw>) -> Node {
    Node {
        span: bytes(&raw.referenced),
        value: raw.value.0,
    }
}

fn bytes(place: &Location) -> Span {
    let span = place.span();
    let start = span.byte_offset().unwrap_or(span.offset()) as u32;
    Span {
        file: FileId(0),
        start,
        end: start + span.byte_len().unwrap_or(span.len()) as u32,
    }
}

/// Says of everything in the tree which file it is in.
fn settle(node: &mut Node, file: FileId) {
    node.span.file = file;
    match &mut node.value {
        NodeValue::Seq(items) => {
            let items = Arc::make_mut(items).iter_mut();
            items.for_each(|item| settle(item, file));
        }
        NodeValue::Map(entries) => {
            for (key, node) in Arc::make_mut(entries) {
                key.span.file = file;
                settle(node, file);
            }
        }
        _ => {}
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
        Ok(Raw(NodeValue::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw(NodeValue::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Raw, D::Error> {
        Raw::deserialize(d)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw(NodeValue::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw(NodeValue::Int(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw(
            i64::try_from(value).map_or(NodeValue::Float(value as f64), NodeValue::Int)
        ))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        Ok(Raw(NodeValue::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw(NodeValue::Str(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Raw>>()? {
            items.push(node(item));
        }
        Ok(Raw(NodeValue::Seq(items.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key {
                span: bytes(&key.referenced),
                name: key.value,
            };
            entries.push((key, node(map.next_value()?)));
        }
        Ok(Raw(NodeValue::Map(entries.into())))
    }
}
