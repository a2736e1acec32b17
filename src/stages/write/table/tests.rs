//! Tables as files, through the verb's settings.

use proptest::prelude::{prop_assert_eq, proptest};

use crate::stages::driver::{Stage, records};

const ROWS: &[&str] = &[
    r#"{"model":"x_1|a","n":20,"acc":0.5,"acc.low":0.25,"acc.high":0.75,"loss":0.125,"f1":null}"#,
    r#"{"model":"y & 10%","n":20,"acc":0.66666,"acc.low":0.5,"acc.high":null,"loss":-0.00001,"f1":0.3}"#,
    r#"{"model":"z\n[*]","n":7,"acc":0.6668,"acc.low":0.5,"acc.high":0.75,"loss":1.0,"f1":null}"#,
];

const LOOK: &str = "sort: [-acc], bold_best: true, lower_is_better: [loss], intervals: true";

fn bytes(yaml: &str, json: &[&str]) -> String {
    let stage = Stage::new("write", yaml);
    let (text, lost) = stage.bytes(&records(json));
    assert!(lost.is_empty(), "{lost:?}");
    text
}

#[test]
fn plain_text() {
    let text = bytes(&format!("{{path: b.txt, format: table, {LOOK}}}"), ROWS);
    insta::assert_snapshot!(text, @r#"
model     n                    acc    loss     f1
───────  ──  ─────────────────────  ──────  ─────
z [*]     7  *0.667 [0.500, 0.750]   1.000      —
y & 10%  20  *0.667                 *0.000  0.300
x_1|a    20   0.500 [0.250, 0.750]   0.125      —
* best of its column
"#);
}

#[test]
fn markdown() {
    let text = bytes(&format!("{{path: b.md, {LOOK}, digits: 2}}"), ROWS);
    insta::assert_snapshot!(text, @r#"
| model    |   n |                   acc |     loss |   f1 |
| -------- | --: | --------------------: | -------: | ---: |
| z \[\*\] |   7 | **0.67** [0.50, 0.75] |     1.00 |    — |
| y \& 10% |  20 |              **0.67** | **0.00** | 0.30 |
| x\_1\|a  |  20 |     0.50 [0.25, 0.75] |     0.12 |    — |
"#);
}

#[test]
fn latex() {
    let text = bytes(&format!("{{path: b.tex, {LOOK}, percent: true}}"), ROWS);
    insta::assert_snapshot!(text, @r#"
% needs \usepackage{booktabs}
\begin{tabular}{lrrrr}
\toprule
model & n & acc & loss & f1 \\
\midrule
z [*] & 7 & \textbf{66.7} [50.0, 75.0] & 100.0 & --- \\
y \& 10\% & 20 & \textbf{66.7} & \textbf{0.0} & 30.0 \\
x\_1\textbar{}a & 20 & 50.0 [25.0, 75.0] & 12.5 & --- \\
\bottomrule
\end{tabular}
"#);
}

#[test]
fn columns_and_errors_are_chosen() {
    let rows = &[
        r#"{"m":"a","x":0.5,"x.stderr":0.015,"n":2}"#,
        r#"{"m":"b","x":0.25,"n":3}"#,
    ];
    let text = bytes(
        "{path: b.md, columns: {x: Score, n: Share, m: Model}, percent: [n], bold_best: [n], \
         intervals: true}",
        rows,
    );
    insta::assert_snapshot!(text, @r#"
|         Score |     Share | Model |
| ------------: | --------: | ----- |
| 0.500 ± 0.015 |     200.0 | a     |
|         0.250 | **300.0** | b     |
"#);
    let text = bytes(
        "{path: b.txt, format: table, fields: {who: m, 'x': x * 2}}",
        rows,
    );
    insta::assert_snapshot!(text, @r#"
who      x
───  ─────
a    1.000
b    0.500
"#);
}

#[test]
fn of_nothing() {
    assert_eq!(bytes("path: b.md", &[]), "");
    assert_eq!(bytes("path: b.tex", &[]), "% no rows\n");
    assert_eq!(bytes("{path: b.txt, format: table}", &[]), "no rows\n");
    assert_eq!(
        bytes("{path: b.md, columns: [a, b]}", &[]),
        "| a   | b   |\n| --- | --- |\n"
    );
}

#[test]
fn other_formats_are_sorted_too() {
    let rows = &[
        r#"{"a":1,"b":"x"}"#,
        r#"{"a":null,"b":"y"}"#,
        r#"{"a":2,"b":"x"}"#,
    ];
    assert_eq!(
        bytes("{path: b.csv, sort: [-a]}", rows),
        "a,b\n2,x\n1,x\n,y\n"
    );
    assert_eq!(
        bytes(
            "{path: b.json, sort: [-b, a], fields: [a], separators: compact}",
            rows
        ),
        "[{\"a\":null},{\"a\":1},{\"a\":2}]\n"
    );
    let stage = Stage::new("write", "{path: b.jsonl, sort: a, fields: [b]}");
    let (text, lost) = stage.bytes(&records(&[r#"{"a":[]}"#, r#"{"a":1}"#, r#"{"b":3}"#]));
    assert_eq!((text.as_str(), lost.len()), ("{\"b\": 3}\n", 2));
}

#[test]
fn nonsense_is_rejected() {
    let faults = |yaml| Stage::new("write", yaml).check(&[&["a", "b"]]).1.len();
    assert_eq!(faults("{path: x.csv, sort: [-a], digits: 2}"), 1);
    assert_eq!(
        faults("{path: x.md, sort: [-c], columns: [d], bold_best: [e]}"),
        3
    );
    assert_eq!(
        faults("{path: x.md, fields: {c: a}, columns: [c], lower_is_better: [a]}"),
        1
    );
    assert_eq!(faults("{path: x.md, digits: 16, indent: 1}"), 2);
    assert_eq!(faults("{path: x.tex, show: true}"), 1);
    assert_eq!(faults("{path: x.tex, show: false}"), 0);
}

proptest! {
    /// No text breaks out of its cell.
    #[test]
    fn every_text_stays_in_its_row(text: String, head in "[^.]+") {
        let row = serde_json::json!({head: text, "second": 0.5}).to_string();
        let of = |file: &str| bytes(&format!("{{path: {file}, format: {}}}", &file[2..]), &[&row]);
        prop_assert_eq!(of("x.table").lines().count(), 3);
        prop_assert_eq!(of("x.tex").lines().count(), 8);
        for line in of("x.md").lines() {
            let bars = line.replace("\\\\", "").replace("\\|", "").matches('|').count();
            prop_assert_eq!(bars, 3);
        }
    }
}
