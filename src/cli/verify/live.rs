//! A bundle's models, asked again: how many of their answers are others today, and what that does
//! to the scores. As with every run of somebody else's pipeline, only with consent.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::mpsc;

use super::Ended;
use super::opened::Opened;
use super::rerun::Then;
use super::results::tables;
use crate::cli::codes::{INTERRUPTED, REFUSED};
use crate::cli::consent::{guarded, refuse};
use crate::cli::display::{Form, show};
use crate::cli::err;
use crate::cli::run::listen;
use crate::cli::served::place;
use crate::diag::Diagnostic;
use crate::engine::calls::{Calls, Means};
use crate::engine::halt::{Halt, Reason};
use crate::engine::keep::Failures;
use crate::engine::pipe::Pipe;
use crate::engine::run::{Outcome, board, run as execute};
use crate::engine::stock::{Source, Stock};
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::engine::worker::Shop;
use crate::plan::graph::Action;
use crate::replay::cassette::Entry;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::page::open_ended;
use crate::share::bundle::again::{Answers, Score, compared, scores};
use crate::share::bundle::hidden::HiddenCall;
use crate::share::bundle::results::Results;
use crate::store::Store;
use crate::text::visible::plain as shown;
use crate::trust::config::Config;
use crate::trust::gather::{files_of_stages, of_models, of_stages};
use crate::trust::need::{Need, render};
use crate::trust::outputs::outside;

/// How the models are asked.
pub struct Asked<'a> {
    /// The user allows what the bundle names.
    pub yes: bool,
    /// Progress is not shown.
    pub json: bool,
    /// The user's configuration.
    pub config: &'a Config,
    /// For what is only needed now.
    pub folder: &'a Path,
}

/// What the models say today.
#[derive(Debug, Serialize)]
pub struct Live {
    /// Answers by stage.
    pub stages: Vec<Answers>,
    /// Records that failed.
    pub failed: usize,
    /// Means, as they were and as they are.
    pub scores: Vec<Score>,
    /// How many answers were compared.
    pub compared: usize,
    /// True if those, and the means, are as they were.
    pub agrees: bool,
}

/// Asks them.
///
/// # Errors
/// The run cannot begin, or the user does not allow it.
pub fn live(
    opened: &Opened,
    then: &Then<'_>,
    calls: &[Entry],
    results: Option<&Results>,
    asked: &Asked<'_>,
) -> Result<Live, Ended> {
    let pipe = &opened.pipe;
    let store = Store::open(asked.folder.join("live"))?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let running: Vec<usize> = (0..pipe.stages.len()).filter(runs).collect();
    refuse(pipe, &outside(pipe, true)).map_err(Ended::Code)?;
    guarded(pipe, running.iter().copied(), asked.config).map_err(Ended::Code)?;
    if !asked.yes {
        consent(opened, &running)?;
    }
    let needs = of_stages(pipe, running);
    let ledger = Arc::new(Ledger::new(Depth::Calls));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let outcome = runtime.block_on(run(pipe, &store, &survey, &needs, &ledger, asked));
    runtime.shutdown_background();
    if matches!(outcome.stopped, Some(Reason::Interrupted)) {
        return Err(Ended::Code(ExitCode::from(INTERRUPTED)));
    }
    if let Some(fault) = outcome.faults.first() {
        return Err(Ended::Fault(Box::new(fault.clone())));
    }
    let names: Vec<&str> = pipe.stages.iter().map(|s| &*s.spec.name.value).collect();
    let now = ledger.take_all(&names);
    let hidden: HashSet<&str> = then.hidden.iter().map(|call| call.stage.as_str()).collect();
    let mut stages = Vec::new();
    for &at in &pipe.order {
        let name = names[at];
        let now = now.iter().filter(|entry| entry.stage == name);
        let now: Vec<[String; 3]> = match then.salt.filter(|_| hidden.contains(name)) {
            Some(salt) => now
                .map(|entry| marked(&HiddenCall::of(entry, salt)))
                .collect(),
            None if hidden.contains(name) => continue,
            None => now.map(plain).collect(),
        };
        let open = calls.iter().filter(|entry| entry.stage == name).map(plain);
        let secret = then
            .hidden
            .iter()
            .filter(|call| call.stage == name)
            .map(marked);
        let was: Vec<[String; 3]> = open.chain(secret).collect();
        if !was.is_empty() || !now.is_empty() {
            stages.push(compared(name, &was, &now));
        }
    }
    let scores = match results {
        Some(results) => {
            let now = tables(pipe, &store, then, then.open)?;
            scores(results, &now.results)
        }
        None => Vec::new(),
    };
    let failed = outcome.failures.len();
    let compared = stages.iter().map(|stage| stage.same + stage.changed).sum();
    // How many calls are made ahead of a reader that has enough is chance.
    let open = open_ended(pipe);
    let ahead = |name: &str| pipe.find(name).is_some_and(|at| open[at]);
    let as_it_was = |a: &Answers| a.changed == 0 && (ahead(&a.stage) || a.gone + a.new == 0);
    let means_are = scores.iter().all(|score| score.then == score.now);
    Ok(Live {
        agrees: compared > 0 && failed == 0 && means_are && stages.iter().all(as_it_was),
        compared,
        failed,
        stages,
        scores,
    })
}

