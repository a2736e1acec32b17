//! The prompts of the tasks: each renders, with and without solved cases, for chats and for plain
//! text, and asks in the form by which answers are read.

use serde_json::{Value as Json, json};

use crate::support::{Project, Server, root};

/// Cases of one task, each with solved ones before it, answered by the stub: over chat, then as
/// plain text, then without solved cases.
fn answers(task: &str, cases: &[Json], solved: &Json) -> Vec<[String; 3]> {
    let server = Server::stub("");
    let yaml = format!(
        "clue: 1\n\
         models:\n\
         \x20 chat: {{url: '{url}', id: stub, sampling: {{temperature: 0, max_tokens: 512}}}}\n\
         \x20 base: {{url: '{url}', id: stub, instruct: false, sampling: {{temperature: 0, max_tokens: 512}}}}\n\
         stages:\n\
         \x20 cases: {{load: {{path: cases.json}}}}\n\
         \x20 a: {{from: cases, generate: {{model: chat, prompt: '{prompt}', into: chat, allow_empty: true}}}}\n\
         \x20 b: {{from: a, generate: {{model: base, prompt: '{prompt}', into: base, allow_empty: true}}}}\n\
         \x20 bare: {{from: b, set: {{shots: '[]'}}}}\n\
         \x20 c: {{from: bare, generate: {{model: chat, prompt: '{prompt}', into: zero, allow_empty: true}}}}\n\
         outputs: {{o.jsonl: {{from: c, fields: [chat, base, zero]}}}}\n",
        url = server.url(),
        prompt = root().join(format!("prompts/tasks/{task}.j2")).display(),
    );
    let mut cases = cases.to_vec();
    for case in &mut cases {
        case["shots"] = json!([solved, solved]);
    }
    let cases = Json::from(cases).to_string();
    let project = Project::new(&[("p.yaml", &yaml), ("cases.json", &cases)]);
    project.allow(root());
    project.ok("run p.yaml --yes");
    let out = String::from_utf8(project.read("out/p/o.jsonl")).expect("UTF-8");
    out.lines()
        .map(|line| {
            let answer: Json = serde_json::from_str(line).expect("JSON");
            ["chat", "base", "zero"].map(|name| answer[name].as_str().expect("text").to_owned())
        })
        .collect()
}

/// Every answer is of the right kind.
fn all_are(task: &str, cases: &[Json], solved: Json, kind: impl Fn(&str) -> bool) {
    let answers = answers(task, cases, &solved);
    assert_eq!(answers.len(), cases.len());
    for answer in answers.iter().flatten() {
        assert!(kind(answer), "{task}: {answer}");
    }
}

fn numbered(make: impl Fn(usize) -> Json) -> Vec<Json> {
    (0..6).map(make).collect()
}

#[test]
fn mednli_asks_for_a_label() {
    let cases = numbered(
        |n| json!({"sentence1": format!("Her pulse was {n}."), "sentence2": "She lives."}),
    );
    let solved = json!({"sentence1": "He was well.", "sentence2": "He was ill.", "gold_label": "contradiction"});
    let labels = ["entailment", "neutral", "contradiction", "i am not sure"];
    all_are("mednli", &cases, solved, |answer| {
        labels
            .iter()
            .any(|label| answer.to_lowercase().contains(label))
    });
}

#[test]
fn longhealth_asks_for_a_letter() {
    let options = json!([
        "5 mg",
        "25 mg",
        "75 mg",
        "none",
        "both",
        "cannot be answered"
    ]);
    let cases = numbered(
        |n| json!({"documents": "A long text.\n\nB: another", "question": format!("Dose {n}?"), "options": options}),
    );
    let mut solved = cases[0].clone();
    solved["correct"] = "25 mg".into();
    all_are("longhealth", &cases, solved, |answer| {
        let letter = answer
            .strip_prefix("The correct answer is ")
            .unwrap_or(answer);
        letter.starts_with(|c: char| ('A'..='F').contains(&c))
    });
}

#[test]
fn medisumcode_asks_for_codes() {
    let cases = numbered(|n| json!({"text": format!("Note {n}.\nHypertension.")}));
    let solved = json!({"text": "Diabetes.", "codes": "E119, I10"});
    let mut some = false;
    let answers = answers("medisumcode", &cases, &solved);
    for answer in answers.iter().flatten() {
        let codes = answer.strip_prefix("ICD-10 Codes: ").unwrap_or(answer);
        for code in codes
            .split([',', '\n'])
            .map(str::trim)
            .filter(|code| !code.is_empty())
        {
            let code_like = code.len() >= 3 && code[1..3].chars().all(|c| c.is_ascii_digit());
            assert!(code_like, "{answer}");
            some = true;
        }
    }
    assert!(some);
}

#[test]
fn the_others_ask_for_text() {
    let any = |answer: &str| !answer.contains("-----") && !answer.trim().is_empty();
    let cases =
        numbered(|n| json!({"question": format!("My knee hurts since {n} days. Why is that?")}));
    let solved = json!({"question": "I have a rash.", "summary": "What causes a rash?"});
    all_are("meqsum", &cases, solved, any);
    let cases = numbered(
        |n| json!({"subjective": format!("Fever for {n} days."), "objective": "T 39.", "assessment": "Pneumonia."}),
    );
    let mut solved = cases[0].clone();
    solved["summary"] = "Pneumonia, fever".into();
    all_are("problem_summary", &cases, solved, any);
    let cases = numbered(
        |n| json!({"discharge_summary": format!("Stayed {n} days."), "question": "How long did I stay?"}),
    );
    let mut solved = cases[0].clone();
    solved["reference"] = "You stayed.".into();
    all_are("medisumqa", &cases, solved, any);
}
