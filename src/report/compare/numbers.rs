//! What the numbers at the beginning of keys stand for: `concat: {prefix: true}` puts that of the
//! input there, which is another input once one is added or left out. Owns which stage a number
//! means in a run, by what the run says of its stages; pure.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value as Json;

use super::lot::joined;
use crate::engine::runs::StageRecord;
use crate::plan::manifest::{Item, Manifest};

/// What the numbers before the keys of a stage's records stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Numbers {
    /// There are none.
    #[default]
    None,
    /// One, of these inputs: names of stages, and what stands before their own keys.
    Of(Vec<(String, Rc<Numbers>)>),
    /// Those of one of several stages, and the key alone does not say of which.
    Any(Vec<Rc<Numbers>>),
}

impl Numbers {
    /// Of a stage of a run.
    pub fn of(stages: &BTreeMap<String, StageRecord>, name: &str) -> Rc<Numbers> {
        let mut found = BTreeMap::new();
        look(stages, name, &mut found)
    }

    /// Of records of several stages.
    pub fn any(several: impl Iterator<Item = Rc<Numbers>>) -> Rc<Numbers> {
        let mut all: Vec<Rc<Numbers>> = Vec::new();
        for numbers in several {
            if !all.contains(&numbers) {
                all.push(numbers);
            }
        }
        match all.as_slice() {
            [] => Rc::default(),
            [one] => one.clone(),
            _ => Rc::new(Numbers::Any(all)),
        }
    }

    /// True if there are none.
    pub fn is_none(&self) -> bool {
        *self == Numbers::None
    }

    /// True if the same number means the same in both runs. With a single input on either side, it
    /// tells nothing apart.
    pub fn agrees(&self, other: &Numbers) -> bool {
        let single =
            |numbers: &Numbers| matches!(numbers, Numbers::Of(inputs) if inputs.len() == 1);
        self == other || (single(self) && single(other))
    }

    /// What a key means: the stages that its numbers stand for, and what comes after them.
    pub fn meaning(&self, key: &str) -> String {
        let all = self.read(key);
        let told: Vec<String> = all.iter().map(|parts| joined(parts)).collect();
        joined(&told)
    }

    /// A key without its numbers; none if that is not clear.
    pub fn rest<'k>(&self, key: &'k str) -> Option<&'k str> {
        let mut all = self.read(key).into_iter().map(|parts| parts.len());
        let depth = all.next()?;
        if all.any(|other| other != depth) {
            return None;
        }
        let after = |rest: &'k str, _| rest.split_once('/').map(|(_, rest)| rest);
        (1..depth).try_fold(key, after)
    }

    /// All readings of a key: names of stages, and the rest. There is at least one.
    fn read(&self, key: &str) -> Vec<Vec<String>> {
        let plain = || vec![vec![key.to_owned()]];
        match self {
            Numbers::None => plain(),
            Numbers::Of(inputs) => {
                let parts = key.split_once('/');
                let found = parts.and_then(|(number, rest)| {
                    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
                    Some((inputs.get(at)?, rest))
                });
                let Some(((name, inner), rest)) = found else {
                    return plain();
                };
                let mut all = inner.read(rest);
                all.iter_mut()
                    .for_each(|parts| parts.insert(0, name.clone()));
                all
            }
            Numbers::Any(several) => {
                let mut all: Vec<Vec<String>> = several.iter().flat_map(|n| n.read(key)).collect();
                all.sort();
                all.dedup();
                all
            }
        }
    }
}

