//! Records as Inspect has samples: what was asked, what came back, what was right, the scores.

use std::collections::HashMap;

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use super::Chain;
use super::message::{Usage, answer, input, output};
use super::results::{names, number};
use crate::hash::Hash;
use crate::record::Record;
use crate::report::page::Scorer;

/// The samples of a chain.
pub struct Samples {
    /// As JSON.
    pub json: Vec<Json>,
    used: Usage,
}

impl Samples {
    /// Of the records of a chain, for the log `eval`.
    pub fn new(chain: &Chain<'_>, model: &str, eval: &str) -> Samples {
        let scored = chain.scored.iter().map(|(stage, records)| {
            let by_key = records.iter().map(|record| (&*record.key, record));
            (*stage, by_key.collect())
        });
        let maker = Maker {
            chain,
            model,
            eval,
            names: names(&chain.scorers),
            scored: scored.collect(),
        };
        let mut samples = Samples {
            json: Vec::new(),
            used: Usage::default(),
        };
        for record in chain.records {
            let (json, used) = maker.sample(record);
            samples.json.push(json);
            samples.used = Usage::sum([samples.used, used].into_iter());
        }
        samples
    }

    /// What all of it used, by model.
    pub fn usage(&self, model: &str) -> Json {
        by_model(model, self.used)
    }
}

fn by_model(model: &str, used: Usage) -> Json {
    if used == Usage::default() {
        return json!({});
    }
    json!({model: used.json()})
}

struct Maker<'a> {
    chain: &'a Chain<'a>,
    model: &'a str,
    /// The name of the log.
    eval: &'a str,
    names: Vec<String>,
    /// The records of the stages that scored, by their keys.
    scored: HashMap<usize, HashMap<&'a str, &'a Record>>,
}

impl Maker<'_> {
    fn sample(&self, record: &Record) -> (Json, Usage) {
        let chain = self.chain;
        let entries = match chain.asked {
            Some(stage) => chain.calls.entries(stage, &record.key),
            None => &[],
        };
        let used = Usage::sum(entries.iter().map(Usage::of));
        // Of several questions about a record the last, which may hold the others.
        let last = entries.last();
        let asked = last.map(input).unwrap_or_default();
        let mut messages = asked.clone();
        messages.extend(last.map(answer));
        let input = if asked.is_empty() {
            json!("")
        } else {
            Json::Array(asked)
        };
        let sample = json!({
            "id": &*record.key,
            "epoch": 1,
            "input": input,
            "target": self.target(record),
            "messages": messages,
            "output": last.map_or_else(|| json!({"model": self.model, "choices": []}), output),
            "scores": self.scores(record),
            "metadata": self.rest(record),
            "store": {},
            "events": [],
            "model_usage": by_model(self.model, used),
            "attachments": {},
            "uuid": self.uuid(record),
        });
        (sample, used)
    }

    /// A name that no other sample has.
    fn uuid(&self, record: &Record) -> String {
        let about = (self.eval, &*record.key);
        let hash = Hash::of("clue inspect sample v1", &about).to_string();
        hash[..22].to_owned()
    }

    /// The value of a field that a scorer read: it may have gone on the way since.
    fn read<'r>(&'r self, record: &'r Record, scorer: &Scorer, field: &str) -> Option<&'r Value> {
        let then = self.scored.get(&scorer.stage);
        let then = then.and_then(|records| records.get(&*record.key));
        let then = then.and_then(|record| record.fields.get(field));
        then.or_else(|| record.fields.get(field))
    }

    /// What would have been right: a text, or several.
    fn target(&self, record: &Record) -> Json {
        let by_scorer = self.chain.scorers.iter().find_map(|scorer| {
            let field = scorer.reference.as_deref()?;
            self.read(record, scorer, field)
        });
        let fields = ["reference", "target"].into_iter();
        let by_name = || fields.clone().find_map(|field| record.fields.get(field));
        match by_scorer.or_else(by_name).map(plain) {
            None | Some(Json::Null) => json!(""),
            Some(Json::Array(all)) => all.iter().map(text).collect(),
            Some(one) => json!(text(&one)),
        }
    }

    fn scores(&self, record: &Record) -> Json {
        let mut scores = Map::new();
        for (scorer, name) in self.chain.scorers.iter().zip(&self.names) {
            let value = match scorer.columns.as_slice() {
                [column] => match number(record, column) {
                    Some(number) => json!(number),
                    None => continue,
                },
                columns => {
                    let numbers = columns.iter().filter_map(|column| {
                        Some((column.clone(), json!(number(record, column)?)))
                    });
                    let numbers: Map<String, Json> = numbers.collect();
                    if numbers.is_empty() {
                        continue;
                    }
                    Json::Object(numbers)
                }
            };
            let mut score = json!({"value": value, "history": []});
            let prediction = scorer.prediction.as_deref();
            let prediction = prediction.and_then(|field| self.read(record, scorer, field));
            if let Some(prediction) = prediction.map(plain).filter(|value| !value.is_null()) {
                score["answer"] = text(&prediction).into();
            }
            // What a judge said of it.
            let said = self.chain.calls.entries(scorer.stage, &record.key).last();
            if let Some(said) = said {
                score["explanation"] = said.reply.text.clone().into();
            }
            scores.insert(name.clone(), score);
        }
        Json::Object(scores)
    }

    /// The fields that are nowhere else.
    fn rest(&self, record: &Record) -> Json {
        let scored = |name: &str| {
            let mut scorers = self.chain.scorers.iter();
            scorers.any(|scorer| scorer.columns.iter().any(|column| column == name))
        };
        let fields = record.fields.iter().filter(|(name, _)| !scored(name));
        let fields = fields.map(|(name, value)| (name.to_string(), plain(value)));
        Json::Object(fields.collect())
    }
}

fn plain(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// A value as text.
fn text(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}
