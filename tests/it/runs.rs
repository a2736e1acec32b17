//! What the cache remembers: the list of runs, and how it stands to each stage.

use std::time::Duration;

use serde_json::Value as Json;

use crate::support::{Done, Project, Server, done};

const PIPELINE: &str = r#"clue: 1
params:
  url: http://127.0.0.1:1/v1
  max_notes: 4000
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 1, retries: 0, timeout: 30, price: {prompt: 1000000, answer: 0}}
stages:
  notes: {load: {path: notes.csv, key: id}}
  some: {from: notes, take: "{{ params.max_notes }}"}
  facts: {from: some, generate: {model: m, prompt: facts.j2, into: fact}}
outputs:
  all.jsonl: {from: facts}
"#;

fn project() -> Project {
    let rows: String = (0..6).map(|at| format!("n{at},text {at}\n")).collect();
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", &format!("id,text\n{rows}")),
        ("facts.j2", "List facts.\n{{ text }}"),
    ])
}

fn words(command: &str, server: &Server, more: &str) -> String {
    format!("{command} p.yaml --out out -p url={} {more}", server.url())
}

fn runs(project: &Project, more: &str) -> Vec<Json> {
    let told = project.ok(&format!("runs --json {more}"));
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    told["runs"].as_array().expect("a list").clone()
}

/// Starts a run that hangs, and sends it a signal once a call is under way.
fn hung(project: &Project, signal: rustix::process::Signal) -> Done {
    let server = Server::bad("--fault hang");
    let mut command = project.command(&words("run", &server, "--store hung"));
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let child = command.spawn().expect("runs");
    while server.count("/stats", "requests") == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).expect("a signal");
    // The call under way ends with its server.
    drop(server);
    done(child.wait_with_output().expect("ends"))
}

#[test]
fn runs_are_listed_newest_first_however_they_ended() {
    let server = Server::bad("");
    let project = project();
    assert_eq!(project.clue("runs").code, 2, "there is no cache yet");
    project.ok(&words("run", &server, ""));
    project.ok(&words("run", &server, "-p max_notes=2"));
    project.write("facts.j2", "Other. {{ text }}");
    let stopped = project.clue(&words("run", &server, "--max-calls 4"));
    assert_eq!(stopped.code, 5, "{}", stopped.stderr);
    project.write(
        "facts.j2",
        "{% if text == 'text 3' %}[[400]]{% endif %}{{ text }}",
    );
    assert_eq!(project.clue(&words("run", &server, "")).code, 1);
    project.write("q.yaml", "clue: 1\nstages:\n  a: {load: {path: notes.csv, key: id}}\noutputs:\n  a.jsonl: {from: a}\n");
    project.ok("run q.yaml --out out");

    let all = runs(&project, "");
    let told = |at: usize, name: &str| all[at][name].clone();
    let ends: Vec<Json> = (0..5).map(|at| told(at, "ended")).collect();
    assert_eq!(ends, ["done", "failed", "budget", "done", "done"]);
    let asked: Vec<Json> = (0..5).map(|at| told(at, "asked")).collect();
    assert_eq!(asked, [0, 5, 4, 0, 6]);
    assert_eq!((told(1, "failed"), told(3, "cached")), (1.into(), 2.into()));
    assert_eq!(
        (told(4, "cost"), told(4, "prompt_tokens")),
        (6.0.into(), 6.into())
    );
    assert_eq!(told(3, "params")["max_notes"], 2);
    assert!(
        told(4, "params").get("max_notes").is_none(),
        "its default is not told"
    );
    assert!(told(4, "took").as_f64().is_some_and(|took| took > 0.0));

    assert_eq!(runs(&project, "p.yaml").len(), 4);
    assert_eq!(runs(&project, "q.yaml -n 3").len(), 1);
    assert_eq!(runs(&project, "none.yaml").len(), 0);
    let text = project.ok("runs p.yaml -n 2").stdout;
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("WHEN (UTC)           PIPELINE  ENDED "),
        "{text}"
    );
    assert!(lines[1].contains("p.yaml    failed: 1 record "), "{text}");
    assert!(lines[2].contains("limit reached"), "{text}");
    assert!(lines[1].contains("url=http://127.0.0.1:"), "{text}");
    assert_eq!(lines.len(), 3);
}

