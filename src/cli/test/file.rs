//! The format of test files. Owns its shape; what the names in it mean is checked elsewhere.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::replay::rules::{KeyText, Rule};
use crate::stages::named::Named;

/// A test of a pipeline: a few records, what models answer, and what must come of it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestFile {
    /// The version of test files: 1.
    pub clue_test: i64,
    /// What it shows, for readers.
    #[serde(default)]
    #[allow(dead_code)]
    pub description: Option<String>,
    /// The pipeline's file, relative to this one.
    pub pipeline: String,
    /// Values for its params; paths are relative to this file.
    #[serde(default)]
    #[allow(dead_code)]
    pub params: Option<Named<Json>>,
    /// Records that stand in for what stages make, by stage. The key of each is in the field
    /// that the stage itself names (`key` of `load`), or else its number, from 1.
    #[serde(default)]
    #[schemars(extend("default" = {}))]
    pub inputs: Named<Vec<Named<Json>>>,
    /// A cassette by `clue record`, relative to this file, with the models' answers.
    #[serde(default)]
    pub cassette: Option<String>,
    /// What models answer where the cassette says nothing: the first that fits.
    #[serde(default)]
    pub answers: Vec<Rule>,
    /// What must come of it. Only what is named here is made; all outputs, if nothing is.
    #[serde(default)]
    pub expect: Expect,
}

/// What must come of a test.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Outputs, each with the file that it must equal, relative to this one.
    #[schemars(extend("default" = {}))]
    pub outputs: Named<String>,
    /// Outputs, each with its whole text.
    #[schemars(extend("default" = {}))]
    pub text: Named<String>,
    /// Fields of the records of stages: all records in order, or some by their keys. Fields
    /// that are not named may have any value.
    #[schemars(extend("default" = {}))]
    pub records: Named<Records>,
    /// Records that must fail, by stage. Those of other stages must not.
    #[schemars(extend("default" = {}))]
    pub fails: Named<Fails>,
}

/// Fields of a stage's records.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Records {
    /// Of all, in order.
    All(Vec<Named<Json>>),
    /// Of those with these keys.
    Some(Named<Named<Json>>),
}

/// Records of a stage that must fail.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Fails {
    /// Their keys.
    Keys(Vec<KeyText>),
    /// Their keys, each with words that the reason must hold.
    Why(Named<String>),
}

impl Fails {
    /// The keys, with words of the reason.
    pub fn list(&self) -> Vec<(String, &str)> {
        match self {
            Fails::Keys(keys) => keys.iter().map(|key| (key.text(), "")).collect(),
            Fails::Why(why) => {
                let why = why.iter();
                why.map(|(key, why)| (key.to_owned(), why.as_str()))
                    .collect()
            }
        }
    }
}

impl Expect {
    /// The outputs that are looked at.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        let files = self.outputs.iter().map(|(name, _)| name);
        files.chain(self.text.iter().map(|(name, _)| name))
    }

    /// The stages that are looked at.
    pub fn stages(&self) -> impl Iterator<Item = &str> {
        let records = self.records.iter().map(|(name, _)| name);
        records.chain(self.fails.iter().map(|(name, _)| name))
    }
}
