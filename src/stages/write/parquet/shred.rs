//! Rows taken apart into the leaves of their columns, with the levels by which Parquet puts them
//! together again (the record shredding of Dremel, Melnik et al. 2010). Knows nothing of files.
//!
//! Every value is optional, and so adds one definition level; every list is repeated, and adds
//! one of each.

use serde_json::Value as Json;

use super::columns::{Column, Row};
use super::kind::Kind;

/// The values of a leaf, without the nulls.
#[derive(Debug, PartialEq)]
pub enum Values {
    /// Nulls alone.
    Nothing,
    /// `true` and `false`.
    Bool(Vec<bool>),
    /// Whole numbers.
    Int(Vec<i64>),
    /// Doubles.
    Float(Vec<f64>),
    /// Texts.
    Text(Vec<String>),
}

/// A leaf: its values, and for each value or null, how much of its path is there, and which list
/// it goes on.
#[derive(Debug, PartialEq)]
pub struct Leaf {
    /// The values.
    pub values: Values,
    /// Definition levels.
    pub defined: Vec<i16>,
    /// Repetition levels.
    pub repeated: Vec<i16>,
}

/// Rows taken apart.
pub struct Shredded {
    columns: Vec<Column>,
    leaves: Vec<Leaf>,
    /// Rows so far.
    rows: usize,
}

impl Shredded {
    /// No rows yet.
    pub fn new(columns: &[Column]) -> Shredded {
        let mut leaves = Vec::new();
        columns
            .iter()
            .for_each(|column| leaves_of(&column.kind, &mut leaves));
        Shredded {
            columns: columns.to_vec(),
            leaves,
            rows: 0,
        }
    }

