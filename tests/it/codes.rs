//! MeDiSumCode against what the published script made of the same notes and diagnoses.

use std::io::Read;

use serde_json::Value as Json;

use crate::support::{Project, root};

fn golden(name: &str) -> String {
    std::fs::read_to_string(root().join("tests/golden").join(name)).expect("a golden")
}

fn lines(text: &str) -> Vec<Json> {
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn run(project: &Project, more: &str) -> String {
    let root = root().display();
    project.ok(&format!(
        "run {root}/pipelines/medisumcode.yaml --out out --yes {more}"
    ));
    String::from_utf8(project.read("out/MeDiSumCode.json")).expect("UTF-8")
}

fn invented(more: &str) -> String {
    let data = root().join("tests/data").display().to_string();
    format!("-p notes={data}/discharge.csv.gz -p diagnoses={data}/diagnoses_icd.csv.gz {more}")
}

#[test]
fn the_same_notes_and_codes_as_the_reference() {
    let file = root().join("tests/golden/medisumcode/MeDiSumCode.json.gz");
    let mut expected = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).expect("a golden"))
        .read_to_string(&mut expected)
        .expect("gzip");
    let project = Project::new(&[]);
    let faithful = "-p max_examples=25 -p faithful=true";
    assert!(run(&project, &invented(faithful)) == expected);
    // What is put right by default does not occur in data like MIMIC's.
    assert!(run(&project, &invented("-p max_examples=25")) == expected);
    assert_eq!(
        project.read("out/dropped_codes.csv"),
        b"icd_version,icd_code,diagnoses\n9,E9320,1\n10,O7011,2\n"
    );
    assert_eq!(
        project.read("out/notes_without_codes.csv"),
        b"note_id,hadm_id\n10001043-DS-26,23708085\n"
    );

    let all = lines(&run(&project, &invented("")));
    let expected = lines(&golden("medisumcode/MeDiSumCode_all_codes.jsonl"));
    assert_eq!(all.len(), expected.len());
    for (ours, theirs) in all.iter().zip(&expected) {
        assert_eq!(ours["hadm_id"], theirs["hadm_id"]);
        assert_eq!(ours["icd_codes"], theirs["icd_codes"]);
    }
}

/// The codes that one admission gets from a table of diagnoses.
fn codes_of(diagnoses: &str, faithful: bool) -> Json {
    let project = Project::new(&[
        ("notes.csv", "note_id,hadm_id,text\nn,20,t\n"),
        ("d.csv", diagnoses),
    ]);
    let more = format!("-p notes=notes.csv -p diagnoses=d.csv -p faithful={faithful}");
    lines(&run(&project, &more))[0]["icd_codes"].clone()
}

fn names(codes: &Json) -> Vec<&str> {
    let codes = codes.as_array().expect("a list");
    codes
        .iter()
        .filter_map(|code| code["code"].as_str())
        .collect()
}

#[test]
fn tables_of_diagnoses_are_read_as_the_reference_reads_them() {
    let cases = lines(&golden("units/code_dataset.jsonl"));
    assert_eq!(cases.len(), 13);
    std::thread::scope(|scope| {
        for case in &cases {
            scope.spawn(move || {
                let what = case["what"].as_str().expect("a name");
                let diagnoses = case["diagnoses_icd.csv"].as_str().expect("a table");
                let faithful = codes_of(diagnoses, true);
                match case.get("icd_codes") {
                    Some(codes) => assert_eq!(faithful, *codes, "{what}"),
                    // The script fails where a cell is empty; here that is no code.
                    None => assert_eq!(names(&faithful), ["I10"], "{what}"),
                }
                let right: &[&str] = match what.split(':').next() {
                    Some("all numeric") => &["I10", "E119"],
                    Some("all numeric with a leading zero") => &["A419", "B20"],
                    Some("dots, case, blanks") => &["E119", "E119", "I10"],
                    _ => return,
                };
                assert_eq!(names(&codes_of(diagnoses, false)), right, "{what}");
            });
        }
    });
}
