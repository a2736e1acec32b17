//! Files of every format, good and broken.

use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::stages::driver::{Stage, show};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, bytes) in files {
        std::fs::write(dir.path().join(name), bytes).expect("writes");
    }
    dir
}

fn load(dir: &Path, yaml: &str) -> Vec<String> {
    let stage = Stage::within(dir, "load", yaml);
    let (_, faults) = stage.check(&[]);
    assert!(faults.is_empty(), "{faults:?}");
    show(&stage.run(Vec::new()).expect("loads").0)
}

fn fails(name: &str, bytes: &[u8], more: &str) -> String {
    let dir = folder(&[(name, bytes)]);
    let yaml = format!("{{path: {name}{more}}}");
    let error = Stage::within(dir.path(), "load", &yaml).run(Vec::new());
    let error = error.expect_err("broken");
    error.replace(&format!("{}/", dir.path().display()), "")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("packs");
    encoder.finish().expect("packs")
}

#[test]
fn a_table_with_keys_and_chosen_columns() {
    let text = b"\xef\xbb\xbfid,n,text\r\n007,1,\"a\r\nb\"\r\nx,2,c\r\n";
    let zipped = gzip(text);
    let dir = folder(&[("a.csv", text), ("b.csv.gz", &zipped)]);
    let expected = [
        r#"007 {"text":"a\nb","id":"007"}"#,
        r#"x {"text":"c","id":"x"}"#,
    ];
    for name in ["a.csv", "b.csv.gz"] {
        let yaml = format!("{{path: {name}, key: id, fields: [text, id]}}");
        assert_eq!(load(dir.path(), &yaml), expected);
    }
    assert_eq!(
        load(dir.path(), "{path: a.csv, fields: [text], newlines: keep}"),
        [r#"1 {"text":"a\r\nb"}"#, r#"2 {"text":"c"}"#]
    );
}

#[test]
fn the_names_in_an_object_of_objects_can_be_a_field() {
    let dir = folder(&[("a.json", br#"{"x": {"t": 1}, "y": {"t": 2}}"#)]);
    assert_eq!(
        load(dir.path(), "{path: a.json, name: id}"),
        [r#"x {"id":"x","t":1}"#, r#"y {"id":"y","t":2}"#]
    );
    assert_eq!(
        load(
            dir.path(),
            "{path: a.json, name: id, key: id, fields: [t, id]}"
        ),
        [r#"x {"t":1,"id":"x"}"#, r#"y {"t":2,"id":"y"}"#]
    );
    assert_eq!(
        fails("a.json", br#"[{"t": 1}]"#, ", name: id"),
        "`a.json`: `name` needs one JSON object of objects, and this is none"
    );
    assert_eq!(
        fails("a.json", br#"{"x": {"t": 1}}"#, ", name: t"),
        "`a.json`: the objects have a field `t` already"
    );
    let dir = folder(&[("a.csv", b"t\n1\n")]);
    let faults = Stage::within(dir.path(), "load", "{path: a.csv, name: id}")
        .check(&[])
        .1;
    assert!(
        faults[0].contains("`name` goes with a JSON file"),
        "{faults:?}"
    );
}

#[test]
fn json_in_its_three_shapes() {
    let dir = folder(&[
        ("array.json", br#"[{"id": 5, "a": 1.0}, {"id": 6}]"#),
        ("lines.json", b"{\"id\": 5, \"a\": {}}\n{\"id\": 6}\n"),
        ("object.json", br#"{"p1": {"x": 1}, "p2": {"x": 2}}"#),
        ("one.json", br#"{"x": 1, "y": {}}"#),
        ("a.jsonl", b"{\"id\": 5}\n\n{\"id\": 6}"),
    ]);
    let path = dir.path();
    assert_eq!(
        load(path, "{path: array.json, key: id}"),
        [r#"5 {"id":5,"a":1.0}"#, r#"6 {"id":6}"#]
    );
    assert_eq!(
        load(path, "{path: lines.json, fields: [id]}"),
        [r#"1 {"id":5}"#, r#"2 {"id":6}"#]
    );
    assert_eq!(
        load(path, "{path: object.json}"),
        [r#"p1 {"x":1}"#, r#"p2 {"x":2}"#]
    );
    assert_eq!(load(path, "{path: one.json}"), [r#"1 {"x":1,"y":{}}"#]);
    assert_eq!(
        load(path, "{path: a.jsonl, key: id}"),
        [r#"5 {"id":5}"#, r#"6 {"id":6}"#]
    );
}

#[test]
fn fields_get_names_and_may_have_several_in_the_file() {
    let dir = folder(&[
        ("old.csv", b"File ID,Subjectives\n1,s\n"),
        ("new.csv", b"File ID,Subjective Sections,Plan\n1,s,p\n"),
        (
            "a.jsonl",
            b"{\"Question\": 1}\n{\"question\": 2, \"x\": 3}\n{}\n",
        ),
    ]);
    let yaml = |file: &str| {
        format!(
            "{{path: {file}, fields: {{id: File ID, subjective: [Subjective Sections, Subjectives], \
             plan: [Plan, null]}}}}"
        )
    };
    assert_eq!(
        load(dir.path(), &yaml("old.csv")),
        [r#"1 {"id":"1","subjective":"s","plan":null}"#]
    );
    assert_eq!(
        load(dir.path(), &yaml("new.csv")),
        [r#"1 {"id":"1","subjective":"s","plan":"p"}"#]
    );
    assert_eq!(
        load(
            dir.path(),
            "{path: a.jsonl, fields: {q: [Question, question], x: [x, null]}}"
        ),
        [
            r#"1 {"q":1,"x":null}"#,
            r#"2 {"q":2,"x":3}"#,
            r#"3 {"x":null}"#
        ]
    );
    let faults = |yaml: &str| {
        Stage::within(dir.path(), "load", yaml)
            .check(&[])
            .1
            .join("\n")
    };
    insta::assert_snapshot!(
        [
            faults("{path: old.csv, fields: {s: [Subjective, Section]}}"),
            faults("{path: a.jsonl, key: Questions, fields: [answer]}"),
        ]
        .join("\n\n")
    );
    // A list keeps the key that it had before there were maps.
    let settings = |yaml| Stage::within(dir.path(), "load", yaml).settings()["fields"].clone();
    let list = settings("{path: old.csv, fields: [File ID]}");
    assert_eq!(list, serde_json::json!(["File ID"]));
    assert_ne!(list, settings("{path: old.csv, fields: {id: File ID}}"));
}

#[test]
fn lines_and_texts() {
    let dir = folder(&[("a.txt", b"x\r\ny\n")]);
    assert_eq!(load(dir.path(), "path: a.txt"), [r#"1 {"text":"x\ny\n"}"#]);
    assert_eq!(
        load(dir.path(), "{path: a.txt, format: lines}"),
        [r#"1 {"text":"x"}"#, r#"2 {"text":"y"}"#]
    );
}

#[test]
fn broken_files_are_told_with_their_line_and_without_their_content() {
    let zipped = gzip("a,b\n".repeat(5000).as_bytes());
    let cases = [
        fails("a.csv", b"a,b\n1,2\n\"1\n\",2,3\n", ""),
        fails("a.csv", b"a,b\n1\n", ""),
        fails("a.csv", b"a,b\n1,\"2\n3,4\n", ""),
        fails("a.csv", b"a,b\n1,\"x\n\xff\"\n", ""),
        fails("a.csv", b"", ""),
        fails("a.csv", b"a,a\n", ""),
        fails("a.csv", b"a\nx\ny\nx\n", ", key: a"),
        fails("a.csv", b"a,b\n,x\n", ", key: a"),
        fails("a.csv.gz", &zipped[..zipped.len() - 9], ""),
        fails("a.jsonl", b"{\"a\": 1}\n{\"a\": secret}\n", ""),
        fails("a.jsonl", b"\"secret\"\n", ""),
        fails("a.json", b"[{\"a\": 1} {\"a\": 2}]", ""),
        fails("a.json", b"[{\"a\": 1}, {\"a\": 1}]", ", key: a"),
        fails("a.json", b"[{\"a\": []}]", ", key: a"),
    ];
    insta::assert_snapshot!(cases.join("\n"), @r"
    `a.csv`: line 3: expected 2 fields, found 3
    `a.csv`: line 2: expected 2 fields, found 1
    `a.csv`: line 2: a quote that opens here is never closed
    `a.csv`: line 3: byte 0xff is not UTF-8
    `a.csv`: it is empty: a table begins with a header
    `a.csv`: two columns are called `a`
    `a.csv`: `a` does not tell records apart: lines 2 and 4 have the same one
    `a.csv`: line 2: the key `a` is empty
    `a.csv.gz`: the compressed data ends too early, after line 5001
    `a.jsonl`: not valid JSON on line 2, column 7
    `a.jsonl`: record 1 (line 1) is text, not an object
    `a.json`: line 1: expected `,` or `]`
    `a.json`: `a` does not tell records apart: records 1 and 2 have the same one
    `a.json`: record 1: the key `a` is neither text nor a number
    ");
}

#[test]
fn the_check_knows_the_header_and_the_folder() {
    let dir = folder(&[("notes.csv.gz", &gzip(b"note_id,text\n"))]);
    let check = |yaml: &str| {
        let (fields, faults) = Stage::within(dir.path(), "load", yaml).check(&[]);
        let place = format!("{}/", dir.path().display());
        (fields, faults.join("\n").replace(&place, ""))
    };
    let (fields, faults) = check("path: notes.csv.gz");
    assert_eq!((fields.names.len(), fields.open), (2, false));
    assert_eq!(faults, "");
    let (fields, faults) = check("{path: notes.csv.gz, key: noteid, fields: [txt]}");
    assert_eq!(fields.names, ["txt"]);
    insta::assert_snapshot!(faults, @r"
    error: no column `noteid` in `notes.csv.gz`
     --> test.yaml:1:27
      |
    1 | {path: notes.csv.gz, key: noteid, fields: [txt]}
      |                           ^^^^^^
      |
      = help: did you mean `note_id`?
    error: no column `txt` in `notes.csv.gz`
     --> test.yaml:1:44
      |
    1 | {path: notes.csv.gz, key: noteid, fields: [txt]}
      |                                            ^^^
      |
      = help: did you mean `text`?
    ");
    insta::assert_snapshot!(check("path: notes.csv").1, @r"
    error: no file `notes.csv`
     --> test.yaml:1:7
      |
    1 | path: notes.csv
      |       ^^^^^^^^^
      |
      = help: did you mean `notes.csv.gz`?
    ");
    insta::assert_snapshot!(check("path: no/notes.csv").1, @r"
    error: no file `no/notes.csv`
     --> test.yaml:1:7
      |
    1 | path: no/notes.csv
      |       ^^^^^^^^^^^^
      |
      = note: there is no folder `no`
    ");
}

#[test]
fn moving_a_file_changes_no_key() {
    let settings = |yaml| Stage::new("load", yaml).settings();
    assert_eq!(settings("path: a/b.csv"), settings("path: c.csv.gz"));
    assert_ne!(settings("path: a.csv"), settings("path: a.jsonl"));
}
