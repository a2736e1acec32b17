//! Sensitive records go only where the user's own configuration allows it, whatever a pipeline
//! says and whatever was agreed to.

use crate::support::{Project, Server};

const NOTES: &str = "{\"id\":\"1\",\"text\":\"SECRET\"}\n";

/// Records that are marked, through this stage, to a model elsewhere.
fn through(middle: &str) -> Project {
    let pipeline = format!(
        "clue: 1
name: p
models:
  far: {{url: \"https://api.invalid/v1\", id: m, retries: 0}}
stages:
  notes:
    load: {{path: notes.jsonl, key: id, sensitive: true}}
  open:
    load: {{path: open.jsonl, key: id}}
{middle}
  asked:
    from: middle
    generate: {{model: far, prompt: ask.j2}}
outputs:
  o.jsonl: {{from: asked}}
"
    );
    Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", NOTES),
        ("open.jsonl", NOTES),
        ("ask.j2", "{{ text }}"),
    ])
}

#[test]
fn sensitive_records_do_not_leave_for_a_foreign_host() {
    let project = through("  middle: {from: notes, where: \"id == '1'\"}");
    let file = project.path(".home/config/clue/config.yaml");
    for words in ["run p.yaml", "run p.yaml --yes", "trust p.yaml --yes"] {
        let refused = project.clue(words);
        assert_eq!(refused.code, 3, "{words}");
        let told = refused
            .stderr
            .replace(&file.display().to_string(), "CONFIG");
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @"
            error: stage `asked` would send sensitive records of `notes` (notes.jsonl) to `api.invalid`, which your own configuration does not allow
              --> p.yaml:13:5
               |
            13 |     generate: {model: far, prompt: ask.j2}
               |     ^^^^^^^^
               |
               = help: only if they may go there: add `api.invalid` to `sensitive: {hosts: […]}` in `CONFIG`

            refused: nothing was run and nothing was sent
            ");
        }
    }
    // The pipeline's own words are no configuration.
    project.write("config.yaml", "sensitive: {hosts: [api.invalid]}\n");
    assert_eq!(project.clue("run p.yaml --yes").code, 3);
    // Allowed by the user: refused for want of consent, then sent (in vain).
    project.write(
        ".home/config/clue/config.yaml",
        "sensitive: {hosts: [\"*.invalid\"]}\n",
    );
    let asked = project.clue("run p.yaml");
    assert_eq!(asked.code, 3);
    assert!(
        asked.stderr.contains("needs your consent"),
        "{}",
        asked.stderr
    );
    assert_eq!(project.clue("run p.yaml --yes").code, 1);
}

#[test]
fn the_mark_follows_records_through_every_kind_of_stage() {
    for middle in [
        "  middle: {from: notes, set: {text: \"'x'\"}}",
        "  middle: {from: notes, exec: {command: [cat]}}",
        "  middle: {from: [open, notes], join: {on: id, into: them}}",
        "  middle: {from: [open, notes], concat: {}}",
        "  middle: {from: open, with: {them: notes}, set: {text: them | length}}",
        "  far: {from: notes, set: {x: '1'}}\n  middle: {from: far, dedupe: {by: id}}",
    ] {
        let project = through(middle);
        let refused = project.clue("run p.yaml --yes");
        assert_eq!(refused.code, 3, "{middle}\n{}", refused.stderr);
        assert!(
            refused
                .stderr
                .contains("sensitive records of `notes` (notes.jsonl) to `api.invalid`"),
            "{middle}\n{}",
            refused.stderr
        );
    }
    let open = through("  middle: {from: open, take: 1}");
    assert_eq!(open.clue("run p.yaml --yes").code, 1);
}

#[test]
fn files_that_the_user_calls_sensitive_are_so_without_a_mark() {
    let project = through("  middle: {from: open, take: 1}");
    project.write(
        ".home/config/clue/config.yaml",
        format!(
            "sensitive: {{paths: [{}]}}\n",
            project.path("open.jsonl").display()
        ),
    );
    let refused = project.clue("run p.yaml --yes");
    assert_eq!(refused.code, 3);
    assert!(
        refused
            .stderr
            .contains("sensitive records of `open` (open.jsonl)"),
        "{}",
        refused.stderr
    );
}

#[test]
fn this_machine_is_asked_about_sensitive_records_without_a_proxy() {
    let server = Server::stub("");
    let project = through("  middle: {from: notes, take: 1}");
    let pipeline = String::from_utf8(project.read("p.yaml")).expect("UTF-8");
    project.write(
        "p.yaml",
        pipeline.replace("https://api.invalid/v1", &server.url()),
    );
    let mut command = project.command("run p.yaml");
    command.env("HTTP_PROXY", "http://user:hidden@proxy.invalid:1");
    let done = crate::support::done(command.output().expect("runs"));
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(server.count("/__stats", "requests"), 1);
}

