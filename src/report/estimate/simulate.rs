//! How long a run would take on machines that one does not have yet: calls that take as long as
//! they were measured to, on so many places at once, wave by wave. Pure.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::engine::latency::Latencies;
use crate::rng::Rng;

/// Calls that are simulated one by one for each model of a wave; the rest is taken to be as fast.
const SINGLE: u64 = 200_000;

/// Calls of one stage.
#[derive(Clone, Debug)]
pub struct Load {
    /// The wave that they belong to, from 0.
    pub wave: usize,
    /// What answers them.
    pub model: String,
    /// True if that is a server which is started for the run, and shares the machine with others.
    pub served: bool,
    /// How many it is asked at once, by one worker.
    pub width: u64,
    /// The most that it takes a minute, if there is a limit.
    pub per_minute: Option<f64>,
    /// How many there are.
    pub calls: u64,
    /// How long each takes.
    pub latencies: Latencies,
}

/// Who works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Farm {
    /// Machines that ask, each for its share of the records.
    pub workers: u64,
    /// Servers of each model; as many as workers if fewer are not said. Each takes at once what
    /// one worker asks.
    pub servers: Option<u64>,
}

impl Farm {
    /// Servers of a model.
    pub fn servers(&self) -> u64 {
        self.servers
            .map_or(self.workers, |n| n.min(self.workers))
            .max(1)
    }
}

/// The seconds that each wave takes.
pub fn waves(loads: &[Load], farm: Farm, rng: &mut Rng) -> Vec<f64> {
    let count = loads.iter().map(|load| load.wave + 1).max().unwrap_or(0);
    let mut waves = Vec::with_capacity(count);
    for wave in 0..count {
        let mut models: BTreeMap<&str, Vec<&Load>> = BTreeMap::new();
        for load in loads.iter().filter(|load| load.wave == wave) {
            models.entry(&load.model).or_default().push(load);
        }
        // Servers that share a machine take turns; others are asked side by side.
        let (mut turns, mut longest) = (0.0, 0.0_f64);
        for loads in models.values() {
            let seconds = model(loads, farm, rng);
            if loads.iter().any(|load| load.served) {
                turns += seconds;
            } else {
                longest = longest.max(seconds);
            }
        }
        waves.push(turns.max(longest));
    }
    waves
}

/// The seconds in which one model answers all that a wave asks of it.
fn model(loads: &[&Load], farm: Farm, rng: &mut Rng) -> f64 {
    let calls: u64 = loads.iter().map(|load| load.calls).sum();
    if calls == 0 {
        return 0.0;
    }
    let width = loads
        .iter()
        .map(|load| load.width)
        .max()
        .unwrap_or(1)
        .max(1);
    let per_minute = loads
        .iter()
        .filter_map(|load| load.per_minute)
        .reduce(f64::min);
    // Records are shared out by chance: the last to end has more than its part.
    let shares = shares(calls, farm.servers(), rng);
    let longest = shares.into_iter().map(|share| {
        let mut seconds = 0.0;
        for load in loads {
            let part = share as f64 * load.calls as f64 / calls as f64;
            seconds += busy(part.round() as u64, load, width, rng);
        }
        seconds
    });
    let longest = longest.fold(0.0, f64::max);
    let limited = per_minute.map_or(0.0, |most| calls as f64 / most * 60.0);
    longest.max(limited)
}

/// The seconds for which so many places are busy with a stage's calls.
fn busy(calls: u64, load: &Load, width: u64, rng: &mut Rng) -> f64 {
    let single = calls.min(SINGLE);
    let width = usize::try_from(width)
        .unwrap_or(usize::MAX)
        .min(single.max(1) as usize);
    // Microseconds at which the places are free.
    let mut places: BinaryHeap<Reverse<u64>> = (0..width).map(|_| Reverse(0)).collect();
    let mut end = 0;
    for _ in 0..single {
        let Some(Reverse(free)) = places.pop() else {
            break;
        };
        let took = load.latencies.quantile(unit(rng)) * 1e6;
        let done = free + took as u64;
        end = end.max(done);
        places.push(Reverse(done));
    }
    let rest = (calls - single) as f64 * load.latencies.mean() / width as f64;
    end as f64 / 1e6 + rest
}

