//! What a run left, gone through once more with the answers in the cache: its calls, the marks of
//! its records, its tables of results, and the report. Owns which of it may leave as it is.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::Source;
use super::leaving::Leaving;
use crate::cli::paged::{Before, Seen};
use crate::cli::rehearse::{Notes, rehearse};
use crate::cli::report::errors;
use crate::diag::Diagnostic;
use crate::engine::board::Board;
use crate::engine::keep::ArtifactRecords;
use crate::engine::run::Outcome;
use crate::engine::stock;
use crate::engine::taps::Taps;
use crate::hash::Hash;
use crate::replay::cassette::{self, Entry};
use crate::replay::ledger::Ledger;
use crate::report::page::{Choice, Options, Report, Salting, choose, html};
use crate::report::words::count;
use crate::share::bundle::hidden::{HiddenCall, StageRecords, lines, marks};
use crate::share::bundle::manifest::Role;
use crate::share::bundle::results;
use crate::share::bundle::salt::Salt;
use crate::share::plain::Plain;
use crate::store::Store;

/// Records of a table of the report at most, as `clue report` has it.
const MOST: usize = 10_000;

/// Goes through the run, and adds what may leave of it.
///
/// # Errors
/// The cache cannot be read.
pub fn play(
    source: &Source<'_>,
    salt: Option<Salt>,
    leaving: &mut Leaving,
) -> Result<(), Diagnostic> {
    let pipe = source.pipe;
    let choice = choose(pipe, &source.survey, true);
    let kept = kept(source, salt.is_some());
    let briefs: BTreeMap<usize, Option<Salt>> = kept
        .iter()
        .filter(|kept| kept.artifact.is_none())
        .map(|kept| (kept.of, salt.clone().filter(|_| source.hides(kept.of))))
        .collect();
    let stages: Vec<usize> = briefs.keys().copied().collect();
    let taps = Taps::new(choice.taps()).with_lineage(pipe.stages.len());
    let taps = taps.briefly(stages, move |at, record| {
        marks(record, briefs.get(&at).and_then(Option::as_ref))
    });
    let notes = Notes {
        ledger: Arc::new(Ledger::new(choice.depth)),
        taps: Arc::new(taps),
    };
    let from = stock::Source::Nowhere;
    let (board, outcome) = rehearse(pipe, &source.store, &choice.survey, from, &notes)?;
    let names = pipe
        .stages
        .iter()
        .map(|stage| stage.spec.name.value.as_str());
    let names: Vec<&str> = names.collect();
    lacks(source, &choice, &board, &outcome, leaving);
    let hidden: HashSet<&str> = (0..names.len())
        .filter(|at| source.hides(*at))
        .map(|at| names[at])
        .collect();
    let calls = notes.ledger.take_all(&names);
    let (secret, calls): (Vec<Entry>, Vec<Entry>) = calls
        .into_iter()
        .partition(|entry| hidden.contains(entry.stage.as_str()));
    add_calls(source, &calls, leaving);
    add_hidden(&secret, salt.as_ref(), leaving);
    drop(secret);
    add_records(source, &kept, salt.as_ref(), &notes.taps, leaving)?;
    let options = Options {
        sensitive: source.args.include_sensitive,
        limit: MOST,
        live: false,
        timeless: true,
        salting: Salting::With(salt.as_ref().map(Salt::of_page)),
    };
    let seen = Seen {
        pipe,
        known: &source.survey,
        choice: &choice,
        board: &board,
        outcome: &outcome,
        notes: &notes,
    };
    let before = Before {
        errors: errors(&pipe.folders.out.join("errors.jsonl")),
        ..Before::default()
    };
    let mut report = seen.page(calls, before, &options);
    plain(source, &mut report, leaving)?;
    add_results(source, &choice, &report, leaving);
    add_report(&report, leaving);
    Ok(())
}

/// What the cache does not know any more. Of a stage that is stopped when others have enough, how
/// many calls it wanted ahead is chance.
fn lacks(
    source: &Source<'_>,
    choice: &Choice,
    board: &Board,
    outcome: &Outcome,
    leaving: &mut Leaving,
) {
    for (at, row) in board.stages.iter().enumerate() {
        let missing = row.calls.get().saturating_sub(row.cached.get());
        if source.survey.nodes[at].asks && !choice.open[at] && missing > 0 {
            let calls = count(missing, "call");
            let stage = source.stage(at);
            leaving.lacks.push(format!("{calls} of stage `{stage}`"));
        }
    }
    for fault in &outcome.faults {
        leaving.lacks.push(fault.message.clone());
    }
}

/// A stage whose records are told of.
struct Kept {
    /// The stage.
    stage: usize,
    /// The stage whose records these are: of one that writes a file, the one that it reads.
    of: usize,
    /// The artifact that holds them, if there is one.
    artifact: Option<Hash>,
}

/// The stages whose output is kept and known, as the lock has them.
fn kept(source: &Source<'_>, has_salt: bool) -> Vec<Kept> {
    let survey = &source.survey;
    let artifact = |at: usize| {
        let planned = &survey.planned[at];
        let output = planned.output.as_ref().filter(|_| planned.fresh);
        output.filter(|_| survey.nodes[at].heavy).map(|o| o.content)
    };
    let known = |at: &usize| {
        let node = &survey.nodes[*at];
        let shown = has_salt || !source.hides(*at);
        shown && (node.heavy || node.sink) && survey.planned[*at].output.is_some()
    };
    let of = |stage: usize| match survey.nodes[stage].sink {
        true => survey.nodes[stage].inputs.first().copied(),
        false => Some(stage),
    };
    let all = (0..survey.nodes.len()).filter(known);
    all.filter_map(|stage| {
        let of = of(stage)?;
        let artifact = artifact(of);
        let sink = survey.nodes[stage].sink;
        (artifact.is_some() || sink).then_some(Kept {
            stage,
            of,
            artifact,
        })
    })
    .collect()
}

