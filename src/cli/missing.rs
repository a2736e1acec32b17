//! What a run without models could not answer: in words at its end, and call by call in a file
//! of the output folder.

use std::collections::HashSet;
use std::path::Path;

use super::run::Way;
use crate::diag::Diagnostic;
use crate::engine::board::Board;
use crate::engine::keep::{OutFile, remove};
use crate::engine::pipe::Pipe;
use crate::engine::stock::Source;
use crate::engine::survey::Survey;
use crate::replay::ledger::MissingCall;
use crate::report::words::{count, thousands};

/// The file, in the output folder.
pub const FILE: &str = "missing_calls.jsonl";

/// Stages that are named one by one.
const NAMED: usize = 6;

/// Calls that had no answer.
pub struct Missing {
    calls: Vec<MissingCall>,
    /// Different calls of each stage, in the pipeline's order.
    stages: Vec<(String, u64)>,
    /// Different calls that were answered.
    answered: u64,
    /// Answers that are missing might have led to more calls.
    at_least: bool,
    place: &'static str,
}

impl Missing {
    /// What a run noted.
    pub fn of(way: &Way, survey: &Survey, board: &Board) -> Missing {
        let names: Vec<&str> = board.stages.iter().map(|row| row.name.as_str()).collect();
        let calls = way.ledger.missing(&names);
        let mut seen = HashSet::new();
        let mut stages: Vec<(String, u64)> = Vec::new();
        for call in calls.iter().filter(|call| seen.insert(call.call)) {
            match stages.last_mut().filter(|(name, _)| *name == call.stage) {
                Some((_, n)) => *n += 1,
                None => stages.push((call.stage.clone(), 1)),
            }
        }
        let lacking: HashSet<&str> = calls.iter().map(|call| call.stage.as_str()).collect();
        let lacks = |at: usize| lacking.contains(names[at]);
        let behind = |at: usize| {
            let mut open: Vec<usize> = survey.nodes[at].sources().collect();
            let mut seen = HashSet::new();
            while let Some(i) = open.pop() {
                if lacks(i) {
                    return true;
                }
                if seen.insert(i) {
                    open.extend(survey.nodes[i].sources());
                }
            }
            false
        };
        let asking = (0..survey.nodes.len()).filter(|at| survey.nodes[*at].asks);
        let at_least = !calls.is_empty() && asking.into_iter().any(behind);
        Missing {
            stages,
            answered: way.ledger.used(),
            at_least,
            place: match way.source {
                Source::Cassette => "on the cassette",
                _ => "in the cache",
            },
            calls,
        }
    }

    /// True when every call had an answer.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// For people: a line, or nothing.
    pub fn text(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let parts = self.stages.iter().take(NAMED);
        let mut parts: Vec<String> = parts
            .map(|(name, n)| format!("`{name}` {}", thousands(*n)))
            .collect();
        let others = self.stages.iter().skip(NAMED).map(|(_, n)| n);
        let others: u64 = others.sum();
        if others > 0 {
            parts.push(format!("other stages {}", thousands(others)));
        }
        let missing: u64 = self.stages.iter().map(|(_, n)| n).sum();
        let all = missing + self.answered;
        let verb = if all == 1 { "is" } else { "are" };
        let more = if self.at_least {
            " (at least: what depends on their answers is not known)"
        } else {
            ""
        };
        format!(
            "missing: {} of {} {verb} not {}: {}{more}\n",
            thousands(missing),
            count(all, "call"),
            self.place,
            parts.join(", ")
        )
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let stage = |(name, n): &(String, u64)| serde_json::json!({"stage": name, "calls": n});
        self.stages.iter().map(stage).collect()
    }

    /// Writes the file, or removes that of an earlier run if nothing is missing. A pipeline
    /// may have an output of that name.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, pipe: &Pipe) -> Result<(), Diagnostic> {
        let name = Path::new(FILE);
        if pipe.stages.iter().any(|s| s.verb.writes() == Some(name)) {
            return Ok(());
        }
        let path = pipe.folders.out.join(name);
        if self.is_empty() {
            return remove(&path);
        }
        let mut file = OutFile::create(&path)?;
        for call in &self.calls {
            let mut line = serde_json::to_vec(call).unwrap_or_default();
            line.push(b'\n');
            file.write(&line)?;
        }
        file.finish().map(|_| ())
    }

    /// Where the calls are listed.
    pub fn place(&self, pipe: &Pipe) -> String {
        let path = pipe.folders.out.join(FILE);
        format!("each missing call: {}\n", path.display())
    }
}
