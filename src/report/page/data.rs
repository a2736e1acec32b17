//! What a page holds, as plain data. The names are those that the page's script reads.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

/// All of a page.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What is needed at once.
    pub overview: Overview,
    /// What is needed when it is looked at: each a JSON text, by its number.
    pub blocks: Vec<String>,
}

/// What is needed at once.
#[derive(Debug, Default, Serialize)]
pub struct Overview {
    /// The pipeline's name.
    pub name: String,
    /// What it says of itself.
    pub description: Option<String>,
    /// How it wants to be cited.
    pub cite: Vec<String>,
    /// Its file.
    pub file: String,
    /// The version of this program.
    pub version: &'static str,
    /// Texts of sensitive records are left out.
    pub hidden: bool,
    /// Texts of sensitive records are in it.
    pub confidential: bool,
    /// The run that is told of.
    pub run: Option<Run>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    /// The stages, in the file's order.
    pub stages: Vec<Stage>,
    /// The edges between them.
    pub edges: Vec<Edge>,
    /// Width and height of their drawing, in pixels.
    pub size: (f64, f64),
    /// Failed records.
    pub failures: Vec<Failed>,
    /// How many there are, also those that are not listed.
    pub failed: usize,
    /// The blocks with what was asked about those that are listed, in their order.
    pub failed_details: Vec<usize>,
    /// How many records each of these has.
    pub failed_per: usize,
    /// Tables of records.
    pub tables: Vec<Table>,
    /// Results: means, comparisons, and tables made of them.
    pub boards: Vec<Board>,
    /// Params, each with its value.
    pub params: Vec<(String, Json)>,
    /// Models.
    pub models: Vec<Model>,
    /// The pipeline's files: YAML, prompts, schemas.
    pub sources: Vec<Source>,
    /// Files that were read.
    pub inputs: Vec<File>,
    /// Files that were written.
    pub outputs: Vec<File>,
}

/// A run.
#[derive(Debug, Serialize)]
pub struct Run {
    /// When it began, in milliseconds since 1970 (UTC).
    pub began: Option<u64>,
    /// How it ended.
    pub ended: Option<&'static str>,
    /// How long it took, in milliseconds.
    pub took: Option<u64>,
    /// What its calls cost, in the currency of the models' prices.
    pub cost: Option<f64>,
}

/// A stage.
#[derive(Debug, Serialize)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Its verb.
    pub verb: &'static str,
    /// `plain`, `asks` or `output`.
    pub kind: &'static str,
    /// Its records come from data marked `sensitive`.
    pub sensitive: bool,
    /// The stages that it reads.
    pub inputs: Vec<usize>,
    /// Its named inputs.
    pub with: Vec<(String, usize)>,
    /// Left and upper edge, and width, in pixels.
    pub at: (f64, f64, f64),
    /// Records read, if it is known.
    pub read: Option<u64>,
    /// Records emitted, if it is known.
    pub emitted: Option<u64>,
    /// It is stopped when others have enough: how many records it reads is chance.
    pub chance: bool,
    /// Records that failed.
    pub failed: u64,
    /// Its calls, if it makes any.
    pub calls: Option<u64>,
    /// Calls without an answer in the cache.
    pub missing: u64,
    /// When it worked last: milliseconds since that run began, and what it did.
    pub time: Option<Time>,
    /// The same in the run that the page tells of.
    pub span: Option<(u64, u64)>,
    /// What decides its output beside inputs and files.
    pub settings: Json,
    /// Hash of its output, if it is kept.
    pub content: Option<String>,
}

/// What a stage did when it worked last.
#[derive(Debug, Serialize)]
pub struct Time {
    /// Milliseconds from its first record to its end.
    pub took: u64,
    /// Calls answered by a model.
    pub asked: u64,
    /// Calls answered from the cache.
    pub cached: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens of answers.
    pub answer_tokens: u64,
}

/// An edge of the drawing.
#[derive(Debug, Serialize)]
pub struct Edge {
    /// From this stage.
    pub from: usize,
    /// To this one.
    pub to: usize,
    /// It is a named input.
    pub with: bool,
    /// The points that it goes through: see the layout.
    pub points: Vec<(f64, f64)>,
}

/// A failed record.
#[derive(Debug, Serialize)]
pub struct Failed {
    /// The stage.
    pub stage: usize,
    /// The record, if it may be named.
    pub key: Option<String>,
    /// What failed.
    pub kind: &'static str,
    /// Why.
    pub why: String,
}

