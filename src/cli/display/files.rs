//! Progress of downloads: a row a file on a terminal, plain lines elsewhere, both on standard
//! error.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::sync::mpsc::UnboundedReceiver;

use super::live::{BAR, Pace};
use super::{FRAME, Form, PULSE, err};
use crate::cli::fetch::told::done as words;
use crate::fetch::error::Why;
use crate::fetch::meter::Meter;
use crate::fetch::run::{Done, Event, Want};
use crate::fetch::shelf::State;
use crate::report::paint::Paint;
use crate::report::words::{size, time};

/// Shows downloads until their events end; what became of each file.
pub async fn show(
    form: Form,
    wants: &[Want<'_>],
    mut events: UnboundedReceiver<Event>,
) -> Vec<Option<Result<Done, Why>>> {
    let start = Instant::now();
    let mut view = View::new(form, wants);
    let mut tick = tokio::time::interval(if form == Form::Live { FRAME } else { PULSE });
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tick.tick().await;
    let mut results: Vec<Option<Result<Done, Why>>> = wants.iter().map(|_| None).collect();
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Begin(at)) => view.begin(at),
                Some(Event::End(at, done)) => {
                    view.end(at, &done);
                    if let Some(result) = results.get_mut(at) {
                        *result = Some(*done);
                    }
                }
                None => return results,
            },
            _ = tick.tick() => view.tick(start.elapsed()),
        }
    }
}

struct View<'a> {
    form: Form,
    wants: &'a [Want<'a>],
    all: MultiProgress,
    rows: Vec<Row>,
    paint: Paint,
    width: usize,
}

#[derive(Default)]
struct Row {
    bar: Option<ProgressBar>,
    pace: Pace,
    /// Bytes that were told of last.
    told: u64,
    open: bool,
}

impl<'a> View<'a> {
    fn new(form: Form, wants: &'a [Want<'a>]) -> View<'a> {
        let names = wants.iter().map(|want| want.item.to.chars().count());
        View {
            form,
            wants,
            all: MultiProgress::new(),
            rows: wants.iter().map(|_| Row::default()).collect(),
            paint: Paint {
                on: form == Form::Live && crate::cli::session::color(),
            },
            width: names.max().unwrap_or(0),
        }
    }

    fn begin(&mut self, at: usize) {
        let (Some(row), Some(want)) = (self.rows.get_mut(at), self.wants.get(at)) else {
            return;
        };
        row.open = true;
        match self.form {
            Form::Live => {
                let bar = self.all.add(ProgressBar::no_length());
                if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
                    bar.set_style(style);
                }
                row.bar = Some(bar);
            }
            Form::Quiet => {}
            Form::Plain | Form::Json => {
                let here = match want.state {
                    Ok(State::Part { bytes }) => format!(", {} are here", size(bytes)),
                    _ => String::new(),
                };
                err(&format!("{}: fetching{here}\n", want.item.to));
            }
        }
    }

    fn end(&mut self, at: usize, done: &Result<Done, Why>) {
        let (Some(row), Some(want)) = (self.rows.get_mut(at), self.wants.get(at)) else {
            return;
        };
        row.open = false;
        if let Some(bar) = row.bar.take() {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
        let told = words(done);
        match self.form {
            Form::Quiet if !matches!(done, Ok(Done::Other(..))) => {}
            Form::Live => {
                let mark = match done {
                    Ok(_) => self.paint.green("✓"),
                    Err(_) => self.paint.red("✗"),
                };
                let line = format!(
                    "{mark} {:width$}  {told}\n",
                    want.item.to,
                    width = self.width
                );
                self.all.suspend(|| err(&line));
            }
            // That a file is another one than before is told in any case.
            Form::Plain | Form::Json | Form::Quiet => err(&format!("{}: {told}\n", want.item.to)),
        }
    }

    fn tick(&mut self, after: Duration) {
        for (row, want) in self.rows.iter_mut().zip(self.wants) {
            if !row.open {
                continue;
            }
            let have = want.meter.have();
            row.pace.note(after, have, 0);
            let rate = row.pace.rates().map(|(bytes, _)| bytes);
            match (&row.bar, self.form) {
                (Some(bar), _) => {
                    let name = format!("{:width$}", want.item.to, width = self.width);
                    bar.set_message(line(&name, &want.meter, rate, self.paint));
                }
                (None, Form::Plain) if have != row.told => {
                    err(&format!("{}: {}\n", want.item.to, amount(&want.meter)));
                }
                _ => {}
            }
            row.told = have;
        }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        let _ = self.all.clear();
    }
}

fn amount(meter: &Meter) -> String {
    match meter.total() {
        Some(total) => format!("{} of {}", size(meter.have()), size(total)),
        None => size(meter.have()),
    }
}

/// A row: how far, how fast, how long still.
fn line(name: &str, meter: &Meter, rate: Option<f64>, paint: Paint) -> String {
    let mut text = paint.bold(name);
    if let Some(total) = meter.total() {
        let full = (u128::from(meter.have()) * u128::from(BAR) / u128::from(total)) as usize;
        let full = full.min(BAR as usize);
        let bar = paint.green(&"━".repeat(full)) + &paint.dim(&"─".repeat(BAR as usize - full));
        text = format!("{text}  {bar}");
    }
    text = format!("{text}  {}", amount(meter));
    if let Some(rate) = rate.filter(|rate| *rate >= 1.0) {
        text = format!("{text}  {}/s", size(rate as u64));
        let left = meter
            .total()
            .map(|total| total.saturating_sub(meter.have()));
        let left = left
            .filter(|left| *left > 0)
            .map(|left| (left as f64 / rate).ceil());
        if let Some(left) = left.and_then(|left| Duration::try_from_secs_f64(left).ok()) {
            text = format!("{text}  eta {}", time(left));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_how_far_how_fast_and_how_long() {
        let meter = Meter::default();
        meter.set(3_100_000, Some(12_400_000));
        let told = line("a/b.csv", &meter, Some(60_000.0), Paint::default());
        insta::assert_snapshot!(told, @"a/b.csv  ━━━━━───────────────  3.1 MB of 12.4 MB  60.0 kB/s  eta 2 min 35 s");
        meter.set(500, None);
        let told = line("a/b.csv", &meter, Some(0.0), Paint::default());
        insta::assert_snapshot!(told, @"a/b.csv  500 B");
    }
}
