//! Servers that misbehave: every failure is told for its record, the others go on, and the
//! next run asks for the failed ones only. No text of a record is ever told.

use crate::support::{Project, Server};

const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1, retries: 1}
models:
  m: {url: "{{ params.url }}", id: m, timeout: 0.5, patience: 1, retries: "{{ params.retries }}"}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  asked: {from: notes, generate: {model: m, prompt: p.j2}}
outputs:
  all.jsonl: {from: asked}
"#;

/// Stands for patient text.
const SECRET: &str = "Zyxomma";

fn project(marker: &str) -> Project {
    let notes: String = [marker, "", ""]
        .iter()
        .enumerate()
        .map(|(at, marker)| {
            let text = format!("{SECRET} {at} {marker}");
            format!(
                "{}\n",
                serde_json::json!({"id": format!("n{at}"), "text": text})
            )
        })
        .collect();
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.jsonl", &notes),
        ("p.j2", "{{ text }}"),
    ])
}

fn run(server: &Server, more: &str) -> String {
    format!("run p.yaml --out out -p url={} {more}", server.url())
}

/// One record meets the fault for ever, two are answered.
fn lost(fault: &str) -> String {
    let server = Server::bad("");
    let project = project(&format!("[[{fault}]]"));
    let mut command = project.command(&run(&server, ""));
    let told = crate::support::done(command.env("CLUE_LOG", "trace").output().expect("runs"));
    assert_eq!(told.code, 1, "{fault}: {}", told.stderr);
    let errors = String::from_utf8(project.read("out/errors.jsonl")).expect("UTF-8");
    assert_eq!(errors.lines().count(), 1, "{fault}: {errors}");
    assert_eq!(
        String::from_utf8(project.read("out/all.jsonl"))
            .expect("UTF-8")
            .lines()
            .count(),
        2
    );
    for text in [&told.stdout, &told.stderr, &errors] {
        assert!(
            !text.contains(SECRET) || text == &told.stdout,
            "{fault}: a record's text was told"
        );
    }
    // The samples in the summary are records; nothing else on standard output is.
    let summary = project.clue(&format!("{} --json", run(&server, "")));
    assert!(
        !summary.stdout.contains(SECRET),
        "{fault}: {}",
        summary.stdout
    );
    let error: serde_json::Value = serde_json::from_str(&errors).expect("JSON");
    assert_eq!(
        (&error["stage"], &error["key"]),
        (&"asked".into(), &"n0".into())
    );
    error["why"].as_str().expect("text").to_owned()
}

