//! Reads records out of a file in any of the formats. Owns decoding and keys; knows nothing
//! of pipelines.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use memchr::memchr;
use minijinja::Value;
use rustix::fs::{Access, access};

use super::Format;
use super::json::Values;
use super::parquet;
use super::rows::{Row, RowError, Rows};
use super::sheet::Sheet;
use super::taken::{Take, Taken};
use super::trouble::Trouble;
use crate::diag::{Diagnostic, Span};
use crate::record::{Fields, Record};
use crate::spec::decode::Src;
use crate::stages::contract::{Fault, Source};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// The same of a small file.
const LEAST_CHUNK: usize = 4 * 1024;
/// The field of formats that have no names.
pub const TEXT: &str = "text";
/// Records emitted at once.
const BATCH: usize = 64;

/// How to read the file.
pub struct Options {
    /// Its format.
    pub format: Format,
    /// Between CSV fields.
    pub delimiter: u8,
    /// The sheet of a workbook, and where it is named; the first if none.
    pub sheet: Option<Src<String>>,
    /// Make every line break in a text a `\n`.
    pub universal: bool,
    /// The field that is the key.
    pub key: Option<String>,
    /// The field that gets the names in an object of objects.
    pub name: Option<String>,
    /// The fields to take.
    pub fields: Option<Taken>,
    /// Where the pipeline names the file.
    pub span: Span,
}

/// Why a file cannot be opened.
pub enum OpenError {
    /// The system says no.
    Io(io::Error),
    /// Its beginning is not what it should be.
    Content(Diagnostic),
}

type Input = BufReader<Box<dyn Read + Send>>;

/// The fields of a row, and its key if a column holds it.
type Keyed = (Option<Arc<str>>, Fields);

/// Where the rows of a table come from.
enum RowSource {
    Csv(Rows<Input>),
    Sheet(Sheet),
}

struct Table {
    rows: RowSource,
    row: Row,
    header: Vec<Arc<str>>,
    /// The fields that are taken, each with its column if there is one, and the key's column.
    take: Vec<(Arc<str>, Option<usize>)>,
    key: Option<usize>,
}

enum Body {
    Table(Table),
    Parquet(Box<parquet::Rows>),
    Json(Values<Input>),
    /// The objects of one object of objects.
    Object(std::vec::IntoIter<(Arc<str>, Value)>),
    Jsonl(Input),
    Lines(Input),
    Text(Input),
    End,
}

/// A file of records.
pub struct Reader {
    body: Body,
    options: Options,
    trouble: Trouble,
    /// Records so far.
    count: u64,
    /// Lines so far, of the formats that are read by lines.
    line: u64,
    /// Of each key so far: its hash, and the line or record where it stood.
    seen: HashMap<u64, u64>,
}

/// The names of the fields of a file, if its format has the same for all files, and it is a
/// plain file that can be read. Does not open it.
pub fn fixed_names(path: &Path, data: &Metadata, format: Format) -> Option<Vec<String>> {
    let fixed = matches!(format, Format::Lines | Format::Text) && !zipped(path);
    let by_all = data.mode() & 0o444 == 0o444;
    let read = || by_all || access(path, Access::READ_OK).is_ok();
    (fixed && data.is_file() && read()).then(|| vec![TEXT.to_owned()])
}

fn zipped(path: &Path) -> bool {
    let extension = path.extension();
    extension.is_some_and(|e| e.eq_ignore_ascii_case("gz"))
}

