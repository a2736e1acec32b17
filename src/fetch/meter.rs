//! How far a file is: counters that the download moves and a display reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of one file. Shared by reference; every reading is of its moment.
#[derive(Debug, Default)]
pub struct Meter {
    have: AtomicU64,
    total: AtomicU64,
}

impl Meter {
    /// Bytes on disk.
    pub fn have(&self) -> u64 {
        self.have.load(Ordering::Relaxed)
    }

    /// Bytes that the whole file has, if the server told.
    pub fn total(&self) -> Option<u64> {
        Some(self.total.load(Ordering::Relaxed)).filter(|total| *total > 0)
    }

    /// Sets both.
    pub fn set(&self, have: u64, total: Option<u64>) {
        self.have.store(have, Ordering::Relaxed);
        self.total.store(total.unwrap_or(0), Ordering::Relaxed);
    }

    /// Adds bytes.
    pub fn add(&self, bytes: u64) {
        self.have.fetch_add(bytes, Ordering::Relaxed);
    }
}
