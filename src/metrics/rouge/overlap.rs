//! How many n-grams two texts share, repeated ones as often as in both. Texts are numbers of
//! words.

/// Counts n-grams that two texts share. Keeps its buffers from pair to pair.
#[derive(Default)]
pub struct Overlap {
    /// How often each word of one text is not yet found in the other.
    left: Vec<u32>,
    pairs: [Vec<u64>; 2],
}

impl Overlap {
    /// Shared words. Their numbers are below `words`.
    pub fn of_words(&mut self, a: &[u32], b: &[u32], words: usize) -> usize {
        self.left.resize(words, 0);
        for &word in b {
            self.left[word as usize] += 1;
        }
        let mut shared = 0;
        for &word in a {
            let left = &mut self.left[word as usize];
            shared += usize::from(*left > 0);
            *left = left.saturating_sub(1);
        }
        for &word in b {
            self.left[word as usize] = 0;
        }
        shared
    }

    /// Shared pairs of words that follow each other.
    pub fn of_pairs(&mut self, a: &[u32], b: &[u32]) -> usize {
        for (pairs, text) in self.pairs.iter_mut().zip([a, b]) {
            pairs.clear();
            pairs.extend(
                text.windows(2)
                    .map(|pair| u64::from(pair[0]) << 32 | u64::from(pair[1])),
            );
            pairs.sort_unstable();
        }
        let [a, b] = &self.pairs;
        let (mut at_a, mut at_b, mut shared) = (0, 0, 0);
        while let (Some(x), Some(y)) = (a.get(at_a), b.get(at_b)) {
            shared += usize::from(x == y);
            at_a += usize::from(x <= y);
            at_b += usize::from(y <= x);
        }
        shared
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::hash::Hash;

    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn plain<T: Hash + Eq>(a: impl Iterator<Item = T>, b: impl Iterator<Item = T>) -> usize {
        let counts = |items: &mut dyn Iterator<Item = T>| {
            let mut counts = HashMap::new();
            items.for_each(|item| *counts.entry(item).or_insert(0) += 1);
            counts
        };
        let (mut a, mut b) = (a, b);
        let (a, b): (HashMap<T, usize>, HashMap<T, usize>) = (counts(&mut a), counts(&mut b));
        a.iter()
            .map(|(item, &n)| n.min(b.get(item).copied().unwrap_or(0)))
            .sum()
    }

    proptest! {
        #[test]
        fn equals_counting(
            texts in proptest::collection::vec(proptest::collection::vec(0u32..6, 0..30), 2..6)
        ) {
            let mut overlap = Overlap::default();
            for (a, b) in texts.iter().zip(&texts[1..]) {
                let words = plain(a.iter(), b.iter());
                prop_assert_eq!(overlap.of_words(a, b, 6), words);
                let pairs = plain(a.windows(2), b.windows(2));
                prop_assert_eq!(overlap.of_pairs(a, b), pairs);
            }
        }
    }
}
