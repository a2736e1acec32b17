//! `clue test --update`: what it takes as expected, and what it never touches.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use crate::support::Project;
use crate::tests_of_pipelines::{PIPELINE, TEST, project, told};

fn text(project: &Project, name: &str) -> String {
    String::from_utf8(project.read(name)).expect("UTF-8")
}

/// The test, with an expected file as well.
fn with_file(file: &str) -> String {
    let outputs = format!("  outputs: {{all.jsonl: \"{file}\"}}\n  text:");
    TEST.replace("  text:", &outputs)
}

#[test]
fn what_is_marked_sensitive_is_taken_only_on_demand() {
    let test = "clue_test: 1\npipeline: p.yaml\nparams: {notes: notes.csv}\nanswers: [{answer: a}]\n\
                expect:\n  outputs: {all.jsonl: all.jsonl}\n  records: {asked: {n1: {text: other}}}\n";
    let project = project(test);
    project.write("notes.csv", "id,text\nn1,hush: a fever\n");
    let done = project.clue("test --update");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout
            .contains("`--update --include-sensitive` writes it"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("not updated: what comes from data marked `sensitive`"),
        "{}",
        done.stdout
    );
    assert!(!done.stdout.contains("hush"), "{}", done.stdout);
    assert!(!project.path("all.jsonl").exists());
    assert_eq!(text(&project, "a.test.yaml"), test);
    let done = project.ok("test --update --include-sensitive");
    assert!(done.stdout.contains("updated  a.test.yaml"));
    assert_eq!(
        text(&project, "a.test.yaml"),
        test.replace("other", "\"hush: a fever\"")
    );
    project.ok("test");
}

#[test]
fn only_files_of_the_tests_own_project_that_nothing_reads_are_expected_ones() {
    let outer = Project::new(&[]);
    outer.write("inner/.git/config", "[x]\n");
    outer.write("inner/p.yaml", PIPELINE);
    outer.write("inner/ask.j2", "{% user %}Why? {{ text }}{% enduser %}");
    outer.write("inner/none.csv", "id,text\nn1,a\n");
    outer.write("inner/other.yaml", "clue: 1\nstages: {}\n");
    outer.write("x", "mine");
    symlink("../x", outer.path("inner/link")).expect("linked");
    symlink("/dev/null", outer.path("inner/null")).expect("linked");
    for (file, why) in [
        ("../x", "is outside of the test's project, or hidden"),
        ("link", "is outside of the test's project, or hidden"),
        ("/etc/clue-x", "is outside of the test's project, or hidden"),
        ("new/../../y", "leads nowhere"),
        (
            ".git/hooks/x",
            "is outside of the test's project, or hidden",
        ),
        ("a.test.yaml", "is the test itself"),
        ("p.yaml", "is read by the test"),
        ("ask.j2", "is read by the test"),
        ("none.csv", "is read by the test"),
        ("other.yaml", "is a pipeline or a test"),
        ("null", "is no regular file"),
    ] {
        outer.write("inner/a.test.yaml", with_file(file));
        let all = || {
            let names = [
                "inner/p.yaml",
                "inner/ask.j2",
                "inner/none.csv",
                "inner/other.yaml",
            ];
            names.map(|name| outer.read(name))
        };
        let before = all();
        let done = outer.clue("test inner --update");
        assert_eq!(done.code, 2, "{file}: {}{}", done.stdout, done.stderr);
        assert!(done.stdout.contains(why), "{file}: {}", done.stdout);
        assert!(
            done.stdout.contains("inner/a.test.yaml:16:"),
            "{}",
            done.stdout
        );
        assert_eq!(all(), before, "{file}");
        assert_eq!(text(&outer, "inner/a.test.yaml"), with_file(file));
    }
    assert_eq!(outer.read("x"), b"mine");
    assert!(!outer.path("y").exists() && !outer.path("inner/.git/hooks").exists());
    outer.write("inner/a.test.yaml", with_file("new/all.jsonl"));
    outer.ok("test inner --update");
}

