//! `exact_match`: 1 if a text is the same as a reference, else 0.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;
use crate::text;

/// 1 if the prediction is the same text as the reference, or as one of several; else 0. Column:
/// `exact_match`.
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

    fn prepare(&self, _dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        Ok(Box::new(self.clone()))
    }
}

impl Scorer for ExactMatch {
    fn score(&mut self, pair: &Pair) -> Scores {
        let plain = |text: &str| {
            let text = if self.strip { text::strip(text) } else { text };
            if self.case {
                text.to_owned()
            } else {
                text.to_lowercase()
            }
        };
        let prediction = plain(&pair.prediction);
        let same = pair.references.iter().any(|r| plain(r) == prediction);
        Ok(vec![f64::from(u8::from(same))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(strip: bool, case: bool, a: &str, b: &str) -> bool {
        let mut scorer = ExactMatch { strip, case };
        scorer.score(&Pair::new(a, b)) == Ok(vec![1.0])
    }

    #[test]
    fn options_say_what_is_the_same() {
        assert!(same(true, true, " a\u{1c}", "a\n"));
        assert!(!same(false, true, " a", "a"));
        assert!(!same(true, true, "A", "a"));
        assert!(same(true, false, "NEUTRAL ", "neutral"));
    }

    #[test]
    fn any_of_several_references_will_do() {
        let mut pair = Pair::new("b", "a");
        let mut scorer = ExactMatch::default();
        assert_eq!(scorer.score(&pair), Ok(vec![0.0]));
        pair.references.push("b".into());
        assert_eq!(scorer.score(&pair), Ok(vec![1.0]));
        pair.references.clear();
        assert_eq!(scorer.score(&pair), Ok(vec![0.0]));
    }
}
