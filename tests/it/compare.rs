//! What differs between two runs: which records, which scores, and by how much.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value as Json;

use crate::support::{Project, Server, root};

fn json(project: &Project, words: &str) -> Json {
    let done = project.ok(&format!("{words} --json"));
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn texts(list: &Json) -> BTreeSet<String> {
    let list = list.as_array().expect("a list").iter();
    list.map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

fn row<'a>(told: &'a Json, stage: &str) -> &'a Json {
    let rows = told["stages"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["stage"] == stage);
    row.unwrap_or_else(|| panic!("no stage {stage}: {told}"))
}

fn copy(from: &Path, to: &str, project: &Project) {
    for entry in std::fs::read_dir(from).expect("a folder").flatten() {
        let name = format!("{to}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            copy(&entry.path(), &name, project);
        } else {
            project.write(&name, std::fs::read(entry.path()).expect("read"));
        }
    }
}

/// The quickstart with prompts that the stub answers well, and its words.
fn quickstart(server: &Server) -> (Project, String) {
    let project = Project::new(&[]);
    copy(&root().join("examples/quickstart"), "quick", &project);
    project.write(
        "quick/prompts/statements.j2",
        "{% user %}\n--------------BEGIN DISCHARGE INSTRUCTIONS--------------\n\
         {{ instructions | split | join(' ') }}\n\
         --------------END DISCHARGE INSTRUCTIONS--------------\n{% enduser %}\n\
         {% assistant %}\n-\n{%- endassistant %}\n",
    );
    project.write("quick/prompts/question.j2", QUESTION);
    let set = format!("-p model_address={} -p top_k=3", server.url());
    (project, set)
}

const QUESTION: &str = "{% user %}\nStatements:\n- {{ statement }}\n{% enduser %}\n\
                        {% assistant %}\nQuestion:\n{%- endassistant %}\n";

/// Records by their keys, from the lines of `clue show`.
fn shown(project: &Project, words: &str) -> BTreeMap<String, Json> {
    let text = project.ok(words).stdout;
    let lines = text.lines().map(|line| {
        let line: Json = serde_json::from_str(line).expect("JSON");
        (
            line["key"].as_str().expect("a key").to_owned(),
            line["fields"].clone(),
        )
    });
    lines.collect()
}

/// Keys of records that differ, and of those that one side lacks, found without the program.
fn differ(a: &BTreeMap<String, Json>, b: &BTreeMap<String, Json>) -> [BTreeSet<String>; 3] {
    let keys = |some: &BTreeMap<String, Json>| some.keys().cloned().collect::<BTreeSet<String>>();
    let (in_a, in_b) = (keys(a), keys(b));
    let both = in_a.intersection(&in_b).filter(|key| a[*key] != b[*key]);
    [both.cloned().collect(), &in_a - &in_b, &in_b - &in_a]
}

