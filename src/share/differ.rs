//! What differs between a lock and a pipeline as it is now, in the words of the user's files, and
//! what differs between outputs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::lock::{Lock, Made, Model, Place, Stage};
use crate::hash::Hash;
use crate::plan::graph::Output;
use crate::plan::manifest::first_difference;
use crate::report::words::{brief, count};
use crate::text::visible::plain;

/// Stages that are named; of more, only their number is told.
const NAMED: usize = 6;
/// Characters of a value that are shown.
const WIDTH: usize = 60;

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What kind of thing: `file`, `prompt`, `input`, `param`, `model`, `stage`, `program`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What differs about it, in one line that names it.
    pub what: String,
}

impl Difference {
    /// What it says can come from a lock that somebody else wrote: it is made plain.
    fn new(kind: &'static str, name: &str, what: &str) -> Difference {
        Difference {
            kind,
            name: name.to_owned(),
            what: plain(what),
        }
    }
}

/// What differs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Differences {
    /// What decides outputs, or may: a run that is held to the lock is refused.
    pub wrong: Vec<Difference>,
    /// What should decide nothing.
    pub odd: Vec<Difference>,
}

/// What a comparison may look up.
pub struct Known<'a> {
    /// A prompt text, or that of a pipeline file, by its hash.
    pub text: &'a dyn Fn(Hash) -> Option<String>,
    /// For each stage of the pipeline now, inputs first: its name, and the stages that it reads.
    pub stages: &'a [(String, Vec<String>)],
}

/// Compares what a run is made of.
pub fn made_of(lock: &Lock, now: &Lock, known: &Known<'_>) -> Differences {
    let mut all = Differences::default();
    let wrong = &mut all.wrong;
    let mut add = |kind: &'static str, name: &str, what: String| {
        wrong.push(Difference::new(kind, name, &what));
    };
    each(&lock.params, &now.params, |name, was, is| {
        let what = match (was, is) {
            (Some(was), Some(is)) => format!("{} → {}", value(was), value(is)),
            (Some(_), None) => "is no longer there".to_owned(),
            _ => "is new".to_owned(),
        };
        add("param", name, format!("param `{name}` {what}"));
    });
    each(&lock.paths, &now.paths, |name, was, is| {
        if let Some(what) = place(was, is) {
            add("param", name, format!("param `{name}` {what}"));
        }
    });
    for (kind, was, is) in [
        ("file", &lock.files, &now.files),
        ("prompt", &lock.prompts, &now.prompts),
    ] {
        each(was, is, |name, was, is| {
            let line = was.zip(is).and_then(|(was, is)| {
                let (was, is) = (known.text)(*was).zip((known.text)(*is))?;
                Some(first_difference(&was, &is))
            });
            let what = match line {
                Some(line) => format!("differs from line {line} on"),
                None => differs(was, is).to_owned(),
            };
            add(kind, name, format!("{kind} `{name}` {what}"));
        });
    }
    let hashes = |lock: &Lock| -> BTreeMap<String, Hash> {
        let inputs = lock.inputs.iter();
        inputs.map(|(name, i)| (name.clone(), i.hash)).collect()
    };
    each(&hashes(lock), &hashes(now), |name, was, is| {
        let param = name.strip_prefix("params.");
        let place = param.and_then(|param| now.paths.get(param).or(lock.paths.get(param)));
        let shown = match (param, place) {
            (Some(param), Some(place)) => format!("`{}` (param `{param}`)", place.path),
            _ => format!("`{name}`"),
        };
        let records = lock.inputs.get(name).and_then(|input| input.records);
        let had = records.filter(|_| is.is_some());
        let had = had.map_or_else(String::new, |n| format!("; it had {}", count(n, "record")));
        let what = format!("input {shown} {}{had}", differs(was, is));
        add("input", name, what);
    });
    each(&lock.models, &now.models, |name, was, is| {
        for what in model(was, is) {
            add("model", name, format!("model `{name}` {what}"));
        }
    });
    let told = !wrong.is_empty();
    let stages = stages(lock, now, known, told);
    all.odd = versions(lock, now);
    // A param that changes no key decides nothing: an address, or how many calls are open at once.
    if stages.is_empty() && wrong.iter().all(|other| other.kind == "param") {
        let params = wrong.drain(..).map(|other| Difference {
            what: format!("{}; it changes no stage", other.what),
            ..other
        });
        all.odd.extend(params);
    }
    wrong.extend(stages);
    all
}

