//! Characters that readers take for the same: composed or not, in capitals or not, and those that
//! nobody sees. Owns which those are.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

/// A text in the form NFKC, without the characters that nobody sees.
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let all_seen = !text.chars().any(is_unseen);
    if all_seen && is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().filter(|c| !is_unseen(*c)).nfkc().collect())
}

/// A text with gaps where characters are that nobody sees, if there are some: a soft hyphen stands
/// in a word, and a space of no width may stand between two.
pub fn spaced(text: &str) -> Option<String> {
    if text.is_ascii() || !text.chars().any(is_unseen) {
        return None;
    }
    let shown = text.chars().map(|c| if is_unseen(c) { ' ' } else { c });
    Some(shown.collect())
}

/// A character without its case, as Unicode's full case folding has it: `ß` is `ss`.
pub fn folded(c: char) -> impl Iterator<Item = char> {
    let capitals = c.to_lowercase().flat_map(char::to_uppercase);
    capitals.flat_map(char::to_lowercase)
}

/// True for characters that show nothing by themselves: Default_Ignorable_Code_Point of Unicode 16
/// (`DerivedCoreProperties.txt`).
fn is_unseen(c: char) -> bool {
    matches!(
        u32::from(c),
        0xad | 0x34f
            | 0x61c
            | 0x115f..=0x1160
            | 0x17b4..=0x17b5
            | 0x180b..=0x180f
            | 0x200b..=0x200f
            | 0x202a..=0x202e
            | 0x2060..=0x206f
            | 0x3164
            | 0xfe00..=0xfe0f
            | 0xfeff
            | 0xffa0
            | 0xfff0..=0xfff8
            | 0x1bca0..=0x1bca3
            | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (text, same) in [
            ("e\u{301}te\u{301}", "été"),
            ("gar\u{ad}den", "garden"),
            ("ﬁ²", "fi2"),
            ("a\u{a0}b", "a b"),
            ("ａｂ", "ab"),
            ("e\u{ad}\u{301}", "é"),
        ] {
            assert_eq!(composed(text), same);
        }
        assert_eq!(spaced("a\u{200b}b").as_deref(), Some("a b"));
        assert_eq!(spaced("été"), None);
        let fold = |text: &str| text.chars().flat_map(folded).collect::<String>();
        assert_eq!(fold("Straße STRASSE ẞ Σ ſ"), "strasse strasse ss σ s");
    }

    proptest! {
        #[test]
        fn lines_stay(text in "(?s).{0,40}") {
            let lines = |text: &str| text.matches('\n').count();
            prop_assert_eq!(lines(&composed(&text)), lines(&text));
            let spaced = spaced(&text).unwrap_or_else(|| text.clone());
            prop_assert_eq!(lines(&spaced), lines(&text));
        }
    }
}
