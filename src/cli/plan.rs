//! `clue plan` and `clue why`: what a run would do and why, with the number of calls that it
//! would make. Asks nobody and writes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::estimate::{self, Flags};
use super::rehearse::{Notes, rehearse};
use super::session::{Common, bad};
use super::show::stage;
use super::{out, warn};
use crate::diag::Diagnostic;
use crate::engine::history::{latest, new_records, reasons};
use crate::engine::pipe::Pipe;
use crate::engine::stock::Source;
use crate::engine::survey::{Survey, Wanted, survey};
use crate::plan::graph::{Action, Planned};
use crate::report::words::{self, about, thousands};
use crate::store::Store;

/// Arguments of `clue plan`.
#[derive(clap::Args)]
pub struct PlanArgs {
    #[command(flatten)]
    common: Common,
    /// Accepted as for `run`; a plan needs no consent
    #[arg(long, hide = true)]
    yes: bool,
    /// Plan only what this stage needs; may be given several times
    #[arg(long, value_name = "STAGE")]
    until: Vec<String>,
    /// Plan to run this stage again even though its output is known
    #[arg(long, value_name = "STAGE")]
    force: Vec<String>,
    #[command(flatten)]
    estimate: Flags,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Arguments of `clue why`.
#[derive(clap::Args)]
pub struct WhyArgs {
    #[command(flatten)]
    common: Common,
    /// The stage
    stage: String,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// A stage in the plan.
#[derive(Serialize)]
pub struct Row {
    /// Its name.
    pub stage: String,
    /// Its verb.
    pub verb: &'static str,
    action: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    why: Vec<String>,
    /// Its calls, if it asks and would run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<CallCount>,
}

/// The calls of a stage.
#[derive(Serialize)]
pub struct CallCount {
    /// Answers that are in the cache.
    pub cached: u64,
    /// Calls to make.
    pub to_make: u64,
    /// True when answers that are not there yet may lead to more.
    pub at_least: bool,
    /// Tokens of the prompts of calls to make, at four characters a token.
    prompt_tokens: u64,
    /// The most tokens that their answers may have; 0 if there is no limit.
    answer_tokens_at_most: u64,
}

/// Prints the plan.
pub fn plan(args: &PlanArgs) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    let looked = (|| {
        let wanted = Wanted {
            until: named(&pipe, &args.until)?,
            force: named(&pipe, &args.force)?,
            whole: named(&pipe, &args.until)?,
        };
        look(args, &pipe, &wanted)
    })();
    match looked {
        Ok(told) => {
            out(&told);
            ExitCode::SUCCESS
        }
        Err(fault) => bad(&[fault], &pipe.pipeline.sources),
    }
}

/// Prints why one stage would run.
pub fn why(args: &WhyArgs) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    let looked = (|| {
        let at = stage(&pipe, &args.stage)?;
        let store = Store::open_read(&args.common.settings.store)?;
        let survey = survey(&pipe, &store, &Wanted::default())?;
        let mut rows = rows(&pipe, &store, &survey)?;
        warn(&store);
        Ok(rows.swap_remove(at))
    })();
    match looked {
        Ok(row) => {
            out(&if args.json {
                format!("{}\n", serde_json::json!(row))
            } else {
                text(&[row])
            });
            ExitCode::SUCCESS
        }
        Err(fault) => bad(&[fault], &pipe.pipeline.sources),
    }
}

/// The stages of these names.
///
/// # Errors
/// One that is not there.
pub fn named(pipe: &Pipe, names: &[String]) -> Result<Vec<usize>, Diagnostic> {
    names.iter().map(|name| stage(pipe, name)).collect()
}

/// What there is to tell.
fn look(args: &PlanArgs, pipe: &Arc<Pipe>, wanted: &Wanted) -> Result<String, Diagnostic> {
    let store = Store::open_read(&args.common.settings.store)?;
    let survey = survey(pipe, &store, wanted)?;
    if args.estimate.estimate {
        let made = estimate::made(&args.estimate, pipe, &store, &survey)?;
        warn(&store);
        return Ok(match args.json {
            true => format!("{}\n", serde_json::json!(made)),
            false => estimate::text(&made),
        });
    }
    let rows = rows(pipe, &store, &survey)?;
    warn(&store);
    Ok(match args.json {
        true => format!("{}\n", serde_json::json!({ "stages": rows })),
        false => text(&rows),
    })
}

