//! `clue verify`: a bundle in another folder, with no server running: whole, damaged, with other
//! data, and made by somebody who means ill.

use serde_json::Value as Json;

use clue::share::bundle::archive::{self, Body, Member};
use clue::share::bundle::manifest::{Data, Manifest, Role};

use crate::support::{Done, Project, Server, copy, root};

pub const PIPELINE: &str = r#"
clue: 1
name: p
params:
  url: ""
  words: 20
  notes: {type: path, default: notes.csv}
models:
  m: {url: "{{ params.url or 'http://127.0.0.1:9/v1' }}", id: m, sampling: {temperature: 0, max_tokens: "{{ params.words }}"}}
stages:
  notes: {load: {path: "{{ params.notes }}", key: id, fields: [id, text]}}
  long: {from: notes, where: "text | length > 3"}
  facts: {from: long, generate: {model: m, prompt: facts.j2, into: facts}}
  asked: {from: facts, generate: {model: m, prompt: asked.j2, into: question}}
  scored: {from: asked, score: {metric: rouge, prediction: question, reference: text, into: {rougeL: overlap}}}
  means: {from: scored, stats: {metrics: [overlap], seed: 1}}
outputs:
  long.jsonl: {from: long}
  all.jsonl: {from: scored}
  means.txt: {from: means, format: table}
"#;

pub const FILES: [(&str, &str); 3] = [
    (
        "facts.j2",
        "{% user %}List facts of {{ text }}{% enduser %}",
    ),
    ("asked.j2", "{% user %}Ask about {{ facts }}{% enduser %}"),
    (
        "notes.csv",
        "id,text\nn1,first\nn2,second\nn3,ab\nn4,fourth\n",
    ),
];

/// A project that was run, and a server that is still there.
fn ran(pipeline: &str) -> (Project, Server) {
    let server = Server::stub("");
    let project = Project::new(&FILES);
    project.write("p.yaml", pipeline);
    project.ok(&format!("run p.yaml -p url={}", server.url()));
    (project, server)
}

/// A bundle of that, in a folder of its own; the server is gone.
pub fn bundled(pipeline: &str, words: &str) -> (Project, Project) {
    let (project, server) = ran(pipeline);
    let words = format!("bundle p.yaml -o b -p url={} {words}", server.url());
    drop(server);
    project.ok(&words);
    let elsewhere = Project::new(&[]);
    elsewhere.write("b", project.read("b"));
    (elsewhere, project)
}

pub fn sensitive() -> String {
    PIPELINE.replace(
        "fields: [id, text]}",
        "fields: [id, text], sensitive: true}",
    )
}

pub fn told(project: &Project, words: &str, code: i32) -> Json {
    let done = project.clue(&format!("verify b --json {words}"));
    assert_eq!(done.code, code, "{}{}", done.stdout, done.stderr);
    serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stdout))
}

pub fn has(done: &Done, code: i32, parts: &[&str]) {
    let all = format!("{}{}", done.stdout, done.stderr);
    assert_eq!(done.code, code, "{all}");
    for part in parts {
        assert!(all.contains(part), "no {part:?} in\n{all}");
    }
}

/// What became of each stage.
fn stages(told: &Json) -> Vec<(String, String)> {
    let stages = told["stages"].as_array().expect("stages").iter();
    let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
    stages.map(|s| (text(&s["name"]), text(&s["is"]))).collect()
}

fn all(told: &Json, is: &str) -> bool {
    let stages = stages(told);
    assert_eq!(stages.len(), 6, "{stages:?}");
    stages.iter().all(|(_, found)| found == is)
}

