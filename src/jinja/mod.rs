//! Jinja expressions: the environment that YAML expressions and prompts share.

pub mod builtin;
pub mod deep;
pub mod expr;
pub mod filters;
pub mod size;
pub mod watch;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

/// Most steps that one evaluation may take, so that a template from a paper cannot hang a run.
/// Each is worth 64 bytes of what is made, which is at most half a gigabyte then.
pub const FUEL: u64 = 8_000_000;

/// An environment with strict undefined values and clue's filters.
///
/// Debug mode stays off: its messages print the values of variables, which are patient text.
pub fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_debug(false);
    env.set_fuel(Some(FUEL));
    env.set_syntax(syntax());
    env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    env.set_formatter(|out, state, value| {
        size::check(value)?;
        minijinja::escape_formatter(out, state, value)
    });
    env.set_unknown_method_callback(method);
    filters::register(&mut env);
    env
}

/// The methods that values have in Python; those that can make much of little are paid for
/// before.
fn method(state: &mut State, value: &Value, name: &str, args: &[Value]) -> Result<Value, Error> {
    match (name, value.as_str()) {
        ("format", Some(text)) => {
            let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len);
            if digits.max().unwrap_or(0) > 4 {
                let why = "`format`: a width of more than four digits";
                return Err(Error::new(ErrorKind::InvalidOperation, why));
            }
            args.iter().try_for_each(size::check)?;
            let places = text.matches('{').count() as u64;
            let longest = args.iter().filter_map(Value::as_str).map(str::len).max();
            state.consume_fuel(places.saturating_mul(longest.unwrap_or(0) as u64) / 64)?;
        }
        ("join", Some(_)) => args.iter().try_for_each(size::check)?,
        _ => {}
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, args)
}

/// Blocks on lines of their own leave no blank lines behind.
fn syntax() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true);
    syntax.build().unwrap_or_default()
}
