//! Files named by their content (artifacts and blobs), and the records of runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Store;
use super::artifact::{self, ArtifactReader, ArtifactWriter, EXTENSION};
use super::error::StoreError;
use super::sealed::{self, Sealed};
use crate::hash::Hash;

impl Store {
    /// True when the artifact is there; see [`verify_artifact`](Store::verify_artifact).
    pub fn has_artifact(&self, content: Hash) -> bool {
        self.artifact(content).is_file()
    }

    /// Begins an artifact.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn artifact_writer(&self) -> Result<ArtifactWriter, StoreError> {
        self.writable()?;
        ArtifactWriter::new(&self.folder("artifacts"), &self.folder("tmp"))
    }

    /// The bytes of an artifact, or nothing when it is missing or obviously damaged. A hidden
    /// damage is an error at the end of reading.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn read_artifact(&self, content: Hash) -> Result<Option<ArtifactReader>, StoreError> {
        let path = self.artifact(content);
        match ArtifactReader::open(&path, content) {
            Ok(Some(reader)) => Ok(Some(reader)),
            Ok(None) => {
                self.condemn(&path);
                Ok(None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::new("reading", &path, error)),
        }
    }

    /// True when the artifact is there and not a byte of it has changed. A damaged one is told
    /// and removed, so that it is computed anew.
    pub fn verify_artifact(&self, content: Hash) -> bool {
        let path = self.artifact(content);
        match artifact::sound(&path, content) {
            Ok(true) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            _ => {
                self.condemn(&path);
                false
            }
        }
    }

    /// Keeps a text under its hash.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn put_blob(&self, text: &str) -> Result<Hash, StoreError> {
        self.writable()?;
        let hash = Hash::of_bytes(text.as_bytes());
        let path = self.blob(hash);
        if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
            return Ok(hash);
        }
        sealed::replace(&self.folder("tmp"), &path, text.as_bytes())?;
        Ok(hash)
    }

    /// True if a kept text is there.
    pub fn has_blob(&self, hash: Hash) -> bool {
        self.blob(hash).is_file()
    }

    /// A kept text. A damaged one is told and removed.
    pub fn get_blob(&self, hash: Hash) -> Option<String> {
        let path = self.blob(hash);
        let bytes = fs::read(&path).ok()?;
        if Hash::of_bytes(&bytes) != hash {
            self.condemn(&path);
            return None;
        }
        String::from_utf8(bytes).ok()
    }

    /// Keeps the record of a run, in place of an earlier one with the same id. Ids sort by
    /// time, and are made of letters, digits and `-_.:+`.
    ///
    /// # Errors
    /// A full disk, or an id that is no file name.
    pub fn put_run<T: Serialize + ?Sized>(&self, id: &str, run: &T) -> Result<(), StoreError> {
        self.writable()?;
        sealed::write(&self.folder("tmp"), &self.run(id)?, run)
    }

    /// The same of a run that did nothing, which is not worth waiting for the disk: after a
    /// power cut its record may be missing or damaged.
    ///
    /// # Errors
    /// As there.
    pub fn put_idle_run<T: Serialize + ?Sized>(&self, id: &str, run: &T) -> Result<(), StoreError> {
        self.writable()?;
        sealed::write_soon(&self.folder("tmp"), &self.run(id)?, run)
    }

    /// The records of all runs with their ids, newest first. Damaged ones are told.
    pub fn runs<T: DeserializeOwned>(&self) -> Vec<(String, T)> {
        let mut runs = Vec::new();
        for (id, path) in self.run_files() {
            match sealed::read(&path) {
                Sealed::Sound(run) => runs.push((id, run)),
                Sealed::Missing => {}
                Sealed::Damaged => self.tell_run(&path),
            }
        }
        runs
    }

    /// The latest run that is wanted with its id, without reading older ones. Damaged ones are
    /// told.
    pub fn find_run<T: DeserializeOwned>(
        &self,
        wanted: impl Fn(&T) -> bool,
    ) -> Option<(String, T)> {
        for (id, path) in self.run_files() {
            match sealed::read(&path) {
                Sealed::Sound(run) if wanted(&run) => return Some((id, run)),
                Sealed::Sound(_) | Sealed::Missing => {}
                Sealed::Damaged => self.tell_run(&path),
            }
        }
        None
    }

    /// Forgets the record of a run; what it made stays until it is cleaned up.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn remove_run(&self, id: &str) -> Result<(), StoreError> {
        self.writable()?;
        let path = self.run(id)?;
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::new("removing", &path, e))
            }
            _ => Ok(()),
        }
    }

    /// Ids and files of all runs, newest first.
    pub(super) fn run_files(&self) -> Vec<(String, PathBuf)> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.folder("runs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = entry.file_name();
            if let Some(id) = name.to_str().and_then(|n| n.strip_suffix(".json")) {
                found.push((id.to_owned(), entry.path()));
            }
        }
        found.sort();
        found.reverse();
        found
    }

    /// Tells of a run that is of no use, as what belongs to it is lost.
    pub fn tell_lost(&self, id: &str) {
        if let Ok(path) = self.run(id) {
            self.tell_run(&path);
        }
    }

    pub(super) fn tell_run(&self, path: &Path) {
        self.0.faults.push(format!(
            "`{}` is damaged: this run is left out",
            path.display()
        ));
    }

    /// Tells a damaged file and removes it, unless the store is only read.
    pub(super) fn condemn(&self, path: &Path) {
        self.0.faults.push(format!(
            "`{}` is damaged: it will be recomputed",
            path.display()
        ));
        if self.0.lock.is_some()
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(%error, "a damaged file stays");
        }
    }

    fn artifact(&self, content: Hash) -> PathBuf {
        sealed::hashed(&self.folder("artifacts"), content, EXTENSION)
    }

    fn blob(&self, hash: Hash) -> PathBuf {
        sealed::hashed(&self.folder("blobs"), hash, "")
    }

    fn run(&self, id: &str) -> Result<PathBuf, StoreError> {
        let path = self.folder("runs").join(format!("{id}.json"));
        if !is_run_id(id) {
            let error = io::ErrorKind::InvalidFilename.into();
            return Err(StoreError::new("naming", &path, error));
        }
        Ok(path)
    }
}

/// True for what may name a run.
pub(super) fn is_run_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:+".contains(c);
    !id.is_empty() && id.chars().all(plain)
}
