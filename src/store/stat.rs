//! Hashes of the user's files, remembered by path, size, times and inode so that an unchanged
//! gigabyte isn't read again. The hash decides everything; this only saves the reading of it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use foldhash::HashMap;
use serde::{Deserialize, Serialize, Serializer};

use super::error::{Faults, StoreError};
use super::sealed::{self, Sealed};
use crate::hash::Hash;

/// A file that changed within this many nanoseconds before it was read may change again within
/// the same tick of its clock, unnoticed: it is not remembered.
const SETTLED: i128 = 2_000_000_000;

/// What must be the same for a file to be taken as unchanged. Times are in nanoseconds since
/// 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    size: u64,
    modified: i64,
    changed: i64,
    inode: u64,
}

impl Seen {
    fn of(data: &Metadata) -> Seen {
        let nanos = |s: i64, n: i64| s.saturating_mul(1_000_000_000).saturating_add(n);
        Seen {
            size: data.len(),
            modified: nanos(data.mtime(), data.mtime_nsec()),
            changed: nanos(data.ctime(), data.ctime_nsec()),
            inode: data.ino(),
        }
    }

    fn settled(&self, now: i128) -> bool {
        now - i128::from(self.modified.max(self.changed)) > SETTLED
    }
}

/// A file's hash and what it was [`Seen`] as: not flattened from one, which reads far slower.
/// Written as a list; also read as a map, which earlier versions wrote.
#[derive(Clone, Debug, Deserialize)]
struct Entry {
    size: u64,
    modified: i64,
    changed: i64,
    inode: u64,
    hash: Hash,
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Seen {
            size,
            modified,
            changed,
            inode,
        } = self.seen();
        (size, modified, changed, inode, self.hash).serialize(serializer)
    }
}

impl Entry {
    fn new(seen: Seen, hash: Hash) -> Entry {
        let Seen {
            size,
            modified,
            changed,
            inode,
        } = seen;
        Entry {
            size,
            modified,
            changed,
            inode,
            hash,
        }
    }

    fn seen(&self) -> Seen {
        Seen {
            size: self.size,
            modified: self.modified,
            changed: self.changed,
            inode: self.inode,
        }
    }
}

/// The remembered hashes.
#[derive(Debug)]
pub(super) struct Stats {
    path: PathBuf,
    /// Where relative paths begin.
    here: PathBuf,
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    all: HashMap<String, Entry>,
    changed: bool,
}

impl Stats {
    pub(super) fn open(path: PathBuf, faults: &Faults) -> Stats {
        let (all, changed) = match sealed::read(&path) {
            Sealed::Sound(all) => (all, false),
            Sealed::Missing => (HashMap::default(), false),
            Sealed::Damaged => {
                faults.push(format!(
                    "`{}` is damaged: files will be hashed again",
                    path.display()
                ));
                (HashMap::default(), true)
            }
        };
        Stats {
            path,
            here: std::env::current_dir().unwrap_or_default(),
            entries: Mutex::new(Entries { all, changed }),
        }
    }

    pub(super) fn hash_file(&self, path: &Path) -> io::Result<Hash> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_nanos() as i128);
        self.hash_file_at(path, now)
    }

    fn hash_file_at(&self, path: &Path, now: i128) -> io::Result<Hash> {
        let name = absolute(self.here.join(path))?.into_os_string();
        let name = name.into_string().ok();
        if let Some(name) = &name {
            let seen = Seen::of(&fs::metadata(path)?);
            let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.all.get(name).filter(|e| e.seen() == seen) {
                return Ok(entry.hash);
            }
        }
        let file = File::open(path)?;
        let seen = Seen::of(&file.metadata()?);
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&file)?;
        let hash = Hash(*hasher.finalize().as_bytes());
        let still = Seen::of(&file.metadata()?) == seen;
        if let Some(name) = name.filter(|_| still && seen.settled(now)) {
            let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
            entries.all.insert(name, Entry::new(seen, hash));
            entries.changed = true;
        }
        Ok(hash)
    }

    /// Writes what was learnt, together with what others wrote meanwhile.
    pub(super) fn save(&self, tmp: &Path) -> Result<(), StoreError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.changed {
            return Ok(());
        }
        if let Sealed::Sound(theirs) = sealed::read::<HashMap<String, Entry>>(&self.path) {
            for (name, entry) in theirs {
                entries.all.entry(name).or_insert(entry);
            }
        }
        let sorted: BTreeMap<&String, &Entry> = entries.all.iter().collect();
        sealed::write(tmp, &self.path, &sorted)?;
        entries.changed = false;
        Ok(())
    }
}

