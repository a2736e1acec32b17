//! The dictionary's file: how it is laid out, written and read. Knows tables of bytes, not what
//! is in them.
//!
//! | part | bytes |
//! |---|---|
//! | magic | `clueUMLS` |
//! | format | u32 |
//! | tables | one after the other |
//! | head | JSON: what the dictionary is, the tables' lengths, and the BLAKE3 of all before it |
//! | end | BLAKE3 of the head, the head's length as u32, `endUMLS.` |
//!
//! Numbers are little-endian. The end tells a file that was cut off, the head's hash lets a
//! glance trust the head, and the other hash is checked when the tables are read.

use std::fs::{File, Permissions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::diag::Diagnostic;
use crate::hash::Hash;

const MAGIC: &[u8; 8] = b"clueUMLS";
const END: &[u8; 8] = b"endUMLS.";
/// The format that this program writes, and the only one that it reads. It changes with the
/// layout, and with the plain form of words.
const FORMAT: u32 = 1;
/// Bytes before the tables.
const BEFORE: u64 = 12;
/// Bytes after the head.
const AFTER: u64 = 44;
/// How many tables there are.
pub const TABLES: usize = 7;

/// What a dictionary is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The language of its names, such as `ENG`.
    pub language: String,
    /// The sources that names were taken from; empty for all.
    pub sources: Vec<String>,
    /// The semantic types that its concepts were chosen by; empty for all.
    pub chosen: Vec<String>,
    /// The semantic types of its concepts; empty if it was built without.
    pub types: Vec<String>,
    /// Whether names that UMLS marks as suppressible were taken.
    pub suppressed: bool,
    /// How many names there are, each counted once.
    pub names: u64,
    /// How many concepts there are.
    pub concepts: u64,
    /// The tables' lengths in bytes.
    pub tables: Vec<u64>,
    /// The BLAKE3 of everything before the head.
    pub hash: Hash,
}

/// The folder that a file is in.
pub fn folder(path: &Path) -> &Path {
    let folder = path.parent();
    let named = folder.filter(|folder| !folder.as_os_str().is_empty());
    named.unwrap_or(Path::new("."))
}

/// Writes a dictionary beside its place, and puts it there at the end.
pub struct Writer {
    file: BufWriter<tempfile::NamedTempFile>,
    hasher: blake3::Hasher,
    written: u64,
    tables: Vec<u64>,
}

impl Writer {
    /// Begins a file in the folder of `path`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(path: &Path) -> io::Result<Writer> {
        let file = tempfile::Builder::new()
            .prefix(".umls-")
            // As other files get them: the user's mask decides.
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder(path))?;
        let mut writer = Writer {
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: blake3::Hasher::new(),
            written: 0,
            tables: Vec::new(),
        };
        writer.write_all(MAGIC)?;
        writer.write_all(&FORMAT.to_le_bytes())?;
        Ok(writer)
    }

    /// Ends a table: what was written since the last.
    pub fn end_table(&mut self) {
        let before: u64 = self.tables.iter().sum();
        self.tables.push(self.written - BEFORE - before);
    }

    /// Puts the file in its place; its size in bytes. Of the head, the tables and the hash are
    /// filled in.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self, path: &Path, head: Head) -> io::Result<u64> {
        let head = Head {
            tables: self.tables.clone(),
            hash: Hash(*self.hasher.finalize().as_bytes()),
            ..head
        };
        let head = serde_json::to_vec(&head)?;
        let length = u32::try_from(head.len()).map_err(io::Error::other)?;
        self.write_all(&head)?;
        self.write_all(&Hash::of_bytes(&head).0)?;
        self.write_all(&length.to_le_bytes())?;
        self.write_all(END)?;
        let written = self.written;
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|e| e.error)?;
        Ok(written)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What is wrong with a file that should be a dictionary.
fn no_dictionary(path: &Path, why: &str) -> Diagnostic {
    Diagnostic::error(format!("`{}` {why}", path.display()))
}

