//! The sink of tables that people read. Owns the order of rows; `grid` decides what is in the
//! cells, and one file each how a format lays them out.

mod grid;
mod latex;
pub mod look;
mod markdown;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

use super::Format;
use super::held::Held;
use super::pick::Picks;
use crate::record::Record;
use crate::stages::contract::{Fault, Sink};
use grid::Grid;
use look::Look;

/// Writes a table, once all records are there.
pub struct Table {
    path: PathBuf,
    format: Format,
    picks: Picks,
    held: Held,
    look: Look,
}

impl Table {
    /// A sink into the file `path`.
    pub fn new(path: &str, format: Format, picks: Picks, held: Held, look: Look) -> Table {
        Table {
            path: PathBuf::from(path),
            format,
            picks,
            held,
            look,
        }
    }
}

impl Sink for Table {
    fn path(&self) -> &Path {
        &self.path
    }

    fn record(&mut self, record: &Record, _bytes: &mut Vec<u8>) -> Result<(), Fault> {
        let keys = self.held.keys(record)?;
        let fields = self.picks.of(record)?;
        self.held.push(keys, fields);
        Ok(())
    }

    fn end(&mut self, bytes: &mut Vec<u8>) -> Result<bool, Fault> {
        let rows = std::mem::replace(&mut self.held, Held::new(&[])).sorted();
        let grid = Grid::new(&rows, self.picks.names(), &self.look);
        let text = match self.format {
            Format::Md => markdown::render(&grid),
            Format::Tex => latex::render(&grid),
            _ => text::render(&grid),
        };
        bytes.extend_from_slice(text.as_bytes());
        Ok(false)
    }
}
