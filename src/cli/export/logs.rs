//! Logs for Inspect: one for each place where records end after they were asked about and scored.

use std::collections::HashSet;
use std::sync::Arc;

use super::folder::lock;
use super::look::missing;
use super::{Args, Done, Stop, Written, guard, pour};
use crate::cli::rehearse::{Notes, rehearse};
use crate::cli::report::ran;
use crate::cli::show::stage;
use crate::diag::Diagnostic;
use crate::engine::pipe::Pipe;
use crate::engine::run::Outcome;
use crate::engine::stock::Source;
use crate::engine::survey::{Wanted, survey};
use crate::engine::taps::Taps;
use crate::record::Record;
use crate::replay::ledger::{Depth, Ledger, MissingCall};
use crate::report::life::Graph;
use crate::report::page::calls::Calls;
use crate::report::page::tables::{adds, behind, scorers};
use crate::report::page::{Lives, Scorer, choose};
use crate::share::inspect::{Chain, Lost};
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
        taps: Arc::new(Taps::new(tapped).with_lineage(pipe.stages.len())),
    };
    let (_, outcome) = rehearse(pipe, &store, &choice.survey, Source::Nowhere, &notes)?;
    let stages: Vec<&str> = (0..pipe.stages.len()).map(name).collect();
    let graph = Graph::of(pipe, &choice.survey, &notes.taps);
    let last: Vec<usize> = ends.iter().map(|end| end.stage).collect();
    let lost = lost(pipe, &outcome, &notes.ledger.missed(), &graph);
    // Of what was lost it counts, too, what it was made of.
    let read = lost.iter().flat_map(|lost| &pipe.stages[lost.stage].inputs);
    let mut known: Vec<usize> = last.iter().chain(read).copied().collect();
    known.sort_unstable();
    known.dedup();
    let lives = Lives::new(pipe, &graph, &known);
    let calls = Calls::new(pipe, notes.ledger.take_all(&stages));
    let mut all = last;
    all.extend(scored);
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
    let worked = |at: &usize| {
        runs.iter()
            .position(|run| run.stints.contains_key(name(*at)))
    };
    let mut logs = Vec::new();
    for end in &ends {
        let found = records.iter().find(|(at, _)| *at == end.stage);
        let found = found.map_or(&[][..], |(_, records)| records);
        let run = end.behind.iter().filter_map(worked).min();
        for part in parts(pipe, end, found, &lives) {
            let failed = lost.iter().filter(|lost| {
                end.behind.contains(&lost.stage) && concerns(pipe, end, part.asked, lost.stage)
            });
            let chain = Chain {
                pipe,
                stage: end.stage,
                asked: part.asked,
                failed: failed.collect(),
                scored: &records,
                calls: &calls,
                lives: &lives,
                run: run.and_then(|at| runs.get(at)),
                lock,
                sensitive: pipe.stages[end.stage].sensitive,
                scorers: part.scorers,
                behind: end.behind.clone(),
                records: part.records,
            };
            logs.push((chain.log(), chain.records.len()));
        }
    }
    if logs.is_empty() {
        let mut fault = Diagnostic::error("there is nothing to export");
        if let Some(line) = done.missing.first() {
            fault = fault.note(line.clone());
        }
        let help =
            "no record was asked about and scored: run the pipeline first, with these params";
        return Err(fault.help(help).into());
    }
    for (log, records) in logs {
        let path = args.to.join(&log.name);
        let mut text = serde_json::to_vec_pretty(&log.json).unwrap_or_default();
        text.push(b'\n');
        let bytes = pour(&path, |bytes| {
            bytes.append(&mut text);
            Ok(false)
        })?;
        done.files.push(Written {
            path,
            records: records as u64,
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

/// The records of a chain whose answers come from one stage, and how these were scored.
struct Part<'a> {
    asked: Option<usize>,
    scorers: Vec<Scorer>,
    records: Vec<&'a Record>,
}

/// Splits a chain by who answered: a log names one model. Who made what a scorer read is known of
/// each record.
fn parts<'a>(pipe: &Pipe, end: &End, records: &'a [Record], lives: &Lives) -> Vec<Part<'a>> {
    let mut parts: Vec<Part<'a>> = Vec::new();
    let candidates: Vec<Vec<usize>> = match end.scorers.as_slice() {
        [] => vec![asking(pipe, &end.behind)],
        scorers => scorers.iter().map(|s| makers(pipe, s)).collect(),
    };
    for record in records {
        let past = lives.past(end.stage, &record.key);
        let line = lives.of(end.stage, &record.key);
        let mut mine: Vec<Option<usize>> = Vec::new();
        for (at, candidates) in candidates.iter().enumerate() {
            let scorer = end.scorers.get(at);
            // It did not come by this scorer.
            if scorer.is_some_and(|s| !past.made.contains_key(&s.stage)) {
                continue;
            }
            // What came in first is what goes on; what was joined to it comes after.
            let mut last = candidates.iter().rev().copied();
            let first = last.clone().find(|at| line.iter().any(|(on, _)| on == at));
            let asked = first.or_else(|| last.find(|at| past.made.contains_key(at)));
            let known = parts.iter().position(|part| part.asked == asked);
            let part = known.unwrap_or_else(|| {
                parts.push(Part {
                    asked,
                    scorers: Vec::new(),
                    records: Vec::new(),
                });
                parts.len() - 1
            });
            let part = &mut parts[part];
            if let Some(scorer) = scorer
                && !part.scorers.iter().any(|s| s.stage == scorer.stage)
            {
                part.scorers.push(scorer.clone());
            }
            if !mine.contains(&asked) {
                mine.push(asked);
                part.records.push(record);
            }
        }
    }
    for part in &mut parts {
        let place = |s: &Scorer| end.behind.iter().position(|at| *at == s.stage);
        part.scorers.sort_by_key(place);
    }
    parts
}

