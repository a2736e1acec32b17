//! Progress on a terminal: a row for each stage that asks a model, with rate and time left,
//! and a short one for others at work. Lines that stay are printed above the rows.

use std::collections::VecDeque;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::failures::Failures;
use super::tell::{calls, counts};
use super::{View, err, whole};
use crate::engine::board::{Board, Event, Row, State};
use crate::report::paint::Paint;
use crate::report::words::{thousands, time};

/// Characters of a bar.
pub(super) const BAR: u64 = 20;
/// How far back rates look.
const WINDOW: Duration = Duration::from_secs(10);

/// Live rows.
pub struct Live {
    all: MultiProgress,
    rows: Vec<Option<ProgressBar>>,
    pace: Vec<Pace>,
    failures: Failures,
    paint: Paint,
    width: usize,
}

/// False on a terminal that cannot move its cursor (`TERM=dumb`): nothing at all would show.
pub fn can_draw() -> bool {
    !MultiProgress::new().is_hidden()
}

/// How fast a stage goes: when, records settled and calls asked, over the last seconds.
#[derive(Default)]
pub(super) struct Pace(VecDeque<(Duration, u64, u64)>);

impl Live {
    /// No rows yet.
    pub fn new(board: &Board, paint: Paint) -> Live {
        let names = board.stages.iter().map(|row| row.name.chars().count());
        Live {
            all: MultiProgress::new(),
            rows: board.stages.iter().map(|_| None).collect(),
            pace: board.stages.iter().map(|_| Pace::default()).collect(),
            failures: Failures::default(),
            paint,
            width: names.max().unwrap_or(0),
        }
    }

    fn state(&mut self, board: &Board, at: usize, state: State) -> Vec<String> {
        let (Some(row), Some(bar)) = (board.stages.get(at), self.rows.get_mut(at)) else {
            return Vec::new();
        };
        match state {
            State::Fresh | State::Waiting => Vec::new(),
            State::Reading | State::Running => {
                self.begin(at);
                Vec::new()
            }
            State::Done | State::Lossy | State::Broken => {
                if let Some(bar) = bar.take() {
                    bar.finish_and_clear();
                    self.all.remove(&bar);
                }
                let mut lines: Vec<String> = self.failures.rest(board, at).into_iter().collect();
                // Others are told of in the summary.
                if row.asks || state != State::Done {
                    lines.push(ended(row, state, self.width, self.paint));
                }
                lines
            }
        }
    }

    /// Gives a stage its row, among the others in the order of the board.
    fn begin(&mut self, at: usize) {
        if self.rows[at].is_some() {
            return;
        }
        let before = self.rows[..at].iter().flatten().count();
        let bar = self.all.insert(before, ProgressBar::no_length());
        // A row is one text that is cut to the terminal's width whenever it is drawn, so that
        // a narrower window does not break it in two.
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        self.rows[at] = Some(bar);
    }
}

impl View for Live {
    fn event(&mut self, board: &Board, event: &Event, _after: Duration) -> Vec<String> {
        match event {
            Event::State(at, state) => self.state(board, *at, *state),
            Event::Failed {
                stage, key, why, ..
            } => {
                let line = self.failures.line(board, *stage, key, why);
                line.map(|line| self.paint.red(&line)).into_iter().collect()
            }
            Event::Say(text) => vec![text.clone()],
            Event::Warn(text) => vec![format!("{} {text}", self.paint.yellow("warning:"))],
        }
    }

    fn tick(&mut self, board: &Board, after: Duration) -> Vec<String> {
        let rows = self.rows.iter().zip(&board.stages).zip(&mut self.pace);
        for ((bar, row), pace) in rows {
            pace.note(after, settled(row), row.asked.get());
            if let Some(bar) = bar {
                bar.set_message(line(row, pace, self.width, self.paint));
            }
        }
        Vec::new()
    }

    fn end(&mut self, board: &Board) -> Vec<String> {
        let _ = self.all.clear();
        self.failures.all_rest(board)
    }

    fn print(&self, lines: &[String]) {
        // Not `println`, which leaves out the end of the last line when no row is left.
        if !lines.is_empty() {
            self.all.suspend(|| err(&whole(lines)));
        }
    }
}

impl Pace {
    /// What there is so long after the start.
    pub(super) fn note(&mut self, after: Duration, settled: u64, asked: u64) {
        let old = after.saturating_sub(WINDOW);
        // The newest of the old ones stays: it is the window's edge.
        while self.0.get(1).is_some_and(|(at, ..)| *at <= old) {
            self.0.pop_front();
        }
        self.0.push_back((after, settled, asked));
    }

    /// Records settled and calls asked in a second.
    pub(super) fn rates(&self) -> Option<(f64, f64)> {
        let (first, last) = (self.0.front()?, self.0.back()?);
        let seconds = last.0.saturating_sub(first.0).as_secs_f64();
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
        (seconds >= 0.5).then(|| (rate(first.1, last.1), rate(first.2, last.2)))
    }
}

/// Records that are done with.
fn settled(row: &Row) -> u64 {
    (row.emitted.get() + row.failed.get()).min(row.read.get())
}

