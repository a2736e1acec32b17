//! How long calls took, kept small: counts in steps of a quarter of a doubling, so that what is
//! read back is within a tenth of what was measured.

use std::array;
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::board::Count;

/// Steps to a doubling.
const STEPS: f64 = 4.0;
/// As many as reach from one millisecond to four hours.
const MOST: usize = 96;

/// Counts of calls by how long they took, for many threads. Most stages make none.
#[derive(Debug, Default)]
pub struct Clocked(OnceLock<Box<[Count; MOST]>>);

impl Clocked {
    /// Counts a call.
    pub fn add(&self, took: Duration) {
        let millis = took.as_secs_f64() * 1000.0;
        // Below a millisecond there is one step; `as` ends at both ends.
        let step = (millis.max(1.0).log2() * STEPS) as usize;
        let counts = || Box::new(array::from_fn(|_| Count::default()));
        self.0.get_or_init(counts)[step.min(MOST - 1)].add(1);
    }

    /// What was counted.
    pub fn taken(&self) -> Latencies {
        let counts = self.0.get().into_iter().flat_map(|counts| counts.iter());
        let counts = counts.enumerate();
        let counts = counts.filter_map(|(step, count)| {
            let count = count.get();
            (count > 0).then_some((u8::try_from(step).ok()?, count))
        });
        Latencies(counts.collect())
    }
}

/// How long calls took: how many by step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Latencies(BTreeMap<u8, u64>);

impl Latencies {
    /// How many calls there are.
    pub fn count(&self) -> u64 {
        self.0.values().sum()
    }

    /// The mean, in seconds; 0 without any.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self
            .0
            .iter()
            .map(|(step, n)| seconds(*step) * *n as f64)
            .sum();
        sum / self.count().max(1) as f64
    }

    /// What the share `at` of the calls stay below, in seconds: 0.5 is the median.
    pub fn quantile(&self, at: f64) -> f64 {
        let wanted = at.clamp(0.0, 1.0) * self.count() as f64;
        let mut seen = 0;
        let mut last = 0.0;
        for (step, n) in &self.0 {
            seen += n;
            last = seconds(*step);
            if seen as f64 >= wanted {
                break;
            }
        }
        last
    }
}

/// The middle of a step, in seconds.
fn seconds(step: u8) -> f64 {
    ((f64::from(step) + 0.5) / STEPS).exp2() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_back_is_within_a_tenth() {
        for millis in [1.0, 3.0, 20.0, 777.0, 61_000.0, 3_600_000.0] {
            let clocked = Clocked::default();
            clocked.add(Duration::from_secs_f64(millis / 1000.0));
            let taken = clocked.taken();
            let off = taken.mean() * 1000.0 / millis;
            assert!((0.9..1.1).contains(&off), "{millis}: {off}");
            assert_eq!(taken.quantile(0.5), taken.mean());
        }
    }

    #[test]
    fn no_time_is_too_short_or_too_long() {
        let clocked = Clocked::default();
        clocked.add(Duration::ZERO);
        clocked.add(Duration::MAX);
        let taken = clocked.taken();
        assert_eq!(taken.count(), 2);
        let text = serde_json::to_string(&taken).expect("JSON");
        assert_eq!(text, r#"{"0":1,"95":1}"#);
        assert_eq!(
            serde_json::from_str::<Latencies>(&text).expect("read"),
            taken
        );
    }
}
