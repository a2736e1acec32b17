//! `exact_match`: 1 if two texts are the same, else 0.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Score, Scorer};
use crate::diag::Diagnostic;
use crate::text;

/// 1 if prediction and reference are the same text, else 0. Column: `exact_match`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExactMatch {
    /// Whether white space at both ends is ignored.
    pub strip: bool,
    /// Whether upper and lower case differ.
    pub case: bool,
}

impl Default for ExactMatch {
    fn default() -> ExactMatch {
        ExactMatch {
            strip: true,
            case: true,
        }
    }
}

impl Metric for ExactMatch {
    const NAME: &'static str = "exact_match";
    const VERSION: u32 = 1;

    fn columns(&self) -> Vec<&'static str> {
        vec![Self::NAME]
    }

    fn prepare(&self) -> Result<Box<dyn Scorer>, Diagnostic> {
        Ok(Box::new(self.clone()))
    }
}

impl Scorer for ExactMatch {
    fn score(&mut self, prediction: &str, reference: &str) -> Result<Vec<Score>, String> {
        let [prediction, reference] =
            [prediction, reference].map(|t| if self.strip { text::strip(t) } else { t });
        let same = if self.case {
            prediction == reference
        } else {
            prediction.to_lowercase() == reference.to_lowercase()
        };
        Ok(vec![(Self::NAME, f64::from(u8::from(same)))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(strip: bool, case: bool, a: &str, b: &str) -> bool {
        let mut scorer = ExactMatch { strip, case };
        scorer.score(a, b).expect("scores")[0].1 == 1.0
    }

    #[test]
    fn options_say_what_is_the_same() {
        assert!(same(true, true, " a\u{1c}", "a\n"));
        assert!(!same(false, true, " a", "a"));
        assert!(!same(true, true, "A", "a"));
        assert!(same(true, false, "NEUTRAL ", "neutral"));
    }
}