/// A number from 0 to 1.
fn unit(rng: &mut Rng) -> f64 {
    rng.getrandbits(53) as f64 / (1_u64 << 53) as f64
}

/// `calls` in `parts`, each call in one by chance.
fn shares(calls: u64, parts: u64, rng: &mut Rng) -> Vec<u64> {
    let mut shares = Vec::new();
    let mut left = calls as f64;
    for at in (1..=parts).rev() {
        let mean = left / at as f64;
        let spread = (mean * (1.0 - 1.0 / at as f64)).sqrt();
        // Twelve numbers from 0 to 1 add up to what is nearly normal around 6.
        let normal: f64 = (0..12).map(|_| unit(rng)).sum::<f64>() - 6.0;
        let share = (mean + spread * normal).round().clamp(0.0, left);
        shares.push(share as u64);
        left -= share;
    }
    shares
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::latency::Clocked;

    fn load(wave: usize, model: &str, calls: u64) -> Load {
        let clocked = Clocked::default();
        clocked.add(Duration::from_millis(1000));
        Load {
            wave,
            model: model.to_owned(),
            served: false,
            width: 10,
            per_minute: None,
            calls,
            latencies: clocked.taken(),
        }
    }

    fn farm(workers: u64) -> Farm {
        Farm {
            workers,
            servers: None,
        }
    }

    fn seconds(loads: &[Load], farm: Farm) -> f64 {
        let mut rng = Rng::seeded(crate::rng::RngKind::default(), 1);
        waves(loads, farm, &mut rng).iter().sum()
    }

    #[test]
    fn twice_the_workers_take_half_the_time_until_servers_end_it() {
        let second = load(0, "a", 1).latencies.mean();
        let one = seconds(&[load(0, "a", 10_000)], farm(1));
        assert!((one / (1000.0 * second) - 1.0).abs() < 0.01, "{one}");
        let ten = seconds(&[load(0, "a", 10_000)], farm(10));
        // Shares differ: the largest ends it.
        assert!((100.0 * second..120.0 * second).contains(&ten), "{ten}");
        let pair = Farm {
            workers: 10,
            servers: Some(2),
        };
        let pair = seconds(&[load(0, "a", 10_000)], pair);
        assert!((500.0 * second..530.0 * second).contains(&pair), "{pair}");
    }

    #[test]
    fn waves_follow_each_other_and_models_stand_side_by_side() {
        let second = load(0, "a", 1).latencies.mean();
        let side = seconds(&[load(0, "a", 1000), load(0, "b", 1000)], farm(1));
        assert!((side / (100.0 * second) - 1.0).abs() < 0.02, "{side}");
        let after = seconds(&[load(0, "a", 1000), load(1, "b", 1000)], farm(1));
        assert!((after / (200.0 * second) - 1.0).abs() < 0.02, "{after}");
        let served = [
            Load {
                served: true,
                ..load(0, "a", 1000)
            },
            Load {
                served: true,
                ..load(0, "b", 1000)
            },
        ];
        let turns = seconds(&served, farm(1));
        assert!((turns / (200.0 * second) - 1.0).abs() < 0.02, "{turns}");
    }

    #[test]
    fn a_limit_a_minute_holds_whoever_works() {
        let limited = Load {
            per_minute: Some(60.0),
            ..load(0, "a", 600)
        };
        assert_eq!(seconds(&[limited], farm(50)), 600.0);
        assert_eq!(seconds(&[], farm(1)), 0.0);
        assert_eq!(seconds(&[load(0, "a", 0)], farm(1)), 0.0);
    }

    #[test]
    fn many_calls_are_as_fast_as_a_part_of_them() {
        let second = load(0, "a", 1).latencies.mean();
        let many = seconds(&[load(0, "a", 10 * SINGLE)], farm(1));
        let expected = SINGLE as f64 * second;
        assert!((many / expected - 1.0).abs() < 0.01, "{many} {expected}");
    }
}
