//! Content hashes. Owns how a value becomes a key; knows nothing of what the values mean.
//!
//! A key is a named struct, serialized as canonical JSON (maps sorted, no white space) into
//! BLAKE3 in its key-derivation mode, with a context string that names the kind of key and
//! its version. A change of meaning is a new version.

mod canonical;
mod canonical_text;

use std::fmt;

use blake3::hazmat::{ContextKey, HasherExt, hash_derive_key_context};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use canonical_text::Canonical;

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
        Hash::of_pieces(context, &[&canonical_json(value)])
    }

    /// The same of bytes in pieces, such as canonical JSON that is there already.
    pub fn of_pieces(context: &str, pieces: &[&[u8]]) -> Hash {
        Hash::under(&Context::new(context), pieces)
    }

    /// The same under a context that is kept for many keys.
    pub fn under(context: &Context, pieces: &[&[u8]]) -> Hash {
        let mut hasher = blake3::Hasher::new_from_context_key(&context.0);
        for piece in pieces {
            hasher.update(piece);
        }
        Hash(*hasher.finalize().as_bytes())
    }

    /// The first 12 hex digits: enough to name a thing to a person.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }

    /// The 64 hex digits. BLAKE3's own way makes them one by one, most of the time of a short key.
    pub fn digits(&self) -> [u8; 64] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }

    /// Reads 64 hex digits.
    pub fn parse(text: &str) -> Option<Hash> {
        let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
        let (mut hash, mut all) = ([0; 32], 0);
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let high = VALUES[usize::from(pair[0])];
            let low = VALUES[usize::from(pair[1])];
            *byte = high << 4 | low;
            all |= high | low;
        }
        (all < 16).then_some(Hash(hash))
    }
}

/// What digits are worth, in lower or upper case; more than 15 for other bytes.
const VALUES: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        let digits = [b"0123456789abcdef", b"0123456789ABCDEF"];
        values[digits[0][value] as usize] = value as u8;
        values[digits[1][value] as usize] = value as u8;
        value += 1;
    }
    values
};

/// What keys of one kind have in common, such as `"clue stage v1"`, hashed.
pub struct Context(ContextKey);

impl Context {
    /// Of its name.
    pub fn new(name: &str) -> Context {
        Context(hash_derive_key_context(name))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(text(&self.digits()))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({})", self.short())
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(text(&self.digits()))
    }
}

fn text(digits: &[u8; 64]) -> &str {
    std::str::from_utf8(digits).unwrap_or_default()
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
    canonical::json(value).unwrap_or_else(|_| b"null".to_vec())
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
    fn digits_are_read_as_they_are_written_and_nothing_else() {
        for byte in 0..=u8::MAX {
            let hash = Hash([byte; 32]);
            let text = hash.to_string();
            assert_eq!(Hash::parse(&text), Some(hash));
            assert_eq!(Hash::parse(&text.to_uppercase()), Some(hash));
            let other = format!("{}{}", &text[1..], char::from(byte));
            let is_digit = char::from(byte).is_ascii_hexdigit();
            assert_eq!(Hash::parse(&other).is_some(), is_digit, "{other}");
        }
        assert_eq!(Hash::parse(&"0".repeat(63)), None);
    }

    #[test]
    fn the_scheme_is_pinned() {
        let key = Hash::of(
            "clue test v1",
            &serde_json::json!({"b": [1, 2.5, "é"], "a": true}),
        );
        assert_eq!(Hash::parse(&key.to_string()), Some(key));
        let blake3 = blake3::Hash::from_bytes(key.0).to_hex();
        assert_eq!(key.to_string(), blake3.as_str());
        assert_eq!(Hash::parse(&key.to_string().replace('a', "g")), None);
        assert_eq!(Hash::parse("ab"), None);
        assert_eq!(
            canonical_json(&serde_json::json!({"b": 1.0, "a": "é"})),
            "{\"a\":\"é\",\"b\":1.0}".as_bytes()
        );
    }
}
