//! The record: what stages pass to each other. Owns a stable key and ordered fields;
//! knows nothing of stages.
//!
//! Fields hold `minijinja` values: strings are shared, so that a record with a long note can
//! go to ten stages, and into expressions and prompts, without its text being copied.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One record: a key that stays the same from run to run, and its fields in order.
#[derive(Clone, Debug)]
pub struct Record {
    /// Names the record in errors, traces and shards. Unique within a stage's output.
    pub key: Arc<str>,
    /// The fields, in the order in which they are written out.
    pub fields: Fields,
}

impl Record {
    /// A record with no fields yet.
    pub fn new(key: impl Into<Arc<str>>) -> Record {
        Record {
            key: key.into(),
            fields: Fields::default(),
        }
    }

    /// The record as a value for expressions and templates: a map of its fields. Who gets
    /// it back from there finds the key too, by [`Value::downcast_object_ref`].
    pub fn to_value(&self) -> Value {
        Value::from_object(self.clone())
    }
}

impl Object for Record {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.fields.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let names = self.fields.iter().map(|(name, _)| name.clone());
        Enumerator::Values(names.map(Value::from).collect())
    }
}

/// Ordered fields. Records have few of them, so a vector beats a hash map.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<(Arc<str>, Value)>);

impl Fields {
    /// Fields whose names are known to be different, such as the columns of a table.
    pub fn from_distinct(pairs: Vec<(Arc<str>, Value)>) -> Fields {
        Fields(pairs)
    }

    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| v)
    }

    /// Sets a field: in its place if it exists, else at the end.
    pub fn set(&mut self, name: impl Into<Arc<str>> + AsRef<str>, value: Value) {
        match self.0.iter_mut().find(|(n, _)| &**n == name.as_ref()) {
            Some(slot) => slot.1 = value,
            None => self.0.push((name.into(), value)),
        }
    }

    /// Removes a field and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.0.iter().position(|(n, _)| &**n == name)?;
        Some(self.0.remove(at).1)
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.0.iter().map(|(n, v)| (n, v))
    }

    /// The names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(n, _)| &**n)
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(Arc<str>, Value)> for Fields {
    /// Later values of a name replace earlier ones.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(pairs: I) -> Fields {
        let mut fields = Fields::default();
        for (name, value) in pairs {
            fields.set(name, value);
        }
        fields
    }
}

impl Object for Fields {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(n, _)| Value::from(n.clone())).collect())
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(&**name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Fields, D::Error> {
        struct FieldsVisitor;
        impl<'de> Visitor<'de> for FieldsVisitor {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Fields::default();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    fields.set(name, value);
                }
                Ok(fields)
            }
        }
        d.deserialize_map(FieldsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_order_and_kinds() {
        let text =
            r#"{"b":1,"a":1.0,"c":null,"d":[true,{"z":"x","y":-3}],"e":18446744073709551615}"#;
        let fields: Fields = serde_json::from_str(text).expect("valid");
        assert_eq!(serde_json::to_string(&fields).expect("serializes"), text);
    }

    #[test]
    fn set_replaces_in_place() {
        let mut fields: Fields = serde_json::from_str(r#"{"a":1,"b":2}"#).expect("valid");
        fields.set("a", Value::from(3));
        fields.set("c", Value::from("x"));
        assert_eq!(
            serde_json::to_string(&fields).expect("serializes"),
            r#"{"a":3,"b":2,"c":"x"}"#
        );
        assert!(fields.remove("b").is_some());
        assert_eq!(fields.names().collect::<Vec<_>>(), ["a", "c"]);
    }
}
