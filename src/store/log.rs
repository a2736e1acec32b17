//! The index over all segments: where each call and result is, and which copy counts. Knows
//! the bytes of segments through [`super::frame`] only; writes nothing.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

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

#[derive(Debug, Default)]
struct Index {
    best: HashMap<(Kind, Hash), Place>,
    /// Further copies, in the order in which they are tried.
    more: HashMap<(Kind, Hash), Vec<Place>>,
}

impl Index {
    /// The first call counts, and the last result.
    fn insert(&mut self, place: Place) {
        let id = (place.frame.kind, place.frame.key);
        let Some(best) = self.best.get_mut(&id) else {
            self.best.insert(id, place);
            return;
        };
        match place.frame.kind {
            Kind::Call => self.more.entry(id).or_default().push(place),
            Kind::Result => {
                let older = std::mem::replace(best, place);
                self.more.entry(id).or_default().insert(0, older);
            }
        }
    }

    /// Passes over a damaged copy, unless another thread did so before.
    fn remove(&mut self, place: &Place) {
        let id = (place.frame.kind, place.frame.key);
        if self.best.get(&id) != Some(place) {
            return;
        }
        let next = self
            .more
            .get_mut(&id)
            .filter(|more| !more.is_empty())
            .map(|more| more.remove(0));
        match next {
            Some(next) => self.best.insert(id, next),
            None => self.best.remove(&id),
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
        let mut index = Index::default();
        let mut damaged = false;
        for path in segments(&self.folder)? {
            let scan = match File::open(&path).and_then(|file| frame::scan(&file)) {
                Ok(scan) => scan,
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
            let path: Arc<Path> = path.into();
            for frame in scan.frames {
                let path = path.clone();
                index.insert(Place { path, frame });
            }
        }
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = index;
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        Ok(damaged)
    }

    /// Adds frames that are durable by now.
    pub(super) fn add(&self, places: impl IntoIterator<Item = Place>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        places.into_iter().for_each(|place| index.insert(place));
    }

    /// The payload under a key, unpacked. Damaged copies are passed over; when no sound one is
    /// left, they are told.
    pub(super) fn get(&self, kind: Kind, key: Hash) -> Option<Vec<u8>> {
        let mut told = Vec::new();
        loop {
            let Some(place) = self.place(kind, key) else {
                break;
            };
            if let Some(text) = self.read(&place) {
                return Some(text);
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
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.best.get(&(kind, key)).cloned()
    }

    /// Every frame that counts, in no order.
    pub(super) fn winners(&self) -> Vec<Frame> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.best.values().map(|place| place.frame).collect()
    }

    /// An unpacked payload, or nothing when a byte of its frame has changed.
    fn read(&self, place: &Place) -> Option<Vec<u8>> {
        let file = self.file(&place.path).ok()?;
        let payload = frame::read(&file, &place.frame).ok().flatten()?;
        frame::unpack(&payload).ok()
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
