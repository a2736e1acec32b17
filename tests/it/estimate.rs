//! `clue plan --estimate`: what a run would take on more records and machines, from a small one.

use crate::support::{Project, Server};

const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 4, price: {prompt: 1, answer: 2}}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  facts: {from: notes, generate: {model: m, prompt: facts.j2, into: facts}}
  both: {from: facts, set: {list: "[facts, id]"}}
  fact: {from: both, explode: {field: list, into: fact}}
  asked: {from: fact, generate: {model: m, prompt: ask.j2, into: question}}
  best: {from: asked, top_k: {k: 5, by: "question | length"}}
  answered: {from: best, generate: {model: m, prompt: answer.j2, into: answer}}
outputs:
  all.jsonl: {from: answered}
"#;

fn project() -> Project {
    let notes: String = (0..12)
        .map(|at| format!("{{\"id\":\"n{at}\"}}\n"))
        .collect();
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.jsonl", &notes),
        ("facts.j2", "Facts of {{ id }}"),
        ("ask.j2", "Ask about {{ fact }}"),
        ("answer.j2", "Answer {{ question }}"),
    ])
}

#[test]
fn calls_grow_with_records_and_time_shrinks_with_machines() {
    let server = Server::bad("--fault slow --after 0.1");
    let project = project();
    let url = format!("-p url={}", server.url());
    let unknown = project.clue(&format!("plan p.yaml {url} --estimate"));
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("no run is known"),
        "{}",
        unknown.stderr
    );

    project.ok(&format!("run p.yaml --out out {url}"));
    let asked = server.count("/stats", "requests");
    let estimate = |more: &str| -> serde_json::Value {
        let words = format!("plan p.yaml {url} --estimate --json {more}");
        serde_json::from_str(&project.ok(&words).stdout).expect("JSON")
    };
    let calls = |made: &serde_json::Value| -> Vec<u64> {
        let stages = made["stages"].as_array().expect("a list");
        stages
            .iter()
            .map(|row| row["calls"].as_u64().expect("a number"))
            .collect()
    };
    let seconds = |made: &serde_json::Value| -> f64 {
        let waves = made["waves"].as_array().expect("a list");
        assert_eq!(waves.len(), 2, "`top_k` needs all questions");
        waves.iter().filter_map(serde_json::Value::as_f64).sum()
    };
    // The run itself: nothing is asked for it.
    let same = estimate("");
    assert_eq!(calls(&same), [12, 24, 5]);
    assert_eq!(server.count("/stats", "requests"), asked);
    let large = estimate("--records notes=12000");
    assert_eq!(calls(&large), [12_000, 24_000, 5]);
    assert_eq!(large["fixed"], serde_json::json!(["best"]));
    // 36,000 calls of a tenth of a second at least, four at once: a quarter of an hour.
    let one = seconds(&large);
    let median = large["stages"][0]["median"].as_f64().expect("a number");
    assert!(one > 850.0, "{one}");
    assert!(
        (0.7..2.0).contains(&(one / (9000.0 * median))),
        "{one}, {median}"
    );
    let ten = seconds(&estimate("--records notes=12000 --workers 10"));
    assert!((0.09..0.12).contains(&(ten / one)), "{ten} of {one}");
    let five = seconds(&estimate("--records notes=12000 --workers 10 --servers 5"));
    assert!((0.19..0.22).contains(&(five / one)), "{five} of {one}");
    let cost = |made: &serde_json::Value| made["cost"].as_f64().expect("a cost");
    // 36,005 calls in place of 41.
    let times = cost(&large) / cost(&same);
    assert!((878.0..878.5).contains(&times), "{times}");
    let told = project.ok(&format!(
        "plan p.yaml {url} --estimate --records notes=12,000"
    ));
    assert!(told.stdout.contains("24,000"), "{}", told.stdout);
    assert!(
        told.stdout.contains("as many records as before: `best`"),
        "{}",
        told.stdout
    );
}

#[test]
fn only_stages_that_load_have_records_to_say() {
    let project = project();
    for (words, told) in [
        ("--estimate --records facts=10", "loads no records"),
        ("--estimate --records nots=10", "`nots`"),
        ("--estimate --records notes", "expected STAGE=N"),
        ("--records notes=10", "--estimate"),
        ("--estimate --workers 0", "0 is not in"),
    ] {
        let done = project.clue(&format!("plan p.yaml {words}"));
        assert_eq!(done.code, 2, "{words}");
        assert!(done.stderr.contains(told), "{words}: {}", done.stderr);
    }
}
