//! Progress of a run on standard error: live bars on a terminal, plain lines elsewhere; or
//! JSON events on standard output. Reads the board; knows nothing of how stages work.

use std::collections::HashMap;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use super::{err, out};
use crate::engine::board::{Board, Event, Row, State};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bars.
    Live,
    /// A line for each change, and one every ten seconds.
    Plain,
    /// JSON objects, one a line.
    Json,
    /// Warnings only.
    Quiet,
}

/// How often bars are drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often plain lines tell progress.
const PULSE: Duration = Duration::from_secs(10);
/// Failures of one stage that are told one by one.
const TOLD: usize = 5;

impl Form {
    /// The form that fits flags and terminal.
    pub fn choose(json: bool, quiet: bool) -> Form {
        if json {
            Form::Json
        } else if quiet {
            Form::Quiet
        } else if io::stderr().is_terminal() {
            Form::Live
        } else {
            Form::Plain
        }
    }
}

/// Shows a run until its events end.
pub async fn show(form: Form, board: Arc<Board>, mut events: UnboundedReceiver<Event>) {
    let mut view = View::new(form, &board);
    let mut tick = tokio::time::interval(if form == Form::Live { FRAME } else { PULSE });
    tick.tick().await;
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => view.event(&board, &event),
                None => break,
            },
            _ = tick.tick() => view.tick(&board),
        }
    }
    view.end();
}

struct View {
    form: Form,
    start: Instant,
    bars: Option<Bars>,
    failed: HashMap<usize, usize>,
    /// What plain lines told of each stage the last time.
    told: HashMap<usize, u64>,
}

struct Bars {
    all: MultiProgress,
    rows: Vec<Option<ProgressBar>>,
    width: usize,
}

impl View {
    fn new(form: Form, board: &Board) -> View {
        let width = board
            .stages
            .iter()
            .map(|row| row.name.chars().count())
            .max();
        let bars = (form == Form::Live).then(|| Bars {
            all: MultiProgress::new(),
            rows: board.stages.iter().map(|_| None).collect(),
            width: width.unwrap_or(0),
        });
        View {
            form,
            start: Instant::now(),
            bars,
            failed: HashMap::new(),
            told: HashMap::new(),
        }
    }

    fn event(&mut self, board: &Board, event: &Event) {
        if self.form == Form::Json {
            out(&format!("{}\n", json(board, event, self.start.elapsed())));
            return;
        }
        match event {
            Event::State(at, state) => self.state(*at, *state, &board.stages[*at]),
            Event::Failed { stage, key, why } => {
                let told = self.failed.entry(*stage).or_default();
                *told += 1;
                let name = &board.stages[*stage].name;
                match *told {
                    n if n <= TOLD => self.line(&format!("{name}: record {key}: {why}")),
                    n if n == TOLD + 1 => {
                        self.line(&format!(
                            "{name}: more records failed; all are in errors.jsonl"
                        ));
                    }
                    _ => {}
                }
            }
            Event::Say(text) => {
                if self.form != Form::Quiet {
                    self.line(text);
                }
            }
            Event::Warn(text) => self.line(&format!("warning: {text}")),
        }
    }

    fn state(&mut self, at: usize, state: State, row: &Row) {
        match (&mut self.bars, state) {
            (Some(bars), State::Running | State::Reading) => bars.begin(at, row),
            (Some(bars), _) => bars.finish(at, row),
            (None, State::Done | State::Lossy | State::Broken) if self.form == Form::Plain => {
                let word = if state == State::Broken {
                    "stopped"
                } else {
                    "done"
                };
                self.line(&format!("{}: {word}: {}", row.name, counts(row)));
            }
            _ => {}
        }
    }

    fn tick(&mut self, board: &Board) {
        match &mut self.bars {
            Some(bars) => bars.draw(board),
            None if self.form == Form::Plain => {
                for (at, row) in board.stages.iter().enumerate() {
                    let now = row.emitted.get() + row.failed.get() + row.asked.get();
                    let before = self.told.insert(at, now).unwrap_or(0);
                    if row.state() == State::Running && row.asks && now > before {
                        self.line(&format!("{}: {}", row.name, counts(row)));
                    }
                }
            }
            None => {}
        }
    }

    fn line(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _ = bars.all.println(text);
            }
            None => err(&format!("{text}\n")),
        }
    }

    fn end(self) {
        if let Some(bars) = self.bars {
            let _ = bars.all.clear();
        }
    }
}

impl Bars {
    fn begin(&mut self, at: usize, row: &Row) {
        if self.rows[at].is_some() || !row.asks {
            return;
        }
        let bar = self.all.add(ProgressBar::no_length());
        let template = "{prefix} {bar:24} {pos}/{len} {per_sec} eta {eta} {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(format!("{:width$}", row.name, width = self.width));
        self.rows[at] = Some(bar);
    }

    fn finish(&mut self, at: usize, row: &Row) {
        if let Some(bar) = &self.rows[at] {
            fill(bar, row);
            bar.abandon();
        }
    }

    fn draw(&mut self, board: &Board) {
        for (bar, row) in self.rows.iter().zip(&board.stages) {
            if let Some(bar) = bar.as_ref().filter(|bar| !bar.is_finished()) {
                fill(bar, row);
            }
        }
    }
}

fn fill(bar: &ProgressBar, row: &Row) {
    bar.set_length(row.read.get());
    bar.set_position(row.emitted.get() + row.failed.get());
    bar.set_message(calls(row));
}

fn counts(row: &Row) -> String {
    let mut text = format!("{} records", row.emitted.get());
    if row.asks {
        text.push_str(&format!("; {}", calls(row)));
    } else if row.failed.get() > 0 {
        text.push_str(&format!(", {} failed", row.failed.get()));
    }
    text
}

fn calls(row: &Row) -> String {
    let mut text = format!("{} cached, {} asked", row.cached.get(), row.asked.get());
    if row.failed.get() > 0 {
        text.push_str(&format!(", {} failed", row.failed.get()));
    }
    let tokens = row.prompt_tokens.get() + row.answer_tokens.get();
    if tokens > 0 {
        text.push_str(&format!(", {tokens} tokens"));
    }
    text
}

fn json(board: &Board, event: &Event, elapsed: Duration) -> serde_json::Value {
    let seconds = elapsed.as_secs_f64();
    match event {
        Event::State(at, state) => {
            let row = &board.stages[*at];
            serde_json::json!({
                "event": "stage",
                "seconds": seconds,
                "stage": row.name,
                "state": format!("{state:?}").to_lowercase(),
                "read": row.read.get(),
                "emitted": row.emitted.get(),
                "failed": row.failed.get(),
                "cached": row.cached.get(),
                "asked": row.asked.get(),
                "prompt_tokens": row.prompt_tokens.get(),
                "answer_tokens": row.answer_tokens.get(),
            })
        }
        Event::Failed { stage, key, why } => serde_json::json!({
            "event": "failed",
            "seconds": seconds,
            "stage": board.stages[*stage].name,
            "key": key,
            "why": why,
        }),
        Event::Say(text) => serde_json::json!({"event": "note", "seconds": seconds, "text": text}),
        Event::Warn(text) => {
            serde_json::json!({"event": "warning", "seconds": seconds, "text": text})
        }
    }
}
