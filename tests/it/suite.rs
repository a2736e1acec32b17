//! All of CLUE, as `examples/clue` has it: both generators, six tasks, two models, one board.

use serde_json::Value as Json;

use crate::support::{Done, Project, Server, copy, done, root};

fn file(name: &str) -> String {
    root().join(name).display().to_string()
}

/// Two models of a stub server: one that knows a system prompt, and one that does not.
fn two(url: &str) -> String {
    format!("models=[{{id: org/one, url: \"{url}\"}}, {{id: two, url: \"{url}\", system: merge}}]")
}

fn run(project: &Project, more: &[&str]) -> Done {
    let mut command = project.command("run");
    command.args([&file("examples/clue/clue.yaml"), "--out", "out", "--yes"]);
    for word in more {
        command.args(["-p", word]);
    }
    let done = done(command.output().expect("runs"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done
}

fn json(project: &Project, name: &str) -> Json {
    serde_json::from_slice(&project.read(name)).expect("JSON")
}

const TASKS: [(&str, &str); 6] = [
    ("mednli", "MedNLI"),
    ("meqsum", "MeQSum"),
    ("problem_summary", "Problem Summary"),
    ("longhealth", "LongHealth"),
    ("medisumqa", "MeDiSumQA"),
    ("medisumcode", "MeDiSumCode"),
];

/// Every number, whether it is in a list or a map.
fn numbers(value: &Json, found: &mut Vec<f64>) {
    match value {
        Json::Number(number) => found.extend(number.as_f64()),
        Json::Array(items) => items.iter().for_each(|item| numbers(item, found)),
        Json::Object(map) => map.values().for_each(|item| numbers(item, found)),
        _ => {}
    }
}

#[test]
fn one_command_one_leaderboard() {
    let stub = Server::stub("");
    let project = Project::new(&[]);
    let url = stub.url();
    let models = two(&url);
    let writer = format!("writer={{id: w, url: \"{url}\"}}");
    let tokenizer = format!("tokenizer={}", file("tests/golden/tokenizer"));
    let more = [models.as_str(), &writer, &tokenizer];
    let first = run(&project, &more);

    // Both generators.
    for name in [
        "make/medisumqa/MeDiSumQA.json",
        "make/medisumcode/MeDiSumCode.json",
    ] {
        assert!(!project.read(&format!("out/{name}")).is_empty(), "{name}");
    }
    // Every task and model.
    for (task, _) in TASKS {
        for model in ["org--one", "two"] {
            let folder = format!("out/clue/{task}/{model}");
            let text = String::from_utf8(project.read(&format!("{folder}/predictions.jsonl")));
            let text = text.expect("UTF-8");
            let cases = if task == "longhealth" { 6 } else { 2 };
            assert_eq!(text.lines().count(), cases, "{folder}");
            for line in text.lines() {
                let line: Json = serde_json::from_str(line).expect("JSON");
                for name in ["case", "prediction", "reference", "main"] {
                    assert!(!line[name].is_null(), "{folder} {name}: {line}");
                }
                assert_eq!(line["prompt_hash"].as_str().map(str::len), Some(16));
            }
            let prompt = project.read(&format!("{folder}/first_prompt.txt"));
            let start: &[u8] = if model == "two" {
                b"[user]\n"
            } else {
                b"[system]\n"
            };
            assert!(prompt.starts_with(start), "{folder}");
            assert!(
                !json(&project, &format!("{folder}/results.json"))
                    .as_array()
                    .expect("rows")
                    .is_empty()
            );
        }
    }
    // One leaderboard, shown, in every format.
    let board = json(&project, "out/clue/leaderboard.json");
    let board = board.as_array().expect("rows");
    assert_eq!(board.len(), 2);
    for row in board {
        let scores: Vec<f64> = TASKS
            .iter()
            .map(|(_, name)| row[name].as_f64().expect("a score"))
            .collect();
        let overall = row["overall"].as_f64().expect("a score");
        let mean = scores.iter().sum::<f64>() / 6.0;
        assert!((overall - mean).abs() < 1e-12, "{row}");
    }
    let table = String::from_utf8(project.read("out/clue/leaderboard.txt")).expect("UTF-8");
    assert!(
        first.stdout.ends_with(&format!("\n{table}")),
        "{}",
        first.stdout
    );
    for name in [
        "leaderboard.md",
        "leaderboard.tex",
        "leaderboard.csv",
        "metrics.txt",
        "results.csv",
        "comparisons.csv",
    ] {
        let text = String::from_utf8(project.read(&format!("out/clue/{name}"))).expect("UTF-8");
        assert!(!text.is_empty() && !text.contains("NaN"), "{name}: {text}");
    }
    let mut all = Vec::new();
    numbers(&json(&project, "out/clue/leaderboard.json"), &mut all);
    assert!(all.len() > 20 && all.iter().all(|number| number.is_finite()));

    // Again: no calls.
    let asked = || stub.count("/__stats", "requests");
    let before = asked();
    let again = run(&project, &more);
    assert_eq!(asked(), before);
    assert!(
        again.stdout.contains("0 calls made, 0 from the cache"),
        "{}",
        again.stdout
    );

    // Another choice of a metric's: only scores.
    std::fs::create_dir_all(project.path("copy/examples")).expect("a folder");
    copy(&root().join("pipelines"), &project.path("copy/pipelines"));
    copy(&root().join("prompts"), &project.path("copy/prompts"));
    copy(
        &root().join("examples/clue"),
        &project.path("copy/examples/clue"),
    );
    copy(
        &root().join("examples/quickstart"),
        &project.path("copy/examples/quickstart"),
    );
    let scores = project.path("copy/pipelines/tasks/text_scores.yaml");
    let text = std::fs::read_to_string(&scores).expect("there");
    let stemmed = text.replace(
        "types: [rouge1, rouge2, rougeL]",
        "types: [rouge1, rouge2, rougeL], stem: true",
    );
    assert_ne!(text, stemmed);
    std::fs::write(&scores, stemmed).expect("written");
    let mut command = project.command("run copy/examples/clue/clue.yaml --out out2 --yes");
    for word in more {
        command.args(["-p", word]);
    }
    let changed = done(command.output().expect("runs"));
    assert_eq!(changed.code, 0, "{}{}", changed.stdout, changed.stderr);
    assert_eq!(asked(), before);
    assert!(
        changed.stdout.contains("0 calls made, 0 from the cache"),
        "{}",
        changed.stdout
    );

    // A third model: its own calls alone.
    let three = models.replace(
        ']',
        &format!(", {{id: three, url: \"{url}\", instruct: false}}]"),
    );
    let third = run(&project, &[three.as_str(), &writer, &tokenizer]);
    assert_eq!(asked() - before, 5 * 2 + 6, "{}", third.stdout);
    assert_eq!(
        json(&project, "out/clue/leaderboard.json")
            .as_array()
            .map(Vec::len),
        Some(3)
    );
}

#[test]
fn every_metric_of_texts() {
    let stub = Server::stub("");
    let project = Project::new(&[]);
    let dictionary = project.path("umls.dict");
    project.ok(&format!(
        "umls build {} --out {}",
        file("examples/clue/data/umls"),
        dictionary.display()
    ));
    let url = stub.url();
    let words = [
        two(&url),
        format!("writer={{id: w, url: \"{url}\"}}"),
        format!("umls={}", dictionary.display()),
        format!("bert={}", file("tests/golden/bertscore/tiny-bert")),
        "tasks=problem_summary,medisumqa".to_owned(),
        "limit=5".to_owned(),
    ];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&project, &words);
    let table = String::from_utf8(project.read("out/clue/results.csv")).expect("UTF-8");
    for name in [
        "rouge1",
        "rouge2",
        "rougeL",
        "bertscore",
        "bertscore_precision",
        "bertscore_recall",
        "concept_f1",
        "concept_precision",
        "concept_recall",
    ] {
        for task in ["Problem Summary", "MeDiSumQA"] {
            let row = format!("{task},two,{name},5,0,");
            assert!(table.contains(&row), "{row}\n{table}");
        }
    }
    // Tasks that were not asked for are not there.
    assert!(!table.contains("MedNLI") && !project.path("out/clue/mednli").exists());
    let text = project.read("out/clue/medisumqa/two/predictions.jsonl");
    let text = String::from_utf8(text).expect("UTF-8");
    assert!(text.contains("tiny-bert"), "{text}");
}

/// The example of a task of one's own, in the README.
#[test]
fn a_seventh_task() {
    let stub = Server::stub("");
    let project = Project::new(&[]);
    let example = root().join("examples/radiology");
    let lines = |name: &str| {
        let text = std::fs::read_to_string(example.join(name)).expect("there");
        text.lines().count()
    };
    assert!(lines("effusion.yaml") + lines("effusion.j2") < 40);
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there");
    for name in ["effusion.yaml", "effusion.j2"] {
        let text = std::fs::read_to_string(example.join(name)).expect("there");
        assert!(readme.contains(&text), "the README shows another {name}");
    }
    let mut command = project.command("run");
    command.arg(example.join("effusion.yaml"));
    command.args(["--out", "out", "-p"]);
    command.arg(format!("model={{id: stub, url: \"{}\"}}", stub.url()));
    let done = done(command.output().expect("runs"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let text = String::from_utf8(project.read("out/predictions.jsonl")).expect("UTF-8");
    let mut right = 0.0;
    for line in text.lines() {
        let line: Json = serde_json::from_str(line).expect("JSON");
        let hit = f64::from(u8::from(line["answer"] == line["effusion"]));
        assert_eq!(line["accuracy"].as_f64(), Some(hit), "{line}");
        right += hit;
    }
    assert_eq!(text.lines().count(), 12);
    let mean = format!("{:.1}", right / 12.0 * 100.0);
    assert!(
        done.stdout.contains("accuracy") && done.stdout.contains(&mean),
        "{}",
        done.stdout
    );
}
