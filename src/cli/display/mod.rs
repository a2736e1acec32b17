//! Progress of a run: live rows on a terminal, plain lines elsewhere (both on standard error),
//! or JSON events on standard output. Reads the board; knows nothing of how stages work.

mod failures;
pub mod files;
mod json;
mod live;
mod plain;
mod tell;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::{err, out};
use crate::engine::board::{Board, Event};
use crate::report::paint::Paint;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Rows that change in place.
    Live,
    /// A line for each change, and one every ten seconds.
    Plain,
    /// JSON objects, one a line.
    Json,
    /// Warnings and failures only.
    Quiet,
}

/// How often live rows are drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How often progress is told elsewhere.
const PULSE: Duration = Duration::from_secs(10);

impl Form {
    /// The form that fits flags and terminal.
    pub fn choose(json: bool, quiet: bool) -> Form {
        if json {
            Form::Json
        } else if quiet {
            Form::Quiet
        } else if io::stderr().is_terminal() && live::can_draw() {
            Form::Live
        } else {
            Form::Plain
        }
    }

    fn view(self, board: &Board) -> Box<dyn View> {
        match self {
            Form::Live => {
                let on = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
                Box::new(live::Live::new(board, Paint { on }))
            }
            Form::Plain => Box::new(plain::Plain::new(plain::Talk::All)),
            Form::Quiet => Box::new(plain::Plain::new(plain::Talk::Trouble)),
            Form::Json => Box::new(json::Json),
        }
    }
}

/// One way of showing a run. Views make lines; [`show`] prints them.
trait View: Send {
    /// Something happened, so long after the start: lines to tell, each without its end.
    fn event(&mut self, board: &Board, event: &Event, after: Duration) -> Vec<String>;
    /// Time went by.
    fn tick(&mut self, board: &Board, after: Duration) -> Vec<String>;
    /// The run is over.
    fn end(&mut self, board: &Board) -> Vec<String>;
    /// Prints lines; elsewhere than on standard error if the view needs it.
    fn print(&self, lines: &[String]) {
        err(&whole(lines));
    }
}

/// Shows a run until its events end.
pub async fn show(form: Form, board: Arc<Board>, mut events: UnboundedReceiver<Event>) {
    let start = Instant::now();
    let mut view = form.view(&board);
    let mut tick = tokio::time::interval(if form == Form::Live { FRAME } else { PULSE });
    // After a long halt (a laptop's lid) one tick is enough.
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    loop {
        let lines = tokio::select! {
            event = events.recv() => match event {
                Some(event) => view.event(&board, &event, start.elapsed()),
                None => break,
            },
            _ = tick.tick() => view.tick(&board, start.elapsed()),
        };
        view.print(&lines);
    }
    let lines = view.end(&board);
    view.print(&lines);
}

fn whole(lines: &[String]) -> String {
    lines.iter().flat_map(|line| [line, "\n"]).collect()
}
