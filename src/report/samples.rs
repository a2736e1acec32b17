//! A few records, short enough for a terminal. Whether they may be shown (sensitive data may
//! not) is the caller's to decide.

use std::fmt::Write;

use minijinja::value::ValueKind;

use super::words::brief;
use crate::record::Record;

/// Shows `fields` of the records, a line each, cut to `width` characters in all; every field
/// if `fields` is empty. Fields that a record lacks are left out.
pub fn show_samples(records: &[Record], fields: &[&str], width: usize) -> String {
    let wanted = |name: &str| fields.is_empty() || fields.contains(&name);
    let names = records.iter().flat_map(|record| record.fields.names());
    let widest = names
        .filter(|name| wanted(name))
        .map(|name| name.chars().count());
    let widest = widest.max().unwrap_or(0);
    let mut text = String::new();
    for record in records {
        if !text.is_empty() {
            text.push('\n');
        }
        let mut line = |name: &str| {
            let Some(value) = record.fields.get(name) else {
                return;
            };
            let shown = match value.kind() {
                ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
                _ => serde_json::to_string(value).unwrap_or_default(),
            };
            let shown = brief(&shown, width.saturating_sub(widest + 4).max(8));
            let _ = writeln!(text, "  {name:widest$}  {shown}");
        };
        if fields.is_empty() {
            record.fields.names().for_each(line);
        } else {
            fields.iter().for_each(|name| line(name));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(json: &str) -> Record {
        Record {
            key: "k".into(),
            fields: serde_json::from_str(json).unwrap(),
        }
    }

    #[test]
    fn records_are_cut_to_fit() {
        let records = [
            record(r#"{"id":7,"question":"What was\n the infection, and how was it treated?"}"#),
            record(r#"{"question":"Why?","score":0.5,"parts":["a",null]}"#),
        ];
        insta::assert_snapshot!(show_samples(&records, &[], 40), @r#"
        id        7
        question  What was the infection, and…

        question  Why?
        score     0.5
        parts     ["a",null]
        "#);
        insta::assert_snapshot!(show_samples(&records, &["question", "id"], 72), @r"
        question  What was the infection, and how was it treated?
        id        7

        question  Why?
        ");
    }

    #[test]
    fn nothing_to_show_is_nothing() {
        assert_eq!(show_samples(&[], &["a"], 40), "");
        assert_eq!(show_samples(&[record("{}")], &["a"], 0), "");
    }
}
