//! `clue bundle`: what is in the file, what is not, and what is refused. The archive itself is
//! read here by others' programs: a zstd decoder and a tar reader.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::os::unix::fs::symlink;

use serde_json::Value as Json;

use clue::hash::Hash;
use clue::share::bundle::salt::Salting;

use crate::report::Page;
use crate::rocrate::{OF_RUN, is_a_citation, is_a_crate};
use crate::support::{Done, Project, Server, copy, done, root};

/// The files of a bundle.
fn members(project: &Project, name: &str) -> BTreeMap<String, Vec<u8>> {
    let plain = zstd::decode_all(&project.read(name)[..]).expect("zstd");
    let mut archive = tar::Archive::new(&plain[..]);
    let mut found = BTreeMap::new();
    for entry in archive.entries().expect("a tar") {
        let mut entry = entry.expect("a member");
        assert_eq!(entry.header().mtime().expect("a time"), 0);
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).expect("read");
        assert!(found.insert(path, bytes).is_none());
    }
    found
}

/// Unpacks a bundle, for programs that look at it.
fn unpacked(members: &BTreeMap<String, Vec<u8>>) -> Project {
    let project = Project::new(&[]);
    for (name, bytes) in members {
        project.write(name, bytes);
    }
    project
}

fn names(members: &BTreeMap<String, Vec<u8>>) -> Vec<&str> {
    members.keys().map(String::as_str).collect()
}

fn text(members: &BTreeMap<String, Vec<u8>>, name: &str) -> String {
    let bytes = members.get(name).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(bytes.clone()).expect("UTF-8")
}

fn json(members: &BTreeMap<String, Vec<u8>>, name: &str) -> Json {
    serde_json::from_str(&text(members, name)).expect("JSON")
}

fn has(done: &Done, code: i32, parts: &[&str]) {
    let told = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, code, "{told}");
    for part in parts {
        assert!(told.contains(part), "no {part:?} in\n{told}");
    }
}

