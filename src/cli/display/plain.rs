//! Progress where lines cannot change: a log file, a pipe, a cluster's job.

use std::collections::HashMap;
use std::time::Duration;

use super::View;
use super::failures::Failures;
use super::tell::counts;
use crate::engine::board::{Board, Event, State};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Everything.
    All,
    /// Warnings and failed records.
    Trouble,
}

/// Plain lines.
pub struct Plain {
    talk: Talk,
    failures: Failures,
    /// What was told of each stage at the last tick.
    told: HashMap<usize, u64>,
}

impl Plain {
    /// Nothing told yet.
    pub fn new(talk: Talk) -> Plain {
        Plain {
            talk,
            failures: Failures::default(),
            told: HashMap::new(),
        }
    }

    fn state(&mut self, board: &Board, at: usize, state: State) -> Vec<String> {
        let Some(row) = board.stages.get(at) else {
            return Vec::new();
        };
        let ended = match state {
            // All stages start together: lines for that would come in any order, and tell little.
            State::Fresh | State::Reading | State::Waiting | State::Running => {
                return Vec::new();
            }
            State::Done | State::Lossy => "done",
            State::Broken => "stopped",
        };
        let mut lines: Vec<String> = self.failures.rest(board, at).into_iter().collect();
        lines.extend(self.all(format!("{}: {ended}: {}", row.name, counts(row))));
        lines
    }

    /// A line that is no trouble.
    fn all(&self, line: String) -> Vec<String> {
        if self.talk == Talk::All {
            vec![line]
        } else {
            Vec::new()
        }
    }
}

impl View for Plain {
    fn event(&mut self, board: &Board, event: &Event, _after: Duration) -> Vec<String> {
        match event {
            Event::State(at, state) => self.state(board, *at, *state),
            Event::Failed {
                stage, key, why, ..
            } => {
                let line = self.failures.line(board, *stage, key, why);
                line.into_iter().collect()
            }
            Event::Say(text) => self.all(text.clone()),
            Event::Warn(text) => vec![format!("warning: {text}")],
        }
    }

    fn tick(&mut self, board: &Board, _after: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (at, row) in board.stages.iter().enumerate() {
            let now = row.emitted.get() + row.failed.get() + row.asked.get();
            let before = self.told.insert(at, now).unwrap_or(0);
            if row.state() == State::Running && row.asks && now > before {
                lines.extend(self.all(format!("{}: {}", row.name, counts(row))));
            }
        }
        lines
    }

    fn end(&mut self, board: &Board) -> Vec<String> {
        self.failures.all_rest(board)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::{Kind, Row};

    fn board() -> Board {
        let asked = Row::new("asked", "generate", true, State::Waiting);
        asked.emitted.add(1200);
        asked.cached.add(200);
        asked.asked.add(1000);
        asked.failed.add(7);
        asked.prompt_tokens.add(900);
        asked.answer_tokens.add(100);
        let notes = Row::new("notes", "load", false, State::Waiting);
        notes.emitted.add(1);
        Board {
            stages: vec![notes, asked],
        }
    }

    fn run(talk: Talk) -> String {
        let board = board();
        let mut plain = Plain::new(talk);
        let failed = |n: usize| Event::Failed {
            stage: 1,
            key: format!("n{n}"),
            kind: Kind::Call,
            why: "status 500".to_owned(),
        };
        let mut events = vec![
            Event::Say("started the server of model `m`".to_owned()),
            Event::State(0, State::Running),
            Event::State(0, State::Done),
            Event::State(1, State::Running),
            Event::Warn("a damaged artifact was removed".to_owned()),
        ];
        events.extend((0..7).map(failed));
        let mut lines = Vec::new();
        for event in &events {
            if let Event::State(at, state) = event {
                board.stages[*at].set_state(*state);
            }
            lines.extend(plain.event(&board, event, Duration::ZERO));
        }
        for _ in 0..2 {
            lines.extend(plain.tick(&board, Duration::ZERO));
        }
        lines.extend(plain.event(&board, &Event::State(1, State::Lossy), Duration::ZERO));
        lines.extend(plain.end(&board));
        lines.join("\n")
    }

    #[test]
    fn a_line_for_each_change_and_one_a_tick_if_something_moved() {
        insta::assert_snapshot!(run(Talk::All), @r"
        started the server of model `m`
        notes: done: 1 record
        warning: a damaged artifact was removed
        asked: record n0: status 500
        asked: record n1: status 500
        asked: record n2: status 500
        asked: record n3: status 500
        asked: record n4: status 500
        asked: 1,200 records; 200 cached, 1,000 asked, 7 failed, 1,000 tokens
        asked: … and 2 more in errors.jsonl
        asked: done: 1,200 records; 200 cached, 1,000 asked, 7 failed, 1,000 tokens
        ");
    }

    #[test]
    fn quiet_tells_trouble_only() {
        insta::assert_snapshot!(run(Talk::Trouble), @r"
        warning: a damaged artifact was removed
        asked: record n0: status 500
        asked: record n1: status 500
        asked: record n2: status 500
        asked: record n3: status 500
        asked: record n4: status 500
        asked: … and 2 more in errors.jsonl
        ");
    }

    #[test]
    fn a_run_that_is_cut_still_tells_of_other_failures() {
        let board = board();
        let mut plain = Plain::new(Talk::All);
        for n in 0..6 {
            let (key, why) = (format!("n{n}"), String::new());
            plain.event(
                &board,
                &Event::Failed {
                    stage: 1,
                    key,
                    kind: Kind::Call,
                    why,
                },
                Duration::ZERO,
            );
        }
        assert_eq!(plain.end(&board), ["asked: … and 1 more in errors.jsonl"]);
        assert!(plain.end(&board).is_empty());
    }

    #[test]
    fn rows_that_are_not_there_are_no_harm() {
        let mut plain = Plain::new(Talk::All);
        let event = Event::State(9, State::Done);
        assert!(plain.event(&board(), &event, Duration::ZERO).is_empty());
    }
}
