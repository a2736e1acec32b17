//! `score`: judges a text of each record with a metric. Knows no metric itself.

use std::path::PathBuf;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb, Work};
use super::named::Named;
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::jinja::expr::Expr;
use crate::metrics::{AnyMetric, METRICS, Pair, Scorer, metric};
use crate::record::Record;
use crate::spec::decode::Src;

/// Judges a text of each record by another with a metric, and keeps its numbers in fields.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScoreTexts {
    /// The metric.
    #[schemars(schema_with = "metric_names")]
    metric: Src<String>,
    /// The text that is judged: an expression.
    prediction: Src<Expr>,
    /// What it is judged by: an expression for a text or a list of texts.
    reference: Src<Expr>,
    /// The metric's own settings.
    #[serde(default)]
    options: Option<Src<serde_json::Map<String, serde_json::Value>>>,
    /// Columns of the metric, each with the field that gets it. Without it, every column
    /// goes to the field of its name.
    #[serde(default)]
    into: Option<Named<Src<String>>>,
}

fn metric_names(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = METRICS.iter().map(|metric| metric.name).collect();
    json_schema!({"type": "string", "enum": names})
}

/// As keys see it: the metric's version and all its options, also those left to their
/// defaults.
impl Serialize for ScoreTexts {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(None)?;
        map.serialize_entry("metric", &self.metric)?;
        if let Ok(metric) = self.metric() {
            map.serialize_entry("metric_version", &metric.version())?;
            map.serialize_entry("options", &metric.identity())?;
        }
        map.serialize_entry("prediction", &self.prediction)?;
        map.serialize_entry("reference", &self.reference)?;
        map.serialize_entry("into", &self.into)?;
        map.end()
    }
}

impl ScoreTexts {
    fn metric(&self) -> Result<Box<dyn AnyMetric>, Diagnostic> {
        let def = metric(&self.metric).ok_or_else(|| {
            Diagnostic::error(format!("no metric `{}`", self.metric.value))
                .at(self.metric.span, "")
                .suggest(&self.metric, METRICS.iter().map(|metric| metric.name))
        })?;
        let (options, span) = match &self.options {
            Some(options) => (options.value.clone(), options.span),
            None => (serde_json::Map::new(), self.metric.span),
        };
        (def.decode_json)(options.into()).map_err(|why| {
            let what = format!("these options do not fit `{}`: {why}", def.name);
            Diagnostic::error(what).at(span, "")
        })
    }

    /// A metric knows no places: its faults are about its settings here.
    fn placed(&self, fault: Diagnostic) -> Diagnostic {
        let options = self.options.as_ref().map(|options| options.span);
        match fault.primary {
            None => fault.at(options.unwrap_or(self.metric.span), ""),
            Some(_) => fault,
        }
    }

    /// The metric's columns by number, each with the field that gets it.
    fn columns(&self, metric: &dyn AnyMetric) -> Result<Vec<(usize, Arc<str>)>, Vec<Diagnostic>> {
        let columns = metric.columns();
        let Some(into) = &self.into else {
            let all = columns.iter().enumerate();
            return Ok(all.map(|(at, name)| (at, Arc::from(*name))).collect());
        };
        let (mut found, mut faults) = (Vec::new(), Vec::new());
        for (name, field) in into.iter() {
            match columns.iter().position(|column| *column == name) {
                Some(at) => found.push((at, Arc::from(field.as_str()))),
                None => faults.push(
                    Diagnostic::error(format!(
                        "`{}` gives no `{name}` with these options",
                        self.metric.value
                    ))
                    .at(field.span, "")
                    .suggest(name, columns.iter().copied()),
                ),
            }
        }
        if faults.is_empty() {
            Ok(found)
        } else {
            Err(faults)
        }
    }
}

impl Verb for ScoreTexts {
    const NAME: &'static str = "score";
    const VERSION: u32 = 1;

    fn heavy(&self) -> bool {
        true
    }

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        self.metric()
            .map_or_else(|_| Vec::new(), |m| m.files(cx.dir))
    }

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        cx.expr(&self.prediction, &fields, &[]);
        cx.expr(&self.reference, &fields, &[]);
        let columns = self
            .metric()
            .map_err(|fault| vec![fault])
            .and_then(|metric| {
                if let Err(fault) = metric.check(cx.build.dir) {
                    cx.fault(self.placed(fault));
                }
                self.columns(&*metric)
            });
        match columns {
            Ok(columns) => columns.iter().for_each(|(_, field)| fields.add(field)),
            Err(faults) => {
                faults.into_iter().for_each(|fault| cx.fault(fault));
                // What the columns are called is not known: no faults that follow from that.
                fields.open = true;
            }
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let metric = self.metric()?;
        let columns = self.columns(&*metric).map_err(|faults| {
            let first = faults.into_iter().next();
            first.unwrap_or_else(|| Diagnostic::error("no columns").at(self.metric.span, ""))
        })?;
        let scorer = metric.prepare(cx.dir).map_err(|fault| self.placed(fault))?;
        let judge = Judge {
            scorer,
            columns,
            prediction: Bound::new(&self.prediction, cx)?,
            reference: Bound::new(&self.reference, cx)?,
        };
        if !metric.costly() {
            return Ok(Operator::Flow(Box::new(judge)));
        }
        let what = WhatScores {
            metric: metric.name(),
            version: metric.version(),
            options: metric.identity(),
        };
        Ok(Operator::Work(Box::new(CostlyJudge {
            judge,
            what: Hash::of("clue metric v1", &what),
        })))
    }
}

/// What decides the scores of a pair besides its texts and the metric's files.
#[derive(Serialize)]
struct WhatScores {
    metric: &'static str,
    version: u32,
    options: serde_json::Value,
}

