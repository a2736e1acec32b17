//! What texts hold, to be looked up by hash: sorted, with a filter before it, so that looking up
//! what is not there, which is nearly always, touches one bit. Eight bytes and some bits for each.

/// Bits of the filter for each hash.
const BITS: usize = 16;

/// A set of hashes.
#[derive(Debug, Default)]
pub struct Index {
    hashes: Vec<u64>,
    filter: Vec<u64>,
    shift: u32,
}

impl Index {
    /// Of these hashes.
    pub fn new(mut hashes: Vec<u64>) -> Index {
        hashes.sort_unstable();
        hashes.dedup();
        let bits = (hashes.len() * BITS).next_power_of_two().max(64);
        let shift = 64 - bits.trailing_zeros();
        let mut filter = vec![0; bits / 64];
        for hash in &hashes {
            let bit = hash >> shift;
            filter[(bit / 64) as usize] |= 1 << (bit % 64);
        }
        Index {
            hashes,
            filter,
            shift,
        }
    }

    /// True if a hash is there.
    pub fn has(&self, hash: u64) -> bool {
        let bit = hash.checked_shr(self.shift).unwrap_or(0);
        let word = self.filter.get((bit / 64) as usize).copied().unwrap_or(0);
        word & 1 << (bit % 64) != 0 && self.hashes.binary_search(&hash).is_ok()
    }

    /// Takes out those that another has.
    pub fn without(self, other: &Index) -> Index {
        let mut hashes = self.hashes;
        hashes.retain(|hash| !other.has(*hash));
        Index::new(hashes)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(all in prop::collection::vec(any::<u64>(), 0..300), few in prop::collection::vec(0_u64..9, 0..9)) {
            let all: Vec<u64> = all.into_iter().chain(few).collect();
            let set: HashSet<u64> = all.iter().copied().collect();
            let index = Index::new(all.clone());
            for hash in all.iter().copied().chain(0..20) {
                prop_assert_eq!(index.has(hash), set.contains(&hash));
            }
            let half = Index::new(all[..all.len() / 2].to_vec());
            let rest = index.without(&half);
            for hash in all {
                prop_assert_eq!(rest.has(hash), !half.has(hash));
            }
            prop_assert!(!Index::default().has(3));
        }
    }
}
