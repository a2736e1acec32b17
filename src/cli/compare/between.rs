//! Two lots of records within one run: of two stages, or of one stage by the value of a field.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value as Json;

use super::over::{ground, numbers};
use super::side::Side;
use super::{Args, Failed};
use crate::cli::show::stage;
use crate::diag::Diagnostic;
use crate::engine::history::params;
use crate::engine::past::Known;
use crate::engine::pipe::Pipe;
use crate::record::Record;
use crate::report::compare::{
    self as told, Called, Comparison, Lot, Numbers, Settings, examples, joined, row,
};
use crate::report::life::json;
use crate::report::page::{behind, scored};
use crate::report::words::count;
use crate::text::visible::plain;

/// Values that are listed for one that is not there.
const VALUES: usize = 12;
/// Values of which is looked whether the pipeline knows them.
const LOOKED_AT: usize = 1000;

/// Compares the records of two stages.
pub fn stages(args: &Args) -> Result<Comparison, Failed> {
    let mut side = open(args)?;
    let pipe = side.pipe.clone();
    let [a, b] = args.stages.as_slice() else {
        return Err(Diagnostic::error("`--stages` takes two stages").into());
    };
    let (a, b) = (stage(&pipe, a)?, stage(&pipe, b)?);
    let mut records = records(&mut side, &[a, b])?;
    let (of_a, of_b) = if a == b {
        (records[0].clone(), records.swap_remove(0))
    } else {
        let of_b = records.swap_remove(1);
        (records.swap_remove(0), of_b)
    };
    let counted = [a, b].map(|at| numbered(&side, &[at]));
    let mut lot = lot(&of_a, &of_b, counted, &[], &args.on)?;
    let settings = summed(&pipe, b, None).map(|(_, settings)| settings);
    let mut comparison = Comparison {
        a: called(&side, &args.stages[0]),
        b: called(&side, &args.stages[1]),
        ..Comparison::default()
    };
    // What both stages score; not what each was called or how it got there.
    let mut scores: Vec<String> = scored(&pipe, &behind(&pipe, a)).into_iter().collect();
    let of_b = scored(&pipe, &behind(&pipe, b));
    scores.retain(|name| of_b.contains(name));
    scores.sort();
    let scores = numbers(&lot, scores);
    tell(
        args,
        &pipe,
        b,
        &mut lot,
        (settings, scores),
        &mut comparison,
    );
    Ok(comparison)
}

/// Compares records of one stage, or of what a `compare` or a `stats` reads, by the value of a
/// field.
pub fn between(args: &Args, field: &str) -> Result<Comparison, Failed> {
    let mut side = open(args)?;
    let pipe = side.pipe.clone();
    let (at, from, settings, on) = match &args.stage {
        Some(name) => {
            let at = stage(&pipe, name)?;
            let found = summed(&pipe, at, Some(field));
            let on = found.as_ref().map(|(by, _)| own(&pipe, *by));
            let settings = found.map(|(_, settings)| settings);
            (at, vec![at], settings, on.unwrap_or_default())
        }
        None => {
            let by = sums(&pipe, field).ok_or_else(|| {
                let what = format!("no `compare` or `stats` tells records apart by `{field}`");
                Diagnostic::error(what).help("name the stage with `--stage`")
            })?;
            let settings = Settings::of(&pipe.stages[by].verb.settings());
            let from = pipe.stages[by].inputs.clone();
            (by, from, Some(settings), own(&pipe, by))
        }
    };
    let all: Vec<Record> = records(&mut side, &from)?.into_iter().flatten().collect();
    let (a, b) = values(args, &pipe, field, &all)?;
    let of = |value: &str| -> Vec<Record> {
        let some = all.iter().filter(|record| {
            let found = record.fields.get(field).map(json);
            found.is_some_and(|found| bare(&found) == value)
        });
        // That they differ in this is why they are compared.
        let without = |record: &Record| {
            let mut record = record.clone();
            record.fields.remove(field);
            record
        };
        some.map(without).collect()
    };
    let on = if args.on.is_empty() {
        on
    } else {
        args.on.clone()
    };
    let settings = settings.map(|settings| settings.without(&[field.to_owned()]));
    // Names tell records apart within a group only.
    let within = settings.as_ref().map(Settings::groups).unwrap_or_default();
    let counted = numbered(&side, &from);

    let mut lot = lot(&of(&a), &of(&b), [counted.clone(), counted], &within, &on)?;
    let mut scores: Vec<String> = from
        .iter()
        .flat_map(|from| scored(&pipe, &behind(&pipe, *from)))
        .collect();
    scores.sort();
    scores.dedup();
    let scores = numbers(&lot, scores);
    let mut comparison = Comparison {
        a: called(&side, &format!("{field} = {a}")),
        b: called(&side, &format!("{field} = {b}")),
        ..Comparison::default()
    };
    tell(
        args,
        &pipe,
        at,
        &mut lot,
        (settings, scores),
        &mut comparison,
    );
    Ok(comparison)
}

