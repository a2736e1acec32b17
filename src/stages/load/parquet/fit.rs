//! Which columns of a Parquet file records can hold. Owns what is refused before a row is read;
//! knows nothing of values.

use std::collections::HashSet;
use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::Type;

use super::DEEPEST;
use super::value::group_of;

/// Why columns do not become fields.
#[derive(Debug, PartialEq)]
pub enum Unfit {
    /// It is no Parquet file, or damaged.
    None,
    /// A column that records cannot hold.
    Column(String),
    /// A name that two columns have, or two members of one column.
    Twice(String),
    /// A column that is compressed in a way that is not known here, and which.
    Packed(String, &'static str),
    /// Its columns are none together.
    Unsound,
}

/// Looks at the columns that are wanted.
///
/// # Errors
/// The first one that does not fit.
pub fn look(columns: &[Arc<Type>], file: &ParquetMetaData) -> Result<(), Unfit> {
    if let Some(name) = twice(columns) {
        return Err(Unfit::Twice(name.to_owned()));
    }
    if let Some(column) = columns.iter().find(|column| !is_known(column, 0)) {
        return Err(Unfit::Column(column.name().to_owned()));
    }
    let groups = file.row_groups().iter();
    for part in groups.flat_map(|group| group.columns()) {
        let name = part.column_path().parts().first();
        let wanted = columns
            .iter()
            .find(|column| Some(column.name()) == name.map(String::as_str));
        if let (Some(column), Some(how)) = (wanted, packed(part.compression())) {
            return Err(Unfit::Packed(column.name().to_owned(), how));
        }
    }
    Ok(())
}

/// The name of a compression that this program is built without.
fn packed(compression: Compression) -> Option<&'static str> {
    match compression {
        // Its crates take longer to build than all of the others, and few files need them.
        Compression::BROTLI(_) => Some("Brotli"),
        Compression::LZO => Some("LZO"),
        _ => None,
    }
}

/// The first name that two columns of one group have: a record would keep one of them.
fn twice(columns: &[Arc<Type>]) -> Option<&str> {
    let mut names = HashSet::new();
    let same = columns.iter().find(|column| !names.insert(column.name()));
    same.map(|column| column.name())
        .or_else(|| columns.iter().find_map(|column| twice(group_of(column))))
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
                let logical = info.logical_type_ref();
                let known = matches!(logical, Some(LogicalType::Float16 | LogicalType::Uuid));
                known || converted == C::DECIMAL
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
