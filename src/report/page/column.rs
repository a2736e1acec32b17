//! Columns of a page's tables: what kind of values a field has, and how its numbers are spread.

use minijinja::Value;
use serde_json::Value as Json;

use super::data::Spread;
use crate::record::Record;

/// Characters of a text that a table holds; the rest is with the record itself.
pub const SHORT: usize = 1_000;
/// Characters of a text at most.
pub const LONG: usize = 200_000;
/// Different texts of a column that make it labels, and how long they may be.
const LABELS: usize = 24;
const LABEL: usize = 48;
/// Bins of a histogram.
const BINS: usize = 20;
/// The greatest whole number that a page's script tells from its neighbours.
const EXACT: u64 = 1 << 53;

/// A value as a page holds it: nothing, a flag, a number or a text. Lists and maps are texts.
pub fn plain(value: &Value) -> Json {
    match serde_json::to_value(value).unwrap_or_default() {
        Json::Array(items) if items.iter().all(Json::is_string) && !items.is_empty() => {
            let items = items.iter().filter_map(Json::as_str);
            Json::String(items.collect::<Vec<_>>().join("\n"))
        }
        json @ (Json::Array(_) | Json::Object(_)) => Json::String(json.to_string()),
        Json::Number(number) => match number.as_u64().or(number.as_i64().map(i64::unsigned_abs)) {
            Some(whole) if whole > EXACT => Json::String(number.to_string()),
            _ => Json::Number(number),
        },
        json => json,
    }
}

/// Cuts a text; the number of characters that are left out, if any.
pub fn cut(text: &str, most: usize) -> (&str, usize) {
    match text.char_indices().nth(most) {
        None => (text, 0),
        Some((at, _)) => (&text[..at], text[at..].chars().count()),
    }
}

/// The fields of records, in the order in which they come up.
pub fn names(records: &[Record]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for record in records {
        for name in record.fields.names() {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

/// What kind of values these are.
pub fn kind<'a>(values: impl Iterator<Item = &'a Json>) -> &'static str {
    let mut labels: Vec<&str> = Vec::new();
    let (mut numbers, mut flags, mut texts, mut long) = (false, false, false, false);
    for value in values {
        match value {
            Json::Number(_) => numbers = true,
            Json::Bool(_) => flags = true,
            Json::String(text) => {
                texts = true;
                if !long && !labels.contains(&text.as_str()) {
                    labels.push(text);
                    long = labels.len() > LABELS || text.chars().count() > LABEL;
                }
            }
            _ => {}
        }
    }
    match (numbers, flags, texts) {
        (true, false, false) => "number",
        (false, true, false) => "flag",
        (_, _, true) if long => "text",
        _ => "label",
    }
}

/// How the numbers among these are spread; none if there are none.
pub fn spread<'a>(values: impl Iterator<Item = &'a Json> + Clone) -> Option<Spread> {
    let numbers = values.clone().filter_map(Json::as_f64);
    let (mut n, mut sum, mut low, mut high) = (0, 0.0, f64::INFINITY, f64::NEG_INFINITY);
    for number in numbers.clone() {
        n += 1;
        sum += number;
        low = number.min(low);
        high = number.max(high);
    }
    if n == 0 {
        return None;
    }
    // Most scores lie between 0 and 1, and are compared more easily on that scale.
    let (from, to) = match (low, high) {
        (low, high) if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        (low, high) if low < high => (low, high),
        (low, _) => (low - 0.5, low + 0.5),
    };
    let mut bins = vec![0; BINS];
    for number in numbers {
        let place = (number - from) / (to - from) * BINS as f64;
        bins[(place.max(0.0) as usize).min(BINS - 1)] += 1;
    }
    Some(Spread {
        n,
        missing: values.count() - n,
        mean: sum / n as f64,
        low,
        high,
        from,
        to,
        bins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_follow_the_values() {
        let of = |values: Json| kind(values.as_array().unwrap().iter());
        assert_eq!(of(json!([1, null, 2.5])), "number");
        assert_eq!(of(json!([true, null])), "flag");
        assert_eq!(of(json!(["yes", "no", null])), "label");
        assert_eq!(of(json!(["x".repeat(49)])), "text");
        assert_eq!(of(json!([null])), "label");
        let many: Vec<String> = (0..25).map(|n| n.to_string()).collect();
        assert_eq!(of(json!(many)), "text");
    }

    #[test]
    fn numbers_are_spread_over_bins() {
        let of = |values: Json| spread(values.as_array().unwrap().iter());
        let scores = of(json!([0, 0.5, 1.0, null])).unwrap();
        assert_eq!((scores.n, scores.missing, scores.mean), (3, 1, 0.5));
        assert_eq!((scores.from, scores.to), (0.0, 1.0));
        assert_eq!(
            (scores.bins[0], scores.bins[10], scores.bins[19]),
            (1, 1, 1)
        );
        let wide = of(json!([-3, 7])).unwrap();
        assert_eq!(
            (wide.from, wide.to, wide.low, wide.high),
            (-3.0, 7.0, -3.0, 7.0)
        );
        let one = of(json!([5])).unwrap();
        assert_eq!(one.bins.iter().sum::<usize>(), 1);
        assert_eq!(of(json!(["x", null])), None);
    }

    #[test]
    fn values_become_plain() {
        let plain_of = |json: &str| {
            let value: Value = serde_json::from_str(json).unwrap();
            plain(&value).to_string()
        };
        assert_eq!(plain_of("[\"a\",\"b\"]"), "\"a\\nb\"");
        assert_eq!(plain_of("[1,\"b\"]"), "\"[1,\\\"b\\\"]\"");
        assert_eq!(plain_of("18446744073709551615"), "\"18446744073709551615\"");
        assert_eq!(plain_of("3"), "3");
        assert_eq!(cut("añb", 2), ("añ", 1));
        assert_eq!(cut("añ", 2), ("añ", 0));
    }
}