#[test]
fn two_prompt_versions_of_the_quickstart_tell_exactly_the_records_that_changed() {
    let server = Server::stub("");
    let (project, set) = quickstart(&server);
    let pipeline = "quick/quickstart.yaml";
    let run = format!("run {pipeline} --yes --out out {set}");
    let stages = ["listed", "grounded", "asked", "scored"];
    let all = || -> BTreeMap<&str, BTreeMap<String, Json>> {
        let show = |stage| shown(&project, &format!("show {pipeline} {stage} {set}"));
        stages
            .into_iter()
            .map(|stage| (stage, show(stage)))
            .collect()
    };
    let lines = || -> BTreeSet<String> {
        let text = String::from_utf8(project.read("out/questions.jsonl")).expect("UTF-8");
        text.lines().map(str::to_owned).collect()
    };
    project.ok(&run);
    let (before, written) = (all(), lines());
    // Other prompts for some statements alone.
    let edited = QUESTION.replace(
        "- {{ statement }}",
        "- {{ statement }}{% if 'treated' in statement or 'stone' in statement %} Why?{% endif %}",
    );
    project.write("quick/prompts/question.j2", &edited);
    project.ok(&run);
    let (after, rewritten) = (all(), lines());
    assert_ne!(written, rewritten);

    let told = json(&project, &format!("compare {pipeline}"));
    for stage in ["asked", "scored"] {
        let expected = differ(&before[stage], &after[stage]);
        assert!(
            expected[0].len() > 1 && expected[0].len() < before[stage].len(),
            "{expected:?}"
        );
        let row = row(&told, stage);
        for (name, expected) in ["changed", "only_a", "only_b"].iter().zip(&expected) {
            assert_eq!(texts(&row[name]), *expected, "{stage} {name}");
        }
        let same = before[stage].len() - expected[0].len() - expected[1].len();
        assert_eq!(row["same"], same);
    }
    let same = texts(&told["same"]);
    for stage in ["listed", "grounded", "distinct", "first_notes"] {
        assert!(same.contains(stage), "{stage} in {same:?}");
    }
    // What is kept nowhere, `selected`, is made again of what is: as many lines of the file differ.
    let selected = row(&told, "selected");
    let count = |name: &str| selected[name].as_array().expect("keys").len();
    assert_eq!(
        (
            count("changed") + count("only_a"),
            count("changed") + count("only_b")
        ),
        (
            written.difference(&rewritten).count(),
            rewritten.difference(&written).count()
        )
    );
    assert_eq!(told["files"][0]["stage"], "questions.jsonl");
    let decides = &told["decides"];
    assert_eq!(decides.as_array().map(Vec::len), Some(1), "{decides}");
    assert_eq!(decides[0]["what"], "prompts/question.j2 line 3 changed");
    assert_eq!(decides[0]["stages"], serde_json::json!(["asked"]));
    let diff = decides[0]["diff"].as_str().expect("lines");
    assert!(
        diff.contains("\n-- {{ statement }}\n+- {{ statement }}{% if"),
        "{diff}"
    );

    // Scores, by hand.
    for score in told["scores"].as_array().expect("scores") {
        let metric = score["metric"].as_str().expect("a name");
        let mean = |records: &BTreeMap<String, Json>| -> f64 {
            let all: Vec<f64> = records
                .values()
                .filter_map(|r| r[metric].as_f64())
                .collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        let (a, b) = (mean(&before["scored"]), mean(&after["scored"]));
        let near = |name: &str, x: f64| (score[name].as_f64().expect("a number") - x).abs() < 1e-12;
        assert!(
            near("mean_a", a) && near("mean_b", b) && near("difference", b - a),
            "{score}"
        );
        assert_eq!(score["n"], before["scored"].len());
    }
    // The largest gain is the largest.
    let cases = told["cases"].as_array().expect("cases");
    let of = cases.iter().find(|cases| cases["metric"] == "rouge1");
    let of = of.expect("by rouge1");
    let gains: BTreeMap<&String, f64> = before["scored"]
        .iter()
        .map(|(key, old)| {
            let number = |record: &Json| record["rouge1"].as_f64().expect("a score");
            (key, number(&after["scored"][key]) - number(old))
        })
        .collect();
    let most = gains.values().copied().fold(0.0, f64::max);
    let gained = gains.values().filter(|gain| **gain > 0.0).count();
    assert_eq!(of["gained"], gained);
    if let Some(first) = of["gains"].get(0) {
        let number = |name: &str| first[name].as_f64().expect("a number");
        assert!((number("b") - number("a") - most).abs() < 1e-12);
    }
    let text = project.ok(&format!("compare {pipeline}")).stdout;
    assert!(
        text.contains("prompts/question.j2 line 3 changed (asked)"),
        "{text}"
    );
    assert!(
        text.contains("\n  1 file differs: questions.jsonl\n"),
        "{text}"
    );

    // The other way round, and a run with itself.
    let back = json(&project, &format!("compare {pipeline} last last~1"));
    assert_eq!(
        texts(&row(&back, "asked")["changed"]),
        texts(&row(&told, "asked")["changed"])
    );
    let id = told["a"]["run"].as_str().expect("an id");
    let by_id = json(&project, &format!("compare {pipeline} {id}"));
    assert_eq!(by_id["stages"], told["stages"]);
    let none = json(&project, &format!("compare {pipeline} last last"));
    assert_eq!(none["stages"], serde_json::json!([]));

    // The older version as a file of its own.
    copy(&project.path("quick"), "old", &project);
    project.write("old/prompts/question.j2", QUESTION);
    project.ok(&format!(
        "run old/quickstart.yaml --yes --out old_out {set}"
    ));
    let two = json(&project, &format!("compare old/quickstart.yaml {pipeline}"));
    assert_eq!(two["stages"], told["stages"]);
    assert_eq!(two["decides"], told["decides"]);
}

const PAIRED: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1, ending: ""}
models:
  one: {url: "{{ params.url }}", id: one, concurrency: 4, retries: 0, timeout: 30}
