//! Programs named by a pipeline run, and hosts are sent to, only if the user agrees; what was
//! agreed to is remembered until it changes.

use crate::support::Project;

const PIPELINE: &str = "\
clue: 1
name: p
stages:
  a:
    load: {path: n.jsonl}
  b:
    from: a
    exec: {command: [cat]}
outputs:
  o.jsonl: {from: b}
";

#[test]
fn a_program_runs_only_with_consent() {
    let project = Project::new(&[("p.yaml", PIPELINE), ("n.jsonl", "{\"x\":1}\n")]);
    let refused = project.clue("run p.yaml --out out");
    assert_eq!(refused.code, 3);
    assert_eq!(
        refused.stderr,
        "this run needs your consent, because it would\n  run   cat   (stage `b`)\nallow it with `clue trust p.yaml`, or for this run with `--yes`\n"
    );
    assert!(!project.path("out/o.jsonl").exists());
    project.ok("run p.yaml --out out --yes");
    assert!(project.path("out/o.jsonl").exists());
}

const SCRIPT: &str = "\
clue: 1
name: p
models:
  far: {url: \"https://api.invalid/v1\", id: m}
stages:
  a:
    load: {path: n.jsonl}
  b:
    from: a
    exec: {command: [python3, tool/run.py]}
  c:
    from: b
    generate: {model: far, prompt: ask.j2}
outputs:
  b.jsonl: {from: b}
  c.jsonl: {from: c}
";

const RUN: &str = "\
import sys, helper
for line in sys.stdin:
    print(helper.same(line), end='')
";

fn project() -> Project {
    Project::new(&[
        ("p.yaml", SCRIPT),
        ("n.jsonl", "{\"x\":1}\n"),
        ("ask.j2", "{{ x }}"),
        ("tool/run.py", RUN),
        ("tool/helper.py", "def same(line): return line\n"),
    ])
}

#[test]
fn what_is_trusted_is_not_asked_for_again_until_it_changes() {
    let project = project();
    let first = project.clue("run p.yaml --until b");
    assert_eq!(first.code, 3);
    insta::assert_snapshot!(first.stderr, @"
    this run needs your consent, because it would
      run   python3 tool/run.py   (stage `b`)
              file tool/helper.py, 0feeaa26ae90
              file tool/run.py, 35b5918395c5
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
    let told = project.ok("trust p.yaml --yes");
    insta::assert_snapshot!(told.stdout, @"
    `p.yaml` would
      send  prompts to `https://api.invalid`   (model `far`)
      run   python3 tool/run.py   (stage `b`)
              file tool/helper.py, 0feeaa26ae90
              file tool/run.py, 35b5918395c5
    allowed, until it changes
    ");
    project.ok("run p.yaml --until b");
    // From elsewhere, and with another prompt, it is the same.
    project.write("ask.j2", "{{ x }}!");
    let again = project.ok("trust ./p.yaml");
    assert!(again.stdout.ends_with("you have allowed all of it\n"));
    // Another helper is another program.
    project.write("tool/helper.py", "def same(line): return '{}'\n");
    let changed = project.clue("run p.yaml --until b --force b");
    assert_eq!(changed.code, 3);
    insta::assert_snapshot!(changed.stderr, @"
    this run needs your consent, because it would
      run   python3 tool/run.py   (stage `b`)
              file tool/helper.py, 24b8d4630b70
              file tool/run.py, 35b5918395c5
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
    // Without a terminal nobody can agree.
    let asked = project.clue("trust p.yaml");
    assert_eq!(asked.code, 3);
    insta::assert_snapshot!(asked.stderr, @"there is no terminal to ask at; say so with `--yes`");
    project.ok("trust p.yaml --yes");
    project.ok("run p.yaml --until b --force b");
}

#[test]
fn another_pipeline_of_the_same_content_is_another_pipeline() {
    let project = project();
    project.ok("trust p.yaml --yes");
    project.write("q.yaml", SCRIPT);
    assert_eq!(project.clue("run q.yaml --until b").code, 3);
    let listed = project.ok("trust --list").stdout;
    assert_eq!(listed.matches(".yaml").count(), 1, "{listed}");
    project.ok("trust p.yaml --forget");
    assert_eq!(project.clue("run p.yaml --until b").code, 3);
    let listed = project.ok("trust --list").stdout;
    assert_eq!(listed, "no pipeline is allowed anything\n");
}

#[test]
fn a_pipeline_without_needs_needs_no_trust() {
    let project = Project::new(&[(
        "p.yaml",
        "clue: 1\nstages:\n  a: {load: {path: n.jsonl}}\noutputs:\n  o.jsonl: {from: a}\n",
    )]);
    project.write("n.jsonl", "{}\n");
    let told = project.ok("trust p.yaml");
    assert_eq!(
        told.stdout,
        "`p.yaml` runs no program and sends nothing to another machine\n"
    );
}

#[test]
fn another_scheme_port_or_token_is_asked_for_anew() {
    let project = project();
    project.ok("trust p.yaml --yes");
    assert_eq!(project.clue("run p.yaml").code, 1);
    let told = |with: &str| {
        project.write("p.yaml", SCRIPT.replace("https://api.invalid/v1\"", with));
        let told = project.clue("run p.yaml");
        assert_eq!(told.code, 3, "{with}");
        told.stderr
    };
    insta::assert_snapshot!(told("http://api.invalid/v1\", key_env: API_TOKEN"), @"
    this run needs your consent, because it would
      send  prompts to `http://api.invalid`   (model `far`)
              not encrypted: whoever is on the way can read all of it
              with the content of $API_TOKEN
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
    assert!(told("https://api.invalid:8443/v1\"").contains("`https://api.invalid:8443`"));
    assert!(told("https://api.invalid/v1\", key_env: API_TOKEN").contains("$API_TOKEN"));
    // Another path on the same server is no news.
    project.write("p.yaml", SCRIPT.replace("api.invalid/v1", "api.invalid/v2"));
    assert_eq!(project.clue("run p.yaml").code, 1);
}

#[test]
fn what_was_agreed_to_is_listed_as_it_was_shown() {
    let project = project();
    let text = SCRIPT.replace("id: m", "id: m, key_env: API_TOKEN");
    project.write("p.yaml", text);
    let mut command = project.command("trust p.yaml --yes");
    command.env("HTTPS_PROXY", "http://user:hidden@proxy.invalid:3128");
    let shown = crate::support::done(command.output().expect("runs"));
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    let listed = project.ok("trust --list").stdout;
    for fact in [
        "  send  prompts to `https://api.invalid`   (model `far`)\n",
        "          with the content of $API_TOKEN\n",
        "          through the proxy `proxy.invalid`\n",
        "          file tool/helper.py, 0feeaa26ae90\n",
    ] {
        assert!(shown.stdout.contains(fact), "{}", shown.stdout);
        assert!(listed.contains(fact), "{listed}");
    }
}

#[test]
fn a_script_that_changes_after_consent_is_not_run() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1
name: p
stages:
  a: {load: {path: n.jsonl}}
  b: {from: a, exec: {command: [sh, first/run.sh]}}
  c: {from: a, with: {them: b}, exec: {command: [sh, second/run.sh]}}
outputs:
  o.jsonl: {from: c}
",
        ),
        ("n.jsonl", "{\"x\":1}\n"),
        (
            "first/run.sh",
            "echo 'touch was_run' >> second/part.sh; cat\n",
        ),
        ("second/run.sh", ". second/part.sh; cat\n"),
        ("second/part.sh", "# nothing\n"),
    ]);
    project.ok("trust p.yaml --yes");
    for words in ["run p.yaml", "run p.yaml --yes --force b"] {
        project.write("second/part.sh", "# nothing\n");
        let told = project.clue(words);
        assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
        let told = format!("{}{}", told.stdout, told.stderr);
        assert!(
            told.contains("`sh` was not run: `second/part.sh` has changed since it was allowed"),
            "{told}"
        );
        assert!(!project.path("was_run").exists());
    }
}

#[test]
fn a_server_whose_script_changes_after_consent_is_not_started() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1
name: p
models:
  m: {id: m, retries: 0, serve: {setup: [sh, setup.sh], command: [sh, serve/run.sh]}}
stages:
  a: {load: {path: n.jsonl}}
  b: {from: a, generate: {model: m, prompt: ask.j2}}
outputs:
  o.jsonl: {from: b}
",
        ),
        ("n.jsonl", "{\"x\":1}\n"),
        ("ask.j2", "x"),
        ("setup.sh", "echo 'touch was_run' >> serve/run.sh\n"),
        ("serve/run.sh", "# nothing\n"),
    ]);
    let wrong =
        "cannot start the server of model `m`: `serve/run.sh` has changed since it was allowed";
    let told = project.clue("run p.yaml --yes");
    assert_eq!(told.code, 1, "{}{}", told.stdout, told.stderr);
    let told = format!("{}{}", told.stdout, told.stderr);
    assert!(told.contains(wrong), "{told}");
    // The set-up is made, and not made again: nothing changes now.
    let told = project.clue("models check p.yaml --yes");
    let told = format!("{}{}", told.stdout, told.stderr);
    assert!(!told.contains(wrong), "{told}");
    assert!(project.path("was_run").exists());
}

