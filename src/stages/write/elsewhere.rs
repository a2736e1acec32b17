//! Records of an output, or of any stage, on their way into other files than the pipeline's own:
//! with the output's fields and order, in a format of its own. Knows nothing of where they go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Write;
use super::held::Held;
use super::parquet::Body;
use super::parquet::columns::{Column, Columns, row, weight};
use super::pick::Picks;
use crate::diag::{Diagnostic, Sources};
use crate::record::Record;
use crate::spec::decode::{Src, decode};
use crate::spec::node::Node;
use crate::stages::contract::{Build, Fault, Operator, Sink, Verb};

/// What of records is written, and in which order.
#[derive(Clone)]
pub struct What(Write);

impl What {
    /// As an output has it, by the settings of its `write`.
    ///
    /// # Errors
    /// They are none.
    pub fn of_output(settings: &Node) -> Result<What, Diagnostic> {
        let write: Write = decode(settings)?;
        Ok(What(Write {
            lines: false,
            indent: None,
            columns: None,
            digits: None,
            percent: None,
            bold_best: None,
            lower_is_better: None,
            intervals: None,
            show: None,
            ..write
        }))
    }

    /// All fields of all records, as they come.
    ///
    /// # Errors
    /// There are none.
    pub fn of_stage() -> Result<What, Diagnostic> {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("x"), "path: x.jsonl");
        What::of_output(&Node::parse(&sources, file)?)
    }

    /// True if the same of the same records is written in the same order, in whatever format.
    pub fn is_same(&self, other: &What) -> bool {
        let what = |Write { fields, sort, .. }: &Write| {
            serde_json::to_value((fields, sort)).unwrap_or_default()
        };
        what(&self.0) == what(&other.0)
    }

    /// A sink that makes the bytes of a file of this name, whose ending says the format.
    ///
    /// # Errors
    /// It does not, or the format holds one field.
    pub fn sink(&self, file: &str, cx: &Build<'_>) -> Result<Box<dyn Sink>, Diagnostic> {
        let write = Write {
            path: Src {
                value: file.to_owned(),
                span: self.0.path.span,
            },
            format: None,
            ..self.0.clone()
        };
        match write.operator(cx)? {
            Operator::Sink(sink) => Ok(sink),
            _ => Err(Diagnostic::error("`write` writes no file")),
        }
    }

    /// Parquet files that have their columns in common.
    ///
    /// # Errors
    /// This program cannot write Parquet, or an expression does not parse.
    pub fn parts(&self, cx: &Build<'_>) -> Result<Parts, Diagnostic> {
        super::parquet::possible()?;
        let picks = Picks::new(self.0.fields.as_ref(), cx)?;
        Ok(Parts {
            columns: Columns::named(picks.names()),
            picks,
            by: self.0.sort.as_ref().map(|names| names.0.clone()),
            temp: cx.temp_dir.to_owned(),
            parts: BTreeMap::new(),
        })
    }
}

/// Parquet files that have their columns in common, and their records.
pub struct Parts {
    picks: Picks,
    columns: Columns,
    by: Option<Vec<Src<String>>>,
    temp: PathBuf,
    parts: BTreeMap<String, Part>,
}

/// One of them.
struct Part {
    body: Body,
    rows: u64,
    weight: u64,
}

impl Parts {
    /// Makes sure that there is a part of this name.
    fn begin(&mut self, name: &str) {
        if !self.parts.contains_key(name) {
            let held = self.by.as_deref().map(Held::new);
            let body = Body::new(held, &self.temp);
            self.parts.insert(
                name.to_owned(),
                Part {
                    body,
                    rows: 0,
                    weight: 0,
                },
            );
        }
    }

    /// Takes a record into a part, which there is from then on.
    ///
    /// # Errors
    /// As [`Sink::record`]; there is no part that has lost all of its records.
    pub fn push(&mut self, name: &str, record: &Record) -> Result<(), Fault> {
        let taken = self.take(name, record);
        if taken.is_err() && self.parts.get(name).is_some_and(|part| part.rows == 0) {
            self.parts.remove(name);
        }
        taken
    }

