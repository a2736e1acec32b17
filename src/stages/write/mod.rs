//! `write`: formats records into an output file. Owns the settings; JSON's exact bytes are in
//! `json`, tables in `table`. Keys are not written: name a field that holds them.

pub mod elsewhere;
mod held;
mod json;
pub mod parquet;
mod pick;
mod rows;
mod table;

use std::path::{Component, Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, FieldSet, Operator, Verb};
use super::named::{Column, Columns, Names};
use crate::diag::Diagnostic;
use crate::spec::decode::Src;
use held::Held;
pub use json::Separators;
use json::Style;
use parquet::Parquet;
use pick::Picks;
use rows::Writer;
use table::Table;
use table::look::{Headings, Look, Which};

/// Writes records to a file in the output folder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The file, relative to the output folder.
    path: Src<String>,
    /// The format; from the file's extension if left out (`.json` is one array, `.txt` is
    /// `lines`).
    #[serde(default)]
    format: Option<Format>,
    /// Write a `.json` file as one object a line, without an array around.
    #[serde(default)]
    lines: bool,
    /// The fields to write, in order, or `{name: expression}`; all if left out.
    #[serde(default)]
    fields: Option<Columns>,
    /// JSON: write all but ASCII as escapes, such as `\u00e4`.
    #[serde(default)]
    ascii: bool,
    /// JSON: white space after commas and colons, as Python writes it, or none.
    #[serde(default)]
    separators: Separators,
    /// JSON: spaces a level is indented by; all on one line if left out.
    #[serde(default)]
    indent: Option<Src<u8>>,
    /// Fields to sort by, the first one first; with a `-` before its name the greatest comes
    /// first. Null comes last either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sort: Option<Names>,
    /// Tables: the columns in order, `[field, …]` or `{field: heading}`; if left out, all
    /// fields but those that others show as their interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    columns: Option<Headings>,
    /// Tables: decimals of numbers that are not whole; 3 if left out, 1 of percentages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digits: Option<Src<u8>>,
    /// Tables: write scores times 100; `true` for all columns that are not whole numbers, or
    /// a list of columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    percent: Option<Which>,
    /// Tables: mark the best score of each column; `true` for all columns that are not whole
    /// numbers, or a list of columns. Scores that look the same are both best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bold_best: Option<Which>,
    /// Tables: columns in which the least score is the best.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lower_is_better: Option<Names>,
    /// Tables: after each score `x` its interval [`x.low`, `x.high`], or ± `x.stderr`, where
    /// there are such fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intervals: Option<Src<bool>>,
    /// Tables (`md` and `table`): print the file on standard output after the run, even if
    /// it comes from sensitive data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    show: Option<Src<bool>>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One object a line.
    Jsonl,
    /// One array of objects.
    Json,
    /// Comma-separated values with a header; lists and maps as JSON.
    Csv,
    /// Parquet: columns with types, which follow from the values; compressed.
    Parquet,
    /// One text a line: of the only field.
    Lines,
    /// The texts of the only field as they are, an empty line between them.
    Text,
    /// A table in Markdown.
    Md,
    /// A table in LaTeX, for the package `booktabs`.
    Tex,
    /// A table in plain text, as for a terminal.
    Table,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Jsonl => "jsonl",
            Format::Json => "json",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
            Format::Lines => "lines",
            Format::Text => "text",
            Format::Md => "md",
            Format::Tex => "tex",
            Format::Table => "table",
        }
    }

    /// True for tables that people read.
    fn is_table(self) -> bool {
        matches!(self, Format::Md | Format::Tex | Format::Table)
    }
}

