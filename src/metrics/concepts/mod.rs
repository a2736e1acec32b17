//! `concept_f1`: the UMLS concepts that two texts name, compared as sets. Concepts are found in
//! process, with a dictionary that `clue umls build` makes of the user's own UMLS release.
//!
//! An approximation of what CLUE computes with scispaCy's linker, and not comparable with it:
//! docs/concepts.md says why. This file owns the options and the scores.

pub mod build;
pub mod dictionary;
pub mod file;
mod gather;
pub mod linker;
mod overlap;
mod rrf;
mod tables;
#[cfg(test)]
mod tests;
mod typed;
pub mod types;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::dictionary::Dictionary;
use self::linker::Linker;
use self::overlap::overlap;
use self::types::Types;
use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;

/// Precision, recall and F1 of the sets of UMLS concepts (by canonical name) that prediction and
/// reference name, found with a dictionary that `clue umls build` makes of a UMLS release.
/// Columns: `concept_f1`, `concept_precision`, `concept_recall`. If either text names no concept,
/// or none is in both, all three are 0. Of several references the one with the highest F1 counts.
/// Not comparable with the same numbers by scispaCy.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConceptF1 {
    /// The dictionary's file.
    #[schemars(length(min = 1))]
    pub dictionary: String,
    /// Only concepts of one of these semantic types (`T047`) or of types in these semantic
    /// groups (`DISO`) count. Without it, all do.
    #[serde(default)]
    pub semantic_types: Vec<String>,
}

impl ConceptF1 {
    fn path(&self, dir: &Path) -> Result<PathBuf, Diagnostic> {
        let path = Path::new(&self.dictionary);
        if self.dictionary.is_empty() {
            return Err(Diagnostic::error("`dictionary` is empty").help(file::BUILD));
        }
        // `./` before every name would only be noise in messages.
        Ok(match dir == Path::new(".") {
            true => path.to_owned(),
            false => dir.join(path),
        })
    }

    fn types(&self) -> Result<Types, Diagnostic> {
        Types::named(self.semantic_types.iter().map(String::as_str))
    }
}

impl Metric for ConceptF1 {
    const NAME: &'static str = "concept_f1";
    const VERSION: u32 = 1;
    const PATHS: &[&str] = &["dictionary"];

    fn columns(&self) -> Vec<&'static str> {
        vec!["concept_f1", "concept_precision", "concept_recall"]
    }

    fn files(&self, dir: &Path) -> Vec<PathBuf> {
        self.path(dir).into_iter().collect()
    }

    fn check(&self, dir: &Path) -> Result<(), Diagnostic> {
        let types = self.types()?;
        let path = self.path(dir)?;
        let (_, head) = file::open(&path)?;
        if types.is_empty() {
            return Ok(());
        }
        let shown = path.display();
        if head.types.is_empty() {
            let what = format!("`{shown}` was built without semantic types");
            return Err(Diagnostic::error(what)
                .help("build it again with MRSTY.RRF, or leave out `semantic_types`"));
        }
        let there = Types::named(head.types.iter().map(String::as_str))?;
        for name in &self.semantic_types {
            if !Types::named([name.as_str()])?.meets(&there) {
                let what = format!("no concept in `{shown}` is of `{name}`");
                let fault = Diagnostic::error(what);
                return Err(match head.types.len() {
                    0..=20 => fault.note(format!("its types: {}", head.types.join(", "))),
                    _ => fault,
                });
            }
        }
        Ok(())
    }

    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        let types = self.types()?;
        let dictionary = Dictionary::shared(&self.path(dir)?)?;
        Ok(Box::new(Concepts(Linker::new(dictionary, types))))
    }
}

struct Concepts(Linker);

impl Concepts {
    /// The canonical names of the concepts in a text, by number.
    fn of(&mut self, text: &str) -> BTreeSet<u32> {
        let found = self.0.find(text);
        let titles = found
            .iter()
            .map(|name| self.0.dictionary().title(name.concept));
        titles.collect()
    }
}

impl Scorer for Concepts {
    fn score(&mut self, pair: &Pair) -> Scores {
        let prediction = self.of(&pair.prediction);
        let mut best = [0.0; 3];
        for reference in &pair.references {
            let scores = overlap(&prediction, &self.of(reference));
            if scores[2] > best[2] {
                best = scores;
            }
        }
        let [precision, recall, f1] = best;
        Ok(vec![f1, precision, recall])
    }
}
