//! `icd`: the ICD-10-CM codes named in a text, against those that are right.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;
use crate::text;

/// The column of the table that holds the codes.
const COLUMN: &str = "code";

/// Precision, recall and F1 of the ICD-10-CM codes in a text, once for whole codes (`exact_…`)
/// and once for sets of their first three characters (`approximate_…`). The references are the
/// right codes, one or several (with commas between) a text. Codes are compared without dots. A
/// code that is named twice counts twice in `exact_precision`, and a code that is right twice
/// twice in `exact_recall`. Without codes on either side the scores are 0. With `codes`, the
/// column `valid` is the share of the codes named that are in that table, and 0 if none is named.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Icd {
    /// A CSV file, plain or gzipped, with a column `code`: the valid codes.
    pub codes: Option<String>,
}

impl Icd {
    fn table(&self, dir: &Path) -> Option<PathBuf> {
        self.codes.as_ref().map(|path| dir.join(path))
    }
}

impl Metric for Icd {
    const NAME: &'static str = "icd";
    const VERSION: u32 = 1;
    const PATHS: &[&str] = &["codes"];

    fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec![
            "exact_precision",
            "exact_recall",
            "exact_f1",
            "approximate_precision",
            "approximate_recall",
            "approximate_f1",
        ];
        if self.codes.is_some() {
            columns.push("valid");
        }
        columns
    }

    fn files(&self, dir: &Path) -> Vec<PathBuf> {
        self.table(dir).into_iter().collect()
    }

    fn prepare(&self, dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        let valid = self.table(dir).map(|path| {
            read(&path).map_err(|why| {
                Diagnostic::error(format!(
                    "cannot read codes from `{}`: {why}",
                    path.display()
                ))
                .help(format!("expected a CSV file with a column `{COLUMN}`"))
            })
        });
        Ok(Box::new(Codes {
            valid: valid.transpose()?,
        }))
    }
}

/// The codes of a table, without dots.
fn read(path: &Path) -> Result<HashSet<String>, String> {
    let file = File::open(path).map_err(|e| e.to_string())?;
    let reader: Box<dyn Read> = if path.extension().is_some_and(|e| e == "gz") {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut reader = csv::Reader::from_reader(reader);
    let headers = reader.byte_headers().map_err(|e| e.to_string())?;
    let at = headers.iter().position(|name| name == COLUMN.as_bytes());
    let at = at.ok_or_else(|| format!("it has no column `{COLUMN}`"))?;
    let mut codes = HashSet::new();
    for row in reader.records() {
        let row = row.map_err(|e| e.to_string())?;
        codes.insert(row.get(at).unwrap_or_default().replace('.', ""));
    }
    Ok(codes)
}

struct Codes {
    valid: Option<HashSet<String>>,
}

impl Scorer for Codes {
    fn score(&mut self, pair: &Pair) -> Scores {
        let named: Vec<String> = text::icd_codes(&pair.prediction)
            .into_iter()
            .map(|code| code.replace('.', ""))
            .collect();
        let right: Vec<String> = right(&pair.references);
        let exact = [count_in(&named, &right), count_in(&right, &named)];
        let [a, b] = [&named, &right].map(|codes| codes.iter().map(|c| start(c)).collect());
        let [a, b]: [BTreeSet<&str>; 2] = [a, b];
        let both = a.intersection(&b).count();
        let mut scores = Vec::with_capacity(7);
        scores.extend(triple(exact, [named.len(), right.len()]));
        scores.extend(triple([both, both], [a.len(), b.len()]));
        if let Some(valid) = &self.valid {
            let known = named.iter().filter(|code| valid.contains(*code)).count();
            scores.push(share(known, named.len()));
        }
        Ok(scores)
    }
}

/// The right codes: an empty text stands for one code that nothing equals.
fn right(references: &[Arc<str>]) -> Vec<String> {
    let codes = references.iter().flat_map(|text| text.split(','));
    codes
        .map(|code| text::strip(code).replace('.', ""))
        .collect()
}

/// The first three characters.
fn start(code: &str) -> &str {
    code.char_indices()
        .nth(3)
        .map_or(code, |(at, _)| &code[..at])
}

/// How many of the first are among the others.
fn count_in(codes: &[String], others: &[String]) -> usize {
    codes.iter().filter(|code| others.contains(code)).count()
}

fn share(part: usize, of: usize) -> f64 {
    part as f64 / of.max(1) as f64
}

/// Precision, recall and their harmonic mean.
fn triple(found: [usize; 2], of: [usize; 2]) -> [f64; 3] {
    let [p, r] = [share(found[0], of[0]), share(found[1], of[1])];
    let f = if p + r > 0.0 {
        2.0 * p * r / (p + r)
    } else {
        0.0
    };
    [p, r, f]
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn scores_are_the_references() {
        let icd = Icd {
            codes: Some("pipelines/tables/icd10cm_codes.csv.gz".to_owned()),
        };
        let mut scorer = icd
            .prepare(Path::new(env!("CARGO_MANIFEST_DIR")))
            .expect("ready");
        let theirs = ["EM P", "EM R", "EM F1", "AP P", "AP R", "AP F1"];
        let mut theirs: Vec<String> = theirs.iter().map(|name| format!("ICD {name}")).collect();
        theirs.push("VALID CODES".to_owned());
        for line in include_str!("../../tests/golden/units/icd_metrics.jsonl").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = |field: &str| line[field].as_str().expect("text");
            let scores = scorer.score(&Pair::new(text("text"), text("ground_truth")));
            let scores = scores.expect("scores");
            assert_eq!(scores.len(), 7);
            for (ours, name) in scores.iter().zip(&theirs) {
                let golden = line["metrics"][name].as_f64().expect("a number");
                assert!(
                    (ours - golden).abs() < 1e-12,
                    "{name}: {ours}, not {golden}: {line}"
                );
            }
        }
    }

    #[test]
    fn references_may_be_a_list_and_dots_do_not_matter() {
        let mut scorer = Icd::default().prepare(Path::new("")).expect("ready");
        let mut pair = Pair::new("I10, E11.9", "I10");
        pair.references.push("E119".into());
        assert_eq!(scorer.score(&pair), Ok(vec![1.0; 6]));
        pair.references.clear();
        assert_eq!(scorer.score(&pair), Ok(vec![0.0; 6]));
    }

    #[test]
    fn a_missing_or_wrong_table_is_told() {
        let told = |codes: &str| {
            let icd = Icd {
                codes: Some(codes.to_owned()),
            };
            let fault = icd.prepare(Path::new(env!("CARGO_MANIFEST_DIR"))).err();
            fault.expect("no such table").message
        };
        assert!(told("none.csv").contains("none.csv"));
        assert!(told("tests/data/discharge.csv.gz").contains("`code`"));
    }
}
