//! Stages that only have another name in the second run. Owns when two stages are one: their verbs,
//! settings and inputs are the same, and no other stage could be meant; what their files, prompts and
//! models hold may differ. Pure.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value as Json;

use crate::engine::runs::StageRecord;
use crate::plan::manifest::{Item, Manifest};

/// Names of the first run with those that the second has for them.
#[derive(Debug, Default)]
pub struct Renamed(BTreeMap<String, String>);

type Stages = BTreeMap<String, StageRecord>;

impl Renamed {
    /// Finds them.
    pub fn between(a: &Stages, b: &Stages) -> Renamed {
        let mut found = Renamed::default();
        // What reads a renamed stage may have another name as well.
        loop {
            let alone = |name: &&String| !b.contains_key(*name) && !found.0.contains_key(*name);
            let old: Vec<(&String, String)> = a
                .iter()
                .filter(|(name, _)| alone(name))
                .map(|(name, stage)| (name, face(stage, &found)))
                .collect();
            let known =
                |name: &&String| a.contains_key(*name) || found.0.values().any(|n| n == *name);
            let mut new: HashMap<String, Vec<&String>> = HashMap::new();
            for (name, stage) in b.iter().filter(|(name, _)| !known(name)) {
                new.entry(face(stage, &Renamed::default()))
                    .or_default()
                    .push(name);
            }
            let mut times: HashMap<&str, usize> = HashMap::new();
            for (_, face) in &old {
                *times.entry(face).or_default() += 1;
            }
            let pairs = old.iter().filter_map(|(name, face)| {
                let only = match new.get(face)?.as_slice() {
                    [only] if times.get(face.as_str()) == Some(&1) => (*only).clone(),
                    _ => return None,
                };
                Some(((*name).clone(), only))
            });
            let pairs: Vec<(String, String)> = pairs.collect();
            if pairs.is_empty() {
                return found;
            }
            found.0.extend(pairs);
        }
    }

    /// The old names with the new ones.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    /// The new name of a stage, if it has one.
    fn now<'n>(&'n self, name: &'n String) -> &'n String {
        self.0.get(name).unwrap_or(name)
    }

    /// What is known of stages, under their new names.
    pub fn all<T: Clone>(&self, stages: &BTreeMap<String, T>) -> BTreeMap<String, T> {
        let stages = stages.iter();
        let named = stages.map(|(name, stage)| (self.now(name).clone(), stage.clone()));
        named.collect()
    }

    /// Stages under their new names, with those of their inputs.
    pub fn carried(&self, stages: &Stages) -> Stages {
        let mut stages = self.all(stages);
        for input in stages.values_mut().flat_map(|stage| &mut stage.inputs) {
            *input = self.now(input).clone();
        }
        stages
    }
}

/// What two stages that are one have in common.
fn face(stage: &StageRecord, renamed: &Renamed) -> String {
    let inputs: Vec<&String> = stage.inputs.iter().map(|name| renamed.now(name)).collect();
    let paths: Vec<&str> = paths(&stage.manifest);
    let items = stage.manifest.items.iter();
    let items = items.filter_map(|item| match item {
        Item::Verb { name, .. } => Some(Json::from(name.as_str())),
        Item::Settings { value } => Some(pathless(&value.value(), &paths)),
        Item::With { names } => Some(Json::from(names.as_slice())),
        _ => None,
    });
    let items: Vec<Json> = items.collect();
    serde_json::json!([items, inputs]).to_string()
}

fn paths(manifest: &Manifest) -> Vec<&str> {
    let items = manifest.items.iter();
    let paths = items.filter_map(|item| match item {
        Item::File { path, .. } | Item::Prompt { path, .. } => Some(path.as_str()),
        _ => None,
    });
    paths.collect()
}

/// Settings without what files are called.
fn pathless(value: &Json, paths: &[&str]) -> Json {
    match value {
        Json::String(text) if paths.contains(&text.as_str()) => Json::Null,
        Json::Array(items) => items.iter().map(|item| pathless(item, paths)).collect(),
        Json::Object(entries) => {
            let entries = entries.iter();
            entries
                .map(|(name, value)| (name.clone(), pathless(value, paths)))
                .collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use serde_json::json;

    fn stages(all: &[(&str, &str, i64, &[&str])]) -> Stages {
        let all = all.iter().map(|(name, prompt, n, inputs)| {
            let hash = Hash::of_bytes(prompt.as_bytes());
            let items = json!([{"is": "verb", "name": "generate", "version": 1},
                {"is": "settings", "value": {"prompt": prompt, "n": n}},
                {"is": "prompt", "path": prompt, "hash": hash}]);
            let stage = json!({"manifest": {"items": items}, "recipe": hash, "inputs": inputs,
                               "output": null});
            (
                (*name).to_owned(),
                serde_json::from_value(stage).expect("a stage"),
            )
        });
        all.collect()
    }

    #[test]
    fn only_what_is_clearly_one_stage_is_taken_for_it() {
        let found = |a: &[_], b: &[_]| Renamed::between(&stages(a), &stages(b)).0;
        let a = [
            ("x", "p", 1, &[][..]),
            ("y", "p", 2, &["x"]),
            ("z", "p", 2, &["y"]),
        ];
        let b = [
            ("v", "q", 1, &[][..]),
            ("w", "p", 2, &["v"]),
            ("z", "p", 2, &["w"]),
        ];
        let of = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            let pairs = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            pairs.collect()
        };
        assert_eq!(found(&a, &b), of(&[("x", "v"), ("y", "w")]));
        // Two that could be meant; and another setting.
        assert_eq!(found(&a[..1], &[b[0], ("u", "p", 1, &[])]), of(&[]));
        assert_eq!(found(&[a[0], ("u", "p", 1, &[])], &b[..1]), of(&[]));
        assert_eq!(found(&a[..1], &[("v", "p", 3, &[])]), of(&[]));
    }
}