#[test]
fn what_a_module_or_a_tool_runs_is_part_of_what_is_agreed_to() {
    let pipeline = |command: &str| PIPELINE.replace("[cat]", command);
    let project = Project::new(&[
        ("p.yaml", &pipeline("[python3, -m, pkg.tool]")),
        ("n.jsonl", "{\"x\":1}\n"),
        (
            "pkg/tool.py",
            "import sys\nsys.stdout.write(sys.stdin.read())\n",
        ),
        ("pkg/deep/part.py", ""),
    ]);
    project.ok("trust p.yaml --yes");
    project.ok("run p.yaml --out out");
    project.write("pkg/deep/part.py", "import os");
    let told = project.clue("run p.yaml --until b --force b");
    assert_eq!(told.code, 3);
    insta::assert_snapshot!(told.stderr, @"
    this run needs your consent, because it would
      run   python3 -m pkg.tool   (stage `b`)
              file pkg/deep/part.py, 9c21680bbc77
              file pkg/tool.py, aafe1c8ed19d
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
    project.write("p.yaml", pipeline("[some-tool, --fast]"));
    let told = project.clue("run p.yaml");
    insta::assert_snapshot!(told.stderr, @"
    this run needs your consent, because it would
      run   some-tool --fast   (stage `b`)
              other files of this folder may change unseen
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
}
