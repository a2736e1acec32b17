//! `clue test`: tests that pass, fail, are at fault, or take what comes as expected.

use crate::support::{Done, Project, Server, root};

pub const PIPELINE: &str = r#"clue: 1
name: p
params:
  notes: {type: path, default: none.csv}
  word: {default: fever}
models:
  m: {url: "https://example.org/v1", id: m}
stages:
  notes: {load: {path: "{{ params.notes }}", key: id, sensitive: true}}
  found: {from: notes, where: "params.word in text"}
  asked: {from: found, generate: {model: m, prompt: ask.j2, parse: answer | upper}}
  counted: {from: asked, group: {aggregate: {n: {fn: count}}}}
outputs:
  all.jsonl: {from: asked, fields: [id, answer]}
  count.json: {from: counted}
"#;

pub const TEST: &str = r#"clue_test: 1
pipeline: p.yaml
inputs:
  notes:
    - {id: n1, text: A fever since Monday.}
    - {id: n2, text: No complaints.}
    - {id: n3, text: A fever and a cough.}
answers:
  - {prompt_has: cough, answer: "yes"}
  - {answer: "no"}
expect:
  records:
    asked:
      - {id: n1, answer: "NO"}
      - {id: n3, answer: "YES"}
  text:
    count.json: |
      [{"n": 2}]
"#;

pub fn project(test: &str) -> Project {
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("ask.j2", "{% user %}Why? {{ text }}{% enduser %}"),
        ("a.test.yaml", test),
    ])
}

