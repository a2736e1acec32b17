//! What bundles say of themselves to other programs, looked at by these: RO-Crates by
//! `rocrate-validator`, citations by `cffconvert`. Skipped where they are not.
//!
//! `pip install roc-validator==0.13.0 cffconvert==2.0.0`, then `CLUE_TEST_ROCRATE` names
//! `rocrate-validator` and `CLUE_TEST_CFF` `cffconvert`. The validator fetches the JSON-LD context
//! of RO-Crate 1.2; `tests/rocrate/keep_context.py` keeps one for `CLUE_TEST_ROCRATE_CACHE`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use clue::hash::Hash;
use clue::model::told::Told;
use clue::share::bundle::manifest::{Data, Manifest, Role};
use clue::share::bundle::rocrate::{Facts, Listed, Run, of_manifest};
use clue::share::bundle::{citation, rocrate};
use clue::share::lock::{Lock, Made, Model};
use serde_json::{Value, json};

/// Says what is not tested, and why.
#[expect(clippy::print_stdout, reason = "a test's own words")]
fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Runs the validator on a folder, if there is one; with a profile, at a level.
pub fn validate(folder: &Path, profile: &str, level: &str) -> Option<Value> {
    let program = std::env::var_os("CLUE_TEST_ROCRATE").filter(|program| !program.is_empty());
    let Some(program) = program else {
        skipped("`CLUE_TEST_ROCRATE` names no `rocrate-validator`");
        return None;
    };
    let out = tempfile::tempdir().expect("a folder");
    let report = out.path().join("report.json");
    let mut command = Command::new(program);
    command.args(["-y", "--disable-color", "validate", "-f", "json", "-o"]);
    command.arg(&report).args(["-p", profile, "-l", level]);
    // What it inherits from an older RO-Crate is not what is claimed.
    if profile != "ro-crate-1.2" {
        command.arg("-nh");
    }
    match std::env::var_os("CLUE_TEST_ROCRATE_CACHE").filter(|cache| !cache.is_empty()) {
        Some(cache) => command.arg("--offline").arg("--cache-path").arg(cache),
        None => &mut command,
    };
    let done = command.arg(folder).output().expect("runs");
    let text = std::fs::read_to_string(&report).unwrap_or_else(|_| {
        let (out, err) = (done.stdout, done.stderr);
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        panic!("no report: {}{}", text(out), text(err))
    });
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Fails if a crate in a folder is not as the profiles want it.
pub fn is_a_crate(folder: &Path, profiles: &[&str]) {
    for profile in profiles {
        if let Some(report) = validate(folder, profile, "required") {
            assert_eq!(report["passed"], true, "{profile}: {:#}", report["issues"]);
        }
    }
}

/// The profiles that a bundle of a run claims.
pub const OF_RUN: [&str; 4] = [
    "ro-crate-1.2",
    "process-run-crate-0.5",
    "workflow-ro-crate-1.0",
    "workflow-run-crate-0.5",
];

fn lock() -> Lock {
    let mut lock = Lock {
        clue_lock: 1,
        program: "0.1.0".to_owned(),
        ..Lock::default()
    };
    let hash = Hash::of_bytes(b"x");
    lock.files.insert("p.yaml".to_owned(), hash);
    lock.params = BTreeMap::from([
        ("n".to_owned(), json!(3)),
        ("share".to_owned(), json!(0.5)),
        ("all of".to_owned(), json!(["a", "b"])),
        ("more".to_owned(), json!(false)),
        ("none".to_owned(), Value::Null),
        ("word".to_owned(), json!("ü")),
    ]);
    let mut model = Model {
        served: Some(Told {
            server: Some("llama.cpp".to_owned()),
            version: Some("b1".to_owned()),
            weights: None,
        }),
        ..Model::default()
    };
    model.identity.insert("id".to_owned(), json!("some/model"));
    lock.models.insert("writer".to_owned(), model);
    for name in ["made.jsonl", "kept back.jsonl"] {
        lock.outputs
            .insert(name.to_owned(), Made { hash, records: 2 });
    }
    lock
}

fn manifest() -> Manifest {
    let data = |label: &str, there: bool| Data {
        label: label.to_owned(),
        name: "notes.csv".to_owned(),
        bytes: 3,
        hash: Hash::of_bytes(b"x"),
        param: None,
        place: there.then(|| "project/more data.csv".to_owned()),
        there,
        sensitive: !there,
    };
    Manifest {
        name: "p".to_owned(),
        pipeline: "project/p.yaml".to_owned(),
        data: vec![data("params.notes", false), data("more data.csv", true)],
        ..Manifest::default()
    }
}

fn files(folder: &Path) -> Vec<Listed> {
    let mut files = vec![of_manifest()];
    std::fs::write(folder.join("bundle.json"), "{}").expect("written");
    for (path, role) in [
        ("README.md", Role::Readme),
        ("pipeline.lock", Role::Lock),
        ("project/p.yaml", Role::Pipeline),
        ("project/a prompt.j2", Role::Prompt),
        ("project/more data.csv", Role::Data),
        ("calls.jsonl", Role::Calls),
        ("outputs/made.jsonl", Role::Output),
        ("results.json", Role::Results),
        ("report.html", Role::Report),
    ] {
        let at = folder.join(path);
        std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
        std::fs::write(&at, "text").expect("written");
        files.push(Listed {
            path: path.to_owned(),
            role,
            bytes: Some(4),
            sha256: Some("ab".repeat(32)),
        });
    }
    files
}

#[test]
fn a_crate_is_as_its_profiles_want_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let (lock, manifest, files) = (lock(), manifest(), files(dir.path()));
    let cite = [
        "Dada et al., CLUE, arXiv 2404.04067".to_owned(),
        "somebody, something".to_owned(),
    ];
    let run = Run {
        began: Some("2026-11-25T00:50:09+00:00".to_owned()),
        ended: Some("2026-11-25T00:51:00+00:00".to_owned()),
    };
    let facts = Facts {
        lock: &lock,
        manifest: &manifest,
        files: &files,
        description: Some("makes something"),
        license: Some("MIT"),
        cite: &cite,
        run: Some(&run),
    };
    let bytes = rocrate::write(&facts);
    assert_eq!(bytes, rocrate::write(&facts));
    std::fs::write(dir.path().join(rocrate::NAME), bytes).expect("written");
    is_a_crate(dir.path(), &OF_RUN);
    // Without a run, and without all that a pipeline need not say.
    let bare = Facts {
        description: None,
        license: None,
        cite: &[],
        run: None,
        ..facts
    };
    std::fs::write(dir.path().join(rocrate::NAME), rocrate::write(&bare)).expect("written");
    is_a_crate(dir.path(), &["ro-crate-1.2", "workflow-ro-crate-1.0"]);
}

