//! A YAML document as a tree in which every key and value knows its place.
//! Owns parsing; knows nothing of what the keys mean.

mod ordinary;
#[cfg(test)]
mod tests;
mod whole;

use std::sync::Arc;

use crate::diag::{Diagnostic, FileId, Sources, Span};

/// A YAML value with its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands. For maps and sequences: where they begin.
    pub span: Span,
    /// What it is.
    pub value: NodeValue,
}

/// What a YAML value is. Entries of maps keep their order, and duplicates. Copies share what lists
/// and maps hold.
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
    Seq(Arc<[Node]>),
    /// `{a: b}`
    Map(Arc<[(Key, Node)]>),
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
        match ordinary::read(text, file) {
            Some(node) => Ok(node),
            None => whole::read(text, file),
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
