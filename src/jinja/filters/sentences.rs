//! Sentences by rule: good enough for letters in English, the same everywhere, no model.

use minijinja::{Error, State};

use super::charge;
use crate::text::{is_space, strip};

/// Words whose full stop does not end a sentence, in lower case.
const ABBREVIATIONS: &[&str] = &[
    "approx", "dr", "e.g", "etc", "fig", "i.e", "inc", "jr", "mr", "mrs", "ms", "no", "pt", "prof",
    "sr", "st", "vs",
];

/// The sentences of a text, trimmed. A sentence ends at `.`, `!` or `?` (with closing quotes
/// and brackets) before white space that is followed by no lower-case letter, and at an empty
/// line; not after a common abbreviation or a single capital letter.
pub fn sentences(state: &State, text: &str) -> Result<Vec<String>, Error> {
    charge(state, text)?;
    let mut found = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let ends = match c {
            '\n' => text[at + 1..]
                .trim_start_matches([' ', '\t', '\r'])
                .starts_with('\n'),
            '.' | '!' | '?' => {
                while chars.next_if(|(_, c)| closes(*c)).is_some() {}
                let end = chars.peek().map_or(text.len(), |(end, _)| *end);
                let gap = text[end..].starts_with(is_space);
                gap && !goes_on(&text[end..]) && !(c == '.' && abbreviated(&text[start..at]))
            }
            _ => false,
        };
        if ends {
            let end = chars.peek().map_or(text.len(), |(end, _)| *end);
            push(&mut found, &text[start..end]);
            start = end;
        }
    }
    push(&mut found, &text[start..]);
    Ok(found)
}

fn push(found: &mut Vec<String>, sentence: &str) {
    let sentence = strip(sentence);
    if !sentence.is_empty() {
        found.push(sentence.to_owned());
    }
}

fn closes(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '"' | '\'' | ')' | ']' | '”' | '’')
}

fn goes_on(rest: &str) -> bool {
    rest.trim_start_matches(is_space)
        .starts_with(char::is_lowercase)
}

fn abbreviated(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| is_space(c) || matches!(c, '(' | '[' | '"'))
        .next()
        .unwrap_or("");
    let mut letters = word.chars();
    let initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    // Longer words are none of the abbreviations: no need to copy them.
    initial || (word.len() < 8 && ABBREVIATIONS.contains(&word.to_lowercase().as_str()))
}