/// Compares a lot.
fn tell(
    args: &Args,
    pipe: &Pipe,
    at: usize,
    lot: &mut Lot,
    (settings, scores): (Option<Settings>, Vec<String>),
    comparison: &mut Comparison,
) {
    let (name, verb) = (
        &pipe.stages[at].spec.name.value,
        pipe.stages[at].verb.name(),
    );
    let row = row(name, verb, lot);
    if row.same + row.changed.len() == 0 {
        let note = "no record of one side belongs to one of the other";
        let help = "name the fields that tell which belong together with `--on`";
        comparison.notes.push(format!("{note}: {help}"));
    }
    comparison.stages.push(row);
    let unclear = lot.pairs().unclear;
    if unclear > 0 {
        let what = count(unclear as u64, "record");
        let why =
            "several of a side have what names them, so that it is not clear who belongs to whom";
        let help = "name fields that tell them apart with `--on`";
        comparison
            .notes
            .push(format!("{what} not paired: {why}; {help}"));
    }
    let found = match settings {
        Some(settings) => ground(args, pipe, at, lot, &settings, comparison),
        None => false,
    };
    let found = found
        || (!scores.is_empty()
            && ground(args, pipe, at, lot, &Settings::fields(&scores), comparison));
    if !found {
        comparison.cases.push(examples(name, lot, args.top));
    }
}

fn open(args: &Args) -> Result<Side, Failed> {
    Side::open(
        args,
        &args.common.file,
        args.run.as_deref().unwrap_or("last"),
    )
}

fn called(side: &Side, name: &str) -> told::Side {
    told::Side {
        name: name.to_owned(),
        ..side.told.clone()
    }
}

/// The records of stages, one list each.
fn records(side: &mut Side, wanted: &[usize]) -> Result<Vec<Vec<Record>>, Failed> {
    let mut found = side.records(wanted)?;
    let mut all = Vec::new();
    let mut once = wanted.to_vec();
    once.dedup();
    for at in once {
        let known = side.past.known[at];
        let records = found.remove(&at);
        all.push(records.ok_or_else(|| {
            let name = &side.pipe.stages[at].spec.name.value;
            let why = match known {
                Known::Here => "its records are not at hand",
                known => known.words(),
            };
            let fault = Diagnostic::error(format!("`{name}` cannot be compared: {why}"));
            fault.help("run the pipeline again, or name another run with `--run`")
        })?);
    }
    Ok(all)
}

/// What the numbers before the keys of stages' records stand for.
fn numbered(side: &Side, stages: &[usize]) -> Rc<Numbers> {
    let names = stages
        .iter()
        .map(|at| &side.pipe.stages[*at].spec.name.value);
    Numbers::any(names.map(|name| Numbers::of(&side.run.stages, name)))
}

/// Records with the names that pair them: some fields, or their keys, after the fields `within`
/// that make groups. Where keys do not fit each other, they count without the number that
/// `concat: {prefix: true}` puts before them.
fn lot(
    a: &[Record],
    b: &[Record],
    numbers: [Rc<Numbers>; 2],
    within: &[String],
    on: &[String],
) -> Result<Lot, Diagnostic> {
    let agree = numbers[0].agrees(&numbers[1]);
    let named = |records: &[Record], numbers: &Numbers, bare_keys: bool| {
        let named = records.iter().map(|record| {
            let value = |name: &String| {
                let value = record.fields.get(name).map(json);
                value.ok_or_else(|| {
                    let fault = Diagnostic::error(format!("a record has no field `{name}`"));
                    fault.suggest(name, record.fields.names())
                })
            };
            let values = within.iter().chain(on).map(value);
            let values = values.collect::<Result<Vec<Json>, Diagnostic>>()?;
            let mut name: Vec<String> = values.iter().map(bare).collect();
            if on.is_empty() {
                let key = &*record.key;
                let rest = numbers.rest(key).filter(|_| bare_keys);
                name.push(match rest {
                    Some(rest) => rest.to_owned(),
                    None if agree => key.to_owned(),
                    None => numbers.meaning(key),
                });
            }
            Ok((joined(&name), record.clone()))
        });
        named.collect::<Result<Vec<Called>, Diagnostic>>()
    };
    let whole = |bare_keys: bool| -> Result<Lot, Diagnostic> {
        Ok(Lot {
            a: named(a, &numbers[0], bare_keys)?,
            b: named(b, &numbers[1], bare_keys)?,
            numbers: numbers.clone(),
        })
    };
    let lot = whole(false)?;
    match on.is_empty() && lot.pairs().both.is_empty() {
        true => whole(true),
        false => Ok(lot),
    }
}

