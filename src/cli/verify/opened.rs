//! The pipeline of a bundle, unpacked, with the values that its run had, and without the stages
//! whose data is not there, or that need what the user did not agree to. Owns that a stranger's
//! bundle opens no file of the user's: only what the user gives is given.

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
use crate::spec::pipeline::{Overrides, Pipeline};
use crate::text::visible::plain;
use crate::trust::config::Config;
use crate::trust::sensitive::mark;

/// A pipeline that can be run.
pub struct Opened {
    /// The pipeline.
    pub pipe: Arc<Pipe>,
    /// Stages that are not in it, in its order, and why.
    pub removed: Vec<(String, Lack)>,
    /// The file with the params, which is none of the pipeline's.
    pub params: PathBuf,
}

/// For want of what a stage was taken out: it, or one that it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// Data of this name.
    Data(String),
    /// Consent to read this file, which the bundle does not hold.
    Consent(PathBuf),
    /// A regular file: this is something else, such as a device, which nobody should read.
    File(PathBuf),
    /// Consent to run a program.
    Program,
}

impl Lack {
    /// What the user may allow, as a thing to do.
    pub fn need(&self) -> Option<String> {
        match self {
            Lack::Consent(path) => Some(format!("read `{}`", plain(&path.display().to_string()))),
            Lack::Program => Some("run a program".to_owned()),
            Lack::Data(_) | Lack::File(_) => None,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        let shown = |path: &Path| plain(&path.display().to_string());
        match self {
            Lack::Data(name) => format!("needs `{}`, which is not in the bundle", plain(name)),
            Lack::Consent(path) => format!(
                "needs your consent (`--yes`) to read `{}`, which is outside of the bundle",
                shown(path)
            ),
            Lack::Program => "needs your consent (`--yes`) to run a program".to_owned(),
            Lack::File(path) => format!(
                "would read `{}`, which is outside of the bundle and no regular file",
                shown(path)
            ),
        }
    }
}

impl Opened {
    /// For want of what a stage was taken out.
    pub fn lacks(&self, stage: &str) -> Option<&Lack> {
        let found = self.removed.iter().find(|(name, _)| name == stage);
        found.map(|(_, lack)| lack)
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
    /// The user allows what the bundle names.
    pub yes: bool,
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
    let removed = prune(&mut pipeline, inputs, home.yes);
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
    let mut config = config.clone();
    if inputs
        .all
        .iter()
        .any(|i| i.sensitive && i.is == Is::Elsewhere)
    {
        // Which of them it is, is not for the bundle to say.
        config.sensitive.extend(files_outside(&pipe, home.root));
    }
    mark(&mut pipe, &config);
    Ok(Opened {
        pipe: Arc::new(pipe),
        removed,
        params,
    })
}

/// The files that stages read and that are not in the bundle's folder.
fn files_outside(pipe: &Pipe, root: &Path) -> Vec<PathBuf> {
    let stages = pipe.stages.iter().enumerate();
    let files = stages.flat_map(|(at, stage)| {
        let build = pipe.build(at, Vec::new());
        let mut files = stage.verb.files(&build);
        files.extend(stage.verb.traces(&build).paths);
        files
    });
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let real = files.filter_map(|file| file.canonicalize().ok());
    real.filter(|file| !file.starts_with(&root)).collect()
}

/// Takes out the stages that read a file which is not there, or must not be read, and all that is
/// made of them.
fn prune(pipeline: &mut Pipeline, inputs: &Inputs, yes: bool) -> Vec<(String, Lack)> {
    let absent = inputs.all.iter().filter(|input| input.is == Is::Absent);
    let absent: BTreeMap<PathBuf, &str> = absent
        .filter_map(|input| {
            let path = input.path.as_ref()?.canonicalize().ok()?;
            Some((path, input.name.as_str()))
        })
        .collect();
    let data = |path: &Path| {
        let path = path.canonicalize().ok()?;
        let name = absent.get(&path)?;
        Some(Lack::Data((*name).to_owned()))
    };
    let fence = pipeline.fence.clone();
    let outside = |path: &Path| {
        let real = fence.refuses(path);
        let kind = fs::metadata(path).ok()?.file_type();
        if !kind.is_file() && !kind.is_dir() {
            return Some(Lack::File(real.unwrap_or_else(|| path.to_owned())));
        }
        real.filter(|_| !yes).map(Lack::Consent)
    };
    let mut removed: BTreeMap<String, Lack> = BTreeMap::new();
    let mut models: BTreeMap<&str, Lack> = BTreeMap::new();
    for model in &pipeline.models {
        if let Some(lack) = first(&model.node, &model.dir, &data) {
            models.insert(&model.name.value, lack);
        }
    }
    for stage in &pipeline.stages {
        let asks = stage.config.get("model").and_then(Node::as_str);
        let model = asks.and_then(|model| models.get(model).cloned());
        let elsewhere = |node: &Node| first(node, &stage.dir, &outside);
        let elsewhere = || match stage.verb.value.as_str() {
            // It is written in a folder of its own, wherever its name leads.
            "write" => None,
            // Words that a program is given are its own to read.
            "exec" if yes => elsewhere(stage.config.get("files")?),
            "exec" => elsewhere(&stage.config).map(|_| Lack::Program),
            _ => elsewhere(&stage.config),
        };
        let own = first(&stage.config, &stage.dir, &data);
        if let Some(lack) = own.or(model).or_else(elsewhere) {
            removed.insert(stage.name.value.clone(), lack);
        }
    }
    loop {
        let mut more = BTreeMap::new();
        for stage in &pipeline.stages {
            let with = stage.with.iter().map(|(_, source)| source);
            let mut sources = stage.from.iter().chain(with);
            let lost = sources.find_map(|source| removed.get(&source.value));
            if let Some(lack) = lost.filter(|_| !removed.contains_key(&stage.name.value)) {
                more.insert(stage.name.value.clone(), lack.clone());
            }
        }
        if more.is_empty() {
            break;
        }
        removed.extend(more);
    }
    let (gone, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut pipeline.stages)
        .into_iter()
        .partition(|stage| removed.contains_key(&stage.name.value));
    pipeline.stages = kept;
    gone.iter()
        .filter_map(|stage| removed.remove_entry(&stage.name.value))
        .collect()
}

/// What is lacking of the files that settings name, of the first of which something is.
fn first(node: &Node, dir: &Path, lack: &dyn Fn(&Path) -> Option<Lack>) -> Option<Lack> {
    match &node.value {
        // Dots and slashes alone are hardly meant as a path.
        NodeValue::Str(text) if text.chars().all(|c| matches!(c, '.' | '/')) => None,
        NodeValue::Str(text) => lack(&dir.join(text)),
        NodeValue::Seq(items) => items.iter().find_map(|item| first(item, dir, lack)),
        NodeValue::Map(entries) => {
            let mut entries = entries.iter();
            entries.find_map(|(_, node)| first(node, dir, lack))
        }
        _ => None,
    }
}
