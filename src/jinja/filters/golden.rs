//! Expressions of the shipped pipelines, against what the reference makes of the same
//! texts.

use minijinja::Value;

use crate::jinja::environment;

fn run(expression: &str, scope: &serde_json::Value) -> serde_json::Value {
    let env = environment();
    let scope: Value = serde_json::from_value(scope.clone()).expect("a value");
    let value = env
        .compile_expression(expression)
        .expect("parses")
        .eval(scope)
        .expect("has a value");
    serde_json::to_value(value).expect("serializes")
}

fn check(golden: &str, expressions: &[(&str, &str)]) {
    for line in golden.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        for (field, expression) in expressions {
            assert_eq!(run(expression, &line), line[field], "{field} of {line}");
        }
    }
}

#[test]
fn instructions_are_the_references() {
    check(
        include_str!("../../../tests/golden/units/instructions.jsonl"),
        &[
            ("paragraphs", "text | paragraphs"),
            (
                "instructions",
                "text | paragraphs | select('headed', 'discharge instructions') | list",
            ),
            (
                "without_instructions",
                "text | paragraphs | reject('headed', 'discharge instructions') | join('\n\n')",
            ),
            (
                "postprocessed",
                "instructions | join('\n') | drop_first_line | before('Followup Instructions')",
            ),
            (
                "cut_at_pleasure",
                "postprocessed | before('It was a pleasure')",
            ),
        ],
    );
}

#[test]
fn statements_are_the_references() {
    check(
        include_str!("../../../tests/golden/units/statements.jsonl"),
        &[("statements", "generation | bullets(without=['___'])")],
    );
}

#[test]
fn question_answer_pairs_are_the_references() {
    let golden = include_str!("../../../tests/golden/units/qas.jsonl");
    for line in golden.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let pairs = run(
            "generation | qa_pairs(strict=true) | selectattr('answer', 'in', statements | map('strip') | list) | list",
            &line,
        );
        let pairs: Vec<_> = pairs
            .as_array()
            .expect("a list")
            .iter()
            .map(|pair| serde_json::json!([pair["question"], pair["answer"]]))
            .collect();
        assert_eq!(serde_json::json!(pairs), line["qas"], "{line}");
    }
}

#[test]
fn right_options_are_the_references() {
    let golden = include_str!("../../../tests/golden/units/correct_answer.jsonl");
    for line in golden.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let question = line["question"].as_object().expect("a map");
        // The reference goes through them in the file's order, and takes the letter from the key.
        let options = question.iter().filter_map(|(key, text)| {
            let letter = key.strip_prefix("answer_").filter(|rest| rest.len() == 1)?;
            Some((letter.to_uppercase(), text))
        });
        let (letters, options): (Vec<String>, Vec<_>) = options.unzip();
        let scope = serde_json::json!({"options": options, "right": question["correct"]});
        let ours = run("options | letter_of(right, within=true)", &scope);
        let ours = ours
            .as_str()
            .map(|letter| &letters[usize::from(letter.as_bytes()[0] - b'A')]);
        assert_eq!(serde_json::json!(ours), line["letter"], "{line}");
    }
}

#[test]
fn options_are_told_apart_by_their_whole_text() {
    let scope = serde_json::json!({"options": ["not known", "no"]});
    assert_eq!(run("options | letter_of('no ')", &scope), "B");
    assert!(run("options | letter_of('yes')", &scope).is_null());
}