#[test]
fn a_bundle_verifies_elsewhere_without_a_server_to_the_byte() {
    let (elsewhere, _) = bundled(PIPELINE, "");
    let told_ = told(&elsewhere, "", 0);
    assert!(all(&told_, "same"), "{told_}");
    assert_eq!(told_["agrees"], true);
    assert_eq!(told_["files"]["wrong"], serde_json::json!([]));
    let done = elsewhere.ok("verify b");
    has(
        &done,
        0,
        &[
            "b: sound (",
            "stages: 3 of 3 the same to the byte",
            "outputs: 3 of 3 the same to the byte",
            "all that was checked agrees",
        ],
    );
    // Nothing is left in the folder.
    let left = std::fs::read_dir(elsewhere.path("."))
        .expect("a folder")
        .count();
    assert_eq!(left, 1);
}

#[test]
fn one_changed_byte_is_found_and_its_member_named() {
    let (elsewhere, project) = bundled(PIPELINE, "");
    let whole = project.read("b");
    let members: Vec<String> = {
        let plain = zstd::decode_all(&whole[..]).expect("zstd");
        let mut archive = tar::Archive::new(&plain[..]);
        let entries = archive.entries().expect("a tar");
        entries
            .map(|entry| {
                entry
                    .expect("a member")
                    .path()
                    .expect("a path")
                    .display()
                    .to_string()
            })
            .collect()
    };
    let mut named: Vec<String> = Vec::new();
    // Frames are at least as long.
    let step = 24;
    for at in (0..whole.len())
        .step_by(step * 8)
        .chain(whole.len() - 40..whole.len())
    {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        elsewhere.write("b", &bytes);
        let told = told(&elsewhere, "", 1);
        let damage = told["damage"].as_array().expect("a list");
        assert_eq!(damage.len(), 1, "{told}");
        let name = damage[0]["member"].as_str().expect("a name").to_owned();
        if named.last() != Some(&name) {
            named.push(name);
        }
    }
    // In their order, as far as they are met; each once.
    let mut order = members.clone();
    order.extend(["(end of the archive)".to_owned(), "(seal)".to_owned()]);
    let places: Vec<usize> = named
        .iter()
        .map(|name| {
            order
                .iter()
                .position(|known| known == name)
                .expect("a member")
        })
        .collect();
    assert!(places.is_sorted(), "{named:?}");
    assert!(named.len() > members.len() / 2, "{named:?} of {order:?}");
    elsewhere.write("b", &whole[..whole.len() / 2]);
    has(
        &elsewhere.clue("verify b"),
        1,
        &["damaged: ", " is missing", "(seal)"],
    );
    elsewhere.write("b", b"clue: 1");
    has(&elsewhere.clue("verify b"), 2, &["`b` is no bundle"]);
    has(&elsewhere.clue("verify none"), 2, &["cannot read `none`"]);
}

/// The example as it is shipped: a reader with the notes sees that the same prompts were asked.
#[test]
fn a_bundle_of_the_quickstart_says_nothing_of_its_notes_and_can_be_verified_with_them() {
    let server = Server::stub("");
    let project = Project::new(&[(".git/config", "")]);
    copy(&root().join("examples/quickstart"), &project.path("q"));
    let url = format!("-p model_address={}", server.url());
    project.ok(&format!("run q/quickstart.yaml {url}"));
    project.ok(&format!("bundle q/quickstart.yaml -o b {url}"));
    drop(server);
    let elsewhere = Project::new(&[]);
    elsewhere.write("b", project.read("b"));
    let alone = told(&elsewhere, "", 0);
    assert_eq!(alone["level"], "no-inputs");
    assert!(
        stages(&alone).iter().all(|(_, is)| is == "unchecked"),
        "{alone}"
    );
    let data = format!("--data {}", project.path("q").display());
    let with = told(&elsewhere, &data, 0);
    assert_eq!(with["prompts"][0]["gone"], 0, "{with}");
    assert!(with["prompts"][0]["same"].as_u64() > Some(5), "{with}");
    let store = project.path(".clue");
    let whole = told(
        &elsewhere,
        &format!("{data} --store {}", store.display()),
        0,
    );
    assert!(stages(&whole).iter().all(|(_, is)| is == "same"), "{whole}");
    // One word of a note.
    let notes = String::from_utf8(project.read("q/notes.csv")).expect("UTF-8");
    elsewhere.write("data/notes.csv", notes.replacen("hospital", "clinic", 1));
    for name in ["more_notes.csv", "example_statements.jsonl"] {
        elsewhere.write(&format!("data/{name}"), project.read(&format!("q/{name}")));
    }
    let other = told(&elsewhere, "--data data", 1);
    let is = |name: &str| {
        let data = other["data"].as_array().expect("data").iter();
        let mut data = data.filter(|data| data["name"] == name);
        data.next().map(|data| data["is"].clone())
    };
    assert_eq!(is("notes.csv"), Some("other".into()), "{other}");
    assert_eq!(is("more_notes.csv"), Some("found".into()), "{other}");
}