/// Goes through what differs between two maps.
fn each<T: PartialEq>(
    was: &BTreeMap<String, T>,
    is: &BTreeMap<String, T>,
    mut tell: impl FnMut(&str, Option<&T>, Option<&T>),
) {
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    for name in names {
        let (was, is) = (was.get(name), is.get(name));
        if was != is {
            tell(name, was, is);
        }
    }
}

fn differs<T>(was: Option<T>, is: Option<T>) -> &'static str {
    match (was, is) {
        (Some(_), None) => "is no longer used",
        (None, Some(_)) => "is new",
        _ => "differs",
    }
}

fn value(value: &Json) -> String {
    brief(&value.to_string(), WIDTH)
}

/// What differs about a param that is a path: what lies there, not where it lies.
fn place(was: Option<&Place>, is: Option<&Place>) -> Option<String> {
    let (Some(was), Some(is)) = (was, is) else {
        return Some(differs(was, is).to_owned());
    };
    let set = |place: &Place| !place.path.is_empty();
    match (set(was), set(is)) {
        (true, false) => Some("is no longer set".to_owned()),
        (false, true) => Some("is set".to_owned()),
        // One that is an input is compared as such.
        _ => (was.hash.is_some() && is.hash.is_some() && was.hash != is.hash)
            .then(|| format!("(`{}`) has another content", is.path)),
    }
}

/// What differs about a model, setting by setting. What its server says decides nothing.
fn model(was: Option<&Model>, is: Option<&Model>) -> Vec<String> {
    let (Some(was), Some(is)) = (was, is) else {
        return vec![differs(was, is).to_owned()];
    };
    let mut found = Vec::new();
    settings("", &was.identity, &is.identity, &mut found);
    found
}

fn settings(
    prefix: &str,
    was: &BTreeMap<String, Json>,
    is: &BTreeMap<String, Json>,
    found: &mut Vec<String>,
) {
    let map = |value: &Json| -> Option<BTreeMap<String, Json>> {
        let entries = value.as_object()?.clone();
        Some(entries.into_iter().collect())
    };
    each(was, is, |name, was, is| {
        let name = format!("{prefix}{name}");
        let inner = was.and_then(map).zip(is.and_then(map));
        match (was, is) {
            _ if inner.is_some() => {
                let (was, is) = inner.unwrap_or_default();
                settings(&format!("{name}."), &was, &is, found);
            }
            (Some(was), Some(is)) => {
                found.push(format!("`{name}` {} → {}", value(was), value(is)));
            }
            (Some(was), None) => found.push(format!("`{name}` {} is gone", value(was))),
            (_, is) => {
                let is = is.map_or_else(String::new, value);
                found.push(format!("`{name}` {is} is new"));
            }
        }
    });
}

