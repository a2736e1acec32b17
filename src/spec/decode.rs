//! From a [`Node`] to a typed value through serde, with places kept in [`Src`].
//! Faults of shape are found before, by the JSON Schema (`spec::shape`), all at once;
//! what serde still finds is reported one at a time.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::JsonSchema;
use serde::de::value::{MapDeserializer, SeqDeserializer, U32Deserializer};
use serde::de::{DeserializeOwned, Error as _, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::node::{Node, NodeValue};
use crate::diag::{Diagnostic, FileId, Span};

/// A value that remembers its place in the user's file. Serializes as the value alone, so
/// that moving a stage in its file changes no key.
#[derive(Clone, Debug)]
pub struct Src<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub span: Span,
}

impl<T> Deref for Src<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Serialize> Serialize for Src<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(s)
    }
}

impl<T: JsonSchema> JsonSchema for Src<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

const SRC: &str = "$clue::Src";

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Src<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Src<T>, D::Error> {
        struct SrcVisitor<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for SrcVisitor<T> {
            type Value = Src<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Src<T>, A::Error> {
                let mut number = || {
                    seq.next_element::<u32>()?
                        .ok_or_else(|| A::Error::custom("no place"))
                };
                let (file, start, end) = (number()?, number()?, number()?);
                let value = seq
                    .next_element()?
                    .ok_or_else(|| A::Error::custom("no value"))?;
                Ok(Src {
                    value,
                    span: Span {
                        file: FileId(file as u16),
                        start,
                        end,
                    },
                })
            }
        }
        d.deserialize_newtype_struct(SRC, SrcVisitor(std::marker::PhantomData))
    }
}

/// Decodes a node into a typed value.
///
/// # Errors
/// One diagnostic at the node that does not fit.
pub fn decode<T: DeserializeOwned>(node: &Node) -> Result<T, Diagnostic> {
    T::deserialize(Place(node)).map_err(|error| {
        let span = error.span.unwrap_or(node.span);
        Diagnostic::error(error.message).at(span, "")
    })
}

#[derive(Debug)]
struct DecodeError {
    message: String,
    span: Option<Span>,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}

impl serde::de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> DecodeError {
        DecodeError {
            message: message.to_string(),
            span: None,
        }
    }
}

#[derive(Clone, Copy)]
struct Place<'a>(&'a Node);

impl<'a> IntoDeserializer<'a, DecodeError> for Place<'a> {
    type Deserializer = Place<'a>;

    fn into_deserializer(self) -> Place<'a> {
        self
    }
}

/// An element of the sequence that [`Src`] reads: three numbers, then the node.
enum Part<'a> {
    Number(u32),
    Node(&'a Node),
}

impl<'a> IntoDeserializer<'a, DecodeError> for Part<'a> {
    type Deserializer = Part<'a>;

    fn into_deserializer(self) -> Part<'a> {
        self
    }
}

impl<'de> Deserializer<'de> for Part<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Part::Number(n) => U32Deserializer::new(n).deserialize_any(visitor),
            Part::Node(node) => Place(node).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self {
            Part::Number(n) => U32Deserializer::new(n).deserialize_option(visitor),
            Part::Node(node) => Place(node).deserialize_option(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            Part::Number(n) => U32Deserializer::new(n).deserialize_newtype_struct(name, visitor),
            Part::Node(node) => Place(node).deserialize_newtype_struct(name, visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self {
            Part::Number(n) => U32Deserializer::new(n).deserialize_enum(name, variants, visitor),
            Part::Node(node) => Place(node).deserialize_enum(name, variants, visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for Place<'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        let result = match &self.0.value {
            NodeValue::Null => visitor.visit_unit(),
            NodeValue::Bool(b) => visitor.visit_bool(*b),
            NodeValue::Int(n) => visitor.visit_i64(*n),
            NodeValue::Float(x) => visitor.visit_f64(*x),
            NodeValue::Str(s) => visitor.visit_str(s),
            NodeValue::Seq(items) => {
                visitor.visit_seq(SeqDeserializer::new(items.iter().map(Place)))
            }
            NodeValue::Map(entries) => visitor.visit_map(MapDeserializer::new(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.as_str(), Place(node))),
            )),
        };
        result.map_err(|mut error: DecodeError| {
            error.span.get_or_insert(self.0.span);
            error
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.0.value {
            NodeValue::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        if name != SRC {
            return visitor.visit_newtype_struct(self);
        }
        let span = self.0.span;
        visitor.visit_seq(SeqDeserializer::new(
            [
                Part::Number(span.file.0.into()),
                Part::Number(span.start),
                Part::Number(span.end),
                Part::Node(self.0),
            ]
            .into_iter(),
        ))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        let result = match &self.0.value {
            NodeValue::Str(s) => s
                .as_str()
                .into_deserializer()
                .deserialize_enum(name, variants, visitor),
            NodeValue::Map(entries) => visitor.visit_enum(
                serde::de::value::MapAccessDeserializer::new(MapDeserializer::new(
                    entries
                        .iter()
                        .map(|(key, node)| (key.name.as_str(), Place(node))),
                )),
            ),
            _ => Err(DecodeError::custom(format!(
                "expected one of {}",
                variants.join(", ")
            ))),
        };
        result.map_err(|mut error: DecodeError| {
            error.span.get_or_insert(self.0.span);
            error
        })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}
