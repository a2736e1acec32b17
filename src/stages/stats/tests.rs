//! Both verbs as the engine drives them, and averages against those of the published scripts.

use proptest::prelude::{any, prop_assert, proptest};
use serde_json::Value as Json;

use crate::record::Record;
use crate::stages::driver::{Stage, record, records};

fn run(verb: &'static str, yaml: &str, input: Vec<Record>) -> Vec<Json> {
    let (out, lost) = Stage::new(verb, yaml).run(vec![input]).expect("runs");
    assert!(lost.is_empty(), "{lost:?}");
    let json = |record: &Record| serde_json::to_value(&record.fields).expect("JSON");
    out.iter().map(json).collect()
}

fn lines(text: &str) -> Vec<Json> {
    let json = |line| serde_json::from_str(line).expect("JSON");
    text.lines().map(json).collect()
}

/// One record for each place of the columns.
fn table(columns: &Json) -> Vec<Record> {
    let columns = columns.as_object().expect("columns");
    let count = columns
        .values()
        .next()
        .map_or(0, |column| column.as_array().map_or(0, Vec::len));
    (0..count)
        .map(|at| {
            let fields = columns
                .iter()
                .map(|(name, column)| (name.clone(), column[at].clone()));
            let fields: serde_json::Map<String, Json> = fields.collect();
            record(&at.to_string(), &Json::Object(fields).to_string())
        })
        .collect()
}

fn close(found: &Json, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!(
        (found - expected).abs() <= 1e-12 * expected.abs().max(1.0),
        "{found} {expected}"
    );
}

#[test]
fn averages_are_those_of_the_reference() {
    let runs = lines(include_str!("../../../tests/golden/eval/averages.jsonl"));
    assert_eq!(runs.len(), 9);
    for golden in runs {
        let faithful = golden["counts_first_twice"].as_bool().expect("said");
        for twice in [true, false] {
            let out = run(
                "stats",
                &format!("{{bootstrap: 0, first_twice: {twice}}}"),
                table(&golden["scores"]),
            );
            assert_eq!(
                out.len(),
                golden["scores"].as_object().map_or(0, serde_json::Map::len)
            );
            for row in out {
                let metric = row["metric"].as_str().expect("a name");
                let scores = golden["scores"][metric].as_array().expect("scores");
                let scores: Vec<f64> = scores
                    .iter()
                    .map(|x| {
                        x.as_f64()
                            .unwrap_or_else(|| f64::from(u8::from(*x == Json::Bool(true))))
                    })
                    .collect();
                let plain = scores.iter().sum::<f64>() / scores.len() as f64;
                // Shares there are written as percentages.
                let scale = if metric.starts_with("Task") {
                    100.0
                } else {
                    1.0
                };
                let theirs = golden["results"][metric].as_f64().expect("a number") / scale;
                close(
                    &row["mean"],
                    match (twice, faithful) {
                        (true, true) | (false, false) => theirs,
                        (false, true) => plain,
                        (true, false) => {
                            (scores.iter().sum::<f64>() + scores[0]) / (scores.len() + 1) as f64
                        }
                    },
                );
                assert_eq!(row["n"], scores.len());
            }
        }
    }
}

#[test]
fn the_reference_counts_the_first_twice() {
    for case in lines(include_str!(
        "../../../tests/golden/units/update_results.jsonl"
    )) {
        let input = || table(&serde_json::json!({"x": case["values"]}));
        let mean = |yaml| run("stats", yaml, input())[0]["mean"].clone();
        let theirs = |name: &str| case[name].as_f64().expect("a number");
        close(
            &mean("{metrics: [x], first_twice: 'x is number'}"),
            theirs("clue_average"),
        );
        close(
            &mean("{metrics: [x], first_twice: params.n > 2}"),
            theirs("plain_mean"),
        );
    }
}

