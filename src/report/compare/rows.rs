//! Which records of a stage differ, and in which fields.

use std::collections::HashMap;

use super::data::Row;
use super::lot::Lot;
use crate::record::Record;
use crate::report::life::json;

/// Compares the records of a stage.
pub fn row(stage: &str, verb: &str, lot: &Lot) -> Row {
    let pairs = lot.pairs();
    let mut row = Row {
        stage: stage.to_owned(),
        verb: verb.to_owned(),
        ..Row::default()
    };
    let mut order: Vec<String> = Vec::new();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for (name, a, b) in &pairs.both {
        let fields = differing(a, b);
        if fields.is_empty() {
            row.same += 1;
            continue;
        }
        row.changed.push((*name).to_owned());
        for field in fields {
            let count = counts.entry(field.clone()).or_insert_with(|| {
                order.push(field);
                0
            });
            *count += 1;
        }
    }
    let names =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    row.only_a = names(&pairs.only_a);
    row.only_b = names(&pairs.only_b);
    let counted = order.into_iter().map(|field| {
        let count = counts.get(&field).copied().unwrap_or(0);
        (field, count)
    });
    row.fields = counted.collect();
    row
}

/// The fields that two records do not have in common.
pub fn differing(a: &Record, b: &Record) -> Vec<String> {
    let names = b.fields.names();
    let gone = a.fields.names().filter(|name| b.fields.get(name).is_none());
    let other = |name: &&str| {
        let (a, b) = (a.fields.get(name), b.fields.get(name));
        a.map(json) != b.map(json)
    };
    names.chain(gone).filter(other).map(str::to_owned).collect()
}
