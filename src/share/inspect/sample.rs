//! Records as Inspect has samples: what was asked, what came back, what was right, the scores.

use std::collections::{BTreeMap, HashMap, HashSet};

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use super::message::{Usage, answer, input, output};
use super::results::{names, number};
use super::{Chain, Lost};
use crate::engine::lineage::Key;
use crate::hash::Hash;
use crate::record::Record;
use crate::report::page::{Past, Scorer, scored};

/// The value of a score when a judge gave no clear verdict.
const UNCLEAR: &str = "unclear";

/// The samples of a chain.
pub struct Samples {
    /// As JSON.
    pub json: Vec<Json>,
    /// For each scorer and each of its columns, the numbers that there are.
    pub numbers: Vec<Vec<Vec<f64>>>,
    used: BTreeMap<String, Usage>,
}

impl Samples {
    /// Of the records of a chain, for the log `eval`.
    pub fn new(chain: &Chain<'_>, model: &str, eval: &str) -> Samples {
        let by_stage = chain.scored.iter().map(|(stage, records)| {
            let by_key = records.iter().map(|record| (&*record.key, record));
            (*stage, by_key.collect())
        });
        let maker = Maker {
            chain,
            model,
            eval,
            names: names(&chain.scorers),
            unchanged: scored(chain.pipe, &chain.behind),
            scored: by_stage.collect(),
        };
        let columns = chain.scorers.iter();
        let columns = columns.map(|s| vec![Vec::new(); columns_of(chain, s).len()]);
        let mut samples = Samples {
            json: Vec::new(),
            numbers: columns.collect(),
            used: BTreeMap::new(),
        };
        let mut ids = HashSet::new();
        let mut counted = HashSet::new();
        for record in &chain.records {
            ids.insert(record.key.to_string());
            let past = chain.lives.past(chain.stage, &record.key);
            let json = maker.sample(record, &past, &mut samples.numbers);
            samples.json.push(json);
            maker.count(&past, &mut counted, &mut samples.used);
        }
        for lost in &chain.failed {
            let stage = chain.name(lost.stage);
            let mut id = lost.key.clone();
            if !ids.insert(id.clone()) {
                id = format!("{id} ({stage})");
            }
            let past = chain.past_of(lost);
            samples.json.push(maker.lost(&id, lost, &past));
            maker.count(&past, &mut counted, &mut samples.used);
        }
        samples
    }

    /// What all of it used, by model; each call once.
    pub fn usage(&self) -> Json {
        by_model(&self.used)
    }
}

/// The columns of a scorer that hold numbers: of a judge the first, before its words.
pub fn columns_of<'s>(chain: &Chain<'_>, scorer: &'s Scorer) -> &'s [String] {
    match chain.pipe.stages[scorer.stage].verb.name() {
        "judge" => scorer.columns.get(..1).unwrap_or_default(),
        _ => &scorer.columns,
    }
}

fn by_model(used: &BTreeMap<String, Usage>) -> Json {
    let used = used.iter().filter(|(_, used)| **used != Usage::default());
    let used = used.map(|(model, used)| (model.clone(), used.json()));
    Json::Object(used.collect())
}

struct Maker<'a> {
    chain: &'a Chain<'a>,
    model: &'a str,
    /// The name of the log.
    eval: &'a str,
    names: Vec<String>,
    /// The fields of scores that no later stage is known to change.
    unchanged: HashSet<String>,
    /// The records of the stages that scored, by their keys.
    scored: HashMap<usize, HashMap<&'a str, &'a Record>>,
}