/// Goes on if nothing needs the user's consent. What programs would be is not looked at here: that
/// would open the files that they name.
fn consent(opened: &Opened, running: &[usize]) -> Result<(), Ended> {
    let pipe = &opened.pipe;
    let mut lines = BTreeSet::new();
    let mut own = Vec::new();
    for (stage, lack) in &opened.removed {
        let need = lack.need();
        lines.extend(need.map(|need| format!("  {need}   (stage `{}`)\n", shown(stage))));
    }
    for &at in running {
        let stage = &pipe.stages[at];
        if stage.verb.name() == "exec" {
            let name = shown(&stage.spec.name.value);
            lines.insert(format!("  run a program   (stage `{name}`)\n"));
        }
        for model in pipe.asked(at) {
            if model.serve.is_some() {
                let name = shown(&model.name);
                lines.insert(format!("  start a server   (model `{name}`)\n"));
            } else {
                own.push(model);
            }
        }
    }
    let needs = of_models(pipe, own.iter().map(|model| &**model));
    if lines.is_empty() && needs.is_empty() {
        return Ok(());
    }
    let lines: String = lines.into_iter().collect();
    err(&format!(
        "asking again needs your consent, because it would\n{lines}{}allow it with `--yes`\n",
        render(&needs)
    ));
    Err(Ended::Code(ExitCode::from(REFUSED)))
}

async fn run(
    pipe: &Arc<Pipe>,
    store: &Store,
    survey: &Survey,
    agreed: &[Need],
    ledger: &Arc<Ledger>,
    asked: &Asked<'_>,
) -> Outcome {
    let (events, told) = mpsc::unbounded_channel();
    let board = Arc::new(board(pipe, survey));
    let halt = Halt::default();
    listen(&halt, &events);
    let form = Form::choose(false, asked.json);
    let display = tokio::spawn(show(form, board.clone(), told));
    let place = |name: &str| place(pipe, name, store.root(), agreed, None);
    let stock = Stock::new(store, Source::Models, ledger.clone());
    let means = Means::default();
    let calls = Arc::new(Calls::new(
        &pipe.models,
        place,
        store,
        &halt,
        &events,
        means,
        stock,
    ));
    let shop = Shop {
        pipe: pipe.clone(),
        store: store.clone(),
        calls: calls.clone(),
        board,
        events: events.clone(),
        halt,
        failures: Arc::new(Failures::default()),
        taps: Arc::new(Taps::default()),
        agreed: Arc::new(files_of_stages(pipe, agreed)),
        dry: false,
    };
    let outcome = execute(&shop, survey).await;
    // Whoever tells events has to be gone for the display to end.
    drop((shop, calls, events));
    let _ = tokio::time::timeout(std::time::Duration::from_secs(1), display).await;
    outcome
}

/// Record, call, answer.
fn plain(entry: &Entry) -> [String; 3] {
    let call = entry.call.to_string();
    [entry.record.clone(), call, entry.reply.text.clone()]
}

fn marked(call: &HiddenCall) -> [String; 3] {
    [call.record.clone(), call.call.clone(), call.reply.clone()]
}
