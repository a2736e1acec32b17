//! Tests of pipelines that must not pass, and what a test needs, keeps and leaves behind.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Project, done};
use crate::tests_of_pipelines::{PIPELINE, TEST, project, told};

fn head() -> &'static str {
    TEST.split("expect:").next().expect("a head")
}

fn fails(project: &Project, code: i32, text: &str) {
    let done = project.clue("test a.test.yaml");
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    let all = format!("{}{}", done.stdout, done.stderr);
    assert!(all.contains(text), "no {text:?} in {all}");
}

#[test]
fn a_missing_answer_is_never_what_is_expected() {
    let rules = head().replace("- {answer: \"no\"}", "- {prompt_has: fog, answer: \"no\"}");
    let project = project(&format!("{rules}expect: {{fails: {{asked: [n1]}}}}\n"));
    fails(
        &project,
        1,
        "`asked` record `n1` failed: no answer fits its call",
    );
    // Nor for the reason's words.
    project.write(
        "a.test.yaml",
        format!("{rules}expect: {{fails: {{asked: {{n1: no answer fits}}}}}}\n"),
    );
    fails(
        &project,
        1,
        "`asked` record `n1` failed: no answer fits its call",
    );
}

#[test]
fn outputs_are_no_stages() {
    for (rest, place) in [
        ("expect: {records: {all.jsonl: []}}\n", "11:20"),
        ("expect: {fails: {all.jsonl: []}}\n", "11:18"),
        ("expect: {}\n", "9:13"),
    ] {
        let head = match rest {
            "expect: {}\n" => head().replace("- {prompt_has", "- {stage: all.jsonl, prompt_has"),
            _ => head().to_owned(),
        };
        let project = project(&format!("{head}{rest}"));
        fails(&project, 2, "`all.jsonl` is an output, not a stage");
        fails(&project, 2, "name the stage that it is made of: `asked`");
        fails(&project, 2, &format!("a.test.yaml:{place}"));
    }
}

#[test]
fn what_a_stopped_run_did_not_come_to_fails_the_test() {
    let rules = head().replace("answer: \"no\"", "fails: status 500");
    let stop = |expect: &str| {
        let project = project(&format!("{rules}expect: {expect}\n"));
        project.write("p.yaml", format!("{PIPELINE}on_error: stop\n"));
        project
    };
    let fail = "fails: {asked: [n1]}";
    let told = "did not come to its end: the run stopped at the first failure";
    fails(
        &stop(&format!("{{{fail}, records: {{counted: {{}}}}}}")),
        1,
        told,
    );
    fails(
        &stop(&format!("{{{fail}, records: {{asked: {{}}}}}}")),
        1,
        told,
    );
    let output = stop(&format!("{{{fail}, text: {{count.json: \"\"}}}}"));
    fails(&output, 1, "`count.json` was not made: the run stopped");
    // What was expected came.
    stop(&format!("{{{fail}}}")).ok("test");
}

#[test]
fn consent_and_the_users_folders_count_in_tests_as_elsewhere() {
    let test = TEST.replace("A fever and", "Fever, fever and");
    let project = project(&test.replace("No complaints", "A fever"));
    let text = PIPELINE
        .replace("where: \"params.word in text\"", "exec: {command: [cat]}")
        .replace("https://example.org/v1", "http://127.0.0.1:9/v1");
    project.write("p.yaml", &text);
    let done = project.clue("test");
    assert_eq!(done.code, 3, "{}{}", done.stdout, done.stderr);
    // The program gets sensitive data, in the test as in a run.
    project.write("notes.csv", "id,text\n");
    project.ok("trust p.yaml -p notes=notes.csv --yes");
    fails(&project, 1, "`asked`: expected 2 records, found 3");
    // Data that the user's configuration calls so, too.
    project.write(
        "p.yaml",
        text.replace(", sensitive: true", "")
            .replace("none.csv", "notes.csv"),
    );
    let config = format!(
        "sensitive: {{paths: ['{}']}}\n",
        project.path("notes.csv").display()
    );
    project.write(".home/config/clue/config.yaml", config);
    fails(&project, 1, "`asked`: expected 2 records, found 3");

    let elsewhere = Project::new(&[("q.j2", "{% user %}Why? {{ text }}{% enduser %}")]);
    let project = self::project(TEST);
    let prompt = elsewhere.path("q.j2").display().to_string();
    project.write("p.yaml", PIPELINE.replace("ask.j2", &prompt));
    fails(&project, 2, "is outside of the pipeline's project");
    project.allow(&elsewhere.path(""));
    project.ok("test");
}

