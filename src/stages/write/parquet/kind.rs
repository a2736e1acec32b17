//! What kind of values a column holds, found from its values. Knows nothing of files.

use serde_json::{Map, Value as Json};

/// Lists and maps inside each other that are columns of their own; what is deeper is text.
const DEEPEST: usize = 8;
/// Names of maps that are columns of their own; a map with more is a dictionary, and text.
const WIDEST: usize = 64;
/// Up to here every whole number is a double too.
const EXACT: u64 = 1 << 53;

/// A kind of values. All of them may be null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// No value so far.
    #[default]
    Nothing,
    /// `true` and `false`.
    Bool,
    /// Whole numbers of 64 bits.
    Int {
        /// There is one that no double can hold.
        large: bool,
    },
    /// Doubles.
    Float,
    /// Text.
    Text,
    /// Lists.
    List(Box<Kind>),
    /// Maps, by their names in the order in which they came.
    Map(Vec<(String, Kind)>),
    /// Lists and maps that are not alike, each written as JSON text.
    Json,
}

impl Kind {
    /// The kind of one value. None for a number that neither 64 bits nor a double hold.
    pub fn of(value: &Json) -> Option<Kind> {
        Kind::at(value, 0)
    }

    fn at(value: &Json, depth: usize) -> Option<Kind> {
        Some(match value {
            Json::Null => Kind::Nothing,
            Json::Bool(_) => Kind::Bool,
            Json::Number(number) => match (number.as_i64(), number.is_u64()) {
                (Some(whole), _) => Kind::Int {
                    large: whole.unsigned_abs() > EXACT,
                },
                (None, true) => return None,
                (None, false) => Kind::Float,
            },
            Json::String(_) => Kind::Text,
            Json::Array(_) | Json::Object(_) if depth == DEEPEST => Kind::Json,
            Json::Array(items) => {
                let mut kind = Kind::Nothing;
                for item in items {
                    match Kind::at(item, depth + 1).and_then(|item| kind.with(&item)) {
                        Some(joined) => kind = joined,
                        None => return Some(Kind::Json),
                    }
                }
                Kind::List(Box::new(kind))
            }
            Json::Object(entries) => match members(entries, depth) {
                Some(members) => Kind::Map(members),
                None => Kind::Json,
            },
        })
    }

    /// The kind of a column that has values of both kinds. None if no column has: the values are
    /// not alike, and one of them is neither list nor map.
    pub fn with(&self, other: &Kind) -> Option<Kind> {
        Some(match (self, other) {
            (Kind::Nothing, kind) | (kind, Kind::Nothing) => kind.clone(),
            (Kind::Int { large: a }, Kind::Int { large: b }) => Kind::Int { large: *a || *b },
            (Kind::Int { large }, Kind::Float) | (Kind::Float, Kind::Int { large }) => {
                return (!large).then_some(Kind::Float);
            }
            (Kind::List(a), Kind::List(b)) => match a.with(b) {
                Some(kind) => Kind::List(Box::new(kind)),
                None => Kind::Json,
            },
            (Kind::Map(a), Kind::Map(b)) => joined(a, b).map_or(Kind::Json, Kind::Map),
            (a, b) if a == b => a.clone(),
            (a, b) if a.is_nested() && b.is_nested() => Kind::Json,
            _ => return None,
        })
    }

    fn is_nested(&self) -> bool {
        matches!(self, Kind::List(_) | Kind::Map(_) | Kind::Json)
    }

    /// The kind as it is written, when no more values come: a map without any name is none that
    /// Parquet has.
    pub fn settled(&self) -> Kind {
        match self {
            Kind::List(kind) => Kind::List(Box::new(kind.settled())),
            Kind::Map(entries) if entries.is_empty() => Kind::Json,
            Kind::Map(entries) => {
                let settled = |(name, kind): &(String, Kind)| (name.clone(), kind.settled());
                Kind::Map(entries.iter().map(settled).collect())
            }
            other => other.clone(),
        }
    }

