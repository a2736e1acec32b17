//! Counting, checking and cleaning a store. What may be removed is the caller's to say.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::mpsc::sync_channel;

use serde::Serialize;

use super::artifact::EXTENSION;
use super::error::StoreError;
use super::frame::{self, Frame, HEADER, Kind};
use super::log::Place;
use super::sealed::{self, Sealed};
use super::segment::Segment;
use super::writer::{Job, unique_name};
use super::{Store, format, log};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::plan::graph::Output;

/// How many things of one kind there are, and their bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Amount {
    /// Counts one more.
    pub fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }
}

/// What a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreStats {
    /// Replies to calls.
    pub calls: Amount,
    /// Outputs remembered for stages.
    pub results: Amount,
    /// Artifacts.
    pub artifacts: Amount,
    /// Kept texts.
    pub blobs: Amount,
    /// Records of runs.
    pub runs: Amount,
    /// Faults seen so far and not yet taken; `verify` finds all.
    pub damaged: u64,
}

/// What cleaning up removed, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Freed {
    /// Calls and results that nothing needs, with damaged and repeated ones' bytes.
    pub entries: Amount,
    /// Artifacts.
    pub artifacts: Amount,
    /// Kept texts.
    pub blobs: Amount,
    /// Files that a killed process left half written.
    pub unfinished: Amount,
}

impl Store {
    /// Counts what is there, without reading contents.
    pub fn stats(&self) -> StoreStats {
        let mut stats = StoreStats::default();
        for (kind, key) in self.0.log.ids() {
            let size = self.0.log.place(kind, key).map_or(0, |p| p.frame.size());
            match kind {
                Kind::Call => stats.calls.add(size),
                Kind::Result => stats.results.add(size),
            }
        }
        for (.., bytes) in sealed::list(&self.folder("artifacts"), EXTENSION) {
            stats.artifacts.add(bytes);
        }
        for (.., bytes) in sealed::list(&self.folder("blobs"), "") {
            stats.blobs.add(bytes);
        }
        for (_, path) in self.run_files() {
            stats.runs.add(size(&path));
        }
        stats.damaged = self.0.faults.count() as u64;
        stats
    }

    /// Reads everything and returns what is damaged, one line each. Damaged parts are removed
    /// where that is safe now, so that they are computed anew.
    pub fn verify(&self) -> Vec<String> {
        let calls = self.folder("calls");
        let mut damaged = false;
        for path in log::segments(&calls).unwrap_or_default() {
            damaged |= self.verify_segment(&path);
        }
        if damaged {
            self.repair();
        }
        for (hash, ..) in sealed::list(&self.folder("artifacts"), EXTENSION) {
            self.verify_artifact(hash);
        }
        for (hash, path, _) in sealed::list(&self.folder("blobs"), "") {
            if fs::read(&path).is_ok_and(|bytes| Hash::of_bytes(&bytes) != hash) {
                self.condemn(&path);
            }
        }
        for (_, path) in self.run_files() {
            if let Sealed::Damaged = sealed::read::<serde_json::Value>(&path) {
                self.tell_run(&path);
            }
        }
        let files = self.folder("files.json");
        if let Sealed::Damaged = sealed::read::<serde_json::Value>(&files) {
            self.condemn(&files);
        }
        if self.0.root.exists() && !format::sound(&self.0.root) {
            let path = self.folder("format.json");
            self.0
                .faults
                .push(format!("`{}` is damaged", path.display()));
        }
        self.take_faults()
    }

    /// Tells what is damaged in a segment; true if something is.
    fn verify_segment(&self, path: &Path) -> bool {
        let outcome = File::open(path).and_then(|file| {
            let scan = frame::scan(&file)?;
            let mut damaged = scan.damaged;
            for frame in &scan.frames {
                if frame::read(&file, frame)?.is_none() {
                    damaged.push((frame.at, frame.at + frame.size()));
                }
            }
            Ok(damaged)
        });
        let damaged = outcome.unwrap_or_else(|_| vec![(0, size(path))]);
        for (start, end) in &damaged {
            self.0.faults.push(log::damage(path, *start, *end));
        }
        !damaged.is_empty()
    }

    /// Cuts damaged parts out of segments, if nobody else has the store open. Failing is no
    /// harm: they are passed over.
    pub(super) fn repair(&self) {
        let Some(lock) = &self.0.lock else { return };
        let outcome = lock.alone(|| -> Result<(), StoreError> {
            self.seal()?;
            let calls = self.folder("calls");
            let failed = |e| StoreError::new("repairing", &calls, e);
            for path in log::segments(&calls).map_err(failed)? {
                let whole = File::open(&path).and_then(|f| sound(&f)).map_err(failed)?;
                if !whole {
                    self.rewrite(std::slice::from_ref(&path), &path, |_, _| true)?;
                }
            }
            self.0.log.reload().map_err(failed)?;
            Ok(())
        });
        if let Some(Err(error)) = outcome {
            tracing::debug!(%error, "the store was not repaired");
        }
    }

    /// The keys of all calls.
    pub fn call_keys(&self) -> Vec<Hash> {
        let ids = self.0.log.ids().into_iter();
        ids.filter(|(kind, _)| *kind == Kind::Call)
            .map(|(_, key)| key)
            .collect()
    }

