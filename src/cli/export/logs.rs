//! Logs for Inspect: one for each place where records end after they were asked about and scored.

use std::sync::Arc;

use super::folder::lock;
use super::look::missing;
use super::{Args, Done, Stop, Written, guard, pour};
use crate::cli::rehearse::{Notes, rehearse};
use crate::cli::report::ran;
use crate::cli::show::stage;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::stock::Source;
use crate::engine::survey::{Wanted, survey};
use crate::engine::taps::Taps;
use crate::record::Record;
use crate::replay::ledger::{Depth, Ledger};
use crate::report::page::calls::Calls;
use crate::report::page::tables::{behind, made, scorers};
use crate::report::page::{Scorer, choose};
use crate::share::inspect::Chain;
use crate::store::Store;

/// A chain, before anything is known of its records.
struct End {
    stage: usize,
    behind: Vec<usize>,
    scorers: Vec<Scorer>,
}

/// Writes the logs.
pub fn write(args: &Args, pipe: &Arc<Pipe>) -> Result<Done, Stop> {
    let store = Store::open_read(&args.common.settings.store)?;
    let runs = ran(&store, pipe)?;
    let known = survey(pipe, &store, &Wanted::default())?;
    // What may be looked at was asked for; whether it may be written is asked below.
    let choice = choose(pipe, &known, true);
    let ends = ends(args, pipe, &choice.tables)?;
    let name = |at: usize| pipe.stages[at].spec.name.value.as_str();
    let sensitive = guard(
        args,
        pipe,
        ends.iter().map(|end| (name(end.stage), end.stage)),
    )?;
    let lock = lock(args, pipe)?;
    let mut scored: Vec<usize> = ends
        .iter()
        .flat_map(|end| &end.scorers)
        .map(|s| s.stage)
        .collect();
    scored.sort_unstable();
    scored.dedup();
    let tapped = scored
        .iter()
        .copied()
        .chain(ends.iter().map(|end| end.stage));
    let notes = Notes {
        ledger: Arc::new(Ledger::new(Depth::Calls)),
        taps: Arc::new(Taps::new(tapped)),
    };
    let (_, outcome) = rehearse(pipe, &store, &choice.survey, Source::Nowhere, &notes)?;
    let stages: Vec<&str> = (0..pipe.stages.len()).map(name).collect();
    let calls = Calls::new(pipe, notes.ledger.take_all(&stages));
    let mut all: Vec<usize> = ends
        .iter()
        .map(|end| end.stage)
        .chain(scored.clone())
        .collect();
    all.sort_unstable();
    all.dedup();
    let records: Vec<(usize, Vec<Record>)> = all
        .into_iter()
        .map(|at| (at, notes.taps.take(at)))
        .collect();
    let counts = |at: usize| ends.iter().any(|end| end.behind.contains(&at));
    let mut done = Done {
        missing: missing(pipe, &outcome, counts)?,
        sensitive,
        ..Done::default()
    };
    for end in ends {
        let found = records.iter().find(|(at, _)| *at == end.stage);
        let found = found.map_or(&[][..], |(_, records)| records);
        let failures = outcome.failures.iter();
        let failed =
            failures.filter(|failure| end.behind.iter().any(|at| name(*at) == failure.stage));
        let worked = |at: &usize| {
            runs.iter()
                .position(|run| run.stints.contains_key(name(*at)))
        };
        let chain = Chain {
            pipe,
            stage: end.stage,
            asked: asked(pipe, &end),
            records: found,
            scored: &records,
            calls: &calls,
            failed: failed.count(),
            run: end
                .behind
                .iter()
                .filter_map(worked)
                .min()
                .and_then(|at| runs.get(at)),
            lock,
            sensitive: pipe.stages[end.stage].sensitive,
            scorers: end.scorers,
            behind: end.behind,
        };
        let log = chain.log();
        let path = args.to.join(&log.name);
        let mut text = serde_json::to_vec_pretty(&log.json).unwrap_or_default();
        text.push(b'\n');
        let bytes = pour(&path, |bytes| {
            bytes.append(&mut text);
            Ok(false)
        })?;
        done.files.push(Written {
            path,
            records: found.len() as u64,
            bytes,
        });
    }
    let folder = args.to.display();
    done.notes.push(format!(
        "look at them with `inspect view --log-dir {folder}`"
    ));
    Ok(done)
}

/// The chains that are wanted: those through the stages that were named, or all that score.
fn ends(args: &Args, pipe: &Pipe, tables: &[usize]) -> Result<Vec<End>, Stop> {
    if let Some(name) = args.outputs.first() {
        let fault = Diagnostic::error(format!("a log is made of stages, not of output `{name}`"));
        return Err(fault.help("name a stage with `--stage`").into());
    }
    let named = args.stages.iter().map(|name| stage(pipe, name));
    let named: Vec<usize> = named.collect::<Result<_, _>>()?;
    let all = tables.iter().map(|at| {
        let behind = behind(pipe, *at);
        End {
            stage: *at,
            scorers: scorers(pipe, &behind),
            behind,
        }
    });
    let wanted = |end: &End| match named.as_slice() {
        [] => !end.scorers.is_empty(),
        named => named.iter().any(|at| end.behind.contains(at)),
    };
    let ends: Vec<End> = all.filter(wanted).collect();
    if ends.is_empty() {
        let fault = Diagnostic::error("no stages ask a model, or score, on the way to a result");
        return Err(match named.is_empty() {
            true => fault.help("`--stage` exports answers that nobody scores"),
            false => fault.help("name a stage that `generate`, `judge` or `score` come before"),
        }
        .into());
    }
    Ok(ends)
}

/// The stage that asked for what is scored; else the last that asked for anything.
fn asked(pipe: &Pipe, end: &End) -> Option<usize> {
    let asks = |at: usize| pipe.stages[at].verb.name() == "generate";
    let made = made(pipe, &end.behind);
    let predictions = end.scorers.iter().filter_map(|s| s.prediction.as_ref());
    let mut makers = predictions.filter_map(|field| made.get(field).copied());
    makers
        .find(|at| asks(*at))
        .or_else(|| end.behind.iter().rev().copied().find(|at| asks(*at)))
}
