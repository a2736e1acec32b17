//! The scale of a judge: the verdicts there are, each with its score, and which of them a text
//! is. Knows nothing of answers.

use std::borrow::Cow;
use std::fmt;

use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Number;

/// Most whole numbers on a scale.
const MOST: i64 = 1000;

/// The verdicts in order, each with its score.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Words with their scores.
    Words(Vec<(String, Number)>),
    /// Whole numbers from … to ….
    Range(i64, i64),
}

impl JsonSchema for Scale {
    fn schema_name() -> Cow<'static, str> {
        "Scale".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Verdicts with their scores, such as `{wrong: 0, right: 1}`, or `[1, 5]` for the whole numbers from 1 to 5.",
            "type": ["object", "array"],
            "additionalProperties": {"type": "number"},
            "items": {"type": "integer"},
            "minItems": 2,
            "maxItems": 2
        })
    }
}

impl<'de> Deserialize<'de> for Scale {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Scale, D::Error> {
        struct ScaleVisitor;
        impl<'de> Visitor<'de> for ScaleVisitor {
            type Value = Scale;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("verdicts with their scores, or two whole numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scale, A::Error> {
                let mut words = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    words.push(entry);
                }
                Ok(Scale::Words(words))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scale, A::Error> {
                let mut number = || {
                    let number = seq.next_element()?;
                    number.ok_or_else(|| A::Error::custom("expected two whole numbers"))
                };
                Ok(Scale::Range(number()?, number()?))
            }
        }
        d.deserialize_any(ScaleVisitor)
    }
}

impl Scale {
    /// What is wrong with it.
    pub fn faults(&self) -> Vec<String> {
        let words = match self {
            Scale::Range(from, to) if from >= to => {
                return vec![format!("{from} is not less than {to}")];
            }
            Scale::Range(from, to) if to.saturating_sub(*from) >= MOST => {
                return vec![format!("more than {MOST} verdicts")];
            }
            Scale::Range(..) => return Vec::new(),
            Scale::Words(words) => words,
        };
        let mut faults = Vec::new();
        if words.len() < 2 {
            faults.push("a scale needs at least two verdicts".to_owned());
        }
        for (at, (word, _)) in words.iter().enumerate() {
            if bare(word) != word || word.is_empty() {
                faults.push(format!(
                    "the verdict `{word}` begins or ends with a mark that is not read"
                ));
            }
            let same = |(other, _): &&(String, Number)| folded(other) == folded(word);
            if let Some((other, _)) = words[..at].iter().find(same) {
                faults.push(format!("the verdicts `{other}` and `{word}` are the same"));
            }
        }
        faults
    }

    /// The verdicts in order, for the prompt.
    pub fn verdicts(&self) -> Value {
        match self {
            Scale::Words(words) => words.iter().map(|(word, _)| word.as_str()).collect(),
            Scale::Range(from, to) => (*from..=*to).collect(),
        }
    }

    /// A verdict as the scale writes it, with its score; `None` if it is not on the scale.
    pub fn find(&self, verdict: &Value) -> Option<(Value, Value)> {
        let text = match verdict.as_str() {
            Some(text) => Cow::Borrowed(text),
            // A number, from an expression.
            None if verdict.is_number() => Cow::Owned(verdict.to_string()),
            None => return None,
        };
        let text = bare(&text);
        match self {
            Scale::Words(words) => {
                let (word, score) = words
                    .iter()
                    .find(|(word, _)| folded(word) == folded(text))?;
                Some((Value::from(word.as_str()), number(score)))
            }
            Scale::Range(from, to) => {
                // An expression may give a float.
                let number: f64 = text.parse().ok()?;
                let whole = number.fract() == 0.0 && number.abs() < 1e15;
                let number = whole.then_some(number as i64)?;
                let number = (*from..=*to).contains(&number).then_some(number)?;
                Some((Value::from(number), Value::from(number)))
            }
        }
    }
}

/// A score as the scale writes it: a whole number stays one.
fn number(score: &Number) -> Value {
    match score.as_i64() {
        Some(whole) => Value::from(whole),
        None => score.as_f64().map_or(Value::from(()), Value::from),
    }
}

fn folded(text: &str) -> String {
    text.to_lowercase()
}

/// Marks that models put around words.
pub fn is_mark(c: char) -> bool {
    c.is_whitespace() || "*_`\"'“”‘’[]()<>".contains(c)
}

/// A text without marks around it and without a full stop at its end.
pub fn bare(text: &str) -> &str {
    text.trim_start_matches(is_mark)
        .trim_end_matches(|c| is_mark(c) || c == '.')
}