impl Maker<'_> {
    fn sample(&self, record: &Record, past: &Past, numbers: &mut [Vec<Vec<f64>>]) -> Json {
        let mut sample = self.told(&record.key, past);
        sample["target"] = self.target(past, Some(record));
        sample["scores"] = self.scores(past, numbers);
        sample["metadata"] = self.rest(past, record);
        sample
    }

    /// A record that did not come to the end, with what was said about it until then. Its scores
    /// count in no mean.
    fn lost(&self, id: &str, lost: &Lost, past: &Past) -> Json {
        let stage = self.chain.name(lost.stage);
        let mut sample = self.told(id, past);
        sample["target"] = self.target(past, None);
        let columns = self.chain.scorers.iter();
        let columns = columns.map(|s| vec![Vec::new(); columns_of(self.chain, s).len()]);
        let mut scores = self.scores(past, &mut columns.collect::<Vec<_>>());
        let scorers = self.chain.scorers.iter().zip(&self.names);
        for (_, name) in scorers.filter(|(scorer, _)| scorer.stage == lost.stage) {
            // A judge who gave no clear verdict.
            if let Some(said) = self.chain.entries(past, lost.stage).last() {
                scores[name.as_str()] = json!({
                    "value": UNCLEAR, "explanation": said.reply.text, "history": [],
                });
            }
        }
        sample["scores"] = scores;
        sample["metadata"] = json!({"stage": stage});
        sample["error"] = json!({
            "message": format!("{stage}: {}", lost.why), "traceback": "", "traceback_ansi": "",
        });
        sample
    }

    /// A sample with what was asked and what came back, and nothing else yet.
    fn told(&self, id: &str, past: &Past) -> Json {
        let chain = self.chain;
        let entries = match chain.asked {
            Some(stage) => chain.entries(past, stage),
            None => Vec::new(),
        };
        // Of several questions about a record the last, which may hold the others.
        let last = entries.last().copied();
        let asked = last.map(input).unwrap_or_default();
        let mut messages = asked.clone();
        messages.extend(last.map(answer));
        let input = if asked.is_empty() {
            json!("")
        } else {
            Json::Array(asked)
        };
        let mut used = BTreeMap::new();
        self.count(past, &mut HashSet::new(), &mut used);
        json!({
            "id": id,
            "epoch": 1,
            "input": input,
            "target": "",
            "messages": messages,
            "output": last.map_or_else(|| json!({"model": self.model, "choices": []}), output),
            "scores": {},
            "metadata": {},
            "store": {},
            "events": [],
            "model_usage": by_model(&used),
            "attachments": {},
            "uuid": self.uuid(id),
        })
    }

    /// Adds up what the calls about a record used that are not `counted` yet: records that were
    /// made of one may have its calls in common.
    fn count(
        &self,
        past: &Past,
        counted: &mut HashSet<(usize, Key)>,
        used: &mut BTreeMap<String, Usage>,
    ) {
        let stages = self.chain.scorers.iter().map(|scorer| scorer.stage);
        for stage in self.chain.asked.into_iter().chain(stages) {
            for key in past.read.get(&stage).into_iter().flatten() {
                if !counted.insert((stage, key.clone())) {
                    continue;
                }
                for entry in self.chain.calls.entries(stage, key) {
                    let sum = used.entry(entry.model.clone()).or_default();
                    *sum = Usage::sum([*sum, Usage::of(entry)].into_iter());
                }
            }
        }
    }

    /// A name that no other sample has.
    fn uuid(&self, id: &str) -> String {
        let about = (self.eval, id);
        let hash = Hash::of("clue inspect sample v1", &about).to_string();
        hash[..22].to_owned()
    }

    /// A record as it was when it was scored: fields may have gone on the way since, or have other
    /// names.
    fn then(&self, past: &Past, scorer: &Scorer) -> Option<&Record> {
        let records = self.scored.get(&scorer.stage)?;
        let mut keys = past.made.get(&scorer.stage)?.iter();
        keys.find_map(|key| records.get(&**key).copied())
    }

    /// What would have been right: a text, or several.
    fn target(&self, past: &Past, record: Option<&Record>) -> Json {
        let by_scorer = self.chain.scorers.iter().find_map(|scorer| {
            let field = scorer.reference.as_deref()?;
            self.then(past, scorer)?.fields.get(field)
        });
        let fields = ["reference", "target"].into_iter();
        let by_name = || fields.clone().find_map(|field| record?.fields.get(field));
        match by_scorer.or_else(by_name).map(plain) {
            None | Some(Json::Null) => json!(""),
            Some(Json::Array(all)) => all.iter().map(text).collect(),
            Some(one) => json!(text(&one)),
        }
    }

    /// The scores; their numbers are added to `numbers`.
    fn scores(&self, past: &Past, numbers: &mut [Vec<Vec<f64>>]) -> Json {
        let mut scores = Map::new();
        let all = self.chain.scorers.iter().zip(&self.names);
        for ((scorer, name), numbers) in all.zip(numbers) {
            let Some(record) = self.then(past, scorer) else {
                continue;
            };
            let columns = columns_of(self.chain, scorer);
            let mut values = Map::new();
            for (column, numbers) in columns.iter().zip(numbers) {
                if let Some(number) = number(record, column) {
                    numbers.push(number);
                    values.insert(column.clone(), json!(number));
                }
            }
            // What a judge said of it.
            let said = self.chain.entries(past, scorer.stage).last().copied();
            let words = scorer.columns.get(columns.len()..).unwrap_or_default();
            let value = match columns {
                _ if values.is_empty() && words.is_empty() => continue,
                // A judge without a verdict, which gave reasons all the same.
                _ if values.is_empty() => json!(UNCLEAR),
                [column] => values.remove(column).unwrap_or_default(),
                _ => Json::Object(values),
            };
            let mut score = json!({"value": value, "history": []});
            let prediction = scorer.prediction.as_deref();
            let prediction = prediction.and_then(|field| record.fields.get(field));
            if let Some(prediction) = prediction.map(plain).filter(|value| !value.is_null()) {
                score["answer"] = text(&prediction).into();
            }
            if let Some(said) = said {
                score["explanation"] = said.reply.text.clone().into();
            }
            if !words.is_empty() {
                let words = words
                    .iter()
                    .filter_map(|field| Some((field.clone(), plain(record.fields.get(field)?))));
                score["metadata"] = Json::Object(words.collect());
            }
            scores.insert(name.clone(), score);
        }
        Json::Object(scores)
    }

    /// The fields that are nowhere else: scores too, if a later stage changed them.
    fn rest(&self, past: &Past, record: &Record) -> Json {
        let told = |name: &str, value: &Value| {
            let mut scorers = self.chain.scorers.iter();
            self.unchanged.contains(name)
                && scorers.any(|scorer| {
                    let then = self.then(past, scorer);
                    scorer.columns.iter().any(|column| column == name)
                        && then.is_some_and(|then| then.fields.get(name) == Some(value))
                })
        };
        let fields = record
            .fields
            .iter()
            .filter(|(name, value)| !told(name, value));
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
