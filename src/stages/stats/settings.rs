//! Settings that `stats` and `compare` share: how often to resample, from which seed, and for
//! which interval.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::resample::quantile;
use super::sample::finite;
use crate::diag::Diagnostic;
use crate::spec::decode::Src;
use crate::stages::contract::Check;

/// Most resamples that make sense; more would only cost memory.
const MOST: u32 = 1_000_000;

/// How many resamples.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Resamples(pub Src<u32>);

impl JsonSchema for Resamples {
    fn schema_name() -> Cow<'static, str> {
        "Resamples".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many resamples; 0 for none.",
            "type": "integer", "minimum": 0, "maximum": MOST
        })
    }
}

/// The share of resamples that an interval holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Confidence(pub Src<f64>);

impl JsonSchema for Confidence {
    fn schema_name() -> Cow<'static, str> {
        "Confidence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A share, between 0 and 1.",
            "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1
        })
    }
}

/// How many resamples: the number, or as many as usual.
pub fn resamples(set: Option<&Resamples>) -> usize {
    set.map_or(1000, |set| set.0.value.min(MOST) as usize)
}

/// The ends of the interval around a mean, of its bootstrap's sorted deviations.
pub fn interval(
    mean: f64,
    deviations: &[f64],
    confidence: Option<&Confidence>,
) -> Option<(f64, f64)> {
    let outside = (1.0 - confidence.map_or(0.95, |set| set.0.value)) / 2.0;
    // What rounding leaves of 0 is 0.
    let whole = |end: f64| if end.abs() < 1e-15 { 0.0 } else { end };
    let at = |share| finite(mean + quantile(deviations, share)?).map(whole);
    Some((at(outside)?, at(1.0 - outside)?))
}

/// Checks what a param may have brought in.
pub fn check(resamples: Option<&Resamples>, confidence: Option<&Confidence>, cx: &mut Check<'_>) {
    if let Some(Resamples(set)) = resamples.filter(|set| set.0.value > MOST) {
        cx.fault(Diagnostic::error(format!("more than {MOST} resamples")).at(set.span, ""));
    }
    let inside = |set: f64| set > 0.0 && set < 1.0;
    if let Some(Confidence(set)) = confidence.filter(|set| !inside(set.0.value)) {
        cx.fault(Diagnostic::error("the confidence must lie between 0 and 1").at(set.span, ""));
    }
}
