//! What Slurm says of jobs, as text: `scontrol -o show job`, and `sacct` where a site has it. Pure.

use std::collections::BTreeMap;

/// What is known of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits, and why, in Slurm's word.
    Pending(String),
    /// It runs.
    Running,
    /// It is over.
    Ended(End),
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With exit code 0.
    Done,
    /// With another exit code.
    Failed(u8),
    /// By a signal, of which Slurm knows the number.
    Killed(u8),
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than it may.
    TimedOut,
    /// It took more memory than it may.
    OutOfMemory,
    /// Its node failed.
    NodeFailed,
    /// Another job had precedence.
    Preempted,
    /// Slurm does not remember it.
    Forgotten,
    /// Another way, in Slurm's word.
    Other(String),
}

impl State {
    /// True unless it is over.
    pub fn is_live(&self) -> bool {
        !matches!(self, State::Ended(_))
    }

    fn of(word: &str, reason: &str, exit: &str) -> State {
        // `CANCELLED by 1000`, `CANCELLED+`.
        let word = word.split([' ', '+']).next().unwrap_or_default();
        let (code, signal) = exit.split_once(':').unwrap_or((exit, "0"));
        let (code, signal): (u8, u8) =
            (code.parse().unwrap_or(u8::MAX), signal.parse().unwrap_or(0));
        State::Ended(match word {
            "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED"
            | "RESV_DEL_HOLD" | "SPECIAL_EXIT" | "POWER_UP_NODE" => {
                let reason = match (word, reason) {
                    ("PENDING", "None" | "(null)" | "") => String::new(),
                    ("PENDING", reason) => reason.to_owned(),
                    (word, _) => word.to_lowercase(),
                };
                return State::Pending(reason);
            }
            // What is completing is not over: it may still write.
            "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "RESIZING" | "SIGNALING"
            | "STAGE_OUT" => return State::Running,
            "COMPLETED" => End::Done,
            "FAILED" if signal > 0 => End::Killed(signal),
            "FAILED" if code == 0 => End::Other(format!("failed ({reason})")),
            "FAILED" => End::Failed(code),
            "CANCELLED" | "REVOKED" => End::Cancelled,
            "TIMEOUT" | "DEADLINE" => End::TimedOut,
            "OUT_OF_MEMORY" => End::OutOfMemory,
            "NODE_FAIL" | "BOOT_FAIL" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => End::NodeFailed,
            "PREEMPTED" => End::Preempted,
            other => End::Other(other.to_lowercase()),
        })
    }
}

impl End {
    /// It in words, as they follow "task 3".
    pub fn words(&self) -> String {
        match self {
            End::Done => "is done".to_owned(),
            End::Failed(126 | 127) => "could not start: its program is not there".to_owned(),
            End::Failed(code) => format!("failed with exit code {code}"),
            End::Killed(signal) => format!("was killed by signal {signal}"),
            End::Cancelled => "was cancelled".to_owned(),
            End::TimedOut => "ran into its time limit".to_owned(),
            End::OutOfMemory => "needed more memory than it had asked for".to_owned(),
            End::NodeFailed => "lost its node".to_owned(),
            End::Preempted => "had to make room for another job".to_owned(),
            End::Forgotten => "is not known to Slurm any more".to_owned(),
            End::Other(word) => format!("ended as `{word}`"),
        }
    }
}

/// The states of the tasks of a job by their indices, from `scontrol -o show job`; that of a job
/// without tasks has index 0. Pending tasks stand together in a line. A job whose name does not hold
/// `run` is another one.
pub fn of_scontrol(text: &str, run: &str) -> BTreeMap<u32, State> {
    let mut states = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("JobId=")) {
        let field = |name: &str| field(line, name);
        if !field("JobName").is_some_and(|name| name.contains(run)) {
            continue;
        }
        let Some(word) = field("JobState") else {
            continue;
        };
        let reason = field("Reason").unwrap_or_default();
        let state = State::of(word, reason, field("ExitCode").unwrap_or("0:0"));
        for index in field("ArrayTaskId").map_or(vec![0], indices) {
            // A line of its own tells more than one that it shares, which may be older.
            if states.get(&index).is_none_or(State::is_live) {
                states.insert(index, state.clone());
            }
        }
    }
    states
}

/// The same from `sacct --noheader --parsable2 --format=JobID,State,ExitCode,JobName --allocations`,
/// for a job that the controller does not know: one that accounts tell to be waiting or running was
/// lost by it, and they never heard how it ended.
pub fn of_sacct(text: &str, run: &str) -> BTreeMap<u32, State> {
    let mut states = BTreeMap::new();
    for line in text.lines() {
        let mut parts = line.splitn(4, '|');
        let mut next = || parts.next();
        let (Some(id), Some(word), Some(exit), Some(name)) = (next(), next(), next(), next())
        else {
            continue;
        };
        let state = State::of(word, "", exit);
        if state.is_live() || !name.contains(run) {
            continue;
        }
        let tasks = match id.split_once('_') {
            None => vec![0],
            Some((_, task)) => indices(task.trim_matches(['[', ']'])),
        };
        states.extend(tasks.into_iter().map(|task| (task, state.clone())));
    }
    states
}

/// The value of a field of a line: up to the next space, as none that is read here holds one.
fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + line[from..].find(name)?;
        let rest = &line[at + name.len()..];
        if let Some(value) = rest.strip_prefix('=')
            && (at == 0 || line[..at].ends_with(' '))
        {
            return value.split(' ').next();
        }
        from = at + name.len();
    }
}

