//! Locks: what is in them, what a run that is held to one refuses, and what it says of outputs.

use crate::support::{Done, Project, Server, copy, done, root};

const PIPELINE: &str = r#"clue: 1
name: p
params:
  url: http://127.0.0.1:1/v1
  notes: {type: path, default: notes.csv}
  max_notes: 4000
  open: 4
include: [more.yaml]
models:
  m: {url: "{{ params.url }}", id: org/m, revision: "1", concurrency: "{{ params.open }}", sampling: {temperature: 0, seed: 1}}
stages:
  notes: {load: {path: "{{ params.notes }}", key: id}}
  some: {from: notes, take: "{{ params.max_notes }}"}
  facts: {from: some, generate: {model: m, prompt: prompts/facts.j2, into: fact}}
  questions: {from: facts, generate: {model: m, prompt: prompts/question.j2, schema: answer.json, into: question}}
outputs:
  all.jsonl: {from: questions}
"#;
const MORE: &str = "clue: 1\nstages:\n  long: {from: facts, where: \"fact | length > 3\"}\noutputs:\n  long.jsonl: {from: long}\n";
const SCHEMA: &str =
    r#"{"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}"#;
const FACTS: &str = "{% include 'head.j2' %}\nList facts.\n{{ text }}";
const NOTES: &str = "id,text\nn0,text of 0\nn1,text of 1\nn2,text of 2\n";

fn project() -> Project {
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("more.yaml", MORE),
        ("notes.csv", NOTES),
        ("answer.json", SCHEMA),
        ("prompts/facts.j2", FACTS),
        ("prompts/head.j2", "You read notes."),
        (
            "prompts/question.j2",
            "Ask about:\n{{ fact }}\nin one line.",
        ),
    ])
}

fn words(command: &str, url: &str, more: &str) -> String {
    format!("{command} p.yaml --out out -p url={url} {more}")
}

/// A project that ran and is locked, with its server.
fn locked() -> (Project, Server) {
    let server = Server::stub("");
    let project = project();
    project.ok(&words("run", &server.url(), ""));
    project.ok(&words("lock", &server.url(), ""));
    (project, server)
}

fn lock_of(project: &Project) -> String {
    String::from_utf8(project.read("p.lock")).expect("UTF-8")
}

fn has(done: &Done, code: i32, texts: &[&str]) {
    let all = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, code, "{all}");
    for text in texts {
        assert!(all.contains(text), "no {text:?} in {all}");
    }
}

#[test]
fn a_lock_holds_what_decides_and_nothing_of_the_machine() {
    let (project, server) = locked();
    let text = lock_of(&project);
    let folder = project.path("").display().to_string();
    let real = project.path("").canonicalize().expect("there");
    for private in [
        folder.as_str(),
        &real.display().to_string(),
        "127.0.0.1",
        "text of",
    ] {
        assert!(!text.contains(private), "{private} in {text}");
    }
    assert!(!text.contains(&server.port.to_string()), "{text}");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("[0-9a-f]{64}", "[hash]");
    settings.add_filter("program: \"[^\"]+\"", "program: [version]");
    settings.bind(|| insta::assert_snapshot!(text));
    // The hash of a file is what `b3sum` prints.
    let hash = blake3::hash(NOTES.as_bytes()).to_hex();
    assert!(
        text.contains(&format!("params.notes:\n    hash: \"{hash}\"")),
        "{text}"
    );
}

#[test]
fn the_same_files_make_the_same_bytes_anywhere() {
    let (project, server) = locked();
    let before = lock_of(&project);
    let again = project.ok(&words("lock", &server.url(), ""));
    assert!(
        again.stdout.starts_with("unchanged: p.lock ("),
        "{}",
        again.stdout
    );
    assert_eq!(lock_of(&project), before);

    // Elsewhere, with the cache and another address.
    let other = Project::new(&[]);
    copy(&project.path(""), &other.path(""));
    other.write("p.lock", "");
    other.ok(&words("lock", "http://elsewhere:9/v1", ""));
    assert_eq!(lock_of(&other), before);

    // With the data outside of the project, without the cache: nothing else is known of outputs.
    let data = Project::new(&[("mimic/notes.csv", NOTES)]);
    let away = Project::new(&[]);
    copy(&project.path(""), &away.path(""));
    std::fs::remove_file(away.path("notes.csv")).expect("removed");
    let notes = data.path("mimic/notes.csv").display().to_string();
    let more = format!("--store new -p notes={notes}");
    let check = away.ok(&words("lock --check", "http://elsewhere:9/v1", &more));
    assert_eq!(
        check.stdout,
        "nothing differs from p.lock; of its outputs, 0 are in the cache\n"
    );
    away.ok(&words("lock", "http://elsewhere:9/v1", &more));
    let known = |text: &str| {
        let lines = text.lines().map(str::to_owned);
        let lines = lines.filter(|line| !line.starts_with("    path:"));
        lines.collect::<Vec<String>>()
    };
    let (now, then) = (known(&lock_of(&away)), known(&before));
    assert!(now.iter().all(|line| then.contains(line)), "{now:#?}");
    assert!(!lock_of(&away).contains("mimic"), "{}", lock_of(&away));
}

