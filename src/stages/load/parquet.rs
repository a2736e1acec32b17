//! The rows of a Parquet file. Owns what a value is in a record; the file's format is the crate
//! `parquet`'s business.
//!
//! Dates and times are text, as ISO 8601 has them; decimals are text, so that no digit is lost.

mod footer;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Once};

use bytes::Bytes;
use minijinja::Value;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use super::reader::{OpenError, Options};
use super::trouble::Trouble;
use crate::diag::Diagnostic;
use crate::record::Fields;
use crate::text::moment::{date, moment, time};

/// Groups of columns inside each other at most.
const DEEPEST: usize = 32;

/// A file, read row by row.
pub struct Rows {
    file: Box<dyn FileReader>,
    /// The columns that are read.
    wanted: SchemaDescPtr,
    /// The row group that comes next.
    group: usize,
    rows: Option<ReaderIter>,
    /// Rows so far.
    pub count: u64,
}

impl Rows {
    /// Opens a file, to read the columns that are wanted.
    ///
    /// # Errors
    /// It cannot be read, is no Parquet file, or holds what no record can.
    pub fn open(path: &Path, options: &Options, trouble: &Trouble) -> Result<Rows, OpenError> {
        let file = File::open(path).map_err(OpenError::Io)?;
        let named = |column: &str| match &options.fields {
            Some(taken) => {
                let mut sources = taken.0.iter().flat_map(|take| &take.sources);
                options.key.as_deref() == Some(column) || sources.any(|name| name.value == column)
            }
            None => true,
        };
        Rows::of(file, named).map_err(|unfit| {
            OpenError::Content(match unfit {
                Unfit::None => trouble
                    .say("this is no Parquet file, or it is damaged")
                    .help("a file that was downloaded may be a web page with its name"),
                Unfit::Column(name) => {
                    let what = format!("the column `{name}` has a type that records cannot hold");
                    let fault = trouble.say(what);
                    fault.help("name the columns to take in `fields`")
                }
                Unfit::Unsound => trouble.say("its columns are not sound"),
            })
        })
    }

    /// Of a file, or what is in one, with the columns that are `named`.
    fn of<R: ChunkReader + 'static>(file: R, named: impl Fn(&str) -> bool) -> Result<Rows, Unfit> {
        let file = guarded(|| {
            footer::look(&file)?;
            SerializedFileReader::new(file)
        });
        let file = file.map_err(|_| Unfit::None)?;
        let schema = file.metadata().file_metadata().schema();
        let columns: Vec<Arc<Type>> = schema
            .get_fields()
            .iter()
            .filter(|column| named(column.name()))
            .cloned()
            .collect();
        if let Some(column) = columns.iter().find(|column| !is_known(column, 0)) {
            return Err(Unfit::Column(column.name().to_owned()));
        }
        let root = Type::group_type_builder(schema.name())
            .with_fields(columns)
            .build();
        let root = root.map_err(|_| Unfit::Unsound)?;
        Ok(Rows {
            wanted: Arc::new(SchemaDescriptor::new(Arc::new(root))),
            file: Box::new(file),
            group: 0,
            rows: None,
            count: 0,
        })
    }

    /// The names of all its columns, read or not.
    pub fn names(&self) -> Vec<String> {
        let columns = self.file.metadata().file_metadata().schema().get_fields();
        let names = columns.iter().map(|column| column.name().to_owned());
        names.collect()
    }

    /// The next row; none at the end.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn next(&mut self, trouble: &Trouble) -> Result<Option<Fields>, Diagnostic> {
        let place = trouble.place(self.count + 1);
        self.row().map_err(|unread| match unread {
            // What the reader says may quote values.
            Unread::Damaged => trouble
                .say(format!("{place} cannot be read"))
                .help("the file seems damaged: fetch or write it again"),
            Unread::Value(name, why) => {
                trouble.say(format!("{place}: the value of `{name}` {why}"))
            }
        })
    }

    fn row(&mut self) -> Result<Option<Fields>, Unread> {
        let broken = |_| Unread::Damaged;
        loop {
            if let Some(rows) = &mut self.rows {
                let next = guarded(|| rows.next().transpose()).map_err(broken)?;
                if let Some(row) = next {
                    self.count += 1;
                    let columns = self.wanted.root_schema().get_fields();
                    let fields = row.get_column_iter().zip(columns);
                    let fields = fields.map(|((name, field), column)| {
                        let value = value(field, Some(column))
                            .map_err(|why| Unread::Value(name.clone(), why))?;
                        Ok((Arc::from(name.as_str()), value))
                    });
                    return fields.collect::<Result<Fields, Unread>>().map(Some);
                }
            }
            if self.group == self.file.num_row_groups() {
                return Ok(None);
            }
            let group = self.group;
            self.group += 1;
            let (file, wanted) = (&self.file, &self.wanted);
            let rows = guarded(|| {
                let group = file.get_row_group(group)?;
                TreeBuilder::new().as_iter(wanted.clone(), &*group)
            });
            self.rows = Some(rows.map_err(broken)?);
        }
    }
}

