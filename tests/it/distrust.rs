//! `clue verify` of what somebody made who means ill, or of less than there should be: forged
//! results and outputs, files that are none of a bundle's business, and answers that nobody gives.

use serde_json::{Value as Json, json};

use clue::share::bundle::archive::{Body, Member};
use clue::share::bundle::manifest::Role;

use crate::support::{Project, Server};
use crate::verify::{
    FILES, PIPELINE, bundled, forged, has, in_its_place, replace, sensitive, told,
};

/// A member with some text.
fn member(path: &str, role: Role, text: &str) -> Member {
    Member {
        path: path.to_owned(),
        role,
        body: Body::Bytes(text.as_bytes().to_vec()),
        hash: None,
    }
}

/// Changes the results of a bundle.
fn with_results(members: &mut [Member], change: impl Fn(&mut Json)) {
    let member = members.iter_mut().find(|m| m.role == Role::Results);
    let member = member.expect("results");
    let Body::Bytes(bytes) = &mut member.body else {
        panic!("in memory");
    };
    let mut json: Json = serde_json::from_slice(bytes).expect("JSON");
    change(&mut json);
    *bytes = serde_json::to_vec_pretty(&json).expect("JSON");
}

#[test]
fn results_are_made_again_and_compared() {
    let project = Project::new(&[]);
    forged(&project, PIPELINE, |_, _| {});
    let honest = told(&project, "", 0);
    let same = json!([{"stage": "means", "is": "same", "why": null}]);
    assert_eq!(honest["results"], same, "{honest}");
    has(
        &project.clue("verify b"),
        0,
        &["results: 1 of 1 tables the same"],
    );
    // A better mean.
    forged(&project, PIPELINE, |_, members| {
        with_results(members, |json| {
            let table = &mut json["tables"][0];
            let columns = table["columns"].as_array().expect("columns");
            let mean = columns.iter().position(|c| c == "mean").expect("a mean");
            table["rows"][0][mean] = 0.99.into();
        });
    });
    has(
        &project.clue("verify b"),
        1,
        &[
            "differs: table of `means` has other values in row 1",
            "something differs",
        ],
    );
    // A table that no stage makes, one that is cut out, and one that comes twice.
    forged(&project, PIPELINE, |_, members| {
        with_results(members, |json| {
            json["tables"][0]["stage"] = "better".into();
        });
    });
    has(
        &project.clue("verify b"),
        1,
        &[
            "table of `better` is no table",
            "table of `means` is missing",
        ],
    );
    forged(&project, PIPELINE, |_, members| {
        with_results(members, |json| {
            let twice = json["tables"][0].clone();
            json["tables"].as_array_mut().expect("tables").push(twice);
        });
    });
    has(
        &project.clue("verify b"),
        1,
        &["table of `means` is there twice"],
    );
    // A second file of results, or one that passes for something else.
    for (path, role) in [
        ("best/results.json", Role::Results),
        ("report.html", Role::Readme),
    ] {
        forged(&project, PIPELINE, |_, members| {
            members.retain(|member| member.path != path);
            members.push(member(path, role, "{}"));
        });
        let words = format!("`{path}` is listed as what it is not");
        has(&project.clue("verify b"), 1, &[&words]);
    }
}

/// Of sensitive records, as far as there are the data and the answers.
#[test]
fn masked_results_are_compared_with_the_data_and_the_answers() {
    let (elsewhere, project) = bundled(&sensitive(), "");
    let is = |words: &str| told(&elsewhere, words, 0)["results"][0].clone();
    assert_eq!(is("")["is"], "unchecked");
    elsewhere.write("data/notes.csv", FILES[2].1);
    let without = is("--data data");
    assert_eq!(without["is"], "unchecked", "{without}");
    let why = without["why"].as_str().unwrap_or_default();
    assert!(why.contains("calls that the bundle does not hold"), "{why}");
    let store = project.path(".clue");
    let with = is(&format!("--data data --store {}", store.display()));
    assert_eq!(with["is"], "same", "{with}");
}

#[test]
fn an_output_that_the_lock_does_not_know_is_named() {
    let project = Project::new(&[]);
    for (path, role) in [
        ("outputs/best.csv", Role::Output),
        ("outputs/more/best.csv", Role::File),
        ("best.csv", Role::Output),
    ] {
        forged(&project, PIPELINE, |_, members| {
            members.push(member(path, role, "a,b\n"));
        });
        let found = told(&project, "", 1);
        let wrong = json!([format!("`{path}` is no output that the lock knows")]);
        assert_eq!(found["files"]["wrong"], wrong, "{found}");
    }
}

#[test]
fn what_the_models_say_today_counts() {
    let (elsewhere, _) = bundled(PIPELINE, "");
    let server = Server::bad("");
    let live = format!("--live -p url={}", server.url());
    let found = told(&elsewhere, &live, 1);
    assert_eq!(found["live"]["agrees"], false, "{found}");
    assert!(
        found["live"]["stages"][0]["changed"].as_u64() > Some(0),
        "{found}"
    );
    // Means that were better, as they say.
    forged(&elsewhere, PIPELINE, |_, members| {
        with_results(members, |json| json["tables"] = json!([]));
    });
    assert_eq!(told(&elsewhere, "", 1)["results"][0]["why"], "is missing");
}

