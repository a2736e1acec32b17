//! `clue run --shard`: whoever does what share of the work, in whatever order, the outputs are the
//! same bytes, and no call is made twice.

use std::fmt::Write as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Project, Server};

/// Two waves: `best` needs all questions before the first is answered.
const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 4}
stages:
  notes: {load: {path: notes.csv, key: id}}
  facts: {from: notes, generate: {model: m, prompt: facts.j2, into: facts}, on_error: {skip: 0.5}}
  both: {from: facts, set: {list: "[facts, note]"}}
  fact: {from: both, explode: {field: list, into: fact}}
  asked: {from: fact, generate: {model: m, prompt: ask.j2, into: question}}
  judged: {from: asked, set: {mark: "question | replace('a', '') | length"}}
  best: {from: judged, top_k: {k: 20, by: mark}}
  answered: {from: best, generate: {model: m, prompt: answer.j2, into: answer}}
outputs:
  all.jsonl: {from: answered}
"#;

const NOTES: u64 = 30;
/// A call for each note, two for its facts, and 20 for the best.
const CALLS: u64 = 3 * NOTES + 20;

fn project(more: &str) -> Project {
    let mut notes = "id,note\n".to_owned();
    for at in 0..NOTES {
        let _ = writeln!(notes, "n{at},note {at}");
    }
    notes.push_str(more);
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", &notes),
        ("facts.j2", "Facts of {{ note }}"),
        ("ask.j2", "Ask about {{ fact }}"),
        ("answer.j2", "Answer {{ question }}"),
    ])
}

fn run(server: &Server) -> String {
    format!("run p.yaml --out out -p url={}", server.url())
}

/// The output of one undisturbed run.
fn undisturbed(more: &str) -> Vec<u8> {
    let server = Server::bad("");
    let project = project(more);
    project.clue(&run(&server));
    project.read("out/all.jsonl")
}

#[test]
fn shares_in_any_order_give_the_same_bytes_and_no_call_twice() {
    let server = Server::bad("");
    let project = project("");
    let run = run(&server);
    let share = |shard: &str| project.ok(&format!("{run} --shard {shard}"));
    for shard in ["3/4", "1/4", "3/4", "4/4", "2/4"] {
        share(shard);
        assert!(
            !project.path("out/all.jsonl").exists(),
            "outputs are for all records"
        );
    }
    assert_eq!(server.count("/stats", "requests"), 3 * NOTES);
    // Another number of machines in the second wave; the last one is lost.
    for shard in ["2/3", "1/3"] {
        share(shard);
    }
    let asked = server.count("/stats", "requests");
    assert!((3 * NOTES + 1..CALLS).contains(&asked), "{asked}");
    let done = project.ok(&run);
    let made = CALLS - asked;
    assert!(
        done.stdout.contains(&format!("p: {made} call")),
        "{}",
        done.stdout
    );
    assert_eq!(server.count("/stats", "requests"), CALLS);
    assert_eq!(project.read("out/all.jsonl"), undisturbed(""));
    let idle = share("1/4");
    assert!(
        idle.stderr.contains("nothing is left to share out"),
        "{}",
        idle.stderr
    );
    // The history tells shares from runs, and no other command takes one for a run.
    let runs = project.ok("runs --json").stdout;
    let runs: serde_json::Value = serde_json::from_str(&runs).expect("JSON");
    let runs = runs["runs"].as_array().expect("a list");
    assert_eq!(runs.iter().filter(|run| run["shard"].is_null()).count(), 1);
    assert_eq!(
        runs[1]["shard"],
        serde_json::json!({"index": 1, "count": 3})
    );
    let status = project.ok(&format!("status p.yaml --out out -p url={}", server.url()));
    assert!(!status.stdout.contains("stale"), "{}", status.stdout);
}