/// The calls that leave, each once.
fn add_calls(source: &Source<'_>, calls: &[Entry], leaving: &mut Leaving) {
    let mut seen = HashSet::new();
    let calls = calls.iter().filter(|entry| seen.insert(entry.call));
    let calls: Vec<Entry> = calls.cloned().collect();
    if !calls.is_empty() {
        let bytes = cassette::write(&source.pipe.pipeline.name, &calls);
        leaving.add(
            "calls.jsonl",
            Role::Calls,
            bytes,
            "calls with their answers",
        );
    }
}

/// What is said of those that stay.
fn add_hidden(secret: &[Entry], salt: Option<&Salt>, leaving: &mut Leaving) {
    if secret.is_empty() {
        return;
    }
    leaving.leave(
        &count(secret.len() as u64, "call"),
        "about sensitive records, with their prompts and answers",
    );
    let Some(salt) = salt else { return };
    let mut seen = HashSet::new();
    let hidden = secret.iter().filter(|entry| {
        let name = (&entry.stage, &entry.record, entry.call);
        seen.insert(name)
    });
    let hidden = hidden.map(|entry| HiddenCall::of(entry, salt));
    let mut hidden: Vec<HiddenCall> = hidden.collect();
    // Not in the order of keys, which would tell something of them.
    for stage in hidden.chunk_by_mut(|a, b| a.stage == b.stage) {
        stage.sort_by(|a, b| a.record.cmp(&b.record));
    }
    leaving.add(
        "hidden_calls.jsonl",
        Role::HiddenCalls,
        lines(&hidden),
        "salted hashes of the calls that stay here",
    );
}

fn add_records(
    source: &Source<'_>,
    kept: &[Kept],
    salt: Option<&Salt>,
    taps: &Taps,
    leaving: &mut Leaving,
) -> Result<(), Diagnostic> {
    let mut taken: BTreeMap<usize, Vec<[String; 2]>> = BTreeMap::new();
    let mut all = Vec::new();
    for kept in kept {
        let salted = source.hides(kept.of);
        let output = source.survey.planned[kept.stage].output.as_ref();
        let rows = output.map(|output| output.rows);
        let records = match kept.artifact {
            Some(content) => read(&source.store, content, salt.filter(|_| salted))?,
            None => {
                let taken = taken.entry(kept.of);
                taken.or_insert_with(|| taps.take_briefs(kept.of)).clone()
            }
        };
        // Of a stage that could not be gone through, and of what comes after it, there are fewer.
        if rows != Some(records.len() as u64) {
            let stage = source.stage(kept.stage);
            leaving.lacks.push(format!("records of `{stage}`"));
            continue;
        }
        all.push(StageRecords {
            stage: source.stage(kept.stage).to_owned(),
            salted,
            records,
        });
    }
    if !all.is_empty() {
        leaving.add(
            "records.jsonl",
            Role::Records,
            lines(&all),
            "hashes of records",
        );
    }
    Ok(())
}

fn read(store: &Store, content: Hash, salt: Option<&Salt>) -> Result<Vec<[String; 2]>, Diagnostic> {
    let damaged = || Diagnostic::error("an output of a stage in the cache is damaged");
    let records = ArtifactRecords::open(store, content)?.ok_or_else(damaged)?;
    let all = records.map(|record| Ok(marks(&record.map_err(|_| damaged())?, salt)));
    all.collect()
}

/// Takes out of a page what is of this machine alone, and texts that are sensitive themselves.
fn plain(source: &Source<'_>, report: &mut Report, leaving: &Leaving) -> Result<(), Diagnostic> {
    let plain = Plain::new(source.pipe);
    for (_, value) in &mut report.overview.params {
        *value = plain.value(value);
    }
    for stage in &mut report.overview.stages {
        stage.settings = plain.value(&stage.settings);
    }
    if source.args.include_sensitive {
        return Ok(());
    }
    for path in &leaving.sensitive {
        let hash = source.store.hash_file(path).map_err(|error| {
            Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
        })?;
        let hash = hash.short();
        report.overview.sources.retain(|text| text.hash != hash);
    }
    Ok(())
}

fn add_results(source: &Source<'_>, choice: &Choice, report: &Report, leaving: &mut Leaving) {
    if choice.boards.is_empty() {
        return;
    }
    let bytes = results::bytes(source.pipe, report);
    leaving.add(
        "results.json",
        Role::Results,
        bytes,
        "tables of means and comparisons",
    );
}

fn add_report(report: &Report, leaving: &mut Leaving) {
    let page = html(report);
    // Its data are compressed in it: they are scanned as they are.
    let mut text = serde_json::to_string(&report.overview).unwrap_or_default();
    for block in &report.blocks {
        text.push('\n');
        text.push_str(block);
    }
    leaving.add(
        "report.html",
        Role::Report,
        page.into_bytes(),
        "the page of `clue report`",
    );
    if let Some(last) = leaving.leaves.last_mut() {
        last.text = Some(text);
    }
}
