//! `label_once`: whether a text names a label once and no more.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;

/// 1 if the reference occurs exactly once in the prediction, in upper or lower case; else 0. Of
/// several references one must. Other labels beside it do not matter: ask for a single word.
/// Column: `label_once`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelOnce {}

impl Metric for LabelOnce {
    const NAME: &'static str = "label_once";
    const VERSION: u32 = 1;

    fn columns(&self) -> Vec<&'static str> {
        vec![Self::NAME]
    }

    fn prepare(&self, _dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        Ok(Box::new(self.clone()))
    }
}

impl Scorer for LabelOnce {
    fn score(&mut self, pair: &Pair) -> Scores {
        let text = pair.prediction.to_uppercase();
        let once = pair.references.iter().any(|label| {
            let label = label.to_uppercase();
            !label.is_empty() && text.matches(&label).count() == 1
        });
        Ok(vec![f64::from(u8::from(once))])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn scores_are_the_references() {
        for line in include_str!("../../tests/golden/units/labels.jsonl").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = |field: &str| line[field].as_str().expect("text");
            let score = LabelOnce {}.score(&Pair::new(text("output"), text("label")));
            let golden = line["ACCURACY"].as_f64().expect("a number");
            assert_eq!(score, Ok(vec![golden]), "{line}");
        }
    }

    #[test]
    fn an_empty_label_is_never_named() {
        assert_eq!(LabelOnce {}.score(&Pair::new("", "")), Ok(vec![0.0]));
    }
}