#[test]
fn a_run_held_to_a_lock_repeats_it() {
    let (project, server) = locked();
    let asked = server.count("/__stats", "requests");
    let run = project.ok(&words("run", &server.url(), "--locked"));
    assert!(
        run.stdout
            .contains("locked: 4 outputs are as p.lock says\n"),
        "{}",
        run.stdout
    );
    // Made anew, in another cache, by more calls at once, it is the same; addresses and how many
    // calls are open decide nothing.
    let other = Server::stub("");
    let more = "--locked --store new -p open=1 -q";
    let anew = project.ok(&words("run", &other.url(), more));
    has(
        &anew,
        0,
        &[
            "locked: 4 outputs are as p.lock says",
            "warning: param `open` 4 → 1; it changes no stage",
        ],
    );
    assert_eq!(server.count("/__stats", "requests"), asked);
    assert_eq!(other.count("/__stats", "requests"), asked);
    // As JSON lines.
    let json = project.ok(&words("run", &server.url(), "--locked=p.lock --json"));
    let told: Vec<serde_json::Value> = json
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told = told
        .iter()
        .find(|line| line["event"] == "locked")
        .expect("told");
    assert_eq!(told["outputs"]["same"], 4);
    // A part knows a part.
    let part = project.ok(&words(
        "run",
        &server.url(),
        "--locked --store part --until facts",
    ));
    assert!(
        part.stdout.contains("locked: 1 output is as p.lock says"),
        "{}",
        part.stdout
    );
}

#[test]
fn what_differs_is_refused_by_its_name() {
    let (project, server) = locked();
    let asked = server.count("/__stats", "requests");
    let run = |more: &str| project.clue(&words("run", &server.url(), &format!("--locked {more}")));
    let refused = |what: &[&str], more: &str| {
        let done = run(more);
        has(&done, 3, what);
        has(
            &done,
            3,
            &[
                "error: this is not what `p.lock` was made of",
                "refused: nothing was run and nothing was sent",
            ],
        );
    };
    let with = |name: &str, old: &str, new: &str, what: &[&str]| {
        let before = String::from_utf8(project.read(name)).expect("UTF-8");
        assert!(before.contains(old), "{name}");
        project.write(name, before.replacen(old, new, 1));
        refused(what, "");
        // The same without a run, for CI.
        let check = project.clue(&words("lock --check", &server.url(), ""));
        has(&check, 1, what);
        project.write(name, before);
    };
    with(
        "prompts/question.j2",
        "in one line",
        "in one sentence",
        &[
            "prompt `prompts/question.j2` differs from line 3 on",
            "this changes 2 stages: `questions`, `all.jsonl`",
        ],
    );
    with(
        "prompts/head.j2",
        "read",
        "know",
        &["prompt `prompts/head.j2` differs from line 1 on"],
    );
    with(
        "notes.csv",
        "text of 1",
        "text of one",
        &[
            "input `notes.csv` (param `notes`) differs; it had 3 records",
            "this changes 7 stages: `notes`, `some`, `facts`, ",
        ],
    );
    with(
        "answer.json",
        "\"q\"",
        "\"r\"",
        &["input `answer.json` differs"],
    );
    with(
        "more.yaml",
        "> 3",
        "> 2",
        &[
            "file `more.yaml` differs",
            "this changes 2 stages: `long`, `long.jsonl`",
        ],
    );
    with(
        "p.yaml",
        "name: p",
        "name: p  # a comment",
        &["file `p.yaml` differs"],
    );
    with(
        "p.yaml",
        "revision: \"1\"",
        "revision: \"2\"",
        &[
            "model `m` `revision` \"1\" → \"2\"",
            "file `p.yaml` differs",
        ],
    );
    with(
        "p.yaml",
        "seed: 1",
        "top_p: 0.5",
        &[
            "model `m` `sampling.seed` 1 is gone",
            "`sampling.top_p` 0.5 is new",
        ],
    );
    refused(
        &[
            "param `max_notes` 4000 → 2",
            "this changes 6 stages: `some`",
        ],
        "-p max_notes=2",
    );
    project.write("params.yaml", "max_notes: 2\n");
    refused(&["param `max_notes` 4000 → 2"], "--params params.yaml");
    project.write("mine/facts.j2", "Other.\n{{ text }}");
    refused(
        &[
            "prompt `mine/facts.j2` is new",
            "prompt `prompts/facts.j2` is no longer used",
        ],
        "--prompts mine",
    );
    let json = run("-p max_notes=2 --json");
    let told: serde_json::Value = serde_json::from_str(json.stdout.trim()).expect("JSON");
    assert_eq!(told["event"], "refused");
    assert_eq!(told["differ"]["wrong"][0]["name"], "max_notes");
    assert_eq!(
        server.count("/__stats", "requests"),
        asked,
        "nobody was asked"
    );
    run("");
    // What no file or param explains is told by the first stages.
    let text = lock_of(&project);
    let key = text
        .split("  facts:\n    verb: \"generate ")
        .nth(1)
        .expect("the stage");
    let key = key.split('"').nth(2).expect("a key");
    project.write("p.lock", text.replace(key, &"0".repeat(64)));
    has(&run(""), 3, &["stage `facts` has another key"]);
}

