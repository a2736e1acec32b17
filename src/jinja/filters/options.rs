//! Multiple choice: the letters of options.

use minijinja::value::Kwargs;
use minijinja::{Error, Value};

use super::fault;
use crate::text;

/// The letter of the option that is the given text, or that contains it; none if there is none.
pub fn letter_of(options: &Value, right: &str, settings: Kwargs) -> Result<Option<String>, Error> {
    let within: Option<bool> = settings.get("within")?;
    settings.assert_all_used()?;
    for (at, option) in options.try_iter()?.enumerate() {
        let Some(option) = option.as_str() else {
            return Err(fault("letter_of", "an option is not text"));
        };
        let hit = if within == Some(true) {
            option.contains(right)
        } else {
            text::strip(option) == text::strip(right)
        };
        if hit {
            let letter = u8::try_from(at).ok().filter(|at| *at < 26);
            let letter = letter.ok_or_else(|| fault("letter_of", "more than 26 options"))?;
            return Ok(Some(char::from(b'A' + letter).to_string()));
        }
    }
    Ok(None)
}

/// The ICD-10-CM codes in a text, as they are written.
pub fn icd_codes(state: &minijinja::State, text: &str) -> Result<Vec<String>, Error> {
    super::charge(state, text)?;
    Ok(text::icd_codes(text)
        .into_iter()
        .map(str::to_owned)
        .collect())
}
