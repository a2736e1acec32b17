//! One machine's share of a run: which records are its own, and what of the plan it does. Owns how
//! records are shared out; what can be shared is decided in `plan::waves`.
//!
//! Records are shared out where they enter the stages that lack answers, by a hash of their keys.
//! What is made of a record stays with the machine, so its followers never wait for others.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::run::Outcome;
use super::survey::Survey;
use crate::hash::Hash;
use crate::plan::graph::Action;
use crate::plan::waves::{Part, needed, wave};

/// One of several machines that share the work: the `index`-th, from 1, of `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which it is.
    pub index: u32,
    /// Of how many.
    pub count: u32,
}

impl Shard {
    /// True when what has this name is this machine's to do.
    pub fn has(self, name: &str) -> bool {
        let Hash(hash) = Hash::of("clue shard v1", name);
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        u64::from_le_bytes(first) % u64::from(self.count) == u64::from(self.index - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let shard = text.split_once('/').and_then(|(index, count)| {
            let shard = Shard {
                index: index.parse().ok()?,
                count: count.parse().ok()?,
            };
            (1..=shard.count).contains(&shard.index).then_some(shard)
        });
        shard.ok_or_else(|| "expected I/N, from 1/N to N/N, such as `3/8`".to_owned())
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A machine's part of a wave.
#[derive(Clone, Debug)]
pub struct Share {
    /// Whose it is.
    pub shard: Shard,
    /// What it does of each stage.
    pub parts: Vec<Part>,
}

/// The next wave of a plan.
#[derive(Clone, Debug)]
pub struct Wave {
    /// What each machine does of each stage.
    pub parts: Vec<Part>,
}

impl Wave {
    /// The next wave of a plan, after its rehearsal; none if the cache has all answers.
    pub fn next(survey: &Survey, order: &[usize], rehearsed: &Outcome) -> Option<Wave> {
        let lacks = rehearsed.stages.iter().map(|stage| stage.unanswered);
        let lacks: Vec<bool> = lacks.collect();
        let parts = wave(&survey.nodes, order, &survey.planned, &lacks)?;
        Some(Wave { parts })
    }

    /// The stages that are shared out, by their indices.
    pub fn stages(&self) -> impl Iterator<Item = usize> {
        let all = self.parts.iter().enumerate();
        all.filter(|(_, part)| matches!(part, Part::Share | Part::Sole))
            .map(|(at, _)| at)
    }

    /// The stages all of whose answers are in the cache, or failed for good, by their names.
    pub fn settled(&self, survey: &Survey) -> HashSet<String> {
        let all = survey.nodes.iter().zip(&self.parts);
        all.filter(|(_, part)| **part == Part::All)
            .map(|(node, _)| node.name.clone())
            .collect()
    }

    /// The plan of one machine in this wave.
    pub fn plan(&self, survey: &Survey, shard: Shard) -> Survey {
        let mut parts = self.parts.clone();
        for (node, part) in survey.nodes.iter().zip(&mut parts) {
            if *part == Part::Sole && !shard.has(&node.name) {
                *part = Part::None;
            }
        }
        needed(&survey.nodes, &mut parts);
        let mut planned = survey.planned.clone();
        let read = |at: usize| {
            let mut readers = survey.nodes.iter().zip(&parts);
            readers.any(|(node, part)| *part != Part::None && node.sources().any(|s| s == at))
        };
        for (at, planned) in planned.iter_mut().enumerate() {
            let works = match planned.action {
                Action::Run => parts[at] != Part::None,
                Action::Read => read(at),
                Action::Skip => true,
            };
            if !works {
                planned.action = Action::Skip;
            }
        }
        Survey {
            nodes: survey.nodes.clone(),
            planned,
            targets: self.stages().collect(),
            whole: survey.whole.clone(),
            share: Some(Share { shard, parts }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_one_machines() {
        let shards: Vec<Shard> = (1..=5)
            .map(|index| format!("{index}/5").parse().expect("a shard"))
            .collect();
        let mut loads = [0; 5];
        for key in 0..1000 {
            let key = format!("n{key}");
            let owners: Vec<usize> = (0..5).filter(|at| shards[*at].has(&key)).collect();
            assert_eq!(owners.len(), 1);
            loads[owners[0]] += 1;
        }
        assert!(
            loads.iter().all(|load| (150..250).contains(load)),
            "{loads:?}"
        );
    }

    #[test]
    fn only_what_can_be_is_a_shard() {
        for text in [
            "",
            "3",
            "0/3",
            "4/3",
            "1/0",
            "-1/3",
            "1/3/5",
            "a/b",
            "1/99999999999",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("3/8".parse::<Shard>().expect("a shard").to_string(), "3/8");
    }
}
