//! Single records on both sides: the largest gains and losses, and examples of what differs.

use std::sync::Arc;

use minijinja::Value;
use similar::{ChangeTag, TextDiff};

use super::data::{Case, Cases, Text};
use super::lot::Lot;
use super::rows::differing;
use crate::engine::pipe::{ENVIRONMENT, Pipe};
use crate::jinja::expr::{Compiled, Expr, Scope, Shared};
use crate::record::Record;
use crate::report::life::json;
use crate::stages::sum::number;

/// A score of a record.
pub struct Metric {
    name: String,
    /// The expression, if it is not a field.
    expr: Option<Compiled>,
    /// What expressions may read besides a record: the params of a run, for one.
    shared: Arc<Shared>,
}

impl Metric {
    /// A metric of a stage; none if its expression is none.
    pub fn new(pipe: &Pipe, stage: usize, name: &str, expr: Option<&str>) -> Option<Self> {
        let expr = match expr {
            Some(expr) => Some(Expr(expr.to_owned()).compile(&ENVIRONMENT).ok()?),
            None => None,
        };
        Some(Metric {
            name: name.to_owned(),
            expr,
            shared: pipe.build(stage, Vec::new()).shared,
        })
    }

    /// Its value for a record.
    fn of(&self, record: &Record) -> Option<f64> {
        number(&self.value(record)?).filter(|x| x.is_finite())
    }

    /// What it is for a record, whatever that is; none where the expression fails.
    pub fn value(&self, record: &Record) -> Option<Value> {
        match &self.expr {
            None => record.fields.get(&self.name).cloned(),
            Some(expr) => {
                let scope = Scope {
                    fields: record.fields.clone(),
                    shared: self.shared.clone(),
                };
                expr.eval(&scope).ok()
            }
        }
    }
}

/// The largest gains and losses by a metric, `top` of each.
pub fn cases(stage: &str, lot: &Lot, metric: &Metric, top: usize) -> Cases {
    let pairs = lot.pairs();
    let mut scored: Vec<(f64, f64, &str, &Record, &Record)> = Vec::new();
    for (name, a, b) in &pairs.both {
        if let (Some(x), Some(y)) = (metric.of(a), metric.of(b)) {
            scored.push((x, y, name, a, b));
        }
    }
    let gain = |case: &(f64, f64, &str, &Record, &Record)| case.1 - case.0;
    let told = |case: &(f64, f64, &str, &Record, &Record)| Case {
        key: case.2.to_owned(),
        a: Some(case.0),
        b: Some(case.1),
        texts: texts(case.3, case.4),
    };
    // Equal gains stay in the order of the records.
    scored.sort_by(|x, y| gain(y).total_cmp(&gain(x)));
    let gained = scored.iter().filter(|case| gain(case) > 0.0).count();
    let lost = scored.iter().filter(|case| gain(case) < 0.0).count();
    let gains = scored.iter().take(gained.min(top)).map(told).collect();
    let losses = scored.iter().rev().take(lost.min(top)).map(told).collect();
    Cases {
        stage: stage.to_owned(),
        metric: Some(metric.name.clone()),
        gained,
        lost,
        even: scored.len() - gained - lost,
        gains,
        losses,
    }
}

/// Some records that differ, without any score.
pub fn examples(stage: &str, lot: &Lot, top: usize) -> Cases {
    let pairs = lot.pairs();
    let both = pairs.both.iter();
    let other = both.filter(|(_, a, b)| !differing(a, b).is_empty());
    let told = other.take(top).map(|(name, a, b)| Case {
        key: (*name).to_owned(),
        a: None,
        b: None,
        texts: texts(a, b),
    });
    Cases {
        stage: stage.to_owned(),
        gains: told.collect(),
        ..Cases::default()
    }
}

/// The fields that differ, but for numbers: those are scores.
fn texts(a: &Record, b: &Record) -> Vec<Text> {
    let text = |record: &Record, name: &str| -> Option<String> {
        match record.fields.get(name).map(json) {
            None | Some(serde_json::Value::Null) => Some(String::new()),
            Some(serde_json::Value::String(text)) => Some(text),
            Some(serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => None,
            Some(other) => Some(other.to_string()),
        }
    };
    let fields = differing(a, b).into_iter();
    let texts = fields.filter_map(|field| {
        let (a, b) = text(a, &field).zip(text(b, &field))?;
        Some(Text {
            parts: words(&a, &b),
            field,
            a,
            b,
        })
    });
    texts.collect()
}

/// What two texts share and what they do not, word by word.
fn words(a: &str, b: &str) -> Vec<(char, String)> {
    let diff = TextDiff::from_words(a, b);
    let mut parts: Vec<(char, String)> = Vec::new();
    let mut add = |tag: char, text: &str| match parts.last_mut() {
        _ if text.is_empty() => {}
        Some((last, whole)) if *last == tag => whole.push_str(text),
        _ => parts.push((tag, text.to_owned())),
    };
    // What only one side has since the last shared word, and the space that came after it.
    let (mut of_a, mut of_b, mut space) = (String::new(), String::new(), String::new());
    for change in diff.iter_all_changes() {
        let (tag, text) = (change.tag(), change.value());
        let differs = !of_a.is_empty() || !of_b.is_empty();
        if tag == ChangeTag::Equal && differs && text.trim().is_empty() {
            space.push_str(text);
            continue;
        }
        if tag == ChangeTag::Equal {
            add('-', &std::mem::take(&mut of_a));
            add('+', &std::mem::take(&mut of_b));
            add('=', &std::mem::take(&mut space));
            add('=', text);
            continue;
        }
        // Words that differ on both sides of a space differ as one.
        of_a.push_str(&space);
        of_b.push_str(&space);
        space.clear();
        if tag == ChangeTag::Delete {
            of_a.push_str(text);
        } else {
            of_b.push_str(text);
        }
    }
    add('-', &of_a);
    add('+', &of_b);
    add('=', &space);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_and_nothing_is_lost() {
        let (a, b) = ("What was your infection?", "What is your long infection?");
        let parts = words(a, b);
        let of = |skip: char| -> String {
            let parts = parts.iter().filter(|(tag, _)| *tag != skip);
            parts.map(|(_, text)| text.as_str()).collect()
        };
        assert_eq!((of('+').as_str(), of('-').as_str()), (a, b));
        assert!(parts.contains(&('-', "was".to_owned())), "{parts:?}");
        let told: Vec<(char, String)> = words("I am sure", "You are not sure");
        let told: Vec<String> = told
            .iter()
            .map(|(tag, text)| format!("{tag}{text}"))
            .collect();
        assert_eq!(told, ["-I am", "+You are not", "= sure"]);
    }

    proptest::proptest! {
        #[test]
        fn both_texts_can_be_read_off(a in "[ab \n]{0,12}", b in "[ab \n]{0,12}") {
            let of = |skip: char| -> String {
                let parts = words(&a, &b).into_iter().filter(|(tag, _)| *tag != skip);
                parts.map(|(_, text)| text).collect()
            };
            proptest::prop_assert_eq!(of('+'), a.clone());
            proptest::prop_assert_eq!(of('-'), b.clone());
        }
    }
}