#[test]
fn runs_that_were_killed_or_interrupted_are_kept() {
    let project = project();
    let killed = hung(&project, rustix::process::Signal::KILL);
    assert_ne!(killed.code, 0);
    let interrupted = hung(&project, rustix::process::Signal::INT);
    assert_eq!(interrupted.code, 130, "{}", interrupted.stderr);
    let all = runs(&project, "--store hung");
    let ends: Vec<&Json> = all.iter().map(|run| &run["ended"]).collect();
    assert_eq!(ends, ["interrupted", "running"]);
    let text = project.ok("runs --store hung").stdout;
    assert!(text.contains("running or killed"), "{text}");
}

/// Where the stages of all runs are kept, newest run first.
fn kept(project: &Project) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(project.path(".clue/runs"))
        .expect("runs")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let stages = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file).expect("a record");
        let record: Json = serde_json::from_str(&text).expect("JSON");
        let hash = record["data"]["stages_in"].as_str().expect("a hash");
        format!(".clue/blobs/{}/{hash}", &hash[..2])
    };
    files.iter().rev().map(stages).collect()
}

#[test]
fn runs_in_which_nothing_was_done_share_their_stages() {
    let server = Server::bad("");
    let project = project();
    for _ in 0..3 {
        project.ok(&words("run", &server, ""));
    }
    let stages = kept(&project);
    assert_eq!(stages.len(), 3);
    assert!(stages.iter().all(|other| *other == stages[0]));
    project.write("facts.j2", "Other. {{ text }}");
    project.ok(&words("run", &server, ""));
    assert_ne!(kept(&project)[0], stages[0], "something was done");

    // What runs are made of stays with them when the cache is cleaned up.
    project.ok("cache gc --keep-runs 1");
    assert!(!project.path(&stages[0]).exists());
    let last = kept(&project);
    assert!(last.len() == 1 && project.path(&last[0]).exists());
    assert_eq!(states(&project, &server, "")[2], "facts: fresh");

    // Without them a run is of no use, and is told; the next one keeps them anew.
    std::fs::remove_file(project.path(&last[0])).expect("removed");
    let told = project.clue(&words("plan", &server, ""));
    assert!(
        told.stderr.contains("this run is left out"),
        "{}",
        told.stderr
    );
    let again = project.ok(&words("run", &server, ""));
    assert!(
        again.stderr.contains("this run is left out"),
        "{}",
        again.stderr
    );
    assert!(project.path(&kept(&project)[0]).exists());
    let quiet = project.ok(&words("run", &server, ""));
    assert!(!quiet.stderr.contains("left out"), "{}", quiet.stderr);
}

/// The state, calls and records of each stage.
fn states(project: &Project, server: &Server, more: &str) -> Vec<String> {
    let told = project.ok(&words("status", server, &format!("--json {more}")));
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    let stages = told["stages"].as_array().expect("a list").iter();
    let stages = stages.map(|stage| {
        let calls = stage["calls"].as_object();
        let calls = calls.map_or_else(String::new, |c| format!(" {} of {}", c["cached"], c["all"]));
        let ran = if stage["ran"].is_u64() {
            ""
        } else {
            " never ran"
        };
        format!("{}: {}{calls}{ran}", stage["stage"], stage["state"]).replace('"', "")
    });
    stages.collect()
}