/// An absolute path without what stands for nothing in it.
fn absolute(path: PathBuf) -> io::Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let odd = |pair: &[u8]| matches!(pair, b"//" | b"/.");
    // Nearly none has any, and to look at its parts takes longer.
    if path.is_absolute() && !bytes.windows(2).any(odd) {
        return Ok(path);
    }
    std::path::absolute(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later() -> i128 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.as_nanos() as i128 + 2 * SETTLED
    }

    #[test]
    fn only_settled_files_are_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes.csv");
        std::fs::write(&file, "a").unwrap();
        let stats = Stats::open(dir.path().join("files.json"), &Faults::default());
        assert_eq!(stats.hash_file(&file).unwrap(), Hash::of_bytes(b"a"));
        assert!(!stats.entries.lock().unwrap().changed, "racy");
        stats.hash_file_at(&file, later()).unwrap();
        stats.save(dir.path()).unwrap();

        let again = Stats::open(dir.path().join("files.json"), &Faults::default());
        assert_eq!(again.entries.lock().unwrap().all.len(), 1);
        assert_eq!(again.hash_file(&file).unwrap(), Hash::of_bytes(b"a"));
        std::fs::write(&file, "b").unwrap();
        assert_eq!(again.hash_file(&file).unwrap(), Hash::of_bytes(b"b"));
    }

    #[test]
    fn what_earlier_versions_wrote_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("notes.csv");
        std::fs::write(&file, "a").unwrap();
        let Seen {
            size,
            modified,
            changed,
            inode,
        } = Seen::of(&std::fs::metadata(&file).unwrap());
        let hash = Hash::of_bytes(b"as remembered");
        let all = serde_json::json!({file.to_str().unwrap(): {
            "size": size, "modified": modified, "changed": changed, "inode": inode, "hash": hash,
        }});
        let path = dir.path().join("files.json");
        sealed::write(dir.path(), &path, &all).unwrap();
        let stats = Stats::open(path, &Faults::default());
        assert_eq!(stats.hash_file(&file).unwrap(), hash);
    }

    #[test]
    fn names_of_files_are_absolute_and_plain() {
        for (path, plain) in [
            ("/a/b.csv", "/a/b.csv"),
            ("/a/./b.csv", "/a/b.csv"),
            ("/a//b.csv", "/a/b.csv"),
            ("/a/.b.csv", "/a/.b.csv"),
            ("/a/../b.csv", "/a/../b.csv"),
        ] {
            assert_eq!(absolute(path.into()).unwrap(), Path::new(plain));
        }
    }

    #[test]
    fn two_writers_of_the_stat_cache_keep_both_halves() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        std::fs::write(&a, "a").unwrap();
        std::fs::write(&b, "b").unwrap();
        let path = dir.path().join("files.json");
        let one = Stats::open(path.clone(), &Faults::default());
        let two = Stats::open(path.clone(), &Faults::default());
        one.hash_file_at(&a, later()).unwrap();
        two.hash_file_at(&b, later()).unwrap();
        one.save(dir.path()).unwrap();
        two.save(dir.path()).unwrap();
        let all = Stats::open(path, &Faults::default());
        assert_eq!(all.entries.lock().unwrap().all.len(), 2);
    }
}
