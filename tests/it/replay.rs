//! Runs without models: from the cache alone, and from cassettes.

use serde_json::Value as Json;

use crate::support::{Done, Project, Server};

const PIPELINE: &str = r#"clue: 1
name: p
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 5, retries: 0, timeout: 2}
stages:
  notes: {load: {path: notes.csv, key: id}}
  facts: {from: notes, generate: {model: m, prompt: facts.j2, into: fact}}
  kept: {from: facts, where: "id != '3'"}
  questions: {from: kept, generate: {model: m, prompt: question.j2, into: question, keep: {answer_tokens: n}}}
outputs:
  all.jsonl: {from: questions}
"#;

fn project() -> Project {
    let rows: String = (0..12).map(|at| format!("{at},text {at}\n")).collect();
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", &format!("id,text\n{rows}")),
        (
            "facts.j2",
            "{% user %}List facts of {{ text }}{% enduser %}",
        ),
        ("question.j2", "{% user %}Ask about {{ fact }}{% enduser %}"),
    ])
}

/// A project that was recorded to `c.jsonl`; its server is gone.
fn recorded() -> Project {
    let server = Server::stub("");
    let project = project();
    let done = project.ok(&words("record", &server, "-o c.jsonl"));
    assert!(
        done.stdout.contains("recorded: 23 calls in c.jsonl"),
        "{}",
        done.stdout
    );
    project
}

fn words(command: &str, server: &Server, more: &str) -> String {
    format!("{command} p.yaml --out out -p url={} {more}", server.url())
}

fn lines(project: &Project, name: &str) -> Vec<Json> {
    let text = String::from_utf8(project.read(name)).expect("UTF-8");
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn has(done: &Done, code: i32, text: &str) {
    let all = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, code, "{all}");
    assert!(all.contains(text), "no {text:?} in {all}");
}

#[test]
fn what_was_recorded_is_played_to_the_byte_without_a_server() {
    let project = recorded();
    let made = project.read("out/all.jsonl");
    // In another place, without a cache, and none is left there.
    let elsewhere = self::project();
    elsewhere.write("c.jsonl", project.read("c.jsonl"));
    let done = elsewhere.ok("replay p.yaml c.jsonl --out out");
    assert!(
        done.stdout.ends_with("replayed: 23 calls\n"),
        "{}",
        done.stdout
    );
    assert_eq!(elsewhere.read("out/all.jsonl"), made);
    assert!(!elsewhere.path(".clue").exists());
    // Beside a cache, which stays as it is.
    let before = project.ok("cache stats --json").stdout;
    project.ok("replay p.yaml c.jsonl --out other");
    assert_eq!(project.read("other/all.jsonl"), made);
    assert_eq!(project.ok("cache stats --json").stdout, before);
    let left = || std::fs::read_dir(project.path(".clue/tmp")).expect("a folder");
    assert_eq!(left().count(), 0);
    // What a replay leaves that was killed is cleaned up with the rest.
    project.write(".clue/tmp/killed/calls/a.seg", "");
    project.ok("cache gc --keep-runs 1");
    assert_eq!(left().count(), 0);
}

#[test]
fn a_cassette_is_the_same_from_servers_and_caches_and_can_be_read() {
    let server = Server::stub("");
    let project = project();
    project.ok(&words("run", &server, ""));
    let asked = server.count("/__stats", "requests");
    let done = project.ok(&words("record", &server, "-o a.jsonl"));
    assert!(
        done.stdout.contains("0 calls made, 23 from the cache"),
        "{}",
        done.stdout
    );
    assert_eq!(server.count("/__stats", "requests"), asked);
    project.ok(&words("record", &server, "--store fresh -o b.jsonl"));
    assert!(project.read("a.jsonl") == project.read("b.jsonl"));
    // In the order of stages and records; what was asked is there to be read.
    let lines = lines(&project, "a.jsonl");
    assert_eq!(lines[0]["clue_cassette"], 1);
    let told = |at: usize| (lines[at]["stage"].clone(), lines[at]["record"].clone());
    assert_eq!(told(1), ("facts".into(), "0".into()));
    assert_eq!(told(12), ("facts".into(), "11".into()));
    assert_eq!(told(13), ("questions".into(), "0".into()));
    assert_eq!(
        lines[2]["asked"]["messages"][0]["content"],
        "List facts of text 1"
    );
    // Calls are recorded from the cache alone, too.
    drop(server);
    project.ok("record p.yaml --out out --offline -o c.jsonl");
    assert!(project.read("a.jsonl") == project.read("c.jsonl"));
}