const ROWS: &[&str] = &[
    r#"{"m":"a","acc":1,"f1":0.5,"text":"t"}"#,
    r#"{"m":"b","acc":true,"text":"t"}"#,
    r#"{"m":"a","acc":0,"f1":null}"#,
    r#"{"m":"a","acc":1,"f1":0.5}"#,
    r#"{"m":"a","acc":0,"f1":0.5}"#,
];

#[test]
fn every_metric_of_every_group() {
    let out = Stage::new("stats", "{by: m, seed: 3, bootstrap: 200}").flow(records(ROWS));
    insta::assert_snapshot!(out.join("\n"), @r#"
["a","acc"] {"m":"a","metric":"acc","n":4,"missing":0,"mean":0.5,"stderr":0.28867513459481287,"low":0.0,"high":1.0}
["a","f1"] {"m":"a","metric":"f1","n":3,"missing":1,"mean":0.5,"stderr":0.0,"low":0.5,"high":0.5}
["b","acc"] {"m":"b","metric":"acc","n":1,"missing":0,"mean":1.0,"stderr":null,"low":null,"high":null}
"#);
    let listed = Stage::new("stats", "{metrics: {points: acc * 100}, bootstrap: 0}");
    assert_eq!(
        listed.flow(records(ROWS)),
        [
            r#"points {"metric":"points","n":5,"missing":0,"mean":60.0,"stderr":24.49489742783178,"low":null,"high":null}"#
        ]
    );
}

#[test]
fn of_nothing_nothing_is_known() {
    let null = r#""mean":null,"stderr":null,"low":null,"high":null}"#;
    let stage = Stage::new("stats", "metrics: [x, y]");
    assert_eq!(
        stage.flow(Vec::new()),
        [
            format!(r#"x {{"metric":"x","n":0,"missing":0,{null}"#),
            format!(r#"y {{"metric":"y","n":0,"missing":0,{null}"#)
        ]
    );
    assert_eq!(
        stage.flow(records(&[r#"{"x":null}"#])),
        [format!(r#"x {{"metric":"x","n":0,"missing":1,{null}"#)]
    );
    let one = stage.flow(records(&[r#"{"x":0.25}"#]));
    let known = r#""mean":0.25,"stderr":null,"low":null,"high":null}"#;
    assert_eq!(
        one,
        [format!(r#"x {{"metric":"x","n":1,"missing":0,{known}"#)]
    );
    assert!(Stage::new("stats", "{by: m}").flow(Vec::new()).is_empty());
}

#[test]
fn the_order_of_records_does_not_matter() {
    let mut rows: Vec<Record> = (0..50)
        .map(|n: u32| {
            record(
                &n.to_string(),
                &format!(r#"{{"x":{},"t":{}}}"#, f64::from(n * n % 17) / 7.0, n % 3),
            )
        })
        .collect();
    for yaml in [
        "{metrics: [x], seed: 5}",
        "{metrics: [x], over: t, seed: -5}",
    ] {
        let forward = run("stats", yaml, rows.clone());
        rows.reverse();
        assert_eq!(run("stats", yaml, rows.clone()), forward);
    }
}

#[test]
fn an_overall_score_counts_every_part_the_same() {
    let rows = records(&[
        r#"{"m":"a","t":1,"x":1}"#,
        r#"{"m":"a","t":2,"x":0}"#,
        r#"{"m":"a","t":2,"x":0}"#,
        r#"{"m":"a","t":2,"x":0}"#,
        r#"{"m":"b","t":1,"x":1}"#,
    ]);
    let out = run("stats", "{by: m, over: t, metrics: [x]}", rows.clone());
    assert_eq!(
        (&out[0]["mean"], &out[0]["parts"]),
        (&0.5.into(), &2.into())
    );
    // The other model lacks a part: its mean would be of something else.
    assert_eq!(
        (&out[1]["mean"], &out[1]["parts"]),
        (&Json::Null, &1.into())
    );
    let twice = run(
        "stats",
        "{by: m, over: t, metrics: [x], first_twice: t == 2}",
        rows,
    );
    assert_eq!(twice[0]["mean"], 0.5);
}

#[test]
fn what_is_no_number_is_lost_alone() {
    let stage = Stage::new("stats", "{metrics: [x], bootstrap: 0}");
    let input = records(&[r#"{"x":"a"}"#, r#"{"x":1}"#, r#"{"x":[1]}"#]);
    let (out, lost) = stage.run(vec![input]).expect("runs");
    assert_eq!(
        lost,
        [
            "`x` needs numbers, found string",
            "`x` needs numbers, found sequence"
        ]
    );
    assert_eq!(
        out[0].fields.get("n").and_then(minijinja::Value::as_usize),
        Some(1)
    );
}

#[test]
fn nonsense_is_rejected() {
    let faults = |verb, yaml| Stage::new(verb, yaml).check(&[&["m", "x", "mean"]]).1.len();
    assert_eq!(faults("stats", "{by: mm}"), 1);
    assert_eq!(faults("stats", "{by: mean}"), 1);
    assert_eq!(
        faults("stats", "{metrics: [y], over: z, first_twice: zz}"),
        3
    );
    assert_eq!(faults("stats", "{bootstrap: 2000000, confidence: 1.5}"), 2);
    assert_eq!(faults("compare", "{between: mm, on: y, metrics: [z]}"), 3);
    assert_eq!(
        faults("compare", "{between: m, by: [p], resamples: 2000000}"),
        3
    );
}

/// Scores of three models for `n` records; the first is better than the second by `gain` on
/// average, the third equals the second.
fn scored(n: u32, gain: f64) -> Vec<Record> {
    let mut rows = Vec::new();
    for (model, gain) in [("a", gain), ("b", 0.0), ("c", 0.0)] {
        for id in 0..n {
            let noise = f64::from(id * 7919 % 101) / 101.0;
            let own = if model == "a" {
                f64::from(id * 31 % 11) / 11.0 - 5.0 / 11.0
            } else {
                0.0
            };
            let json = format!(
                r#"{{"model":"{model}","id":{id},"x":{}}}"#,
                noise + own + gain
            );
            rows.push(record(&format!("{model}{id}"), &json));
        }
    }
    rows
}

#[test]
fn models_are_compared_on_the_same_records() {
    for test in ["permutation", "bootstrap"] {
        let yaml = format!(
            "{{between: model, on: id, metrics: [x], test: {test}, seed: 1, correct: holm}}"
        );
        let mut rows = scored(44, 0.2);
        let out = run("compare", &yaml, rows.clone());
        let pair = |row: &Json| format!("{}{}", row["a"], row["b"]);
        assert_eq!(
            out.iter().map(pair).collect::<Vec<_>>(),
            [r#""a""b""#, r#""a""c""#, r#""b""c""#]
        );
        close(&out[0]["difference"], 0.2);
        close(&out[0]["p"], 1.0 / 1001.0);
        close(&out[0]["p_corrected"], 3.0 / 1001.0);
        assert!(out[0]["low"].as_f64() > Some(0.0) && out[0]["high"].as_f64() < Some(0.4));
        assert_eq!(
            (&out[2]["p"], &out[2]["difference"]),
            (&1.0.into(), &0.0.into())
        );
        assert_eq!((&out[2]["n"], &out[2]["unpaired"]), (&44.into(), &0.into()));
        // Whatever the order in which records come, once the models' is the same.
        rows[1..].reverse();
        let again = run("compare", &yaml, rows);
        let same = |row: &Json| row["a"] == "a" && row["b"] == "b";
        assert_eq!(again.iter().find(|row| same(row)), out.first());
    }
}

/// By scipy 1.x: `permutation_test` and `bootstrap(method="percentile")` with 9999 resamples.
#[test]
fn tests_and_intervals_are_near_scipys() {
    for test in ["permutation", "bootstrap"] {
        let yaml = format!("{{between: model, on: id, metrics: [x], test: {test}}}");
        let near = |gain: f64, name: &str, expected: f64, by: f64| {
            let row = &run("compare", &yaml, scored(44, gain))[0];
            let found = row[name].as_f64().expect("a number");
            assert!(
                (found - expected).abs() < by,
                "{test} {gain} {name} {found}"
            );
        };
        near(0.02, "p", 0.649, 0.05);
        near(0.02, "low", -0.0647, 0.012);
        near(0.02, "high", 0.1047, 0.012);
        near(0.2, "p", 0.0002, 0.003);
        near(0.2, "low", 0.1153, 0.012);
        near(0.2, "high", 0.2888, 0.012);
    }
}

proptest! {
    /// However large the scores: what cannot be said is null.
    #[test]
    fn no_number_is_infinite(scores in proptest::collection::vec((any::<f64>(), 0..3u8, any::<bool>()), 0..12)) {
        let rows: Vec<Record> = scores
            .iter()
            .filter(|(x, ..)| x.is_finite())
            .enumerate()
            .map(|(at, (x, task, model))| {
                let json = serde_json::json!({"x": x, "t": task, "m": model, "id": at / 2 * usize::from(at % 2 == 1)});
                record(&at.to_string(), &json.to_string())
            })
            .collect();
        for (verb, yaml) in [
            ("stats", "{metrics: [x], bootstrap: 20, first_twice: true}"),
            ("stats", "{metrics: [x], by: m, over: t, bootstrap: 20}"),
            ("compare", "{between: m, metrics: [x], resamples: 20}"),
            ("compare", "{between: m, metrics: [x], over: t, resamples: 20, test: bootstrap, on: id}"),
        ] {
            let Ok((out, _)) = Stage::new(verb, yaml).run(vec![rows.clone()]) else {
                continue;
            };
            for (_, value) in out.iter().flat_map(|record| record.fields.iter()) {
                let number = f64::try_from(value.clone());
                prop_assert!(number.is_err() || number.is_ok_and(f64::is_finite), "{verb} {yaml}");
            }
        }
    }
}

#[test]
fn records_without_a_partner_are_counted_or_refused() {
    let rows = records(&[
        r#"{"m":"a","id":1,"x":1}"#,
        r#"{"m":"a","id":2,"x":0}"#,
        r#"{"m":"b","id":1,"x":0}"#,
        r#"{"m":"b","id":3,"x":0}"#,
        r#"{"m":"b","id":2,"x":null}"#,
    ]);
    let out = run(
        "compare",
        "{between: m, on: id, metrics: [x]}",
        rows.clone(),
    );
    insta::assert_snapshot!(out[0].to_string(), @r#"
{"a":"a","b":"b","metric":"x","n":1,"unpaired":2,"mean_a":1.0,"mean_b":0.0,"difference":1.0,"low":null,"high":null,"p":1.0}
"#);
    let fail = Stage::new("compare", "{between: m, on: id, unpaired: fail}");
    assert_eq!(
        fail.run(vec![rows.clone()]).expect_err("refused"),
        "2 records have a score by `x` from only one of two models"
    );
    let twice = Stage::new("compare", "{between: m, on: x}");
    assert_eq!(
        twice.run(vec![rows]).expect_err("refused"),
        "two records of one `m` agree in `x`"
    );
}

#[test]
fn keys_pair_the_records_of_several_inputs() {
    let rows = |model, x| vec![record("k", &format!(r#"{{"m":"{model}","x":{x}}}"#))];
    let stage = Stage::new("compare", "between: m");
    let (out, _) = stage.run(vec![rows("a", 1), rows("b", 3)]).expect("runs");
    let fields = serde_json::to_value(&out[0].fields).expect("JSON");
    assert_eq!(&*out[0].key, r#"["a","b","x"]"#);
    assert_eq!(
        (&fields["difference"], &fields["p"], &fields["low"]),
        (&(-2.0).into(), &1.0.into(), &Json::Null)
    );
}