/// A bundle whose pipeline loads a file by its absolute path.
fn loading(project: &Project, path: &str) {
    forged(project, PIPELINE, |_, members| {
        let more = format!("stages:\n  more: {{load: {{path: {path}, format: text}}}}\n");
        replace(members, "project/p.yaml", "stages:\n", &more);
        let out = "outputs:\n  more.jsonl: {from: more}\n";
        replace(members, "project/p.yaml", "outputs:\n", out);
        // So that there is something of it to be told.
        let lock = "outputs:\n  more.jsonl:\n    hash: HASH\n    records: 1\n";
        let lock = lock.replace("HASH", &clue::hash::Hash::of_bytes(b"x").to_string());
        replace(members, "pipeline.lock", "outputs:\n", &lock);
    });
}

#[test]
fn nothing_outside_of_a_bundle_is_opened_before_the_user_agrees() {
    let project = Project::new(&[("far/secret.txt", "hush\n")]);
    let pipe = project.path("far/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("mkfifo runs").success());
    let secret = project.path("far/secret.txt").display().to_string();
    loading(&project, &secret);
    let opened = std::fs::metadata(&secret).and_then(|data| data.accessed());
    let words = format!("needs your consent (`--yes`) to read `{secret}`, which is outside");
    let done = project.clue("verify b");
    has(&done, 1, &[&words]);
    assert!(!done.stdout.contains("run a program"), "{}", done.stdout);
    let again = std::fs::metadata(&secret).and_then(|data| data.accessed());
    assert_eq!(opened.expect("a time"), again.expect("a time"));
    let found = told(&project, "--yes", 1);
    assert!(!found.to_string().contains("which is outside"), "{found}");
    // What has no end, or nobody at the other one, is never read.
    for path in [pipe.display().to_string(), "/dev/zero".to_owned()] {
        loading(&project, &path);
        for words in ["verify b", "verify b --yes"] {
            let never =
                format!("would read `{path}`, which is outside of the bundle and no regular");
            has(&project.clue(words), 1, &[&never]);
        }
        // As a param, and among the files of a program.
        forged(&project, PIPELINE, |_, members| {
            let to = format!("default: {path}");
            replace(members, "project/p.yaml", "default: notes.csv", &to);
        });
        assert_eq!(project.clue("verify b").code, 1);
        forged(&project, PIPELINE, |_, members| {
            let tidy = format!(
                "stages:\n  tidy: {{from: notes, exec: {{command: [cat, {path}], files: [{path}]}}}}\n"
            );
            replace(members, "project/p.yaml", "stages:\n", &tidy);
        });
        assert_eq!(project.clue("verify b").code, 1);
    }
    // Nor is the bundle itself anything but a file.
    let fifo = format!("verify {}", pipe.display());
    has(&project.clue(&fifo), 2, &["is no bundle"]);
}

#[test]
fn asking_again_says_all_that_it_needs() {
    let project = Project::new(&[("far/more.txt", "x\n")]);
    let more = project.path("far/more.txt").display().to_string();
    loading(&project, &more);
    let words = "verify b --live -p url=http://model.example/v1";
    let needs = [
        "asking again needs your consent",
        &format!("read `{more}`"),
        "model.example",
    ];
    has(&project.clue(words), 3, &needs);
}

#[test]
fn data_is_found_whatever_its_name_ends_in() {
    // Left out for its size alone.
    for pipeline in [PIPELINE.to_owned(), in_its_place()] {
        let (elsewhere, _) = bundled(&pipeline, "--max-file 20");
        for name in ["notes.csv.gz", "notes.txt", "notes"] {
            let elsewhere_ = Project::new(&[(&format!("data/{name}"), FILES[2].1)]);
            elsewhere_.write("b", elsewhere.read("b"));
            let found = told(&elsewhere_, "--data data", 0);
            assert_eq!(found["data"][0]["is"], "found", "{found}");
            let stages = found["stages"].as_array().expect("stages");
            assert!(stages.iter().all(|stage| stage["is"] == "same"), "{found}");
        }
        // One with other content is not it, and what would be is told.
        elsewhere.write("data/notes.csv.gz", b"\x1f\x8b");
        let hash = clue::hash::Hash::of_bytes(FILES[2].1.as_bytes());
        let words = [
            format!("not found: `notes.csv` of 43 bytes (BLAKE3 {hash})"),
            "`notes.csv.gz` is there, and has other content".to_owned(),
        ];
        let done = elsewhere.clue("verify b --data data");
        has(&done, 0, &[&words[0], &words[1]]);
    }
}

#[test]
fn data_from_elsewhere_is_as_sensitive_as_the_bundle_says() {
    let far = Project::new(&[("notes.csv", FILES[2].1)]);
    let path = far.path("notes.csv").display().to_string();
    let pipeline = in_its_place().replace("path: notes.csv", &format!("path: {path}"));
    let server = Server::stub("");
    let project = Project::new(&FILES);
    project.write("p.yaml", pipeline);
    // By the configuration of whoever makes the bundle.
    let folder = far.path("").display().to_string();
    let config = format!("paths: ['{folder}']\nsensitive: {{paths: ['{folder}']}}\n");
    project.write(".home/config/clue/config.yaml", config);
    project.ok(&format!("run p.yaml -p url={}", server.url()));
    project.ok(&format!("bundle p.yaml -o b -p url={}", server.url()));
    drop(server);
    let elsewhere = Project::new(&[]);
    elsewhere.write("b", project.read("b"));
    let words = "verify b --yes --live -p url=http://model.example/v1";
    let refused = "your own configuration does not allow";
    has(&elsewhere.clue(words), 3, &[refused, "nothing was sent"]);
    elsewhere.allow(&far.path(""));
    has(&elsewhere.clue(words), 3, &[refused, "nothing was sent"]);
}
