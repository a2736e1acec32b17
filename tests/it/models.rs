//! `clue models check`: whether models can be asked, what is wrong, and how to mend it.

use crate::support::{Done, Project, Server, root};

const REST: &str = "stages:\n  notes: {load: {path: n.jsonl}}\noutputs: {o.jsonl: {from: notes}}\n";

/// A pipeline with these models, one a line; `URL` is the server's address, with its `/v1`.
fn project(models: &[&str], url: &str) -> Project {
    let lines: String = models
        .iter()
        .map(|model| format!("  {}\n", model.replace("URL", url)))
        .collect();
    Project::new(&[
        ("p.yaml", &format!("clue: 1\nmodels:\n{lines}{REST}")),
        ("n.jsonl", "{}\n"),
    ])
}

/// What is told, without ports and times, which are never the same.
fn told(done: &Done) -> String {
    let mut text = String::new();
    for line in done.stdout.lines() {
        let line = match line.split_once("127.0.0.1:") {
            Some((head, tail)) => {
                let rest = tail.trim_start_matches(|c: char| c.is_ascii_digit());
                format!("{head}127.0.0.1:PORT{rest}")
            }
            None => line.to_owned(),
        };
        let line = match (line.rsplit_once(" in "), line.ends_with(" s")) {
            (Some((head, _)), true) => format!("{head} in TIME"),
            _ => line,
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[test]
fn good_models_are_ready_in_every_api() {
    let server = Server::stub("--api-key sesame");
    let project = project(
        &[
            "chat: {url: URL, id: stub-llm-1, key_env: CLUE_TEST_DOOR}",
            "text: {url: URL, id: other, instruct: false, key_env: CLUE_TEST_DOOR}",
            "tgi: {url: URL, id: stub-llm-1, api: tgi, instruct: false, key_env: CLUE_TEST_DOOR, sampling: {temperature: 0, top_p: 1}}",
            "claude: {url: URL, id: stub-llm-1, api: anthropic, key_env: CLUE_TEST_DOOR, sampling: {extra: {thinking: {type: enabled, budget_tokens: 2000}}}}",
        ],
        &server.url(),
    );
    let mut command = project.command("models check p.yaml");
    let output = command.env("CLUE_TEST_DOOR", "sesame").output();
    let done = crate::support::done(output.expect("runs"));
    assert_eq!(
        (done.code, done.stderr.as_str()),
        (0, ""),
        "{}",
        done.stdout
    );
    insta::assert_snapshot!(told(&done));
    assert!(!project.path(".clue").exists(), "a cache was made");
}

#[test]
fn what_is_wrong_is_told_with_how_to_mend_it() {
    let stub = Server::stub("--api-key sesame");
    let locked = project(
        &[
            "key: {url: URL, id: stub-llm-1}",
            "unset: {url: URL, id: stub-llm-1, key_env: CLUE_TEST_NOT_SET}",
            "gone: {url: 'http://127.0.0.1:9/v1', id: m}",
        ],
        &stub.url(),
    );
    let free = Server::stub("--tokenizer none");
    let open = project(
        &[
            "long: {url: URL, id: stub-llm-1, sampling: {max_tokens: 9000}}",
            "path: {url: URL/v2, id: stub-llm-1}",
        ],
        &free.url(),
    );
    let mut text = String::new();
    for project in [&locked, &open] {
        let done = project.clue("models check p.yaml");
        assert_eq!(done.code, 1);
        text.push_str(&told(&done));
    }
    for fault in ["404", "400", "500", "429", "json", "choices", "cut", "hang"] {
        let server = Server::bad(&format!("--fault {fault} --after 0"));
        let model = format!("on_{fault}: {{url: URL, id: m, timeout: 0.5, retries: 0}}");
        let mut models = vec![model.as_str()];
        if fault == "404" {
            models.push("no_tgi: {url: URL, id: m, api: tgi, instruct: false}");
            models.push("other: {url: URL, id: bad-server}");
        }
        let project = project(&models, &server.url());
        let done = project.clue("models check p.yaml");
        assert_eq!(done.code, 1, "{fault}: {}", done.stdout);
        text.push_str(&told(&done));
    }
    insta::assert_snapshot!(text);
}

#[test]
fn only_the_named_models_are_looked_at() {
    let server = Server::bad("");
    let project = project(
        &[
            "one: {url: URL, id: bad-server}",
            "two: {url: 'http://127.0.0.1:9/v1', id: m}",
        ],
        &server.url(),
    );
    let done = project.ok("models check p.yaml one --json");
    let json: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(json["ready"], true);
    assert_eq!(json["models"][0]["models"], serde_json::json!(["one"]));
    assert_eq!(json["models"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["models"][0]["checks"][0]["check"], "reachable");
    let unknown = project.clue("models check p.yaml tow");
    assert_eq!(unknown.code, 2);
    assert!(
        unknown.stderr.contains("no model `tow`") && unknown.stderr.contains("did you mean `two`"),
        "{}",
        unknown.stderr
    );
    let none = Project::new(&[("p.yaml", &format!("clue: 1\n{REST}")), ("n.jsonl", "{}\n")]);
    let none = none.clue("models check p.yaml");
    assert_eq!(none.code, 2);
    assert!(none.stderr.contains("names no models"), "{}", none.stderr);
}

#[test]
fn a_server_is_started_with_consent_and_ended() {
    let stub = root().join("tests/stub/bad_server.py");
    let serve = |name: &str, more: &str| {
        format!(
            "{name}: {{id: bad-server, serve: {{command: [python3, {stub:?}, --port, '{{port}}'{more}]}}}}"
        )
    };
    let (good, broken) = (serve("good", ""), serve("broken", ", --no-such-flag"));
    let project = project(&[&good, &broken], "");
    let refused = project.clue("models check p.yaml");
    assert_eq!(refused.code, 3);
    assert!(
        refused
            .stderr
            .starts_with("this check needs your consent, because it would\n  run   python3 "),
        "{}",
        refused.stderr
    );
    let done = project.ok("models check p.yaml good --yes");
    let said = "starting the server of model `good`; its log is `";
    assert!(done.stderr.contains(said), "{}", done.stderr);
    let port = done.stdout.split("127.0.0.1:").nth(1).expect("an address");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let port: u16 = port.parse().expect("a port");
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    let done = project.clue("models check p.yaml --yes");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout
            .contains("  server      WRONG  the server of model `broken` "),
        "{}",
        done.stdout
    );
}
