//! Rows of UMLS's Rich Release Format: fields that each end in `|`, one row a line, UTF-8, plain
//! or gzipped. Owns how a file is read, and what is said of one that is something else. Messages
//! name files, lines and fields, never content: a wrong file may hold anything.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::diag::Diagnostic;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;

/// A kind of file, by how its rows look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Names of concepts.
    Mrconso,
    /// Semantic types of concepts.
    Mrsty,
}

impl Kind {
    /// What the file is called in a release.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Mrconso => "MRCONSO.RRF",
            Kind::Mrsty => "MRSTY.RRF",
        }
    }

    /// How many fields its rows have: at least, and at most.
    fn fields(self) -> (usize, usize) {
        match self {
            Kind::Mrconso => (18, 18),
            Kind::Mrsty => (4, 6),
        }
    }

    fn about(self) -> &'static str {
        match self {
            Kind::Mrconso => "its rows have 18 fields that each end in `|`, the first a CUI",
            Kind::Mrsty => {
                "its rows have 6 fields that each end in `|`, the first a CUI, the second a \
                 semantic type"
            }
        }
    }
}

/// The rows of a file, one after the other.
pub struct Rows<'a> {
    path: &'a Path,
    kind: Kind,
    reader: Box<dyn BufRead>,
    /// Counted from 1.
    line: u64,
    row: Vec<u8>,
    fields: Vec<Range<usize>>,
}

impl<'a> Rows<'a> {
    /// Opens a file.
    ///
    /// # Errors
    /// It cannot be read, or is no such file.
    pub fn open(path: &'a Path, kind: Kind) -> Result<Rows<'a>, Diagnostic> {
        let failed =
            |e: io::Error| Diagnostic::error(format!("cannot read `{}`: {e}", path.display()));
        let file = File::open(path).map_err(failed)?;
        let mut file = BufReader::with_capacity(BUFFER, file);
        let start = file.fill_buf().map_err(failed)?;
        let reader: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            let plain = MultiGzDecoder::new(file);
            Box::new(BufReader::with_capacity(BUFFER, plain))
        } else if start.starts_with(b"PK\x03\x04") {
            let what = format!("`{}` is a zip archive", path.display());
            return Err(Diagnostic::error(what).help(format!("unpack `{}` first", kind.name())));
        } else {
            Box::new(file)
        };
        Ok(Rows {
            path,
            kind,
            reader,
            line: 0,
            row: Vec::new(),
            fields: Vec::new(),
        })
    }

    /// Goes to the next row; false when there is none.
    ///
    /// # Errors
    /// The file cannot be read on, or the row is not one of this kind of file.
    pub fn advance(&mut self) -> Result<bool, Diagnostic> {
        self.row.clear();
        let read = self.reader.read_until(b'\n', &mut self.row);
        if read.map_err(|e| self.io(&e))? == 0 {
            return match self.line {
                0 => Err(self.no_such_file("it is empty")),
                _ => Ok(false),
            };
        }
        self.line += 1;
        while self.row.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            self.row.pop();
        }
        self.fields.clear();
        let mut start = 0;
        for end in memchr::memchr_iter(b'|', &self.row) {
            self.fields.push(start..end);
            start = end + 1;
        }
        if start < self.row.len() {
            self.fields.push(start..self.row.len());
        }
        let (least, most) = self.kind.fields();
        if !(least..=most).contains(&self.fields.len()) {
            return Err(self.wrong_count());
        }
        if let Err(error) = std::str::from_utf8(&self.row) {
            let byte = self.row.get(error.valid_up_to()).copied().unwrap_or(0);
            let field = 1 + memchr::memchr_iter(b'|', &self.row[..error.valid_up_to()]).count();
            return Err(self
                .say(format!("byte 0x{byte:02x} in field {field} is not UTF-8"))
                .help("UMLS releases are UTF-8: has the file been converted?"));
        }
        Ok(true)
    }

    /// How many rows there were so far.
    pub fn count(&self) -> u64 {
        self.line
    }

    /// A field of the row, counted from 0; empty if there is none.
    pub fn get(&self, field: usize) -> &str {
        let range = self.fields.get(field).cloned();
        let bytes = range.and_then(|range| self.row.get(range)).unwrap_or(b"");
        std::str::from_utf8(bytes).unwrap_or("")
    }

    /// The number of the CUI in the first field: `C0000039` is 39.
    ///
    /// # Errors
    /// It is none.
    pub fn cui(&self) -> Result<u32, Diagnostic> {
        let digits = self.get(0).strip_prefix('C');
        let digits = digits.filter(|d| d.len() == 7 && d.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        number.ok_or_else(|| match self.line {
            1 => self.no_such_file("its first field is no CUI such as `C0000039`"),
            _ => self.say("field 1 is no CUI such as `C0000039`".to_owned()),
        })
    }

    /// A fault of this row.
    pub fn say(&self, what: String) -> Diagnostic {
        let place = format!("`{}`, line {}", self.path.display(), self.line);
        Diagnostic::error(format!("{place}: {what}"))
    }

    fn wrong_count(&mut self) -> Diagnostic {
        let count = self.fields.len();
        if self.line > 1 {
            let last = self.reader.fill_buf().is_ok_and(<[u8]>::is_empty);
            let (least, _) = self.kind.fields();
            let fault = self.say(format!("{count} fields instead of {least}"));
            return match last {
                true => fault.help("it is the last line: the file seems cut off"),
                false => fault.help("is it the file as it was released?"),
            };
        }
        let second = self.get(1);
        let looks = match (self.kind, count) {
            (Kind::Mrconso, 4..=6) if super::types::number(second).is_some() => {
                Some("it looks like MRSTY.RRF")
            }
            (Kind::Mrsty, 18) => Some("it looks like MRCONSO.RRF"),
            (_, 1) if self.row.contains(&b',') => Some("it looks like CSV"),
            _ => None,
        };
        let what = match count {
            1 => "its first line has 1 field".to_owned(),
            count => format!("its first line has {count} fields"),
        };
        let fault = self.no_such_file(&what);
        match looks {
            Some(looks) => fault.help(looks),
            None => fault,
        }
    }

    /// Not even the first row is right.
    fn no_such_file(&self, why: &str) -> Diagnostic {
        let (name, path) = (self.kind.name(), self.path.display());
        Diagnostic::error(format!("`{path}` is not UMLS's `{name}`: {why}")).note(self.kind.about())
    }

    fn io(&self, error: &io::Error) -> Diagnostic {
        let place = format!("`{}`, after line {}", self.path.display(), self.line);
        match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                Diagnostic::error(format!("{place}: the compressed data ends too early"))
                    .help("the file seems cut off: fetch it again")
            }
            _ => Diagnostic::error(format!("{place}: {error}")),
        }
    }
}
