//! The index over all segments: where each call and result is, and which copy counts. Knows
//! the bytes of segments through [`super::frame`] only; writes nothing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use foldhash::HashMap;

use super::error::Faults;
use super::frame::{self, Frame, Kind};
use crate::hash::Hash;

/// How many segments are held open for reading.
const OPEN_FILES: usize = 32;

/// A frame in one of the segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: Arc<Path>,
    pub(super) frame: Frame,
}

/// A place in few bytes, as there may be millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot {
    segment: u32,
    len: u32,
    at: u64,
}

#[derive(Debug, Default)]
struct Index {
    /// Only grows, so that numbers stay valid.
    segments: Vec<Arc<Path>>,
    best: HashMap<(Kind, Hash), Slot>,
    /// Further copies, in the order in which they are tried.
    more: HashMap<(Kind, Hash), Vec<Slot>>,
}

impl Index {
    /// The number of a segment.
    fn segment(&mut self, path: &Arc<Path>) -> u32 {
        let known = self.segments.iter().rposition(|p| p == path);
        let number = known.unwrap_or_else(|| {
            self.segments.push(path.clone());
            self.segments.len() - 1
        });
        number as u32
    }

    /// Adds a copy: the first call counts, and the last result.
    fn insert(&mut self, segment: u32, frame: &Frame) {
        let id = (frame.kind, frame.key);
        let slot = Slot {
            segment,
            len: frame.len,
            at: frame.at,
        };
        let Some(best) = self.best.get_mut(&id) else {
            self.best.insert(id, slot);
            return;
        };
        match frame.kind {
            Kind::Call => self.more.entry(id).or_default().push(slot),
            Kind::Result => {
                let older = std::mem::replace(best, slot);
                self.more.entry(id).or_default().insert(0, older);
            }
        }
    }

    /// Where the copy that counts is.
    fn place(&self, kind: Kind, key: Hash) -> Option<Place> {
        let slot = self.best.get(&(kind, key))?;
        Some(Place {
            path: self.segments.get(slot.segment as usize)?.clone(),
            frame: Frame {
                kind,
                key,
                at: slot.at,
                len: slot.len,
            },
        })
    }

    /// Passes over a damaged copy, unless another thread did so before.
    fn remove(&mut self, place: &Place) {
        let Frame { kind, key, .. } = place.frame;
        if self.place(kind, key).as_ref() != Some(place) {
            return;
        }
        let next = self
            .more
            .get_mut(&(kind, key))
            .filter(|more| !more.is_empty())
            .map(|more| more.remove(0));
        match next {
            Some(next) => self.best.insert((kind, key), next),
            None => self.best.remove(&(kind, key)),
        };
    }
}

/// All segments of a store.
#[derive(Debug)]
pub(super) struct Log {
    folder: PathBuf,
    index: RwLock<Index>,
    open: Mutex<Vec<(PathBuf, Arc<File>)>>,
    faults: Faults,
}

impl Log {
    /// Reads the heads of all segments in `folder`; a missing folder is empty. The flag is true
    /// when a segment is damaged.
    pub(super) fn open(folder: &Path, faults: &Faults) -> io::Result<(Log, bool)> {
        let log = Log {
            folder: folder.to_owned(),
            index: RwLock::default(),
            open: Mutex::default(),
            faults: faults.clone(),
        };
        let damaged = log.reload()?;
        Ok((log, damaged))
    }

    /// Reads everything anew; true when a segment is damaged.
    pub(super) fn reload(&self) -> io::Result<bool> {
        let mut index = Index {
            segments: self.read_index().segments.clone(),
            ..Index::default()
        };
        let mut damaged = false;
        for path in segments(&self.folder)? {
            let scan = || File::open(&path).and_then(|file| frame::scan(&file));
            // A second try, as another process may just have cut off what did not fit on the
            // disk.
            let scan = match scan().or_else(|_| scan()) {
                Ok(scan) => scan,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    self.faults.push(format!(
                        "`{}` cannot be read ({}): its entries will be recomputed",
                        path.display(),
                        error.kind()
                    ));
                    continue;
                }
            };
            for (start, end) in scan.damaged {
                damaged = true;
                self.faults.push(damage(&path, start, end));
            }
            let segment = index.segment(&path.into());
            for frame in &scan.frames {
                index.insert(segment, frame);
            }
        }
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Ok(damaged)
    }

    /// Adds frames of a segment that are durable by now.
    pub(super) fn add(&self, path: &Arc<Path>, frames: &[Frame]) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        let segment = index.segment(path);
        frames.iter().for_each(|frame| index.insert(segment, frame));
    }

    /// The payload under a key, unpacked. Damaged copies are passed over; when no sound one is
    /// left, they are told.
    pub(super) fn get(&self, kind: Kind, key: Hash) -> Option<Vec<u8>> {
        self.first(kind, key, |payload| frame::unpack(&payload).ok())
    }

    /// The same, as it is stored.
    pub(super) fn payload(&self, kind: Kind, key: Hash) -> Option<Vec<u8>> {
        self.first(kind, key, Some)
    }

    fn first(
        &self,
        kind: Kind,
        key: Hash,
        make: impl Fn(Vec<u8>) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mut told = Vec::new();
        while let Some(place) = self.place(kind, key) {
            if let Some(made) = self.read(&place).and_then(&make) {
                return Some(made);
            }
            let end = place.frame.at + place.frame.size();
            told.push(damage(&place.path, place.frame.at, end));
            self.index
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .remove(&place);
        }
        told.into_iter().for_each(|line| self.faults.push(line));
        None
    }

    /// Where the copy that counts is.
    pub(super) fn place(&self, kind: Kind, key: Hash) -> Option<Place> {
        self.read_index().place(kind, key)
    }

    /// The ids of all entries, in no order.
    pub(super) fn ids(&self) -> Vec<(Kind, Hash)> {
        self.read_index().best.keys().copied().collect()
    }

    fn read_index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A payload, or nothing when a byte of its frame has changed.
    fn read(&self, place: &Place) -> Option<Vec<u8>> {
        let file = self.file(&place.path).ok()?;
        frame::read(&file, &place.frame).ok().flatten()
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = open.iter().position(|(p, _)| p == path) {
            return Ok(open[at].1.clone());
        }
        let file = Arc::new(File::open(path)?);
        if open.len() >= OPEN_FILES {
            open.remove(0);
        }
        open.push((path.to_owned(), file.clone()));
        Ok(file)
    }
}

/// The line that tells a user about damage.
pub(super) fn damage(path: &Path, start: u64, end: u64) -> String {
    format!(
        "`{}` is damaged in bytes {start} to {end}: what was there will be recomputed",
        path.display()
    )
}

/// The segments in a folder, oldest writer first.
pub(super) fn segments(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "seg") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
