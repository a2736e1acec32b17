//! Splits a template into text and tags, the way Jinja's own lexer does. Owns where tags and
//! the quoted texts in them begin and end; knows nothing of what they mean.
//!
//! Broken templates are cut off at the break: the parser reports those, with their place.

use std::ops::Range;

/// What a piece of a template is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text outside of tags, or in a `{% raw %}` block.
    Text,
    /// `{# … #}`
    Comment,
    /// `{{ … }}`
    Expr,
    /// `{% … %}`
    Block,
    /// `{% schema %} … {% endschema %}`, whose text is no template.
    Schema,
}

/// A piece of a template. All ranges count bytes of the whole text.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// What it is.
    pub kind: Kind,
    /// All of it.
    pub range: Range<usize>,
    /// Without the tag's marks and white-space control.
    pub inner: Range<usize>,
    /// The quoted texts in it, with their quotes.
    pub strings: Vec<Range<usize>>,
}

impl Piece {
    /// The inner text without white space at its ends, and where it starts.
    pub fn code<'t>(&self, text: &'t str) -> (usize, &'t str) {
        let inner = &text[self.inner.clone()];
        let code = inner.trim_ascii_start();
        (self.inner.end - code.len(), code.trim_ascii_end())
    }

    fn plain(kind: Kind, range: Range<usize>, inner: Range<usize>) -> Piece {
        Piece {
            kind,
            range,
            inner,
            strings: Vec::new(),
        }
    }
}

/// The pieces of a template, in order.
pub(super) fn scan(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(open) = next_open(text, at) {
        if open > at {
            pieces.push(Piece::plain(Kind::Text, at..open, at..open));
        }
        let Some(piece) = piece(text, open) else {
            return pieces;
        };
        at = piece.range.end;
        pieces.push(piece);
    }
    if at < text.len() {
        pieces.push(Piece::plain(Kind::Text, at..text.len(), at..text.len()));
    }
    pieces
}

fn next_open(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(found) = text[at..].find('{') {
        at += found;
        if matches!(bytes.get(at + 1), Some(b'{' | b'%' | b'#')) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// The tag that opens at `open`; `None` if it has no end.
fn piece(text: &str, open: usize) -> Option<Piece> {
    let bytes = text.as_bytes();
    let control = matches!(bytes.get(open + 2), Some(b'-' | b'+'));
    let start = open + 2 + usize::from(control);
    match bytes[open + 1] {
        b'#' => {
            let end = start + text[start..].find("#}")?;
            Some(Piece::plain(Kind::Comment, open..end + 2, start..end))
        }
        b'{' => tag(bytes, open, start, Kind::Expr, *b"}}"),
        _ => {
            if let Some(length) = word_tag(&text[start..], "raw", false) {
                return raw(text, open, start + length, "endraw", Kind::Text);
            }
            // Without an end it is a tag like others, and told as one that is not closed.
            word_tag(&text[start..], "schema", false)
                .and_then(|length| raw(text, open, start + length, "endschema", Kind::Schema))
                .or_else(|| tag(bytes, open, start, Kind::Block, *b"%}"))
        }
    }
}

fn tag(bytes: &[u8], open: usize, start: usize, kind: Kind, close: [u8; 2]) -> Option<Piece> {
    let mut strings = Vec::new();
    let mut depth = 0_isize;
    let mut at = start;
    loop {
        let byte = *bytes.get(at)?;
        if depth == 0 {
            let control = usize::from(matches!(byte, b'-' | b'+'));
            if bytes[at + control..].starts_with(&close) {
                return Some(Piece {
                    kind,
                    range: open..at + control + 2,
                    inner: start..at,
                    strings,
                });
            }
        }
        match byte {
            b'"' | b'\'' => {
                let end = string_end(bytes, at)?;
                strings.push(at..end);
                at = end;
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

/// One past the closing quote of the string that opens at `open`.
fn string_end(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match *bytes.get(at)? {
            b'\\' => at += 2,
            byte if byte == bytes[open] => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The length of the rest of a tag that holds one word only.
fn word_tag(rest: &str, word: &str, control: bool) -> Option<usize> {
    let mut at = rest;
    if control {
        at = at.strip_prefix(['-', '+']).unwrap_or(at);
    }
    at = at.trim_ascii_start().strip_prefix(word)?.trim_ascii_start();
    at = at.strip_prefix(['-', '+']).unwrap_or(at);
    Some(rest.len() - at.strip_prefix("%}")?.len())
}

fn raw(text: &str, open: usize, start: usize, close: &str, kind: Kind) -> Option<Piece> {
    let mut at = start;
    loop {
        let end = at + text[at..].find("{%")?;
        at = end + 2;
        if let Some(length) = word_tag(&text[at..], close, true) {
            return Some(Piece::plain(kind, open..at + length, start..end));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn show(text: &str) -> Vec<(Kind, &str)> {
        let pieces = scan(text);
        let show = |piece: &Piece| (piece.kind, &text[piece.inner.clone()]);
        pieces.iter().map(show).collect()
    }

    #[test]
    fn tags_end_where_jinja_ends_them() {
        use Kind::{Block, Comment, Expr, Schema, Text};
        assert_eq!(
            show("a{{- '}}' ~ {'b': {}} +}}{# {{ #}{%- if x == '%}' -%}{z"),
            [
                (Text, "a"),
                (Expr, " '}}' ~ {'b': {}} "),
                (Comment, " {{ "),
                (Block, " if x == '%}' "),
                (Text, "{z"),
            ]
        );
        assert_eq!(
            show("{% raw -%}{% user %}{%- endraw %}b"),
            [(Text, "{% user %}"), (Text, "b")]
        );
        assert_eq!(
            show("{%- schema %}{\"a\": \"{{\"}{% endschema -%}b{% schema %}"),
            [
                (Schema, "{\"a\": \"{{\"}"),
                (Text, "b"),
                (Block, " schema ")
            ]
        );
        assert_eq!(show("a{{ 'b }}"), [(Text, "a")]);
    }

    proptest! {
        #[test]
        fn pieces_follow_each_other(text in r#"([{}%#'"()\\ \n-]|raw|endraw|schema|endschema|é|x)*"#) {
            let mut at = 0;
            for piece in scan(&text) {
                prop_assert_eq!(piece.range.start, at);
                prop_assert!(piece.range.start <= piece.inner.start);
                prop_assert!(piece.inner.end <= piece.range.end);
                let _ = piece.code(&text);
                at = piece.range.end;
            }
        }
    }
}
