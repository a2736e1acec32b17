//! Templates that could nest values very deeply. A `namespace` carries a value from one round of
//! a loop to the next, and so a list can be put into a list as often as fuel allows; whatever
//! walks that value (to compare it, to write it, to drop it) takes a piece of the stack for each
//! level, and a stack that is used up ends the program at once.
//!
//! Only `namespace` can do that: all else is bounded by the nesting of the template's own text, or
//! by Jinja's limit for macros. So templates that name it get less fuel, and a stack that is large
//! enough for all the levels that this fuel pays for.

use minijinja::Environment;

/// Fuel of such a template: for 32 MB of text, or 333,000 levels (one and a half for each).
const FUEL: u64 = 500_000;
/// Their stack (bytes): only what is used of it takes memory.
const STACK: usize = 1 << 30;

/// True if a template of this source may nest values deeply.
pub fn may_nest(source: &str) -> bool {
    source.contains("namespace")
}

/// Lets the environment of such templates have less fuel, and no function that writes out all
/// that there is, each level further indented.
pub fn limit(env: &mut Environment<'_>) {
    env.set_fuel(Some(FUEL));
    env.remove_global("debug");
}

/// Renders such a template: all values that come of it are dropped within `work`.
///
/// # Errors
/// The system gives no such stack.
pub fn on_large_stack<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let thread = thread
            .spawn_scoped(scope, work)
            .map_err(|why| format!("no stack to render with: {why}"))?;
        let ended = thread.join();
        ended.map_err(|_| "the rendering broke off".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever one template can nest with its fuel, and whatever then walks it. Measured without
    /// optimizations, the hungriest walk takes 1.5 kB for a level.
    #[test]
    fn no_nesting_that_fuel_pays_for_uses_up_the_stack() {
        let mut env = crate::jinja::environment();
        limit(&mut env);
        let nest = |open: &str, value: &str, close: &str| {
            format!("{}{value}{}", open.repeat(10), close.repeat(10))
        };
        for (open, close) in [
            ("[", "]"),
            ("{'a': ", "}"),
            ("namespace(y=", ")"),
            ("(", ",)"),
        ] {
            let round = ["ns.x", "ns.y"].map(|name| {
                let value = nest(open, name, close);
                format!("{{% set {name} = {value} %}}")
            });
            for walk in ["''", "ns.x == ns.y", "ns.x < ns.y", "ns.x ~ 'a'"] {
                let mut rounds = 1000;
                let refused = loop {
                    let source = format!(
                        "{{% set ns = namespace(x=[], y=[]) %}}{{% for i in range({rounds}) %}}\
                         {}{{% endfor %}}{{% set z = {walk} %}}",
                        round.concat()
                    );
                    let told = on_large_stack(|| env.render_str(&source, ()).map(drop));
                    match told.expect("a stack") {
                        Ok(()) => rounds += rounds / 2,
                        Err(error) => break error,
                    }
                };
                assert_eq!(refused.kind(), minijinja::ErrorKind::OutOfFuel, "{refused}");
            }
        }
    }
}
