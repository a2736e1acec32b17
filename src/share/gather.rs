//! The facts of a lock: from a pipeline, its plan, and what the cache knows. Reads files to count
//! their records; asks nobody and writes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::labels::Labels;
use super::lock::{FORMAT, Input, Lock, Made, Model, Place, Stage};
use super::plain::Plain;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::runs::Head;
use crate::engine::survey::Survey;
use crate::hash::{Canonical, Hash};
use crate::model::spec::ModelSpec;
use crate::model::told::Served;
use crate::plan::manifest::Item;
use crate::replay::cassette;
use crate::spec::pipeline::ParamKind;
use crate::stages::contract::{Fault, Operator};
use crate::store::{self, Store};

/// Where facts come from.
pub struct Around<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Files with params: what they say is in the params.
    pub params_files: &'a [PathBuf],
    /// What servers said of themselves, the latest first.
    pub served: &'a [Served],
    /// Whether records of data files are counted: that reads them to their end.
    pub count: bool,
    /// Whether files outside of the pipeline's project are left alone, unless a stage reads them.
    pub inside: bool,
}

/// What servers said of themselves in the runs that the cache knows, the latest first.
pub fn served(store: &Store) -> Vec<Served> {
    let runs = store.runs::<Head>().into_iter();
    runs.filter_map(|(_, run)| run.facts)
        .flat_map(|facts| facts.served)
        .collect()
}

/// The lock of a pipeline as it is now.
///
/// # Errors
/// A file that cannot be read.
pub fn lock(pipe: &Pipe, survey: &Survey, around: &Around<'_>) -> Result<Lock, Diagnostic> {
    let plain = Plain::new(pipe);
    let labels = plain.labels();
    let mut lock = Lock {
        clue_lock: FORMAT,
        program: env!("CARGO_PKG_VERSION").to_owned(),
        formats: BTreeMap::from([
            ("cache".to_owned(), store::FORMAT),
            ("cassette".to_owned(), cassette::FORMAT),
        ]),
        ..Lock::default()
    };
    inputs(pipe, survey, around, labels, &mut lock);
    files(pipe, survey, around, labels, &mut lock);
    params(pipe, around, &plain, &mut lock)?;
    let keys = keys(pipe, survey, &plain);
    for (name, model) in &pipe.models {
        lock.models.insert(name.clone(), described(model, around));
    }
    for (at, node) in survey.nodes.iter().enumerate() {
        let planned = &survey.planned[at];
        let output = planned.output.as_ref();
        let path = pipe.stages[at].verb.writes();
        if let (Some(path), Some(output)) = (path, output) {
            let made = Made {
                hash: output.content,
                records: output.rows,
            };
            lock.outputs
                .insert(path.to_string_lossy().into_owned(), made);
        }
        let output = output.filter(|_| path.is_none());
        let stage = Stage {
            verb: format!("{} {}", node.verb, pipe.stages[at].verb.version()),
            key: keys[at],
            output: output.map(|output| output.content),
            records: output.map(|output| output.rows),
        };
        lock.stages.insert(node.name.clone(), stage);
    }
    Ok(lock)
}

/// The keys of stages: those of the cache, but without what is of this machine alone, so that they
/// are the same wherever the same files are run.
fn keys(pipe: &Pipe, survey: &Survey, plain: &Plain) -> Vec<Hash> {
    let mut keys: Vec<Option<Hash>> = vec![None; survey.nodes.len()];
    for &at in &pipe.order {
        let node = &survey.nodes[at];
        let mut manifest = node.manifest.clone();
        for item in &mut manifest.items {
            match item {
                Item::Param { value, .. } => *value = plain.value(value),
                Item::Settings { value } => *value = Canonical::of(&plain.value(&value.value())),
                _ => {}
            }
        }
        let inputs: Vec<Hash> = node.sources().filter_map(|from| keys[from]).collect();
        keys[at] = Some(manifest.key(&inputs));
    }
    let planned = survey.planned.iter();
    let keys = keys.into_iter().zip(planned);
    keys.map(|(key, planned)| key.unwrap_or(planned.recipe))
        .collect()
}

