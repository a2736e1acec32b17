//! Tasks against what CLUE's own evaluation wrote: the same cases in the same order, and, with
//! the answers that it got, the same scores and means.

use serde_json::{Map, Value as Json};

use crate::support::{Done, Project, Server, done, root};

/// A task, and how its numbers are called here and there.
struct Task {
    /// Its pipeline, and the param with its data.
    name: &'static str,
    /// Its folder with goldens, and the data file in it.
    golden: (&'static str, &'static str),
    /// The field of its records that CLUE writes as truth.
    truth: &'static str,
    /// Scores: ours, theirs.
    scores: &'static [(&'static str, &'static str)],
    more: &'static [&'static str],
}

const ROUGE: &[(&str, &str)] = &[
    ("rouge1", "ROUGE1"),
    ("rouge2", "ROUGE2"),
    ("rougeL", "ROUGE_L"),
];

const TASKS: &[Task] = &[
    Task {
        name: "mednli",
        golden: ("MedNLI", "mli_test.jsonl"),
        truth: "gold_label",
        scores: &[("accuracy", "ACCURACY")],
        more: &["faithful=true"],
    },
    Task {
        name: "meqsum",
        golden: ("MeQSum", "MeQSum.xlsx"),
        truth: "reference",
        scores: ROUGE,
        more: &["bert="],
    },
    Task {
        name: "problem_summary",
        golden: ("ProblemSummary", "ProblemSummary.csv"),
        truth: "reference",
        scores: ROUGE,
        more: &["bert=", "faithful=true"],
    },
    Task {
        name: "medisumqa",
        golden: ("MeDiSumQA", "MeDiSumQA.json.gz"),
        truth: "reference",
        scores: ROUGE,
        more: &["bert="],
    },
    Task {
        name: "medisumcode",
        golden: ("MeDiSumCode", "MeDiSumCode.json.gz"),
        truth: "codes",
        scores: &[
            ("exact_precision", "ICD EM P"),
            ("exact_recall", "ICD EM R"),
            ("exact_f1", "ICD EM F1"),
            ("approximate_precision", "ICD AP P"),
            ("approximate_recall", "ICD AP R"),
            ("approximate_f1", "ICD AP F1"),
            ("valid", "VALID CODES"),
        ],
        more: &["faithful=true"],
    },
];

fn lines(text: &str) -> Vec<Json> {
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("UTF-8")
}

impl Task {
    fn pipeline(&self) -> String {
        let file = format!("pipelines/tasks/{}.yaml", self.name);
        root().join(file).display().to_string()
    }

    fn golden(&self, file: &str) -> String {
        let path = root().join("tests/golden/eval").join(self.golden.0);
        std::fs::read_to_string(path.join(file)).expect("a golden")
    }

    fn data(&self) -> String {
        let path = root().join("tests/golden/eval").join(self.golden.0);
        path.join(self.golden.1).display().to_string()
    }

    fn clue(&self, project: &Project, verb: &str, url: &str, last: &str) -> Done {
        let mut command = project.command(verb);
        command.arg(self.pipeline());
        command.args(last.split_whitespace());
        command.args(["--out", "asked", "-p"]);
        command.arg(format!("{}={}", self.name, self.data()));
        command.args(["-p", &format!("model={{url: \"{url}\", id: stub}}")]);
        self.more.iter().for_each(|param| {
            command.args(["-p", param]);
        });
        done(command.output().expect("runs"))
    }

    /// The records that its metric gets, with the answers that CLUE got.
    fn recorded(&self, project: &Project, url: &str) -> Vec<Json> {
        let ran = self.clue(project, "run", url, "");
        assert_eq!(ran.code, 0, "{}: {}{}", self.name, ran.stdout, ran.stderr);
        let shown = self.clue(project, "show", url, "answered");
        assert_eq!(shown.code, 0, "{}: {}", self.name, shown.stderr);
        let ours = lines(&shown.stdout);
        let theirs = lines(&self.golden("predictions.json"));
        assert_eq!(ours.len(), theirs.len(), "{}", self.name);
        let pairs = ours.into_iter().zip(theirs);
        pairs
            .map(|(mut ours, theirs)| {
                let fields = &mut ours["fields"];
                assert_eq!(
                    fields[self.truth], theirs["Ground Truth Answer"],
                    "{}",
                    self.name
                );
                fields["prediction"] = theirs["Model Answer"].clone();
                fields.take()
            })
            .collect()
    }

