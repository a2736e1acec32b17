//! Two runs: of one pipeline, or of two.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::side::Side;
use super::{Args, Failed};
use crate::engine::past::Known;
use crate::engine::pipe::Pipe;
use crate::engine::runs::StageRecord;
use crate::record::Record;
use crate::report::compare::{
    Called, Cases, Comparison, Decides, Lot, Metric, Numbers, OutFile, Renamed, Row, Settings, Way,
    cases, decides, examples, joined, measured, paired, row,
};
use crate::report::page::{adds, behind};
use crate::report::words::count;

/// Compares two runs.
pub fn runs(args: &Args, a: (&Path, &str), b: (&Path, &str)) -> Result<Comparison, Failed> {
    let mut a = Side::open(args, a.0, a.1)?;
    let mut b = Side::open(args, b.0, b.1)?;
    if a.told.pipeline != b.told.pipeline {
        for side in [&mut a.told, &mut b.told] {
            let file = side
                .pipeline
                .as_ref()
                .map(|path| path.display().to_string());
            side.name = format!("{} of {}", side.name, file.unwrap_or_default());
        }
    }
    let renamed = Renamed::between(&a.run.stages, &b.run.stages);
    let here = |(_, new): (&String, &String)| a.pipe.find(new).is_some();
    // In two files each name is that of its own.
    let known = renamed.iter().all(here);
    let mut decided = a.run.clone();
    decided.stages = renamed.carried(&a.run.stages);
    if known {
        a.rename(&renamed);
    }
    let names = names(&a, &b);
    let same = sames(&a, &b);
    let text = |hash| a.text(hash).or_else(|| b.text(hash));
    let mut comparison = Comparison {
        decides: renames(&renamed),
        notes: notes(&a, &b),
        ..Comparison::default()
    };
    let told = decides(&decided, &b.run, &names, &text);
    comparison.decides.extend(told);
    let differ: Vec<&String> = names
        .iter()
        .filter(|name| judged(&a, &b, &same, name) == Judged::Open)
        .collect();
    // Scores are summed up over all that a stage reads, also what is the same.
    let mut wanted: BTreeSet<&str> = differ.iter().map(|name| name.as_str()).collect();
    for name in &differ {
        if let Some(at) = b.pipe.find(name).filter(|at| is(&b.pipe, *at, "stats")) {
            let inputs = b.pipe.stages[at].inputs.iter();
            wanted.extend(inputs.map(|from| b.pipe.stages[*from].spec.name.value.as_str()));
        }
    }
    let wanted: Vec<String> = wanted.into_iter().map(str::to_owned).collect();
    let names_of = |side: &Side| -> Vec<usize> {
        let found = wanted.iter().filter_map(|name| side.pipe.find(name));
        found
            .filter(|at| side.pipe.stages[*at].verb.writes().is_none())
            .collect()
    };
    let (of_a, of_b) = (names_of(&a), names_of(&b));
    let (records_a, records_b) = (a.records(&of_a)?, b.records(&of_b)?);
    let stages = [&decided.stages, &b.run.stages];
    let mut lots = lots((&a.pipe, records_a), (&b.pipe, records_b), stages);
    for name in &names {
        match judged(&a, &b, &same, name) {
            Judged::Same => comparison.same.push(name.clone()),
            Judged::Not(why) => comparison.stages.push(unknown(&b, &a, name, why)),
            Judged::Open => {
                let verb = verb(&b, &a, name);
                if let Some(lot) = lots.get(name) {
                    let row = row(name, &verb, lot);
                    let same =
                        row.changed.is_empty() && row.only_a.is_empty() && row.only_b.is_empty();
                    match same {
                        true => comparison.same.push(name.clone()),
                        false => comparison.stages.push(row),
                    }
                } else {
                    comparison.files.push(file(&b, &a, name));
                }
            }
        }
    }
    let changed: Vec<String> = comparison
        .stages
        .iter()
        .map(|row| row.stage.clone())
        .collect();
    score(
        args,
        (&a.pipe, &b.pipe),
        &changed,
        &mut lots,
        &mut comparison,
    );
    comparison.a = a.told;
    comparison.b = b.told;
    Ok(comparison)
}

