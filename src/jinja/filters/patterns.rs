//! Filters over regular expressions, in the flavour of [`crate::text::pattern`].

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};
use regex::{Captures, Regex, Replacer};

use super::{charge, fault, made};
use crate::text::pattern::{self, Replacement};

/// The first match, or a group of it; none if there is none.
pub fn find(
    state: &State,
    text: &str,
    pattern: &str,
    group: Option<Value>,
    options: Kwargs,
) -> Result<Option<String>, Error> {
    charge(state, text)?;
    let regex = pattern::compile(pattern).map_err(|why| fault("regex_find", &why))?;
    let group = number(&regex, given(group, &options)?).map_err(|why| fault("regex_find", &why))?;
    Ok(regex
        .captures(text)
        .and_then(|found| Some(found.get(group)?.as_str().to_owned())))
}

/// All matches, or a group of each (none where it took no part).
pub fn find_all(
    state: &State,
    text: &str,
    pattern: &str,
    group: Option<Value>,
    options: Kwargs,
) -> Result<Vec<Option<String>>, Error> {
    charge(state, text)?;
    let regex = pattern::compile(pattern).map_err(|why| fault("regex_find_all", &why))?;
    let group =
        number(&regex, given(group, &options)?).map_err(|why| fault("regex_find_all", &why))?;
    let text_of = |found: Captures<'_>| {
        let part = found.get(group).map(|part| part.as_str().to_owned());
        made(state, part.as_ref().map_or(0, String::len))?;
        Ok(part)
    };
    regex.captures_iter(text).map(text_of).collect()
}

/// The parts between the matches.
pub fn split(state: &State, text: &str, pattern: &str) -> Result<Vec<String>, Error> {
    charge(state, text)?;
    let regex = pattern::compile(pattern).map_err(|why| fault("regex_split", &why))?;
    let part = |part: &str| made(state, part.len()).map(|()| part.to_owned());
    regex.split(text).map(part).collect()
}

/// The text with every match replaced.
pub fn replace(state: &State, text: &str, pattern: &str, by: &str) -> Result<String, Error> {
    charge(state, text)?;
    let regex = pattern::compile(pattern).map_err(|why| fault("regex_replace", &why))?;
    let by = Replacement::parse(by)
        .and_then(|by| by.check(&regex).map(|()| by))
        .map_err(|why| fault("regex_replace", &why))?;
    let mut out = String::new();
    let (mut from, mut paid) = (0, 0);
    for found in regex.captures_iter(text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(&text[from..whole.start()]);
        (&by).replace_append(&found, &mut out);
        from = whole.end();
        // In pieces: a result can be larger than any memory.
        if out.len() - paid > 1 << 16 {
            made(state, out.len() - paid)?;
            paid = out.len();
        }
    }
    out.push_str(&text[from..]);
    Ok(out)
}

/// Whether there is a match.
pub fn test(state: &State, text: &str, pattern: &str) -> Result<bool, Error> {
    charge(state, text)?;
    let regex = pattern::compile(pattern).map_err(|why| fault("regex_test", &why))?;
    Ok(regex.is_match(text))
}

/// `group`, given by its place or its name.
fn given(group: Option<Value>, options: &Kwargs) -> Result<Option<Value>, Error> {
    let group = match group {
        Some(group) => Some(group),
        None => options.get("group")?,
    };
    options.assert_all_used()?;
    Ok(group)
}

/// The number of a group that is given by number or name; 0 if none is given.
fn number(regex: &Regex, group: Option<Value>) -> Result<usize, String> {
    let Some(group) = group else {
        return Ok(0);
    };
    let found = match group.as_str() {
        Some(name) => regex.capture_names().position(|n| n == Some(name)),
        None => group.as_usize().filter(|n| *n < regex.captures_len()),
    };
    found.ok_or_else(|| "the pattern has no such group".to_owned())
}