/// Looks at a stage and at those that it reads; what is being looked at counts as without numbers,
/// since records of several runs, put together, may go round in a circle.
fn look(
    stages: &BTreeMap<String, StageRecord>,
    name: &str,
    found: &mut BTreeMap<String, Rc<Numbers>>,
) -> Rc<Numbers> {
    if let Some(known) = found.get(name) {
        return known.clone();
    }
    found.insert(name.to_owned(), Rc::default());
    let numbers = stages.get(name).map_or_else(Rc::default, |stage| {
        let settings = settings(&stage.manifest);
        let mut of = |input: &String| look(stages, input, found);
        match verb(&stage.manifest) {
            "concat" => {
                let named = named(&stage.manifest);
                let inputs = &stage.inputs[..stage.inputs.len().saturating_sub(named)];
                if settings["prefix"] == Json::Bool(true) {
                    let inputs = inputs.iter().map(|input| (input.clone(), of(input)));
                    return Rc::new(Numbers::Of(inputs.collect()));
                }
                Numbers::any(inputs.iter().map(of))
            }
            // Keys of their own.
            "load" | "key" | "group" | "stats" | "compare" | "pivot" => Rc::default(),
            "exec" if !settings["key"].is_null() => Rc::default(),
            // The others leave the beginning of the keys of their first input as it is.
            _ => stage.inputs.first().map(of).unwrap_or_default(),
        }
    });
    found.insert(name.to_owned(), numbers.clone());
    numbers
}

fn verb(manifest: &Manifest) -> &str {
    let mut items = manifest.items.iter();
    let verb = items.find_map(|item| match item {
        Item::Verb { name, .. } => Some(name.as_str()),
        _ => None,
    });
    verb.unwrap_or_default()
}

fn settings(manifest: &Manifest) -> Json {
    let mut items = manifest.items.iter();
    let settings = items.find_map(|item| match item {
        Item::Settings { value } => Some(value.value()),
        _ => None,
    });
    settings.unwrap_or_default()
}

/// How many inputs are read under names.
fn named(manifest: &Manifest) -> usize {
    let mut items = manifest.items.iter();
    let named = items.find_map(|item| match item {
        Item::With { names } => Some(names.len()),
        _ => None,
    });
    named.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use serde_json::json;

    fn run(stages: &[(&str, &str, Json, &[&str])]) -> BTreeMap<String, StageRecord> {
        let stages = stages.iter().map(|(name, verb, settings, inputs)| {
            let items = json!([{"is": "verb", "name": verb, "version": 1},
                               {"is": "settings", "value": settings}]);
            let stage = json!({"manifest": {"items": items}, "recipe": Hash::of_bytes(b""),
                               "inputs": inputs, "output": null});
            let stage = serde_json::from_value(stage).expect("a stage");
            ((*name).to_owned(), stage)
        });
        stages.collect()
    }

    #[test]
    fn numbers_stand_for_stages_however_deep() {
        let prefix = json!({"prefix": true});
        let stages = run(&[
            ("x", "load", json!({}), &[]),
            ("y", "load", json!({}), &[]),
            ("xy", "concat", prefix.clone(), &["x", "y"]),
            ("kept", "where", json!("true"), &["xy"]),
            ("z", "load", json!({}), &[]),
            ("all", "concat", prefix, &["z", "kept"]),
            ("mixed", "concat", json!({"prefix": false}), &["kept", "z"]),
            ("summed", "group", json!({}), &["all"]),
        ]);
        let all = Numbers::of(&stages, "all");
        assert_eq!(all.meaning("2/1/k/1"), "kept / x / k/1");
        assert_eq!(all.rest("2/1/k/1"), Some("k/1"));
        assert_eq!(all.meaning("1/1/k"), "z / 1/k");
        assert_eq!(all.rest("1/1/k"), Some("1/k"));
        // No number of an input.
        assert_eq!(
            (all.meaning("3/k"), all.rest("k")),
            ("3/k".into(), Some("k"))
        );
        let mixed = Numbers::of(&stages, "mixed");
        assert_eq!(
            (mixed.meaning("k"), mixed.rest("k")),
            ("k".into(), Some("k"))
        );
        assert_eq!(mixed.rest("1/k"), None, "a number, or a part of the key");
        assert!(Numbers::of(&stages, "summed").is_none());
    }

    #[test]
    fn a_circle_has_an_end() {
        let prefix = || json!({"prefix": true});
        let stages = run(&[
            ("a", "concat", prefix(), &["b"]),
            ("b", "concat", prefix(), &["a"]),
        ]);
        assert_eq!(Numbers::of(&stages, "a").meaning("1/1/1/k"), "b / a / 1/k");
    }
}
