//! What runs on clusters left in a cache, for `clue cache`: counts it, and removes what is old.

use std::path::Path;
use std::time::SystemTime;

use super::err;
use crate::cluster::leftover::leftovers;
use crate::diag::Diagnostic;
use crate::store::Amount;

/// All folders of jobs in a cache.
pub fn all(store: &Path) -> Amount {
    let mut amount = Amount::default();
    for left in leftovers(store) {
        amount.add(left.bytes);
    }
    amount
}

/// Removes, or with `dry_run` counts, those that nobody needs and nobody follows: of runs that are
/// done, or that were over before `kept`.
///
/// # Errors
/// A folder cannot be removed.
pub fn sweep(store: &Path, kept: Option<SystemTime>, dry_run: bool) -> Result<Amount, Diagnostic> {
    let mut amount = Amount::default();
    for left in leftovers(store) {
        let path = &left.folder.0;
        let failed = |error: std::io::Error| {
            Diagnostic::error(format!("cannot remove `{}`: {error}", path.display()))
        };
        if let Err(fault) = left.folder.read() {
            err(&format!("warning: {}\n", fault.message));
        }
        if !left.is_old(kept) {
            continue;
        }
        let Some(_lock) = left.folder.lock().map_err(failed)? else {
            continue;
        };
        if !dry_run {
            std::fs::remove_dir_all(path).map_err(failed)?;
        }
        amount.add(left.bytes);
    }
    Ok(amount)
}
