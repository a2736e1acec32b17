//! Where a page's results come from: files, params, models and prompts.

use std::path::{Component, Path, PathBuf};

use serde_json::Value as Json;

use super::data::{File, Model, Source};
use super::gather::Found;
use crate::engine::history::params as all_params;
use crate::engine::survey::out_file;
use crate::hash::Hash;
use crate::plan::manifest::Item;
use crate::spec::about::About;
use crate::text::secret::{redact, safe};

/// The pipeline's files: YAML, prompts, schemas. Values from the command line are none.
pub fn sources(found: &Found<'_>) -> Vec<Source> {
    let sources = found.pipe.pipeline.sources.all();
    let files = sources.filter(|(path, _)| *path != Path::new("-p"));
    let mut files: Vec<Source> = files
        .map(|(path, text)| Source {
            path: near(found, path),
            text: safe(text),
            hash: Hash::of_bytes(text.as_bytes()).short(),
        })
        .collect();
    let known = |files: &[Source], hash: &str| files.iter().any(|file| file.hash == hash);
    for at in 0..found.pipe.stages.len() {
        let stage = &found.pipe.stages[at];
        let traces = stage.verb.traces(&found.pipe.build(at, Vec::new()));
        for (path, _, text) in traces.prompts {
            let hash = Hash::of_bytes(text.as_bytes()).short();
            if !known(&files, &hash) {
                files.push(Source {
                    path: near(found, Path::new(&path)),
                    text: safe(&text),
                    hash,
                });
            }
        }
    }
    files
}

/// The files that stages read, each once.
pub fn inputs(found: &Found<'_>) -> Vec<File> {
    let mut files: Vec<File> = Vec::new();
    for node in &found.known.nodes {
        for item in &node.manifest.items {
            let Item::File { path, hash } = item else {
                continue;
            };
            let path = near(found, Path::new(path));
            if !files.iter().any(|file| file.path == path) {
                files.push(File {
                    path,
                    hash: Some(hash.short()),
                    rows: None,
                });
            }
        }
    }
    files
}

/// The files that were written.
pub fn outputs(found: &Found<'_>) -> Vec<File> {
    let stages = (0..found.pipe.stages.len()).filter_map(|at| {
        out_file(found.pipe, at)?;
        let output = found.known.planned[at].output.as_ref();
        Some(File {
            path: found.pipe.stages[at].spec.name.value.clone(),
            hash: output.map(|output| output.content.short()),
            rows: output.map(|output| output.rows),
        })
    });
    stages.collect()
}

/// The values of params.
pub fn params(found: &Found<'_>) -> Vec<(String, Json)> {
    let params = all_params(found.pipe);
    let params = params.map(|(name, value)| {
        let value = match redact(&name, value) {
            // Where files are on this machine is left out.
            Json::String(text) if Path::new(&text).is_absolute() => {
                Json::String(near(found, Path::new(&text)))
            }
            value => value,
        };
        (name, value)
    });
    params.collect()
}

/// The models, as far as they decide answers.
pub fn models(found: &Found<'_>) -> Vec<Model> {
    let models = found.pipe.models.iter();
    let models = models.map(|(name, model)| {
        let mut identity = model.identity();
        if let Json::Object(entries) = &mut identity {
            entries.retain(|_, value| !value.is_null());
        }
        Model {
            name: name.clone(),
            identity,
        }
    });
    models.collect()
}

/// What the pipeline says of itself at the top of its file: its description, and how it wants
/// to be cited.
pub fn told(found: &Found<'_>) -> (Option<String>, Vec<String>) {
    let about = About::of(&found.pipe.pipeline);
    (about.description, about.cite)
}

/// A path as seen from the pipeline's folder, where it lies in there: where that is on this
/// machine is nobody's business.
pub fn near(found: &Found<'_>, path: &Path) -> String {
    let dir = &found.pipe.pipeline.dir;
    let path = &straight(path);
    let inside = path.strip_prefix(dir).unwrap_or(path);
    if inside.is_absolute() {
        let here = std::env::current_dir().ok();
        let here = here.and_then(|here| inside.strip_prefix(here).ok().map(Path::to_owned));
        return match (here, inside.file_name()) {
            (Some(near), _) => near.display().to_string(),
            (None, Some(name)) => format!("…/{}", name.to_string_lossy()),
            (None, None) => inside.display().to_string(),
        };
    }
    inside.display().to_string()
}

/// A path without the detours (`a/../b`) that come of joining paths.
fn straight(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        let climbs = part == Component::ParentDir;
        let last = straight.components().next_back();
        if climbs && matches!(last, Some(Component::Normal(_))) {
            straight.pop();
        } else {
            straight.push(part);
        }
    }
    straight
}
