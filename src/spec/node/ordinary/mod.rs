//! A YAML document as nearly all are, read in one pass over its bytes: an order of magnitude
//! faster than by way of a parser for all of YAML. Whatever is not surely the same there, or is
//! broken, is left to [`super::whole`]; both ways give the same tree, places and all.
//!
//! Ordinary are block and flow collections, single-line scalars (plain, or in quotes with common
//! escapes), `|` and `>` blocks without indentation of their own, and comments.

mod scalars;

use super::{Key, Node, NodeValue};
use crate::diag::{FileId, Span};

/// How deep lists and maps may be within each other before it is left to the other way, which
/// has its own limit.
const DEEPEST: usize = 64;

/// The tree of a text, or nothing if the text is not ordinary.
pub(super) fn read(text: &str, file: FileId) -> Option<Node> {
    if u32::try_from(text.len()).is_err() || !ordinary(text) {
        return None;
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        line: 0,
        file,
        items: Vec::new(),
        entries: Vec::new(),
    };
    reader.next_line()?;
    let node = reader.block(0, DEEPEST)?;
    reader.next_line()?;
    (reader.at == text.len()).then_some(node)
}

/// Whether all characters are such as no schema or version of YAML treats in a way of its own.
fn ordinary(text: &str) -> bool {
    let control = |b: u8| (b < b' ' && b != b'\n') || b == 0x7f;
    let special = |c| {
        matches!(
            c,
            '\u{80}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
    };
    // To the end in any case, many bytes at a time.
    let controls = text.bytes().fold(false, |any, b| any | control(b));
    !controls && (text.is_ascii() || !text.chars().any(special))
}

/// Reads from `at` on. Every method gives nothing where the text is not ordinary.
struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// Where the line of `at` begins.
    line: usize,
    file: FileId,
    /// What the lists and maps that are open hold so far, of inner ones behind that of outer ones:
    /// so each is made at once, of its size.
    items: Vec<Node>,
    entries: Vec<(Key, Node)>,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn column(&self) -> usize {
        self.at - self.line
    }

    fn spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// Whether a blank, or the end, is at a place.
    fn blank(&self, at: usize) -> bool {
        matches!(self.bytes.get(at), None | Some(b' ' | b'\n'))
    }

    /// Whether an item of a block sequence begins here.
    fn dash(&self) -> bool {
        self.peek() == Some(b'-') && self.blank(self.at + 1)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            file: self.file,
            start: start as u32,
            end: end as u32,
        }
    }

    /// Nothing, where a value could stand.
    fn null(&self, at: usize) -> Node {
        Node {
            span: self.span(at, at),
            value: NodeValue::Null,
        }
    }

    /// Goes past blanks and a comment to the end of the line. Nothing if there is more.
    fn line_end(&mut self) -> Option<()> {
        let from = self.at;
        self.spaces();
        if self.peek() == Some(b'#') && (self.at > from || self.column() == 0) {
            let rest = &self.bytes[self.at..];
            self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        }
        matches!(self.peek(), None | Some(b'\n')).then_some(())
    }

    /// From the end of a line, or from where one begins, to what stands first after it. Stays
    /// where it is if it is there already.
    fn next_line(&mut self) -> Option<()> {
        while matches!(self.peek(), Some(b'\n' | b' ' | b'#')) {
            self.line_end();
            if self.peek() != Some(b'\n') {
                break;
            }
            self.at += 1;
            self.line = self.at;
        }
        let rest = &self.bytes[self.at..];
        let marks_a_document =
            self.column() == 0 && (rest.starts_with(b"---") || rest.starts_with(b"..."));
        (!marks_a_document).then_some(())
    }

    /// The node that begins here, in this column of a block. Lines after the first are of it
    /// only from the column `least` on.
    fn block(&mut self, least: usize, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        if self.dash() {
            return self.sequence(depth);
        }
        if matches!(self.peek()?, b'[' | b'{') {
            let node = self.flow(least, depth + 1)?;
            self.line_end()?;
            return Some(node);
        }
        let column = self.column();
        let scalar = self.scalar(false)?;
        if self.peek() == Some(b':') {
            return self.mapping(column, scalar.key()?, depth);
        }
        self.line_end()?;
        scalar.node()
    }

    /// A block mapping in a column, from behind its first key on.
    fn mapping(&mut self, column: usize, mut key: Key, depth: usize) -> Option<Node> {
        let span = self.span(key.span.start as usize, key.span.start as usize);
        let first = self.entries.len();
        loop {
            self.at += 1;
            if !self.blank(self.at) {
                return None;
            }
            self.spaces();
            let value = match self.peek()? {
                b'\n' | b'#' => {
                    self.line_end()?;
                    self.next_line()?;
                    match self.column() {
                        deeper if deeper > column => self.block(column + 1, depth)?,
                        same if same == column && self.dash() => {
                            let mut begin = self.at + 1;
                            while self.bytes.get(begin) == Some(&b' ') {
                                begin += 1;
                            }
                            let list = self.sequence(depth.checked_sub(1)?)?;
                            Node {
                                span: self.span(begin, begin),
                                ..list
                            }
                        }
                        _ => self.null(key.span.end as usize),
                    }
                }
                _ => self.inline(column + 1, depth)?,
            };
            self.entries.push((key, value));
            self.next_line()?;
            if self.at == self.bytes.len() || self.column() < column {
                break;
            }
            if self.column() > column {
                return None;
            }
            key = self.scalar(false)?.key()?;
            if self.peek() != Some(b':') {
                return None;
            }
        }
        let value = NodeValue::Map(self.entries.drain(first..).collect());
        Some(Node { span, value })
    }

    /// A block sequence in the column of its first dash.
    fn sequence(&mut self, depth: usize) -> Option<Node> {
        let span = self.span(self.at, self.at);
        let column = self.column();
        let first = self.items.len();
        while self.dash() {
            self.at += 1;
            self.spaces();
            let begin = self.at;
            let item = match self.peek()? {
                b'\n' | b'#' => {
                    self.line_end()?;
                    self.next_line()?;
                    match self.column() > column {
                        true => self.block(column + 1, depth)?,
                        false => self.null(begin),
                    }
                }
                b'|' | b'>' => self.inline(column + 1, depth)?,
                _ => self.block(column + 1, depth)?,
            };
            self.items.push(item);
            self.next_line()?;
            if self.at == self.bytes.len() || self.column() < column {
                break;
            }
            if self.column() > column {
                return None;
            }
        }
        let value = NodeValue::Seq(self.items.drain(first..).collect());
        Some(Node { span, value })
    }

    /// A value on the line of its key, to the end of its line or block.
    fn inline(&mut self, least: usize, depth: usize) -> Option<Node> {
        let node = match self.peek()? {
            b'|' | b'>' => return self.text_block(least),
            b'[' | b'{' => self.flow(least, depth)?,
            _ => self.scalar(false)?.node()?,
        };
        self.line_end()?;
        Some(node)
    }

    /// Goes past blanks, comments and ends of lines within a flow collection.
    fn flow_space(&mut self, least: usize) -> Option<()> {
        self.spaces();
        if matches!(self.peek()?, b'\n' | b'#') {
            self.line_end()?;
            self.next_line()?;
            (least > 0 && self.column() >= least).then_some(())?;
        }
        Some(())
    }

    /// A node within a flow collection, or such a collection.
    fn flow(&mut self, least: usize, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        let span = self.span(self.at, self.at + 1);
        let end = match self.peek()? {
            b'[' => b']',
            b'{' => b'}',
            _ => return self.scalar(true)?.node(),
        };
        let (first_item, first_entry) = (self.items.len(), self.entries.len());
        loop {
            self.at += 1;
            self.flow_space(least)?;
            if self.peek()? == end {
                break;
            }
            if end == b']' {
                let item = self.flow(least, depth)?;
                self.items.push(item);
            } else {
                let key = self.scalar(true)?.key()?;
                if self.peek()? != b':' || !self.blank(self.at + 1) {
                    return None;
                }
                self.at += 1;
                self.flow_space(least)?;
                let value = self.flow(least, depth)?;
                self.entries.push((key, value));
            }
            self.flow_space(least)?;
            match self.peek()? {
                b',' => {}
                other if other == end => break,
                _ => return None,
            }
        }
        self.at += 1;
        let value = match end {
            b']' => NodeValue::Seq(self.items.drain(first_item..).collect()),
            _ => NodeValue::Map(self.entries.drain(first_entry..).collect()),
        };
        Some(Node { span, value })
    }
}
