//! A folder that is made whole beside its place and then moved there. Owns how that goes when there
//! is something in the place, and what an export leaves behind that was killed.
//!
//! A new folder comes into its place in one step. Where there is an earlier export, maybe with files
//! of the user's, its data goes first, then comes the card and then the data that it lists: whoever
//! loads it in between, or after that was cut short, finds files missing and no mixture, and the
//! next export knows by the card what is its own.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tempfile::TempDir;

use crate::diag::Diagnostic;

/// How the names of folders in the making begin. They are hidden: `datasets` does not look in.
const PREFIX: &str = ".clue-export-";
/// The folder inside such a one, which has the usual rights.
const NEW: &str = "new";

/// A folder in the making, gone when dropped.
pub struct Staged {
    place: PathBuf,
    folder: TempDir,
    /// Locked as long as it is in use, where locks are known.
    _lock: Option<File>,
}

impl Staged {
    /// Begins a folder for a place. What killed exports left there is removed.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin(place: &Path) -> Result<Staged, Diagnostic> {
        // On the same disk in either case.
        let beside = match place.parent() {
            _ if place.is_dir() => place,
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let begun = || {
            fs::create_dir_all(beside)?;
            sweep(beside);
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(beside)?;
            fs::create_dir(folder.path().join(NEW))?;
            Ok(Staged {
                place: place.to_owned(),
                _lock: lock(folder.path()),
                folder,
            })
        };
        begun().map_err(|error| unwritable(place, &error))
    }

    /// Where its files are written.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(NEW)
    }

    /// Moves it to its place: a card and the data files that it lists, both relative. What `earlier`
    /// names, of the export that was there, goes.
    ///
    /// # Errors
    /// It cannot be moved.
    pub fn finish(
        self,
        card: &str,
        data: &[String],
        earlier: &[PathBuf],
    ) -> Result<(), Diagnostic> {
        let moved = || {
            if !self.place.is_dir() {
                return fs::rename(self.path(), &self.place);
            }
            for path in earlier {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                // Only goes if nothing is left in it.
                let parent = path.parent().filter(|parent| *parent != self.place);
                let _ = parent.map(fs::remove_dir);
            }
            for file in std::iter::once(card).chain(data.iter().map(String::as_str)) {
                let place = self.place.join(file);
                place.parent().map_or(Ok(()), fs::create_dir_all)?;
                fs::rename(self.path().join(file), place)?;
            }
            Ok(())
        };
        moved().map_err(|error| unwritable(&self.place, &error))
    }
}

/// Removes what nobody works on any more.
fn sweep(beside: &Path) {
    for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
        let named = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes());
        // Of a link itself, not of what it leads to.
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if named && is_folder && lock(&entry.path()).is_some() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn lock(folder: &Path) -> Option<File> {
    let file = File::open(folder).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

fn unwritable(place: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("cannot write `{}`: {error}", place.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn staged(place: &Path, data: &[&str]) -> Staged {
        let Ok(staged) = Staged::begin(place) else {
            panic!("not begun");
        };
        for name in data.iter().chain(&["card"]) {
            let path = staged.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, name).expect("written");
        }
        staged
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder").flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn nothing_is_in_the_place_until_all_is() {
        let dir = tempfile::tempdir().expect("a folder");
        let place = dir.path().join("a/b");
        let begun = staged(&place, &["data/x"]);
        assert!(!place.exists());
        drop(begun);
        assert!(names(&dir.path().join("a")).is_empty());
        let data = ["data/x".to_owned()];
        assert!(
            staged(&place, &["data/x"])
                .finish("card", &data, &[])
                .is_ok()
        );
        assert_eq!(names(&place), ["card", "data"]);
        // Into what is there: earlier files go, others stay.
        fs::write(place.join("mine"), "").expect("written");
        let data = ["data/q/y".to_owned()];
        let begun = staged(&place, &["data/q/y"]);
        assert!(place.join("data/x").exists());
        assert!(begun.finish("card", &data, &[place.join("data/x")]).is_ok());
        assert_eq!(names(&place), ["card", "data", "mine"]);
        assert_eq!(names(&place.join("data")), ["q"]);
    }

    #[test]
    fn what_a_killed_one_left_goes_and_what_is_in_use_stays() {
        let dir = tempfile::tempdir().expect("a folder");
        let left = dir.path().join(format!("{PREFIX}left"));
        fs::create_dir_all(left.join(NEW)).expect("made");
        let first = staged(&dir.path().join("x"), &[]);
        assert!(!left.exists());
        let second = staged(&dir.path().join("y"), &[]);
        assert!(first.path().exists() && second.path().exists());
    }
}
