//! The index of a segment in a bucket: how long the segment is, and what is in it. Pure.
//!
//! `clue-idx` and version 1 (12 bytes), the segment's length (8, little-endian), then kind (1) and
//! key (32) of each entry, and the BLAKE3 of all of that (32).

use crate::hash::Hash;
use crate::store::Kind;

const HEADER: [u8; 12] = *b"clue-idx\x01\0\0\0";
/// Bytes of an entry.
const ENTRY: usize = 33;

/// What an index says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Index {
    /// Bytes of the segment.
    pub(super) len: u64,
    /// What is in it.
    pub(super) entries: Vec<(Kind, Hash)>,
}

impl Index {
    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = HEADER.to_vec();
        bytes.extend(self.len.to_le_bytes());
        for (kind, key) in &self.entries {
            bytes.push(kind.byte());
            bytes.extend(key.0);
        }
        bytes.extend(Hash::of_bytes(&bytes).0);
        bytes
    }

    /// Reads one; `None` when a byte of it has changed.
    pub(super) fn decode(bytes: &[u8]) -> Option<Index> {
        let (text, sum) = bytes.split_last_chunk::<32>()?;
        if Hash::of_bytes(text).0 != *sum {
            return None;
        }
        let (len, entries) = text.strip_prefix(&HEADER)?.split_first_chunk::<8>()?;
        if entries.len() % ENTRY != 0 {
            return None;
        }
        let entries = entries.chunks_exact(ENTRY).map(|entry| {
            let (kind, key) = entry.split_first()?;
            Some((Kind::of_byte(*kind)?, Hash(key.try_into().ok()?)))
        });
        Some(Index {
            len: u64::from_le_bytes(*len),
            entries: entries.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_index_is_read_as_written_and_no_other(
            len: u64,
            keys: Vec<(bool, [u8; 32])>,
            at: prop::sample::Index,
            bit in 0..8,
        ) {
            let kind = |call| if call { Kind::Call } else { Kind::Result };
            let entries = keys.into_iter().map(|(call, key)| (kind(call), Hash(key))).collect();
            let index = Index { len, entries };
            let mut bytes = index.encode();
            prop_assert_eq!(Index::decode(&bytes), Some(index));
            let at = at.index(bytes.len());
            prop_assert_eq!(Index::decode(&bytes[..at]), None);
            bytes[at] ^= 1_u8 << bit;
            prop_assert_eq!(Index::decode(&bytes), None);
        }
    }
}
