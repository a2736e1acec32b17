//! Answers and scores of a run that was made again, against those of a bundle. Pure.

use std::collections::{BTreeMap, HashSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::results::Results;

/// Answers of a stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Answers {
    /// The stage.
    pub stage: String,
    /// The same.
    pub same: usize,
    /// Another.
    pub changed: usize,
    /// Not asked any more, or without an answer.
    pub gone: usize,
    /// Not asked then.
    pub new: usize,
}

/// A mean.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// What it is the mean of: the names of its group, and the metric.
    pub name: String,
    /// As it was.
    pub then: Option<f64>,
    /// As it is.
    pub now: Option<f64>,
}

/// Compares answers: of the same call first, and then, as prompts may be made of other answers,
/// those about the same record, whatever was asked. A call about several records counts once.
pub fn compared(stage: &str, was: &[[String; 3]], now: &[[String; 3]]) -> Answers {
    let once = |all: &[[String; 3]]| -> BTreeMap<String, [String; 3]> {
        let all = all.iter().rev();
        all.map(|one| (one[1].clone(), one.clone())).collect()
    };
    let mut answers = Answers {
        stage: stage.to_owned(),
        ..Answers::default()
    };
    let (was, calls) = (once(was), once(now));
    // Of each record: answers to calls that were not made then.
    let mut left: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for [record, call, answer] in now.iter().filter(|[_, call, _]| !was.contains_key(call)) {
        left.entry(record).or_default().push((call, answer));
    }
    let mut met = HashSet::new();
    for (call, [record, _, then]) in &was {
        let of_record = left
            .get_mut(record.as_str())
            .filter(|left| !left.is_empty());
        match (calls.get(call), of_record) {
            (Some([.., now]), _) if now == then => answers.same += 1,
            (Some(_), _) => answers.changed += 1,
            (None, Some(left)) => {
                let same = left.iter().position(|(_, answer)| answer == then);
                met.insert(left.swap_remove(same.unwrap_or(0)).0);
                if same.is_some() {
                    answers.same += 1;
                } else {
                    answers.changed += 1;
                }
            }
            (None, None) => answers.gone += 1,
        }
    }
    let new = calls.keys().filter(|call| !was.contains_key(*call));
    answers.new = new.filter(|call| !met.contains(call.as_str())).count();
    answers
}

/// The means of two sets of tables, in the order of the first.
pub fn scores(then: &Results, now: &Results) -> Vec<Score> {
    let (then, now) = (means(then), means(now));
    let value = |all: &[(String, f64)], name: &str| {
        let found = all.iter().find(|(known, _)| known == name);
        found.map(|(_, mean)| *mean)
    };
    let mut names: Vec<&String> = then.iter().map(|(name, _)| name).collect();
    let new = now
        .iter()
        .map(|(name, _)| name)
        .filter(|name| value(&then, name).is_none());
    names.extend(new);
    let mut seen = HashSet::new();
    names
        .into_iter()
        .filter(|name| seen.insert(*name))
        .map(|name| Score {
            name: name.clone(),
            then: value(&then, name),
            now: value(&now, name),
        })
        .collect()
}

/// The means in tables, with the names of their groups.
fn means(results: &Results) -> Vec<(String, f64)> {
    let mut found = Vec::new();
    for (stage, table) in &results.tables {
        let columns = table["columns"].as_array().map_or(&[][..], Vec::as_slice);
        let at = |name: &str| columns.iter().position(|column| column == name);
        let Some(mean) = at("mean").filter(|_| table["kind"] == "stats") else {
            continue;
        };
        let by = table["by"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str);
        let named: Vec<usize> = by.chain(["metric"]).filter_map(at).collect();
        for row in table["rows"].as_array().into_iter().flatten() {
            let names = named.iter().map(|at| match &row[*at] {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            });
            let name: Vec<String> = std::iter::once(stage.clone()).chain(names).collect();
            if let Some(mean) = row[mean].as_f64() {
                found.push((name.join(" "), mean));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::results::read;
    use super::*;

    #[test]
    fn answers_are_compared_by_call_and_then_by_record() {
        let all = |text: &str| -> Vec<[String; 3]> {
            let one = |word: &str| [0, 1, 2].map(|at| word[at..=at].to_owned());
            text.split_whitespace().map(one).collect()
        };
        let counts = |was: &str, now: &str| {
            let found = compared("s", &all(was), &all(now));
            (found.same, found.changed, found.gone, found.new)
        };
        // Record, call, answer.
        assert_eq!(counts("1ax 2by", "1ax 2by"), (2, 0, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2bz"), (1, 1, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2cy"), (2, 0, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax 2cz"), (1, 1, 0, 0));
        assert_eq!(counts("1ax 2by", "1ax"), (1, 0, 1, 0));
        assert_eq!(counts("1ax", "1ax 1bx 3dx"), (1, 0, 0, 2));
        assert_eq!(counts("1ax 1bx", "1cx"), (1, 0, 1, 0));
        // The same call about two records was kept once.
        assert_eq!(counts("1ax", "1ax 2ax"), (1, 0, 0, 0));
        // Two prompts have become one.
        assert_eq!(counts("1ax 2bx", "1cy 2cy"), (0, 2, 0, 0));
    }

    #[test]
    fn means_are_compared_by_the_names_of_their_groups() {
        let tables = |mean: f64| {
            let tables = json!({"pipeline": "p", "tables": [
                {"stage": "r", "kind": "stats", "by": ["model"],
                 "columns": ["model", "metric", "n", "mean"],
                 "rows": [["m", "f1", 3, mean], ["k", "f1", 3, null]]},
                {"stage": "c", "kind": "compare", "by": [], "columns": ["mean"], "rows": [[1]]},
            ]});
            read(tables.to_string().as_bytes()).expect("results")
        };
        let score = Score {
            name: "r m f1".to_owned(),
            then: Some(0.5),
            now: Some(0.25),
        };
        assert_eq!(scores(&tables(0.5), &tables(0.25)), [score]);
        let none = Results::default();
        assert_eq!(scores(&none, &none), []);
        let only = scores(&tables(0.5), &none);
        assert_eq!((only[0].then, only[0].now), (Some(0.5), None));
    }
}