#[test]
fn other_outputs_are_told_with_the_first_stage() {
    let (project, server) = locked();
    // Another model under the same name answers the first stage in other words.
    let other = Server::bad("");
    project.write("p.yaml", PIPELINE.replace(", schema: answer.json", ""));
    project.ok(&words("run", &server.url(), ""));
    project.ok(&words("lock", &server.url(), ""));
    let run = project.clue(&words("run", &other.url(), "--locked --store new"));
    has(
        &run,
        1,
        &[
            "error: 4 of 4 outputs are not what `p.lock` says",
            "the first is stage `facts`: ",
            "output `all.jsonl`: ",
        ],
    );
    // So is a cache that came to hold other outputs.
    let check = project.clue(&words("lock --check", &other.url(), "--store new"));
    has(
        &check,
        1,
        &["error: this is not what `p.lock` says", "stage `facts`: "],
    );
    // And an output that was changed is mended, and then as the lock says.
    project.write("out/all.jsonl", "{}\n");
    let locked = project.ok(&words("lock", &server.url(), "-o other.lock"));
    has(
        &locked,
        0,
        &["warning: out/all.jsonl is not what was written there"],
    );
    assert_eq!(project.read("other.lock"), project.read("p.lock"));
    project.ok(&words("run", &server.url(), "--locked"));
}

#[test]
fn another_program_or_server_is_a_warning() {
    let (project, server) = locked();
    let text = lock_of(&project);
    let version = env!("CARGO_PKG_VERSION");
    let old = text.replace(&format!("program: \"{version}\""), "program: \"0.0.1\"");
    assert!(text.contains("version: \"2.0.0-stub\""), "{text}");
    project.write("p.lock", old.replace("2.0.0-stub", "1.9"));
    let run = project.ok(&words("run", &server.url(), "--locked --store new"));
    has(
        &run,
        0,
        &[
            &format!("warning: the lock is of clue 0.0.1, this is {version}"),
            "warning: model `m`: its server's version 1.9 → 2.0.0-stub",
        ],
    );
}

#[test]
fn servers_that_run_can_be_asked_what_they_are() {
    let server = Server::stub("");
    let project = project();
    let lock = project.ok(&words("lock", &server.url(), ""));
    has(
        &lock,
        0,
        &["warning: of all stages the cache does not know the output"],
    );
    assert!(!lock_of(&project).contains("served"));
    project.ok(&words("lock", &server.url(), "--live"));
    assert!(lock_of(&project).contains("served:\n      server: \"text-generation-inference\""));
    // Only with consent, if it is elsewhere.
    let away = project.clue(&words("lock", "http://models.example.org/v1", "--live"));
    has(&away, 3, &["this lock needs your consent"]);
}

