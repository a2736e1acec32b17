//! The scores of a record: which fields or expressions they are, and their numbers. Owns what
//! counts as a score; knows nothing of groups.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use crate::diag::Diagnostic;
use crate::record::Record;
use crate::spec::decode::Src;
use crate::stages::bound::Bound;
use crate::stages::contract::{Build, Check, Fault, FieldSet};
use crate::stages::fingerprint::fingerprint;
use crate::stages::named::{Column, Columns};
use crate::stages::sum::number;

/// A record's score by one metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Score {
    /// The record has no such field: the metric is not of its kind.
    Absent,
    /// The score is null.
    Missing,
    /// A finite number.
    Number(f64),
}

impl Score {
    /// The number, if it is one.
    pub fn number(self) -> Option<f64> {
        match self {
            Score::Number(number) => Some(number),
            Score::Absent | Score::Missing => None,
        }
    }
}

/// The metrics of a stage.
pub struct Metrics {
    names: Vec<Arc<str>>,
    how: How,
}

enum How {
    Listed(Vec<Pick>),
    /// Every field that is a number where it is first not null, but for these. The second
    /// list has the fields that are none.
    Found(Vec<Arc<str>>, Vec<Arc<str>>),
}

enum Pick {
    Field,
    Expr(Bound),
}

impl Metrics {
    /// The metrics that are listed; if none are, all fields with numbers but for `others`.
    ///
    /// # Errors
    /// An expression that does not parse.
    pub fn new<'n>(
        listed: Option<&Columns>,
        others: impl Iterator<Item = &'n Src<String>>,
        cx: &Build<'_>,
    ) -> Result<Metrics, Diagnostic> {
        let Some(listed) = listed else {
            let others = others.map(|name| name.as_str().into()).collect();
            return Ok(Metrics {
                names: Vec::new(),
                how: How::Found(others, Vec::new()),
            });
        };
        let pick = |(_, column): &(String, Column)| match column {
            Column::Field(_) => Ok(Pick::Field),
            Column::Expr(expr) => Bound::new(expr, cx).map(Pick::Expr),
        };
        let picks = listed.0.iter().map(pick);
        Ok(Metrics {
            names: listed
                .0
                .iter()
                .map(|(name, _)| name.as_str().into())
                .collect(),
            how: How::Listed(picks.collect::<Result<_, _>>()?),
        })
    }

    /// Their names, as far as they are known by now.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// A record's scores, in the order of the names.
    ///
    /// # Errors
    /// [`Fault::Record`] for a score that is no finite number.
    pub fn of(&mut self, record: &Record) -> Result<Vec<Score>, Fault> {
        if let How::Found(others, texts) = &mut self.how {
            for (name, value) in record.fields.iter() {
                let known = |names: &[Arc<str>]| names.iter().any(|known| known == name);
                if value.is_none() || known(others) || known(texts) || known(&self.names) {
                    continue;
                }
                match value.kind() {
                    ValueKind::Number | ValueKind::Bool => self.names.push(name.clone()),
                    _ => texts.push(name.clone()),
                }
            }
        }
        let scores = self.names.iter().enumerate().map(|(at, name)| {
            let value = match &self.how {
                How::Listed(picks) => match picks.get(at) {
                    Some(Pick::Expr(expr)) => Some(expr.eval(&record.fields)?),
                    _ => record.fields.get(name).cloned(),
                },
                How::Found(..) => record.fields.get(name).cloned(),
            };
            score(name, value.as_ref())
        });
        scores.collect()
    }
}

fn score(name: &str, value: Option<&Value>) -> Result<Score, Fault> {
    let Some(value) = value else {
        return Ok(Score::Absent);
    };
    if value.is_none() {
        return Ok(Score::Missing);
    }
    match number(value) {
        Some(number) if number.is_finite() => Ok(Score::Number(number)),
        Some(_) => Err(Fault::Record(format!("`{name}` is not finite"))),
        None => Err(Fault::Record(format!(
            "`{name}` needs numbers, found {}",
            value.kind()
        ))),
    }
}

/// The values of fields that name a group, with their hash.
///
/// # Errors
/// [`Fault::Record`] when one is not there.
pub fn values(names: &[Arc<str>], record: &Record) -> Result<(Vec<Value>, u128), Fault> {
    let values = names.iter().map(|name| {
        let value = record.fields.get(name).cloned();
        value.ok_or_else(|| Fault::Record(format!("no field `{name}` to group by")))
    });
    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
    let print = fingerprint(&values)?;
    Ok((values, print))
}

/// The fields that any of the inputs has.
pub fn any_input(cx: &Check<'_>) -> FieldSet {
    let mut all = FieldSet::default();
    for input in cx.inputs {
        all.open |= input.open;
        input.names.iter().for_each(|name| all.add(name));
    }
    all
}

/// Checks the metrics that are listed.
pub fn check(listed: Option<&Columns>, input: &FieldSet, cx: &mut Check<'_>) {
    for (_, column) in listed.iter().flat_map(|columns| &columns.0) {
        match column {
            Column::Field(name) => cx.field(name, input),
            Column::Expr(expr) => cx.expr(expr, input, &[]),
        }
    }
}

/// Checks that fields exist, and that none of them has the name of a field that the stage
/// makes; they are the first fields of its output.
pub fn check_names<'n>(
    names: impl Iterator<Item = &'n Src<String>>,
    made: &[&str],
    cx: &mut Check<'_>,
) -> FieldSet {
    let input = any_input(cx);
    let mut fields = FieldSet::default();
    for name in names {
        cx.field(name, &input);
        if made.contains(&name.as_str()) {
            cx.fault(
                Diagnostic::error(format!("this stage makes a field `{}` itself", name.value))
                    .at(name.span, "")
                    .help("`rename` it before"),
            );
        }
        fields.add(name);
    }
    made.iter().for_each(|name| fields.add(name));
    fields
}
