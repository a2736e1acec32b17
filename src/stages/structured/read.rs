//! The JSON in an answer: all of it, or a part of it, such as what stands between the marks of a
//! code block or after an introduction. Knows nothing of schemas. Pure.

use serde_json::{Deserializer, Value};

use crate::model::chat::Reply;

/// Most places of a text where the start of a value is looked for.
const OPENINGS: usize = 256;
/// Most values that are found in one text.
const VALUES: usize = 32;

/// What is wrong with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// There is no JSON in it.
    NoJson,
    /// There is, but it does not fit: what is told of it.
    Unfit(Vec<String>),
}

impl Wrong {
    /// In one line, without anything of the answer.
    pub fn told(&self, reply: &Reply) -> String {
        let what = match self {
            Wrong::NoJson => "the answer is not JSON".to_owned(),
            Wrong::Unfit(faults) => {
                let few: Vec<&str> = faults.iter().take(3).map(String::as_str).collect();
                let more = match faults.len().saturating_sub(few.len()) {
                    0 => "",
                    _ => ", and more",
                };
                let few = few.join(", ");
                format!("the answer does not fit the schema: {few}{more}")
            }
        };
        match reply.finish_reason.as_deref() {
            Some("length") => format!("{what} (the model stopped because of `length`)"),
            _ => what,
        }
    }
}

/// The values that an answer may mean, likeliest first. `prefill` is its beginning as the prompt
/// gave it; a server that is told a schema begins its JSON after that.
pub fn candidates(prefill: &str, text: &str) -> Vec<Value> {
    let whole = format!("{prefill}{text}");
    let read = |text: &str| serde_json::from_str(text.trim()).ok();
    if let Some(value) = read(text).or_else(|| read(&whole)) {
        return vec![value];
    }
    if let Some(value) = fenced(&whole).and_then(read) {
        return vec![value];
    }
    within(&whole)
}

/// What stands in the first code block.
fn fenced(text: &str) -> Option<&str> {
    const MARK: &str = "```";
    let start = text.find(MARK)? + MARK.len();
    let rest = &text[start..];
    // The first line may name the language.
    let rest = &rest[rest.find('\n')? + 1..];
    Some(&rest[..rest.find(MARK)?])
}

/// The objects and lists in a text, without those that are parts of others.
fn within(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    let mut from = 0;
    for (at, _) in text.match_indices(['{', '[']).take(OPENINGS) {
        if at < from || values.len() == VALUES {
            continue;
        }
        let mut stream = Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                from = at + stream.byte_offset();
                values.push(value);
            }
            // It is cut off, or wrong: what follows are parts of it, which are no answers.
            Some(Err(error)) if error.is_eof() || is_meant_as_json(&text[at..]) => break,
            _ => {}
        }
    }
    values
}

/// True for what begins as JSON does, and not as a remark in brackets.
fn is_meant_as_json(text: &str) -> bool {
    let inside = text[1..].trim_start();
    // A name without quotes, as JavaScript has it.
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let named = text.starts_with('{')
        && inside
            .trim_start_matches(word)
            .trim_start()
            .starts_with(':');
    named || inside.starts_with(['{', '[', '"', '\'', ']', '}'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_where_models_put_it() {
        let object = json!({"a": [1]});
        for text in [
            "{\"a\": [1]}",
            "\n {\"a\": [1]}\n",
            "```json\n{\"a\": [1]}\n```",
            "Here it is:\n```\n{\"a\": [1]}\n```\nIs that [good]?",
            "The answer: {\"a\": [1]}.",
            "{oops {\"a\": [1]}",
        ] {
            assert_eq!(
                candidates("", text),
                std::slice::from_ref(&object),
                "{text}"
            );
        }
        assert_eq!(
            candidates("", "First [1], then {\"a\": [1]}"),
            [json!([1]), object]
        );
        assert_eq!(candidates("", "\"left\""), [json!("left")]);
        assert_eq!(candidates("", "left"), [] as [Value; 0]);
        for cut in [
            "{\"a\": ",
            "{\"a\": [{\"b\": 1}, {\"b\"",
            "```json\n[{\"b\": 1},",
        ] {
            assert_eq!(candidates("", cut), [] as [Value; 0], "{cut}");
        }
    }

    #[test]
    fn parts_of_what_is_wrong_are_no_answers() {
        for text in [
            r#"[{"code": "I10", "mods": [], }]"#,
            r#"{"a": {"x": 1,}, "b": {}}"#,
            r#"{"a": NaN, "b": {"a": 1}}"#,
            r#"{'a': {"x": 1}}"#,
            r#"{a: {"x": 1}}"#,
            r#"So: [{"a": 1} {"a": 2}]"#,
        ] {
            assert_eq!(candidates("", text), Vec::<Value>::new(), "{text}");
        }
        let remark = r#"As said [see above], {"a": 1}"#;
        assert_eq!(candidates("", remark), [json!({"a": 1})]);
    }

    #[test]
    fn a_beginning_is_gone_on_from_or_stands_before() {
        assert_eq!(candidates("{\"a\":", " 1}"), [json!({"a": 1})]);
        assert_eq!(
            candidates("```json\n{", "\"a\": 1}\n```"),
            [json!({"a": 1})]
        );
        assert_eq!(candidates("JSON: ", "{\"a\": 1}"), [json!({"a": 1})]);
        assert_eq!(candidates("Number: ", "4"), [json!(4)]);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(text in r#"([{}\[\]",:0-9` \n-]|json|é)*"#, at in 0_usize..40) {
            let at = text.floor_char_boundary(at.min(text.len()));
            let (prefill, text) = text.split_at(at);
            prop_assert!(candidates(prefill, text).len() <= VALUES);
        }
    }
}
