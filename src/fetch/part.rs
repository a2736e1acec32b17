//! The beginning of a file, on disk beside where the file will be, with what is known of it:
//! so that a cut costs only what was not there yet. Owns both files and the sum so far; knows
//! no network.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::Why;
use super::shelf;
use super::sums::{Sum, Summing};

/// How often a part is opened anew that others finish meanwhile.
const MOST_CLAIMS: usize = 10;

/// What a server said of a file, to tell later whether it is still the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// Its address in the catalogue.
    pub url: String,
    /// Its `ETag`.
    pub etag: Option<String>,
    /// Its `Last-Modified`.
    pub last_modified: Option<String>,
    /// Its size.
    pub bytes: Option<u64>,
}

impl Note {
    /// What `If-Range` takes: a strong tag, or else a date.
    pub fn validator(&self) -> Option<&str> {
        let strong = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        strong.or(self.last_modified.as_deref())
    }

    /// False if an answer is surely of another file than this note.
    pub fn agrees(&self, other: &Note) -> bool {
        fn same<T: PartialEq>(a: &Option<T>, b: &Option<T>) -> bool {
            a.is_none() || b.is_none() || a == b
        }
        same(&self.etag, &other.etag)
            && same(&self.last_modified, &other.last_modified)
            && same(&self.bytes, &other.bytes)
    }
}

/// A file that is being fetched. Nobody else can open it meanwhile.
pub struct Part {
    path: PathBuf,
    file: File,
    note: Note,
    bytes: u64,
    sum: Summing,
}

impl Part {
    /// Opens what there is of the file that will be at `path`, or begins with nothing. What
    /// was fetched from another address is no beginning. Blocks while it reads.
    ///
    /// # Errors
    /// The disk, or another process that fetches the same file.
    pub fn open(path: &Path, url: &str) -> Result<Part, Why> {
        let at = shelf::part(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Why::disk("making", folder, &error))?;
        }
        let file = claim(&at)?;
        let note = fs::read(shelf::note(path)).ok();
        let note = note.and_then(|json| serde_json::from_slice::<Note>(&json).ok());
        let mut part = Part {
            path: path.to_owned(),
            file,
            note: note.unwrap_or_default(),
            bytes: 0,
            sum: Summing::default(),
        };
        if part.note.url == url {
            let read = part.sum.read(&mut part.file);
            part.bytes = read.map_err(|error| Why::disk("reading", &at, &error))?;
        }
        if part.bytes == 0 || part.note.bytes.is_some_and(|whole| part.bytes > whole) {
            part.clear()?;
        }
        Ok(part)
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is known of the file.
    pub fn note(&self) -> &Note {
        &self.note
    }

    /// True when all of it is here, as far as the server told its size.
    pub fn is_whole(&self) -> bool {
        self.bytes > 0 && self.note.bytes == Some(self.bytes)
    }

    /// The sum so far.
    pub fn sum(&self) -> Sum {
        self.sum.sum()
    }

    /// Begins again with nothing, of a file that the server has told of.
    ///
    /// # Errors
    /// The disk.
    pub fn begin(&mut self, note: Note) -> Result<(), Why> {
        self.clear()?;
        self.note = note;
        let note = shelf::note(&self.path);
        let json = serde_json::to_vec(&self.note).unwrap_or_default();
        fs::write(&note, json).map_err(|error| Why::disk("writing", &note, &error))
    }

    /// Forgets what there is.
    ///
    /// # Errors
    /// The disk.
    pub fn clear(&mut self) -> Result<(), Why> {
        self.bytes = 0;
        self.sum = Summing::default();
        self.note = Note::default();
        let _ = fs::remove_file(shelf::note(&self.path));
        let about = self.file.metadata();
        // What has no length need not be shortened; devices cannot be.
        let short = match about.map(|about| about.len()) {
            Ok(0) => Ok(()),
            _ => self.file.set_len(0),
        };
        short
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map(drop)
            .map_err(|error| self.fault(&error))
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// The disk; what was written of these bytes is taken back.
    pub fn add(&mut self, bytes: &[u8]) -> Result<(), Why> {
        if let Err(error) = self.file.write_all(bytes) {
            let fault = self.fault(&error);
            let end = SeekFrom::Start(self.bytes);
            let _ = self.file.set_len(self.bytes);
            let _ = self.file.seek(end);
            return Err(fault);
        }
        self.sum.add(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Puts the whole file in its place. Blocks until the disk has it.
    ///
    /// # Errors
    /// The disk.
    pub fn settle(self) -> Result<(), Why> {
        let part = shelf::part(&self.path);
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&part, &self.path))
            .map_err(|error| Why::disk("writing", &self.path, &error))?;
        let _ = fs::remove_file(shelf::note(&self.path));
        Ok(())
    }

    /// Removes what there is.
    pub fn discard(self) {
        let _ = fs::remove_file(shelf::part(&self.path));
        let _ = fs::remove_file(shelf::note(&self.path));
    }

    fn fault(&self, error: &std::io::Error) -> Why {
        Why::disk("writing", &shelf::part(&self.path), error)
    }
}

/// Opens and locks a file, as the only one.
fn claim(at: &Path) -> Result<File, Why> {
    for _ in 0..MOST_CLAIMS {
        if let Some(file) = lock(open(at)?, at)? {
            return Ok(file);
        }
    }
    Err(Why::InUse)
}

fn open(at: &Path) -> Result<File, Why> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false);
    how.open(at)
        .map_err(|error| Why::disk("writing", at, &error))
}

