//! One pipeline made of others: a task once for each model, and what is common to all.

use crate::support::{Project, Server};

const TASK: &str = r#"clue: 1
params:
  model: {type: map}
  cases: {type: path, default: cases.csv}
models:
  subject: "{{ params.model }}"
stages:
  cases: {load: {path: "{{ params.cases }}", key: id}}
  asked: {from: cases, generate: {model: subject, prompt: ask.j2}}
  named: {from: asked, set: {model: params.model.id}}
outputs:
  answers.jsonl: {from: named}
"#;

const SUITE: &str = r#"clue: 1
params:
  url: http://127.0.0.1:1/v1
  models: [a, org/b]
  cases: {type: path, default: cases.csv}
include:
  - file: tasks/task.yaml
    as: "{{ each.model | replace('/', '--') }}"
    for_each: {model: "{{ params.models }}"}
    params: {model: {id: "{{ each.model }}", url: "{{ params.url }}"}}
stages:
  all: {from: "*/named", concat: {prefix: true}}
outputs:
  all.jsonl: {from: all, fields: [id, model, answer]}
"#;

fn project() -> Project {
    Project::new(&[
        ("suite.yaml", SUITE),
        ("tasks/task.yaml", TASK),
        ("tasks/ask.j2", "Say {{ text }} to {{ params.model.id }}"),
        ("cases.csv", "id,text\n1,one\n2,two\n3,three\n"),
    ])
}

fn lines(project: &Project, path: &str) -> Vec<serde_json::Value> {
    let text = String::from_utf8(project.read(path)).expect("UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn a_task_runs_once_for_each_model_and_a_new_model_costs_its_own_calls() {
    let server = Server::bad("");
    let project = project();
    let run = format!("run suite.yaml --out out -p url={}", server.url());
    project.ok(&run);
    assert_eq!(server.count("/stats", "requests"), 6);
    let all = lines(&project, "out/all.jsonl");
    let models: Vec<&str> = all.iter().filter_map(|r| r["model"].as_str()).collect();
    assert_eq!(models, ["a", "a", "a", "org/b", "org/b", "org/b"]);
    assert_eq!(lines(&project, "out/org--b/answers.jsonl").len(), 3);

    project.ok(&run);
    assert_eq!(server.count("/stats", "requests"), 6);
    project.ok(&format!("{run} -p models=[a,c,org/b]"));
    assert_eq!(server.count("/stats", "requests"), 9);
    assert_eq!(lines(&project, "out/all.jsonl").len(), 9);
}

#[test]
fn the_plan_and_check_name_instances() {
    let project = project();
    let plan = project.ok("plan suite.yaml").stdout;
    assert!(plan.contains("org--b/asked"), "{plan}");
    assert!(plan.contains("6 calls to make"), "{plan}");
    let wrong = project.clue("check suite.yaml -p cases=none.csv");
    assert_eq!(wrong.code, 2);
    assert_eq!(
        wrong.stderr.matches("no file").count(),
        1,
        "{}",
        wrong.stderr
    );
}

const MADE: &str = r#"clue: 1
params:
  url: http://127.0.0.1:1/v1
include:
  - file: tasks/task.yaml
    as: made
    inputs: {cases: long}
    params: {model: {id: a, url: "{{ params.url }}"}, cases: not-there.csv}
stages:
  words: {load: {path: cases.csv, key: id}}
  long: {from: words, where: text | length > 3}
"#;

#[test]
fn a_stage_stands_in_for_an_instances_own() {
    let server = Server::bad("");
    let project = project();
    std::fs::write(project.path("made.yaml"), MADE).expect("written");
    project.ok(&format!("run made.yaml --out out -p url={}", server.url()));
    let answers = lines(&project, "out/made/answers.jsonl");
    let texts: Vec<&str> = answers.iter().filter_map(|r| r["text"].as_str()).collect();
    assert_eq!(texts, ["three"]);

    let wrong = MADE.replace("{cases: long}", "{case: long}");
    std::fs::write(project.path("made.yaml"), wrong).expect("written");
    let refused = project.clue("check made.yaml");
    assert_eq!(refused.code, 2);
    let told = ["no stage `made/case`", "did you mean `made/cases`?"];
    assert!(
        told.iter().all(|text| refused.stderr.contains(text)),
        "{}",
        refused.stderr
    );
}
