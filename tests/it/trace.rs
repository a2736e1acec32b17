//! One record's life: who was made of whom, and where each part of it ended and why.

use serde_json::Value as Json;

use crate::support::{Project, Server};

const PIPELINE: &str = r#"clue: 1
params: {url: http://127.0.0.1:1/v1, least: 2}
models:
  m: {url: "{{ params.url }}", id: m, concurrency: 4, retries: 0, timeout: 30}
stages:
  notes: {load: {path: notes.jsonl, key: id, sensitive: true}}
  people: {load: {path: people.csv, key: pid}}
  good: {from: notes, where: "text != 'skip' and (facts | length) >= params.least"}
  facts: {from: good, explode: {field: facts, into: fact}}
  distinct: {from: facts, dedupe: {by: "[id, fact]"}}
  asked: {from: distinct, generate: {model: m, prompt: q.j2, parse: answer | strip, into: said}}
  scored: {from: asked, score: {metric: exact_match, prediction: said, reference: fact, into: {exact_match: accuracy}}}
  best: {from: scored, top_k: {k: 2, by: [{by: fact}, {by: fact}], pick: by_index, dedupe: false}}
  twice: {from: scored, top_k: {k: 4, by: [{by: fact}, {by: fact, order: desc}], pick: by_index, dedupe: false}}
  joined: {from: [asked, people], join: {"on": {id: note}, fields: [name]}}
  grouped: {from: asked, group: {by: id, aggregate: {n: {fn: count}}}}
  counted: {from: grouped, set: {more: n + 1}}
  both: {from: [asked, scored], concat: {prefix: true}}
  few: {from: asked, take: 1}
  sums: {from: scored, stats: {by: id, metrics: [accuracy]}}
outputs:
  best.jsonl: {from: best, fields: [id, fact]}
  twice.jsonl: {from: twice, fields: [id, fact]}
  joined.jsonl: {from: joined, fields: [id, name]}
  counted.jsonl: {from: counted}
  both.jsonl: {from: both, fields: [id, fact]}
  few.jsonl: {from: few, fields: [id]}
  sums.jsonl: {from: sums}
"#;

const NOTES: &str = r#"{"id":"n1","text":"fever","facts":["b","a","b","[[400]]"]}
{"id":"n2","text":"skip","facts":["c","d"]}
{"id":"n3","text":"one","facts":["e"]}
{"id":"n4","text":"\u001b[31mred\nlines","facts":["x","y"]}
"#;

fn project() -> Project {
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("notes.jsonl", NOTES),
        (
            "people.csv",
            "pid,note,name\np1,n1,Ann\np2,n1,Bob\np3,n9,Cy\n",
        ),
        ("q.j2", "Of {{ text }}: {{ fact }}?"),
    ])
}

fn words(command: &str, server: &Server, more: &str) -> String {
    format!("{command} p.yaml --out out -p url={} {more}", server.url())
}

/// A project that was run, and its server.
fn ran() -> (Project, Server) {
    let (project, server) = (project(), Server::bad(""));
    let done = project.clue(&words("run", &server, ""));
    assert_eq!(done.code, 1, "one record fails: {}", done.stderr);
    (project, server)
}