#[test]
fn without_the_data_what_needs_it_is_told_and_is_no_failure() {
    let (elsewhere, project) = bundled(&sensitive(), "");
    let done = elsewhere.ok("verify b");
    has(
        &done,
        0,
        &[
            "level no-inputs",
            "not in the bundle: `notes.csv` (`--data DIR`)",
            "stages: 0 of 3 the same to the byte, 3 not checked",
            "needs `notes.csv`, which is not in the bundle",
        ],
    );
    // With it, what is before the first call is made again, and the prompts are the same.
    elsewhere.write("data/deep/renamed.csv", FILES[2].1);
    let with = told(&elsewhere, "--data data", 0);
    assert_eq!(with["data"][0]["is"], "found", "{with}");
    let found = stages(&with);
    assert!(
        found.contains(&("long.jsonl".to_owned(), "same".to_owned())),
        "{found:?}"
    );
    assert!(
        found.contains(&("facts".to_owned(), "unchecked".to_owned())),
        "{found:?}"
    );
    let prompts = serde_json::json!([{"stage": "facts", "same": 3, "gone": 0, "key": null}]);
    assert_eq!(with["prompts"], prompts);
    // A prompt that was changed before the bundle was sealed.
    let changed = Project::new(&[]);
    changed.write("data/notes.csv", FILES[2].1);
    forged(&changed, &sensitive(), |_, members| {
        let to = "{% if id == 'n4' %}Tell{% else %}List{% endif %}";
        replace(members, "project/facts.j2", "List", to);
    });
    let words = "prompts of `facts`: 2 of 3 calls as they were, by their salted hashes; another one is about `n4`";
    has(&changed.clue("verify b --data data"), 1, &[words]);
    // With the cache of the run, all of it.
    let store = project.path(".clue");
    let words = format!("--data data --store {}", store.display());
    let with = told(&elsewhere, &words, 0);
    assert!(all(&with, "same"), "{with}");
    assert_eq!(with["prompts"].as_array().map(Vec::len), Some(2), "{with}");
}

#[test]
fn other_data_is_told_with_the_first_stage_and_record_that_differ() {
    // Left out for its size alone: its records are no secret.
    let (elsewhere, _) = bundled(PIPELINE, "--max-file 20");
    let data = |text: &str| elsewhere.write("data/notes.csv", text);
    data(FILES[2].1);
    assert!(all(&told(&elsewhere, "--data data", 0), "same"));
    for (text, first) in [
        (
            "id,text\nn1,first\nn2,SECOND\nn3,ab\nn4,fourth\n",
            "number 2 (`n2`), has other content",
        ),
        (
            "id,text\nn1,first\nn3,ab\nn4,fourth\n",
            "number 2, is missing",
        ),
        (
            "id,text\nn1,first\nn5,fifth\nn2,second\nn4,fourth\n",
            "number 2 (`n5`), is new",
        ),
        (
            "id,text\nn2,second\nn1,first\nn4,fourth\n",
            "number 1 (`n1`), stands in another place",
        ),
    ] {
        data(text);
        let done = elsewhere.clue("verify b --data data");
        has(
            &done,
            1,
            &[
                "differs: `notes.csv` has other content than the run's",
                "differs: input `",
                "`long.jsonl` ",
                &format!("the first record that differs, {first}"),
                "something differs",
            ],
        );
        let all = format!("{}{}", done.stdout, done.stderr);
        assert!(!all.contains("SECOND") && !all.contains("fourth"), "{all}");
    }
    // Of sensitive records, marks that are made with other data say nothing.
    let (elsewhere, _) = bundled(&sensitive(), "");
    elsewhere.write("data/notes.csv", "id,text\nn1,first\nn2,other\n");
    let told = told(&elsewhere, "--data data", 1);
    assert_eq!(told["data"][0]["is"], "other");
    assert_eq!(told["stages"][0]["first"], Json::Null, "{told}");
}

