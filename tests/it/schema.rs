//! The JSON Schema that editors use accepts what ships, and refuses what is wrong.

use std::path::{Path, PathBuf};

use crate::support::{Project, root};

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path.ends_with("pipelines/datasets.yaml") {
            // The catalogue of `clue fetch` is no pipeline; its own test reads it.
        } else if path.extension().is_some_and(|e| e == "yaml") {
            found.push(path);
        }
    }
}

fn validator(words: &str) -> jsonschema::Validator {
    let schema = Project::new(&[]).ok(words).stdout;
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    jsonschema::validator_for(&schema).expect("a JSON Schema")
}

#[test]
fn shipped_pipelines_and_tests_fit_their_schemas() {
    let pipelines = validator("schema");
    let tests = validator("schema --test");
    let mut files = Vec::new();
    yaml_files(&root().join("pipelines"), &mut files);
    yaml_files(&root().join("examples"), &mut files);
    assert!(files.len() >= 2);
    for file in files {
        let is_test = file.to_string_lossy().ends_with(".test.yaml");
        let validator = if is_test { &tests } else { &pipelines };
        let text = std::fs::read_to_string(&file).expect("read");
        let value: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
        let faults: Vec<String> = validator
            .iter_errors(&value)
            .map(|fault| format!("{}: {fault}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", file.display());
    }
    assert!(!pipelines.is_valid(&serde_json::json!({"clue": 1, "stages": {"a": {"lod": 1}}})));
    assert!(!tests.is_valid(&serde_json::json!({"clue_test": 1, "pipelin": "p.yaml"})));
}