fn life(project: &Project, server: &Server, key: &str) -> Json {
    let done = project.ok(&words("trace", server, &format!("{key} --json")));
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn steps(life: &Json) -> &Vec<Json> {
    life["steps"].as_array().expect("steps")
}

fn name(step: &Json) -> String {
    let text = |name: &str| step[name].as_str().expect("text").to_owned();
    format!("{}:{}", text("stage"), text("key"))
}

/// Who was made of whom.
fn edges(life: &Json) -> Vec<String> {
    let steps = steps(life);
    let told = steps.iter().map(|step| {
        let of = step["of"].as_array().expect("a list").iter();
        let of = of.map(|of| name(&steps[of.as_u64().expect("a number") as usize]));
        let of: Vec<String> = of.collect();
        format!("{} < {}", name(step), of.join(" + "))
    });
    told.map(|told| told.trim_end_matches(" < ").to_owned())
        .collect()
}

/// Where the record of a step ended.
fn ends(life: &Json, of: &str) -> Vec<String> {
    let step = steps(life).iter().find(|step| name(step) == of);
    let step = step.unwrap_or_else(|| panic!("no step {of}"));
    let ends = step["ends"].as_array().into_iter().flatten();
    let ends = ends.map(|end| {
        let text = |name: &str| end[name].as_str().unwrap_or_default().to_owned();
        let into: Vec<&str> = end["into"]
            .as_array()
            .map(|keys| keys.iter().filter_map(Json::as_str).collect())
            .unwrap_or_default();
        let told = format!(
            "{} {} {}{}",
            text("what"),
            text("stage"),
            text("why"),
            into.join(", ")
        );
        told.trim_end().to_owned()
    });
    ends.collect()
}

#[test]
fn a_notes_life_is_told_forward() {
    let (project, server) = ran();
    let before = server.count("/stats", "requests");
    let told = life(&project, &server, "n1");
    assert_eq!(told["apart"], 1);
    assert_eq!(
        edges(&told),
        [
            "notes:n1",
            "good:n1 < notes:n1",
            "facts:n1#0 < good:n1",
            "facts:n1#1 < good:n1",
            "facts:n1#2 < good:n1",
            "facts:n1#3 < good:n1",
            "distinct:n1#0 < facts:n1#0",
            "distinct:n1#1 < facts:n1#1",
            "distinct:n1#3 < facts:n1#3",
            "asked:n1#0 < distinct:n1#0",
            "asked:n1#1 < distinct:n1#1",
            "scored:n1#0 < asked:n1#0",
            "scored:n1#1 < asked:n1#1",
            "best:n1#1 < scored:n1#1",
            "best:n1#0 < scored:n1#0",
            // Twice at the end of a list: its second appearance has another key.
            "twice:n1#1 < scored:n1#1",
            "twice:n1#1~2 < scored:n1#1",
            "joined:n1#0 < asked:n1#0",
            "joined:n1#0~2 < asked:n1#0",
            "joined:n1#1 < asked:n1#1",
            "joined:n1#1~2 < asked:n1#1",
            // A group of the note's own; it has the note's key.
            "grouped:n1 < asked:n1#0 + asked:n1#1",
            "counted:n1 < grouped:n1",
            "both:1/n1#0 < asked:n1#0",
            "both:1/n1#1 < asked:n1#1",
            "both:2/n1#0 < scored:n1#0",
            "both:2/n1#1 < scored:n1#1",
            "few:n1#0 < asked:n1#0",
        ]
    );
    let with = |key: &str| {
        let joined = format!("joined:{key}");
        let step = steps(&told).iter().find(|step| name(step) == joined);
        step.expect("there")["with"][0].clone()
    };
    assert_eq!(with("n1#1"), serde_json::json!(["people", "p1"]));
    assert_eq!(with("n1#1~2"), serde_json::json!(["people", "p2"]));

    let asked = steps(&told).iter().find(|step| name(step) == "asked:n1#1");
    let asked = asked.expect("there");
    assert_eq!(asked["calls"][0]["turns"][0][1], "Of fever: a?");
    let answer = asked["calls"][0]["answer"].as_str().expect("an answer");
    let fields = asked["fields"].as_array().expect("fields");
    assert_eq!(fields.len(), 1, "only what was added");
    assert_eq!(
        (&fields[0]["name"], &fields[0]["value"]),
        (&"said".into(), &answer.into())
    );
    assert_eq!(
        ends(&told, "facts:n1#2"),
        ["dropped distinct an earlier record has the same `[id, fact]`"]
    );
    let failed = ends(&told, "distinct:n1#3");
    assert_eq!(failed.len(), 1);
    assert!(failed[0].starts_with("missing asked") || failed[0].starts_with("failed asked"));
    assert!(failed[0].contains("400"), "{failed:?}");
    assert_eq!(ends(&told, "asked:n1#1"), ["unread few it had its 1"]);
    let scored = ends(&told, "scored:n1#0");
    assert_eq!(
        scored,
        [
            "dropped twice not among the 4 picked by `fact`, `fact`",
            "gathered sums [\"n1\",\"accuracy\"]"
        ]
    );
    assert_eq!(
        server.count("/stats", "requests"),
        before,
        "nobody is asked"
    );
}

#[test]
fn what_dropped_a_record_is_told_with_its_values() {
    let (project, server) = ran();
    let told = life(&project, &server, "n2");
    assert_eq!(edges(&told), ["notes:n2"]);
    assert_eq!(
        ends(&told, "notes:n2"),
        ["dropped good `text != 'skip'` is false"]
    );
    assert_eq!(
        steps(&told)[0]["ends"][0]["values"],
        serde_json::json!([["text", "skip"]])
    );
    let told = life(&project, &server, "n3");
    assert_eq!(
        ends(&told, "notes:n3"),
        ["dropped good `(facts | length) >= params.least` is false"]
    );
    let values = serde_json::json!([["facts", ["e"]], ["params.least", 2]]);
    assert_eq!(steps(&told)[0]["ends"][0]["values"], values);
    let told = life(&project, &server, "p3");
    assert_eq!(
        ends(&told, "people:p3"),
        ["dropped joined no record of `asked` has the same `note`"]
    );
}

#[test]
fn a_records_life_is_told_back_to_where_it_came_from() {
    let (project, server) = ran();
    let told = life(&project, &server, "2/n4#1");
    assert_eq!(
        edges(&told),
        [
            "notes:n4",
            "good:n4 < notes:n4",
            "facts:n4#1 < good:n4",
            "distinct:n4#1 < facts:n4#1",
            "asked:n4#1 < distinct:n4#1",
            "scored:n4#1 < asked:n4#1",
            "both:2/n4#1 < scored:n4#1",
        ]
    );
    let places: Vec<&Json> = steps(&told).iter().map(|step| &step["place"]).collect();
    assert_eq!(places[6], "itself");
    assert!(
        places[..6].iter().all(|place| *place == "before"),
        "{places:?}"
    );
    // Of what was joined, both.
    let told = life(&project, &server, "n1#1~2");
    let all = edges(&told);
    assert!(
        all.contains(&"joined:n1#1~2 < asked:n1#1 + people:p2".to_owned()),
        "{all:?}"
    );
    assert!(
        !all.iter().any(|edge| edge.contains("people:p1")),
        "{all:?}"
    );
    // The same key came out of another stage, of another record.
    assert!(
        all.contains(&"twice:n1#1~2 < scored:n1#1".to_owned()),
        "{all:?}"
    );
    // What many were made to is not followed back.
    let told = life(&project, &server, "[\"n4\",\"accuracy\"]");
    assert_eq!(edges(&told), ["sums:[\"n4\",\"accuracy\"]"]);
    assert_eq!(steps(&told)[0]["crowd"], 2);
}

#[test]
fn the_terminal_gets_a_tree_and_nothing_to_obey() {
    let (project, server) = ran();
    let text = project.ok(&words("trace", &server, "n4")).stdout;
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(
        text.starts_with(
            "notes  load  n4\n    + id: n4\n    + text:\n      | \\u{1b}[31mred\n      | lines\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("├─ facts  explode  n4#0\n│      + fact: x\n"),
        "{text}"
    );
    assert!(text.contains("└─ facts  explode  n4#1\n"), "{text}");
    assert!(text.contains("> written to out/twice.jsonl\n"), "{text}");
    let text = project.ok(&words("trace", &server, "n2")).stdout;
    assert!(
        text.contains(
            "    x dropped by `good` (where): `text != 'skip'` is false\n        text = skip\n"
        ),
        "{text}"
    );
    let long = "word ".repeat(100);
    project.write(
        "notes.jsonl",
        format!("{{\"id\":\"n9\",\"text\":\"{long}\",\"facts\":[]}}\n"),
    );
    let text = project.ok(&words("trace", &server, "n9")).stdout;
    assert!(
        text.lines().all(|line| line.chars().count() < 120),
        "{text}"
    );
    let text = project.ok(&words("trace", &server, "n9 --full")).stdout;
    assert!(text.contains(long.trim_end()), "{text}");
}

#[test]
fn one_key_of_two_records_and_keys_that_are_not_there() {
    let (project, server) = ran();
    project.write("people.csv", "pid,note,name\nn2,n1,Ann\n");
    let told = life(&project, &server, "n2");
    assert_eq!(told["apart"], 2);
    let text = project.ok(&words("trace", &server, "n2")).stdout;
    assert!(text.starts_with("`n2` names 2 records that have nothing to do with each other\n"));
    let told = project
        .ok(&words("trace", &server, "n2 --stage notes --json"))
        .stdout;
    let told: Json = serde_json::from_str(&told).expect("JSON");
    assert_eq!(edges(&told), ["notes:n2"]);

    let wrong = |more: &str| {
        let done = project.clue(&words("trace", &server, more));
        assert_eq!(done.code, 2, "{more}: {}", done.stdout);
        done.stderr
    };
    let near = wrong("n1#");
    assert!(
        near.contains("error: no record with the key `n1#` in any stage"),
        "{near}"
    );
    assert!(
        near.contains("did you mean `n1#0`, `n1#1`, `n1#2`?"),
        "{near}"
    );
    assert!(wrong("n1 --stage facts").contains("no record with the key `n1` in `facts`"));
    assert!(wrong("n1 --stage factz").contains("no stage `factz`"));
}

#[test]
fn what_was_never_asked_is_not_known() {
    let project = project();
    let told = project.ok("trace p.yaml n4 --json --store empty");
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    let why = "missing asked its call has no answer in the cache";
    assert_eq!(ends(&told, "distinct:n4#0"), [why]);
    assert!(!project.path("empty").exists(), "nothing is written");
}

/// A program that keeps records, one that makes others, a record that is shown to the model.
#[test]
fn what_programs_and_examples_do_with_records_is_told_as_far_as_it_is_known() {
    let server = Server::stub("");
    let project = Project::new(&[
        (
            "p.yaml",
            r#"clue: 1
params: {url: http://127.0.0.1:1/v1}
models:
  m: {url: "{{ params.url }}", id: m, retries: 0}
stages:
  a: {load: {path: a.jsonl, key: id}}
  up: {from: a, exec: {command: [python3, up.py]}}
  own: {from: up, exec: {command: [python3, own.py], key: k}}
  asked: {from: up, with: {a: a}, generate: {model: m, prompt: q.j2, into: said, shots: {of: a, n: 1, seed: 1}}}
  rest: {from: asked, skip: 1}
outputs:
  rest.jsonl: {from: rest}
  own.jsonl: {from: own}
"#,
        ),
        (
            "a.jsonl",
            "{\"id\":\"r1\",\"t\":\"x\"}\n{\"id\":\"r2\",\"t\":\"y\"}\n{\"id\":\"r3\",\"t\":\"z\"}\n",
        ),
        (
            "q.j2",
            "{{ up }} {% for shot in shots %}{{ shot.t }}{% endfor %}",
        ),
        (
            "up.py",
            "import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'up': json.loads(line)['t'].upper()}), flush=True)\n",
        ),
        (
            "own.py",
            "import json, sys\nfor line in sys.stdin:\n    print(json.dumps({'k': json.loads(line)['id'] + '-1'}), flush=True)\n",
        ),
    ]);
    let before = project.ok(&words("trace", &server, "r1 --json"));
    let before: Json = serde_json::from_str(&before.stdout).expect("JSON");
    let why = "missing up programs do not run here, and its output is not in the cache";
    assert!(ends(&before, "a:r1").contains(&why.to_owned()), "{before}");

    project.ok(&words("run", &server, "--yes"));
    let shown = project.ok(&words("show", &server, "asked")).stdout;
    let asked: Vec<Json> = shown
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(asked.len(), 2, "one of three is shown to the model");
    let all = ["r1", "r2", "r3"];
    let example = all
        .iter()
        .find(|key| !asked.iter().any(|record| record["key"] == **key));
    let example = example.expect("one");
    let told = life(&project, &server, example);
    let own = "missing own its program makes records of its own, of which ones it does not say";
    assert_eq!(
        ends(&told, &format!("up:{example}")),
        [own, "dropped asked shown to the model as a worked example"]
    );
    assert_eq!(ends(&told, &format!("a:{example}")), ["named asked as `a`"]);
    let first = asked[0]["key"].as_str().expect("a key");
    let told = life(&project, &server, first);
    assert_eq!(
        ends(&told, &format!("asked:{first}")),
        ["dropped rest among the first 1"]
    );
    assert_eq!(edges(&told)[1], format!("up:{first} < a:{first}"));
    let told = life(&project, &server, "r2-1");
    assert_eq!(edges(&told), ["own:r2-1"]);
}

/// What was not answered may decide about others.
#[test]
fn what_depends_on_records_that_are_missing_is_not_known() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nmodels:\n  m: {url: \"http://127.0.0.1:1/v1\", id: m, retries: 0}\nstages:\n  \
             a: {load: {path: a.jsonl, key: id}}\n  gold: {load: {path: a.jsonl, key: id}}\n  \
             asked: {from: a, generate: {model: m, prompt: q.j2, into: said}}\n  \
             j: {from: [gold, asked], join: {on: id, how: semi}}\n  \
             w: {from: gold, with: {a: asked}, where: \"id in (a | map(attribute='id') | list)\"}\n  \
             alone: {from: gold, where: \"t == 'y'\"}\n  \
             anti: {from: [gold, asked], join: {on: id, how: anti}}\n  \
             n: {from: anti, stats: {metrics: {m: \"1\"}, seed: 1}}\n\
             outputs: {n.jsonl: {from: n}, j.jsonl: {from: j}, w.jsonl: {from: w}, alone.jsonl: {from: alone}}\n",
        ),
        ("a.jsonl", "{\"id\":\"r1\",\"t\":\"x\"}\n"),
        ("q.j2", "{{ t }}"),
    ]);
    let told = project.ok("trace p.yaml r1 --json");
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    // It is only there because what would leave it out is missing.
    let unsure = "it depends on records of `asked` that are not in the cache";
    let anti = steps(&told).iter().find(|step| name(step) == "anti:r1");
    assert_eq!(anti.expect("there")["unsure"], unsure);
    let counts = ends(&told, "anti:r1");
    assert!(
        counts[0].starts_with(&format!("gathered n {unsure}")),
        "{counts:?}"
    );
    let text = project.ok("trace p.yaml r1").stdout;
    assert!(text.contains(&format!("? not sure: {unsure}\n")), "{text}");
    let ends = ends(&told, "gold:r1");
    let of = |stage: &str| ends.iter().find(|end| end.split(' ').nth(1) == Some(stage));
    for stage in ["j", "w"] {
        assert!(
            of(stage).is_some_and(|end| end.starts_with("missing")),
            "{ends:?}"
        );
    }
    assert!(
        of("alone").is_some_and(|end| end.starts_with("dropped")),
        "{ends:?}"
    );
}

