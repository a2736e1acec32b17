//! `stats`: mean, standard error and interval of scores. Owns grouping by metric.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};

use super::resample::bootstrap_each;
use super::sample::{Clustered, Sample, average, mean};
use super::scores::{self, Metrics, Score, values};
use super::settings::{self, Confidence, Resamples, interval};
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::spec::decode::Src;
use crate::stages::bound::Bound;
use crate::stages::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::stages::fingerprint::key_text;
use crate::stages::named::{Columns, Names};

/// What each record holds beside the fields `by` and `over`.
const MADE: [&str; 7] = ["metric", "n", "missing", "mean", "stderr", "low", "high"];

/// Makes one record for each group and metric, groups in the order of their first record:
/// the fields `by`, then `metric`, `n` (scores), `missing` (records without one), `mean`,
/// `stderr`, and the ends `low` and `high` of a bootstrap percentile interval. The numbers do
/// not depend on the order of records. What is not known is null: `mean` of no scores,
/// `stderr` and the interval of fewer than two. Several inputs are read as one. Keys: the
/// values of `by` and the metric, as a JSON list; the metric alone without `by`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stats {
    /// The fields that make a group; without, all records are one.
    #[serde(default)]
    by: Names,
    /// The scores: fields, or `{name: expression}`; every field with numbers if left out. A
    /// group whose records lack a field altogether gets no record for it; null is `missing`.
    #[serde(default)]
    metrics: Option<Columns>,
    /// Take the mean of the means over the values of these fields, so that each value (each
    /// task, say) counts the same; resamples are drawn within each. Null for a group that
    /// lacks one of the values that other groups have. Adds a field `parts`: how many values.
    #[serde(default)]
    over: Names,
    /// What is drawn as a whole: records that agree in these fields (the same note, or the same
    /// question asked again) are not independent of each other. The mean stays that of all
    /// records; error and interval become those of clusters. Adds a field `clusters`: how many.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    cluster: Names,
    /// How many resamples the interval is made of, 1000 if left out; 0 for no interval.
    #[serde(default)]
    bootstrap: Option<Resamples>,
    /// Decides the resamples.
    #[serde(default)]
    seed: i64,
    /// The share of resamples between `low` and `high`, 0.95 if left out.
    #[serde(default)]
    confidence: Option<Confidence>,
    /// Count the first score of each group twice in its mean, as the CLUE benchmark's own
    /// scripts do for some tasks: (sum + first) / (n + 1). An expression is asked of each
    /// group's first record. Error and interval stay those of the scores as they are.
    #[serde(default)]
    first_twice: FirstTwice,
}

/// Whether the first score counts twice.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum FirstTwice {
    Always(bool),
    Where(Src<Expr>),
}

impl Default for FirstTwice {
    fn default() -> FirstTwice {
        FirstTwice::Always(false)
    }
}

impl JsonSchema for FirstTwice {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FirstTwice".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let expr = generator.subschema_for::<Expr>();
        json_schema!({
            "description": "`true`, `false`, or an expression.",
            "anyOf": [{"type": "boolean"}, expr]
        })
    }
}

impl<'de> Deserialize<'de> for FirstTwice {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<FirstTwice, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Result<bool, String>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`true`, `false` or an expression")
            }

            fn visit_bool<E>(self, always: bool) -> Result<Self::Value, E> {
                Ok(Ok(always))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Err(text.to_owned()))
            }
        }
        struct Shape(Result<bool, String>);
        impl<'de> Deserialize<'de> for Shape {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Shape, D::Error> {
                d.deserialize_any(Either).map(Shape)
            }
        }
        let shape = Src::<Shape>::deserialize(d).map_err(D::Error::custom)?;
        Ok(match shape.value.0 {
            Ok(always) => FirstTwice::Always(always),
            Err(text) => FirstTwice::Where(Src {
                value: Expr(text),
                span: shape.span,
            }),
        })
    }
}

impl Verb for Stats {
    const NAME: &'static str = "stats";
    const VERSION: u32 = 1;

