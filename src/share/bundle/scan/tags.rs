//! Texts without the tags of HTML or XML. Owns what a tag is, and which of them stand between words.

/// Tags that begin or end a part of a text, so that no word goes on behind one.
const BLOCKS: [&str; 47] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "html",
    "legend",
    "li",
    "main",
    "menu",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "td",
    "th",
    "title",
    "tr",
    "ul",
];

/// Where a gap is left in the place of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// Everywhere.
    Always,
    /// Where one shows in a browser.
    Blocks,
}

/// A text without its tags, if there are some.
pub fn without(text: &str, gap: Gap) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    let mut any = false;
    // What does not come any more is looked for once.
    let mut ends = [true; 2];
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        plain.push_str(before);
        let begins = |c: char| c.is_ascii_alphabetic() || c == '/' || c == '!';
        let mut end = |at: usize, end: &str| {
            let found = ends[at].then(|| tag.find(end)).flatten();
            ends[at] = found.is_some();
            found.map(|found| found + end.len())
        };
        let end = match tag[1..].starts_with(begins) {
            false => None,
            true if tag.starts_with("<!--") => end(1, "-->").or_else(|| end(0, ">")),
            true => end(0, ">"),
        };
        let length = end.unwrap_or(1);
        any |= end.is_some();
        if end.is_none() || gap == Gap::Always || is_block(tag) {
            plain.push(' ');
        }
        // Lines stay.
        plain.extend(tag[..length].chars().filter(|c| *c == '\n'));
        rest = &tag[length..];
    }
    plain.push_str(rest);
    any.then_some(plain)
}

fn is_block(tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name.bytes().take_while(u8::is_ascii_alphanumeric).count();
    BLOCKS
        .iter()
        .any(|block| block.eq_ignore_ascii_case(&name[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_words_stay_whole() {
        let without = |text, gap| without(text, gap).unwrap_or_default();
        assert_eq!(without("gar<b>den</b> wall", Gap::Blocks), "garden wall");
        assert_eq!(without("a<BR/>b<p>c</p>d", Gap::Blocks), "a b c d");
        assert_eq!(without("gar<!-- a > b -->den", Gap::Blocks), "garden");
        assert_eq!(without("gar<x-y z='1'\n>den", Gap::Blocks), "gar\nden");
        assert_eq!(without("a<b>c</b>d", Gap::Always), "a c d");
        assert_eq!(super::without("1 < 2 and 3 > 2", Gap::Always), None);
        assert_eq!(super::without("<<<a", Gap::Always), None);
    }

    #[test]
    fn each_byte_is_looked_at_a_few_times() {
        // Quadratic, this would take minutes.
        for part in ["<a", "<!--", "<", "<a>", "<!-->"] {
            without(&part.repeat(300_000), Gap::Blocks);
        }
    }
}