#[test]
fn models_are_asked_again_and_what_that_changes_is_told() {
    let (elsewhere, _) = bundled(PIPELINE, "");
    let server = Server::stub("");
    let same = told(&elsewhere, &format!("--live -p url={}", server.url()), 0);
    let answers = serde_json::json!([
        {"stage": "facts", "same": 3, "changed": 0, "gone": 0, "new": 0},
        {"stage": "asked", "same": 3, "changed": 0, "gone": 0, "new": 0},
    ]);
    assert_eq!(same["live"]["stages"], answers, "{same}");
    let score = &same["live"]["scores"][0];
    assert_eq!(score["then"], score["now"], "{same}");
    assert!(score["then"].is_number(), "{same}");
    assert!(all(&same, "same"));
    // Fewer words change answers, and scores; that it is another setting is told.
    let done = elsewhere.clue(&format!(
        "verify b --live -p words=1 -p url={}",
        server.url()
    ));
    has(
        &done,
        1,
        &[
            "differs: param `words` 20 → 1",
            "asked again:",
            "`asked`: 0 of 3 answers the same, 3 changed",
            "means ",
        ],
    );
    // Nobody there: nothing was compared, and that is not said to agree.
    drop(server);
    let none = told(&elsewhere, "--live -p url=http://127.0.0.1:1/v1", 1);
    assert_eq!(none["live"]["stages"][0]["gone"], 3, "{none}");
    assert_eq!(none["live"]["failed"], 3, "{none}");
    assert_eq!(
        (&none["live"]["compared"], &none["agrees"]),
        (&0.into(), &false.into())
    );
    let done = elsewhere.clue("verify b --live -p url=http://127.0.0.1:1/v1");
    has(&done, 1, &["nothing was compared with what the models say"]);
    assert!(!done.stdout.contains("agrees"), "{}", done.stdout);
}

#[test]
fn nothing_of_a_bundle_is_run_or_asked_without_consent() {
    let pipeline = PIPELINE.replace(
        "  facts: {from: long,",
        "  tidy: {from: long, exec: {command: [sh, tidy.sh]}}\n  facts: {from: tidy,",
    );
    let server = Server::stub("");
    let project = Project::new(&FILES);
    project.write("p.yaml", pipeline);
    let ran = project.path("ran");
    project.write("tidy.sh", format!("touch {}\ncat\n", ran.display()));
    project.ok(&format!("run p.yaml --yes -p url={}", server.url()));
    project.ok(&format!("bundle p.yaml -o b -p url={}", server.url()));
    drop(server);
    std::fs::remove_file(&ran).expect("it ran");
    let done = project.ok("verify b");
    has(
        &done,
        0,
        &[
            "needs your consent (`--yes`) to run a program",
            "1 of 3 the same",
        ],
    );
    assert!(!ran.exists());
    let done = project.ok("verify b --yes");
    has(
        &done,
        0,
        &["stages: 4 of 4 the same", "outputs: 3 of 3 the same"],
    );
    assert!(ran.exists());
    // Another machine.
    let words = "verify b --live -p url=http://model.example/v1";
    has(
        &project.clue(words),
        3,
        &["asking again needs your consent", "model.example"],
    );
    let (elsewhere, _) = bundled(&sensitive(), "");
    elsewhere.write("data/notes.csv", FILES[2].1);
    let words = "verify b --data data --yes --live -p url=http://model.example/v1";
    let refused = "your own configuration does not allow";
    has(
        &elsewhere.clue(words),
        3,
        &[refused, "refused: nothing was run and nothing was sent"],
    );
}

