//! A YAML document as nearly all are, as a tree straight from the parser's events: three
//! times as fast as by way of serde, which asks for every value's place on a way of its own.
//! What is not ordinary, or broken, is left to [`super::whole`]; both ways give the same tree.

use granit_parser::{Event, Parser, ScalarStyle, StrInput};

use super::{Key, Node, NodeValue, whole};
use crate::diag::{FileId, Span};

/// How deep lists and maps may be within each other before it is left to the other way, which
/// has its own limit.
const DEEPEST: usize = 64;

/// The tree of a text, or nothing if it has anchors, tags, merges, directives, keys that may
/// be no text, not just one document, or is broken.
pub(super) fn read(text: &str, file: FileId) -> Option<Node> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut reader = Reader {
        events: Parser::new_from_str_with_options(text, options),
        file,
    };
    reader.expect(|event| matches!(event, Event::StreamStart))?;
    reader.expect(|event| matches!(event, Event::DocumentStart(_, None)))?;
    let node = reader.node(DEEPEST)?;
    reader.expect(|event| matches!(event, Event::DocumentEnd))?;
    reader.expect(|event| matches!(event, Event::StreamEnd))?;
    Some(node)
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
    file: FileId,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        let (event, place) = self.events.next_event()?.ok()?;
        let bytes = place.byte_range()?;
        let span = Span {
            file: self.file,
            start: u32::try_from(bytes.start).ok()?,
            end: u32::try_from(bytes.end).ok()?,
        };
        Some((event, span))
    }

    fn expect(&mut self, is: impl Fn(&Event<'a>) -> bool) -> Option<()> {
        let (event, _) = self.next()?;
        is(&event).then_some(())
    }

    fn node(&mut self, depth: usize) -> Option<Node> {
        let (event, span) = self.next()?;
        self.begun(event, span, depth)
    }

    /// The node that begins with an event.
    fn begun(&mut self, event: Event<'a>, span: Span, depth: usize) -> Option<Node> {
        let depth = depth.checked_sub(1)?;
        let value = match event {
            Event::Scalar(text, style, 0, None) => {
                if style == ScalarStyle::Plain && !surely_text(&text) {
                    whole::scalar(&text)?
                } else {
                    NodeValue::Str(text.into_owned())
                }
            }
            Event::SequenceStart(_, 0, None) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break NodeValue::Seq(items),
                        (event, span) => items.push(self.begun(event, span, depth)?),
                    }
                }
            }
            Event::MappingStart(_, 0, None) => {
                let mut entries = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, _) => break NodeValue::Map(entries),
                        (Event::Scalar(text, style, 0, None), span) => {
                            let known = style != ScalarStyle::Plain || surely_text(&text);
                            if !known || text == "<<" {
                                return None;
                            }
                            let name = text.into_owned();
                            entries.push((Key { name, span }, self.node(depth)?));
                        }
                        _ => return None,
                    }
                }
            }
            _ => return None,
        };
        Some(Node { span, value })
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
