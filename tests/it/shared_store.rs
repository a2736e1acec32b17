//! A cache that many use: one folder for many processes, and caches that get what others have
//! through a folder. (Through S3: `shared_s3.rs`.)

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::{Project, Server};

/// Records of a pipeline.
pub const RECORDS: usize = 12;

/// A pipeline of two calls a record. The first is the same in all, the second in every third.
fn pipeline(number: usize) -> String {
    let kind = number % 3;
    format!(
        "clue: 1
params: {{url: http://127.0.0.1:1/v1}}
models:
  m: {{url: \"{{{{ params.url }}}}\", id: m, concurrency: 2}}
stages:
  notes: {{load: {{path: notes.csv, key: id}}}}
  first: {{from: notes, generate: {{model: m, prompt: first.j2, into: one}}}}
  second: {{from: first, generate: {{model: m, prompt: second{kind}.j2, into: two}}}}
outputs:
  all.jsonl: {{from: second}}
"
    )
}

pub fn project() -> Project {
    let mut notes = "id,text\n".to_owned();
    for at in 0..RECORDS {
        let _ = writeln!(notes, "n{at},\"text {at}\"");
    }
    let project = Project::new(&[("notes.csv", &notes), ("first.j2", "First: {{ text }}")]);
    for number in 0..6 {
        project.write(&format!("p{number}.yaml"), pipeline(number));
    }
    for kind in 0..3 {
        let prompt = format!("Second {kind}: {{{{ one }}}}");
        project.write(&format!("second{kind}.j2"), prompt);
    }
    project
}

pub fn run(server: &Server, number: usize) -> String {
    format!(
        "run p{number}.yaml -q --out out{number} -p url={}",
        server.url()
    )
}

pub fn output(project: &Project, number: usize) -> Vec<u8> {
    project.read(&format!("out{number}/all.jsonl"))
}

#[test]
fn many_runs_at_once_on_a_shared_folder_and_one_is_killed() {
    let server = Server::bad("--fault slow --after 0.02");
    let shared = project();
    let start = |number| {
        let mut command = shared.command(&run(&server, number));
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("runs")
    };
    let mut children: Vec<Child> = (0..6).map(start).collect();
    while server.count("/stats", "requests") < 8 {
        std::thread::sleep(Duration::from_millis(5));
    }
    children[0].kill().expect("killed");
    for (number, mut child) in children.into_iter().enumerate() {
        let ended = child.wait().expect("ends");
        assert!(number == 0 || ended.success(), "{number}");
    }
    let sound = shared.ok("cache verify").stdout;
    assert_eq!(sound, "the cache is sound\n");
    shared.ok(&run(&server, 0));
    // Each alone, with a cache of its own.
    let alone = project();
    for number in 0..3 {
        alone.ok(&format!("{} --store own{number}", run(&server, number)));
        for same in [number, number + 3] {
            assert_eq!(output(&shared, same), output(&alone, number), "{same}");
        }
    }
    // All that any of them asked is there for all.
    let before = server.count("/stats", "requests");
    for number in 0..6 {
        fs::remove_dir_all(shared.path(&format!("out{number}"))).expect("removed");
        shared.ok(&run(&server, number));
    }
    assert_eq!(server.count("/stats", "requests"), before);
}

#[test]
fn a_folder_gets_what_a_cache_has_and_gives_it_to_another() {
    let server = Server::bad("");
    let project = project();
    project.ok(&format!("{} --store a", run(&server, 0)));
    project.ok(&format!("{} --store b", run(&server, 1)));
    let asked = server.count("/stats", "requests");
    let would = project
        .ok("cache push there --store a --dry-run --json")
        .stdout;
    assert!(!project.path("there").exists());
    let first = project.ok("cache push there --store a --json").stdout;
    let of = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    let (would, first) = (of(&would), of(&first));
    assert_eq!(first["entries"]["count"], would["entries"]["count"]);
    assert_eq!(first["artifacts"], would["artifacts"]);
    assert_eq!(
        (&would["dry_run"], &first["dry_run"]),
        (&true.into(), &false.into())
    );
    // What both have moves once.
    let url = format!("file://{}", project.path("there").display());
    let second = of(&project
        .ok(&format!("cache push {url} --store b --json"))
        .stdout);
    assert!(second["entries"]["count"].as_u64() < first["entries"]["count"].as_u64());
    let again = project.ok("cache push there --store b").stdout;
    assert_eq!(again, "nothing to move: all of it is there\n");

    project.ok("cache pull there --store c");
    assert_eq!(
        project.ok("cache verify --store c").stdout,
        "the cache is sound\n"
    );
    let before = [0, 1].map(|number| output(&project, number));
    for number in [0, 1] {
        fs::remove_dir_all(project.path(&format!("out{number}"))).expect("removed");
        project.ok(&format!("{} --store c", run(&server, number)));
        assert_eq!(output(&project, number), before[number]);
    }
    // What others gave is a cache like any other.
    project.ok(&format!("{} --store there", run(&server, 1)));
    assert_eq!(server.count("/stats", "requests"), asked);

    let same = project.clue("cache push a --store a");
    assert_eq!(same.code, 2);
    assert!(same.stderr.contains("this cache itself"), "{}", same.stderr);
    let none = project.clue("cache pull nowhere --store c");
    assert_eq!(none.code, 2);
    assert!(
        none.stderr.contains("there is no cache at `nowhere`"),
        "{}",
        none.stderr
    );
}

#[test]
fn what_is_damaged_is_left_out_and_made_whole_by_who_has_it() {
    let server = Server::bad("");
    let project = project();
    project.ok(&format!("{} --store a", run(&server, 0)));
    project.ok("cache push there --store a");
    let artifact = first_file(&project.path("there/artifacts"));
    let whole = fs::read(&artifact).expect("read");
    fs::write(&artifact, &whole[..whole.len() / 2]).expect("written");
    let pulled = project.clue("cache pull there --store b");
    assert_eq!(pulled.code, 1);
    assert_eq!(
        pulled.stderr.matches("is damaged: it is left out").count(),
        1
    );
    assert_eq!(
        project.ok("cache verify --store b").stdout,
        "the cache is sound\n"
    );
    // A worse one does not replace a better one.
    assert_eq!(project.clue("cache pull there --store a").code, 1);
    assert_eq!(
        project.ok("cache verify --store a").stdout,
        "the cache is sound\n"
    );
    project.ok("cache push there --store a");
    assert_eq!(fs::read(&artifact).expect("read"), whole);
    project.ok("cache pull there --store b");
}

fn first_file(folder: &Path) -> PathBuf {
    let mut path = folder.to_owned();
    while path.is_dir() {
        let mut inside: Vec<PathBuf> = fs::read_dir(&path)
            .expect("a folder")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        inside.sort();
        path = inside.swap_remove(0);
    }
    path
}

#[test]
fn a_run_gets_what_it_lacks_and_gives_what_it_made() {
    let server = Server::bad("");
    let project = project();
    project.ok(&format!("{} --store a --remote there", run(&server, 0)));
    let asked = server.count("/stats", "requests");
    let before = output(&project, 0);
    fs::remove_dir_all(project.path("out0")).expect("removed");
    project.ok(&format!("{} --store b --remote there", run(&server, 0)));
    assert_eq!(output(&project, 0), before);
    assert_eq!(server.count("/stats", "requests"), asked);
    project.ok(&format!("{} --store b --remote there", run(&server, 1)));
    let more = server.count("/stats", "requests");
    assert_eq!(more, asked + RECORDS as u64);
    // The user's configuration names it for all runs, and a run can do without.
    project.write(".home/config/clue/config.yaml", "remote: there\n");
    project.ok(&format!("{} --store c", run(&server, 1)));
    assert_eq!(server.count("/stats", "requests"), more);
    let offline = project.clue(&format!("{} --store d --offline", run(&server, 1)));
    assert_eq!(offline.code, 1, "{}", offline.stderr);
    project.ok(&format!("{} --store e --remote=", run(&server, 1)));
    assert_eq!(
        server.count("/stats", "requests"),
        more + 2 * RECORDS as u64
    );
    let bad = project.clue(&format!("{} --remote gs://x", run(&server, 1)));
    assert_eq!(bad.code, 2);
}

#[test]
fn a_newer_cache_is_refused() {
    let project = project();
    project.write("there/format.json", "{\"format\":99}\n");
    project.write(".clue/format.json", "{\"format\":1}\n");
    for way in ["push", "pull"] {
        let refused = project.clue(&format!("cache {way} there"));
        assert_eq!(refused.code, 2);
        assert!(
            refused.stderr.contains("has format 99"),
            "{}",
            refused.stderr
        );
    }
    assert!(!project.path("there/calls").exists());
}