#[test]
fn every_entity_has_one_place_and_whatever_is_named_is_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let (lock, manifest, files) = (lock(), manifest(), files(dir.path()));
    let facts = Facts {
        lock: &lock,
        manifest: &manifest,
        files: &files,
        description: None,
        license: None,
        cite: &[],
        run: Some(&Run::default()),
    };
    let json: Value = serde_json::from_slice(&rocrate::write(&facts)).expect("JSON");
    let graph = json["@graph"].as_array().expect("a graph");
    let ids: Vec<&str> = graph.iter().filter_map(|e| e["@id"].as_str()).collect();
    let set: std::collections::BTreeSet<&&str> = ids.iter().collect();
    assert_eq!(set.len(), ids.len(), "{ids:?}");
    fn named<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| named(item, found)),
            Value::Object(entries) => {
                if let (Some(id), 1) = (entries.get("@id").and_then(Value::as_str), entries.len()) {
                    found.push(id);
                }
                entries.values().for_each(|value| named(value, found));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    named(&json["@graph"], &mut found);
    assert!(found.len() > 30, "{found:?}");
    let known = "https://w3id.org/ro/crate/1.2";
    for id in found {
        assert!(
            ids.contains(&id) || id == known || id.starts_with("https://arxiv.org/"),
            "{id}"
        );
    }
    // What was left out is there by its hash alone, what was kept as a file.
    let at = |id: &str| {
        graph
            .iter()
            .find(|e| e["@id"] == id)
            .unwrap_or(&Value::Null)
    };
    assert_eq!(at("#data/params.notes")["propertyID"], "BLAKE3");
    assert_eq!(at("#made/kept%20back.jsonl")["@type"], "PropertyValue");
    assert_eq!(
        at("outputs/made.jsonl")["exampleOfWork"]["@id"],
        "#output/made.jsonl"
    );
    let result = &at("#run")["result"];
    assert_eq!(result.as_array().map(Vec::len), Some(4), "{result}");
}

#[test]
fn a_citation_is_as_its_format_wants_it() {
    let cite = [
        "Dada et al., CLUE: \"A\" Evaluation, arXiv 2404.04067".to_owned(),
        "Doe, J. Notes. doi:10.1000/n1".to_owned(),
    ];
    let cited = citation::Cited {
        name: "p",
        description: Some("Makes: questions"),
        license: Some("CC-BY-4.0"),
        cite: &cite,
    };
    is_a_citation(&citation::write(&cited).expect("cited"));
}

/// Fails if a text is no citation file.
pub fn is_a_citation(text: &str) {
    let program = std::env::var_os("CLUE_TEST_CFF").filter(|program| !program.is_empty());
    let Some(program) = program else {
        skipped("`CLUE_TEST_CFF` names no `cffconvert`");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(citation::NAME);
    std::fs::write(&path, text).expect("written");
    let done = Command::new(program)
        .arg("--validate")
        .arg("-i")
        .arg(&path)
        .output();
    let done = done.expect("runs");
    let told = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{told}\n{text}");
}
