//! Streams that meet again: no stage may wait for another that waits for it.

use std::time::{Duration, Instant};

use crate::support::{Done, Project, Server, done};

/// Runs the binary, which must end within a minute.
fn ends(project: &Project, words: &str) -> Done {
    let mut command = project.command(words);
    command.stdout(std::process::Stdio::piped());
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("runs");
    let start = Instant::now();
    while child.try_wait().expect("a child").is_none() {
        if start.elapsed() > Duration::from_secs(60) {
            let _ = child.kill();
            panic!("`{words}` does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let done = done(child.wait_with_output().expect("ended"));
    assert_eq!(done.code, 0, "{words}: {}{}", done.stdout, done.stderr);
    done
}

fn notes(count: usize) -> String {
    let line = |at| format!("{{\"id\": \"n{at}\", \"text\": \"note {at}\"}}\n");
    (0..count).map(line).collect()
}

/// More records than the channels between stages hold, read from one stage by two names.
#[test]
fn examples_may_come_from_the_stage_that_is_tested() {
    let server = Server::bad("");
    let pipeline = format!(
        r#"clue: 1
models: {{m: {{url: "{}", id: m, concurrency: 32}}}}
stages:
  notes: {{load: {{path: notes.jsonl, key: id}}}}
  mixed: {{from: notes, shuffle: {{seed: 1}}}}
  kept: {{from: mixed, when: false, take: 5}}
  asked:
    from: kept
    with: {{pool: mixed}}
    generate: {{model: m, prompt: p.j2, shots: {{of: pool, n: 2}}}}
outputs:
  all.jsonl: {{from: asked, fields: [id, answer]}}
"#,
        server.url()
    );
    let project = Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", &notes(1000)),
        (
            "p.j2",
            "{% for shot in shots %}{{ shot.text }}, {% endfor %}{{ text }}",
        ),
    ]);
    ends(&project, "run p.yaml --out out");
    assert_eq!(server.count("/stats", "requests"), 998);
}

/// Two stages share a model's few places; their reader takes one after the other, and the
/// second may not keep the places while it waits to be read.
#[test]
fn who_waits_for_a_reader_keeps_no_place_at_the_model() {
    let server = Server::bad("");
    let pipeline = format!(
        r#"clue: 1
models: {{m: {{url: "{}", id: m, concurrency: 2}}}}
stages:
  notes: {{load: {{path: notes.jsonl, key: id}}}}
  more: {{load: {{path: more.jsonl, key: id}}}}
  other: {{load: {{path: other.jsonl, key: id}}}}
  slow: {{from: notes, generate: {{model: m, prompt: slow.j2}}}}
  first: {{from: slow, generate: {{model: m, prompt: first.j2, into: b}}}}
  second: {{from: more, generate: {{model: m, prompt: second.j2}}}}
  third: {{from: other, generate: {{model: m, prompt: third.j2}}}}
  all: {{from: [first, second, third], concat: {{prefix: true}}}}
outputs:
  all.jsonl: {{from: all, fields: [id, answer]}}
"#,
        server.url()
    );
    let project = Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", &notes(50)),
        ("more.jsonl", &notes(120)),
        ("other.jsonl", &notes(121)),
        ("slow.j2", "0 {{ text }}"),
        ("first.j2", "1 {{ text }} {{ answer }}"),
        ("second.j2", "2 {{ text }}"),
        ("third.j2", "3 {{ text }}"),
    ]);
    ends(&project, "run p.yaml --out out");
    assert_eq!(server.count("/stats", "requests"), 2 * 50 + 120 + 121);
}

/// All of `asked` is scored, and its first record is shown by itself.
const FIRST: &str = r#"clue: 1
params: {url: ""}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 4}
stages:
  notes: {load: {path: n.jsonl, key: id}}
  asked: {from: notes, generate: {model: m, prompt: p.j2}}
  scored: {from: asked, score: {metric: exact_match, prediction: answer, reference: id}}
  first: {from: asked, take: 1}
outputs:
  all.jsonl: {from: scored}
  first.jsonl: {from: first}
"#;

#[test]
fn what_is_wanted_is_not_cut_short_by_a_reader_that_has_enough() {
    let server = Server::busy("");
    let notes: String = (0..200).map(|n| format!("{{\"id\":\"n{n}\"}}\n")).collect();
    let project = Project::new(&[("p.yaml", FIRST), ("p.j2", "{{ id }}"), ("n.jsonl", &notes)]);
    let url = format!("-p url={}", server.url());
    project.ok(&format!(
        "run p.yaml --until asked --until first {url} --store a"
    ));
    assert_eq!(server.count("/stats", "requests"), 200);

    project.ok(&format!("run p.yaml --out o {url}"));
    std::fs::remove_file(project.path("o/first.jsonl")).expect("removed");
    // The scores are known, so that only `first` reads what is asked again.
    project.ok(&format!("record p.yaml -o k.jsonl --out o {url}"));
    let played = project.ok(&format!("replay p.yaml k.jsonl --out r {url}"));
    assert!(!played.stderr.contains("missing"), "{}", played.stderr);
    assert_eq!(project.read("o/all.jsonl"), project.read("r/all.jsonl"));
}
