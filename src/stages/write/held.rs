//! Rows that wait for the last one, to be sorted.

use std::cmp::Ordering;

use crate::record::{Fields, Record};
use crate::spec::decode::Src;
use crate::stages::contract::Fault;
use crate::stages::order::{Direction, SortKey};

/// A field to sort by, as the user writes it: `-` before its name for the greatest first.
pub fn direction(name: &Src<String>) -> (Src<String>, Direction) {
    let (value, direction) = match name.value.strip_prefix('-') {
        Some(field) => (field, Direction::Desc),
        None => (name.as_str(), Direction::Asc),
    };
    let field = Src {
        value: value.to_owned(),
        span: name.span,
    };
    (field, direction)
}

/// Rows in the order in which they came, and what they are sorted by.
pub struct Held {
    by: Vec<(String, Direction)>,
    rows: Vec<(Vec<SortKey>, Fields)>,
}

impl Held {
    /// To be sorted by the first field, ties by the second, and so on; by none they stay in
    /// their order.
    pub fn new(by: &[Src<String>]) -> Held {
        let by = by.iter().map(direction);
        Held {
            by: by
                .map(|(field, direction)| (field.value, direction))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// What a record is sorted by; fields that it lacks count as null.
    ///
    /// # Errors
    /// [`Fault::Record`] for values that have no order.
    pub fn keys(&self, record: &Record) -> Result<Vec<SortKey>, Fault> {
        let key = |(field, _): &(String, Direction)| match record.fields.get(field) {
            Some(value) => SortKey::of(value),
            None => Ok(SortKey::Missing),
        };
        self.by.iter().map(key).collect()
    }

    /// Takes a row.
    pub fn push(&mut self, keys: Vec<SortKey>, fields: Fields) {
        self.rows.push((keys, fields));
    }

    /// The rows in order.
    pub fn sorted(mut self) -> Vec<Fields> {
        let by = std::mem::take(&mut self.by);
        self.rows.sort_by(|(a, _), (b, _)| {
            let pairs = a.iter().zip(b).zip(&by);
            pairs
                .map(|((a, b), (_, direction))| a.compare(b, *direction))
                .fold(Ordering::Equal, Ordering::then)
        });
        self.rows.into_iter().map(|(_, fields)| fields).collect()
    }
}