#[test]
fn a_failure_of_another_run_is_not_one_of_the_last() {
    let (project, server) = ran();
    project.clue(&words("run", &server, "-p least=1").replace("--out out", "--out other"));
    let told = life(&project, &server, "n1");
    let why = ends(&told, "distinct:n1#3");
    let other =
        "missing asked its call has no answer in the cache; a list of errors of another run";
    assert!(why[0].starts_with(other), "{why:?}");
}

#[test]
fn a_stage_that_breaks_off_is_told() {
    let project = Project::new(&[
        (
            "p.yaml",
            "clue: 1\nstages:\n  a: {load: {path: a.jsonl, key: id}}\n  \
             b: {load: {path: a.jsonl, key: id}}\n  both: {from: [a, b], concat: {}}\n\
             outputs: {o.jsonl: {from: both}}\n",
        ),
        ("a.jsonl", "{\"id\":\"r1\"}\n{\"id\":\"r2\"}\n"),
    ]);
    let told = project.ok("trace p.yaml r2 --json");
    let told: Json = serde_json::from_str(&told.stdout).expect("JSON");
    let why = "missing both the stage broke off: what broke it is told below";
    assert_eq!(ends(&told, "b:r2"), [why]);
    assert_eq!(told["notes"][0], "what could not be gone through: `both`");
    let fault = told["notes"][1].as_str().expect("a fault");
    assert!(fault.starts_with("inputs 1 and 2 both have"), "{fault}");
}
