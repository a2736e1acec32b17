//! Parquet: rows that wait until the types of all their columns are known, and then become row
//! groups. Owns the order of that; `kind` knows types, `shred` takes rows apart, `file` makes
//! bytes.
//!
//! Types follow from the values. Lists and maps that are alike have a nested type; where they are
//! not, each is JSON text. Whole numbers beside numbers with decimals are doubles. Other values
//! that are not alike are the fault of the record that came later: those who read such files with
//! pandas or `datasets` would have them refused, too, and a guess would hide a slip.

pub mod columns;
#[cfg(feature = "parquet")]
mod file;
pub mod kind;
#[cfg(feature = "parquet")]
mod shred;
#[cfg(all(test, feature = "parquet"))]
mod tests;

use std::path::{Path, PathBuf};

use super::held::Held;
use super::pick::Picks;
use crate::diag::Diagnostic;
#[cfg(feature = "parquet")]
use crate::record::Fields;
use crate::record::Record;
use crate::stages::contract::{Fault, Sink};
use crate::stages::order::SortKey;
use crate::stages::spool::Spool;
use columns::{Columns, row};

/// Rows handed on at once.
#[cfg(feature = "parquet")]
const AT_ONCE: usize = 1_000;

/// What is said by a program that cannot read or write Parquet.
///
/// # Errors
/// It cannot.
pub fn possible() -> Result<(), Diagnostic> {
    if cfg!(feature = "parquet") {
        return Ok(());
    }
    Err(Diagnostic::error("this `clue` was built without Parquet")
        .help("build it with the feature `parquet`, or take `format: jsonl`"))
}

/// Writes a Parquet file.
pub struct Parquet {
    path: PathBuf,
    picks: Picks,
    columns: Columns,
    body: Body,
}

/// The rows of a file.
pub struct Body {
    rows: Rows,
    #[cfg(feature = "parquet")]
    file: Option<file::File>,
    /// Rows that went into the file.
    #[cfg(feature = "parquet")]
    next: usize,
}

/// Where rows wait.
enum Rows {
    /// In their order, on disk if they are many.
    Spooled(Spool),
    /// To be sorted.
    Held(Held),
    /// Sorted.
    #[cfg_attr(not(feature = "parquet"), expect(dead_code))]
    Sorted(std::vec::IntoIter<crate::record::Fields>),
}

impl Body {
    /// No rows yet; they will be sorted, if there is something to hold them in. Others wait in
    /// `temp`.
    pub fn new(held: Option<Held>, temp: &Path) -> Body {
        Body {
            rows: held.map_or_else(|| Rows::Spooled(Spool::new(temp)), Rows::Held),
            #[cfg(feature = "parquet")]
            file: None,
            #[cfg(feature = "parquet")]
            next: 0,
        }
    }

    /// What a record is sorted by.
    ///
    /// # Errors
    /// [`Fault::Record`] for values that have no order.
    pub fn keys(&self, record: &Record) -> Result<Vec<SortKey>, Fault> {
        match &self.rows {
            Rows::Held(held) => held.keys(record),
            _ => Ok(Vec::new()),
        }
    }

    /// Takes a row, which its columns have taken.
    ///
    /// # Errors
    /// The disk fails.
    pub fn push(&mut self, keys: Vec<SortKey>, record: Record) -> Result<(), Fault> {
        match &mut self.rows {
            Rows::Held(held) => held.push(keys, record.fields),
            Rows::Spooled(spool) => spool.push(&record)?,
            Rows::Sorted(_) => {}
        }
        Ok(())
    }

    /// Called again and again when all rows have come: adds bytes of the file that has these
    /// columns; false with the last of them.
    ///
    /// # Errors
    /// The disk fails, or Parquet cannot have such columns.
    #[cfg(feature = "parquet")]
    pub fn write(&mut self, columns: &Columns, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        let settled = columns.settled();
        let mut file = match self.file.take() {
            Some(file) => file,
            None => file::File::new(&settled).map_err(broken)?,
        };
        let rows = self.next()?;
        if settled.is_empty() && !rows.is_empty() {
            let fault = Diagnostic::error("these records have no fields, and Parquet no such rows");
            return Err(fault.help("write them as `jsonl`, or keep a field").into());
        }
        if rows.is_empty() {
            bytes.extend(file.finish().map_err(broken)?);
            return Ok(false);
        }
        for fields in &rows {
            file.push(&row(fields)?).map_err(broken)?;
        }
        bytes.extend(file.ready());
        self.file = Some(file);
        Ok(true)
    }

    /// As the same of a program that has Parquet.
    ///
    /// # Errors
    /// Always: see [`possible`].
    #[cfg(not(feature = "parquet"))]
    pub fn write(&mut self, _: &Columns, _: &mut Vec<u8>) -> Result<bool, Fault> {
        possible()?;
        Ok(false)
    }

    /// The next rows, when all have come.
    #[cfg(feature = "parquet")]
    fn next(&mut self) -> Result<Vec<Fields>, Fault> {
        if let Rows::Held(held) = &mut self.rows {
            let held = std::mem::replace(held, Held::new(&[]));
            self.rows = Rows::Sorted(held.sorted().into_iter());
        }
        let mut rows = Vec::new();
        match &mut self.rows {
            Rows::Spooled(spool) => {
                let end = spool.count().min(self.next + AT_ONCE);
                for at in self.next..end {
                    rows.push(spool.get(at)?.fields);
                }
            }
            Rows::Sorted(sorted) => rows.extend(sorted.by_ref().take(AT_ONCE)),
            Rows::Held(_) => {}
        }
        self.next += rows.len();
        Ok(rows)
    }
}

impl Parquet {
    /// A sink into the file `path`; sorted, if there is something to hold records in. Records
    /// wait in `temp`.
    pub fn new(path: &str, picks: Picks, held: Option<Held>, temp: &Path) -> Parquet {
        Parquet {
            path: PathBuf::from(path),
            columns: Columns::named(picks.names()),
            picks,
            body: Body::new(held, temp),
        }
    }
}

/// Parquet's own words could hold the names of columns, at most.
#[cfg(feature = "parquet")]
fn broken(error: parquet::errors::ParquetError) -> Fault {
    Diagnostic::error(format!("these records do not go into Parquet: {error}")).into()
}

impl Sink for Parquet {
    fn path(&self) -> &Path {
        &self.path
    }

    fn record(&mut self, record: &Record, _bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let fields = self.picks.of(record)?;
        let keys = self.body.keys(record)?;
        self.columns.take(&row(&fields)?)?;
        let key = record.key.clone();
        self.body.push(keys, Record { key, fields })
    }

    fn end(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        self.body.write(&self.columns, bytes)
    }
}

#[cfg(all(test, not(feature = "parquet")))]
mod lacking {
    use crate::stages::driver::Stage;

    #[test]
    fn a_program_without_parquet_says_so() {
        let faults = Stage::new("write", "path: x.parquet").check(&[&["a"]]).1;
        assert!(
            faults.len() == 1 && faults[0].contains("built without Parquet"),
            "{faults:?}"
        );
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("x.parquet"), "PAR1").expect("written");
        let faults = Stage::within(dir.path(), "load", "path: x.parquet")
            .check(&[])
            .1;
        assert!(
            faults.len() == 1 && faults[0].contains("built without Parquet"),
            "{faults:?}"
        );
    }
}
