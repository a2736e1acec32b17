//! Shapes of settings that verbs share: ordered maps, and one-or-many names. Owns decoding;
//! knows nothing of what the names mean.
//!
//! They serialize as lists, because the order of entries is part of what a stage does and
//! keys are made of maps that are sorted.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::jinja::expr::Expr;
use crate::spec::decode::Src;

/// A map whose entries keep their order.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Named<T>(pub Vec<(String, T)>);

impl<T> Named<T> {
    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named(Vec::new())
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({"type": "object", "additionalProperties": value})
    }
}

fn entries<'de, T: Deserialize<'de>, A: MapAccess<'de>>(mut map: A) -> Result<Named<T>, A::Error> {
    let mut entries: Vec<(String, T)> = Vec::new();
    while let Some((name, value)) = map.next_entry::<String, T>()? {
        if entries.iter().any(|(other, _)| *other == name) {
            return Err(A::Error::custom(format!("`{name}` is set twice")));
        }
        entries.push((name, value));
    }
    Ok(Named(entries))
}

fn items<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(mut seq: A) -> Result<Vec<T>, A::Error> {
    let mut items = Vec::new();
    while let Some(item) = seq.next_element()? {
        items.push(item);
    }
    Ok(items)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Named<T>, D::Error> {
        struct NamedVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Named<T>, A::Error> {
                entries(map)
            }
        }
        d.deserialize_map(NamedVisitor(PhantomData))
    }
}

/// The three shapes in which names may be written.
enum Shape {
    One(String),
    List(Vec<Src<String>>),
    Map(Named<Src<String>>),
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Shape, D::Error> {
        struct ShapeVisitor;
        impl<'de> Visitor<'de> for ShapeVisitor {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name, a list of names, or a map of names")
            }

            fn visit_str<E>(self, name: &str) -> Result<Shape, E> {
                Ok(Shape::One(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Shape, A::Error> {
                items(seq).map(Shape::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Shape, A::Error> {
                entries(map).map(Shape::Map)
            }
        }
        d.deserialize_any(ShapeVisitor)
    }
}

/// Names of fields: one, or a list.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Names(pub Vec<Src<String>>);

impl Names {
    /// True when none are named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Names, D::Error> {
        let shape = Src::<Shape>::deserialize(d)?;
        match shape.value {
            Shape::One(value) => Ok(Names(vec![Src {
                value,
                span: shape.span,
            }])),
            Shape::List(names) => Ok(Names(names)),
            Shape::Map(_) => Err(D::Error::custom("expected a name or a list of names")),
        }
    }
}

impl JsonSchema for Names {
    fn schema_name() -> Cow<'static, str> {
        "Names".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The name of a field, or a list of them.",
            "type": ["string", "array"],
            "items": {"type": "string"}
        })
    }
}

/// Pairs of field names that must be equal: `name` or `[a, b]` for the same names on both
/// sides, `{left: right}` for different ones.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Pairs(pub Vec<(Src<String>, Src<String>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pairs, D::Error> {
        let shape = Src::<Shape>::deserialize(d)?;
        let same = |name: Src<String>| (name.clone(), name);
        Ok(Pairs(match shape.value {
            Shape::One(value) => vec![same(Src {
                value,
                span: shape.span,
            })],
            Shape::List(names) => names.into_iter().map(same).collect(),
            Shape::Map(map) => {
                let left = |value, span| Src { value, span };
                map.0
                    .into_iter()
                    .map(|(name, right)| (left(name, right.span), right))
                    .collect()
            }
        }))
    }
}

impl JsonSchema for Pairs {
    fn schema_name() -> Cow<'static, str> {
        "Pairs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The field that both sides share, a list of such fields, or `{left: right}` where the names differ.",
            "type": ["string", "array", "object"],
            "items": {"type": "string"},
            "additionalProperties": {"type": "string"}
        })
    }
}

/// What an output column holds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// A field as it is.
    Field(Src<String>),
    /// The value of an expression.
    Expr(Src<Expr>),
}

/// Output columns: `[field, …]`, or `{name: expression, …}`.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Columns(pub Vec<(String, Column)>);

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Columns, D::Error> {
        let expr = |name: Src<String>| {
            Column::Expr(Src {
                value: Expr(name.value),
                span: name.span,
            })
        };
        Ok(Columns(match Shape::deserialize(d)? {
            Shape::One(_) => return Err(D::Error::custom("expected a list or a map of fields")),
            Shape::List(names) => names
                .into_iter()
                .map(|name| (name.value.clone(), Column::Field(name)))
                .collect(),
            Shape::Map(map) => map
                .0
                .into_iter()
                .map(|(name, source)| (name, expr(source)))
                .collect(),
        }))
    }
}

impl JsonSchema for Columns {
    fn schema_name() -> Cow<'static, str> {
        "Columns".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let expr = generator.subschema_for::<Expr>();
        json_schema!({
            "description": "The fields in order, or `{name: expression}`.",
            "type": ["array", "object"],
            "items": {"type": "string"},
            "additionalProperties": expr
        })
    }
}
