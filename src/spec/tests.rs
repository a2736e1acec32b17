//! Whole messages for the main faults, and what must never happen: a panic, or a place
//! outside the file.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pipeline::{OnError, Overrides};
use super::{Loaded, Shapes, json_schema, load};
use crate::jinja::expr::Expr;

/// Stands for a verb with many kinds of settings.
#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
struct Read {
    /// The file to read.
    path: String,
    limit: Option<u32>,
    #[serde(default)]
    strict: bool,
    #[serde(default)]
    fields: Vec<String>,
}

#[derive(JsonSchema, Deserialize)]
#[allow(dead_code)]
struct Set(std::collections::BTreeMap<String, Expr>);

fn shapes() -> Shapes {
    type Shape = fn(&mut schemars::SchemaGenerator) -> schemars::Schema;
    let verbs: [(&str, Shape); 4] = [
        ("load", |g| g.subschema_for::<Read>()),
        ("where", |g| g.subschema_for::<Expr>()),
        ("set", |g| g.subschema_for::<Set>()),
        ("write", |g| g.subschema_for::<Read>()),
    ];
    Shapes::new(verbs.into_iter(), |g| g.subschema_for::<Read>())
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &[u8])]) -> Folder {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        Folder(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, overrides: &Overrides) -> Loaded {
        load(&self.path("p.yaml"), overrides, &shapes())
    }

    fn text(&self, loaded: &Loaded) -> String {
        let folder = format!("{}/", self.0.path().display());
        let all: Vec<String> = loaded
            .faults
            .iter()
            .map(|f| f.render(&loaded.sources, false).replace(&folder, ""))
            .collect();
        all.join("\n")
    }
}

fn set(pairs: &[(&str, &str)]) -> Overrides {
    Overrides {
        params: pairs
            .iter()
            .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
            .collect(),
        ..Overrides::default()
    }
}

fn faults(yaml: &str) -> String {
    let folder = Folder::new(&[("p.yaml", yaml.as_bytes())]);
    let loaded = folder.load(&Overrides::default());
    folder.text(&loaded)
}

/// The first lines of all messages.
fn titles(yaml: &str) -> Vec<String> {
    let folder = Folder::new(&[("p.yaml", yaml.as_bytes())]);
    let loaded = folder.load(&Overrides::default());
    loaded.faults.into_iter().map(|f| f.message).collect()
}

const PLAIN: &str = "\
clue: 1
params:
  notes: {type: path, default: notes.csv}
  limit: 10
