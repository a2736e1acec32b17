//! Hashes of what must not leave, which only those can make again who have the data: their salt
//! is made of the bytes of the sensitive files themselves, not of anything that a bundle or a
//! lock says of them.

use std::io::{self, Read};

use crate::hash::Hash;

/// How the salt is made; a change of meaning is a new version.
const CONTEXT: &str = "clue bundle salt v1";
/// Digits of a mark: 64 bits tell records apart.
const DIGITS: usize = 16;

/// What a mark is of: marks of different things are different, even of the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// The key of a record.
    Key,
    /// A record with its fields.
    Record,
    /// The key of a call.
    Call,
    /// The text of an answer.
    Reply,
}

/// A salt.
#[derive(Clone)]
pub struct Salt([u8; 32]);

/// Makes a salt.
pub struct Salting {
    hasher: blake3::Hasher,
    any: bool,
}

impl Default for Salting {
    fn default() -> Salting {
        Salting {
            hasher: blake3::Hasher::new_derive_key(CONTEXT),
            any: false,
        }
    }
}

impl Salting {
    /// Adds a sensitive file. They come in the order of what the lock calls them.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn add(&mut self, file: impl Read) -> io::Result<()> {
        // Which bytes belong to which file is said by a hash of each, made with this salt's key.
        let mut one = blake3::Hasher::new_derive_key(CONTEXT);
        one.update_reader(file)?;
        self.hasher.update(one.finalize().as_bytes());
        self.any = true;
        Ok(())
    }

    /// The salt; none of nothing.
    pub fn salt(self) -> Option<Salt> {
        let salt = Salt(*self.hasher.finalize().as_bytes());
        self.any.then_some(salt)
    }
}

impl Salt {
    /// The mark of some bytes.
    pub fn mark(&self, of: Of, bytes: &[u8]) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(&[match of {
            Of::Key => 0,
            Of::Record => 1,
            Of::Call => 2,
            Of::Reply => 3,
        }]);
        hasher.update(bytes);
        short(Hash(*hasher.finalize().as_bytes()))
    }

    /// What the report of a bundle salts its keys with.
    pub fn of_page(&self) -> Hash {
        Hash(*blake3::keyed_hash(&self.0, b"page").as_bytes())
    }
}

/// The mark of bytes that are nobody's secret: the beginning of their BLAKE3 hash.
pub fn plain_mark(bytes: &[u8]) -> String {
    short(Hash::of_bytes(bytes))
}

fn short(hash: Hash) -> String {
    let mut digits = hash.to_string();
    digits.truncate(DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn salt(files: &[&str]) -> Option<Salt> {
        let mut salting = Salting::default();
        for file in files {
            salting.add(file.as_bytes()).expect("read");
        }
        salting.salt()
    }

    #[test]
    fn marks_depend_on_all_files_and_on_what_they_are_of() {
        let of = |files: &[&str], of| salt(files).expect("a salt").mark(of, b"n1");
        let one = of(&["ab", "c"], Of::Key);
        assert_eq!(one.len(), DIGITS);
        assert_eq!(one, of(&["ab", "c"], Of::Key));
        for other in [
            of(&["a", "bc"], Of::Key),
            of(&["c", "ab"], Of::Key),
            of(&["abc"], Of::Key),
            of(&["ab", "c"], Of::Record),
            plain_mark(b"n1"),
        ] {
            assert_ne!(one, other);
        }
        assert!(salt(&[]).is_none());
    }
}