/// What is told, without how long it took.
pub fn told(done: &Done) -> String {
    let text = format!("{}{}", done.stdout, done.stderr);
    let lines = text.lines().map(|line| {
        let line = line.split(", in ").next().unwrap_or(line);
        match line.split_once(" (0.") {
            Some((before, _)) => before.to_owned(),
            None => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_test_needs_no_server_no_cache_and_no_consent_and_leaves_nothing() {
    let project = project(TEST);
    let done = project.ok("test");
    assert_eq!(told(&done), "passed   a.test.yaml\n1 test: 1 passed");
    let left = std::fs::read_dir(project.path("")).expect("a folder");
    assert_eq!(left.count(), 3);
    // Nor does it hear the user's environment.
    let mut command = project.command("test a.test.yaml --json");
    let output = command.env("CLUE_PARAM_WORD", "cough").output();
    let done = crate::support::done(output.expect("runs"));
    assert_eq!(done.code, 0, "{}", done.stdout);
    let lines: Vec<serde_json::Value> = done
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines[0]["result"], "passed");
    assert_eq!(
        (&lines[1]["event"], &lines[1]["passed"]),
        (&"end".into(), &1.into())
    );
}

#[test]
fn what_is_not_as_expected_is_shown() {
    let test = TEST
        .replace("answer: \"NO\"", "answer: \"MAYBE\"")
        .replace("id: n3, answer: \"YES\"", "id: n3, answr: \"YES\"")
        .replace("[{\"n\": 2}]", "[{\"n\": 3}]");
    let project = project(&test);
    let done = project.clue("test .");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn answers_that_are_missing_and_records_that_fail() {
    let test = TEST.replace("answer: \"no\"", "record: n9, answer: \"no\"");
    let project = project(&test);
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout
            .contains("`asked` record `n1` failed: no answer fits its call"),
        "{}",
        done.stdout
    );
    // A failure can be what is expected.
    let head = TEST.split("expect:").next().expect("a head");
    let fails = head.replace(
        "{prompt_has: cough, answer: \"yes\"}",
        "{prompt_has: cough, fails: status 500}",
    );
    project.write(
        "a.test.yaml",
        format!("{fails}expect:\n  fails: {{asked: {{n3: \"500\"}}}}\n"),
    );
    project.ok("test");
    project.write(
        "a.test.yaml",
        format!("{head}expect:\n  fails: {{asked: [n3]}}\n"),
    );
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("`asked` record `n3` did not fail"),
        "{}",
        done.stdout
    );
}

#[test]
fn faults_of_test_files_are_told_with_their_places() {
    let wrong = [
        "clue_test: 2\npipeline: p.yaml\n",
        "clue_test: 1\npipeline: q.yaml\n",
        "clue_test: 1\npipelin: p.yaml\nexpect: {record: {}}\n",
        "clue_test: 1\npipeline: p.yaml\nparams: {wrod: x, notes: none.csv}\n",
        "clue_test: 1\npipeline: p.yaml\ninputs: {note: []}\n",
        "clue_test: 1\npipeline: p.yaml\nanswers: [{stage: asked}, {answer: a, fails: b}, {record: 1.5, answer: a}]\n",
        "clue_test: 1\npipeline: p.yaml\nanswers: [{stage: asked}, {answer: a, fails: b}]\n",
    ];
    let known = [
        "answers: [{stage: askd, answer: a}, {model: n, answer: a}]\n",
        "expect: {outputs: {al.jsonl: x}, text: {count.jsn: x}, records: {askd: []}, fails: {x: [1]}}\n",
        "cassette: ask.j2\n",
    ];
    let head = TEST.split("answers:").next().expect("a head");
    let known = known.map(|rest| format!("{head}{rest}"));
    let mut all = String::new();
    for test in wrong.into_iter().chain(known.iter().map(String::as_str)) {
        let project = project(test);
        let done = project.clue("test a.test.yaml");
        assert_eq!(done.code, 2, "{test}\n{}{}", done.stdout, done.stderr);
        all.push_str(&told(&done).replace("1 test: 0 passed, 1 at fault", ""));
        all.push('\n');
    }
    insta::assert_snapshot!(all);
}

#[test]
fn update_takes_what_comes_as_expected() {
    let test = TEST
        .replace("answer: \"NO\"}", "answer: old}  # why not")
        .replace(
            "  text:",
            "  outputs: {all.jsonl: expected/all.jsonl}\n  text:",
        );
    let project = project(&test);
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("`--update` writes it"),
        "{}",
        done.stdout
    );
    let done = project.ok("test --update");
    assert_eq!(
        told(&done),
        "updated  a.test.yaml\n    updated: `expected/all.jsonl`, 1 value of `asked`\n\
         1 test: 0 passed, 1 updated"
    );
    let text = String::from_utf8(project.read("a.test.yaml")).expect("UTF-8");
    assert_eq!(text, test.replace("old", "\"NO\""));
    project.ok("test");
    // What cannot be written in place is told.
    project.write("a.test.yaml", text.replace("[{\"n\": 2}]", "[{\"n\": 3}]"));
    let done = project.clue("test --update");
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("+[{\"n\": 2}]"), "{}", done.stdout);
}

#[test]
fn a_cassette_gives_the_answers_and_data_marked_sensitive_is_not_shown() {
    let server = Server::stub("");
    let project = project(
        "clue_test: 1\npipeline: p.yaml\nparams: {notes: notes.csv}\ncassette: c.jsonl\n\
         expect:\n  outputs: {all.jsonl: out/all.jsonl}\n  records: {asked: {n1: {id: n1}}}\n",
    );
    let text = PIPELINE.replace("https://example.org/v1", &server.url());
    project.write("p.yaml", text);
    project.write(
        "notes.csv",
        "id,text\nn1,A fever since Monday.\nn2,A feverish hush.\n",
    );
    project.ok("record p.yaml -p notes=notes.csv --out out -o c.jsonl --include-sensitive");
    drop(server);
    project.ok("test");
    // A changed prompt has no answers; a changed expectation is not quoted.
    project.write("ask.j2", "{% user %}Why so? {{ text }}{% enduser %}");
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout
            .contains("`asked` record `n2` failed: its call is not on the cassette"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("hush"), "{}", done.stdout);
    project.write("ask.j2", "{% user %}Why? {{ text }}{% enduser %}");
    project.write("out/all.jsonl", "{\"id\": \"hush\"}\n");
    let done = project.clue("test");
    let shown = "`all.jsonl` differs from line 1 on (not shown: the data is marked `sensitive`)";
    assert_eq!(
        told(&done),
        format!("FAILED   a.test.yaml\n    {shown}\n1 test: 0 passed, 1 failed")
    );
}