/// A bundle as somebody else might write it.
pub fn forged(project: &Project, pipeline: &str, change: impl Fn(&mut Manifest, &mut Vec<Member>)) {
    let (made, _) = bundled(pipeline, "");
    let whole = clue::share::bundle::check::check(&made.path("b"), 1 << 30).expect("a bundle");
    let archive = whole.archive.expect("whole");
    let mut manifest = archive.manifest().clone();
    let files = manifest.files.clone();
    let mut members: Vec<Member> = files
        .iter()
        .map(|file| Member {
            path: file.path.clone(),
            role: file.role,
            body: Body::Bytes(archive.bytes(&file.path).expect("read")),
            hash: None,
        })
        .collect();
    change(&mut manifest, &mut members);
    let mut out = Vec::new();
    archive::write(&mut out, &mut manifest, &members).expect("written");
    project.write("b", out);
}

pub fn replace(members: &mut [Member], path: &str, from: &str, to: &str) {
    let member = members
        .iter_mut()
        .find(|member| member.path == path)
        .expect("there");
    if let Body::Bytes(bytes) = &mut member.body {
        let text = String::from_utf8(bytes.clone()).expect("UTF-8");
        assert!(text.contains(from), "no {from:?} in {text}");
        *bytes = text.replace(from, to).into_bytes();
    }
}

/// Without a param, so that data has to be put into the bundle's folder.
pub fn in_its_place() -> String {
    let param = "  notes: {type: path, default: notes.csv}\n";
    let pipeline = PIPELINE.replace(param, "");
    pipeline.replace("\"{{ params.notes }}\"", "notes.csv")
}

#[test]
fn the_users_data_is_never_written_to() {
    let project = Project::new(&[("data/notes.csv", FILES[2].1)]);
    let data = |label: &str, place: &str| Data {
        label: label.to_owned(),
        name: format!("{label}.csv"),
        bytes: 1,
        hash: clue::hash::Hash::of_bytes(b"x"),
        param: None,
        place: Some(place.to_owned()),
        there: false,
        sensitive: false,
    };
    for (first, second) in [
        // Something that is not there, where the user's file was put.
        ("project/a.csv", "project/a.csv"),
        // In the place of a file of the bundle.
        ("project/a.csv", "project/p.yaml"),
    ] {
        forged(&project, PIPELINE, |manifest, _| {
            manifest.data.push(data("notes", first));
            manifest.data.push(data("then", second));
        });
        let done = project.clue("verify b --data data");
        let refused = "the bundle is refused: another file is in the place of `then`";
        has(&done, 2, &[refused]);
        assert_eq!(project.read("data/notes.csv"), FILES[2].1.as_bytes());
    }
}

#[test]
fn a_program_that_may_run_writes_to_a_copy_of_data() {
    let pipeline = in_its_place().replace(
        "  facts: {from: long,",
        "  tidy: {from: long, exec: {command: [sh, tidy.sh]}}\n  facts: {from: tidy,",
    );
    let server = Server::stub("");
    let project = Project::new(&FILES);
    project.write("p.yaml", pipeline);
    let script = "cat\necho >> \"$(dirname \"$0\")/notes.csv\"\ntouch";
    let ran = project.path("ran");
    let notes = format!("{}n5,{}\n", FILES[2].1, "long ".repeat(200));
    project.write("notes.csv", &notes);
    project.write("tidy.sh", format!("{script} {}\n", ran.display()));
    let with = format!("p.yaml -p url={}", server.url());
    project.ok(&format!("run {with} --yes"));
    project.write("notes.csv", &notes);
    project.ok(&format!("bundle {with} --max-file 500 -o b --partial"));
    std::fs::remove_file(&ran).expect("it ran");
    let elsewhere = Project::new(&[("data/notes.csv", &notes)]);
    elsewhere.write("b", project.read("b"));
    let done = elsewhere.clue("verify b --data data --yes");
    assert!(ran.exists(), "{}{}", done.stdout, done.stderr);
    assert_eq!(elsewhere.read("data/notes.csv"), notes.as_bytes());
}

