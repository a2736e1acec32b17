//! `pivot`: long records become wide ones, such as the rows of a leaderboard.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::fingerprint::{fingerprint, key_text};
use super::named::Names;
use crate::diag::{Diagnostic, Span};
use crate::record::Record;

/// Makes one record of all records that agree in `rows`, in the order of their first. Each of
/// them gives it a field named by its values of `columns` but for null, joined by dots, that holds its
/// `values`: the first value under that name, further ones with `.` and their own name after
/// it (`accuracy`, `accuracy.low`, `accuracy.high`), which is what tables show as intervals.
/// All records get all columns; what is not there is null. Keys: the values of `rows`, as in
/// `group`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pivot {
    /// The fields whose values make a row.
    rows: Names,
    /// The fields whose values name the columns.
    columns: Names,
    /// The fields that fill the columns.
    values: Names,
}

impl Verb for Pivot {
    const NAME: &'static str = "pivot";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let input = cx.input();
        let parts = [&self.rows, &self.columns, &self.values];
        for name in parts.into_iter().flat_map(|names| &names.0) {
            cx.field(name, &input);
        }
        for (names, what) in [(&self.columns, "columns"), (&self.values, "values")] {
            if names.0.is_empty() {
                cx.fault(Diagnostic::error(format!("`{what}` names no field")));
            }
        }
        // The columns' names are in the records.
        let mut fields = FieldSet::unknown();
        self.rows.0.iter().for_each(|name| fields.add(name));
        fields
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let names = |names: &Names| names.0.iter().map(|name| name.as_str().into()).collect();
        Ok(Operator::Flow(Box::new(Wide {
            rows: names(&self.rows),
            columns: names(&self.columns),
            values: names(&self.values),
            span: self.columns.0.first().map(|name| name.span),
            made: Vec::new(),
            at: HashMap::new(),
            found: Vec::new(),
            drained: 0,
            last: None,
        })))
    }
}

/// The values of each column.
type Cells = HashMap<usize, Vec<Value>>;

struct Wide {
    rows: Vec<Arc<str>>,
    columns: Vec<Arc<str>>,
    values: Vec<Arc<str>>,
    span: Option<Span>,
    /// The wide records, and the cells of each by column.
    made: Vec<(Vec<Value>, Cells)>,
    /// The wide record of each value of `rows`.
    at: HashMap<u128, usize>,
    /// The columns, in the order of their first record.
    found: Vec<String>,
    drained: usize,
    /// The group of the record that was taken last.
    last: Option<usize>,
}

fn values(names: &[Arc<str>], record: &Record) -> Result<Vec<Value>, Fault> {
    let values = names.iter().map(|name| {
        let value = record.fields.get(name).cloned();
        value.ok_or_else(|| Fault::Record(format!("no field `{name}`")))
    });
    values.collect()
}

impl Wide {
    fn fault(&self, message: String) -> Fault {
        let fault = Diagnostic::error(message);
        match self.span {
            Some(span) => fault.at(span, ""),
            None => fault,
        }
        .into()
    }
}

impl Flow for Wide {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        let row = values(&self.rows, &record)?;
        let cells = values(&self.values, &record)?;
        let column: Vec<String> = values(&self.columns, &record)?
            .into_iter()
            .filter(|part| !part.is_none())
            .map(|part| key_text(&[part]).to_string())
            .collect();
        let column = column.join(".");
        if column.is_empty() {
            return Err(Fault::Record("has no name for its column".to_owned()));
        }
        let print = fingerprint(&row)?;
        let place = self.found.iter().position(|name| *name == column);
        let place = place.unwrap_or_else(|| {
            self.found.push(column);
            self.found.len() - 1
        });
        let made = &mut self.made;
        let at = *self.at.entry(print).or_insert_with(|| {
            made.push((row, HashMap::new()));
            made.len() - 1
        });
        self.last = Some(at);
        if made[at].1.insert(place, cells).is_some() {
            let message = "two records belong in the same row and column".to_owned();
            return Err(self.fault(message));
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if let Some((row, mut cells)) = self.made.get_mut(self.drained).map(std::mem::take) {
            self.drained += 1;
            let key = match row.as_slice() {
                [] => "all".into(),
                row => key_text(row),
            };
            let mut record = Record::new(key);
            for (name, value) in self.rows.iter().zip(row) {
                record.fields.set(name.clone(), value);
            }
            for (place, column) in self.found.iter().enumerate() {
                let mut cells = cells.remove(&place).unwrap_or_default().into_iter();
                for (at, value) in self.values.iter().enumerate() {
                    let name = match at {
                        0 => column.clone(),
                        _ => format!("{column}.{value}"),
                    };
                    if record.fields.get(&name).is_some() {
                        return Err(self.fault("two columns have the same name".to_owned()));
                    }
                    let cell = cells.next().unwrap_or(Value::from(()));
                    record.fields.set(name, cell);
                }
            }
            out.push(record);
        }
        Ok(self.drained < self.made.len())
    }

    fn group(&self) -> Option<usize> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    const LONG: &[&str] = &[
        r#"{"model":"x","task":"t","metric":"f1","mean":0.5,"low":0.4}"#,
        r#"{"model":"y","task":"u","metric":"f1","mean":0.7,"low":null}"#,
        r#"{"model":"x","task":"u","metric":"f1","mean":0.9,"low":0.8}"#,
    ];

    #[test]
    fn long_becomes_wide() {
        let stage = Stage::new(
            "pivot",
            "{rows: model, columns: [task, metric], values: mean}",
        );
        assert_eq!(
            stage.flow(records(LONG)),
            [
                r#"x {"model":"x","t.f1":0.5,"u.f1":0.9}"#,
                r#"y {"model":"y","t.f1":null,"u.f1":0.7}"#
            ]
        );
        let stage = Stage::new("pivot", "{rows: [], columns: task, values: [mean, low]}");
        assert_eq!(
            stage.flow(records(&LONG[..2])),
            [r#"all {"t":0.5,"t.low":0.4,"u":0.7,"u.low":null}"#]
        );
        assert!(stage.flow(Vec::new()).is_empty());
        let stage = Stage::new(
            "pivot",
            "{rows: model, columns: [low, metric], values: mean}",
        );
        assert_eq!(
            stage.flow(records(&LONG[1..2])),
            [r#"y {"model":"y","f1":0.7}"#]
        );
        let (_, lost) = Stage::new("pivot", "{rows: model, columns: low, values: mean}")
            .run(vec![records(&LONG[1..2])])
            .expect("runs");
        assert_eq!(lost, ["has no name for its column"]);
    }

    #[test]
    fn two_for_one_cell_and_nonsense_are_rejected() {
        let run = |yaml| Stage::new("pivot", yaml).run(vec![records(LONG)]);
        assert_eq!(
            run("{rows: metric, columns: model, values: mean}").expect_err("two"),
            "two records belong in the same row and column"
        );
        assert_eq!(
            run("{rows: model, columns: task, values: [mean, mean, mean]}").expect_err("names"),
            "two columns have the same name"
        );
        let check = |yaml| {
            Stage::new("pivot", yaml)
                .check(&[&["model", "mean"]])
                .1
                .len()
        };
        assert_eq!(check("{rows: modell, columns: task, values: mean}"), 2);
        assert_eq!(check("{rows: model, columns: [], values: []}"), 2);
    }
}