    /// Removes everything that `keep` (keys of calls and results, hashes of artifacts and
    /// blobs) does not name; a result also stays with its artifact. Segments become one.
    /// Nothing may be stored meanwhile.
    ///
    /// # Errors
    /// A store that another process has open, or a full disk: nothing needed is lost.
    pub fn gc(&self, keep: &HashSet<Hash>, dry_run: bool) -> Result<Freed, Diagnostic> {
        if dry_run {
            return Ok(self.collect(keep, true)?);
        }
        self.writable()?;
        let alone = self
            .0
            .lock
            .as_ref()
            .and_then(|lock| lock.alone(|| self.collect(keep, false)));
        match alone {
            Some(freed) => Ok(freed?),
            None => Err(Diagnostic::error(format!(
                "the store `{}` is in use by another process",
                self.0.root.display()
            ))
            .help("run it again when the other runs have ended")),
        }
    }

    fn collect(&self, keep: &HashSet<Hash>, dry_run: bool) -> Result<Freed, StoreError> {
        let mut freed = Freed {
            entries: self.collect_entries(keep, dry_run)?,
            ..Freed::default()
        };
        for (folder, extension, amount) in [
            ("artifacts", EXTENSION, &mut freed.artifacts),
            ("blobs", "", &mut freed.blobs),
        ] {
            for (hash, path, bytes) in sealed::list(&self.folder(folder), extension) {
                if !keep.contains(&hash) {
                    amount.add(bytes);
                    remove(&path, dry_run)?;
                }
            }
        }
        for entry in fs::read_dir(self.folder("tmp"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = entry.path();
            freed.unfinished.add(size(&path));
            // Folders are what is left of replays that were killed.
            if path.is_dir() && !path.is_symlink() {
                let gone = if dry_run {
                    Ok(())
                } else {
                    fs::remove_dir_all(&path)
                };
                gone.map_err(|e| StoreError::new("removing", &path, e))?;
            } else {
                remove(&path, dry_run)?;
            }
        }
        Ok(freed)
    }

    fn collect_entries(&self, keep: &HashSet<Hash>, dry_run: bool) -> Result<Amount, StoreError> {
        let calls = self.folder("calls");
        let failed = |e| StoreError::new("reading", &calls, e);
        if !dry_run {
            self.seal()?;
            self.0.log.reload().map_err(failed)?;
        }
        let sources = log::segments(&calls).map_err(failed)?;
        // Reading each entry puts a sound copy in the place of a damaged one.
        let mut dead = 0;
        let mut after = 0;
        let mut live: HashSet<(PathBuf, u64)> = HashSet::new();
        for (kind, key) in self.0.log.ids() {
            let Some(text) = self.0.log.get(kind, key) else {
                continue;
            };
            let output = (kind == Kind::Result)
                .then(|| serde_json::from_slice::<Output>(&text).ok())
                .flatten();
            let kept = keep.contains(&key) || output.is_some_and(|o| keep.contains(&o.content));
            match self.0.log.place(kind, key).filter(|_| kept) {
                Some(Place { path, frame }) => {
                    after += frame.size();
                    live.insert((path.to_path_buf(), frame.at));
                }
                None => dead += 1,
            }
        }
        let before: u64 = sources.iter().map(|path| size(path)).sum();
        if !live.is_empty() {
            after += HEADER.len() as u64;
        }
        if !dry_run && (dead > 0 || after < before) {
            let target = calls.join(format!("{}.seg", unique_name()));
            self.rewrite(&sources, &target, |path, frame| {
                live.contains(&(path.to_owned(), frame.at))
            })?;
            self.0.log.reload().map_err(failed)?;
        }
        Ok(Amount {
            count: dead,
            bytes: before.saturating_sub(after),
        })
    }

    /// Copies the sound frames of `sources` that are wanted into `target`, and removes the
    /// sources. A crash in between leaves every frame at least once.
    fn rewrite(
        &self,
        sources: &[PathBuf],
        target: &Path,
        wanted: impl Fn(&Path, &Frame) -> bool,
    ) -> Result<(), StoreError> {
        let mut segment = Segment::new(&self.folder("tmp"))?;
        for path in sources {
            let reading = |e| StoreError::new("reading", path, e);
            let file = File::open(path).map_err(reading)?;
            for frame in frame::scan(&file).map_err(reading)?.frames {
                if !wanted(path, &frame) {
                    continue;
                }
                if let Some(payload) = frame::read(&file, &frame).map_err(reading)? {
                    segment.add(frame.kind, frame.key, &payload)?;
                }
            }
        }
        let copied = !segment.frames().is_empty();
        if copied {
            segment.settle(target)?;
        }
        for path in sources {
            if !copied || path != target {
                remove(path, false)?;
            }
        }
        Ok(())
    }

    /// Lets this process's own writer close its segment.
    fn seal(&self) -> Result<(), StoreError> {
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = &*writer else {
            return Ok(());
        };
        let (done, sealed) = sync_channel(1);
        let gone = || {
            let error = io::ErrorKind::BrokenPipe.into();
            StoreError::new("closing", &self.folder("calls"), error)
        };
        writer.send(Job::Seal(done)).map_err(|_| gone())?;
        sealed.recv().map_err(|_| gone())
    }
}

/// True when every byte of a segment is as it was written.
fn sound(file: &File) -> io::Result<bool> {
    let scan = frame::scan(file)?;
    for frame in &scan.frames {
        if frame::read(file, frame)?.is_none() {
            return Ok(false);
        }
    }
    Ok(scan.damaged.is_empty())
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

fn remove(path: &Path, dry_run: bool) -> Result<(), StoreError> {
    if dry_run {
        return Ok(());
    }
    fs::remove_file(path).map_err(|e| StoreError::new("removing", path, e))
}
