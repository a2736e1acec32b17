//! Precision, recall and F1 of two sets, as CLUE's own code has them. Knows no concepts.

use std::collections::BTreeSet;

/// With `common` the members of both sets: precision is `common` over the members of `found`,
/// recall `common` over those of `right`, F1 their harmonic mean. An empty set on either side, or
/// on both, gives 0 for all three.
pub fn overlap<T: Ord>(found: &BTreeSet<T>, right: &BTreeSet<T>) -> [f64; 3] {
    let common = found.intersection(right).count() as f64;
    if common == 0.0 {
        return [0.0; 3];
    }
    let precision = common / found.len() as f64;
    let recall = common / right.len() as f64;
    let f1 = 2.0 * precision * recall / (precision + recall);
    [precision, recall, f1]
}

#[cfg(test)]
mod tests {
    use regex::Regex;
    use serde_json::Value;

    use super::*;

    /// Bit by bit: the goldens hold the reference's own arithmetic.
    #[test]
    fn the_arithmetic_is_the_references() {
        let word = Regex::new("[A-Za-z]{7,}").expect("a pattern");
        let cases = include_str!("../../../tests/golden/units/concept_f1.jsonl");
        let mut empty = 0;
        for line in cases.lines() {
            let case: Value = serde_json::from_str(line).expect("JSON");
            let set = |field: &str| -> BTreeSet<String> {
                let text = case[field].as_str().expect("text");
                let words = word.find_iter(text);
                words.map(|word| word.as_str().to_lowercase()).collect()
            };
            let [found, right] = ["prediction", "reference"].map(set);
            empty += usize::from(found.is_empty() || right.is_empty());
            let golden: Vec<f64> = serde_json::from_value(case["PRF"].clone()).expect("numbers");
            assert_eq!(overlap(&found, &right).to_vec(), golden, "{line}");
        }
        assert!(empty > 20 && empty < cases.lines().count() - 20);
    }
}