/// Stages that have another name now, as what differs.
fn renames(renamed: &Renamed) -> Vec<Decides> {
    let told = renamed.iter().map(|(old, new)| Decides {
        stages: vec![new.clone()],
        what: format!("stage `{old}` is called `{new}`"),
        diff: None,
    });
    told.collect()
}

/// The stages of both, in the order of the second file; those of the first alone come last.
fn names(a: &Side, b: &Side) -> Vec<String> {
    let of = |side: &Side| -> Vec<String> {
        let stages = side.pipe.stages.iter();
        stages.map(|stage| stage.spec.name.value.clone()).collect()
    };
    let mut names = of(b);
    for name in of(a).into_iter().chain(a.run.stages.keys().cloned()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let known = |name: &String| {
        let ran = |side: &Side| side.run.stages.contains_key(name);
        ran(a) || ran(b)
    };
    names.retain(known);
    names
}

/// What is known of a stage before its records are looked at.
#[derive(PartialEq)]
enum Judged {
    Same,
    /// Its records can be looked at.
    Open,
    Not(String),
}

fn judged(a: &Side, b: &Side, same: &HashSet<String>, name: &str) -> Judged {
    let old = |side: &Side| side.run.stages.get(name).cloned();
    match (old(a), old(b)) {
        (Some(_), Some(_)) => {}
        (was, _) => {
            let (has, lacks, side) = match was {
                Some(_) => ("a", "b", b),
                None => ("b", "a", a),
            };
            let had = match side.run.names.is_empty() {
                // Older versions did not keep which stages there were.
                true => None,
                false => Some(side.run.names.contains(name)),
            };
            return Judged::Not(match had {
                Some(true) => format!("in run `{lacks}` it did not run to its end"),
                None if side.pipe.find(name).is_some() => {
                    format!("run `{lacks}` did not have it, or not run it to its end")
                }
                _ => format!("only the run `{has}` has it"),
            });
        }
    }
    let known = |side: &Side| {
        side.pipe
            .find(name)
            .map_or(Known::Changed, |at| side.past.known[at])
    };
    let (of_a, of_b) = (known(a), known(b));
    let finished = |known: Known| known != Known::Unfinished;
    if finished(of_a) && finished(of_b) && same.contains(name) {
        return Judged::Same;
    }
    match (of_a, of_b) {
        (Known::Here, Known::Here) => Judged::Open,
        (a, b) if a == b => Judged::Not(format!("in both runs {}", a.words())),
        (lacks, Known::Here) => Judged::Not(format!("in run `a` {}", lacks.words())),
        (Known::Here, lacks) => Judged::Not(format!("in run `b` {}", lacks.words())),
        (a, b) => Judged::Not(format!(
            "in run `a` {}; in run `b` {}",
            a.words(),
            b.words()
        )),
    }
}

/// The stages of which both runs made the same: the same content, where it is known; else of the
/// same things, in the same way.
fn sames(a: &Side, b: &Side) -> HashSet<String> {
    let mut found: HashSet<String> = HashSet::new();
    for &at in &b.pipe.order {
        let name = &b.pipe.stages[at].spec.name.value;
        let (Some(was), Some(is)) = (a.run.stages.get(name), b.run.stages.get(name)) else {
            continue;
        };
        let content = |stage: &StageRecord| stage.output.as_ref().map(|output| output.content);
        let same = match (content(was), content(is)) {
            (Some(was), Some(is)) => was == is,
            // A program may have made something else of the same.
            _ => was.recipe == is.recipe && is.inputs.iter().all(|from| found.contains(from)),
        };
        if same {
            found.insert(name.clone());
        }
    }
    found
}

fn is(pipe: &Pipe, at: usize, verb: &str) -> bool {
    pipe.stages[at].verb.name() == verb
}

fn verb(b: &Side, a: &Side, name: &str) -> String {
    let of = |side: &Side| {
        side.pipe
            .find(name)
            .map(|at| side.pipe.stages[at].verb.name())
    };
    of(b).or_else(|| of(a)).unwrap_or_default().to_owned()
}

/// A stage that cannot be compared.
fn unknown(b: &Side, a: &Side, name: &str, why: String) -> Row {
    Row {
        stage: name.to_owned(),
        verb: verb(b, a, name),
        unknown: Some(why),
        ..Row::default()
    }
}

/// How many records a file had and has.
fn file(b: &Side, a: &Side, name: &str) -> OutFile {
    let rows = |side: &Side| side.run.stages.get(name)?.output.as_ref().map(|o| o.rows);
    OutFile {
        stage: name.to_owned(),
        a: rows(a),
        b: rows(b),
    }
}

/// The records of both sides by the names of their stages, where both have them.
fn lots(
    (a, mut of_a): (&Pipe, HashMap<usize, Vec<Record>>),
    (b, of_b): (&Pipe, HashMap<usize, Vec<Record>>),
    stages: [&BTreeMap<String, StageRecord>; 2],
) -> HashMap<String, Lot> {
    let mut lots = HashMap::new();
    for (at, records) in of_b {
        let name = b.stages[at].spec.name.value.clone();
        if let Some(other) = a.find(&name).and_then(|at| of_a.remove(&at)) {
            let numbers = stages.map(|stages| Numbers::of(stages, &name));
            lots.insert(name, Lot::by_key(other, records, numbers));
        }
    }
    lots
}

/// Scores: as the pipeline's own `stats` sum them up; else those that single stages made.
fn score(
    args: &Args,
    (pipe_a, pipe): (&Pipe, &Pipe),
    changed: &[String],
    lots: &mut HashMap<String, Lot>,
    comparison: &mut Comparison,
) {
    let mut covered: BTreeSet<usize> = BTreeSet::new();
    // Those whose single records have been told.
    let mut told: BTreeSet<usize> = BTreeSet::new();
    let stages = pipe.order.iter().copied();
    let changed: Vec<usize> = stages
        .filter(|at| changed.contains(&pipe.stages[*at].spec.name.value))
        .collect();
    for &at in changed.iter().filter(|at| is(pipe, **at, "stats")) {
        let inputs = pipe.stages[at].inputs.iter();
        let inputs = inputs.map(|from| {
            let name = pipe.stages[*from].spec.name.value.as_str();
            Some((name, lots.get(name)?))
        });
        let Some(inputs) = inputs.collect::<Option<Vec<(&str, &Lot)>>>() else {
            continue;
        };
        let stage = &pipe.stages[at].spec.name.value;
        let Some(at_a) = pipe_a.find(stage).filter(|at| is(pipe_a, *at, "stats")) else {
            continue;
        };
        let (of_a, of_b) = (way(pipe_a, at_a), way(pipe, at));
        let lot = together(&inputs, &of_b.settings.by());
        let (lot, settings, notes) = match measured(lot, &of_a, &of_b) {
            Ok(found) => found,
            Err(why) => {
                let why = format!("scores of `{stage}` are not compared: {why}");
                comparison.notes.push(why);
                continue;
            }
        };
        let told_of = notes.into_iter().map(|note| format!("`{stage}`: {note}"));
        comparison.notes.extend(told_of);
        if settings.metrics().is_empty() {
            continue;
        }
        let others = comparison.cases.len();
        if ground(args, pipe, at, &lot, &settings, comparison) {
            covered.extend(behind(pipe, at));
            let of = pipe.stages[at].inputs.iter().copied();
            let of: BTreeSet<usize> = of.filter(|from| changed.contains(from)).collect();
            // Where no record differs, the rule does.
            if !of.is_empty() && of.is_subset(&told) {
                comparison.cases.truncate(others);
            }
            told.extend(of);
        }
    }
    let makes = |at: &&usize| is(pipe, **at, "score") || is(pipe, **at, "judge");
    for &at in changed.iter().filter(makes) {
        let Some(lot) = lots.get(&pipe.stages[at].spec.name.value) else {
            continue;
        };
        let fields = numbers(lot, adds(pipe, at));
        if !covered.contains(&at) && !fields.is_empty() {
            ground(args, pipe, at, lot, &Settings::fields(&fields), comparison);
        }
    }
    // What models said has examples of its own where no score is of it.
    let told = |cases: &Cases| cases.gained + cases.lost > 0;
    if !comparison.cases.iter().any(told) {
        let asks = |at: &&usize| is(pipe, **at, "generate") || is(pipe, **at, "judge");
        let mut asking = changed.iter().rev().filter(asks);
        let found = asking.find_map(|at| {
            let name = &pipe.stages[*at].spec.name.value;
            let some = examples(name, lots.get(name)?, args.top);
            (!some.gains.is_empty()).then_some(some)
        });
        comparison.cases.extend(found);
    }
}

/// How a stage sums up in a run.
fn way(pipe: &Pipe, stage: usize) -> Way<'_> {
    Way {
        pipe,
        stage,
        settings: Settings::of(&pipe.stages[stage].verb.settings()),
    }
}