#[test]
fn faults_of_locks_are_told() {
    let (project, server) = locked();
    let run = |more: &str| project.clue(&words("run", &server.url(), more));
    has(
        &run("--locked=none.lock"),
        2,
        &["error: no lock `none.lock`", "write it with `clue lock`"],
    );
    has(&run("--locked=notes.csv"), 2, &["error"]);
    project.write("odd.lock", "a: 1\n");
    has(
        &run("--locked=odd.lock"),
        2,
        &["error: `odd.lock` is no lock"],
    );
    let text = lock_of(&project);
    project.write("new.lock", text.replace("clue_lock: 1", "clue_lock: 2"));
    has(
        &run("--locked=new.lock"),
        2,
        &[
            "the lock is of format 2, and this clue reads formats up to 1",
            "new.lock:3:",
        ],
    );
    let hash = blake3::hash(NOTES.as_bytes()).to_hex().to_string();
    project.write("cut.lock", text.replace(&hash, "abc"));
    has(
        &run("--locked=cut.lock"),
        2,
        &["expected 64 hex digits", "cut.lock:"],
    );
    // Nothing that it is made of is overwritten.
    let own = project.clue(&words("lock", &server.url(), "-o p.yaml"));
    has(&own, 2, &["error: `p.yaml` is read by the pipeline"]);
    assert_eq!(project.read("p.yaml"), PIPELINE.as_bytes());
}

#[test]
fn the_examples_and_the_generator_are_locked() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    copy(&root().join("examples"), &project.path("examples"));
    copy(&root().join("pipelines"), &project.path("pipelines"));
    copy(&root().join("prompts"), &project.path("prompts"));
    let clue = |words: &[&str]| done(project.command("").args(words).output().expect("runs"));
    // Reports that are marked as sensitive, with a model that a param gives whole.
    let model = format!("model={{url: '{}', id: stub}}", server.url());
    let file = "examples/radiology/effusion.yaml";
    for command in [
        &["run", file][..],
        &["lock", file],
        &["run", "--locked", file],
    ] {
        let done = clue(&[command, &["--out", "out", "-p", &model]].concat());
        assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    }
    let text = String::from_utf8(project.read("examples/radiology/effusion.lock")).expect("UTF-8");
    assert!(
        text.contains("params.reports:\n") && text.contains("records: 12"),
        "{text}"
    );
    let reports = String::from_utf8(project.read("examples/radiology/reports.csv")).expect("UTF-8");
    for report in reports.lines().skip(1) {
        let field = report.split(',').nth(1).expect("a report");
        assert!(!text.contains(field), "{field}");
    }
    // A pipeline that starts its own server is locked without it.
    let quick = "examples/quickstart/quickstart.yaml";
    has(
        &clue(&["lock", quick]),
        0,
        &["written: examples/quickstart/quickstart.lock", "2 prompts"],
    );
    has(
        &clue(&["lock", "--check", quick, "-p", "more=true"]),
        1,
        &["param `more` false → true"],
    );
    // Prompts in a folder beside the pipeline's, data outside of the project.
    let notes = format!(
        "notes={}",
        root().join("tests/data/discharge.csv.gz").display()
    );
    let qa = "pipelines/medisumqa.yaml";
    has(
        &clue(&["lock", qa, "-p", &notes]),
        0,
        &["written: pipelines/medisumqa.lock"],
    );
    let text = String::from_utf8(project.read("pipelines/medisumqa.lock")).expect("UTF-8");
    assert!(
        text.contains("  ../prompts/medisumqa/questions.j2: "),
        "{text}"
    );
    assert!(
        text.contains("path: \"(outside)/discharge.csv.gz\""),
        "{text}"
    );
    assert!(!text.contains(&root().display().to_string()), "{text}");
    has(
        &clue(&["lock", "--check", qa, "-p", &notes, "-p", "concurrency=2"]),
        0,
        &["it changes no stage"],
    );
}

#[test]
fn two_ways_to_a_file_are_one_input() {
    let yaml = "clue: 1\nstages:\n  a: {load: {path: notes.csv, key: id}}\n  \
                b: {load: {path: x/../notes.csv, key: id}}\n  c: {from: [a, b], concat: {}}\n\
                outputs: {c.jsonl: {from: c}}\n";
    let project = Project::new(&[("p.yaml", yaml), ("notes.csv", NOTES), ("x/y", "")]);
    project.ok("lock p.yaml");
    let text = lock_of(&project);
    let hash = blake3::hash(NOTES.as_bytes()).to_hex();
    let inputs = format!("inputs:\n  notes.csv:\n    hash: \"{hash}\"\n    records: 3\nstages:\n");
    assert!(text.contains(&inputs), "{text}");
}
