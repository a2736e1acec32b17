//! JSON, byte for byte as Python's `json.dumps` writes it, or compact. Owns separators,
//! escapes and the form of numbers; knows nothing of records.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::ser::{CharEscape, Formatter};

use crate::stages::contract::Fault;

/// What stands between the parts of a JSON value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Separators {
    /// `", "` and `": "`.
    #[default]
    Python,
    /// `","` and `":"`.
    Compact,
}

/// How JSON is written.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Escape all but ASCII.
    pub ascii: bool,
    /// Between parts.
    pub separators: Separators,
    /// Spaces a level is indented by.
    pub indent: Option<usize>,
}

impl Style {
    /// What stands before an element of a list of records.
    pub fn between(&self, first: bool, bytes: &mut Vec<u8>) {
        // Writing into memory does not fail.
        let _ = Python::new(*self, 1).begin(bytes, first);
    }

    /// What stands before the end of a list of records.
    pub fn close(&self, bytes: &mut Vec<u8>) {
        let _ = Python::new(*self, 0).break_line(bytes);
    }
}

/// Appends a value, `level` levels deep.
///
/// # Errors
/// [`Fault::Record`] for values that JSON cannot hold.
pub fn write<T: Serialize>(
    value: &T,
    style: &Style,
    level: usize,
    bytes: &mut Vec<u8>,
) -> Result<(), Fault> {
    let formatter = Python::new(*style, level);
    let mut serializer = serde_json::Serializer::with_formatter(bytes, formatter);
    value
        .serialize(&mut serializer)
        .map_err(|_| Fault::Record("has a value that JSON cannot hold".to_owned()))
}

struct Python {
    style: Style,
    level: usize,
    /// The innermost list or map has something in it.
    filled: bool,
}

impl Python {
    fn new(style: Style, level: usize) -> Python {
        Python {
            style,
            level,
            filled: false,
        }
    }

    fn break_line<W: ?Sized + Write>(&self, w: &mut W) -> io::Result<()> {
        match self.style.indent {
            Some(indent) => write!(w, "\n{:width$}", "", width = indent * self.level),
            None => Ok(()),
        }
    }

    /// Before an element.
    fn begin<W: ?Sized + Write>(&self, w: &mut W, first: bool) -> io::Result<()> {
        if !first {
            w.write_all(match (self.style.separators, self.style.indent) {
                (Separators::Python, None) => b", ",
                _ => b",",
            })?;
        }
        self.break_line(w)
    }

    fn open<W: ?Sized + Write>(&mut self, w: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level += 1;
        self.filled = false;
        w.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, w: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.level -= 1;
        if self.filled {
            self.break_line(w)?;
        }
        self.filled = true;
        w.write_all(bracket)
    }
}

impl Formatter for Python {
    fn write_f64<W: ?Sized + Write>(&mut self, w: &mut W, value: f64) -> io::Result<()> {
        w.write_all(repr(value).as_bytes())
    }

    fn write_f32<W: ?Sized + Write>(&mut self, w: &mut W, value: f32) -> io::Result<()> {
        self.write_f64(w, value.into())
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !self.style.ascii || fragment.bytes().all(|b| b.is_ascii() && b != 0x7f) {
            return w.write_all(fragment.as_bytes());
        }
        let mut units = [0; 2];
        for c in fragment.chars() {
            if c.is_ascii() && c != '\x7f' {
                w.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut units) {
                    write!(w, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        w: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(w, "\\u{byte:04x}"),
            CharEscape::Quote => w.write_all(b"\\\""),
            CharEscape::ReverseSolidus => w.write_all(b"\\\\"),
            CharEscape::Solidus => w.write_all(b"/"),
            CharEscape::Backspace => w.write_all(b"\\b"),
            CharEscape::FormFeed => w.write_all(b"\\f"),
            CharEscape::LineFeed => w.write_all(b"\\n"),
            CharEscape::CarriageReturn => w.write_all(b"\\r"),
            CharEscape::Tab => w.write_all(b"\\t"),
        }
    }

    fn begin_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.open(w, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.close(w, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.begin(w, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _w: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }

    fn begin_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.open(w, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        self.close(w, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, w: &mut W, first: bool) -> io::Result<()> {
        self.begin(w, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, w: &mut W) -> io::Result<()> {
        w.write_all(match self.style.separators {
            Separators::Python => b": ",
            Separators::Compact => b":",
        })
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _w: &mut W) -> io::Result<()> {
        self.filled = true;
        Ok(())
    }
}

/// A float as Python's `repr` writes it: the shortest digits that read back the same, with an
/// exponent (of at least two digits) below 1e-4 and from 1e16 on. Finite numbers only.
fn repr(value: f64) -> String {
    let text = format!("{value:e}");
    let Some((digits, exponent)) = text.split_once('e') else {
        return text;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') {
            plain
        } else {
            plain + ".0"
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &serde_json::Value, style: Style) -> String {
        let mut bytes = Vec::new();
        write(value, &style, 0, &mut bytes).expect("writes");
        String::from_utf8(bytes).expect("UTF-8")
    }

    const PLAIN: Style = Style {
        ascii: false,
        separators: Separators::Python,
        indent: None,
    };

    #[test]
    fn floats_are_pythons() {
        for (value, expected) in [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1.234e300, "1.234e+300"),
            (123456.789, "123456.789"),
        ] {
            assert_eq!(repr(value), expected);
        }
    }

    #[test]
    fn escapes_are_pythons() {
        let value = serde_json::json!({"é": ["\u{1f600}\u{7f}\u{1}\n\"", {}, []]});
        let ascii = Style {
            ascii: true,
            ..PLAIN
        };
        assert_eq!(
            text(&value, ascii),
            r#"{"\u00e9": ["\ud83d\ude00\u007f\u0001\n\"", {}, []]}"#
        );
        assert_eq!(
            text(&value, PLAIN),
            "{\"é\": [\"\u{1f600}\u{7f}\\u0001\\n\\\"\", {}, []]}"
        );
        let compact = Style {
            separators: Separators::Compact,
            ..PLAIN
        };
        assert_eq!(
            text(&serde_json::json!({"a": [1, 2]}), compact),
            r#"{"a":[1,2]}"#
        );
    }

    #[test]
    fn indents_are_pythons() {
        let indent = Style {
            indent: Some(2),
            ..PLAIN
        };
        let value = serde_json::json!({"a": [1, {"b": []}], "c": {}});
        assert_eq!(
            text(&value, indent),
            "{\n  \"a\": [\n    1,\n    {\n      \"b\": []\n    }\n  ],\n  \"c\": {}\n}"
        );
    }
}
