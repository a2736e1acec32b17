//! The wire APIs against servers that speak them: what is sent is what they take, and what they
//! answer becomes the same text.

use crate::support::{Project, Server};

const PROMPT: &str =
    "{% system %}\nBe brief.\n{% endsystem %}\n{% user %}\n{{ text }}\n{% enduser %}\n";

/// A pipeline that asks one model, told by `model`, about two notes.
fn project(model: &str, generate: &str) -> Project {
    let pipeline = format!(
        "clue: 1\nparams: {{url: x}}\nmodels:\n  m: {{url: \"{{{{ params.url }}}}\", id: m, retries: 0, {model}}}\n\
         stages:\n  notes: {{load: {{path: notes.jsonl, key: id}}}}\n  asked: {{from: notes, generate: {{model: m, prompt: p.j2, {generate}}}}}\n\
         outputs:\n  all.jsonl: {{from: asked}}\n"
    );
    let notes = "{\"id\":\"a\",\"text\":\"Take two pills daily. Walk a lot.\"}\n{\"id\":\"b\",\"text\":\"Call us. Eat well now.\"}\n";
    Project::new(&[
        ("p.yaml", &pipeline),
        ("notes.jsonl", notes),
        ("p.j2", PROMPT),
    ])
}

fn records(project: &Project) -> Vec<serde_json::Value> {
    let text = String::from_utf8(project.read("out/all.jsonl")).expect("UTF-8");
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn run(project: &Project, server: &Server, base: &str) -> Vec<serde_json::Value> {
    let url = format!("http://127.0.0.1:{}{base}", server.port);
    project.ok(&format!("run p.yaml --out out -p url={url}"));
    records(project)
}

const KEEP: &str = "keep: {finish_reason: why, answer_tokens: n, prompt: asked}";

#[test]
fn a_chat_is_the_same_over_openai_and_anthropic() {
    let server = Server::stub("--api-key sesame");
    let sampling = "sampling: {temperature: 0, top_p: 0.9, max_tokens: 3, stop: [zzz]}";
    let answers: Vec<Vec<serde_json::Value>> = ["openai", "anthropic"]
        .iter()
        .map(|api| {
            let model = format!("api: {api}, key_env: CLUE_TEST_DOOR, {sampling}");
            let project = project(&model, KEEP);
            // Anthropic takes no white space at the end of a beginning.
            let begun = "{% assistant %}\n{{ 'So: ' }}\n{% endassistant %}\n";
            project.write("p.j2", format!("{PROMPT}{begun}"));
            let url = server.url();
            let mut command = project.command(&format!("run p.yaml --out out -p url={url}"));
            let told = crate::support::done(
                command
                    .env("CLUE_TEST_DOOR", " sesame\n")
                    .output()
                    .expect("runs"),
            );
            assert_eq!(told.code, 0, "{api}: {}", told.stderr);
            records(&project)
        })
        .collect();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0][0]["why"], "length");
    assert_eq!(answers[0][0]["n"], 3);
    let answer = answers[1][0]["answer"].as_str().expect("text");
    assert!(answer.starts_with("So: "), "{answer}");
}

#[test]
fn a_text_is_the_same_over_completions_and_tgi() {
    let server = Server::stub("");
    // TGI refuses a temperature of 0 and a `top_p` of 1, and leaves the stop in the text.
    let sampling = "instruct: false, sampling: {temperature: 0, top_p: 1, max_tokens: 9, stop: [\" pills\", \" us\"]}";
    let answers: Vec<Vec<serde_json::Value>> =
        [("completions", "/v1"), ("tgi", ""), ("tgi", "/v1")]
            .iter()
            .map(|(api, base)| {
                let project = project(&format!("api: {api}, {sampling}"), KEEP);
                run(&project, &server, base)
            })
            .collect();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0], answers[2]);
    assert_eq!(answers[0][0]["why"], "stop");
}

#[test]
fn thinking_is_kept_apart() {
    for (api, more) in [("openai", ""), ("anthropic", "sampling: {max_tokens: 9}, ")] {
        let server = Server::bad("--fault think");
        let project = project(&format!("{more}api: {api}"), "keep: {thinking: thought}");
        for record in run(&project, &server, "/v1") {
            assert_eq!(record["thought"], "Hm.");
            let answer = record["answer"].as_str().expect("text");
            assert!(answer.starts_with("answer-"), "{answer}");
        }
    }
}

#[test]
fn what_an_api_cannot_do_is_told_before_anything_is_asked() {
    let told = |model: &str, generate: &str| {
        let project = project(model, generate);
        let done = project.clue("check p.yaml -p url=http://127.0.0.1:9/v1");
        assert_eq!(done.code, 2, "{}", done.stderr);
        done.stderr
    };
    let all = [
        told("api: tgi", ""),
        told("api: anthropic", ""),
        told(
            "api: anthropic, sampling: {max_tokens: 9}",
            "sampling: {seed: 1}",
        ),
        told(
            "api: anthropic, instruct: false",
            "sampling: {max_tokens: 9}",
        ),
    ];
    insta::assert_snapshot!(all.concat());
}
