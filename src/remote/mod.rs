//! A cache elsewhere, shared by many: another folder, or an S3-compatible bucket. Owns what moves
//! there and back and in which order; asks nobody whether it may.
//!
//! What is elsewhere is laid out as a store is. In a bucket there is an index beside each segment
//! (`calls/NAME.idx`), so that what a store has already need not be downloaded to see that. Names
//! there are of content or unique, so nothing is changed once it is whole, any number may push at
//! once, and a transfer that is cut short goes on where it was when it is repeated.

#[cfg(feature = "s3")]
mod bucket;
mod copy;
#[cfg(feature = "s3")]
mod endpoint;
pub mod fault;
#[cfg(feature = "s3")]
mod index;
pub mod moved;
pub mod place;
#[cfg(feature = "s3")]
mod pull;
#[cfg(feature = "s3")]
mod push;
#[cfg(feature = "s3")]
mod refusal;
#[cfg(all(test, feature = "s3"))]
mod tests;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::diag::Diagnostic;
use crate::engine::facts::Ended;
use crate::engine::halt::Halt;
use crate::engine::runs::Head;
use crate::hash::Hash;
use crate::store::{Part, Store, run_in};
use crate::trust::config::Config;

use fault::Fault;
use moved::Moved;
use place::Place;

/// A cache elsewhere that was found.
pub enum Remote {
    /// Another folder on this machine, or on a disk that it shares.
    Folder(PathBuf),
    /// A bucket.
    #[cfg(feature = "s3")]
    Bucket(bucket::Bucket),
}

/// What a transfer may do.
#[derive(Clone, Debug)]
pub struct How {
    /// Say what would move, and move nothing.
    pub dry_run: bool,
    /// Outputs move, too.
    pub artifacts: bool,
    /// Ends it early.
    pub halt: Halt,
}

impl How {
    fn wants(&self, part: &Part) -> bool {
        self.artifacts || !matches!(part, Part::Artifact(_))
    }
}

impl Remote {
    /// Finds it.
    ///
    /// # Errors
    /// What is not set or wrong, before anything is sent.
    pub async fn open(place: &Place) -> Result<Remote, Fault> {
        match place {
            Place::Folder(folder) => Ok(Remote::Folder(folder.clone())),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => Ok(Remote::Bucket(bucket::Bucket::open(bucket).await?)),
            #[cfg(not(feature = "s3"))]
            Place::Bucket(_) => Err(Fault::Input(
                Diagnostic::error("this `clue` was built without S3")
                    .help("build it with the cargo feature `s3`, or name a folder"),
            )),
        }
    }

    /// Why a cache may not be sent there, by the user's configuration.
    #[cfg_attr(not(feature = "s3"), expect(unused_variables))]
    pub fn refused(&self, config: &Config) -> Option<Diagnostic> {
        match self {
            // Whoever may write to a folder of this machine knows where it is.
            Remote::Folder(_) => None,
            #[cfg(feature = "s3")]
            Remote::Bucket(bucket) => bucket.refused(config),
        }
    }

    /// Sends what it lacks.
    ///
    /// # Errors
    /// What was not sent, and why; what arrived stays.
    pub async fn push(&self, store: &Store, how: &How) -> Result<Moved, Fault> {
        match self {
            Remote::Folder(folder) => {
                let there = match how.dry_run {
                    true => Store::open_read(folder),
                    false => Store::open(folder),
                };
                copy::copy(store, &there.map_err(Fault::Input)?, how)
            }
            #[cfg(feature = "s3")]
            Remote::Bucket(bucket) => push::push(store, bucket, how).await,
        }
    }

    /// Gets what the store lacks.
    ///
    /// # Errors
    /// What did not come, and why; what came stays.
    pub async fn pull(&self, store: &Store, how: &How) -> Result<Moved, Fault> {
        match self {
            Remote::Folder(folder) => {
                if !folder.is_dir() {
                    let shown = folder.display().to_string();
                    return Err(Fault::absent(&shown));
                }
                let there = Store::open_read(folder).map_err(Fault::Input)?;
                copy::copy(&there, store, how)
            }
            #[cfg(feature = "s3")]
            Remote::Bucket(bucket) => pull::pull(store, bucket, how).await,
        }
    }

    /// Gets these outputs, as far as they are there.
    ///
    /// # Errors
    /// As of [`Remote::pull`].
    pub async fn get(
        &self,
        store: &Store,
        contents: &BTreeSet<Hash>,
        how: &How,
    ) -> Result<Moved, Fault> {
        match self {
            Remote::Folder(folder) => {
                let there = Store::open_read(folder).map_err(Fault::Input)?;
                copy::outputs(&there, store, contents, how)
            }
            #[cfg(feature = "s3")]
            Remote::Bucket(bucket) => pull::outputs(store, bucket, contents, how).await,
        }
    }
}

/// True for the record of a run that has ended, which will not change any more.
fn has_ended(record: &std::path::Path) -> bool {
    run_in::<Head>(record)
        .is_some_and(|run| run.facts.is_none_or(|facts| facts.ended != Ended::Running))
}
