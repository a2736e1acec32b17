//! What moves between stores: files that are known by their names and never change, and entries
//! of the log. Owns their names and what makes them sound; knows no network.
//!
//! Entries move one by one and not by segments: a segment grows while its writer lives, and is
//! merged with others by `gc`, so that its name says little. Nothing that a store has is replaced by
//! what comes in.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::Store;
use super::artifact::{self, ArtifactReader, EXTENSION};
use super::content::is_run_id;
use super::error::StoreError;
use super::frame::{self, Kind};
use super::maintain::Amount;
use super::sealed::{self, Sealed};
use super::segment::Segment;
use super::writer::unique_name;
use crate::hash::Hash;

/// About how large a pack becomes (bytes): what an interrupted transfer does again at most.
const PACK: u64 = 64 << 20;

/// A file that never changes under its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A whole output.
    Artifact(Hash),
    /// A text that runs refer to.
    Blob(Hash),
    /// The record of a run that has ended.
    Run(String),
}

impl Part {
    /// The folders that parts lie in.
    pub const FOLDERS: [&str; 3] = ["artifacts", "blobs", "runs"];

    /// Where it lies, from a store's folder on.
    pub fn name(&self) -> String {
        match self {
            Part::Artifact(hash) => shelved("artifacts", *hash, EXTENSION),
            Part::Blob(hash) => shelved("blobs", *hash, ""),
            Part::Run(id) => format!("runs/{id}.json"),
        }
    }

    /// The part that lies there, if it is exactly a part's name.
    pub fn parse(name: &str) -> Option<Part> {
        let (folder, rest) = name.split_once('/')?;
        let hash = |extension| Hash::parse(rest.get(3..)?.strip_suffix(extension)?);
        let part = match folder {
            "artifacts" => Part::Artifact(hash(EXTENSION)?),
            "blobs" => Part::Blob(hash("")?),
            "runs" => Part::Run(rest.strip_suffix(".json")?.to_owned()),
            _ => return None,
        };
        let fine = !matches!(&part, Part::Run(id) if !is_run_id(id));
        (fine && part.name() == name).then_some(part)
    }

    /// True when a file holds all of this part, and nothing else.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn is_sound(&self, file: &Path) -> io::Result<bool> {
        match self {
            // To the end: what its own trailer says of its content counts for files that were
            // written here, and these may come from elsewhere.
            Part::Artifact(hash) => {
                if !artifact::sound(file, *hash)? {
                    return Ok(false);
                }
                let Some(mut reader) = ArtifactReader::open(file, *hash)? else {
                    return Ok(false);
                };
                Ok(io::copy(&mut reader, &mut io::sink()).is_ok())
            }
            Part::Blob(hash) => Ok(Hash::of_reader(File::open(file)?)? == *hash),
            Part::Run(_) => Ok(matches!(
                sealed::read::<serde_json::Value>(file),
                Sealed::Sound(_)
            )),
        }
    }
}

fn shelved(folder: &str, hash: Hash, extension: &str) -> String {
    let name = hash.to_string();
    format!("{folder}/{}/{name}{extension}", &name[..2])
}

/// The record of a run in a file, if it is sound.
pub fn run_in<T: DeserializeOwned>(file: &Path) -> Option<T> {
    match sealed::read(file) {
        Sealed::Sound(run) => Some(run),
        _ => None,
    }
}

/// What became of a part that came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It is part of the store now.
    Taken,
    /// The store had it.
    There,
    /// It is damaged.
    Damaged,
}

/// Entries in a file that is a segment.
pub struct Pack {
    /// The file; dropped, it is gone.
    pub file: tempfile::NamedTempFile,
    /// What is in it.
    pub entries: Vec<(Kind, Hash)>,
    /// Its bytes.
    pub bytes: u64,
    /// How many of the wanted entries are in it, or are damaged here.
    pub used: usize,
}

impl Store {
    /// All parts, with their bytes.
    pub fn parts(&self) -> BTreeMap<Part, u64> {
        let artifacts = sealed::list(&self.folder("artifacts"), EXTENSION).into_iter();
        let blobs = sealed::list(&self.folder("blobs"), "").into_iter();
        let runs = self.run_files().into_iter();
        let artifacts = artifacts.map(|(hash, _, bytes)| (Part::Artifact(hash), bytes));
        let blobs = blobs.map(|(hash, _, bytes)| (Part::Blob(hash), bytes));
        let runs = runs.map(|(id, path)| {
            let bytes = fs::metadata(path).map_or(0, |data| data.len());
            (Part::Run(id), bytes)
        });
        artifacts.chain(blobs).chain(runs).collect()
    }

    /// Where a part lies, or would.
    pub fn path_of(&self, part: &Part) -> PathBuf {
        self.0.root.join(part.name())
    }