struct Judge {
    scorer: Box<dyn Scorer>,
    columns: Vec<(usize, Arc<str>)>,
    prediction: Bound,
    reference: Bound,
}

impl Judge {
    fn pair(&self, record: &Record) -> Result<Pair, Fault> {
        let prediction = self.prediction.eval(&record.fields)?;
        let reference = self.reference.eval(&record.fields)?;
        let references = match reference.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                let items = reference.try_iter().ok().into_iter().flatten();
                items.map(|item| text("reference", &item)).collect()
            }
            _ => text("reference", &reference).map(|text| vec![text]),
        };
        Ok(Pair {
            prediction: text("prediction", &prediction)?,
            references: references?,
        })
    }

    fn set(&self, mut record: Record, scores: &[f64], out: &mut Vec<Record>) -> Result<(), Fault> {
        for (at, field) in &self.columns {
            let score = scores.get(*at).copied().filter(|score| score.is_finite());
            let score = score.ok_or_else(|| Fault::Record("the metric gave no score".into()))?;
            record.fields.set(field.clone(), Value::from(score));
        }
        out.push(record);
        Ok(())
    }
}

impl Flow for Judge {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        let pair = self.pair(&record)?;
        let scores = self.scorer.score(&pair).map_err(Fault::Record)?;
        self.set(record, &scores, out)
    }
}

/// A metric whose scores are kept pair by pair.
struct CostlyJudge {
    judge: Judge,
    what: Hash,
}

impl Work for CostlyJudge {
    fn key(&mut self, record: &Record) -> Result<Hash, Fault> {
        let pair = self.judge.pair(record)?;
        Ok(Hash::of("clue score v1", &(self.what, pair)))
    }

    fn work(&mut self, records: &[Record]) -> Vec<Result<Json, Fault>> {
        let mut results: Vec<Option<Result<Json, Fault>>> = Vec::new();
        let mut pairs = Vec::new();
        for record in records {
            let pair = self.judge.pair(record);
            results.push(pair.map(|pair| pairs.push(pair)).err().map(Err));
        }
        let mut scores = self.judge.scorer.score_all(&pairs).into_iter();
        let mut next = || match scores.next() {
            Some(Ok(scores)) => Ok(Json::from(scores)),
            Some(Err(why)) => Err(Fault::Record(why)),
            None => Err(Fault::Record("the metric gave no score".into())),
        };
        let results = results.into_iter();
        results.map(|done| done.unwrap_or_else(&mut next)).collect()
    }

    fn absorb(
        &mut self,
        record: Record,
        result: &Json,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let scores = result.as_array().into_iter().flatten();
        let scores: Vec<f64> = scores.filter_map(Json::as_f64).collect();
        self.judge.set(record, &scores, out)
    }
}

fn text(name: &str, value: &Value) -> Result<Arc<str>, Fault> {
    value
        .to_str()
        .ok_or_else(|| Fault::Record(format!("`{name}` is {}, not text", value.kind())))
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    const INPUT: &str = r#"{"a":"a b c","b":"a b c d e","n":null}"#;

    #[test]
    fn columns_become_fields() {
        let stage = Stage::new(
            "score",
            "{metric: rouge, prediction: a, reference: b, options: {types: [rouge2], of: [r]}}",
        );
        assert_eq!(
            stage.flow(records(&[INPUT])),
            [r#"1 {"a":"a b c","b":"a b c d e","n":null,"rouge2_recall":0.5}"#]
        );
        let (fields, faults) = stage.check(&[&["a", "b"]]);
        assert_eq!(fields.names, ["a", "b", "rouge2_recall"]);
        assert!(faults.is_empty(), "{faults:?}");
        let renamed = Stage::new(
            "score",
            "{metric: rouge, prediction: a, reference: a, into: {rouge2_recall: r}, \
             options: {types: [rouge1, rouge2], of: [r]}}",
        );
        assert_eq!(
            renamed.flow(records(&[r#"{"a":"a b"}"#])),
            [r#"1 {"a":"a b","r":1.0}"#]
        );
    }

    #[test]
    fn what_is_not_text_fails_without_its_value() {
        let stage = Stage::new("score", "{metric: rouge, prediction: n, reference: b}");
        let (out, lost) = stage.run(vec![records(&[INPUT])]).expect("runs");
        assert!(out.is_empty());
        assert_eq!(lost, ["`prediction` is none, not text"]);
    }

    #[test]
    fn faults_have_places_and_suggestions() {
        let faults = |yaml| Stage::new("score", yaml).check(&[&["a"]]).1.join("\n");
        let all = [
            "{metric: rogue, prediction: a, reference: aa}",
            "{metric: rouge, prediction: a, reference: a, options: {stems: true}}",
            "{metric: rouge, prediction: a, reference: a, into: {rouge1_rcall: x}}",
        ];
        insta::assert_snapshot!(all.map(faults).join("\n\n"));
    }

    #[test]
    fn keys_see_version_and_defaults() {
        let settings = |yaml: &str| Stage::new("score", yaml).settings();
        let plain = settings("{metric: rouge, prediction: a, reference: a}");
        assert_eq!(plain["metric_version"], 1);
        assert!(plain["options"]["types"].is_array(), "{plain}");
        let other = "{metric: rouge, prediction: a, reference: a, options: {stem: true}}";
        assert_ne!(plain, settings(other));
        // Where a file is, is no setting: its content is.
        let codes = |more: &str| {
            settings(&format!(
                "{{metric: icd, prediction: a, reference: a{more}}}"
            ))
        };
        let here = codes(", options: {codes: here.csv}");
        assert_eq!(here, codes(", options: {codes: there/codes.csv}"));
        assert_ne!(here, codes(""));
    }
}
