//! Facts as YAML that differs in as few lines as there are facts that differ: one a line, sorted
//! by whoever gives them, texts always in double quotes. Knows nothing of what they mean.

use serde_json::Value;

use crate::hash::canonical_json;

/// Words that are not texts in some version of YAML.
const RESERVED: [&str; 11] = [
    "null", "true", "false", "yes", "no", "on", "off", "y", "n", "nan", "inf",
];

/// Writes a map; other values are written as JSON, which is YAML too.
pub fn write(value: &Value, text: &mut String) {
    put(value, 0, text);
}

fn put(value: &Value, depth: usize, text: &mut String) {
    let Value::Object(entries) = value else {
        text.push_str(&json(value));
        text.push('\n');
        return;
    };
    for (name, value) in entries {
        text.extend(std::iter::repeat_n("  ", depth));
        text.push_str(&key(name));
        text.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                put(value, depth + 1, text);
            }
            _ => {
                text.push(' ');
                text.push_str(&json(value));
                text.push('\n');
            }
        }
    }
}

/// A text in double quotes.
pub fn quoted(text: &str) -> String {
    json(&Value::from(text))
}

fn json(value: &Value) -> String {
    escaped(&String::from_utf8_lossy(&canonical_json(value)))
}

/// JSON lets some characters stand as they are that YAML does not, or reads as line breaks; they
/// can only be inside of texts.
fn escaped(json: &str) -> String {
    let odd = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if odd(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

/// A key: as it is if nothing in it can be read in another way.
fn key(name: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let reserved = RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name));
    if (begins || name.starts_with("../")) && name.chars().all(simple) && !reserved {
        name.to_owned()
    } else {
        json(&Value::from(name))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::diag::Sources;
    use crate::spec::decode::decode;
    use crate::spec::node::Node;

    fn text_of(value: &Value) -> String {
        let mut text = String::new();
        write(value, &mut text);
        text
    }

    fn read(text: &str) -> Value {
        let mut sources = Sources::default();
        let file = sources.add(std::path::Path::new("a.lock"), text);
        let node = Node::parse(&sources, file).unwrap_or_else(|f| panic!("{}\n{text}", f.message));
        decode(&node).unwrap_or_else(|f| panic!("{}\n{text}", f.message))
    }

    #[test]
    fn a_fact_is_a_line() {
        let value =
            json!({"a": {"../b.j2": "x", "no": 1.5, "012": [1, "two"]}, "c": {}, "d": true});
        assert_eq!(
            text_of(&value),
            "a:\n  ../b.j2: \"x\"\n  \"no\": 1.5\n  \"012\": [1,\"two\"]\nc: {}\nd: true\n"
        );
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9).prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let keys = || prop_oneof!["[a-z0-9_./ -]{0,8}", any::<String>()];
        leaf.prop_recursive(3, 24, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(keys(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(map in prop::collection::btree_map("[a-z]{1,4}", values(), 1..4)) {
            let value = Value::Object(map.into_iter().collect());
            prop_assert_eq!(read(&text_of(&value)), value);
        }
    }
}
