//! LongHealth: three sub-tasks from one file, packed by a tokenizer on disk or the server's own,
//! and CLUE's own cases and scores.

use serde_json::Value as Json;

use crate::support::{Done, Project, Server, done, root};

fn file(name: &str) -> String {
    root().join(name).display().to_string()
}

/// Runs the task; `more` are words of the command line.
fn run(project: &Project, data: &str, url: &str, more: &[&str]) -> Done {
    let pipeline = file("pipelines/tasks/longhealth.yaml");
    let model = format!("model={{url: \"{url}\", id: stub}}");
    let data = format!("longhealth={}", file(data));
    let mut command = project.command("run");
    command.args([
        &pipeline, "-p", &data, "-p", &model, "--out", "out", "--yes",
    ]);
    for words in more {
        command.args(["-p", words]);
    }
    done(command.output().expect("runs"))
}

fn lines(text: &str) -> Vec<Json> {
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn predictions(project: &Project) -> Vec<Json> {
    lines(&String::from_utf8(project.read("out/predictions.jsonl")).expect("UTF-8"))
}

fn results(project: &Project) -> Json {
    serde_json::from_slice(&project.read("out/results.json")).expect("JSON")
}

const EXAMPLE: &str = "examples/clue/data/benchmark_v5.json";

#[test]
fn three_sub_tasks_and_one_tokenizer_wherever_it_is() {
    let project = Project::new(&[]);
    let stub = Server::stub("");
    let small = ["context=900", "rounds=2", "limit=5"];
    let first = run(&project, EXAMPLE, &stub.url(), &small);
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    let by_server = predictions(&project);
    let of = |subtask: u64, by: &[Json]| -> Vec<Json> {
        let mine = by.iter().filter(|line| line["subtask"] == subtask);
        mine.cloned().collect()
    };
    for (subtask, options) in [(1, 5), (2, 6), (3, 6)] {
        let cases = of(subtask, &by_server);
        assert_eq!(cases.len(), 10, "{subtask}");
        for case in &cases {
            assert_eq!(case["options"].as_array().map(Vec::len), Some(options));
            let right = case["reference"].as_str().expect("a letter");
            assert_eq!(right == "F", subtask == 3, "{case}");
            // The prompt, the answer and the template fit too.
            let tokens = case["documents_tokens"].as_u64().expect("a number");
            assert!((400..900 - 50 - 64).contains(&tokens), "{case}");
            assert_eq!(case["documents_cut"], true);
        }
        let accuracy: f64 = cases
            .iter()
            .filter_map(|case| case["accuracy"].as_f64())
            .sum();
        let all = results(&project);
        let mut rows = all.as_array().expect("a list").iter();
        let name = format!("LongHealth {subtask}");
        let row = rows.find(|row| row["task"] == name).expect("a row");
        assert_eq!(
            (&row["n"], &row["metric"]),
            (&10.into(), &"accuracy".into())
        );
        let mean = row["mean"].as_f64().expect("a mean");
        assert!((mean - accuracy / 10.0).abs() < 1e-12);
    }

    // The same cases with the same tokenizer on disk; nothing is asked again.
    let before = stub.count("/__stats", "requests");
    let disk = format!("tokenizer={}", file("tests/golden/tokenizer"));
    let again = run(
        &project,
        EXAMPLE,
        &stub.url(),
        &[small.as_slice(), &[&disk]].concat(),
    );
    assert_eq!(again.code, 0, "{}{}", again.stdout, again.stderr);
    assert_eq!(predictions(&project), by_server);
    assert_eq!(stub.count("/__stats", "requests"), before);

    // A server of another kind with the same tokenizer.
    let vllm = Server::stub("--tokenizer vllm");
    let other = Project::new(&[]);
    assert_eq!(run(&other, EXAMPLE, &vllm.url(), &small).code, 0);
    assert_eq!(predictions(&other), by_server);

    // More questions change no case.
    let more = Project::new(&[]);
    let wide = ["context=900", "rounds=2", "limit=7"];
    assert_eq!(run(&more, EXAMPLE, &stub.url(), &wide).code, 0);
    let all = predictions(&more);
    assert_eq!(all.len(), 42);
    assert!(by_server.iter().all(|case| all.contains(case)));
}

#[test]
fn tokens_are_planned_counted_once_and_kept() {
    let project = Project::new(&[]);
    let stub = Server::stub("");
    let pipeline = file("pipelines/tasks/longhealth.yaml");
    let mut command = project.command(&format!("plan {pipeline}"));
    command.args(["-p", &format!("longhealth={}", file(EXAMPLE))]);
    command.args([
        "-p",
        &format!("model={{url: \"{}\", id: stub}}", stub.url()),
    ]);
    command.args(["-p", "limit=2", "-p", "rounds=1", "-p", "distractors=2"]);
    let plan = done(command.output().expect("runs"));
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let line = |verb: &str| {
        let mut lines = plan.stdout.lines();
        let found = lines.find(|line| line.contains(&format!("  {verb}")));
        found
            .unwrap_or_else(|| panic!("no {verb}: {}", plan.stdout))
            .to_owned()
    };
    assert!(
        line("generate").contains("at least 0 calls"),
        "{}",
        plan.stdout
    );
    assert_eq!(stub.count("/__stats", "requests"), 0);

    let few = ["limit=2", "rounds=1", "distractors=2"];
    let ran = run(&project, EXAMPLE, &stub.url(), &few);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let requests = stub.count("/__stats", "requests");
    let distinct = requests - stub.count("/__stats", "distinct_prompts");
    // Three reports, up to 8 of others, a system prompt, a separator, 2 questions of two forms.
    let told = format!("{distinct} calls to make, ");
    assert!(line("pack").contains(&told), "{told}\n{}", plan.stdout);
    assert!((8..=17).contains(&distinct), "{distinct}");
}

#[test]
fn what_is_wrong_is_told() {
    let project = Project::new(&[]);
    let no_tokenizer = run(
        &project,
        EXAMPLE,
        "http://127.0.0.1:1/v1",
        &["tokenizer=nowhere"],
    );
    assert_eq!(no_tokenizer.code, 2);
    let why = &no_tokenizer.stderr;
    assert!(
        why.contains("no tokenizer `") && why.contains("nowhere`"),
        "{why}"
    );

    let stub = Server::stub("--tokenizer none");
    let small = ["limit=1", "rounds=1"];
    let deaf = run(&project, EXAMPLE, &stub.url(), &small);
    assert_eq!(deaf.code, 1);
    let why = format!("{}{}", deaf.stdout, deaf.stderr);
    assert!(
        why.contains("the server has no `/tokenize` (status 404)"),
        "{why}"
    );

    let disk = format!("tokenizer={}", file("tests/golden/tokenizer"));
    let narrow = run(
        &project,
        EXAMPLE,
        &stub.url(),
        &["limit=1", "rounds=1", "context=150", &disk],
    );
    assert_eq!(narrow.code, 1);
    let why = format!("{}{}", narrow.stdout, narrow.stderr);
    assert!(
        why.contains("the budget of 36 tokens is less than the "),
        "{why}"
    );
    assert!(!why.contains("troponin"), "{why}");
}

const CLUE: &str = "tests/golden/eval/LongHealth";
/// The sixth option of the runs that the goldens come from.
const SIXTH: &str = "unanswerable=Question cannot be answered with provided documents";

#[test]
fn cases_are_the_references() {
    let project = Project::new(&[]);
    let stub = Server::stub("");
    let disk = format!("tokenizer={}", file("tests/golden/tokenizer"));
    let settings = [
        "faithful=true",
        "context=1200",
        "model_context=2400",
        SIXTH,
        &disk,
    ];
    let ran = run(
        &project,
        &format!("{CLUE}/LongHealth.json"),
        &stub.url(),
        &settings,
    );
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let ours = predictions(&project);
    for subtask in 1..=3 {
        let golden =
            std::fs::read_to_string(root().join(format!("{CLUE}/predictions_task{subtask}.json")));
        let golden = lines(&golden.expect("a golden"));
        let mine: Vec<&Json> = ours
            .iter()
            .filter(|line| line["subtask"] == subtask)
            .collect();
        assert_eq!(mine.len(), golden.len());
        for (mine, theirs) in mine.iter().zip(&golden) {
            assert_eq!(mine["question"], theirs["Question"]);
            assert_eq!(mine["reference"], theirs["Ground Truth Answer"]);
            let options = mine["options"].as_array().expect("options");
            let lettered: Vec<String> = options
                .iter()
                .zip('A'..)
                .map(|(option, letter)| format!("{letter}: {}", option.as_str().expect("text")))
                .collect();
            // CLUE offers the sixth option in sub-task 2, and does not log it.
            let logged = if subtask == 3 { 6 } else { 5 };
            assert_eq!(
                Some(lettered[..logged].join("\n").as_str()),
                theirs["Options"].as_str()
            );
        }
    }
}

#[test]
fn scores_are_the_references() {
    let project = Project::new(&[(
        "score.yaml",
        r#"
clue: 1
params: {task: "1", clue: {type: path}}
stages:
  theirs: {load: {path: "{{ params.clue }}/predictions_task{{ params.task }}.json", format: jsonl}}
  named:
    from: theirs
    rename: {letter: Model Answer, right: Ground Truth Answer, correct: Correct}
  told:
    from: named
    set: {answer: "'The correct answer is ' ~ letter ~ ': x' if letter else 'no idea'", correct: correct | int}
  scored:
    from: told
    score: {metric: choice, prediction: answer, reference: right, into: {choice: accuracy}}
  mean: {from: scored, group: {aggregate: {accuracy: {fn: mean, of: accuracy}}}}
outputs:
  scored.jsonl: {from: scored, fields: [accuracy, correct]}
  mean.json: {from: mean, fields: [accuracy]}
"#,
    )]);
    let results: Json = serde_json::from_str(
        &std::fs::read_to_string(root().join(CLUE).join("results.json")).expect("a golden"),
    )
    .expect("JSON");
    for task in ["1", "2", "3"] {
        project.ok(&format!(
            "run score.yaml -p task={task} -p clue={} --out out{task}",
            file(CLUE)
        ));
        let scored =
            String::from_utf8(project.read(&format!("out{task}/scored.jsonl"))).expect("UTF-8");
        let scored = lines(&scored);
        assert_eq!(scored.len(), 60);
        for line in &scored {
            assert_eq!(
                line["accuracy"].as_f64(),
                line["correct"].as_f64(),
                "{line}"
            );
        }
        let mean: Json =
            serde_json::from_slice(&project.read(&format!("out{task}/mean.json"))).expect("JSON");
        let mean = mean[0]["accuracy"].as_f64().expect("a mean") * 100.0;
        let theirs = results[&format!("Task{task}_Accuracy")]
            .as_f64()
            .expect("a mean");
        assert!((mean - theirs).abs() < 1e-9, "{mean} {theirs}");
    }
}
