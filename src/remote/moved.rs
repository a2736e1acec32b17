//! What a transfer moved.

use serde::Serialize;

use crate::report::words::{count, size, thousands};
use crate::store::{Amount, Part};

/// How much moved, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Calls and results.
    pub entries: Amount,
    /// Outputs.
    pub artifacts: Amount,
    /// Texts that runs refer to.
    pub blobs: Amount,
    /// Records of runs.
    pub runs: Amount,
    /// What is damaged and did not move, one line each.
    pub damaged: Vec<String>,
}

impl Moved {
    /// Counts a part.
    pub fn add(&mut self, part: &Part, bytes: u64) {
        let amount = match part {
            Part::Artifact(_) => &mut self.artifacts,
            Part::Blob(_) => &mut self.blobs,
            Part::Run(_) => &mut self.runs,
        };
        amount.add(bytes);
    }

    /// Adds what moved before.
    pub fn join(&mut self, other: Moved) {
        for (sum, more) in [
            (&mut self.entries, other.entries),
            (&mut self.artifacts, other.artifacts),
            (&mut self.blobs, other.blobs),
            (&mut self.runs, other.runs),
        ] {
            sum.count += more.count;
            sum.bytes += more.bytes;
        }
        self.damaged.extend(other.damaged);
    }

    fn all(&self) -> [Amount; 4] {
        [self.entries, self.artifacts, self.blobs, self.runs]
    }

    /// True when nothing moved.
    pub fn is_empty(&self) -> bool {
        self.all().iter().all(|amount| amount.count == 0)
    }

    /// It in words.
    pub fn words(&self) -> String {
        let bytes: u64 = self.all().iter().map(|amount| amount.bytes).sum();
        format!(
            "{} entries of the log, {}, {}, {}: {}",
            thousands(self.entries.count),
            count(self.artifacts.count, "artifact"),
            count(self.blobs.count, "kept text"),
            count(self.runs.count, "run"),
            size(bytes)
        )
    }
}