/// A table of records.
#[derive(Debug, Serialize)]
pub struct Table {
    /// The stage that they come from.
    pub stage: usize,
    /// How many there are.
    pub total: usize,
    /// How many of them are in the page.
    pub rows: usize,
    /// Texts are left out.
    pub hidden: bool,
    /// The columns.
    pub columns: Vec<Column>,
    /// How they were scored.
    pub scorers: Vec<Scorer>,
    /// The lives that they have, without keys.
    pub lives: Vec<Path>,
    /// The block with keys and columns.
    pub block: usize,
    /// The blocks with what is shown of single records.
    pub details: Vec<usize>,
    /// How many records each of these has.
    pub per: usize,
}

/// A life that records of a table have.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Path {
    /// The stages that it leads through, the table's last.
    pub stages: Vec<usize>,
    /// The stages that read the table's, and what became of a record there: `written`, `counted`,
    /// `passed` or `left out`.
    pub ends: Vec<(usize, &'static str)>,
}

/// A column of a table.
#[derive(Debug, Serialize)]
pub struct Column {
    /// The field.
    pub name: String,
    /// `score`, `number`, `flag`, `label` or `text`.
    pub kind: &'static str,
    /// The stage that made it, if it is one that asks or scores.
    pub made: Option<usize>,
    /// Of scores: how they are spread.
    pub spread: Option<Spread>,
}

/// How numbers are spread.
#[derive(Debug, Serialize, PartialEq)]
pub struct Spread {
    /// How many there are.
    pub n: usize,
    /// Records without one.
    pub missing: usize,
    /// Their mean.
    pub mean: f64,
    /// The least.
    pub low: f64,
    /// The greatest.
    pub high: f64,
    /// The lower edge of the first bin.
    pub from: f64,
    /// The upper edge of the last.
    pub to: f64,
    /// How many are in each of the bins, which are equally wide.
    pub bins: Vec<usize>,
}

/// How a table's records were scored.
#[derive(Clone, Debug, Serialize)]
pub struct Scorer {
    /// The stage.
    pub stage: usize,
    /// The metric, or the verb.
    pub metric: String,
    /// The field that is judged, if it is one.
    pub prediction: Option<String>,
    /// The field that it is judged by.
    pub reference: Option<String>,
    /// The fields that got numbers.
    pub columns: Vec<String>,
    /// The metric's settings.
    pub options: Json,
}

/// A table of results.
#[derive(Debug, Serialize)]
pub struct Board {
    /// The stage.
    pub stage: usize,
    /// Its verb.
    pub kind: &'static str,
    /// The fields that name groups.
    pub by: Vec<String>,
    /// Of comparisons: the field that is compared.
    pub between: Option<String>,
    /// Of wide tables: the names of the values of each column.
    pub values: Vec<String>,
    /// Fields by which an output sorts it, `-` for downwards.
    pub sort: Vec<String>,
    /// An output writes its numbers as percentages.
    pub percent: bool,
    /// An output marks the best.
    pub best: bool,
    /// An output shows it at the end of a run.
    pub show: bool,
    /// The fields.
    pub columns: Vec<String>,
    /// The records.
    pub rows: Vec<Vec<Json>>,
}

/// A model.
#[derive(Debug, Serialize)]
pub struct Model {
    /// Its name in the pipeline.
    pub name: String,
    /// What decides its answers.
    pub identity: Json,
}

/// A file of the pipeline.
#[derive(Debug, Serialize)]
pub struct Source {
    /// Where it is.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Hash of its bytes.
    pub hash: String,
}

/// A file that was read or written.
#[derive(Debug, Serialize)]
pub struct File {
    /// Where it is.
    pub path: String,
    /// Hash of its bytes.
    pub hash: Option<String>,
    /// Records in it.
    pub rows: Option<u64>,
}

/// The block with a table's keys and columns.
#[derive(Debug, Serialize)]
pub struct Columns {
    /// Keys.
    pub keys: Vec<String>,
    /// The values of each column; long texts are cut.
    pub columns: Vec<Vec<Json>>,
}

/// A block with what is shown of single records. Texts are numbers of `pool`.
#[derive(Debug, Default, Serialize)]
pub struct Details {
    /// The texts.
    pub pool: Vec<String>,
    /// The records.
    pub rows: Vec<Detail>,
}

/// What is shown of one record beside its columns.
#[derive(Debug, Default, Serialize)]
pub struct Detail {
    /// Texts that are cut in the columns, by the column's number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub long: BTreeMap<usize, usize>,
    /// Calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Its life, by its number in the table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life: Option<usize>,
    /// The keys that it had before, each with the place in the life where it got it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<(usize, String)>,
}

/// A call to a model.
#[derive(Debug, Serialize)]
pub struct Call {
    /// The stage that made it.
    pub stage: usize,
    /// The model's name on its server.
    pub model: String,
    /// Who says what: role and text.
    pub turns: Vec<(String, usize)>,
    /// What else was sent, as JSON.
    pub sent: Json,
    /// The answer.
    pub answer: usize,
    /// What the model thought aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<usize>,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_tokens: Option<u64>,
}