impl Reader {
    /// Opens a file, and reads a CSV's header.
    ///
    /// # Errors
    /// When it cannot be opened, or its header is broken.
    pub fn open(path: &Path, options: Options) -> Result<Reader, OpenError> {
        let trouble = Trouble::new(path, options.format, options.span);
        if options.format == Format::Parquet {
            let rows = parquet::Rows::open(path, &options, &trouble)?;
            return Ok(Reader::new(Body::Parquet(Box::new(rows)), options, trouble));
        }
        let file = File::open(path).map_err(OpenError::Io)?;
        let meta = file.metadata().map_err(OpenError::Io)?;
        if meta.is_dir() {
            return Err(OpenError::Io(io::ErrorKind::IsADirectory.into()));
        }
        // A pipeline may look into thousands of small files before it runs.
        let chunk = match usize::try_from(meta.len()) {
            Ok(length) if meta.is_file() => length.clamp(LEAST_CHUNK, CHUNK),
            _ => CHUNK,
        };
        let zipped = zipped(path);
        let file: Box<dyn Read + Send> = if zipped {
            Box::new(MultiGzDecoder::new(BufReader::with_capacity(chunk, file)))
        } else {
            Box::new(file)
        };
        let chunk = if zipped { CHUNK } else { chunk };
        let mut input = BufReader::with_capacity(chunk, file);
        // A byte order mark is no part of the first name.
        match input.fill_buf() {
            Ok(chunk) if chunk.starts_with(b"\xef\xbb\xbf") => input.consume(3),
            Ok(_) => {}
            Err(error) => return Err(OpenError::Content(trouble.io(&error, 1))),
        }
        let body = match options.format {
            Format::Csv => {
                let rows = RowSource::Csv(Rows::new(input, options.delimiter));
                Body::Table(Table::open(rows, &options, &trouble).map_err(OpenError::Content)?)
            }
            Format::Xlsx => {
                let sheet = Sheet::open(input, options.sheet.as_ref(), &trouble);
                let rows = RowSource::Sheet(sheet.map_err(OpenError::Content)?);
                Body::Table(Table::open(rows, &options, &trouble).map_err(OpenError::Content)?)
            }
            Format::Json => Body::Json(Values::new(input)),
            Format::Jsonl => Body::Jsonl(input),
            Format::Lines => Body::Lines(input),
            Format::Text => Body::Text(input),
            Format::Parquet => Body::End,
        };
        Ok(Reader::new(body, options, trouble))
    }

    fn new(body: Body, options: Options, trouble: Trouble) -> Reader {
        Reader {
            body,
            options,
            trouble,
            count: 0,
            line: 0,
            seen: HashMap::new(),
        }
    }

    /// The names of the fields: of a table its header, of JSON the first record's. Reads that
    /// record: the reader is of no use afterwards.
    ///
    /// # Errors
    /// When the first record cannot be read.
    pub fn names(mut self) -> Result<Vec<String>, Diagnostic> {
        if let Body::Table(table) = &self.body {
            return Ok(table.header.iter().map(|name| name.to_string()).collect());
        }
        if let Body::Parquet(rows) = &self.body {
            return Ok(rows.names());
        }
        if matches!(self.body, Body::Lines(_) | Body::Text(_)) {
            return Ok(vec![TEXT.to_owned()]);
        }
        let first = self.record()?;
        Ok(first.map_or_else(Vec::new, |record| {
            record.fields.names().map(str::to_owned).collect()
        }))
    }

