//! Splits CSV bytes into rows, as fast as memory can be searched. Owns quoting and line
//! counting; knows nothing of columns, text encodings or records.
//!
//! Why not a CSV crate: those that stream go byte by byte, and accept a file that ends inside
//! a quoted field without a word. Reads what CPython's `csv` reads: quotes inside an
//! unquoted field are text, text after a closing quote is appended, blank lines are skipped.

use std::io::{self, BufRead};

use memchr::{memchr, memchr_iter, memchr3};

/// One row: the bytes of its fields, without quotes.
#[derive(Debug, Default)]
pub struct Row {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The line on which it begins, from 1; of a sheet, its row there.
    pub line: u64,
}

impl Row {
    /// Empties it, for the row that begins on `line`.
    pub fn begin(&mut self, line: u64) {
        self.bytes.clear();
        self.ends.clear();
        self.line = line;
    }

    /// Adds a field.
    pub fn push(&mut self, field: &[u8]) {
        self.bytes.extend_from_slice(field);
        self.ends.push(self.bytes.len());
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The bytes of a field; empty if there is no such field.
    pub fn field(&self, at: usize) -> &[u8] {
        let Some(&end) = self.ends.get(at) else {
            return &[];
        };
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }
}

/// Why there is no next row.
#[derive(Debug)]
pub enum RowError {
    /// The file cannot be read.
    Io(io::Error),
    /// A quote that opens on this line (from 1) is never closed.
    OpenQuote(u64),
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote inside quotes: the end of the field, or half of a doubled quote.
    AfterQuote,
}

/// The rows of a CSV file.
pub struct Rows<R> {
    input: R,
    delimiter: u8,
    line: u64,
    /// The last row ended in `\r`: a `\n` that follows belongs to it.
    skip_newline: bool,
}

impl<R: BufRead> Rows<R> {
    /// Reads rows from `input`, whose fields are separated by `delimiter`.
    pub fn new(input: R, delimiter: u8) -> Rows<R> {
        Rows {
            input,
            delimiter,
            line: 1,
            skip_newline: false,
        }
    }

    /// Lines read so far, and the one being read.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Reads the next row; false at the end.
    ///
    /// # Errors
    /// When the file cannot be read, or ends inside quotes.
    pub fn next(&mut self, row: &mut Row) -> Result<bool, RowError> {
        row.begin(self.line);
        let mut state = State::FieldStart;
        let mut quoted = false;
        let mut opened = 0;
        loop {
            let chunk = match self.input.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(RowError::Io(error)),
            };
            if chunk.is_empty() {
                if state == State::Quoted {
                    return Err(RowError::OpenQuote(opened));
                }
                let blank = row.ends.is_empty() && row.bytes.is_empty() && !quoted;
                if !blank {
                    row.ends.push(row.bytes.len());
                }
                return Ok(!blank);
            }
            let mut at = 0;
            let mut done = false;
            while at < chunk.len() && !done {
                let rest = &chunk[at..];
                match state {
                    State::FieldStart => {
                        if self.skip_newline && row.ends.is_empty() && !quoted {
                            self.skip_newline = false;
                            if rest[0] == b'\n' {
                                at += 1;
                                continue;
                            }
                        }
                        if rest[0] == b'"' {
                            state = State::Quoted;
                            quoted = true;
                            opened = self.line;
                            at += 1;
                        } else {
                            state = State::Plain;
                        }
                    }
                    State::Plain => match memchr3(self.delimiter, b'\n', b'\r', rest) {
                        None => {
                            row.bytes.extend_from_slice(rest);
                            at = chunk.len();
                        }
                        Some(end) => {
                            row.bytes.extend_from_slice(&rest[..end]);
                            at += end + 1;
                            state = State::FieldStart;
                            if rest[end] == self.delimiter {
                                row.ends.push(row.bytes.len());
                            } else {
                                self.line += 1;
                                self.skip_newline = rest[end] == b'\r';
                                if row.ends.is_empty() && row.bytes.is_empty() && !quoted {
                                    row.line = self.line;
                                } else {
                                    row.ends.push(row.bytes.len());
                                    done = true;
                                }
                            }
                        }
                    },
                    State::Quoted => {
                        let end = memchr(b'"', rest).unwrap_or(rest.len());
                        row.bytes.extend_from_slice(&rest[..end]);
                        self.line += memchr_iter(b'\n', &rest[..end]).count() as u64;
                        at += end;
                        if end < rest.len() {
                            state = State::AfterQuote;
                            at += 1;
                        }
                    }
                    State::AfterQuote => {
                        if rest[0] == b'"' {
                            row.bytes.push(b'"');
                            at += 1;
                            state = State::Quoted;
                        } else {
                            state = State::Plain;
                        }
                    }
                }
            }
            self.input.consume(at);
            if done {
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};
    use std::io::BufReader;

    /// Each row's line and fields.
    type All = Vec<(u64, Vec<Vec<u8>>)>;

    fn rows(text: &[u8], chunk: usize) -> Result<All, RowError> {
        let mut rows = Rows::new(BufReader::with_capacity(chunk, text), b',');
        let (mut row, mut all) = (Row::default(), Vec::new());
        while rows.next(&mut row)? {
            let fields = (0..row.len()).map(|at| row.field(at).to_vec()).collect();
            all.push((row.line, fields));
        }
        Ok(all)
    }

    #[test]
    fn lines_quotes_and_blank_lines() {
        let text = b"a,b\r\n\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\rc,d\"e\n\"\"\n";
        let rows = rows(text, 3).expect("fine");
        let lines: Vec<u64> = rows.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3, 5, 6]);
        assert_eq!(rows[1].1, [b"x\r\ny".to_vec(), b"say \"hi\"".to_vec()]);
        assert_eq!(rows[2].1, [b"c".to_vec(), b"d\"e".to_vec()]);
        assert_eq!(rows[3].1, [b"".to_vec()]);
    }

    #[test]
    fn an_open_quote_is_told_with_its_line() {
        let error = rows(b"a,b\n1,\"x\ny\n", 64).expect_err("open");
        assert!(matches!(error, RowError::OpenQuote(2)), "{error:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_a_csv_writer_writes_is_read_back(
            table in proptest::collection::vec(proptest::collection::vec("[a\",\r\n é]{0,6}", 2), 1..6),
            chunk in 1usize..20,
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).expect("writes");
            }
            let bytes = writer.into_inner().expect("flushes");
            let read: Vec<Vec<Vec<u8>>> =
                rows(&bytes, chunk).expect("valid").into_iter().map(|(_, row)| row).collect();
            let table: Vec<Vec<Vec<u8>>> = table
                .into_iter()
                .map(|row| row.into_iter().map(String::into_bytes).collect())
                .collect();
            prop_assert_eq!(read, table);
        }

        #[test]
        fn any_bytes_in_any_chunks_give_the_same_rows(text: Vec<u8>, chunk in 1usize..9) {
            let whole = rows(&text, 1 << 16).map_err(|error| format!("{error:?}"));
            let parts = rows(&text, chunk).map_err(|error| format!("{error:?}"));
            prop_assert_eq!(whole, parts);
        }
    }
}
