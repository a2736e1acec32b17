//! What a run looks like from outside while it goes on: counters that stages raise, and the
//! few things worth a line of their own. The engine prints nothing; a display reads this.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

use super::latency::Clocked;

/// Counters of every stage of a run, in the order of the plan.
#[derive(Debug, Default)]
pub struct Board {
    /// One row a stage.
    pub stages: Vec<Row>,
}

/// Counters of one stage. All are monotonic while it runs.
#[derive(Debug, Default)]
pub struct Row {
    /// The stage's name.
    pub name: String,
    /// Its verb.
    pub verb: String,
    /// True when it asks a model.
    pub asks: bool,
    /// Records read.
    pub read: Count,
    /// Records emitted.
    pub emitted: Count,
    /// Records that failed.
    pub failed: Count,
    /// Those of them whose answers could not be read.
    pub unread: Count,
    /// Records that were asked about once more, because the first answer could not be read.
    pub repairs: Count,
    /// Those of them that went on with the second answer.
    pub repaired: Count,
    /// Calls known so far (cached, asked, or waiting).
    pub calls: Count,
    /// Calls answered from the cache.
    pub cached: Count,
    /// Calls answered by a model in this run.
    pub asked: Count,
    /// Tokens of prompts that models were asked in this run.
    pub prompt_tokens: Count,
    /// Tokens of their answers.
    pub answer_tokens: Count,
    /// How long those calls took.
    pub clocked: Clocked,
    state: AtomicU8,
    clock: Clock,
}

/// When a stage began and ended: milliseconds since its row was made, plus one; 0 for not yet.
#[derive(Debug)]
struct Clock {
    start: Instant,
    begun: AtomicU64,
    ended: AtomicU64,
}

impl Default for Clock {
    fn default() -> Clock {
        Clock {
            start: Instant::now(),
            begun: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }
}

impl Clock {
    fn note(&self, when: &AtomicU64) {
        if when.load(Ordering::Relaxed) == 0 {
            let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(0);
            let _ = when.compare_exchange(0, now + 1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// What a stage did in one run. Times are milliseconds since the run began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stint {
    /// When it got its first record, or began to read a file.
    pub begun: u64,
    /// When it was through.
    pub ended: u64,
    /// Records read.
    pub read: u64,
    /// Records emitted.
    pub emitted: u64,
    /// Records that failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed: u64,
    /// Calls answered from the cache.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cached: u64,
    /// Calls answered by a model.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asked: u64,
    /// Tokens of the prompts of those.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub answer_tokens: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// A counter.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its output is in the cache and nothing needs running.
    Fresh,
    /// Its cached output is being read for a stage further down.
    Reading,
    /// Waiting for its first record.
    Waiting,
    /// At work.
    Running,
    /// Finished, every record well.
    Done,
    /// Finished, but records failed here or before.
    Lossy,
    /// Did not finish: it failed, or the run was stopped.
    Broken,
}

const STATES: [State; 7] = [
    State::Fresh,
    State::Reading,
    State::Waiting,
    State::Running,
    State::Done,
    State::Lossy,
    State::Broken,
];

impl Row {
    /// Counters at zero.
    pub fn new(name: &str, verb: &str, asks: bool, state: State) -> Row {
        let row = Row {
            name: name.to_owned(),
            verb: verb.to_owned(),
            asks,
            ..Row::default()
        };
        row.set_state(state);
        row
    }

    /// How far the stage is.
    pub fn state(&self) -> State {
        STATES[usize::from(self.state.load(Ordering::Relaxed)) % STATES.len()]
    }

    /// Sets how far it is.
    pub fn set_state(&self, state: State) {
        let at = STATES.iter().position(|s| *s == state).unwrap_or(0);
        self.state.store(at as u8, Ordering::Relaxed);
        if matches!(state, State::Done | State::Lossy | State::Broken) {
            self.clock.note(&self.clock.ended);
        }
    }

    /// Notes that the stage has something to do: only the first time counts.
    pub fn begin(&self) {
        self.clock.note(&self.clock.begun);
    }

    /// What the stage did, if it did anything and is through.
    pub fn stint(&self) -> Option<Stint> {
        let ended = self.clock.ended.load(Ordering::Relaxed).checked_sub(1)?;
        // A stage without any input never began.
        let begun = self.clock.begun.load(Ordering::Relaxed).checked_sub(1);
        Some(Stint {
            begun: begun.unwrap_or(ended).min(ended),
            ended,
            read: self.read.get(),
            emitted: self.emitted.get(),
            failed: self.failed.get(),
            cached: self.cached.get(),
            asked: self.asked.get(),
            prompt_tokens: self.prompt_tokens.get(),
            answer_tokens: self.answer_tokens.get(),
        })
    }
}

/// What failed about a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The stage's work on it.
    #[default]
    Record,
    /// A call to a model.
    Call,
    /// The reading of a model's answer.
    Answer,
}

impl Kind {
    /// Its name in files and events.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Record => "record",
            Kind::Call => "call",
            Kind::Answer => "answer",
        }
    }
}

/// Things worth a line of their own.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage's state changed; the index is its row on the board.
    State(usize, State),
    /// A record failed: stage row, record key, why (no content of the record).
    Failed {
        /// Row of the stage.
        stage: usize,
        /// Key of the record.
        key: String,
        /// What failed: the record itself, a call, or the reading of an answer.
        kind: Kind,
        /// Why, in one line.
        why: String,
    },
    /// Something to tell, such as a server being set up, started, or stopped.
    Say(String),
    /// Something to warn of, such as damage in the cache.
    Warn(String),
}

/// Where events go.
pub type Events = UnboundedSender<Event>;