#[test]
fn status_tells_how_the_cache_stands() {
    let server = Server::bad("");
    let project = project();
    assert_eq!(
        states(&project, &server, ""),
        [
            "notes: new never ran",
            "some: new never ran",
            "facts: new 0 of 6 never ran",
            "all.jsonl: new never ran"
        ]
    );
    assert!(!project.path(".clue").exists(), "nothing is written");
    project.ok(&words("run", &server, ""));
    let text = project.ok(&words("status", &server, "")).stdout;
    let mut lines = text.lines();
    assert_eq!(
        lines.next(),
        Some("STAGE      VERB      STATE  CALLS  RECORDS  LAST RAN (UTC)")
    );
    let row = lines.nth(2).expect("a row").split_whitespace();
    let row: Vec<&str> = row.take(4).collect();
    assert_eq!(row, ["facts", "generate", "fresh", "6"], "{text}");
    assert!(
        text.contains("\n4 of 4 stages fresh\nlast run: 20") && text.ends_with(" UTC, done\n"),
        "{text}"
    );

    // Two notes more: what was asked is cached.
    let notes = String::from_utf8(project.read("notes.csv")).expect("UTF-8");
    project.write("notes.csv", format!("{notes}n6,text 6\nn7,text 7\n"));
    assert_eq!(
        states(&project, &server, ""),
        [
            "notes: changed",
            "some: changed",
            "facts: changed 6 of 8",
            "all.jsonl: changed"
        ]
    );
    project.write("notes.csv", notes);
    assert_eq!(states(&project, &server, "")[2], "facts: fresh");

    project.write("out/all.jsonl", "{}\n");
    assert_eq!(
        states(&project, &server, "")[2..],
        ["facts: fresh", "all.jsonl: altered"]
    );
    std::fs::remove_file(project.path("out/all.jsonl")).expect("removed");
    let text = project.ok(&words("status", &server, "")).stdout;
    assert!(text.contains("3 of 4 stages fresh, 1 missing"), "{text}");
    std::fs::remove_dir_all(project.path(".clue/artifacts")).expect("removed");
    assert_eq!(states(&project, &server, "")[2], "facts: missing 6 of 6");
}

#[test]
fn params_that_are_secrets_are_not_listed() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nparams: {api_key: none, url: 'http://h/v1'}\nstages:\n  \
             a: {load: {path: d.csv, key: id}}\noutputs:\n  o.jsonl: {from: a}\n",
        ),
        ("d.csv", "id\n1\n"),
    ]);
    project.ok("run p.yaml -p api_key=HUNTER2 -p url=http://bob:PASSW@h/v1");
    for words in ["runs", "runs --json"] {
        let told = project.ok(words).stdout;
        assert!(
            !told.contains("HUNTER2") && !told.contains("PASSW"),
            "{told}"
        );
        assert!(told.contains("@h/v1"), "{told}");
    }
}

#[test]
fn what_nothing_needs_is_not_fresh_and_is_not_forced_in_silence() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nstages:\n  a: {load: {path: a.jsonl, key: id}}\n  \
             spare: {from: a, take: 1}\noutputs: {o.jsonl: {from: a}}\n",
        ),
        ("a.jsonl", "{\"id\":\"r1\"}\n"),
    ]);
    project.ok("run p.yaml --out out");
    let told = project.ok("status p.yaml --out out").stdout;
    let line = |stage: &str| {
        let line = told.lines().find(|line| line.starts_with(stage));
        line.unwrap_or_else(|| panic!("{told}")).to_owned()
    };
    assert!(line("spare").contains("  not needed"), "{told}");
    assert!(line("a ").contains("  fresh"), "{told}");
    assert!(told.contains("1 not needed"), "{told}");
    let done = project.ok("run p.yaml --out out --force spare");
    let warning = "warning: `spare` is forced, but nothing that is wanted needs it";
    assert!(done.stderr.contains(warning), "{}", done.stderr);
    let done = project.ok("run p.yaml --out out --force spare --until spare");
    assert!(!done.stderr.contains("warning"), "{}", done.stderr);
}
