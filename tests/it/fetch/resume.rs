//! Cuts, silence and interrupts: what has come is kept, if it is still the same file.

use std::process::{Command, Stdio};

use super::{DATA, Site, big, line};

#[test]
fn a_cut_costs_what_was_not_there_yet() {
    let site = Site::new();
    site.one("big.csv?cut=20000&times=2", "");
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), big(7));
    let ranges: Vec<_> = site.log().iter().map(|l| l["range"].clone()).collect();
    assert_eq!(
        ranges,
        [None, Some("bytes=20000-"), Some("bytes=40000-")].map(serde_json::Value::from)
    );
    assert!(site.log()[1]["if_range"].is_string());
    assert_eq!(site.log()[1]["encoding"], "identity");
    let left = std::fs::read_dir(site.project.path("data/d")).expect("a folder");
    assert_eq!(left.count(), 1);
}

#[test]
fn the_next_run_goes_on_unless_the_file_changed() {
    let site = Site::new();
    site.one("big.csv?cut=20000&times=1", "");
    let told = site.fails("fetch d --retries 0");
    assert!(
        told.contains("was cut") && told.contains("goes on where it stopped"),
        "{told}"
    );
    assert!(!site.there("data/d/x.csv"));
    assert!(site.ok("fetch").stdout.contains("20.0 kB so far"));
    let told = site.ok("fetch d");
    assert!(told.stderr.contains("20.0 kB are here"), "{}", told.stderr);
    assert_eq!(site.project.read("data/d/x.csv"), big(7));

    let site = Site::new();
    site.one("big.csv?cut=20000&times=1", "");
    site.fails("fetch d --retries 0");
    site.project.write("site/big.csv", big(9));
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), big(9));
    assert_eq!(site.log().len(), 2);

    // Shorter now than what is here.
    let site = Site::new();
    site.project
        .write("site/SUMS", line(DATA.as_bytes(), "big.csv"));
    site.one(
        "big.csv?cut=20000&times=1&tags=no",
        &format!("    sums: \"{}\"\n", site.at("SUMS")),
    );
    site.fails("fetch d --retries 0");
    site.project.write("site/big.csv", DATA);
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), DATA.as_bytes());
}

#[test]
fn servers_without_ranges_or_tags_begin_again() {
    for (query, requests) in [
        ("cut=20000&times=1&ranges=no", 2),
        ("cut=20000&times=1&tags=no", 2),
        ("cut=20000&times=1&tags=weak", 2),
        ("length=no", 1),
    ] {
        let site = Site::new();
        site.one(&format!("big.csv?{query}"), "");
        let told = site.ok("fetch d").stderr;
        assert_eq!(site.project.read("data/d/x.csv"), big(7), "{query}");
        assert_eq!(site.log().len(), requests, "{query}");
        // Of a file whose end nobody tells, nobody knows whether it is all.
        let open = "; the server did not tell its length: look whether it is whole";
        assert_eq!(told.contains(open), query == "length=no", "{told}");
    }
    // With a sum, all is known.
    let site = Site::new();
    site.project.write("site/SUMS", line(&big(7), "big.csv"));
    let sums = format!("    sums: \"{}\"\n", site.at("SUMS"));
    site.one("big.csv?length=no&cut=20000&times=1", &sums);
    let told = site.ok("fetch d").stderr;
    assert!(told.ends_with("sum verified"), "{told}");
    assert_eq!(site.project.read("data/d/x.csv"), big(7));
    // A range that is another one than was asked for is no good.
    let site = Site::new();
    site.one("big.csv?cut=20000&ranges=wrong&times=3", "");
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), big(7));
}

#[test]
fn passing_failures_are_tried_again() {
    for query in [
        "status=503&wait=0",
        "status=500",
        "status=429&wait=1",
        "stall=100",
    ] {
        let site = Site::new();
        site.one(&format!("big.csv?{query}&times=1"), "");
        let start = std::time::Instant::now();
        // Only silence should run into it.
        let patience = if query.contains("stall") { 3 } else { 60 };
        site.ok(&format!("fetch d --timeout {patience}"));
        if query.contains("wait=1") {
            assert!(start.elapsed().as_secs_f64() >= 1.0);
        }
        assert_eq!(site.project.read("data/d/x.csv"), big(7), "{query}");
        assert_eq!(site.log().len(), 2, "{query}");
    }
    let site = Site::new();
    site.one("a.csv?status=500", "");
    assert!(
        site.fails("fetch d --retries 1")
            .contains("answers with status 500")
    );
    assert_eq!(site.log().len(), 2);
    site.one("a.csv?stall=3", "");
    let told = site.fails("fetch d --retries 0 --timeout 1");
    assert!(told.contains("for 1 s"), "{told}");
}

#[test]
fn an_interrupt_keeps_what_came() {
    let site = Site::new();
    site.one("big.csv?stall=20000&times=1", "");
    let mut command = site.project.command("fetch d --yes");
    let mut child = command.stderr(Stdio::piped()).spawn().expect("runs");
    let part = site.project.path("data/d/x.csv.part");
    let size = || std::fs::metadata(&part).map_or(0, |about| about.len());
    let start = std::time::Instant::now();
    while size() < 20000 && start.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    // Nobody else may write the same part.
    assert!(
        site.fails("fetch d")
            .contains("another process is fetching this file")
    );
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("runs").success());
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert_eq!(size(), 20000);
    site.ok("fetch d");
    assert_eq!(site.project.read("data/d/x.csv"), big(7));
}

#[test]
fn to_begin_anew_is_no_progress() {
    let site = Site::new();
    // By turns it comes farther than the last time, but never than ever.
    site.one("big.csv?cut=10000,20000&ranges=no&times=9", "");
    let told = site.fails("fetch d --retries 2");
    assert!(told.contains("was cut"), "{told}");
    assert_eq!(site.log().len(), 4);
}

/// Runs `fetch d` until something waits, and interrupts it.
fn interrupted(site: &Site) {
    let mut command = site.project.command("fetch d --yes");
    let mut child = command.stderr(Stdio::null()).spawn().expect("runs");
    // Long enough to be in the midst of it, and not to wait for an interrupt in vain.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(child.try_wait().expect("there"), None, "it does not wait");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("runs").success());
    for _ in 0..100 {
        if let Some(status) = child.try_wait().expect("there") {
            assert_eq!(status.code(), Some(130));
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    child.kill().expect("killed");
    child.wait().expect("ends");
    panic!("an interrupt does not end it");
}

fn fifo(path: &std::path::Path) {
    let made = Command::new("mkfifo").arg(path).status().expect("runs");
    assert!(made.success());
}

#[test]
fn reading_what_is_there_keeps_nobody_from_interrupting() {
    // A pipe that nobody writes to is a file that takes for ever to read: as the file…
    let site = Site::new();
    site.one("a.csv", "");
    std::fs::create_dir_all(site.project.path("data/d")).expect("made");
    fifo(&site.project.path("data/d/x.csv"));
    interrupted(&site);
    // … and as its beginning.
    let site = Site::new();
    site.one("a.csv", "");
    let note = format!("{{\"url\": \"{}\"}}", site.at("a.csv"));
    site.project.write("data/d/x.csv.part.json", note);
    fifo(&site.project.path("data/d/x.csv.part"));
    interrupted(&site);
}
