//! Jinja expressions: the environment that YAML expressions and prompts share.

pub mod expr;
pub mod filters;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};

/// Most steps that one evaluation may take, so that a template from a paper cannot hang a run.
const FUEL: u64 = 8_000_000;

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
    env.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    filters::register(&mut env);
    env
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