#[test]
fn a_proxy_is_a_host_that_records_go_to() {
    let project = through("  middle: {from: notes, take: 1}");
    project.write(
        ".home/config/clue/config.yaml",
        "sensitive: {hosts: [api.invalid]}\n",
    );
    let file = project.path(".home/config/clue/config.yaml");
    let told = |words: &str| {
        let mut command = project.command(words);
        command.env("HTTPS_PROXY", "http://user:hidden@proxy.invalid:3128");
        let done = crate::support::done(command.output().expect("runs"));
        assert_eq!(done.code, 3);
        let all = format!("{}{}", done.stdout, done.stderr);
        all.replace(&file.display().to_string(), "CONFIG")
    };
    insta::assert_snapshot!(told("run p.yaml --yes"), @"
    error: stage `asked` would send sensitive records of `notes` (notes.jsonl) to `api.invalid` through the proxy `proxy.invalid`, which your own configuration does not allow
      --> p.yaml:13:5
       |
    13 |     generate: {model: far, prompt: ask.j2}
       |     ^^^^^^^^
       |
       = help: only if they may go there: add `proxy.invalid` to `sensitive: {hosts: […]}` in `CONFIG`

    refused: nothing was run and nothing was sent
    ");
    project.write(
        ".home/config/clue/config.yaml",
        "sensitive: {hosts: [\"*.invalid\"]}\n",
    );
    insta::assert_snapshot!(told("trust p.yaml"), @"
    `p.yaml` would
      send  prompts to `https://api.invalid`   (model `far`)
              through the proxy `proxy.invalid`
    sensitive records would go to
      `api.invalid` through the proxy `proxy.invalid`   (stage `asked`)
    there is no terminal to ask at; say so with `--yes`
    ");
}

/// What is refused when a file is sensitive that the only stage that asks does so with.
fn asked_with(model: &str, setting: &str, sensitive: &str, words: &str) -> String {
    let pipeline = format!(
        "clue: 1
name: p
models:
  far: {{url: \"https://api.invalid/v1\", id: m, retries: 0{model}}}
stages:
  open:
    load: {{path: open.jsonl, key: id}}
  asked:
    from: open
    generate: {{model: far, prompt: prompts/ask.j2{setting}}}
outputs:
  o.jsonl: {{from: asked}}
"
    );
    let project = Project::new(&[
        ("p.yaml", &pipeline),
        ("open.jsonl", NOTES),
        ("prompts/ask.j2", "{% include 'part.j2' %}"),
        ("prompts/part.j2", "A note of a patient. {{ text }}"),
        ("other/part.j2", "Another note of a patient. {{ text }}"),
        ("answer.json", "{\"type\": \"object\", \"properties\": {}}"),
        ("tok/chat_template.jinja", "{{ messages[0].content }}"),
        ("tok/tokenizer_config.json", "{}"),
    ]);
    let words = format!("run p.yaml --yes {words}");
    assert_eq!(project.clue(&words).code, 1, "not sensitive");
    project.write(
        ".home/config/clue/config.yaml",
        format!(
            "sensitive: {{paths: [{}]}}\n",
            project.path(sensitive).display()
        ),
    );
    let refused = project.clue(&words);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    let first = refused.stderr.lines().next().expect("a line");
    first.to_owned()
}

#[test]
fn what_is_asked_with_may_be_sensitive() {
    let template = ", api: completions, chat_template: tok";
    let told = [
        asked_with("", "", "prompts/ask.j2", ""),
        asked_with("", "", "prompts/part.j2", ""),
        asked_with("", "", "other", "--prompts other"),
        asked_with("", ", schema: answer.json", "answer.json", ""),
        asked_with(template, "", "tok/chat_template.jinja", ""),
        asked_with(template, "", "tok/tokenizer_config.json", ""),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    error: stage `asked` would send sensitive records of `asked` (ask.j2) to `api.invalid`, which your own configuration does not allow
    error: stage `asked` would send sensitive records of `asked` (part.j2) to `api.invalid`, which your own configuration does not allow
    error: stage `asked` would send sensitive records of `asked` (part.j2) to `api.invalid`, which your own configuration does not allow
    error: stage `asked` would send sensitive records of `asked` (answer.json) to `api.invalid`, which your own configuration does not allow
    error: stage `asked` would send sensitive records of `asked` (chat_template.jinja) to `api.invalid`, which your own configuration does not allow
    error: stage `asked` would send sensitive records of `asked` (tokenizer_config.json) to `api.invalid`, which your own configuration does not allow
    ");
    let file = ", api: completions, chat_template: tok/chat_template.jinja";
    asked_with(file, "", "tok", "");
}

/// A file is what one stage calls it, whoever else reads it.
#[test]
fn a_file_that_one_stage_calls_sensitive_is_so_for_all() {
    let pipeline = "clue: 1\nmodels:\n  m: {url: \"http://example.org/v1\", id: m}\nstages:\n  \
         notes: {load: {path: d.csv, key: id, sensitive: true}}\n  \
         again: {load: {path: ./d.csv, key: id}}\n  \
         asked: {from: again, generate: {model: m, prompt: q.j2}}\noutputs:\n  \
         o.jsonl: {from: asked}\n  n.jsonl: {from: notes, fields: [id]}\n";
    let project = Project::new(&[
        ("p.yaml", pipeline),
        ("d.csv", "id,text\na,Ann Zyx\n"),
        ("q.j2", "{{ text }}"),
    ]);
    let done = project.clue("run p.yaml --yes");
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("sensitive"), "{}", done.stderr);
}
