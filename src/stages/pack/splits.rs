//! Texts that were cut into tokens, so that one that many records share is cut once. Owns how
//! many are remembered.

use std::collections::HashMap;
use std::sync::Arc;

use crate::hash::Hash;
use crate::tokens::Split;

/// Tokens after which what is known is forgotten: 8 bytes each.
const MOST: usize = 8 << 20;

/// Texts by their hash, each with its tokens.
#[derive(Default)]
pub struct Splits {
    known: HashMap<Hash, Arc<Split>>,
    tokens: usize,
}

impl Splits {
    /// What is known of a text.
    pub fn get(&self, text: Hash) -> Option<Arc<Split>> {
        self.known.get(&text).cloned()
    }

    /// Remembers a text.
    pub fn put(&mut self, text: Hash, split: Arc<Split>) {
        if self.tokens > MOST {
            *self = Splits::default();
        }
        self.tokens += split.count();
        self.known.insert(text, split);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_bounded() {
        let mut splits = Splits::default();
        let long = Arc::new(Split::of_lengths(&vec![1; MOST / 2]));
        for text in 0..10u8 {
            splits.put(Hash::of_bytes(&[text]), long.clone());
            assert!(splits.get(Hash::of_bytes(&[text])).is_some());
            assert!(splits.known.len() <= 3);
        }
    }
}