stages:
  cases: {load: {path: cases.csv, key: id}}
  first: {from: cases, generate: {model: one, prompt: a.j2, parse: answer | strip, into: said}}
  second: {from: cases, generate: {model: one, prompt: b.j2, parse: answer | strip, into: said}}
  score_first: {from: first, score: {metric: rouge, prediction: said, reference: text, options: {types: [rouge1]}, into: {rouge1: overlap}}}
  score_second: {from: second, score: {metric: rouge, prediction: said, reference: text, options: {types: [rouge1]}, into: {rouge1: overlap}}}
  name_first: {from: score_first, set: {who: "'x'", ending: params.ending}}
  name_second: {from: score_second, set: {who: "'y'", ending: params.ending}}
  all: {from: [name_first, name_second], concat: {prefix: true}}
  pairs: {from: all, compare: {between: who, on: id, metrics: [overlap], cluster: patient, test: bootstrap, confidence: 0.9, resamples: 500, seed: 3}}
  means: {from: all, stats: {by: who, metrics: [overlap], cluster: patient, seed: 1}}
outputs:
  pairs.jsonl: {from: pairs}
  means.jsonl: {from: means}
"#;

fn paired() -> Project {
    let rows: String = (0..24)
        .map(|at| {
            format!(
                "c{at},p{},You were treated for pain number {at}. It went away.\n",
                at / 3
            )
        })
        .collect();
    Project::new(&[
        ("p.yaml", PAIRED),
        ("cases.csv", &format!("id,patient,text\n{rows}")),
        ("a.j2", "{{ text }} Nothing else was found."),
        (
            "b.j2",
            "{{ text }} All the rest is well. Nothing else was found.",
        ),
    ])
}

