//! What the filters do, and that their errors keep texts to themselves.

use minijinja::context;
use proptest::prelude::{any, prop_assert, proptest};
use serde_json::{Value, json};

use super::{FILTERS, TESTS};
use crate::jinja::environment;
use crate::jinja::expr::describe;

fn eval(expression: &str, text: &str) -> Result<Value, String> {
    let env = environment();
    let value = env
        .compile_expression(expression)
        .and_then(|e| e.eval(context! { text }))
        .map_err(|error| describe(&error))?;
    Ok(serde_json::to_value(value).expect("serializes"))
}

fn is(expression: &str, text: &str, expected: Value) {
    assert_eq!(eval(expression, text), Ok(expected), "{expression}");
}

#[test]
fn the_docs_name_what_is_registered() {
    let env = environment();
    for (name, doc) in FILTERS {
        assert!(doc.contains(&format!("| {name}")), "{name}");
        let template = format!("{{{{ 1 | {name} }}}}");
        let error = env.render_str(&template, ()).map_err(|e| e.kind());
        assert_ne!(error, Err(minijinja::ErrorKind::UnknownFilter), "{name}");
    }
    for (name, doc) in TESTS {
        assert!(doc.contains(&format!(" is {name}")), "{name}");
        let template = format!("{{{{ 1 is {name} }}}}");
        let error = env.render_str(&template, ()).map_err(|e| e.kind());
        assert_ne!(error, Err(minijinja::ErrorKind::UnknownTest), "{name}");
    }
    assert!(FILTERS.is_sorted() && TESTS.is_sorted());
}

#[test]
fn patterns_find_split_and_replace() {
    let text = "5 mg, 10 mg";
    is(
        r"text | regex_find('(\\d+) (?P<unit>mg)')",
        text,
        json!("5 mg"),
    );
    is(r"text | regex_find('(\\d+) mg', 1)", text, json!("5"));
    is(
        r"text | regex_find('(?P<n>\\d+) mg', group='n')",
        text,
        json!("5"),
    );
    is("text | regex_find('kg')", text, json!(null));
    is(
        r"text | regex_find_all('(\\d+) mg', group=1)",
        text,
        json!(["5", "10"]),
    );
    is(
        r"text | regex_split(',\\s*')",
        text,
        json!(["5 mg", "10 mg"]),
    );
    is(
        r"text | regex_replace('(\\d+) mg', '\\1mg')",
        text,
        json!("5mg, 10mg"),
    );
    is("text | regex_test('^5')", text, json!(true));
    is("text is matching('^10')", text, json!(false));
    assert!(eval("text | regex_find('a', 1)", text).is_err());
}

#[test]
fn parts_of_a_text() {
    is("text | before('b')", "abab", json!("a"));
    is("text | before('x')", "ab", json!("ab"));
    is("text | after('b')", "abab", json!("ab"));
    is("text | after('x')", "ab", json!(""));
    is("text | word_count", " a\u{a0}b\n c ", json!(3));
    is(
        "text | overlap('Fever, b!')",
        "a fever: B",
        json!(2.0 / 3.0),
    );
    is("text | overlap('...')", "", json!(0.0));
    is("['a', 'b ___'] | without('___')", "", json!(["a"]));
    is("text is headed('plan:')", "PLAN: rest", json!(true));
    is("text is headed('plan:')", "PLA", json!(false));
    is("text | bullets", "x\n * a\n- b ___", json!(["a", "b ___"]));
}

#[test]
fn sentences_end_where_they_end() {
    is(
        "text | sentences",
        "You saw Dr. Roe (\"twice.\") It was 3.5 mg, e.g. daily. Why?\nBecause I. did\n\nnot",
        json!([
            "You saw Dr. Roe (\"twice.\")",
            "It was 3.5 mg, e.g. daily.",
            "Why?",
            "Because I. did",
            "not"
        ]),
    );
}

#[test]
fn pairs_without_a_last_line_break() {
    let text = "Question: a?\nAnswer: b\nQuestion: c?\nAnswer: d";
    let pair = |q, a| json!({"question": q, "answer": a});
    is(
        "text | qa_pairs",
        text,
        json!([pair("a?", "b"), pair("c?", "d")]),
    );
    is(
        "text | qa_pairs(strict=true)",
        text,
        json!([pair("a?", "b")]),
    );
}

#[test]
fn json_in_and_out() {
    is("(text | from_json).a[0]", r#"{"a": [1.5]}"#, json!(1.5));
    is(
        "text | extract_json",
        r#"{x} so: {"a": [1]} {"b"}"#,
        json!({"a": [1]}),
    );
    is("text | extract_json", "none [", json!(null));
    let text = r#"{"é": [1, 2.0, 1e16, 0.00001, null, "😀"]}"#;
    is(
        "text | from_json | json",
        text,
        json!(r#"{"é":[1,2.0,1e+16,0.00001,null,"😀"]}"#),
    );
    is(
        "text | from_json | json(python=true, ascii=true)",
        text,
        json!(r#"{"\u00e9": [1, 2.0, 1e+16, 1e-05, null, "\ud83d\ude00"]}"#),
    );
}

#[test]
fn errors_hold_no_text() {
    for expression in [
        "text | regex_find('(')",
        "text | regex_replace('a', '\\\\q')",
        "text | from_json",
        "text | bullets(wihtout=1)",
        "text | bullets(without=1)",
        "text | qa_pairs(strict=text)",
        "text | json(python=text)",
        "text | regex_find(text)",
        "text | regex_find('a', text)",
        "1 | strip",
        "text | regex_split",
    ] {
        if let Err(why) = eval(expression, "secret(") {
            assert!(!why.contains("secret"), "{why}");
        }
    }
    assert!(eval("text | from_json", "secret(").is_err());
    assert!(eval("text | bullets(wihtout=1)", "secret(").is_err());
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>(), odd in r#"[ \n.!?"'A-Ca-c{}\[\]:,0-9*-]{0,40}"#) {
        for text in [text, odd] {
            for filter in [
                "after('a')", "bullets", "drop_first_line", "extract_json", "paragraphs",
                "qa_pairs", "sentences", "strip", "word_count", "json(ascii=true)",
            ] {
                let value = eval(&format!("text | {filter}"), &text);
                prop_assert!(value.is_ok(), "{} {:?}", filter, value);
            }
        }
    }
}
