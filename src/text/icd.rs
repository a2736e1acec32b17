//! ICD-10-CM codes in free text.
//!
//! A code is a capital letter other than U, two digits, and up to four more digits or capital
//! letters, with or without a dot before them: `\b[A-TV-Z][0-9]{2}(?:\.?[0-9A-Z]{1,4})?\b` with
//! the word boundaries of Python's `re`, for which a combining accent is no part of a word. So
//! codes with a letter in the third place (`C7A`) and those of chapter U are not found.

/// The codes in a text, as they are written, in order.
pub fn icd_codes(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    let mut after_word = false;
    while let Some(c) = text[at..].chars().next() {
        let code = if after_word { None } else { code(&text[at..]) };
        if let Some(code) = code {
            found.push(code);
            at += code.len();
            after_word = true;
        } else {
            after_word = is_word(c);
            at += c.len_utf8();
        }
    }
    found
}

/// The longest code that a text begins with.
fn code(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let [letter, one, two, ..] = *bytes else {
        return None;
    };
    let letter = letter.is_ascii_uppercase() && letter != b'U';
    if !(letter && one.is_ascii_digit() && two.is_ascii_digit()) {
        return None;
    }
    let start = 3 + usize::from(bytes.get(3) == Some(&b'.'));
    let more = bytes[start..]
        .iter()
        .take(4)
        .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
        .count();
    let ends = |end: usize| !text[end..].chars().next().is_some_and(is_word);
    (1..=more)
        .rev()
        .map(|more| start + more)
        .chain([3])
        .find(|end| ends(*end))
        .map(|end| &text[..end])
}

/// What Python's `\w` matches, but for some rare marks.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::proptest;
    use serde_json::Value;

    use super::*;

    #[test]
    fn codes_are_the_references() {
        for line in include_str!("../../tests/golden/units/icd_metrics.jsonl").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = line["text"].as_str().expect("text");
            assert_eq!(serde_json::json!(icd_codes(text)), line["parsed"], "{line}");
        }
    }

    #[test]
    fn boundaries_are_those_of_words() {
        assert_eq!(
            icd_codes("E11.9, xE11 I10.ABCDE J45.9x"),
            ["E11.9", "I10", "J45"]
        );
        assert_eq!(icd_codes("I10 U07.1 C7A.0 i10"), ["I10"]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[A-C0-9.é\u{301} _]{0,12}|\\PC{0,40}") {
            for code in icd_codes(&text) {
                assert!(code.len() >= 3 && code.len() <= 8);
            }
        }
    }
}
