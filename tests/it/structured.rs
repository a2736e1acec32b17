//! Answers that are JSON of a schema: over every API, put right or told as unread, and never
//! quoted.

use serde_json::{Value as Json, json};

use crate::support::{Done, Project, Server};

/// Stands for patient text; the stub puts it into its wrong answers.
const SECRET: &str = "Zyxomma";

const PIPELINE: &str = r#"clue: 1
params: {url: x}
models:
  m: {url: "{{ params.url }}", id: m, retries: 0, MODEL}
stages:
  notes: {load: {path: notes.jsonl, key: id}}
  asked:
    from: notes
    generate:
      model: m
      prompt: p.j2
      STAGE
outputs:
  all.jsonl: {from: asked}
"#;

/// A schema with a type, a limit, an enumeration and a reference.
const SCHEMA: &str = "{type: object, properties: {size: {type: integer, minimum: 1}, side: {enum: [left, right]}, \
     notes: {type: array, items: {$ref: '#/$defs/note'}}}, required: [size, side, notes], \
     additionalProperties: false, $defs: {note: {type: string}}}";

const PROMPT: &str = "{% user %}{{ text }}{% enduser %}\n";

/// How a model of each API is told. Texts are made of chats by a template.
const APIS: [(&str, &str, &str); 4] = [
    ("openai", "sampling: {max_tokens: 99}", "/v1"),
    (
        "completions",
        "json_schema: json_schema, sampling: {max_tokens: 99}, chat_template: {inline: TEMPLATE}",
        "/v1",
    ),
    (
        "tgi",
        "sampling: {max_tokens: 99}, chat_template: {inline: TEMPLATE}",
        "",
    ),
    ("anthropic", "sampling: {max_tokens: 99}", "/v1"),
];

const TEMPLATE: &str = r#"'{% for m in messages %}{{ m.content }} {% endfor %}'"#;

/// A note of each kind that the stub knows.
const KINDS: [&str; 5] = ["good", "fenced", "broken", "unfit", "hopeless"];

fn project(model: &str, stage: &str) -> Project {
    let model = model.replace("TEMPLATE", TEMPLATE);
    let notes = KINDS.map(|kind| {
        let text = format!("{SECRET} fell. [[json {kind}]]");
        format!("{}\n", json!({"id": kind, "text": text}))
    });
    let pipeline = PIPELINE.replace("MODEL", &model).replace("STAGE", stage);
    Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", &notes.concat()),
        ("p.j2", PROMPT),
    ])
}

fn words(server: &Server, base: &str) -> String {
    let url = format!("http://127.0.0.1:{}{base}", server.port);
    format!("run p.yaml --out out -p url={url}")
}

fn lines(project: &Project, name: &str) -> Vec<Json> {
    let text = String::from_utf8(project.read(name)).expect("UTF-8");
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn stage<'a>(done: &'a Json, name: &str) -> &'a Json {
    let stages = done["stages"].as_array().expect("stages");
    let found = stages.iter().find(|stage| stage["stage"] == name);
    found.expect("the stage")
}

/// The last line of a run with `--json`.
fn end(done: &Done) -> Json {
    let line = done.stdout.lines().last().expect("a line");
    serde_json::from_str(line).expect("JSON")
}

fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "no `{part}` in:\n{text}");
}

