//! `clue bench`: flags that name models, instead of a pipeline's params.

use crate::support::{Project, Server};

const SUITE: &str = r#"clue: 1
name: suite
params:
  models: {type: list, default: []}
  tasks: {default: [short, long], choices: [short, long]}
  limit: 0
  cases: {type: path, default: ../cases.csv}
include:
  - file: task.yaml
    as: "short/{{ each.model.id }}"
    when: "'short' in params.tasks"
    for_each: {model: "{{ params.models }}"}
    params: {model: "{{ each.model }}"}
  - file: task.yaml
    as: "long/{{ each.model.id }}"
    when: "'long' in params.tasks"
    for_each: {model: "{{ params.models }}"}
    params: {model: "{{ each.model }}"}
"#;

const TASK: &str = r#"clue: 1
params:
  model: {type: map}
  cases: {type: path}
  limit: 0
models: {subject: "{{ params.model }}"}
stages:
  cases: {load: {path: "{{ params.cases }}", key: id}}
  some: {from: cases, when: params.limit > 0, take: "{{ params.limit }}"}
  asked: {from: some, generate: {model: subject, prompt: ask.j2}}
outputs:
  answers.jsonl: {from: asked}
"#;

const ASK: &str = "{% system %}Be brief.{% endsystem %}\n{% user %}Say {{ text }}{% enduser %}\n";

fn project() -> Project {
    Project::new(&[
        ("pipelines/clue.yaml", SUITE),
        ("pipelines/task.yaml", TASK),
        ("pipelines/ask.j2", ASK),
        ("cases.csv", "id,text\n1,one\n2,two\n3,three\n"),
    ])
}

#[test]
fn the_references_flags_in_either_spelling() {
    let server = Server::bad("");
    let project = project();
    let address = server.url().replace("/v1", "");
    let done = project.ok(&format!(
        "bench --model_address {address} --model_id a --model_has_system --model_is_instruct \
         --log_path logs --limit 2"
    ));
    assert_eq!(server.count("/stats", "requests"), 2);
    assert!(!done.stderr.contains("base model"), "{}", done.stderr);
    assert!(project.path("logs/long/a/answers.jsonl").is_file());

    // Two models, one task, another folder: what was asked before is not asked again.
    let two = format!(
        "bench --model-address {address} --model-id a --model-id b --model-has-system=true \
         --model-is-instruct=true --tasks short"
    );
    project.ok(&two);
    assert_eq!(server.count("/stats", "requests"), 2 + 1 + 3);
    assert!(project.path("out/suite/short/b/answers.jsonl").is_file());
    project.ok(&two);
    assert_eq!(server.count("/stats", "requests"), 6);

    let base = project.ok(&format!(
        "bench --model-address {address} --model-id c --limit 1 --tasks short"
    ));
    assert!(base.stderr.contains("base models"), "{}", base.stderr);
    assert_eq!(server.count("/stats", "requests"), 7);
}

#[test]
fn models_that_differ_come_from_a_file() {
    let server = Server::bad("");
    let project = project();
    let models = format!(
        "- {{id: m1, url: \"{0}\", system: merge}}\n- {{id: m2, url: \"{0}\", instruct: false}}\n",
        server.url()
    );
    std::fs::write(project.path("models.yaml"), models).expect("written");
    project.ok("bench --models models.yaml --tasks short --limit 1");
    assert_eq!(server.count("/stats", "requests"), 2);
}

#[test]
fn a_token_goes_into_no_file() {
    let server = Server::bad("");
    let project = project();
    project.ok(&format!(
        "bench --model-address {} --model-id a --model-is-instruct --token s3cr3t-word --tasks short",
        server.url()
    ));
    assert_eq!(server.count("/stats", "requests"), 3);
    let mut folders = vec![project.path("")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).expect("read");
            let found = bytes.windows(11).any(|bytes| bytes == b"s3cr3t-word");
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn what_is_missing_or_unknown_is_told() {
    let project = project();
    for (line, told) in [
        ("bench", "--model-id"),
        ("bench --model-id a", "1 models and 0 addresses"),
        (
            "bench --model-address http://h --model-id a --tasks shrt",
            "did you mean `short`?",
        ),
        ("bench --models none.yaml", "cannot read `none.yaml`"),
        ("bench --models cases.csv", "no list of models"),
        (
            "bench --model-address http://h --model-id a --pipeline no.yaml",
            "no.yaml",
        ),
    ] {
        let refused = project.clue(line);
        assert_eq!(refused.code, 2, "{line}: {}", refused.stderr);
        assert!(refused.stderr.contains(told), "{line}: {}", refused.stderr);
    }
}

#[test]
fn the_suite_itself() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    let data = |name: &str| crate::support::root().join("examples/clue/data").join(name);
    let address = server.url().replace("/v1", "");
    let mut command = project.command(&format!(
        "bench --model_address {address} --model_id org/a --model_is_instruct --log_path logs \
         --tasks mednli,medisumcode --limit 2"
    ));
    let suite = crate::support::root().join("pipelines/clue.yaml");
    command.arg("--pipeline").arg(suite);
    command.args([
        "-p",
        &format!("mednli={}", data("mli_test_v1.jsonl").display()),
    ]);
    command.args([
        "-p",
        &format!("medisumcode={}", data("MeDiSumCode.json").display()),
    ]);
    let done = crate::support::done(command.output().expect("runs"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    assert_eq!(server.count("/__stats", "requests"), 4);
    let board = String::from_utf8(project.read("logs/leaderboard.csv")).expect("UTF-8");
    assert!(board.starts_with("model,overall,"), "{board}");
    assert!(board.contains("\norg/a,"), "{board}");
    assert!(
        project
            .path("logs/mednli/org--a/predictions.jsonl")
            .is_file()
    );
}