/// The indices of a list such as `1-3,7%2`, or `1-9:2`. What is cut off (`...`) is not there.
fn indices(text: &str) -> Vec<u32> {
    let text = text.split('%').next().unwrap_or_default();
    let ranges = text.split(',').filter_map(|part| {
        let (range, step) = part.split_once(':').unwrap_or((part, "1"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        let step: usize = step.parse().ok().filter(|step| *step > 0)?;
        (last < MOST).then_some((first..=last).step_by(step))
    });
    ranges.flatten().collect()
}

/// Slurm's own highest index of a task.
const MOST: u32 = 4_000_001;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As Slurm 22.05 said it, with lines of other jobs, and shortened.
    const SHOWN: &str = "\
JobId=12 ArrayJobId=12 ArrayTaskId=5-7,9%3 ArrayTaskThrottle=3 JobName=clue-p UserId=root(0) Priority=1 JobState=PENDING Reason=JobArrayTaskLimit Dependency=(null) Requeue=1 ExitCode=0:0
JobId=16 ArrayJobId=12 ArrayTaskId=4 JobName=clue-p JobState=RUNNING Reason=None ExitCode=0:0 RunTime=00:00:04
JobId=15 ArrayJobId=12 ArrayTaskId=3 JobName=clue-p JobState=FAILED Reason=NonZeroExitCode ExitCode=3:0 RunTime=00:00:04
JobId=14 ArrayJobId=12 ArrayTaskId=2 JobName=clue-p JobState=CANCELLED Reason=None ExitCode=0:15 RunTime=00:00:04
JobId=13 ArrayJobId=12 ArrayTaskId=1 JobName=JobState=clue-p JobState=TIMEOUT Reason=TimeLimit ExitCode=0:0
JobId=17 ArrayJobId=12 ArrayTaskId=8 JobName=clue-p JobState=COMPLETED Reason=None ExitCode=0:0
JobId=18 ArrayJobId=12 ArrayTaskId=10 JobName=clue-p JobState=FAILED Reason=JobLaunchFailure ExitCode=0:9
JobId=19 ArrayJobId=12 ArrayTaskId=11 JobName=clue-q JobState=RUNNING Reason=None ExitCode=0:0
JobId=20 ArrayJobId=12 ArrayTaskId=12 JobState=RUNNING Reason=None ExitCode=0:0
";

    /// As `sacct` of Slurm 22.05 said it with slurmdbd.
    const ACCOUNTS: &str = "\
7_1|COMPLETED|0:0|clue-p-w1
7_2|FAILED|3:0|clue-p-w1
7_3|FAILED|0:9|clue-p-w1
7_4|CANCELLED by 1000|0:0|clue-p-w1
7_5|TIMEOUT|0:0|clue-p-w1
7_6|OUT_OF_MEMORY|0:125|clue-p-w1
7_7|RUNNING|0:0|clue-p-w1
7_[8-9%2]|PENDING|0:0|clue-p-w1
7_10|COMPLETED|0:0|wrap
";

    #[test]
    fn tasks_are_read_one_by_one() {
        let states = of_scontrol(SHOWN, "clue-p");
        let limit = || State::Pending("JobArrayTaskLimit".to_owned());
        let expected = [
            (1, State::Ended(End::TimedOut)),
            (2, State::Ended(End::Cancelled)),
            (3, State::Ended(End::Failed(3))),
            (4, State::Running),
            (5, limit()),
            (6, limit()),
            (7, limit()),
            (8, State::Ended(End::Done)),
            (9, limit()),
            (10, State::Ended(End::Killed(9))),
        ];
        assert_eq!(states, BTreeMap::from(expected));
        let alone = of_scontrol(
            "JobId=3 JobName=a JobState=NODE_FAIL Reason=NodeDown ExitCode=0:1",
            "a",
        );
        assert_eq!(alone, BTreeMap::from([(0, State::Ended(End::NodeFailed))]));
    }

    #[test]
    fn accounts_are_read_too() {
        let ended = [
            (1, State::Ended(End::Done)),
            (2, State::Ended(End::Failed(3))),
            (3, State::Ended(End::Killed(9))),
            (4, State::Ended(End::Cancelled)),
            (5, State::Ended(End::TimedOut)),
            (6, State::Ended(End::OutOfMemory)),
        ];
        // What is not over there is over all the same, and nobody knows how.
        assert_eq!(of_sacct(ACCOUNTS, "clue-p"), BTreeMap::from(ended));
        let lost = "1_1|CANCELLED|0:0|a clue-p|b\n1_[3-5%2]|CANCELLED|0:0|a clue-p|b\n";
        let lost: Vec<_> = of_sacct(lost, "clue-p").into_keys().collect();
        assert_eq!(lost, [1, 3, 4, 5]);
        let alone = of_sacct(
            "3|COMPLETED|0:0|clue-p-next\n4|COMPLETED|0:0|wrap\n",
            "clue-p",
        );
        assert_eq!(alone, BTreeMap::from([(0, State::Ended(End::Done))]));
        assert_eq!(of_sacct("", "clue-p"), BTreeMap::new());
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_is_too_odd(text in "(JobId=|JobState=|ArrayTaskId=|[0-9,%:\\-]|[ -~]|\n|é){0,40}") {
            of_scontrol(&text, "");
            of_sacct(&text, "");
        }

        #[test]
        fn lists_are_read_as_they_are_written(set in proptest::collection::btree_set(0_u32..50, 0..20)) {
            let listed: Vec<u32> = set.into_iter().collect();
            prop_assert_eq!(indices(&super::super::script::ranges(&listed)), listed);
        }
    }
}
