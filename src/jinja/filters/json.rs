//! Filters between values and JSON texts.

use std::io::{self, Write};

use minijinja::value::Kwargs;
use minijinja::{Error, State, Value};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

use super::{charge, fault};
use crate::jinja::size;

/// Most spaces that `tojson` indents by.
const INDENT: i64 = 16;

/// Most places of a text where `extract_json` looks for the start of a value.
const OPENINGS: usize = 256;

/// The value that a JSON text stands for.
pub fn from_json(state: &State, text: &str) -> Result<Value, Error> {
    charge(state, text)?;
    serde_json::from_str(text).map_err(|error| {
        let place = format!("line {}, column {}", error.line(), error.column());
        fault("from_json", &format!("not valid JSON at {place}"))
    })
}

/// The first JSON object or list within a text, or none.
pub fn extract_json(state: &State, text: &str) -> Result<Option<Value>, Error> {
    for (at, _) in text.match_indices(['{', '[']).take(OPENINGS) {
        charge(state, &text[at..])?;
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter();
        if let Some(Ok(value)) = values.next() {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// The value as JSON.
pub fn json(value: &Value, options: Kwargs) -> Result<String, Error> {
    let python: Option<bool> = options.get("python")?;
    let ascii: Option<bool> = options.get("ascii")?;
    options.assert_all_used()?;
    size::check(value)?;
    let mut bytes = Vec::new();
    let written = if python == Some(true) {
        value.serialize(&mut Serializer::with_formatter(&mut bytes, Python))
    } else {
        value.serialize(&mut Serializer::with_formatter(
            &mut bytes,
            CompactFormatter,
        ))
    };
    let text = written.ok().and_then(|()| String::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| fault("json", "the value has no JSON form"))?;
    Ok(if ascii == Some(true) {
        to_ascii(&text)
    } else {
        text
    })
}

/// Jinja's `tojson`, of what can be written out.
pub fn tojson(
    state: &State,
    value: &Value,
    indent: Option<Value>,
    options: Kwargs,
) -> Result<Value, Error> {
    size::check(value)?;
    let given: Option<Value> = options.get("indent")?;
    let wide = |indent: &Value| indent.as_i64().is_some_and(|indent| indent > INDENT);
    if [&indent, &given].into_iter().flatten().any(wide) {
        return Err(fault("tojson", &format!("an indent of more than {INDENT}")));
    }
    let json = minijinja::filters::tojson(value, indent, options)?;
    charge(state, json.as_str().unwrap_or_default())?;
    Ok(json)
}

/// Jinja's `pprint`, of what can be written out.
pub fn pprint(state: &State, value: &Value) -> Result<String, Error> {
    size::check(value)?;
    let text = minijinja::filters::pprint(value);
    charge(state, &text)?;
    Ok(text)
}

/// Jinja's `string`, of what can be written out.
pub fn string(state: &State, value: &Value) -> Result<Value, Error> {
    size::check(value)?;
    minijinja::filters::string(state, value)
}

/// Escapes what is not ASCII; in JSON that stands within strings only.
fn to_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    ascii
}

/// Spaces and numbers as Python's `json.dumps` writes them.
struct Python;

impl Formatter for Python {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { to.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }

    fn write_f64<W: ?Sized + Write>(&mut self, to: &mut W, value: f64) -> io::Result<()> {
        let scientific = format!("{value:e}");
        match scientific.split_once('e') {
            Some((digits, power)) => match power.parse::<i32>() {
                Ok(power @ (16.. | ..-4)) => {
                    let sign = if power < 0 { '-' } else { '+' };
                    write!(to, "{digits}e{sign}{:02}", power.abs())
                }
                _ => write!(to, "{value:?}"),
            },
            None => write!(to, "{value:?}"),
        }
    }
}
