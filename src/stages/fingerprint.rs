//! Whether values are the same, by a short hash of them, so that records need not be held to
//! be compared. Owns what counts as the same.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::contract::Fault;
use crate::hash::Hash;

/// A hash of values: 128 bits, so that different ones do not meet by chance. Numbers are the
/// same if they are equal (`1` and `1.0`); a number and its text (`1` and `"1"`) are not.
///
/// # Errors
/// [`Fault::Record`] for values that JSON cannot hold.
pub fn fingerprint(values: &[Value]) -> Result<u128, Fault> {
    let whole: Vec<Value> = values.iter().map(normal).collect();
    let bytes = serde_json::to_vec(&whole)
        .map_err(|_| Fault::Record("has a value that JSON cannot hold".to_owned()))?;
    let hash = Hash::of_bytes(&bytes).0;
    let (half, _) = hash.split_at(16);
    Ok(half
        .iter()
        .fold(0, |number, byte| (number << 8) | u128::from(*byte)))
}

/// The same number in the same form, also inside lists.
fn normal(value: &Value) -> Value {
    match value.kind() {
        ValueKind::Number if !value.is_integer() => match f64::try_from(value.clone()) {
            // Up to 2^53 a float is one whole number exactly.
            Ok(x) if x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0 => {
                Value::from(x as i64)
            }
            _ => value.clone(),
        },
        ValueKind::Seq => value
            .try_iter()
            .into_iter()
            .flatten()
            .map(|element| normal(&element))
            .collect(),
        _ => value.clone(),
    }
}

/// Values as part of a key: text as it is, one other value as JSON, several as a JSON list.
pub fn key_text(values: &[Value]) -> Arc<str> {
    match values {
        [value] => match value.as_str() {
            Some(text) => text.into(),
            None => serde_json::to_string(value).unwrap_or_default().into(),
        },
        values => serde_json::to_string(values).unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_by_value_and_differ_from_texts() {
        let of = |json: &str| {
            let value: Value = serde_json::from_str(json).expect("JSON");
            fingerprint(&[value]).expect("hashes")
        };
        assert_eq!(of("1"), of("1.0"));
        assert_eq!(of("[1, 2]"), of("[1.0, 2]"));
        assert_ne!(of("1"), of("1.5"));
        assert_ne!(of("1"), of("\"1\""));
        assert_ne!(of("null"), of("\"\""));
    }
}
