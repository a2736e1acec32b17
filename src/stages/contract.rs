//! What a verb is. A verb is its settings: a struct that YAML is decoded into, that can say
//! what decides its output, and that builds an [`Operator`] to do the work.
//!
//! Operators are synchronous and do no network I/O: the engine feeds them records, sends
//! the requests that they return, and hands the replies back.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Environment;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::traces::Traces;
use crate::diag::{Diagnostic, Sources};
use crate::hash::Hash;
use crate::jinja::expr::Shared;
use crate::model::chat::{Reply, Request};
use crate::model::spec::ModelSpec;
use crate::record::Record;
use crate::spec::fence::Fence;

/// A verb: the settings of a stage, decoded.
pub trait Verb: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The key that names it in YAML.
    const NAME: &'static str;
    /// Semantic version: raised when the same settings and input give another output.
    const VERSION: u32;

    /// How many streams `from:` may name: least and most.
    fn inputs(&self) -> (usize, usize) {
        (1, 1)
    }

    /// True when its output is expensive and therefore kept as an artifact.
    fn heavy(&self) -> bool {
        false
    }

    /// True when it treats each record of an input by itself: what it makes of one does not
    /// depend on which others come through that port, nor on their order. Machines can then
    /// share the records.
    fn recordwise(&self, _port: usize) -> bool {
        false
    }

    /// The file that it writes, relative to the output folder, if it writes one.
    fn writes(&self) -> Option<&Path> {
        None
    }

    /// Files outside the pipeline (data, scripts) whose content decides the output.
    fn files(&self, _cx: &Build<'_>) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What decides its output besides its settings, its files and its input. Unless a verb
    /// says otherwise: the params that its settings name.
    fn traces(&self, cx: &Build<'_>) -> Traces {
        Traces::of_settings(self, cx)
    }

    /// Looks at the beginning of its file, for [`check`](Verb::check): apart from that, so that
    /// many stages can do it at the same time. None if it reads no file, or one that the user has
    /// not allowed.
    fn look(&self, _cx: &Build<'_>) -> Option<Look> {
        None
    }

    /// Checks the settings before anything runs, and says which fields the output has.
    fn check(&self, cx: &mut Check<'_>) -> FieldSet;

    /// Builds the operator.
    ///
    /// # Errors
    /// A diagnostic about the settings or the input file.
    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic>;
}

/// What a stage does, by how the engine has to drive it.
pub enum Operator {
    /// Makes records from nothing (a file). Runs on a blocking thread.
    Source(Box<dyn Source>),
    /// Turns records into records.
    Flow(Box<dyn Flow>),
    /// Needs answers from a model for each record.
    Ask(Arc<dyn Ask>),
    /// Computes something expensive for each record, on a blocking thread.
    Work(Box<dyn Work>),
    /// An outside program that reads and writes JSON lines.
    Exec(ExecCommand),
    /// Writes records to a file under the output folder.
    Sink(Box<dyn Sink>),
}

/// Makes records.
pub trait Source: Send {
    /// Emits some records; false when there are no more.
    ///
    /// # Errors
    /// [`Fault::Record`] loses one record, [`Fault::Stage`] ends the stage.
    fn next(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault>;
}

/// Turns records into records, one at a time.
pub trait Flow: Send {
    /// Takes one record of the `port`-th input. The engine feeds ports one after another:
    /// all of port 0, then port 1, …
    ///
    /// # Errors
    /// [`Fault::Record`] loses this record, [`Fault::Stage`] ends the stage.
    fn push(&mut self, port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault>;

    /// In which order ports are fed. A join reads its right side first.
    fn port_order(&self, ports: usize) -> Vec<usize> {
        (0..ports).collect()
    }

    /// Called again and again after the last record: emits what was held back, in pieces;
    /// false when nothing is left.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn drain(&mut self, _out: &mut Vec<Record>) -> Result<bool, Fault> {
        Ok(false)
    }

    /// True when no further input can change the output: the engine then stops the upstream.
    fn is_full(&self) -> bool {
        false
    }

    /// For verbs that make something of many records: the number of the group that the record
    /// went to that was taken last. The n-th call of [`drain`](Flow::drain), from 0, emits what
    /// the n-th group gives. Asked only where what became of records is wanted.
    fn group(&self) -> Option<usize> {
        None
    }

    /// The keys of records of the second input that what the last call of [`push`](Flow::push)
    /// emitted was made of too: one for each record that it emitted, or all of them for each.
    fn partners(&self) -> &[Arc<str>] {
        &[]
    }

    /// The key that a record had when it was taken which [`drain`](Flow::drain) has just
    /// emitted: its own, unless the verb says otherwise.
    fn origin(&self, made: &Record) -> Arc<str> {
        made.key.clone()
    }
}

/// Asks a model about each record.
pub trait Ask: Send + Sync {
    /// The requests for one record (none is fine).
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn requests(&self, record: &Record) -> Result<Vec<Request>, Fault>;

    /// What to ask once more, now that these requests have replies: none to be content with
    /// them. Called once for a record.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn again(&self, _: &Record, _: &[(Request, Reply)]) -> Result<Vec<Request>, Fault> {
        Ok(Vec::new())
    }

    /// Takes its requests back, each with its reply, in the order in which they were asked, and
    /// emits records.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn absorb(
        &self,
        record: Record,
        answered: Vec<(Request, Reply)>,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault>;
}

/// Computes something expensive for each record. The engine keeps the results in the cache one
/// by one, and computes nothing twice.
pub trait Work: Send {
    /// What names the result for a record in the cache, together with the content of the
    /// verb's files.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn key(&mut self, record: &Record) -> Result<Hash, Fault>;

    /// The results for some records, in their order. They do not depend on which records come
    /// together.
    fn work(&mut self, records: &[Record]) -> Vec<Result<Json, Fault>>;

    /// Puts a result into its record.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn absorb(&mut self, record: Record, result: &Json, out: &mut Vec<Record>)
    -> Result<(), Fault>;
}

/// Formats records into the bytes of an output file.
pub trait Sink: Send {
    /// The file, relative to the output folder.
    fn path(&self) -> &Path;

    /// Bytes for one record.
    ///
    /// # Errors
    /// As [`Flow::push`].
    fn record(&mut self, record: &Record, bytes: &mut Vec<u8>) -> Result<(), Fault>;

    /// Called again and again after the last record: the bytes that come after it, in pieces;
    /// false with the last of them. Bytes before the first record are written by `record`.
    ///
    /// # Errors
    /// [`Fault::Stage`] ends the stage.
    fn end(&mut self, _bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        Ok(false)
    }
}

/// An outside program that reads records as JSON lines on standard input, and writes records
/// as JSON lines on standard output.
#[derive(Clone, Debug)]
pub struct ExecCommand {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// Its working folder.
    pub dir: PathBuf,
    /// Field that is the key of the records it writes, if it makes new ones; else each line
    /// it writes must answer the line it read, in order.
    pub key: Option<String>,
}

/// Why a record, or a whole stage, failed. Texts never hold the content of records.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This record is lost: why, in one line.
    Record(String),
    /// The same, because a call to a model failed.
    Call(String),
    /// The same, because a model's answer to it cannot be read, or is not what was asked for.
    Answer(String),
    /// The stage cannot go on.
    Stage(Box<Diagnostic>),
}

