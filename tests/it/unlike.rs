//! `clue compare` takes only those for one that are one: records, stages, and what stays secret.

use serde_json::Value as Json;

use crate::support::{Project, Server};

fn json(project: &Project, words: &str) -> Json {
    let done = project.ok(&format!("{words} --json"));
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn row<'a>(told: &'a Json, stage: &str) -> &'a Json {
    let mut rows = told["stages"].as_array().expect("rows").iter();
    let row = rows.find(|row| row["stage"] == stage);
    row.unwrap_or_else(|| panic!("no stage {stage}: {told}"))
}

/// Three models as stages, one after another.
fn models(names: &[&str]) -> String {
    let stages = names.iter().map(|name| {
        format!(
            "  {name}: {{from: d, set: {{model: \"'{name}'\", z: \"s * {}\"}}}}\n",
            name.len()
        )
    });
    let stages: String = stages.collect();
    format!(
        "clue: 1\nname: p\nstages:\n  d: {{load: {{path: d.jsonl, key: id}}}}\n{stages}  \
         all: {{from: [{}], concat: {{prefix: true}}}}\n  kept: {{from: all, where: \"id != params.without\"}}\n\
         params: {{without: none}}\noutputs:\n  r.csv: {{from: kept}}\n",
        names.join(", ")
    )
}

const ROWS: &str =
    "{\"id\": \"a\", \"s\": 1}\n{\"id\": \"b\", \"s\": 2}\n{\"id\": \"c\", \"s\": 3}\n";

#[test]
fn records_are_paired_by_what_their_numbers_mean() {
    let project = Project::new(&[("p.yaml", &models(&["m", "mm", "mmm"])), ("d.jsonl", ROWS)]);
    project.ok("run p.yaml --out out");
    // The one in the middle is gone: what had the number 3 has 2.
    project.write("q.yaml", models(&["m", "mmm"]));
    project.ok("run q.yaml --out out2");
    let told = json(&project, "compare p.yaml q.yaml");
    for stage in ["all", "kept"] {
        let row = row(&told, stage);
        assert_eq!(
            (&row["same"], &row["changed"]),
            (&6.into(), &serde_json::json!([])),
            "{row}"
        );
        assert_eq!(
            row["only_a"],
            serde_json::json!(["mm / a", "mm / b", "mm / c"])
        );
        assert_eq!(row["only_b"], serde_json::json!([]));
    }
    // A record in the middle is gone: keys mean the same, and are told as they are.
    project.ok("run q.yaml --out out2 -p without=b");
    let told = json(&project, "compare q.yaml");
    let row = row(&told, "kept");
    assert_eq!(row["same"], 4, "{row}");
    assert_eq!(row["only_a"], serde_json::json!(["1/b", "2/b"]));
}

#[test]
fn records_of_two_stages_with_one_key_are_not_paired_one_after_another() {
    let pipeline = "clue: 1\nstages:\n  d: {load: {path: d.jsonl, key: id}}\n  \
         x: {from: d, set: {who: \"'x'\"}}\n  y: {from: d, set: {who: \"'y'\"}}\n  \
         a: {from: [x, y], concat: {prefix: true}}\n  b: {from: [y, x], concat: {prefix: true}}\n  \
         less: {from: a, where: \"who == 'y' or s > 1\"}\n\
         outputs:\n  a.csv: {from: less}\n  b.csv: {from: b}\n";
    let project = Project::new(&[("p.yaml", pipeline), ("d.jsonl", ROWS)]);
    project.ok("run p.yaml --out out");
    let told = json(&project, "compare p.yaml --stages less b");
    let row = row(&told, "b");
    assert_eq!(
        (&row["same"], &row["changed"]),
        (&5.into(), &serde_json::json!([])),
        "{row}"
    );
    assert_eq!(row["only_b"], serde_json::json!(["x / a"]));
    // By a field that several records share, nobody knows who belongs to whom.
    let told = json(&project, "compare p.yaml --stages less b --on who");
    assert_eq!(told["stages"][0]["same"], 0, "{told}");
    let note = told["notes"].to_string();
    assert!(note.contains("not clear who belongs to whom"), "{note}");
}

#[test]
fn a_stage_that_was_not_there_did_not_fail_to_end() {
    let file = |more: &str| {
        format!(
            "clue: 1\nstages:\n  d: {{load: {{path: d.jsonl, key: id}}}}\n{more}  \
             last: {{from: d, take: 2}}\noutputs:\n  o.jsonl: {{from: last}}\n"
        )
    };
    let project = Project::new(&[("p.yaml", &file("")), ("d.jsonl", ROWS)]);
    project.ok("run p.yaml --out out");
    project.write("p.yaml", file("  more: {from: d, set: {z: s}}\n"));
    project.ok("run p.yaml --out out --until more");
    let told = json(&project, "compare p.yaml");
    assert_eq!(row(&told, "more")["unknown"], "only the run `b` has it");
}

#[test]
fn a_stage_with_another_name_hides_nothing() {
    let server = Server::stub("");
    let file = |name: &str| {
        format!(
            "clue: 1\nparams: {{url: http://127.0.0.1:1/v1}}\nmodels:\n  \
             m: {{url: \"{{{{ params.url }}}}\", id: m}}\nstages:\n  \
             d: {{load: {{path: d.jsonl, key: id}}}}\n  \
             {name}: {{from: d, generate: {{model: m, prompt: p.j2, into: said}}}}\n  \
             long: {{from: {name}, set: {{n: said | length}}}}\noutputs:\n  o.jsonl: {{from: long}}\n"
        )
    };
    let project = Project::new(&[
        ("p.yaml", &file("a")),
        ("d.jsonl", ROWS),
        ("p.j2", "Say {{ s }}."),
    ]);
    let run = format!("run p.yaml --out out -p url={}", server.url());
    project.ok(&run);
    project.write("p.yaml", file("b"));
    project.write("p.j2", "Please say {{ s }}.");
    project.ok(&run);
    let told = json(&project, "compare p.yaml");
    let decides = told["decides"].as_array().expect("a list").iter();
    let decides: Vec<&Json> = decides.map(|found| &found["what"]).collect();
    assert_eq!(
        decides,
        ["stage `a` is called `b`", "p.j2 line 1 changed"],
        "{told}"
    );
    let changed = &row(&told, "b")["changed"];
    assert_eq!(changed.as_array().map(Vec::len), Some(3), "{told}");
}

#[test]
fn secrets_are_not_told() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nparams: {hub_token: none}\nstages:\n  \
             d: {load: {path: d.jsonl, key: id}}\n  \
             e: {from: d, exec: {command: [sh, '-c', cat, \"{{ params.hub_token }}\"]}}\n  \
             f: {from: d, set: {t: params.hub_token | length}}\n\
             outputs:\n  o.jsonl: {from: f}\n",
        ),
        ("d.jsonl", ROWS),
    ]);
    for name in ["hush-one", "hush-two"] {
        project.ok(&format!("run p.yaml --yes --out out -p hub_token={name}"));
    }
    for more in ["", " --json", " --full"] {
        let text = project.ok(&format!("compare p.yaml{more}")).stdout;
        assert!(text.contains("hub_token") && text.contains('…'), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }
    let plan = project
        .ok("plan p.yaml --out out -p hub_token=hush-two")
        .stdout;
    assert!(!plan.contains("hush"), "{plan}");
}
