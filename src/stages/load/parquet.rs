//! The rows of a Parquet file, one by one. `footer` and `fit` say what is not read, `value` what a
//! value is in a record; the file's format is the crate `parquet`'s business.
//!
//! Dates and times are text, as ISO 8601 has them; decimals are text, so that no digit is lost.

mod fit;
mod footer;
mod int96;
#[cfg(test)]
mod tests;
mod value;

use std::cell::Cell;
use std::fs::File;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, Once};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{ChunkReader, FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::schema::types::{SchemaDescPtr, SchemaDescriptor, Type};

use self::fit::Unfit;
use self::int96::Stamps;
use self::value::{Wrong, value};
use super::reader::{OpenError, Options};
use super::trouble::Trouble;
use crate::diag::Diagnostic;
use crate::record::Fields;

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
    stamps: Stamps,
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
                Unfit::Twice(name) => trouble
                    .say(format!("two columns have the name `{name}`"))
                    .help("give them different names, or name others to take in `fields`"),
                Unfit::Packed(name, how) => {
                    let what = format!("the column `{name}` is compressed with {how}");
                    let fault = trouble.say(format!("{what}, which `clue` does not read"));
                    fault.help("write it again with `zstd`, `snappy`, `gzip` or `lz4`")
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
        fit::look(&columns, file.metadata())?;
        let root = Type::group_type_builder(schema.name())
            .with_fields(columns)
            .build();
        let root = root.map_err(|_| Unfit::Unsound)?;
        Ok(Rows {
            wanted: Arc::new(SchemaDescriptor::new(Arc::new(root))),
            file: Box::new(file),
            group: 0,
            rows: None,
            stamps: Stamps::default(),
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
                    let stamps = &mut self.stamps;
                    let fields = fields.map(|((name, field), column)| {
                        let value = value(field, Some(column), stamps);
                        let value = value.map_err(|wrong| match wrong {
                            Wrong::Damaged => Unread::Damaged,
                            Wrong::Value(why) => Unread::Value(name.clone(), why),
                        })?;
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
            let read = guarded(|| {
                let group = file.get_row_group(group)?;
                let columns = wanted.root_schema().get_fields();
                let named = |name: &str| columns.iter().any(|column| column.name() == name);
                let stamps = Stamps::of(&*group, named)?;
                Ok((TreeBuilder::new().as_iter(wanted.clone(), &*group)?, stamps))
            });
            let (rows, stamps) = read.map_err(broken)?;
            (self.rows, self.stamps) = (Some(rows), stamps);
        }
    }
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