    fn record(&mut self) -> Result<Option<Record>, Diagnostic> {
        let universal = self.options.universal;
        let (name, fields, place) = match &mut self.body {
            Body::End => return Ok(None),
            Body::Table(table) => match table.next(universal, &self.trouble)? {
                Some((key, fields)) => (key, fields, table.row.line),
                None => return self.end(),
            },
            Body::Parquet(rows) => match rows.next(&self.trouble)? {
                Some(fields) => (None, fields, rows.count),
                None => return self.end(),
            },
            Body::Json(values) => {
                let mut bytes = Vec::new();
                let line = values.line;
                let more = values.next(&mut bytes);
                if !more.map_err(|error| self.trouble.io(&error, values.line))? {
                    return self.end();
                }
                let value = self.trouble.parse(&bytes, line)?;
                if self.count == 0
                    && values.is_sequence()
                    && values
                        .at_end()
                        .map_err(|error| self.trouble.io(&error, line))?
                    && let Some(objects) = objects(&value)
                {
                    self.body = Body::Object(objects.into_iter());
                    return self.record();
                }
                if self.options.name.is_some() {
                    let what = "`name` needs one JSON object of objects, and this is none";
                    return Err(self.trouble.say(what));
                }
                let fields = self.trouble.object(value, self.count + 1, line)?;
                (None, fields, self.count + 1)
            }
            Body::Object(objects) => match objects.next() {
                None => return self.end(),
                Some((name, value)) => {
                    let mut fields = self.trouble.object(value, self.count + 1, 1)?;
                    if let Some(field) = &self.options.name {
                        if fields.get(field).is_some() {
                            let what = format!("the objects have a field `{field}` already");
                            return Err(self.trouble.say(what));
                        }
                        let first = (Arc::from(field.as_str()), Value::from(name.clone()));
                        let others = fields
                            .iter()
                            .map(|(name, value)| (name.clone(), value.clone()));
                        fields = std::iter::once(first).chain(others).collect();
                    }
                    (Some(name), fields, self.count + 1)
                }
            },
            Body::Jsonl(input) => loop {
                let Some(line) = next_line(input, &mut self.line, &self.trouble)? else {
                    return self.end();
                };
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let value = self.trouble.parse(&line, self.line)?;
                let fields = self.trouble.object(value, self.count + 1, self.line)?;
                break (None, fields, self.line);
            },
            Body::Lines(input) => {
                let Some(mut line) = next_line(input, &mut self.line, &self.trouble)? else {
                    return self.end();
                };
                if universal && line.last() == Some(&b'\r') {
                    line.pop();
                }
                (
                    None,
                    self.trouble.text(&line, self.line, universal)?,
                    self.line,
                )
            }
            Body::Text(input) => {
                let mut bytes = Vec::new();
                input
                    .read_to_end(&mut bytes)
                    .map_err(|error| self.trouble.io(&error, 1))?;
                let fields = self.trouble.text(&bytes, 1, universal)?;
                self.body = Body::End;
                (None, fields, 1)
            }
        };
        self.count += 1;
        let key = match (&self.options.key, name) {
            (None, Some(name)) => name,
            (None, None) => self.count.to_string().into(),
            (Some(field), name) => {
                let key = match name.filter(|_| self.options.format.is_table()) {
                    Some(key) => key,
                    None => self.trouble.key(field, fields.get(field), place)?,
                };
                let field = field.clone();
                self.unique(&field, &key, place)?;
                key
            }
        };
        Ok(Some(Record {
            key,
            fields: self.taken(fields),
        }))
    }

    /// JSON's fields, cut down to those that were asked for; a table's already are.
    fn taken(&self, fields: Fields) -> Fields {
        match &self.options.fields {
            Some(Taken(taken)) if !self.options.format.is_table() => taken
                .iter()
                .filter_map(|take| {
                    let mut names = take.sources.iter();
                    let found = names.find_map(|name| fields.get(name).cloned());
                    let value = found.or(take.optional.then(|| Value::from(())))?;
                    Some((take.name.as_str().into(), value))
                })
                .collect(),
            _ => fields,
        }
    }

    fn unique(&mut self, field: &str, key: &str, place: u64) -> Result<(), Diagnostic> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        match self.seen.insert(hasher.finish(), place) {
            None => Ok(()),
            Some(before) => {
                let unit = match self.options.format {
                    Format::Json => "records",
                    Format::Xlsx | Format::Parquet => "rows",
                    _ => "lines",
                };
                Err(self
                    .trouble
                    .say(format!(
                        "`{field}` does not tell records apart: {unit} {before} and {place} have the same one"
                    ))
                    .help("leave out `key:` to number the records instead"))
            }
        }
    }

    fn end(&mut self) -> Result<Option<Record>, Diagnostic> {
        self.body = Body::End;
        Ok(None)
    }
}

