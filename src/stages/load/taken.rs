//! Which fields a file's records keep, and what they are called. Owns how that is written in
//! YAML; knows nothing of formats.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::spec::decode::Src;

/// A field that is taken.
#[derive(Clone, Debug)]
pub struct Take {
    /// Its name in the records.
    pub name: String,
    /// Its names in the file, of which the first one there is counts.
    pub sources: Vec<Src<String>>,
    /// True when it is null where the file has none of them.
    pub optional: bool,
}

/// The fields that are taken, in order.
#[derive(Clone, Debug)]
pub struct Taken(pub Vec<Take>);

/// As keys see it: a plain list where nothing is renamed.
impl Serialize for Taken {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let plain = |take: &Take| {
            !take.optional && matches!(&take.sources[..], [one] if one.value == take.name)
        };
        if self.0.iter().all(plain) {
            return s.collect_seq(self.0.iter().map(|take| &take.name));
        }
        s.collect_seq(
            self.0
                .iter()
                .map(|take| (&take.name, &take.sources, take.optional)),
        )
    }
}

/// The names in the file for one field.
struct Sources(Vec<Option<Src<String>>>);

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Sources, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Result<String, Vec<Option<Src<String>>>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the field's name in the file, or a list of possible names")
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Ok(name.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = seq.next_element()? {
                    names.push(name);
                }
                Ok(Err(names))
            }
        }
        struct Shape(Result<String, Vec<Option<Src<String>>>>);
        impl<'de> Deserialize<'de> for Shape {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Shape, D::Error> {
                d.deserialize_any(OneOrMany).map(Shape)
            }
        }
        let Src { value, span } = Src::<Shape>::deserialize(d)?;
        Ok(Sources(match value.0 {
            Ok(value) => vec![Some(Src { value, span })],
            Err(names) => names,
        }))
    }
}

impl<'de> Deserialize<'de> for Taken {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Taken, D::Error> {
        struct ListOrMap;
        impl<'de> Visitor<'de> for ListOrMap {
            type Value = Taken;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list or a map of fields")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Taken, A::Error> {
                let mut taken = Vec::new();
                while let Some(name) = seq.next_element::<Src<String>>()? {
                    taken.push(Take {
                        name: name.value.clone(),
                        sources: vec![name],
                        optional: false,
                    });
                }
                Ok(Taken(taken))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Taken, A::Error> {
                let mut taken = Vec::new();
                while let Some((name, Sources(names))) = map.next_entry::<String, Sources>()? {
                    let optional = names.last().is_some_and(Option::is_none);
                    let sources: Vec<Src<String>> = names.into_iter().flatten().collect();
                    if sources.is_empty() {
                        return Err(A::Error::custom(format!(
                            "`{name}` has no name in the file"
                        )));
                    }
                    taken.push(Take {
                        name,
                        sources,
                        optional,
                    });
                }
                Ok(Taken(taken))
            }
        }
        d.deserialize_any(ListOrMap)
    }
}

impl JsonSchema for Taken {
    fn schema_name() -> Cow<'static, str> {
        "FieldsOfFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The fields in order; or `{name: name in the file}`, or `{name: [name in the file, another, …]}`: the first one there is; with `null` at the end, null if there is none.",
            "type": ["array", "object"],
            "items": {"type": "string"},
            "additionalProperties": {
                "type": ["string", "array"],
                "items": {"type": ["string", "null"]}
            }
        })
    }
}