/// The files that stages read, with the number of their records where one stage alone loads them.
fn inputs(pipe: &Pipe, survey: &Survey, around: &Around<'_>, labels: &Labels, lock: &mut Lock) {
    let mut counts: BTreeMap<String, Vec<Option<u64>>> = BTreeMap::new();
    // Instances of a pipeline load the same file in the same way.
    let mut known: HashMap<Hash, Option<u64>> = HashMap::new();
    for (at, node) in survey.nodes.iter().enumerate() {
        for item in &node.manifest.items {
            let Item::File { path, hash } = item else {
                continue;
            };
            let mut label = labels.input(Path::new(path));
            // Files outside of the project may have the same name.
            let other = |label: &String| lock.inputs.get(label).is_some_and(|i| i.hash != *hash);
            while other(&label) {
                label.push('\'');
            }
            lock.inputs.insert(
                label.clone(),
                Input {
                    hash: *hash,
                    records: None,
                },
            );
            // Whatever reads other stages makes its records of those.
            if around.count && node.sources().next().is_none() {
                let way = node.manifest.key(&[]);
                let count = *known.entry(way).or_insert_with(|| records(pipe, at));
                counts.entry(label).or_default().push(count);
            }
        }
    }
    for (label, counts) in counts {
        if let Some(input) = lock.inputs.get_mut(&label)
            && counts.iter().all(|count| *count == counts[0])
        {
            input.records = counts[0];
        }
    }
}

/// How many records a stage makes of its file; none if it makes no records of a file alone.
fn records(pipe: &Pipe, at: usize) -> Option<u64> {
    let operator = pipe.stages[at].verb.operator(&pipe.build(at, Vec::new()));
    let Ok(Operator::Source(mut source)) = operator else {
        return None;
    };
    let (mut count, mut out) = (0, Vec::new());
    loop {
        match source.next(&mut out) {
            Ok(true) => {}
            Ok(false) => return Some(count + out.len() as u64),
            Err(Fault::Stage(_)) => return None,
            Err(_) => {}
        }
        count += out.len() as u64;
        out.clear();
    }
}

/// The files that are read as text: prompts, and the pipeline with what it includes.
fn files(pipe: &Pipe, survey: &Survey, around: &Around<'_>, labels: &Labels, lock: &mut Lock) {
    let items = || survey.nodes.iter().flat_map(|node| &node.manifest.items);
    let prompts: HashSet<Hash> = items()
        .filter_map(|item| match item {
            Item::Prompt { hash, .. } => Some(*hash),
            _ => None,
        })
        .collect();
    let inputs: HashSet<&Path> = items()
        .filter_map(|item| match item {
            Item::File { path, .. } => Some(Path::new(path)),
            _ => None,
        })
        .collect();
    for (path, text) in pipe.pipeline.sources.all() {
        let of_params = around.params_files.iter().any(|file| file == path);
        if of_params || inputs.contains(path) {
            continue;
        }
        let hash = Hash::of_bytes(text.as_bytes());
        let into = if prompts.contains(&hash) {
            &mut lock.prompts
        } else {
            &mut lock.files
        };
        into.insert(labels.file(path), hash);
    }
}

fn params(
    pipe: &Pipe,
    around: &Around<'_>,
    plain: &Plain,
    lock: &mut Lock,
) -> Result<(), Diagnostic> {
    for param in pipe.pipeline.params() {
        let name = param.name.clone();
        let value = serde_json::to_value(&param.value).unwrap_or_default();
        if param.kind != ParamKind::Path {
            lock.params.insert(name, plain.value(&value));
            continue;
        }
        let text = value.as_str().unwrap_or_default();
        let path = Path::new(text);
        let known = lock.inputs.contains_key(&format!("params.{name}"));
        let closed = around.inside && pipe.pipeline.fence.refuses(path).is_some();
        let hash = (!known && !closed && path.is_file()).then(|| around.store.hash_file(path));
        let hash = hash.transpose().map_err(|error| {
            Diagnostic::error(format!("cannot read `{text}`: {error}")).at(param.span, "")
        })?;
        let path = if text.is_empty() {
            String::new()
        } else {
            plain.labels().file(path)
        };
        lock.paths.insert(name, Place { path, hash });
    }
    Ok(())
}

/// What decides a model's answers, and what its server said.
fn described(model: &ModelSpec, around: &Around<'_>) -> Model {
    let served = around.served.iter().find(|served| served.is_of(model));
    let mut identity = model.identity();
    identity.sort_all_objects();
    let entries = match identity {
        Json::Object(entries) => entries,
        _ => serde_json::Map::new(),
    };
    // What is not said is left out.
    let said =
        |value: &Json| !value.is_null() && value.as_object().is_none_or(|map| !map.is_empty());
    Model {
        identity: entries.into_iter().filter(|(_, v)| said(v)).collect(),
        served: served.map(|served| served.told.clone()),
    }
}
