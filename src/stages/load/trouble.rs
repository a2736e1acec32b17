//! What is said about a file that cannot be read as records, and the conversions that say
//! it. Owns the texts; they hold file names, lines and field names, never content.

use std::io;
use std::path::Path;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;

use super::Format;
use super::reader::{TEXT, line_breaks};
use crate::diag::{Diagnostic, Span};
use crate::record::Fields;

/// Makes the messages about one file.
pub struct Trouble {
    name: String,
    span: Span,
    /// What places in it are called.
    unit: &'static str,
}

impl Trouble {
    /// About the file at `path`, which the pipeline names at `span`.
    pub fn new(path: &Path, format: Format, span: Span) -> Trouble {
        Trouble {
            name: path.display().to_string(),
            span,
            unit: match format {
                Format::Xlsx | Format::Parquet => "row",
                _ => "line",
            },
        }
    }

    /// A place in the file.
    pub fn place(&self, number: u64) -> String {
        format!("{} {number}", self.unit)
    }

    /// A message about the file.
    pub fn say(&self, what: impl std::fmt::Display) -> Diagnostic {
        Diagnostic::error(format!("`{}`: {what}", self.name)).at(self.span, "")
    }

    /// A message about a failed read, at a line.
    pub fn io(&self, error: &io::Error, line: u64) -> Diagnostic {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self
                .say(format!(
                    "the compressed data ends too early, after line {line}"
                ))
                .help("the file seems cut off: fetch it again"),
            io::ErrorKind::InvalidInput => self.say(format!(
                "the compressed data is broken after line {line}: {error}"
            )),
            _ => self.say(format!("line {line}: {error}")),
        }
    }

    /// Bytes as text.
    pub fn utf8<'a>(&self, bytes: &'a [u8], line: u64) -> Result<&'a str, Diagnostic> {
        std::str::from_utf8(bytes).map_err(|error| {
            let before = &bytes[..error.valid_up_to()];
            let line = line + before.iter().filter(|b| **b == b'\n').count() as u64;
            let byte = bytes[error.valid_up_to()];
            self.say(format!("line {line}: byte 0x{byte:02x} is not UTF-8"))
                .help("convert the file to UTF-8")
        })
    }

    /// A record of one text.
    pub fn text(&self, bytes: &[u8], line: u64, universal: bool) -> Result<Fields, Diagnostic> {
        let text = self.utf8(bytes, line)?;
        let mut fields = Fields::default();
        fields.set(TEXT, Value::from(line_breaks(text, universal).as_ref()));
        Ok(fields)
    }

    /// JSON bytes as a value. The parser's own words could quote the text.
    pub fn parse(&self, bytes: &[u8], line: u64) -> Result<Value, Diagnostic> {
        self.utf8(bytes, line)?;
        serde_json::from_slice(bytes).map_err(|error| {
            let line = line + (error.line() as u64).saturating_sub(1);
            self.say(format!(
                "not valid JSON on line {line}, column {}",
                error.column()
            ))
        })
    }

    /// The fields of an object.
    pub fn object(&self, value: Value, record: u64, line: u64) -> Result<Fields, Diagnostic> {
        if value.kind() != ValueKind::Map {
            return Err(self.say(format!(
                "record {record} (line {line}) is {}, not an object",
                article(value.kind())
            )));
        }
        let names = value.try_iter().into_iter().flatten();
        let pairs = names.filter_map(|name| {
            let member = value.get_item(&name).ok()?;
            Some((Arc::from(name.as_str()?), member))
        });
        Ok(pairs.collect())
    }

    /// The key of a record from the value of its key field.
    pub fn key(
        &self,
        field: &str,
        value: Option<&Value>,
        place: u64,
    ) -> Result<Arc<str>, Diagnostic> {
        let what = match value {
            Some(value) => match (value.as_str(), value.kind()) {
                (Some(""), _) => "empty",
                (Some(text), _) => return Ok(text.into()),
                (None, ValueKind::Number) => return Ok(value.to_string().into()),
                _ => "neither text nor a number",
            },
            None => "missing",
        };
        Err(self.say(format!("record {place}: the key `{field}` is {what}")))
    }
}

fn article(kind: ValueKind) -> &'static str {
    match kind {
        ValueKind::Number => "a number",
        ValueKind::String => "text",
        ValueKind::Seq => "a list",
        ValueKind::Bool => "a boolean",
        ValueKind::None => "null",
        _ => "something else",
    }
}