#[test]
fn a_test_needs_only_the_data_of_what_it_looks_at() {
    let project = project(TEST);
    let text = PIPELINE.replace(
        "outputs:\n",
        "  more: {load: {path: missing.csv}}\n  less: {from: more, where: \"true\"}\noutputs:\n  \
         less.jsonl: {from: less}\n",
    );
    project.write("p.yaml", text);
    project.ok("test");
    project.write("a.test.yaml", head());
    fails(&project, 2, "missing.csv");
}

#[test]
fn whole_numbers_are_compared_exactly() {
    let with = |found: &str| {
        TEST.replace(
            "id: n1, text",
            "id: n1, big: 18446744073709551615, list: [18446744073709551614], text",
        )
        .replace(
            "{id: n1, answer",
            &format!("{{big: {found}, id: n1, answer"),
        )
    };
    project(&with("18446744073709551615")).ok("test");
    let project = project(&with("18446744073709551614"));
    fails(
        &project,
        1,
        "`big`: expected 18446744073709551614, found 18446744073709551615",
    );
    project.ok("test --update");
    project.ok("test");
}

#[test]
fn messages_name_the_test_in_the_place_of_files_that_are_gone() {
    let twice = TEST.replace("{id: n3, text", "{id: n1, text");
    let project = project(&twice);
    let done = project.clue("test");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let all = told(&done);
    assert!(
        all.contains("a.test.yaml") && all.contains("`inputs` of `notes`"),
        "{all}"
    );
    assert!(all.contains("records 1 and 3 have the same one"), "{all}");
    assert!(
        !all.contains("inputs/notes") && !all.contains("scratch"),
        "{all}"
    );
    // A setting that the records do not fit; a program whose log is gone.
    project.write("a.test.yaml", TEST.replace("{id: n2, ", "{"));
    let all = told(&project.clue("test"));
    assert!(
        !all.contains("inputs/notes") && !all.contains("scratch"),
        "{all}"
    );
    project.write(
        "p.yaml",
        PIPELINE.replace(
            "where: \"params.word in text\"",
            "exec: {command: [\"false\"]}",
        ),
    );
    project.write("a.test.yaml", TEST);
    let all = told(&project.clue("test --yes"));
    assert!(all.contains("`false` ended with"), "{all}");
    assert!(!all.contains("its log"), "{all}");
}

#[test]
fn pipes_are_neither_tests_nor_cassettes_and_a_test_runs_once() {
    let project = project(TEST);
    let done = project.ok("test a.test.yaml ./a.test.yaml .");
    assert!(
        done.stdout.ends_with("passed   a.test.yaml") || done.stdout.contains("1 test: 1 passed"),
        "{}",
        done.stdout
    );
    let made = Command::new("mkfifo")
        .arg(project.path("pipe.test.yaml"))
        .status();
    assert!(made.expect("mkfifo runs").success());
    project.ok("test");
    let done = project.clue("test pipe.test.yaml");
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("`pipe.test.yaml` is no regular file"),
        "{}",
        done.stderr
    );
    project.write(
        "a.test.yaml",
        format!("{}cassette: pipe.test.yaml\n", head()),
    );
    fails(&project, 2, "`pipe.test.yaml` is no regular file");
}

#[test]
fn a_test_that_is_interrupted_leaves_nothing_behind() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::TERM] {
        let project = project(TEST);
        project.write(
            "p.yaml",
            PIPELINE.replace(
                "where: \"params.word in text\"",
                "exec: {command: [sh, wait.sh]}",
            ),
        );
        project.write("wait.sh", "echo $$ > pid\nexec sleep 60\n");
        let temp = project.path("temp");
        std::fs::create_dir(&temp).expect("a folder");
        let mut command = project.command("test --yes");
        command.env("TMPDIR", &temp);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("runs");
        let begun = Instant::now();
        let started =
            || std::fs::read_to_string(project.path("pid")).is_ok_and(|pid| pid.ends_with('\n'));
        while !started() {
            assert!(begun.elapsed() < Duration::from_secs(20), "it never began");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(std::fs::read_dir(&temp).expect("a folder").count(), 1);
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).expect("a signal");
        let done = done(child.wait_with_output().expect("ends"));
        assert_eq!(done.code, 130, "{}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains("interrupted"), "{}", done.stderr);
        assert_eq!(std::fs::read_dir(&temp).expect("a folder").count(), 0);
        let program = String::from_utf8(project.read("pid")).expect("UTF-8");
        let program = rustix::process::Pid::from_raw(program.trim().parse().expect("a number"));
        let program = program.expect("a process");
        let gone = || rustix::process::test_kill_process(program).is_err();
        while !gone() {
            assert!(begun.elapsed() < Duration::from_secs(30), "it lives on");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