    /// A file to write what comes in to; dropped, it is gone.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn incoming(&self) -> Result<tempfile::NamedTempFile, StoreError> {
        self.writable()?;
        sealed::temporary(&self.folder("tmp"))
    }

    /// Takes a part in, if it is sound. A sound one that is there already stays.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn adopt(&self, part: &Part, file: tempfile::NamedTempFile) -> Result<Adopted, StoreError> {
        let path = self.path_of(part);
        let reading = |e| StoreError::new("reading", file.path(), e);
        if !part.is_sound(file.path()).map_err(reading)? {
            return Ok(Adopted::Damaged);
        }
        if part.is_sound(&path).unwrap_or(false) {
            return Ok(Adopted::There);
        }
        sealed::settle(file, &path)?;
        Ok(Adopted::Taken)
    }

    /// The names of all entries of the log.
    pub fn entries(&self) -> HashSet<(Kind, Hash)> {
        self.0.log.ids().into_iter().collect()
    }

    /// How many bytes entries take.
    pub fn weigh(&self, entries: &[(Kind, Hash)]) -> Amount {
        let mut amount = Amount::default();
        for (kind, key) in entries {
            amount.add(self.0.log.place(*kind, *key).map_or(0, |p| p.frame.size()));
        }
        amount
    }

    /// Writes the first of these entries into a file, as many as one holds. Damaged ones are left
    /// out.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn pack(&self, entries: &[(Kind, Hash)]) -> Result<Pack, StoreError> {
        self.writable()?;
        let mut segment = Segment::new(&self.folder("tmp"))?;
        let mut used = 0;
        for (kind, key) in entries {
            if let Some(payload) = self.0.log.payload(*kind, *key) {
                segment.add(*kind, *key, &payload)?;
            }
            used += 1;
            if segment.len() >= PACK {
                break;
            }
        }
        Ok(Pack {
            entries: segment.frames().iter().map(|f| (f.kind, f.key)).collect(),
            bytes: segment.len(),
            file: segment.file()?,
            used,
        })
    }

    /// Begins to take entries in.
    pub fn intake(&self) -> Intake<'_> {
        Intake {
            store: self,
            known: self.entries(),
            segment: None,
            amount: Amount::default(),
        }
    }
}

/// Entries on their way into a store: those that it does not have, each once.
pub struct Intake<'a> {
    store: &'a Store,
    known: HashSet<(Kind, Hash)>,
    segment: Option<Segment>,
    amount: Amount,
}

/// What a segment from elsewhere was.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The sound entries in it, whether the store lacked them or not.
    pub sound: Vec<(Kind, Hash)>,
    /// Damaged ranges of bytes.
    pub damaged: Vec<(u64, u64)>,
}

/// Reads all of a segment, to know what is in it.
///
/// # Errors
/// It cannot be read.
pub fn look(path: &Path) -> Result<Taken, StoreError> {
    each(path, |_, _| Ok(()))
}

fn each(
    path: &Path,
    mut visit: impl FnMut((Kind, Hash), &[u8]) -> Result<(), StoreError>,
) -> Result<Taken, StoreError> {
    let reading = |e| StoreError::new("reading", path, e);
    let file = File::open(path).map_err(reading)?;
    let scan = frame::scan(&file).map_err(reading)?;
    let mut taken = Taken {
        sound: Vec::new(),
        damaged: scan.damaged,
    };
    for frame in &scan.frames {
        let Some(payload) = frame::read(&file, frame).map_err(reading)? else {
            taken.damaged.push((frame.at, frame.at + frame.size()));
            continue;
        };
        let entry = (frame.kind, frame.key);
        visit(entry, &payload)?;
        taken.sound.push(entry);
    }
    Ok(taken)
}

impl Intake<'_> {
    /// True when the store has all of these, or will.
    pub fn knows(&self, entries: &[(Kind, Hash)]) -> bool {
        entries.iter().all(|entry| self.known.contains(entry))
    }

    /// Takes what is sound in a segment and not there.
    ///
    /// # Errors
    /// A full disk, for one, or a segment that cannot be read.
    pub fn take(&mut self, path: &Path) -> Result<Taken, StoreError> {
        each(path, |entry, payload| self.add(entry, payload))
    }

    /// Takes an entry of another store; false if it is damaged there.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn take_entry(&mut self, from: &Store, entry: (Kind, Hash)) -> Result<bool, StoreError> {
        match from.0.log.payload(entry.0, entry.1) {
            Some(payload) => self.add(entry, &payload).map(|()| true),
            None => Ok(false),
        }
    }

    fn add(&mut self, entry: (Kind, Hash), payload: &[u8]) -> Result<(), StoreError> {
        if !self.known.insert(entry) {
            return Ok(());
        }
        let tmp = self.store.folder("tmp");
        let segment = match &mut self.segment {
            Some(segment) => segment,
            none => none.insert(Segment::new(&tmp)?),
        };
        let before = segment.len();
        segment.add(entry.0, entry.1, payload)?;
        self.amount.add(segment.len() - before);
        match segment.len() >= PACK {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Makes what was taken so far part of the store.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn settle(&mut self) -> Result<(), StoreError> {
        let Some(segment) = self.segment.take() else {
            return Ok(());
        };
        let path = self.store.folder("calls");
        let path = path.join(format!("{}.seg", unique_name()));
        let frames = segment.frames().to_vec();
        segment.settle(&path)?;
        self.store.0.log.add(&path.into(), &frames);
        Ok(())
    }

    /// Ends it: how much came in.
    ///
    /// # Errors
    /// A full disk, for one.
    pub fn finish(mut self) -> Result<Amount, StoreError> {
        self.settle()?;
        Ok(self.amount)
    }
}
