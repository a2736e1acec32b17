//! The version of a store's layout, and the making of an empty store.

use std::fs;
use std::io;
use std::path::Path;

use super::error::{Faults, StoreError};
use super::sealed;
use crate::diag::Diagnostic;
use crate::hash::Hash;

/// The layout that this program writes, and the newest that it reads.
pub const FORMAT: u64 = 1;
/// Everything in a store stays out of version control: it may hold patient data.
const IGNORE: &[u8] = b"*\n";

/// By this a changed digit is told from a newer version; it stays the same in all versions.
fn check_of(format: u64) -> String {
    Hash::of("clue store format v1", &format).short()
}

/// A version as it is written.
fn text(format: u64) -> String {
    let check = check_of(format);
    format!("{{\"format\":{format},\"check\":\"{check}\"}}\n")
}

/// What the file that tells a store's version says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one that this program reads and writes.
    Known,
    /// A newer one.
    Newer(u64),
    /// Nothing that can be read.
    Damaged,
}

impl Version {
    /// The file's name in a store.
    pub const FILE: &str = "format.json";

    /// The file as this program writes it.
    pub fn file() -> String {
        text(FORMAT)
    }

    /// What the file's content says.
    pub fn of(found: &[u8]) -> Version {
        let json: serde_json::Value = serde_json::from_slice(found).unwrap_or_default();
        let alone = json.as_object().is_some_and(|keys| keys.len() == 1);
        match json["format"].as_u64() {
            Some(FORMAT) if alone || found == text(FORMAT).as_bytes() => Version::Known,
            Some(newer)
                if newer > FORMAT
                    && (json["check"].is_null() || json["check"] == check_of(newer)) =>
            {
                Version::Newer(newer)
            }
            _ => Version::Damaged,
        }
    }
}

/// The fault of a store, named as `shown`, that only a newer program reads.
pub fn newer_than(shown: &str, format: u64) -> Diagnostic {
    Diagnostic::error(format!(
        "the store `{shown}` has format {format}, and this program reads formats up to {FORMAT}"
    ))
}

/// True when the file is exactly what this program writes.
pub(super) fn sound(root: &Path) -> bool {
    fs::read(root.join(Version::FILE)).is_ok_and(|t| t == text(FORMAT).as_bytes())
}

/// Makes the folders of a store, or checks those that are there and mends small damage.
pub(super) fn create(root: &Path, faults: &Faults) -> Result<(), Diagnostic> {
    check(root, faults)?;
    for name in ["calls", "artifacts", "blobs", "runs", "tmp"] {
        sealed::folder(&root.join(name))?;
    }
    let tmp = root.join("tmp");
    if !sound(root) {
        let path = root.join(Version::FILE);
        sealed::replace(&tmp, &path, text(FORMAT).as_bytes())?;
    }
    let ignore = root.join(".gitignore");
    let found = fs::read(&ignore).ok();
    if found.as_deref() != Some(IGNORE) {
        if found.is_some() {
            faults.push(format!(
                "`{}` was changed: it is restored",
                ignore.display()
            ));
        }
        sealed::replace(&tmp, &ignore, IGNORE)?;
    }
    Ok(())
}

/// Checks the version of a store; a missing store is fine.
pub(super) fn check(root: &Path, faults: &Faults) -> Result<(), Diagnostic> {
    if root.exists() && !root.is_dir() {
        return Err(
            Diagnostic::error(format!("the store `{}` is no folder", root.display()))
                .help("name a folder with `--store`"),
        );
    }
    let path = root.join(Version::FILE);
    let found = match fs::read(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(StoreError::new("reading", &path, error).into()),
    };
    match Version::of(&found) {
        Version::Known => Ok(()),
        Version::Newer(newer) => Err(newer_than(&root.display().to_string(), newer)
            .help("use the newer `clue` that wrote it, or choose another folder with `--store`")),
        Version::Damaged => {
            faults.push(format!(
                "`{}` is damaged: format {FORMAT} is taken for granted",
                path.display()
            ));
            Ok(())
        }
    }
}
