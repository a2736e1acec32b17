//! Compares what came with what was expected, in words. Pure. Values are shown unless they are
//! of sensitive data.

use std::collections::HashSet;

use serde_json::{Number, Value as Json};
use similar::TextDiff;

use super::file::{Fails, Records};
use crate::engine::keep::Failure;
use crate::record::{Fields, Record};
use crate::report::words::count;
use crate::stages::named::Named;

/// Lines of a difference that are shown.
const LINES: usize = 40;
/// Characters of a value that are shown.
const WIDTH: usize = 200;
/// Numbers are equal that differ by no more than this share of them: sums of floating-point
/// numbers may differ in their last digits from machine to machine.
const CLOSE: f64 = 1e-9;

/// Something that is not as expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Wrong {
    /// In words.
    pub told: String,
    /// A field with another value, for those who take the new one.
    pub other: Option<Other>,
}

impl Wrong {
    fn new(told: String) -> Wrong {
        Wrong { told, other: None }
    }
}

/// A field with another value than expected.
#[derive(Clone, Debug, PartialEq)]
pub struct Other {
    /// Where the expectation stands below `expect.records` and its stage: index or key of the
    /// record, and field.
    pub path: [String; 2],
    /// The value that came.
    pub found: Json,
}

/// True if it is known which record belongs to which expectation.
pub fn paired(wanted: &Records, found: &[Record]) -> bool {
    match wanted {
        Records::All(all) => all.len() == found.len(),
        Records::Some(_) => true,
    }
}

/// Compares the records of a stage.
pub fn records(stage: &str, wanted: &Records, found: &[Record], hidden: bool) -> Vec<Wrong> {
    let mut faults = Vec::new();
    match wanted {
        Records::All(all) => {
            // Which belongs to which is not known then: nobody must take values over.
            let paired = paired(wanted, found);
            if !paired {
                faults.push(Wrong::new(format!(
                    "`{stage}`: expected {}, found {}",
                    count(all.len() as u64, "record"),
                    found.len()
                )));
            }
            for (at, (wanted, found)) in all.iter().zip(found).enumerate() {
                let place = (at.to_string(), format!("`{stage}` record {}", at + 1));
                fields(place, wanted, &found.fields, hidden, &mut faults);
            }
            if !paired {
                faults.iter_mut().for_each(|wrong| wrong.other = None);
            }
        }
        Records::Some(some) => {
            for (key, wanted) in some.iter() {
                let Some(found) = found.iter().find(|record| *record.key == *key) else {
                    faults.push(Wrong::new(format!("`{stage}`: no record `{key}`")));
                    continue;
                };
                let place = (key.to_owned(), format!("`{stage}` record `{key}`"));
                fields(place, wanted, &found.fields, hidden, &mut faults);
            }
        }
    }
    faults
}

fn fields(
    (at, place): (String, String),
    wanted: &Named<Json>,
    found: &Fields,
    hidden: bool,
    faults: &mut Vec<Wrong>,
) {
    for (name, wanted) in wanted.iter() {
        let Some(value) = found.get(name) else {
            faults.push(Wrong::new(format!("{place}: no field `{name}`")));
            continue;
        };
        let value = serde_json::to_value(value).unwrap_or_default();
        if same(wanted, &value) {
            continue;
        }
        let told = if hidden {
            format!("{place}: `{name}` is another (not shown: the data is marked `sensitive`)")
        } else {
            format!(
                "{place}: `{name}`: expected {}, found {}",
                shown(wanted),
                shown(&value)
            )
        };
        let path = [at.clone(), name.to_owned()];
        faults.push(Wrong {
            told,
            other: Some(Other { path, found: value }),
        });
    }
}

/// True for values that are equal, numbers but for their last digits. Of maps in maps, all keys
/// count.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(a), Json::Number(b)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a == b,
            _ => {
                let (a, b) = (a.as_f64().unwrap_or(0.0), b.as_f64().unwrap_or(1.0));
                (a - b).abs() <= CLOSE * a.abs().max(b.abs())
            }
        },
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Object(a), Json::Object(b)) => {
            let has = |(name, value): (&String, &Json)| b.get(name).is_some_and(|b| same(value, b));
            a.len() == b.len() && a.iter().all(has)
        }
        _ => a == b,
    }
}

fn whole(number: &Number) -> Option<i128> {
    let signed = number.as_i64().map(i128::from);
    signed.or_else(|| number.as_u64().map(i128::from))
}

