//! The YAML at the top of a card, in the form that people write. Knows nothing of what it means.

use serde_json::Value as Json;

/// Words that are no texts in some version of YAML.
const RESERVED: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Maps and lists in blocks, each line with two spaces more a level.
pub fn write(value: &Json) -> String {
    let mut text = String::new();
    put(value, 0, &mut text);
    text
}

fn put(value: &Json, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Json::Object(entries) => {
            for (name, value) in entries {
                text.push_str(&indent);
                text.push_str(&scalar(&Json::String(name.clone())));
                text.push(':');
                match value {
                    Json::Object(inner) if !inner.is_empty() => {
                        text.push('\n');
                        put(value, depth + 1, text);
                    }
                    // A list stands as far left as its name.
                    Json::Array(items) if !items.is_empty() => {
                        text.push('\n');
                        put(value, depth, text);
                    }
                    value => {
                        text.push(' ');
                        text.push_str(&scalar(value));
                        text.push('\n');
                    }
                }
            }
        }
        Json::Array(items) => {
            for item in items {
                text.push_str(&indent);
                text.push_str("- ");
                match item {
                    Json::Object(inner) if !inner.is_empty() => {
                        // Its first line goes on behind the mark, which is as wide as an indent.
                        let start = text.len();
                        put(item, depth + 1, text);
                        text.replace_range(start..start + indent.len() + 2, "");
                    }
                    item => {
                        text.push_str(&scalar(item));
                        text.push('\n');
                    }
                }
            }
        }
        value => text.push_str(&scalar(value)),
    }
}

/// A value on one line: plain where nobody can mistake it, else as JSON, which is YAML too.
fn scalar(value: &Json) -> String {
    let Json::String(text) = value else {
        return value.to_string();
    };
    let inner = |c: char| c.is_ascii_alphanumeric() || "_./-".contains(c);
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(inner)
        && !RESERVED.contains(&text.to_lowercase().as_str());
    if plain {
        return text.clone();
    }
    let json = value.to_string();
    // JSON lets some characters stand as they are that YAML does not.
    let odd = |c: char| {
        matches!(
            c,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    let escape = |c: char| match odd(c) {
        true => format!("\\u{:04x}", u32::from(c)),
        false => c.to_string(),
    };
    json.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn blocks_look_as_people_write_them() {
        let value = json!({
            "license": "cc-by-4.0",
            "language": ["en", "no"],
            "info": {"splits": [{"name": "test", "n": 3}, {"name": "a b", "of": [{"x": "null"}]}]},
            "none": [],
        });
        insta::assert_snapshot!(write(&value), @r#"
        license: cc-by-4.0
        language:
        - en
        - "no"
        info:
          splits:
          - name: test
            "n": 3
          - name: "a b"
            of:
            - x: "null"
        none: []
        "#);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(a in "\\PC{0,12}", b in "(?s).{0,12}", n: i64) {
            let value = json!({"a": [a, {"k": b, "l": [{"n": n}]}], (b.clone()): {"c": [a], "d": b}});
            let read: Json = serde_yaml::from_str(&write(&value)).expect("YAML");
            prop_assert_eq!(read, value);
        }
    }
}
