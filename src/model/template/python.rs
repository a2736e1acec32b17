//! The environment that chat templates expect: Jinja as transformers sets it up, in Python. Owns
//! the functions it adds, and where Python writes or cuts values otherwise than Rust.

use std::fmt;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use regex::Regex;

use super::date::Day;
use crate::text::{is_space, strip};

/// What a template raised: the words it gave.
#[derive(Debug)]
pub struct Raised(pub String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("raised by the template")
    }
}

impl std::error::Error for Raised {}

/// The environment; `day` is what `strftime_now` tells.
pub fn environment(day: Option<Day>) -> Environment<'static> {
    let mut env = Environment::new();
    // An undefined name is empty, as in Jinja; templates count on it.
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    // Its messages would print the values of variables, which are patient text.
    env.set_debug(false);
    env.set_fuel(Some(crate::jinja::FUEL));
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    env.set_syntax(syntax.build().unwrap_or_default());
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_unknown_method_callback(method);
    env.set_formatter(|out, _, value| Ok(out.write_str(&shown(value))?));
    env.add_filter("tojson", super::json::tojson);
    env.add_filter("trim", |text: &str, chars: Option<&str>| {
        trimmed(text, chars, true, true).to_owned()
    });
    env.add_function("raise_exception", |words: Value| -> Result<Value, Error> {
        let raised = Raised(words.to_string());
        Err(Error::new(ErrorKind::InvalidOperation, "raised").with_source(raised))
    });
    env.add_function("strftime_now", move |format: &str| match day {
        Some(day) => day.strftime(format).map_err(fault),
        None => Err(fault(
            "it asks for today's date; say which day that is with `date: YYYY-MM-DD` under `chat_template`",
        )),
    });
    env
}

/// The text of a template as Jinja in Python reads it: line ends are `\n`, and the blocks that
/// mark what a model was trained to write are mere blocks.
pub fn source(text: &str) -> String {
    static GENERATION: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").ok());
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    match &*GENERATION {
        Some(marks) => marks.replace_all(&text, "{%$1 ${2}with $3%}").into_owned(),
        None => text,
    }
}

pub(super) fn fault(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why.into())
}

fn trimmed<'a>(text: &'a str, chars: Option<&str>, start: bool, end: bool) -> &'a str {
    let cut = |c: char| match chars {
        Some(chars) => chars.contains(c),
        None => is_space(c),
    };
    let text = if start {
        text.trim_start_matches(cut)
    } else {
        text
    };
    if end {
        text.trim_end_matches(cut)
    } else {
        text
    }
}

/// Methods of Python's types. White space is what Python says it is.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    if let (Some(text), []) = (value.as_str(), args) {
        let done = match name {
            "strip" => Some(strip(text).into()),
            "lstrip" => Some(trimmed(text, None, true, false).into()),
            "rstrip" => Some(trimmed(text, None, false, true).into()),
            "split" => {
                let words = text.split(is_space).filter(|word| !word.is_empty());
                Some(words.map(Value::from).collect())
            }
            _ => None,
        };
        if let Some(done) = done {
            return Ok(done);
        }
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// A value as Python's `str` writes it.
fn shown(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None if value.is_undefined() => String::new(),
        None => repr(value),
    }
}

/// A value as Python's `repr` writes it.
fn repr(value: &Value) -> String {
    let list = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(", ");
    match value.kind() {
        ValueKind::None => "None".to_owned(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.to_owned(),
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq => match value.try_iter() {
            Ok(items) => format!("[{}]", list(&mut items.map(|item| repr(&item)))),
            Err(_) => value.to_string(),
        },
        ValueKind::Map => match value.try_iter() {
            Ok(keys) => {
                let pair = |key: Value| {
                    let item = value.get_item(&key).unwrap_or_default();
                    format!("{}: {}", repr(&key), repr(&item))
                };
                format!("{{{}}}", list(&mut keys.map(pair)))
            }
            Err(_) => value.to_string(),
        },
        _ => value.to_string(),
    }
}

/// A text between Python's quotes.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(template: &str) -> String {
        let env = environment(None);
        let text = env.render_str(&source(template), ());
        text.unwrap_or_else(|why| why.to_string())
    }

    #[test]
    fn generation_blocks_are_blocks() {
        assert_eq!(
            render("a\n  {%- generation -%}\n  b{% set x = 1 %}\n{% endgeneration %}\nc{{ x }}"),
            "abc"
        );
    }
}
