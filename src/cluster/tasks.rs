//! The tasks of a wave: what became of each, and what to do about those that ended badly. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::states::{End, State};

/// Exit codes of tasks that another try would end with, too: bad input, refused, out of budget.
const STAY: [u8; 3] = [2, 3, 5];

/// All tasks of a wave, by their indices from 1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks(BTreeMap<u32, Task>);

/// A task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The job that it was last submitted in.
    pub job: Option<u64>,
    /// How often it failed, since it last got further.
    pub failures: u32,
    /// The calls that it had made when it last ended.
    pub asked: u64,
    /// What is known of it.
    pub phase: Phase,
}

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is to be submitted.
    Open,
    /// It waits, and why.
    Waiting(String),
    /// It runs.
    Running,
    /// Its share is done.
    Done,
    /// It failed too often, or in a way that stays; how it ended, in words.
    GivenUp(String),
}

/// What to do about a task that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: its share is done.
    Done,
    /// Submit it again.
    Again,
    /// The same, and it does not count as a failure.
    Further,
    /// Nothing can be done.
    GiveUp,
}

/// How many tasks are in which phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Submitted, and to be so.
    pub waiting: usize,
    /// At work.
    pub running: usize,
    /// Done.
    pub done: usize,
    /// Given up.
    pub failed: usize,
}

impl Tasks {
    /// So many tasks, none of which is submitted.
    pub fn new(count: u32) -> Tasks {
        let task = Task {
            job: None,
            failures: 0,
            asked: 0,
            phase: Phase::Open,
        };
        Tasks((1..=count).map(|index| (index, task.clone())).collect())
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.len() as u32
    }

    /// A task.
    pub fn get(&self, index: u32) -> Option<&Task> {
        self.0.get(&index)
    }

    /// Those to be submitted.
    pub fn open(&self) -> Vec<u32> {
        self.which(|task| task.phase == Phase::Open)
    }

    /// Those that were given up, with their ends in words.
    pub fn given_up(&self) -> impl Iterator<Item = (u32, &str)> {
        self.0.iter().filter_map(|(index, task)| match &task.phase {
            Phase::GivenUp(how) => Some((*index, how.as_str())),
            _ => None,
        })
    }

    fn which(&self, fits: impl Fn(&Task) -> bool) -> Vec<u32> {
        let all = self.0.iter();
        all.filter(|(_, task)| fits(task))
            .map(|(index, _)| *index)
            .collect()
    }

    /// The jobs of tasks that are not over, each with those tasks.
    pub fn live(&self) -> BTreeMap<u64, Vec<u32>> {
        let mut live: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (index, task) in &self.0 {
            if let (Phase::Waiting(_) | Phase::Running, Some(job)) = (&task.phase, task.job) {
                live.entry(job).or_default().push(*index);
            }
        }
        live
    }

    /// Notes that tasks were submitted in a job.
    pub fn submitted(&mut self, job: u64, indices: &[u32]) {
        for index in indices {
            if let Some(task) = self.0.get_mut(index) {
                task.job = Some(job);
                task.phase = Phase::Waiting(String::new());
            }
        }
    }

    /// Notes what is known of a job's tasks: those that are over now, with their ends. What Slurm
    /// does not know, it has forgotten.
    pub fn seen(&mut self, job: u64, states: &BTreeMap<u32, State>) -> Vec<(u32, End)> {
        let mut over = Vec::new();
        for (index, task) in &mut self.0 {
            let live = matches!(task.phase, Phase::Waiting(_) | Phase::Running);
            if task.job != Some(job) || !live {
                continue;
            }
            match states.get(index) {
                Some(State::Pending(why)) => task.phase = Phase::Waiting(why.clone()),
                Some(State::Running) => task.phase = Phase::Running,
                Some(State::Ended(end)) => over.push((*index, end.clone())),
                None => over.push((*index, End::Forgotten)),
            }
        }
        over
    }

    /// Judges a task that ended. `lacks` says whether its share is not all in the cache, which
    /// tells more than how it ended; `asked`, how many calls it has made in all. One that is
    /// stopped from outside but gets further each time may be stopped any number of times.
    pub fn judge(
        &mut self,
        index: u32,
        end: &End,
        lacks: bool,
        asked: u64,
        retries: u32,
    ) -> Verdict {
        let Some(task) = self.0.get_mut(&index) else {
            return Verdict::Done;
        };
        if !lacks {
            task.phase = Phase::Done;
            return Verdict::Done;
        }
        let stopped = matches!(end, End::TimedOut | End::Preempted | End::NodeFailed);
        if stopped && asked > task.asked {
            task.failures = 0;
            task.asked = asked;
            task.phase = Phase::Open;
            return Verdict::Further;
        }
        task.asked = asked;
        task.failures += 1;
        // Another try would end in the same way.
        let stays = matches!(end, End::Failed(code) if STAY.contains(code));
        if stays || task.failures > retries {
            task.phase = Phase::GivenUp(end.words());
            return Verdict::GiveUp;
        }
        task.phase = Phase::Open;
        Verdict::Again
    }

