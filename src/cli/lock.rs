//! `clue lock`: writes down what a run is made of and what came out, or compares that with what
//! was written. Asks servers only with `--live`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::codes::FAILED;
use super::consent::allowed;
use super::free::free;
use super::locked::{Facts, differences, facts, outputs, tell};
use super::session::{Common, bad, color, refuse};
use super::{err, out, warn};
use crate::diag::{Diagnostic, Sources};
use crate::engine::keep::OutFile;
use crate::engine::pipe::Pipe;
use crate::engine::survey::{Survey, Wanted, out_file, survey};
use crate::model::client::Client;
use crate::model::spec::ModelSpec;
use crate::model::told::Served;
use crate::report::words::{count, thousands};
use crate::share::differ::{Results, results};
use crate::share::gather;
use crate::share::lock::{Lock, beside};
use crate::store::Store;
use crate::trust::gather::of_models;

/// Arguments of `clue lock`.
#[derive(clap::Args)]
#[command(after_help = "\
The lock holds hashes of files, the values of params, and what models are called: no records, no
addresses, no dates. Params are never secrets: name those with `key_env`. It is the same to the byte
wherever the same files are run. Outputs are in it as far as they are in the cache: run first.
Exit codes of `--check`: 0 nothing differs; 1 something does; 2 bad input or no lock.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The lock [default: the pipeline's file, ending in .lock]
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Write nothing: compare with the lock that is there
    #[arg(long)]
    check: bool,
    /// Ask servers that run now what they are, not only the record of earlier runs
    #[arg(long, conflicts_with = "check")]
    live: bool,
    /// Allow the hosts that the pipeline names, for `--live`
    #[arg(long)]
    yes: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Writes or checks a lock.
pub fn lock(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => pipe,
        Err(code) => return code,
    };
    let path = args.lock.clone();
    let path = path.unwrap_or_else(|| beside(&args.common.file));
    let done = if args.check {
        check(args, &pipe, &path)
    } else {
        write(args, &pipe, &path)
    };
    match done {
        Ok(code) => code,
        Err(fault) => bad(&[*fault], &pipe.pipeline.sources),
    }
}

