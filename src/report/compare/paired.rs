//! Scores of two lots, record by record: the verb `compare` does the tests. Owns how a lot is
//! handed to it.

use std::path::Path;

use minijinja::Value;
use serde_json::{Map, Value as Json, json};

use super::data::Score;
use super::lot::Lot;
use crate::diag::{Diagnostic, Sources};
use crate::engine::pipe::Pipe;
use crate::record::Record;
use crate::report::life::json as to_json;
use crate::spec::node::Node;
use crate::stages::contract::{Fault, Operator};
use crate::stages::verb;

/// How often an interval holds the difference if nothing else is said: the verb's own default.
const CONFIDENCE: f64 = 0.95;
/// The field that names the side: no field of a pipeline has such a name.
const SIDE: &str = "side (clue compare)";
/// The field that names the pair.
const PAIR: &str = "pair (clue compare)";

/// How scores are summed up.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Those of `stats` or `compare` that have the same meaning here: `metrics`, `by`, `over`,
    /// `cluster`, `seed`, `test`, `resamples`, `confidence`.
    pub json: Map<String, Json>,
}

impl Settings {
    /// As a stage of the pipeline sums them up, a `stats` or a `compare`.
    pub fn of(settings: &Json) -> Settings {
        let mut json = Map::new();
        for name in [
            "by",
            "over",
            "cluster",
            "seed",
            "test",
            "confidence",
            "resamples",
        ] {
            if let Some(value) = settings.get(name).filter(|value| !value.is_null()) {
                json.insert(name.to_owned(), value.clone());
            }
        }
        if let Some(resamples) = settings.get("bootstrap").filter(|value| !value.is_null()) {
            json.insert("resamples".to_owned(), resamples.clone());
        }
        if let Some(metrics) = settings["metrics"].as_array() {
            json.insert("metrics".to_owned(), columns(metrics));
        }
        Settings { json }
    }

    /// Of these fields.
    pub fn fields(names: &[String]) -> Settings {
        let mut json = Map::new();
        json.insert("metrics".to_owned(), json!(names));
        Settings { json }
    }

    /// The fields that make a group.
    pub fn by(&self) -> Vec<String> {
        self.names("by")
    }

    /// The fields within which the names of records tell them apart.
    pub fn groups(&self) -> Vec<String> {
        [self.names("by"), self.names("over")].concat()
    }

    fn names(&self, setting: &str) -> Vec<String> {
        let names = self.json.get(setting).and_then(Json::as_array).into_iter();
        let names = names.flatten().filter_map(Json::as_str);
        names.map(str::to_owned).collect()
    }

    /// Without these fields among those that make a group.
    pub fn without(&self, names: &[String]) -> Settings {
        let left: Vec<String> = self
            .by()
            .into_iter()
            .filter(|by| !names.contains(by))
            .collect();
        let mut json = self.json.clone();
        json.insert("by".to_owned(), json!(left));
        Settings { json }
    }

    /// The metrics: names, each with its expression if it is not a field.
    pub fn metrics(&self) -> Vec<(String, Option<String>)> {
        match self.json.get("metrics") {
            Some(Json::Array(names)) => {
                let names = names.iter().filter_map(Json::as_str);
                names.map(|name| (name.to_owned(), None)).collect()
            }
            Some(Json::Object(exprs)) => {
                let exprs = exprs
                    .iter()
                    .map(|(name, expr)| (name.clone(), expr.as_str().map(str::to_owned)));
                exprs.collect()
            }
            _ => Vec::new(),
        }
    }
}

/// Columns as they are written in YAML: a list of fields, or a map of expressions.
fn columns(columns: &[Json]) -> Json {
    let all = columns.iter();
    let fields: Option<Vec<&Json>> = all.map(|column| column[1].get("field")).collect();
    if let Some(fields) = fields {
        return json!(fields);
    }
    let exprs = columns.iter().filter_map(|column| {
        let expr = column[1].get("expr").or_else(|| column[1].get("field"))?;
        Some((column[0].as_str()?.to_owned(), expr.clone()))
    });
    Json::Object(exprs.collect())
}

/// Compares the scores of a lot. `build` is a stage whose params expressions may read, and `stage`
/// is what the scores are called after.
///
/// # Errors
/// Why they cannot be paired.
pub fn paired(
    pipe: &Pipe,
    build: usize,
    stage: &str,
    lot: &Lot,
    settings: &Settings,
) -> Result<Vec<Score>, Diagnostic> {
    let by = settings.by();
    let mut json = settings.json.clone();
    json.insert("between".to_owned(), json!(SIDE));
    json.insert("on".to_owned(), json!([PAIR]));
    let mut sources = Sources::default();
    // JSON is YAML.
    let file = sources.add(Path::new("compare"), Json::Object(json).to_string());
    let node = Node::parse(&sources, file)?;
    let compare = verb("compare").ok_or_else(|| Diagnostic::error("no verb `compare`"))?;
    let compare = (compare.decode)(&node)?;
    let Operator::Flow(mut flow) = compare.operator(&pipe.build(build, Vec::new()))? else {
        return Err(Diagnostic::error("`compare` reads no records"));
    };
    let mut out = Vec::new();
    for (side, records) in [("a", &lot.a), ("b", &lot.b)] {
        for (name, record) in records {
            let mut record = record.clone();
            record.fields.set(SIDE, Value::from(side));
            record.fields.set(PAIR, Value::from(name.as_str()));
            match flow.push(0, record, &mut out) {
                // One that has no score is no part of it.
                Ok(()) | Err(Fault::Record(_) | Fault::Call(_) | Fault::Answer(_)) => {}
                Err(Fault::Stage(fault)) => return Err(Diagnostic::error(fault.message)),
            }
        }
    }
    loop {
        match flow.drain(&mut out) {
            Ok(true) => {}
            Err(Fault::Stage(fault)) => return Err(Diagnostic::error(fault.message)),
            Ok(false) | Err(_) => break,
        }
    }
    let confidence = settings.json.get("confidence").and_then(Json::as_f64);
    let scores = out.iter().map(|record| Score {
        confidence: confidence.unwrap_or(CONFIDENCE),
        ..score(stage, &by, record)
    });
    Ok(scores.collect())
}

/// The number with the other sign; nothing has none.
fn less(x: f64) -> f64 {
    0.0 - x
}

fn score(stage: &str, by: &[String], record: &Record) -> Score {
    let field = |name: &str| record.fields.get(name).map(to_json).unwrap_or_default();
    let number = |name: &str| field(name).as_f64();
    let whole = |name: &str| field(name).as_u64();
    Score {
        stage: stage.to_owned(),
        by: by.iter().map(|name| (name.clone(), field(name))).collect(),
        metric: field("metric").as_str().unwrap_or_default().to_owned(),
        n: whole("n").unwrap_or(0),
        unpaired: whole("unpaired").unwrap_or(0),
        clusters: whole("clusters"),
        mean_a: number("mean_a"),
        mean_b: number("mean_b"),
        // The verb's is that of the second from the first.
        difference: number("difference").map(less),
        low: number("high").map(less),
        high: number("low").map(less),
        p: number("p"),
        confidence: CONFIDENCE,
    }
}
