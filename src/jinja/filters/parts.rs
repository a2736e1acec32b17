//! Filters that cut a text into parts: lines, paragraphs, bullets, before and after a marker.

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};

use super::{charge, fault, texts};
use crate::text::{self, pattern};

/// What follows the first marker; empty if there is none.
pub fn after(text: &str, marker: &str) -> String {
    text.split_once(marker)
        .map_or("", |(_, after)| after)
        .to_owned()
}

/// What precedes the first marker; all if there is none.
pub fn before(text: &str, marker: &str) -> String {
    text.split_once(marker)
        .map_or(text, |(before, _)| before)
        .to_owned()
}

/// All but the first line.
pub fn drop_first_line(text: &str) -> String {
    after(text, "\n")
}

/// Without white space at both ends.
pub fn strip(text: &str) -> String {
    text::strip(text).to_owned()
}

/// How many words there are between white space.
pub fn word_count(state: &State, text: &str) -> Result<usize, Error> {
    charge(state, text)?;
    Ok(text
        .split(text::is_space)
        .filter(|word| !word.is_empty())
        .count())
}

/// The parts between two or more empty lines, each trimmed.
pub fn paragraphs(state: &State, text: &str) -> Result<Vec<String>, Error> {
    charge(state, text)?;
    let gap = pattern::compile(r"\n\s*\n\s*\n").map_err(|why| fault("paragraphs", &why))?;
    Ok(gap.split(text).map(strip).collect())
}

/// The lines that begin with a bullet, without it.
pub fn bullets(state: &State, text: &str, options: Kwargs) -> Result<Vec<String>, Error> {
    charge(state, text)?;
    let without = texts("bullets", options.get::<Option<&Value>>("without")?)?;
    options.assert_all_used()?;
    let bullet = |line| {
        let line = text::strip(line);
        let item = line
            .strip_prefix("- ")
            .or_else(|| line.strip_prefix("* "))?;
        let kept = !without.iter().any(|part| item.contains(part.as_str()));
        kept.then(|| strip(item))
    };
    Ok(text.split('\n').filter_map(bullet).collect())
}

/// The items that contain none of the texts; what is no text stays.
pub fn without(state: &State, items: &Value, parts: &Value) -> Result<Vec<Value>, Error> {
    let parts = texts("without", Some(parts))?;
    let mut kept = Vec::new();
    for item in items.try_iter()? {
        let text = item.as_str().unwrap_or("");
        charge(state, text)?;
        if !parts.iter().any(|part| text.contains(part.as_str())) {
            kept.push(item);
        }
    }
    Ok(kept)
}

/// Whether a text begins with a heading, in upper or lower case.
pub fn headed(text: &str, heading: &str) -> bool {
    let mut letters = text.chars().flat_map(char::to_lowercase);
    heading
        .chars()
        .flat_map(char::to_lowercase)
        .all(|letter| letters.next() == Some(letter))
}
