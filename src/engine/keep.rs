//! What a stage leaves behind: its artifact, its output file, and its failures. Owns the form
//! of artifacts and of the errors file; knows nothing of scheduling.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::board::Kind;
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::record::{Fields, Record};
use crate::store::{ArtifactReader, ArtifactWriter, Store, StoreError};

/// A record as a line of an artifact.
#[derive(Serialize)]
struct LineOut<'a> {
    k: &'a str,
    r: &'a Fields,
}

#[derive(Deserialize)]
struct LineIn {
    k: String,
    r: Fields,
}

/// Writes the records of a stage into the cache as they come.
pub struct Artifact {
    writer: ArtifactWriter,
    line: Vec<u8>,
    rows: u64,
}

impl Artifact {
    /// Begins an artifact.
    ///
    /// # Errors
    /// As [`Store::artifact_writer`].
    pub fn begin(store: &Store) -> Result<Artifact, StoreError> {
        Ok(Artifact {
            writer: store.artifact_writer()?,
            line: Vec::new(),
            rows: 0,
        })
    }

    /// Adds records.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn add(&mut self, records: &[Record]) -> Result<(), StoreError> {
        for record in records {
            self.line.clear();
            let line = LineOut {
                k: &record.key,
                r: &record.fields,
            };
            // Into memory, and of values that came from JSON or an expression.
            let _ = serde_json::to_writer(&mut self.line, &line);
            self.line.push(b'\n');
            self.writer.write(&self.line)?;
            self.rows += 1;
        }
        Ok(())
    }

    /// Ends the artifact: its content's hash, and the number of its records.
    ///
    /// # Errors
    /// The cache cannot be written.
    pub fn finish(self) -> Result<(Hash, u64), StoreError> {
        Ok((self.writer.finish()?, self.rows))
    }
}

/// Reads the records of an artifact.
pub struct ArtifactRecords {
    lines: BufReader<ArtifactReader>,
    line: String,
}

impl ArtifactRecords {
    /// Opens an artifact; `None` if it is not there.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(store: &Store, content: Hash) -> Result<Option<ArtifactRecords>, StoreError> {
        Ok(store.read_artifact(content)?.map(|reader| ArtifactRecords {
            lines: BufReader::with_capacity(1 << 16, reader),
            line: String::new(),
        }))
    }

    /// The next record; none at the end.
    fn read(&mut self) -> io::Result<Option<Record>> {
        self.line.clear();
        if self.lines.read_line(&mut self.line)? == 0 {
            return Ok(None);
        }
        let line: LineIn = serde_json::from_str(&self.line)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a record"))?;
        Ok(Some(Record {
            key: line.k.into(),
            fields: line.r,
        }))
    }
}

/// Record by record; an error is that the artifact is damaged.
impl Iterator for ArtifactRecords {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<io::Result<Record>> {
        self.read().transpose()
    }
}

/// An output file, written beside its place and moved there when it is whole.
pub struct OutFile {
    path: PathBuf,
    temp: PathBuf,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl OutFile {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(path: &Path) -> Result<OutFile, Diagnostic> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let temp = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let made = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| File::create(&temp));
        let file = made.map_err(|error| unwritable(path, &error))?;
        Ok(OutFile {
            path: path.to_owned(),
            temp,
            file: BufWriter::with_capacity(1 << 16, file),
            hasher: blake3::Hasher::new(),
            bytes: 0,
        })
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Diagnostic> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|error| unwritable(&self.path, &error))
    }

    /// Moves the file to its place: the hash of its bytes, and their number.
    ///
    /// # Errors
    /// It cannot be written or moved.
    pub fn finish(mut self) -> Result<(Hash, u64), Diagnostic> {
        let done = self
            .file
            .flush()
            .and_then(|()| self.file.get_ref().sync_data())
            .and_then(|()| fs::rename(&self.temp, &self.path));
        done.map_err(|error| unwritable(&self.path, &error))?;
        Ok((Hash(*self.hasher.finalize().as_bytes()), self.bytes))
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        // Gone already if it was finished.
        let _ = fs::remove_file(&self.temp);
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Diagnostic {
    let why = if error.kind() == io::ErrorKind::StorageFull {
        "no space left on device".to_owned()
    } else {
        error.to_string()
    };
    Diagnostic::error(format!("cannot write `{}`: {why}", path.display()))
}

/// One failed record, as a line of the errors file. Holds no content of the record.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Failure {
    /// The stage.
    pub stage: String,
    /// The record's key.
    pub key: String,
    /// What failed.
    #[serde(default)]
    pub kind: Kind,
    /// Why, in one line.
    pub why: String,
}

/// The failures of a run, in the order in which they happened.
#[derive(Debug, Default)]
pub struct Failures(Mutex<Vec<Failure>>);

impl Failures {
    /// Adds one.
    pub fn add(&self, failure: Failure) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(failure);
    }

    /// All of them.
    pub fn take(&self) -> Vec<Failure> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Removes a file of an earlier run, if there is one.
///
/// # Errors
/// It cannot be removed.
pub fn remove(path: &Path) -> Result<(), Diagnostic> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

/// Writes the errors file, or removes that of an earlier run if there are no failures.
///
/// # Errors
/// It cannot be written.
pub fn write_failures(path: &Path, failures: &[Failure]) -> Result<(), Diagnostic> {
    if failures.is_empty() {
        return remove(path);
    }
    let mut file = OutFile::create(path)?;
    for failure in failures {
        let mut line = serde_json::to_vec(failure).unwrap_or_default();
        line.push(b'\n');
        file.write(&line)?;
    }
    file.finish().map(|_| ())
}
