//! `rouge`: ROUGE-1, ROUGE-2 and ROUGE-L, number for number as the Python package
//! `rouge-score` 0.1.2 gives them.
//!
//! Formulas: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. With
//! `overlap` the n-grams found in both texts (each as often as in the text that has fewer), or
//! for ROUGE-L the length of the longest common subsequence: precision is `overlap` over the
//! prediction's n-grams, recall `overlap` over the reference's, F their harmonic mean.

mod lcs;
mod overlap;
mod porter;
mod words;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use lcs::Lcs;
use overlap::Overlap;
use words::Vocabulary;

use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;

/// Overlap of words (`rouge1`), of pairs of words (`rouge2`), and the longest common
/// subsequence of words (`rougeL`). Columns: the type for F (`rouge1`), and with
/// `_precision` and `_recall` for the other two. Of several references the one with the highest F
/// counts, for each type on its own.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rouge {
    /// Which types to compute, in the order of the columns.
    #[schemars(length(min = 1))]
    pub types: Vec<RougeType>,
    /// Whether words longer than three letters are reduced to their stems.
    pub stem: bool,
    /// Which of F, precision and recall to keep.
    #[schemars(length(min = 1))]
    pub of: Vec<Part>,
}

/// A type of ROUGE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RougeType {
    /// Single words.
    #[serde(rename = "rouge1")]
    One,
    /// Pairs of words that follow each other.
    #[serde(rename = "rouge2")]
    Two,
    /// The longest common subsequence.
    #[serde(rename = "rougeL")]
    Longest,
}

/// A part of a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Harmonic mean of precision and recall.
    F,
    /// Precision.
    P,
    /// Recall.
    R,
}

impl Default for Rouge {
    fn default() -> Rouge {
        Rouge {
            types: vec![RougeType::One, RougeType::Two, RougeType::Longest],
            stem: false,
            of: vec![Part::F],
        }
    }
}

impl Rouge {
    fn parts(&self) -> impl Iterator<Item = (RougeType, Part)> + '_ {
        let of = |kind| self.of.iter().map(move |part| (kind, *part));
        self.types.iter().flat_map(move |kind| of(*kind))
    }
}

impl Metric for Rouge {
    const NAME: &'static str = "rouge";
    const VERSION: u32 = 1;

    fn columns(&self) -> Vec<&'static str> {
        self.parts()
            .map(|(kind, part)| column(kind, part))
            .collect()
    }

    fn prepare(&self, _dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        Ok(Box::new(Judge::new(self.clone())))
    }
}

fn column(kind: RougeType, part: Part) -> &'static str {
    match (kind, part) {
        (RougeType::One, Part::F) => "rouge1",
        (RougeType::One, Part::P) => "rouge1_precision",
        (RougeType::One, Part::R) => "rouge1_recall",
        (RougeType::Two, Part::F) => "rouge2",
        (RougeType::Two, Part::P) => "rouge2_precision",
        (RougeType::Two, Part::R) => "rouge2_recall",
        (RougeType::Longest, Part::F) => "rougeL",
        (RougeType::Longest, Part::P) => "rougeL_precision",
        (RougeType::Longest, Part::R) => "rougeL_recall",
    }
}

/// Scores pairs, with what it keeps from pair to pair.
struct Judge {
    rouge: Rouge,
    words: Vocabulary,
    prediction: Vec<u32>,
    reference: Vec<u32>,
    overlap: Overlap,
    lcs: Lcs,
}

impl Judge {
    fn new(rouge: Rouge) -> Judge {
        Judge {
            words: Vocabulary::new(rouge.stem),
            rouge,
            prediction: Vec::new(),
            reference: Vec::new(),
            overlap: Overlap::default(),
            lcs: Lcs::default(),
        }
    }
}

impl Scorer for Judge {
    fn score(&mut self, pair: &Pair) -> Scores {
        self.words.settle();
        self.words.read(&pair.prediction, &mut self.prediction);
        let mut best = vec![Triple::default(); self.rouge.types.len()];
        for reference in &pair.references {
            self.words.read(reference, &mut self.reference);
            for (best, kind) in best.iter_mut().zip(&self.rouge.types) {
                let (a, b, words) = (&self.prediction, &self.reference, self.words.len());
                let triple = match kind {
                    RougeType::One => Triple::new(self.overlap.of_words(a, b, words), a, b, 1),
                    RougeType::Two => Triple::new(self.overlap.of_pairs(a, b), a, b, 2),
                    RougeType::Longest => Triple::new(self.lcs.length(a, b, words), a, b, 1),
                };
                if triple.part(Part::F) > best.part(Part::F) {
                    *best = triple;
                }
            }
        }
        let parts = |best: Triple| self.rouge.of.iter().map(move |&part| best.part(part));
        Ok(best.into_iter().flat_map(parts).collect())
    }
}

#[derive(Clone, Copy, Default)]
struct Triple {
    precision: f64,
    recall: f64,
}

impl Triple {
    /// Of an overlap in n-grams of `n` words.
    fn new(overlap: usize, prediction: &[u32], reference: &[u32], n: usize) -> Triple {
        let share = |of: &[u32]| overlap as f64 / (of.len() + 1).saturating_sub(n).max(1) as f64;
        Triple {
            precision: share(prediction),
            recall: share(reference),
        }
    }

    fn part(&self, part: Part) -> f64 {
        let Triple { precision, recall } = *self;
        match part {
            Part::P => precision,
            Part::R => recall,
            Part::F if precision + recall > 0.0 => 2.0 * precision * recall / (precision + recall),
            Part::F => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    pub fn golden() -> Vec<Value> {
        include_str!("../../../tests/golden/units/rouge.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn scores_are_the_packages() {
        for line in golden() {
            for (field, stem) in [("plain", false), ("stem", true)] {
                let rouge = Rouge {
                    stem,
                    of: vec![Part::F, Part::P, Part::R],
                    ..Rouge::default()
                };
                let columns = rouge.columns();
                let text = |field: &str| line[field].as_str().expect("text");
                let pair = Pair::new(text("prediction"), text("reference"));
                let scores = Judge::new(rouge).score(&pair).expect("scores");
                assert_eq!(scores.len(), 9);
                for (column, ours) in columns.into_iter().zip(scores) {
                    let (kind, part) = column.split_once('_').unwrap_or((column, "f"));
                    let theirs = line[field][kind][&part[..1]].as_f64().expect("a number");
                    assert!((ours - theirs).abs() < 1e-12, "{column}: {ours} {theirs}");
                }
            }
        }
    }

    #[test]
    fn of_several_references_the_closest_counts_for_each_type() {
        let mut rouge = Judge::new(Rouge {
            types: vec![RougeType::One, RougeType::Two],
            ..Rouge::default()
        });
        let mut pair = Pair::new("a b c", "c b a");
        pair.references.push("a b".into());
        assert_eq!(rouge.score(&pair), Ok(vec![1.0, 2.0 / 3.0]));
        pair.references.clear();
        assert_eq!(rouge.score(&pair), Ok(vec![0.0, 0.0]));
    }

    #[test]
    fn options_come_from_the_file() {
        let metric = crate::metrics::metric("rouge").expect("registered");
        let rouge =
            (metric.decode_json)(serde_json::json!({"types": ["rougeL"], "of": ["p", "f"]}))
                .expect("decodes");
        assert_eq!(rouge.columns(), ["rougeL_precision", "rougeL"]);
        let again = (metric.decode_json)(rouge.settings()).expect("decodes");
        assert_eq!(again.settings(), rouge.settings());
        assert!((metric.decode_json)(serde_json::json!({"tpyes": []})).is_err());
    }
}
