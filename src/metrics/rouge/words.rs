//! The words of a text as numbers: equal words, or words of equal stems, have equal numbers.

use foldhash::HashMap;

use super::porter;

/// How many bytes a vocabulary takes at most, about.
const MOST_HELD: usize = 8 << 20;
/// What a word takes beside its letters: its entry, and the allocation's own.
const ENTRY: usize = 48;

type Numbers = HashMap<Box<[u8]>, u32>;

/// The numbers of the words seen so far: a word that comes again is neither stemmed nor stored
/// again.
#[derive(Default)]
pub struct Vocabulary {
    stem: bool,
    /// By the word as it stands in the text, in lower case.
    forms: Numbers,
    /// By the stem. Empty without stems.
    stems: Numbers,
    held: usize,
    /// The letters of the word that is being read.
    word: Vec<u8>,
}

impl Vocabulary {
    /// Without any word. `stem`: words longer than three letters count by their stems.
    pub fn new(stem: bool) -> Vocabulary {
        Vocabulary {
            stem,
            ..Vocabulary::default()
        }
    }

    /// All numbers are below it.
    pub fn len(&self) -> usize {
        self.forms.len()
    }

    /// Forgets all words if they have become too many; the numbers given so far are void then.
    pub fn settle(&mut self) {
        if self.held > MOST_HELD {
            *self = Vocabulary::new(self.stem);
        }
    }

    /// Puts the numbers of the words of a text in `numbers`. Words are the runs of `a` to `z`
    /// and digits in the lower-cased text.
    pub fn read(&mut self, text: &str, numbers: &mut Vec<u32>) {
        numbers.clear();
        for c in text.chars() {
            if c.is_ascii() {
                self.letter(c.to_ascii_lowercase(), numbers);
            } else {
                // Lower case of one letter can be several: `İ` is `i` and a combining dot.
                c.to_lowercase().for_each(|c| self.letter(c, numbers));
            }
        }
        self.end(numbers);
    }

    fn letter(&mut self, c: char, numbers: &mut Vec<u32>) {
        if c.is_ascii_alphanumeric() {
            self.word.push(c as u8);
        } else {
            self.end(numbers);
        }
    }

    fn end(&mut self, numbers: &mut Vec<u32>) {
        if !self.word.is_empty() {
            let known = self.forms.get(self.word.as_slice()).copied();
            numbers.push(known.unwrap_or_else(|| self.learn()));
            self.word.clear();
        }
    }

    /// Gives the word that was read a number.
    fn learn(&mut self) -> u32 {
        let form = Box::<[u8]>::from(self.word.as_slice());
        let mut number = self.forms.len() as u32;
        if self.stem {
            if self.word.len() > 3 {
                porter::stem(&mut self.word);
            }
            let stem = Box::<[u8]>::from(self.word.as_slice());
            number = *self.stems.entry(stem).or_insert(number);
            self.held += self.word.len() + ENTRY;
        }
        self.held += form.len() + ENTRY;
        self.forms.insert(form, number);
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert_eq, proptest};

    use super::*;

    fn read(vocabulary: &mut Vocabulary, text: &str) -> Vec<u32> {
        let mut numbers = Vec::new();
        vocabulary.read(text, &mut numbers);
        numbers
    }

    #[test]
    fn words_are_the_packages() {
        for line in crate::metrics::rouge::tests::golden() {
            for (field, stem) in [
                ("prediction_tokens", false),
                ("prediction_tokens_stemmed", true),
            ] {
                let theirs: Vec<&str> = line[field]
                    .as_array()
                    .expect("tokens")
                    .iter()
                    .map(|token| token.as_str().expect("text"))
                    .collect();
                let text = line["prediction"].as_str().expect("text");
                let ours = read(&mut Vocabulary::new(stem), text);
                // Equal where theirs are equal. What the stems are is tested with the stemmer.
                let places: Vec<usize> = theirs
                    .iter()
                    .map(|token| theirs.iter().position(|other| other == token).unwrap_or(0))
                    .collect();
                let our_places: Vec<usize> = ours
                    .iter()
                    .map(|number| ours.iter().position(|other| other == number).unwrap_or(0))
                    .collect();
                assert_eq!(our_places, places, "{text}");
            }
        }
    }

    #[test]
    fn a_vocabulary_that_has_grown_too_large_starts_anew() {
        let mut vocabulary = Vocabulary::new(true);
        assert_eq!(read(&mut vocabulary, "running and runs"), [0, 1, 0]);
        vocabulary.settle();
        assert_eq!(vocabulary.len(), 3);
        read(&mut vocabulary, &"x".repeat(MOST_HELD));
        vocabulary.settle();
        assert_eq!(vocabulary.len(), 0);
        assert_eq!(read(&mut vocabulary, "runs"), [0]);
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_the_lower_cased_words(text in "[a-cA-C0İKß .,é\u{212a}]{0,40}") {
            let lower = text.to_lowercase();
            let words: Vec<&str> = lower
                .split(|c: char| !c.is_ascii_alphanumeric())
                .filter(|word| !word.is_empty())
                .collect();
            let mut seen: Vec<&str> = Vec::new();
            for word in &words {
                if !seen.contains(word) {
                    seen.push(word);
                }
            }
            let places: Vec<u32> = words
                .iter()
                .map(|word| seen.iter().position(|other| other == word).unwrap_or(0) as u32)
                .collect();
            prop_assert_eq!(read(&mut Vocabulary::new(false), &text), places);
        }
    }
}
