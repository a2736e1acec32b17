//! Moments of the old type INT96, with all of their nanoseconds: the crate's rows have them cut to
//! milliseconds, so that their columns are read once more, beside the rows. Owns that reading and
//! what such a moment is as text.
//!
//! The values of one column, without nulls, have the order in which a walk through the rows meets
//! them, however they are nested. A moment is the nanoseconds of a day and the number of the day
//! that is its Julian one, as `parquet.thrift` says.

use std::sync::Arc;

use parquet::basic::Type as Physical;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::Result;
use parquet::file::reader::RowGroupReader;
use parquet::schema::types::Type;

use super::guarded;
use super::value::{NANOS, Wrong};
use crate::text::moment::{date, time};

/// Rows whose moments are read at once.
const AT_ONCE: usize = 1_024;
/// The Julian day of 1970-01-01.
const EPOCH: i64 = 2_440_588;
/// Nanoseconds of a day.
const DAY: u64 = 86_400 * NANOS as u64;

/// The moments of a row group, by their columns.
#[derive(Default)]
pub struct Stamps(Vec<Leaf>);

struct Leaf {
    column: Arc<Type>,
    reader: ColumnReaderImpl<Int96Type>,
    ready: std::vec::IntoIter<Int96>,
}

impl Stamps {
    /// Of a row group, in the columns of these names.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn of(group: &dyn RowGroupReader, named: impl Fn(&str) -> bool) -> Result<Stamps> {
        let mut leaves = Vec::new();
        for (at, part) in group.metadata().columns().iter().enumerate() {
            let name = part.column_path().parts().first();
            let wanted = name.is_some_and(|name| named(name));
            if !wanted || part.column_descr().physical_type() != Physical::INT96 {
                continue;
            }
            if let ColumnReader::Int96ColumnReader(reader) = group.get_column_reader(at)? {
                leaves.push(Leaf {
                    column: part.column_descr().self_type_ptr(),
                    reader,
                    ready: Vec::new().into_iter(),
                });
            }
        }
        Ok(Stamps(leaves))
    }

    /// The next moment of a column; none if it has no such type.
    pub fn next(&mut self, column: &Type) -> Option<std::result::Result<String, Wrong>> {
        let mut leaves = self.0.iter_mut();
        let leaf = leaves.find(|leaf| std::ptr::eq(&*leaf.column, column))?;
        Some(match leaf.next() {
            Ok(Some(stamp)) => Ok(text(&stamp)),
            Ok(None) | Err(_) => Err(Wrong::Damaged),
        })
    }
}

impl Leaf {
    fn next(&mut self) -> Result<Option<Int96>> {
        loop {
            if let Some(stamp) = self.ready.next() {
                return Ok(Some(stamp));
            }
            let reader = &mut self.reader;
            let (rows, values) = guarded(|| {
                let (mut defined, mut repeated) = (Vec::new(), Vec::new());
                let mut values = Vec::new();
                let levels = (Some(&mut defined), Some(&mut repeated));
                let read = reader.read_records(AT_ONCE, levels.0, levels.1, &mut values)?;
                Ok((read.0, values))
            })?;
            if rows == 0 {
                return Ok(None);
            }
            self.ready = values.into_iter();
        }
    }
}

/// Date and time as ISO 8601 has them. Whose zone they are in, such columns do not say.
fn text(stamp: &Int96) -> String {
    let [low, high, day] = [0, 1, 2].map(|at| u64::from(stamp.data()[at]));
    let nanos = high << 32 | low;
    // More than a day has are of the days after.
    let days = (day as i64 - EPOCH).saturating_add((nanos / DAY) as i64);
    format!("{}T{}", date(days), time((nanos % DAY) as i64, NANOS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_digit_is_lost_in_any_year() {
        let stamp = |nanos: u64, day: u32| {
            let mut stamp = Int96::new();
            stamp.set_data(nanos as u32, (nanos >> 32) as u32, day);
            text(&stamp)
        };
        assert_eq!(stamp(0, 2_440_588), "1970-01-01T00:00:00");
        assert_eq!(stamp(1, 2_440_587), "1969-12-31T00:00:00.000000001");
        assert_eq!(stamp(DAY + 5, 2_440_588), "1970-01-02T00:00:00.000000005");
        // Beyond what 64 bits of nanoseconds since 1970 hold.
        assert_eq!(stamp(DAY - 1, 5_373_484), "9999-12-31T23:59:59.999999999");
        assert!(stamp(u64::MAX, u32::MAX).contains('T'));
    }
}
