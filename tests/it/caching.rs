//! What a change costs, and how the plan tells it.

use crate::support::{Project, Server};

const PIPELINE: &str = r#"clue: 1
params:
  url: http://127.0.0.1:1/v1
  notes: {type: path, default: notes.csv}
  max_notes: 4000
models:
  m: {url: "{{ params.url }}", id: m}
stages:
  notes: {load: {path: "{{ params.notes }}", key: id}}
  some: {from: notes, take: "{{ params.max_notes }}"}
  facts: {from: some, generate: {model: m, prompt: prompts/facts.j2, into: fact}}
  questions: {from: facts, generate: {model: m, prompt: prompts/question.j2, into: question}}
outputs:
  all.jsonl: {from: questions}
"#;

fn notes(n: usize) -> String {
    let rows: String = (0..n).map(|at| format!("n{at},text {at}\n")).collect();
    format!("id,text\n{rows}")
}

/// A project that ran once over 12 notes, with its server.
fn ran() -> (Project, Server) {
    let server = Server::bad("");
    let project = Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", &notes(12)),
        (
            "prompts/facts.j2",
            "{# What is asked first #}\nList facts.\n{{ text }}",
        ),
        (
            "prompts/question.j2",
            "Ask about:\n{{ fact }}\nin one line.",
        ),
    ]);
    project.ok(&words("run", &server));
    assert_eq!(asked(&server), 24);
    (project, server)
}

fn words(command: &str, server: &Server) -> String {
    format!("{command} p.yaml --out out -p url={}", server.url())
}

fn asked(server: &Server) -> u64 {
    server.count("/stats", "requests")
}

#[test]
fn again_costs_nothing() {
    let (project, server) = ran();
    let before = project.read("out/all.jsonl");
    let again = project.ok(&words("run", &server));
    assert!(
        again
            .stdout
            .starts_with("p: 0 calls made, 0 from the cache, 0 records failed"),
        "{}",
        again.stdout
    );
    assert_eq!(project.read("out/all.jsonl"), before);
    assert_eq!(asked(&server), 24);
}

#[test]
fn a_comment_runs_nothing() {
    let (project, server) = ran();
    project.write("p.yaml", format!("# a comment\n{PIPELINE}"));
    let plan = project.ok(&words("plan", &server));
    assert!(plan.stdout.ends_with("nothing to do\n"), "{}", plan.stdout);
}

#[test]
fn a_word_in_the_last_prompt_costs_its_calls() {
    let (project, server) = ran();
    project.write(
        "prompts/question.j2",
        "Ask about:\n{{ fact }}\nin one sentence.",
    );
    let plan = project.ok(&words("plan", &server));
    insta::assert_snapshot!(plan.stdout);
    let why = project.ok(&format!("{} questions", words("why", &server)));
    assert!(
        why.stdout.contains("prompts/question.j2 line 3 changed"),
        "{}",
        why.stdout
    );
    project.ok(&words("run", &server));
    assert_eq!(asked(&server), 36);
    // And back: all is known.
    project.write(
        "prompts/question.j2",
        "Ask about:\n{{ fact }}\nin one line.",
    );
    let back = project.ok(&words("run", &server));
    assert_eq!(asked(&server), 36, "{}", back.stdout);
}

#[test]
fn shadowed_prompts_count_as_changed() {
    let (project, server) = ran();
    project.write("mine/question.j2", "Other words: {{ fact }}");
    let plan = project.ok(&format!("{} --prompts mine", words("plan", &server)));
    assert!(
        plan.stdout.contains("prompts/question.j2 line 1 changed"),
        "{}",
        plan.stdout
    );
    project.ok(&format!("{} --prompts mine", words("run", &server)));
    assert_eq!(asked(&server), 36);
}

#[test]
fn a_change_of_no_effect_stops_there() {
    let (project, server) = ran();
    // The prompt file changed, what is sent did not: no call, and the next stage is fresh.
    project.write(
        "prompts/facts.j2",
        "{# Something else #}\nList facts.\n{{ text }}",
    );
    let run = project.ok(&words("run", &server));
    assert_eq!(asked(&server), 24);
    assert!(run.stdout.starts_with("p: 0 calls made"), "{}", run.stdout);
}

#[test]
fn ten_notes_more_cost_their_calls() {
    let (project, server) = ran();
    project.write("notes.csv", notes(22));
    let plan = project.ok(&words("plan", &server));
    insta::assert_snapshot!(plan.stdout.replace(
        &format!(
            "{}/",
            project.path("").canonicalize().expect("a path").display()
        ),
        ""
    ));
    project.ok(&words("run", &server));
    assert_eq!(asked(&server), 24 + 20);
}

#[test]
fn params_are_named() {
    let (project, server) = ran();
    let plan = project.ok(&format!("{} -p max_notes=10", words("plan", &server)));
    insta::assert_snapshot!(plan.stdout);
}

#[test]
fn parts_and_force() {
    let (project, server) = ran();
    project.ok(&format!("{} --force questions", words("run", &server)));
    assert_eq!(asked(&server), 24, "calls stay cached");
    let shown = project.ok(&format!("{} facts n3", words("show", &server)));
    let record: serde_json::Value = serde_json::from_str(&shown.stdout).expect("JSON");
    assert_eq!(record["fields"]["text"], "text 3");
    project.write("prompts/facts.j2", "Anew: {{ text }}");
    project.ok(&format!("{} --until facts", words("run", &server)));
    assert_eq!(asked(&server), 36);
}

#[test]
fn events_as_json() {
    let (project, server) = ran();
    let run = project.ok(&format!("{} --json", words("run", &server)));
    let lines: Vec<serde_json::Value> = run
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.last().expect("a line")["event"], "end");
    assert_eq!(
        lines.last().expect("a line")["outputs"][0]["unchanged"],
        true
    );
}

