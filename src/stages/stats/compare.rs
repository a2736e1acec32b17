//! `compare`: tests whether models differ, on the records that both scored. Owns the pairing.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::resample::{bootstrap_each, bootstrap_p, holm, sign_p};
use super::sample::{Clustered, Sample};
use super::scores::{self, Metrics, Score, values};
use super::settings::{self, Confidence, Resamples, interval};
use crate::diag::Diagnostic;
use crate::record::Record;
use crate::spec::decode::Src;
use crate::stages::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::stages::fingerprint::{fingerprint, key_text};
use crate::stages::named::{Columns, Names};

/// What each record holds beside the fields `by`.
const MADE: [&str; 11] = [
    "a",
    "b",
    "metric",
    "n",
    "unpaired",
    "mean_a",
    "mean_b",
    "difference",
    "low",
    "high",
    "p",
];

/// Compares every two models on the same records: one record for each group, pair and metric,
/// with the fields `by`, the models `a` and `b`, `metric`, `n` (records that both scored),
/// `unpaired` (records that one of them scored), `mean_a` and `mean_b` over the pairs,
/// `difference` (a - b), the ends `low` and `high` of its bootstrap percentile interval, and
/// the two-sided `p` value, (count + 1) / (resamples + 1). The numbers do not depend on the
/// order of records. What is not known is null: everything of no pairs, the interval (and the
/// bootstrap's `p`) of one.
/// Several inputs are read as one. Keys: the values of `by`, both models and the metric, as a
/// JSON list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// The field that names the model.
    between: Src<String>,
    /// The fields that tell a model's records apart within a group, the same for all models;
    /// the record's key if left out.
    #[serde(default)]
    on: Names,
    /// The fields that make a group; without, all records are one.
    #[serde(default)]
    by: Names,
    /// The scores: fields, or `{name: expression}`; every field with numbers if left out.
    #[serde(default)]
    metrics: Option<Columns>,
    /// Compare the means of the means over the values of these fields, so that each value
    /// (each task, say) counts the same; values without any pair do not count.
    #[serde(default)]
    over: Names,
    /// What is drawn, and changes its sign, as a whole: records that agree in these fields, as
    /// in `stats`. Adds a field `clusters`: how many there are among the pairs.
    #[serde(default, skip_serializing_if = "Names::is_empty")]
    cluster: Names,
    /// How the p value is made.
    #[serde(default)]
    test: Test,
    /// How many resamples, for the interval and for the test; 1000 if left out, 0 for none.
    #[serde(default)]
    resamples: Option<Resamples>,
    /// Decides the resamples.
    #[serde(default)]
    seed: i64,
    /// The share of resamples between `low` and `high`, 0.95 if left out.
    #[serde(default)]
    confidence: Option<Confidence>,
    /// Correct the p values of all pairs of a group and metric for their number; adds a field
    /// `p_corrected`.
    #[serde(default)]
    correct: Option<Correction>,
    /// What to do with records that only one of two models scored.
    #[serde(default)]
    unpaired: Unpaired,
}

/// Tests of a mean difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Random signs for the differences: if the models were alike, which of the two got which
    /// score would be chance.
    #[default]
    Permutation,
    /// Resamples of the differences, moved to a mean of 0.
    Bootstrap,
}

/// Corrections for many tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Holm's: the chance of any false alarm among the pairs stays as said.
    Holm,
}

/// Records without a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unpaired {
    /// Leave them out, and count them.
    #[default]
    LeaveOut,
    /// End the stage.
    Fail,
}

impl Verb for Compare {
    const NAME: &'static str = "compare";
    const VERSION: u32 = 1;