/// A row at work.
fn line(row: &Row, pace: &Pace, width: usize, paint: Paint) -> String {
    let name = paint.bold(&format!("{:width$}", row.name));
    if !row.asks {
        let verb = paint.dim(&row.verb);
        return format!("{name}  {verb}  {}", counts(row));
    }
    let (done, read) = (settled(row), row.read.get());
    let full = (done * BAR).checked_div(read).unwrap_or(0).min(BAR) as usize;
    let bar = paint.green(&"━".repeat(full)) + &paint.dim(&"─".repeat(BAR as usize - full));
    let mut text = format!("{name}  {bar}  {}/{}", thousands(done), thousands(read));
    if let Some((records, asked)) = pace.rates() {
        if asked > 0.0 {
            text = format!("{text}  {asked:.1} calls/s");
        }
        if let Some(left) = left(read - done, records) {
            text = format!("{text}  {left}");
        }
    }
    format!("{text}  {}", calls(row))
}

/// The time that records read so far will take. A stage above may yet send more.
fn left(records: u64, rate: f64) -> Option<String> {
    if records == 0 || rate <= 0.0 {
        return None;
    }
    let seconds = (records as f64 / rate).ceil();
    if seconds < 10.0 {
        return Some(format!("eta ≥ {seconds} s"));
    }
    let left = Duration::try_from_secs_f64(seconds).ok()?;
    Some(format!("eta ≥ {}", time(left)))
}

/// What stays of a row.
fn ended(row: &Row, state: State, width: usize, paint: Paint) -> String {
    let mark = match state {
        State::Lossy => paint.yellow("!"),
        State::Broken => paint.red("✗"),
        State::Fresh | State::Reading | State::Waiting | State::Running | State::Done => {
            paint.green("✓")
        }
    };
    format!("{mark} {:width$}  {}", row.name, counts(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let row = Row::new("asked", "generate", true, State::Running);
        row.read.add(4000);
        row.emitted.add(990);
        row.failed.add(10);
        row.cached.add(200);
        row.asked.add(800);
        row.prompt_tokens.add(60_000);
        row.answer_tokens.add(4_000);
        row
    }

    fn pace() -> Pace {
        let mut pace = Pace::default();
        for second in 0..40 {
            pace.note(Duration::from_secs(second), second * 10, second * 8);
        }
        pace
    }

    #[test]
    fn a_row_tells_how_far_how_fast_and_how_long() {
        let plain = Paint::default();
        insta::assert_snapshot!(line(&row(), &pace(), 8, plain), @"asked     ━━━━━───────────────  1,000/4,000  8.0 calls/s  eta ≥ 5 min 0 s  200 cached, 800 asked, 10 failed, 64,000 tokens");
        insta::assert_snapshot!(line(&row(), &Pace::default(), 8, plain), @"asked     ━━━━━───────────────  1,000/4,000  200 cached, 800 asked, 10 failed, 64,000 tokens");
        let empty = Row::new("asked", "generate", true, State::Running);
        insta::assert_snapshot!(line(&empty, &pace(), 5, plain), @"asked  ────────────────────  0/0  8.0 calls/s  0 cached, 0 asked");
        let other = Row::new("notes", "load", false, State::Running);
        insta::assert_snapshot!(line(&other, &pace(), 8, plain), @"notes     load  0 records");
    }

    #[test]
    fn rates_look_back_a_few_seconds() {
        let pace = pace();
        assert!(pace.0.len() <= 12);
        assert_eq!(pace.rates(), Some((10.0, 8.0)));
        assert_eq!(Pace::default().rates(), None);
    }

    #[test]
    fn time_left_is_told_only_if_it_is_known() {
        assert_eq!(left(5, 2.0).as_deref(), Some("eta ≥ 3 s"));
        assert_eq!(left(0, 2.0), None);
        assert_eq!(left(5, 0.0), None);
        assert_eq!(left(u64::MAX, f64::MIN_POSITIVE), None);
    }

    #[test]
    fn what_stays_tells_how_it_ended() {
        let told = [State::Done, State::Lossy, State::Broken]
            .map(|state| ended(&row(), state, 8, Paint::default()));
        insta::assert_snapshot!(told.join("\n"), @r"
        ✓ asked     990 records; 200 cached, 800 asked, 10 failed, 64,000 tokens
        ! asked     990 records; 200 cached, 800 asked, 10 failed, 64,000 tokens
        ✗ asked     990 records; 200 cached, 800 asked, 10 failed, 64,000 tokens
        ");
    }

    #[test]
    fn rows_come_and_go_in_the_order_of_the_board() {
        let names = ["a", "b", "c"];
        let rows = names.map(|name| Row::new(name, "generate", true, State::Waiting));
        let board = Board {
            stages: rows.into(),
        };
        let mut live = Live::new(&board, Paint::default());
        live.all
            .set_draw_target(indicatif::ProgressDrawTarget::hidden());
        for at in [2, 0, 9, 1] {
            let event = Event::State(at, State::Running);
            assert!(live.event(&board, &event, Duration::ZERO).is_empty());
        }
        assert!(live.rows.iter().all(Option::is_some));
        live.tick(&board, Duration::from_secs(1));
        let done = live.event(&board, &Event::State(1, State::Done), Duration::ZERO);
        assert_eq!(done, ["✓ b  0 records; 0 cached, 0 asked"]);
        assert!(live.rows[1].is_none() && live.rows[2].is_some());
        assert!(live.end(&board).is_empty());
    }
}
