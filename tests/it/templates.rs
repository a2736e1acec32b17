//! Models that are sent a text which their chat template makes of a chat: the same answers as over
//! chat, refusals as failed records, and faults at the setting.

use serde_json::{Value as Json, json};

use crate::support::{Project, Server, root};

/// Stands for patient text.
const SECRET: &str = "Zyxomma";

fn template(name: &str) -> String {
    let path = root().join(format!(
        "tests/golden/chat_templates/templates/{name}.jinja"
    ));
    std::fs::read_to_string(path).expect("a template")
}

fn pipeline(url: &str, template: &str) -> String {
    format!(
        "clue: 1\n\
         models:\n\
         \x20 chat: {{url: '{url}', id: stub, system: merge}}\n\
         \x20 text: {{url: '{url}', id: stub, system: merge, api: completions, chat_template: {template}}}\n\
         stages:\n\
         \x20 notes: {{load: {{path: notes.jsonl, key: id}}}}\n\
         \x20 a: {{from: notes, generate: {{model: chat, prompt: p.j2, into: chat}}}}\n\
         \x20 b: {{from: a, generate: {{model: text, prompt: p.j2, into: text_, keep: {{prompt: prompt}}}}}}\n\
         outputs: {{all.jsonl: {{from: b}}}}\n"
    )
}

fn project(pipeline: &str) -> Project {
    let notes: String = ["fever", "{{ x }} {% if %}", "Zürich 患者 \"q\""]
        .iter()
        .enumerate()
        .map(|(at, text)| {
            format!(
                "{}\n",
                json!({"id": format!("n{at}"), "text": format!("{SECRET} {text}")})
            )
        })
        .collect();
    Project::new(&[
        ("p.yaml", pipeline),
        ("notes.jsonl", &notes),
        (
            "p.j2",
            "{% system %}\nBe brief.\n{% endsystem %}\n{% user %}\n{{ text }}\n{% enduser %}\n{% assistant %}\nSo {% endassistant %}\n",
        ),
    ])
}