#[test]
fn every_api_fits_the_schema_and_puts_answers_right() {
    let told = APIS.map(|(api, model, base)| {
        let server = Server::stub("");
        let stage_of = format!(
            "schema: {SCHEMA}\n      repair: true\n      keep: {{repaired: again, answer: raw}}"
        );
        let project = project(&format!("api: {api}, {model}"), &stage_of);
        let done = project.clue(&words(&server, base));
        assert_eq!(done.code, 1, "{api}: {}", done.stderr);
        contains(&done.stdout, "8 calls made");
        contains(
            &done.stdout,
            "unread: 1 of 5 answers in `asked`, 2 of 3 put right when asked again",
        );
        // Natively, in both rounds.
        assert_eq!(server.count("/__stats", "told_a_schema"), 8, "{api}");
        let all = lines(&project, "out/all.jsonl");
        let again: Vec<(&str, bool)> = all
            .iter()
            .map(|one| (one["id"].as_str().expect("text"), one["again"] == true))
            .collect();
        assert_eq!(
            again,
            [
                ("good", false),
                ("fenced", false),
                ("broken", true),
                ("unfit", true)
            ]
        );
        for one in &all {
            let answer = &one["answer"];
            assert!(answer["size"].as_i64().is_some_and(|n| n >= 1), "{one}");
            assert!(answer["side"] == "left" || answer["side"] == "right");
            assert!(answer["notes"][0].is_string());
            let names: Vec<&String> = answer.as_object().expect("a map").keys().collect();
            assert_eq!(names, ["size", "side", "notes"]);
            assert!(one["raw"].is_string(), "{one}");
        }
        let errors = lines(&project, "out/errors.jsonl");
        assert_eq!(errors.len(), 1);
        assert_eq!(
            (&errors[0]["key"], &errors[0]["kind"]),
            (&json!("hopeless"), &json!("answer"))
        );
        assert!(!done.stderr.contains(SECRET), "{}", done.stderr);
        assert!(!errors[0].to_string().contains(SECRET));
        // All is in the cache, the second rounds too.
        let done = project.clue(&format!("{} --json", words(&server, base)));
        let end = end(&done);
        let row = stage(&end, "asked");
        assert_eq!(
            (
                &row["asked"],
                &row["cached"],
                &row["unread"],
                &row["repaired"]
            ),
            (&json!(0), &json!(8), &json!(1), &json!(2))
        );
        contains(&done.stdout, "\"kind\":\"answer\"");
        assert!(!done.stdout.contains(SECRET), "{}", done.stdout);
        errors[0]["why"].as_str().expect("text").to_owned()
    });
    assert_eq!(told, ["the answer is not JSON"; 4]);
}

