//! Whether outputs stay in their folder. A pipeline's files may bring links along, or a name that
//! climbs; neither may lead what is written elsewhere.

use std::path::{Component, Path, PathBuf};

use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::survey::out_file;
use crate::text::visible::plain;

/// A fault for each output that would be written outside of the output folder; `given` if the
/// user named that folder, which may then lie anywhere.
pub fn outside(pipe: &Pipe, given: bool) -> Vec<Diagnostic> {
    let out = &pipe.folders.out;
    let fault = |what: String, real: &Path| {
        Diagnostic::error(format!(
            "{what} would be written outside of the output folder"
        ))
        .note(format!(
            "it leads to `{}`",
            plain(&real.display().to_string())
        ))
        .help("name an output folder with `--out`, or remove the link")
    };
    let shown = |path: &Path| plain(&path.display().to_string());
    if !given {
        let here = std::env::current_dir().and_then(|here| here.canonicalize());
        let here = here.unwrap_or_else(|_| PathBuf::from("."));
        let climbs = |part: Component<'_>| !matches!(part, Component::Normal(_));
        let real = real(out);
        if out.components().any(climbs) || !real.starts_with(&here) {
            return vec![fault(format!("`{}`", shown(out)), &real)];
        }
    }
    let inside = real(out);
    let files = (0..pipe.stages.len()).filter_map(|at| Some((at, out_file(pipe, at)?)));
    let mut faults = Vec::new();
    // Many files lie in few folders, and those of one mostly stand together.
    let mut last: Option<(PathBuf, Option<PathBuf>)> = None;
    for (at, file) in files {
        let folder = file.parent().unwrap_or(out);
        if last.as_ref().is_none_or(|(known, _)| known != folder) {
            let real = real(folder);
            let leads_out = !real.starts_with(&inside);
            last = Some((folder.to_owned(), leads_out.then_some(real)));
        }
        if let Some((_, Some(real))) = &last {
            let span = pipe.stages[at].spec.name.span;
            faults.push(fault(format!("`{}`", shown(&file)), real).at(span, ""));
        }
    }
    faults
}

/// Where a path leads, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path
        .ancestors()
        .find(|part| part.symlink_metadata().is_ok());
    let Some(there) = there else { return path };
    // A link that leads nowhere yet counts as a place of its own.
    let Ok(real) = there.canonicalize() else {
        return std::fs::read_link(there).unwrap_or_default();
    };
    match path.strip_prefix(there) {
        Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
        _ => real,
    }
}
