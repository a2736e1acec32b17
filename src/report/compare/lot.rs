//! Two lots of records that are compared, paired by what names them. Owns what belongs together.

use std::collections::{HashMap, HashSet};

use crate::record::Record;

/// A record with its name.
pub type Called = (String, Record);

/// Records of both sides.
#[derive(Default)]
pub struct Lot {
    /// Those of the first side, each with its name.
    pub a: Vec<Called>,
    /// Those of the second.
    pub b: Vec<Called>,
}

/// What a lot falls into.
#[derive(Default)]
pub struct Pairs<'a> {
    /// Records that both sides have, in the order of the second.
    pub both: Vec<(&'a str, &'a Record, &'a Record)>,
    /// The names of those of the first side alone.
    pub only_a: Vec<&'a str>,
    /// The names of those of the second alone.
    pub only_b: Vec<&'a str>,
}

impl Lot {
    /// Records that are named by their keys.
    pub fn by_key(a: Vec<Record>, b: Vec<Record>) -> Lot {
        let named = |records: Vec<Record>| {
            let records = records.into_iter();
            let named = records.map(|record| (record.key.to_string(), record));
            named.collect()
        };
        Lot {
            a: named(a),
            b: named(b),
        }
    }

    /// Who belongs to whom. Of several with one name the first belongs to the first, the second
    /// to the second.
    pub fn pairs(&self) -> Pairs<'_> {
        let (a, b) = (numbered(&self.a), numbered(&self.b));
        let places: HashMap<(&str, usize), &Record> = a.iter().copied().collect();
        let mut pairs = Pairs::default();
        let mut met = HashSet::new();
        for (name, record) in b {
            match places.get(&name) {
                Some(other) => {
                    met.insert(name);
                    pairs.both.push((name.0, other, record));
                }
                None => pairs.only_b.push(name.0),
            }
        }
        let alone = a.iter().filter(|(name, _)| !met.contains(name));
        pairs.only_a = alone.map(|((name, _), _)| *name).collect();
        pairs
    }
}

/// Records by their names, and by how often each name came before.
fn numbered(records: &[Called]) -> Vec<((&str, usize), &Record)> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    let mut numbered = Vec::with_capacity(records.len());
    for (name, record) in records {
        let times = times.entry(name).or_default();
        numbered.push(((name.as_str(), *times), record));
        *times += 1;
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_paired_one_by_one() {
        let records = |keys: &[&str]| keys.iter().map(|key| Record::new(*key)).collect();
        let lot = Lot::by_key(records(&["a", "b", "b", "c"]), records(&["d", "b", "a"]));
        let pairs = lot.pairs();
        let both: Vec<&str> = pairs.both.iter().map(|(name, ..)| *name).collect();
        assert_eq!(both, ["b", "a"]);
        assert_eq!((pairs.only_a, pairs.only_b), (vec!["b", "c"], vec!["d"]));
    }
}
