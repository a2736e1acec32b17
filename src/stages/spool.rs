//! Records held back until all have come. Owns where their bytes lie: in memory up to a
//! limit, beyond it in a temporary file; knows nothing of the order in which they are wanted.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::Diagnostic;
use crate::record::{Fields, Record};

use super::contract::Fault;

/// Bytes of records kept in memory.
const LIMIT: usize = 64 * 1024 * 1024;

/// Records by number, from 0. Memory: the limit, and 8 bytes a record.
pub struct Spool {
    dir: PathBuf,
    limit: usize,
    /// Records that came after those in the file, as JSON.
    buffer: Vec<u8>,
    file: Option<File>,
    /// Bytes in the file.
    written: u64,
    /// Where each record ends, counted over file and buffer.
    ends: Vec<u64>,
}

impl Spool {
    /// A spool whose file, if one is needed, lies in `dir`. The file has no name: it goes
    /// when the program ends, however it ends.
    pub fn new(dir: &Path) -> Spool {
        Spool::with_limit(dir, LIMIT)
    }

    fn with_limit(dir: &Path, limit: usize) -> Spool {
        Spool {
            dir: dir.to_owned(),
            limit,
            buffer: Vec::new(),
            file: None,
            written: 0,
            ends: Vec::new(),
        }
    }

    /// How many records there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// Takes a record.
    ///
    /// # Errors
    /// [`Fault::Record`] if it cannot be stored, [`Fault::Stage`] if the disk fails.
    pub fn push(&mut self, record: &Record) -> Result<(), Fault> {
        let start = self.buffer.len();
        if serde_json::to_writer(&mut self.buffer, &(&*record.key, &record.fields)).is_err() {
            self.buffer.truncate(start);
            return Err(Fault::Record(
                "has a value that JSON cannot hold".to_owned(),
            ));
        }
        self.ends.push(self.written + self.buffer.len() as u64);
        if self.buffer.len() > self.limit {
            self.flush().map_err(|error| self.disk(&error))?;
        }
        Ok(())
    }

    /// The record with this number.
    ///
    /// # Errors
    /// [`Fault::Stage`] if the disk fails or there is no such record.
    pub fn get(&self, at: usize) -> Result<Record, Fault> {
        let read = || -> std::io::Result<Record> {
            let gone = || std::io::Error::from(std::io::ErrorKind::NotFound);
            let end = *self.ends.get(at).ok_or_else(gone)?;
            let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
            let mut bytes = Vec::new();
            let slice = match &self.file {
                Some(file) if start < self.written => {
                    bytes.resize((end - start) as usize, 0);
                    file.read_exact_at(&mut bytes, start)?;
                    bytes.as_slice()
                }
                _ => &self.buffer[(start - self.written) as usize..(end - self.written) as usize],
            };
            let (key, fields): (Arc<str>, Fields) = serde_json::from_slice(slice)?;
            Ok(Record { key, fields })
        };
        read().map_err(|error| self.disk(&error))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                std::fs::create_dir_all(&self.dir)?;
                self.file.insert(tempfile::tempfile_in(&self.dir)?)
            }
        };
        file.write_all(&self.buffer)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn disk(&self, error: &std::io::Error) -> Fault {
        // Of the kind only: a parser's words could quote a record.
        let dir = self.dir.display();
        Diagnostic::error(format!("cannot keep records in `{dir}`: {}", error.kind())).into()
    }
}

/// Hands out records of a spool in an order, some at a time.
#[derive(Default)]
pub struct Drain {
    order: Option<std::vec::IntoIter<usize>>,
}

impl Drain {
    /// True once the order is known.
    pub fn started(&self) -> bool {
        self.order.is_some()
    }

    /// Sets the order.
    pub fn start(&mut self, order: Vec<usize>) {
        self.order = Some(order.into_iter());
    }

    /// Emits some records; false when none are left.
    ///
    /// # Errors
    /// As [`Spool::get`].
    pub fn next(&mut self, spool: &Spool, out: &mut Vec<Record>) -> Result<bool, Fault> {
        for at in self.order.iter_mut().flatten().take(32) {
            out.push(spool.get(at)?);
        }
        Ok(self.order.as_ref().is_some_and(|order| order.len() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::driver::record;

    #[test]
    fn records_come_back_from_file_and_memory() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut spool = Spool::with_limit(&dir.path().join("new"), 100);
        let make = |n: usize| {
            record(
                &format!("k{n}"),
                &format!(r#"{{"n":{n},"x":"é\n","f":1.0}}"#),
            )
        };
        for n in 0..50 {
            spool.push(&make(n)).expect("stored");
        }
        assert!(spool.file.is_some());
        for n in (0..50).rev() {
            let back = spool.get(n).expect("there");
            assert_eq!(format!("{back:?}"), format!("{:?}", make(n)));
        }
        assert!(spool.get(50).is_err());
        assert_eq!(spool.count(), 50);
    }
}
