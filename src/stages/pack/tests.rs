//! `pack` with the tokenizer of a server, and its settings.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::model::chat::{Question, Reply, Request};
use crate::record::Record;
use crate::stages::contract::{Ask, Fault, Operator};
use crate::stages::driver::{Stage, record};

/// A server whose tokens are runs of white space and of anything else.
fn reply(request: &Request) -> Reply {
    let Question::Tokens(text) = &request.question else {
        panic!("not a text");
    };
    let mut lengths: Vec<u32> = Vec::new();
    let mut space = None;
    for c in text.chars() {
        if space != Some(c.is_whitespace()) {
            lengths.push(0);
            space = Some(c.is_whitespace());
        }
        *lengths.last_mut().expect("one") += c.len_utf8() as u32;
    }
    Reply {
        token_bytes: Some(lengths),
        ..Reply::default()
    }
}

fn asker(yaml: &str) -> Arc<dyn Ask> {
    let stage = Stage::new("pack", yaml);
    match stage.verb().operator(&stage.build()) {
        Ok(Operator::Ask(ask)) => ask,
        Ok(_) => panic!("does not ask"),
        Err(fault) => panic!("{}", fault.message),
    }
}

pub fn json(record: &Record) -> Json {
    serde_json::to_value(&record.fields).expect("JSON")
}

fn answered(requests: Vec<Request>) -> Vec<(Request, Reply)> {
    let with_reply = |request: Request| {
        let reply = reply(&request);
        (request, reply)
    };
    requests.into_iter().map(with_reply).collect()
}

/// What the server's tokenizer makes of one record: its fields, or why it failed.
pub fn asked(settings: &str, fields: &str) -> Result<Json, String> {
    let ask = asker(&format!("{{tokenizer: {{model: writer}}, {settings}}}"));
    let record = record("k", fields);
    let mut out = Vec::new();
    let done = ask
        .requests(&record)
        .and_then(|requests| ask.absorb(record, answered(requests), &mut out));
    match done {
        Ok(()) => Ok(json(&out[0])),
        Err(Fault::Record(why) | Fault::Call(why) | Fault::Answer(why)) => Err(why),
        Err(Fault::Stage(fault)) => Err(fault.message),
    }
}

pub const DOCS: &str = r#"{"d":["a b c","d e","f"],"q":"q r","o":[2,0,1]}"#;

#[test]
fn documents_are_joined_and_counted() {
    let got = asked("documents: d, budget: 20, separator: ' | '", DOCS).expect("fits");
    assert_eq!(got["packed"], "a b c | d e | f");
    assert_eq!(got["packed_tokens"], 5 + 3 + 3 + 3 + 1);
    assert_eq!(got["packed_count"], 3);
    assert_eq!(got["packed_cut"], false);
}

#[test]
fn what_does_not_fit_is_cut_left_out_or_refused() {
    let base = "documents: d, separator: ' | '";
    let got = asked(&format!("{base}, budget: 10"), DOCS).expect("fits");
    assert_eq!(got["packed"], "a b c | d ");
    assert_eq!(got["packed_tokens"], 10);
    assert_eq!(got["packed_count"], 2);
    assert_eq!(got["packed_cut"], true);
    let got = asked(&format!("{base}, budget: 10, overflow: drop"), DOCS).expect("fits");
    assert_eq!(got["packed"], "a b c | f");
    let why = asked(&format!("{base}, budget: 10, overflow: fail"), DOCS);
    assert_eq!(
        why,
        Err("document 2 of 3 has 3 tokens, and 2 are left for it".to_owned())
    );
}

#[test]
fn what_is_reserved_is_not_for_documents() {
    let base = "documents: d, separator: ' | ', reserve: q";
    let got = asked(&format!("{base}, budget: 13"), DOCS).expect("fits");
    assert_eq!(got["packed"], "a b c | d ");
    let none = asked(&format!("{base}, budget: 3"), DOCS).expect("the question fits");
    assert_eq!(none["packed"], "");
    assert_eq!(none["packed_count"], 0);
    assert_eq!(
        asked(&format!("{base}, budget: 2"), DOCS),
        Err("the budget of 2 tokens is less than the 3 tokens that are reserved".to_owned())
    );
    let lists = asked("documents: d, budget: 13, reserve: '[q, q]'", DOCS).expect("fits");
    assert_eq!(lists["packed"], "a b c\n\nd");
}