stages:
  notes:
    load: {path: \"{{ params.notes }}\", limit: \"{{ params.limit }}\"}
  short:
    from: notes
    on_error: {skip: 0.1}
    where: \"x < params.limit and '{{ params.limit }}'\"
outputs:
  all.json: {from: short, fields: [x]}
";

#[test]
fn a_plain_file_loads() {
    let folder = Folder::new(&[("p.yaml", PLAIN.as_bytes())]);
    let loaded = folder.load(&set(&[("limit", "3")]));
    assert_eq!(folder.text(&loaded), "");
    let pipeline = loaded.pipeline.unwrap();
    assert_eq!(pipeline.name, "p");
    let [notes, short, all] = pipeline.stages.as_slice() else {
        panic!("three stages");
    };
    let read: Read = super::decode::decode(&notes.config).unwrap();
    assert_eq!(Path::new(&read.path), folder.path("notes.csv"));
    assert_eq!(read.limit, Some(3));
    assert_eq!(short.on_error, OnError::Skip(0.1));
    assert!(
        short.config.as_str().unwrap().contains("{{"),
        "expressions are left alone"
    );
    assert!(all.is_output && all.verb.value == "write");
    assert_eq!(all.config.get("path").unwrap().as_str(), Some("all.json"));
}

#[test]
fn the_nearest_source_of_a_param_decides() {
    let folder = Folder::new(&[
        ("p.yaml", b"clue: 1\nparams: {a: 1, b: 1, c: 1, d: 1}\n"),
        ("x.yaml", b"a: 2\nb: 2\nc: 2\n"),
        ("y.yaml", b"a: 3\nb: 3\n"),
    ]);
    let overrides = Overrides {
        params: vec![("a".into(), "4".into())],
        params_files: vec![folder.path("x.yaml"), folder.path("y.yaml")],
        env: [("c".into(), "9".into()), ("d".into(), "5".into())].into(),
        ..Overrides::default()
    };
    let pipeline = folder.load(&overrides).pipeline.unwrap();
    let values: Vec<i64> = pipeline
        .params()
        .iter()
        .map(|p| p.value.clone().try_into().unwrap())
        .collect();
    assert_eq!(values, [4, 3, 2, 5]);
}

#[test]
fn a_value_must_be_among_the_choices() {
    let yaml = "clue: 1\nparams:\n  tasks: {default: [nli, qa], choices: [nli, qa]}\n  mode: {default: fast, choices: [fast, slow]}\n";
    let folder = Folder::new(&[("p.yaml", yaml.as_bytes())]);
    let good = folder.load(&set(&[("tasks", "qa"), ("mode", "slow")]));
    assert_eq!(folder.text(&good), "");
    let wrong = folder.load(&set(&[("tasks", "qa,nlu"), ("mode", "mild")]));
    insta::assert_snapshot!(folder.text(&wrong));
}

#[test]
fn all_faults_are_told_at_once() {
    insta::assert_snapshot!(faults(
        "clue: 1\nparams: {notes: {type: path}}\nstages:\n  a:\n    laod: {}\n  b:\n    from: aa\n    load: {pth: x, limit: many, strict: yes, strict: true}\n"
    ));
}

#[test]
fn a_circle_is_printed_whole() {
    insta::assert_snapshot!(faults(
        "clue: 1\nstages:\n  a: {from: c, where: x}\n  b: {from: a, where: x}\n  c: {from: b, where: x}\n"
    ));
}

#[test]
fn verbs_are_counted() {
    assert_eq!(
        titles("clue: 1\nstages: {a: {from: b}, b: {load: {path: x}, where: x}}\n"),
        [
            "stage `a` has no verb",
            "stage `b` has two verbs, `load` and `where`"
        ]
    );
}

#[test]
fn params_in_text_are_checked() {
    assert_eq!(
        titles(
            "clue: 1\nparams: {n: 1}\nstages: {a: {load: {path: '{{ params.m }}{{ parms.n }}'}}, b: {load: {path: '{{ params.m }}'}}, c: {load: {path: '{{ params. }}'}}}\n"
        ),
        [
            "no value `parms`",
            "no param `m`",
            "syntax error: unexpected end of variable block, expected identifier or integer"
        ]
    );
}

#[test]
fn files_that_cannot_be_read_give_one_fault() {
    let folder = Folder::new(&[("p.yaml", b"a: 1\nb: \xff")]);
    let loaded = folder.load(&Overrides::default());
    assert_eq!(
        folder
            .text(&loaded)
            .replace(&*folder.path("").to_string_lossy(), ""),
        "error: `p.yaml` is not UTF-8: first bad byte at offset 8, line 2\n |\n = help: save it as UTF-8"
    );
    for (name, message) in [("", "is a folder, not a file"), ("none", "no file")] {
        let loaded = load(&folder.path(name), &Overrides::default(), &shapes());
        assert_eq!(loaded.faults.len(), 1);
        assert!(loaded.faults[0].message.contains(message));
    }
    assert_eq!(titles("# nothing\n").len(), 1);
}

#[test]
fn an_alias_bomb_is_one_fault() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let refs = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    let found = titles(&bomb);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("not valid YAML"), "{found:?}");
    let deep = format!("a: {}{}", "[".repeat(5000), "]".repeat(5000));
    assert_eq!(titles(&deep).len(), 1);
}

#[test]
fn a_removed_stage_passes_its_input_on() {
    let yaml = "clue: 1\nparams: {few: false}\nstages:\n  a: {load: {path: x}}\n  b: {from: a, when: params.few, where: x}\n  c: {from: b, with: {all: b}, where: x}\n";
    let folder = Folder::new(&[("p.yaml", yaml.as_bytes())]);
    let pipeline = folder.load(&Overrides::default()).pipeline.unwrap();
    assert_eq!(pipeline.stages.len(), 2);
    assert_eq!(pipeline.stages[1].from[0].value, "a");
    assert_eq!(pipeline.stages[1].with[0].1.value, "a");
    assert_eq!(
        folder
            .load(&set(&[("few", "true")]))
            .pipeline
            .unwrap()
            .stages
            .len(),
        3
    );
}

