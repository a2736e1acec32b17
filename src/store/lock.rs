//! Who is using a store: every process that may write holds a shared lock for as long as it
//! has the store open; cleaning up needs the lock alone. Normal work never waits for others.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};

/// A shared lock on a store's folder, given back when dropped.
#[derive(Debug)]
pub(super) struct FolderLock(Mutex<File>);

impl FolderLock {
    /// Takes the shared lock; waits only while somebody cleans up. On a file system without
    /// locks everything works but cleaning up.
    pub(super) fn shared(folder: &Path) -> io::Result<FolderLock> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join("lock"))?;
        if let Err(error) = flock(&file, FlockOperation::LockShared) {
            tracing::debug!(%error, "no lock on the store");
        }
        Ok(FolderLock(Mutex::new(file)))
    }

    /// Does `work` while nobody else has the store open; `None`, at once, if somebody has.
    pub(super) fn alone<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        let file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = flock(&*file, FlockOperation::NonBlockingLockExclusive);
        let done = alone.is_ok().then(work);
        // A failed change of the lock may have lost the shared one, too.
        if let Err(error) = flock(&*file, FlockOperation::LockShared) {
            tracing::debug!(%error, "no lock on the store");
        }
        done
    }
}
