//! The length of the longest common subsequence of two token sequences, 64 tokens at a time.
//!
//! One bit per token of `a`: a bit that has become 0 is a step of the current row of the
//! well-known table. A row follows from the one before by `v = (v + (v & m)) | (v & !m)`,
//! where `m` marks the places of the next token of `b` in `a` (Crochemore et al., "A fast and
//! practical bit-vector algorithm for the longest common subsequence problem", 2001). Blocks
//! of 64 bits are done one after another, with the carries of a block kept for the next, so
//! that memory is in the length of `b` and time is `|a| · |b| / 64`.

/// Finds lengths of longest common subsequences. Keeps its buffers from pair to pair.
#[derive(Default)]
pub struct Lcs {
    /// The places of each token in a block of `a`; all zero between blocks.
    places: Vec<u64>,
    carries: Vec<bool>,
}

impl Lcs {
    /// The length of the longest common subsequence. Tokens are below `tokens`.
    pub fn length(&mut self, a: &[u32], b: &[u32], tokens: usize) -> usize {
        self.places.resize(tokens, 0);
        self.carries.clear();
        self.carries.resize(b.len(), false);
        let mut steps = 0;
        for block in a.chunks(64) {
            for (bit, &token) in block.iter().enumerate() {
                self.places[token as usize] |= 1 << bit;
            }
            let mut row = u64::MAX;
            for (&token, carry) in b.iter().zip(&mut self.carries) {
                let matches = self.places[token as usize];
                let (sum, over) = row.overflowing_add(row & matches);
                let (sum, over_again) = sum.overflowing_add(u64::from(*carry));
                row = sum | (row & !matches);
                *carry = over | over_again;
            }
            let used = u64::MAX >> (64 - block.len());
            steps += (!row & used).count_ones() as usize;
            for &token in block {
                self.places[token as usize] = 0;
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    /// The table, row by row.
    fn plain(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0; a.len() + 1];
        for y in b {
            let mut diagonal = 0;
            for (at, x) in a.iter().enumerate() {
                let above = row[at + 1];
                row[at + 1] = if x == y {
                    diagonal + 1
                } else {
                    above.max(row[at])
                };
                diagonal = above;
            }
        }
        row[a.len()]
    }

    proptest! {
        #[test]
        fn equals_the_table(
            a in proptest::collection::vec(0u32..6, 0..200),
            b in proptest::collection::vec(0u32..6, 0..200),
        ) {
            let mut lcs = Lcs::default();
            prop_assert_eq!(lcs.length(&a, &b, 6), plain(&a, &b));
            prop_assert_eq!(lcs.length(&b, &a, 7), plain(&a, &b));
        }
    }
}