/// Why a file cannot be opened.
enum Unfit {
    /// It is no Parquet file, or damaged.
    None,
    /// A column that records cannot hold.
    Column(String),
    /// Its columns are none together.
    Unsound,
}

/// Why a row cannot be read.
enum Unread {
    Damaged,
    /// A column whose value records cannot hold, and why.
    Value(String, &'static str),
}

/// All that the bytes of a file say, as text: a row a line, as JSON, and what is noted of it. None
/// if some of it cannot be read, or it is more than `most` bytes.
pub fn text(bytes: &[u8], most: u64) -> Option<String> {
    let mut rows = Rows::of(Bytes::copy_from_slice(bytes), |_| true).ok()?;
    let mut text = String::new();
    let notes = rows.file.metadata().file_metadata().key_value_metadata();
    for note in notes.into_iter().flatten() {
        text.push_str(&note.key);
        text.push('\n');
        text.push_str(note.value.as_deref().unwrap_or_default());
        text.push('\n');
    }
    for name in rows.names() {
        text.push_str(&name);
        text.push('\n');
    }
    while let Some(fields) = rows.row().ok()? {
        text.push_str(&serde_json::to_string(&fields).ok()?);
        text.push('\n');
        if text.len() as u64 > most {
            return None;
        }
    }
    Some(text)
}

thread_local! {
    /// This thread reads what may be damaged: what it panics about is no news.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Of a damaged file, the crate may find what it thought could not be, and panic. That is an
/// error like others, and is not told in the crate's words, which may quote values.
fn guarded<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let done = panic::catch_unwind(AssertUnwindSafe(read));
    QUIET.set(false);
    done.unwrap_or_else(|_| Err(ParquetError::General("damaged".to_owned())))
}

/// True for columns that can be read: the crate takes for granted that others do not come.
fn is_known(column: &Type, depth: usize) -> bool {
    let info = column.get_basic_info();
    if !info.has_repetition() || depth > DEEPEST {
        return false;
    }
    let converted = info.converted_type();
    if column.is_primitive() {
        use ConvertedType as C;
        return match column.get_physical_type() {
            Physical::BOOLEAN | Physical::FLOAT | Physical::DOUBLE | Physical::INT96 => true,
            Physical::INT32 => matches!(
                converted,
                C::NONE
                    | C::INT_8
                    | C::INT_16
                    | C::INT_32
                    | C::UINT_8
                    | C::UINT_16
                    | C::UINT_32
                    | C::DATE
                    | C::TIME_MILLIS
                    | C::DECIMAL
            ),
            Physical::INT64 => matches!(
                converted,
                C::NONE
                    | C::INT_64
                    | C::UINT_64
                    | C::TIME_MICROS
                    | C::TIMESTAMP_MILLIS
                    | C::TIMESTAMP_MICROS
                    | C::DECIMAL
            ),
            Physical::BYTE_ARRAY => matches!(
                converted,
                C::NONE | C::UTF8 | C::ENUM | C::JSON | C::DECIMAL
            ),
            Physical::FIXED_LEN_BYTE_ARRAY => {
                let half = info.logical_type_ref() == Some(&LogicalType::Float16);
                half || converted == C::DECIMAL
            }
        };
    }
    let inner = column.get_fields();
    let repeated = |inner: &Type| {
        let info = inner.get_basic_info();
        info.has_repetition() && info.repetition() == Repetition::REPEATED
    };
    let sound = match (converted, inner) {
        (ConvertedType::LIST, [list]) => {
            repeated(list) && (list.is_primitive() || !list.get_fields().is_empty())
        }
        (ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, [entry]) => {
            repeated(entry) && entry.is_group() && entry.get_fields().len() == 2
        }
        (ConvertedType::LIST | ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE, _) => false,
        _ => !inner.is_empty(),
    };
    sound && inner.iter().all(|inner| is_known(inner, depth + 1))
}

/// A value as records hold it; `column` is its type in the file, if that is known.
fn value(field: &Field, column: Option<&Type>) -> Result<Value, &'static str> {
    Ok(match field {
        Field::Null => Value::from(()),
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(i64::from(*value)),
        Field::Short(value) => Value::from(i64::from(*value)),
        Field::Int(value) => Value::from(i64::from(*value)),
        Field::Long(value) => match column.and_then(nanoseconds) {
            Some(true) => Value::from(moment(*value, 1_000_000_000)),
            Some(false) => Value::from(time(*value, 1_000_000_000)),
            None => Value::from(*value),
        },
        Field::UByte(value) => Value::from(u64::from(*value)),
        Field::UShort(value) => Value::from(u64::from(*value)),
        Field::UInt(value) => Value::from(u64::from(*value)),
        Field::ULong(value) => Value::from(*value),
        // By their digits: 0.1 stays 0.1.
        Field::Float16(value) => number(value.to_string().parse().unwrap_or(f64::NAN))?,
        Field::Float(value) => number(value.to_string().parse().unwrap_or(f64::NAN))?,
        Field::Double(value) => number(*value)?,
        Field::Decimal(_) => Value::from(field.to_string()),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) => Value::from(text),
            Err(_) => return Err("is not text in UTF-8"),
        },
        Field::Date(days) => Value::from(date(i64::from(*days))),
        Field::TimeMillis(ticks) => Value::from(time(i64::from(*ticks), 1_000)),
        Field::TimeMicros(ticks) => Value::from(time(*ticks, 1_000_000)),
        Field::TimestampMillis(ticks) => Value::from(moment(*ticks, 1_000)),
        Field::TimestampMicros(ticks) => Value::from(moment(*ticks, 1_000_000)),
        Field::Group(row) => {
            let inner = |at: usize, name: &str| {
                let inner = group_of(column?).get(at)?;
                (inner.name() == name).then_some(&**inner)
            };
            let members = row.get_column_iter().enumerate();
            let members = members.map(|(at, (name, field))| {
                let value = value(field, inner(at, name))?;
                Ok((name.clone(), value))
            });
            let members: Vec<(String, Value)> = members.collect::<Result<_, &str>>()?;
            let fields = members
                .into_iter()
                .map(|(name, value)| (name.into(), value));
            Value::from_object(fields.collect::<Fields>())
        }
        Field::ListInternal(list) => {
            let column = column.and_then(element);
            let items = list.elements().iter().map(|item| value(item, column));
            Value::from(items.collect::<Result<Vec<Value>, _>>()?)
        }
        Field::MapInternal(map) => {
            let entry = column.and_then(|column| group_of(column).first());
            let inner = |at: usize| entry.and_then(|entry| Some(&**group_of(entry).get(at)?));
            let entries = map.entries().iter().map(|(key, item)| {
                let name = match key {
                    Field::Str(name) => name.clone(),
                    key => value(key, inner(0))?.to_string(),
                };
                Ok((Arc::from(name), value(item, inner(1))?))
            });
            Value::from_object(entries.collect::<Result<Fields, &str>>()?)
        }
    })
}

