//! What is said at the end of a run: what was made, what it took, what failed, and a few of
//! the records. Pure but for reading back the samples.

use std::fmt::Write;
use std::fs::{File, Metadata};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::missing::Missing;
use crate::engine::board::{Board, Row, State};
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::survey::out_file;
use crate::parallel;
use crate::plan::graph::Output;
use crate::report::words::{brief, count, size, thousands, time};

/// Records shown of each output.
const SAMPLES: usize = 3;
/// Characters shown of each value.
const WIDTH: usize = 88;
/// Files of instances that are named one by one; more are told by their folders.
const NAMED: usize = 6;
/// The same for the pipeline's own.
const OWN: usize = 24;

/// A run that ended.
pub struct Summary<'a> {
    /// What ran.
    pub pipe: &'a Pipe,
    /// Its counters.
    pub board: &'a Board,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// How long it took.
    pub took: Duration,
    /// What its calls cost, if that is known.
    pub cost: Option<f64>,
    /// Calls that a run without models could not answer.
    pub missing: &'a Missing,
}

/// Files of instances in one folder.
struct Folder {
    path: PathBuf,
    files: u64,
    fresh: u64,
    bytes: u64,
}

impl Summary<'_> {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let sum = |count: fn(&crate::engine::board::Row) -> u64| {
            self.board.stages.iter().map(count).sum::<u64>()
        };
        let (asked, cached) = (sum(|row| row.asked.get()), sum(|row| row.cached.get()));
        let tokens = (
            sum(|row| row.prompt_tokens.get()),
            sum(|row| row.answer_tokens.get()),
        );
        let _ = writeln!(
            text,
            "{}: {} made, {} from the cache, {} failed, in {}",
            self.pipe.pipeline.name,
            count(asked, "call"),
            thousands(cached),
            count(self.outcome.failures.len() as u64, "record"),
            time(self.took)
        );
        if asked > 0 && tokens.0 + tokens.1 > 0 {
            let _ = writeln!(
                text,
                "tokens: {} in prompts, {} in answers",
                thousands(tokens.0),
                thousands(tokens.1)
            );
        }
        if let Some(cost) = self.cost.filter(|_| asked > 0) {
            let _ = writeln!(text, "cost: {cost:.4}");
        }
        let outputs = self.outputs();
        let inner = |at: usize| self.pipe.stages[at].spec.scope != 0;
        let inners = outputs.iter().filter(|written| inner(written.at)).count();
        let owns = outputs.len() - inners;
        let mut folders: Vec<Folder> = Vec::new();
        for written in outputs {
            let Written {
                at,
                path,
                output,
                fresh,
                bytes,
            } = written;
            if inner(at) && inners > NAMED {
                put(&mut folders, self.below_out(&path), bytes, fresh);
                continue;
            }
            if !inner(at) && owns > OWN {
                let folder = path.parent().unwrap_or(&self.pipe.folders.out);
                put(&mut folders, folder.to_owned(), bytes, fresh);
                continue;
            }
            let word = if fresh { "unchanged" } else { "written" };
            let _ = writeln!(
                text,
                "{word}: {} ({}, {})",
                path.display(),
                count(output.rows, "record"),
                size(bytes)
            );
            if !self.pipe.stages[at].sensitive {
                text.push_str(&samples(&path));
            }
        }
        for folder in folders {
            let files = count(folder.files, "file");
            let what = match folder.fresh {
                0 => format!("written: {files}"),
                fresh if fresh == folder.files => format!("unchanged: {files}"),
                fresh => format!("written: {} of {files}", folder.files - fresh),
            };
            let path = folder.path.display();
            let _ = writeln!(text, "{what} in {path} ({})", size(folder.bytes));
        }
        for (name, failed) in self.failed() {
            let _ = writeln!(text, "failed: {} in `{name}`", count(failed, "record"));
        }
        let lines = self.board.stages.iter().filter_map(unread);
        lines.for_each(|line| text.push_str(&line));
        text.push_str(&self.missing.text());
        text
    }

    /// The first folder below the output folder in which a file is.
    fn below_out(&self, path: &Path) -> PathBuf {
        let out = &self.pipe.folders.out;
        let below = path.strip_prefix(out).ok();
        let first = below.and_then(|below| below.components().next());
        first.map_or_else(|| out.clone(), |first| out.join(first))
    }

    /// The tables that are to be shown.
    pub fn tables(&self) -> String {
        let mut text = String::new();
        for Written { at, path, .. } in self.outputs() {
            let settings = self.pipe.stages[at].verb.settings();
            if settings["show"] == serde_json::Value::Bool(true) {
                let table = std::fs::read_to_string(&path).unwrap_or_default();
                let _ = write!(text, "\n{table}");
            }
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> serde_json::Value {
        let stages = self.board.stages.iter().map(|row| {
            serde_json::json!({
                "stage": row.name,
                "state": format!("{:?}", row.state()).to_lowercase(),
                "read": row.read.get(),
                "emitted": row.emitted.get(),
                "failed": row.failed.get(),
                "unread": row.unread.get(),
                "repairs": row.repairs.get(),
                "repaired": row.repaired.get(),
                "cached": row.cached.get(),
                "asked": row.asked.get(),
                "prompt_tokens": row.prompt_tokens.get(),
                "answer_tokens": row.answer_tokens.get(),
            })
        });
        let outputs = self.outputs().into_iter().map(|written| {
            serde_json::json!({
                "path": written.path,
                "records": written.output.rows,
                "hash": written.output.content,
                "unchanged": written.fresh,
            })
        });
        serde_json::json!({
            "event": "end",
            "seconds": self.took.as_secs_f64(),
            "stages": stages.collect::<Vec<_>>(),
            "outputs": outputs.collect::<Vec<_>>(),
            "failed": self.outcome.failures.len(),
            "cost": self.cost,
            "missing": self.missing.json(),
        })
    }

    fn outputs(&self) -> Vec<Written> {
        let all: Vec<usize> = (0..self.outcome.stages.len()).collect();
        let written = parallel::map(&all, |at| self.output(*at));
        written.into_iter().flatten().collect()
    }

    fn output(&self, at: usize) -> Option<Written> {
        let stage = &self.outcome.stages[at];
        let path = out_file(self.pipe, at)?;
        let output = stage.output.clone()?;
        let fresh = match stage.state {
            State::Done | State::Lossy => false,
            State::Fresh => true,
            _ => return None,
        };
        let data = path.metadata().ok();
        // Of a file that was not wanted, an older one may stand elsewhere.
        let there = !fresh || data.as_ref().is_some_and(Metadata::is_file);
        there.then(|| Written {
            at,
            path,
            output,
            fresh,
            bytes: data.map_or(0, |data| data.len()),
        })
    }

    fn failed(&self) -> impl Iterator<Item = (&str, u64)> {
        let rows = self.board.stages.iter();
        rows.map(|row| (row.name.as_str(), row.failed.get()))
            .filter(|(_, failed)| *failed > 0)
    }
}

/// An output that is there.
struct Written {
    at: usize,
    path: PathBuf,
    output: Output,
    fresh: bool,
    bytes: u64,
}

/// Counts a file in a folder.
fn put(folders: &mut Vec<Folder>, path: PathBuf, bytes: u64, fresh: bool) {
    let at = folders.iter().position(|folder| folder.path == path);
    let at = at.unwrap_or_else(|| {
        folders.push(Folder {
            path,
            files: 0,
            fresh: 0,
            bytes: 0,
        });
        folders.len() - 1
    });
    folders[at].files += 1;
    folders[at].fresh += u64::from(fresh);
    folders[at].bytes += bytes;
}

/// What is said of a stage's answers that could not be read, and of those that a second round
/// put right.
fn unread(row: &Row) -> Option<String> {
    let (unread, repairs, repaired) = (row.unread.get(), row.repairs.get(), row.repaired.get());
    if (unread, repairs) == (0, 0) {
        return None;
    }
    let answers = count(unread + row.emitted.get(), "answer");
    let name = &row.name;
    let mut text = match unread {
        0 => format!("answers: all of `{name}` could be read"),
        unread => format!("unread: {} of {answers} in `{name}`", thousands(unread)),
    };
    if repairs > 0 {
        let asked = thousands(repairs);
        let _ = write!(
            text,
            ", {} of {asked} put right when asked again",
            thousands(repaired)
        );
    }
    text.push('\n');
    Some(text)
}

/// The first records of a file of JSON lines, each value on a line and cut to fit.
fn samples(path: &Path) -> String {
    let mut text = String::new();
    let Ok(file) = File::open(path) else {
        return text;
    };
    for line in BufReader::new(file).lines().take(SAMPLES) {
        let record = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        let Some(serde_json::Value::Object(fields)) = record else {
            break;
        };
        text.push('\n');
        for (name, value) in fields {
            let value = match value {
                serde_json::Value::String(value) => value,
                other => other.to_string(),
            };
            let _ = writeln!(text, "  {name}: {}", brief(&value, WIDTH));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