#[test]
fn without_repair_what_does_not_fit_is_told_and_lost() {
    let server = Server::stub("");
    let project = project("", &format!("schema: {SCHEMA}"));
    let done = project.clue(&words(&server, "/v1"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    contains(&done.stdout, "5 calls made");
    contains(&done.stdout, "unread: 3 of 5 answers in `asked`\n");
    let why: Vec<String> = lines(&project, "out/errors.jsonl")
        .iter()
        .map(|error| format!("{}: {}", error["key"], error["why"]))
        .collect();
    insta::assert_snapshot!(why.join("\n"), @r#"
    "broken": "the answer is not JSON"
    "unfit": "the answer does not fit the schema: it lacks `size`, it lacks `side`, it lacks `notes`, and more"
    "hopeless": "the answer is not JSON"
    "#);
    assert!(!done.stderr.contains(SECRET), "{}", done.stderr);

    // What was answered well is not asked again, nor is what was not; only put right.
    project.write(
        "p.yaml",
        PIPELINE
            .replace("MODEL", "")
            .replace("STAGE", &format!("schema: {SCHEMA}\n      repair: true")),
    );
    let plan =
        project.ok(&words(&server, "/v1").replace("run p.yaml --out out", "plan p.yaml --out out"));
    contains(&plan.stdout, "3 calls");
    let done = project.clue(&format!("{} --max-calls 2", words(&server, "/v1")));
    assert_eq!(done.code, 5, "{}", done.stderr);
    let done = project.clue(&words(&server, "/v1"));
    contains(&done.stdout, "1 call made, 7 from the cache");
    assert_eq!(server.count("/__stats", "requests"), 8);
}

#[test]
fn a_model_that_is_not_told_sees_the_schema_in_its_prompt() {
    let server = Server::stub("");
    let project = project(
        "json_schema: none",
        &format!("schema: {SCHEMA}\n      parse: answer.size"),
    );
    project.write(
        "p.j2",
        "{% user %}{{ text }}\nJSON Schema:\n{{ schema | json }}{% enduser %}",
    );
    let done = project.clue(&words(&server, "/v1"));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert_eq!(server.count("/__stats", "told_a_schema"), 0);
    // What is parsed is the JSON.
    let all = lines(&project, "out/all.jsonl");
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one["answer"].is_i64()), "{all:?}");

    // A base model is asked so by itself.
    let base = "instruct: false, sampling: {max_tokens: 99}";
    project.write(
        "p.yaml",
        PIPELINE
            .replace("MODEL", base)
            .replace("STAGE", &format!("schema: {SCHEMA}")),
    );
    project.clue(&words(&server, "/v1"));
    assert_eq!(server.count("/__stats", "told_a_schema"), 0);
    assert_eq!(lines(&project, "out/all.jsonl").len(), 2);
}

#[test]
fn the_same_schema_is_the_same_call_wherever_it_stands() {
    let server = Server::stub("");
    let project = project("", &format!("schema: {SCHEMA}"));
    let run = |stage: &str, made: &str| {
        let pipeline = PIPELINE.replace("MODEL", "").replace("STAGE", stage);
        project.write("p.yaml", pipeline);
        let done = project.clue(&words(&server, "/v1"));
        assert_eq!(done.code, 1, "{stage}: {}", done.stderr);
        contains(&done.stdout, made);
    };
    let json = r##"{"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}, "side": {"enum": ["left", "right"]}, "notes": {"type": "array", "items": {"$ref": "#/$defs/note"}}}, "required": ["size", "side", "notes"], "additionalProperties": false, "$defs": {"note": {"type": "string"}}}"##;
    run(&format!("schema: {SCHEMA}"), "5 calls made");
    project.write("s.json", json);
    run("schema: s.json", "0 calls made");
    project.write("s.yaml", SCHEMA);
    run("schema: s.yaml", "0 calls made");
    project.write(
        "p.j2",
        format!("{{% schema %}}\n{json}\n{{% endschema %}}\n{PROMPT}"),
    );
    run("into: answer", "0 calls made");
    project.write("p.j2", PROMPT);
    // Another limit is another question; so is another order, which servers follow.
    project.write("s.json", json.replace("\"minimum\": 1", "\"minimum\": 2"));
    run("schema: s.json", "5 calls made");
    let side = r#""side": {"enum": ["left", "right"]}, "#;
    let (size, notes) = json.split_once(side).expect("is there");
    let turned = size.replace("\"size\"", &format!("{side}\"size\"")) + notes;
    project.write("s.json", turned);
    run("schema: s.json", "5 calls made");
    // Params fill it in.
    let params = SCHEMA.replace("[left, right]", "'{{ params.sides }}'");
    let pipeline = PIPELINE
        .replace("MODEL", "")
        .replace("STAGE", &format!("schema: {params}"))
        .replace("{url: x}", "{url: x, sides: [left, right]}");
    project.write("p.yaml", pipeline);
    contains(&project.clue(&words(&server, "/v1")).stdout, "0 calls made");
}

#[test]
fn a_judge_gives_its_verdict_in_json() {
    let server = Server::stub("");
    let pipeline = "clue: 1\nparams: {url: x}\nmodels:\n  j: {url: \"{{ params.url }}\", id: j, retries: 0}\nstages:\n  \
                    notes: {load: {path: notes.jsonl, key: id}}\n  judged:\n    from: notes\n    judge:\n      \
                    model: j\n      prompt: p.j2\n      scale: {wrong: 0, right: 1}\n      unclear: none\n      \
                    schema: {type: object, properties: {reason: {type: string}, verdict: {enum: '{{ params.words }}'}}, required: [reason, verdict], additionalProperties: false}\n\
                    outputs:\n  all.jsonl: {from: judged}\n";
    let project = project("", "");
    project.write(
        "p.yaml",
        pipeline.replace("{url: x}", "{url: x, words: [wrong, right]}"),
    );
    project.ok(&words(&server, "/v1"));
    let all = lines(&project, "out/all.jsonl");
    assert_eq!(all.len(), 5);
    for one in &all {
        let known = one["id"] == "good" || one["id"] == "fenced";
        let score = match one["score_verdict"].as_str() {
            Some("right") => json!(1),
            Some("wrong") => json!(0),
            _ => Json::Null,
        };
        assert_eq!((&one["score"], known), (&score, !score.is_null()), "{one}");
        let reason = one["score_reason"].as_str().expect("text");
        assert!(!known || reason.starts_with("text-"), "{one}");
    }
}

#[test]
fn faults_have_places() {
    let told = |model: &str, stage: &str, prompt: &str| {
        let project = project(model, stage);
        project.write("p.j2", prompt);
        let done = project.clue("check p.yaml -p url=http://127.0.0.1:9/v1");
        assert_eq!(done.code, 2, "{stage}: {}", done.stderr);
        done.stderr
    };
    let open = "schema: {type: object}";
    let all = [
        told(
            "",
            "schema: {type: object, properties: {a: {type: strng}}}",
            PROMPT,
        ),
        told("", "schema: {type: object, propertis: {}}", PROMPT),
        told("", "schema: {$ref: 'https://example.com/a.json'}", PROMPT),
        told("", "schema: none.json", PROMPT),
        told("", "schema: 3", PROMPT),
        told(
            "",
            open,
            &format!("{{% schema %}}{{}}{{% endschema %}}{PROMPT}"),
        ),
        told(
            "",
            "into: a",
            &format!(
                "{{% schema %}}\n{{\"type\": \"objekt\",\n \"items\": {{}}\n}}{{% endschema %}}{PROMPT}"
            ),
        ),
        told(
            "",
            "into: a",
            &format!("{{% schema %}}\n{{\"type\" \"object\"}}\n{{% endschema %}}{PROMPT}"),
        ),
        told("", "into: a", &format!("{{% schema %}}{{}}{PROMPT}")),
        told("", "repair: true", PROMPT),
        told(
            "instruct: false",
            &format!("{open}\n      repair: true"),
            PROMPT,
        ),
        told(
            "",
            &format!("{open}\n      sampling: {{extra: {{response_format: {{}}}}}}"),
            PROMPT,
        ),
        told("", &format!("{open}\n      allow_empty: true"), PROMPT),
        told("api: anthropic, sampling: {max_tokens: 9}", open, PROMPT),
        {
            let prompt = "{{ schema }} {{ text }}";
            let project = project("", open);
            project.write("p.j2", prompt);
            project.write(
                "notes.jsonl",
                "{\"id\": 1, \"text\": \"a\", \"schema\": \"b\"}\n",
            );
            let text = String::from_utf8(project.read("p.yaml")).expect("UTF-8");
            let fields = "key: id, fields: [id, text, schema]}}";
            project.write("p.yaml", text.replace("key: id}}", fields));
            let done = project.clue("check p.yaml -p url=http://127.0.0.1:9/v1");
            assert_eq!(done.code, 2, "{}", done.stderr);
            done.stderr
        },
        told("json_schema: grammar", open, PROMPT),
        told("json_schema: gramar", open, PROMPT),
    ];
    insta::assert_snapshot!(all.concat());
}

#[test]
fn the_example_runs() {
    let server = Server::stub("");
    let file = crate::support::root().join("examples/radiology/findings.yaml");
    let model = json!({"url": server.url(), "id": "m"});
    let project = Project::new(&[]);
    let done = project.ok(&format!(
        "run {} --out out -p model={model}",
        file.display()
    ));
    contains(&done.stdout, "12 calls made");
    assert_eq!(server.count("/__stats", "told_a_schema"), 12);
    for one in lines(&project, "out/findings.jsonl") {
        assert!(one["findings"][0].is_string(), "{one}");
        assert_eq!(one["repaired"], false);
    }
}
