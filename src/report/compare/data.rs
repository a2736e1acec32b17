//! A comparison as plain data.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// A comparison.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Comparison {
    /// The first side: what was before.
    pub a: Side,
    /// The second side.
    pub b: Side,
    /// What differs of what decides outputs.
    pub decides: Vec<Decides>,
    /// Stages whose records differ, or are not known.
    pub stages: Vec<Row>,
    /// Stages whose records are the same.
    pub same: Vec<String>,
    /// Files that were written and differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<OutFile>,
    /// Scores, paired record by record.
    pub scores: Vec<Score>,
    /// The largest gains and losses, and other examples.
    pub cases: Vec<Cases>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// One of two sides.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// How it is called.
    pub name: String,
    /// The pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PathBuf>,
    /// The id of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When it began, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<u64>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<&'static str>,
    /// The params that were not their defaults.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Json>,
}

/// One thing that differs of what decides outputs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decides {
    /// The stages that it is about.
    pub stages: Vec<String>,
    /// What differs, in one line.
    pub what: String,
    /// Of prompts: the lines that differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// A file that differs: of an earlier run only its hash is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutFile {
    /// The output.
    pub stage: String,
    /// How many records the first run wrote.
    pub a: Option<u64>,
    /// How many the second.
    pub b: Option<u64>,
}

/// A stage whose records differ, or are not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Row {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: String,
    /// Why its records cannot be compared, if so; the numbers then say nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Records that are the same.
    pub same: usize,
    /// Keys of records of which a field differs.
    pub changed: Vec<String>,
    /// Keys of records that only the first side has.
    pub only_a: Vec<String>,
    /// Keys of records that only the second has.
    pub only_b: Vec<String>,
    /// The fields that differ, each in how many records.
    pub fields: Vec<(String, usize)>,
}

/// A score, over the records that both sides have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// The stage that says how it is summed up, or that made it.
    pub stage: String,
    /// The group: fields with their values.
    pub by: Vec<(String, Json)>,
    /// The metric.
    pub metric: String,
    /// Records that both sides scored.
    pub n: u64,
    /// Records that one side scored.
    pub unpaired: u64,
    /// What is resampled as a whole: how many there are, if that is not each record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<u64>,
    /// The first side's mean over the pairs.
    pub mean_a: Option<f64>,
    /// The second's.
    pub mean_b: Option<f64>,
    /// Second less first.
    pub difference: Option<f64>,
    /// The lower end of the difference's bootstrap interval.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// The two-sided p value.
    pub p: Option<f64>,
    /// How often such intervals hold the difference, such as 0.95.
    pub confidence: f64,
}

/// Single records of a stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cases {
    /// The stage.
    pub stage: String,
    /// What they are sorted by; none for mere examples of what differs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<String>,
    /// Pairs whose score is higher on the second side.
    pub gained: usize,
    /// Pairs whose score is lower there.
    pub lost: usize,
    /// Pairs with the same score.
    pub even: usize,
    /// The largest gains, or the examples.
    pub gains: Vec<Case>,
    /// The largest losses.
    pub losses: Vec<Case>,
}

/// A record on both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Case {
    /// Its key.
    pub key: String,
    /// Its score on the first side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub a: Option<f64>,
    /// On the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub b: Option<f64>,
    /// The texts that differ.
    pub texts: Vec<Text>,
}

/// A text that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Text {
    /// The field.
    pub field: String,
    /// The text on the first side.
    pub a: String,
    /// On the second.
    pub b: String,
    /// What the sides share (`=`), and what only the first (`-`) and only the second (`+`) has,
    /// word by word.
    pub parts: Vec<(char, String)>,
}