impl Source for Reader {
    fn next(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        for _ in 0..BATCH {
            match self.record()? {
                Some(record) => out.push(record),
                None => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl RowSource {
    /// Reads the next row; false at the end.
    fn next(&mut self, row: &mut Row, trouble: &Trouble) -> Result<bool, Diagnostic> {
        match self {
            RowSource::Csv(rows) => {
                let more = rows.next(row);
                more.map_err(|error| row_error(&error, rows.line(), trouble))
            }
            RowSource::Sheet(sheet) => Ok(sheet.next(row)),
        }
    }
}

impl Table {
    fn open(
        mut rows: RowSource,
        options: &Options,
        trouble: &Trouble,
    ) -> Result<Table, Diagnostic> {
        let mut row = Row::default();
        if !rows.next(&mut row, trouble)? {
            return Err(trouble.say("it is empty: a table begins with a header"));
        }
        let mut header: Vec<Arc<str>> = Vec::with_capacity(row.len());
        for at in 0..row.len() {
            let name = trouble.utf8(row.field(at), row.line)?;
            // There may be columns that nobody named: they cannot be asked for.
            if !name.is_empty() && header.iter().any(|other| **other == *name) {
                return Err(trouble.say(format!("two columns are called `{name}`")));
            }
            header.push(name.into());
        }
        let place = |name: &str| header.iter().position(|column| **column == *name);
        let missing = |name: &str| trouble.say(format!("there is no column `{name}`"));
        let column = |take: &Take| {
            let found = take.sources.iter().find_map(|name| place(name));
            match (found, take.sources.first()) {
                (None, Some(first)) if !take.optional => Err(missing(first)),
                _ => Ok((take.name.as_str().into(), found)),
            }
        };
        let take = match &options.fields {
            None => (0..header.len())
                .filter(|at| !header[*at].is_empty())
                .map(|at| (header[at].clone(), Some(at)))
                .collect(),
            Some(Taken(taken)) => taken.iter().map(column).collect::<Result<_, _>>()?,
        };
        let key = options.key.as_ref();
        let key = key
            .map(|name| place(name).ok_or_else(|| missing(name)))
            .transpose()?;
        Ok(Table {
            rows,
            row,
            header,
            take,
            key,
        })
    }

    fn next(&mut self, universal: bool, trouble: &Trouble) -> Result<Option<Keyed>, Diagnostic> {
        let row = &mut self.row;
        if !self.rows.next(row, trouble)? {
            return Ok(None);
        }
        if row.len() != self.header.len() {
            return Err(trouble.say(format!(
                "{}: expected {} fields, found {}",
                trouble.place(row.line),
                self.header.len(),
                row.len()
            )));
        }
        let mut fields = Vec::with_capacity(self.take.len());
        for (name, at) in &self.take {
            let value = match at {
                Some(at) => {
                    let text = trouble.utf8(row.field(*at), row.line)?;
                    Value::from(line_breaks(text, universal).as_ref())
                }
                None => Value::from(()),
            };
            fields.push((name.clone(), value));
        }
        let key = match self.key {
            None => None,
            Some(at) => match trouble.utf8(row.field(at), row.line)? {
                "" => {
                    return Err(trouble.say(format!(
                        "{}: the key `{}` is empty",
                        trouble.place(row.line),
                        self.header[at]
                    )));
                }
                key => Some(key.into()),
            },
        };
        Ok(Some((key, Fields::from_distinct(fields))))
    }
}

fn row_error(error: &RowError, line: u64, trouble: &Trouble) -> Diagnostic {
    match error {
        RowError::Io(error) => trouble.io(error, line),
        RowError::OpenQuote(line) => trouble.say(format!(
            "line {line}: a quote that opens here is never closed"
        )),
    }
}

/// Line breaks as Python's universal newlines make them.
pub fn line_breaks(text: &str, universal: bool) -> Cow<'_, str> {
    if !universal || memchr(b'\r', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"))
}

/// A line without its `\n`; none at the end.
fn next_line(
    input: &mut Input,
    line: &mut u64,
    trouble: &Trouble,
) -> Result<Option<Vec<u8>>, Diagnostic> {
    let mut bytes = Vec::new();
    let read = input.read_until(b'\n', &mut bytes);
    if read.map_err(|error| trouble.io(&error, *line))? == 0 {
        return Ok(None);
    }
    *line += 1;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(bytes))
}

/// The members of an object if it has some and all are objects.
fn objects(value: &Value) -> Option<Vec<(Arc<str>, Value)>> {
    let members: Vec<(Arc<str>, Value)> = value
        .try_iter()
        .ok()?
        .map(|name| Some((name.as_str()?.into(), value.get_item(&name).ok()?)))
        .collect::<Option<_>>()?;
    let all = members
        .iter()
        .all(|(_, member)| member.kind() == minijinja::value::ValueKind::Map);
    (all && !members.is_empty()).then_some(members)
}
