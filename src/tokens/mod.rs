//! Texts as tokens: how many a text has, and what its first so many are. Owns where a text may be
//! cut; knows nothing of models. Tokenizers come from a `tokenizer.json` ([`Disk`]) or, as lengths
//! of pieces, from a server.

#[cfg(feature = "tokenizers")]
mod disk;

#[cfg(feature = "tokenizers")]
pub use disk::{Disk, open};

/// How a text is cut into tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Marks that the tokenizer puts before the text.
    before: Vec<String>,
    /// For each token of the text, the byte at which it ends. Never falls.
    ends: Vec<usize>,
    /// How many marks the tokenizer puts after the text.
    after: usize,
}

impl Split {
    /// A text of which each token has so many bytes.
    pub fn of_lengths(lengths: &[u32]) -> Split {
        let mut end = 0;
        let ends = lengths.iter().map(|length| {
            end += *length as usize;
            end
        });
        Split {
            ends: ends.collect(),
            ..Split::default()
        }
    }

    /// The number of tokens, marks included.
    pub fn count(&self) -> usize {
        self.before.len() + self.ends.len() + self.after
    }

    /// The first `n` tokens of `text`, which is the text that was cut, as a text, and how many
    /// they are: fewer than `n` where the `n`-th ends within a character. Marks before the text
    /// are tokens too.
    pub fn first(&self, text: &str, n: usize) -> (String, usize) {
        let marks = n.min(self.before.len());
        let mut first = self.before[..marks].concat();
        let mut kept = (n - marks).min(self.ends.len());
        // Where tokens share a character, each of them ends with it.
        let within = |kept: usize| {
            let end = self.ends[kept - 1];
            self.ends.get(kept) == Some(&end) || !text.is_char_boundary(end)
        };
        while kept > 0 && within(kept) {
            kept -= 1;
        }
        if let Some(at) = kept.checked_sub(1) {
            first.push_str(text.get(..self.ends[at]).unwrap_or(text));
        }
        (first, marks + kept)
    }
}

#[cfg(not(feature = "tokenizers"))]
pub use absent::Disk;

#[cfg(not(feature = "tokenizers"))]
mod absent {
    use std::path::Path;

    use super::Split;
    use crate::diag::Diagnostic;

    /// A tokenizer from disk, which this build cannot read.
    pub enum Disk {}

    impl Disk {
        /// Reads none.
        ///
        /// # Errors
        /// Always.
        pub fn open(_path: &Path) -> Result<Disk, Diagnostic> {
            let what = "this build of clue cannot read a `tokenizer.json`";
            Err(Diagnostic::error(what)
                .help("build it with the feature `tokenizers`, which is on by default"))
        }

        /// Never called.
        ///
        /// # Errors
        /// None.
        pub fn split(&self, _text: &str, _marks: bool) -> Result<Split, String> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_between_tokens_and_never_within_a_character() {
        // "aü" + "😀" in three tokens, the last character in two of them.
        let split = Split::of_lengths(&[1, 2, 1, 3]);
        let text = "aü😀";
        let first = |n| split.first(text, n);
        assert_eq!(split.count(), 4);
        assert_eq!(first(0), (String::new(), 0));
        assert_eq!(first(2), ("aü".to_owned(), 2));
        assert_eq!(first(3), ("aü".to_owned(), 2));
        assert_eq!(first(9), (text.to_owned(), 4));
    }

    #[test]
    fn marks_are_tokens() {
        let split = Split {
            before: vec!["<s>".to_owned()],
            ends: vec![1, 3, 3],
            after: 1,
        };
        assert_eq!(split.count(), 5);
        assert_eq!(split.first("aü", 0), (String::new(), 0));
        assert_eq!(split.first("aü", 1), ("<s>".to_owned(), 1));
        // The second and third token are one character.
        assert_eq!(split.first("aü", 3), ("<s>a".to_owned(), 2));
        assert_eq!(split.first("aü", 4), ("<s>aü".to_owned(), 4));
    }

    proptest! {
        #[test]
        fn no_cut_panics(text in "\\PC{0,20}", lengths in prop::collection::vec(0u32..6, 0..12), n in 0usize..14) {
            let (first, kept) = Split::of_lengths(&lengths).first(&text, n);
            prop_assert!(text.starts_with(&first));
            prop_assert!(kept <= n);
        }
    }
}
