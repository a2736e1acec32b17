//! The bytes of a Parquet file: its schema and its row groups. The same columns and rows give the
//! same bytes: nothing in a file says when or by which version it was made.

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use super::columns::{Column, Row, weight};
use super::kind::Kind;
use super::shred::{Leaf, Shredded, Values};

/// Rows of a row group at most.
const ROWS: usize = 50_000;
/// Bytes of a row group at most, about as many as are in memory while one is made.
const BYTES: usize = 32 * 1024 * 1024;
/// Who made it. Readers know old faults of makers by this name, so it has the usual form.
const MAKER: &str = "clue version 1.0.0 (build 1)";

/// A Parquet file in the making.
pub struct File {
    writer: SerializedFileWriter<Vec<u8>>,
    rows: Shredded,
    /// Bytes of the rows that are not written yet, about.
    bytes: usize,
}

impl File {
    /// Begins a file.
    ///
    /// # Errors
    /// Columns that Parquet cannot have.
    pub fn new(columns: &[Column]) -> Result<File> {
        let level = ZstdLevel::try_new(3)?;
        let properties = WriterProperties::builder()
            .set_created_by(MAKER.to_owned())
            .set_compression(Compression::ZSTD(level))
            .build();
        Ok(File {
            writer: SerializedFileWriter::new(Vec::new(), schema(columns)?, Arc::new(properties))?,
            rows: Shredded::new(columns),
            bytes: 0,
        })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// As [`File::new`].
    pub fn push(&mut self, row: &Row) -> Result<()> {
        self.rows.push(row);
        self.bytes += weight(row);
        if self.rows.rows() >= ROWS || self.bytes >= BYTES {
            self.group()?;
        }
        Ok(())
    }

    /// The bytes that are ready.
    pub fn ready(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Ends the file: its last bytes.
    ///
    /// # Errors
    /// As [`File::new`].
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.group()?;
        self.writer.finish()?;
        Ok(self.ready())
    }

    /// Writes the rows as a row group.
    fn group(&mut self) -> Result<()> {
        if self.rows.rows() == 0 {
            return Ok(());
        }
        let mut group = self.writer.next_row_group()?;
        for leaf in self.rows.take() {
            let Some(mut column) = group.next_column()? else {
                return Err(ParquetError::General("a column too many".to_owned()));
            };
            write(&mut column, &leaf)?;
            column.close()?;
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }
}

fn write(column: &mut SerializedColumnWriter<'_>, leaf: &Leaf) -> Result<()> {
    let (defined, repeated) = (Some(&leaf.defined[..]), Some(&leaf.repeated[..]));
    match &leaf.values {
        Values::Nothing => {
            column
                .typed::<parquet::data_type::Int32Type>()
                .write_batch(&[], defined, repeated)
        }
        Values::Bool(values) => column
            .typed::<BoolType>()
            .write_batch(values, defined, repeated),
        Values::Int(values) => column
            .typed::<Int64Type>()
            .write_batch(values, defined, repeated),
        Values::Float(values) => column
            .typed::<DoubleType>()
            .write_batch(values, defined, repeated),
        Values::Text(values) => {
            let values: Vec<ByteArray> = values.iter().map(|text| text.as_str().into()).collect();
            column
                .typed::<ByteArrayType>()
                .write_batch(&values, defined, repeated)
        }
    }
    .map(|_| ())
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields = columns
        .iter()
        .map(|column| field(&column.name, &column.kind));
    let group = Type::group_type_builder("schema").with_fields(fields.collect::<Result<_>>()?);
    Ok(Arc::new(group.build()?))
}

fn field(name: &str, kind: &Kind) -> Result<TypePtr> {
    let plain = |physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()
    };
    let group = |name: &str, repetition, logical, fields| {
        Type::group_type_builder(name)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_fields(fields)
            .build()
    };
    let built = match kind {
        // What pandas and pyarrow make of a column without values.
        Kind::Nothing => plain(Physical::INT32, Some(LogicalType::Unknown)),
        Kind::Bool => plain(Physical::BOOLEAN, None),
        Kind::Int { .. } => plain(Physical::INT64, None),
        Kind::Float => plain(Physical::DOUBLE, None),
        Kind::Text | Kind::Json => plain(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Map(entries) => {
            let fields = entries.iter().map(|(name, kind)| field(name, kind));
            let fields = fields.collect::<Result<_>>()?;
            group(name, Repetition::OPTIONAL, None, fields)
        }
        Kind::List(kind) => {
            let element = vec![field("element", kind)?];
            let list = group("list", Repetition::REPEATED, None, element)?;
            let logical = Some(LogicalType::List);
            group(name, Repetition::OPTIONAL, logical, vec![Arc::new(list)])
        }
    };
    Ok(Arc::new(built?))
}
