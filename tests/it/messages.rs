//! The whole message for every kind of bad input.

use std::io::Write;

use crate::support::Project;

const HEAD: &str = "clue: 1\nparams: {max_notes: 5}\nmodels:\n  writer: {url: http://127.0.0.1:9/v1, id: w}\nstages:\n";
const NOTES: &str = "  notes: {load: {path: notes.csv, key: id}}\n";

/// What is said about stages, with exit code 2; paths without the project's folder.
fn told(stages: &str, words: &str) -> String {
    told_with(&[], stages, words)
}

fn told_with(files: &[(&str, &[u8])], stages: &str, words: &str) -> String {
    let project = Project::new(&[
        ("p.yaml", &format!("{HEAD}{stages}")),
        ("notes.csv", "id,text\n1,one\n2,two\n"),
        (
            "prompts/ask.j2",
            "{% user %}\nAbout this:\n{{ txet }}\n{% enduser %}\n",
        ),
    ]);
    for (name, bytes) in files {
        project.write(name, bytes);
    }
    let command = if words.is_empty() {
        "check p.yaml"
    } else {
        words
    };
    let done = project.clue(command);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    let folder = project.path("").canonicalize().expect("a path");
    done.stderr.replace(&format!("{}/", folder.display()), "")
}

#[test]
fn unknown_verb() {
    insta::assert_snapshot!(told("  notes: {lod: {path: notes.csv}}\n", ""));
}

#[test]
fn duplicate_key() {
    insta::assert_snapshot!(told(
        "  notes:\n    load: {path: notes.csv}\n    load: {path: notes.csv}\n",
        ""
    ));
}

#[test]
fn cycle() {
    insta::assert_snapshot!(told(
        "  a: {from: c, take: 1}\n  b: {from: a, take: 1}\n  c: {from: b, take: 1}\n",
        ""
    ));
}

#[test]
fn missing_file() {
    insta::assert_snapshot!(told("  notes: {load: {path: note.csv}}\n", ""));
}

#[test]
fn missing_pipeline() {
    insta::assert_snapshot!(told("", "check q.yaml"));
}

#[test]
fn wrong_column() {
    insta::assert_snapshot!(told(
        "  notes: {load: {path: notes.csv, key: note_id, fields: [txt]}}\n",
        ""
    ));
}

#[test]
fn not_utf8() {
    insta::assert_snapshot!(told_with(
        &[("q.yaml", b"clue: 1\nname: \xff\n")],
        "",
        "check q.yaml"
    ));
}

#[test]
fn undefined_variable_in_a_prompt() {
    let stages = format!(
        "{NOTES}  asked: {{from: notes, generate: {{model: writer, prompt: prompts/ask.j2}}}}\n"
    );
    insta::assert_snapshot!(told(&stages, ""));
}

#[test]
fn misspelt_field_in_an_expression() {
    insta::assert_snapshot!(told(
        &format!("{NOTES}  some: {{from: notes, where: \"'fever' in txt\"}}\n"),
        ""
    ));
}

#[test]
fn unknown_param_on_the_command_line() {
    insta::assert_snapshot!(told(NOTES, "check p.yaml -p max_note=3"));
}

#[test]
fn wrong_type() {
    insta::assert_snapshot!(told(
        &format!("{NOTES}  some: {{from: notes, take: many}}\n"),
        ""
    ));
}

#[test]
fn unknown_model() {
    let stages = format!(
        "{NOTES}  asked: {{from: notes, generate: {{model: writr, prompt: prompts/ok.j2}}}}\n"
    );
    insta::assert_snapshot!(told_with(&[("prompts/ok.j2", b"{{ text }}")], &stages, ""));
}

#[test]
fn missing_input() {
    insta::assert_snapshot!(told(
        &format!("{NOTES}  some: {{from: note, take: 1}}\n  none: {{take: 1}}\n"),
        ""
    ));
}

#[test]
fn all_at_once() {
    let stages = "  notes: {load: {path: notes.csv, kye: id}}\n  some: {form: notes, take: 1}\n  more: {from: nots, whre: a}\n";
    insta::assert_snapshot!(told(stages, ""));
}

#[test]
fn truncated_gzip() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let rows: String = (0..5000)
        .map(|at| format!("{at},text {}\n", at * 7919 % 5003))
        .collect();
    packed
        .write_all(format!("id,text\n{rows}").as_bytes())
        .expect("packs");
    let packed = packed.finish().expect("packs");
    let half = &packed[..packed.len() / 2];
    let stages =
        "  notes: {load: {path: half.csv.gz, key: id}}\noutputs:\n  all.jsonl: {from: notes}\n";
    insta::assert_snapshot!(told_with(&[("half.csv.gz", half)], stages, "run p.yaml -q"));
}

#[test]
fn too_few_fields() {
    let stages =
        "  notes: {load: {path: short.csv, key: id}}\noutputs:\n  all.jsonl: {from: notes}\n";
    insta::assert_snapshot!(told_with(
        &[("short.csv", b"id,text\n1,one\n2\n")],
        stages,
        "run p.yaml -q"
    ));
}

#[test]
fn text_that_is_not_utf8() {
    let stages =
        "  notes: {load: {path: latin.csv, key: id}}\noutputs:\n  all.jsonl: {from: notes}\n";
    insta::assert_snapshot!(told_with(
        &[("latin.csv", b"id,text\n1,one\n2,caf\xe9\n")],
        stages,
        "run p.yaml -q"
    ));
}

#[test]
fn the_version_is_said_at_once() {
    let project = Project::new(&[]);
    let best = (0..20)
        .map(|_| {
            let start = std::time::Instant::now();
            project.ok("--version");
            start.elapsed()
        })
        .min()
        .expect("20 runs");
    // Under 10 ms in a release build; this one is not optimized, and shares the machine.
    assert!(best.as_millis() < 100, "{best:?}");
}