    /// Takes a row apart. Fields that are no columns are passed over.
    pub fn push(&mut self, row: &Row) {
        let mut at = 0;
        for column in &self.columns {
            let value = row.get(&column.name);
            shred(&column.kind, value, (0, 0), 0, &mut self.leaves, &mut at);
        }
        self.rows += 1;
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The leaves, in the order of the columns; there are no rows afterwards.
    pub fn take(&mut self) -> Vec<Leaf> {
        let empty = Shredded::new(&self.columns);
        self.rows = 0;
        std::mem::replace(&mut self.leaves, empty.leaves)
    }
}

fn leaves_of(kind: &Kind, leaves: &mut Vec<Leaf>) {
    let values = match kind {
        Kind::List(kind) => return leaves_of(kind, leaves),
        Kind::Map(entries) => {
            return entries.iter().for_each(|(_, kind)| leaves_of(kind, leaves));
        }
        Kind::Nothing => Values::Nothing,
        Kind::Bool => Values::Bool(Vec::new()),
        Kind::Int { .. } => Values::Int(Vec::new()),
        Kind::Float => Values::Float(Vec::new()),
        Kind::Text | Kind::Json => Values::Text(Vec::new()),
    };
    leaves.push(Leaf {
        values,
        defined: Vec::new(),
        repeated: Vec::new(),
    });
}

/// Takes a value apart into its leaves, the first of which is `leaves[*at]`; `at` is then behind
/// them. `levels` are the definition and repetition level that hold before the value; `lists` is
/// how many lists are around it.
fn shred(
    kind: &Kind,
    value: Option<&Json>,
    levels: (i16, i16),
    lists: i16,
    leaves: &mut [Leaf],
    at: &mut usize,
) {
    let (defined, repeated) = levels;
    let value = value.filter(|value| !value.is_null());
    match (kind, value) {
        (Kind::Map(entries), value) => {
            let inner = (defined + i16::from(value.is_some()), repeated);
            for (name, kind) in entries {
                let member = value.and_then(|value| value.get(name));
                shred(kind, member, inner, lists, leaves, at);
            }
        }
        (Kind::List(kind), Some(Json::Array(items))) if !items.is_empty() => {
            let first = *at;
            for (number, item) in items.iter().enumerate() {
                let repeated = if number == 0 { repeated } else { lists + 1 };
                *at = first;
                shred(
                    kind,
                    Some(item),
                    (defined + 2, repeated),
                    lists + 1,
                    leaves,
                    at,
                );
            }
        }
        (Kind::List(kind), value) => {
            let defined = defined + i16::from(value.is_some());
            shred(kind, None, (defined, repeated), lists + 1, leaves, at);
        }
        (_, value) => {
            if let Some(leaf) = leaves.get_mut(*at) {
                let there = value.is_some_and(|value| leaf.values.push(kind, value));
                leaf.defined.push(defined + i16::from(there));
                leaf.repeated.push(repeated);
            }
            *at += 1;
        }
    }
}

impl Values {
    /// Adds a value; false for one that is not of this kind, which the columns rule out.
    fn push(&mut self, kind: &Kind, value: &Json) -> bool {
        match (self, value) {
            (Values::Text(texts), value) if *kind == Kind::Json => texts.push(value.to_string()),
            (Values::Text(texts), Json::String(text)) => texts.push(text.clone()),
            (Values::Bool(all), Json::Bool(value)) => all.push(*value),
            (Values::Int(all), Json::Number(number)) => match number.as_i64() {
                Some(number) => all.push(number),
                None => return false,
            },
            (Values::Float(all), Json::Number(number)) => match number.as_f64() {
                Some(number) => all.push(number),
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::write::parquet::columns::Columns;
    use serde_json::json;

    fn shredded(rows: &[Json]) -> Vec<Leaf> {
        let rows: Vec<&Row> = rows.iter().filter_map(Json::as_object).collect();
        let mut columns = Columns::default();
        for row in &rows {
            assert!(columns.take(row).is_ok());
        }
        let mut shredded = Shredded::new(&columns.settled());
        rows.iter().for_each(|row| shredded.push(row));
        assert_eq!(shredded.rows(), rows.len());
        shredded.take()
    }

    fn leaf(values: Values, defined: &[i16], repeated: &[i16]) -> Leaf {
        Leaf {
            values,
            defined: defined.to_vec(),
            repeated: repeated.to_vec(),
        }
    }

    #[test]
    fn plain_values_and_their_absence() {
        let leaves = shredded(&[
            json!({"a": 1, "b": "x"}),
            json!({"a": null}),
            json!({"a": 0.5}),
        ]);
        let b = Values::Text(vec!["x".to_owned()]);
        assert_eq!(
            leaves,
            [
                leaf(Values::Float(vec![1.0, 0.5]), &[1, 0, 1], &[0, 0, 0]),
                leaf(b, &[1, 0, 0], &[0, 0, 0]),
            ]
        );
    }

    #[test]
    fn lists_inside_lists() {
        let leaves = shredded(&[
            json!({"a": [[1, 2], [], null, [null]]}),
            json!({"a": []}),
            json!({"a": null}),
            json!({"a": [[3]]}),
        ]);
        assert_eq!(
            leaves,
            [leaf(
                Values::Int(vec![1, 2, 3]),
                &[5, 5, 3, 2, 4, 1, 0, 5],
                &[0, 2, 1, 1, 1, 0, 0, 0]
            )]
        );
    }

    #[test]
    fn maps_inside_lists_share_their_levels() {
        let leaves = shredded(&[
            json!({"a": [{"x": 1, "y": ["p", "q"]}, {"x": null}, null]}),
            json!({"a": [{}]}),
            json!({}),
        ]);
        let texts = Values::Text(vec!["p".to_owned(), "q".to_owned()]);
        assert_eq!(
            leaves,
            [
                leaf(Values::Int(vec![1]), &[4, 3, 2, 3, 0], &[0, 1, 1, 0, 0]),
                leaf(texts, &[6, 6, 3, 2, 3, 0], &[0, 2, 1, 1, 0, 0]),
            ]
        );
    }

    #[test]
    fn what_is_not_alike_is_json_text() {
        let leaves = shredded(&[json!({"a": [1, "x"]}), json!({"a": {"b": null}})]);
        let texts = [r#"[1,"x"]"#, r#"{"b":null}"#].map(str::to_owned);
        assert_eq!(
            leaves,
            [leaf(Values::Text(texts.to_vec()), &[1, 1], &[0, 0])]
        );
    }
}
