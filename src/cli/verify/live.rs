//! A bundle's models, asked again: how many of their answers are others today, and what that does
//! to the scores. As with every run of somebody else's pipeline, only with consent.

use std::collections::HashSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::Ended;
use super::opened::Opened;
use super::rerun::Then;
use crate::cli::codes::{INTERRUPTED, REFUSED};
use crate::cli::consent::{guarded, refuse};
use crate::cli::display::{Form, show};
use crate::cli::err;
use crate::cli::rehearse::{Notes, rehearse};
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
use crate::report::page::{Found, Lives, Options, Salting, choose, gather};
use crate::share::bundle::again::{Answers, Score, compared, scores};
use crate::share::bundle::hidden::HiddenCall;
use crate::share::bundle::salt::Salt;
use crate::store::Store;
use crate::trust::config::Config;
use crate::trust::gather::{files_of_stages, of_stages};
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
}

/// Asks them.
///
/// # Errors
/// The run cannot begin, or the user does not allow it.
pub fn live(
    opened: &Opened,
    then: &Then<'_>,
    calls: &[Entry],
    results: Option<&Json>,
    asked: &Asked<'_>,
) -> Result<Live, Ended> {
    let pipe = &opened.pipe;
    let store = Store::open(asked.folder.join("live"))?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let runs = |at: &usize| survey.planned[*at].action == Action::Run;
    let running: Vec<usize> = (0..pipe.stages.len()).filter(runs).collect();
    refuse(pipe, &outside(pipe, true)).map_err(Ended::Code)?;
    guarded(pipe, running.iter().copied(), asked.config).map_err(Ended::Code)?;
    let needs = of_stages(pipe, running);
    if !asked.yes && !needs.is_empty() {
        err(&format!(
            "asking again needs your consent, because it would\n{}allow it with `--yes`\n",
            render(&needs)
        ));
        return Err(Ended::Code(ExitCode::from(REFUSED)));
    }
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
            let boards = boards(pipe, &store, then)?;
            scores(results, &boards)
        }
        None => Vec::new(),
    };
    Ok(Live {
        stages,
        failed: outcome.failures.len(),
        scores,
    })
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

/// The tables of results as they are now, in the form in which bundles hold them.
fn boards(pipe: &Arc<Pipe>, store: &Store, then: &Then<'_>) -> Result<Json, Diagnostic> {
    let known = survey(pipe, store, &Wanted::default())?;
    let choice = choose(pipe, &known, true);
    let notes = Notes {
        ledger: Arc::new(Ledger::new(Depth::Nothing)),
        taps: Arc::new(Taps::new(choice.taps())),
    };
    let (board, outcome) = rehearse(pipe, store, &choice.survey, Source::Nowhere, &notes)?;
    let taken: Vec<usize> = choice.taps().collect();
    let found = Found {
        lives: Lives::default(),
        pipe,
        known: &known,
        choice: &choice,
        board: &board,
        outcome: &outcome,
        records: taken.iter().map(|at| (*at, notes.taps.take(*at))).collect(),
        calls: Vec::new(),
        runs: Vec::new(),
        errors: Vec::new(),
    };
    let options = Options {
        sensitive: then.open,
        limit: 0,
        live: false,
        timeless: true,
        salting: Salting::With(then.salt.map(Salt::of_page)),
    };
    let report = gather(found, &options);
    let tables = report.overview.boards.iter().map(|board| {
        let mut told = serde_json::to_value(board).unwrap_or_default();
        told["stage"] = Json::from(&*pipe.stages[board.stage].spec.name.value);
        told
    });
    Ok(serde_json::json!({"tables": tables.collect::<Vec<_>>()}))
}
