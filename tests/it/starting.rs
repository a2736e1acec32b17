//! What helps to begin: a first pipeline, completions, manual pages.

use crate::support::{Project, Server};

#[test]
fn the_first_pipeline_is_sound_tested_and_runs() {
    let project = Project::new(&[]);
    let done = project.ok("init smoking");
    assert!(done.stdout.contains("cd smoking") && done.stdout.contains("clue test"));
    let inside = |words: &str| {
        let mut command = project.command(words);
        command.current_dir(project.path("smoking"));
        crate::support::done(command.output().expect("runs"))
    };
    let checked = inside("check smoking.yaml");
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    let tested = inside("test");
    assert_eq!(tested.code, 0, "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.contains("1 passed"), "{}", tested.stdout);
    let server = Server::stub("");
    let words = format!(
        "run smoking.yaml --yes -p model_address=http://127.0.0.1:{}/v1",
        server.port
    );
    let ran = inside(&words);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("4 calls made") || ran.stdout.contains("4 calls made"));
    // By its own schema, as editors read it.
    let schema: serde_json::Value =
        serde_json::from_slice(&project.read("smoking/clue.schema.json")).expect("JSON");
    let text = String::from_utf8(project.read("smoking/smoking.yaml")).expect("UTF-8");
    let pipeline: serde_json::Value = serde_yaml::from_str(&text).expect("YAML");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<String> = validator
        .iter_errors(&pipeline)
        .map(|fault| fault.to_string())
        .collect();
    assert_eq!(faults, Vec::<String>::new());
}

/// Names that YAML would read as something else.
#[test]
fn any_name_makes_a_sound_pipeline() {
    for name in ["2024", "null", "1e5", "true"] {
        let project = Project::new(&[]);
        project.ok(&format!("init --name {name}"));
        project.ok("test");
    }
}

#[test]
fn nothing_that_is_there_is_touched() {
    let project = Project::new(&[("prompt.j2", "mine"), (".gitignore", "mine")]);
    let done = project.clue("init --name mine");
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("prompt.j2` is there already"),
        "{}",
        done.stderr
    );
    assert!(!project.path("mine.yaml").exists());
    std::fs::remove_file(project.path("prompt.j2")).expect("removed");
    let done = project.ok("init --name mine");
    assert!(done.stderr.contains("left as it is"), "{}", done.stderr);
    assert_eq!(project.read(".gitignore"), b"mine");
    assert_eq!(project.clue("init --name mine").code, 2);

    let done = project.clue("init --name a/b");
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("did you mean `a_b`?"),
        "{}",
        done.stderr
    );
}

#[test]
fn results_that_cannot_be_printed_are_no_success() {
    let project = Project::new(&[]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    let mut command = project.command("schema");
    command.stdout(full.expect("Linux"));
    let done = crate::support::done(command.output().expect("runs"));
    assert_eq!(done.code, 1);
    assert!(
        done.stderr.contains("cannot write to standard output"),
        "{}",
        done.stderr
    );
}

#[test]
fn shells_and_manuals_know_all_commands() {
    let project = Project::new(&[]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let done = project.ok(&format!("completions {shell}"));
        assert!(done.stdout.contains("include-sensitive"), "{shell}");
    }
    assert_eq!(project.clue("completions tcsh").code, 2);
    let page = project.ok("man").stdout;
    assert!(
        page.contains(".TH clue 1") && page.contains("clue\\-run(1)"),
        "{page}"
    );
    project.ok("man -o pages");
    let run = String::from_utf8(project.read("pages/clue-run.1")).expect("UTF-8");
    assert!(
        run.contains("\\-\\-offline") && run.contains(".SH OPTIONS"),
        "{run}"
    );
    assert!(project.path("pages/clue-cache-gc.1").exists());
    assert!(!project.path("pages/clue-supervise.1").exists());
}
