//! Ordinary scalars: plain, in quotes, and blocks of text.

use std::borrow::Cow;

use super::super::{Key, Node, NodeValue, whole};
use super::Reader;
use crate::diag::Span;

/// How long a key may be, in bytes: YAML's own limit is 1,024 characters.
const LONGEST_KEY: u32 = 1000;

/// A scalar on one line.
pub(super) struct Scalar<'a> {
    text: Cow<'a, str>,
    plain: bool,
    span: Span,
}

impl Scalar<'_> {
    /// As a value.
    pub(super) fn node(self) -> Option<Node> {
        let value = match self.plain {
            true => plain_value(self.text)?,
            false => NodeValue::Str(self.text.into_owned()),
        };
        let span = self.span;
        Some(Node { span, value })
    }

    /// As a key: text, and no merge.
    pub(super) fn key(self) -> Option<Key> {
        let text = !self.plain || surely_text(&self.text);
        let short = self.span.end - self.span.start <= LONGEST_KEY;
        (text && short && self.text != "<<").then(|| Key {
            name: self.text.into_owned(),
            span: self.span,
        })
    }
}

impl<'a> Reader<'a> {
    /// The scalar that begins here, to its end on this line.
    pub(super) fn scalar(&mut self, in_flow: bool) -> Option<Scalar<'a>> {
        let start = self.at;
        let text = match self.peek()? {
            b'"' => self.double_quoted()?,
            b'\'' => self.single_quoted()?,
            _ => {
                let end = self.plain(in_flow)?;
                return Some(Scalar {
                    text: Cow::Borrowed(&self.text[start..end]),
                    plain: true,
                    span: self.span(start, end),
                });
            }
        };
        Some(Scalar {
            text,
            plain: false,
            span: self.span(start, self.at),
        })
    }

    /// Goes to the end of a plain scalar, which it gives: what follows, behind blanks, is a colon,
    /// a comment, the end of the line, or in a flow collection one of its signs.
    fn plain(&mut self, in_flow: bool) -> Option<usize> {
        let in_flow_sign =
            |byte: Option<&u8>| in_flow && byte.is_some_and(|b| b",[]{}".contains(b));
        let next = self.bytes.get(self.at + 1);
        match self.peek()? {
            b'-' if !self.blank(self.at + 1) && !in_flow_sign(next) => {}
            first if b"-?:,[]{}#&*!|>'\"%@`".contains(&first) => return None,
            _ => {}
        }
        let mut end = self.at;
        while let Some(&byte) = self.bytes.get(self.at) {
            match byte {
                b'\n' => break,
                b'#' if self.at > end => break,
                b':' if self.blank(self.at + 1) => break,
                b':' | b',' | b'[' | b']' | b'{' | b'}' if in_flow => {
                    if byte != b':' || in_flow_sign(self.bytes.get(self.at + 1)) {
                        break;
                    }
                    end = self.at + 1;
                }
                b' ' => {}
                _ => end = self.at + 1,
            }
            self.at += 1;
        }
        // A colon that stands apart from its key.
        let apart = self.peek() == Some(b':') && self.at > end;
        self.at = end;
        (!apart).then_some(end)
    }

    fn single_quoted(&mut self) -> Option<Cow<'a, str>> {
        let start = self.at + 1;
        let rest = &self.bytes[start..];
        let length = memchr::memchr2(b'\'', b'\n', rest)?;
        let doubled = rest.get(length + 1) == Some(&b'\'');
        if rest[length] == b'\n' || doubled {
            return None;
        }
        self.at = start + length + 1;
        Some(Cow::Borrowed(&self.text[start..start + length]))
    }

    fn double_quoted(&mut self) -> Option<Cow<'a, str>> {
        let mut start = self.at + 1;
        let mut text = Cow::Borrowed("");
        loop {
            let length = memchr::memchr3(b'"', b'\\', b'\n', &self.bytes[start..])?;
            let end = start + length;
            let piece = &self.text[start..end];
            if text.is_empty() {
                text = Cow::Borrowed(piece);
            } else {
                text.to_mut().push_str(piece);
            }
            if self.bytes[end] == b'"' {
                self.at = end + 1;
                return Some(text);
            }
            let escaped = match (self.bytes[end], self.bytes.get(end + 1)?) {
                (b'\\', b'n') => '\n',
                (b'\\', b't') => '\t',
                (b'\\', b'"') => '"',
                (b'\\', b'\\') => '\\',
                (b'\\', b'/') => '/',
                _ => return None,
            };
            text.to_mut().push(escaped);
            start = end + 2;
        }
    }

    /// A `|` or `>` block whose lines are indented alike, to the line after it.
    pub(super) fn text_block(&mut self, least: usize) -> Option<Node> {
        let folded = self.peek()? == b'>';
        self.at += 1;
        let strip = self.peek()? == b'-';
        self.at += usize::from(strip);
        self.line_end()?;
        let mut text = String::new();
        let mut indent = None;
        let mut start = 0;
        let mut blank_lines = 0;
        while self.peek().is_some() {
            self.at += 1;
            self.line = self.at;
            self.spaces();
            let column = self.column();
            match (self.peek(), indent) {
                (Some(b'\n'), Some(indent)) if column <= indent => {
                    blank_lines += 1;
                    continue;
                }
                (Some(b'\n'), _) => return None,
                (Some(_), None) if column >= least => {
                    indent = Some(column);
                    start = self.at;
                }
                (_, None) => return None,
                (None, Some(_)) if column > 0 => return None,
                (Some(_), Some(indent)) if column == indent => {
                    match (folded, blank_lines) {
                        (true, 0) => text.push(' '),
                        (true, lines) => text.extend(std::iter::repeat_n('\n', lines)),
                        (false, lines) => text.extend(std::iter::repeat_n('\n', lines + 1)),
                    }
                    blank_lines = 0;
                }
                (Some(_), Some(indent)) if column > indent => return None,
                _ => break,
            }
            let from = self.at;
            self.at = from + memchr::memchr(b'\n', &self.bytes[from..])?;
            text.push_str(&self.text[from..self.at]);
        }
        indent?;
        if !strip {
            text.push('\n');
        }
        let span = self.span(start, self.at);
        self.at = self.line;
        Some(Node {
            span,
            value: NodeValue::Str(text),
        })
    }
}

/// What a plain scalar means.
fn plain_value(text: Cow<'_, str>) -> Option<NodeValue> {
    if surely_text(&text) {
        return Some(NodeValue::Str(text.into_owned()));
    }
    match text.as_ref() {
        "true" => Some(NodeValue::Bool(true)),
        "false" => Some(NodeValue::Bool(false)),
        _ => match text.parse() {
            // As it is written again: without a sign or zeros before it.
            Ok(number) if i64::to_string(&number) == text => Some(NodeValue::Int(number)),
            _ => whole::scalar(&text),
        },
    }
}

/// Whether a plain scalar is text in every schema. What is not surely so has no blanks.
fn surely_text(text: &str) -> bool {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match text.as_bytes().first() {
        None => false,
        Some(b'~') => text != "~",
        Some(b'n' | b'N') => !is("null"),
        Some(b't' | b'T') => !is("true"),
        Some(b'f' | b'F') => !is("false"),
        Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
            let of_numbers = |b: u8| b.is_ascii_alphanumeric() || b"+-._".contains(&b);
            let ends_a_document = !text.bytes().any(|b| b.is_ascii_alphanumeric());
            ends_a_document || !text.bytes().all(of_numbers)
        }
        _ => true,
    }
}
