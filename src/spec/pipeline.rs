//! The typed pipeline: what a YAML file says, before any verb is understood.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;
use serde::{Deserialize, Serialize};

use super::decode::Src;
use super::fence::Fence;
use super::node::Node;
use crate::diag::{Sources, Span};

/// A pipeline: params are resolved, `{{ … }}` in the YAML is substituted, includes are merged.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `name:`, or the file's stem.
    pub name: String,
    /// The main file.
    pub file: PathBuf,
    /// The folder that relative paths in the file start from.
    pub dir: PathBuf,
    /// Every file that messages may point into.
    pub sources: Sources,
    /// The files that it may name.
    pub fence: Fence,
    /// Spaces of names: the file's own, then those of the instances of other pipelines.
    pub scopes: Vec<Scope>,
    /// Models in the files' order, their settings not yet understood.
    pub models: Vec<ModelEntry>,
    /// Stages in the file's order, outputs last (each output is a `write` stage).
    pub stages: Vec<Arc<StageSpec>>,
}

impl Pipeline {
    /// The params of the main file.
    pub fn params(&self) -> &[Param] {
        self.scopes.first().map_or(&[], |scope| &scope.params)
    }
}

/// A space of names: a file with what it includes by name.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// What the names of its stages, models and outputs begin with: empty for the main file.
    pub prefix: String,
    /// Params with their values for this run, in the file's order.
    pub params: Vec<Param>,
}

/// A param with its value.
#[derive(Clone, Debug)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value for this run.
    pub value: Value,
    /// What it may be.
    pub kind: ParamKind,
    /// True if its value is the default.
    pub is_default: bool,
    /// Where it is declared.
    pub span: Span,
}

/// Types of params.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParamKind {
    /// Text.
    String,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A file or folder. Set on the command line: relative to the working folder; as a
    /// default in the file: relative to that file.
    Path,
    /// A list.
    List,
    /// A map.
    Map,
}

/// A model of the pipeline.
#[derive(Clone, Debug)]
pub struct ModelEntry {
    /// Its name in the whole pipeline.
    pub name: Src<String>,
    /// Its name in the space that it belongs to.
    pub local: String,
    /// That space.
    pub scope: usize,
    /// Its settings.
    pub node: Node,
    /// The folder that relative paths in it start from: that of the file it stands in; for one
    /// that a param gives, that of the main file.
    pub dir: PathBuf,
}

/// One stage: its inputs and its verb, not yet understood.
#[derive(Clone, Debug)]
pub struct StageSpec {
    /// Its name in the whole pipeline.
    pub name: Src<String>,
    /// The space of names that it belongs to: an index into [`Pipeline::scopes`].
    pub scope: usize,
    /// `from:`, in order.
    pub from: Vec<Src<String>>,
    /// `with:` — the name in expressions, and the stage.
    pub with: Vec<(String, Src<String>)>,
    /// The verb.
    pub verb: Src<String>,
    /// The verb's settings.
    pub config: Node,
    /// What to do with records that fail.
    pub on_error: OnError,
    /// True for stages made from `outputs:`.
    pub is_output: bool,
    /// The folder that relative paths in this stage start from (of the file it stands in).
    pub dir: PathBuf,
}

/// What to do when a record fails.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnError {
    /// Finish all others; the run then ends with exit code 1. The default.
    Finish,
    /// Stop the run at the first failure.
    Stop,
    /// Go on without the failed records; the run may still succeed, if at most this share
    /// (0 to 1) of the stage's records failed.
    Skip(f64),
}

/// Extra settings from the command line.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `-p name=value`, in order; values are text and converted by the param's type.
    pub params: Vec<(String, String)>,
    /// `--params FILE`s, YAML or JSON maps.
    pub params_files: Vec<PathBuf>,
    /// Maps of params inside of other YAML files: file, and the key of the map at its top.
    pub sections: Vec<(PathBuf, &'static str)>,
    /// `CLUE_PARAM_*` from the environment: lower-case name to text.
    pub env: BTreeMap<String, String>,
    /// Files and folders outside of its project that a pipeline may name.
    pub allowed: Vec<PathBuf>,
}
