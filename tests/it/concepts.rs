//! Concepts through the binary: a dictionary built from invented rows, scores with it, the
//! messages when something is wrong, and the same scores by a program through `exec`.

use serde_json::Value as Json;

use crate::support::{Done, Project, root};

const PIPELINE: &str = r#"
clue: 1
params:
  data: {type: path, default: data}
  dictionary: umls.dict
  types: []
stages:
  cases: {load: {path: "{{ params.data }}/BioNLP2023-1A-Test.csv", key: File ID}}
  scored:
    from: cases
    score:
      metric: concept_f1
      prediction: Assessment
      reference: Summary
      options: {dictionary: "{{ params.dictionary }}", semantic_types: "{{ params.types }}"}
outputs:
  scored.jsonl: {from: scored, fields: [Summary, concept_f1, concept_precision, concept_recall]}
"#;

fn data() -> String {
    root().join("examples/clue/data").display().to_string()
}

fn build(project: &Project, more: &str) -> Done {
    project.clue(&format!("umls build {}/umls {more}", data()))
}

fn lines(project: &Project, name: &str) -> Vec<Json> {
    let text = String::from_utf8(project.read(name)).expect("UTF-8");
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

/// What was said, without what differs from run to run.
fn told(project: &Project, done: &Done) -> String {
    let folder = project.path("").canonicalize().expect("a path");
    let text = format!("{}{}", done.stdout, done.stderr);
    let text = text.replace(&format!("{}/", folder.display()), "");
    text.replace(&data(), "DATA")
}

fn run(project: &Project, more: &str) -> Done {
    project.clue(&format!(
        "run p.yaml -q -p data={} --out out {more}",
        data()
    ))
}

#[test]
fn a_dictionary_is_built_and_scores() {
    let project = Project::new(&[("p.yaml", PIPELINE)]);
    let done = build(&project, "");
    assert_eq!(done.code, 0, "{}", done.stderr);
    let said = told(&project, &done);
    let (said, took) = said.rsplit_once(" in ").expect("a time");
    assert!(took.ends_with(" s\n"), "{took}");
    insta::assert_snapshot!("built", said);
    let first = project.read("umls.dict");
    assert_eq!(build(&project, "").code, 0);
    assert!(first == project.read("umls.dict"));

    assert_eq!(run(&project, "").code, 0);
    let scored = lines(&project, "out/scored.jsonl");
    let score = |at: usize, name: &str| scored[at][name].as_f64().expect("a number");
    // "Your heart rate" against a sentence that names two more concepts.
    assert_eq!(score(9, "concept_recall"), 1.0);
    assert_eq!(score(9, "concept_precision"), 1.0 / 3.0);
    assert_eq!(score(9, "concept_f1"), 0.5);
    let right = scored.iter().filter(|r| r["concept_f1"] != 0.0).count();
    assert!((3..20).contains(&right), "{right}");

    // A dictionary with other content, and other types, score again.
    let done = run(&project, "-p types=[CHEM]");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        lines(&project, "out/scored.jsonl")
            .iter()
            .all(|r| r["concept_f1"] == 0.0)
    );
    let args = "--types T201,CHEM --sources DEMO_A,DEMO_DRUG --out some.dict";
    assert_eq!(build(&project, args).code, 0);
    assert_eq!(run(&project, "-p dictionary=some.dict").code, 0);
    let some = lines(&project, "out/scored.jsonl");
    assert_eq!(some[9]["concept_precision"], 0.5);
}

#[test]
fn a_dictionary_that_cannot_be_used_is_told_before_anything_runs() {
    let project = Project::new(&[("p.yaml", PIPELINE)]);
    let check = |more: &str| {
        let done = project.clue(&format!("check p.yaml -p data={} {more}", data()));
        assert_eq!(done.code, 2, "{}", done.stdout);
        told(&project, &done)
    };
    let mut all = vec![check("")];
    assert_eq!(build(&project, "--types DISO").code, 0);
    let good = project.read("umls.dict");
    project.write("cut.dict", &good[..good.len() / 2]);
    let mut newer = good.clone();
    newer[8] += 1;
    project.write("newer.dict", newer);
    all.push(check("-p dictionary=cut.dict"));
    all.push(check("-p dictionary=newer.dict"));
    all.push(check("-p dictionary=p.yaml"));
    all.push(check("-p types=[DISSO]"));
    all.push(check("-p types=[T047,ANAT]"));
    assert_eq!(build(&project, "--no-types --out bare.dict").code, 0);
    all.push(check("-p types=[T047] -p dictionary=bare.dict"));
    let mut damaged = good.clone();
    damaged[good.len() / 3] ^= 1;
    project.write("damaged.dict", damaged);
    let done = run(&project, "-p dictionary=damaged.dict");
    assert_ne!(done.code, 0);
    assert!(!project.path("out/scored.jsonl").exists());
    all.push(told(&project, &done));
    insta::assert_snapshot!("unusable", all.join("\n"));
}

