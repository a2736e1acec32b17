//! `write`: formats records into an output file. Owns the settings; JSON's exact bytes are in
//! `json`. Keys are not written: name a field that holds them.

mod json;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Operator, Sink, Verb};
use super::named::{Column, Columns};
use crate::diag::Diagnostic;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;
pub use json::Separators;
use json::Style;

/// Writes records to a file in the output folder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// The file, relative to the output folder.
    path: Src<String>,
    /// The format; from the file's extension if left out (`.json` is one array).
    #[serde(default)]
    format: Option<Format>,
    /// Write a `.json` file as one object a line, without an array around.
    #[serde(default)]
    lines: bool,
    /// The fields to write, in order, or `{name: expression}`; all if left out.
    #[serde(default)]
    fields: Option<Columns>,
    /// JSON: write all but ASCII as `\uXXXX`.
    #[serde(default)]
    ascii: bool,
    /// JSON: white space after commas and colons, as Python writes it, or none.
    #[serde(default)]
    separators: Separators,
    /// JSON: spaces a level is indented by; all on one line if left out.
    #[serde(default)]
    indent: Option<Src<u8>>,
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One object a line.
    Jsonl,
    /// One array of objects.
    Json,
    /// A table with a header; lists and maps as JSON.
    Csv,
    /// One text a line: of the only field.
    Lines,
}

