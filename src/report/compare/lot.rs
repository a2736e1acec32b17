//! Two lots of records that are compared, paired by what names them. Owns what belongs together.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use serde_json::{Value as Json, json as list};

use super::numbers::Numbers;
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
    /// What the numbers before the keys of either side stand for.
    pub numbers: [Rc<Numbers>; 2],
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
    /// How many of those have a name that the other side has too: several have it, so that it is not
    /// clear who belongs to whom.
    pub unclear: usize,
}

impl Lot {
    /// Records that are named by their keys; where the numbers before them do not mean the same on
    /// both sides, by what they mean.
    pub fn by_key(a: Vec<Record>, b: Vec<Record>, numbers: [Rc<Numbers>; 2]) -> Lot {
        let agree = numbers[0].agrees(&numbers[1]);
        let named = |records: Vec<Record>, numbers: &Numbers| {
            let records = records.into_iter();
            let named = records.map(|record| {
                let name = match agree {
                    true => record.key.to_string(),
                    false => numbers.meaning(&record.key),
                };
                (name, record)
            });
            named.collect()
        };
        Lot {
            a: named(a, &numbers[0]),
            b: named(b, &numbers[1]),
            numbers,
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
        let with = |a: Vec<Called>, b: Vec<Called>| Lot {
            a,
            b,
            numbers: self.numbers.clone(),
        };
        if by.is_empty() || self.numbers.iter().any(|numbers| numbers.is_none()) {
            return with(self.a.clone(), self.b.clone());
        }
        let named = |records: &[Called], numbers: Option<&Numbers>| -> Vec<Called> {
            let named = records.iter().map(|(called, record)| {
                let value =
                    |field: &String| bare(&record.fields.get(field).map(json).unwrap_or_default());
                let mut name: Vec<String> = by.iter().map(value).collect();
                let rest = numbers.and_then(|numbers| numbers.rest(&record.key));
                name.push(rest.unwrap_or(called).to_owned());
                (joined(&name), record.clone())
            });
            named.collect()
        };
        let unique = |records: &[Called]| {
            let names: HashSet<&String> = records.iter().map(|(name, _)| name).collect();
            names.len() == records.len()
        };
        let a = named(&self.a, Some(&self.numbers[0]));
        let b = named(&self.b, Some(&self.numbers[1]));
        match unique(&a) && unique(&b) {
            true => with(a, b),
            // Two inputs in one group: only what their numbers mean tells them apart.
            false => with(named(&self.a, None), named(&self.b, None)),
        }
    }

    /// Who belongs to whom. Of several with one name, only those with the same key do.
    pub fn pairs(&self) -> Pairs<'_> {
        let (of_a, of_b) = (times(&self.a), times(&self.b));
        let often = |name: &str| of_a.get(name) > Some(&1) || of_b.get(name) > Some(&1);
        let (a, b) = (numbered(&self.a, often), numbered(&self.b, often));
        let places: HashMap<Place, &Record> = a.iter().copied().collect();
        let mut pairs = Pairs::default();
        let mut met = HashSet::new();
        for (place, record) in b {
            match places.get(&place) {
                Some(other) => {
                    met.insert(place);
                    pairs.both.push((place.0, other, record));
                }
                None => pairs.only_b.push(place.0),
            }
        }
        let alone = a.iter().filter(|(place, _)| !met.contains(place));
        pairs.only_a = alone.map(|((name, ..), _)| *name).collect();
        let alone = pairs.only_a.iter().chain(&pairs.only_b);
        let unclear = |name: &&&str| of_a.contains_key(**name) && of_b.contains_key(**name);
        pairs.unclear = alone.filter(unclear).count();
        pairs
    }
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

/// What tells a record from others of its side: its name; where several have that, its key too, and
/// how often both came before.
type Place<'a> = (&'a str, Option<&'a str>, usize);

/// How many records have each name.
fn times(records: &[Called]) -> HashMap<&str, usize> {
    let mut times: HashMap<&str, usize> = HashMap::new();
    for (name, _) in records {
        *times.entry(name).or_default() += 1;
    }
    times
}

/// Records with their places.
fn numbered<'a>(
    records: &'a [Called],
    often: impl Fn(&str) -> bool,
) -> Vec<(Place<'a>, &'a Record)> {
    let mut times: HashMap<(&str, Option<&str>), usize> = HashMap::new();
    let mut numbered = Vec::with_capacity(records.len());
    for (name, record) in records {
        let key = often(name).then_some(&*record.key);
        let times = times.entry((name, key)).or_default();
        numbered.push(((name.as_str(), key, *times), record));
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

    fn lot(a: &[(&str, &str)], b: &[(&str, &str)]) -> Lot {
        let called = |all: &[(&str, &str)]| {
            let all = all.iter();
            let called = all.map(|(name, key)| ((*name).to_owned(), Record::new(*key)));
            called.collect()
        };
        Lot {
            a: called(a),
            b: called(b),
            ..Lot::default()
        }
    }

    #[test]
    fn of_several_with_one_name_only_the_same_keys_are_paired() {
        let lot = lot(
            &[("a", "1/a"), ("b", "1/b"), ("b", "2/b"), ("c", "1/c")],
            &[("d", "1/d"), ("b", "2/b"), ("a", "2/a")],
        );
        let pairs = lot.pairs();
        let both: Vec<(&str, &str)> = pairs
            .both
            .iter()
            .map(|(name, a, _)| (*name, &*a.key))
            .collect();
        assert_eq!(both, [("b", "2/b"), ("a", "1/a")]);
        assert_eq!(
            (&pairs.only_a, &pairs.only_b),
            (&vec!["b", "c"], &vec!["d"])
        );
        assert_eq!(pairs.unclear, 1);
    }
}