/// The members of a group; none of what is none.
fn group_of(column: &Type) -> &[Arc<Type>] {
    match column {
        Type::GroupType { fields, .. } => fields,
        Type::PrimitiveType { .. } => &[],
    }
}

/// The type of the items of a list, by the rules of the format for lists, old ones too:
/// `LogicalTypes.md`, "Lists", in its specification.
fn element(column: &Type) -> Option<&Type> {
    if column.get_basic_info().converted_type() != ConvertedType::LIST {
        // What is repeated without being called a list.
        return Some(column);
    }
    let repeated = group_of(column).first()?;
    let [only] = group_of(repeated) else {
        return Some(repeated);
    };
    let info = only.get_basic_info();
    let is_list = repeated.get_basic_info().converted_type() == ConvertedType::LIST
        || info.has_repetition() && info.repetition() == Repetition::REPEATED;
    let name = repeated.name();
    let is_item = !is_list && (name == "array" || name.ends_with("_tuple"));
    Some(if is_item { repeated } else { only })
}

/// JSON has no other numbers. What is not a number is missing, as pandas has it.
fn number(value: f64) -> Result<Value, &'static str> {
    match value {
        value if value.is_nan() => Ok(Value::from(())),
        value if value.is_infinite() => Err("is infinite"),
        value => Ok(Value::from(value)),
    }
}

/// Of a column of nanoseconds: true if they are moments, false if they are times of day.
fn nanoseconds(column: &Type) -> Option<bool> {
    match column.get_basic_info().logical_type_ref()? {
        LogicalType::Timestamp(kind) => (kind.unit == TimeUnit::NANOS).then_some(true),
        LogicalType::Time(kind) => (kind.unit == TimeUnit::NANOS).then_some(false),
        _ => None,
    }
}
