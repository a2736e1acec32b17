//! `clue runs`: the runs that the cache remembers, newest first.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::session::refuse;
use super::when::when;
use super::{out, warn};
use crate::diag::Diagnostic;
use crate::engine::facts::{Ended, Facts};
use crate::engine::runs::Head;
use crate::report::words::{brief, count, thousands, time};
use crate::store::Store;
use crate::text::secret::redact;

/// Characters of a param's value that are shown.
const WIDTH: usize = 32;

/// Characters of an id that are shown, if that tells runs apart.
const ID: usize = 8;

/// Arguments of `clue runs`.
#[derive(clap::Args)]
#[command(after_help = "\
Times are in UTC. `clue cache gc` forgets older runs. A run that is killed stays as \"running or
killed\"; runs of versions before this list show only when they were, and of what.")]
pub struct Args {
    /// Only runs of this pipeline
    #[arg(value_name = "PIPELINE")]
    file: Option<PathBuf>,
    /// The cache
    #[arg(long, value_name = "DIR", env = "CLUE_STORE", default_value = ".clue")]
    store: PathBuf,
    /// At most so many
    #[arg(short = 'n', long, value_name = "N")]
    last: Option<usize>,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// A run.
#[derive(Serialize)]
struct Row {
    id: String,
    pipeline: PathBuf,
    /// Milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    began: Option<u64>,
    /// The values of params that are not their defaults.
    params: serde_json::Map<String, serde_json::Value>,
    #[serde(flatten)]
    facts: Option<Facts>,
}

/// Lists runs.
pub fn runs(args: &Args) -> ExitCode {
    match listed(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => refuse(&fault),
    }
}

fn listed(args: &Args) -> Result<(), Diagnostic> {
    if !args.store.is_dir() {
        let shown = args.store.display();
        return Err(
            Diagnostic::error(format!("no cache at `{shown}`")).help("name it with `--store DIR`")
        );
    }
    // Also of one that is gone: by the path that it had.
    let wanted = args.file.as_ref().map(|file| {
        let path = std::path::absolute(file).unwrap_or_else(|_| file.clone());
        file.canonicalize().unwrap_or(path)
    });
    let store = Store::open_read(&args.store)?;
    let runs = store.runs::<Head>().into_iter();
    let runs = runs.filter(|(_, run)| wanted.as_ref().is_none_or(|file| *file == run.pipeline));
    let rows = runs.map(|(id, run)| row(id, run));
    let rows: Vec<Row> = rows.take(args.last.unwrap_or(usize::MAX)).collect();
    warn(&store);
    if args.json {
        out(&format!("{}\n", serde_json::json!({ "runs": rows })));
    } else if rows.is_empty() {
        let of = args
            .file
            .as_ref()
            .map(|file| format!(" of {}", file.display()));
        out(&format!("no runs{}\n", of.unwrap_or_default()));
    } else {
        out(&text(&rows));
    }
    Ok(())
}

fn row(id: String, run: Head) -> Row {
    // The id of a run is when it was kept, in nanoseconds.
    let nanos = id.split('-').next();
    let nanos = nanos.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    let kept = nanos.map(|nanos| nanos / 1_000_000);
    let set = run.facts.as_ref().map_or(&[][..], |facts| &facts.set);
    let value = |name: &String| {
        let value = run.params.get(name)?.clone();
        Some((name.clone(), redact(name, value)))
    };
    Row {
        id,
        began: if run.facts.is_some() { None } else { kept },
        params: set.iter().filter_map(value).collect(),
        pipeline: run.pipeline,
        facts: run.facts,
    }
}

fn text(rows: &[Row]) -> String {
    let head = [
        "WHEN (UTC)",
        "PIPELINE",
        "ENDED",
        "CALLS",
        "CACHED",
        "TOKENS",
        "TIME",
        "COST",
        "ID",
        "PARAMS",
    ];
    let here = std::env::current_dir().unwrap_or_default();
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let ids = ids(rows);
    lines.extend(rows.iter().zip(&ids).map(|(row, id)| cells(row, id, &here)));
    // What no run has is no column.
    let used = |at: &usize| *at < 3 || lines[1..].iter().any(|line| !line[*at].is_empty());
    let used: Vec<usize> = (0..head.len()).filter(used).collect();
    let width = |at: usize| {
        let cells = lines.iter().map(|line| line[at].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells = used.iter().map(|at| {
            let (cell, width) = (&line[*at], widths[*at]);
            // Numbers end where their column ends.
            if (3..8).contains(at) {
                format!("{cell:>width$}")
            } else {
                format!("{cell:width$}")
            }
        });
        let cells: Vec<String> = cells.collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The beginnings of ids that tell the runs apart, all as long as the longest that is needed.
fn ids(rows: &[Row]) -> Vec<String> {
    let cut = |length: usize| -> Vec<String> {
        let short = |row: &Row| row.id.chars().take(length).collect();
        rows.iter().map(short).collect()
    };
    let longest = rows.iter().map(|row| row.id.len()).max().unwrap_or(0);
    let apart = |length: &usize| {
        let ids = cut(*length);
        let different: std::collections::HashSet<&String> = ids.iter().collect();
        different.len() == ids.len()
    };
    let length = (ID..longest).find(apart).unwrap_or(longest);
    cut(length)
}

fn cells(row: &Row, id: &str, here: &Path) -> Vec<String> {
    let shown = row.pipeline.strip_prefix(here).unwrap_or(&row.pipeline);
    let shown = shown.display().to_string();
    let Some(facts) = &row.facts else {
        let began = row.began.map_or_else(String::new, when);
        let mut cells = vec![began, shown];
        cells.resize(8, String::new());
        cells.extend([id.to_owned(), String::new()]);
        return cells;
    };
    let params = row.params.iter().map(|(name, value)| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        format!("{name}={}", brief(&value, WIDTH))
    });
    let params: Vec<String> = params.collect();
    let (prompt, answer) = (facts.prompt_tokens, facts.answer_tokens);
    let over = facts.took.is_some();
    let number = |n: u64| if over { thousands(n) } else { String::new() };
    vec![
        when(facts.began),
        shown,
        ended(facts),
        number(facts.asked),
        number(facts.cached),
        if prompt + answer > 0 {
            format!("{} + {}", thousands(prompt), thousands(answer))
        } else {
            String::new()
        },
        facts.took.map_or_else(String::new, |took| {
            time(std::time::Duration::try_from_secs_f64(took).unwrap_or_default())
        }),
        facts
            .cost
            .map_or_else(String::new, |cost| format!("{cost:.4}")),
        id.to_owned(),
        params.join(" "),
    ]
}

fn ended(facts: &Facts) -> String {
    let words = facts.ended.words();
    let words = match (facts.ended, facts.failed) {
        (Ended::Failed | Ended::Done, failed) if failed > 0 => {
            format!("{words}: {}", count(failed, "record"))
        }
        _ => words.to_owned(),
    };
    match facts.shard {
        Some(shard) => format!("shard {shard} {words}"),
        None => words,
    }
}
