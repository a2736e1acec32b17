//! The page that `clue view` serves. What it does in a browser is tested there:
//! `tests/browser/view.cjs`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::{Project, Server};

/// `clue view`, ended with the test.
struct View {
    child: Child,
    host: String,
    path: String,
}

impl View {
    fn start(project: &Project, words: &str) -> View {
        let mut child = project
            .command(&format!("view p.yaml --json {words}"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let told: Json = serde_json::from_str(&line).expect("JSON");
        let url = told["url"].as_str().expect("an address");
        let (host, path) = url
            .strip_prefix("http://")
            .and_then(|rest| rest.split_once('/'))
            .expect("an address");
        View {
            child,
            host: host.to_owned(),
            path: format!("/{path}"),
        }
    }

    /// The head and the body of an answer.
    fn get(&self, path: &str, host: &str) -> (String, String) {
        let mut stream = self.ask(path, host);
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a body");
        (head.to_owned(), body.to_owned())
    }

    fn ask(&self, path: &str, host: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).expect("connects");
        let wait = Some(Duration::from_secs(30));
        stream.set_read_timeout(wait).expect("set");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("asks");
        stream
    }

    /// What is served below the address.
    fn page(&self, name: &str) -> (String, String) {
        self.get(&format!("{}{name}", self.path), &self.host)
    }

    fn overview(&self) -> Json {
        serde_json::from_str(&self.page("overview").1).expect("JSON")
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn project(sensitive: bool, server: &Server) -> Project {
    let pipeline = format!(
        "clue: 1\nname: p\nmodels:\n  m: {{url: \"http://127.0.0.1:{}/v1\", id: m}}\nstages:\n  \
         notes:\n    load: {{path: notes.jsonl, key: id, sensitive: {sensitive}}}\n  asked:\n    \
         from: notes\n    generate: {{model: m, prompt: q.j2, into: said}}\noutputs:\n  \
         o.jsonl: {{from: asked}}\n",
        server.port
    );
    let notes =
        "{\"id\": \"n1\", \"text\": \"Hip replaced.\"}\n{\"id\": \"n2\", \"text\": \"Fever.\"}\n";
    Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", notes),
        ("q.j2", "{% user %}{{ text }}{% enduser %}\n"),
    ])
}

fn calls_without_answer(overview: &Json) -> u64 {
    let stages = overview["stages"].as_array().expect("stages");
    stages.iter().filter_map(|s| s["missing"].as_u64()).sum()
}

#[test]
fn what_comes_into_the_cache_is_served() {
    let server = Server::stub("");
    let project = project(false, &server);
    let view = View::start(&project, "");
    let before = view.overview();
    assert_eq!(calls_without_answer(&before), 2);
    assert_eq!(before["tables"][0]["rows"], 0);

    // Events: one at once, and one when there is more.
    let mut lines = BufReader::new(view.ask(&format!("{}events", view.path), &view.host)).lines();
    let mut version = || -> u64 {
        let wanted = lines.find_map(|line| {
            let line = line.expect("a line");
            let json = line.strip_prefix("data: ")?;
            let told: Json = serde_json::from_str(json).expect("JSON");
            told["version"].as_str()?.parse().ok()
        });
        wanted.expect("an event")
    };
    let first = version();
    project.ok("run p.yaml --yes");
    let mut newest = first;
    let done = loop {
        newest = newest.max(version());
        let now = view.overview();
        if now["run"]["ended"] == "done" {
            break now;
        }
    };
    assert!(newest > first);
    assert_eq!(calls_without_answer(&done), 0);
    assert_eq!(done["tables"][0]["rows"], 2);
    let (head, _) = view.page("overview");
    let now = head
        .lines()
        .find_map(|line| line.strip_prefix("clue-version: "))
        .expect("a version");
    let (_, keys) = view.page(&format!("blocks/{now}/{}", done["tables"][0]["block"]));
    let keys: Json = serde_json::from_str(&keys).expect("JSON");
    assert_eq!(keys["keys"], serde_json::json!(["n1", "n2"]));
}

#[test]
fn who_does_not_know_the_address_learns_nothing() {
    let server = Server::stub("");
    let project = project(false, &server);
    let view = View::start(&project, "");
    let (head, body) = view.page("");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    for header in ["cache-control: no-store", "referrer-policy: no-referrer"] {
        assert!(head.contains(header), "{head}");
    }
    assert!(body.contains("connect-src 'self'") && !body.contains("Hip"));
    for path in ["/", "/overview", &format!("/{}/overview", "0".repeat(32))] {
        let (head, _) = view.get(path, &view.host);
        assert!(head.starts_with("HTTP/1.0 404"), "{path}: {head}");
    }
    // A page from elsewhere whose name was made to lead to this computer.
    let overview = format!("{}overview", view.path);
    for host in ["evil.example", "evil.example:80", ""] {
        let (head, body) = view.get(&overview, host);
        assert!(
            head.starts_with("HTTP/1.0 403") && body.is_empty(),
            "{host}: {head}"
        );
    }
    // Through a tunnel, with another port.
    let (head, _) = view.get(&overview, "localhost:8000");
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    // To this computer alone.
    let port = view.host.rsplit(':').next().expect("a port");
    let port = format!(":{:04X} ", port.parse::<u16>().expect("a port"));
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("Linux");
    let here = sockets.contains(&format!(" 0100007F{port}"));
    assert!(here && !sockets.contains(&format!(" 00000000{port}")));
}

#[test]
fn sensitive_texts_are_left_out_unless_asked_for() {
    let server = Server::stub("");
    let project = project(true, &server);
    project.ok("run p.yaml --yes");
    for (words, shown) in [("", false), ("--include-sensitive", true)] {
        let view = View::start(&project, words);
        let overview = view.overview();
        let mut all = overview.to_string();
        for number in 0..20 {
            all += &view.page(&format!("blocks/1/{number}")).1;
        }
        assert_eq!(all.contains("Hip replaced"), shown, "{words}");
        assert_eq!(overview["tables"][0]["hidden"], !shown);
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    let server = Server::stub("");
    let project = project(false, &server);
    let done = project.clue(&format!("view p.yaml --port {}", server.port));
    assert_eq!(done.code, 2);
    let told = format!("cannot serve on port {}", server.port);
    assert!(
        done.stderr.contains(&told) && done.stderr.contains("--port"),
        "{}",
        done.stderr
    );
}
