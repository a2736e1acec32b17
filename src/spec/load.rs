//! From a file and its includes to a [`Pipeline`], or to everything that is wrong with it.

use std::path::{Path, PathBuf};

use super::cycles;
use super::fence::Fence;
use super::file::folder;
use super::files::Files;
use super::node::Node;
use super::params::Given;
use super::pipeline::{OnError, Overrides, Pipeline};
use super::scope::{Loading, Place};
use super::shapes::Shapes;
use super::stages::{check_inputs, expand, remove};
use crate::diag::{Diagnostic, Sources, in_order};

/// What came of loading.
#[derive(Debug)]
pub struct Loaded {
    /// The pipeline, as far as it could be read; all of it if there is no fault.
    pub pipeline: Option<Pipeline>,
    /// Every file that was read, for the places of faults.
    pub sources: Sources,
    /// Everything that is wrong.
    pub faults: Vec<Diagnostic>,
}

/// Loads a pipeline. All faults are found at once, as far as one does not hide another.
pub fn load(path: &Path, overrides: &Overrides, shapes: &Shapes) -> Loaded {
    let mut loading = Loading::new(shapes);
    let mut fence = Fence::around(path);
    fence.allow_params(overrides, &folder(path));
    overrides.allowed.iter().for_each(|path| fence.allow(path));
    loading.files.fence = fence;
    let main = Place {
        path: path.to_owned(),
        prefix: String::new(),
        included: None,
    };
    let parts = loading.scope(&main, &Given::Run(overrides), OnError::Finish);
    let Loading {
        files,
        scopes,
        models,
        mut entries,
        unread,
        ..
    } = loading;
    let Files {
        sources,
        fence,
        mut faults,
        ..
    } = files;
    let pipeline = parts.first().map(|main| {
        expand(&mut entries, &mut faults);
        check_inputs(&entries, &unread, &mut faults);
        let all: Vec<_> = entries.iter().map(|e| &*e.stage).collect();
        cycles::check(&all, &mut faults);
        let stages = remove(entries, &mut faults);
        let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned());
        let name = main.root.get("name").and_then(Node::as_str);
        Pipeline {
            name: name.map(str::to_owned).or(stem).unwrap_or_default(),
            file: path.to_owned(),
            dir: PathBuf::from(&main.dir),
            sources: sources.clone(),
            fence,
            scopes,
            models,
            stages,
        }
    });
    in_order(&mut faults);
    Loaded {
        pipeline,
        sources,
        faults,
    }
}