/// Locks a file; `None` if it is not the one at its path any more.
fn lock(file: File, at: &Path) -> Result<Option<File>, Why> {
    // File systems without locks are used without.
    let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
    if locked == Err(rustix::io::Errno::WOULDBLOCK) {
        return Err(Why::InUse);
    }
    Ok(is_at(&file, at).then_some(file))
}

/// False if the file that was opened there is elsewhere by now: whoever had the lock before may
/// have put it in its place as the whole, and it must not be touched any more.
fn is_at(file: &File, path: &Path) -> bool {
    let same = |a: fs::Metadata, b: fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata()
        .and_then(|a| fs::metadata(path).map(|b| same(a, b)))
        .unwrap_or(false)
}

impl Drop for Part {
    /// A part of nothing is no use. (A settled or discarded one is gone already.)
    fn drop(&mut self) {
        let part = shelf::part(&self.path);
        if self.bytes == 0 && fs::metadata(&part).is_ok_and(|about| about.len() == 0) {
            let _ = fs::remove_file(part);
            let _ = fs::remove_file(shelf::note(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://h.org/x";

    fn note() -> Note {
        Note {
            url: URL.to_owned(),
            etag: Some("\"1\"".to_owned()),
            last_modified: None,
            bytes: Some(6),
        }
    }

    #[test]
    fn a_part_goes_on_where_it_was() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a/x");
        let mut part = Part::open(&path, URL).expect("opens");
        part.begin(note()).expect("begins");
        part.add(b"abc").expect("written");
        assert_eq!(Part::open(&path, URL).err(), Some(Why::InUse));
        drop(part);
        let mut part = Part::open(&path, URL).expect("opens");
        assert_eq!((part.bytes(), part.note()), (3, &note()));
        assert!(!part.is_whole());
        part.add(b"def").expect("written");
        assert!(part.is_whole());
        let mut whole = Summing::default();
        whole.add(b"abcdef");
        assert_eq!(part.sum(), whole.sum());
        part.settle().expect("settles");
        assert_eq!(fs::read(&path).expect("read"), b"abcdef");
        assert_eq!(fs::read_dir(dir.path().join("a")).expect("read").count(), 1);
    }

    #[test]
    fn who_comes_late_leaves_the_whole_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        let mut part = Part::open(&path, URL).expect("opens");
        part.begin(note()).expect("begins");
        part.add(b"abcdef").expect("written");
        let at = shelf::part(&path);
        let late = open(&at).expect("opens");
        part.settle().expect("settles");
        // What it has open is the whole now, be there another part by then or not.
        assert!(lock(late, &at).expect("locks").is_none());
        let late = File::open(&path).expect("opens");
        fs::write(&at, "abc").expect("written");
        assert!(lock(late, &at).expect("locks").is_none());
        assert!(
            lock(open(&at).expect("opens"), &at)
                .expect("locks")
                .is_some()
        );
        assert_eq!(Part::open(&path, URL).expect("opens").bytes(), 0);
        assert_eq!(fs::read(&path).expect("read"), b"abcdef");
    }

    #[test]
    fn what_is_no_beginning_is_dropped() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        let mut part = Part::open(&path, URL).expect("opens");
        part.begin(note()).expect("begins");
        part.add(b"abc").expect("written");
        drop(part);
        let part = Part::open(&path, "https://h.org/other").expect("opens");
        assert_eq!(part.bytes(), 0);
        drop(part);
        // Nor is one that is longer than the whole, or of which nothing is known.
        fs::write(shelf::part(&path), "abcdefghi").expect("written");
        assert_eq!(Part::open(&path, URL).expect("opens").bytes(), 0);
        assert_eq!(fs::read_dir(dir.path()).expect("read").count(), 0);
    }

    #[test]
    fn weak_tags_do_not_vouch_for_bytes() {
        let mut weak = note();
        weak.etag = Some("W/\"1\"".to_owned());
        assert_eq!(weak.validator(), None);
        weak.last_modified = Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned());
        assert_eq!(weak.validator(), weak.last_modified.as_deref());
        assert!(!weak.agrees(&note()));
        weak.etag = None;
        assert!(weak.agrees(&note()));
    }
}