/// Opens a dictionary and reads its head: a glance, whatever its size.
///
/// # Errors
/// It is missing, no dictionary, of another format, cut off, or its head is damaged.
pub fn open(path: &Path) -> Result<(File, Head), Diagnostic> {
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => no_dictionary(path, "does not exist").help(BUILD),
        _ => no_dictionary(path, &format!("cannot be read: {error}")),
    })?;
    let head = head(&mut file).map_err(|wrong| match wrong {
        Wrong::Io(error) => no_dictionary(path, &format!("cannot be read: {error}")),
        Wrong::Other => no_dictionary(path, "is no dictionary of `clue umls build`").help(BUILD),
        Wrong::Format(format) => no_dictionary(
            path,
            &format!("has format {format}, and this program reads format {FORMAT}"),
        )
        .help(match format > FORMAT {
            true => "use the newer `clue` that built it, or build it again with this one",
            false => "build it again with `clue umls build`",
        }),
        Wrong::CutOff => no_dictionary(path, "has no end: it is cut off").help(AGAIN),
        Wrong::Damaged => damaged(path),
    })?;
    Ok((file, head))
}

/// True if a file begins as a dictionary does.
pub fn is_dictionary(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *MAGIC
}

/// How to get one.
pub const BUILD: &str = "build one from your UMLS release: `clue umls build META --out umls.dict`";
const AGAIN: &str = "copy it again, or build it again with `clue umls build`";

/// A dictionary in which a byte has changed.
pub fn damaged(path: &Path) -> Diagnostic {
    no_dictionary(path, "is damaged: its content is not what was written").help(AGAIN)
}

enum Wrong {
    Io(io::Error),
    Other,
    Format(u32),
    CutOff,
    Damaged,
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Wrong {
        Wrong::Io(error)
    }
}

fn head(file: &mut File) -> Result<Head, Wrong> {
    let whole = file.metadata()?.len();
    let mut start = Vec::new();
    Read::by_ref(file).take(BEFORE).read_to_end(&mut start)?;
    let Some((magic, format)) = start.split_first_chunk::<8>() else {
        return Err(if MAGIC.starts_with(&start) && !start.is_empty() {
            Wrong::CutOff
        } else {
            Wrong::Other
        });
    };
    if magic != MAGIC {
        return Err(Wrong::Other);
    }
    let format = format.first_chunk().ok_or(Wrong::CutOff)?;
    let format = u32::from_le_bytes(*format);
    if format != FORMAT {
        return Err(Wrong::Format(format));
    }
    let end = whole.checked_sub(AFTER).filter(|end| *end >= BEFORE);
    let end = end.ok_or(Wrong::CutOff)?;
    let mut after = [0; AFTER as usize];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut after)?;
    let (hash, rest) = after.split_at(32);
    let (length, mark) = rest.split_at(4);
    if mark != END {
        return Err(Wrong::CutOff);
    }
    let length = length.iter().rev();
    let length = length.fold(0, |length, byte| length << 8 | u64::from(*byte));
    let at = end.checked_sub(length).filter(|at| *at >= BEFORE);
    let at = at.ok_or(Wrong::Damaged)?;
    file.seek(SeekFrom::Start(at))?;
    let mut json = Vec::new();
    Read::by_ref(file).take(length).read_to_end(&mut json)?;
    if Hash::of_bytes(&json).0 != *hash {
        return Err(Wrong::Damaged);
    }
    let head: Head = serde_json::from_slice(&json).map_err(|_| Wrong::Damaged)?;
    let sum = head
        .tables
        .iter()
        .try_fold(BEFORE, |sum, n| sum.checked_add(*n));
    if head.tables.len() != TABLES || sum != Some(at) {
        return Err(Wrong::Damaged);
    }
    Ok(head)
}

/// Reads the tables, and checks every byte of them.
///
/// # Errors
/// They cannot be read, or a byte has changed.
pub fn tables(path: &Path, mut file: File, head: &Head) -> Result<Vec<Vec<u8>>, Diagnostic> {
    let failed = |e: io::Error| no_dictionary(path, &format!("cannot be read: {e}"));
    let mut hasher = blake3::Hasher::new();
    hasher.update(MAGIC);
    hasher.update(&FORMAT.to_le_bytes());
    file.seek(SeekFrom::Start(BEFORE)).map_err(failed)?;
    let mut tables = Vec::with_capacity(TABLES);
    for length in &head.tables {
        let mut table = Vec::with_capacity(usize::try_from(*length).unwrap_or(0));
        let part = Read::by_ref(&mut file).take(*length);
        { part }.read_to_end(&mut table).map_err(failed)?;
        hasher.update(&table);
        tables.push(table);
    }
    if *hasher.finalize().as_bytes() != head.hash.0 {
        return Err(damaged(path));
    }
    Ok(tables)
}