fn records(project: &Project) -> Vec<Json> {
    let out = String::from_utf8(project.read("out/all.jsonl")).expect("UTF-8");
    out.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

const RUN: &str = "run p.yaml --out out --yes";

#[test]
fn a_text_by_template_is_answered_as_the_chat() {
    for (name, bos, first) in [
        (
            "llama3",
            "<|begin_of_text|>",
            "<|start_header_id|>user<|end_header_id|>\n\nBe brief.\n\nZyxomma fever<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nSo ",
        ),
        (
            "chatml",
            "",
            "<|im_start|>user\nBe brief.\n\nZyxomma fever<|im_end|>\n<|im_start|>assistant\nSo ",
        ),
        (
            "mistral",
            "<s>",
            "[INST] Be brief.\n\nZyxomma fever [/INST] So ",
        ),
    ] {
        let server = Server::stub("");
        let project = project(&pipeline(&server.url(), "tok"));
        let bos = json!({"content": bos, "lstrip": false});
        let list = json!([
            {"name": "tool_use", "template": "{% wrong"},
            {"name": "default", "template": template(name)},
        ]);
        let config = json!({"bos_token": bos, "eos_token": "</s>", "chat_template": list});
        project.write("tok/tokenizer_config.json", config.to_string());
        project.ok(RUN);
        let records = records(&project);
        assert_eq!(records.len(), 3, "{name}");
        for record in &records {
            let answer = record["text_"].as_str().expect("text");
            assert!(
                answer.starts_with("So ") && answer.len() > 3,
                "{name}: {record}"
            );
            assert_eq!(record["chat"], record["text_"], "{name}");
        }
        // Trimmed by the template, the beginning of the answer loses the space at its end.
        let first = if name == "llama3" {
            first.trim_end()
        } else {
            first
        };
        assert_eq!(records[0]["prompt"], first, "{name}");
    }
}

#[test]
fn another_template_asks_anew_and_the_same_does_not() {
    let server = Server::stub("");
    let project = project(&pipeline(&server.url(), "tok/chat_template.jinja"));
    let asked = || server.count("/__stats", "requests");
    project.write("tok/chat_template.jinja", template("chatml"));
    project.ok(RUN);
    assert_eq!(asked(), 6);
    project.ok(RUN);
    assert_eq!(asked(), 6);
    // Other words, the same texts: nothing is asked.
    project.write(
        "tok/chat_template.jinja",
        format!("{{# note #}}{}", template("chatml")),
    );
    project.ok(RUN);
    assert_eq!(asked(), 6);
    project.write("tok/chat_template.jinja", template("phi3"));
    project.ok(RUN);
    assert_eq!(asked(), 9);
    assert_eq!(
        records(&project)[0]["prompt"],
        "<|user|>\nBe brief.\n\nZyxomma fever<|end|>\n<|assistant|>\nSo "
    );
}

#[test]
fn a_refusal_fails_its_record_in_the_templates_words() {
    let server = Server::stub("");
    let inline = "{inline: \"{{ raise_exception('System turns are not known') if messages[0].role == 'system' }}{{ messages[0].content }}{{ raise_exception(messages[0].content) if 'x }}' in messages[0].content }}\"}";
    let yaml = pipeline(&server.url(), inline).replace("system: merge, api", "api");
    let project = project(&yaml);
    project.write("p.j2", "{{ text }}");
    let told = project.clue(RUN);
    assert_eq!(told.code, 1, "{}", told.stderr);
    let errors = String::from_utf8(project.read("out/errors.jsonl")).expect("UTF-8");
    let error: Json = serde_json::from_str(errors.trim()).expect("one error");
    assert_eq!(error["why"], "the chat template refuses the chat (line 1)");
    assert!(!told.stderr.contains(SECRET), "{}", told.stderr);
    project.write(
        "p.j2",
        "{% system %}\nBe brief.\n{% endsystem %}\n{% user %}\n{{ text }}\n{% enduser %}\n",
    );
    assert_eq!(project.clue(RUN).code, 1);
    let errors = String::from_utf8(project.read("out/errors.jsonl")).expect("UTF-8");
    assert_eq!(errors.lines().count(), 3);
    assert!(
        errors.contains("(line 1): System turns are not known; `system: merge` puts the system prompt into the user's turn"),
        "{errors}"
    );
}

#[test]
fn faults_are_told_at_the_setting() {
    let told = |setting: &str, files: &[(&str, &str)]| {
        let project = project(&pipeline("http://127.0.0.1:1/v1", setting));
        for (name, text) in files {
            project.write(name, text);
        }
        let told = project.clue("check p.yaml");
        assert_eq!(told.code, 2, "{setting}: {}{}", told.stdout, told.stderr);
        assert!(told.stderr.contains("p.yaml:4:"), "{}", told.stderr);
        told.stderr
    };
    let has = |text: &str, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "{part}\n{text}");
        }
    };
    has(&told("nowhere", &[]), &["no file `", "nowhere`"]);
    has(
        &told("tok", &[("tok/tokenizer.json", "{}")]),
        &["tok` has neither `tokenizer_config.json` nor `chat_template.jinja`"],
    );
    has(
        &told("tok", &[("tok/tokenizer_config.json", "{\n  \"a\": }")]),
        &["tokenizer_config.json`, line 2, column 8: not valid JSON"],
    );
    has(
        &told(
            "tok",
            &[("tok/tokenizer_config.json", "{\"bos_token\": \"<s>\"}")],
        ),
        &["tokenizer_config.json` has no chat template"],
    );
    has(
        &told(
            "{path: tok, name: rga}",
            &[(
                "tok/tokenizer_config.json",
                r#"{"chat_template": [{"name": "rag", "template": "a"}]}"#,
            )],
        ),
        &[
            "has no chat template `rga`",
            "it has `rag`",
            "did you mean `rag`?",
        ],
    );
    has(
        &told("tok", &[("tok/chat_template.jinja", "a\n{% for %}\n")]),
        &[
            "chat_template.jinja`, line 2: the chat template is not valid Jinja",
            "the line is `{% for %}`",
        ],
    );
    has(
        &told(
            "tok",
            &[("tok/chat_template.jinja", "{{ strftime_now('%d %b %Y') }}")],
        ),
        &[
            "(line 1) fails: ",
            "say which day that is with `date: YYYY-MM-DD`",
        ],
    );
    has(
        &told(
            "{path: tok, date: 2024-02-30}",
            &[("tok/chat_template.jinja", "a")],
        ),
        &["`date` is not a day"],
    );
}
