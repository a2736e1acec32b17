//! The columns of a table whose rows come one by one: their names in the order in which they
//! came, and their kinds. Knows nothing of files.

use serde_json::{Map, Value as Json};

use super::kind::Kind;
use crate::record::Fields;
use crate::stages::contract::Fault;

/// A row: its fields as JSON.
pub type Row = Map<String, Json>;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The field's name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Rows in which it is not null.
    pub filled: u64,
}

/// The columns so far.
#[derive(Clone, Debug, Default)]
pub struct Columns(Vec<Column>);

impl Columns {
    /// Columns whose names are known before any row.
    pub fn named<'a>(names: impl Iterator<Item = &'a str>) -> Columns {
        let column = |name: &str| Column {
            name: name.to_owned(),
            kind: Kind::Nothing,
            filled: 0,
        };
        Columns(names.map(column).collect())
    }

    /// Takes a row into account. One that fails leaves no trace.
    ///
    /// # Errors
    /// [`Fault::Record`] for a value that does not go into its column.
    pub fn take(&mut self, row: &Row) -> Result<(), Fault> {
        let mut changed: Vec<(usize, Kind)> = Vec::new();
        let mut new: Vec<Column> = Vec::new();
        let mut filled = Vec::new();
        for (name, value) in row {
            let Some(kind) = Kind::of(value) else {
                return Err(Fault::Record(format!(
                    "`{name}` is a whole number beyond 64 bits, which no column holds: make it \
                     text with `set`"
                )));
            };
            match self.0.iter().position(|column| column.name == *name) {
                None => new.push(Column {
                    name: name.clone(),
                    filled: u64::from(kind != Kind::Nothing),
                    kind,
                }),
                Some(at) => {
                    if kind == Kind::Nothing {
                        continue;
                    }
                    let known = &self.0[at].kind;
                    filled.push(at);
                    if kind != *known {
                        let joined = known
                            .with(&kind)
                            .ok_or_else(|| unlike(name, known, &kind))?;
                        changed.push((at, joined));
                    }
                }
            }
        }
        changed
            .into_iter()
            .for_each(|(at, kind)| self.0[at].kind = kind);
        filled.into_iter().for_each(|at| self.0[at].filled += 1);
        self.0.append(&mut new);
        Ok(())
    }

    /// The columns, when no more rows come.
    pub fn settled(&self) -> Vec<Column> {
        let settled = |column: &Column| Column {
            kind: column.kind.settled(),
            ..column.clone()
        };
        self.0.iter().map(settled).collect()
    }
}

fn unlike(name: &str, known: &Kind, kind: &Kind) -> Fault {
    Fault::Record(format!(
        "`{name}` is {} here and {} in records before, and a column has one type: make them alike \
         with `set`, or all of them text (`{name} | json`)",
        kind.name(),
        known.name()
    ))
}

/// About how many bytes a row has in memory, in the columns of Arrow.
pub fn weight(row: &Row) -> usize {
    fn of(value: &Json) -> usize {
        match value {
            Json::String(text) => 4 + text.len(),
            Json::Array(items) => 4 + items.iter().map(of).sum::<usize>(),
            Json::Object(entries) => entries.values().map(of).sum(),
            _ => 8,
        }
    }
    row.values().map(of).sum()
}

/// The fields of a record as a row.
///
/// # Errors
/// [`Fault::Record`] for values that JSON cannot hold.
pub fn row(fields: &Fields) -> Result<Row, Fault> {
    match serde_json::to_value(fields) {
        Ok(Json::Object(row)) => Ok(row),
        _ => Err(Fault::Record(
            "has a value that JSON cannot hold".to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(columns: &mut Columns, json: &str) -> Result<(), String> {
        let fields: Fields = serde_json::from_str(json).expect("JSON");
        match columns.take(&row(&fields).expect("a row")) {
            Err(Fault::Record(why)) => Err(why),
            Err(_) => panic!("no fault of a record"),
            Ok(()) => Ok(()),
        }
    }

    #[test]
    fn a_row_that_does_not_fit_leaves_no_trace() {
        let mut columns = Columns::named(["a"].into_iter());
        assert_eq!(take(&mut columns, r#"{"a":1,"b":null}"#), Ok(()));
        let before = columns.settled();
        let why = take(&mut columns, r#"{"c":1,"a":"secret"}"#).expect_err("not alike");
        assert!(
            why.starts_with("`a` is text here and a whole number in records before")
                && !why.contains("secret"),
            "{why}"
        );
        let why = take(&mut columns, r#"{"b":1,"a":18446744073709551615}"#).expect_err("large");
        assert!(
            why.starts_with("`a` is a whole number beyond 64 bits"),
            "{why}"
        );
        assert_eq!(columns.settled(), before);
        assert_eq!(take(&mut columns, r#"{"a":0.5,"b":"x"}"#), Ok(()));
        let told: Vec<_> = columns
            .settled()
            .into_iter()
            .map(|c| (c.name, c.kind, c.filled))
            .collect();
        assert_eq!(
            told,
            [
                ("a".to_owned(), Kind::Float, 2),
                ("b".to_owned(), Kind::Text, 1)
            ]
        );
    }
}