#[test]
fn offline_names_the_calls_that_are_missing_and_keeps_nothing_that_lacks_them() {
    let project = recorded();
    let made = project.read("out/all.jsonl");
    has(
        &project.clue("run p.yaml --out out --offline"),
        0,
        "0 calls made",
    );
    project.write(
        "question.j2",
        "{% user %}Ask something about {{ fact }}{% enduser %}",
    );
    let done = project.clue("run p.yaml --out out --offline");
    let told = "missing: 11 of 11 calls are not in the cache: `questions` 11\n";
    has(&done, 1, told);
    has(&done, 1, "each missing call: out/missing_calls.jsonl");
    assert!(!done.stdout.contains("at least"), "{}", done.stdout);
    let missing = lines(&project, "out/missing_calls.jsonl");
    assert_eq!(missing.len(), 11);
    let names: Vec<&str> = missing[0]
        .as_object()
        .expect("a map")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["stage", "record", "model", "call"]);
    let keys: Vec<&str> = missing
        .iter()
        .filter_map(|call| call["record"].as_str())
        .collect();
    assert_eq!(
        keys,
        ["0", "1", "2", "4", "5", "6", "7", "8", "9", "10", "11"]
    );
    let errors = lines(&project, "out/errors.jsonl");
    assert_eq!(errors[0]["why"], "its call is not in the cache");
    // One record's calls come by a change of another stage.
    project.write("notes.csv", "id,text\n0,text 0\n1,other\n");
    let done = project.clue("run p.yaml --out out --offline --json");
    let end: Json =
        serde_json::from_str(done.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(
        (done.code, &end["missing"][0]["stage"]),
        (1, &"facts".into())
    );
    assert_eq!(end["missing"][0]["calls"], 1);
    assert_eq!(end["missing"][1]["calls"], 1);
    // With a server, just those calls are made; what lacked them was not taken for whole.
    let server = Server::stub("");
    let done = project.ok(&words("run", &server, ""));
    assert!(
        done.stdout.contains("3 calls made, 1 from the cache"),
        "{}",
        done.stdout
    );
    assert_eq!(lines(&project, "out/all.jsonl").len(), 2);
    assert!(!project.path("out/missing_calls.jsonl").exists());
    // And back: all is known, without a server.
    drop(server);
    let fresh = self::project();
    project.write("notes.csv", fresh.read("notes.csv"));
    project.write("question.j2", fresh.read("question.j2"));
    project.ok("run p.yaml --out out --offline");
    assert_eq!(project.read("out/all.jsonl"), made);
}

#[test]
fn what_is_behind_missing_answers_is_told_as_unknown() {
    let project = recorded();
    project.write(
        "facts.j2",
        "{% user %}List all facts of {{ text }}{% enduser %}",
    );
    let done = project.clue("run p.yaml --out out --offline");
    let told = "missing: 12 of 12 calls are not in the cache: `facts` 12 \
                (at least: what depends on their answers is not known)";
    has(&done, 1, told);
    assert!(project.read("out/all.jsonl").is_empty());
}

#[test]
fn a_missing_call_is_no_failure_that_stops_or_that_may_be_skipped() {
    for policy in ["stop", "{skip: 1.0}"] {
        let project = project();
        project.write("p.yaml", format!("{PIPELINE}on_error: {policy}\n"));
        let done = project.clue("run p.yaml --out out --offline");
        has(&done, 1, "missing: 12 of 12 calls");
    }
}

#[test]
fn offline_asks_starts_and_needs_nothing() {
    let project = project();
    let serve = "url: https://example.org/v1, id: m}\n  n: {id: n, serve: {setup: [touch, setup], \
                 command: [touch, started]}}";
    let text = PIPELINE
        .replace(
            "url: \"{{ params.url }}\", id: m, concurrency: 5, retries: 0, timeout: 2}",
            serve,
        )
        .replace(
            "generate: {model: m, prompt: question",
            "generate: {model: n, prompt: question",
        );
    project.write("p.yaml", &text);
    has(&project.clue("run p.yaml --out out"), 3, "example.org");
    has(
        &project.clue("run p.yaml --out out --offline"),
        1,
        "missing: 12 of",
    );
    assert!(!project.path("started").exists() && !project.path("setup").exists());
    // Programs of stages are started all the same.
    project.write(
        "p.yaml",
        text.replace("where: \"id != '3'\"", "exec: {command: [cat]}"),
    );
    let done = project.clue("run p.yaml --out out --offline");
    has(&done, 3, "run   cat   (stage `kept`)");
    assert!(!done.stderr.contains("example.org"), "{}", done.stderr);
}