    fn inputs(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        settings::check(self.resamples.as_ref(), self.confidence.as_ref(), cx);
        let input = scores::any_input(cx);
        scores::check(self.metrics.as_ref(), &input, cx);
        cx.field(&self.between, &input);
        let named = self.on.0.iter().chain(&self.over.0);
        for name in named.chain(&self.cluster.0) {
            cx.field(name, &input);
        }
        let mut fields = scores::check_names(self.by.0.iter(), &MADE, cx);
        if self.correct.is_some() {
            fields.add("p_corrected");
        }
        if !self.cluster.0.is_empty() {
            fields.add("clusters");
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let parts = [&self.on, &self.by, &self.over, &self.cluster];
        let others = parts.into_iter().flat_map(|names| &names.0);
        let others = others.chain([&self.between]);
        let names = |names: &Names| names.0.iter().map(|name| name.as_str().into()).collect();
        Ok(Operator::Flow(Box::new(Pairing {
            between: self.between.as_str().into(),
            on: names(&self.on),
            by: names(&self.by),
            over: names(&self.over),
            cluster: names(&self.cluster),
            metrics: Metrics::new(self.metrics.as_ref(), others, cx)?,
            settings: self.clone(),
            models: Vec::new(),
            groups: Vec::new(),
            at: HashMap::new(),
            drained: 0,
            last: None,
        })))
    }
}

struct Pairing {
    between: Arc<str>,
    on: Vec<Arc<str>>,
    by: Vec<Arc<str>>,
    over: Vec<Arc<str>>,
    cluster: Vec<Arc<str>>,
    metrics: Metrics,
    settings: Compare,
    /// The models with their hashes, in the order of their first record.
    models: Vec<(u128, Value)>,
    groups: Vec<Group>,
    /// The group of each value of `by`.
    at: HashMap<u128, usize>,
    drained: usize,
    /// The group of the record that was taken last.
    last: Option<usize>,
}

/// The records that agree in `by`.
#[derive(Default)]
struct Group {
    by: Vec<Value>,
    /// Of each model, what it scored.
    models: Vec<HashMap<u128, Scored>>,
}

/// A record's scores.
struct Scored {
    /// Its value of `over`.
    part: u128,
    /// Its value of `cluster`.
    cluster: u128,
    scores: Vec<Score>,
}

impl Flow for Pairing {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        // All that can fail first, so that a record that fails leaves nothing behind.
        let scores = self.metrics.of(&record)?;
        let (by, print) = values(&self.by, &record)?;
        let (_, part) = values(&self.over, &record)?;
        let (_, cluster) = values(&self.cluster, &record)?;
        let (mut model, model_print) = values(std::slice::from_ref(&self.between), &record)?;
        let (mut on, _) = values(&self.on, &record)?;
        if on.is_empty() {
            on.push(Value::from(record.key.clone()));
        }
        // Records of different parts are never the same.
        on.push(Value::from(part.to_string()));
        let id = fingerprint(&on)?;
        let mut models = self.models.iter();
        let at = models.position(|(known, _)| *known == model_print);
        let model = at.unwrap_or_else(|| {
            self.models
                .extend(model.pop().map(|name| (model_print, name)));
            self.models.len() - 1
        });
        let groups = &mut self.groups;
        let group = *self.at.entry(print).or_insert_with(|| {
            groups.push(Group {
                by,
                ..Group::default()
            });
            groups.len() - 1
        });
        self.last = Some(group);
        let rows = &mut self.groups[group].models;
        if rows.len() <= model {
            rows.resize_with(model + 1, HashMap::new);
        }
        let row = Scored {
            part,
            cluster,
            scores,
        };
        if rows[model].insert(id, row).is_some() {
            let message = format!(
                "two records of one `{}` agree in {}",
                self.between,
                self.identity()
            );
            return Err(Diagnostic::error(message)
                .at(self.settings.between.span, "")
                .help("name in `on` the fields that tell the records of a model apart")
                .into());
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if let Some(group) = self.groups.get_mut(self.drained) {
            self.drained += 1;
            let group = std::mem::take(group);
            self.group(&group, out)?;
        }
        Ok(self.drained < self.groups.len())
    }

    fn group(&self) -> Option<usize> {
        self.last
    }
}

/// A pair of models, by one metric.
struct Pair {
    models: (usize, usize),
    metric: usize,
    unpaired: u64,
    a: Sample,
    b: Sample,
    differences: Sample,
    /// What changes its sign, if not the differences themselves.
    signed: Option<Sample>,
    p: Option<f64>,
    interval: Option<(f64, f64)>,
    corrected: Option<f64>,
}

impl Pairing {
    /// What tells the records of a model apart, in words.
    fn identity(&self) -> String {
        let names = self.on.iter().chain(&self.by).chain(&self.over);
        let mut names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        if self.on.is_empty() {
            names.insert(0, "their key".to_owned());
        }
        names.join(", ")
    }

    fn group(&self, group: &Group, out: &mut Vec<Record>) -> Result<(), Fault> {
        let there: Vec<usize> = (0..group.models.len())
            .filter(|model| !group.models[*model].is_empty())
            .collect();
        let mut pairs: Vec<Pair> = Vec::new();
        for (at, a) in there.iter().enumerate() {
            for b in &there[at + 1..] {
                for metric in 0..self.metrics.names().len() {
                    pairs.extend(self.pair(group, (*a, *b), metric)?);
                }
            }
        }
        self.test(&mut pairs);
        if self.settings.correct == Some(Correction::Holm) {
            for metric in 0..self.metrics.names().len() {
                let mut family: Vec<&mut Pair> = pairs
                    .iter_mut()
                    .filter(|pair| pair.metric == metric && pair.p.is_some())
                    .collect();
                let p_values: Vec<f64> = family.iter().filter_map(|pair| pair.p).collect();
                for (pair, corrected) in family.iter_mut().zip(holm(&p_values)) {
                    pair.corrected = Some(corrected);
                }
            }
        }
        out.extend(pairs.iter().map(|pair| self.record(group, pair)));
        Ok(())
    }

