//! The files that a pipeline uses, and where they lie in a bundle. Owns which files those are;
//! decides nothing about which of them may leave.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::manifest::Role;
use super::places::{DATA, PROJECT, PROMPTS, common, elsewhere, free, joined, param_of};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::Survey;
use crate::hash::Hash;
use crate::plan::manifest::Item;
use crate::share::labels::{Labels, real};
use crate::share::lock::Lock;
use crate::trust::gather::of_all;
use crate::trust::need::Act;

/// A file that a pipeline uses.
#[derive(Clone, Debug)]
pub struct Used {
    /// Where it is.
    pub path: PathBuf,
    /// Where it lies in a bundle.
    pub place: String,
    /// What it is for.
    pub role: Role,
    /// What the lock calls it, or would.
    pub label: String,
    /// The param that leads to it.
    pub param: Option<String>,
    /// Its hash, if a stage reads it as a file.
    pub hash: Option<Hash>,
    /// It is sensitive itself.
    pub sensitive: bool,
    /// It lies outside of the project, and is not a text that the pipeline is made of.
    pub elsewhere: bool,
    /// Records are loaded of it.
    pub loaded: bool,
}

/// All of them, by their places.
pub struct All {
    /// The files.
    pub files: BTreeMap<String, Used>,
    /// Where the pipeline's file lies in a bundle.
    pub pipeline: String,
    /// The folder of the user's machine that `project/` stands for.
    root: PathBuf,
}

/// Finds them. `sensitive` are files that are sensitive themselves; `params_files` hold what is
/// in the params.
///
/// # Errors
/// A file that the pipeline must not name.
pub fn used(
    pipe: &Pipe,
    survey: &Survey,
    lock: &Lock,
    sensitive: &[PathBuf],
    params_files: &[PathBuf],
) -> Result<All, Diagnostic> {
    let mut found = Found {
        pipe,
        lock,
        labels: Labels::new(pipe),
        sensitive: sensitive.iter().map(|path| resolved(path)).collect(),
        all: Vec::new(),
        seen: HashSet::new(),
    };
    for (at, node) in survey.nodes.iter().enumerate() {
        for item in &node.manifest.items {
            if let Item::File { path, hash } = item {
                let loaded = pipe.stages[at].verb.name() == "load";
                let role = if loaded { Role::Data } else { Role::File };
                found.add(Path::new(path), role, Some(*hash), loaded)?;
            }
        }
    }
    found.texts(survey, params_files)?;
    for need in of_all(pipe) {
        if let Act::Run(program) = need.act {
            for script in program.scripts.files {
                found.add(&script.path, Role::File, None, false)?;
            }
        }
    }
    Ok(found.placed())
}

/// A path with all links followed.
fn resolved(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

struct Found<'a> {
    pipe: &'a Pipe,
    lock: &'a Lock,
    labels: Labels,
    sensitive: HashSet<PathBuf>,
    all: Vec<Used>,
    seen: HashSet<PathBuf>,
}

