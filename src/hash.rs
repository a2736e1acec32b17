//! Content hashes. Owns how a value becomes a key; knows nothing of what the values mean.
//!
//! A key is a named struct, serialized as canonical JSON (maps sorted, no white space) into
//! BLAKE3 in its key-derivation mode, with a context string that names the kind of key and
//! its version. A change of meaning is a new version.

use std::fmt;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A 256-bit BLAKE3 hash, written as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// The hash of raw bytes (plain BLAKE3, the same as `b3sum` prints).
    pub fn of_bytes(bytes: &[u8]) -> Hash {
        Hash(*blake3::hash(bytes).as_bytes())
    }

    /// The same of all that a reader gives.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_reader(reader: impl std::io::Read) -> std::io::Result<Hash> {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(reader)?;
        Ok(Hash(*hasher.finalize().as_bytes()))
    }

    /// The key of `value` under `context`, e.g. `"clue call v1"`.
    pub fn of<T: Serialize + ?Sized>(context: &str, value: &T) -> Hash {
        Hash::of_json(context, serde_json::to_value(value).unwrap_or_default())
    }

    /// The same of JSON that nobody needs any more.
    pub fn of_json(context: &str, value: serde_json::Value) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&sorted(value));
        Hash(*hasher.finalize().as_bytes())
    }

    /// The same of a value without maps, whose JSON has one order anyway: for much of it.
    pub fn of_plain<T: Serialize + ?Sized>(context: &str, value: &T) -> Hash {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&serde_json::to_vec(value).unwrap_or_default());
        Hash(*hasher.finalize().as_bytes())
    }

    /// The first 12 hex digits: enough to name a thing to a person.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Hash> {
        blake3::Hash::from_hex(text)
            .ok()
            .map(|h| Hash(*h.as_bytes()))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.short())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Hash, D::Error> {
        d.deserialize_str(Digits)
    }
}

/// Reads a hash without a copy of its text: records of runs hold thousands.
struct Digits;

impl Visitor<'_> for Digits {
    type Value = Hash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hex digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Hash, E> {
        Hash::parse(text).ok_or_else(|| E::custom("expected 64 hex digits"))
    }
}

/// JSON with every map sorted by key and no white space, so that equal values have equal bytes.
///
/// A value that JSON cannot hold (a map with keys that are no strings) becomes `null`; the
/// structs used as keys have none.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    sorted(serde_json::to_value(value).unwrap_or_default())
}

fn sorted(mut json: serde_json::Value) -> Vec<u8> {
    json.sort_all_objects();
    serde_json::to_vec(&json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_map_keys_does_not_matter() {
        let a = serde_json::json!({"x": {"b": 1, "a": 2}, "a": null});
        let b = serde_json::json!({"a": null, "x": {"a": 2, "b": 1}});
        assert_eq!(Hash::of("clue test v1", &a), Hash::of("clue test v1", &b));
        assert_ne!(Hash::of("clue test v1", &a), Hash::of("clue test v2", &a));
    }

    #[test]
    fn the_scheme_is_pinned() {
        let key = Hash::of(
            "clue test v1",
            &serde_json::json!({"b": [1, 2.5, "é"], "a": true}),
        );
        assert_eq!(Hash::parse(&key.to_string()), Some(key));
        assert_eq!(
            canonical_json(&serde_json::json!({"b": 1.0, "a": "é"})),
            "{\"a\":\"é\",\"b\":1.0}".as_bytes()
        );
    }
}
