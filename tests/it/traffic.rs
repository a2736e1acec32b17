//! How servers are used: several for one model, limits that are found out, servers that go and come
//! back, and those that do not fit on one machine together.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::{Project, Server, done, root};

/// A pipeline that asks about so many records.
fn project(records: usize, model: &str) -> Project {
    let pipeline = format!(
        "clue: 1\nmodels:\n  m: {{{model}, id: m}}\nstages:\n  notes: {{load: {{path: n.jsonl, key: id}}}}\n  \
         asked: {{from: notes, generate: {{model: m, prompt: p.j2}}}}\noutputs:\n  o.jsonl: {{from: asked}}\n"
    );
    let notes: String = (0..records)
        .map(|n| format!("{{\"id\":\"n{n}\"}}\n"))
        .collect();
    Project::new(&[
        ("p.yaml", &pipeline),
        ("p.j2", "{{ id }}"),
        ("n.jsonl", &notes),
    ])
}

fn lines(project: &Project, name: &str) -> Vec<String> {
    let text = String::from_utf8(project.read(name)).expect("UTF-8");
    text.lines().map(str::to_owned).collect()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Waits until something holds.
fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ended(child: Child) -> crate::support::Done {
    done(child.wait_with_output().expect("ends"))
}

fn started(project: &Project, words: &str) -> Child {
    let mut command = project.command(words);
    let piped = std::process::Stdio::piped;
    command.stdout(piped()).stderr(piped());
    command.spawn().expect("runs")
}

#[test]
fn the_limit_of_a_server_is_found_and_no_record_is_lost() {
    for concurrency in ["auto", "100"] {
        let server = Server::busy("--most 12 --latency-ms 150");
        let model = format!("url: {}, concurrency: {concurrency}", server.url());
        let project = project(300, &model);
        project.ok("run p.yaml --out out");
        assert_eq!(lines(&project, "out/o.jsonl").len(), 300);
        let stats = server.json("/stats");
        let mean = stats["mean"].as_f64().expect("a number");
        // 0.92 and more when nothing else runs; the rest is for busy machines.
        assert!(mean >= 0.8 * 12.0, "{concurrency}: {stats}");
        assert!(
            stats["refused"].as_u64() < Some(250),
            "{concurrency}: {stats}"
        );
    }
}

#[test]
fn two_servers_are_used_evenly_and_one_that_dies_is_routed_round() {
    let (one, two) = (
        Server::busy("--latency-ms 30"),
        Server::busy("--latency-ms 30"),
    );
    let urls = format!(
        "url: [\"{}\", \"{}\"], concurrency: 4",
        one.url(),
        two.url()
    );
    project(200, &urls).ok("run p.yaml --out out");
    let counts = [
        one.count("/stats", "requests"),
        two.count("/stats", "requests"),
    ];
    assert_eq!(counts.iter().sum::<u64>(), 200);
    // A busy machine may slow one of them down, which then gets less.
    assert!(counts[0].abs_diff(counts[1]) <= 60, "{counts:?}");

    let project = project(200, &urls);
    let run = started(&project, "run p.yaml --out out");
    until("begun", || two.count("/stats", "requests") > counts[1] + 20);
    drop(two);
    let ran = ended(run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(lines(&project, "out/o.jsonl").len(), 200);
    assert!(
        ran.stderr.contains("cannot be asked any more"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_server_that_goes_and_comes_back_costs_no_record() {
    let port = free_port();
    let words = format!("--latency-ms 30 --port {port}");
    let server = Server::busy(&words);
    let project = project(100, &format!("url: {}, concurrency: 4", server.url()));
    let run = started(&project, "run p.yaml --out out");
    until("begun", || server.count("/stats", "requests") > 20);
    drop(server);
    std::thread::sleep(Duration::from_secs(2));
    let _server = Server::busy(&words);
    let ran = ended(run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(lines(&project, "out/o.jsonl").len(), 100);
    assert!(ran.stderr.contains("is there again"), "{}", ran.stderr);
}

#[test]
fn a_server_that_stays_away_is_given_up_and_the_rest_goes_on_another_time() {
    let server = Server::busy("--latency-ms 30");
    let model = format!("url: {}, concurrency: 4, patience: 1", server.url());
    let project = project(100, &model);
    let run = started(&project, "run p.yaml --out out");
    until("begun", || server.count("/stats", "requests") > 20);
    drop(server);
    let ran = ended(run);
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let kept = lines(&project, "out/o.jsonl").len();
    let lost = lines(&project, "out/errors.jsonl").len();
    assert!(kept >= 10 && kept + lost == 100, "{kept} kept, {lost} lost");
}

#[test]
fn a_stage_that_has_enough_takes_nothing_from_another_that_asks_the_same() {
    let server = Server::busy("--latency-ms 10");
    let project = project(60, &format!("url: {}, concurrency: 1", server.url()));
    let pipeline = String::from_utf8(project.read("p.yaml")).expect("UTF-8");
    let pipeline = pipeline.replace(
        "outputs:",
        "  few: {from: asked, take: 1}\n  \
         same: {from: notes, generate: {model: m, prompt: p.j2}}\noutputs:",
    );
    let pipeline = pipeline.replace("{from: asked}", "{from: same}\n  few.jsonl: {from: few}");
    project.write("p.yaml", pipeline);
    project.ok("run p.yaml --out out");
    assert_eq!(lines(&project, "out/o.jsonl").len(), 60);
    assert_eq!(lines(&project, "out/few.jsonl").len(), 1);
    assert_eq!(server.count("/stats", "requests"), 60);
}

/// A model whose server is started, with an argument that tells it from others.
fn served(name: &str, more: &str, serve: &str) -> String {
    let script = root().join("tests/stub/busy_server.py");
    let script = script.display();
    format!(
        "serve: {{command: [python3, -u, \"{script}\", --port, \"{{port}}\", --name, {name}, {more}], {serve}}}"
    )
}

#[test]
fn a_server_that_dies_is_started_again() {
    let port = free_port();
    let serve = served("m", "--latency-ms, \"30\"", &format!("port: {port}"));
    let project = project(100, &format!("concurrency: 4, {serve}"));
    let run = started(&project, "run p.yaml --out out --yes");
    let asked = || {
        let stats = TcpStream::connect(("127.0.0.1", port)).is_ok();
        stats && requests(port) > 20
    };
    until("begun", asked);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connects");
    write!(stream, "GET /die HTTP/1.0\r\n\r\n").expect("asks");
    let ran = ended(run);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(lines(&project, "out/o.jsonl").len(), 100);
    let told = "the server of model `m` ended with exit code 3; starting it again (1 of 3)";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert!(project.path(".clue/logs/serve-m.1.log").exists());
}

/// The requests that a server on a port has seen.
fn requests(port: u16) -> u64 {
    use std::io::Read;
    let mut text = String::new();
    let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
        write!(stream, "GET /stats HTTP/1.0\r\n\r\n")?;
        stream.read_to_string(&mut text)
    });
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    asked.map_or(0, |_| json["requests"].as_u64().unwrap_or(0))
}

/// Three models on one machine; the first asks again about what the second said.
fn turns(needs: &str, lock: &str) -> Project {
    let model = |name: &str| {
        let more = format!("--log, \"{{dir}}/log\"{lock}");
        format!("  {name}: {{id: {name}, {}}}\n", served(name, &more, needs))
    };
    let stage = |name: &str, from: &str, model: &str| {
        format!(
            "  {name}: {{from: {from}, generate: {{model: {model}, prompt: {name}.j2, into: {name}}}}}\n"
        )
    };
    let pipeline = [
        "clue: 1\nmodels:\n".to_owned(),
        ["writer", "judge", "other"].map(model).concat(),
        "stages:\n  notes: {load: {path: n.jsonl, key: id}}\n".to_owned(),
        stage("written", "notes", "writer"),
        stage("judged", "written", "judge"),
        stage("mended", "judged", "writer"),
        stage("apart", "notes", "other"),
        "  both: {from: [mended, apart], join: {on: id, how: inner}}\noutputs:\n  o.jsonl: {from: both}\n".to_owned(),
    ]
    .concat();
    // More than the channels between stages hold.
    let notes: String = (0..600).map(|n| format!("{{\"id\":\"n{n}\"}}\n")).collect();
    Project::new(&[
        ("p.yaml", &pipeline),
        ("n.jsonl", &notes),
        ("written.j2", "write {{ id }}"),
        ("judged.j2", "judge {{ written }}"),
        ("mended.j2", "mend {{ judged }}"),
        ("apart.j2", "other {{ id }}"),
    ])
}

#[test]
fn servers_that_do_not_fit_together_run_one_after_the_other() {
    let project = turns("resources: {gpu: 1}", ", --lock, \"{dir}/lock\"");
    let ran = project.ok("run p.yaml --out out --yes");
    let log = lines(&project, "log");
    let starts: Vec<&str> = log
        .iter()
        .filter_map(|l| l.strip_prefix("start "))
        .collect();
    assert_eq!(starts.len(), 4, "{starts:?}\n{}", ran.stderr);
    assert_eq!(starts.iter().filter(|s| **s == "writer").count(), 2);
    assert_eq!(log.len(), 4 + 4 * 600);
    // All at once gives the same bytes.
    let together = turns("resources: {gpu: 1}", "");
    together.ok("run p.yaml --out out --yes --resources gpu=3");
    let log = lines(&together, "log");
    assert_eq!(log.iter().filter(|l| l.starts_with("start ")).count(), 3);
    assert_eq!(project.read("out/o.jsonl"), together.read("out/o.jsonl"));
}

#[test]
fn a_server_that_fits_nowhere_is_told_before_anything_starts() {
    let project = turns("resources: {gpu: 2}", "");
    let ran = project.clue("run p.yaml --out out --yes");
    assert_eq!(ran.code, 2);
    assert_eq!(
        ran.stderr,
        "error: the server of model `writer` needs 2 of `gpu`, and there is 1\n |\n = help: say how much the machine has: `--resources gpu=2`\n\n"
    );
}

#[test]
fn addresses_and_limits_are_checked() {
    let project = project(
        1,
        "url: [\"http://a/v1\", \"ftp://b\"], requests_per_minute: 0, hedge: -1, patience: -1, concurrency: 0",
    );
    let ran = project.clue("check p.yaml");
    assert_eq!(ran.code, 2);
    insta::assert_snapshot!(ran.stderr);
}

/// Two tasks for each model of a list.
const SUITE: &str = r#"clue: 1
params: {models: {type: list}}
include:
  - {file: task.yaml, as: "short/{{ each.model.id }}", for_each: {model: "{{ params.models }}"}, params: {model: "{{ each.model }}", task: short}}
  - {file: task.yaml, as: "long/{{ each.model.id }}", for_each: {model: "{{ params.models }}"}, params: {model: "{{ each.model }}", task: long}}
stages:
  all: {from: ["short/*/asked", "long/*/asked"], concat: {prefix: true}}
outputs: {all.jsonl: {from: all}}
"#;

const TASK: &str = r#"clue: 1
params: {model: {type: map}, task: ""}
models: {subject: "{{ params.model }}"}
stages:
  cases: {load: {path: n.jsonl, key: id}}
  asked: {from: cases, generate: {model: subject, prompt: p.j2}}
"#;

#[test]
fn bench_walks_many_models_over_one_gpu() {
    const MODELS: usize = 25;
    let project = Project::new(&[
        ("suite.yaml", SUITE),
        ("task.yaml", TASK),
        ("p.j2", "{{ params.task }} {{ id }}"),
        (
            "n.jsonl",
            &(0..5)
                .map(|n| format!("{{\"id\":\"n{n}\"}}\n"))
                .collect::<String>(),
        ),
    ]);
    let models: String = (0..MODELS)
        .map(|n| {
            let serve = served(
                &format!("m{n}"),
                "--lock, \"{dir}/lock\", --log, \"{dir}/log\"",
                "resources: {gpu: 1}",
            );
            format!("- {{id: m{n}, {serve}}}\n")
        })
        .collect();
    project.write("models.yaml", models);
    project.ok("bench --pipeline suite.yaml --models models.yaml --out out --yes");
    assert_eq!(lines(&project, "out/all.jsonl").len(), MODELS * 2 * 5);
    let log = lines(&project, "log");
    let starts = log.iter().filter(|line| line.starts_with("start ")).count();
    assert_eq!(starts, MODELS, "each once, for both tasks");
}

/// A server that rounds by what it computed before says the same again only if it is asked the
/// same in the same order: also while it is only just found.
#[test]
fn one_at_a_time_means_in_the_order_of_the_records() {
    let server = Server::stub("--latency-ms 5");
    for _ in 0..5 {
        let project = project(
            40,
            &format!(
                "url: \"http://127.0.0.1:{}/v1\", concurrency: 1",
                server.port
            ),
        );
        assert_eq!(project.clue("run p.yaml --yes --max-calls 7").code, 5);
        assert_eq!(project.clue("run p.yaml --yes --offline").code, 1);
        let missing = lines(&project, "out/p/missing_calls.jsonl");
        assert_eq!(missing.len(), 33);
        assert!(missing[0].contains("\"record\":\"n7\""), "{}", missing[0]);
    }
}
