//! What of sensitive records may be in a page: their numbers of scores, and their keys as salted
//! hashes that name nobody and still tell records apart.

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
    known: String,
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
            Json::String(text) => self.known.contains(text.as_str()),
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

/// Every text that the pipeline brings along, one a line.
fn known(pipe: &Pipe) -> String {
    let mut known = String::new();
    for scope in &pipe.pipeline.scopes {
        for param in &scope.params {
            texts(
                &serde_json::to_value(&param.value).unwrap_or_default(),
                &mut known,
            );
        }
    }
    for stage in &pipe.stages {
        known.push_str(&stage.spec.name.value);
        known.push('\n');
        texts(&stage.verb.settings(), &mut known);
    }
    for model in pipe.models.values() {
        known.push_str(&model.id);
        known.push('\n');
    }
    known
}

fn texts(json: &Json, into: &mut String) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Json::Object(entries) => {
            for (name, value) in entries {
                into.push_str(name);
                into.push('\n');
                texts(value, into);
            }
        }
        Json::String(text) => {
            into.push_str(text);
            into.push('\n');
        }
        other => {
            into.push_str(&other.to_string());
            into.push('\n');
        }
    }
}
