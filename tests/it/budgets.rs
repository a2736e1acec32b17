//! Limits of what a run may spend: it stops cleanly, and another run goes on.

use crate::support::{Done, Project, Server};

const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 2, price: {prompt: 1000000, answer: 0}}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  asked: {from: notes, generate: {model: m, prompt: p.j2}}
outputs:
  all.jsonl: {from: asked}
"#;

fn project() -> Project {
    let notes: String = (0..8)
        .map(|at| format!("{{\"id\": \"n{at}\", \"text\": \"note {at}\"}}\n"))
        .collect();
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.jsonl", &notes),
        ("p.j2", "{{ text }}"),
    ])
}

fn run(project: &Project, server: &Server, more: &str) -> Done {
    let url = server.url();
    project.clue(&format!("run p.yaml --out out -p url={url} {more}"))
}

#[test]
fn a_run_stops_at_its_limit_and_another_goes_on() {
    let server = Server::bad("");
    let project = project();
    let first = run(&project, &server, "--max-calls 3");
    assert_eq!(first.code, 5, "{}{}", first.stdout, first.stderr);
    assert_eq!(server.count("/stats", "requests"), 3);
    assert!(
        first
            .stderr
            .contains("the 3 calls of `--max-calls` are used up; run again to go on"),
        "{}",
        first.stderr
    );
    // What is in the cache counts for nothing.
    let second = run(&project, &server, "--max-calls 5");
    assert_eq!(second.code, 0, "{}{}", second.stdout, second.stderr);
    assert_eq!(server.count("/stats", "requests"), 8);
    let whole = Server::bad("");
    let other = self::project();
    run(&other, &whole, "");
    assert_eq!(project.read("out/all.jsonl"), other.read("out/all.jsonl"));
}

#[test]
fn tokens_and_cost_are_limits_too() {
    for (limit, most) in [("--max-tokens 4", 4), ("--max-cost 3", 4)] {
        let server = Server::bad("");
        let project = project();
        let first = run(&project, &server, limit);
        assert_eq!(first.code, 5, "{limit}: {}{}", first.stdout, first.stderr);
        // One token, at a price of 1, for each prompt and answer; two calls at once.
        let made = server.count("/stats", "requests");
        assert!((1..=most).contains(&made), "{limit}: {made}");
        let second = run(&project, &server, "");
        assert_eq!(second.code, 0, "{limit}: {}", second.stderr);
        assert!(second.stdout.contains("cost: "), "{}", second.stdout);
        assert_eq!(server.count("/stats", "requests"), 8);
    }
}

#[test]
fn prices_and_limits_must_make_sense() {
    let project = project();
    project.write(
        "bad.yaml",
        PIPELINE.replace("prompt: 1000000", "prompt: -1"),
    );
    let refused = project.clue("check bad.yaml");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("bad.yaml:4"), "{}", refused.stderr);
    for limit in ["--max-cost -1", "--max-cost NaN", "--max-calls x"] {
        assert_eq!(
            project.clue(&format!("run p.yaml {limit}")).code,
            2,
            "{limit}"
        );
    }
}
