//! Where a user's own folders are. Knows nothing of what is in them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A folder of the user's: from a variable, which must be absolute, else below the home.
pub fn home(variable: &str, below: &str) -> Option<PathBuf> {
    let absolute = |name: &str| {
        let dir = std::env::var_os(name).filter(|dir: &OsString| Path::new(dir).is_absolute());
        dir.map(PathBuf::from)
    };
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(below)))
}
