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
