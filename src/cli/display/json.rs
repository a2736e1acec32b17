//! Progress for programs: every event as a JSON object on a line of standard output.

use std::time::Duration;

use serde_json::{Value, json};

use super::{View, out, whole};
use crate::engine::board::{Board, Event, Row, State};

/// JSON lines.
pub struct Json;

impl View for Json {
    fn event(&mut self, board: &Board, event: &Event, after: Duration) -> Vec<String> {
        let seconds = after.as_secs_f64();
        let told = match event {
            Event::State(at, state) => {
                let row = board.stages.get(*at);
                row.map(|row| stage("stage", row, *state, seconds))
            }
            Event::Failed {
                stage,
                key,
                kind,
                why,
            } => board.stages.get(*stage).map(|row| {
                let name = &row.name;
                json!({"event": "failed", "seconds": seconds, "stage": name, "key": key, "kind": kind.name(), "why": why})
            }),
            Event::Say(text) => Some(json!({"event": "note", "seconds": seconds, "text": text})),
            Event::Warn(text) => {
                Some(json!({"event": "warning", "seconds": seconds, "text": text}))
            }
        };
        told.iter().map(Value::to_string).collect()
    }

    /// Stages at work, as events named `progress`.
    fn tick(&mut self, board: &Board, after: Duration) -> Vec<String> {
        let rows = board.stages.iter();
        rows.filter(|row| row.state() == State::Running)
            .map(|row| stage("progress", row, State::Running, after.as_secs_f64()).to_string())
            .collect()
    }

    fn end(&mut self, _board: &Board) -> Vec<String> {
        Vec::new()
    }

    fn print(&self, lines: &[String]) {
        out(&whole(lines));
    }
}

fn stage(event: &str, row: &Row, state: State, seconds: f64) -> Value {
    json!({
        "event": event,
        "seconds": seconds,
        "stage": row.name,
        "state": format!("{state:?}").to_lowercase(),
        "read": row.read.get(),
        "emitted": row.emitted.get(),
        "failed": row.failed.get(),
        "unread": row.unread.get(),
        "repaired": row.repaired.get(),
        "cached": row.cached.get(),
        "asked": row.asked.get(),
        "prompt_tokens": row.prompt_tokens.get(),
        "answer_tokens": row.answer_tokens.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::Kind;

    #[test]
    fn every_event_is_one_object_on_one_line() {
        let board = Board {
            stages: vec![Row::new("a\nb", "generate", true, State::Running)],
        };
        let failed = Event::Failed {
            stage: 0,
            key: "n\"1".to_owned(),
            kind: Kind::Call,
            why: "status 500".to_owned(),
        };
        let events = [
            Event::State(0, State::Lossy),
            failed,
            Event::Say("x".to_owned()),
            Event::Warn("y".to_owned()),
            Event::State(7, State::Done),
        ];
        let after = Duration::from_millis(1500);
        let events = events
            .iter()
            .flat_map(|event| Json.event(&board, event, after));
        let lines: Vec<String> = events.chain(Json.tick(&board, after)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"event":"stage","seconds":1.5,"stage":"a\nb","state":"lossy","read":0,"emitted":0,"failed":0,"unread":0,"repaired":0,"cached":0,"asked":0,"prompt_tokens":0,"answer_tokens":0}
        {"event":"failed","seconds":1.5,"stage":"a\nb","key":"n\"1","kind":"call","why":"status 500"}
        {"event":"note","seconds":1.5,"text":"x"}
        {"event":"warning","seconds":1.5,"text":"y"}
        {"event":"progress","seconds":1.5,"stage":"a\nb","state":"running","read":0,"emitted":0,"failed":0,"unread":0,"repaired":0,"cached":0,"asked":0,"prompt_tokens":0,"answer_tokens":0}
        "#);
    }
}