/// What differs about stages: in short if something else that differs may be why; else the first
/// ones, since those after them differ for that alone.
fn stages(lock: &Lock, now: &Lock, known: &Known<'_>, told: bool) -> Vec<Difference> {
    let key = |lock: &Lock, name: &str| lock.stages.get(name).map(|stage| stage.key);
    let other = |name: &str| key(lock, name) != key(now, name);
    let mut names: Vec<&String> = known.stages.iter().map(|(name, _)| name).collect();
    let gone = lock.stages.keys();
    names.extend(gone.filter(|name| !now.stages.contains_key(*name)));
    names.retain(|name| other(name));
    if names.is_empty() {
        return Vec::new();
    }
    if told {
        let named: Vec<String> = names.iter().take(NAMED).map(|n| format!("`{n}`")).collect();
        let more = match names.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let stages = count(names.len() as u64, "stage");
        let what = format!("this changes {stages}: {}{more}", named.join(", "));
        return vec![Difference::new("stage", names[0], &what)];
    }
    let sources = |name: &str| {
        let found = known.stages.iter().find(|(n, _)| n == name);
        found.map_or(&[][..], |(_, sources)| sources)
    };
    let first = |name: &&&String| !sources(name).iter().any(|source| other(source));
    let firsts = names.iter().filter(first);
    firsts
        .map(|name| {
            let what = stage(name, lock.stages.get(*name), now.stages.get(*name));
            Difference::new("stage", name, &what)
        })
        .collect()
}

fn stage(name: &str, was: Option<&Stage>, is: Option<&Stage>) -> String {
    match (was, is) {
        (Some(was), Some(is)) if was.verb != is.verb => {
            format!(
                "stage `{name}`: its verb has another version: `{}` → `{}`",
                was.verb, is.verb
            )
        }
        (Some(_), Some(_)) => format!("stage `{name}` has another key"),
        _ => format!("stage `{name}` {}", differs(was, is)),
    }
}

/// Versions of the program and of the forms of its files. What a version changes about outputs is
/// in the keys of stages.
fn versions(lock: &Lock, now: &Lock) -> Vec<Difference> {
    let mut odd = Vec::new();
    let mut add = |name: &str, what: String| {
        odd.push(Difference::new("program", name, &what));
    };
    if lock.program != now.program {
        let (was, is) = (&lock.program, &now.program);
        add("clue", format!("the lock is of clue {was}, this is {is}"));
    }
    each(&lock.formats, &now.formats, |name, was, is| {
        if let (Some(was), Some(is)) = (was, is) {
            add(name, format!("format of the {name} {was} → {is}"));
        }
    });
    odd
}

/// What became of outputs that a lock knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// How many are as the lock says.
    pub same: usize,
    /// How many were not made, so that nothing is known of them.
    pub unknown: usize,
    /// Those that are not, in the order of the pipeline: inputs first.
    pub differ: Vec<Difference>,
}

/// An output of a stage as it is now.
pub struct Now<'a> {
    /// The stage.
    pub stage: &'a str,
    /// The file that it writes, in the output folder.
    pub path: Option<String>,
    /// The output, if it is known.
    pub output: Option<&'a Output>,
}

/// Compares outputs, which come inputs first.
pub fn results<'a>(lock: &Lock, now: impl IntoIterator<Item = Now<'a>>) -> Results {
    let mut results = Results::default();
    for now in now {
        let stage = lock.stages.get(now.stage);
        let (was, records) = match &now.path {
            Some(path) => match lock.outputs.get(path) {
                Some(Made { hash, records }) => (*hash, Some(*records)),
                None => continue,
            },
            None => match stage.and_then(|stage| stage.output.zip(Some(stage.records))) {
                Some(known) => known,
                None => continue,
            },
        };
        let Some(is) = now.output else {
            results.unknown += 1;
            continue;
        };
        if is.content == was {
            results.same += 1;
            continue;
        }
        let shown = match &now.path {
            Some(path) => format!("output `{path}`"),
            None => format!("stage `{}`", now.stage),
        };
        let records = match records {
            Some(records) if records != is.rows => {
                let records = count(records, "record");
                format!("{records} → {}", count(is.rows, "record"))
            }
            _ => count(is.rows, "record"),
        };
        let (was, is) = (was.short(), is.content.short());
        let kind = if now.path.is_some() {
            "output"
        } else {
            "stage"
        };
        let name = now.path.as_deref().unwrap_or(now.stage);
        let what = format!("{shown}: {was} → {is} ({records})");
        results.differ.push(Difference::new(kind, name, &what));
    }
    results
}

