//! Replaces files of the user's as a whole. Owns what may be replaced: regular files alone, and
//! none that a pipeline reads. A link stays one, and its file keeps its rights.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;
use crate::engine::keep::OutFile;
use crate::spec::node::{Node, NodeValue};
use crate::spec::pipeline::Pipeline;

/// The file that is written when `path` is: links are followed. It need not be there yet.
///
/// # Errors
/// What is there is no regular file, or the path leads nowhere.
pub fn real(path: &Path) -> Result<PathBuf, Diagnostic> {
    let shown = path.display();
    let refused = |what: &str| Diagnostic::error(format!("`{shown}` {what}"));
    let failed = |error: io::Error| Diagnostic::error(format!("cannot write `{shown}`: {error}"));
    match fs::metadata(path) {
        Ok(data) if data.is_file() => path.canonicalize().map_err(failed),
        Ok(data) if data.is_dir() => Err(refused("is a folder, not a file")),
        Ok(_) => Err(refused("is no regular file, and is not replaced")),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
        Err(_) if path.is_symlink() => Err(refused("is a link to a file that is not there")),
        Err(_) => below(path).ok_or_else(|| refused("leads nowhere")),
    }
}

/// A path that is not there yet, below a folder that is.
fn below(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().ok().or_else(|| below(folder))?;
    Some(folder.join(name))
}

/// Writes a file in the place of what is there.
///
/// # Errors
/// As [`real`]; or it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Diagnostic> {
    let real = real(path)?;
    let Ok(old) = fs::metadata(&real) else {
        let mut file = OutFile::create(&real)?;
        file.write(bytes)?;
        return file.finish().map(|_| ());
    };
    let folder = real.parent().unwrap_or(Path::new("."));
    let written = || -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(".clue-")
            .tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().set_permissions(old.permissions())?;
        file.as_file().sync_data()?;
        file.persist(&real)?;
        Ok(())
    };
    written()
        .map_err(|error| Diagnostic::error(format!("cannot write `{}`: {error}", path.display())))
}

/// Files that are there, by device and inode: to ask for these is quicker than to resolve paths.
#[derive(Default)]
pub struct Places {
    found: HashMap<(u64, u64), Vec<PathBuf>>,
    /// All that was looked for: stages share settings, and most of these name no file.
    looked: HashSet<PathBuf>,
}

impl Places {
    /// The files that a pipeline reads: itself, what it includes, and whatever settings of its
    /// stages and models name.
    pub fn read_by(pipeline: &Pipeline) -> Places {
        let mut found = Places::default();
        found.also_read_by(pipeline);
        found
    }

    /// Adds the files that another pipeline reads.
    pub fn also_read_by(&mut self, pipeline: &Pipeline) {
        for (path, _) in pipeline.sources.all() {
            self.add(path.to_owned());
        }
        // What is written is no input, even if a file of that name lies beside the pipeline.
        let stages = pipeline.stages.iter().filter(|s| s.verb.value != "write");
        let stages = stages.map(|stage| (&stage.config, &stage.dir));
        let models = pipeline
            .models
            .iter()
            .map(|model| (&model.node, &model.dir));
        for (node, dir) in stages.chain(models) {
            self.named(node, dir);
        }
    }

    /// Whether this path leads to one of them. Another link to the same content is another file:
    /// what replaces it leaves the first one as it is.
    pub fn has(&self, path: &Path) -> bool {
        let same = fs::metadata(path).ok();
        let same = same.and_then(|data| self.found.get(&(data.dev(), data.ino())));
        same.is_some_and(|others| {
            let place = path.canonicalize().ok();
            let there = |other: &PathBuf| other.canonicalize().ok() == place;
            others.iter().any(there)
        })
    }

    /// Adds a file, if it is there.
    pub fn add(&mut self, path: PathBuf) {
        if self.looked.contains(&path) {
            return;
        }
        if let Ok(data) = fs::metadata(&path)
            && data.is_file()
        {
            let id = (data.dev(), data.ino());
            self.found.entry(id).or_default().push(path.clone());
        }
        self.looked.insert(path);
    }

    fn named(&mut self, node: &Node, dir: &Path) {
        match &node.value {
            NodeValue::Str(text) => self.add(dir.join(text)),
            NodeValue::Seq(items) => items.iter().for_each(|item| self.named(item, dir)),
            NodeValue::Map(entries) => entries.iter().for_each(|(_, node)| self.named(node, dir)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn rights_and_links_stay_and_only_regular_files_are_replaced() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), "old").expect("written");
        fs::set_permissions(at("a"), fs::Permissions::from_mode(0o640)).expect("set");
        symlink("a", at("link")).expect("linked");
        replace(&at("link"), b"new").expect("replaced");
        assert!(at("link").is_symlink());
        assert_eq!(fs::read(at("a")).expect("read"), b"new");
        let mode = fs::metadata(at("a")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        replace(&at("x/y/new"), b"1").expect("made");
        assert_eq!(fs::read(at("x/y/new")).expect("read"), b"1");
        symlink("none", at("dangling")).expect("linked");
        for (path, why) in [
            (at("dangling"), "is a link to a file that is not there"),
            (at("x"), "is a folder, not a file"),
            (at("z/../../e"), "leads nowhere"),
            (PathBuf::from("/dev/null"), "is no regular file"),
        ] {
            let fault = replace(&path, b"1").expect_err("refused").message;
            assert!(fault.contains(why), "{fault}");
        }
        let left = fs::read_dir(dir.path()).expect("a folder").count();
        assert_eq!(left, 4);
    }
}