#[test]
fn a_copy_of_sensitive_data_is_as_sensitive() {
    let words = "verify b --data data --yes --live -p url=http://model.example/v1";
    let refused = "your own configuration does not allow";
    // By the configuration of whoever verifies.
    let (elsewhere, _) = bundled(&in_its_place(), "--max-file 20");
    elsewhere.write("data/notes.csv", FILES[2].1);
    let folder = elsewhere.path("data").display().to_string();
    let config = ".home/config/clue/config.yaml";
    elsewhere.write(config, format!("sensitive: {{paths: ['{folder}']}}\n"));
    has(&elsewhere.clue(words), 3, &[refused, "(notes.csv)"]);
    // By that of whoever made the bundle.
    let project = Project::new(&[("data/notes.csv", FILES[2].1)]);
    forged(&project, &in_its_place(), |manifest, members| {
        members.retain(|member| member.path != "project/notes.csv");
        manifest.data[0].there = false;
        manifest.data[0].sensitive = true;
    });
    has(&project.clue(words), 3, &[refused, "(notes.csv)"]);
}

#[test]
fn without_a_sensitive_file_from_elsewhere_salted_hashes_are_not_compared() {
    let far = Project::new(&[("more.csv", "id,text\nm1,another\n")]);
    let more = far.path("more.csv").display().to_string();
    let load = format!(
        "stages:\n  more: {{load: {{path: {more}, key: id, fields: [id, text], sensitive: true}}}}\n"
    );
    let pipeline = sensitive().replace("stages:\n", &load);
    let pipeline = pipeline.replace("outputs:\n", "outputs:\n  more.jsonl: {from: more}\n");
    let server = Server::stub("");
    let project = Project::new(&FILES);
    project.write("p.yaml", pipeline);
    project.allow(&far.path(""));
    project.ok(&format!("run p.yaml -p url={}", server.url()));
    project.ok(&format!("bundle p.yaml -o b -p url={}", server.url()));
    drop(server);
    let elsewhere = Project::new(&[("data/notes.csv", FILES[2].1)]);
    elsewhere.write("b", project.read("b"));
    elsewhere.allow(&far.path(""));
    let none = told(&elsewhere, "--data data", 0);
    assert_eq!(none["prompts"], serde_json::json!([]), "{none}");
    let words = "`more.csv`, which is looked for where the pipeline says; with it";
    has(&elsewhere.clue("verify b --data data"), 0, &[words]);
    elsewhere.write("data/more.csv", far.read("more.csv"));
    let both = told(&elsewhere, "--data data", 0);
    let prompts = serde_json::json!([{"stage": "facts", "same": 3, "gone": 0, "key": null}]);
    assert_eq!(both["prompts"], prompts, "{both}");
}

#[test]
fn of_data_in_a_bundle_its_own_hash_counts() {
    let project = Project::new(&[]);
    // The manifest says what the lock does.
    forged(&project, PIPELINE, |_, members| {
        replace(members, "project/notes.csv", "second", "SECOND");
    });
    let found = told(&project, "", 1);
    let wrong = "`params.notes` is not the one that the lock knows";
    assert_eq!(found["files"]["wrong"], serde_json::json!([wrong]));
    has(&project.clue("verify b"), 1, &["differs: input `"]);
}

