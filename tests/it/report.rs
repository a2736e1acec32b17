//! What is in the page that `clue report` makes. What it looks like, and what it does, is
//! tested in a browser: `tests/browser/report.cjs`.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value as Json;

use crate::support::{Project, Server, root};

/// The data in a page, by their names.
pub struct Page {
    html: String,
    data: BTreeMap<String, Json>,
}

impl Page {
    fn read(project: &Project, name: &str) -> Page {
        Page::of(&project.read(name))
    }

    pub fn of(bytes: &[u8]) -> Page {
        let html = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let mut data = BTreeMap::new();
        for part in html
            .split("<script type=\"application/x-deflate\" id=\"")
            .skip(1)
        {
            let (id, rest) = part.split_once("\">").expect("an id");
            let (text, _) = rest.split_once("</script>").expect("an end");
            let bytes = unbase64(text);
            let mut json = String::new();
            flate2::read::DeflateDecoder::new(bytes.as_slice())
                .read_to_string(&mut json)
                .expect("inflates");
            data.insert(id.to_owned(), serde_json::from_str(&json).expect("JSON"));
        }
        Page { html, data }
    }

    fn overview(&self) -> &Json {
        &self.data["overview"]
    }

    fn stage(&self, name: &str) -> &Json {
        let stages = self.overview()["stages"].as_array().expect("stages");
        let stage = stages.iter().find(|stage| stage["name"] == name);
        stage.unwrap_or_else(|| panic!("no stage {name}"))
    }

    /// The values of a column of a table.
    fn column(&self, table: usize, name: &str) -> Vec<Json> {
        let table = &self.overview()["tables"][table];
        let columns = table["columns"].as_array().expect("columns");
        let at = columns.iter().position(|column| column["name"] == name);
        let block = &self.data[&format!("block-{}", table["block"])];
        let values = &block["columns"][at.unwrap_or_else(|| panic!("no column {name}"))];
        values.as_array().expect("values").clone()
    }

    fn keys(&self, table: usize) -> Vec<String> {
        let block = self.overview()["tables"][table]["block"].to_string();
        let keys = self.data[&format!("block-{block}")]["keys"].as_array();
        let keys = keys.expect("keys").iter();
        keys.map(|key| key.as_str().expect("text").to_owned())
            .collect()
    }

    /// The details of a record of a table, with its texts.
    fn detail(&self, table: usize, row: usize) -> (Json, Vec<String>) {
        let table = &self.overview()["tables"][table];
        let per = table["per"].as_u64().expect("a number") as usize;
        let block = &self.data[&format!("block-{}", table["details"][row / per])];
        let pool = block["pool"].as_array().expect("texts").iter();
        let pool = pool.map(|text| text.as_str().expect("text").to_owned());
        (block["rows"][row % per].clone(), pool.collect())
    }

    /// The life of a record of a table: the stages that it passed, and what became of it after.
    fn life(&self, table: usize, row: usize) -> (String, String) {
        let (detail, _) = self.detail(table, row);
        let life = detail["life"].as_u64().expect("a life") as usize;
        let life = &self.overview()["tables"][table]["lives"][life];
        let name = |at: &Json| {
            let at = at.as_u64().expect("a stage") as usize;
            let name = self.overview()["stages"][at]["name"].as_str();
            name.expect("a name").to_owned()
        };
        let stages = life["stages"].as_array().expect("stages").iter();
        let ends = life["ends"].as_array().expect("ends").iter();
        let ends = ends.map(|end| format!("{} {}", end[1].as_str().expect("words"), name(&end[0])));
        (
            stages.map(name).collect::<Vec<_>>().join(" "),
            ends.collect::<Vec<_>>().join(", "),
        )
    }

    /// Everything that it holds, as one text.
    pub fn all(&self) -> String {
        let data = self.data.values().map(Json::to_string);
        data.collect::<Vec<_>>().join("\n")
    }
}