impl Write {
    fn format(&self) -> Result<Format, Diagnostic> {
        let extension = Path::new(&self.path.value).extension().unwrap_or_default();
        let format = match (self.format, extension.to_str()) {
            (Some(format), _) => format,
            (None, Some("json")) => Format::Json,
            (None, Some("jsonl" | "ndjson")) => Format::Jsonl,
            (None, Some("csv" | "tsv")) => Format::Csv,
            (None, Some("parquet")) => Format::Parquet,
            (None, Some("txt")) => Format::Lines,
            (None, Some("md" | "markdown")) => Format::Md,
            (None, Some("tex")) => Format::Tex,
            _ => {
                return Err(
                    Diagnostic::error("the file's extension does not say its format")
                        .at(self.path.span, "")
                        .help("add `format:` with one of `jsonl`, `json`, `csv`, `parquet`, `lines`, `text`, `md`, `tex`, `table`"),
                );
            }
        };
        Ok(match format {
            Format::Json if self.lines => Format::Jsonl,
            format => format,
        })
    }
}

impl Verb for Write {
    const NAME: &'static str = "write";
    const VERSION: u32 = 1;

    fn writes(&self) -> Option<&Path> {
        Some(Path::new(&self.path.value))
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let input = cx.input();
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        let path = Path::new(&self.path.value);
        if path.file_name().is_none() || !path.components().all(plain) {
            cx.fault(
                Diagnostic::error("an output must lie in the output folder")
                    .at(self.path.span, "")
                    .help("use a relative path without `..`"),
            );
        }
        for (_, column) in self.fields.iter().flat_map(|columns| &columns.0) {
            match column {
                Column::Field(name) => cx.field(name, &input),
                Column::Expr(expr) => cx.expr(expr, &input, &[]),
            }
        }
        match self.format() {
            Err(diagnostic) => cx.fault(diagnostic),
            Ok(format @ (Format::Lines | Format::Text)) => {
                let count = match &self.fields {
                    Some(columns) => columns.0.len(),
                    None if input.open => 1,
                    None => input.names.len(),
                };
                if count != 1 {
                    cx.fault(
                        Diagnostic::error(format!(
                            "`{}` writes one field, not {count}",
                            format.name()
                        ))
                        .at(self.path.span, "")
                        .help("name it, `fields: [text]`, or write a table: `format: table`"),
                    );
                }
            }
            Ok(Format::Json) => {}
            Ok(Format::Parquet) => {
                if let Err(fault) = parquet::possible() {
                    cx.fault(fault.at(self.path.span, ""));
                }
            }
            Ok(format) => {
                if let Some(indent) = &self.indent {
                    let message = format!("`{}` cannot be indented", format.name());
                    cx.fault(Diagnostic::error(message).at(indent.span, ""));
                }
            }
        }
        for name in self.sort.iter().flat_map(|names| &names.0) {
            cx.field(&held::direction(name).0, &input);
        }
        if let Ok(format) = self.format() {
            self.check_table(format, &input, cx);
        }
        input
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let picks = Picks::new(self.fields.as_ref(), cx)?;
        let format = self.format()?;
        let by = self.sort.as_ref().map(|names| names.0.as_slice());
        if format.is_table() {
            let held = Held::new(by.unwrap_or_default());
            let table = Table::new(&self.path, format, picks, held, self.look());
            return Ok(Operator::Sink(Box::new(table)));
        }
        if format == Format::Parquet {
            let held = by.map(Held::new);
            let parquet = Parquet::new(&self.path, picks, held, cx.temp_dir);
            return Ok(Operator::Sink(Box::new(parquet)));
        }
        let style = Style {
            ascii: self.ascii,
            separators: self.separators,
            indent: self.indent.as_ref().map(|indent| usize::from(indent.value)),
        };
        let held = by.map(Held::new);
        let writer = Writer::new(&self.path, format, picks, style, held);
        Ok(Operator::Sink(Box::new(writer)))
    }
}

impl Write {
    /// How a table looks.
    fn look(&self) -> Look {
        Look {
            columns: self.columns.clone(),
            digits: self.digits.as_ref().map(|digits| usize::from(digits.value)),
            percent: self.percent.clone().unwrap_or_default(),
            best: self.bold_best.clone().unwrap_or_default(),
            lower: self.lower_is_better.clone().unwrap_or_default(),
            intervals: self.intervals.as_ref().is_some_and(|set| set.value),
        }
    }

