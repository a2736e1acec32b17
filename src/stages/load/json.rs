//! Cuts a JSON file into the values that become records, without holding all of it. Owns
//! where a value begins and ends; leaves what is inside to the JSON parser.

use std::io::{self, BufRead};

/// What a JSON file turned out to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Nothing was read yet.
    Unknown,
    /// One array: its elements.
    Array,
    /// Values one after another, as in JSON lines.
    Sequence,
    /// The end was reached.
    End,
}

/// The values of a JSON file: elements of an array, or values one after another.
pub struct Values<R> {
    input: R,
    layout: Layout,
    /// Bytes of line breaks so far, plus one.
    pub line: u64,
}

impl<R: BufRead> Values<R> {
    /// Reads values from `input`.
    pub fn new(input: R) -> Values<R> {
        Values {
            input,
            layout: Layout::Unknown,
            line: 1,
        }
    }

    /// Puts the next value's bytes into `value`; false at the end.
    ///
    /// # Errors
    /// When the file cannot be read; [`io::ErrorKind::InvalidData`] when commas or brackets
    /// are not where they belong.
    pub fn next(&mut self, value: &mut Vec<u8>) -> io::Result<bool> {
        value.clear();
        let mut first = self.peek()?;
        match self.layout {
            Layout::End => {}
            Layout::Unknown if first == Some(b'[') => {
                self.layout = Layout::Array;
                self.input.consume(1);
                first = self.peek()?;
                if first == Some(b']') {
                    return self.close();
                }
            }
            Layout::Unknown => self.layout = Layout::Sequence,
            Layout::Sequence => {}
            Layout::Array => match first {
                Some(b',') => {
                    self.input.consume(1);
                    first = self.peek()?;
                }
                Some(b']') => return self.close(),
                _ => return Err(invalid("expected `,` or `]`")),
            },
        }
        match (first, self.layout) {
            (None, Layout::Array) => Err(invalid("the array is not closed")),
            (None, _) => Ok(false),
            (Some(_), Layout::End) => Err(invalid("there is more after the array")),
            (Some(_), _) => self.copy(value).map(|()| true),
        }
    }

    /// True when nothing but white space follows.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.peek()?.is_none())
    }

    /// True when the values come one after another, not in an array.
    pub fn is_sequence(&self) -> bool {
        self.layout == Layout::Sequence
    }

    fn close(&mut self) -> io::Result<bool> {
        self.input.consume(1);
        self.layout = Layout::End;
        match self.peek()? {
            None => Ok(false),
            Some(_) => Err(invalid("there is more after the array")),
        }
    }

    /// The next byte that is not white space, not yet consumed.
    fn peek(&mut self) -> io::Result<Option<u8>> {
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let space = chunk.iter().take_while(|b| b.is_ascii_whitespace()).count();
            let found = chunk.get(space).copied();
            self.line += chunk[..space].iter().filter(|b| **b == b'\n').count() as u64;
            self.input.consume(space);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Copies one value: up to its closing bracket, or for a bare one to what must follow it.
    fn copy(&mut self, value: &mut Vec<u8>) -> io::Result<()> {
        let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let mut end = None;
            for (at, &byte) in chunk.iter().enumerate() {
                self.line += u64::from(byte == b'\n');
                if in_string {
                    in_string = escaped || byte != b'"';
                    escaped = !escaped && byte == b'\\';
                    if !in_string && depth == 0 {
                        end = Some(at + 1);
                    }
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' if depth > 1 => depth -= 1,
                        b'}' | b']' if depth == 1 => end = Some(at + 1),
                        b'}' | b']' | b',' if depth == 0 => end = Some(at),
                        _ if depth == 0 && byte.is_ascii_whitespace() => end = Some(at),
                        _ => {}
                    }
                }
                if end.is_some() {
                    break;
                }
            }
            let used = end.unwrap_or(chunk.len());
            value.extend_from_slice(&chunk[..used]);
            self.input.consume(used);
            if end.is_some() {
                if value.is_empty() {
                    return Err(invalid("expected a value"));
                }
                return Ok(());
            }
        }
    }
}

fn invalid(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    fn values(text: &str, chunk: usize) -> io::Result<Vec<String>> {
        let mut values = Values::new(BufReader::with_capacity(chunk, text.as_bytes()));
        let (mut value, mut all) = (Vec::new(), Vec::new());
        while values.next(&mut value)? {
            all.push(String::from_utf8_lossy(&value).into_owned());
        }
        Ok(all)
    }

    #[test]
    fn arrays_and_sequences() {
        for chunk in [1, 2, 7, 1000] {
            let array = r#" [ {"a":"]}\"\\"} , [1,[2]] ,3, "x" ] "#;
            let expected = [r#"{"a":"]}\"\\"}"#, "[1,[2]]", "3", r#""x""#];
            assert_eq!(values(array, chunk).expect("fine"), expected);
            let lines = "{\"a\":1}\n{\"a\":2}\n";
            assert_eq!(
                values(lines, chunk).expect("fine"),
                [r#"{"a":1}"#, r#"{"a":2}"#]
            );
            assert_eq!(values("[]", chunk).expect("fine"), [""; 0]);
            assert_eq!(values("", chunk).expect("fine"), [""; 0]);
        }
    }

    #[test]
    fn broken_arrays_are_errors() {
        for text in ["[1", "[1 2]", "[1] 2", "[,]", "[1,", "]"] {
            assert!(values(text, 2).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics_or_hangs(text in "[\\[\\]{},\"\\\\ 1a\n]{0,40}") {
            let _ = values(&text, 3);
        }
    }
}