    fn inputs(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        settings::check(self.bootstrap.as_ref(), self.confidence.as_ref(), cx);
        let input = scores::any_input(cx);
        scores::check(self.metrics.as_ref(), &input, cx);
        if let FirstTwice::Where(expr) = &self.first_twice {
            cx.expr(expr, &input, &[]);
        }
        for name in self.over.0.iter().chain(&self.cluster.0) {
            cx.field(name, &input);
        }
        let mut fields = scores::check_names(self.by.0.iter(), &MADE, cx);
        if !self.over.0.is_empty() {
            fields.add("parts");
        }
        if !self.cluster.0.is_empty() {
            fields.add("clusters");
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let others = self.by.0.iter().chain(&self.over.0).chain(&self.cluster.0);
        let names = |names: &Names| names.0.iter().map(|name| name.as_str().into()).collect();
        Ok(Operator::Flow(Box::new(Means {
            by: names(&self.by),
            over: names(&self.over),
            cluster: names(&self.cluster),
            metrics: Metrics::new(self.metrics.as_ref(), others, cx)?,
            first_twice: match &self.first_twice {
                FirstTwice::Always(always) => Twice::Always(*always),
                FirstTwice::Where(expr) => Twice::Where(Bound::new(expr, cx)?),
            },
            settings: self.clone(),
            groups: Vec::new(),
            at: HashMap::new(),
            parts: Vec::new(),
            drained: 0,
            last: None,
        })))
    }
}

enum Twice {
    Always(bool),
    Where(Bound),
}

struct Means {
    by: Vec<Arc<str>>,
    over: Vec<Arc<str>>,
    cluster: Vec<Arc<str>>,
    metrics: Metrics,
    first_twice: Twice,
    settings: Stats,
    groups: Vec<Group>,
    /// The group of each value of `by`.
    at: HashMap<u128, usize>,
    /// Of each metric, the values of `over` that any group has scores of.
    parts: Vec<Vec<u128>>,
    drained: usize,
    /// The group of the record that was taken last.
    last: Option<usize>,
}

/// The records that agree in `by`.
#[derive(Default)]
struct Group {
    by: Vec<Value>,
    records: u64,
    parts: Vec<(u128, Part)>,
}

/// Those that agree in `over` too.
struct Part {
    first_twice: bool,
    /// The scores of each metric; none where no record has the field.
    scores: Vec<Option<Vec<Clustered>>>,
}

impl Flow for Means {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        // All that can fail first, so that a record that fails leaves nothing behind.
        let scores = self.metrics.of(&record)?;
        let (by, print) = values(&self.by, &record)?;
        let (_, part) = values(&self.over, &record)?;
        let (_, cluster) = values(&self.cluster, &record)?;
        let group = self.at.get(&print).copied();
        let known = group.and_then(|at| {
            let mut parts = self.groups[at].parts.iter();
            parts.position(|(name, _)| *name == part)
        });
        let first_twice = match (&self.first_twice, known) {
            (Twice::Where(expr), None) => expr.eval(&record.fields)?.is_true(),
            (Twice::Always(always), _) => *always,
            (Twice::Where(_), Some(_)) => false,
        };
        let at = group.unwrap_or_else(|| {
            self.groups.push(Group {
                by,
                ..Group::default()
            });
            self.at.insert(print, self.groups.len() - 1);
            self.groups.len() - 1
        });
        self.last = Some(at);
        let group = &mut self.groups[at];
        group.records += 1;
        let known = known.unwrap_or_else(|| {
            let scores = Vec::new();
            let new = Part {
                first_twice,
                scores,
            };
            group.parts.push((part, new));
            group.parts.len() - 1
        });
        let columns = &mut group.parts[known].1.scores;
        columns.resize(self.metrics.names().len(), None);
        self.parts.resize(columns.len(), Vec::new());
        for ((column, parts), score) in columns.iter_mut().zip(&mut self.parts).zip(scores) {
            match score {
                Score::Absent => {}
                Score::Missing => {
                    column.get_or_insert_default();
                }
                Score::Number(number) => {
                    let number = Clustered { number, cluster };
                    column.get_or_insert_default().push(number);
                    if !parts.contains(&part) {
                        parts.push(part);
                    }
                }
            }
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if self.groups.is_empty() && self.by.is_empty() {
            // Of nothing: what is listed has no scores.
            let scores = vec![Some(Vec::new()); self.metrics.names().len()];
            let part = Part {
                first_twice: false,
                scores,
            };
            self.parts.resize(part.scores.len(), Vec::new());
            self.groups.push(Group {
                parts: vec![(0, part)],
                ..Group::default()
            });
        }
        if let Some(group) = self.groups.get_mut(self.drained) {
            self.drained += 1;
            let group = std::mem::take(group);
            self.describe(&group, out);
        }
        Ok(self.drained < self.groups.len())
    }

