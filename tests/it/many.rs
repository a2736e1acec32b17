//! Pipelines of so many stages that they are read and looked at by several threads.

use std::fmt::Write;
use std::fs;

use crate::support::Project;

const MANY: usize = 300;

/// A project of as many texts, each with a stage that loads it and an output; `load` for the
/// settings of one.
fn project(load: impl Fn(usize) -> String) -> Project {
    let mut yaml = "clue: 1\nname: many\nstages:\n".to_owned();
    for at in 0..MANY {
        let _ = writeln!(yaml, "  s{at}: {{load: {{{}}}}}", load(at));
    }
    yaml.push_str("outputs:\n");
    for at in 0..MANY {
        let _ = writeln!(yaml, "  {at}.jsonl: {{from: s{at}}}");
    }
    let project = Project::new(&[("p.yaml", &yaml)]);
    fs::create_dir(project.path("in")).expect("a folder");
    for at in 0..MANY {
        project.write(&format!("in/{at}.txt"), format!("text {at}"));
    }
    project
}

fn text(at: usize) -> String {
    format!("path: in/{at}.txt, format: text")
}

#[test]
fn one_changed_file_of_many_is_all_that_is_done_again() {
    let project = project(text);
    let told = |words: &str| project.ok(words).stdout;
    let first = told("run p.yaml -q --out out");
    assert!(first.contains("written: 300 files in out"), "{first}");
    assert!(told("run p.yaml -q --out out").contains("unchanged: 300 files in out"));
    project.write("in/250.txt", "another");
    let one = "written: 1 of 300 files in out";
    assert!(told("run p.yaml -q --out out").contains(one));
    assert_eq!(
        String::from_utf8_lossy(&project.read("out/250.jsonl")),
        "{\"text\": \"another\"}\n"
    );
    fs::remove_file(project.path("out/7.jsonl")).expect("removed");
    assert!(told("run p.yaml -q --out out").contains(one));
    assert!(project.path("out/7.jsonl").is_file());
}

#[test]
fn faults_of_many_stages_are_told_in_the_order_of_the_file() {
    let project = project(|at| match at {
        3 | 150 | 299 => format!("{}, widht: {at}", text(at)),
        _ => text(at),
    });
    let done = project.clue("check p.yaml");
    assert_eq!(done.code, 2);
    let places: Vec<&str> = done
        .stderr
        .lines()
        .filter_map(|line| line.split_once("--> p.yaml:"))
        .map(|(_, place)| place.split_once(':').map_or(place, |(line, _)| line))
        .collect();
    assert_eq!(places, ["7", "154", "303"], "{}", done.stderr);
    assert!(done.stderr.ends_with("3 faults\n"), "{}", done.stderr);
}

#[test]
fn files_of_many_stages_that_cannot_be_read_are_told_before_anything_is_done() {
    let project = project(|at| match at {
        // Whether it is known by its name's end or not.
        100 => "path: in/100.txt".to_owned(),
        _ => text(at),
    });
    for (name, fault) in [
        ("in/200.txt", "is a directory"),
        ("in/100.txt", "is a directory"),
        ("in/201.txt", "no file"),
    ] {
        let path = project.path(name);
        let text = fs::read(&path).expect("read");
        fs::remove_file(&path).expect("removed");
        if fault == "is a directory" {
            fs::create_dir(&path).expect("a folder");
        }
        let done = project.clue("check p.yaml");
        assert_eq!(done.code, 2, "{name}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(fault), "{name}: {}", done.stderr);
        let _ = fs::remove_dir(&path);
        fs::write(&path, text).expect("written");
    }
    project.ok("check p.yaml");
}
