//! Puts a page together from what was found. Pure.

use std::sync::Arc;

use super::boards::board;
use super::calls::Calls;
use super::choose::Choice;
use super::data::{Detail, Failed, Overview, Report};
use super::lives::Lives;
use super::mask::{Mask, Salting};
use super::{origin, stages, tables};
use crate::engine::board::Board;
use crate::engine::keep::Failure;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::runs::RunRecord;
use crate::engine::survey::Survey;
use crate::plan::graph::Action;
use crate::record::Record;
use crate::replay::cassette::Entry;
use crate::report::words::count;

/// Failed records that are listed at most.
const FAILURES: usize = 5_000;

/// All that a page is made of.
pub struct Found<'a> {
    /// The pipeline.
    pub pipe: &'a Pipe,
    /// What is known of it.
    pub known: &'a Survey,
    /// What was gone through.
    pub choice: &'a Choice,
    /// The counters of that.
    pub board: &'a Arc<Board>,
    /// What became of it.
    pub outcome: &'a Outcome,
    /// Records of the stages that were chosen.
    pub records: Vec<(usize, Vec<Record>)>,
    /// Calls with their answers.
    pub calls: Vec<Entry>,
    /// The lives of the tables' records.
    pub lives: Lives,
    /// Earlier runs with the same params in which stages worked, newest first.
    pub runs: Vec<RunRecord>,
    /// What the last run listed as failed.
    pub errors: Vec<Failure>,
}

/// What a page is to hold.
#[derive(Clone, Debug)]
pub struct Options {
    /// Also texts of sensitive records.
    pub sensitive: bool,
    /// Records of a table at most; 0 for all.
    pub limit: usize,
    /// The page comes again when there is more.
    pub live: bool,
    /// No times and dates, so that the same run gives the same page wherever it was made.
    pub timeless: bool,
    /// What masked keys are salted with.
    pub salting: Salting,
}

/// Makes plain data of what was found.
pub fn gather(mut found: Found<'_>, options: &Options) -> Report {
    let pipe = found.pipe;
    let sensitive = found
        .records
        .iter()
        .filter(|(stage, _)| pipe.stages[*stage].sensitive);
    let sensitive = sensitive.flat_map(|(_, records)| records);
    let mask = Mask::new(pipe, options.sensitive, &options.salting, sensitive);
    let calls = Calls::new(pipe, std::mem::take(&mut found.calls));
    let mut blocks = Vec::new();
    let mut shown = Vec::new();
    let mut results = Vec::new();
    for (stage, records) in &found.records {
        if found.choice.tables.contains(stage) {
            shown.push(tables::table(
                &found,
                *stage,
                records,
                &mask,
                &calls,
                options,
                &mut blocks,
            ));
        } else {
            results.push(board(&found, *stage, records, &mask));
        }
    }
    let (stages, edges, size) = stages::stages(&found);
    let (listed, failed) = failures(&found);
    let failed_details = asked(&found, &listed, &mask, &calls, &mut blocks);
    let listed = listed.iter().map(|(stage, failure)| Failed {
        stage: *stage,
        key: mask.key(&failure.key, pipe.stages[*stage].sensitive),
        kind: failure.kind.name(),
        why: failure.why.clone(),
    });
    let listed = listed.collect();
    let (description, cite) = origin::told(&found);
    let is_sensitive = pipe.stages.iter().any(|stage| stage.sensitive);
    let overview = Overview {
        name: pipe.pipeline.name.clone(),
        description,
        cite,
        file: origin::near(&found, &pipe.pipeline.file),
        version: env!("CARGO_PKG_VERSION"),
        hidden: is_sensitive && !options.sensitive,
        confidential: is_sensitive && options.sensitive,
        run: stages::run(&found),
        notes: notes(&found, &stages, options),
        stages,
        edges,
        size,
        failures: listed,
        failed,
        failed_details,
        failed_per: tables::PER,
        tables: shown,
        boards: results,
        params: origin::params(&found),
        models: origin::models(&found),
        sources: origin::sources(&found),
        inputs: origin::inputs(&found),
        outputs: origin::outputs(&found),
    };
    Report { overview, blocks }
}

/// Failed records in the order of the stages: those that fail again, and those that the last
/// run listed, such as for calls that no server answered.
fn failures<'a>(found: &'a Found<'_>) -> (Vec<(usize, &'a Failure)>, usize) {
    let mut all: Vec<(usize, &Failure)> = Vec::new();
    // Which records are read ahead of a reader that has enough is chance: what the run itself
    // told counts there.
    let again = found.outcome.failures.iter();
    for failure in again.chain(&found.errors) {
        let Some(stage) = found.pipe.find(&failure.stage) else {
            continue;
        };
        let skipped = found.choice.survey.planned[stage].action == Action::Skip;
        let told = found.errors.contains(failure);
        if skipped || (found.choice.open[stage] && !told) {
            continue;
        }
        all.push((stage, failure));
    }
    all.sort_by(|(i, a), (j, b)| {
        let keys = (a.key.len(), &a.key).cmp(&(b.key.len(), &b.key));
        i.cmp(j).then(keys).then_with(|| a.why.cmp(&b.why))
    });
    all.dedup_by(|(i, a), (j, b)| i == j && a.key == b.key);
    let count = all.len();
    all.truncate(FAILURES);
    (all, count)
}

/// What was asked about records that failed: the numbers of the blocks.
fn asked(
    found: &Found<'_>,
    failures: &[(usize, &Failure)],
    mask: &Mask,
    calls: &Calls,
    blocks: &mut Vec<String>,
) -> Vec<usize> {
    let detail = |stage: usize, failure: &Failure, pool: &mut tables::Pool| {
        if mask.hides(found.pipe.stages[stage].sensitive) {
            return Detail::default();
        }
        let behind = tables::behind(found.pipe, stage);
        Detail {
            calls: calls.likely(&failure.key, &behind, pool),
            ..Detail::default()
        }
    };
    let some = failures.chunks(tables::PER).map(|some| {
        let mut pool = tables::Pool::default();
        let rows = some
            .iter()
            .map(|(stage, failure)| detail(*stage, failure, &mut pool))
            .collect();
        pool.with(rows)
    });
    tables::add_all(blocks, &some.collect::<Vec<_>>())
}

/// What a reader has to know before trusting the numbers.
fn notes(found: &Found<'_>, stages: &[super::data::Stage], options: &Options) -> Vec<String> {
    let mut notes = Vec::new();
    let missing: u64 = stages.iter().map(|stage| stage.missing).sum();
    if missing > 0 {
        let has = if missing == 1 { "has" } else { "have" };
        let then = if options.live {
            "is not here yet"
        } else {
            "is not here. Run the pipeline again to complete it"
        };
        notes.push(format!(
            "{} {has} no answer in the cache: what depends on that {then}.",
            count(missing, "call")
        ));
    }
    if options.timeless {
        notes.push(
            "This page came in a bundle, which has no times and dates of the run.".to_owned(),
        );
    } else if found.runs.is_empty() && !options.live {
        notes.push("No times are known of a run with these params and this cache.".to_owned());
    }
    let programs = found.pipe.stages.iter().enumerate().filter(|(at, stage)| {
        let runs = found.choice.survey.planned[*at].action == Action::Run;
        stage.verb.name() == "exec" && runs
    });
    for (_, stage) in programs {
        notes.push(format!(
            "The output of the program in `{}` is not in the cache: what comes after it is \
             not here.",
            stage.spec.name.value
        ));
    }
    for fault in &found.outcome.faults {
        notes.push(format!(
            "A stage could not be gone through: {}.",
            fault.message
        ));
    }
    notes
}