/// Those of some stages that ask for answers.
fn asking(pipe: &Pipe, stages: &[usize]) -> Vec<usize> {
    let asks = |at: &usize| pipe.stages[*at].verb.name() == "generate";
    stages.iter().copied().filter(asks).collect()
}

/// The stages that may have asked for what a scorer reads: those that make a field which its
/// prediction names; else all before it.
fn makers(pipe: &Pipe, scorer: &Scorer) -> Vec<usize> {
    let all = asking(pipe, &behind(pipe, scorer.stage));
    let settings = pipe.stages[scorer.stage].verb.settings();
    let read = settings["prediction"].as_str().unwrap_or_default();
    let words = read.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    let words: Vec<&str> = words.collect();
    let makes = |at: &usize| adds(pipe, *at).iter().any(|f| words.contains(&f.as_str()));
    let named: Vec<usize> = all.iter().copied().filter(makes).collect();
    if named.is_empty() { all } else { named }
}

/// True if what fails in a stage is missed among the answers that another asked for.
fn concerns(pipe: &Pipe, end: &End, asked: Option<usize>, stage: usize) -> bool {
    let on_way =
        |asked: usize| behind(pipe, asked).contains(&stage) || behind(pipe, stage).contains(&asked);
    match asked {
        Some(asked) => on_way(asked),
        None => !asking(pipe, &end.behind).into_iter().any(on_way),
    }
}

/// The records that failed or have no answer, each once.
fn lost(pipe: &Pipe, outcome: &Outcome, missing: &[MissingCall], graph: &Graph) -> Vec<Lost> {
    let made = graph.links.iter().map(|links| {
        let from = links.made.iter().map(|link| &*link.from);
        from.collect::<HashSet<&str>>()
    });
    let made: Vec<HashSet<&str>> = made.collect();
    let failed = outcome.failures.iter();
    let failed = failed.map(|one| (one.stage.as_str(), one.key.as_str(), one.why.as_str()));
    let missing = missing.iter();
    let missing = missing.map(|one| (one.stage.as_str(), one.record.as_str(), NO_ANSWER));
    let mut lost: Vec<Lost> = Vec::new();
    let mut seen = HashSet::new();
    for (stage, key, why) in failed.chain(missing) {
        // A call that could not be made may be one that its record did not need.
        if let Some(stage) = pipe.find(stage)
            && !made[stage].contains(key)
            && seen.insert((stage, key))
        {
            lost.push(Lost {
                stage,
                key: key.to_owned(),
                why: why.to_owned(),
            });
        }
    }
    lost.sort_by(|a, b| {
        let length = |lost: &Lost| (lost.stage, lost.key.len());
        length(a).cmp(&length(b)).then_with(|| a.key.cmp(&b.key))
    });
    lost
}

/// Why a record is lost whose answer is not in the cache.
const NO_ANSWER: &str = "the answer is not in the cache";
