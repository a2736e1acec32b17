//! `load`: makes records from a file. Owns the settings and what is said about a file that
//! does not fit them; the formats are read in `reader`.
//!
//! Keys: the field named by `key`, which must be different in every record; without it the
//! number of the record in the file, from 1; for one JSON object of objects its names.

mod json;
#[cfg_attr(not(feature = "parquet"), path = "no_parquet.rs")]
mod parquet;
mod reader;
mod rows;
mod sheet;
mod taken;
#[cfg(test)]
mod tests;
mod trouble;

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

pub use parquet::text as text_of_parquet;

use super::contract::{Build, Check, FieldSet, Look, Operator, Verb};
use crate::diag::{Diagnostic, nearest};
use crate::spec::decode::Src;
use crate::spec::fence::Leads;
use reader::Reader;
use taken::Taken;

/// Makes records from a file: CSV, JSON, JSON lines, lines or a whole text, plain or gzipped;
/// or a sheet of an Excel workbook; or Parquet.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// The file. Its content, not its name, decides the output.
    #[serde(serialize_with = "extension_alone")]
    path: Src<String>,
    /// The field that names each record; the record's number if left out.
    #[serde(default)]
    key: Option<Src<String>>,
    /// Of one JSON object of objects: a field for the name of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Src<String>>,
    /// The fields to take, in this order, and what to call them; all if left out.
    #[serde(default)]
    fields: Option<Taken>,
    /// The format; from the file's extension if left out.
    #[serde(default)]
    format: Option<Format>,
    /// True for patient data: it may then leave only for hosts that the user's own
    /// configuration allows.
    #[serde(default)]
    sensitive: bool,
    /// What separates the fields of a CSV file; `,` if left out, a tab for `.tsv`.
    #[serde(default)]
    delimiter: Option<Src<String>>,
    /// The sheet of a workbook; its first if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sheet: Option<Src<String>>,
    /// Line breaks inside texts.
    #[serde(default)]
    newlines: Newlines,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A table with a header. All values are text.
    Csv,
    /// An array of objects, one object of objects, or objects one after another.
    Json,
    /// One object a line.
    Jsonl,
    /// One record a line, in the field `text`.
    Lines,
    /// One record, in the field `text`.
    Text,
    /// A sheet of an Excel workbook, a table with a header. All values are text: numbers as
    /// short as can be, dates as ISO 8601 has them, empty cells as empty texts.
    Xlsx,
    /// Columns with types, which values keep; dates, times and decimals are text, as ISO 8601
    /// has them, with a `Z` behind moments that the file says to be in UTC.
    Parquet,
}

impl Format {
    /// True for tables, whose columns are known from the start.
    fn is_table(self) -> bool {
        matches!(self, Format::Csv | Format::Xlsx)
    }
}

/// What becomes of line breaks inside texts of tables, `lines` and `text` files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Newlines {
    /// `\r\n` and `\r` become `\n`, as when Python opens a text file.
    #[default]
    Universal,
    /// They stay.
    Keep,
}

/// Moving or renaming a file changes no key; another format does.
fn extension_alone<S: Serializer>(path: &Src<String>, s: S) -> Result<S::Ok, S::Error> {
    s.serialize_str(&extension(path))
}

/// The lower-case extension, `.gz` stripped.
fn extension(path: &str) -> String {
    let lower = path.to_lowercase();
    let bare = lower.strip_suffix(".gz").unwrap_or(&lower);
    let extension = Path::new(bare).extension().unwrap_or_default();
    extension.to_string_lossy().into_owned()
}

impl Load {
    fn format(&self) -> Result<Format, Diagnostic> {
        if let Some(format) = self.format {
            return Ok(format);
        }
        match extension(&self.path).as_str() {
            "csv" | "tsv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "jsonl" | "ndjson" => Ok(Format::Jsonl),
            "txt" | "md" => Ok(Format::Text),
            "lst" | "list" => Ok(Format::Lines),
            "xlsx" | "xlsm" => Ok(Format::Xlsx),
            "parquet" => Ok(Format::Parquet),
            _ => Err(
                Diagnostic::error("the file's extension does not say its format")
                    .at(self.path.span, "")
                    .help(
                        "add `format:` with one of `csv`, `json`, `jsonl`, `lines`, `text`, `xlsx`, \
                         `parquet`",
                    ),
            ),
        }
    }

