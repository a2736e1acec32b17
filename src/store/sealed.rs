//! Small files that are replaced as a whole: written beside and renamed, so that a reader sees
//! the old or the new one. A sealed file is one JSON object that carries the hash of its own
//! content, so that every changed byte shows.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use crate::hash::Hash;

/// Makes a folder and its parents, for the user alone.
pub(super) fn folder(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| StoreError::new("creating", path, e))
}

/// Where content with this hash is kept under `root`.
pub(super) fn hashed(root: &Path, hash: Hash, extension: &str) -> PathBuf {
    let name = hash.to_string();
    root.join(&name[..2]).join(format!("{name}{extension}"))
}

/// Makes a renamed file durable together with its name.
pub(super) fn settle(temporary: tempfile::NamedTempFile, path: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::new("writing", path, e);
    temporary.as_file().sync_all().map_err(failed)?;
    let parent = place(temporary, path)?;
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(failed)
}

/// Gives a file its name; the folder of it.
fn place(temporary: tempfile::NamedTempFile, path: &Path) -> Result<&Path, StoreError> {
    let parent = path.parent().unwrap_or(Path::new("."));
    folder(parent)?;
    temporary
        .persist(path)
        .map_err(|e| StoreError::new("writing", path, e.error))?;
    Ok(parent)
}

/// Replaces a file by `bytes`, durably.
pub(super) fn replace(tmp: &Path, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    settle(filled(tmp, path, bytes)?, path)
}

/// A new file with the bytes that `path` is to have.
fn filled(tmp: &Path, path: &Path, bytes: &[u8]) -> Result<tempfile::NamedTempFile, StoreError> {
    let mut file = temporary(tmp)?;
    file.write_all(bytes)
        .map_err(|e| StoreError::new("writing", path, e))?;
    Ok(file)
}

/// A new file in the store's `tmp`, removed when dropped.
pub(super) fn temporary(tmp: &Path) -> Result<tempfile::NamedTempFile, StoreError> {
    tempfile::Builder::new()
        .prefix(&format!("{}-", super::writer::unique_name()))
        .tempfile_in(tmp)
        .map_err(|e| StoreError::new("creating a file in", tmp, e))
}

const BEFORE_HASH: &str = "{\"blake3\":\"";
const AFTER_HASH: &str = "\",\"data\":";
const END: &str = "}\n";

/// Writes a value as a sealed file.
pub(super) fn write<T: Serialize + ?Sized>(
    tmp: &Path,
    path: &Path,
    value: &T,
) -> Result<(), StoreError> {
    replace(tmp, path, sealed(path, value)?.as_bytes())
}

/// The same without waiting for the disk: after a power cut it may be missing or damaged.
pub(super) fn write_soon<T: Serialize + ?Sized>(
    tmp: &Path,
    path: &Path,
    value: &T,
) -> Result<(), StoreError> {
    let file = filled(tmp, path, sealed(path, value)?.as_bytes())?;
    place(file, path).map(|_| ())
}

fn sealed<T: Serialize + ?Sized>(path: &Path, value: &T) -> Result<String, StoreError> {
    let body = serde_json::to_string(value)
        .map_err(|e| StoreError::new("writing", path, io::Error::from(e)))?;
    let hash = Hash::of_bytes(body.as_bytes());
    Ok(format!("{BEFORE_HASH}{hash}{AFTER_HASH}{body}{END}"))
}

/// A sealed file as it was found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sealed<T> {
    /// There is none.
    Missing,
    /// A byte has changed, or it is of another kind.
    Damaged,
    /// Sound.
    Sound(T),
}

/// Reads a sealed file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Sealed<T> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Sealed::Missing,
        Err(_) => return Sealed::Damaged,
    };
    open(&bytes).map_or(Sealed::Damaged, Sealed::Sound)
}

fn open<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (hash, body) = text
        .strip_prefix(BEFORE_HASH)?
        .strip_suffix(END)?
        .split_once(AFTER_HASH)?;
    // Compared as text: hex digits have two cases.
    if Hash::of_bytes(body.as_bytes()).to_string() != hash {
        return None;
    }
    serde_json::from_str(body).ok()
}

/// The files in a folder of hashed content: hash, path and size. Other files are left out.
pub(super) fn list(root: &Path, extension: &str) -> Vec<(Hash, PathBuf, u64)> {
    let mut found = Vec::new();
    for shelf in fs::read_dir(root).into_iter().flatten().flatten() {
        for entry in fs::read_dir(shelf.path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let hash = name
                .to_str()
                .and_then(|n| n.strip_suffix(extension))
                .and_then(Hash::parse);
            if let (Some(hash), Ok(data)) = (hash, entry.metadata()) {
                found.push((hash, entry.path(), data.len()));
            }
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_sealed_file_shows() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.json");
        write(dir.path(), &path, &serde_json::json!({"a": "text", "n": 1})).unwrap();
        let good = fs::read(&path).unwrap();
        assert!(serde_json::from_slice::<serde_json::Value>(&good).is_ok());
        assert!(open::<serde_json::Value>(&good).is_some());
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert!(open::<serde_json::Value>(&bad).is_none(), "byte {at}");
            }
            assert!(open::<serde_json::Value>(&good[..at]).is_none());
        }
    }
}
