//! What of sensitive records may be in a page: their numbers of scores, and their keys as salted
//! hashes that name nobody and still tell records apart.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::Value as Json;

use crate::engine::pipe::Pipe;
use crate::hash::Hash;
use crate::record::Record;

/// What masked keys are salted with.
#[derive(Clone, Debug)]
pub enum Salting {
    /// The sensitive records of the page. Such a page stays where they are: if it holds means
    /// alone, these are the records.
    Records,
    /// Something that only those know who have the data; without it, no key is shown.
    With(Option<Hash>),
}

/// Decides what is left out.
pub struct Mask {
    /// Sensitive texts may be shown.
    open: bool,
    /// Who does not have what it is made of cannot try keys.
    salt: Option<Hash>,
    /// What the pipeline's own files and params say.
    known: HashSet<String>,
}

impl Mask {
    /// A mask for a pipeline. `records` are sensitive ones.
    pub fn new<'a>(
        pipe: &Pipe,
        open: bool,
        salting: &Salting,
        records: impl IntoIterator<Item = &'a Record>,
    ) -> Mask {
        let salt = match salting {
            Salting::Records => of_records(records),
            Salting::With(salt) => *salt,
        };
        Mask {
            open,
            salt,
            known: known(pipe),
        }
    }

    /// True when the texts of these records are left out.
    pub fn hides(&self, sensitive: bool) -> bool {
        sensitive && !self.open
    }

    /// A key as it may be shown; none if it may not.
    pub fn key(&self, key: &str, sensitive: bool) -> Option<String> {
        if !self.hides(sensitive) {
            return Some(key.to_owned());
        }
        #[derive(Serialize)]
        struct Key<'a> {
            salt: Hash,
            key: &'a str,
        }
        let salt = self.salt?;
        Some(Hash::of("clue report key v1", &Key { salt, key }).short())
    }

    /// True for a value that says nothing about a record, because the pipeline itself holds it:
    /// the name of a model or a task, for one.
    pub fn knows(&self, value: &Json) -> bool {
        match value {
            Json::Null | Json::Bool(_) => true,
            Json::String(text) => self.known.contains(text),
            Json::Number(number) => self.known.contains(&number.to_string()),
            Json::Array(_) | Json::Object(_) => false,
        }
    }
}

/// A salt of records.
fn of_records<'a>(records: impl IntoIterator<Item = &'a Record>) -> Option<Hash> {
    let mut hasher = blake3::Hasher::new_derive_key("clue report salt v1");
    let mut any = false;
    for record in records {
        any = true;
        let line = serde_json::to_vec(&(&*record.key, &record.fields)).unwrap_or_default();
        hasher.update(&line);
    }
    any.then(|| Hash(*hasher.finalize().as_bytes()))
}

/// Every text that the pipeline brings along: values of params and settings, texts in quotes in
/// expressions, names of stages and their parts. Numbers are those of params only: a seed says
/// nothing about an age.
fn known(pipe: &Pipe) -> HashSet<String> {
    let mut known = HashSet::new();
    for scope in &pipe.pipeline.scopes {
        for param in &scope.params {
            let value = serde_json::to_value(&param.value).unwrap_or_default();
            texts(&value, true, &mut known);
        }
    }
    for stage in &pipe.stages {
        let name = &stage.spec.name.value;
        known.extend(name.split('/').map(str::to_owned));
        known.insert(name.clone());
        texts(&stage.verb.settings(), false, &mut known);
    }
    known.extend(pipe.models.values().map(|model| model.id.clone()));
    known
}

fn texts(json: &Json, numbers: bool, into: &mut HashSet<String>) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| texts(item, numbers, into)),
        Json::Object(entries) => {
            for (name, value) in entries {
                into.insert(name.clone());
                texts(value, numbers, into);
            }
        }
        Json::String(text) => {
            for quote in ['\'', '"'] {
                let quoted = text.split(quote).skip(1).step_by(2);
                into.extend(quoted.map(str::to_owned));
            }
            into.insert(text.clone());
        }
        Json::Number(number) if numbers => {
            into.insert(number.to_string());
        }
        _ => {}
    }
}