    fn delimiter(&self) -> Result<u8, Diagnostic> {
        match &self.delimiter {
            None if extension(&self.path) == "tsv" => Ok(b'\t'),
            None => Ok(b','),
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
                _ => Err(
                    Diagnostic::error("the delimiter must be one ASCII character")
                        .at(text.span, ""),
                ),
            },
        }
    }

    /// Opens the file; to `peek` at its names, whatever `key` and `fields` say.
    fn open(&self, cx: &Build<'_>, peek: bool) -> Result<Reader, Diagnostic> {
        let path = cx.path(&self.path);
        let format = self.format()?;
        // Of columns with types, those that are not taken may be such as records cannot hold.
        let peek = peek && format != Format::Parquet;
        let key = self.key.as_ref().filter(|_| !peek);
        let fields = self.fields.as_ref().filter(|_| !peek);
        let reader = Reader::open(
            &path,
            reader::Options {
                format,
                delimiter: self.delimiter()?,
                sheet: self.sheet.clone(),
                universal: self.newlines == Newlines::Universal,
                key: key.map(|key| key.value.clone()),
                name: self.name.as_ref().map(|name| name.value.clone()),
                fields: fields.cloned(),
                span: self.path.span,
            },
        );
        reader.map_err(|error| match error {
            reader::OpenError::Io(error) => self.cannot_open(&path, &error),
            reader::OpenError::Content(diagnostic) => diagnostic,
        })
    }

    fn cannot_open(&self, path: &Path, error: &std::io::Error) -> Diagnostic {
        if error.kind() != std::io::ErrorKind::NotFound {
            return Diagnostic::error(format!("cannot read `{}`: {error}", path.display()))
                .at(self.path.span, "");
        }
        let diagnostic = Diagnostic::error(format!("no file `{}`", path.display()));
        let diagnostic = diagnostic.at(self.path.span, "");
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return diagnostic;
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        let Ok(entries) = std::fs::read_dir(folder) else {
            return diagnostic.note(format!("there is no folder `{}`", folder.display()));
        };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        let name = name.to_string_lossy();
        // `x.csv.gz` beside a wanted `x.csv` is the commonest slip.
        let zipped = [
            format!("{name}.gz"),
            name.trim_end_matches(".gz").to_owned(),
        ];
        let near = names
            .iter()
            .find(|other| zipped.contains(other))
            .map(String::as_str)
            .or_else(|| nearest(&name, names.iter().map(String::as_str)));
        match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        }
    }

    /// Reports names that the file's header, or its first record, does not have.
    fn unknown_columns(&self, known: &[String], certain: bool, cx: &mut Check<'_>) {
        let kind = if certain { "column" } else { "field" };
        let mut missing = |names: &[Src<String>], first: &Src<String>| {
            let all: Vec<String> = names
                .iter()
                .map(|name| format!("`{}`", name.value))
                .collect();
            let all = all.join(" or ");
            let what = format!("no {kind} {all} in `{}`", self.path.value);
            let fault = Diagnostic::error(what).at(first.span, "");
            let fault = fault.suggest(first, known.iter().map(String::as_str));
            cx.fault(if certain {
                fault
            } else {
                fault.note("its first record has no such field")
            });
        };
        if let Some(key) = self.key.as_ref().filter(|key| !known.contains(key)) {
            missing(std::slice::from_ref(key), key);
        }
        for take in self.fields.iter().flat_map(|taken| &taken.0) {
            let found = take.sources.iter().any(|name| known.contains(name));
            if let Some(first) = take.sources.first().filter(|_| !found && !take.optional) {
                missing(&take.sources, first);
            }
        }
    }
}

impl Verb for Load {
    const NAME: &'static str = "load";
    const VERSION: u32 = 3;

    fn inputs(&self) -> (usize, usize) {
        (0, 0)
    }

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        vec![cx.path(&self.path)]
    }

    fn look(&self, cx: &Build<'_>) -> Option<Look> {
        // Not what the user has not allowed yet: names of columns would be told.
        let path = cx.path(&self.path);
        let data = match cx.fence.leads(&path) {
            Leads::Out(_) => return None,
            Leads::To(data) => Some(data),
            Leads::Unseen => path.metadata().ok(),
        };
        let fixed = || reader::fixed_names(&path, &data?, self.format().ok()?);
        Some(match fixed() {
            Some(names) => Ok(names),
            None => self.open(cx, true).and_then(|reader| reader.names()),
        })
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut set = FieldSet::default();
        if let Some(name) = &self.name
            && self.format().is_ok_and(|format| format != Format::Json)
        {
            cx.fault(Diagnostic::error("`name` goes with a JSON file").at(name.span, ""));
            return FieldSet::unknown();
        }
        let format = self.format().ok();
        for (setting, wanted, kind) in [
            (&self.sheet, Format::Xlsx, "a workbook"),
            (&self.delimiter, Format::Csv, "a CSV file"),
        ] {
            if let Some(setting) = setting
                .as_ref()
                .filter(|_| format.is_some_and(|f| f != wanted))
            {
                let what = format!("this setting goes with {kind}");
                cx.fault(Diagnostic::error(what).at(setting.span, ""));
            }
        }
        for take in self.fields.iter().flat_map(|taken| &taken.0) {
            if set.names.contains(&take.name) {
                let span = take
                    .sources
                    .first()
                    .map_or(self.path.span, |name| name.span);
                let what = format!("`{}` is listed twice", take.name);
                cx.fault(Diagnostic::error(what).at(span, ""));
            }
            set.add(&take.name);
        }
        let known = match cx.look.take() {
            Some(Ok(known)) => known,
            other => {
                if let Some(Err(fault)) = other {
                    cx.fault(fault);
                }
                set.open = self.fields.is_none();
                return set;
            }
        };
        // Other records of a JSON file may have other fields than the first.
        let certain = !matches!(self.format(), Ok(Format::Json | Format::Jsonl));
        if certain || !known.is_empty() {
            self.unknown_columns(&known, certain, cx);
        }
        if self.fields.is_none() {
            known.iter().for_each(|name| set.add(name));
            set.open = !certain;
        }
        set
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Source(Box::new(self.open(cx, false)?)))
    }
}