fn write(args: &Args, pipe: &Pipe, path: &Path) -> Result<ExitCode, Box<Diagnostic>> {
    free(pipe, &args.common.settings, path)?;
    let store = Store::open_read(&args.common.settings.store)?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let mut served = match live(args, pipe) {
        Ok(served) => served,
        Err(code) => return Ok(code),
    };
    served.extend(gather::served(&store));
    let lock = facts(
        &args.common.settings,
        pipe,
        &survey,
        &store,
        &Facts::Counted(&served),
    )?;
    let text = lock.text();
    let same = std::fs::read(path).is_ok_and(|old| old == text.as_bytes());
    if !same {
        let mut file = OutFile::create(path)?;
        file.write(text.as_bytes())?;
        file.finish()?;
    }
    warn(&store);
    if args.json {
        out(&format!(
            "{}\n",
            serde_json::json!({"lock": path, "unchanged": same, "holds": lock})
        ));
        return Ok(ExitCode::SUCCESS);
    }
    let kept = survey.nodes.iter().filter(|node| node.heavy || node.sink);
    out(&summary(&lock, path, same, kept.count()));
    for line in doubts(pipe, &survey) {
        err(&format!("warning: {line}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(lock: &Lock, path: &Path, same: bool, kept: usize) -> String {
    let records: u64 = lock.inputs.values().filter_map(|input| input.records).sum();
    let with = match records {
        0 => String::new(),
        records => format!(" ({})", count(records, "record")),
    };
    let n = |len: usize, noun: &str| count(len as u64, noun);
    let word = if same { "unchanged" } else { "written" };
    let params = lock.params.len() + lock.paths.len();
    format!(
        "{word}: {} ({}, {}, {}{with}, {}, {}, {}, {} of {})\n",
        path.display(),
        n(lock.files.len(), "pipeline file"),
        n(lock.prompts.len(), "prompt"),
        n(lock.inputs.len(), "input"),
        n(params, "param"),
        n(lock.models.len(), "model"),
        n(lock.stages.len(), "stage"),
        thousands(lock.results() as u64),
        n(kept, "output"),
    )
}

/// What a user may want to know before trusting the outputs that a lock holds.
fn doubts(pipe: &Pipe, survey: &Survey) -> Vec<String> {
    let kept = |at: &usize| survey.nodes[*at].heavy || survey.nodes[*at].sink;
    let kept: Vec<usize> = (0..survey.nodes.len()).filter(kept).collect();
    let unknown = kept
        .iter()
        .filter(|at| survey.planned[**at].output.is_none());
    let unknown = unknown.count();
    let mut lines = Vec::new();
    if unknown > 0 {
        lines.push(format!(
            "of {} the cache does not know the output: run the pipeline, then lock it again",
            match kept.len() {
                all if all == unknown => "all stages".to_owned(),
                _ => count(unknown as u64, "stage"),
            }
        ));
    }
    for at in kept {
        let planned = &survey.planned[at];
        let there = out_file(pipe, at).filter(|path| path.is_file());
        if let Some(path) = there.filter(|_| planned.output.is_some() && !planned.fresh) {
            lines.push(format!(
                "{} is not what was written there: the lock holds what was",
                path.display()
            ));
        }
    }
    lines
}

/// What servers that run now say of themselves.
fn live(args: &Args, pipe: &Pipe) -> Result<Vec<Served>, ExitCode> {
    if !args.live {
        return Ok(Vec::new());
    }
    let models: Vec<&ModelSpec> = pipe.models.values().map(|model| &**model).collect();
    let (started, running): (Vec<&ModelSpec>, Vec<&ModelSpec>) =
        models.into_iter().partition(|model| model.serve.is_some());
    let needs = of_models(pipe, running.iter().copied());
    allowed(&args.common, needs, args.yes, "lock")?;
    for model in started {
        let name = &model.name;
        err(&format!(
            "the server of model `{name}` is started by runs: what it is comes from their record\n"
        ));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| refuse(&Diagnostic::error(format!("cannot start: {error}"))))?;
    let mut served = Vec::new();
    for model in running {
        let client = Client::new(model).map_err(|fault| bad(&[fault], &pipe.pipeline.sources))?;
        match runtime.block_on(Served::by(model, &client)) {
            Some(told) => served.push(told),
            None => err(&format!(
                "warning: the server of model `{}` does not say what it is\n",
                model.name
            )),
        }
    }
    Ok(served)
}

fn check(args: &Args, pipe: &Pipe, path: &Path) -> Result<ExitCode, Box<Diagnostic>> {
    let mut sources = Sources::default();
    let lock = match Lock::read(path, &mut sources) {
        Ok(lock) => lock,
        Err(fault) => return Ok(bad(&[fault], &sources)),
    };
    let store = Store::open_read(&args.common.settings.store)?;
    let survey = survey(pipe, &store, &Wanted::default())?;
    let now = facts(&args.common.settings, pipe, &survey, &store, &Facts::Plain)?;
    let found = differences(&lock, &now, pipe, &store);
    // With other inputs, other outputs are no news.
    let results = if found.wrong.is_empty() {
        let known = survey.planned.iter().map(|planned| planned.output.as_ref());
        results(&lock, outputs(pipe, known))
    } else {
        Results::default()
    };
    let good = found.wrong.is_empty() && results.differ.is_empty();
    if args.json {
        out(&format!(
            "{}\n",
            serde_json::json!({"lock": path, "same": good, "differ": found, "outputs": results})
        ));
    } else {
        tell(&found.odd);
        let shown = path.display();
        if good {
            out(&format!(
                "nothing differs from {shown}; of its outputs, {} are in the cache\n",
                thousands(results.same as u64)
            ));
        } else {
            let all = found.wrong.iter().chain(&results.differ);
            let notes = all.map(|other| other.what.clone());
            let fault = Diagnostic::error(format!("this is not what `{shown}` says"));
            let fault = notes.fold(fault, Diagnostic::note);
            err(&format!("{}\n", fault.render(&sources, color())));
        }
    }
    Ok(ExitCode::from(if good { 0 } else { FAILED }))
}
