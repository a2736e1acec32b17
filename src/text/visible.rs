//! Text that a terminal shows as it is: nothing in it can be obeyed, hide, or stand for
//! something else. For whatever comes from a pipeline and is shown before the user agrees.

use std::borrow::Cow;

/// Text with all characters that are not plainly visible written out.
pub fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let keep = matches!(c, '"' | '\'' | '\\');
            let escaped = (!keep).then(|| c.escape_debug());
            keep.then_some(c)
                .into_iter()
                .chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Text in which nothing can be obeyed by a terminal, or turn the text after it round: such
/// characters are written out. Lines and tabs stay, and colours if they are wanted.
pub fn harmless(text: &str, colors: bool) -> Cow<'_, str> {
    let hides = |c: char| {
        let kept = c == '\n' || c == '\t';
        let format = matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        (c.is_control() && !kept) || format
    };
    if !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(hides) {
        let (before, from) = rest.split_at(at);
        safe.push_str(before);
        let color = if colors { color(from) } else { 0 };
        let next = from.chars().next().map_or(0, char::len_utf8);
        if color > 0 {
            safe.push_str(&from[..color]);
        } else {
            safe.extend(from[..next].escape_debug());
        }
        rest = &from[color.max(next)..];
    }
    safe.push_str(rest);
    Cow::Owned(safe)
}

/// The length of the sequence for a colour that a text begins with (ECMA-48, SGR); 0 for none.
fn color(text: &str) -> usize {
    let Some(codes) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if codes[end..].starts_with('m') => "\u{1b}[".len() + end + 1,
        _ => 0,
    }
}

/// A word of a command line, quoted where a shell would need it.
pub fn quoted(word: &str) -> String {
    let simple = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%{}".contains(c);
    if !word.is_empty() && word.chars().all(simple) {
        return word.to_owned();
    }
    format!("'{}'", plain(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_but_colours() {
        let text = "a\tb\u{1b}[31mred\u{1b}[0m\u{1b}[2K\r\u{202e}\u{9b}ü👩\u{200d}⚕\n";
        assert_eq!(
            harmless(text, true),
            "a\tb\u{1b}[31mred\u{1b}[0m\\u{1b}[2K\\r\\u{202e}\\u{9b}ü👩\u{200d}⚕\n"
        );
        assert!(!harmless(text, false).contains('\u{1b}'));
        assert_eq!(harmless("\u{1b}[31", true), "\\u{1b}[31");
        assert!(matches!(harmless("plain\n", false), Cow::Borrowed(_)));
    }

    #[test]
    fn nothing_can_disguise_itself() {
        assert_eq!(
            plain("a\u{1b}[2K\r\u{202e}\"ü"),
            r#"a\u{1b}[2K\r\u{202e}"ü"#
        );
        assert_eq!(quoted("serve.py"), "serve.py");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("it's \u{7}"), r"'it'\''s \u{7}'");
    }
}
