//! `clue trace`: one record's life, from the cache alone. The pipeline is gone through twice: for
//! who was made of whom, by keys alone, and then for the records of that family.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::out;
use super::rehearse::{Notes, rehearse};
use super::report::errors;
use super::session::{Common, bad};
use super::show::stage;
use crate::diag::{Diagnostic, nearest};
use crate::engine::board::State;
use crate::engine::history::{latest, params};
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::stock::Source;
use crate::engine::survey::{Survey, Wanted, survey};
use crate::engine::taps::Taps;
use crate::plan::graph::Action;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::life::{Family, Found, Graph, Life, Look, gather, text};
use crate::store::Store;

/// Keys that are suggested for one that is not there.
const NEAR: usize = 3;

/// Arguments of `clue trace`.
#[derive(clap::Args)]
#[command(after_help = "\
It is made of the cache, and asks nobody: give the params of the run. Like `show`, it prints records
as they are.")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// The record's key, in any stage
    key: String,
    /// Only the record with this key in this stage
    #[arg(long, value_name = "STAGE")]
    stage: Option<String>,
    /// Show texts as long as they are
    #[arg(long)]
    full: bool,
    /// Tell it as JSON
    #[arg(long)]
    json: bool,
}

/// Tells a record's life.
pub fn trace(args: &Args) -> ExitCode {
    let pipe = match args.common.pipe() {
        Ok(pipe) => Arc::new(pipe),
        Err(code) => return code,
    };
    match found(args, &pipe) {
        Ok(life) if args.json => {
            out(&format!("{}\n", serde_json::json!(life)));
            ExitCode::SUCCESS
        }
        Ok(life) => {
            out(&text(&life, Look { full: args.full }));
            ExitCode::SUCCESS
        }
        Err(fault) => bad(&[fault], &pipe.pipeline.sources),
    }
}

fn found(args: &Args, pipe: &Arc<Pipe>) -> Result<Life, Diagnostic> {
    let only = args.stage.as_deref().map(|name| stage(pipe, name));
    let only = only.transpose()?;
    let store = Store::open_read(&args.common.settings.store)?;
    let known = survey(pipe, &store, &Wanted::default())?;
    let mut all = whole(&known);
    if let Some(at) = only {
        let around = around(&all, at);
        all = restricted(&all, around);
    }
    let mut first = tracing(pipe, &store, &all)?;
    // What cannot be answered again, but is there, is read.
    let lacks = |at: &usize| first.1.stages[*at].unanswered && can_be_read(&known, *at);
    let again: Vec<usize> = (0..known.nodes.len()).filter(lacks).collect();
    if !again.is_empty() {
        for at in again {
            all.planned[at].action = Action::Read;
        }
        first = tracing(pipe, &store, &all)?;
    }
    let (notes, outcome) = first;
    let graph = Graph::of(pipe, &all, &notes.taps);
    let family = graph.family(&args.key, only);
    let family = family.ok_or_else(|| unknown(args, &graph, only, &outcome))?;
    let missed = notes.ledger.missed().into_iter();
    let missed = missed.map(|call| (call.stage, call.record)).collect();
    told(
        args,
        pipe,
        &store,
        &all,
        Traced {
            graph,
            family,
            missed,
            outcome,
        },
    )
}

/// What the first time through told.
struct Traced {
    graph: Graph,
    family: Family,
    missed: HashSet<(String, String)>,
    outcome: Outcome,
}

fn can_be_read(known: &Survey, at: usize) -> bool {
    known.nodes[at].heavy && known.planned[at].fresh
}

/// Everything is gone through, to its end, whether a run would need it or not: calls for their
/// prompts, too. What is expensive and asks nobody is read.
fn whole(known: &Survey) -> Survey {
    let mut planned = known.planned.clone();
    for (at, planned) in planned.iter_mut().enumerate() {
        planned.action = if can_be_read(known, at) && !known.nodes[at].asks {
            Action::Read
        } else {
            Action::Run
        };
    }
    Survey {
        nodes: known.nodes.clone(),
        planned,
        targets: known.targets.clone(),
        whole: (0..known.nodes.len()).collect(),
        share: None,
    }
}

/// A stage, and all that reads what is made of its records.
fn around(all: &Survey, at: usize) -> Vec<usize> {
    let mut found = vec![false; all.nodes.len()];
    let mut open = vec![at];
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut found[at], true) {
            let readers = (0..all.nodes.len()).filter(|r| all.nodes[*r].inputs.contains(&at));
            open.extend(readers);
        }
    }
    (0..all.nodes.len()).filter(|at| found[*at]).collect()
}

/// The same plan, of these stages and what they need.
fn restricted(all: &Survey, wanted: Vec<usize>) -> Survey {
    let mut needed = vec![false; all.nodes.len()];
    let mut open = wanted.clone();
    while let Some(at) = open.pop() {
        if !std::mem::replace(&mut needed[at], true) && all.planned[at].action == Action::Run {
            open.extend(all.nodes[at].sources());
        }
    }
    let mut planned = all.planned.clone();
    for (at, planned) in planned.iter_mut().enumerate() {
        if !needed[at] {
            planned.action = Action::Skip;
        }
    }
    Survey {
        nodes: all.nodes.clone(),
        planned,
        targets: wanted,
        whole: all.whole.clone(),
        share: None,
    }
}

