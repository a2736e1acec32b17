//! The lock of a pipeline: hashes of everything that a run is made of, and of what came out.
//! Owns the form of the file; knows nothing of where its facts come from.
//!
//! It is YAML with one fact a line, sorted, and of the same bytes for the same facts. It holds no
//! record, no date, no host, and no path of the machine. Values of params are in it as they are:
//! a secret is named by `key_env` and is never a param.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::yaml;
use crate::diag::{Diagnostic, Sources};
use crate::hash::Hash;
use crate::model::told::Told;
use crate::spec::decode::decode;
use crate::spec::file;
use crate::spec::node::NodeValue;

/// The form that this program writes, and the newest that it reads.
pub const FORMAT: u64 = 1;
/// The first lines of the file.
const HEAD: &str = "\
# What a run of this pipeline is made of, and what came out: written by `clue lock`, held to by
# `clue run --locked`. Hashes are BLAKE3, as `b3sum` prints them.
";

/// A lock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// The form of the file.
    pub clue_lock: u64,
    /// The version of the program that wrote it.
    pub program: String,
    /// Versions of the forms of other things that it writes.
    pub formats: BTreeMap<String, u64>,
    /// The pipeline's file and those that it includes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Hash>,
    /// Prompt files, and those that they include.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub prompts: BTreeMap<String, Hash>,
    /// Files that stages read: data, schemas, scripts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// Values of params; addresses of models are left out, since they decide nothing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, Json>,
    /// Params that are paths.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, Place>,
    /// Models: what decides their answers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Model>,
    /// Stages: their keys, and what came out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, Stage>,
    /// Output files, by their paths in the output folder.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, Made>,
}

/// A file that a stage reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Hash of its bytes.
    pub hash: Hash,
    /// Records that a stage makes of it, if it is loaded in one way only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}

/// A param that is a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// From the pipeline's folder; empty for none. Where it lies decides nothing.
    pub path: String,
    /// Hash of the file's bytes, unless it is among the inputs, or no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Hash>,
}

/// A model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What decides its answers.
    #[serde(flatten)]
    pub identity: BTreeMap<String, Json>,
    /// What its server said of itself in a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<Told>,
}

/// A stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its verb, with the verb's semantic version.
    pub verb: String,
    /// Its key: settings, prompts, files, models, and the keys of its inputs. As in the cache,
    /// but without addresses of models and places of files.
    pub key: Hash,
    /// Hash of its output, for stages whose output is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Hash>,
    /// Records in that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
}

/// An output file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Hash of its bytes.
    pub hash: Hash,
    /// Records in it.
    pub records: u64,
}

/// Where the lock of a pipeline is, unless it is said: beside it.
pub fn beside(pipeline: &Path) -> PathBuf {
    pipeline.with_extension("lock")
}

impl Lock {
    /// The text of the file.
    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        yaml::write(&serde_json::to_value(self).unwrap_or_default(), &mut text);
        text
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// There is none, it is of a newer form, or it is none at all: at its place in `sources`.
    pub fn read(path: &Path, sources: &mut Sources) -> Result<Lock, Diagnostic> {
        let shown = path.display();
        if !path.exists() {
            return Err(Diagnostic::error(format!("no lock `{shown}`"))
                .help("write it with `clue lock`, or name it: `--locked=FILE`"));
        }
        let (_, node) = file::read(path, sources)?;
        match node.get("clue_lock").map(|form| (&form.value, form.span)) {
            Some((NodeValue::Int(form), span)) if *form > FORMAT as i64 => {
                return Err(Diagnostic::error(format!(
                    "the lock is of format {form}, and this clue reads formats up to {FORMAT}"
                ))
                .at(span, "")
                .help("use the version of clue that wrote it, or a newer one"));
            }
            Some((NodeValue::Int(_), _)) => {}
            _ => {
                return Err(Diagnostic::error(format!("`{shown}` is no lock"))
                    .at(node.span, "")
                    .note("expected `clue_lock:` with a number"));
            }
        }
        decode(&node).map_err(|fault| fault.help("write it again with `clue lock`"))
    }

    /// How many outputs of stages and output files it knows.
    pub fn results(&self) -> usize {
        let stages = self.stages.values();
        stages.filter(|stage| stage.output.is_some()).count() + self.outputs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_it_was_written() {
        let hash = Hash::of_bytes(b"x");
        let mut lock = Lock {
            clue_lock: FORMAT,
            program: "1.0".to_owned(),
            ..Lock::default()
        };
        lock.formats.insert("cache".to_owned(), 1);
        lock.params.insert("n".to_owned(), 3.into());
        let input = Input {
            hash,
            records: Some(2),
        };
        lock.inputs.insert("params.notes".to_owned(), input);
        let mut model = Model::default();
        model.identity.insert("id".to_owned(), "m".into());
        model.served = Some(Told {
            version: Some("2".to_owned()),
            ..Told::default()
        });
        lock.models.insert("writer".to_owned(), model);
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("p.lock");
        std::fs::write(&path, lock.text()).expect("written");
        let read = Lock::read(&path, &mut Sources::default()).expect("a lock");
        assert_eq!(read, lock);
        for (text, what) in [
            (
                lock.text().replace("clue_lock: 1", "clue_lock: 9"),
                "format 9",
            ),
            ("a: 1\n".to_owned(), "is no lock"),
            (format!("{}x: 1\n", lock.text()), "unknown"),
        ] {
            std::fs::write(&path, text).expect("written");
            let fault = Lock::read(&path, &mut Sources::default()).expect_err("a fault");
            assert!(fault.message.contains(what), "{}", fault.message);
        }
    }
}
