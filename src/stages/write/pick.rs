//! What of a record is written: all fields, some, or the values of expressions.

use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::record::{Fields, Record};
use crate::stages::bound::Bound;
use crate::stages::contract::{Build, Fault};
use crate::stages::named::{Column, Columns};

/// The fields to write; all of them without a list.
pub struct Picks(Option<Vec<(Arc<str>, Pick)>>);

enum Pick {
    Field(String),
    Expr(Bound),
}

impl Picks {
    /// What the setting says.
    ///
    /// # Errors
    /// An expression that does not parse.
    pub fn new(columns: Option<&Columns>, cx: &Build<'_>) -> Result<Picks, Diagnostic> {
        let pick = |(name, column): &(String, Column)| -> Result<_, Diagnostic> {
            let pick = match column {
                Column::Field(field) => Pick::Field(field.value.clone()),
                Column::Expr(expr) => Pick::Expr(Bound::new(expr, cx)?),
            };
            Ok((Arc::from(name.as_str()), pick))
        };
        let picks = columns.map(|columns| columns.0.iter().map(pick).collect::<Result<_, _>>());
        Ok(Picks(picks.transpose()?))
    }

    /// The names that are known before any record.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(|(name, _)| &**name)
    }

    /// The fields to write of a record.
    ///
    /// # Errors
    /// [`Fault::Record`] for a field that is not there.
    pub fn of(&self, record: &Record) -> Result<Fields, Fault> {
        let Some(columns) = &self.0 else {
            return Ok(record.fields.clone());
        };
        let pick = |(name, pick): &(Arc<str>, Pick)| {
            let value = match pick {
                Pick::Expr(expr) => expr.eval(&record.fields)?,
                Pick::Field(field) => record
                    .fields
                    .get(field)
                    .cloned()
                    .ok_or_else(|| Fault::Record(format!("no field `{field}` to write")))?,
            };
            Ok((name.clone(), value))
        };
        columns.iter().map(pick).collect()
    }
}
