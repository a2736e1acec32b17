//! Two lots of records that are compared, paired by what names them. Owns what belongs together.

use std::collections::{HashMap, HashSet};

use serde_json::{Value as Json, json as list};

use crate::record::Record;
use crate::report::life::json;

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

    /// Fields of which the sides have some value in common. Another, such as the model that was
    /// exchanged, tells the sides apart and no records.
    pub fn common(&self, fields: &[String]) -> Vec<String> {
        let shared = |field: &&String| {
            let value =
                |(_, record): &Called| record.fields.get(field).map(|v| json(v).to_string());
            let of_a: HashSet<Option<String>> = self.a.iter().map(value).collect();
            self.b.iter().any(|called| of_a.contains(&value(called)))
        };
        fields.iter().filter(shared).cloned().collect()
    }

    /// The lot with names that hold within groups, where keys begin with the number of an input
    /// (`concat: {prefix: true}`): that number is another when an input is put before.
    #[must_use]
    pub fn within(&self, by: &[String]) -> Lot {
        let by = self.common(by);
        let numbered = |called: &Called| unnumbered(&called.1.key) != &*called.1.key;
        if by.is_empty() || !self.a.iter().chain(&self.b).all(numbered) {
            return Lot {
                a: self.a.clone(),
                b: self.b.clone(),
            };
        }
        let named = |records: &[Called], whole: bool| -> Vec<Called> {
            let named = records.iter().map(|(_, record)| {
                let value =
                    |field: &String| bare(&record.fields.get(field).map(json).unwrap_or_default());
                let mut name: Vec<String> = by.iter().map(value).collect();
                let key = &*record.key;
                name.push(if whole { key } else { unnumbered(key) }.to_owned());
                (joined(&name), record.clone())
            });
            named.collect()
        };
        let unique = |records: &[Called]| {
            let names: HashSet<&String> = records.iter().map(|(name, _)| name).collect();
            names.len() == records.len()
        };
        let (a, b) = (named(&self.a, false), named(&self.b, false));
        match unique(&a) && unique(&b) {
            true => Lot { a, b },
            // Two inputs in one group: only their numbers tell them apart.
            false => Lot {
                a: named(&self.a, true),
                b: named(&self.b, true),
            },
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

/// A key without the number of an input that `concat: {prefix: true}` puts before it.
pub fn unnumbered(key: &str) -> &str {
    let parts = key.split_once('/');
    let parts = parts.filter(|(n, _)| n.parse::<usize>().is_ok());
    parts.map_or(key, |(_, rest)| rest)
}

/// One name of several parts; no two lists of as many parts have the same.
pub fn joined(parts: &[String]) -> String {
    let unclear = |part: &String| {
        let inside = part.contains(" / ");
        inside || part.ends_with(" /") || part.starts_with("/ ") || part.starts_with('[')
    };
    match parts {
        [one] => one.clone(),
        _ if parts.iter().any(unclear) => list!(parts).to_string(),
        _ => parts.join(" / "),
    }
}

/// A value without quotes.
fn bare(value: &Json) -> String {
    let text = value.as_str();
    text.map_or_else(|| value.to_string(), str::to_owned)
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
    fn names_of_several_parts_are_never_the_same() {
        let texts = [
            "x", "x / y", "y / z", "z", " /", "/ ", "[", "x /", "/ z", "",
        ];
        let mut met = HashSet::new();
        for a in texts {
            for b in texts {
                let name = joined(&[a.to_owned(), b.to_owned()]);
                assert!(met.insert(name.clone()), "{name}");
            }
        }
    }

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
