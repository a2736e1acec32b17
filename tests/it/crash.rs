//! Whatever ends a run, or damages the cache: the next run gives the same bytes, and pays
//! only for what was not stored.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Project, Server, done};

const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1, width: 4}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: "{{ params.width }}"}
stages:
  notes: {load: {path: notes.csv, key: id}}
  first: {from: notes, generate: {model: m, prompt: first.j2, into: one}}
  second: {from: first, generate: {model: m, prompt: second.j2, into: two}}
outputs:
  all.jsonl: {from: second}
"#;

/// Records of the pipeline; twice as many calls.
const RECORDS: usize = 30;

fn project() -> Project {
    let mut notes = "id,text\n".to_owned();
    for at in 0..RECORDS {
        let _ = writeln!(notes, "n{at},\"text {at}\"");
    }
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.csv", &notes),
        ("first.j2", "First: {{ text }}"),
        ("second.j2", "Second: {{ one }}"),
    ])
}

fn run(server: &Server) -> String {
    format!("run p.yaml --out out -p url={}", server.url())
}

/// The output of an undisturbed run.
fn undisturbed() -> Vec<u8> {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server));
    assert_eq!(server.count("/stats", "requests"), 2 * RECORDS as u64);
    project.read("out/all.jsonl")
}

/// Pseudo-random milliseconds, the same in every run of the test.
fn moment(at: u64) -> Duration {
    let mixed = (at + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
    Duration::from_millis(10 + mixed % 90)
}

#[test]
fn fifty_kills_cost_at_most_the_calls_under_way() {
    let expected = undisturbed();
    let server = Server::bad("--fault slow --after 0.03");
    let project = project();
    let mut kills = 0;
    for at in 0..50 {
        let mut child = project.command(&run(&server)).spawn().expect("runs");
        std::thread::sleep(moment(at));
        // Still running: this is SIGKILL.
        if child.try_wait().expect("waits").is_none() {
            child.kill().expect("killed");
            kills += 1;
        }
        child.wait().expect("waits");
    }
    assert!(kills >= 10, "only {kills} runs were killed");
    project.ok(&run(&server));
    assert_eq!(project.read("out/all.jsonl"), expected);
    let asked = server.count("/stats", "requests");
    let most = 2 * RECORDS as u64 + 4 * kills;
    assert!(asked <= most, "{asked} calls, at most {most} expected");
    let again = project.ok(&run(&server));
    assert!(again.stdout.contains(": 0 calls made"), "{}", again.stdout);
}

#[test]
fn an_interrupted_run_drains_and_goes_on() {
    let expected = undisturbed();
    let server = Server::bad("--fault slow --after 0.1");
    let project = project();
    let mut child = project.command(&run(&server));
    let child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("runs");
    while server.count("/stats", "requests") < 9 {
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    let stopped = done(child.wait_with_output().expect("ends"));
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    assert!(
        stopped.stderr.contains("run again to go on"),
        "{}",
        stopped.stderr
    );
    assert!(!project.path("out/all.jsonl").exists());
    project.ok(&run(&server));
    assert_eq!(project.read("out/all.jsonl"), expected);
    // Every answer that was under way was awaited and kept.
    assert_eq!(server.count("/stats", "requests"), 2 * RECORDS as u64);
}

#[test]
fn what_was_asked_is_kept_even_if_nobody_wants_it_any_more() {
    let server = Server::bad("--fault slow --after 0.05");
    let project = project();
    project.write(
        "p.yaml",
        PIPELINE
            .replace("all.jsonl: {from: second}", "all.jsonl: {from: three}")
            .replace("outputs:", "  three: {from: second, take: 3}\noutputs:"),
    );
    project.ok(&run(&server));
    let asked = server.count("/stats", "requests");
    assert!(
        asked < 2 * RECORDS as u64,
        "`take` did not stop its upstream: {asked} calls"
    );
    let stats: serde_json::Value =
        serde_json::from_str(&project.ok("cache stats --json").stdout).expect("JSON");
    assert_eq!(stats["calls"]["count"], asked);
}

#[test]
fn the_schedule_does_not_show_in_the_bytes() {
    let expected = undisturbed();
    let server = Server::bad("");
    for width in [1, 64] {
        let project = project();
        project.ok(&format!("{} -p width={width}", run(&server)));
        assert_eq!(
            project.read("out/all.jsonl"),
            expected,
            "at concurrency {width}"
        );
    }
}

#[test]
fn two_runs_at_once_on_one_cache() {
    let expected = undisturbed();
    let server = Server::bad("--fault slow --after 0.02");
    let project = project();
    let start = |out: &str| {
        let words = format!("run p.yaml --out {out} -p url={}", server.url());
        project.command(&words).spawn().expect("runs")
    };
    let (mut a, mut b) = (start("a"), start("b"));
    assert!(a.wait().expect("ends").success() && b.wait().expect("ends").success());
    assert_eq!(project.read("a/all.jsonl"), expected);
    assert_eq!(project.read("b/all.jsonl"), expected);
}

/// Every file of the cache that holds something worth damaging.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if fs::metadata(&path).is_ok_and(|meta| meta.len() > 0) {
            found.push(path);
        }
    }
    found.sort();
}