#[test]
fn what_was_changed_before_it_was_sealed_is_told_by_the_lock() {
    let project = Project::new(&[]);
    forged(&project, PIPELINE, |_, members| {
        replace(members, "project/facts.j2", "List facts", "List all facts");
    });
    has(
        &project.clue("verify b"),
        1,
        &[
            "`facts.j2` is not the one that the lock knows",
            "stage `facts`",
            "needs 3 calls",
        ],
    );
    forged(&project, PIPELINE, |_, members| {
        let answers = "outputs/all.jsonl";
        replace(members, answers, "n1", "n9");
    });
    has(
        &project.clue("verify b"),
        1,
        &["output `all.jsonl` is not the one that the lock knows"],
    );
    // An answer that was made better than it was.
    forged(&project, PIPELINE, |_, members| {
        let calls = members
            .iter_mut()
            .find(|m| m.role == Role::Calls)
            .expect("calls");
        let Body::Bytes(bytes) = &calls.body else {
            panic!("in memory");
        };
        let mut entries = clue::replay::cassette::read(bytes).expect("a cassette");
        entries[0].reply.text.push_str(" better");
        calls.body = Body::Bytes(clue::replay::cassette::write("p", &entries));
    });
    let done = project.clue("verify b");
    has(
        &done,
        1,
        &["differs: `facts`", "number 1 (`n1`), has other content"],
    );
    // Lines that were cut out of a file of marks, or are none.
    forged(&project, PIPELINE, |_, members| {
        replace(members, "records.jsonl", "{\"stage\"", "{\"stag\"");
    });
    has(
        &project.clue("verify b"),
        2,
        &["`records.jsonl` of the bundle: line 1"],
    );
}

#[test]
fn a_bundle_leads_nowhere_else() {
    let project = Project::new(&[("secret.csv", "id,text\ns1,hush hush\n")]);
    let secret = project.path("secret.csv").display().to_string();
    // As a param that is no path in it: what it names is not given by the user.
    forged(&project, PIPELINE, |manifest, _| {
        manifest
            .params
            .insert("notes".to_owned(), secret.clone().into());
    });
    let done = project.clue("verify b");
    let all = format!("{}{}", done.stdout, done.stderr);
    assert!(all.contains("consent") && !all.contains("hush"), "{all}");
    // As a path in it.
    for place in ["../../../../../../etc/hostname", "/etc/hostname"] {
        forged(&project, PIPELINE, |manifest, _| {
            manifest
                .paths
                .insert("notes".to_owned(), Some(place.to_owned()));
        });
        let told = told(&project, "", 0);
        assert!(all_same(&told), "{told}");
    }
    for place in ["../p.yaml", "/etc/hostname"] {
        forged(&project, PIPELINE, |manifest, _| {
            manifest.pipeline = place.to_owned()
        });
        has(
            &project.clue("verify b"),
            2,
            &["the pipeline's file has a path that"],
        );
    }
    // As what is put in the place of data that is not there.
    forged(&project, PIPELINE, |manifest, members| {
        members.retain(|member| member.path != "project/notes.csv");
        for data in &mut manifest.data {
            data.there = false;
            data.param = None;
            data.place = Some("../../outside.csv".to_owned());
        }
    });
    let gone = "stages: not checked: no file `project/notes.csv`; the bundle does not hold";
    has(&project.clue("verify b"), 0, &[gone]);
    // Its output folder is not the user's.
    forged(&project, PIPELINE, |_, members| {
        replace(
            members,
            "project/p.yaml",
            "  long.jsonl:",
            "  ../../../long.jsonl:",
        );
    });
    assert_ne!(project.clue("verify b").code, 0);
    has(
        &project.clue("verify b --max-size 1kB"),
        2,
        &["would unpack to more than is allowed"],
    );
}

fn all_same(told: &Json) -> bool {
    all(told, "same")
}
