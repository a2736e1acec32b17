//! The pipeline of a bundle, unpacked, with the values that its run had, and without the stages
//! whose data is not there. Owns that a stranger's bundle names no file of the user's: only what
//! the user gives is given.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::data::{Inputs, Is};
use crate::cli::session::shapes;
use crate::diag::{Diagnostic, Sources};
use crate::engine::pipe::{Folders, Pipe, understand};
use crate::share::bundle::manifest::Manifest;
use crate::share::bundle::member::fault_of;
use crate::spec::load;
use crate::spec::node::{Node, NodeValue};
use crate::spec::pipeline::{Overrides, Pipeline, StageSpec};
use crate::trust::config::Config;
use crate::trust::sensitive::mark;

/// A pipeline that can be run.
pub struct Opened {
    /// The pipeline.
    pub pipe: Arc<Pipe>,
    /// Stages that are not in it, in its order, and the file that each would need.
    pub removed: Vec<(String, String)>,
    /// The file with the params, which is none of the pipeline's.
    pub params: PathBuf,
}

impl Opened {
    /// The file for want of which a stage was taken out.
    pub fn lacks(&self, stage: &str) -> Option<&str> {
        let found = self.removed.iter().find(|(name, _)| name == stage);
        found.map(|(_, file)| file.as_str())
    }
}

/// Where everything is.
pub struct Home<'a> {
    /// The unpacked bundle.
    pub root: &'a Path,
    /// For what is only needed now.
    pub scratch: &'a Path,
    /// The user's params.
    pub params: &'a [(String, String)],
}

/// Opens it.
///
/// # Errors
/// What is wrong with the pipeline: as a pipeline's faults are told.
pub fn open(
    home: &Home<'_>,
    manifest: &Manifest,
    inputs: &Inputs,
    config: &Config,
) -> Result<Opened, (Vec<Diagnostic>, Sources)> {
    let one = |fault: Diagnostic| (vec![fault], Sources::default());
    if let Some(why) = fault_of(&manifest.pipeline) {
        return Err(one(Diagnostic::error(format!("the pipeline's file {why}"))));
    }
    // What is in there is the pipeline's project, as it was where it was made.
    let failed = |error| {
        one(Diagnostic::error(format!(
            "no place for the pipeline: {error}"
        )))
    };
    fs::create_dir_all(home.root.join("project/.git")).map_err(failed)?;
    let params = home.scratch.join("params.json");
    let text = json!({"params": manifest.params}).to_string();
    fs::write(&params, text).map_err(failed)?;
    let given = |name: &String| home.params.iter().any(|(known, _)| known == name);
    let ours = inputs.params.iter().filter(|(name, _)| !given(name));
    let overrides = Overrides {
        params: ours.chain(home.params).cloned().collect(),
        // Unlike a file of the user's, what it names is not given by the user.
        sections: match manifest.params.is_empty() {
            true => Vec::new(),
            false => vec![(params.clone(), "params")],
        },
        allowed: config.paths.clone(),
        ..Overrides::default()
    };
    let file = home.root.join(&manifest.pipeline);
    let loaded = load(&file, &overrides, &shapes());
    let sources = loaded.sources;
    let Some(mut pipeline) = loaded.pipeline.filter(|_| loaded.faults.is_empty()) else {
        return Err((loaded.faults, sources));
    };
    let removed = prune(&mut pipeline, inputs);
    let prompts = manifest
        .prompts
        .as_ref()
        .filter(|place| fault_of(place).is_none());
    let prompts: Vec<PathBuf> = prompts
        .map(|place| home.root.join(place))
        .into_iter()
        .collect();
    prompts
        .iter()
        .for_each(|folder| pipeline.fence.allow(folder));
    let folders = Folders {
        out: home.scratch.join("out"),
        temp: home.scratch.join("store/tmp"),
        prompts,
    };
    let mut pipe = understand(pipeline, folders, Vec::new())?;
    mark(&mut pipe, config);
    Ok(Opened {
        pipe: Arc::new(pipe),
        removed,
        params,
    })
}

/// Takes out the stages that read a file which is not there, and all that is made of them: each
/// with the name of the file.
fn prune(pipeline: &mut Pipeline, inputs: &Inputs) -> Vec<(String, String)> {
    let absent = inputs.all.iter().filter(|input| input.is == Is::Absent);
    let absent: BTreeMap<PathBuf, &str> = absent
        .filter_map(|input| {
            let path = input.path.as_ref()?.canonicalize().ok()?;
            Some((path, input.name.as_str()))
        })
        .collect();
    let mut removed: BTreeMap<String, String> = BTreeMap::new();
    if absent.is_empty() {
        return Vec::new();
    }
    let mut models: BTreeMap<&str, &str> = BTreeMap::new();
    for model in &pipeline.models {
        if let Some(name) = named(&model.node, &model.dir, &absent) {
            models.insert(&model.name.value, name);
        }
    }
    for stage in &pipeline.stages {
        let asks = stage.config.get("model").and_then(Node::as_str);
        let model = asks.and_then(|model| models.get(model).copied());
        if let Some(name) = named(&stage.config, &stage.dir, &absent).or(model) {
            removed.insert(stage.name.value.clone(), name.to_owned());
        }
    }
    loop {
        let mut more = BTreeMap::new();
        for stage in &pipeline.stages {
            let with = stage.with.iter().map(|(_, source)| source);
            let mut sources = stage.from.iter().chain(with);
            let lost = sources.find_map(|source| removed.get(&source.value));
            if let Some(name) = lost.filter(|_| !removed.contains_key(&stage.name.value)) {
                more.insert(stage.name.value.clone(), name.clone());
            }
        }
        if more.is_empty() {
            break;
        }
        removed.extend(more);
    }
    let (gone, kept): (Vec<StageSpec>, Vec<StageSpec>) = std::mem::take(&mut pipeline.stages)
        .into_iter()
        .partition(|stage| removed.contains_key(&stage.name.value));
    pipeline.stages = kept;
    let names = gone.into_iter().map(|stage| stage.name.value);
    names
        .filter_map(|name| removed.remove_entry(&name))
        .collect()
}

/// The name of a file that settings name, and that is not there.
fn named<'a>(node: &Node, dir: &Path, absent: &BTreeMap<PathBuf, &'a str>) -> Option<&'a str> {
    match &node.value {
        NodeValue::Str(text) => {
            let path = dir.join(text).canonicalize().ok()?;
            absent.get(&path).copied()
        }
        NodeValue::Seq(items) => items.iter().find_map(|item| named(item, dir, absent)),
        NodeValue::Map(entries) => {
            let mut entries = entries.iter();
            entries.find_map(|(_, node)| named(node, dir, absent))
        }
        _ => None,
    }
}
