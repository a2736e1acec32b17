//! Rows of UMLS's Rich Release Format: fields that each end in `|`, one row a line, UTF-8, plain
//! or gzipped. Owns how a file is read, and what is said of one that is something else. Messages
//! name files, lines and fields, never content: a wrong file may hold anything.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::diag::Diagnostic;

/// Bytes that are read at once.
const BUFFER: usize = 1 << 20;
/// The most bytes that a row may have: far more than any of UMLS's has, and little enough to hold
/// on to whatever file it is.
const MOST_ROW: usize = 1 << 20;

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

    /// The same for people.
    fn count(self) -> String {
        match self.fields() {
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    }

    fn about(self) -> String {
        let more = match self {
            Kind::Mrconso => "",
            Kind::Mrsty => ", the second a semantic type",
        };
        let count = self.count();
        format!("its rows have {count} fields that each end in `|`, the first a CUI{more}")
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
        // One more, for the end of the row.
        let most = self.reader.by_ref().take(MOST_ROW as u64 + 1);
        let read = { most }.read_until(b'\n', &mut self.row);
        if read.map_err(|e| self.io(&e))? == 0 {
            return match self.line {
                0 => Err(self.no_such_file("it is empty")),
                _ => Ok(false),
            };
        }
        self.line += 1;
        if self.row.len() > MOST_ROW && self.row.last() != Some(&b'\n') {
            return Err(match self.line {
                1 => self.no_such_file("its first line is longer than 1 MiB"),
                _ => self
                    .say("longer than 1 MiB".to_owned())
                    .help("is it the file as it was released?"),
            });
        }
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
            let wanted = self.kind.count();
            let fault = self.say(format!("{count} fields instead of {wanted}"));
            let short = count < self.kind.fields().0;
            return match last && short {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of so many bytes, with its end.
    fn row(bytes: usize) -> String {
        let row = "C0000001|T047|X|NAME|\n";
        row.replace("NAME", &"a".repeat(bytes - row.len() + "NAME".len()))
    }

    /// Reads all rows.
    fn read(text: &str) -> Result<u64, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x");
        std::fs::write(&path, text).expect("written");
        let mut rows = Rows::open(&path, Kind::Mrsty).map_err(|fault| fault.message)?;
        while rows.advance().map_err(|fault| fault.message)? {}
        Ok(rows.count())
    }

    #[test]
    fn rows_without_an_end_are_not_read_into_memory() {
        let most = row(MOST_ROW + 1);
        assert_eq!(read(&(most.clone() + &row(30) + &most)), Ok(3));
        assert_eq!(read(&(row(30) + most.trim_end())), Ok(2));
        for more in [2, 3, MOST_ROW, 3 * MOST_ROW] {
            let long = row(MOST_ROW + more);
            for end in ["\n", ""] {
                let long = format!("{}{end}", long.trim_end());
                let told = read(&(row(30) + &long)).expect_err("too long");
                assert!(told.ends_with("line 2: longer than 1 MiB"), "{told}");
                let told = read(&long).expect_err("too long");
                assert!(
                    told.ends_with("its first line is longer than 1 MiB"),
                    "{told}"
                );
            }
        }
    }
}
