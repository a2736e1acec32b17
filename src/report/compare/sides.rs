//! Metrics of two sides, each by what its own run says of it: params and expressions may differ.
//! Owns that no side is measured by the other's rule; knows nothing of tests.

use minijinja::Value;
use serde_json::{Value as Json, json};

use super::cases::Metric;
use super::lot::{Called, Lot};
use super::paired::Settings;
use crate::engine::pipe::Pipe;

/// How one side sums up.
pub struct Way<'a> {
    /// The pipeline, with the params of the run.
    pub pipe: &'a Pipe,
    /// The stage that sums up.
    pub stage: usize,
    /// Its settings.
    pub settings: Settings,
}

/// A lot with the values of metrics in its records, how to sum it up, and what a reader has to know.
///
/// # Errors
/// Why the metrics cannot be compared.
pub fn measured(
    mut lot: Lot,
    a: &Way<'_>,
    b: &Way<'_>,
) -> Result<(Lot, Settings, Vec<String>), String> {
    let (of_a, of_b) = (a.settings.metrics(), b.settings.metrics());
    let is_in = |all: &[(String, Option<String>)], name: &str| all.iter().any(|(n, _)| n == name);
    let both = of_b.iter().filter(|(name, _)| is_in(&of_a, name));
    let names: Vec<String> = both.map(|(name, _)| name.clone()).collect();
    let mut notes = Vec::new();
    for (side, some, others) in [("a", &of_a, &of_b), ("b", &of_b, &of_a)] {
        let alone = some.iter().filter(|(name, _)| !is_in(others, name));
        notes.extend(alone.map(|(name, _)| format!("only run `{side}` has the metric `{name}`")));
    }
    let mut settings = b.settings.clone();
    let plain = |all: &[(String, Option<String>)]| all.iter().all(|(_, expr)| expr.is_none());
    if !plain(&of_a) || !plain(&of_b) {
        let mut others = settings.groups();
        let cluster = settings.json.get("cluster").and_then(Json::as_str);
        others.extend(cluster.map(str::to_owned));
        if let Some(name) = names.iter().find(|name| others.contains(name)) {
            return Err(format!(
                "the metric `{name}` is called as a field that groups"
            ));
        }
        lot.a = values(std::mem::take(&mut lot.a), &names, &of_a, a);
        lot.b = values(std::mem::take(&mut lot.b), &names, &of_b, b);
    }
    settings.json.insert("metrics".to_owned(), json!(names));
    Ok((lot, settings, notes))
}

/// Records with the values of metrics as fields; without those that have none, as `stats` fails them.
fn values(
    records: Vec<Called>,
    names: &[String],
    metrics: &[(String, Option<String>)],
    way: &Way<'_>,
) -> Vec<Called> {
    let wanted = metrics
        .iter()
        .filter(|(name, expr)| names.contains(name) && expr.is_some());
    let wanted: Vec<(&String, Option<Metric>)> = wanted
        .map(|(name, expr)| {
            (
                name,
                Metric::new(way.pipe, way.stage, name, expr.as_deref()),
            )
        })
        .collect();
    let measured = records.into_iter().filter_map(|(called, mut record)| {
        let all = wanted
            .iter()
            .map(|(name, metric)| Some((*name, metric.as_ref()?.value(&record)?)));
        let all: Vec<(&String, Value)> = all.collect::<Option<_>>()?;
        for (name, value) in all {
            record.fields.set(name.as_str(), value);
        }
        Some((called, record))
    });
    measured.collect()
}
