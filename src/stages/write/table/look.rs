//! The settings of tables, decoded. Owns their shapes in YAML.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::spec::decode::Src;
use crate::stages::named::{Names, Pairs};

/// How a table looks.
pub struct Look {
    /// The columns with their headings; all if none.
    pub columns: Option<Headings>,
    /// Decimals.
    pub digits: Option<usize>,
    /// Columns written times 100.
    pub percent: Which,
    /// Columns whose best score is marked.
    pub best: Which,
    /// Columns in which less is better.
    pub lower: Names,
    /// Whether intervals are shown.
    pub intervals: bool,
}

impl Look {
    /// True if anything is set.
    pub fn is_set(&self) -> bool {
        self.columns.is_some()
            || self.digits.is_some()
            || self.percent.is_set()
            || self.best.is_set()
            || !self.lower.0.is_empty()
            || self.intervals
    }

    /// Every field that is named.
    pub fn names(&self) -> impl Iterator<Item = &Src<String>> {
        let columns = self.columns.iter().flat_map(|columns| &columns.0.0);
        let columns = columns.map(|(field, _)| field);
        let which = [&self.percent, &self.best];
        let which = which.into_iter().flat_map(|which| match which {
            Which::All(_) => &[],
            Which::Some(names) => names.0.as_slice(),
        });
        columns.chain(which).chain(&self.lower.0)
    }
}

/// Columns with their headings: a list of fields, or `{field: heading}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Headings(pub Pairs);

impl JsonSchema for Headings {
    fn schema_name() -> Cow<'static, str> {
        "Headings".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The fields in order, or `{field: heading}`.",
            "type": ["string", "array", "object"],
            "items": {"type": "string"},
            "additionalProperties": {"type": "string"}
        })
    }
}

/// Some of the columns: all that fit or none, or those named.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Which {
    /// `true` or `false`.
    All(bool),
    /// Their names.
    Some(Names),
}

impl Which {
    fn is_set(&self) -> bool {
        !matches!(self, Which::All(false))
    }

    /// Whether a column is one of them; `fits` says whether it would be one by itself.
    pub fn has(&self, name: &str, fits: bool) -> bool {
        match self {
            Which::All(all) => *all && fits,
            Which::Some(names) => names.0.iter().any(|known| known.value == name),
        }
    }
}

impl Default for Which {
    fn default() -> Which {
        Which::All(false)
    }
}

impl JsonSchema for Which {
    fn schema_name() -> Cow<'static, str> {
        "Which".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`true`, `false`, or a list of columns.",
            "anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]
        })
    }
}

impl<'de> Deserialize<'de> for Which {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Which, D::Error> {
        struct WhichVisitor;
        impl<'de> Visitor<'de> for WhichVisitor {
            type Value = Which;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`true`, `false` or a list of columns")
            }

            fn visit_bool<E>(self, all: bool) -> Result<Which, E> {
                Ok(Which::All(all))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Which, A::Error> {
                let names = Vec::deserialize(SeqAccessDeserializer::new(seq))?;
                Ok(Which::Some(Names(names)))
            }
        }
        d.deserialize_any(WhichVisitor)
    }
}