/// The words of a text, found in another way than the program does.
fn words(text: &str) -> Vec<String> {
    let mut plain = String::new();
    for c in text.chars() {
        plain.extend(c.to_lowercase());
    }
    let parts = plain.split(|c: char| !c.is_alphanumeric());
    parts.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

fn runs(text: &str) -> HashSet<Vec<String>> {
    words(text).windows(5).map(<[String]>::to_vec).collect()
}

/// A text, and the texts in it if it is JSON, also in lines.
fn texts(text: &str) -> Vec<String> {
    fn inner(json: &Json, all: &mut Vec<String>) {
        match json {
            Json::String(text) => all.extend(texts(text)),
            Json::Array(items) => items.iter().for_each(|item| inner(item, all)),
            Json::Object(map) => map.iter().for_each(|(name, item)| {
                all.push(name.clone());
                inner(item, all);
            }),
            _ => {}
        }
    }
    let mut all = vec![text.to_owned()];
    let whole = std::iter::once(text).chain(text.lines());
    for json in whole.filter_map(|part| serde_json::from_str::<Json>(part).ok()) {
        if json.is_object() || json.is_array() {
            inner(&json, &mut all);
        }
    }
    all
}

const QUICK: &str = "examples/quickstart/quickstart.yaml";

/// A checkout of the quickstart that was run, with a bundle of it.
fn quickstart() -> (Project, String) {
    let server = Server::stub("");
    let project = Project::new(&[(".git/config", "")]);
    copy(&root().join("examples"), &project.path("examples"));
    let url = format!("-p model_address={}", server.url());
    project.ok(&format!("run {QUICK} {url}"));
    drop(server);
    let done = project.ok(&format!("bundle {QUICK} {url} --date 2026-01-02"));
    let bundle = "quickstart.clue.tar.zst";
    has(
        &done,
        0,
        &["written: quickstart.clue.tar.zst (level no-inputs"],
    );
    (project, bundle.to_owned())
}

#[test]
fn no_five_words_of_a_note_are_in_a_bundle_of_the_quickstart() {
    let (project, bundle) = quickstart();
    let members = members(&project, &bundle);
    for name in [
        "bundle.json",
        "README.md",
        "pipeline.lock",
        "project/quickstart.yaml",
        "project/prompts/question.j2",
        "project/llm/serve.py",
        "hidden_calls.jsonl",
        "records.jsonl",
        "report.html",
    ] {
        assert!(
            members.contains_key(name),
            "no {name} in {:?}",
            names(&members)
        );
    }
    for name in [
        "project/notes.csv",
        "calls.jsonl",
        "outputs/questions.jsonl",
    ] {
        assert!(!members.contains_key(name), "{name}");
    }
    let mut notes: HashSet<Vec<String>> = HashSet::new();
    let mut ids = Vec::new();
    for file in ["notes.csv", "more_notes.csv"] {
        let path = root().join("examples/quickstart").join(file);
        for row in csv::Reader::from_path(path).expect("CSV").records() {
            let row = row.expect("a row");
            ids.push(row[0].to_owned());
            notes.extend(runs(&row[row.len() - 1]));
        }
    }
    let examples = project.read("examples/quickstart/example_statements.jsonl");
    for text in texts(&String::from_utf8(examples).expect("UTF-8"))
        .iter()
        .skip(1)
    {
        notes.extend(runs(text));
    }
    assert!(ids.len() == 22 && notes.len() > 3000);
    let mut seen = 0;
    for (name, bytes) in &members {
        let mut all = texts(&String::from_utf8_lossy(bytes));
        all.push(name.clone());
        if name == "report.html" {
            all.extend(texts(&Page::of(bytes).all()));
        }
        for text in all {
            seen += 1;
            let found = runs(&text).intersection(&notes).count();
            assert_eq!(found, 0, "in {name}");
            for id in &ids {
                assert!(!text.contains(id), "{id} in {name}");
            }
        }
    }
    assert!(seen > 300, "{seen}");
    is_a_crate(&unpacked(&members).path(""), &OF_RUN);
    // What stands for calls can be told apart, and is not what the cassette would have.
    let calls = text(&members, "hidden_calls.jsonl");
    let calls: HashSet<&str> = calls.lines().collect();
    assert!(calls.len() > 50);
    let page = text(&members, "report.html");
    assert!(!page.contains("127.0.0.1:") && !text(&members, "bundle.json").contains("/tmp"));
}

#[test]
fn bundles_of_two_checkouts_are_the_same_to_the_byte() {
    let ((one, name), (two, _)) = (quickstart(), quickstart());
    let (a, b) = (members(&one, &name), members(&two, &name));
    assert_eq!(names(&a), names(&b));
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{name} differs");
    }
    assert!(one.read(&name) == two.read(&name));
    // Open ones hold calls, outputs and results as well.
    let open = || {
        let (project, _server, with) = ran("");
        project.ok(&format!("bundle w/p.yaml {with} --date 2026-01-02"));
        project.read("p.clue.tar.zst")
    };
    assert!(open() == open());
}

const PIPELINE: &str = "\
clue: 1
name: p
description: Three cases
cite: Nobody, 2026.
params:
  url: http://127.0.0.1:1/v1
  cases: {type: path, default: cases.jsonl}
