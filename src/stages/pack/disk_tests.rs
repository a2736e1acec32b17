//! `pack` with a tokenizer on disk, and against what the reference benchmark packs.

use std::collections::HashMap;

use serde_json::{Value as Json, json};

use super::tests::{DOCS, asked, json};
use crate::stages::driver::{Stage, records};

const TOKENIZER: &str = "tests/golden/tokenizer";

/// Runs `pack` on one record.
fn pack(settings: &str, fields: Json) -> Json {
    let yaml = format!("{{tokenizer: {TOKENIZER}, {settings}}}");
    let (out, lost) = Stage::new("pack", &yaml)
        .run(vec![records(&[&fields.to_string()])])
        .expect("runs");
    assert!(lost.is_empty(), "{lost:?}");
    json(&out[0])
}

#[test]
fn disk_and_server_agree() {
    let fields: Json = serde_json::from_str(DOCS).expect("JSON");
    for settings in [
        "documents: d, budget: 20",
        "documents: d, budget: 9",
        "documents: d, budget: 12, reserve: q, order: o",
    ] {
        assert_eq!(Ok(pack(settings, fields.clone())), asked(settings, DOCS));
    }
}

#[test]
fn a_broken_tokenizer_is_told() {
    let yaml = "{documents: d, budget: 9, tokenizer: tests/golden/tokenizer/make.py}";
    let faults = Stage::new("pack", yaml).check(&[&["d"]]).1;
    assert!(faults[0].contains("is not a tokenizer"), "{faults:?}");
}

#[test]
fn the_tokenizers_content_decides_and_not_its_name() {
    let of = |path: &str| {
        let yaml = format!("{{documents: d, budget: 9, tokenizer: {path}}}");
        let stage = Stage::new("pack", &yaml);
        (stage.settings(), stage.verb().files(&stage.build()))
    };
    let (folder, file) = (of(TOKENIZER), of("tests/golden/tokenizer/tokenizer.json"));
    assert_eq!(folder, file);
    assert_eq!(folder.1.len(), 1);
}

/// What CLUE counts for the prompt around the documents, with the golden's question: five
/// options, and 16 tokens more for the sixth. Its wording is not known here.
fn prompt_tokens(labels: &str) -> i64 {
    if labels.len() == 5 { 214 } else { 230 }
}

/// CLUE packs the answer's documents, then the others, each list until one is cut; then it
/// shuffles what it has.
fn packed_as_clue(documents: &serde_json::Map<String, Json>, line: &Json) -> String {
    let answers = line["answer_docs"].as_array().expect("names");
    let (own, others): (Vec<_>, Vec<_>) = documents
        .iter()
        .partition(|(name, _)| answers.contains(&json!(name)));
    let settings = "documents: d, budget: b, special: true, separator_tokens: 10, \
                    keep_empty: true, pieces: p, into: x";
    let texts = |list: &[(&String, &Json)]| -> Vec<Json> {
        list.iter().map(|(_, text)| (*text).clone()).collect()
    };
    let labels = line["labels"].as_str().expect("labels");
    let mut left = line["max_len"].as_i64().expect("a number") - prompt_tokens(labels);
    let mut pieces = Vec::new();
    for list in [own, others] {
        let done = pack(settings, json!({"d": texts(&list), "b": left}));
        let mut some = done["p"].as_array().expect("a list").clone();
        left -= done["x_tokens"].as_i64().expect("a number");
        left -= if some.is_empty() { 0 } else { 10 };
        pieces.append(&mut some);
    }
    let fields = json!({ "p": pieces }).to_string();
    let yaml = format!(
        "{{seed: {}, rng: python, stream: all, fields: {{p: {{shuffle: p}}}}}}",
        line["seed"]
    );
    let drawn = Stage::new("draw", &yaml).run(vec![records(&[&fields])]);
    let drawn = json(&drawn.expect("runs").0[0]);
    let texts = drawn["p"].as_array().expect("a list").iter();
    let texts: Vec<&str> = texts.filter_map(Json::as_str).collect();
    texts.join("\n\n--------------\n\n")
}

#[test]
fn documents_are_packed_and_shuffled_as_the_reference_does() {
    let golden = include_str!("../../../tests/golden/units/packing.jsonl");
    let mut lines = golden
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
    let first = lines.next().expect("the documents");
    let documents = first["documents"].as_object().expect("documents");
    // The hash is of the whole prompt, in CLUE's wording: it tells equal ones from others.
    let mut by_hash: HashMap<String, (String, String)> = HashMap::new();
    let (mut count, mut in_full) = (0, 0);
    for line in lines {
        let packed = packed_as_clue(documents, &line);
        if let Some(prompt) = line["prompt"].as_str() {
            assert_eq!(packed, prompt, "{line}");
            in_full += 1;
        }
        let hash = line["prompt_sha256"].as_str().expect("a hash").to_owned();
        let ours = (packed, line["labels"].to_string());
        let same = by_hash.entry(hash).or_insert_with(|| ours.clone());
        assert_eq!(*same, ours, "{line}");
        count += 1;
    }
    let mut distinct: Vec<&(String, String)> = by_hash.values().collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!((count, in_full, by_hash.len()), (80, 20, 50));
    assert_eq!(distinct.len(), by_hash.len());
}