#[test]
fn what_a_cassette_lacks_and_what_is_left_on_it_is_told() {
    let project = recorded();
    project.write(
        "question.j2",
        "{% user %}Ask now about {{ fact }}{% enduser %}",
    );
    let done = project.clue("replay p.yaml c.jsonl --out out");
    has(
        &done,
        1,
        "missing: 11 of 23 calls are not on the cassette: `questions` 11\n",
    );
    has(
        &done,
        1,
        "replayed: 12 of 23 calls; 11 on the cassette not used\n",
    );
    assert_eq!(lines(&project, "out/missing_calls.jsonl").len(), 11);
}

#[test]
fn a_changed_or_cut_cassette_is_refused_without_being_quoted() {
    let project = recorded();
    let whole = project.read("c.jsonl");
    let text = String::from_utf8(whole.clone()).expect("UTF-8");
    let refused = |bytes: &[u8]| {
        project.write("bad.jsonl", bytes);
        let done = project.clue("replay p.yaml bad.jsonl --out other");
        assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
        assert!(!done.stderr.contains("facts of"), "{}", done.stderr);
        assert!(!project.path("other").exists());
        done.stderr
    };
    let flipped = refused(
        text.replacen("facts of text 3", "facts of text 4", 1)
            .as_bytes(),
    );
    insta::assert_snapshot!(flipped, @"
    error: `bad.jsonl` line 5 was changed since it was recorded: its `check` does not fit
     |
     = help: record it again; for answers by hand there are the `answers` of `clue test`
    ");
    assert!(refused(&whole[..whole.len() - 20]).contains("line 24 is cut off"));
    assert!(refused(b"").contains("line 1 is not the head of a cassette"));
    has(
        &project.clue("replay p.yaml none.jsonl"),
        2,
        "no file `none.jsonl`",
    );
}

#[test]
fn sensitive_data_is_recorded_only_on_demand_and_prompts_can_be_left_out() {
    let server = Server::stub("");
    let project = project();
    project.write(
        "p.yaml",
        PIPELINE.replace("key: id}", "key: id, sensitive: true}"),
    );
    let done = project.clue(&words("record", &server, "-o c.jsonl"));
    has(&done, 3, "those of `facts`, `questions`");
    has(&done, 3, "--include-sensitive");
    assert_eq!(server.count("/__stats", "requests"), 0);
    assert!(!project.path("c.jsonl").exists());
    project.ok(&words(
        "record",
        &server,
        "-o c.jsonl --include-sensitive --no-prompts",
    ));
    let text = String::from_utf8(project.read("c.jsonl")).expect("UTF-8");
    assert!(!text.contains("messages"), "{text}");
    let made = project.read("out/all.jsonl");
    project.ok("replay p.yaml c.jsonl --out out");
    assert_eq!(project.read("out/all.jsonl"), made);
}

#[test]
fn a_run_that_fails_says_that_its_cassette_has_gaps() {
    let server = Server::bad("");
    let project = project();
    project.write("notes.csv", "id,text\n0,fine\n1,[[500]]\n");
    let done = project.clue(&words("record", &server, "-o c.jsonl"));
    has(&done, 1, "calls without an answer are not on the cassette");
    assert_eq!(lines(&project, "c.jsonl").len(), 3);
    let done = project.clue(&words(
        "record",
        &server,
        "-o d.jsonl --max-calls 0 --store new",
    ));
    has(&done, 5, "nothing is recorded");
    assert!(!project.path("d.jsonl").exists());
}

/// What is asked ahead of a reader that has enough is on no cassette, and nobody misses it.
#[test]
fn calls_that_were_only_asked_ahead_are_not_missed() {
    let server = Server::stub("--latency-ms 20");
    let project = project();
    let rows: String = (0..300).map(|at| format!("{at},text {at}\n")).collect();
    project.write("notes.csv", format!("id,text\n{rows}"));
    let text = PIPELINE.replace(
        "where: \"id != '3'\"",
        "where: \"id != '3'\"}\n  some: {from: kept, take: 4",
    );
    project.write(
        "p.yaml",
        text.replace("questions: {from: kept", "questions: {from: some"),
    );
    project.ok(&words("record", &server, "-o c.jsonl"));
    let recorded = lines(&project, "c.jsonl").len() - 1;
    assert!((9..200).contains(&recorded), "{recorded}");
    let made = project.read("out/all.jsonl");
    drop(server);
    for _ in 0..5 {
        project.ok("replay p.yaml c.jsonl --out out");
        assert_eq!(project.read("out/all.jsonl"), made);
    }
}

#[test]
fn a_cassette_takes_no_other_files_place() {
    let server = Server::stub("");
    let project = project();
    std::os::unix::fs::symlink("p.yaml", project.path("link")).expect("linked");
    for (name, why) in [
        ("p.yaml", "is read by the pipeline"),
        ("link", "is read by the pipeline"),
        ("facts.j2", "is read by the pipeline"),
        ("notes.csv", "is read by the pipeline"),
        (
            "x.yaml --params x.yaml --store .clue",
            "is read by the pipeline",
        ),
        ("out/all.jsonl", "is an output of the pipeline"),
        ("out/errors.jsonl", "is an output of the pipeline"),
        ("/dev/null", "is no regular file"),
        ("out", "is a folder"),
    ] {
        project.write("out/all.jsonl", "");
        project.write("x.yaml", format!("url: {}\n", server.url()));
        let done = project.clue(&words("record", &server, &format!("-o {name}")));
        has(&done, 2, why);
    }
    assert_eq!(server.count("/__stats", "requests"), 0);
    assert_eq!(project.read("p.yaml"), PIPELINE.as_bytes());
    // A link stays one, and rights stay.
    use std::os::unix::fs::PermissionsExt;
    project.write("kept.jsonl", "");
    let kept = project.path("kept.jsonl");
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o640)).expect("set");
    std::os::unix::fs::symlink("kept.jsonl", project.path("c.jsonl")).expect("linked");
    project.ok(&words("record", &server, "-o c.jsonl"));
    assert!(project.path("c.jsonl").is_symlink());
    let mode = std::fs::metadata(&kept).expect("there").permissions();
    assert_eq!(mode.mode() & 0o777, 0o640);
    assert_eq!(lines(&project, "kept.jsonl").len(), 24);
}