    /// None where neither model has scores by the metric.
    fn pair(
        &self,
        group: &Group,
        models: (usize, usize),
        metric: usize,
    ) -> Result<Option<Pair>, Fault> {
        let (a, b) = (&group.models[models.0], &group.models[models.1]);
        let score = |row: &Scored| row.scores.get(metric).copied().unwrap_or(Score::Absent);
        let mut rows = a.values().chain(b.values());
        if rows.all(|row| score(row) == Score::Absent) {
            return Ok(None);
        }
        let number = |row: &Scored| score(row).number();
        let mut parts: HashMap<u128, [Vec<Clustered>; 3]> = HashMap::new();
        let mut paired = 0;
        for (id, row) in a {
            let other = b.get(id).and_then(number);
            if let (Some(x), Some(y)) = (number(row), other) {
                let [of_a, of_b, differences] = parts.entry(row.part).or_default();
                let cluster = row.cluster;
                let of = |number| Clustered { number, cluster };
                of_a.push(of(x));
                of_b.push(of(y));
                differences.push(of(x - y));
                paired += 1;
            }
        }
        let scored = |rows: &HashMap<u128, Scored>| rows.values().filter_map(number).count();
        let unpaired = (scored(a) + scored(b)).saturating_sub(2 * paired) as u64;
        if unpaired > 0 && self.settings.unpaired == Unpaired::Fail {
            let message = format!(
                "{unpaired} records have a score by `{}` from only one of two models",
                self.metrics.names()[metric]
            );
            return Err(Diagnostic::error(message)
                .at(self.settings.between.span, "")
                .help("`unpaired: leave_out` compares the others")
                .into());
        }
        let mut strata: [Vec<Vec<Clustered>>; 3] = Default::default();
        for part in parts.into_values() {
            for (strata, numbers) in strata.iter_mut().zip(part) {
                strata.push(numbers);
            }
        }
        let signed = match self.cluster.is_empty() {
            true => None,
            false => Some(Sample::cluster_sums(strata[2].clone())),
        };
        let [a, b, differences] = strata.map(|strata| self.sample(strata));
        Ok(Some(Pair {
            models,
            metric,
            unpaired,
            a,
            b,
            differences,
            signed,
            p: None,
            interval: None,
            corrected: None,
        }))
    }

    fn sample(&self, strata: Vec<Vec<Clustered>>) -> Sample {
        if !self.cluster.is_empty() {
            return Sample::clustered(strata);
        }
        let numbers = |stratum: Vec<Clustered>| stratum.iter().map(|x| x.number).collect();
        Sample::new(strata.into_iter().map(numbers).collect())
    }

    /// Intervals and p values.
    fn test(&self, pairs: &mut [Pair]) {
        let resamples = settings::resamples(self.settings.resamples.as_ref());
        let seed = self.settings.seed.cast_unsigned();
        let confidence = self.settings.confidence.as_ref();
        let samples: Vec<&Sample> = pairs.iter().map(|pair| &pair.differences).collect();
        let mut found = vec![(None, None); pairs.len()];
        bootstrap_each(&samples, resamples, seed, |at, deviations| {
            if let Some(mean) = samples[at].mean() {
                let p = bootstrap_p(mean, deviations);
                found[at] = (interval(mean, deviations, confidence), Some(p));
            }
        });
        for (pair, (interval, p)) in pairs.iter_mut().zip(found) {
            pair.interval = interval;
            pair.p = match self.settings.test {
                Test::Bootstrap => p,
                Test::Permutation if resamples == 0 || pair.differences.mean().is_none() => None,
                Test::Permutation => {
                    let signed = pair.signed.as_ref().unwrap_or(&pair.differences);
                    Some(sign_p(signed, resamples, seed))
                }
            };
        }
    }

    fn record(&self, group: &Group, pair: &Pair) -> Record {
        let name = |model: usize| self.models.get(model).map(|(_, name)| name.clone());
        let a = name(pair.models.0).unwrap_or_default();
        let b = name(pair.models.1).unwrap_or_default();
        let metric = Value::from(self.metrics.names()[pair.metric].clone());
        let mut key = group.by.clone();
        key.extend([a.clone(), b.clone(), metric.clone()]);
        let mut record = Record::new(key_text(&key));
        for (by, value) in self.by.iter().zip(&group.by) {
            record.fields.set(by.clone(), value.clone());
        }
        let known = |number: Option<f64>| Value::from(number);
        let made = [
            a,
            b,
            metric,
            Value::from(pair.differences.count() as u64),
            Value::from(pair.unpaired),
            known(pair.a.mean()),
            known(pair.b.mean()),
            known(pair.differences.mean()),
            known(pair.interval.map(|(low, _)| low)),
            known(pair.interval.map(|(_, high)| high)),
            known(pair.p),
        ];
        for (name, value) in MADE.into_iter().zip(made) {
            record.fields.set(name, value);
        }
        if self.settings.correct.is_some() {
            record.fields.set("p_corrected", known(pair.corrected));
        }
        if !self.cluster.is_empty() {
            let clusters = pair.differences.clusters() as u64;
            record.fields.set("clusters", Value::from(clusters));
        }
        record
    }
}