/// The lots of several stages as one; names are those within a stage, and within groups where
/// keys are numbered.
fn together(lots: &[(&str, &Lot)], by: &[String]) -> Lot {
    let mut whole = Lot::default();
    for (stage, lot) in lots {
        let lot = lot.within(by);
        let named = |(name, record): &Called| {
            let name = match lots {
                [_] => name.clone(),
                _ => joined(&[(*stage).to_owned(), name.clone()]),
            };
            (name, record.clone())
        };
        whole.a.extend(lot.a.iter().map(named));
        whole.b.extend(lot.b.iter().map(named));
    }
    whole
}

/// Those of some fields that hold numbers.
pub fn numbers(lot: &Lot, fields: Vec<String>) -> Vec<String> {
    let is_number = |field: &String| {
        let all = lot.a.iter().chain(&lot.b);
        let mut values = all.filter_map(|(_, record)| record.fields.get(field));
        let mut first = values.find(|value| !value.is_none()).into_iter();
        first.any(|value| crate::stages::sum::number(value).is_some())
    };
    fields.into_iter().filter(is_number).collect()
}

/// Adds the scores of a lot, with gains and losses; true if there are any.
pub fn ground(
    args: &Args,
    pipe: &Pipe,
    at: usize,
    lot: &Lot,
    settings: &Settings,
    comparison: &mut Comparison,
) -> bool {
    let stage = &pipe.stages[at].spec.name.value;
    // A group that the sides do not share, such as the model, would leave no pair.
    let mut apart = settings.by();
    let kept = lot.common(&apart);
    apart.retain(|name| !kept.contains(name));
    let pairs = lot.pairs();
    let value = |record: &Record, name: &String| record.fields.get(name).map(ToString::to_string);
    let moved = |(_, a, b): &&(&str, &Record, &Record)| {
        kept.iter().any(|name| value(a, name) != value(b, name))
    };
    let moved = pairs.both.iter().filter(moved).count();
    if moved > 0 {
        let moved = count(moved as u64, "record");
        let by = kept.join("`, `");
        let note = format!("`{stage}`: {moved} in other groups (`{by}`) than before, not paired");
        comparison.notes.push(note);
    }
    let scores = match paired(pipe, at, stage, lot, &settings.without(&apart)) {
        Ok(scores) => scores,
        Err(fault) => {
            let why = format!("scores of `{stage}` are not compared: {}", fault.message);
            comparison.notes.push(why);
            return false;
        }
    };
    let listed = settings.metrics();
    let mut metrics: Vec<(String, Option<String>)> = Vec::new();
    for score in &scores {
        if !metrics.iter().any(|(name, _)| *name == score.metric) {
            let expr = listed.iter().find(|(name, _)| *name == score.metric);
            let expr = expr.and_then(|(_, expr)| expr.clone());
            metrics.push((score.metric.clone(), expr));
        }
    }
    for (name, expr) in &metrics {
        if let Some(metric) = Metric::new(pipe, at, name, expr.as_deref()) {
            comparison.cases.push(cases(stage, lot, &metric, args.top));
        }
    }
    let found = !scores.is_empty();
    comparison.scores.extend(scores);
    found
}

/// What a reader has to know of the two runs.
fn notes(a: &Side, b: &Side) -> Vec<String> {
    let mut notes = Vec::new();
    let program = |side: &Side| side.run.facts.as_ref().map(|facts| facts.program.clone());
    if let (Some(was), Some(is)) = (program(a), program(b))
        && was != is
    {
        notes.push(format!(
            "run `a` was made by clue {was}, run `b` by clue {is}"
        ));
    }
    for (name, side) in [("a", a), ("b", b)] {
        let failed = side.run.facts.as_ref().map_or(0, |facts| facts.failed);
        if failed > 0 {
            let failed = count(failed, "record");
            notes.push(format!("in run `{name}` {failed} failed"));
        }
    }
    notes
}