impl From<Diagnostic> for Fault {
    fn from(diagnostic: Diagnostic) -> Fault {
        Fault::Stage(Box::new(diagnostic))
    }
}

/// The fields that records of a stage are known to have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Known names, in order.
    pub names: Vec<String>,
    /// True when there may be others.
    pub open: bool,
}

impl FieldSet {
    /// Nothing is known: there may be any field.
    pub fn unknown() -> FieldSet {
        FieldSet {
            names: Vec::new(),
            open: true,
        }
    }

    /// True when the field may exist.
    pub fn allows(&self, name: &str) -> bool {
        self.open || self.names.iter().any(|n| n == name)
    }

    /// Adds a name.
    pub fn add(&mut self, name: &str) {
        if !self.names.iter().any(|n| n == name) {
            self.names.push(name.to_owned());
        }
    }
}

/// What a verb needs to check itself, and where it reports faults.
pub struct Check<'a> {
    /// Fields of the inputs, in the order of `from:`.
    pub inputs: &'a [FieldSet],
    /// Everything that building needs too.
    pub build: Build<'a>,
    /// What [`Verb::look`] saw.
    pub look: Option<Look>,
    /// Names of `with:`.
    pub with: &'a [String],
    /// Names of the pipeline's params.
    pub params: &'a [String],
    /// Names of the pipeline's models.
    pub models: &'a [String],
    /// The user's files; prompts are added as they are read.
    pub sources: &'a mut Sources,
    /// What the sound expressions so far read.
    pub parsed: &'a mut Parsed,
    /// Where faults go.
    pub faults: &'a mut Vec<Diagnostic>,
}

/// The names of a file's fields, as far as its beginning tells; or why it cannot be read.
pub type Look = Result<Vec<String>, Diagnostic>;

/// The names that sound expressions read, by their text: many stages have the same ones.
pub type Parsed = HashMap<String, Arc<[String]>>;

/// What a verb needs to build its operator.
#[derive(Clone)]
pub struct Build<'a> {
    /// The folder that relative paths start from.
    pub dir: &'a Path,
    /// The files that the pipeline may name.
    pub fence: &'a Fence,
    /// Where outputs go.
    pub out_dir: &'a Path,
    /// Where operators may put temporary files (inside the store: same disk, same rights).
    pub temp_dir: &'a Path,
    /// The environment that expressions are compiled in; it lives as long as the program.
    pub env: &'static Environment<'static>,
    /// What all records share in expressions: params and named inputs.
    pub shared: Arc<Shared>,
    /// The named inputs whose records may be among those of the input, with the same keys: both
    /// come from one stage.
    pub kin: &'a [String],
    /// Folders that shadow the prompts' own, first match wins (`--prompts DIR`).
    pub prompt_dirs: &'a [PathBuf],
    /// The pipeline's models by name.
    pub models: &'a BTreeMap<String, Arc<ModelSpec>>,
}

impl Build<'_> {
    /// A path of the pipeline file, made absolute or relative to the working folder.
    pub fn path(&self, path: &str) -> PathBuf {
        // `./` before every name would only be noise in messages.
        if self.dir == Path::new(".") {
            return PathBuf::from(path);
        }
        self.dir.join(path)
    }
}