/// Models whose server says something else of itself than it did.
pub fn servers(lock: &Lock, now: &Lock) -> Vec<Difference> {
    let mut odd = Vec::new();
    for (name, is) in &now.models {
        let was = lock
            .models
            .get(name)
            .and_then(|model| model.served.as_ref());
        let Some((was, is)) = was.zip(is.served.as_ref()) else {
            continue;
        };
        for (what, was, is) in [
            ("server", &was.server, &is.server),
            ("server's version", &was.version, &is.version),
            ("weights", &was.weights, &is.weights),
        ] {
            if was != is {
                let text = |fact: &Option<String>| fact.clone().unwrap_or_else(|| "?".to_owned());
                let what = format!("model `{name}`: its {what} {} → {}", text(was), text(is));
                odd.push(Difference::new("model", name, &what));
            }
        }
    }
    odd
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(n: i64, key: &[u8]) -> Lock {
        let mut lock = Lock::default();
        lock.params.insert("n".to_owned(), n.into());
        for name in ["a", "b"] {
            let stage = Stage {
                verb: "take 1".to_owned(),
                key: Hash::of_bytes(&[key, name.as_bytes()].concat()),
                output: None,
                records: None,
            };
            lock.stages.insert(name.to_owned(), stage);
        }
        lock
    }

    fn compared(lock: &Lock, now: &Lock) -> Differences {
        let stages = [
            ("a".to_owned(), Vec::new()),
            ("b".to_owned(), vec!["a".to_owned()]),
        ];
        let known = Known {
            text: &|_| None,
            stages: &stages,
        };
        made_of(lock, now, &known)
    }

    fn told(differences: &[Difference]) -> Vec<&str> {
        differences.iter().map(|d| d.what.as_str()).collect()
    }

    #[test]
    fn a_param_is_wrong_only_if_it_changes_a_stage() {
        let found = compared(&lock(1, b"x"), &lock(2, b"x"));
        assert!(found.wrong.is_empty());
        assert_eq!(told(&found.odd), ["param `n` 1 → 2; it changes no stage"]);
        let found = compared(&lock(1, b"x"), &lock(2, b"y"));
        assert_eq!(
            told(&found.wrong),
            ["param `n` 1 → 2", "this changes 2 stages: `a`, `b`"]
        );
    }

    #[test]
    fn what_nothing_explains_is_told_where_it_begins() {
        let found = compared(&lock(1, b"x"), &lock(1, b"y"));
        assert_eq!(told(&found.wrong), ["stage `a` has another key"]);
        let mut newer = lock(1, b"y");
        for stage in newer.stages.values_mut() {
            stage.verb = "take 2".to_owned();
        }
        let found = compared(&lock(1, b"x"), &newer);
        assert_eq!(
            told(&found.wrong),
            ["stage `a`: its verb has another version: `take 1` → `take 2`"]
        );
        assert_eq!(compared(&newer, &newer), Differences::default());
    }

    #[test]
    fn a_lock_cannot_write_to_the_terminal() {
        let mut odd = lock(1, b"x");
        odd.files
            .insert("\u{1b}[2K\rok".to_owned(), Hash::of_bytes(b""));
        let found = compared(&odd, &lock(1, b"x"));
        assert_eq!(
            told(&found.wrong),
            ["file `\\u{1b}[2K\\rok` is no longer used"]
        );
    }

    #[test]
    fn outputs_that_were_not_made_are_not_wrong() {
        let mut then = lock(1, b"x");
        for stage in then.stages.values_mut() {
            stage.output = Some(Hash::of_bytes(b"x"));
            stage.records = Some(2);
        }
        let other = Output {
            content: Hash::of_bytes(b"y"),
            rows: 3,
        };
        let now = |output| Now {
            stage: "a",
            path: None,
            output,
        };
        let found = results(&then, [now(Some(&other)), now(None)]);
        assert_eq!((found.same, found.unknown, found.differ.len()), (0, 1, 1));
        assert!(
            found.differ[0].what.ends_with("(2 records → 3 records)"),
            "{}",
            found.differ[0].what
        );
    }
}
