//! Names of concepts as they come, row by row, from MRCONSO.RRF: which are taken, under which key,
//! and what each concept is called. Holds some tens of bytes for each name, for a full release
//! about 1 GB.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::build::{Counts, Wanted};
use super::rrf::{Kind, Rows};
use super::typed::Typed;
use super::words::Words;
use crate::diag::Diagnostic;

/// Fields of MRCONSO.RRF that decide something, counted from 0.
const LAT: usize = 1;
const TS: usize = 2;
const STT: usize = 4;
const ISPREF: usize = 6;
const SAB: usize = 11;
const STR: usize = 14;
const SUPPRESS: usize = 16;

/// Names of more words are left out: texts that are judged do not hold them.
pub const MOST_WORDS: usize = 12;
/// Bytes of the longest key.
const MOST_BYTES: usize = 255;

/// A concept's name in one source.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The first bytes of the key, so that most comparisons need not look further.
    pub prefix: u64,
    start: u32,
    /// The concept.
    pub cui: u32,
    /// The source, numbered as sources come up.
    pub source: u16,
    length: u8,
    /// Whether it is a form of the concept's preferred name (TS is P).
    pub preferred: bool,
}

/// What a concept may be called: the lowest rank wins, then the first name by its bytes.
#[derive(Debug)]
struct Title {
    rank: u8,
    start: usize,
    length: usize,
}

/// All names so far.
#[derive(Debug, Default)]
pub struct Names {
    /// Keys, one after the other.
    keys: Vec<u8>,
    /// What has a key.
    pub entries: Vec<Entry>,
    titles: HashMap<u32, Title>,
    title_bytes: Vec<u8>,
    sources: HashMap<String, u16>,
    /// Languages and how many rows they have.
    pub languages: BTreeMap<String, u64>,
}

impl Names {
    /// Takes in a file. `progress` is told how many rows were read, now and then.
    ///
    /// # Errors
    /// It cannot be read, is not MRCONSO.RRF, has a wrong row, or there are too many names.
    pub fn read(
        &mut self,
        path: &Path,
        wanted: &Wanted,
        typed: &Typed,
        counts: &mut Counts,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Diagnostic> {
        let mut rows = Rows::open(path, Kind::Mrconso)?;
        let mut words = Words::default();
        while rows.advance()? {
            counts.rows += 1;
            if counts.rows.is_multiple_of(1 << 18) {
                progress(counts.rows);
            }
            let cui = rows.cui()?;
            let language = rows.get(LAT);
            match self.languages.get_mut(language) {
                Some(count) => *count += 1,
                None if language.len() == 3 => {
                    self.languages.insert(language.to_owned(), 1);
                }
                None => {
                    return Err(rows.say("field 2 is no language such as `ENG`".to_owned()));
                }
            }
            if language != wanted.language {
                counts.other_language += 1;
                continue;
            }
            let source = self.source(rows.get(SAB));
            if !wanted.types.is_empty() && !wanted.types.meets(&typed.of(cui)) {
                counts.other_types += 1;
                continue;
            }
            let kept = rows.get(SUPPRESS) == "N";
            self.title(cui, &rows, kept);
            if !kept && !wanted.keep_suppressed {
                counts.suppressed += 1;
                continue;
            }
            if !wanted.sources.is_empty() && !wanted.sources.iter().any(|s| s == rows.get(SAB)) {
                counts.other_source += 1;
                continue;
            }
            words.read(rows.get(STR));
            match words.key() {
                None => counts.names_nothing += 1,
                Some(key) if words.len() > MOST_WORDS || key.len() > MOST_BYTES => {
                    counts.too_long += 1;
                }
                Some(key) => {
                    let entry = self.entry(key, cui, source, rows.get(TS) == "P");
                    let entry = entry.ok_or_else(|| rows.say("too many names".to_owned()))?;
                    self.entries.push(entry);
                    counts.kept += 1;
                }
            }
        }
        Ok(())
    }

    /// None if there is no room.
    fn entry(&mut self, key: &str, cui: u32, source: u16, preferred: bool) -> Option<Entry> {
        let start = u32::try_from(self.keys.len()).ok()?;
        self.keys.extend_from_slice(key.as_bytes());
        let first = key.bytes().chain(std::iter::repeat(0)).take(8);
        Some(Entry {
            prefix: first.fold(0, |prefix, byte| prefix << 8 | u64::from(byte)),
            start,
            cui,
            source,
            length: u8::try_from(key.len()).ok()?,
            preferred,
        })
    }

    /// The number of a source.
    fn source(&mut self, name: &str) -> u16 {
        match self.sources.get(name) {
            Some(id) => *id,
            None => {
                // UMLS has some two hundred.
                let id = u16::try_from(self.sources.len()).unwrap_or(u16::MAX);
                self.sources.insert(name.to_owned(), id);
                id
            }
        }
    }

    /// The sources that occur in the wanted language.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(String::as_str)
    }

    /// Lets the row's name stand for its concept if no better one does.
    fn title(&mut self, cui: u32, rows: &Rows<'_>, kept: bool) {
        let worse = [
            !kept,
            rows.get(TS) != "P",
            rows.get(STT) != "PF",
            rows.get(ISPREF) != "Y",
        ];
        let rank = worse
            .iter()
            .fold(0, |rank, worse| rank << 1 | u8::from(*worse));
        let name = rows.get(STR).as_bytes();
        let better = self.titles.get(&cui).is_none_or(|title| {
            let other = self
                .title_bytes
                .get(title.start..title.start + title.length);
            (rank, name) < (title.rank, other.unwrap_or(b""))
        });
        if better {
            let title = Title {
                rank,
                start: self.title_bytes.len(),
                length: name.len(),
            };
            self.title_bytes.extend_from_slice(name);
            self.titles.insert(cui, title);
        }
    }

    /// What a concept is called.
    pub fn title_of(&self, cui: u32) -> &str {
        let title = self.titles.get(&cui);
        let bytes = title.and_then(|t| self.title_bytes.get(t.start..t.start + t.length));
        std::str::from_utf8(bytes.unwrap_or(b"")).unwrap_or("")
    }

    /// The key of an entry.
    pub fn key(&self, entry: &Entry) -> &[u8] {
        let start = entry.start as usize;
        let end = start + usize::from(entry.length);
        self.keys.get(start..end).unwrap_or(b"")
    }

    /// Puts the entries in order: by key, concept and source.
    pub fn sort(&mut self) {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable_by(|a, b| {
            a.prefix
                .cmp(&b.prefix)
                .then_with(|| self.key(a).cmp(self.key(b)))
                .then_with(|| (a.cui, a.source).cmp(&(b.cui, b.source)))
        });
        self.entries = entries;
    }
}