fn tracing(pipe: &Arc<Pipe>, store: &Store, all: &Survey) -> Result<(Notes, Outcome), Diagnostic> {
    let notes = Notes {
        ledger: Arc::new(Ledger::new(Depth::Missing)),
        taps: Arc::new(Taps::tracing(pipe.stages.len())),
    };
    let (_, outcome) = rehearse(pipe, store, all, Source::Nowhere, &notes)?;
    Ok((notes, outcome))
}

/// Goes through it again for the family's records and calls.
fn told(
    args: &Args,
    pipe: &Arc<Pipe>,
    store: &Store,
    all: &Survey,
    traced: Traced,
) -> Result<Life, Diagnostic> {
    let Traced {
        graph,
        family,
        missed,
        outcome,
    } = traced;
    let wanted: BTreeMap<usize, HashSet<Key>> = family.all();
    let notes = Notes {
        ledger: Arc::new(Ledger::about(Depth::Calls, about(pipe, &wanted))),
        taps: Arc::new(Taps::only(wanted.clone())),
    };
    // Who read them may have asked about them, and made nothing of it.
    let reads = |at: &usize| {
        let mut inputs = pipe.stages[*at].inputs.iter();
        wanted.contains_key(at) || inputs.any(|from| wanted.contains_key(from))
    };
    let needed = (0..pipe.stages.len()).filter(reads).collect();
    let again = restricted(all, needed);
    rehearse(pipe, store, &again, Source::Nowhere, &notes)?;
    let mut records = HashMap::new();
    for at in wanted.keys() {
        for record in notes.taps.take(*at) {
            records.insert((*at, record.key.clone()), record);
        }
    }
    let names: Vec<&str> = pipe
        .stages
        .iter()
        .map(|s| s.spec.name.value.as_str())
        .collect();
    let list = pipe.folders.out.join("errors.jsonl");
    let listed = errors(&list);
    let mut life = gather(
        &args.key,
        Found {
            pipe,
            graph: &graph,
            family: &family,
            records,
            calls: notes.ledger.take_all(&names),
            failures: &outcome.failures,
            listed: &listed,
            of_last: is_of_last(pipe, store, &list),
            missed,
            partial: outcome
                .stages
                .iter()
                .map(|stage| stage.unanswered)
                .collect(),
            broken: broken(&outcome),
        },
    );
    let broken = broken(&outcome);
    let broken = names.iter().zip(&broken).filter(|(_, broken)| **broken);
    let broken: Vec<String> = broken.map(|(name, _)| format!("`{name}`")).collect();
    if !broken.is_empty() {
        let what = format!("what could not be gone through: {}", broken.join(", "));
        let faults = outcome.faults.iter().map(|fault| fault.message.clone());
        life.notes.push(what);
        life.notes.extend(faults);
    }
    Ok(life)
}

/// The stages that broke off.
fn broken(outcome: &Outcome) -> Vec<bool> {
    let stages = outcome.stages.iter();
    stages.map(|stage| stage.state == State::Broken).collect()
}

/// The records that stages may have asked about: those that they read.
fn about(pipe: &Pipe, wanted: &BTreeMap<usize, HashSet<Key>>) -> HashMap<String, HashSet<String>> {
    let stages = pipe.stages.iter().map(|stage| {
        let read = stage.inputs.iter().filter_map(|from| wanted.get(from));
        let keys = read.flatten().map(ToString::to_string);
        (stage.spec.name.value.clone(), keys.collect())
    });
    stages.collect()
}

/// True if the list of errors beside the outputs is of the last run, and that had these params: else
/// what it says may be of other prompts, models or records.
fn is_of_last(pipe: &Pipe, store: &Store, path: &Path) -> bool {
    let Some(run) = latest(store, pipe) else {
        return false;
    };
    let began = run.facts.map_or(0, |facts| facts.began);
    let written = std::fs::metadata(path).and_then(|data| data.modified());
    let written = written
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let now: BTreeMap<String, _> = params(pipe).collect();
    // Some file systems count in whole seconds.
    run.params == now && written.is_some_and(|time| time.as_secs() >= began / 1000)
}

/// There is no such key: with those that are near it.
fn unknown(args: &Args, graph: &Graph, only: Option<usize>, outcome: &Outcome) -> Diagnostic {
    let stages = graph
        .order
        .iter()
        .filter(|at| only.is_none_or(|only| only == **at));
    let keys = stages.flat_map(|at| graph.links[*at].emitted.iter());
    let keys: HashSet<&str> = keys.map(|key| &**key).collect();
    let place = match &args.stage {
        Some(stage) => format!("in `{stage}`"),
        None => "in any stage".to_owned(),
    };
    let fault = Diagnostic::error(format!("no record with the key `{}` {place}", args.key));
    if keys.is_empty() {
        let fault = outcome
            .faults
            .iter()
            .fold(fault, |fault, other| fault.note(other.message.clone()));
        return fault.help("no records are known there: run the pipeline first");
    }
    let wrong = args.key.to_lowercase();
    let mut near: Vec<&str> = keys
        .iter()
        .copied()
        .filter(|key| key.to_lowercase().contains(&wrong))
        .collect();
    near.sort_by_key(|key| (key.len(), *key));
    near.truncate(NEAR);
    if near.is_empty() {
        near.extend(nearest(&args.key, keys.iter().copied()));
    }
    match near.as_slice() {
        [] => fault.help("`clue show PIPELINE STAGE` prints records with their keys"),
        near => {
            let near: Vec<String> = near.iter().map(|key| format!("`{key}`")).collect();
            fault.help(format!("did you mean {}?", near.join(", ")))
        }
    }
}
