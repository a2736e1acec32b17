//! A value kept as its canonical JSON: compared and hashed as it is, and a tree only for who asks.

use std::sync::Arc;

use serde::de::Deserialize;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::canonical_json;

/// A value as canonical JSON. Serialized and read as the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canonical(Arc<str>);

impl Canonical {
    /// Of any value; `null` of one that JSON cannot hold.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Canonical {
        let json = String::from_utf8(canonical_json(value));
        Canonical(json.unwrap_or_else(|_| "null".to_owned()).into())
    }

    /// The JSON.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The value as a tree.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.0).unwrap_or_default()
    }
}

impl Serialize for Canonical {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // By way of a tree, which every format can write.
        self.value().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Canonical {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Canonical, D::Error> {
        Ok(Canonical::of(&Value::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_and_read_as_the_value_itself() {
        let value = serde_json::json!({"b": [1, 2.5, null], "a": {"é": "\"\n"}});
        let canonical = Canonical::of(&value);
        assert_eq!(canonical.text(), r#"{"a":{"é":"\"\n"},"b":[1,2.5,null]}"#);
        assert_eq!(canonical.value(), value);
        let json = serde_json::to_string(&[&canonical]).expect("JSON");
        assert_eq!(json, format!("[{}]", canonical.text()));
        // Within what becomes canonical in its turn, too.
        assert_eq!(Canonical::of(&[&canonical]).text(), json);
        let again: Vec<Canonical> = serde_json::from_str(&json).expect("JSON");
        assert_eq!(again, [canonical]);
    }
}
