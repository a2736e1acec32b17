//! `choice`: whether the option that a text chooses is the right one.

use std::path::Path;
use std::sync::Arc;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::registry::{Metric, Pair, Scorer, Scores};
use crate::diag::Diagnostic;
use crate::text::pattern;

/// 1 if the letter that the prediction chooses is the reference, or one of several; else 0, also
/// when it chooses none. Column: `choice`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Choice {
    /// A regular expression; what its first group matches, where it first matches, is the choice.
    pub pattern: String,
}

impl Default for Choice {
    fn default() -> Choice {
        Choice {
            pattern: r"The correct answer is (\w):".to_owned(),
        }
    }
}

impl Metric for Choice {
    const NAME: &'static str = "choice";
    const VERSION: u32 = 1;

    fn columns(&self) -> Vec<&'static str> {
        vec![Self::NAME]
    }

    fn prepare(&self, _dir: &Path) -> Result<Box<dyn Scorer>, Diagnostic> {
        let wrong =
            |why: &str| Diagnostic::error(format!("`pattern` of `choice` cannot be used: {why}"));
        let pattern = pattern::compile(&self.pattern).map_err(|why| wrong(&why))?;
        if pattern.captures_len() < 2 {
            return Err(
                wrong("it has no group").help("put the choice in parentheses: `answer: (\\w)`")
            );
        }
        Ok(Box::new(Chosen { pattern }))
    }
}

struct Chosen {
    pattern: Arc<Regex>,
}

impl Scorer for Chosen {
    fn score(&mut self, pair: &Pair) -> Scores {
        let found = self.pattern.captures(&pair.prediction);
        let chosen = found
            .and_then(|found| found.get(1))
            .map(|part| part.as_str());
        let right = chosen.is_some_and(|chosen| pair.references.iter().any(|r| **r == *chosen));
        Ok(vec![f64::from(u8::from(right))])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn choices_are_the_references() {
        let mut scorer = Choice::default().prepare(Path::new("")).expect("ready");
        for line in include_str!("../../tests/golden/units/choice.jsonl").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let output = line["output"].as_str().expect("text");
            for (right, field) in [("C", "score_vs_C"), ("F", "score_vs_F")] {
                let golden = f64::from(u8::from(line[field].as_bool().expect("a bool")));
                let score = scorer.score(&Pair::new(output, right));
                assert_eq!(score, Ok(vec![golden]), "{line}");
            }
        }
    }

    #[test]
    fn a_pattern_needs_a_group() {
        let choice = |pattern: &str| Choice {
            pattern: pattern.to_owned(),
        };
        assert!(choice("(").prepare(Path::new("")).is_err());
        let fault = choice("a").prepare(Path::new("")).err().expect("no group");
        assert!(fault.message.contains("no group"));
    }
}