#[test]
fn models_within_a_run_are_compared_as_the_pipeline_itself_does() {
    let server = Server::stub("");
    let project = paired();
    project.ok(&format!("run p.yaml --out out -p url={}", server.url()));
    let pairs: Json = serde_json::from_slice(&project.read("out/pairs.jsonl")).expect("one line");
    let told = json(&project, "compare p.yaml --between who");
    assert_eq!(told["scores"].as_array().map(Vec::len), Some(1), "{told}");
    let score = &told["scores"][0];
    for (name, other, sign) in [
        ("mean_a", "mean_a", 1.0),
        ("mean_b", "mean_b", 1.0),
        ("difference", "difference", -1.0),
        ("low", "high", -1.0),
        ("high", "low", -1.0),
        ("p", "p", 1.0),
    ] {
        let (is, was) = (score[name].as_f64(), pairs[other].as_f64());
        assert_eq!(
            is,
            was.map(|was| sign * was + 0.0),
            "{name}: {score} {pairs}"
        );
    }
    assert_eq!(score["confidence"], 0.9);
    let text = project.ok("compare p.yaml --between who").stdout;
    assert!(text.contains("90 %") && !text.contains("95 %"), "{text}");
    assert_eq!(
        (&score["n"], &score["clusters"]),
        (&pairs["n"], &pairs["clusters"])
    );
    assert_eq!(told["stages"][0]["only_a"], serde_json::json!([]));
    let cases = &told["cases"][0];
    let count = |name: &str| cases[name].as_u64().expect("a number");
    assert_eq!(count("gained") + count("lost") + count("even"), 24);
    let case = if count("gained") > 0 {
        &cases["gains"][0]
    } else {
        &cases["losses"][0]
    };
    assert_eq!(case["texts"][0]["field"], "said");

    // The same by the names of stages, with or without saying what pairs them.
    for on in ["", " --on id"] {
        let stages = json(
            &project,
            &format!("compare p.yaml --stages score_first score_second{on}"),
        );
        for name in ["mean_a", "mean_b", "difference"] {
            let number = |score: &Json| score[name].as_f64().expect("a number");
            // Without the clusters: other sums.
            let (is, was) = (number(&stages["scores"][0]), number(score));
            assert!((is - was).abs() < 1e-12, "{name}: {is} {was}");
        }
    }
    // By values that are named, and by a stage: its keys begin with the input's number.
    let stage = json(&project, "compare p.yaml y x --between who --stage all");
    assert_eq!(
        (&stage["a"]["name"], &stage["b"]["name"]),
        (&"who = y".into(), &"who = x".into())
    );
    assert_eq!(stage["scores"][0]["mean_a"], score["mean_b"]);

    let wrong = |words: &str, what: &str| {
        let done = project.clue(&format!("compare p.yaml {words}"));
        assert_eq!(done.code, 2, "{words}: {}", done.stdout);
        assert!(done.stderr.contains(what), "{words}: {}", done.stderr);
    };
    wrong(
        "--between whom",
        "no `compare` or `stats` tells records apart by `whom`",
    );
    wrong("x z --between who", "there are `x`, `y`");
    wrong("--between id --stage all", "needs two values of `id`");
    // What records say is not listed.
    wrong("--between text --stage all", "there are 24 values");
    wrong("--stages first secnd", "did you mean `second`?");
    wrong(
        "--stages first second --on idd",
        "a record has no field `idd`",
    );
    wrong("last~1", "only one run of `p.yaml` is in the cache");
    wrong("nothing", "no run `nothing` of `p.yaml` that ended");
    wrong("--on id", "`--on` goes with");
    wrong(
        "last last --metric overlp",
        "no score `overlp` is compared here",
    );
}

/// A program may make something else of the same: equal recipes prove nothing then.
#[test]
fn a_program_that_made_something_else_is_told() {
    let pipeline = "clue: 1\nstages:\n  cases: {load: {path: cases.csv, key: id}}\n  \
         made: {from: cases, exec: {command: [python3, made.py]}}\n  \
         after: {from: made, set: {twice: n * 2}}\noutputs:\n  o.jsonl: {from: after}\n";
    let program = "import json, os, sys\nfor line in sys.stdin:\n    record = json.loads(line)\n    \
         record['n'] = os.getpid()\n    print(json.dumps(record), flush=True)\n";
    let project = Project::new(&[
        ("p.yaml", pipeline),
        ("cases.csv", "id,text\na,1\nb,2\n"),
        ("made.py", program),
    ]);
    project.ok("run p.yaml --yes");
    // Its results are kept, too: another machine's cache has none.
    std::fs::remove_dir_all(project.path(".clue/calls")).expect("removed");
    project.ok("run p.yaml --yes --force made");
    let told = json(&project, "compare p.yaml");
    assert_eq!(texts(&told["same"]), BTreeSet::from(["cases".to_owned()]));
    assert_eq!(texts(&row(&told, "made")["changed"]).len(), 2, "{told}");
}

#[test]
fn a_pipelines_statistics_are_those_of_two_runs() {
    let server = Server::stub("");
    let project = paired();
    let run = format!("run p.yaml --out out -p url={}", server.url());
    project.ok(&run);
    project.write(
        "b.j2",
        "{{ text }} All is better now. Nothing else was found.",
    );
    project.ok(&format!("{run} -p ending=Bye"));
    let told = json(&project, "compare p.yaml");
    let scores = told["scores"].as_array().expect("scores");
    let groups: Vec<&Json> = scores.iter().map(|score| &score["by"][0][1]).collect();
    assert_eq!(groups, ["x", "y"]);
    assert!(
        scores
            .iter()
            .all(|score| score["stage"] == "means" && score["clusters"] == 8)
    );
    assert_eq!(
        (&scores[0]["difference"], &scores[0]["p"]),
        (&0.0.into(), &1.0.into())
    );
    assert_ne!(scores[1]["difference"], 0.0);
    // A param is told, and what it changes.
    let what: Vec<&str> = told["decides"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|found| found["what"].as_str())
        .collect();
    assert_eq!(what, ["b.j2 line 1 changed", "param ending \"\" → \"Bye\""]);
    let named = row(&told, "name_first");
    assert_eq!(
        (&named["same"], &named["fields"][0]),
        (&0.into(), &serde_json::json!(["ending", 24]))
    );
    assert_eq!(told["b"]["params"]["ending"], "Bye");
}