fn unbase64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no digit"),
    };
    let mut bytes = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let digits: Vec<u32> = four
            .iter()
            .filter(|c| **c != b'=')
            .map(|c| u32::from(digit(*c)))
            .collect();
        let bits = digits.iter().fold(0, |all, d| all << 6 | d) << (6 * (4 - digits.len()));
        bytes.extend(&bits.to_be_bytes()[1..digits.len()]);
    }
    bytes
}

const PIPELINE: &str = "\
clue: 1
name: p
description: Six cases
params:
  url: http://127.0.0.1:1/v1
  least: 2
models:
  subject: {url: \"{{ params.url }}\", id: m-1, retries: 0}
stages:
  cases:
    load: {path: cases.jsonl, key: id}
  long:
    from: cases
    where: (text | length) > params.least
  sound:
    from: long
    require: {it has a truth: truth != ''}
  answered:
    from: sound
    generate: {model: subject, prompt: ask.j2, into: guess}
  scored:
    from: answered
    score: {metric: exact_match, prediction: guess, reference: truth, into: {exact_match: exact}}
  named:
    from: scored
    set: {model: \"'m-1'\"}
  few: {from: answered, take: 1}
  means:
    from: named
    stats: {by: model, metrics: [exact], seed: 1}
outputs:
  means.txt: {from: means, format: table, percent: true, show: true}
  named.jsonl: {from: named}
  few.jsonl: {from: few}
";

const CASES: &str = "\
{\"id\":\"a\",\"text\":\"alpha word\",\"truth\":\"x\"}
{\"id\":\"b\",\"text\":\"b\",\"truth\":\"x\"}
{\"id\":\"c\",\"text\":\"gamma word\",\"truth\":\"\"}
{\"id\":\"d\",\"text\":\"</script><b>delta\",\"truth\":\"x\"}
{\"id\":\"e\",\"text\":\"epsilon word\",\"truth\":\"x\"}
";

fn project() -> Project {
    let ask = "{% system %}Be brief.{% endsystem %}{% user %}Tell: {{ text }}{% enduser %}";
    Project::new(&[
        ("p.yaml", PIPELINE),
        ("cases.jsonl", CASES),
        ("ask.j2", ask),
    ])
}

#[test]
fn a_page_holds_what_the_run_did() {
    let server = Server::stub("");
    let project = project();
    let url = format!("-p url={}", server.url());
    // One record fails.
    assert_eq!(project.clue(&format!("run p.yaml --yes {url}")).code, 1);
    drop(server);
    let done = project.ok(&format!("report p.yaml {url}"));
    assert!(
        done.stdout
            .starts_with("report: out/p/report.html (3 records, 1 table, "),
        "{}",
        done.stdout
    );
    let page = Page::read(&project, "out/p/report.html");
    let overview = page.overview();
    assert_eq!(overview["description"], "Six cases");
    assert_eq!(overview["notes"], serde_json::json!([]));
    let counts = |name: &str| {
        let stage = page.stage(name);
        format!("{} {} {}", stage["read"], stage["emitted"], stage["failed"])
    };
    assert_eq!(counts("cases"), "5 5 0");
    assert_eq!(counts("long"), "5 4 0");
    assert_eq!(counts("sound"), "4 3 1");
    // Not one, although a reader takes no more.
    assert_eq!(counts("answered"), "3 3 0");
    assert_eq!(page.stage("answered")["calls"], 3);
    assert_eq!(page.stage("answered")["time"]["asked"], 3);
    assert_eq!(counts("named.jsonl"), "3 3 0");
    let failures = overview["failures"].as_array().expect("failures");
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0]["key"], "c");
    assert_eq!(failures[0]["why"], "not so: it has a truth");
    // Nothing was asked about the record that failed.
    assert_eq!(overview["failed_details"], serde_json::json!([]));
    // The table is the last stage of the records, with what was made of them before.
    let table = &overview["tables"][0];
    let stage = table["stage"].as_u64().expect("a number") as usize;
    assert_eq!(overview["stages"][stage]["name"], "named");
    let (passed, then) = page.life(0, 1);
    assert_eq!(passed, "cases long sound answered scored named");
    assert_eq!(then, "counted means, written named.jsonl");
    assert_eq!(
        table["lives"].as_array().map(Vec::len),
        Some(1),
        "one for all"
    );
    assert_eq!(table["scorers"][0]["prediction"], "guess");
    assert_eq!(table["scorers"][0]["reference"], "truth");
    let kinds = table["columns"].as_array().expect("columns").iter();
    let kinds = kinds.map(|c| format!("{}:{}", c["name"].as_str().unwrap(), c["kind"]));
    assert_eq!(
        kinds.collect::<Vec<_>>().join(" ").replace('"', ""),
        "id:label text:label truth:label guess:label exact:score model:label"
    );
    assert_eq!(page.keys(0), ["a", "d", "e"]);
    assert_eq!(page.column(0, "text")[1], "</script><b>delta");
    // The prompt as it was sent, and the answer.
    let (detail, pool) = page.detail(0, 1);
    let call = &detail["calls"][0];
    let text = |json: &Json| pool[json.as_u64().expect("a number") as usize].clone();
    assert_eq!(call["turns"][0][0], "system");
    assert_eq!(text(&call["turns"][0][1]), "Be brief.");
    assert_eq!(text(&call["turns"][1][1]), "Tell: </script><b>delta");
    assert_eq!(text(&call["answer"]), page.column(0, "guess")[1]);
    let board = &overview["boards"][0];
    assert_eq!(
        (&board["kind"], &board["percent"]),
        (&"stats".into(), &true.into())
    );
    assert_eq!(board["rows"][0][0], "m-1");
    assert_eq!(overview["inputs"][0]["path"], "cases.jsonl");
    let sources = overview["sources"].as_array().expect("sources").iter();
    let sources: Vec<&Json> = sources.map(|source| &source["path"]).collect();
    assert_eq!(sources, ["p.yaml", "ask.j2"]);
    // Only the end of the page's own script, and of its data.
    let ends = page.html.matches("</script>").count();
    assert_eq!(ends, page.data.len() + 1);
    assert!(page.html.contains("default-src 'none'"));
}

#[test]
fn the_same_cache_gives_the_same_bytes() {
    let server = Server::stub("");
    let project = project();
    let url = format!("-p url={}", server.url());
    project.clue(&format!("run p.yaml --yes {url}"));
    let pages: Vec<Vec<u8>> = (0..4)
        .map(|n| {
            project.ok(&format!("report p.yaml {url} -o page-{n}.html"));
            project.read(&format!("page-{n}.html"))
        })
        .collect();
    assert!(pages.iter().all(|page| *page == pages[0]));
    // Looking at a run is no run.
    let done = project.ok(&format!("report p.yaml {url} --json --limit 1"));
    let told: Json = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!((&told["records"], &told["tables"]), (&1.into(), &1.into()));
    let page = Page::read(&project, "out/p/report.html");
    assert_eq!(page.overview()["tables"][0]["total"], 3);
}

#[test]
fn calls_that_are_missing_are_told() {
    let server = Server::stub("");
    let project = project();
    let url = format!("-p url={}", server.url());
    project.clue(&format!("run p.yaml --yes {url} --max-calls 2"));
    project.ok(&format!("report p.yaml {url} -o page.html"));
    let page = Page::read(&project, "page.html");
    assert_eq!(page.stage("answered")["missing"], 1);
    assert_eq!(page.stage("answered")["emitted"], 2);
    let note = page.overview()["notes"][0].as_str().expect("a note");
    assert!(note.starts_with("1 call has no answer"), "{note}");
}

#[test]
fn what_cannot_be_made_is_refused() {
    let project = project();
    let refused = project.clue("report p.yaml");
    assert_eq!(refused.code, 2);
    insta::assert_snapshot!(refused.stderr, @"
    error: no run of this pipeline is in the cache `.clue`
     |
     = help: run it first with `clue run p.yaml`, or name another cache with `--store`
    ");
    let data = project.read("cases.jsonl");
    for (path, why) in [
        ("out/p/named.jsonl", "is an output of the pipeline"),
        ("cases.jsonl", "is read by the pipeline"),
        ("p.yaml", "is read by the pipeline"),
    ] {
        let refused = project.clue(&format!("report p.yaml -o {path}"));
        assert_eq!(refused.code, 2);
        let told = format!("`{path}` {why}");
        assert!(refused.stderr.contains(&told), "{}", refused.stderr);
    }
    assert_eq!(project.read("cases.jsonl"), data);
}

/// The words of a text, five at a time.
fn runs_of_five(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(5).map(|five| five.join(" ")).collect()
}

#[test]
fn sensitive_texts_stay_out_unless_they_are_asked_for() {
    let server = Server::stub("");
    let project = Project::new(&[]);
    let folder = root().join("examples/radiology");
    for name in ["effusion.yaml", "effusion.j2", "reports.csv"] {
        project.write(name, std::fs::read(folder.join(name)).expect("read"));
    }
    // A group that is named by the records, and one by the pipeline.
    let yaml = String::from_utf8(project.read("effusion.yaml")).expect("UTF-8");
    let yaml = yaml.replace("by: [model, task]", "by: [model, task, report]");
    project.write("effusion.yaml", &yaml);
    let model = serde_json::json!({"url": server.url(), "id": "m"}).to_string();
    let model = format!("-p model={model}");
    project.ok(&format!("run effusion.yaml --yes {model}"));
    let done = project.ok(&format!("report effusion.yaml {model} -o page.html"));
    assert!(done.stdout.contains("are left out"), "{}", done.stdout);
    let page = Page::read(&project, "page.html");
    let all = page.all();
    let reports = String::from_utf8(project.read("reports.csv")).expect("UTF-8");
    let runs: Vec<String> = reports.lines().skip(1).flat_map(runs_of_five).collect();
    assert!(runs.len() > 50);
    for run in &runs {
        assert!(!all.contains(run), "{run}");
    }
    // Nor keys: hashes that tell records apart.
    let keys = page.keys(0);
    assert_eq!(keys.len(), 12);
    let mut distinct = keys.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 12);
    for n in 1..=12 {
        assert!(!all.contains(&format!("\"r{n:02}\"")), "r{n:02}");
    }
    // Of a record's life the stages alone.
    let (detail, texts) = page.detail(0, 0);
    assert_eq!(page.life(0, 0).0.split(' ').next_back(), Some("scores"));
    let names = detail.as_object().expect("an object").keys();
    let names: Vec<&str> = names.map(String::as_str).collect();
    assert_eq!((names, texts.len()), (vec!["life"], 0));
    let overview = page.overview();
    assert_eq!(overview["hidden"], true);
    let columns = &overview["tables"][0]["columns"];
    assert_eq!(columns.as_array().expect("columns").len(), 1);
    assert_eq!(columns[0]["name"], "accuracy");
    let row = &overview["boards"][0]["rows"][0];
    assert_eq!(row[0], "m");
    assert_eq!(row[1], "effusion");
    assert_eq!(row[2], "group 1");
    project.ok(&format!(
        "report effusion.yaml {model} -o open.html --include-sensitive"
    ));
    let open = Page::read(&project, "open.html");
    assert_eq!(open.overview()["confidential"], true);
    let all = open.all();
    let found = runs.iter().filter(|run| all.contains(run.as_str())).count();
    assert!(found > 40, "{found}");
    assert_eq!(open.keys(0)[0], "r01");
}

#[test]
fn what_was_asked_about_failed_records_is_shown_if_it_may_be() {
    let server = Server::stub("");
    let project = project();
    let url = format!("-p url={}", server.url());
    let yaml = PIPELINE.replace("into: guess}", "into: guess, parse: answer + 1}");
    project.write("p.yaml", &yaml);
    assert_eq!(project.clue(&format!("run p.yaml --yes {url}")).code, 1);
    project.ok(&format!("report p.yaml {url} -o page.html"));
    let page = Page::read(&project, "page.html");
    assert_eq!(page.overview()["failed"], 4);
    let failed = &page.overview()["failures"][1];
    assert_eq!(
        (&failed["key"], &failed["kind"]),
        (&"a".into(), &"answer".into())
    );
    let block = &page.data[&format!("block-{}", page.overview()["failed_details"][0])];
    assert_eq!(block["rows"][0], serde_json::json!({}));
    assert_eq!(
        block["rows"][1]["calls"].as_array().expect("calls").len(),
        1
    );
    assert!(page.all().contains("Tell: alpha word"));
    // The same of sensitive records.
    project.write(
        "p.yaml",
        yaml.replace("key: id}", "key: id, sensitive: true}"),
    );
    project.clue(&format!("run p.yaml --yes {url}"));
    project.ok(&format!("report p.yaml {url} -o page.html"));
    let page = Page::read(&project, "page.html");
    assert_eq!(page.overview()["failed"], 4);
    assert_eq!(page.overview()["failed_details"], serde_json::json!([]));
    // No record came to the table: nothing to salt with, so keys are left out altogether.
    assert_eq!(page.overview()["failures"][1]["key"], Json::Null);
    let all = page.all();
    assert!(!all.contains("alpha word") && !all.contains("delta"));
}

#[test]
fn only_scores_of_sensitive_records_are_shown_whatever_they_are_called() {
    let project = Project::new(&[
        (
            "p.yaml",
            "\
clue: 1
name: p
stages:
  cases:
    load: {path: cases.jsonl, key: id, sensitive: true}
  scored:
    from: cases
    score: {metric: exact_match, prediction: a, reference: b, into: {exact_match: same}}
  again:
    from: scored
    score: {metric: exact_match, prediction: a, reference: b, into: {exact_match: kept}}
  aged:
    from: again
    set: {same: age, other: age}
outputs:
  o.jsonl: {from: aged}
",
        ),
        (
            "cases.jsonl",
            "{\"id\":\"1\",\"a\":\"x\",\"b\":\"x\",\"age\":8350917}\n",
        ),
    ]);
    project.ok("run p.yaml --yes");
    project.ok("report p.yaml -o page.html");
    let page = Page::read(&project, "page.html");
    let columns = page.overview()["tables"][0]["columns"].as_array();
    let columns = columns.expect("columns").iter();
    let columns: Vec<&Json> = columns.map(|column| &column["name"]).collect();
    assert_eq!(columns, ["kept"]);
    assert!(!page.all().contains("8350917"));
}

/// Of sensitive records, groups keep a name that the pipeline itself holds as a whole: a part of
/// another word is none, and a seed is no age.
#[test]
fn groups_of_sensitive_records_are_called_by_what_the_pipeline_says_alone() {
    let pipeline = "clue: 1\nname: p\nparams: {model: one}\nstages:\n  \
         rows: {load: {path: d.csv, key: id, sensitive: true}}\n  \
         Annual: {from: rows, set: {model: params.model, score: \"1\", task: \"'words'\"}}\n  \
         means: {from: Annual, stats: {by: [model, task, who, age], metrics: [score], seed: 1972, bootstrap: 10}}\n\
         outputs:\n  m.jsonl: {from: means}\n";
    let project = Project::new(&[
        ("p.yaml", pipeline),
        ("d.csv", "id,who,age\na,Ann,72\nb,Bob,41\n"),
    ]);
    project.ok("run p.yaml");
    project.ok("report p.yaml -o r.html");
    let page = Page::read(&project, "r.html");
    let rows = page.overview()["boards"][0]["rows"].to_string();
    assert!(rows.contains("one") && rows.contains("words"), "{rows}");
    assert!(!rows.contains("Ann") && !rows.contains("72"), "{rows}");
}
