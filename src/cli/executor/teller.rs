//! What a user is told of a run on a cluster: a line for each change, or a line that changes in
//! place on a terminal; or events in JSON.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::cli::{err, out};
use crate::cluster::tasks::Tasks;
use crate::report::words::count;

/// Tells.
pub struct Teller {
    json: bool,
    quiet: bool,
    bar: Option<ProgressBar>,
    last: String,
}

impl Teller {
    /// As flags and terminal want it.
    pub fn new(json: bool, quiet: bool) -> Teller {
        let live = !json && !quiet && std::io::stderr().is_terminal();
        let bar = live.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Teller {
            json,
            quiet,
            bar,
            last: String::new(),
        }
    }

    /// Tells of something that happens once; `event` are its facts.
    pub fn note(&self, name: &str, text: &str, facts: Json) {
        if self.json {
            let mut event = json!({"event": name, "text": text});
            if let (Some(event), Json::Object(facts)) = (event.as_object_mut(), facts) {
                event.extend(facts);
            }
            out(&format!("{event}\n"));
        } else if !self.quiet || name == "warning" {
            self.line(text);
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| err(&format!("{text}\n"))),
            None => err(&format!("{text}\n")),
        }
    }

    /// Tells how many tasks of a wave are how far, if that has changed. `asked` are the calls made
    /// by those that are over.
    pub fn progress(&mut self, wave: u32, tasks: &Tasks, asked: u64) {
        let tally = tasks.tally();
        let reasons = tasks.reasons();
        let why = match reasons.is_empty() {
            true => String::new(),
            false => format!(" ({})", reasons.join(", ")),
        };
        let counts = [
            (tally.waiting, format!("waiting{why}")),
            (tally.running, "running".to_owned()),
            (tally.done, "done".to_owned()),
            (tally.failed, "failed".to_owned()),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("{count} {what}"));
        let mut text = format!("wave {wave}: {}", counts.collect::<Vec<_>>().join(", "));
        if asked > 0 {
            text.push_str(&format!("; {} made", count(asked, "call")));
        }
        if text == self.last {
            return;
        }
        let facts = json!({"wave": wave, "tasks": tally, "reasons": reasons, "asked": asked});
        match &self.bar {
            Some(bar) => bar.set_message(text.clone()),
            None => self.note("progress", &text, facts),
        }
        self.last = text;
    }

    /// Nothing changes in place any more.
    pub fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

/// The calls that tasks made so far, as their logs tell. `clue run --json` writes these.
pub fn asked<'a>(logs: impl IntoIterator<Item = &'a Path>) -> u64 {
    let texts = logs
        .into_iter()
        .filter_map(|log| std::fs::read_to_string(log).ok());
    texts.map(|text| asked_in(&text)).sum()
}

fn asked_in(text: &str) -> u64 {
    let mut before = 0;
    // Of the task as it is now; one that was begun again counts anew.
    let mut now: BTreeMap<String, u64> = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let event: Json = serde_json::from_str(line).unwrap_or_default();
        if event["event"] == "end" {
            let last: u64 = now.values().sum();
            let stages = event["stages"].as_array();
            let told =
                stages.map(|all| all.iter().filter_map(|stage| stage["asked"].as_u64()).sum());
            before += told.unwrap_or(last);
            now.clear();
        } else if let (Some(stage), Some(asked)) =
            (event["stage"].as_str(), event["asked"].as_u64())
        {
            let known = now.entry(stage.to_owned()).or_default();
            if asked < *known {
                // The one before was killed.
                before += *known;
            }
            *known = asked;
        }
    }
    before + now.values().sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_over_all_tries() {
        let line = |stage: &str, asked: u64| {
            format!("{{\"event\":\"stage\",\"stage\":\"{stage}\",\"asked\":{asked}}}\n")
        };
        let first = line("a", 0) + &line("a", 7) + "a line of the shell\n{\n";
        let second = line("a", 2) + &line("b", 1);
        assert_eq!(asked_in(&(first.clone() + &second)), 7 + 3);
        let end = "{\"event\":\"end\",\"stages\":[{\"asked\":4},{\"asked\":1}]}\n";
        assert_eq!(asked_in(&(first + &second + end)), 7 + 5);
    }
}
