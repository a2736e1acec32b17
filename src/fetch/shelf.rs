//! What is in the data folder already, and whether it is right. Reads; writes nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::catalogue::Item;
use super::error::Why;
use super::sums::{self, KEPT, LOCK, Sum, Sums};

/// What there is of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Absent,
    /// The beginning.
    Part {
        /// So much.
        bytes: u64,
    },
    /// The file, but its sum is not known here.
    Unchecked {
        /// Its size.
        bytes: u64,
    },
    /// The file, with the right sum.
    Right {
        /// Its size.
        bytes: u64,
        /// Its sum.
        sum: Sum,
    },
    /// A file with another sum.
    Wrong {
        /// Its size.
        bytes: u64,
        /// What its sum should be.
        expected: Sum,
        /// What it is.
        found: Sum,
    },
}

/// The path of a file while it is fetched.
pub(super) fn part(path: &Path) -> PathBuf {
    with(path, ".part")
}

/// The path of what is known of a part.
pub(super) fn note(path: &Path) -> PathBuf {
    with(path, ".part.json")
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// True for paths in the data folder with a name that is used for other things than data, be it
/// a folder's. Case does not matter: to some file systems it does not either.
pub(super) fn is_ours(to: &str) -> bool {
    let ours = [KEPT, LOCK].map(str::to_lowercase);
    to.to_lowercase().split('/').any(|name| {
        ours.iter().any(|our| our == name)
            || name.ends_with(".part")
            || name.ends_with(".part.json")
    })
}

/// What there is of a file. Its sum is read from it, and compared with the catalogue's or
/// else with the one that was kept.
///
/// # Errors
/// The disk cannot be read.
pub fn look(folder: &Path, item: &Item, kept: &Sums) -> Result<State, Why> {
    let path = folder.join(&item.to);
    let about = |path: &Path| match fs::metadata(path) {
        Ok(about) => Ok(Some(about)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Why::disk("reading", path, &error)),
    };
    let Some(about) = about(&path)? else {
        return Ok(match about(&part(&path))? {
            Some(about) if about.len() > 0 => State::Part { bytes: about.len() },
            _ => State::Absent,
        });
    };
    if about.is_dir() {
        let error = io::Error::from(io::ErrorKind::IsADirectory);
        return Err(Why::disk("reading", &path, &error));
    }
    let bytes = about.len();
    let Some(expected) = item.sha256.or_else(|| kept.get(&item.to)) else {
        return Ok(State::Unchecked { bytes });
    };
    let found = sums::of_file(&path)?;
    Ok(if found == expected {
        State::Right { bytes, sum: found }
    } else {
        State::Wrong {
            bytes,
            expected,
            found,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_ours_are_known_at_any_depth_and_in_any_case() {
        for ours in [
            "SHA256SUMS",
            "sha256sums",
            "SHA256SUMS/x",
            "a/Sha256Sums",
            ".sha256sums.LOCK",
            "x.part",
            "x.PART/y",
            "a/x.Part.json",
        ] {
            assert!(is_ours(ours), "{ours}");
        }
        for theirs in ["a/x.csv", "SHA256SUMS.txt", "part", "x.parts/y"] {
            assert!(!is_ours(theirs), "{theirs}");
        }
    }
}