impl Write {
    fn format(&self) -> Result<Format, Diagnostic> {
        let extension = Path::new(&self.path.value).extension().unwrap_or_default();
        let format = match (self.format, extension.to_str()) {
            (Some(format), _) => format,
            (None, Some("json")) => Format::Json,
            (None, Some("jsonl" | "ndjson")) => Format::Jsonl,
            (None, Some("csv" | "tsv")) => Format::Csv,
            (None, Some("txt")) => Format::Lines,
            _ => {
                return Err(
                    Diagnostic::error("the file's extension does not say its format")
                        .at(self.path.span, "")
                        .help("add `format:` with one of `jsonl`, `json`, `csv`, `lines`"),
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
            Ok(Format::Lines) => {
                let count = match &self.fields {
                    Some(columns) => columns.0.len(),
                    None if input.open => 1,
                    None => input.names.len(),
                };
                if count != 1 {
                    cx.fault(
                        Diagnostic::error(format!("`lines` writes one field, not {count}"))
                            .at(self.path.span, "")
                            .help("name it: `fields: [text]`"),
                    );
                }
            }
            Ok(format @ (Format::Csv | Format::Jsonl)) => {
                if let Some(indent) = &self.indent {
                    let name = if format == Format::Csv {
                        "csv"
                    } else {
                        "jsonl"
                    };
                    cx.fault(
                        Diagnostic::error(format!("`{name}` cannot be indented"))
                            .at(indent.span, ""),
                    );
                }
            }
            Ok(Format::Json) => {}
        }
        input
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let columns = self.fields.as_ref().map(|columns| {
            let pick = |(name, column): &(String, Column)| {
                let pick = match column {
                    Column::Field(field) => Pick::Field(field.value.clone()),
                    Column::Expr(expr) => Pick::Expr(Bound::new(expr, cx)?),
                };
                Ok((Arc::from(name.as_str()), pick))
            };
            columns
                .0
                .iter()
                .map(pick)
                .collect::<Result<_, Diagnostic>>()
        });
        Ok(Operator::Sink(Box::new(Writer {
            path: PathBuf::from(&self.path.value),
            format: self.format()?,
            columns: columns.transpose()?,
            style: Style {
                ascii: self.ascii,
                separators: self.separators,
                indent: self.indent.as_ref().map(|indent| usize::from(indent.value)),
            },
            delimiter: if self.path.value.ends_with(".tsv") {
                b'\t'
            } else {
                b','
            },
            header: None,
            count: 0,
        })))
    }
}

enum Pick {
    Field(String),
    Expr(Bound),
}

struct Writer {
    path: PathBuf,
    format: Format,
    columns: Option<Vec<(Arc<str>, Pick)>>,
    style: Style,
    delimiter: u8,
    /// A CSV's columns, once known.
    header: Option<Vec<String>>,
    count: u64,
}

impl Writer {
    fn fields(&self, record: &Record) -> Result<Fields, Fault> {
        let Some(columns) = &self.columns else {
            return Ok(record.fields.clone());
        };
        let pick = |(name, pick): &(Arc<str>, Pick)| {
            let value = match pick {
                Pick::Expr(expr) => expr.eval(&record.fields)?,
                Pick::Field(field) => record
                    .fields
                    .get(field)
                    .cloned()
                    .ok_or_else(|| Fault::Record(format!("no field `{field}` to write")))?,
            };
            Ok((name.clone(), value))
        };
        columns.iter().map(pick).collect()
    }

    fn row(&mut self, fields: &Fields, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let first = self.header.is_none();
        let header = self
            .header
            .get_or_insert_with(|| fields.names().map(str::to_owned).collect());
        if let Some(name) = fields.names().find(|n| !header.iter().any(|h| h == n)) {
            return Err(Fault::Record(format!(
                "no column for `{name}`: the header was made from the first record; name the columns in `fields`"
            )));
        }
        let mut cells = Vec::with_capacity(header.len());
        for name in header.iter() {
            cells.push(match fields.get(name) {
                Some(value) => cell(value, &self.style)?,
                None => String::new(),
            });
        }
        let mut writer = csv::WriterBuilder::new()
            .delimiter(self.delimiter)
            .from_writer(bytes);
        let mut write = || -> csv::Result<()> {
            if first {
                writer.write_record(header.iter())?;
            }
            writer.write_record(&cells)?;
            Ok(writer.flush()?)
        };
        write().map_err(|_| Fault::Record("cannot be written as CSV".to_owned()))
    }
}

/// A value as text: strings as they are, nothing for null, all else as JSON.
fn cell(value: &Value, style: &Style) -> Result<String, Fault> {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => Ok(String::new()),
        ValueKind::String => Ok(value.as_str().unwrap_or_default().to_owned()),
        _ => {
            let mut bytes = Vec::new();
            json::write(value, style, 0, &mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

impl Sink for Writer {
    fn path(&self) -> &Path {
        &self.path
    }

    fn record(&mut self, record: &Record, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let fields = self.fields(record)?;
        let start = bytes.len();
        let done = match self.format {
            Format::Jsonl => json::write(&fields, &self.style, 0, bytes).map(|()| {
                bytes.push(b'\n');
            }),
            Format::Json => {
                bytes.extend_from_slice(if self.count == 0 { b"[" } else { b"" });
                self.style.between(self.count == 0, bytes);
                json::write(&fields, &self.style, 1, bytes)
            }
            Format::Csv => self.row(&fields, bytes),
            Format::Lines => line(&fields, &self.style).map(|text| {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(b'\n');
            }),
        };
        // A record that fails leaves nothing behind.
        match done {
            Ok(()) => self.count += 1,
            Err(_) => bytes.truncate(start),
        }
        done
    }

    fn end(&mut self, bytes: &mut Vec<u8>) {
        match self.format {
            Format::Json if self.count == 0 => bytes.extend_from_slice(b"[]\n"),
            Format::Json => {
                self.style.close(bytes);
                bytes.extend_from_slice(b"]\n");
            }
            Format::Csv if self.count == 0 => {
                // No records, but the columns may be known: a table without rows.
                let names: Vec<&str> = self
                    .columns
                    .iter()
                    .flatten()
                    .map(|(name, _)| &**name)
                    .collect();
                if !names.is_empty() {
                    let mut writer = csv::WriterBuilder::new()
                        .delimiter(self.delimiter)
                        .from_writer(bytes);
                    // Writing into memory does not fail.
                    let _ = writer.write_record(&names);
                    let _ = writer.flush();
                }
            }
            _ => {}
        }
    }
}

fn line(fields: &Fields, style: &Style) -> Result<String, Fault> {
    let mut all = fields.iter();
    let (Some((name, value)), None) = (all.next(), all.next()) else {
        return Err(Fault::Record(format!(
            "`lines` writes one field, not {}",
            fields.len()
        )));
    };
    let text = cell(value, style)?;
    if text.contains(['\n', '\r']) {
        return Err(Fault::Record(format!("`{name}` has a line break in it")));
    }
    Ok(text)
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
