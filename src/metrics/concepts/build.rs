//! A dictionary from a UMLS release. Owns what can be chosen, and what is said when nothing is
//! left. The same rows give the same bytes, in whatever order they come.

use std::path::{Path, PathBuf};

use super::file::{self, Head};
use super::gather::Names;
use super::rrf::{Kind, Rows};
use super::tables;
use super::typed::Typed;
use super::types::Types;
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// What goes into a dictionary.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The language of names, such as `ENG`.
    pub language: String,
    /// The sources of names, such as `SNOMEDCT_US`; empty for all.
    pub sources: Vec<String>,
    /// Concepts of these types only; empty for all.
    pub types: Types,
    /// Whether names that UMLS marks as suppressible are taken as well.
    pub keep_suppressed: bool,
}

/// What became of the rows of MRCONSO.RRF. Each row counts once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub rows: u64,
    /// Taken.
    pub kept: u64,
    /// Of another language.
    pub other_language: u64,
    /// Of a concept without a wanted type.
    pub other_types: u64,
    /// Marked as suppressible.
    pub suppressed: u64,
    /// Of another source.
    pub other_source: u64,
    /// A number, a function word, or too short to name something.
    pub names_nothing: u64,
    /// Of too many words.
    pub too_long: u64,
}

impl Counts {
    /// What was left out, and why: only what occurs.
    pub fn left_out(&self) -> Vec<(u64, &'static str)> {
        let all = [
            (self.other_language, "of other languages"),
            (self.other_types, "of other semantic types"),
            (self.suppressed, "suppressed"),
            (self.other_source, "of other sources"),
            (self.names_nothing, "that can name nothing"),
            (self.too_long, "of too many words"),
        ];
        all.into_iter().filter(|(count, _)| *count > 0).collect()
    }
}

/// A dictionary that was built.
#[derive(Debug)]
pub struct Built {
    /// What it is.
    pub head: Head,
    /// What became of the rows.
    pub counts: Counts,
    /// Rows of MRSTY.RRF.
    pub type_rows: u64,
    /// Bytes of the file.
    pub size: u64,
}

/// Reads the first rows of files like MRCONSO.RRF: a wrong file is told before anything is read.
///
/// # Errors
/// A file cannot be read, or is another one.
pub fn glance(concepts: &[PathBuf]) -> Result<(), Diagnostic> {
    for path in concepts {
        let mut rows = Rows::open(path, Kind::Mrconso)?;
        rows.advance()?;
        rows.cui()?;
    }
    Ok(())
}

/// Builds a dictionary from files like MRCONSO.RRF and one like MRSTY.RRF, if there is one, and
/// writes it to `out`. `progress` is told now and then how many rows of names were read.
///
/// # Errors
/// A file cannot be read, is another one, or has a wrong row; nothing is left of it; or the
/// dictionary cannot be written, or would replace something else.
pub fn build(
    concepts: &[PathBuf],
    types: Option<&Path>,
    wanted: &Wanted,
    out: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Built, Diagnostic> {
    glance(concepts)?;
    if !file::folder(out).is_dir() {
        let what = format!(
            "no folder `{}` for the dictionary",
            file::folder(out).display()
        );
        return Err(Diagnostic::error(what));
    }
    if out.exists() && !file::is_dictionary(out) {
        let what = format!("`{}` is there, and is no dictionary", out.display());
        return Err(Diagnostic::error(what).help("it is not replaced: choose another name"));
    }
    let (typed, type_rows) = match types {
        Some(path) => Typed::read(path)?,
        None => (Typed::default(), 0),
    };
    let (mut names, mut counts) = (Names::default(), Counts::default());
    for path in concepts {
        names.read(path, wanted, &typed, &mut counts, progress)?;
    }
    if !names.languages.contains_key(&wanted.language) {
        let known = names.languages.keys().map(String::as_str);
        return Err(
            Diagnostic::error(format!("no row has the language `{}`", wanted.language))
                .suggest(&wanted.language, known),
        );
    }
    for source in &wanted.sources {
        if !names.sources().any(|known| known == source) {
            let mut known: Vec<&str> = names.sources().collect();
            known.sort_unstable();
            let what = format!("no row in `{}` has the source `{source}`", wanted.language);
            return Err(Diagnostic::error(what).suggest(source, known));
        }
    }
    if names.entries.is_empty() {
        let left_out = counts.left_out().into_iter();
        let fault = Diagnostic::error("no name is left for the dictionary");
        return Err(left_out.fold(fault, |fault, (count, why)| {
            fault.note(format!("rows {why}: {count}"))
        }));
    }
    names.sort();
    let mut sources = wanted.sources.clone();
    sources.sort();
    sources.dedup();
    let head = Head {
        language: wanted.language.clone(),
        sources,
        chosen: wanted.types.names(),
        types: Vec::new(),
        suppressed: wanted.keep_suppressed,
        names: 0,
        concepts: 0,
        tables: Vec::new(),
        hash: Hash([0; 32]),
    };
    let (head, size) = tables::write(&names, &typed, head, out)
        .map_err(|error| Diagnostic::error(format!("cannot write `{}`: {error}", out.display())))?;
    Ok(Built {
        head,
        counts,
        type_rows,
        size,
    })
}
