//! Finds test files: those that are named, and those below folders that are.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;

/// How the names of test files end.
const ENDINGS: [&str; 2] = [".test.yaml", ".test.yml"];
/// Folders that hold copies and products of others, besides hidden ones.
const LEFT_OUT: [&str; 2] = ["node_modules", "target"];

/// The test files of these files and folders, each once however it is named, those of a folder by
/// their names.
///
/// # Errors
/// There is no such file or folder, it cannot be read, or is something else.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Diagnostic> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut seen = HashSet::new();
    for path in paths {
        let some = if path.is_dir() {
            below(path)?
        } else if path.is_file() {
            vec![path.clone()]
        } else if path.exists() {
            let what = format!("`{}` is no regular file", path.display());
            return Err(Diagnostic::error(what));
        } else {
            let what = format!("no file or folder `{}`", path.display());
            return Err(Diagnostic::error(what));
        };
        for path in some {
            let real = path.canonicalize().unwrap_or_else(|_| path.clone());
            if seen.insert(real) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

fn below(folder: &Path) -> Result<Vec<PathBuf>, Diagnostic> {
    let unreadable = |folder: &Path, error: &std::io::Error| {
        Diagnostic::error(format!("cannot read `{}`: {error}", folder.display()))
    };
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let entries = fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            // `./` before every name would only be noise.
            let path = if folder == Path::new(".") {
                PathBuf::from(entry.file_name())
            } else {
                entry.path()
            };
            // Links are not followed: they may lead round in a circle.
            let kind = entry.file_type();
            if kind.as_ref().is_ok_and(fs::FileType::is_dir) {
                if !name.starts_with('.') && !LEFT_OUT.contains(&&*name) {
                    open.push(path);
                }
            } else if ENDINGS.iter().any(|ending| name.ends_with(ending)) && path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_files_are_found_below_folders_and_named_ones_taken_as_they_are() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        for name in [
            "b.test.yaml",
            "a/c.test.yml",
            "a/plain.yaml",
            ".hidden/d.test.yaml",
            "target/e.test.yaml",
        ] {
            fs::create_dir_all(at(name).parent().expect("a parent")).expect("a folder");
            fs::write(at(name), "").expect("written");
        }
        let again = at("a/../b.test.yaml");
        std::os::unix::fs::symlink("b.test.yaml", at("z.test.yaml")).expect("linked");
        let all = [at("a/plain.yaml"), at(""), at("b.test.yaml"), again];
        let found = find(&all).expect("found");
        let wanted = [at("a/plain.yaml"), at("a/c.test.yml"), at("b.test.yaml")];
        assert_eq!(found, wanted);
        assert!(find(&[at("none")]).is_err());
        let device = find(&[PathBuf::from("/dev/null")]).expect_err("refused");
        assert_eq!(device.message, "`/dev/null` is no regular file");
    }
}