impl Found<'_> {
    /// The pipeline with what it includes, prompts, schemas and templates.
    fn texts(&mut self, survey: &Survey, params_files: &[PathBuf]) -> Result<(), Diagnostic> {
        let pipe = self.pipe;
        let items = survey.nodes.iter().flat_map(|node| &node.manifest.items);
        let prompts: HashSet<Hash> = items
            .filter_map(|item| match item {
                Item::Prompt { hash, .. } => Some(*hash),
                _ => None,
            })
            .collect();
        for (path, text) in pipe.pipeline.sources.all() {
            if params_files.iter().any(|file| file == path) {
                continue;
            }
            let hash = Hash::of_bytes(text.as_bytes());
            let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
            let role = if prompts.contains(&hash) {
                Role::Prompt
            } else if path == pipe.pipeline.file || is_yaml {
                Role::Pipeline
            } else {
                Role::File
            };
            self.add(path, role, None, false)?;
        }
        for at in 0..pipe.stages.len() {
            let traces = pipe.stages[at].verb.traces(&pipe.build(at, Vec::new()));
            for path in &traces.paths {
                self.add(path, Role::File, None, false)?;
            }
        }
        let templates = pipe.models.values().filter_map(|m| m.template.as_ref());
        for path in templates.flat_map(|template| template.files().to_vec()) {
            self.add(&path, Role::File, None, false)?;
        }
        Ok(())
    }

    /// Adds a file, once. What is no regular file is none that a bundle holds.
    fn add(
        &mut self,
        path: &Path,
        role: Role,
        hash: Option<Hash>,
        loaded: bool,
    ) -> Result<(), Diagnostic> {
        if !path.is_file() {
            return Ok(());
        }
        let path = real(path);
        if !self.seen.insert(path.clone()) {
            return Ok(());
        }
        let mut label = self.labels.input(&path);
        let inputs = &self.lock.inputs;
        while hash.is_some() && inputs.get(&label).map(|input| input.hash) != hash {
            if !inputs.contains_key(&label) {
                break;
            }
            label.push('\'');
        }
        let param = param_of(&label).map(|(param, _)| param.to_owned());
        self.all.push(Used {
            sensitive: self.sensitive.contains(&resolved(&path)),
            elsewhere: false,
            place: String::new(),
            path,
            role,
            label,
            param,
            hash,
            loaded,
        });
        Ok(())
    }

    /// Gives each its place.
    fn placed(self) -> All {
        let own = real(&self.pipe.pipeline.file);
        let project = self.pipe.pipeline.fence.project();
        let hidden = |path: &Path| {
            let mut parts = path.components();
            parts.any(|part| part.as_os_str().as_encoded_bytes().starts_with(b"."))
        };
        let inside = |path: &Path| {
            let below = project.and_then(|project| path.strip_prefix(project).ok());
            path == own || below.is_some_and(|below| !hidden(below))
        };
        let dirs = self.pipe.folders.prompts.iter().map(|dir| resolved(dir));
        let dirs: Vec<PathBuf> = dirs.collect();
        let shadow = |used: &Used| {
            let text = used.role == Role::Prompt;
            let mut below = dirs
                .iter()
                .filter_map(|dir| used.path.strip_prefix(dir).ok());
            below.next().filter(|_| text).map(Path::to_owned)
        };
        let in_project = |used: &&Used| inside(&used.path) && shadow(used).is_none();
        let root = common(self.all.iter().filter(in_project).map(|u| u.path.as_path()));
        let mut files: BTreeMap<String, Used> = BTreeMap::new();
        for mut used in self.all {
            let place = match (shadow(&used), used.path.strip_prefix(&root)) {
                (Some(below), _) => joined(PROMPTS, &below),
                (None, Ok(below)) if inside(&used.path) => joined(PROJECT, below),
                _ => {
                    used.elsewhere = true;
                    elsewhere(&used.label, &used.path)
                }
            };
            used.place = free(place, |place| files.contains_key(place));
            files.insert(used.place.clone(), used);
        }
        let below = own.strip_prefix(&root).unwrap_or(&own);
        All {
            pipeline: joined(PROJECT, below),
            files,
            root,
        }
    }
}

impl All {
    /// Where something lies in a bundle that a param leads to: a file, or a folder with files.
    pub fn place_of(&self, param: &str, path: &Path) -> Option<String> {
        let path = real(path);
        let file = self.files.values().find(|used| used.path == path);
        if let Some(used) = file {
            return Some(used.place.clone());
        }
        let place = match path.strip_prefix(&self.root) {
            Ok(below) => joined(PROJECT, below),
            Err(_) => format!("{DATA}/{param}"),
        };
        let folder = format!("{place}/");
        let mut places = self.files.keys();
        places
            .any(|file| file.starts_with(&folder))
            .then_some(place)
    }
}
