//! A text as its readers may see it: with escapes of JSON, YAML, HTML and addresses made what
//! they stand for, so that none hides words. Owns which escapes there are. Line breaks stay
//! where they are, and no new ones are made, so that lines can be named.

use std::borrow::Cow;
use std::collections::HashSet;

use super::fold;
use super::tags::{Gap, without};
use crate::hash::Hash;

/// Texts in texts: JSON in JSON in HTML in an address is as deep as it gets.
const DEEPEST: usize = 5;
/// Most bytes of the name of a character reference of HTML; the longest has 31.
const NAME: usize = 40;

/// Goes through a text, and through what it says with its escapes resolved: those of each kind by
/// themselves, as what looks like one of another kind may be what is meant; once, twice, as often
/// as there are some; and without tags, which stand between words, or within one, and are none.
/// How many views there may be does not depend on the text's size.
pub fn views(text: &str, each: &mut dyn FnMut(&str)) {
    deeper(text, 0, &mut HashSet::new(), each);
}

fn deeper(text: &str, depth: usize, seen: &mut HashSet<Hash>, each: &mut dyn FnMut(&str)) {
    each(text);
    if let Some(spaced) = fold::spaced(text) {
        each(&spaced);
    }
    if depth == DEEPEST {
        return;
    }
    let kinds: [fn(&str) -> Option<String>; 5] = [
        |text| without(text, Gap::Always),
        |text| without(text, Gap::Blocks),
        |text| resolved(text, '\\', backslash),
        |text| resolved(text, '&', entity),
        |text| resolved(text, '%', percent),
    ];
    for kind in kinds {
        // In whatever order they are resolved, mostly the same comes out.
        let new = |plain: &String| seen.insert(Hash::of_bytes(plain.as_bytes()));
        if let Some(plain) = kind(text).filter(new) {
            deeper(&plain, depth + 1, seen, each);
        }
    }
}

/// What an escape at the beginning of a text stands for, and its length in bytes.
type Escape = fn(&str) -> Option<(Cow<'static, str>, usize)>;

/// A text with its escapes of one kind, which begin with `mark`, resolved, if there are some.
fn resolved(text: &str, mark: char, escape: Escape) -> Option<String> {
    let mut plain = String::new();
    let mut rest = text;
    let mut any = false;
    while let Some(at) = rest.find(mark) {
        plain.push_str(&rest[..at]);
        let tail = &rest[at..];
        let length = match escape(tail) {
            Some((said, length)) => {
                plain.push_str(&said);
                any = true;
                length
            }
            None => {
                plain.push(mark);
                mark.len_utf8()
            }
        };
        rest = &tail[length..];
    }
    plain.push_str(rest);
    any.then_some(plain)
}

/// A character as it may be put into a text without changing its lines.
fn one(c: char) -> Cow<'static, str> {
    Cow::Owned(if c == '\n' { ' ' } else { c }.to_string())
}

