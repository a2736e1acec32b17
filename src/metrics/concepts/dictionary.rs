//! A dictionary in memory: names and the concepts they may mean. Knows no texts.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::file::{self, Head};
use super::tables::LIST;
use super::types::{self, Types};
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// A dictionary. Concepts are numbered in the order of their CUIs.
pub struct Dictionary {
    names: fst::raw::Fst<Vec<u8>>,
    firsts: Numbers,
    lists: Numbers,
    concepts: Numbers,
    sets: Vec<Types>,
    title_ends: Numbers,
    titles: Vec<u8>,
}

/// A table of numbers of four bytes.
struct Numbers(Vec<u8>);

impl Numbers {
    fn get(&self, at: usize) -> Option<u32> {
        let bytes = self.0.get(at.checked_mul(4)?..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

/// The dictionaries in memory: stages that use the same one share it.
static LOADED: Mutex<Vec<Loaded>> = Mutex::new(Vec::new());

struct Loaded {
    path: PathBuf,
    /// The file may be built anew while the program runs.
    hash: Hash,
    dictionary: Weak<Dictionary>,
}

impl Dictionary {
    /// The dictionary in a file, read once for all who use it, as long as the file stays the same.
    ///
    /// # Errors
    /// The file is missing, no dictionary, of another format, cut off or damaged.
    pub fn shared(path: &Path) -> Result<Arc<Dictionary>, Diagnostic> {
        // Held while reading, so that nobody reads the same one at the same time.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|other| other.dictionary.strong_count() > 0);
        let (file, head) = file::open(path)?;
        let same = |other: &&Loaded| other.path == path && other.hash == head.hash;
        let same = loaded.iter().find(same);
        if let Some(dictionary) = same.and_then(|other| other.dictionary.upgrade()) {
            return Ok(dictionary);
        }
        let dictionary = Arc::new(Dictionary::of(path, file, &head)?);
        loaded.push(Loaded {
            path: path.to_owned(),
            hash: head.hash,
            dictionary: Arc::downgrade(&dictionary),
        });
        Ok(dictionary)
    }

    /// Reads a dictionary.
    ///
    /// # Errors
    /// As for [`Dictionary::shared`].
    pub fn read(path: &Path) -> Result<Dictionary, Diagnostic> {
        let (file, head) = file::open(path)?;
        Dictionary::of(path, file, &head)
    }

    fn of(path: &Path, file: File, head: &Head) -> Result<Dictionary, Diagnostic> {
        let tables = file::tables(path, file, head)?;
        let [names, firsts, lists, concepts, sets, title_ends, titles] =
            <[Vec<u8>; file::TABLES]>::try_from(tables).map_err(|_| file::damaged(path))?;
        Ok(Dictionary {
            names: fst::raw::Fst::new(names).map_err(|_| file::damaged(path))?,
            firsts: Numbers(firsts),
            lists: Numbers(lists),
            concepts: Numbers(concepts),
            sets: sets
                .chunks_exact(types::BYTES)
                .map(Types::from_bytes)
                .collect(),
            title_ends: Numbers(title_ends),
            titles,
        })
    }

    /// The names, each with the number that [`Dictionary::concepts`] takes.
    pub fn names(&self) -> &fst::raw::Fst<Vec<u8>> {
        &self.names
    }

    /// The concepts that a name may mean, best first.
    pub fn concepts(&self, name: u64) -> impl Iterator<Item = u32> + '_ {
        let first = usize::try_from(name)
            .ok()
            .and_then(|at| self.firsts.get(at));
        let (one, list) = match first {
            Some(at) if at & LIST != 0 => (None, Some((at & !LIST) as usize)),
            one => (one, None),
        };
        let several = list.into_iter().flat_map(move |at| {
            let count = self.lists.get(at).unwrap_or(0) as usize;
            (1..=count).filter_map(move |n| self.lists.get(at + n))
        });
        one.into_iter().chain(several)
    }

    /// A concept's CUI.
    pub fn cui(&self, concept: u32) -> String {
        let cui = self.concepts.get(concept as usize * 3).unwrap_or(0);
        format!("C{cui:07}")
    }

    /// The number of a concept's canonical name. Concepts that are called the same share it.
    pub fn title(&self, concept: u32) -> u32 {
        self.concepts.get(concept as usize * 3 + 1).unwrap_or(0)
    }

    /// A canonical name by its number.
    pub fn title_text(&self, title: u32) -> &str {
        let end = |at: usize| Some(self.title_ends.get(at)? as usize);
        let at = title as usize;
        let range = end(at).zip(end(at + 1)).map(|(start, end)| start..end);
        let bytes = range.and_then(|range| self.titles.get(range));
        std::str::from_utf8(bytes.unwrap_or(b"")).unwrap_or("")
    }

    /// The number of a concept's set of semantic types.
    pub fn set(&self, concept: u32) -> usize {
        self.concepts.get(concept as usize * 3 + 2).unwrap_or(0) as usize
    }

    /// All sets of semantic types, by number.
    pub fn sets(&self) -> &[Types] {
        &self.sets
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Folder, row, wanted};
    use super::*;

    #[test]
    fn a_dictionary_that_is_built_anew_is_read_anew() {
        let folder = Folder::new();
        let shared = || Dictionary::shared(&folder.path("umls.dict")).expect("a dictionary");
        let names = |name: &str| row(1, "P", "PF", "A", name);
        folder.build(&names("Fever"), "", &wanted()).expect("built");
        let fever = shared();
        assert!(Arc::ptr_eq(&fever, &shared()));
        folder.build(&names("Cough"), "", &wanted()).expect("built");
        let cough = shared();
        assert_eq!(cough.title_text(cough.title(0)), "Cough");
        assert_eq!(fever.title_text(fever.title(0)), "Fever");
        assert!(Arc::ptr_eq(&cough, &shared()));
    }
}
