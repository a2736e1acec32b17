//! What stands in for `parquet` in a program that was built without it.

use std::fs::File;
use std::path::Path;

use super::reader::{OpenError, Options};
use super::trouble::Trouble;
use crate::diag::Diagnostic;
use crate::record::Fields;

/// What nothing is known of.
pub fn text(_: &[u8], _: u64) -> Option<String> {
    None
}

/// Rows that cannot be read.
pub struct Rows {
    /// Rows so far.
    pub count: u64,
}

impl Rows {
    /// Opens nothing.
    ///
    /// # Errors
    /// Always.
    pub fn open(path: &Path, _: &Options, trouble: &Trouble) -> Result<Rows, OpenError> {
        File::open(path).map_err(OpenError::Io)?;
        Err(OpenError::Content(
            trouble
                .say("this `clue` was built without Parquet")
                .help("build it with the feature `parquet`"),
        ))
    }

    /// There are none.
    pub fn names(&self) -> Vec<String> {
        Vec::new()
    }

    /// There is none.
    ///
    /// # Errors
    /// None.
    pub fn next(&mut self, _: &Trouble) -> Result<Option<Fields>, Diagnostic> {
        Ok(None)
    }
}
