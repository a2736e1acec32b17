//! What a value of a Parquet file is in a record. Knows nothing of files.

use std::sync::Arc;

use minijinja::Value;
use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit};
use parquet::record::Field;
use parquet::schema::types::Type;

use super::int96::Stamps;
use crate::record::Fields;
use crate::text::moment::{date, moment, time};

/// Why a value is none that a record can have.
#[derive(Clone, Copy, Debug)]
pub enum Wrong {
    /// The file is damaged.
    Damaged,
    /// What is wrong with it, as it follows the name of its column.
    Value(&'static str),
}

/// Nanoseconds of a second.
pub const NANOS: i64 = 1_000_000_000;

/// A value as records hold it; `column` is its type in the file, if that is known. Moments of
/// INT96, which the crate cuts short, come from `stamps`.
pub fn value(field: &Field, column: Option<&Type>, stamps: &mut Stamps) -> Result<Value, Wrong> {
    // A moment of a column that says so is one of UTC; others are told as they stand there.
    let stamp = |ticks: i64, per_second: i64| {
        let zone = if column.is_some_and(is_utc) { "Z" } else { "" };
        Value::from(format!("{}{zone}", moment(ticks, per_second)))
    };
    Ok(match field {
        Field::Null => Value::from(()),
        Field::Bool(value) => Value::from(*value),
        Field::Byte(value) => Value::from(i64::from(*value)),
        Field::Short(value) => Value::from(i64::from(*value)),
        Field::Int(value) => Value::from(i64::from(*value)),
        Field::Long(value) => match column.and_then(nanoseconds) {
            Some(true) => stamp(*value, NANOS),
            Some(false) => Value::from(time(*value, NANOS)),
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
        // The crate writes a point behind whole ones too.
        Field::Decimal(_) => Value::from(field.to_string().trim_end_matches('.')),
        Field::Str(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => match column.filter(|column| is_uuid(column)) {
            Some(_) => Value::from(uuid(bytes.data())),
            None => match std::str::from_utf8(bytes.data()) {
                Ok(text) => Value::from(text),
                Err(_) => return Err(Wrong::Value("is not text in UTF-8")),
            },
        },
        Field::Date(days) => Value::from(date(i64::from(*days))),
        Field::TimeMillis(ticks) => Value::from(time(i64::from(*ticks), 1_000)),
        Field::TimeMicros(ticks) => Value::from(time(*ticks, 1_000_000)),
        Field::TimestampMillis(ticks) => match column.and_then(|column| stamps.next(column)) {
            Some(exact) => Value::from(exact?),
            None => stamp(*ticks, 1_000),
        },
        Field::TimestampMicros(ticks) => stamp(*ticks, 1_000_000),
        Field::Group(row) => {
            let inner = |at: usize, name: &str| {
                let inner = group_of(column?).get(at)?;
                (inner.name() == name).then_some(&**inner)
            };
            let members = row.get_column_iter().enumerate();
            let members = members.map(|(at, (name, field))| {
                let value = value(field, inner(at, name), stamps)?;
                Ok((Arc::from(name.as_str()), value))
            });
            Value::from_object(members.collect::<Result<Fields, Wrong>>()?)
        }
        Field::ListInternal(list) => {
            let column = column.and_then(element);
            let items = list.elements().iter();
            let items = items.map(|item| value(item, column, stamps));
            Value::from(items.collect::<Result<Vec<Value>, Wrong>>()?)
        }
        Field::MapInternal(map) => {
            let entry = column.and_then(|column| group_of(column).first());
            let inner = |at: usize| entry.and_then(|entry| Some(&**group_of(entry).get(at)?));
            let entries = map.entries().iter().map(|(key, item)| {
                let name: Arc<str> = match key {
                    Field::Str(name) => name.as_str().into(),
                    key => value(key, inner(0), stamps)?.to_string().into(),
                };
                Ok((name, value(item, inner(1), stamps)?))
            });
            let entries: Vec<(Arc<str>, Value)> = entries.collect::<Result<_, Wrong>>()?;
            let many = entries.len();
            let fields: Fields = entries.into_iter().collect();
            if fields.len() < many {
                return Err(Wrong::Value("is a map in which a key stands twice"));
            }
            Value::from_object(fields)
        }
    })
}

/// The members of a group; none of what is none.
pub fn group_of(column: &Type) -> &[Arc<Type>] {
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
fn number(value: f64) -> Result<Value, Wrong> {
    match value {
        value if value.is_nan() => Ok(Value::from(())),
        value if value.is_infinite() => Err(Wrong::Value("is infinite")),
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

/// True for a column of moments that says that they are in UTC, wherever they were noted.
fn is_utc(column: &Type) -> bool {
    let logical = column.get_basic_info().logical_type_ref();
    matches!(logical, Some(LogicalType::Timestamp(kind)) if kind.is_adjusted_to_u_t_c)
}

fn is_uuid(column: &Type) -> bool {
    column.get_basic_info().logical_type_ref() == Some(&LogicalType::Uuid)
}

/// The usual form of a UUID.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in bytes.iter().enumerate() {
        let dash = if [4, 6, 8, 10].contains(&at) { "-" } else { "" };
        text.push_str(&format!("{dash}{byte:02x}"));
    }
    text
}