#[test]
fn what_is_no_longer_known_of_a_run_is_said() {
    let server = Server::bad("");
    let project = paired();
    let run = format!("run p.yaml --out out -p url={}", server.url());
    project.ok(&run);
    let stages = project.read("p.yaml");
    project.write("b.j2", "{% if id == 'c3' %}[[400]]{% endif %}{{ text }}");
    assert_eq!(project.clue(&run).code, 1);
    // A stage that lost a record keeps nothing: what is there is of the run before.
    let told = json(&project, "compare p.yaml");
    let why = |told: &Json, stage: &str| {
        row(told, stage)["unknown"]
            .as_str()
            .unwrap_or("")
            .to_owned()
    };
    let lost = "in run `b` it did not run to its end, or records failed there or before";
    assert_eq!(why(&told, "second"), lost);
    assert_eq!(why(&told, "pairs"), lost);
    assert!(texts(&told["same"]).contains("first"));
    assert!(
        told["notes"][0]
            .as_str()
            .expect("a note")
            .contains("in run `b` 1 record failed")
    );

    // One that was not wanted, of a stage that is another now, is not the one that it was before.
    project.write("b.j2", "Other. {{ text }}");
    project.ok(&format!("{run} --until second"));
    let told = json(&project, "compare p.yaml last~2 last");
    assert_eq!(
        row(&told, "second")["changed"].as_array().map(Vec::len),
        Some(24)
    );
    assert_eq!(why(&told, "score_second"), lost);
    project.ok(&run);
    let told = json(&project, "compare p.yaml last~3 last");
    assert_eq!(
        row(&told, "second")["changed"].as_array().map(Vec::len),
        Some(24)
    );
    // A stage that is another now: what it made then was not kept.
    let text = String::from_utf8(stages).expect("UTF-8");
    project.write("p.yaml", text.replace("who: \"'y'\"", "who: \"'z'\""));
    project.ok(&run);
    let told = json(&project, "compare p.yaml last~4 last");
    assert_eq!(
        why(&told, "name_second"),
        "in run `a` its records were not kept, and the pipeline is no longer the one that made them"
    );
    assert_eq!(
        row(&told, "second")["changed"].as_array().map(Vec::len),
        Some(24)
    );
    // The artifacts are gone: what the cache has the calls of is made again, the rest is not.
    std::fs::remove_dir_all(project.path(".clue/artifacts")).expect("removed");
    let told = json(&project, "compare p.yaml last~4 last");
    assert_eq!(
        why(&told, "second"),
        "in run `a` its records are no longer in the cache"
    );
    let told = json(&project, "compare p.yaml last last");
    assert_eq!(told["stages"], serde_json::json!([]));
}

#[test]
fn there_must_be_runs() {
    let project = paired();
    let done = project.clue("compare p.yaml");
    assert_eq!(done.code, 2);
    assert!(
        done.stderr.contains("no cache at `.clue`"),
        "{}",
        done.stderr
    );
    std::fs::create_dir(project.path(".clue")).expect("a folder");
    let done = project.clue("compare p.yaml");
    assert!(
        done.stderr.contains("no run of `p.yaml` is in the cache"),
        "{}",
        done.stderr
    );
}