    /// Checks the settings of tables: their columns, and that it is one.
    fn check_table(&self, format: Format, input: &FieldSet, cx: &mut Check<'_>) {
        let look = self.look();
        if !format.is_table() && look.is_set() {
            let message = format!(
                "`{}` has no columns, decimals or bold scores",
                format.name()
            );
            cx.fault(
                Diagnostic::error(message)
                    .at(self.path.span, "")
                    .help("tables are `md`, `tex` and `format: table`"),
            );
        }
        let shown = matches!(format, Format::Md | Format::Table);
        if let Some(show) = self.show.as_ref().filter(|show| show.value && !shown) {
            cx.fault(
                Diagnostic::error(format!("`{}` is not shown after a run", format.name()))
                    .at(show.span, "")
                    .help("`md` and `format: table` are"),
            );
        }
        if let Some(digits) = self.digits.as_ref().filter(|digits| digits.value > 15) {
            cx.fault(Diagnostic::error("at most 15 decimals").at(digits.span, ""));
        }
        let mut fields = input.clone();
        if let Some(picked) = &self.fields {
            fields = FieldSet::default();
            picked.0.iter().for_each(|(name, _)| fields.add(name));
        }
        for name in look.names() {
            cx.field(name, &fields);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    fn bytes(yaml: &str, json: &[&str]) -> String {
        let (text, lost) = Stage::new("write", yaml).bytes(&records(json));
        assert!(lost.is_empty(), "{lost:?}");
        text
    }

    const TWO: &[&str] = &[r#"{"a":"é","b":[1.0,null]}"#, r#"{"a":"x","b":[]}"#];

    #[test]
    fn all_formats() {
        assert_eq!(
            bytes("path: x.jsonl", TWO),
            "{\"a\": \"é\", \"b\": [1.0, null]}\n{\"a\": \"x\", \"b\": []}\n"
        );
        assert_eq!(
            bytes("{path: x.json, fields: [a], ascii: true}", TWO),
            "[{\"a\": \"\\u00e9\"}, {\"a\": \"x\"}]\n"
        );
        assert_eq!(
            bytes("{path: x.json, fields: {c: b | length}, indent: 1}", TWO),
            "[\n {\n  \"c\": 2\n },\n {\n  \"c\": 0\n }\n]\n"
        );
        assert_eq!(
            bytes("{path: x.csv, separators: compact}", TWO),
            "a,b\né,\"[1.0,null]\"\nx,[]\n"
        );
        assert_eq!(bytes("{path: x.txt, fields: [a]}", TWO), "é\nx\n");
        assert_eq!(bytes("path: x.json", &[]), "[]\n");
        assert_eq!(bytes("{path: x.csv, fields: [a, b]}", &[]), "a,b\n");
    }

    #[test]
    fn a_lost_record_leaves_no_trace() {
        let stage = Stage::new("write", "{path: x.json, fields: {c: a}}");
        let (text, lost) = stage.bytes(&records(&["{}", r#"{"a":1}"#, "{}"]));
        assert_eq!(text, "[{\"c\": 1}]\n");
        assert_eq!(lost.len(), 2);
    }

    #[test]
    fn nonsense_is_rejected() {
        let faults = |yaml| Stage::new("write", yaml).check(&[&["a", "b"]]).1.len();
        assert_eq!(faults("path: ../x.json"), 1);
        assert_eq!(faults("path: /x.json"), 1);
        assert_eq!(faults("path: x.doc"), 1);
        assert_eq!(faults("path: x.txt"), 1);
        assert_eq!(faults("{path: x.csv, indent: 2}"), 1);
        assert_eq!(faults("{path: x.csv, fields: [c, d]}"), 2);
        assert_eq!(faults("path: sub/x.csv"), 0);
    }
}