/// Of calls that several records share, each counts once.
#[test]
fn missing_calls_are_counted_among_different_ones() {
    let project = project();
    let rows: String = (0..12).map(|at| format!("{at},same\n")).collect();
    project.write("notes.csv", format!("id,text\n{rows}"));
    let server = Server::stub("");
    project.ok(&words("record", &server, "-o c.jsonl"));
    drop(server);
    project.write(
        "question.j2",
        "{% user %}Ask now about {{ fact }}{% enduser %}",
    );
    let told = "missing: 1 of 2 calls are not in the cache: `questions` 1\n";
    has(
        &project.clue("run p.yaml --out out --offline --force facts"),
        1,
        told,
    );
    let told = "missing: 1 of 2 calls are not on the cassette: `questions` 1\n";
    has(&project.clue("replay p.yaml c.jsonl --out out"), 1, told);
}

/// A replay that is killed leaves a folder that is known for what it is.
#[test]
fn what_a_killed_replay_left_is_cleaned_up() {
    let project = recorded();
    std::fs::remove_dir_all(project.path(".clue")).expect("removed");
    let slow = PIPELINE.replace("where: \"id != '3'\"", "exec: {command: [sh, wait.sh]}");
    project.write("p.yaml", slow);
    project.write("wait.sh", "echo $$ > pid\nexec sleep 60\n");
    std::fs::create_dir(project.path("temp")).expect("a folder");
    let command = |words: &str| {
        let mut command = project.command(words);
        command.env("TMPDIR", project.path("temp"));
        command
    };
    let mut child = command("replay p.yaml c.jsonl --out other --yes")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("runs");
    let begun = std::time::Instant::now();
    while !std::fs::read_to_string(project.path("pid")).is_ok_and(|pid| pid.ends_with('\n')) {
        assert!(begun.elapsed().as_secs() < 20, "it never began");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let left = || {
        std::fs::read_dir(project.path("temp"))
            .expect("a folder")
            .count()
    };
    // In use: nobody touches it.
    let done = crate::support::done(command("cache gc").output().expect("runs"));
    has(&done, 2, "no cache at `.clue`");
    assert_eq!(left(), 1);
    child.kill().expect("killed");
    child.wait().expect("gone");
    let program = String::from_utf8(project.read("pid")).expect("UTF-8");
    let program = rustix::process::Pid::from_raw(program.trim().parse().expect("a number"));
    let _ =
        rustix::process::kill_process(program.expect("a process"), rustix::process::Signal::KILL);
    assert_eq!(left(), 1);
    let done = crate::support::done(command("cache gc --dry-run").output().expect("runs"));
    has(
        &done,
        0,
        "would remove 1 folder that killed commands left behind",
    );
    let done = crate::support::done(command("cache gc").output().expect("runs"));
    has(
        &done,
        0,
        "removed 1 folder that killed commands left behind",
    );
    assert_eq!(left(), 0);
}

#[test]
fn a_pipe_is_no_cassette() {
    let project = project();
    let made = std::process::Command::new("mkfifo")
        .arg(project.path("pipe"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    has(
        &project.clue("replay p.yaml pipe"),
        2,
        "`pipe` is no regular file",
    );
}