#[test]
fn programs_run_only_with_consent() {
    let test = TEST.replace("A fever and", "Fever, fever and");
    let project = project(&test);
    let text = PIPELINE
        .replace("where: \"params.word in text\"", "exec: {command: [cat]}")
        .replace(", sensitive: true", "")
        .replace("https://example.org/v1", "http://127.0.0.1:9/v1");
    project.write("p.yaml", text);
    let done = project.clue("test");
    assert_eq!(done.code, 3, "{}{}", done.stdout, done.stderr);
    assert_eq!(
        told(&done),
        "REFUSED  a.test.yaml\n    this test would\n      run   cat   (stage `found`)\n\
         1 test: 0 passed, 1 refused\n\
         tests need your consent for what they would do: say so with `--yes`, or once and for all \
         with `clue trust PIPELINE`"
    );
    let yes = project.clue("test --yes");
    // Who trusts the pipeline trusts its tests.
    project.write("notes.csv", "id,text\n");
    project.ok("trust p.yaml -p notes=notes.csv --yes");
    let done = project.clue("test");
    assert_eq!(told(&done), told(&yes));
    assert!(
        done.stdout.contains("`asked`: expected 2 records, found 3"),
        "{}",
        done.stdout
    );
}

#[test]
fn a_folder_without_tests_and_a_broken_pipeline_are_told() {
    let project = project(TEST);
    std::fs::create_dir(project.path("empty")).expect("a folder");
    let done = project.clue("test empty");
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("no tests in `empty`"),
        "{}",
        done.stderr
    );
    assert_eq!(project.clue("test nowhere").code, 2);
    // The pipeline's own faults have their own places.
    project.write(
        "p.yaml",
        PIPELINE.replace("where: \"params", "wher: \"params"),
    );
    let done = project.clue("test");
    assert_eq!(done.code, 2);
    assert!(done.stdout.contains("p.yaml:10:"), "{}", done.stdout);
}

/// The tests that ship.
#[test]
fn the_repositorys_own_pipelines_pass_their_tests() {
    let project = Project::new(&[]);
    let root = root().display();
    let done = project.ok(&format!("test {root}/pipelines {root}/examples"));
    assert!(done.stdout.contains("5 tests: 5 passed"), "{}", done.stdout);
}

/// The data of the stages before it need not be there: they are left out.
#[test]
fn records_stand_in_for_a_stage_in_the_middle() {
    let project = project(
        "clue_test: 1\npipeline: p.yaml\ninputs: {found: [{id: x, text: t}, {id: y, text: u}]}\n\
         answers: [{record: 1, answer: a, stage: asked, model: m}, {record: 2, answer: b}]\n\
         expect: {outputs: {all.jsonl: all.jsonl}, records: {asked: {2: {id: y}}}}\n",
    );
    assert!(!project.path("none.csv").exists());
    project.write(
        "all.jsonl",
        "{\"id\": \"x\", \"answer\": \"A\"}\n{\"id\": \"y\", \"answer\": \"B\"}\n",
    );
    project.ok("test");
}

/// The user's own configuration says what is sensitive where the pipeline does not.
#[test]
fn files_that_the_user_calls_sensitive_are_not_shown() {
    let project = project(
        "clue_test: 1\npipeline: p.yaml\nparams: {notes: notes.csv}\nanswers: [{answer: a}]\n\
         expect: {records: {asked: {1: {text: other}}}}\n",
    );
    project.write("p.yaml", PIPELINE.replace(", sensitive: true", ""));
    project.write("notes.csv", "id,text\n1,hush: fever\n");
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(done.stdout.contains("hush"), "{}", done.stdout);
    project.write(
        ".home/config/clue/config.yaml",
        format!(
            "sensitive: {{paths: ['{}']}}\n",
            project.path("notes.csv").display()
        ),
    );
    let done = project.clue("test");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("`text` is another (not shown"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("hush"), "{}", done.stdout);
}
