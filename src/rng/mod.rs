//! Randomness that comes only from a seed in the user's file. Owns the order that a seed
//! gives; knows nothing of what is shuffled.

mod draws;
mod own;
mod python;

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use draws::Draws;
pub use own::OwnRng;
pub use python::PythonRandom;

/// Which generator turns a seed into numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RngKind {
    /// This program's own generator, the same on every machine and in every version.
    #[default]
    Clue,
    /// CPython's `random` after `random.seed(int)`, so that published selections can be
    /// reproduced.
    Python,
}

/// A seeded generator of either kind.
#[derive(Clone, Debug)]
pub enum Rng {
    /// CPython's.
    Python(Box<PythonRandom>),
    /// Our own.
    Own(OwnRng),
}

impl Rng {
    /// A generator from a seed.
    pub fn new(kind: RngKind, seed: u64) -> Rng {
        match kind {
            RngKind::Python => Rng::Python(Box::new(PythonRandom::seed(seed))),
            RngKind::Clue => Rng::Own(OwnRng::seed(seed)),
        }
    }

    /// A generator from a seed as files have it: any whole number.
    pub fn seeded(kind: RngKind, seed: i64) -> Rng {
        match kind {
            // CPython seeds with the absolute value.
            RngKind::Python => Rng::new(kind, seed.unsigned_abs()),
            RngKind::Clue => Rng::new(kind, seed.cast_unsigned()),
        }
    }

    /// A number of `k` random bits; `k` above 64 counts as 64.
    pub fn getrandbits(&mut self, k: u32) -> u64 {
        match self {
            Rng::Python(rng) => rng.getrandbits(k),
            Rng::Own(rng) => rng.getrandbits(k),
        }
    }

    /// A number below `n`, each equally likely; 0 if `n` is 0.
    pub fn randbelow(&mut self, n: u64) -> u64 {
        match self {
            Rng::Python(rng) => rng.randbelow(n),
            Rng::Own(rng) => rng.randbelow(n),
        }
    }

    /// Puts the items in random order, by the steps of CPython's `random.shuffle`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.index(last + 1);
            items.swap(last, other);
        }
    }

    /// `k` different numbers below `n` in random order, by the steps of CPython 3.11's
    /// `random.sample(range(n), k)`. With `k` above `n` (an error there): all `n`.
    pub fn sample_indices(&mut self, n: usize, k: usize) -> Vec<usize> {
        let k = k.min(n);
        let mut picked = Vec::with_capacity(k);
        if n <= pool_limit(k) {
            let mut pool: Vec<usize> = (0..n).collect();
            for left in (n - k + 1..=n).rev() {
                // The last one not yet taken moves into the gap.
                picked.push(pool.swap_remove(self.index(left)));
            }
        } else {
            let mut seen = HashSet::with_capacity(k);
            while picked.len() < k {
                let index = self.index(n);
                if seen.insert(index) {
                    picked.push(index);
                }
            }
        }
        picked
    }

    fn index(&mut self, n: usize) -> usize {
        // Below `n`, which is a `usize`.
        self.randbelow(n as u64) as usize
    }
}

/// Up to which population CPython copies the population instead of remembering picks: its
/// estimate of the size of a set of `k`, which is 21 and for `k` above 5 the next power of
/// four from `3k` on top.
fn pool_limit(k: usize) -> usize {
    const SMALL: usize = 21;
    if k <= 5 {
        return SMALL;
    }
    let mut power: usize = 1;
    while power < k.saturating_mul(3) {
        power = power.saturating_mul(4);
    }
    power.saturating_add(SMALL)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
    use serde_json::Value;
    use std::fmt::Write;

    use super::*;

    fn lines(text: &str) -> impl Iterator<Item = Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).expect("golden lines are JSON"))
    }

    fn seed(line: &Value) -> u64 {
        line["seed"].as_i64().expect("a seed").unsigned_abs()
    }

    fn size(value: &Value) -> usize {
        usize::try_from(value.as_u64().expect("a size")).expect("small")
    }

    #[test]
    fn shuffles_are_cpythons() {
        let golden = include_str!("../../tests/golden/units/shuffle.jsonl");
        for line in lines(golden) {
            let mut order: Vec<usize> = (0..size(&line["n"])).collect();
            Rng::new(RngKind::Python, seed(&line)).shuffle(&mut order);
            if let Some(whole) = line.get("order") {
                assert_eq!(serde_json::json!(order), *whole, "{line}");
            } else {
                assert_eq!(serde_json::json!(order[..10]), line["first10"]);
                assert_eq!(serde_json::json!(order[order.len() - 10..]), line["last10"]);
            }
        }
    }

    #[test]
    fn samples_are_cpythons() {
        let golden = include_str!("../../tests/golden/units/sample.jsonl");
        for line in lines(golden) {
            let mut rng = Rng::new(RngKind::Python, seed(&line));
            let sample = rng.sample_indices(size(&line["n"]), size(&line["k"]));
            assert_eq!(serde_json::json!(sample), line["sample"], "{line}");
            let mut after: Vec<usize> = (0..6).collect();
            rng.shuffle(&mut after);
            assert_eq!(serde_json::json!(after), line["then_shuffle_6"], "{line}");
        }
    }

    /// Published selections depend on these: a change of the generator is a new kind.
    #[test]
    fn our_own_orders_are_pinned() {
        let mut text = String::new();
        for seed in [0, 1, 44, u64::MAX] {
            let mut rng = Rng::new(RngKind::Clue, seed);
            let mut order: Vec<u8> = (0..8).collect();
            rng.shuffle(&mut order);
            let sample = rng.sample_indices(1000, 4);
            let _ = writeln!(
                text,
                "{seed}: {order:?} {sample:?} {:x}",
                rng.getrandbits(64)
            );
        }
        insta::assert_snapshot!(text, @r"
        0: [0, 6, 4, 2, 3, 1, 5, 7] [538, 145, 558, 913] 23947337e1f86312
        1: [1, 4, 6, 5, 7, 2, 0, 3] [138, 353, 686, 971] a48fa1d7a16bc7a0
        44: [5, 0, 4, 1, 3, 7, 6, 2] [91, 825, 531, 857] b7581339f77665b9
        18446744073709551615: [3, 5, 2, 6, 4, 0, 7, 1] [154, 415, 724, 743] c7786e762fea3f23
        ");
    }

    proptest! {
        #[test]
        fn samples_are_distinct_and_in_range(seed: u64, n in 0usize..300, k in 0usize..320) {
            for kind in [RngKind::Clue, RngKind::Python] {
                let sample = Rng::new(kind, seed).sample_indices(n, k);
                prop_assert_eq!(sample.len(), k.min(n));
                let set: HashSet<_> = sample.iter().collect();
                prop_assert_eq!(set.len(), sample.len());
                prop_assert!(sample.iter().all(|&index| index < n));
            }
        }
    }
}