models:
  subject: {url: \"{{ params.url }}\", id: m-1, retries: 0}
stages:
  cases:
    load: {path: \"{{ params.cases }}\", key: id}
  answered:
    from: cases
    generate: {model: subject, prompt: prompts/ask.j2, into: guess}
  scored:
    from: answered
    score: {metric: exact_match, prediction: guess, reference: truth, into: {exact_match: exact}}
  means:
    from: scored
    stats: {by: group, metrics: [exact], seed: 1}
outputs:
  means.csv: {from: means}
  guesses.jsonl: {from: scored, fields: [id, guess]}
";
const ASK: &str = "Which word is it?\n{{ text }}\n";
const CASES: &str = "\
{\"id\": \"case-0001\", \"text\": \"She fell down the garden stairs on a rainy day\", \"truth\": \"a\", \"group\": \"g\"}
{\"id\": \"case-0002\", \"text\": \"He came back with a cough and some fever\", \"truth\": \"b\", \"group\": \"g\"}
{\"id\": \"case-0003\", \"text\": \"Nothing much was found in the chest X-ray today\", \"truth\": \"c\", \"group\": \"h\"}
";

/// The pipeline with its files, run; `more` is put into it after `key: id`.
fn ran(more: &str) -> (Project, Server, String) {
    let yaml = PIPELINE.replace("key: id}", &format!("key: id{more}}}"));
    let project = Project::new(&[
        ("w/.git/config", ""),
        ("w/p.yaml", &yaml),
        ("w/prompts/ask.j2", ASK),
        ("w/cases.jsonl", CASES),
    ]);
    let server = Server::stub("");
    let with = format!("-p url={}", server.url());
    project.ok(&format!("run w/p.yaml {with}"));
    (project, server, with)
}

#[test]
fn an_open_bundle_has_all_that_a_run_was_made_of() {
    let (project, server, with) = ran("");
    drop(server);
    let told = project.ok(&format!("bundle w/p.yaml {with} --dry-run"));
    has(
        &told,
        0,
        &[
            "level open; would leave:",
            "calls with their answers",
            "nothing was written",
        ],
    );
    assert!(!project.path("p.clue.tar.zst").exists());
    let told = project.ok(&format!("bundle w/p.yaml {with} -o b/x.tar.zst"));
    has(&told, 0, &["written: b/x.tar.zst (level open"]);
    let members = members(&project, "b/x.tar.zst");
    for (name, file) in [
        ("project/p.yaml", "w/p.yaml"),
        ("project/prompts/ask.j2", "w/prompts/ask.j2"),
        ("project/cases.jsonl", "w/cases.jsonl"),
        ("outputs/means.csv", "out/p/means.csv"),
        ("outputs/guesses.jsonl", "out/p/guesses.jsonl"),
    ] {
        assert_eq!(members[name], project.read(file), "{name}");
    }
    let manifest = json(&members, "bundle.json");
    assert_eq!(
        manifest["params"],
        serde_json::json!({"url": "http://127.0.0.1:9/v1"})
    );
    for file in manifest["files"].as_array().expect("files") {
        let bytes = &members[file["path"].as_str().expect("a path")];
        assert_eq!(file["hash"], blake3::hash(bytes).to_hex().as_str());
    }
    project.ok(&format!("lock w/p.yaml {with}"));
    assert_eq!(members["pipeline.lock"], project.read("w/p.lock"));
    let results = json(&members, "results.json");
    assert_eq!(results["tables"][0]["stage"], "means");
    // Each line of hashes has all records.
    let records = text(&members, "records.jsonl");
    let stage = |name: &str| -> Json {
        let lines = records
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
        let mut found = lines.filter(|line| line["stage"] == name);
        found.next().unwrap_or_else(|| panic!("no {name}"))
    };
    for (name, count) in [("answered", 3), ("means.csv", 2), ("guesses.jsonl", 3)] {
        let found = stage(name);
        assert_eq!(
            found["records"].as_array().map(Vec::len),
            Some(count),
            "{name}"
        );
        assert_eq!(found["salted"], false);
    }
    // The calls answer a run elsewhere, and the lock holds there.
    let other = unpacked(&members);
    is_a_crate(&other.path(""), &OF_RUN);
    is_a_citation(&text(&members, "CITATION.cff"));
    other.write("project/.git/config", "");
    other.write("project/p.lock", &members["pipeline.lock"]);
    let url = "-p url=http://127.0.0.1:9/v1";
    other.ok(&format!(
        "replay project/p.yaml calls.jsonl {url} --out again"
    ));
    assert_eq!(
        other.read("again/guesses.jsonl"),
        members["outputs/guesses.jsonl"]
    );
    other.ok(&format!("lock project/p.yaml {url} --check"));
    // Chosen outputs alone, and no larger files.
    let told = project.ok(&format!(
        "bundle w/p.yaml {with} --output means.csv --max-file 300"
    ));
    has(
        &told,
        0,
        &[
            "output `guesses.jsonl`: not chosen",
            "`cases.jsonl` (param `cases`): 3",
        ],
    );
    let few = super::bundle::members(&project, "p.clue.tar.zst");
    assert!(few.contains_key("outputs/means.csv") && !few.contains_key("project/cases.jsonl"));
    let data = &json(&few, "bundle.json")["data"][0];
    assert!(
        data["there"] == false && data["label"] == "params.cases",
        "{data}"
    );
    has(
        &project.clue(&format!("bundle w/p.yaml {with} --output mean.csv")),
        2,
        &["no output `mean.csv`", "means.csv"],
    );
}

#[test]
fn sensitive_records_leave_by_their_own_word_alone() {
    let (project, _server, with) = ran(", sensitive: true");
    let bundle = |words: &str| project.clue(&format!("bundle w/p.yaml {with} {words}"));
    has(&bundle("--level open"), 3, &["--include-sensitive"]);
    assert!(!project.path("p.clue.tar.zst").exists());
    has(&bundle("--include-sensitive"), 2, &["`--level open` alone"]);
    has(
        &bundle("--output guesses.jsonl"),
        3,
        &["made of sensitive records"],
    );
    has(
        &bundle(""),
        0,
        &[
            "level no-inputs",
            "3 calls",
            "no words of 3 sensitive records",
        ],
    );
    let closed = members(&project, "p.clue.tar.zst");
    let all: Vec<&str> = names(&closed);
    assert_eq!(
        all.iter()
            .filter(|name| name.starts_with("outputs/") || name.starts_with("calls"))
            .count(),
        0,
        "{all:?}"
    );
    let hidden = text(&closed, "hidden_calls.jsonl");
    assert!(
        hidden.lines().count() == 3 && !hidden.contains("case-"),
        "{hidden}"
    );
    assert!(text(&closed, "records.jsonl").contains("\"salted\":true"));
    has(
        &bundle("--level open --include-sensitive"),
        0,
        &["deserves the care"],
    );
    let open = members(&project, "p.clue.tar.zst");
    assert!(text(&open, "calls.jsonl").contains("garden stairs"));
    assert!(open.contains_key("outputs/guesses.jsonl") && open.contains_key("project/cases.jsonl"));
    // The same marks of the same data; others of other data, which nobody can try without it.
    let marks = text(&open, "records.jsonl");
    assert!(marks.contains("\"salted\":false") && marks != text(&closed, "records.jsonl"));
    has(&bundle("--level code-only"), 0, &["level code-only"]);
    let code = members(&project, "p.clue.tar.zst");
    let kept: Vec<&str> = names(&code);
    assert!(
        kept.iter()
            .all(|name| !name.starts_with("outputs") && !name.ends_with("jsonl")),
        "{kept:?}"
    );
    assert!(kept.contains(&"project/prompts/ask.j2") && !kept.contains(&"report.html"));
}

#[test]
fn keys_in_the_report_are_salted_by_the_files() {
    #[derive(serde::Serialize)]
    struct Key<'a> {
        salt: Hash,
        key: &'a str,
    }
    let (project, _server, with) = ran(", sensitive: true");
    project.ok(&format!("bundle w/p.yaml {with}"));
    let found = members(&project, "p.clue.tar.zst");
    let mut salting = Salting::default();
    salting.add(CASES.as_bytes()).expect("read");
    let salt = salting.salt().expect("a salt").of_page();
    let page = Page::of(&found["report.html"]).all();
    for key in ["case-0001", "case-0002", "case-0003"] {
        let masked = Hash::of("clue report key v1", &Key { salt, key }).short();
        assert!(page.contains(&masked) && !page.contains(key), "{page}");
    }
}

#[test]
fn words_of_records_are_found_wherever_they_hide() {
    let (project, _server, with) = ran(", sensitive: true");
    let bundle = |words: &str| project.clue(&format!("bundle w/p.yaml {with} {words}"));
    let yaml = String::from_utf8(project.read("w/p.yaml")).expect("UTF-8");
    for (what, line) in [
        // Broken over lines, in capitals, with escapes, in a key's form.
        (
            "description: 'x'\n#\n# FELL down;\n#   the garden-stairs\n",
            5,
        ),
        (
            "description: \"she\\u0020fell\\x20down\\nthe garden stairs\"\n",
            3,
        ),
        ("description: fell&#32;down <b>the</b> garden stairs\n", 3),
        ("description: see (CASE 0002)\n", 3),
    ] {
        project.write("w/p.yaml", yaml.replace("description: Three cases\n", what));
        let done = bundle("");
        has(
            &done,
            3,
            &["words of sensitive records", "refused: nothing was written"],
        );
        has(&done, 3, &[&format!("`project/p.yaml` line {line}")]);
        let told = format!("{}{}", done.stdout, done.stderr).to_lowercase();
        assert!(!told.contains("garden") && !told.contains("0002"), "{told}");
        assert!(!project.path("p.clue.tar.zst").exists());
        has(&bundle("--level code-only"), 3, &["`project/p.yaml`"]);
        has(&bundle("--dry-run"), 3, &["would leave", "refused"]);
    }
    // What anybody may say is allowed, file by file, and told.
    has(
        &bundle("--allow-file w/prompts/ask.j2"),
        3,
        &["`project/p.yaml`"],
    );
    has(
        &bundle("--allow-file w/cases.jsonl"),
        2,
        &["`w/cases.jsonl` is no file of this bundle"],
    );
    has(&bundle("--allow-file w/p.yaml"), 0, &["written"]);
    let members = members(&project, "p.clue.tar.zst");
    assert_eq!(
        json(&members, "bundle.json")["allowed"][0],
        "project/p.yaml"
    );
    assert!(text(&members, "README.md").contains("anybody may use: project/p.yaml"));
    // Also by its place in the bundle, with what is in a folder there.
    has(&bundle("--allow-file project"), 0, &["written"]);
    has(
        &bundle("--allow-file outputs"),
        2,
        &["no file of this bundle"],
    );
    // Files that are made of what the pipeline says of itself.
    for name in ["README.md", "CITATION.cff", "ro-crate-metadata.json"] {
        let done = bundle(&format!("--allow-file {name}"));
        has(&done, 0, &["written", "but for 1 allowed file"]);
        let members = super::bundle::members(&project, "p.clue.tar.zst");
        assert_eq!(json(&members, "bundle.json")["allowed"][0], name);
        assert!(text(&members, "README.md").contains(&format!("anybody may use: {name}")));
        let done = bundle(&format!("--allow-file {name} --dry-run"));
        has(&done, 0, &[", allowed"]);
    }
    let all = String::from_utf8(project.read("w/p.yaml")).expect("UTF-8");
    project.write("w/p.yaml", all.replace("cite: Nobody, 2026.\n", ""));
    let done = bundle("--allow-file CITATION.cff");
    has(&done, 2, &["`CITATION.cff` is no file of this bundle"]);
    // Few words, and none that tell anything.
    project.write(
        "w/p.yaml",
        yaml.replace("Three cases", "fell down the garden; a b"),
    );
    has(&bundle(""), 0, &["written"]);
}

#[test]
fn what_cannot_be_looked_at_leaves_by_its_own_word_alone() {
    let (project, server, _) = ran("");
    let yaml = PIPELINE.replace("key: id}", "key: id, sensitive: true}");
    // A file beside it with sentences that were copied out of the records, in either form.
    let shots = "  shots: {load: {path: shots.parquet}}\noutputs:\n  shots.csv: {from: shots}\n";
    project.write("w/p.yaml", yaml.replace("outputs:\n", shots));
    project.write(
        "w/q.yaml",
        "clue: 1\nstages:\n  a: {load: {path: cases.jsonl}}\noutputs:\n  shots.parquet: {from: a}\n",
    );
    project.ok("run w/q.yaml --out w");
    let with = format!("-p url={}", server.url());
    project.ok(&format!("run w/p.yaml {with}"));
    let bundle = |words: &str| project.clue(&format!("bundle w/p.yaml {with} {words}"));
    has(&bundle(""), 3, &["`project/shots.parquet`", "refused"]);
    assert!(!project.path("p.clue.tar.zst").exists());
    let text = String::from_utf8(project.read("w/p.yaml")).expect("UTF-8");
    project.write("w/p.yaml", text.replace("shots.parquet", "shots.lst"));
    project.write("w/shots.lst", "BZh91AY&SY\0\n");
    project.ok(&format!("run w/p.yaml {with}"));
    let done = bundle("");
    has(
        &done,
        2,
        &["`project/shots.lst` is a compressed file, which cannot be looked at"],
    );
    has(&done, 2, &["--allow-file project/shots.lst"]);
    assert!(!project.path("p.clue.tar.zst").exists());
    has(&bundle("--allow-file w/shots.lst"), 0, &["written"]);
}

#[test]
fn a_run_that_is_not_whole_is_no_bundle_unless_that_is_said() {
    let (project, server, with) = ran("");
    project.write("w/prompts/ask.j2", "Another one: {{ text }}\n");
    let bundle = |words: &str| project.clue(&format!("bundle w/p.yaml {with} {words}"));
    let done = bundle("");
    has(
        &done,
        2,
        &[
            "not hold the whole run",
            "3 calls of stage `answered`",
            "--partial",
        ],
    );
    has(&bundle("--level code-only"), 0, &["written"]);
    has(
        &bundle("--partial"),
        0,
        &["output `guesses.jsonl`, output `means.csv`: not in the cache"],
    );
    let members = members(&project, "p.clue.tar.zst");
    assert!(!members.contains_key("calls.jsonl") && members.contains_key("report.html"));
    project.write("w/prompts/ask.j2", ASK);
    project.write("out/p/means.csv", "changed");
    has(
        &bundle(""),
        2,
        &["output `means.csv`: the file is not what the run wrote"],
    );
    drop(server);
}

#[test]
fn files_lie_where_they_are_found_and_none_from_elsewhere_come_along() {
    let (project, _server, with) = ran("");
    project.write("mine/ask.j2", "Mine: {{ text }}\n");
    project.write("data/all.jsonl", CASES);
    let with = format!("{with} --prompts mine -p cases=data/all.jsonl");
    project.ok(&format!("run w/p.yaml {with} --yes"));
    project.ok(&format!("bundle w/p.yaml {with}"));
    let found = members(&project, "p.clue.tar.zst");
    assert_eq!(found["prompts/ask.j2"], project.read("mine/ask.j2"));
    assert_eq!(found["data/cases/all.jsonl"], CASES.as_bytes());
    assert!(!found.contains_key("project/prompts/ask.j2"));
    let manifest = json(&found, "bundle.json");
    assert_eq!(manifest["prompts"], "prompts");
    assert_eq!(manifest["paths"]["cases"], "data/cases/all.jsonl");
    assert_eq!(manifest["data"][0]["label"], "params.cases");
    // A link that leads out of the project, which the user did not name.
    std::fs::remove_file(project.path("w/cases.jsonl")).expect("removed");
    symlink(
        project.path("data/all.jsonl"),
        project.path("w/cases.jsonl"),
    )
    .expect("linked");
    let with = with.replace(" --prompts mine -p cases=data/all.jsonl", "");
    project.ok(&format!("run w/p.yaml {with} --yes"));
    has(
        &project.ok(&format!("bundle w/p.yaml {with}")),
        0,
        &["`cases.jsonl` (param `cases`): outside of the project"],
    );
    let found = members(&project, "p.clue.tar.zst");
    assert!(
        !found.contains_key("project/cases.jsonl"),
        "{:?}",
        names(&found)
    );
    // Nor does the bundle take a file's place.
    for (words, why) in [
        ("-o w/p.yaml", "is read by the pipeline"),
        ("-o out/p/means.csv", "is an output of the pipeline"),
        ("-o w", "is a folder"),
        ("-o out/p/errors.jsonl", "is an output of the pipeline"),
        ("-o .clue/format.json", "lies in the cache"),
        ("-o .clue/new/b", "lies in the cache"),
        ("--max-file much", "expected a size"),
        ("--date soon", "expected a day"),
        ("--date 2026-02-31", "expected a day"),
    ] {
        has(
            &project.clue(&format!("bundle w/p.yaml {with} {words}")),
            2,
            &[why],
        );
    }
}

#[test]
fn what_the_users_configuration_calls_sensitive_stays() {
    let (project, _server, with) = ran("");
    let config = format!(
        "sensitive: {{paths: ['{}']}}\n",
        project.path("w/prompts").display()
    );
    project.write(".home/config/clue/config.yaml", config);
    let done = done(
        project
            .command(&format!("bundle w/p.yaml {with} --json"))
            .output()
            .expect("runs"),
    );
    let told: Json = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(
        (done.code, &told["level"]),
        (0, &Json::from("no-inputs")),
        "{}",
        done.stderr
    );
    let found = members(&project, "p.clue.tar.zst");
    // The prompt and what was asked with it; the cases are nobody's.
    assert!(!found.contains_key("project/prompts/ask.j2") && !found.contains_key("calls.jsonl"));
    assert!(found.contains_key("project/cases.jsonl"));
    let page = Page::of(&found["report.html"]);
    assert!(!page.all().contains("Which word is it"));
    let data = &json(&found, "bundle.json")["data"];
    let prompt = data
        .as_array()
        .expect("data")
        .iter()
        .find(|data| data["sensitive"] == true);
    assert_eq!(
        prompt.expect("the prompt")["place"],
        "project/prompts/ask.j2"
    );
}
