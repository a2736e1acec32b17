//! The manifest of a bundle, `bundle.json`: what is in it, what is not and why, and what to run.
//! Owns the form of that file; knows nothing of archives.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::hash::Hash;

/// The format that this program writes, and the newest that it reads.
pub const FORMAT: u64 = 1;
/// The name of the file, which comes first.
pub const NAME: &str = "bundle.json";

/// How much leaves.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Pipeline, prompts and lock.
    CodeOnly,
    /// Also calls, outputs and results, but nothing that is about sensitive records.
    #[default]
    NoInputs,
    /// Everything.
    Open,
}

/// What a file of a bundle is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// `ro-crate-metadata.json`.
    Crate,
    /// `CITATION.cff`.
    Citation,
    /// `README.md`.
    Readme,
    /// `pipeline.lock`.
    Lock,
    /// The pipeline's file, or one that it includes.
    Pipeline,
    /// A prompt.
    Prompt,
    /// Another file that the pipeline reads: a schema, a script, a template.
    File,
    /// Data that a stage reads.
    Data,
    /// Calls with their answers.
    Calls,
    /// Salted hashes of calls.
    HiddenCalls,
    /// Hashes of records.
    Records,
    /// What the pipeline writes.
    Output,
    /// Tables of means.
    Results,
    /// The page.
    Report,
}

/// A file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its place in the bundle.
    pub path: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Hash of its bytes.
    pub hash: Hash,
    /// What it is for.
    pub role: Role,
}

/// A file that stages read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// What the lock calls it.
    pub label: String,
    /// The name of the file, without folders.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Hash of its bytes.
    pub hash: Hash,
    /// The param that leads to it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub param: Option<String>,
    /// Where it lies in the bundle; or, if it was left out, where it would have to lie for
    /// the pipeline to find it without a param.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// False if it was left out.
    pub there: bool,
    /// True if its records are.
    pub sensitive: bool,
}

/// What is not in a bundle, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// What it is: a file, or what would have been in it.
    pub what: String,
    /// Why.
    pub why: String,
}

/// The manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The form of the file.
    pub clue_bundle: u64,
    /// The version of the program that wrote it.
    pub program: String,
    /// The pipeline's name.
    pub name: String,
    /// How much left.
    pub level: Level,
    /// Where the pipeline's file lies in the bundle.
    pub pipeline: String,
    /// Values of params that were set and are no paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Json>,
    /// Params that are paths and were set: places in the bundle; none for what was left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, Option<String>>,
    /// The folder in the bundle that `--prompts` named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<String>,
    /// Its files, in their order, but for this one.
    #[serde(default)]
    pub files: Vec<File>,
    /// Files that stages read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<Data>,
    /// What is not in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Files that may hold words of sensitive records, by the word of whoever made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
}

/// Why a text is no manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is of a newer format.
    Newer(u64),
    /// It is none.
    None,
}

impl Manifest {
    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// Reads it.
    ///
    /// # Errors
    /// It is none that this program knows.
    pub fn read(bytes: &[u8]) -> Result<Manifest, Unread> {
        #[derive(Deserialize)]
        struct Form {
            clue_bundle: u64,
        }
        let form: Form = serde_json::from_slice(bytes).map_err(|_| Unread::None)?;
        if form.clue_bundle > FORMAT {
            return Err(Unread::Newer(form.clue_bundle));
        }
        serde_json::from_slice(bytes).map_err(|_| Unread::None)
    }

    /// The file at a place.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// The first file with a role.
    pub fn of_role(&self, role: Role) -> Option<&File> {
        self.files.iter().find(|file| file.role == role)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_was_written_and_a_newer_one_is_told() {
        let manifest = Manifest {
            clue_bundle: FORMAT,
            name: "p".to_owned(),
            pipeline: "project/p.yaml".to_owned(),
            files: vec![File {
                path: "project/p.yaml".to_owned(),
                bytes: 3,
                hash: Hash::of_bytes(b"abc"),
                role: Role::Pipeline,
            }],
            ..Manifest::default()
        };
        assert_eq!(Manifest::read(&manifest.bytes()), Ok(manifest.clone()));
        assert!(manifest.file("project/p.yaml").is_some());
        let newer = br#"{"clue_bundle": 9, "with": "more"}"#;
        assert_eq!(Manifest::read(newer), Err(Unread::Newer(9)));
        for text in ["", "[]", "{}", r#"{"clue_bundle": 1}"#] {
            assert_eq!(Manifest::read(text.as_bytes()), Err(Unread::None), "{text}");
        }
    }
}