#[test]
fn nothing_is_taken_of_a_test_that_went_wrong_otherwise() {
    let test = with_file("all.jsonl").replace("answer: \"YES\"", "answer: old");
    for (change, by, why) in [
        (
            "- {answer: \"no\"}",
            "- {prompt_has: fog, answer: \"no\"}",
            "no answer fits its call",
        ),
        (
            "answer: \"no\"",
            "fails: status 500",
            "`asked` record `n1` failed: status 500",
        ),
    ] {
        let test = test.replace(change, by);
        let project = project(&test);
        project.write("all.jsonl", "before");
        let done = project.clue("test --update");
        assert_eq!(done.code, 1);
        assert!(done.stdout.contains(why), "{}", done.stdout);
        assert!(
            done.stdout
                .contains("not updated: first mend what went wrong otherwise"),
            "{}",
            done.stdout
        );
        assert_eq!(project.read("all.jsonl"), b"before");
        assert_eq!(text(&project, "a.test.yaml"), test);
    }
}

/// One record more at the front would shift all that follow.
#[test]
fn values_are_not_written_in_place_when_records_come_or_go() {
    let test = TEST.replace("  notes:\n", "  notes:\n    - {id: n0, text: A fever.}\n");
    let project = project(&test.replace("[{\"n\": 2}]", "[{\"n\": 3}]"));
    let before = text(&project, "a.test.yaml");
    let done = project.clue("test --update");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout.contains("`asked`: expected 2 records, found 3"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout
            .contains("not updated: values of records whose number is another"),
        "{}",
        done.stdout
    );
    assert_eq!(text(&project, "a.test.yaml"), before);
}

#[test]
fn whatever_comes_is_written_so_that_it_can_be_read() {
    let odd = "\\u007f \\u0085 \\u009f \\u2028 \\ufeff \\ufffe \\uffff 😀 # : '";
    let test = TEST
        .replace("answer: \"yes\"", &format!("answer: \"{odd}\""))
        .replace("answer: \"YES\"", "answer: old");
    let project = project(&test);
    project.ok("test --update");
    project.ok("test");
    // A value that others refer to cannot be changed alone.
    let test = TEST
        .replace(
            "      - {id: n1, answer: \"NO\"}",
            "      - &one {id: n1, answer: old}",
        )
        .replace("  text:", "    found: [{}, {}]\n  text:")
        .replace("description: x", "")
        .replace("found: [{}, {}]", "counted: [*one]");
    project.write("a.test.yaml", &test);
    let done = project.clue("test --update");
    assert_eq!(done.code, 1);
    assert!(
        done.stdout
            .contains("not updated: the values in the test file"),
        "{}",
        done.stdout
    );
    assert_eq!(text(&project, "a.test.yaml"), test);
}

#[test]
fn rights_and_links_of_expected_files_stay() {
    let test = with_file("link").replace("answer: \"NO\"", "answer: old");
    let project = project(&test);
    project.write("expected", "old");
    symlink("expected", project.path("link")).expect("linked");
    for name in ["expected", "a.test.yaml"] {
        let mode = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(project.path(name), mode).expect("set");
    }
    project.ok("test --update");
    assert!(project.path("link").is_symlink());
    assert_ne!(project.read("expected"), b"old");
    for name in ["expected", "a.test.yaml"] {
        let mode = std::fs::metadata(project.path(name)).expect("there");
        assert_eq!(mode.permissions().mode() & 0o777, 0o640, "{name}");
    }
    project.ok("test");
    // Nor is anything replaced that is no regular file.
    std::fs::remove_file(project.path("expected")).expect("removed");
    let made = Command::new("mkfifo")
        .arg(project.path("expected"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    let done = project.clue("test --update");
    assert_eq!(done.code, 2, "{}", done.stdout);
    assert!(
        done.stdout.contains("is no regular file"),
        "{}",
        told(&done)
    );
}