#[test]
fn a_wrong_release_is_told() {
    let project = Project::new(&[
        ("notes.csv", "id,text\n1,a secret\n"),
        ("short.rrf", "C0000001|ENG|P|\n"),
        (
            "META/MRCONSO.RRF",
            "C0000001|ENG|P|L1|PF|S1|Y|A1||||A|PT|D1|Fever|0|N||\nC0000001|ENG|\n",
        ),
    ]);
    let refused = |words: &str| {
        let done = project.clue(&format!("umls build {words}"));
        assert_eq!(done.code, 2, "{words}");
        told(&project, &done)
    };
    let good = format!("{}/umls", data());
    let all = [
        refused("none.rrf"),
        refused("notes.csv"),
        refused("short.rrf"),
        refused("."),
        refused("META"),
        refused("META --no-types"),
        refused(&format!("{good}/MRSTY.RRF")),
        refused(&format!("{good} --mrsty {good}/MRCONSO.RRF")),
        refused(&format!("{good} --language EN")),
        refused(&format!("{good} --sources DEMO_A,MHS")),
        refused(&format!("{good} --types T999")),
        refused(&format!("{good} --types DISOO")),
        refused(&format!("{good} --out notes.csv")),
        refused(&format!("{good} --out none/umls.dict")),
    ]
    .join("");
    assert!(!all.contains("secret"));
    assert!(!project.path("umls.dict").exists());
    insta::assert_snapshot!("wrong", all);
}

const EXEC: &str = r#"
clue: 1
params: {script: {type: path}}
stages:
  pairs: {load: {path: pairs.jsonl}}
  scored:
    from: pairs
    exec: {command: [python3, "{{ params.script }}", --reference, references]}
outputs:
  scored.jsonl: {from: scored}
"#;

#[test]
fn scispacy_through_exec_gives_the_references_numbers() {
    let golden = root().join("tests/golden/units/concept_f1.jsonl");
    let golden = std::fs::read_to_string(golden).expect("a golden");
    let golden: Vec<Json> = golden
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let mut pairs = String::new();
    for (at, case) in golden.iter().enumerate() {
        // One text, or several of which one is right.
        let references = match at % 2 {
            0 => case["reference"].clone(),
            _ => serde_json::json!(["nothing", case["reference"], ""]),
        };
        let pair = serde_json::json!({"prediction": case["prediction"], "references": references});
        pairs.push_str(&format!("{pair}\n"));
    }
    let project = Project::new(&[("p.yaml", EXEC), ("pairs.jsonl", &pairs)]);
    let script = root().join("pipelines/tools/scispacy_concepts.py");
    let run = |stand_in: &str| {
        let words = format!(
            "run p.yaml -q --yes --out out -p script={}",
            script.display()
        );
        let output = project
            .command(&words)
            .env("PYTHONPATH", stand_in)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output();
        crate::support::done(output.expect("runs"))
    };
    // Without scispaCy: whatever this computer has, `spacy` cannot be imported.
    project.write("bare/spacy.py", "raise ImportError(name='spacy')\n");
    let done = run(&project.path("bare").display().to_string());
    assert_ne!(done.code, 0);
    let log = String::from_utf8(project.read(".clue/logs/exec-scored.log")).expect("UTF-8");
    assert!(
        log.contains("spacy cannot be imported") && log.contains("pip install"),
        "{log}"
    );

    let stand_in = root().join("tests/stub/scispacy_standin");
    let done = run(&stand_in.display().to_string());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let scored = lines(&project, "out/scored.jsonl");
    assert_eq!(scored.len(), golden.len());
    for (ours, theirs) in scored.iter().zip(&golden) {
        let names = ["concept_precision", "concept_recall", "concept_f1"];
        let prf = names.map(|name| ours[name].clone());
        assert_eq!(theirs["PRF"], serde_json::json!(prf), "{theirs}");
        assert_eq!(ours["prediction"], theirs["prediction"]);
    }

    // A field that is no text costs its own record alone.
    project.write("pairs.jsonl", "{\"prediction\":null,\"references\":\"a\"}\n{\"prediction\":\"hospital\",\"references\":\"hospital\"}\n");
    let done = run(&stand_in.display().to_string());
    assert_eq!(done.code, 1, "{}", done.stderr);
    let scored = lines(&project, "out/scored.jsonl");
    assert_eq!(
        (scored.len(), &scored[0]["concept_f1"]),
        (1, &Json::from(1.0))
    );
}
