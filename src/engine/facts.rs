//! What is kept of a run beside its stages: when it was, how it ended, and what it took. Owns how
//! an end is classed; knows nothing of where it is kept.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::board::{Board, Count, Row};
use super::halt::Reason;
use super::pipe::Pipe;
use super::run::Outcome;
use super::shard::Shard;
use crate::model::told::Served;

/// What a run was.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Facts {
    /// The version of the program.
    pub program: String,
    /// When it began, in milliseconds since 1970.
    pub began: u64,
    /// How long it took, in seconds; none while it has not ended.
    #[serde(default)]
    pub took: Option<f64>,
    /// How it ended.
    pub ended: Ended,
    /// The share of the work that it did, if it was not to do all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// The params that had another value than their default.
    #[serde(default)]
    pub set: Vec<String>,
    /// Calls that a model answered.
    #[serde(default)]
    pub asked: u64,
    /// Calls that the cache answered.
    #[serde(default)]
    pub cached: u64,
    /// Records that failed.
    #[serde(default)]
    pub failed: u64,
    /// Tokens of the prompts that models were asked.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Tokens of their answers.
    #[serde(default)]
    pub answer_tokens: u64,
    /// What its calls cost, in the currency of the models' prices, if they have one.
    #[serde(default)]
    pub cost: Option<f64>,
    /// What the servers that answered say of themselves.
    #[serde(default)]
    pub served: Vec<Served>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It has not: it is under way, or was killed.
    Running,
    /// Everything wanted is there.
    Done,
    /// Records or stages failed, or calls were missing.
    Failed,
    /// It stopped at the first failure, as a stage says.
    Stopped,
    /// The user interrupted it.
    Interrupted,
    /// A limit of calls, tokens or cost was reached.
    Budget,
    /// The cache could not be written.
    Cache,
    /// In a way that a newer version knows.
    #[serde(other)]
    Other,
}

impl Ended {
    /// In a word or two.
    pub fn words(self) -> &'static str {
        match self {
            Ended::Running => "running or killed",
            Ended::Done => "done",
            Ended::Failed => "failed",
            Ended::Stopped => "stopped at a failure",
            Ended::Interrupted => "interrupted",
            Ended::Budget => "limit reached",
            Ended::Cache => "cache not writable",
            Ended::Other => "ended",
        }
    }
}

/// Milliseconds since 1970.
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_millis() as u64)
}

impl Facts {
    /// Of a run that begins now, and does all of the work or a share of it.
    pub fn begin(pipe: &Pipe, shard: Option<Shard>) -> Facts {
        let params = pipe.pipeline.params().iter();
        Facts {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            began: now(),
            took: None,
            ended: Ended::Running,
            shard,
            set: params
                .filter(|param| !param.is_default)
                .map(|param| param.name.clone())
                .collect(),
            asked: 0,
            cached: 0,
            failed: 0,
            prompt_tokens: 0,
            answer_tokens: 0,
            cost: None,
            served: Vec::new(),
        }
    }

    /// The same run, over; `good` if everything wanted is there.
    #[must_use]
    pub fn end(
        self,
        outcome: &Outcome,
        board: &Board,
        good: bool,
        took: Duration,
        cost: Option<f64>,
    ) -> Facts {
        let sum = |count: fn(&Row) -> &Count| board.stages.iter().map(|row| count(row).get()).sum();
        Facts {
            took: Some(took.as_secs_f64()),
            ended: match &outcome.stopped {
                Some(Reason::Interrupted) => Ended::Interrupted,
                Some(Reason::Failure) => Ended::Stopped,
                Some(Reason::Budget(_)) => Ended::Budget,
                Some(Reason::Store(_)) => Ended::Cache,
                None if good => Ended::Done,
                None => Ended::Failed,
            },
            asked: sum(|row| &row.asked),
            cached: sum(|row| &row.cached),
            failed: outcome.failures.len() as u64,
            prompt_tokens: sum(|row| &row.prompt_tokens),
            answer_tokens: sum(|row| &row.answer_tokens),
            cost,
            served: outcome.served.clone(),
            ..self
        }
    }
}