/// The plan of every stage.
///
/// # Errors
/// The rehearsal cannot start.
pub fn rows(pipe: &Arc<Pipe>, store: &Store, survey: &Survey) -> Result<Vec<Row>, Diagnostic> {
    let last = latest(store, pipe);
    let mut why = reasons(pipe, survey, store, last.as_ref());
    let asking = asking(survey);
    let notes = Notes::default();
    let (board, outcome) = rehearse(pipe, store, &asking, Source::Later, &notes)?;
    let behind = |at: usize| -> bool {
        // True when a stage before this one has answers to come.
        let mut open: Vec<usize> = survey.nodes[at].sources().collect();
        while let Some(i) = open.pop() {
            if outcome.stages[i].unanswered {
                return true;
            }
            open.extend(survey.nodes[i].sources());
        }
        false
    };
    let mut rows = Vec::new();
    for (at, node) in survey.nodes.iter().enumerate() {
        let planned = &survey.planned[at];
        let action = match planned.action {
            Action::Run => "run",
            Action::Read => "read",
            Action::Skip if planned.fresh => "cached",
            Action::Skip => "not needed",
        };
        let counted = node.asks && planned.action == Action::Run;
        let calls = counted.then(|| {
            let row = &board.stages[at];
            CallCount {
                cached: row.cached.get(),
                to_make: row.calls.get() - row.cached.get(),
                at_least: behind(at),
                prompt_tokens: row.prompt_tokens.get(),
                answer_tokens_at_most: row.answer_tokens.get(),
            }
        });
        if counted
            && let Some(old) = last.as_ref().and_then(|run| run.stages.get(&node.name))
            && let Some(new) = new_records(store, old, &outcome.stages[at].keys)
            && new > 0
        {
            why[at].push(format!("new upstream records: {new}"));
        }
        rows.push(Row {
            stage: node.name.clone(),
            verb: pipe.stages[at].verb.name(),
            action,
            why: if planned.action == Action::Run {
                std::mem::take(&mut why[at])
            } else {
                Vec::new()
            },
            calls,
        });
    }
    Ok(rows)
}

/// The same survey, planned for the stages that ask and would run: nothing else is worth
/// rehearsing.
fn asking(survey: &Survey) -> Survey {
    let targets: Vec<usize> = (0..survey.nodes.len())
        .filter(|at| survey.nodes[*at].asks && survey.planned[*at].action == Action::Run)
        .collect();
    let planned = restrict(survey, &targets);
    Survey {
        nodes: survey.nodes.clone(),
        planned,
        targets,
        whole: survey.whole.clone(),
        share: None,
    }
}

fn restrict(survey: &Survey, targets: &[usize]) -> Vec<Planned> {
    let mut needed = vec![false; survey.nodes.len()];
    let mut open = targets.to_vec();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut needed[at], true) && survey.planned[at].action == Action::Run {
            open.extend(survey.nodes[at].sources());
        }
    }
    let mut planned = survey.planned.clone();
    for (at, planned) in planned.iter_mut().enumerate() {
        if !needed[at] {
            planned.action = Action::Skip;
        }
    }
    planned
}

fn text(rows: &[Row]) -> String {
    let width = |part: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| part(row).chars().count());
        widths.max().unwrap_or(0)
    };
    let (names, verbs) = (width(|row| &row.stage), width(|row| row.verb));
    let mut text = String::new();
    let (mut calls, mut tokens, mut more) = (0, 0, false);
    for row in rows {
        let line = format!("{:names$}  {:verbs$}  {}", row.stage, row.verb, row.action);
        text.push_str(&line);
        if let Some(count) = &row.calls {
            let least = if count.at_least { "at least " } else { "" };
            text.push_str(&format!(
                ": {least}{} to make, {} cached, about {} tokens of prompts",
                words::count(count.to_make, "call"),
                thousands(count.cached),
                about(count.prompt_tokens)
            ));
            calls += count.to_make;
            tokens += count.prompt_tokens;
            more |= count.at_least;
        }
        text.push('\n');
        for why in &row.why {
            text.push_str(&format!("{:names$}    {why}\n", ""));
        }
    }
    let stages = |n: usize| words::count(n as u64, "stage");
    let runs = rows.iter().filter(|row| row.action == "run").count();
    text.push_str(&match (runs, calls) {
        (0, _) => "nothing to do\n".to_owned(),
        (_, 0) if !more => format!("{} to run, no calls to make\n", stages(runs)),
        _ => {
            let least = if more { "at least " } else { "" };
            format!(
                "{} to run, {least}{} to make, about {} tokens of prompts\n",
                stages(runs),
                words::count(calls, "call"),
                about(tokens)
            )
        }
    });
    text
}