    /// How many are in which phase.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for task in self.0.values() {
            match task.phase {
                Phase::Open | Phase::Waiting(_) => tally.waiting += 1,
                Phase::Running => tally.running += 1,
                Phase::Done => tally.done += 1,
                Phase::GivenUp(_) => tally.failed += 1,
            }
        }
        tally
    }

    /// Why tasks wait, in Slurm's words, each once.
    pub fn reasons(&self) -> Vec<&str> {
        let reasons = self.0.values().filter_map(|task| match &task.phase {
            Phase::Waiting(why) if !why.is_empty() => Some(why.as_str()),
            _ => None,
        });
        let mut reasons: Vec<&str> = reasons.collect();
        reasons.sort_unstable();
        reasons.dedup();
        reasons
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(ends: &[(u32, End, bool)]) -> Tasks {
        let mut tasks = Tasks::new(3);
        tasks.submitted(7, &tasks.open());
        for (index, end, lacks) in ends {
            tasks.judge(*index, end, *lacks, 0, 1);
        }
        tasks
    }

    #[test]
    fn the_cache_tells_what_is_done() {
        // Whatever Slurm says.
        let tasks = after(&[(1, End::Failed(1), false), (2, End::Forgotten, false)]);
        assert_eq!((tasks.tally().done, tasks.open()), (2, vec![]));
        let tasks = after(&[(1, End::Forgotten, true)]);
        assert_eq!(tasks.open(), [1]);
    }

    #[test]
    fn what_failed_is_tried_again_but_not_for_ever() {
        let mut tasks = after(&[(2, End::TimedOut, true)]);
        assert_eq!(tasks.open(), [2]);
        tasks.submitted(8, &[2]);
        assert_eq!(
            tasks.live(),
            BTreeMap::from([(7, vec![1, 3]), (8, vec![2])])
        );
        assert_eq!(tasks.judge(2, &End::Killed(9), true, 0, 1), Verdict::GiveUp);
        let given_up: Vec<_> = tasks.given_up().collect();
        assert_eq!(given_up, [(2, "was killed by signal 9")]);
    }

    #[test]
    fn what_gets_further_each_time_may_be_stopped_often() {
        let mut tasks = after(&[]);
        let mut judge = |end: End, asked| tasks.judge(1, &end, true, asked, 1);
        assert_eq!(judge(End::TimedOut, 5), Verdict::Further);
        assert_eq!(judge(End::TimedOut, 5), Verdict::Again);
        assert_eq!(judge(End::Preempted, 9), Verdict::Further);
        // One that breaks is another matter.
        assert_eq!(judge(End::Failed(1), 12), Verdict::Again);
        assert_eq!(judge(End::NodeFailed, 12), Verdict::GiveUp);
    }

    #[test]
    fn what_fails_in_a_way_that_stays_is_not_tried_again() {
        for code in STAY {
            assert_eq!(after(&[(1, End::Failed(code), true)]).tally().failed, 1);
        }
    }

    #[test]
    fn what_is_seen_is_of_that_job_alone() {
        let mut tasks = after(&[(1, End::NodeFailed, true)]);
        tasks.submitted(8, &[1]);
        let old = BTreeMap::from([
            (1, State::Ended(End::NodeFailed)),
            (2, State::Running),
            (3, State::Pending("Resources".to_owned())),
        ]);
        assert_eq!(tasks.seen(7, &old), []);
        assert_eq!(tasks.reasons(), ["Resources"]);
        // A node that is lost may have its task begin anew elsewhere, by Slurm itself.
        assert_eq!(
            tasks.seen(
                7,
                &BTreeMap::from([(2, State::Pending(String::new())), (3, State::Running)])
            ),
            []
        );
        assert_eq!(
            tasks.tally(),
            Tally {
                waiting: 2,
                running: 1,
                done: 0,
                failed: 0
            }
        );
        assert_eq!(tasks.seen(8, &BTreeMap::new()), [(1, End::Forgotten)]);
    }
}