#[test]
fn the_first_are_taken_whatever_the_order_in_which_they_are_written() {
    let base = "documents: d, separator: ' | ', order: o, pieces: p";
    let got = asked(&format!("{base}, budget: 20"), DOCS).expect("fits");
    assert_eq!(got["packed"], "f | a b c | d e");
    assert_eq!(got["p"], json!(["f", "a b c", "d e"]));
    let got = asked(&format!("{base}, budget: 9"), DOCS).expect("fits");
    assert_eq!(got["packed"], "a b c | d");
    for (order, why) in [
        ("[0, 1]", "`order` leaves out 1 of the 3 documents that fit"),
        ("[0, 0, 1]", "`order` has place 0 twice"),
        ("[3]", "`order` has place 3 of 3 documents"),
        (
            "['a']",
            "expected a whole number for a place in `order`, found string",
        ),
    ] {
        let yaml = format!("documents: d, budget: 20, order: \"{order}\"");
        assert_eq!(asked(&yaml, DOCS), Err(why.to_owned()), "{order}");
    }
}

#[test]
fn a_text_is_asked_for_once() {
    let ask = asker("{tokenizer: {model: writer}, documents: d, budget: 9, reserve: q}");
    let first = record("1", r#"{"d":["a","b","a",""],"q":"a"}"#);
    let second = record("2", r#"{"d":["b","c"],"q":""}"#);
    let requests = ask.requests(&first).expect("asks");
    assert_eq!(requests.len(), 3, "a, b and the separator");
    let early = ask.requests(&second).expect("asks");
    assert_eq!(early.len(), 3, "b, c and the separator");
    let mut out = Vec::new();
    for (record, requests) in [(first, requests), (second, early)] {
        assert!(ask.absorb(record, answered(requests), &mut out).is_ok());
    }
}

#[test]
fn records_without_texts_fail_without_quoting() {
    for (fields, why) in [
        (
            r#"{"d":"secret"}"#,
            "expected texts for `documents`, found string",
        ),
        (
            r#"{"d":["x",{"secret":1}]}"#,
            "expected texts for `documents`, found map",
        ),
        (
            r#"{"d":[],"b":"secret"}"#,
            "expected a whole number for `budget`, found string",
        ),
    ] {
        let budget = if fields.contains("\"b\"") { "b" } else { "9" };
        let got = asked(&format!("documents: d, budget: {budget}"), fields);
        assert_eq!(got, Err(why.to_owned()));
    }
}

#[test]
fn a_prompt_counts_as_it_is_without_documents() {
    let dir = tempfile::tempdir().expect("a folder");
    let prompt = "{% system %}one two{% endsystem %}{% user %}{{ packed }} {{ q }}?{% enduser %}";
    std::fs::write(dir.path().join("p.j2"), prompt).expect("written");
    let yaml =
        "{tokenizer: {model: writer}, documents: d, budget: 20, prompt: p.j2, overflow: fail}";
    let stage = Stage::within(dir.path(), "pack", yaml);
    assert!(stage.check(&[&["d", "q"]]).1.is_empty());
    let unknown = stage.check(&[&["d"]]).1.join("");
    assert!(unknown.contains("no field `q`"), "{unknown}");
    assert_eq!(stage.verb().traces(&stage.build()).prompts.len(), 1);
    let Ok(Operator::Ask(ask)) = stage.verb().operator(&stage.build()) else {
        panic!("does not ask");
    };
    let requests = ask.requests(&record("k", DOCS)).expect("asks");
    let texts: Vec<String> = requests
        .iter()
        .map(|request| match &request.question {
            Question::Tokens(text) => text.to_string(),
            Question::Chat(_) => panic!("a chat"),
        })
        .collect();
    assert_eq!(texts, ["a b c", "d e", "f", "one two", "q r?", "\n\n"]);
}

#[test]
fn settings_are_checked_before_anything_runs() {
    let faults = |yaml: &str| Stage::new("pack", yaml).check(&[&["d"]]).1.join("\n");
    for (yaml, what) in [
        (
            "{documents: d, budget: 9, tokenizer: nowhere.json}",
            "no tokenizer `nowhere.json`",
        ),
        (
            "{documents: d, budget: 9, tokenizer: tests}",
            "no tokenizer `tests/tokenizer.json`",
        ),
        (
            "{documents: d, budget: 9, tokenizer: {model: riter}}",
            "no model `riter`",
        ),
        (
            "{documents: d, budget: 9, tokenizer: {model: writer}, special: true}",
            "`special` needs a `tokenizer.json`",
        ),
        (
            "{documents: e, budget: 9, tokenizer: {model: writer}, pieces: packed}",
            "no field `e`",
        ),
    ] {
        assert!(faults(yaml).contains(what), "{yaml}: {}", faults(yaml));
    }
}

#[cfg(not(feature = "tokenizers"))]
#[test]
fn without_the_feature_it_is_told() {
    let yaml = "{documents: d, budget: 9, tokenizer: tests/golden/tokenizer}";
    let faults = Stage::new("pack", yaml).check(&[&["d"]]).1.join("");
    assert!(
        faults.contains("cannot read a `tokenizer.json`"),
        "{faults}"
    );
    assert!(faults.contains("the feature `tokenizers`"), "{faults}");
}
