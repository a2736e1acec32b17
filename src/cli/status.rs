//! `clue status`: how the cache stands to the pipeline as it is now, stage by stage: what is
//! fresh, what changed and how much of it is cached all the same, how many records there are, and
//! when each stage last ran. `clue plan` says what a run would do and why.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::plan;
use super::session::{Common, bad};
use super::when::when;
use super::{out, warn};
use crate::diag::Diagnostic;
use crate::engine::history::latest;
use crate::engine::pipe::Pipe;
use crate::engine::runs::RunRecord;
use crate::engine::survey::{Survey, Wanted, out_file, survey};
use crate::plan::graph::Action;
use crate::report::words::{count, thousands};
use crate::store::Store;

/// Arguments of `clue status`.
#[derive(clap::Args)]
#[command(after_help = "\
States: fresh: its output is at hand. new: it never ran to its end. changed: what it is made of did,
its own settings, prompts and files or those of stages before it. missing: its output is gone.
altered: its file is not what was written. not needed: no output is made of it. Where stages ask models, CALLS are those that are cached,
of all that a run would need. RECORDS and LAST RAN are of the last time that it ran to its end.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// How the cache stands to a stage.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// Its output is at hand, or would be the same.
    Fresh,
    /// No output is made of it, and its own is not at hand.
    NotNeeded,
    /// It never ran to its end.
    New,
    /// What it is made of has changed.
    Changed,
    /// Its output is gone.
    Missing,
    /// Its file is not what was written.
    Altered,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Fresh => "fresh",
            State::NotNeeded => "not needed",
            State::New => "new",
            State::Changed => "changed",
            State::Missing => "missing",
            State::Altered => "altered",
        }
    }
}

/// A stage.
#[derive(Serialize)]
struct Row {
    stage: String,
    verb: &'static str,
    state: State,
    /// Whether a run would run it.
    runs: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    calls: Option<Calls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    records: Option<u64>,
    /// In milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    ran: Option<u64>,
}

/// The calls of a stage that would run.
#[derive(Serialize)]
struct Calls {
    cached: u64,
    all: u64,
    /// True when answers to come may lead to more.
    at_least: bool,
}

/// Tells how the cache stands.
pub fn status(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match look(args, &pipe) {
        Ok(text) => {
            out(&text);
            ExitCode::SUCCESS
        }
        Err(fault) => bad(&[fault], &pipe.pipeline.sources),
    }
}

fn look(args: &Args, pipe: &Arc<Pipe>) -> Result<String, Diagnostic> {
    let store = Store::open_read(&args.common.settings.store)?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let last = latest(&store, pipe);
    let planned = plan::rows(pipe, &store, &survey)?;
    let needed = needed(&survey);
    let rows: Vec<Row> = planned
        .into_iter()
        .enumerate()
        .map(|(at, planned)| {
            let old = last.as_ref().and_then(|run| run.stages.get(&planned.stage));
            let output = survey.planned[at].output.as_ref();
            let calls = planned.calls.map(|calls| Calls {
                cached: calls.cached,
                all: calls.cached + calls.to_make,
                at_least: calls.at_least,
            });
            Row {
                state: state(pipe, &survey, last.as_ref(), at, needed[at]),
                runs: survey.planned[at].action == Action::Run,
                stage: planned.stage,
                verb: planned.verb,
                calls,
                records: output.map(|o| o.rows).or(old.and_then(|old| old.rows)),
                ran: old.and_then(|old| old.ran),
            }
        })
        .collect();
    warn(&store);
    let began = last.and_then(|run| run.facts);
    Ok(if args.json {
        let run = began.map(|facts| serde_json::json!(facts));
        format!("{}\n", serde_json::json!({"stages": rows, "last_run": run}))
    } else {
        let mut told = text(&rows);
        if let Some(facts) = began {
            let (words, when) = (facts.ended.words(), when(facts.began));
            told.push_str(&format!("last run: {when} UTC, {words}\n"));
        }
        told
    })
}

/// The stages that something is made of that is wanted for its own sake.
fn needed(survey: &Survey) -> Vec<bool> {
    let mut needed = vec![false; survey.nodes.len()];
    let mut open = survey.targets.clone();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut needed[at], true) {
            open.extend(survey.nodes[at].sources());
        }
    }
    needed
}

fn state(pipe: &Pipe, survey: &Survey, last: Option<&RunRecord>, at: usize, needed: bool) -> State {
    let (node, planned) = (&survey.nodes[at], &survey.planned[at]);
    match (needed, planned.fresh && node.heavy) {
        (false, false) => return State::NotNeeded,
        _ if planned.fresh => return State::Fresh,
        _ => {}
    }
    let old = last.and_then(|run| run.stages.get(&node.name));
    let same = old.is_some_and(|old| old.recipe == planned.recipe);
    let kept = node.heavy || node.sink;
    // What is not kept is made anew whenever it is needed.
    if !kept && (same || planned.action != Action::Run) {
        return State::Fresh;
    }
    // Its output is known, also if another run made it.
    let known = planned.output.is_some();
    match out_file(pipe, at).map(|path| path.exists()) {
        Some(true) if known => State::Altered,
        _ if known || (kept && same) => State::Missing,
        _ if old.is_none() => State::New,
        _ => State::Changed,
    }
}

fn text(rows: &[Row]) -> String {
    let mut lines = vec![
        [
            "STAGE",
            "VERB",
            "STATE",
            "CALLS",
            "RECORDS",
            "LAST RAN (UTC)",
        ]
        .map(str::to_owned),
    ];
    lines.extend(rows.iter().map(|row| {
        let calls = row.calls.as_ref().map(|calls| {
            let more = if calls.at_least { "+" } else { "" };
            format!(
                "{} of {}{more}",
                thousands(calls.cached),
                thousands(calls.all)
            )
        });
        [
            row.stage.clone(),
            row.verb.to_owned(),
            row.state.word().to_owned(),
            calls.unwrap_or_default(),
            row.records.map_or_else(String::new, thousands),
            row.ran.map_or_else(String::new, when),
        ]
    }));
    let width = |at: usize| {
        let cells = lines.iter().map(|line| line[at].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for [stage, verb, state, calls, records, ran] in &lines {
        let [a, b, c, d, e, _] = widths;
        let line = format!("{stage:a$}  {verb:b$}  {state:c$}  {calls:>d$}  {records:>e$}  {ran}");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let of = |state: State| rows.iter().filter(|row| row.state == state).count();
    let fresh = of(State::Fresh);
    let stages = count(rows.len() as u64, "stage");
    let others = [
        State::Changed,
        State::New,
        State::Missing,
        State::Altered,
        State::NotNeeded,
    ];
    let others = others.into_iter().filter(|state| of(*state) > 0);
    let mut parts = vec![format!("{fresh} of {stages} fresh")];
    parts.extend(others.map(|state| format!("{} {}", of(state), state.word())));
    text.push_str(&parts.join(", "));
    text.push('\n');
    text
}