#[test]
fn every_failure_has_its_words() {
    let told: Vec<String> = [
        "400", "401", "404", "429", "500", "503", "hang", "cut", "drop", "json", "empty", "choices",
    ]
    .iter()
    .map(|fault| format!("{fault}: {}", lost(fault)))
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// How a model of each API is told, and its base address beside the port.
const APIS: [(&str, &str, &str); 4] = [
    ("openai", "instruct: true", "/v1"),
    ("completions", "instruct: false", "/v1"),
    ("tgi", "instruct: false", ""),
    ("anthropic", "sampling: {max_tokens: 9}", "/v1"),
];

/// A prompt with the beginning of an answer.
const BEGUN: &str =
    "{% user %}\n{{ text }}\n{% enduser %}\n{% assistant %}\n{{ 'So: ' }}\n{% endassistant %}\n";

/// A record for each fault, all asked at once through one API.
fn faulty(api: (&str, &str, &str), faults: &[&str], server: &Server) -> (Project, String) {
    let (name, more, base) = api;
    let project = project("");
    let model = format!("id: m, api: {name}, {more}, ");
    project.write("p.yaml", PIPELINE.replace("id: m, ", &model));
    project.write("p.j2", BEGUN);
    let notes = faults.iter().map(|fault| {
        let text = format!("{SECRET} [[{fault}]]");
        format!("{}\n", serde_json::json!({"id": fault, "text": text}))
    });
    project.write("notes.jsonl", notes.collect::<String>());
    let url = format!("http://127.0.0.1:{}{base}", server.port);
    (project, format!("run p.yaml --out out -p url={url}"))
}

#[test]
fn every_failure_has_its_words_in_every_api() {
    let faults = [
        "400", "401", "404", "424", "429", "500", "503", "529", "overflow", "prefill", "hang",
        "cut", "drop", "json", "empty", "choices",
    ];
    for api in APIS {
        let mut faults = faults.to_vec();
        if ["completions", "tgi"].contains(&api.0) {
            // The beginning of an answer is but the end of the text.
            faults.retain(|fault| *fault != "prefill");
        }
        let server = Server::bad("--after 0.1");
        let (project, run) = faulty(api, &faults, &server);
        let mut command = project.command(&format!("{run} --json"));
        let told = crate::support::done(command.env("CLUE_LOG", "trace").output().expect("runs"));
        assert_eq!(told.code, 1, "{}: {}", api.0, told.stderr);
        let errors = String::from_utf8(project.read("out/errors.jsonl")).expect("UTF-8");
        for text in [&told.stdout, &told.stderr, &errors] {
            assert!(
                !text.contains(SECRET),
                "{}: a record's text was told",
                api.0
            );
        }
        let why: std::collections::BTreeMap<String, String> = errors
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .map(|error: serde_json::Value| {
                let text = |name: &str| error[name].as_str().expect("text").to_owned();
                (text("key"), text("why"))
            })
            .collect();
        let lines: Vec<String> = faults
            .iter()
            .map(|fault| format!("{fault}: {}", why[*fault]))
            .collect();
        insta::assert_snapshot!(format!("words_of_{}", api.0), lines.join("\n"));
    }
}

#[test]
fn passing_failures_are_retried_in_every_api() {
    let faults = [
        "424:1", "429:1", "500:1", "503:1", "529:1", "hang:1", "cut:1", "drop:1", "json:1",
    ];
    for api in APIS {
        let server = Server::bad("--after 0.1");
        let (project, run) = faulty(api, &faults, &server);
        project.ok(&run);
        assert!(!project.path("out/errors.jsonl").exists(), "{}", api.0);
        let asked = server.count("/stats", "requests");
        assert_eq!(asked, 2 * faults.len() as u64, "{}", api.0);
    }
}

#[test]
fn passing_failures_are_retried() {
    for fault in ["429", "500", "503", "hang", "cut", "drop", "json"] {
        let server = Server::bad("--after 0.1");
        let project = project(&format!("[[{fault}:1]]"));
        project.ok(&run(&server, ""));
        assert!(!project.path("out/errors.jsonl").exists(), "{fault}");
        assert_eq!(server.count("/stats", "requests"), 4, "{fault}");
    }
}

#[test]
fn the_next_run_asks_only_for_what_failed() {
    let server = Server::bad("");
    let project = project("[[500:2]]");
    let first = project.clue(&run(&server, ""));
    assert_eq!(first.code, 1, "{}", first.stderr);
    let before = server.count("/stats", "requests");
    let second = project.ok(&run(&server, ""));
    assert!(
        second.stdout.contains("1 call made, 2 from the cache"),
        "{}",
        second.stdout
    );
    assert_eq!(server.count("/stats", "requests"), before + 1);
    assert!(!project.path("out/errors.jsonl").exists());
}

#[test]
fn nobody_listens() {
    let project = project("");
    let told = project.clue("run p.yaml --out out -p url=http://127.0.0.1:9/v1");
    assert_eq!(told.code, 1);
    insta::assert_snapshot!(told.stderr);
}

#[test]
fn failures_may_be_skipped_or_stop_the_run() {
    let server = Server::bad("");
    let project = project("[[400]]");
    let with = |policy: &str| {
        let text = PIPELINE.replace(
            "asked: {from",
            &format!("asked: {{on_error: {policy}, from"),
        );
        project.write("p.yaml", text);
        project.clue(&run(&server, "")).code
    };
    assert_eq!(with("{skip: 0.5}"), 0);
    assert_eq!(with("{skip: 0.1}"), 1);
    assert_eq!(with("stop"), 1);
}

#[test]
fn a_managed_server_runs_only_while_it_is_needed() {
    let stub = crate::support::root().join("tests/stub/bad_server.py");
    let pipeline = format!(
        "clue: 1\nmodels:\n  m:\n    id: m\n    serve:\n      command: [python3, {stub:?}, --port, \"{{port}}\"]\n      setup: [python3, -c, \"open('{{setup_dir}}/made', 'a').write('x')\"]\n\
         stages:\n  notes: {{load: {{path: notes.jsonl, key: id}}}}\n  asked: {{from: notes, generate: {{model: m, prompt: p.j2}}}}\noutputs:\n  all.jsonl: {{from: asked}}\n"
    );
    let project = project("");
    project.write("p.yaml", &pipeline);
    let refused = project.clue("run p.yaml --out out");
    assert_eq!(refused.code, 3);
    assert!(
        refused.stderr.contains("bad_server.py"),
        "{}",
        refused.stderr
    );
    let first = project.ok("run p.yaml --out out --yes");
    assert!(
        first.stderr.contains("stopped the server of model `m`"),
        "{}",
        first.stderr
    );
    // All is cached: no server, and so no consent.
    project.ok("run p.yaml --out out");
    // The set-up is not repeated for a new question.
    project.write("p.j2", "Now: {{ text }}");
    project.ok("run p.yaml --out out --yes");
    let envs = std::fs::read_dir(project.path(".clue/envs")).expect("a folder");
    let made: Vec<u64> = envs
        .flatten()
        .filter_map(|env| std::fs::metadata(env.path().join("made")).ok())
        .map(|made| made.len())
        .collect();
    assert_eq!(made, [1]);
}

#[test]
fn a_killed_run_leaves_no_server_behind() {
    let stub = crate::support::root().join("tests/stub/bad_server.py");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let pipeline = format!(
        "clue: 1\nmodels:\n  m:\n    id: m\n    serve:\n      port: {port}\n      command: [python3, {stub:?}, --port, \"{{port}}\", --fault, hang]\n\
         stages:\n  notes: {{load: {{path: notes.jsonl, key: id}}}}\n  asked: {{from: notes, generate: {{model: m, prompt: p.j2}}}}\noutputs:\n  all.jsonl: {{from: asked}}\n"
    );
    let project = project("");
    project.write("p.yaml", &pipeline);
    let mut run = project
        .command("run p.yaml --out out --yes")
        .spawn()
        .expect("runs");
    let listens = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    let within = |seconds: u64, wish: bool| {
        let start = std::time::Instant::now();
        while listens() != wish && start.elapsed().as_secs() < seconds {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        listens() == wish
    };
    assert!(within(30, true), "the server never came");
    run.kill().expect("killed");
    run.wait().expect("ends");
    assert!(within(15, false), "the server is still there");
}
