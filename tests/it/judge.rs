//! A model as judge, on the example that ships and on faults.

use serde_json::Value as Json;

use crate::support::{Project, Server, root};

fn example(server: &Server) -> String {
    let file = root().join("examples/judge/plain_words.yaml");
    format!("run {} --out out {}", file.display(), models(server))
}

/// Both models at one server.
fn models(server: &Server) -> String {
    let at = |id: &str| serde_json::json!({"url": server.url(), "id": id});
    format!("-p model={} -p judge={}", at("s"), at("j"))
}

fn lines(project: &Project, name: &str) -> Vec<Json> {
    let text = String::from_utf8(project.read(name)).expect("UTF-8");
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

/// More sentences than the example has, so that every form of a verdict occurs.
fn sentences(project: &Project) {
    let rows: String = (0..60)
        .map(|n| format!("s{n},Sentence {n}.,Meaning {n}.\n"))
        .collect();
    project.write("many.csv", format!("id,sentence,meaning\n{rows}"));
}

#[test]
fn the_example_judges_each_record_once() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    let done = project.ok(&example(&server));
    assert!(done.stdout.contains("12 calls made"), "{}", done.stdout);
    assert!(done.stdout.contains("plain"), "{}", done.stdout);
    let done = project.ok(&example(&server));
    assert!(done.stdout.contains("0 calls made"), "{}", done.stdout);
    // Another scale is another question to the judge, and to nobody else.
    let dir = root().join("examples/judge");
    for file in [
        "sentences.csv",
        "explain.j2",
        "judge.j2",
        "plain_words.yaml",
    ] {
        project.write(file, std::fs::read(dir.join(file)).expect("read"));
    }
    let here = example(&server).replace(&format!("{}/", dir.display()), "");
    project.ok(&here);
    let text = String::from_utf8(project.read("plain_words.yaml")).expect("UTF-8");
    project.write("plain_words.yaml", text.replace("partly: 0.5, ", ""));
    let done = project.ok(&here);
    assert!(done.stdout.contains("6 calls made"), "{}", done.stdout);
    // Other scores for the same verdicts ask nobody.
    let text = String::from_utf8(project.read("plain_words.yaml")).expect("UTF-8");
    project.write("plain_words.yaml", text.replace("right: 1", "right: 100"));
    let done = project.ok(&here);
    assert!(
        done.stdout.contains("0 calls made, 6 from the cache"),
        "{}",
        done.stdout
    );
}

#[test]
fn verdicts_become_scores_and_unclear_ones_are_counted() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    sentences(&project);
    project.ok(&format!("{} -p sentences=many.csv", example(&server)));
    let judged = lines(&project, "out/judged.jsonl");
    assert_eq!(judged.len(), 60);
    let mut seen = std::collections::BTreeMap::new();
    for record in &judged {
        let verdict = record["plain_verdict"].as_str().unwrap_or("unclear");
        *seen.entry(verdict.to_owned()).or_insert(0) += 1;
        let score = match verdict {
            "wrong" => 0.0.into(),
            "partly" => 0.5.into(),
            "right" => 1.0.into(),
            _ => Json::Null,
        };
        assert_eq!(record["plain"].as_f64(), score.as_f64(), "{record}");
        assert_eq!(record["plain"].is_null(), score.is_null(), "{record}");
        let reason = record["plain_reason"].as_str().expect("text");
        assert!(reason.starts_with("It says "), "{reason}");
        assert_eq!(
            reason.contains("Verdict:"),
            reason.contains("No, wait."),
            "{reason}"
        );
    }
    assert_eq!(seen.len(), 4, "{seen:?}");
    let table = String::from_utf8(project.read("out/results.txt")).expect("UTF-8");
    let unclear = seen["unclear"];
    for number in [60 - unclear, unclear] {
        assert!(table.contains(&format!(" {number} ")), "{number}: {table}");
    }

    // Or they fail, each with its key, and what the judge said is told nowhere.
    let file = root().join("examples/judge/plain_words.yaml");
    let text = std::fs::read_to_string(file).expect("read");
    project.write(
        "strict.yaml",
        text.replace("unclear: none", "unclear: fail"),
    );
    for file in ["explain.j2", "judge.j2", "sentences.csv"] {
        project.write(
            file,
            std::fs::read(root().join("examples/judge").join(file)).expect("read"),
        );
    }
    let done = project.clue(&format!(
        "run strict.yaml --out strict -p sentences=many.csv {}",
        models(&server)
    ));
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(done.stdout.contains("0 calls made"), "{}", done.stdout);
    let failed = lines(&project, "strict/errors.jsonl");
    assert_eq!(failed.len(), unclear);
    for failure in &failed {
        let why = failure["why"].as_str().expect("text");
        assert!(why.starts_with("the judge"), "{why}");
    }
    assert!(!done.stderr.contains("hard to say"), "{}", done.stderr);
}

#[test]
fn faults_of_a_judge_have_places() {
    let pipeline = "clue: 1\nmodels:\n  j: {url: http://127.0.0.1:9/v1, id: j}\nstages:\n  \
                    a: {load: {path: a.csv, key: id}}\n  b:\n    from: a\n    judge:\n      \
                    model: j\n      prompt: j.j2\n      scale: SCALE\n      MORE\n";
    let project = Project::new(&[
        ("a.csv", "id,text\n1,one\n"),
        ("j.j2", "{{ text }} {{ scale }}"),
    ]);
    for (scale, more, told) in [
        ("{a: 0, b: 1}", "unclear: faill", "did you mean `fail`?"),
        ("{a: 0, b: x}", "into: s", "expected a number, found text"),
        ("[1]", "into: s", "expected at least 2 items, found 1"),
        (
            "[1, 2.5]",
            "into: s",
            "expected a whole number, found a number",
        ),
        (
            "{a: 0, A: 1}",
            "into: s",
            "the verdicts `a` and `A` are the same",
        ),
        ("{a: 0, b: 1}", "verdict: anser", "did you mean `answer`?"),
        ("{a: 0, b: 1}", "verdikt: answer", "did you mean `verdict`?"),
    ] {
        project.write(
            "p.yaml",
            pipeline.replace("SCALE", scale).replace("MORE", more),
        );
        let done = project.clue("check p.yaml");
        assert_eq!(done.code, 2, "{scale} {more}: {}", done.stderr);
        assert!(
            done.stderr.contains(told),
            "{scale} {more}: {}",
            done.stderr
        );
        assert!(done.stderr.contains("p.yaml:1"), "{}", done.stderr);
    }
}
