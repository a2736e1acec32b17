//! Whether a command may write a file of the user's naming: not in the place of what the pipeline
//! reads or writes, nor into the cache.

use std::path::{Path, PathBuf};

use super::missing;
use super::replace::{Places, real};
use super::session::Settings;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Survey, out_file};
use crate::plan::graph::Action;

/// The place of a file that is to be written, resolved.
///
/// # Errors
/// The pipeline reads or writes it, it lies in the cache, or it is no regular file.
pub fn free(pipe: &Pipe, settings: &Settings, path: &Path) -> Result<PathBuf, Diagnostic> {
    let place = real(path)?;
    let given = &settings.params_files;
    let cache = settings.store.canonicalize();
    let is_it = |other: &Path| real(other).is_ok_and(|other| other == place);
    let mut written: Vec<PathBuf> = (0..pipe.stages.len())
        .filter_map(|at| out_file(pipe, at))
        .collect();
    let lists = ["errors.jsonl", missing::FILE];
    written.extend(lists.map(|name| pipe.folders.out.join(name)));
    let why = if written.iter().any(|path| is_it(path)) {
        "is an output of the pipeline"
    } else if Places::read_by(&pipe.pipeline).has(&place) || given.iter().any(|path| is_it(path)) {
        "is read by the pipeline"
    } else if cache.is_ok_and(|cache| place.starts_with(cache)) {
        "lies in the cache"
    } else {
        return Ok(place);
    };
    let what = format!("`{}` {why}", path.display());
    Err(Diagnostic::error(what).help("name another file"))
}

/// A fault for each output that would take the place of a file that the pipeline reads. Outputs
/// that stay as they are take nobody's.
pub fn over_inputs(pipe: &Pipe, survey: &Survey) -> Vec<Diagnostic> {
    let written = |at: &usize| survey.planned[*at].action != Action::Skip;
    let outputs = (0..pipe.stages.len()).filter(written);
    let mut outputs = outputs
        .filter_map(|at| Some((at, out_file(pipe, at)?)))
        .peekable();
    if outputs.peek().is_none() {
        return Vec::new();
    }
    let read = Places::read_by(&pipe.pipeline);
    let over = outputs.filter(|(_, path)| read.has(path));
    let fault = |(at, path): (usize, PathBuf)| {
        let what = format!(
            "`{}` would be written over what the pipeline reads",
            path.display()
        );
        Diagnostic::error(what)
            .at(pipe.stages[at].spec.name.span, "")
            .help("name another output, or another folder with `--out`")
    };
    over.map(fault).collect()
}
