//! A record's life as plain data.

use serde::Serialize;
use serde_json::Value as Json;

/// A record's life.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Life {
    /// The key that was asked for.
    pub key: String,
    /// How many records have it that have nothing to do with each other.
    pub apart: usize,
    /// The records, in the order of the pipeline.
    pub steps: Vec<Step>,
    /// What a reader has to know.
    pub notes: Vec<String>,
}

/// How a record is related to the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// It was made of this one.
    Before,
    /// It has its key.
    Itself,
    /// It was made of it.
    After,
}

/// A record as one stage emitted it.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: &'static str,
    /// The record's key.
    pub key: String,
    /// How it is related to the one that was asked for.
    pub place: Place,
    /// The steps whose records it was made of; the first input's first.
    pub of: Vec<usize>,
    /// Stages and keys of others that it was made of too and that are not shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<(String, String)>,
    /// How many records it was made of, if not all of them are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crowd: Option<usize>,
    /// What the stage says it does, where that is short: the expression that was true, for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub did: Option<String>,
    /// Why it may not be there, or not be so, once records are known that are missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsure: Option<String>,
    /// The fields that the stage added or changed.
    pub fields: Vec<Field>,
    /// The fields that it removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// What was asked about it, as it was sent, with the answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
    /// Where it ended, or went to otherwise than as a record that is shown here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ends: Vec<End>,
}

/// A field that a stage added or changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value before, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Json>,
    /// Its value.
    pub value: Json,
}

/// A call to a model.
#[derive(Clone, Debug, Serialize)]
pub struct Call {
    /// The model's name on its server.
    pub model: String,
    /// Who says what: role and text.
    pub turns: Vec<(String, String)>,
    /// What else was sent.
    pub sent: Json,
    /// The answer.
    pub answer: String,
    /// What the model thought aloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
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

/// What became of a record in a stage that read the one that emitted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It was left out.
    Dropped,
    /// It failed.
    Failed,
    /// Its answer, or a result that is computed, is not in the cache.
    Missing,
    /// The stage had enough before it came.
    Unread,
    /// It counts in records that are made of many.
    Gathered,
    /// Expressions and prompts of the stage read it.
    Named,
    /// It goes into a file.
    Written,
}

/// Where a record ended.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// The stage.
    pub stage: String,
    /// Its verb.
    pub verb: &'static str,
    /// What became of it there.
    pub what: What,
    /// Why, in one line without values; of one that counts in others, why those are not known for sure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The values of what the stage decides by.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<(String, Json)>,
    /// The keys of the records that it counts in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub into: Vec<String>,
    /// What was asked about it there all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
}