#[test]
fn eight_at_once_on_one_store_with_three_killed_give_the_same_bytes() {
    let server = Server::bad("--fault slow --after 0.02");
    let project = project("");
    let run = run(&server);
    let start = |at: usize| -> Child {
        let mut command = project.command(&format!("{run} --shard {at}/8"));
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("runs")
    };
    let mut killed = 0;
    for wave in 0..2 {
        let mut children: Vec<Child> = (1..=8).map(start).collect();
        for (at, victim) in [5_usize, 1, 6].into_iter().enumerate() {
            std::thread::sleep(Duration::from_millis(60 + 40 * at as u64));
            // Still running: this is SIGKILL.
            if children[victim].try_wait().expect("waits").is_none() {
                children[victim].kill().expect("killed");
                killed += 1;
            }
        }
        for mut child in children {
            child.wait().expect("waits");
        }
        // Whoever was killed is started again, in the first wave.
        if wave == 0 {
            for at in [6, 2, 7] {
                project.ok(&format!("{run} --shard {at}/8"));
            }
        }
    }
    assert!(killed >= 3, "only {killed} were killed");
    project.ok(&run);
    assert_eq!(project.read("out/all.jsonl"), undisturbed(""));
    let verified = project.ok("cache verify");
    assert!(
        verified.stdout.contains("sound") || verified.code == 0,
        "{}",
        verified.stdout
    );
}

#[test]
fn what_is_refused_for_good_holds_up_no_wave() {
    let more = "bad,[[overflow]]\n";
    let server = Server::bad("");
    let project = project(more);
    let run = run(&server);
    let shares = || {
        (1..=2)
            .map(|at| project.clue(&format!("{run} --shard {at}/2")))
            .collect::<Vec<_>>()
    };
    let first = shares();
    // Allowed by `on_error`, told, and kept apart from what others tell.
    for share in &first {
        assert_eq!(share.code, 0, "{}", share.stderr);
    }
    let told: Vec<_> = (1..=2)
        .filter(|at| {
            project
                .path(&format!("out/errors.shard-{at}-of-2.jsonl"))
                .exists()
        })
        .collect();
    assert_eq!(told.len(), 1);
    let asked = server.count("/stats", "requests");
    let second = shares();
    assert!(
        second.iter().all(|share| share.code == 0),
        "{}",
        second[0].stderr
    );
    // The refused call is not made again before the end, and then once.
    assert_eq!(server.count("/stats", "requests"), asked + 20);
    project.ok(&run);
    assert_eq!(server.count("/stats", "requests"), asked + 21);
    assert_eq!(project.read("out/all.jsonl"), undisturbed(more));
    assert!(project.path("out/errors.jsonl").exists());
    assert!(told.iter().all(|at| {
        !project
            .path(&format!("out/errors.shard-{at}-of-2.jsonl"))
            .exists()
    }));
}

#[test]
fn a_program_is_run_by_one_machine() {
    let server = Server::bad("");
    let project = Project::new(&[
        (
            "p.yaml",
            r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  listed: {from: notes, exec: {command: [sh, tool.sh]}}
  asked: {from: listed, generate: {model: m, prompt: ask.j2, into: question}}
outputs:
  all.jsonl: {from: asked}
"#,
        ),
        (
            "notes.jsonl",
            "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n{\"id\":\"d\"}\n",
        ),
        ("ask.j2", "Ask about {{ id }}"),
        ("tool.sh", "echo once >> ran.txt\ncat\n"),
    ]);
    let run = format!("{} --yes", run(&server));
    for at in [1, 2, 3] {
        project.ok(&format!("{run} --shard {at}/3"));
    }
    assert_eq!(project.read("ran.txt"), b"once\n");
    for at in [3, 2, 1] {
        project.ok(&format!("{run} --shard {at}/3"));
    }
    assert_eq!(server.count("/stats", "requests"), 4);
    let done = project.ok(&run);
    assert!(done.stdout.contains(": 0 calls made"), "{}", done.stdout);
    assert_eq!(project.read("ran.txt"), b"once\n");
}

#[test]
fn what_is_no_shard_is_refused() {
    let project = project("");
    for words in [
        "--shard 0/3",
        "--shard 4/3",
        "--shard 1/3 --offline",
        "--shard 1/3 --locked",
    ] {
        let done = project.clue(&format!("run p.yaml {words}"));
        assert_eq!(done.code, 2, "{words}: {}", done.stderr);
    }
}
