//! Folders for what a command needs while it runs and nobody needs afterwards. Owns their names
//! where temporary files go, so that what a killed process left is known and cleaned up.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::diag::Diagnostic;

/// How their names begin.
const PREFIX: &str = "clue-scratch-";
/// The file in each that is locked as long as somebody uses it.
const IN_USE: &str = "in_use";
/// Folders without that file may be new ones; not after this time.
const NEW: Duration = Duration::from_secs(3600);

/// A folder, removed when dropped.
pub struct Scratch {
    folder: tempfile::TempDir,
    _lock: Option<File>,
}

impl Scratch {
    /// A folder where temporary files go. What killed processes left there is removed.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make() -> Result<Scratch, Diagnostic> {
        sweep(false);
        let failed = |error: std::io::Error| {
            Diagnostic::error(format!("no folder for temporary files: {error}"))
        };
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir();
        let folder = folder.map_err(failed)?;
        let lock = File::create(folder.path().join(IN_USE)).map_err(failed)?;
        // On a file system without locks it may be taken for left behind, but not while new.
        let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        Ok(Scratch {
            folder,
            _lock: Some(lock),
        })
    }

    /// A folder inside of another, which is cleaned up otherwise.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn inside(of: &Path) -> Result<Scratch, Diagnostic> {
        let folder = tempfile::tempdir_in(of).map_err(|error| {
            Diagnostic::error(format!("no folder for temporary files: {error}"))
        })?;
        Ok(Scratch {
            folder,
            _lock: None,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the user's folders that nobody uses any more, or looks only: how many there are.
pub fn sweep(dry_run: bool) -> u64 {
    let user = rustix::process::getuid().as_raw();
    let mut found = 0;
    let entries = fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        let ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())
            // Of a link itself, not of what it leads to.
            && entry.metadata().is_ok_and(|data| data.is_dir() && data.uid() == user);
        if ours && is_left(&entry.path()) && (dry_run || fs::remove_dir_all(entry.path()).is_ok()) {
            found += 1;
        }
    }
    found
}

fn is_left(folder: &Path) -> bool {
    match File::open(folder.join(IN_USE)) {
        Ok(file) => flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok(),
        Err(_) => {
            let made = fs::metadata(folder).and_then(|data| data.modified());
            made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > NEW))
        }
    }
}
