//! The metrics: one file each, and one line each in [`METRICS`]. They compare texts and
//! know nothing of records, stages or models.

pub mod bertscore;
pub mod choice;
pub mod concepts;
pub mod exact_match;
pub mod icd;
pub mod label_once;
pub mod registry;
pub mod rouge;

pub use registry::{AnyMetric, Metric, MetricDef, Pair, Scorer, Scores};

/// Every metric there is. The JSON Schema, the docs and the suggestions follow from it.
pub static METRICS: &[MetricDef] = &[
    MetricDef::of::<bertscore::BertScore>(),
    MetricDef::of::<choice::Choice>(),
    MetricDef::of::<concepts::ConceptF1>(),
    MetricDef::of::<exact_match::ExactMatch>(),
    MetricDef::of::<icd::Icd>(),
    MetricDef::of::<label_once::LabelOnce>(),
    MetricDef::of::<rouge::Rouge>(),
];

/// A metric by its name.
pub fn metric(name: &str) -> Option<&'static MetricDef> {
    METRICS.iter().find(|metric| metric.name == name)
}
