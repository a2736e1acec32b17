//! A bundle's models, asked again: how many of their answers are others today, and what that does
//! to the scores. As with every run of somebody else's pipeline, only with consent.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value as Json;
use tokio::sync::mpsc;

use super::super::codes::{INTERRUPTED, REFUSED};
use super::super::consent::{guarded, refuse};
use super::super::display::{Form, show};
use super::super::err;
use super::super::rehearse::{Notes, rehearse};
use super::super::run::listen;
use super::Ended;
use super::opened::Opened;
use super::rerun::Then;
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
use crate::model::serve::Place;
use crate::plan::graph::Action;
use crate::replay::cassette::Entry;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::page::{Found, Options, choose, gather};
use crate::share::bundle::hidden::HiddenCall;
use crate::store::Store;
use crate::trust::config::Config;
use crate::trust::gather::{files_of_server, files_of_stages, of_stages};
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

/// Answers of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// The stage.
    pub stage: String,
    /// The same.
    pub same: usize,
    /// Another.
    pub changed: usize,
    /// Not asked any more, or without an answer.
    pub gone: usize,
    /// Not asked then.
    pub new: usize,
}

/// A mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// What it is the mean of: the names of its group, and the metric.
    pub name: String,
    /// As it was.
    pub then: Option<f64>,
    /// As it is.
    pub now: Option<f64>,
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
    let root = store.root().to_owned();
    let place = |name: &str| {
        let dir = pipe.model_dir(name);
        let place = Place::new(dir, &root, &root.join("logs")).ok()?;
        let serve = pipe.models.get(name).and_then(|model| model.serve.as_ref());
        let files = serve.map(|serve| files_of_server(serve, dir, agreed));
        Some(Place {
            agreed: files.unwrap_or_default(),
            ..place
        })
    };
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

/// Compares answers: of the same call first, and then, as prompts may be made of other answers,
/// those about the same record, whatever was asked. A call about several records counts once.
fn compared(stage: &str, was: &[[String; 3]], now: &[[String; 3]]) -> Answers {
    let once = |all: &[[String; 3]]| -> BTreeMap<String, [String; 3]> {
        let all = all.iter().rev();
        all.map(|one| (one[1].clone(), one.clone())).collect()
    };
    let mut answers = Answers {
        stage: stage.to_owned(),
        ..Answers::default()
    };
    let (was, calls) = (once(was), once(now));
    // Of each record: answers to calls that were not made then.
    let mut left: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for [record, call, answer] in now.iter().filter(|[_, call, _]| !was.contains_key(call)) {
        left.entry(record).or_default().push((call, answer));
    }
    let mut met = HashSet::new();
    for (call, [record, _, then]) in &was {
        let of_record = left
            .get_mut(record.as_str())
            .filter(|left| !left.is_empty());
        match (calls.get(call), of_record) {
            (Some([.., now]), _) if now == then => answers.same += 1,
            (Some(_), _) => answers.changed += 1,
            (None, Some(left)) => {
                let same = left.iter().position(|(_, answer)| answer == then);
                met.insert(left.swap_remove(same.unwrap_or(0)).0);
                if same.is_some() {
                    answers.same += 1;
                } else {
                    answers.changed += 1;
                }
            }
            (None, None) => answers.gone += 1,
        }
    }
    let new = calls.keys().filter(|call| !was.contains_key(*call));
    answers.new = new.filter(|call| !met.contains(call.as_str())).count();
    answers
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
        timeless: true,
    };
    let report = gather(found, &options);
    let tables = report.overview.boards.iter().map(|board| {
        let mut told = serde_json::to_value(board).unwrap_or_default();
        told["stage"] = Json::from(&*pipe.stages[board.stage].spec.name.value);
        told
    });
    Ok(serde_json::json!({"tables": tables.collect::<Vec<_>>()}))
}

/// The means of two sets of tables, in the order of the first.
fn scores(then: &Json, now: &Json) -> Vec<Score> {
    let (then, now) = (means(then), means(now));
    let value = |all: &[(String, f64)], name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        found.map(|(_, mean)| *mean)
    };
    let mut names: Vec<&String> = then.iter().map(|(name, _)| name).collect();
    let new = now
        .iter()
        .map(|(name, _)| name)
        .filter(|name| value(&then, name).is_none());
    names.extend(new);
    let mut seen = HashSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(*name))
        .map(|name| Score {
            name: name.clone(),
            then: value(&then, name),
            now: value(&now, name),
        })
        .collect()
}

/// The means in tables, with the names of their groups.
fn means(results: &Json) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for table in results["tables"].as_array().into_iter().flatten() {
        let columns = table["columns"].as_array().map_or(&[][..], Vec::as_slice);
        let at = |name: &str| columns.iter().position(|column| column == name);
        let Some(mean) = at("mean").filter(|_| table["kind"] == "stats") else {
            continue;
        };
        let by = table["by"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let named: Vec<usize> = by.chain(["metric"]).filter_map(at).collect();
        for row in table["rows"].as_array().into_iter().flatten() {
            let names = named.iter().map(|at| match &row[*at] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            });
            let stage = table["stage"].as_str().unwrap_or_default().to_owned();
            let name: Vec<String> = std::iter::once(stage).chain(names).collect();
            if let Some(mean) = row[mean].as_f64() {
                found.push((name.join(" "), mean));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_compared_by_call_and_then_by_record() {
        let all = |text: &str| -> Vec<[String; 3]> {
            let one = |word: &str| [0, 1, 2].map(|at| word[at..=at].to_owned());
            text.split_whitespace().map(one).collect()
        };
        let counts = |was: &str, now: &str| {
            let found = compared("s", &all(was), &all(now));
            (found.same, found.changed, found.gone, found.new)
        };
        // Record, call, answer.
        assert_eq!(counts("1ax 2by", "1ax 2by"), (2, 0, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2bz"), (1, 1, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2cy"), (2, 0, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2cz"), (1, 1, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax"), (1, 0, 1, 0));
        assert_eq!(counts("1ax", "1ax 1bx 3dx"), (1, 0, 0, 2));
        assert_eq!(counts("1ax 1bx", "1cx"), (1, 0, 1, 0));
        // The same call about two records was kept once.
        assert_eq!(counts("1ax", "1ax 2ax"), (1, 0, 0, 0));
        // Two prompts have become one.
        assert_eq!(counts("1ax 2bx", "1cy 2cy"), (0, 2, 0, 0));
    }

    #[test]
    fn means_are_compared_by_the_names_of_their_groups() {
        let tables = |mean: f64| {
            json!({"tables": [
                {"stage": "r", "kind": "stats", "by": ["model"],
                 "columns": ["model", "metric", "n", "mean"],
                 "rows": [["m", "f1", 3, mean], ["k", "f1", 3, null]]},
                {"stage": "c", "kind": "compare", "by": [], "columns": ["mean"], "rows": [[1]]},
            ]})
        };
        let score = Score {
            name: "r m f1".to_owned(),
            then: Some(0.5),
            now: Some(0.25),
        };
        assert_eq!(scores(&tables(0.5), &tables(0.25)), [score]);
        assert_eq!(scores(&json!({}), &json!({"tables": 3})), []);
        let only = scores(&tables(0.5), &json!({}));
        assert_eq!((only[0].then, only[0].now), (Some(0.5), None));
    }
}
