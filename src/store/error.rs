//! What can go wrong while the cache is written, as text for the user. Knows no layout.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::diag::Diagnostic;

/// A failed read or write of the store. Cheap to clone: a whole group of waiting writers may
/// get the same one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} while {doing} `{}`", Reason(source), path.display())]
pub struct StoreError {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: Arc<io::Error>,
}

impl StoreError {
    pub(super) fn new(doing: &'static str, path: &Path, source: io::Error) -> StoreError {
        StoreError {
            doing,
            path: path.to_owned(),
            source: Arc::new(source),
        }
    }

    /// True when the disk (or the user's share of it) is full.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

impl From<StoreError> for Diagnostic {
    fn from(error: StoreError) -> Diagnostic {
        let full = error.is_full();
        let diagnostic = Diagnostic::error(error.to_string());
        if full {
            diagnostic
                .help("make room or choose another folder with `--store`, then run again: nothing already stored is lost")
        } else {
            diagnostic
        }
    }
}

/// The operating system's words without its error number, lower case at the start.
struct Reason<'a>(&'a io::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let mut chars = text.chars();
        match chars.next() {
            Some(first) => write!(f, "{}{}", first.to_lowercase(), chars.as_str()),
            None => f.write_str("input/output error"),
        }
    }
}

/// Faults found so far, one line each, until somebody takes them to tell the user.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(Arc<Mutex<Vec<String>>>);

impl Faults {
    pub(super) fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines.contains(&line) {
            tracing::debug!(fault = %line, "damage in the store");
            lines.push(line);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_said_plainly() {
        let full = io::Error::from(rustix::io::Errno::NOSPC);
        let error = StoreError::new("writing", Path::new("a/b"), full);
        assert!(error.is_full());
        assert_eq!(
            error.to_string(),
            "no space left on device while writing `a/b`"
        );
    }
}
