//! The setting `schema`: a JSON Schema as it stands in the pipeline, or the path of a file. Owns
//! the reading; knows nothing of what schemas say.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema as Shape, SchemaGenerator, json_schema};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::places::{Source, json};
use super::schema::Schema;
use crate::diag::{Diagnostic, Sources, Span};
use crate::spec::decode::Src;
use crate::spec::file::bytes;
use crate::spec::node::{Key, Node, NodeValue};
use crate::stages::contract::Build;

/// A JSON Schema, or the path of a file that holds it.
#[derive(Clone, Debug)]
pub struct SchemaSetting {
    node: Node,
    /// Read once: what keys are made of is what is asked.
    loaded: OnceLock<Arc<Schema>>,
}

impl SchemaSetting {
    /// Where it stands.
    pub fn span(&self) -> Span {
        self.node.span
    }

    /// The file that it names.
    pub fn file(&self, cx: &Build<'_>) -> Option<PathBuf> {
        self.node.as_str().map(|path| cx.path(path))
    }

    /// The schema itself.
    ///
    /// # Errors
    /// Every fault, each at its place.
    pub fn load(
        &self,
        cx: &Build<'_>,
        sources: &mut Sources,
    ) -> Result<Arc<Schema>, Vec<Diagnostic>> {
        if let Some(schema) = self.loaded.get() {
            return Ok(schema.clone());
        }
        let source = match self.file(cx) {
            None if matches!(self.node.value, NodeValue::Map(_)) => Source::yaml(&self.node)?,
            // Told as a wrong shape.
            None => return Err(Vec::new()),
            Some(path) => {
                if let Some(fault) = cx.fence.fault(&path, &path.display().to_string()) {
                    return Err(vec![fault.at(self.node.span, "")]);
                }
                let read = bytes(&path).and_then(|bytes| {
                    String::from_utf8(bytes).map_err(|_| std::io::Error::other("it is not UTF-8"))
                });
                let text = read.map_err(|error| {
                    let what = format!("cannot read `{}`: {error}", path.display());
                    vec![Diagnostic::error(what).at(self.node.span, "")]
                })?;
                let file = sources.add(&path, text);
                let text = sources.text(file).clone();
                let yaml = ["yaml", "yml"].map(|end| path.extension().is_some_and(|e| e == end));
                if yaml.contains(&true) {
                    let node = Node::parse(sources, file).map_err(|fault| vec![fault])?;
                    Source::yaml(&node)?
                } else {
                    let whole = Span {
                        file,
                        start: 0,
                        end: text.len() as u32,
                    };
                    Source::json(&text, whole)?
                }
            }
        };
        let schema = Arc::new(Schema::compile(&source)?);
        Ok(self.loaded.get_or_init(|| schema).clone())
    }
}

/// A file's content decides, not its name. What stands in the pipeline is one text: servers see
/// the order of properties, and keys are made of maps that are sorted.
impl Serialize for SchemaSetting {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.node.as_str() {
            Some(_) => s.serialize_str("in a file"),
            None => s.serialize_str(&json(&self.node).to_string()),
        }
    }
}

impl<'de> Deserialize<'de> for SchemaSetting {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SchemaSetting, D::Error> {
        Ok(SchemaSetting {
            node: Inline::deserialize(d)?.0,
            loaded: OnceLock::new(),
        })
    }
}

impl JsonSchema for SchemaSetting {
    fn schema_name() -> Cow<'static, str> {
        "AnswerSchema".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Shape {
        json_schema!({"type": ["string", "object"]})
    }
}

/// Any YAML with its places.
struct Inline(Node);

impl<'de> Deserialize<'de> for Inline {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Inline, D::Error> {
        let Src { value, span } = Src::<Value>::deserialize(d)?;
        Ok(Inline(Node {
            span,
            value: value.0,
        }))
    }
}

struct Value(NodeValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
        d.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON Schema")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value(NodeValue::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value(NodeValue::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value(NodeValue::Int(value)))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value(NodeValue::Float(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value(NodeValue::Str(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Inline(item)) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value(NodeValue::Seq(items.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((name, Inline(node))) = map.next_entry::<String, Inline>()? {
            // Where its key stands, decoding does not tell.
            let span = node.span;
            entries.push((Key { name, span }, node));
        }
        Ok(Value(NodeValue::Map(entries.into())))
    }
}