fn hex(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// An escape of JSON, YAML or Python at the beginning of a text, and its length in bytes.
fn backslash(text: &str) -> Option<(Cow<'static, str>, usize)> {
    let kind = text[1..].chars().next()?;
    let coded = |digits: usize| hex(text.get(2..2 + digits)?);
    let digits = match kind {
        'u' => 4,
        'U' => 8,
        'x' => 2,
        'n' | 'r' | 't' | 'b' | 'f' | 'v' | '0' | 'a' | 'e' => return Some((" ".into(), 2)),
        // A line that goes on in the next one.
        '\n' => return None,
        other => return Some((one(other), 1 + other.len_utf8())),
    };
    let Some(code) = coded(digits) else {
        return Some((one(kind), 1 + kind.len_utf8()));
    };
    // Two halves make one character.
    if (0xd800..0xdc00).contains(&code) {
        let low = text.get(6..8).filter(|next| *next == "\\u");
        let low = low.and_then(|_| hex(text.get(8..12)?));
        let both = low.filter(|low| (0xdc00..0xe000).contains(low));
        let both = both.map(|low| 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
        if let Some(c) = both.and_then(char::from_u32) {
            return Some((one(c), 12));
        }
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some((one(c), 2 + digits))
}

/// A character reference of HTML. Browsers do not need its semicolon.
fn entity(text: &str) -> Option<(Cow<'static, str>, usize)> {
    let in_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'#';
    let name = text.bytes().skip(1).take(NAME);
    let end = 1 + name.take_while(|byte| in_name(byte)).count();
    let name = text.get(1..end)?;
    let length = end + usize::from(text[end..].starts_with(';'));
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(digits) => hex(digits),
            None => number.parse().ok(),
        };
        return Some((one(char::from_u32(code?)?), length));
    }
    let reference = format!("&{name};");
    let said = html_escape::decode_html_entities(&reference);
    (said != reference).then(|| (said.replace('\n', " ").into(), length))
}

/// Bytes as addresses write them: as many in a row as there are.
fn percent(text: &str) -> Option<(Cow<'static, str>, usize)> {
    let mut bytes = Vec::new();
    while let Some(digits) = text
        .get(bytes.len() * 3..)
        .and_then(|rest| rest.strip_prefix('%'))
        .and_then(|rest| rest.get(..2))
    {
        let Some(byte) = hex(digits) else { break };
        bytes.push(if byte == 10 { b' ' } else { byte as u8 });
    }
    let length = bytes.len() * 3;
    let said = String::from_utf8_lossy(&bytes).into_owned();
    (length > 0).then(|| (said.into(), length))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        views(text, &mut |view| all.push(view.to_owned()));
        all
    }

    fn shows(text: &str, what: &str) -> bool {
        all(text).iter().any(|view| view.contains(what))
    }

    #[test]
    fn no_escape_hides_a_word() {
        for text in [
            "{\"a\": \"two\\nwords\"}",
            "{\"a\": \"two\\u0020words\"}",
            "\"{\\\"a\\\": \\\"two\\\\nwords\\\"}\"",
            "two&#32;w&#x6f;rds",
            "two&amp;#32;words",
            "&quot;two\\nwords&quot;",
            "a/two%20words.csv",
            "\"tw\\u006f words\"",
            "two words",
            "two<br/>words",
            "two&nbsp;words",
            "two&NewLine;words",
            "two%2520words",
            "two%25252520words",
            "two%26nbsp%3Bwords",
            "two%5Cnwords",
            "tw<b>o</b> words",
            "tw<!-- > no -->o<br>words",
            "{\"a\": \"two\\u003cb\\u003ewords\"}",
        ] {
            let said = all(text).join("\n").replace('\u{a0}', " ");
            assert!(said.contains("two words"), "{said}");
        }
        assert!(shows("\\ud83d\\ude00", "😀"));
        assert!(shows("%C3%A9t%c3%a9", "été"));
        assert!(shows("caf&eacute;", "café") && shows("&Auml;&szlig;", "Äß"));
        assert!(shows("caf&eacute au lait", "café au lait"));
        assert!(shows("a&CounterClockwiseContourIntegral;b", "a∳b"));
        assert_eq!(all("a&nosuchname;b &; &").len(), 1);
        assert_eq!(all("plain").len(), 1);
        // What looks like an escape and is none stays, whatever is around it.
        assert!(shows("\"50%20 &lt; x\\n\"", "50%20 &lt; x "));
    }

    #[test]
    fn the_number_of_views_does_not_grow_with_the_text() {
        let part = "\\u0026amp;%2526 <b>x</b><br>\\\\n&lt;i&gt; < <!-- ";
        let views = |times| all(&part.repeat(times)).len();
        assert!(views(3) <= 252, "{}", views(3));
        assert_eq!(views(3), views(30));
    }

    proptest! {
        #[test]
        fn lines_stay_and_nothing_panics(text in "(?s)[\\\\&%#<>/!xuU;n0-9a-fA-F-\n é😀]{0,60}") {
            let lines = text.matches('\n').count();
            for view in all(&text) {
                prop_assert_eq!(view.matches('\n').count(), lines);
            }
        }

        #[test]
        fn json_of_json_is_read(text in "\\PC{0,30}") {
            let once = serde_json::to_string(&text).expect("JSON");
            let twice = serde_json::to_string(&once).expect("JSON");
            prop_assert!(shows(&once, &text) && shows(&twice, &text));
        }
    }
}