    fn take(&mut self, name: &str, record: &Record) -> Result<(), Fault> {
        let fields = self.picks.of(record)?;
        self.begin(name);
        let Some(part) = self.parts.get_mut(name) else {
            return Ok(());
        };
        let keys = part.body.keys(record)?;
        let row = row(&fields)?;
        self.columns.take(&row)?;
        let key = record.key.clone();
        part.body.push(keys, Record { key, fields })?;
        part.rows += 1;
        part.weight += weight(&row) as u64;
        Ok(())
    }

    /// The columns, when all records have come.
    pub fn columns(&self) -> Vec<Column> {
        self.columns.settled()
    }

    /// The parts by their names: how many records each has, and about how many bytes they have in
    /// memory.
    pub fn names(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        let parts = self.parts.iter();
        parts.map(|(name, part)| (name.as_str(), part.rows, part.weight))
    }

    /// Called again and again when all records have come: adds bytes of a part's file; false with
    /// the last of them.
    ///
    /// # Errors
    /// As [`Sink::end`].
    pub fn write(&mut self, name: &str, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        match self.parts.get_mut(name) {
            Some(part) => part.body.write(&self.columns, bytes),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::driver::{Stage, records};

    fn output(yaml: &str) -> What {
        let mut sources = Sources::default();
        let file = sources.add(std::path::Path::new("test.yaml"), yaml);
        let node = Node::parse(&sources, file).expect("YAML");
        What::of_output(&node)
            .map_err(|fault| fault.message)
            .expect("settings")
    }

    fn bytes(what: &What, file: &str, json: &[&str]) -> String {
        let stage = Stage::new("write", "path: x.json");
        let Ok(mut sink) = what.sink(file, &stage.build()) else {
            panic!("no sink");
        };
        let mut bytes = Vec::new();
        for record in records(json) {
            assert!(sink.record(&record, &mut bytes).is_ok());
        }
        while sink.end(&mut bytes).is_ok_and(|more| more) {}
        String::from_utf8(bytes).expect("UTF-8")
    }

    const ROWS: &[&str] = &[r#"{"a":1,"b":"x"}"#, r#"{"a":2,"b":"y"}"#];

    #[test]
    fn an_output_keeps_its_fields_and_its_order() {
        let what =
            output("{path: t.txt, format: table, fields: {c: a}, sort: -a, digits: 1, show: true}");
        assert_eq!(bytes(&what, "o.jsonl", ROWS), "{\"c\": 2}\n{\"c\": 1}\n");
        assert_eq!(bytes(&what, "o.csv", ROWS), "c\n2\n1\n");
        assert!(what.is_same(&output("{path: o.csv, sort: -a, fields: {c: a}}")));
        assert!(!what.is_same(&output("{path: o.csv, fields: {c: a}}")));
        let all = What::of_stage()
            .map_err(|fault| fault.message)
            .expect("all");
        assert_eq!(bytes(&all, "o.csv", ROWS), "a,b\n1,x\n2,y\n");
    }

    #[cfg(feature = "parquet")]
    #[test]
    fn parts_have_their_columns_in_common() {
        let stage = Stage::new("write", "path: x.json");
        let Ok(mut parts) = output("{path: a.jsonl}").parts(&stage.build()) else {
            panic!("no parts");
        };
        for (record, part) in records(&[r#"{"a":1}"#, r#"{"a":0.5}"#])
            .iter()
            .zip(["p", "q"])
        {
            assert!(parts.push(part, record).is_ok());
        }
        // A record that does not fit makes no part of its own.
        for record in &records(&[r#"{"a":"x"}"#]) {
            assert!(parts.push("r", record).is_err());
            assert!(parts.push("p", record).is_err());
        }
        let names: Vec<(&str, u64, u64)> = parts.names().collect();
        assert_eq!(names, [("p", 1, 8), ("q", 1, 8)]);
        let mut of = |name: &str| {
            let mut bytes = Vec::new();
            while parts.write(name, &mut bytes).is_ok_and(|more| more) {}
            bytes
        };
        for name in ["p", "q"] {
            let text = String::from_utf8_lossy(&of(name)).into_owned();
            assert!(text.starts_with("PAR1") && text.ends_with("PAR1"), "{name}");
        }
    }
}