fn shown(value: &Json) -> String {
    let text = value.to_string();
    match text.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Compares an output with what it must equal; `None` if it does.
pub fn text(name: &str, wanted: &[u8], found: &[u8], hidden: bool) -> Option<String> {
    if wanted == found {
        return None;
    }
    let texts = (std::str::from_utf8(wanted), std::str::from_utf8(found));
    let (Ok(wanted), Ok(found)) = texts else {
        return Some(format!("`{name}` differs"));
    };
    if hidden {
        let lines = wanted.lines().zip(found.lines());
        let same = lines.take_while(|(a, b)| a == b).count();
        return Some(format!(
            "`{name}` differs from line {} on (not shown: the data is marked `sensitive`)",
            same + 1
        ));
    }
    let diff = TextDiff::from_lines(wanted, found);
    let diff = diff.unified_diff().context_radius(2).to_string();
    let mut lines: Vec<&str> = diff.lines().take(LINES).collect();
    let more = diff.lines().count() - lines.len();
    let rest = format!("… and {more} more lines");
    if more > 0 {
        lines.push(&rest);
    }
    Some(format!(
        "`{name}` differs (- expected, + found):\n{}",
        lines.join("\n")
    ))
}

/// Compares the failures with those that are expected. Records that lack an answer (`lacking`:
/// stage and key) can never be what is expected.
pub fn failures(
    wanted: &Named<Fails>,
    found: &[Failure],
    lacking: &HashSet<(String, String)>,
) -> Vec<String> {
    let mut told = Vec::new();
    for failure in found {
        let Failure {
            stage, key, why, ..
        } = failure;
        if lacking.contains(&(stage.clone(), key.clone())) {
            told.push(format!("`{stage}` record `{key}` failed: {why}"));
            continue;
        }
        let fails = wanted.iter().find(|(name, _)| name == stage);
        let listed = fails.map_or(Vec::new(), |(_, fails)| fails.list());
        match listed.iter().find(|(wanted, _)| wanted == key) {
            None => told.push(format!("`{stage}` record `{key}` failed: {why}")),
            Some((_, words)) if !why.contains(words) => told.push(format!(
                "`{stage}` record `{key}` failed, but not because of `{words}`: {why}"
            )),
            Some(_) => {}
        }
    }
    for (stage, fails) in wanted.iter() {
        for (key, _) in fails.list() {
            if !found.iter().any(|f| f.stage == stage && f.key == key) {
                told.push(format!("`{stage}` record `{key}` did not fail"));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::Kind;

    fn record(key: &str, json: &str) -> Record {
        Record {
            key: key.into(),
            fields: serde_json::from_str(json).expect("fields"),
        }
    }

    fn named<T: serde::de::DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).expect("fits")
    }

    #[test]
    fn records_are_compared_by_the_fields_that_are_named() {
        let found = [
            record("1", r#"{"a": 1, "b": "x", "c": [0.30000000000000004]}"#),
            record("2", r#"{"a": 2}"#),
        ];
        let told = |wanted: &str| {
            let wrong = records("s", &named(wanted), &found, false);
            let told: Vec<String> = wrong.into_iter().map(|wrong| wrong.told).collect();
            told.join("; ")
        };
        assert_eq!(told(r#"[{"a": 1.0, "c": [0.3]}, {}]"#), "");
        assert_eq!(
            told(r#"{"2": {"a": 3, "d": 1}, "3": {}}"#),
            "`s` record `2`: `a`: expected 3, found 2; `s` record `2`: no field `d`; \
             `s`: no record `3`"
        );
        assert_eq!(
            told(r#"[{"b": "y"}]"#),
            "`s`: expected 1 record, found 2; `s` record 1: `b`: expected \"y\", found \"x\""
        );
        let shifted = records("s", &named(r#"[{"b": "y"}]"#), &found, false);
        assert!(shifted.iter().all(|wrong| wrong.other.is_none()));
        let wanted: Records = named(r#"[{"b": "y"}, {"a": "2"}]"#);
        let hidden = records("s", &wanted, &found, true);
        assert!(
            hidden.iter().all(|wrong| !wrong.told.contains('"')),
            "{hidden:?}"
        );
        let other = hidden[1].other.clone().expect("another value");
        assert_eq!((other.path[0].as_str(), other.path[1].as_str()), ("1", "a"));
        assert_eq!(other.found, 2);
    }

    #[test]
    fn close_numbers_are_equal_and_others_are_not() {
        let same = |a: &str, b: &str| same(&named(a), &named(b));
        assert!(same("1", "1.0") && same("0", "0.0") && same("0.1", "0.10000000000000001"));
        assert!(!same("1", "1.00001") && !same("0", "1e-12") && !same("1", "\"1\""));
        assert!(!same("9007199254740993", "9007199254740992"));
        assert!(!same("18446744073709551615", "18446744073709551614"));
        assert!(!same("[1]", "[1, 2]") && !same(r#"{"a": 1}"#, r#"{"a": 1, "b": 2}"#));
    }

    #[test]
    fn texts_are_told_as_a_difference_of_lines() {
        let told = text("o.txt", b"a\nb\nc\n", b"a\nx\nc\n", false).expect("differs");
        assert_eq!(
            told,
            "`o.txt` differs (- expected, + found):\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c"
        );
        assert_eq!(text("o.txt", b"a", b"a", false), None);
        let hidden = text("o.txt", b"a\nb\n", b"a\nx\n", true).expect("differs");
        assert!(
            hidden.starts_with("`o.txt` differs from line 2 on"),
            "{hidden}"
        );
        let long = (0..100).map(|n| format!("{n}\n")).collect::<String>();
        let told = text("o.txt", b"", long.as_bytes(), false).expect("differs");
        assert!(told.ends_with("more lines") && told.lines().count() < 50);
        assert_eq!(
            text("o.txt", b"\xff", b"a", false).as_deref(),
            Some("`o.txt` differs")
        );
    }

    #[test]
    fn failures_must_be_those_that_are_expected() {
        let failed = |key: &str, why: &str| Failure {
            stage: "s".to_owned(),
            key: key.to_owned(),
            kind: Kind::Call,
            why: why.to_owned(),
        };
        let found = [failed("1", "status 500"), failed("2", "empty")];
        let none = HashSet::new();
        let told = |wanted: &str| failures(&named(wanted), &found, &none).join("; ");
        assert_eq!(told(r#"{"s": [1, "2"]}"#), "");
        assert_eq!(
            told(r#"{"s": {"1": "500", "3": ""}}"#),
            "`s` record `2` failed: empty; `s` record `3` did not fail"
        );
        assert_eq!(
            told(r#"{"s": {"1": "429", "2": "empty"}}"#),
            "`s` record `1` failed, but not because of `429`: status 500"
        );
        let lacking = HashSet::from([("s".to_owned(), "2".to_owned())]);
        assert_eq!(
            failures(&named(r#"{"s": [1, 2]}"#), &found, &lacking),
            ["`s` record `2` failed: empty"]
        );
    }
}