    /// Runs what follows the answers.
    fn judge(&self, project: &Project, records: &[Json]) {
        let mut params = Map::new();
        params.insert(self.name.to_owned(), self.data().into());
        for param in self.more {
            let (name, value) = param.split_once('=').expect("a value");
            let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            params.insert(name.to_owned(), value);
        }
        let suite = serde_json::json!({
            "clue": 1,
            "include": [{
                "file": self.pipeline(), "as": "t", "params": params,
                "inputs": {"answered": "recorded"},
            }],
            "stages": {"recorded": {"load": {"path": "recorded.jsonl"}}},
        });
        project.write("judge.yaml", suite.to_string());
        let records: Vec<String> = records.iter().map(Json::to_string).collect();
        project.write("recorded.jsonl", records.join("\n"));
        project.ok("run judge.yaml --out out");
    }
}

/// Numbers as CLUE writes them: rounded texts, or as they are.
fn same(ours: &Json, theirs: &Json) -> bool {
    let ours = ours.as_f64().expect("a number");
    match theirs {
        Json::String(theirs) => format!("{ours:.2}") == *theirs,
        theirs => (ours - theirs.as_f64().expect("a number")).abs() < 1e-12,
    }
}

#[test]
fn cases_scores_and_means_are_the_references() {
    let stub = Server::stub("");
    std::thread::scope(|scope| {
        for task in TASKS {
            let url = stub.url();
            scope.spawn(move || {
                let project = Project::new(&[]);
                project.allow(root());
                let records = task.recorded(&project, &url);
                task.judge(&project, &records);
                let ours = lines(&text(project.read("out/t/predictions.jsonl")));
                let theirs = lines(&task.golden("predictions.json"));
                for (ours, theirs) in ours.iter().zip(&theirs) {
                    for (name, other) in task.scores {
                        let same = same(&ours[name], &theirs[other]);
                        assert!(same, "{} {name}: {ours} {theirs}", task.name);
                    }
                }
                let results: Json =
                    serde_json::from_slice(&project.read("out/t/results.json")).expect("JSON");
                let theirs: Json =
                    serde_json::from_str(&task.golden("results.json")).expect("JSON");
                for (name, other) in task.scores {
                    let mut rows = results.as_array().expect("a list").iter();
                    let row = rows.find(|row| row["metric"] == *name).expect("a row");
                    let same = same(&row["mean"], &theirs[other]);
                    assert!(same, "{} {name}: {row} {theirs}", task.name);
                }
            });
        }
    });
}

/// Whoever has scispaCy gets CLUE's own measure in the task.
#[test]
fn concepts_by_another_program() {
    let stub = Server::stub("");
    let project = Project::new(&[]);
    let task = TASKS.iter().find(|task| task.name == "problem_summary");
    let task = task.expect("there");
    let mut command = project.command("run");
    command.arg(task.pipeline());
    command.env("PYTHONPATH", root().join("tests/stub/scispacy_standin"));
    command.args(["--out", "out", "--yes", "-p", "bert=", "-p"]);
    command.arg(format!("problem_summary={}", task.data()));
    command.args([
        "-p",
        "concept_linker=[python3, ../tools/scispacy_concepts.py]",
    ]);
    let model = format!("model={{url: \"{}\", id: stub}}", stub.url());
    command.args(["-p", &model]);
    let done = done(command.output().expect("runs"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let results: Json = serde_json::from_slice(&project.read("out/results.json")).expect("JSON");
    let rows = results.as_array().expect("a list").iter();
    let names: Vec<&str> = rows.filter_map(|row| row["metric"].as_str()).collect();
    for name in [
        "rougeL",
        "concept_f1",
        "concept_precision",
        "concept_recall",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
}