#[test]
fn includes_share_one_space_of_names() {
    let folder = Folder::new(&[
        (
            "p.yaml",
            b"clue: 1\ninclude: [q.yaml]\nstages: {a: {load: {path: x}}}\n",
        ),
        (
            "q.yaml",
            b"clue: 1\ninclude: p.yaml\nstages: {a: {load: {path: x}}}\n",
        ),
    ]);
    let loaded = folder.load(&Overrides::default());
    insta::assert_snapshot!(
        folder
            .text(&loaded)
            .replace(&*folder.path("").to_string_lossy(), "")
    );
}

#[test]
fn values_of_params_are_converted() {
    let yaml = b"clue: 1\nparams: {n: 1, on: true, x: 0.5, l: [1], p: {type: path, default: d}}\n";
    let folder = Folder::new(&[("p.yaml", yaml)]);
    let good = set(&[
        ("n", "2"),
        ("on", "false"),
        ("x", "3"),
        ("l", "1, b,012"),
        ("p", "e"),
    ]);
    let values: Vec<String> = folder
        .load(&good)
        .pipeline
        .unwrap()
        .params()
        .iter()
        .map(|p| p.value.to_string())
        .collect();
    let path = std::path::absolute("e").unwrap().display().to_string();
    assert_eq!(
        values,
        ["2", "False", "3.0", "[1, 'b', '012']", path.as_str()]
    );
    let bad = folder.load(&set(&[("n", "x"), ("m", "1"), ("on", "yes")]));
    let mut messages: Vec<String> = bad.faults.into_iter().map(|f| f.message).collect();
    messages.sort();
    assert_eq!(
        messages,
        [
            "`-p n=…`: expected a whole number, found `x`",
            "`-p on=…`: expected `true` or `false`, found `yes`",
            "no param `m` (given with `-p`)"
        ]
    );
}

#[test]
fn outputs_stay_in_their_folder() {
    for name in ["../x", "/x", "a/../../x", "./x", "x/", "a//b"] {
        let found = titles(&format!(
            "clue: 1\nstages: {{a: {{load: {{path: x}}}}}}\noutputs: {{'{name}': {{from: a}}}}\n"
        ));
        assert_eq!(found, [format!("output `{name}` is not a plain path")]);
    }
}

#[test]
fn editors_accept_what_loads() {
    let schema = json_schema(&shapes());
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let json: serde_json::Value = serde_yaml::from_str(PLAIN).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&json)
        .map(|e| e.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    for bad in [
        "clue: 2",
        "clue: 1\nstage: {}",
        "clue: 1\nstages: {a: {load: {path: x, limit: many}}}",
        "clue: 1\nstages: {a: {from: b}}",
        "clue: 1\nstages: {a: {load: {path: x}, where: x}}",
    ] {
        let json: serde_json::Value = serde_yaml::from_str(bad).unwrap();
        assert!(!validator.is_valid(&json), "{bad}");
    }
}

#[test]
fn wholly_filled_values_keep_their_type() {
    let yaml = "clue: 1\nparams: {names: [a, b], n: many}\nstages:\n  a: {load: {path: x, fields: '{{ params.names }}'}}\n  b: {load: {path: x, limit: '{{ params.n }}'}, on_error: {skip: 2}}\n";
    assert_eq!(
        titles(yaml),
        [
            "expected a whole number, found text",
            "expected a share from 0 to 1, found 2"
        ]
    );
    assert_eq!(
        titles("clue: 2\nstage: {}\non_error: finsh\n"),
        [
            "this clue reads version 1 of the language, not 2",
            "unknown key `stage`",
            "unknown value `finsh`"
        ]
    );
}

