//! Data sets that are not what a task expects: told before a model is asked, or scored as
//! documented; never a number that is none.

use serde_json::Value as Json;

use crate::support::{Done, Project, Server, done, root};

fn run(project: &Project, task: &str, data: &str, url: &str, more: &[&str]) -> Done {
    let mut command = project.command("run");
    command.arg(root().join(format!("pipelines/tasks/{task}.yaml")));
    command.args(["--out", "out", "-q", "-p", &format!("{task}={data}")]);
    command.args(["-p", &format!("model={{url: \"{url}\", id: stub}}")]);
    for word in more {
        command.args(["-p", word]);
    }
    done(command.output().expect("runs"))
}

fn results(project: &Project) -> Vec<Json> {
    let text = String::from_utf8(project.read("out/results.json")).expect("UTF-8");
    assert!(!text.contains("NaN"), "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// A page that a download may have brought instead of data.
const PAGE: &str = "<!DOCTYPE html>\n<html><body>Sign in</body></html>\n";
const CASES: &str = r#"{"sentence1":"a","sentence2":"b","gold_label":"neutral"}
{"sentence1":"c","sentence2":"d","gold_label":"entailment"}
"#;

#[test]
fn another_format_or_version_is_told_before_a_model_is_asked() {
    let project = Project::new(&[
        ("page.jsonl", PAGE),
        ("page.csv", PAGE),
        ("page.json", PAGE),
        ("page.xlsx", PAGE),
        (
            "old.jsonl",
            "{\"sentence1\":\"a secret\",\"sentence2\":\"b\",\"label\":\"x\"}\n",
        ),
        ("old.csv", "File ID,Assessment,Plan\n1,a secret,b\n"),
        ("old.json", "[{\"hadm_id\":\"1\",\"note\":\"a secret\"}]"),
        ("list.json", "[{\"texts\":{},\"questions\":[]}]"),
        ("none.jsonl", ""),
    ]);
    for (task, data, told) in [
        ("mednli", "page.jsonl", "not valid JSON on line 1"),
        ("mednli", "old.jsonl", "no field `gold_label`"),
        (
            "mednli",
            "none.jsonl",
            "3 cases to show, and only 0 to choose from",
        ),
        ("meqsum", "page.xlsx", "this is no Excel workbook"),
        ("meqsum", "nowhere.xlsx", "no file `"),
        ("problem_summary", "page.csv", "no column `Assessment`"),
        (
            "problem_summary",
            "old.csv",
            "no column `Subjective Sections` or `Subjectives` or `Subjective`",
        ),
        ("longhealth", "page.json", "not valid JSON on line 1"),
        (
            "longhealth",
            "list.json",
            "`name` needs one JSON object of objects",
        ),
        (
            "medisumqa",
            "old.json",
            "no field `discharge_summary` or `without_discharge_summary`",
        ),
        ("medisumcode", "old.json", "no field `icd_codes`"),
    ] {
        let more: &[&str] = match task {
            "meqsum" | "problem_summary" | "medisumqa" => &["bert="],
            _ => &[],
        };
        // Nobody listens there: what is told comes first.
        let refused = run(&project, task, data, "http://127.0.0.1:1/v1", more);
        assert_eq!(refused.code, 2, "{task} {data}: {}", refused.stderr);
        assert!(
            refused.stderr.contains(told),
            "{task} {data}: {}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains(&format!("{task}.yaml:")),
            "{}",
            refused.stderr
        );
        assert!(!refused.stderr.contains("secret"), "{}", refused.stderr);
    }
}

#[test]
fn a_missing_bert_is_told_before_a_model_is_asked() {
    let project = Project::new(&[]);
    let data = root().join("examples/clue/data/BioNLP2023-1A-Test.csv");
    let refused = run(
        &project,
        "problem_summary",
        &data.display().to_string(),
        "http://127.0.0.1:1/v1",
        &["bert=no/such-model"],
    );
    assert_eq!(refused.code, 2);
    assert!(
        refused.stderr.contains("no model `no/such-model`"),
        "{}",
        refused.stderr
    );
}

#[test]
fn empty_answers_are_answers() {
    let server = Server::bad("--fault empty");
    let project = Project::new(&[("cases.jsonl", CASES)]);
    let ran = run(
        &project,
        "mednli",
        "cases.jsonl",
        &server.url(),
        &["shots=0"],
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let rows = results(&project);
    assert_eq!((&rows[0]["n"], &rows[0]["mean"]), (&2.into(), &0.0.into()));
}

#[test]
fn a_test_without_cases_has_no_score() {
    let project = Project::new(&[("cases.jsonl", CASES)]);
    let ran = run(
        &project,
        "mednli",
        "cases.jsonl",
        "http://127.0.0.1:1/v1",
        &["shots=2"],
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(results(&project).is_empty());
}

#[test]
fn a_reference_without_codes_scores_0() {
    let stub = Server::stub("");
    let project = Project::new(&[(
        "codes.json",
        r#"[{"hadm_id":"1","text":"t","icd_codes":[]},
            {"hadm_id":"2","text":"u","icd_codes":[{"code":"I10","description":"x"}]},
            {"hadm_id":"3","text":"v","icd_codes":[]}]"#,
    )]);
    let ran = run(
        &project,
        "medisumcode",
        "codes.json",
        &stub.url(),
        &["shots=0"],
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let text = String::from_utf8(project.read("out/predictions.jsonl")).expect("UTF-8");
    let mut none = 0;
    for line in text.lines() {
        let line: Json = serde_json::from_str(line).expect("JSON");
        if line["reference"] == "" {
            none += 1;
            for name in [
                "exact_recall",
                "exact_f1",
                "approximate_recall",
                "approximate_f1",
            ] {
                assert_eq!(line[name].as_f64(), Some(0.0), "{line}");
            }
        }
    }
    assert_eq!(none, 2);
    assert!(
        results(&project)
            .iter()
            .all(|row| row["mean"].as_f64().is_some())
    );
}

#[test]
fn a_question_whose_answer_is_nowhere_is_told() {
    let project = Project::new(&[(
        "patients.json",
        r#"{"p": {"texts": {"text_0": "x"}, "questions": [
            {"No": 1, "question": "a secret", "answer_a": "1", "answer_b": "2", "answer_c": "3",
             "answer_d": "4", "answer_e": "5", "correct": "9", "answer_location": {}},
            {"No": 2, "question": "a secret", "answer_a": "1", "answer_b": "2", "answer_c": "3",
             "answer_d": "4", "answer_e": "5", "correct": "2", "answer_location": {"text_7": {}}}]}}"#,
    )]);
    let ran = run(
        &project,
        "longhealth",
        "patients.json",
        "http://127.0.0.1:1/v1",
        &[],
    );
    assert_eq!(ran.code, 1);
    for why in [
        "not so: the right answer is one of the options",
        "not so: every place of the answer is in one of the patient's texts",
    ] {
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
}
