//! The cache: everything expensive, under the hash of everything it depends on. Owns the
//! layout of a store's folder; knows neither records nor requests.
//!
//! | path | what |
//! |---|---|
//! | `format.json` | the version of this layout |
//! | `calls/<writer>.seg` | calls and results, appended by one process each |
//! | `artifacts/ab/<hash>.jsonl.zst` | whole outputs |
//! | `blobs/ab/<hash>` | texts that runs refer to: prompts, and what their stages were |
//! | `runs/<id>.json` | what was run |
//! | `files.json` | hashes of the user's files |
//! | `jobs/`, `logs/` | what clusters were asked to do, and what programs said: none of its business |
//! | `lock`, `tmp/`, `.gitignore` | who is here; files being written; keep out of git |
//!
//! Nothing in a store is ever changed in place by two processes, so several runs may share
//! one, and two stores are merged by copying their files together. Damage is told through
//! [`Store::take_faults`] and otherwise is as if the entry were missing.

mod artifact;
mod content;
mod error;
mod format;
mod frame;
mod lock;
mod log;
mod maintain;
mod parts;
mod sealed;
mod segment;
mod stat;
#[cfg(test)]
mod tests;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::plan::graph::Output;

pub use artifact::{ArtifactReader, ArtifactWriter};
pub use error::StoreError;
pub use format::{FORMAT, Version, newer_than};
pub use frame::Kind;
pub use maintain::{Amount, Freed, StoreStats};
pub use parts::{Adopted, Intake, Pack, Part, Taken, look, run_in};
pub use writer::unique_name;

use error::Faults;
use lock::FolderLock;
use log::Log;
use stat::Stats;
use writer::Job;

/// An open store. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    root: PathBuf,
    log: Arc<Log>,
    stats: Stats,
    faults: Faults,
    writer: Mutex<Option<Sender<Job>>>,
    /// None for a store that is only read.
    lock: Option<FolderLock>,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.0.root.display())
    }
}

impl Store {
    /// Opens a store for a run, and makes its folder if there is none. Damaged parts of
    /// segments are cut out if nobody else has the store open, so that they are told once.
    ///
    /// # Errors
    /// A folder that cannot be made or read, or of a newer format.
    pub fn open(dir: impl AsRef<Path>) -> Result<Store, Diagnostic> {
        let root = dir.as_ref();
        let faults = Faults::default();
        format::create(root, &faults)?;
        let lock = FolderLock::shared(root).map_err(|e| StoreError::new("locking", root, e))?;
        let (store, damaged) = Store::with(root, faults, Some(lock))?;
        if damaged {
            store.repair();
        }
        Ok(store)
    }

    /// Opens a store to look into it: nothing is written, and a missing folder is an empty
    /// store.
    ///
    /// # Errors
    /// A folder that cannot be read, or of a newer format.
    pub fn open_read(dir: impl AsRef<Path>) -> Result<Store, Diagnostic> {
        let faults = Faults::default();
        format::check(dir.as_ref(), &faults)?;
        Ok(Store::with(dir.as_ref(), faults, None)?.0)
    }

    fn with(
        root: &Path,
        faults: Faults,
        lock: Option<FolderLock>,
    ) -> Result<(Store, bool), Diagnostic> {
        let calls = root.join("calls");
        let (log, damaged) =
            Log::open(&calls, &faults).map_err(|e| StoreError::new("reading", &calls, e))?;
        let store = Store(Arc::new(Inner {
            root: root.to_owned(),
            log: Arc::new(log),
            stats: Stats::open(root.join("files.json"), &faults),
            faults,
            writer: Mutex::default(),
            lock,
        }));
        Ok((store, damaged))
    }

    /// The store's folder.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// What was found damaged since the last time this was asked, one line each. What was
    /// damaged counts as missing.
    pub fn take_faults(&self) -> Vec<String> {
        self.0.faults.take()
    }

    /// The reply stored for a call.
    pub fn get_call<T: DeserializeOwned>(&self, key: Hash) -> Option<T> {
        self.get(Kind::Call, key)
    }

    /// Stores the reply of a call, and returns when it is durable.
    ///
    /// # Errors
    /// A full disk, for one. Everything stored before stays readable.
    pub async fn put_call<T: Serialize + ?Sized>(
        &self,
        key: Hash,
        reply: &T,
    ) -> Result<(), StoreError> {
        self.put(Kind::Call, key, reply).await
    }

    /// The output remembered for a stage's key.
    pub fn get_result(&self, key: Hash) -> Option<Output> {
        self.get(Kind::Result, key)
    }

    /// Remembers the output of a stage, and returns when that is durable.
    ///
    /// # Errors
    /// A full disk, for one.
    pub async fn put_result(&self, key: Hash, output: &Output) -> Result<(), StoreError> {
        self.put(Kind::Result, key, output).await
    }

    /// The hash of a user's file, from memory if the file is unchanged by all signs.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn hash_file(&self, path: &Path) -> io::Result<Hash> {
        self.0.stats.hash_file(path)
    }

    /// Keeps what [`hash_file`](Store::hash_file) learnt. Does nothing on a store opened to
    /// be read.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn save_stats(&self) -> Result<(), StoreError> {
        match self.0.lock {
            Some(_) => self.0.stats.save(&self.folder("tmp")),
            None => Ok(()),
        }
    }

    fn get<T: DeserializeOwned>(&self, kind: Kind, key: Hash) -> Option<T> {
        let text = self.0.log.get(kind, key)?;
        let value = serde_json::from_slice(&text).ok();
        if value.is_none() {
            self.0.faults.push(format!(
                "the entry `{}` in `{}` has an unknown shape: it will be recomputed",
                key.short(),
                self.folder("calls").display()
            ));
        }
        value
    }

    async fn put<T: Serialize + ?Sized>(
        &self,
        kind: Kind,
        key: Hash,
        value: &T,
    ) -> Result<(), StoreError> {
        let folder = self.folder("calls");
        let failed = |e| StoreError::new("writing", &folder, e);
        let text = serde_json::to_vec(value).map_err(|e| failed(e.into()))?;
        let payload = frame::pack(&text).map_err(failed)?;
        let (done, stored) = oneshot::channel();
        let job = Job::Put {
            kind,
            key,
            payload,
            done,
        };
        let gone = |_| failed(io::ErrorKind::BrokenPipe.into());
        self.writer()?.send(job).map_err(|_| gone(()))?;
        stored.await.map_err(|_| gone(()))?
    }

    /// The thread that writes, started at the first use.
    fn writer(&self) -> Result<Sender<Job>, StoreError> {
        self.writable()?;
        let mut writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = &*writer {
            return Ok(sender.clone());
        }
        let sender = writer::start(&self.folder("calls"), &self.0.log)?;
        *writer = Some(sender.clone());
        Ok(sender)
    }

    fn writable(&self) -> Result<(), StoreError> {
        match self.0.lock {
            Some(_) => Ok(()),
            None => Err(StoreError::new(
                "writing",
                &self.0.root,
                io::ErrorKind::ReadOnlyFilesystem.into(),
            )),
        }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.0.root.join(name)
    }
}