    fn group(&self) -> Option<usize> {
        self.last
    }
}

/// One metric of a group.
struct Found {
    metric: usize,
    sample: Sample,
    mean: Option<f64>,
    interval: Option<(f64, f64)>,
}

impl Means {
    fn describe(&self, group: &Group, out: &mut Vec<Record>) {
        let mut all: Vec<Found> = (0..self.metrics.names().len())
            .filter_map(|metric| self.found(group, metric))
            .collect();
        self.intervals(&mut all);
        for found in all {
            out.push(self.record(group, &found));
        }
    }

    fn found(&self, group: &Group, metric: usize) -> Option<Found> {
        let scored = group.parts.iter().filter_map(|(_, part)| {
            let scores = part.scores.get(metric)?.as_ref()?;
            Some((part.first_twice, scores))
        });
        let scored: Vec<(bool, &Vec<Clustered>)> = scored.collect();
        if scored.is_empty() {
            return None;
        }
        let numbers = |scores: &Vec<Clustered>| -> Vec<f64> {
            scores.iter().map(|score| score.number).collect()
        };
        let sample = if self.cluster.is_empty() {
            Sample::new(scored.iter().map(|(_, scores)| numbers(scores)).collect())
        } else {
            let strata = scored.iter().filter(|(_, scores)| !scores.is_empty());
            Sample::clustered(strata.map(|(_, scores)| (*scores).clone()).collect())
        };
        let whole = self.over.is_empty() || sample.strata().len() == self.parts[metric].len();
        let mean = if scored.iter().any(|(twice, _)| *twice) {
            let means: Vec<f64> = scored
                .iter()
                .filter(|(_, scores)| !scores.is_empty())
                .map(|(twice, scores)| {
                    let mut numbers = numbers(scores);
                    numbers.extend(numbers.first().copied().filter(|_| *twice));
                    mean(&numbers)
                })
                .collect();
            average(means.into_iter())
        } else {
            sample.mean()
        };
        Some(Found {
            metric,
            mean: mean.filter(|_| whole),
            sample,
            interval: None,
        })
    }

    fn intervals(&self, all: &mut [Found]) {
        let resamples = settings::resamples(self.settings.bootstrap.as_ref());
        let seed = self.settings.seed.cast_unsigned();
        let confidence = self.settings.confidence.as_ref();
        let samples: Vec<&Sample> = all.iter().map(|found| &found.sample).collect();
        let mut intervals = vec![None; all.len()];
        bootstrap_each(&samples, resamples, seed, |at, deviations| {
            let mean = samples[at].mean();
            intervals[at] = mean.and_then(|mean| interval(mean, deviations, confidence));
        });
        for (found, interval) in all.iter_mut().zip(intervals) {
            found.interval = interval.filter(|_| found.mean.is_some());
        }
    }

    fn record(&self, group: &Group, found: &Found) -> Record {
        let name = Value::from(self.metrics.names()[found.metric].clone());
        let mut key = group.by.clone();
        key.push(name.clone());
        let mut record = Record::new(key_text(&key));
        for (by, value) in self.by.iter().zip(&group.by) {
            record.fields.set(by.clone(), value.clone());
        }
        let n = found.sample.count() as u64;
        let known = |number: Option<f64>| Value::from(number);
        let stderr = found.mean.and_then(|_| found.sample.stderr());
        let made = [
            name,
            Value::from(n),
            Value::from(group.records.saturating_sub(n)),
            known(found.mean),
            known(stderr),
            known(found.interval.map(|(low, _)| low)),
            known(found.interval.map(|(_, high)| high)),
        ];
        for (name, value) in MADE.into_iter().zip(made) {
            record.fields.set(name, value);
        }
        if !self.over.is_empty() {
            let parts = found.sample.strata().len() as u64;
            record.fields.set("parts", Value::from(parts));
        }
        if !self.cluster.is_empty() {
            let clusters = found.sample.clusters() as u64;
            record.fields.set("clusters", Value::from(clusters));
        }
        record
    }
}
