//! What was gone through again as a page: puts together what the page's makers want to know.

use std::sync::Arc;

use super::rehearse::Notes;
use crate::engine::board::Board;
use crate::engine::keep::Failure;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::runs::RunRecord;
use crate::engine::survey::Survey;
use crate::replay::cassette::Entry;
use crate::report::life::Graph;
use crate::report::page::{Choice, Found, Lives, Options, Report, gather};

/// A pipeline that was gone through again.
pub struct Seen<'a> {
    /// The pipeline.
    pub pipe: &'a Pipe,
    /// What is known of it.
    pub known: &'a Survey,
    /// What was gone through.
    pub choice: &'a Choice,
    /// The counters of that.
    pub board: &'a Arc<Board>,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// What was taken down; the records are taken out of it.
    pub notes: &'a Notes,
}

/// What is known of the time before.
#[derive(Default)]
pub struct Before {
    /// Earlier runs with the same params in which stages worked, newest first.
    pub runs: Vec<RunRecord>,
    /// What the last run listed as failed.
    pub errors: Vec<Failure>,
}

impl Seen<'_> {
    /// The page, with these calls.
    pub fn page(&self, calls: Vec<Entry>, before: Before, options: &Options) -> Report {
        let taps = &self.notes.taps;
        let graph = Graph::of(self.pipe, &self.choice.survey, taps);
        let taken: Vec<usize> = self.choice.taps().collect();
        let found = Found {
            lives: Lives::new(self.pipe, &graph, &self.choice.tables),
            pipe: self.pipe,
            known: self.known,
            choice: self.choice,
            board: self.board,
            outcome: self.outcome,
            records: taken.iter().map(|at| (*at, taps.take(*at))).collect(),
            calls,
            runs: before.runs,
            errors: before.errors,
        };
        gather(found, options)
    }
}
