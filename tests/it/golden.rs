//! MeDiSumQA against what the published scripts made of the same notes and answers.

use std::io::Read;

use crate::support::{Project, Server, root};

fn unpacked(name: &str) -> Vec<u8> {
    let file = std::fs::File::open(root().join("tests/golden/medisumqa").join(name));
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(file.expect("a golden"))
        .read_to_end(&mut bytes)
        .expect("gzip");
    bytes
}

fn run(server: &Server, more: &str) -> String {
    let root = root().display();
    format!(
        "run {root}/pipelines/medisumqa.yaml --out out --yes -p notes={root}/tests/data/discharge.csv.gz \
         -p model_address={} -p model_id=stub -p top_k=60 {more}",
        server.url()
    )
}

#[test]
fn the_same_notes_questions_and_picks_as_the_reference() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    let scorer = root().join("tests/stub/bert_standin.py");
    project.write(
        "params.json",
        serde_json::json!({"scorer": ["python3", scorer]}).to_string(),
    );
    project.ok(&run(&server, "-p faithful=true --params params.json"));
    assert!(project.read("out/MeDiSumQA_raw_qas.json") == unpacked("MeDiSumQA_raw_qas.json.gz"));
    assert!(project.read("out/MeDiSumQA.json") == unpacked("MeDiSumQA.json.gz"));
    // Of the 80 questions some are equal.
    assert_eq!(server.count("/__stats", "requests"), 71);
}

#[test]
fn by_default_no_pair_is_picked_twice() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    project.ok(&run(&server, ""));
    let text = String::from_utf8(project.read("out/MeDiSumQA.json")).expect("UTF-8");
    // The invented letters repeat each other: the same pair of two notes is two pairs.
    let pairs: std::collections::HashSet<[String; 3]> = text
        .lines()
        .map(|line| {
            let pair: serde_json::Value = serde_json::from_str(line).expect("JSON");
            ["note_id", "Question", "Answer"].map(|name| pair[name].to_string())
        })
        .collect();
    assert_eq!(pairs.len(), 60);
}
