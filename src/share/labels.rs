//! Names of files that are the same on every machine: from the pipeline's folder, or by the param
//! that says where the user has them. Nothing of what is around the project shows.

use std::path::{Component, Path, PathBuf};

use crate::engine::pipe::Pipe;
use crate::spec::pipeline::ParamKind;

/// What stands for a folder outside of the project.
const OUTSIDE: &str = "(outside)";

/// The places that names start from.
pub struct Labels {
    dir: PathBuf,
    project: Option<PathBuf>,
    /// Params that are paths, with their values.
    params: Vec<(String, PathBuf)>,
}

impl Labels {
    /// Of a pipeline.
    pub fn new(pipe: &Pipe) -> Labels {
        let paths = pipe.pipeline.params().iter();
        let paths = paths.filter(|param| param.kind == ParamKind::Path);
        let paths = paths.filter_map(|param| {
            let value = param.value.as_str().filter(|value| !value.is_empty())?;
            Some((param.name.clone(), real(Path::new(value))))
        });
        Labels {
            dir: folder(&pipe.pipeline.file),
            project: pipe.pipeline.fence.project().map(Path::to_owned),
            params: paths.collect(),
        }
    }

    /// A file: from the pipeline's folder; of one outside of the project, only its name.
    pub fn file(&self, path: &Path) -> String {
        let path = real(path);
        let near = path.starts_with(&self.dir);
        let inside = near || self.project.as_ref().is_some_and(|p| path.starts_with(p));
        if inside {
            return from(&self.dir, &path);
        }
        let name = path.file_name().unwrap_or_default();
        format!("{OUTSIDE}/{}", name.to_string_lossy())
    }

    /// A file that a stage reads: by the param that says where it is, or that its folder is.
    pub fn input(&self, path: &Path) -> String {
        let real = real(path);
        let found = self.params.iter();
        let found = found.filter_map(|(name, value)| {
            let rest = real.strip_prefix(value).ok()?;
            Some((value.components().count(), name, rest))
        });
        match found.max_by_key(|(depth, ..)| *depth) {
            Some((_, name, rest)) if rest.as_os_str().is_empty() => format!("params.{name}"),
            Some((_, name, rest)) => format!("params.{name}/{}", rest.to_string_lossy()),
            None => self.file(path),
        }
    }
}

/// A path with the folder that it is in resolved, but not the file itself: a link in the project
/// to a file elsewhere is a file of the project.
pub fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path.canonicalize().unwrap_or(path),
    }
}

fn folder(file: &Path) -> PathBuf {
    real(file)
        .parent()
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// The way from a folder to a path; both are absolute.
fn from(dir: &Path, path: &Path) -> String {
    let dir: Vec<Component<'_>> = dir.components().collect();
    let path: Vec<Component<'_>> = path.components().collect();
    let same = dir.iter().zip(&path).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".into(), dir.len() - same);
    let down = path[same..].iter();
    let down = down.map(|part| part.as_os_str().to_string_lossy());
    let parts: Vec<std::borrow::Cow<'_, str>> = up.chain(down).collect();
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(dir: &Path) -> Labels {
        Labels {
            dir: dir.join("work/pipelines"),
            project: Some(dir.join("work")),
            params: vec![
                ("notes".to_owned(), dir.join("mimic/discharge.csv")),
                ("data".to_owned(), dir.join("mimic")),
            ],
        }
    }

    #[test]
    fn names_are_the_same_on_every_machine() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = dir.path().canonicalize().expect("there");
        for folder in ["work/pipelines", "work/prompts", "mimic"] {
            std::fs::create_dir_all(at.join(folder)).expect("a folder");
        }
        let labels = labels(&at);
        assert_eq!(labels.file(&at.join("work/pipelines/p.yaml")), "p.yaml");
        assert_eq!(
            labels.file(&at.join("work/pipelines/../prompts/a.j2")),
            "../prompts/a.j2"
        );
        assert_eq!(labels.file(&at.join("work/pipelines")), ".");
        assert_eq!(labels.file(&at.join("mimic/x.csv")), "(outside)/x.csv");
        assert_eq!(
            labels.input(&at.join("mimic/discharge.csv")),
            "params.notes"
        );
        assert_eq!(labels.input(&at.join("mimic/x.csv")), "params.data/x.csv");
        assert_eq!(labels.input(&at.join("work/a.csv")), "../a.csv");
    }
}