/// The stage that tells records apart by a field: a `compare` between its values, else a `stats`
/// that makes groups by it.
fn sums(pipe: &Pipe, field: &str) -> Option<usize> {
    let by = |at: &usize, verb: &str, setting: &str| {
        let stage = &pipe.stages[*at].verb;
        stage.name() == verb && holds(&stage.settings()[setting], field)
    };
    let mut order = pipe.order.iter().copied();
    let compares = order.clone().find(|at| by(at, "compare", "between"));
    compares.or_else(|| order.find(|at| by(at, "stats", "by")))
}

/// The `compare` or `stats` after a stage that sums up its scores, with its settings.
fn summed(pipe: &Pipe, at: usize, field: Option<&str>) -> Option<(usize, Settings)> {
    let sums = |by: &usize| {
        let verb = &pipe.stages[*by].verb;
        let settings = verb.settings();
        let fits = match verb.name() {
            "compare" => field.is_some_and(|field| holds(&settings["between"], field)),
            "stats" => field.is_none_or(|field| holds(&settings["by"], field)),
            _ => false,
        };
        fits && pipe.stages[*by].inputs.contains(&at)
    };
    let mut order = pipe.order.iter().copied();
    let found = order.find(sums)?;
    Some((found, Settings::of(&pipe.stages[found].verb.settings())))
}

/// The fields by which a `compare` pairs records.
fn own(pipe: &Pipe, at: usize) -> Vec<String> {
    let verb = &pipe.stages[at].verb;
    let on = match verb.name() {
        "compare" => verb.settings()["on"].clone(),
        _ => Json::Null,
    };
    let on = on.as_array().into_iter().flatten();
    on.filter_map(Json::as_str).map(str::to_owned).collect()
}

fn holds(setting: &Json, name: &str) -> bool {
    match setting {
        Json::String(text) => text == name,
        Json::Array(items) => items.iter().any(|item| holds(item, name)),
        _ => false,
    }
}

/// The two values that are compared: those that are named, or the only two that there are.
fn values(
    args: &Args,
    pipe: &Pipe,
    field: &str,
    all: &[Record],
) -> Result<(String, String), Diagnostic> {
    let values = all.iter().filter_map(|record| record.fields.get(field));
    let found: BTreeSet<String> = values.map(|value| bare(&json(value))).collect();
    if found.is_empty() {
        let names = all
            .first()
            .into_iter()
            .flat_map(|record| record.fields.names());
        let fault = Diagnostic::error(format!("no record has a field `{field}`"));
        return Err(fault.suggest(field, names));
    }
    match args.what.as_slice() {
        [a, b, ..] => match [a, b].into_iter().find(|value| !found.contains(*value)) {
            None => Ok((a.clone(), b.clone())),
            Some(value) => {
                let fault = Diagnostic::error(format!("no record has the `{field}` `{value}`"));
                Err(fault.help(listed(pipe, &found)))
            }
        },
        _ => {
            let mut two = found.iter();
            if let (Some(a), Some(b), None) = (two.next(), two.next(), two.next()) {
                return Ok((a.clone(), b.clone()));
            }
            let what = format!("`--between {field}` needs two values of `{field}`");
            Err(Diagnostic::error(what).help(listed(pipe, &found)))
        }
    }
}

/// What values there are: those that the pipeline itself brings along, such as the names of
/// models. Others are what records say.
fn listed(pipe: &Pipe, found: &BTreeSet<String>) -> String {
    let own: Vec<String> = params(pipe).map(|(_, value)| value.to_string()).collect();
    let mut texts: Vec<&str> = pipe
        .pipeline
        .sources
        .all()
        .map(|(_, text)| &**text)
        .collect();
    texts.extend(own.iter().map(String::as_str));
    let known = |value: &&String| texts.iter().any(|text| text.contains(value.as_str()));
    let named = found.iter().take(LOOKED_AT).filter(known).take(VALUES);
    let named: Vec<String> = named.map(|value| format!("`{}`", plain(value))).collect();
    match (named.len(), found.len() - named.len()) {
        (0, more) => format!("there are {}", count(more as u64, "value")),
        (_, 0) => format!("there are {}", named.join(", ")),
        (_, more) => format!("there are {} and {more} more", named.join(", ")),
    }
}

/// A value without quotes.
fn bare(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
