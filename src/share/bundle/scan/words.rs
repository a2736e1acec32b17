//! Words, and runs of words, as hashes: what punctuation, line breaks and capitals do not change.
//! Owns what a word is; knows nothing of where texts come from.
//!
//! A word is a run of letters and digits, composed and without case (`fold`). Hashes have 64 bits:
//! runs that differ share one by chance alone, in fewer than one of a million scans of a thousand
//! million words.

use unicode_normalization::char::is_combining_mark;

use super::fold::{composed, folded};

/// Words of a run that must not leave.
pub const RUN: usize = 5;
/// Least characters of a value that names somebody, if there is a digit in it.
const NAMES: u32 = 6;
/// Most digits of a number that says nothing: counts, levels, days. Runs of these alone are
/// found by chance in any table of numbers.
const SMALL: u32 = 3;
/// Least words of a whole value without digits that must not leave, where it is no run.
const VALUE: usize = 3;

/// A word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// Hash of its letters.
    pub hash: u64,
    /// How many letters and digits it has.
    pub chars: u32,
    /// True if there is a digit in it.
    pub digit: bool,
    /// True if there is a letter in it.
    pub letter: bool,
    /// The line that it stands in, from 1.
    pub line: u32,
}

const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Spreads a hash over all bits: the finisher of SplitMix64.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// Goes through the words of a text.
pub fn words(text: &str, mut each: impl FnMut(Word)) {
    let text = &*composed(text);
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut word = Word::default();
    let mut hash = START;
    let put = |hash: &mut u64, byte: u8| *hash = (*hash ^ u64::from(byte)).wrapping_mul(PRIME);
    while at < bytes.len() {
        let byte = bytes[at];
        if byte.is_ascii_alphanumeric() {
            put(&mut hash, byte.to_ascii_lowercase());
            word.chars += 1;
            word.digit |= byte.is_ascii_digit();
            word.letter |= byte.is_ascii_alphabetic();
            at += 1;
            continue;
        }
        if !byte.is_ascii() {
            // Slices begin where characters do.
            let Some(c) = text[at..].chars().next() else {
                break;
            };
            at += c.len_utf8();
            // A mark belongs to the letter before it.
            let is_mark = word.chars > 0 && is_combining_mark(c);
            if c.is_alphanumeric() || is_mark {
                let mut coded = [0; 4];
                for c in folded(c) {
                    for byte in c.encode_utf8(&mut coded).bytes() {
                        put(&mut hash, byte);
                    }
                    word.chars += u32::from(c.is_alphanumeric());
                }
                word.digit |= c.is_numeric();
                word.letter |= c.is_alphabetic();
                continue;
            }
        } else {
            at += 1;
        }
        if word.chars > 0 {
            each(Word {
                hash: mix(hash),
                line,
                ..word
            });
            word = Word::default();
            hash = START;
        }
        line += u32::from(byte == b'\n');
    }
    if word.chars > 0 {
        each(Word {
            hash: mix(hash),
            line,
            ..word
        });
    }
}

/// Where words stand in the hash of a run: the sum of each times a power of this.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
/// What the first word of a full run counts with.
const FIRST: u64 = {
    let (mut power, mut at) = (1_u64, 1);
    while at < RUN {
        power = power.wrapping_mul(BASE);
        at += 1;
    }
    power
};

/// The hash of a run, of its sum: those of other lengths have others.
fn of_sum(sum: u64, words: usize) -> u64 {
    mix(sum ^ words as u64)
}

/// The hash of some words in a row.
fn run(words: &[Word]) -> u64 {
    let sum = words.iter().fold(0_u64, |sum, word| {
        sum.wrapping_mul(BASE).wrapping_add(word.hash)
    });
    of_sum(sum, words.len())
}

/// The last words of a text that is gone through.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    words: [Word; RUN],
    full: usize,
}

impl Window {
    fn push(&mut self, word: Word) {
        self.words.rotate_left(1);
        self.words[RUN - 1] = word;
        self.full = (self.full + 1).min(RUN);
    }

    /// The last `n` words, if there are so many.
    fn last(&self, n: usize) -> Option<&[Word]> {
        (n <= self.full).then(|| &self.words[RUN - n..])
    }
}

/// True for a value of few words that must not leave as a whole: a name of several words, or
/// something with digits that may name a record or a person.
fn is_telling(words: &[Word]) -> bool {
    let chars: u32 = words.iter().map(|word| word.chars).sum();
    let names = chars >= NAMES && words.iter().any(|word| word.digit);
    !words.is_empty() && words.len() < RUN && (names || words.len() >= VALUE)
}

/// True for a word that makes a run one that must not leave.
fn says(word: &Word) -> bool {
    word.letter || word.chars > SMALL
}

