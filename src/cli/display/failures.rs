//! Failed records as they happen: the first of each stage in full, the others as a number.

use crate::engine::board::Board;

/// Failures of one stage that are told one by one.
const TOLD: usize = 5;

/// How many failures each stage had so far.
#[derive(Debug, Default)]
pub struct Failures(Vec<usize>);

impl Failures {
    /// The line for one more failed record; `None` once the stage has had its lines.
    pub fn line(&mut self, board: &Board, stage: usize, key: &str, why: &str) -> Option<String> {
        if self.0.len() <= stage {
            self.0.resize(stage + 1, 0);
        }
        self.0[stage] += 1;
        let name = &board.stages.get(stage)?.name;
        (self.0[stage] <= TOLD).then(|| format!("{name}: record {key}: {why}"))
    }

    /// What to say of a stage's other failures, when it has ended. Says it once.
    pub fn rest(&mut self, board: &Board, stage: usize) -> Option<String> {
        let failed = self.0.get_mut(stage)?;
        let more = failed.checked_sub(TOLD).filter(|more| *more > 0)?;
        *failed = 0;
        let name = &board.stages.get(stage)?.name;
        Some(format!("{name}: … and {more} more in errors.jsonl"))
    }

    /// The same for every stage that has not been told of.
    pub fn all_rest(&mut self, board: &Board) -> Vec<String> {
        (0..self.0.len())
            .filter_map(|stage| self.rest(board, stage))
            .collect()
    }
}
