//! `clue export`, and Parquet files. What other programs make of them is asked of these programs
//! themselves if `CLUE_TEST_PYTHON` names a Python that has them:
//!
//!     pip install pyarrow==26.0.1 datasets==5.2.0 inspect_ai==0.3.285

use std::path::Path;
use std::process::Command;

use serde_json::Value as Json;

use crate::support::{Done, Project, Server};

const PIPELINE: &str = "\
clue: 1
name: p
description: Six cases
cite: [\"Doe, Cases, 2026\"]
license: CC-BY-4.0
params:
  url: http://127.0.0.1:1/v1
  sensitive: false
models:
  subject: {url: \"{{ params.url }}\", id: org/m-1, retries: 0, revision: r2}
stages:
  cases:
    load: {path: cases.jsonl, key: id, sensitive: \"{{ params.sensitive }}\"}
  answered:
    from: cases
    generate: {model: subject, prompt: ask.j2, into: guess, sampling: {temperature: 0, max_tokens: 9}}
  scored:
    from: answered
    score: {metric: exact_match, prediction: guess, reference: truth, into: {exact_match: exact}}
  alike:
    from: scored
    score: {metric: rouge, prediction: guess, reference: truth, options: {types: [rouge1, rougeL]}}
  named:
    from: alike
    set: {model: \"'m-1'\", task: \"'cases'\"}
  short: {from: named, drop: [truth]}
  nothing: {from: named, where: exact > 1}
  means:
    from: named
    stats: {by: model, metrics: [exact], seed: 1}
outputs:
  means.txt: {from: means, format: table}
  all.jsonl: {from: short}
  again.csv: {from: short}
  none.jsonl: {from: nothing}
  sub/few.parquet: {from: named, fields: {id: id, n: more.n if more else none, tags: tags, odd: odd}, sort: -id}
";

const CASES: &str = "\
{\"id\":\"a\",\"text\":\"alpha word\",\"truth\":\"Tell\",\"part\":\"train\",\"more\":{\"n\":1,\"l\":[[1],[]]},\"tags\":[],\"odd\":[1,\"x\"]}
{\"id\":\"b\",\"text\":\"say é <b>\",\"truth\":\"x\",\"part\":\"test\",\"more\":{\"n\":0.5,\"l\":null},\"tags\":[\"y\",null],\"odd\":{}}
{\"id\":\"c\",\"text\":\"gamma word\",\"truth\":\"x\",\"part\":\"test\",\"more\":null,\"tags\":null,\"odd\":null}
";

fn project() -> Project {
    let ask = "{% system %}Be brief.{% endsystem %}{% user %}Tell: {{ text }}{% enduser %}";
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("cases.jsonl", CASES),
        ("ask.j2", ask),
    ])
}

/// A project that was run, and the params of the run.
fn ran(more: &str) -> (Project, String) {
    let server = Server::stub("");
    let project = project();
    let params = format!("-p url={} {more}", server.url());
    project.ok(&format!("run p.yaml --yes {params}"));
    (project, params)
}

/// What a Python program prints in the project's folder, if there is a Python for it.
#[expect(clippy::print_stderr)]
fn python(project: &Project, program: &str) -> Option<Json> {
    let Some(python) = std::env::var_os("CLUE_TEST_PYTHON") else {
        eprintln!("skipped: CLUE_TEST_PYTHON names no Python with pyarrow, datasets, inspect_ai");
        return None;
    };
    let output = Command::new(python)
        .args(["-W", "error", "-c", program])
        .current_dir(project.path(""))
        .env("HF_HOME", project.path(".home/hf"))
        .env("HF_DATASETS_OFFLINE", "1")
        .env("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        .env("XDG_DATA_HOME", project.path(".home/data"))
        .output()
        .expect("runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for word in ["Warning", "Ignoring", "malformed"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().expect("a line");
    Some(serde_json::from_str(last).expect("JSON"))
}

fn has_files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let inner = path.strip_prefix(folder).expect("inside");
                found.push(inner.display().to_string());
            }
        }
    }
    found.sort();
    found
}

fn refused(done: &Done, words: &[&str]) {
    for word in words {
        assert!(done.stderr.contains(word), "{word}\n{}", done.stderr);
    }
}

#[test]
fn a_parquet_output_is_the_same_each_time_and_read_by_pyarrow() {
    let (project, params) = ran("");
    let bytes = project.read("out/p/sub/few.parquet");
    project.ok(&format!("run p.yaml --yes --offline --out again {params}"));
    assert_eq!(project.read("again/sub/few.parquet"), bytes);
    let load = "clue: 1\nstages:\n  back:\n    load: {path: out/p/sub/few.parquet, key: id}\n\
                outputs:\n  back.jsonl: {from: back}\n";
    project.write("back.yaml", load);
    project.ok("run back.yaml --yes");
    let back = String::from_utf8(project.read("out/back/back.jsonl")).expect("UTF-8");
    assert_eq!(
        back,
        "{\"id\": \"c\", \"n\": null, \"tags\": null, \"odd\": null}\n\
         {\"id\": \"b\", \"n\": 0.5, \"tags\": [\"y\", null], \"odd\": \"{}\"}\n\
         {\"id\": \"a\", \"n\": 1.0, \"tags\": [], \"odd\": \"[1,\\\"x\\\"]\"}\n"
    );
    let read = "import json, pyarrow.parquet as q\n\
                t = q.read_table('out/p/sub/few.parquet')\n\
                print(json.dumps([str(t.schema.types), t.to_pylist()]))";
    if let Some(read) = python(&project, read) {
        assert_eq!(
            read[0],
            "[DataType(string), DataType(double), ListType(list<element: string>), DataType(string)]"
        );
        assert_eq!(read[1][1]["tags"], serde_json::json!(["y", null]));
    }
}

#[test]
fn a_value_that_does_not_fit_its_column_is_told_without_its_content() {
    let yaml = "clue: 1\nstages:\n  rows:\n    load: {path: r.jsonl, key: id}\n\
                outputs:\n  x.parquet: {from: rows}\n";
    let rows = "{\"id\":\"k1\",\"a\":1}\n{\"id\":\"k2\",\"a\":\"hush\"}\n{\"id\":\"k3\",\"a\":2}\n";
    let project = Project::new(&[("x.yaml", yaml), ("r.jsonl", rows)]);
    let done = project.clue("run x.yaml --yes");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("x.parquet (2 records"),
        "{}",
        done.stdout
    );
    let errors = String::from_utf8(project.read("out/x/errors.jsonl")).expect("UTF-8");
    assert!(
        errors.contains("k2")
            && errors.contains("`a` is text here and a whole number in records before"),
        "{errors}"
    );
    assert!(!errors.contains("hush") && !done.stderr.contains("hush"));
}

#[test]
fn a_folder_for_hugging_face() {
    let (project, params) = ran("");
    let export = format!("export p.yaml --to hf {params}");
    let done = project.ok(&export);
    assert!(
        done.stdout.contains("`none.jsonl` has no records"),
        "{}",
        done.stdout
    );
    assert!(
        done.stdout.contains("load_dataset(\"hf\")"),
        "{}",
        done.stdout
    );
    assert_eq!(
        has_files(&project.path("hf")),
        [
            "README.md",
            "data/all/test-00000-of-00001.parquet",
            "data/sub-few/test-00000-of-00001.parquet"
        ]
    );
    let card = String::from_utf8(project.read("hf/README.md")).expect("UTF-8");
    let front = card.split("---\n").nth(1).expect("YAML");
    let front: Json = serde_yaml::from_str(front).expect("YAML");
    assert_eq!(front["license"], "cc-by-4.0");
    assert_eq!(front["size_categories"][0], "n<1K");
    assert_eq!(front["configs"][0]["config_name"], "all");
    assert_eq!(front["dataset_info"][1]["splits"][0]["num_examples"], 3);
    for word in ["Six cases", "Doe, Cases, 2026", "`org/m-1`", "`r2`"] {
        assert!(card.contains(word), "{card}");
    }
    assert!(!card.contains("agreement"));
    // The hash is that of the file that `clue lock` writes.
    project.ok(&format!("lock p.yaml {params}"));
    let lock = blake3::hash(&project.read("p.lock")).to_hex();
    assert!(card.contains(lock.as_str()), "{card}");
    let load = "import json, datasets\n\
                d = datasets.load_dataset('hf', 'all')['test']\n\
                e = datasets.load_dataset('hf', 'sub-few')['test']\n\
                print(json.dumps([d.to_list(), str(d.features['more']), list(e['id']), list(e['tags'])]))";
    if let Some(read) = python(&project, load) {
        assert_eq!(read[0][1]["text"], "say é <b>");
        assert_eq!(
            read[0][0]["more"],
            serde_json::json!({"n": 1.0, "l": [[1], []]})
        );
        assert_eq!(read[2], serde_json::json!(["c", "b", "a"]));
        assert_eq!(read[3], serde_json::json!([null, ["y", null], []]));
    }
    // By a field, and into the same folder: what was there before and is no more goes.
    project.write("hf/data/notes.txt", "mine");
    project.ok(&format!(
        "{export} --output all.jsonl --split-by part --license MIT --language en"
    ));
    assert_eq!(
        has_files(&project.path("hf")),
        [
            "README.md",
            "data/notes.txt",
            "data/test-00000-of-00001.parquet",
            "data/train-00000-of-00001.parquet"
        ]
    );
    let load = "import json, datasets\nd = datasets.load_dataset('hf')\n\
                print(json.dumps({s: list(d[s]['id']) for s in d}))";
    if let Some(read) = python(&project, load) {
        assert_eq!(
            read,
            serde_json::json!({"test": ["b", "c"], "train": ["a"]})
        );
    }
    // Nobody was asked, and the same again is the same.
    let card = project.read("hf/README.md");
    project.ok(&format!(
        "{export} --output all.jsonl --split-by part --license MIT --language en"
    ));
    assert_eq!(project.read("hf/README.md"), card);
}

#[test]
fn logs_for_inspect() {
    let (project, params) = ran("");
    project.ok(&format!(
        "export p.yaml --format inspect --to logs {params}"
    ));
    let names = has_files(&project.path("logs"));
    assert_eq!(names.len(), 1);
    let text = project.read(&format!("logs/{}", names[0]));
    let log: Json = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(log["eval"]["task"], "cases");
    assert_eq!(log["eval"]["model"], "org/m-1");
    let sample = &log["samples"][0];
    assert_eq!(sample["id"], "a");
    assert_eq!(sample["input"][0]["content"], "Be brief.");
    assert_eq!(sample["input"][1]["content"], "Tell: alpha word");
    // What was right was dropped after it was scored.
    assert_eq!(sample["target"], "Tell");
    assert_eq!(
        sample["scores"]["rouge"]["value"]
            .as_object()
            .expect("scores")
            .len(),
        2
    );
    assert_eq!(log["results"]["scores"][0]["name"], "exact_match");
    project.ok(&format!(
        "export p.yaml --format inspect --to logs {params}"
    ));
    assert_eq!(project.read(&format!("logs/{}", names[0])), text);
    let read = "import json, glob, statistics as s\n\
        from inspect_ai.log import read_eval_log, list_eval_logs\n\
        l = read_eval_log(list_eval_logs('logs')[0])\n\
        v = [x.scores['rouge'].value['rougeL'] for x in l.samples]\n\
        m = {x.name: x.metrics for x in l.results.scores}['rougeL']\n\
        print(json.dumps([l.status, l.eval.task, len(l.samples), l.samples[0].output.completion,\n\
          l.samples[0].input[1].text, l.stats.model_usage['org/m-1'].total_tokens,\n\
          abs(m['mean'].value - s.mean(v)) + abs(m['stderr'].value - s.stdev(v) / len(v) ** 0.5)]))";
    if let Some(read) = python(&project, read) {
        assert_eq!(read[0], "success");
        assert_eq!(read[2], 3);
        assert_eq!(read[3], sample["output"]["completion"]);
        assert_eq!(read[4], "Tell: alpha word");
        assert_eq!(
            read[5],
            log["stats"]["model_usage"]["org/m-1"]["total_tokens"]
        );
        assert!(read[6].as_f64().expect("a number") < 1e-9, "{read}");
    }
    if let Some(python) = std::env::var_os("CLUE_TEST_PYTHON") {
        let program = Path::new(&python).with_file_name("inspect");
        let dump = Command::new(program)
            .args(["log", "dump", &format!("logs/{}", names[0])])
            .current_dir(project.path(""))
            .output()
            .expect("inspect runs");
        assert!(
            dump.status.success(),
            "{}",
            String::from_utf8_lossy(&dump.stderr)
        );
        let dumped: Json = serde_json::from_slice(&dump.stdout).expect("JSON");
        assert_eq!(dumped["samples"][0]["target"], "Tell");
    }
}

#[test]
fn one_file_of_one_stage_or_output() {
    let (project, params) = ran("");
    let read = |name: &str| String::from_utf8(project.read(name)).expect("UTF-8");
    project.ok(&format!("export p.yaml -o m.csv --stage means {params}"));
    assert!(
        read("m.csv").starts_with("model,metric,n,missing,mean,"),
        "{}",
        read("m.csv")
    );
    project.ok(&format!(
        "export p.yaml -o few.jsonl --output sub/few.parquet {params}"
    ));
    assert!(
        read("few.jsonl").starts_with("{\"id\": \"c\", \"n\": null"),
        "{}",
        read("few.jsonl")
    );
    // The same bytes as the pipeline wrote.
    project.ok(&format!(
        "export p.yaml -o few --format parquet --output sub/few.parquet {params}"
    ));
    assert_eq!(project.read("few"), project.read("out/p/sub/few.parquet"));
    let told = project.ok(&format!(
        "export p.yaml -o m.csv --stage means --json {params}"
    ));
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    assert_eq!(told["files"][0]["records"], 1);
    assert_eq!(told["sensitive"], false);
}

#[test]
fn sensitive_records_need_a_word() {
    let (project, params) = ran("-p sensitive=true");
    for words in [
        "-o hf",
        "-o x.csv --stage scored",
        "-o logs --format inspect",
        "-o m.csv --stage means",
    ] {
        let done = project.clue(&format!("export p.yaml {words} {params}"));
        assert_eq!(done.code, 3, "{words}\n{}", done.stderr);
        refused(
            &done,
            &[
                "marked `sensitive`",
                "--include-sensitive",
                "nothing was written",
            ],
        );
    }
    assert!(!project.path("hf").exists() && !project.path("logs").exists());
    let done = project.ok(&format!("export p.yaml -o hf --include-sensitive {params}"));
    assert!(done.stdout.contains("deserves the care"), "{}", done.stdout);
    let card = String::from_utf8(project.read("hf/README.md")).expect("UTF-8");
    assert!(card.contains("holds data under an agreement"), "{card}");
}

#[test]
fn what_cannot_be_exported_is_told() {
    let (project, params) = ran("");
    for (words, expected) in [
        (
            "-o hf --output all.json",
            &["no output `all.json`", "did you mean `all.jsonl`?"][..],
        ),
        (
            "-o x.csv --stage scord",
            &["no stage `scord`", "did you mean `scored`?"],
        ),
        (
            "-o x.csv",
            &["one file holds one output or stage", "`all.jsonl`"],
        ),
        (
            "-o p.yaml --format csv --stage means",
            &["`p.yaml` is read by the pipeline"],
        ),
        (
            "-o cases.jsonl --stage means",
            &["`cases.jsonl` is read by the pipeline"],
        ),
        (
            "-o out/p/all.jsonl --stage means",
            &["is an output of the pipeline"],
        ),
        ("-o hf --stage nothing", &["there are no records to export"]),
        ("-o hf --split a/b", &["`a/b` cannot name a split"]),
        (
            "-o hf --split-by text",
            &["record `a`: `text` cannot name a split"],
        ),
        (
            "-o hf --split-by none",
            &["record `a`: `none` is not there"],
        ),
        ("-o .", &["there are files that no export made"]),
        ("-o ask.j2", &["`ask.j2` is no folder"]),
        (
            "-o l --format inspect --stage means",
            &["`generate`, `judge` or `score`"],
        ),
    ] {
        let done = project.clue(&format!("export p.yaml {words} {params}"));
        assert_eq!(done.code, 2, "{words}\n{}{}", done.stdout, done.stderr);
        refused(&done, expected);
        assert!(!done.stderr.contains("alpha"), "{}", done.stderr);
    }
    let done = project.clue(&format!("export p.yaml -o hf --store none {params}"));
    assert_eq!(done.code, 2);
    refused(&done, &["no run of this pipeline"]);
    assert!(!project.path("hf").exists());
}

#[test]
fn what_is_missing_is_told_and_the_rest_is_written() {
    let (project, params) = ran("");
    let more = "{\"id\":\"d\",\"text\":\"new\",\"truth\":\"x\",\"part\":\"test\"}\n";
    project.write("cases.jsonl", format!("{CASES}{more}"));
    let done = project.clue(&format!("export p.yaml -o hf --output all.jsonl {params}"));
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    refused(
        &done,
        &["not all of the answers or scores of `answered` are in the cache"],
    );
    assert!(done.stdout.contains("(3 records"), "{}", done.stdout);
    let card = String::from_utf8(project.read("hf/README.md")).expect("UTF-8");
    assert!(card.contains("are not in here"), "{card}");
    project.write("cases.jsonl", more);
    let done = project.clue(&format!(
        "export p.yaml -o x.csv --output all.jsonl {params}"
    ));
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    refused(
        &done,
        &["there is nothing to export", "run the pipeline first"],
    );
}

/// The logs in a folder.
fn logs(project: &Project, folder: &str) -> Vec<Json> {
    let names = has_files(&project.path(folder)).into_iter();
    let read = |name| serde_json::from_slice(&project.read(&format!("{folder}/{name}")));
    names.map(|name| read(name).expect("JSON")).collect()
}

#[test]
fn logs_hold_the_calls_that_records_were_made_of() {
    let yaml = "clue: 1\nparams: {url: x}\nmodels:\n  m: {id: a, url: \"{{ params.url }}\"}\n  n: {id: b, url: \"{{ params.url }}\"}\n\
        stages:\n  docs: {load: {path: docs.jsonl, key: id}}\n  cases: {load: {path: cases.jsonl, key: cid}}\n\
        \x20 asked: {from: docs, generate: {model: m, prompt: q.j2}}\n\
        \x20 joined: {from: [cases, asked], join: {on: {doc: id}}}\n\
        \x20 scored: {from: joined, score: {metric: exact_match, prediction: answer, reference: ref}}\n\
        \x20 renamed: {from: scored, rename: {acc: exact_match}}\n\
        \x20 other: {from: docs, generate: {model: n, prompt: q.j2}}\n\
        \x20 both: {from: [asked, other], concat: {prefix: true}}\n\
        \x20 scored2: {from: both, score: {metric: exact_match, prediction: answer, reference: text}}\n\
        outputs: {j.jsonl: {from: renamed}, k.jsonl: {from: scored2}}\n";
    let docs: Vec<String> = (1..4)
        .map(|n| format!("{{\"id\":\"{n}\",\"text\":\"document {n}\"}}\n"))
        .collect();
    let cases = "{\"cid\":\"1\",\"doc\":\"3\",\"ref\":\"x\"}\n{\"cid\":\"2\",\"doc\":\"1\",\"ref\":\"x\"}\n";
    let project = Project::new(&[
        ("j.yaml", yaml),
        ("docs.jsonl", &docs.concat()),
        ("cases.jsonl", cases),
        ("q.j2", "Tell: {{ text }}"),
    ]);
    let server = Server::stub("");
    let params = format!("-p url={}", server.url());
    project.ok(&format!("run j.yaml --yes {params}"));
    project.ok(&format!(
        "export j.yaml --format inspect --to one --stage scored {params}"
    ));
    let one = logs(&project, "one");
    assert_eq!(one.len(), 1);
    for (sample, doc) in [(0, 3), (1, 1)] {
        let sample = &one[0]["samples"][sample];
        let input = sample["input"][0]["content"].as_str().expect("a prompt");
        assert!(input.contains(&format!("document {doc}")), "{sample}");
        assert_eq!(sample["output"]["completion"], sample["metadata"]["answer"]);
        // Renamed since, and there all the same.
        assert_eq!(sample["scores"]["exact_match"]["value"], 0.0);
    }
    assert_eq!(one[0]["results"]["scores"][0]["scored_samples"], 2);
    project.ok(&format!(
        "export j.yaml --format inspect --to two --stage scored2 {params}"
    ));
    let two = logs(&project, "two");
    let mut models: Vec<&str> = two
        .iter()
        .map(|log| log["eval"]["model"].as_str().expect("a model"))
        .collect();
    models.sort_unstable();
    assert_eq!(models, ["a", "b"]);
    for log in &two {
        assert_eq!(log["samples"].as_array().expect("samples").len(), 3);
        assert_eq!(
            log["samples"][0]["output"]["choices"]
                .as_array()
                .expect("choices")
                .len(),
            1
        );
    }
    if let Some(read) = python(
        &project,
        "import json\nfrom inspect_ai.log import read_eval_log, list_eval_logs\n\
         print(json.dumps([read_eval_log(l).status for l in list_eval_logs('two')]))",
    ) {
        assert_eq!(read, serde_json::json!(["success", "success"]));
    }
}

#[test]
fn logs_count_what_failed() {
    let (project, params) = ran("");
    let more = "{\"id\":\"d\",\"text\":\"new\",\"truth\":\"x\",\"part\":\"test\"}\n";
    project.write("cases.jsonl", format!("{CASES}{more}"));
    let done = project.clue(&format!(
        "export p.yaml --format inspect --to logs {params}"
    ));
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let log = &logs(&project, "logs")[0];
    assert_eq!(log["results"]["total_samples"], 4);
    assert_eq!(log["results"]["completed_samples"], 3);
    assert_eq!(log["samples"][3]["id"], "d");
    assert_eq!(
        log["samples"][3]["error"]["message"],
        "answered: the answer is not in the cache"
    );
    if let Some(read) = python(
        &project,
        "import json\nfrom inspect_ai.log import read_eval_log, list_eval_logs\n\
         l = read_eval_log(list_eval_logs('logs')[0])\n\
         print(json.dumps([bool(s.error) for s in l.samples]))",
    ) {
        assert_eq!(read, serde_json::json!([false, false, false, true]));
    }
    // Nobody was asked about any of these: no log.
    project.write("cases.jsonl", more);
    let done = project.clue(&format!("export p.yaml --format inspect --to no {params}"));
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    refused(&done, &["there is nothing to export"]);
    assert!(!project.path("no").exists());
}

#[test]
fn a_folder_keeps_what_no_export_made() {
    let (project, params) = ran("");
    let export = format!("export p.yaml --to hf --output all.jsonl {params}");
    // A mark alone makes no file ours.
    let tail = "-00000-of-00001.parquet";
    project.write("hf/README.md", "<!-- made by clue export -->");
    let mine = [format!("hf/data/mine{tail}"), format!("hf/data/test{tail}")];
    mine.iter().for_each(|name| project.write(name, "mine"));
    let done = project.clue(&export);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    refused(&done, &["no export made"]);
    std::fs::remove_file(project.path(&mine[1])).expect("removed");
    project.ok(&export);
    project.ok(&format!("{export} --split train"));
    assert_eq!(
        has_files(&project.path("hf")),
        [
            "README.md".to_owned(),
            format!("data/mine{tail}"),
            format!("data/train{tail}")
        ]
    );
    assert_eq!(project.read(&mine[0]), b"mine");
    // Nothing is written through a link, nor removed.
    #[cfg(unix)]
    {
        std::fs::rename(project.path("hf/data"), project.path("far")).expect("moved");
        std::os::unix::fs::symlink(project.path("far"), project.path("hf/data")).expect("linked");
        let done = project.clue(&export);
        assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
        refused(&done, &["is a link"]);
        assert_eq!(has_files(&project.path("far")).len(), 2);
    }
    // A fault in the second of two leaves nothing of the first.
    let done = project.clue(&format!(
        "export p.yaml --to no --stage cases --stage means --split-by part {params}"
    ));
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    refused(&done, &["`part` is not there"]);
    assert!(!project.path("no").exists());
}

#[test]
fn a_folder_is_there_as_a_whole_or_not_at_all() {
    // The second of two cannot be written: no file system has such names.
    let long = "s".repeat(300);
    let yaml = format!(
        "clue: 1\nname: w\nstages:\n  a: {{load: {{path: r.jsonl}}}}\n  {long}: {{from: a, where: x > 0}}\n\
         outputs:\n  a.jsonl: {{from: {long}}}\n"
    );
    let project = Project::new(&[("w.yaml", &yaml), ("r.jsonl", "{\"x\":1}\n{\"x\":2}\n")]);
    project.ok("run w.yaml --yes");
    let broken = format!("export w.yaml --to new/hf --stage a --stage {long}");
    let done = project.clue(&broken);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    refused(&done, &["cannot write"]);
    assert_eq!(has_files(&project.path("new")), Vec::<String>::new());
    project.ok("export w.yaml --to new/hf --stage a");
    let whole = has_files(&project.path("new"));
    assert_eq!(whole.len(), 2, "{whole:?}");
    // Nor does it touch an earlier export.
    let card = project.read("new/hf/README.md");
    let done = project.clue(&broken);
    assert_eq!(done.code, 2, "{}{}", done.stdout, done.stderr);
    assert_eq!(has_files(&project.path("new")), whole);
    assert_eq!(project.read("new/hf/README.md"), card);
    // As one that was killed leaves it: the card without its data, and what it was making.
    std::fs::remove_dir_all(project.path("new/hf/data")).expect("removed");
    project.write("new/hf/.clue-export-x/new/data/y.parquet", "half");
    project.ok("export w.yaml --to new/hf --stage a --stage a.jsonl");
    let whole = has_files(&project.path("new"));
    assert_eq!(whole.len(), 3, "{whole:?}");
}

#[test]
fn a_split_that_lost_all_of_its_records_is_told_and_the_others_load() {
    let yaml = "clue: 1\nname: s\nstages:\n  rows: {load: {path: r.jsonl, key: id}}\n\
                outputs:\n  x.jsonl: {from: rows}\n";
    let rows = "{\"id\":\"1\",\"part\":\"train\",\"a\":1}\n{\"id\":\"2\",\"part\":\"dev\",\"a\":\"hush\"}\n\
                {\"id\":\"3\",\"part\":\"test\",\"a\":null}\n";
    let project = Project::new(&[("s.yaml", yaml), ("r.jsonl", rows)]);
    project.ok("run s.yaml --yes");
    let done = project.clue("export s.yaml -o hf --split-by part");
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    refused(
        &done,
        &["the split `dev` of `x.jsonl` has lost all of its records, and is left out"],
    );
    assert!(!done.stderr.contains("hush"), "{}", done.stderr);
    let load = "import json, datasets\nd = datasets.load_dataset('hf')\n\
                print(json.dumps({s: [d[s].to_list(), str(d[s].features['a'])] for s in d}))";
    if let Some(read) = python(&project, load) {
        let int = "Value('int64')";
        assert_eq!(
            read,
            serde_json::json!({
                "test": [[{"id": "3", "part": "test", "a": null}], int],
                "train": [[{"id": "1", "part": "train", "a": 1}], int],
            })
        );
    }
}

#[test]
fn a_card_keeps_the_address_of_a_license() {
    let (project, params) = ran("");
    project.ok(&format!(
        "export p.yaml -o hf --output all.jsonl --license https://Example.org/Terms {params}"
    ));
    let card = String::from_utf8(project.read("hf/README.md")).expect("UTF-8");
    let front = card.split("---\n").nth(1).expect("YAML");
    let front: Json = serde_yaml::from_str(front).expect("YAML");
    assert_eq!(front["license"], "other");
    assert_eq!(front["license_link"], "https://Example.org/Terms");
}

#[test]
fn a_log_tells_what_a_judge_said_and_what_became_of_scores() {
    let server = Server::stub("");
    let rows: String = (0..24)
        .map(|n| format!("s{n},Sentence {n}.,Meaning {n}.\n"))
        .collect();
    let example = crate::support::root().join("examples/judge");
    let file = |name: &str| std::fs::read_to_string(example.join(name)).expect("read");
    let yaml = file("plain_words.yaml")
        .replace("unclear: none", "unclear: fail")
        .replace(
            "  results:\n    from: judged",
            "  changed:\n    from: judged\n    set: {plain: plain * 100, share: plain / 100}\n\
         \x20 results:\n    from: changed",
        );
    let project = Project::new(&[
        ("strict.yaml", &yaml),
        ("judge.j2", &file("judge.j2")),
        ("explain.j2", &file("explain.j2")),
        ("sentences.csv", &format!("id,sentence,meaning\n{rows}")),
    ]);
    let at = |id: &str| serde_json::json!({"url": server.url(), "id": id});
    let params = format!("-p model={} -p judge={}", at("s"), at("j"));
    project.clue(&format!("run strict.yaml --yes {params}"));
    let done = project.clue(&format!(
        "export strict.yaml --format inspect --to logs {params}"
    ));
    assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
    let log = &logs(&project, "logs")[0];
    let samples = log["samples"].as_array().expect("samples");
    let (lost, whole): (Vec<&Json>, Vec<&Json>) = samples
        .iter()
        .partition(|sample| sample["error"].is_object());
    assert_eq!(lost.len() + whole.len(), 24);
    assert!(!lost.is_empty() && !whole.is_empty());
    for sample in &lost {
        let score = &sample["scores"]["judge"];
        assert_eq!(score["value"], "unclear");
        let said = score["explanation"].as_str().expect("text");
        assert!(said.starts_with("It says "), "{said}");
        assert_eq!(
            sample["messages"].as_array().expect("messages").len(),
            3,
            "{sample}"
        );
        assert!(sample["output"]["completion"].is_string(), "{sample}");
    }
    for sample in &whole {
        // The score as it was given, and what it was made into.
        let score = sample["scores"]["judge"]["value"]
            .as_f64()
            .expect("a number");
        assert_eq!(sample["metadata"]["plain"].as_f64(), Some(score * 100.0));
        assert_eq!(sample["metadata"]["share"].as_f64(), Some(score));
        assert_eq!(sample["metadata"].get("plain_reason"), None);
    }
    assert_eq!(log["results"]["scores"][0]["scored_samples"], whole.len());
    // All calls count, each once.
    for model in ["s", "j"] {
        let tokens = |of: &Json| of[model]["total_tokens"].as_u64().expect("tokens");
        let sum: u64 = samples
            .iter()
            .map(|sample| tokens(&sample["model_usage"]))
            .sum();
        assert_eq!(tokens(&log["stats"]["model_usage"]), sum);
    }
    let read = "import json\nfrom inspect_ai.log import read_eval_log, list_eval_logs\n\
         l = read_eval_log(list_eval_logs('logs')[0])\n\
         print(json.dumps([[s.scores['judge'].value, s.scores['judge'].explanation,\n\
           s.output.completion, s.model_usage['j'].total_tokens] for s in l.samples if s.error]))";
    if let Some(read) = python(&project, read) {
        for (read, sample) in read.as_array().expect("a list").iter().zip(&lost) {
            assert_eq!(read[0], "unclear");
            assert_eq!(read[1], sample["scores"]["judge"]["explanation"]);
            assert_eq!(read[2], sample["output"]["completion"]);
            assert!(read[3].as_u64().is_some_and(|tokens| tokens > 0));
        }
    }
}

#[test]
fn parquet_files_of_pyarrow_are_loaded_or_it_is_told_why_not() {
    let project = Project::new(&[]);
    let write = "import pyarrow as a, pyarrow.parquet as q, datetime as d, decimal\n\
        t = d.datetime(2026, 1, 2, 3, 4, 5, 678901)\n\
        ns = a.array([1767323045678901234, None], a.timestamp('ns'))\n\
        q.write_table(a.table({'t': ns, 'l': a.array([[t, None], []], a.list_(a.timestamp('ns')))}),\n\
          'old.parquet', use_deprecated_int96_timestamps=True)\n\
        q.write_table(a.table({'n': a.array([t], a.timestamp('us')), 'z': a.array([t], a.timestamp('us', 'Europe/Berlin')),\n\
          'd': a.array([decimal.Decimal(10000032)], a.decimal128(10, 0))}), 'types.parquet')\n\
        [q.write_table(a.table({'ü é': a.array([2**63 - 1])}), c + '.parquet', compression=c)\n\
          for c in ['gzip', 'lz4', 'snappy', 'brotli']]\n\
        q.write_table(a.table([a.array([1]), a.array([2]), a.array([b'\\xff'], a.binary(1))], names=['a', 'b', 'b']), 'twice.parquet')\n\
        m = a.map_(a.string(), a.int64())\n\
        q.write_table(a.table({'m': a.array([[('hush', 1), ('hush', 2)]], m)}), 'keys.parquet')\n\
        print('0')";
    if python(&project, write).is_none() {
        return;
    }
    let load = |file: &str, more: &str| {
        let yaml = format!(
            "clue: 1\nname: b\nstages:\n  b: {{load: {{path: {file}.parquet{more}}}}}\noutputs:\n  b.jsonl: {{from: b}}\n"
        );
        project.write("b.yaml", yaml);
        let done = project.clue("run b.yaml --yes");
        match done.code {
            0 => Ok(String::from_utf8(project.read("out/b/b.jsonl")).expect("UTF-8")),
            2 => Err(done.stderr),
            _ => panic!("{}{}", done.stdout, done.stderr),
        }
    };
    let big = "{\"ü é\": 9223372036854775807}\n";
    for (file, more, told) in [
        (
            "old",
            "",
            "{\"t\": \"2026-01-02T03:04:05.678901234\", \"l\": [\"2026-01-02T03:04:05.678901\", null]}\n\
             {\"t\": null, \"l\": []}\n",
        ),
        (
            "types",
            "",
            "{\"n\": \"2026-01-02T03:04:05.678901\", \"z\": \"2026-01-02T03:04:05.678901Z\", \"d\": \"10000032\"}\n",
        ),
        ("gzip", "", big),
        ("lz4", "", big),
        ("snappy", "", big),
        // What is not taken may be such as records cannot hold.
        ("twice", ", fields: [a]", "{\"a\": 1}\n"),
    ] {
        assert_eq!(load(file, more).as_deref(), Ok(told), "{file}");
    }
    for (file, words) in [
        ("brotli", &["compressed with Brotli", "`zstd`"][..]),
        ("twice", &["two columns have the name `b`", "`fields`"]),
        (
            "keys",
            &["row 1: the value of `m` is a map in which a key stands twice"],
        ),
    ] {
        let told = load(file, "").expect_err(file);
        for word in words {
            assert!(told.contains(word), "{word}\n{told}");
        }
        assert!(!told.contains("hush"), "{told}");
    }
}