#[test]
fn the_cache_is_looked_after() {
    let (project, server) = ran();
    let stats: serde_json::Value =
        serde_json::from_str(&project.ok("cache stats --json").stdout).expect("JSON");
    assert_eq!(stats["calls"]["count"], 24);
    assert_eq!(project.ok("cache verify").stdout, "the cache is sound\n");
    project.write("prompts/question.j2", "Other: {{ fact }}");
    project.ok(&words("run", &server));
    project.ok("cache gc --keep-runs 1");
    let again = project.ok(&words("run", &server));
    assert!(
        again.stdout.starts_with("p: 0 calls made"),
        "{}",
        again.stdout
    );
    // Calls are never thrown away by this.
    project.write(
        "prompts/question.j2",
        "Ask about:\n{{ fact }}\nin one line.",
    );
    project.ok(&words("run", &server));
    assert_eq!(asked(&server), 36);
}

#[test]
fn merging_two_caches_is_copying_files() {
    let (project, server) = ran();
    let other = Project::new(&[]);
    for name in [
        "p.yaml",
        "notes.csv",
        "prompts/facts.j2",
        "prompts/question.j2",
    ] {
        other.write(name, project.read(name));
    }
    for entry in std::fs::read_dir(project.path(".clue/calls"))
        .expect("a folder")
        .flatten()
    {
        let name = format!(".clue/calls/{}", entry.file_name().to_string_lossy());
        other.write(&name, project.read(&name));
    }
    other.ok(&words("run", &server));
    assert_eq!(asked(&server), 24);
    assert_eq!(other.read("out/all.jsonl"), project.read("out/all.jsonl"));
}

#[test]
fn a_hundred_thousand_records_in_little_memory() {
    let text = "word ".repeat(60);
    let rows: String = (0..100_000).map(|at| format!("{at},{text}\n")).collect();
    let project = Project::new(&[
        ("notes.csv", &format!("id,text\n{rows}")),
        (
            "p.yaml",
            "clue: 1\nstages:\n  a: {load: {path: notes.csv, key: id}}\n  b: {from: a, where: \"id != '5'\"}\n  \
             c: {from: b, set: {n: text | word_count}}\noutputs:\n  all.jsonl: {from: c}\n",
        ),
    ]);
    let mut child = project
        .command("run p.yaml --out out -q")
        .spawn()
        .expect("runs");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("waits").is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kilobytes.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(child.wait().expect("ends").success());
    assert!(peak > 0 && peak < 100_000, "{peak} kB");
    let lines = project
        .read("out/all.jsonl")
        .iter()
        .filter(|b| **b == b'\n')
        .count();
    assert_eq!(lines, 99_999);
}

/// What runs on clusters leave: scripts, logs, and a note of what is under way.
#[test]
fn folders_of_jobs_go_once_nobody_needs_them() {
    let (project, server) = ran();
    let state = |done: bool, phase: &str| {
        let zeros = "0".repeat(64);
        format!(
            "{{\"version\": 1, \"plan\": \"{zeros}\", \"wave\": 1, \"stages\": [], \"repeats\": 0, \
             \"submitting\": null, \"next\": null, \"assembly\": null, \"cancelled\": [], \
             \"done\": {done}, \"tasks\": {{\"1\": {{\"job\": 7, \"failures\": 0, \"asked\": 0, \
             \"phase\": {phase}}}}}}}"
        )
    };
    let given_up = "{\"given_up\": \"was cancelled\"}";
    project.write(".clue/jobs/done/state.json", state(true, "\"done\""));
    project.write(".clue/jobs/failed/state.json", state(false, given_up));
    project.write(".clue/jobs/failed/wave-1.task-1.log", "a log");
    // Without Slurm nobody can say that it is over.
    project.write(".clue/jobs/runs/state.json", state(false, "\"running\""));
    project.write(".clue/jobs/damaged/state.json", "{");
    let stats = project.ok("cache stats").stdout;
    let jobs = stats.lines().last().expect("a line");
    let cells: Vec<&str> = jobs.split_whitespace().collect();
    assert_eq!(cells[..2], ["jobs", "4"], "{stats}");
    let gc = |more: &str| {
        let mut command = project.command(&format!("cache gc {more}"));
        let done = crate::support::done(command.env("PATH", "/nowhere").output().expect("runs"));
        assert_eq!(done.code, 0, "{}", done.stderr);
        done
    };
    let left = || {
        let names = ["damaged", "done", "failed", "runs"].into_iter();
        let left = names.filter(|name| project.path(&format!(".clue/jobs/{name}")).exists());
        left.collect::<Vec<_>>()
    };
    // Somebody may follow it who is about to end.
    let lock = std::fs::File::create(project.path(".clue/jobs/done/lock")).expect("a file");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    gc("");
    assert_eq!(left().len(), 4);
    drop(lock);
    let told = gc("--dry-run");
    assert!(told.stdout.contains("1 folder of jobs"), "{}", told.stdout);
    assert!(
        told.stderr.contains("damaged/state.json"),
        "{}",
        told.stderr
    );
    assert_eq!(left().len(), 4);
    let told = gc("--json").stdout;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["jobs"]["count"], 1);
    assert_eq!(left(), ["damaged", "failed", "runs"]);
    // The log of what failed stays for as long as runs from before that do.
    project.write("prompts/question.j2", "Other: {{ fact }}");
    project.ok(&words("run", &server));
    gc("--keep-runs 2");
    assert_eq!(left(), ["damaged", "failed", "runs"]);
    gc("--keep-runs 1");
    assert_eq!(left(), ["damaged", "runs"]);
}