#[test]
fn half_of_the_cache_is_gone() {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server));
    let expected = project.read("out/all.jsonl");
    let mut all = Vec::new();
    files(&project.path(".clue/artifacts"), &mut all);
    for path in all.iter().step_by(2) {
        fs::remove_file(path).expect("removed");
    }
    fs::remove_dir_all(project.path("out")).expect("removed");
    project.ok(&run(&server));
    assert_eq!(project.read("out/all.jsonl"), expected);
    // Half of the log of calls, cut in the middle of a frame or not.
    let mut logs = Vec::new();
    files(&project.path(".clue/calls"), &mut logs);
    for path in logs {
        let bytes = fs::read(&path).expect("read");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
    }
    fs::remove_dir_all(project.path("out")).expect("removed");
    fs::remove_dir_all(project.path(".clue/artifacts")).expect("removed");
    project.ok(&run(&server));
    assert_eq!(project.read("out/all.jsonl"), expected);
}

#[test]
fn a_flipped_byte_is_told_and_mended() {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server));
    let expected = project.read("out/all.jsonl");
    for folder in ["calls", "artifacts"] {
        let mut all = Vec::new();
        files(&project.path(".clue").join(folder), &mut all);
        for path in all {
            let Ok(sound) = fs::read(&path) else {
                continue;
            };
            for part in 0..4 {
                let mut bytes = sound.clone();
                let at = (bytes.len() - 1) * part / 3;
                bytes[at] ^= 0x20;
                fs::write(&path, &bytes).expect("written");
                fs::remove_dir_all(project.path("out")).expect("removed");
                let name = path.strip_prefix(project.path("")).expect("inside");
                let place = format!("{} byte {at}", name.display());
                let verify = project.clue("cache verify");
                assert_eq!(verify.code, 1, "{place} was not noticed: {}", verify.stdout);
                project.ok(&run(&server));
                assert_eq!(project.read("out/all.jsonl"), expected, "{place}");
                project.ok("cache verify");
                if !path.exists() {
                    break;
                }
                fs::write(&path, &sound).expect("written");
            }
        }
    }
}

#[test]
fn damage_is_told_by_the_run_that_finds_it() {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server));
    let expected = project.read("out/all.jsonl");
    let mut all = Vec::new();
    files(&project.path(".clue/artifacts"), &mut all);
    for path in &all {
        let mut bytes = fs::read(path).expect("read");
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(path, &bytes).expect("written");
    }
    fs::remove_dir_all(project.path("out")).expect("removed");
    let told = project.ok(&run(&server));
    assert!(told.stderr.contains("warning: "), "{}", told.stderr);
    assert_eq!(project.read("out/all.jsonl"), expected);
}

#[test]
fn a_newer_cache_is_refused() {
    let server = Server::bad("");
    let project = project();
    project.ok(&run(&server));
    project.write(".clue/format.json", r#"{"format":99}"#);
    let refused = project.clue(&run(&server));
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("newer"), "{}", refused.stderr);
}

#[test]
fn a_full_disk_loses_nothing() {
    let mount = |words: &[&str]| {
        let mut command = std::process::Command::new("mount");
        let quiet = std::process::Stdio::null;
        command.args(words).stdout(quiet()).stderr(quiet());
        command.status().is_ok_and(|status| status.success())
    };
    let project = project();
    fs::create_dir(project.path("small")).expect("a folder");
    let disk = project.path("small");
    let disk = disk.to_str().expect("UTF-8");
    if !mount(&["-t", "tmpfs", "-o", "size=20k", "tmpfs", disk]) {
        // Needs the right to mount.
        return;
    }
    let server = Server::bad("");
    let words = format!("{} --store small/store", run(&server));
    let full = project.clue(&words);
    let asked = server.count("/stats", "requests");
    let again = mount(&["-o", "remount,size=16m", disk]).then(|| project.clue(&words));
    let all = server.count("/stats", "requests");
    let ended = std::process::Command::new("umount").arg(disk).status();
    assert!(ended.is_ok_and(|status| status.success()));
    assert_ne!(full.code, 0, "{}", full.stderr);
    assert!(full.stderr.contains("no space left"), "{}", full.stderr);
    let again = again.expect("remounted");
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert!(
        asked <= all && all <= 2 * RECORDS as u64 + 8,
        "{asked}, then {all}"
    );
}
