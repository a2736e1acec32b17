//! Which files of a pipeline decide what a command does: those that its words name, and the
//! scripts next to these, which they may load. Their content is part of what the user agrees
//! to, so that a script that was changed is asked for anew.
//!
//! Not seen are: what a program finds by itself in other folders (modules of an installed
//! language, files that it is told of by a variable), and what it fetches.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::hash::Hash;

/// Endings of scripts, which may load others of their kind from their folder.
const SCRIPTS: [&str; 14] = [
    "py", "sh", "bash", "zsh", "pl", "rb", "js", "mjs", "ts", "r", "R", "jl", "lua", "php",
];
/// Files up to this size (bytes) are known by their content; larger ones, such as weights, by
/// size and time of change.
const CONTENT: u64 = 16 << 20;
/// Most files of one command.
const MOST: usize = 1000;

/// The files of a command that runs in `dir`, by name: `words` are its words, with `{dir}` for
/// that folder.
pub fn files(words: &[&str], dir: &Path) -> Vec<(String, Hash)> {
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for word in words {
        let parts = word.split(|c: char| c.is_whitespace() || "'\"=;|&<>(),`".contains(c));
        for name in parts.chain([*word]).filter(|name| !name.is_empty()) {
            let path = dir.join(name.replace("{dir}", &dir.to_string_lossy()));
            if path.is_file() {
                beside(name, &path, &mut found);
                found.insert(name.to_owned(), path);
            }
        }
    }
    let files = found.into_iter().take(MOST);
    files.map(|(name, path)| (name, identity(&path))).collect()
}

/// The scripts of the same kind next to a script.
fn beside(name: &str, path: &Path, found: &mut BTreeMap<String, PathBuf>) {
    let is_script = |end: &&str| SCRIPTS.contains(end);
    let end = path.extension().and_then(|end| end.to_str());
    let (Some(end), Some(folder)) = (end.filter(is_script), path.parent()) else {
        return;
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|other| other == end) && path.is_file() {
            let file = entry.file_name();
            let name = Path::new(name).with_file_name(file);
            found.insert(name.to_string_lossy().into_owned(), path);
        }
    }
}

/// What says that a file is the same.
fn identity(path: &Path) -> Hash {
    let known = fs::metadata(path).map(|about| {
        let changed = about.modified().ok();
        let changed = changed.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        (about.len(), changed.unwrap_or_default().as_nanos() as u64)
    });
    match known {
        Ok((size, _)) if size <= CONTENT => fs::read(path).map_or_else(
            |_| Hash::of("clue unreadable v1", &size),
            |bytes| Hash::of_bytes(&bytes),
        ),
        known => Hash::of("clue large file v1", &known.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_any_word_with_scripts_beside_them() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in ["a.py", "helper.py", "t/run.sh", "note.txt", "other.txt"] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
            fs::write(path, name).expect("written");
        }
        let names = |words: &[&str]| -> Vec<String> {
            files(words, dir.path())
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names(&["python3", "a.py", "-x"]), ["a.py", "helper.py"]);
        assert_eq!(names(&["{dir}/t/run.sh"]), ["{dir}/t/run.sh"]);
        assert_eq!(
            names(&["sh", "-c", "cat note.txt|t/run.sh", "--in=other.txt"]),
            ["note.txt", "other.txt", "t/run.sh"]
        );
        let before = files(&["a.py"], dir.path());
        fs::write(dir.path().join("helper.py"), "changed").expect("written");
        assert_ne!(before, files(&["a.py"], dir.path()));
    }
}
