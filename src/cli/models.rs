//! `clue models check`: can the models of a pipeline be asked? Starts the servers that the
//! pipeline says how to start, and ends them.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Serialize;

use super::codes::FAILED;
use super::consent::allowed;
use super::session::{Common, bad};
use super::{err, out};
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::model::probe::{Finding, State, probe};
use crate::model::reach::ways;
use crate::model::serve::{Place, Server};
use crate::model::spec::{ApiKind, ModelSpec};
use crate::store::Store;
use crate::trust::gather::{files_of_server, of_models};
use crate::trust::need::Need;

/// The commands.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Ask each model of a pipeline for a word, and say what is wrong
    Check(Args),
}

/// Arguments of `clue models check`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Only these models
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// Allow the programs and hosts that the pipeline names, for this check
    #[arg(long)]
    yes: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// A model, and what was found.
#[derive(Serialize)]
struct Row<'a> {
    /// Its names in the pipeline; instances of a pipeline may name the same model.
    models: Vec<&'a str>,
    api: ApiKind,
    hosts: Vec<String>,
    ready: bool,
    checks: Vec<Finding>,
}

/// Runs a command.
pub fn models(command: &Command) -> ExitCode {
    let Command::Check(args) = command;
    let pipe = match args.common.pipe() {
        Ok(pipe) => pipe,
        Err(code) => return code,
    };
    match checked(args, &pipe) {
        Ok(code) => code,
        Err(fault) => bad(&[*fault], &pipe.pipeline.sources),
    }
}

fn checked(args: &Args, pipe: &Pipe) -> Result<ExitCode, Box<Diagnostic>> {
    let wanted = wanted(pipe, &args.models)?;
    let models = wanted.iter().map(|(_, model, _)| &**model);
    let needs = of_models(pipe, models);
    if let Err(code) = allowed(&args.common, needs.clone(), args.yes, "check") {
        return Ok(code);
    }
    // Set-ups of servers live in the cache; whoever starts none needs none.
    let serves = wanted.iter().any(|(_, model, _)| model.serve.is_some());
    let store = serves.then(|| Store::open(&args.common.settings.store));
    let store = store.transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Diagnostic::error(format!("cannot start: {error}")))?;
    let mut rows = Vec::new();
    for (names, model, dir) in wanted {
        let checks = runtime.block_on(look(&model, dir, store.as_ref(), &needs));
        let row = Row {
            models: names,
            api: model.api(),
            hosts: hosts(&model),
            ready: checks.iter().all(|found| found.state != State::Wrong),
            checks,
        };
        if !args.json {
            out(&text(&row));
        }
        rows.push(row);
    }
    let ready = rows.iter().all(|row| row.ready);
    if args.json {
        out(&format!(
            "{}\n",
            serde_json::json!({"ready": ready, "models": rows})
        ));
    }
    Ok(ExitCode::from(if ready { 0 } else { FAILED }))
}

/// The machines that it is asked on, each once.
fn hosts(model: &ModelSpec) -> Vec<String> {
    let mut hosts: Vec<String> = Vec::new();
    for way in ways(model) {
        if !hosts.contains(&way.host) {
            hosts.push(way.host);
        }
    }
    hosts
}

/// The names of a model, the model, and the folder that its paths start from.
type Wanted<'a> = (Vec<&'a str>, Arc<ModelSpec>, &'a Path);

/// The models to look at; equal ones are one.
fn wanted<'a>(pipe: &'a Pipe, names: &[String]) -> Result<Vec<Wanted<'a>>, Diagnostic> {
    if pipe.models.is_empty() {
        return Err(Diagnostic::error("the pipeline names no models"));
    }
    for name in names {
        if !pipe.models.contains_key(name) {
            let known = pipe.models.keys().map(String::as_str);
            return Err(Diagnostic::error(format!("no model `{name}`")).suggest(name, known));
        }
    }
    let mut all: Vec<Wanted<'a>> = Vec::new();
    for entry in &pipe.pipeline.models {
        let name = &entry.name.value;
        let asked = names.is_empty() || names.contains(name);
        let Some(model) = pipe.models.get(name).filter(|_| asked) else {
            continue;
        };
        let dir = pipe.model_dir(name);
        // Their own names are all that may differ.
        let same = |other: &ModelSpec| {
            let name = model.name.clone();
            let other = other.clone();
            ModelSpec { name, ..other } == **model
        };
        match all.iter_mut().find(|(_, m, d)| *d == dir && same(m)) {
            Some((names, ..)) => names.push(name),
            None => all.push((vec![name], model.clone(), dir)),
        }
    }
    Ok(all)
}

/// Looks at one model, with its server started if it has one.
async fn look(
    model: &ModelSpec,
    dir: &Path,
    store: Option<&Store>,
    needs: &[Need],
) -> Vec<Finding> {
    let Some(store) = store.filter(|_| model.serve.is_some()) else {
        let mut found = Vec::new();
        for url in model.urls() {
            found.extend(probe(&model.with_url(url)).await);
        }
        return found;
    };
    let say = |line: String| err(&format!("{line}\n"));
    let started = match Place::new(dir, store.root(), &store.root().join("logs")) {
        Ok(mut place) => {
            let serve = model.serve.iter();
            place.agreed = serve
                .flat_map(|serve| files_of_server(serve, dir, needs))
                .collect();
            Server::start(model, &place, &say).await
        }
        Err(why) => Err(Diagnostic::error(format!(
            "no folder to start it in: {why}"
        ))),
    };
    match started {
        Ok(Some(server)) => {
            let found = probe(&model.with_url(&server.url)).await;
            server.stop().await;
            found
        }
        Ok(None) => probe(model).await,
        Err(fault) => {
            let mut what = fault.message;
            for note in fault.notes {
                let _ = write!(what, "; {note}");
            }
            vec![Finding::wrong("server", what, fault.help)]
        }
    }
}

/// What was found, for people.
fn text(row: &Row<'_>) -> String {
    let mut text = String::new();
    let api = serde_json::to_value(row.api).unwrap_or_default();
    let _ = writeln!(
        text,
        "{}: {} (api: {})",
        row.models.join(", "),
        if row.ready { "ready" } else { "not ready" },
        api.as_str().unwrap_or_default(),
    );
    for found in &row.checks {
        let state = match found.state {
            State::Good => "good",
            State::Note => "note",
            State::Wrong => "WRONG",
        };
        let _ = writeln!(text, "  {:<10}  {state:<5}  {}", found.check, found.what);
        if let Some(mend) = &found.mend {
            let _ = writeln!(text, "  {:<10}  {:<5}  -> {mend}", "", "");
        }
    }
    text
}