/// True for a run that must not leave.
fn is_run(words: &[Word]) -> bool {
    words.len() == RUN && words.iter().any(says)
}

/// What must not be found of a text of a record: the hashes of its runs, or of the whole of it
/// if it is short and telling. Gigabytes go through here: the sum of a run is made of the one
/// before.
pub fn telling(text: &str, mut each: impl FnMut(u64)) {
    let mut last = [Word::default(); RUN];
    let (mut all, mut sum, mut saying) = (0_usize, 0_u64, 0_usize);
    words(text, |word| {
        let slot = &mut last[all % RUN];
        sum = sum.wrapping_sub(slot.hash.wrapping_mul(FIRST));
        sum = sum.wrapping_mul(BASE).wrapping_add(word.hash);
        saying = saying + usize::from(says(&word)) - usize::from(says(slot));
        *slot = word;
        all += 1;
        if all >= RUN && saying > 0 {
            each(of_sum(sum, RUN));
        }
    });
    if let Some(words) = last.get(..all).filter(|words| is_telling(words)) {
        each(run(words));
    }
}

/// All that might be found in a text: runs of up to [`RUN`] words, each with the line of its
/// first word.
pub fn findable(text: &str, mut each: impl FnMut(u64, u32)) {
    let mut window = Window::default();
    words(text, |word| {
        window.push(word);
        for n in 1..=RUN {
            if let Some(words) = window.last(n)
                && (is_run(words) || is_telling(words))
            {
                each(run(words), words[0].line);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<u64> {
        let mut all = Vec::new();
        telling(text, |hash| all.push(hash));
        all
    }

    fn finds(text: &str, in_what: &str) -> bool {
        let mut there = HashSet::new();
        findable(in_what, |hash, _| {
            there.insert(hash);
        });
        of(text).iter().any(|hash| there.contains(hash))
    }

    #[test]
    fn a_run_is_found_whatever_stands_between_its_words() {
        let note = "She was admitted to the hospital because of a fall.";
        for text in [
            "x ADMITTED, to\nthe--hospital_because y",
            "**was** admitted to the (hospital)",
            "a fall; to the hospital because of a fall",
        ] {
            assert!(finds(note, text), "{text}");
        }
        for text in ["she was admitted to a hospital because of two falls", ""] {
            assert!(!finds(note, text), "{text}");
        }
        assert!(finds("Über Öl und Ähren geht es", "ÖL und ähren GEHT es!"));
        let note = "Die Straße zum großen Café";
        for text in [
            "die STRASSE zum GROSSEN café",
            "die Strasse zum grossen cafe\u{301}",
            "die Stra\u{ad}ße zum gro\u{200b}ßen Café",
            "die Straſse zum großen ｃａｆé",
        ] {
            assert!(finds(note, text), "{text}");
        }
        assert!(finds("Fuss12", "fuß12") && finds("Fuß123", "FUSS123"));
    }

    #[test]
    fn short_values_count_as_a_whole_if_they_are_telling() {
        for (value, text) in [
            ("13714762-DS-14", "default: 13714762-DS-14"),
            ("13714762-DS-14", "13714762 ds 14"),
            ("N00017", "(n00017)"),
            ("Mary Ann Miller", "mary ann miller was here"),
        ] {
            assert!(finds(value, text), "{value}");
        }
        for (value, text) in [
            ("13714762-DS-14", "13714762-DS-15"),
            ("13714762-DS-14", "113714762-DS-14"),
            ("male", "male"),
            ("2 mg", "2 mg"),
            ("N1234", "n1234"),
            ("Emergency room", "emergency room"),
            ("", ""),
        ] {
            assert!(!finds(value, text), "{value}");
        }
    }

    #[test]
    fn small_numbers_alone_are_no_run() {
        assert!(!finds("0 12 1 0 100", "[0, 12, 1, 0, 100]"));
        assert!(finds("0 12 1 0 2151", "[0, 12, 1, 0, 2151]"));
        assert!(finds("0 12 mg 0 100", "0 12 mg 0 100"));
    }

    #[test]
    fn lines_are_those_of_the_first_word() {
        let mut lines = Vec::new();
        findable("a b\nc\n\nd e f", |_, line| lines.push(line));
        // Runs of three, four and five words, as they end.
        assert_eq!(lines, [1, 1, 1, 2, 1, 1, 4, 2, 1]);
    }

    proptest! {
        /// Whatever is in a text is found in it.
        #[test]
        fn a_text_is_found_in_itself(text in "(?s)([a-zäÖß0-9]{1,4}[ .,\\n_-]{1,2}){5,12}", around in ".{0,9}") {
            let whole = format!("{around} {text} {around}");
            prop_assert!(finds(&text, &whole));
        }
    }
}