    /// What messages call a value of this kind.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Nothing => "null",
            Kind::Bool => "true or false",
            Kind::Int { large: true } => "a whole number beyond 2^53",
            Kind::Int { .. } => "a whole number",
            Kind::Float => "a number with decimals",
            Kind::Text => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
            Kind::Json => "a list or a map",
        }
    }
}

fn members(entries: &Map<String, Json>, depth: usize) -> Option<Vec<(String, Kind)>> {
    if entries.len() > WIDEST {
        return None;
    }
    let entries = entries.iter();
    entries
        .map(|(name, value)| Some((name.clone(), Kind::at(value, depth + 1)?)))
        .collect()
}

/// Maps with the names of both.
fn joined(a: &[(String, Kind)], b: &[(String, Kind)]) -> Option<Vec<(String, Kind)>> {
    let mut all = a.to_vec();
    for (name, kind) in b {
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = known.with(kind)?,
            None => all.push((name.clone(), kind.clone())),
        }
    }
    (all.len() <= WIDEST).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn kind(values: &[Json]) -> Option<Kind> {
        let kinds = values.iter().map(Kind::of);
        kinds
            .reduce(|a, b| a?.with(&b?))
            .flatten()
            .map(|kind| kind.settled())
    }

    #[test]
    fn numbers_are_joined_without_loss() {
        let small = Kind::Int { large: false };
        assert_eq!(kind(&[json!(1), json!(null), json!(2)]), Some(small));
        assert_eq!(kind(&[json!(1), json!(0.5)]), Some(Kind::Float));
        assert_eq!(kind(&[json!(9_007_199_254_740_993_i64), json!(0.5)]), None);
        assert_eq!(kind(&[json!(u64::MAX)]), None);
        assert_eq!(kind(&[json!(1), json!("1")]), None);
        assert_eq!(kind(&[json!(true), json!(1)]), None);
    }

    #[test]
    fn lists_and_maps_are_columns_if_they_are_alike() {
        let texts = Kind::List(Box::new(Kind::Text));
        assert_eq!(kind(&[json!([]), json!(["a", null])]), Some(texts));
        assert_eq!(
            kind(&[json!({"a": 1}), json!({"b": [0.5], "a": null})]),
            Some(Kind::Map(vec![
                ("a".to_owned(), Kind::Int { large: false }),
                ("b".to_owned(), Kind::List(Box::new(Kind::Float))),
            ]))
        );
        for unlike in [
            vec![json!([1, "a"])],
            vec![json!([1]), json!(["a"])],
            vec![json!([1]), json!({"a": 1})],
            vec![json!({"a": 1}), json!({"a": "x"})],
            vec![json!({}), json!({})],
        ] {
            assert_eq!(kind(&unlike), Some(Kind::Json), "{unlike:?}");
        }
        // Only what is not alike is text.
        assert_eq!(
            kind(&[json!({"a": [1], "b": 1}), json!({"a": ["x"]})]),
            Some(Kind::Map(vec![
                ("a".to_owned(), Kind::Json),
                ("b".to_owned(), Kind::Int { large: false }),
            ]))
        );
        // Text beside a list is no slip of the data's form.
        assert_eq!(kind(&[json!([1]), json!("a")]), None);
    }

    #[test]
    fn dictionaries_and_deep_values_are_text() {
        let wide: Map<String, Json> = (0..65).map(|n| (n.to_string(), json!(n))).collect();
        assert_eq!(kind(&[Json::Object(wide)]), Some(Kind::Json));
        let halves = [0, 40].map(|from| {
            let names = (from..from + 40).map(|n| (n.to_string(), json!(n)));
            Json::Object(names.collect())
        });
        assert_eq!(kind(&halves), Some(Kind::Json));
        let deep = (0..9).fold(json!(1), |inner, _| json!([inner]));
        let text = kind(&[deep]).map(|kind| format!("{kind:?}"));
        assert!(
            text.is_some_and(|text| text.ends_with("List(Json))))))))") && !text.contains("Int"))
        );
    }
}
