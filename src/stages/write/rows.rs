//! The sink of all formats but tables: a record after the other, unless they are sorted. Owns
//! what stands around records; knows nothing of settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::Format;
use super::held::Held;
use super::json::{self, Style};
use super::pick::Picks;
use crate::record::{Fields, Record};
use crate::stages::contract::{Fault, Sink};

/// Writes records one by one.
pub struct Writer {
    path: PathBuf,
    format: Format,
    picks: Picks,
    style: Style,
    delimiter: u8,
    /// The records, if they are to be sorted.
    held: Option<Held>,
    /// A CSV's columns, once known.
    header: Option<Vec<String>>,
    count: u64,
}

impl Writer {
    /// A sink into the file `path`; sorted, if there is something to hold records in.
    pub fn new(
        path: &str,
        format: Format,
        picks: Picks,
        style: Style,
        held: Option<Held>,
    ) -> Writer {
        Writer {
            path: PathBuf::from(path),
            format,
            picks,
            style,
            delimiter: if path.ends_with(".tsv") { b'\t' } else { b',' },
            held,
            header: None,
            count: 0,
        }
    }

    fn render(&mut self, fields: &Fields, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let start = bytes.len();
        let done = match self.format {
            Format::Json => {
                bytes.extend_from_slice(if self.count == 0 { b"[" } else { b"" });
                self.style.between(self.count == 0, bytes);
                json::write(fields, &self.style, 1, bytes)
            }
            Format::Csv => self.row(fields, bytes),
            Format::Lines => line(fields, &self.style, bytes),
            Format::Text => text(fields, &self.style, self.count == 0, bytes),
            _ => json::write(fields, &self.style, 0, bytes).map(|()| {
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

    fn row(&mut self, fields: &Fields, bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let first = self.count == 0;
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
        let fields = self.picks.of(record)?;
        let Some(held) = &mut self.held else {
            return self.render(&fields, bytes);
        };
        let keys = held.keys(record)?;
        // Faults have to be told now.
        self.render(&fields, &mut Vec::new())?;
        if let Some(held) = &mut self.held {
            held.push(keys, fields);
        }
        Ok(())
    }

    fn end(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        if let Some(held) = self.held.take() {
            self.count = 0;
            for fields in held.sorted() {
                // What went well once goes well again.
                let _ = self.render(&fields, bytes);
            }
        }
        match self.format {
            Format::Json if self.count == 0 => bytes.extend_from_slice(b"[]\n"),
            Format::Json => {
                self.style.close(bytes);
                bytes.extend_from_slice(b"]\n");
            }
            Format::Csv if self.count == 0 => {
                // No records, but the columns may be known: a table without rows.
                let names: Vec<&str> = self.picks.names().collect();
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
        Ok(false)
    }
}

/// The value of the only field as text, and its name.
fn only(fields: &Fields, format: Format, style: &Style) -> Result<(String, Arc<str>), Fault> {
    let mut all = fields.iter();
    let (Some((name, value)), None) = (all.next(), all.next()) else {
        return Err(Fault::Record(format!(
            "`{}` writes one field, not {}",
            format.name(),
            fields.len()
        )));
    };
    Ok((cell(value, style)?, name.clone()))
}

fn line(fields: &Fields, style: &Style, bytes: &mut Vec<u8>) -> Result<(), Fault> {
    let (text, name) = only(fields, Format::Lines, style)?;
    if text.contains(['\n', '\r']) {
        return Err(Fault::Record(format!(
            "`{name}` has a line break in it: `format: text` allows it"
        )));
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes.push(b'\n');
    Ok(())
}

fn text(fields: &Fields, style: &Style, first: bool, bytes: &mut Vec<u8>) -> Result<(), Fault> {
    let (text, _) = only(fields, Format::Text, style)?;
    bytes.extend_from_slice(if first { b"" } else { b"\n" });
    bytes.extend_from_slice(text.as_bytes());
    if !text.ends_with('\n') {
        bytes.push(b'\n');
    }
    Ok(())
}
