//! `rouge`: ROUGE-1, ROUGE-2 and ROUGE-L, number for number as the Python package
//! `rouge-score` 0.1.2 gives them.
//!
//! Formulas: C.-Y. Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004. With
//! `overlap` the n-grams found in both texts (each as often as in the text that has fewer), or
//! for ROUGE-L the length of the longest common subsequence: precision is `overlap` over the
//! prediction's n-grams, recall `overlap` over the reference's, F their harmonic mean.

use std::collections::HashMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Pair, Scorer, Scores};
use super::{lcs, porter};
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
        Ok(Box::new(self.clone()))
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

impl Scorer for Rouge {
    fn score(&mut self, pair: &Pair) -> Scores {
        let mut ids = HashMap::new();
        let prediction = numbered(tokens(&pair.prediction, self.stem), &mut ids);
        let references: Vec<Vec<u32>> = pair
            .references
            .iter()
            .map(|reference| numbered(tokens(reference, self.stem), &mut ids))
            .collect();
        let mut scores = Vec::with_capacity(self.types.len() * self.of.len());
        for &kind in &self.types {
            let mut best = Triple::default();
            for reference in &references {
                let triple = Triple::of(kind, &prediction, reference, ids.len());
                if triple.part(Part::F) > best.part(Part::F) {
                    best = triple;
                }
            }
            scores.extend(self.of.iter().map(|&part| best.part(part)));
        }
        Ok(scores)
    }
}

#[derive(Default)]
struct Triple {
    precision: f64,
    recall: f64,
}

impl Triple {
    /// `words` is the number of different tokens.
    fn of(kind: RougeType, prediction: &[u32], reference: &[u32], words: usize) -> Triple {
        match kind {
            RougeType::One => Triple::of_grams(unigrams(prediction), unigrams(reference)),
            RougeType::Two => Triple::of_grams(bigrams(prediction), bigrams(reference)),
            RougeType::Longest => {
                let common = lcs::length(prediction, reference, words);
                Triple::new(common, prediction.len(), reference.len())
            }
        }
    }

    fn new(overlap: usize, prediction: usize, reference: usize) -> Triple {
        let share = |of: usize| overlap as f64 / of.max(1) as f64;
        Triple {
            precision: share(prediction),
            recall: share(reference),
        }
    }

    fn of_grams(mut prediction: Vec<u64>, mut reference: Vec<u64>) -> Triple {
        prediction.sort_unstable();
        reference.sort_unstable();
        let overlap = in_both(&prediction, &reference);
        Triple::new(overlap, prediction.len(), reference.len())
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

fn unigrams(tokens: &[u32]) -> Vec<u64> {
    tokens.iter().copied().map(u64::from).collect()
}

fn bigrams(tokens: &[u32]) -> Vec<u64> {
    tokens
        .windows(2)
        .map(|pair| u64::from(pair[0]) << 32 | u64::from(pair[1]))
        .collect()
}

/// How many entries two sorted lists share, repeated ones as often as in both.
fn in_both(a: &[u64], b: &[u64]) -> usize {
    let (mut at_a, mut at_b, mut shared) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(at_a), b.get(at_b)) {
        shared += usize::from(x == y);
        at_a += usize::from(x <= y);
        at_b += usize::from(y <= x);
    }
    shared
}

/// Gives equal tokens equal numbers.
fn numbered(tokens: Vec<Vec<u8>>, ids: &mut HashMap<Vec<u8>, u32>) -> Vec<u32> {
    tokens
        .into_iter()
        .map(|token| {
            let next = ids.len() as u32;
            *ids.entry(token).or_insert(next)
        })
        .collect()
}

/// The runs of `a` to `z` and digits in the lower-cased text, stemmed if wanted.
fn tokens(text: &str, stem: bool) -> Vec<Vec<u8>> {
    let mut tokens = Vec::new();
    let mut token = Vec::new();
    let mut end = |token: &mut Vec<u8>| {
        if !token.is_empty() {
            let mut token = std::mem::take(token);
            if stem && token.len() > 3 {
                porter::stem(&mut token);
            }
            tokens.push(token);
        }
    };
    // Lower case of one letter can be several: `İ` is `i` and a combining dot.
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            token.push(c as u8);
        } else {
            end(&mut token);
        }
    }
    end(&mut token);
    tokens
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn golden() -> Vec<Value> {
        include_str!("../../tests/golden/units/rouge.jsonl")
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn tokens_are_the_packages() {
        for line in golden() {
            for (field, stem) in [
                ("prediction_tokens", false),
                ("prediction_tokens_stemmed", true),
            ] {
                let ours: Vec<String> = tokens(line["prediction"].as_str().expect("text"), stem)
                    .into_iter()
                    .map(|token| String::from_utf8(token).expect("ASCII"))
                    .collect();
                assert_eq!(serde_json::json!(ours), line[field]);
            }
        }
    }

    #[test]
    fn scores_are_the_packages() {
        for line in golden() {
            for (field, stem) in [("plain", false), ("stem", true)] {
                let mut rouge = Rouge {
                    stem,
                    of: vec![Part::F, Part::P, Part::R],
                    ..Rouge::default()
                };
                let columns = rouge.columns();
                let text = |field: &str| line[field].as_str().expect("text");
                let pair = Pair::new(text("prediction"), text("reference"));
                let scores = rouge.score(&pair).expect("scores");
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
        let mut rouge = Rouge {
            types: vec![RougeType::One, RougeType::Two],
            ..Rouge::default()
        };
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
