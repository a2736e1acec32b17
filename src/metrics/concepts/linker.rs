//! Finds the names of a dictionary in a text: from left to right the longest name that begins at
//! a word, without overlap. Knows nothing of scores.

use std::ops::Range;
use std::sync::Arc;

use super::dictionary::Dictionary;
use super::types::Types;
use super::words::Words;

/// Finds concepts in texts.
pub struct Linker {
    dictionary: Arc<Dictionary>,
    /// By number of a set of types, whether concepts with it are wanted. Without it, all are.
    wanted: Option<Vec<bool>>,
    words: Words,
}

/// A name in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its words, counted from 0.
    pub words: Range<usize>,
    /// The concept, by its number in the dictionary.
    pub concept: u32,
}

impl Linker {
    /// A linker for concepts that have one of some types; for all if there is none. What is not
    /// wanted cannot be found, nor hide what is: an ambiguous name means its best wanted
    /// concept.
    pub fn new(dictionary: Arc<Dictionary>, types: Types) -> Linker {
        let wanted = (!types.is_empty()).then(|| {
            dictionary
                .sets()
                .iter()
                .map(|set| set.meets(&types))
                .collect()
        });
        Linker {
            dictionary,
            wanted,
            words: Words::default(),
        }
    }

    /// The dictionary.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// What a text names, in the order of the text.
    pub fn find(&mut self, text: &str) -> Vec<Found> {
        self.words.read(text);
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.words.len() {
            match self.at(at) {
                Some(name) => {
                    at = name.words.end;
                    found.push(name);
                }
                None => at += 1,
            }
        }
        found
    }

    /// The longest name that begins at a word. Of a word by itself its form in capitals comes
    /// first.
    fn at(&self, start: usize) -> Option<Found> {
        let names = self.dictionary.names();
        let mut node = names.root();
        let mut number = 0;
        let mut longest = None;
        let mut at = start;
        'words: while at < self.words.len() && !(at > start && self.words.pause_before(at)) {
            let space = (at > start).then_some(b' ');
            for byte in space.into_iter().chain(self.words.plain(at).bytes()) {
                let Some(step) = node.find_input(byte).map(|step| node.transition(step)) else {
                    break 'words;
                };
                number += step.out.value();
                node = names.node(step.addr);
            }
            at += 1;
            if node.is_final() {
                let concept = self.best(number + node.final_output().value());
                longest = concept.map(|concept| (at, concept)).or(longest);
            }
        }
        if longest.is_none_or(|(end, _)| end == start + 1)
            && let Some(short) = self.words.capitals(start)
            && let Some(number) = names.get(short)
            && let Some(concept) = self.best(number.value())
        {
            longest = Some((start + 1, concept));
        }
        longest.map(|(end, concept)| Found {
            words: start..end,
            concept,
        })
    }

    /// The best wanted concept that a name may mean.
    fn best(&self, name: u64) -> Option<u32> {
        let wanted = |concept: &u32| match &self.wanted {
            None => true,
            Some(sets) => sets.get(self.dictionary.set(*concept)) == Some(&true),
        };
        self.dictionary.concepts(name).find(wanted)
    }
}