#[test]
fn each_run_is_measured_by_its_own_params_and_expressions() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nname: p\nparams: {t: {default: 0.2}}\nstages:\n  \
             d: {load: {path: d.jsonl, key: id}}\n  \
             res: {from: d, stats: {metrics: {acc: \"1 if s >= params.t else 0\"}, seed: 1}}\n\
             outputs:\n  r.csv: {from: res}\n",
        ),
        (
            "d.jsonl",
            "{\"id\": \"a\", \"s\": 0.1}\n{\"id\": \"b\", \"s\": 0.3}\n{\"id\": \"c\", \"s\": 0.5}\n\
             {\"id\": \"d\", \"s\": 0.7}\n{\"id\": \"e\", \"s\": 0.9}\n",
        ),
    ]);
    project.ok("run p.yaml --out out");
    project.ok("run p.yaml --out out -p t=0.8");
    let told = json(&project, "compare p.yaml");
    let score = &told["scores"][0];
    assert_eq!(score["mean_a"], 0.8, "{told}");
    assert_eq!(score["mean_b"], 0.2, "{told}");
    assert_eq!(told["cases"][0]["lost"], 3, "{told}");
}

const GROUPED: &str = "clue: 1\nname: p\nstages:\n  d: {load: {path: d.jsonl, key: id}}\n  \
    k: {from: d, exec: {command: [cat]}}\n  \
    res: {from: k, stats: {by: [task], metrics: [s], seed: 1}}\n\
    outputs:\n  r.csv: {from: res}\n";

#[test]
fn a_record_that_changes_its_group_leaves_the_groups() {
    let rows = |task: &str, add: f64| -> String {
        let rows = (0..6).map(|at| {
            let (of, s) = if at == 0 {
                (task, 0.0)
            } else if at < 3 {
                ("x", add)
            } else {
                ("y", 1.0)
            };
            format!("{{\"id\": \"r{at}\", \"task\": \"{of}\", \"s\": {s}}}\n")
        });
        rows.collect()
    };
    let project = Project::new(&[("p.yaml", GROUPED), ("d.jsonl", &rows("x", 1.0))]);
    project.ok("run p.yaml --out out --yes");
    project.write("d.jsonl", rows("y", 2.0));
    project.ok("run p.yaml --out out --yes");
    let told = json(&project, "compare p.yaml");
    let scores = told["scores"].as_array().expect("scores").iter();
    let scores: Vec<(&Json, &Json, &Json)> = scores
        .map(|score| (&score["by"][0][1], &score["n"], &score["difference"]))
        .collect();
    assert_eq!(scores.len(), 2, "{told}");
    assert_eq!(scores[0], (&"x".into(), &2.into(), &1.0.into()), "{told}");
    assert_eq!(scores[1], (&"y".into(), &3.into(), &0.0.into()), "{told}");
    let note = told["notes"][0].as_str().expect("a note");
    assert!(note.contains("1 record in other groups (`task`)"), "{note}");
}

#[test]
fn a_model_that_is_put_before_others_is_not_paired_with_them() {
    let file = |stages: &[&str]| -> String {
        let loads = stages.iter().map(|name| {
            format!(
                "  {name}0: {{load: {{path: d.jsonl, key: id}}}}\n  \
                 {name}: {{from: {name}0, set: {{model: \"'{name}'\", z: \"s * {}\"}}}}\n",
                name.len()
            )
        });
        let loads: String = loads.collect();
        format!(
            "clue: 1\nname: p\nstages:\n{loads}  all: {{from: [{}], concat: {{prefix: true}}}}\n  \
             res: {{from: all, stats: {{by: [model], metrics: [z], seed: 1}}}}\n\
             outputs:\n  r.csv: {{from: res}}\n",
            stages.join(", ")
        )
    };
    let project = Project::new(&[
        ("p.yaml", &file(&["m", "mm"])),
        (
            "d.jsonl",
            "{\"id\": \"a\", \"s\": 1}\n{\"id\": \"b\", \"s\": 2}\n",
        ),
        ("q.yaml", &file(&["mmm", "m", "mm"])),
    ]);
    project.ok("run p.yaml --out out");
    project.ok("run q.yaml --out out2");
    let told = json(&project, "compare p.yaml q.yaml");
    let scores = told["scores"].as_array().expect("scores");
    for model in ["m", "mm"] {
        let of = |score: &&Json| score["by"][0][1] == model;
        let score = scores.iter().find(of).unwrap_or_else(|| panic!("{told}"));
        assert_eq!(
            (&score["n"], &score["difference"]),
            (&2.into(), &0.0.into()),
            "{told}"
        );
    }
}
