//! The calls behind records: found by the record that they were about, and shown as they were
//! sent.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::data::Call;
use super::tables::Pool;
use crate::engine::lineage::Key;
use crate::engine::pipe::Pipe;
use crate::replay::cassette::Entry;

/// All calls of a run, by stage and record.
pub struct Calls {
    by_record: HashMap<(usize, String), Vec<Entry>>,
}

impl Calls {
    /// Sorts calls by their records.
    pub fn new(pipe: &Pipe, entries: Vec<Entry>) -> Calls {
        let mut by_record: HashMap<(usize, String), Vec<Entry>> = HashMap::new();
        for entry in entries.into_iter().filter(|entry| entry.api.is_some()) {
            if let Some(stage) = pipe.find(&entry.stage) {
                let key = (stage, entry.record.clone());
                by_record.entry(key).or_default().push(entry);
            }
        }
        Calls { by_record }
    }

    /// The calls of these stages about what a record was made of, which is known.
    pub fn of(
        &self,
        stages: &[usize],
        read: &HashMap<usize, Vec<Key>>,
        pool: &mut Pool,
    ) -> Vec<Call> {
        let mut found = Vec::new();
        for stage in stages {
            for key in read.get(stage).into_iter().flatten() {
                let entries = self.entries(*stage, key).iter();
                found.extend(entries.map(|entry| call(*stage, entry, pool)));
            }
        }
        found
    }

    /// The calls of these stages about a record of which nothing but its key is known: what
    /// `explode` makes of a record has its key, `#`, and a number.
    pub fn likely(&self, key: &str, stages: &[usize], pool: &mut Pool) -> Vec<Call> {
        let mut found = Vec::new();
        for stage in stages {
            let mut name = Some(key);
            while let Some(known) = name {
                let entries = self.entries(*stage, known);
                found.extend(entries.iter().map(|entry| call(*stage, entry, pool)));
                let parent = known.rfind('#').filter(|_| entries.is_empty());
                name = parent.map(|end| &known[..end]);
            }
        }
        found
    }

    /// The calls of a stage about a record with this key, as they were wanted.
    pub fn entries(&self, stage: usize, key: &str) -> &[Entry] {
        let entries = self.by_record.get(&(stage, key.to_owned()));
        entries.map_or(&[], Vec::as_slice)
    }
}

fn call(stage: usize, entry: &Entry, pool: &mut Pool) -> Call {
    let mut sent = match &entry.asked {
        Some(Json::Object(sent)) => sent.clone(),
        _ => Map::new(),
    };
    let turns = turns(&mut sent);
    let turns = turns
        .iter()
        .map(|(role, text)| (role.clone(), pool.long(text)));
    let turns = turns.collect();
    sent.shift_remove("model");
    Call {
        stage,
        model: entry.model.clone(),
        turns,
        sent: Json::Object(sent),
        answer: pool.long(&entry.reply.text),
        thinking: entry.reply.thinking.as_deref().map(|text| pool.long(text)),
        finish: entry.reply.finish_reason.clone(),
        prompt_tokens: entry.reply.prompt_tokens,
        answer_tokens: entry.reply.answer_tokens,
    }
}

/// Who says what, taken out of a call's body: the places that the APIs have for it.
pub fn turns(sent: &mut Map<String, Json>) -> Vec<(String, String)> {
    let mut turns = Vec::new();
    for name in ["system", "prompt", "inputs"] {
        if sent.get(name).is_some_and(|text| !text.is_null())
            && let Some(text) = sent.shift_remove(name)
        {
            turns.push((name.to_owned(), text_of(&text)));
        }
    }
    if let Some(Json::Array(messages)) = sent.shift_remove("messages") {
        turns.extend(messages.iter().map(|message| {
            let role = message["role"].as_str().unwrap_or("").to_owned();
            (role, text_of(&message["content"]))
        }));
    }
    turns
}

/// A text, or the texts of a list of parts.
fn text_of(content: &Json) -> String {
    match content {
        Json::String(text) => text.clone(),
        Json::Array(parts) => {
            let parts = parts.iter().map(|part| match part["text"].as_str() {
                Some(text) => text.to_owned(),
                None => part.to_string(),
            });
            parts.collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn turns_are_found_where_each_api_has_them() {
        let of = |body: Json| {
            let Json::Object(mut body) = body else {
                panic!("no object");
            };
            let turns = turns(&mut body);
            let turns = turns.iter().map(|(role, text)| format!("{role}: {text}"));
            (
                turns.collect::<Vec<_>>().join("; "),
                Json::Object(body).to_string(),
            )
        };
        let rest = "{\"max_tokens\":5}".to_owned();
        assert_eq!(
            of(json!({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5})),
            ("user: Hi".to_owned(), rest.clone())
        );
        assert_eq!(
            of(json!({"system": "S", "messages": [
                {"role": "user", "content": [{"type": "text", "text": "a"}]}], "max_tokens": 5})),
            ("system: S; user: a".to_owned(), rest.clone())
        );
        assert_eq!(
            of(json!({"prompt": "P", "max_tokens": 5})),
            ("prompt: P".to_owned(), rest)
        );
    }
}