fn survives(bytes: &[u8]) -> Result<(), TestCaseError> {
    let folder = Folder::new(&[("p.yaml", bytes)]);
    let loaded = folder.load(&Overrides::default());
    prop_assert!(loaded.pipeline.is_some() || !loaded.faults.is_empty());
    for fault in &loaded.faults {
        for (span, _) in fault.primary.iter().chain(&fault.related) {
            let text = loaded.sources.text(span.file);
            prop_assert!(text.get(span.start as usize..span.end as usize).is_some());
        }
        let _ = fault.render(&loaded.sources, false);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        survives(&bytes)?;
    }

    #[test]
    fn no_text_panics(words in proptest::collection::vec(
        proptest::sample::select(vec![
            "clue: 1\n", "stages:\n", "outputs: ", "params: ", "  a: ", "  b: ", "from: ", "with: ",
            "load: ", "where: ", "set: ", "{", "}", "[", "]", ", ", "\n", "    ", "a", "b", "é🙂",
            "&x ", "*x", "<<: ", "\"{{ params.a }}\"", "'{{'", "null", "1", "-1.5", "true", "when: ",
            "on_error: ", "skip: ", "|\n", "- ", "? ", "!!str ", "include: p.yaml\n", "type: int",
            "default: ", "path: ", "\r\n", "\t", "# c\n", "---\n", "\u{feff}",
        ]), 0..40)) {
        survives(words.concat().as_bytes())?;
        survives(format!("clue: 1\n{}", words.concat()).as_bytes())?;
    }
}

const TASK: &str = "clue: 1\nparams:\n  data: {type: path}\n  model: {type: map, default: {path: d}}\n  n: 1\nmodels:\n  m: \"{{ params.model }}\"\nstages:\n  a: {load: {path: \"{{ params.data }}\", limit: \"{{ params.n }}\"}}\n  b: {from: a, where: x}\noutputs:\n  b.jsonl: {from: b}\n";

#[test]
fn an_instance_for_every_combination() {
    let suite = "clue: 1\nparams:\n  data: {type: path, default: d.csv}\n  models: [{path: x}, {path: y/z}]\n  tasks: [t]\ninclude:\n  - file: task.yaml\n    as: t/{{ each.model.path | replace('/', '-') }}/{{ each.n }}\n    when: \"'t' in params.tasks\"\n    for_each: {model: \"{{ params.models }}\", n: [1, 2]}\n    params: {model: \"{{ each.model }}\", n: \"{{ each.n }}\"}\nstages:\n  all: {from: t/*/*/b, where: x}\n";
    let folder = Folder::new(&[("p.yaml", suite.as_bytes()), ("task.yaml", TASK.as_bytes())]);
    let loaded = folder.load(&Overrides::default());
    assert_eq!(folder.text(&loaded), "");
    let pipeline = loaded.pipeline.unwrap();
    let all = pipeline
        .stages
        .iter()
        .find(|s| s.name.value == "all")
        .unwrap();
    let from: Vec<&str> = all.from.iter().map(|s| s.as_str()).collect();
    assert_eq!(from, ["t/x/1/b", "t/x/2/b", "t/y-z/1/b", "t/y-z/2/b"]);
    let last = pipeline.stages.last().unwrap();
    assert_eq!(
        last.config.get("path").unwrap().as_str(),
        Some("t/y-z/2/b.jsonl")
    );
    assert_eq!(last.from[0].value, "t/y-z/2/b");
    let model = &pipeline.models[3];
    assert_eq!((&*model.name.value, &*model.local), ("t/y-z/2/m", "m"));
    assert_eq!(model.node.get("path").unwrap().as_str(), Some("y/z"));
    // The model is the suite's, who gives it.
    assert_eq!(model.dir, pipeline.dir);
    // The path is relative to the file that says it.
    let data = &pipeline.scopes[1].params[0].value;
    assert!(data.to_string().ends_with("/d.csv"), "{data}");
    let fewer = folder
        .load(&set(&[("models", "[{path: q}]")]))
        .pipeline
        .unwrap();
    assert_eq!(fewer.scopes.len(), 3);
}

#[test]
fn faults_of_instances_have_their_place_once() {
    let suite = "clue: 1\nparams:\n  models: [{path: x}, {path: y}]\ninclude:\n  - file: task.yaml\n    for_each: {model: \"{{ params.models }}\"}\n    params: {modl: \"{{ each.model }}\", n: \"{{ each.mode.id }}\"}\n  - {file: task.yaml, as: ../up}\n  - {file: task.yaml, as: ok, params: {data: 3}, wen: true}\n  - {file: p.yaml, as: me}\nstages:\n  all: {from: \"nix/*\", where: x}\n";
    let folder = Folder::new(&[("p.yaml", suite.as_bytes()), ("task.yaml", TASK.as_bytes())]);
    let loaded = folder.load(&Overrides::default());
    insta::assert_snapshot!(folder.text(&loaded));
}
