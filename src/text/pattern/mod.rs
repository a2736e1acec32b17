//! Regular expressions in the flavour of Python's `re`, run by the `regex` crate in time that
//! grows with the text only. Owns the cache of compiled patterns.
//!
//! What differs from Python: no look-around, back-references, conditions, atomic groups or
//! possessive repeats (each an error that says so); `$` is the very end of the text (of a line
//! with `(?m)`), not also the place before a last line break; `\b` takes accents that combine
//! for part of a word; after a match, no empty match directly behind it.

mod replacement;
mod translate;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use regex::{Regex, RegexBuilder};

pub use replacement::Replacement;

/// How many patterns are kept compiled. A pipeline has some dozens; patterns made from
/// records could be any number.
const KEPT: usize = 256;

/// Most bytes that a compiled pattern may take, and again for its caches while it runs.
const SIZE: usize = 4 << 20;

/// Deepest nesting of groups.
const DEPTH: u32 = 100;

/// Patterns up to this size (bytes) are small.
const SMALL: usize = 256 << 10;

/// How many that are not small are kept.
const LARGE: usize = 16;

/// Compiled patterns, each with whether it is large.
type Compiled = HashMap<Box<str>, (bool, Arc<Regex>)>;

static COMPILED: LazyLock<RwLock<Compiled>> = LazyLock::new(RwLock::default);

/// The compiled form of a pattern in Python's flavour.
///
/// # Errors
/// Why the pattern is not valid, in one line that does not quote it: it may have been made
/// from a record.
pub fn compile(pattern: &str) -> Result<Arc<Regex>, String> {
    let found = COMPILED
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(pattern)
        .map(|(_, regex)| regex.clone());
    if let Some(regex) = found {
        return Ok(regex);
    }
    let translated = translate::translate(pattern)?;
    let build = |size| {
        RegexBuilder::new(&translated)
            .size_limit(size)
            .dfa_size_limit(SIZE)
            .nest_limit(DEPTH)
            .build()
    };
    let small = build(SMALL);
    let is_small = small.is_ok();
    let regex = match small {
        Err(regex::Error::CompiledTooBig(_)) => build(SIZE),
        built => built,
    };
    let regex = Arc::new(regex.map_err(|error| explain(&error))?);
    let mut kept = COMPILED.write().unwrap_or_else(PoisonError::into_inner);
    // Many large ones would take all memory.
    let large = |(large, _): &(bool, Arc<Regex>)| *large;
    if kept.len() >= KEPT || (!is_small && kept.values().filter(|one| large(one)).count() >= LARGE)
    {
        kept.clear();
    }
    kept.insert(pattern.into(), (!is_small, regex.clone()));
    Ok(regex)
}

/// The last line of the crate's message: the lines before it show the pattern.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => {
            "it is too large: fewer or smaller repeats are needed".to_owned()
        }
        _ => {
            let message = error.to_string();
            let last = message.lines().last().unwrap_or("it does not parse");
            last.strip_prefix("error: ").unwrap_or(last).to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};
    use serde_json::{Value, json};

    use super::*;

    /// Lines of a pattern, a text, and what `re.finditer` finds in it: spans in characters.
    #[test]
    fn matches_are_pythons() {
        for line in include_str!("../../../tests/golden/units/patterns.jsonl").lines() {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let text = line["text"].as_str().expect("text");
            let regex = compile(line["pattern"].as_str().expect("text"))
                .unwrap_or_else(|why| panic!("{line}: {why}"));
            let chars = |at: usize| text[..at].chars().count();
            let spans: Vec<_> = regex
                .find_iter(text)
                .map(|found| (chars(found.start()), chars(found.end())))
                .collect();
            assert_eq!(json!(spans), line["spans"], "{line}");
        }
    }

    #[test]
    fn errors_say_why_and_quote_nothing() {
        for (pattern, part) in [
            (r"secret(?=x)", "look-ahead"),
            (r"secret(?<!x)", "look-behind"),
            (r"(secret)\1", "back-reference"),
            (r"(?P<a>secret)(?P=a)", "back-reference"),
            (r"(?>secret)", "atomic"),
            (r"(secret)?(?(1)a|b)", "condition"),
            (r"(secret)*+", "possessive"),
            (r"(secret", "unclosed group"),
            (r"[secret", "unclosed"),
            (r"secret\", "ends in"),
            (r"(?a)\w", "flag"),
            (r"(?:\w{500}){500}secret", "too large"),
        ] {
            let why = compile(pattern).expect_err(pattern);
            assert!(why.contains(part), "{pattern}: {why}");
            assert!(!why.contains("secret") && !why.contains('\n'), "{why}");
        }
    }

    #[test]
    fn the_cache_stays_small() {
        for number in 0..KEPT + 10 {
            assert!(compile(&format!("x{number}y")).is_ok());
        }
        assert!(COMPILED.read().is_ok_and(|kept| kept.len() <= KEPT));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in any::<String>(), odd in r"[\[\]()?P<>=!:{}0-9,|*+\\^$&~ab-]{0,12}") {
            let _ = compile(&pattern);
            let _ = compile(&odd);
        }
    }
}
