//! From scores to a leaderboard, as a pipeline file has it.

use serde_json::Value as Json;

use crate::support::{Project, root};

const BOARD: &str = r#"
clue: 1
params: {scores: {type: path, default: scores.jsonl}, faithful: false, seed: 1}
stages:
  scored: {load: {path: "{{ params.scores }}", sensitive: true}}
  each:
    from: scored
    stats: {by: [model, task], metrics: [accuracy, f1], seed: "{{ params.seed }}", first_twice: params.faithful}
  overall:
    from: scored
    stats: {by: model, over: task, metrics: {overall: main}, seed: "{{ params.seed }}"}
  named: {from: overall, set: {task: none}}
  long: {from: [named, each], concat: {}}
  board:
    from: long
    pivot: {rows: model, columns: [task, metric], values: [mean, low, high]}
  pairs:
    from: scored
    compare: {between: model, on: id, by: task, metrics: [main], test: bootstrap, correct: holm, seed: 1}
outputs:
  board.txt: &look {from: board, format: table, sort: [-overall], bold_best: true, intervals: true, show: true}
  board.md: {from: board, sort: [-overall], bold_best: true, percent: true}
  board.tex: {from: board, sort: [-overall], bold_best: true, columns: {model: Model, qa.f1: "F$_1$"}}
  board.csv: {from: board, sort: [-overall]}
  board.json: {from: board, sort: [-overall], indent: 1}
  pairs.json: {from: pairs, indent: 1}
  each.json: {from: each, indent: 1}
"#;

/// Scores of two models on two tasks; one model lacks a score.
fn scores() -> String {
    let mut lines = String::new();
    for id in 0..30 {
        for (model, gain) in [("org/small_1", 0), ("org/large", 7)] {
            let right = u32::from((id * 7 + gain) % 10 > 4);
            let f1 = f64::from((id * 13 + gain * 3) % 20) / 20.0;
            let line = serde_json::json!({"model": model, "task": "nli", "id": id, "accuracy": right, "main": right});
            lines.push_str(&format!("{line}\n"));
            let f1 = if id == 3 && gain == 0 {
                Json::Null
            } else {
                f1.into()
            };
            let line =
                serde_json::json!({"model": model, "task": "qa", "id": id, "f1": f1, "main": f1});
            lines.push_str(&format!("{line}\n"));
        }
    }
    lines
}

fn text(project: &Project, name: &str) -> String {
    String::from_utf8(project.read(name)).expect("UTF-8")
}

fn json(project: &Project, name: &str) -> Vec<Json> {
    serde_json::from_slice(&project.read(name)).expect("JSON")
}

#[test]
fn one_leaderboard_in_five_formats() {
    let project = Project::new(&[("board.yaml", BOARD), ("scores.jsonl", &scores())]);
    let done = project.ok("run board.yaml --out out");
    let table = text(&project, "out/board.txt");
    assert!(
        done.stdout.ends_with(&format!("\n\n{table}")),
        "{}",
        done.stdout
    );
    let mut all = String::new();
    for name in [
        "board.txt",
        "board.md",
        "board.tex",
        "board.csv",
        "board.json",
    ] {
        all.push_str(&format!(
            "{name}\n{}\n",
            text(&project, &format!("out/{name}"))
        ));
    }
    insta::assert_snapshot!(all);

    // What is known is shown again; programs and the quiet do not see it.
    assert!(
        project
            .ok("run board.yaml --out out")
            .stdout
            .contains(&table)
    );
    assert!(
        !project
            .ok("run board.yaml --out out -q")
            .stdout
            .contains(&table)
    );
    let told = project.ok("run board.yaml --out out --json").stdout;
    let json = |line| serde_json::from_str::<Json>(line);
    assert!(told.lines().all(|line| json(line).is_ok()), "{told}");
}

#[test]
fn models_are_tested_on_what_both_answered() {
    let project = Project::new(&[("board.yaml", BOARD), ("scores.jsonl", &scores())]);
    project.ok("run board.yaml --out out");
    insta::assert_snapshot!(text(&project, "out/pairs.json"));
    let pairs = json(&project, "out/pairs.json");
    assert_eq!(
        (&pairs[1]["n"], &pairs[1]["unpaired"]),
        (&29.into(), &1.into())
    );
}

#[test]
fn a_param_brings_back_the_references_averages() {
    let lines = std::fs::read_to_string(root().join("tests/golden/eval/averages.jsonl"));
    let lines = lines.expect("a golden");
    let golden: Json = lines
        .lines()
        .map(|line| serde_json::from_str::<Json>(line).expect("JSON"))
        .find(|golden| golden["run"] == "head/MedNLI")
        .expect("there");
    let scores = golden["scores"]["ACCURACY"].as_array().expect("scores");
    let rows: Vec<String> = scores
        .iter()
        .map(|x| serde_json::json!({"model": "m", "task": "t", "id": 0, "accuracy": x, "main": x}))
        .map(|row| row.to_string())
        .collect();
    let project = Project::new(&[("board.yaml", BOARD)]);
    project.write("scores.jsonl", rows.join("\n"));
    let mean = |param: &str| {
        project.ok(&format!(
            "run board.yaml --out out --until each.json -p {param}"
        ));
        json(&project, "out/each.json")[0]["mean"]
            .as_f64()
            .expect("a number")
    };
    let theirs = golden["results"]["ACCURACY"].as_f64().expect("a number");
    assert!((mean("faithful=true") - theirs).abs() < 1e-12);
    let plain = scores.iter().filter_map(Json::as_f64).sum::<f64>() / scores.len() as f64;
    assert!((mean("faithful=false") - plain).abs() < 1e-12);
}

#[test]
fn empty_scores_make_an_empty_board() {
    let project = Project::new(&[("board.yaml", BOARD), ("scores.jsonl", "")]);
    let done = project.ok("run board.yaml --out out");
    assert!(done.stdout.ends_with("\n\nno rows\n"), "{}", done.stdout);
    assert_eq!(text(&project, "out/board.csv"), "");
}
