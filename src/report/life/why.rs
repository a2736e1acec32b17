//! Why a stage left a record out, in the words of the pipeline: what its verb decides by, and the
//! values of that. Owns what is known of each verb; pure.

use minijinja::Value;
use serde_json::Value as Json;

use crate::engine::pipe::{ENVIRONMENT, Pipe};
use crate::jinja::expr::{Expr, Scope, is_global};
use crate::record::Record;

/// Why, and the values that decided it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Why {
    /// In one line that holds no value.
    pub text: String,
    /// The values.
    pub values: Vec<(String, Json)>,
}

/// What a stage says it does with every record that it lets pass, if that is short.
pub fn did(pipe: &Pipe, stage: usize) -> Option<String> {
    let verb = &pipe.stages[stage].verb;
    let settings = verb.settings();
    match verb.name() {
        "where" => Some(format!("`{}`", line(settings.as_str()?))),
        "score" => Some(format!("by `{}`", settings["metric"].as_str()?)),
        "join" => {
            let how = settings["how"].as_str().unwrap_or("inner");
            Some(format!("with `{}` ({how})", name(pipe, stage, 1)))
        }
        _ => None,
    }
}

/// Why a stage left a record out that it read at a port.
pub fn dropped(pipe: &Pipe, stage: usize, port: usize, record: Option<&Record>) -> Why {
    let verb = &pipe.stages[stage].verb;
    let settings = verb.settings();
    let mut exprs: Vec<String> = Vec::new();
    let text = match verb.name() {
        "where" => {
            let expr = settings.as_str().unwrap_or_default();
            let parts = parts(expr);
            let is_false = |part: &&String| record.is_some_and(|r| fails(pipe, stage, part, r));
            let wrong: Vec<&String> = parts.iter().filter(is_false).collect();
            // Of several conditions, those that are known not to hold.
            if parts.len() > 1 && !wrong.is_empty() {
                exprs.extend(wrong.iter().map(|part| (*part).clone()));
                let wrong: Vec<String> = wrong.iter().map(|w| format!("`{}`", line(w))).collect();
                format!("{} is false", wrong.join(" and "))
            } else {
                exprs.push(expr.to_owned());
                format!("`{}` is false", line(expr))
            }
        }
        "dedupe" => {
            let by = settings["by"].as_str().unwrap_or_default();
            exprs.push(by.to_owned());
            format!("an earlier record has the same `{}`", line(by))
        }
        "top_k" => {
            let orders = settings["by"].as_array().into_iter().flatten();
            let by = orders.filter_map(|order| order["by"].as_str());
            exprs.extend(by.map(str::to_owned));
            let by: Vec<String> = exprs.iter().map(|by| format!("`{}`", line(by))).collect();
            format!(
                "not among the {} picked by {}",
                settings["k"],
                by.join(", ")
            )
        }
        "take" => format!("`take` had its {settings}"),
        "skip" => format!("among the first {settings}"),
        "sample" => format!("not among the {} drawn", settings["n"]),
        "join" => joined(pipe, stage, port, &settings, &mut exprs),
        "explode" => {
            let list = settings["field"].as_str().unwrap_or_default();
            format!("the list `{}` is empty", line(list))
        }
        "generate" | "judge" if !settings["shots"].is_null() => {
            "shown to the model as a worked example".to_owned()
        }
        "exec" => "the program gave no record with this key".to_owned(),
        _ => "nothing was made of it".to_owned(),
    };
    Why {
        text,
        values: values(pipe, stage, &exprs, record),
    }
}

/// Why a record that a `join` read is in none that it emitted.
fn joined(
    pipe: &Pipe,
    stage: usize,
    port: usize,
    settings: &Json,
    exprs: &mut Vec<String>,
) -> String {
    let pairs = settings["on"].as_array().into_iter().flatten();
    let on = pairs.filter_map(|pair| pair[port.min(1)].as_str());
    exprs.extend(on.map(str::to_owned));
    let other = name(pipe, stage, 1 - port.min(1));
    let on: Vec<String> = exprs.iter().map(|on| format!("`{on}`")).collect();
    let on = on.join(", ");
    match (settings["how"].as_str(), port) {
        (Some("semi" | "anti"), 1) => format!("it only decides which of `{other}` stay"),
        (Some("anti"), _) => format!("a record of `{other}` has the same {on}"),
        _ => format!("no record of `{other}` has the same {on}"),
    }
}

/// The name of the stage that another reads at a port.
fn name(pipe: &Pipe, stage: usize, port: usize) -> &str {
    let from = pipe.stages[stage].inputs.get(port);
    from.map_or("", |from| pipe.stages[*from].spec.name.value.as_str())
}

/// What the expressions read of a record and of the params.
fn values(
    pipe: &Pipe,
    stage: usize,
    exprs: &[String],
    record: Option<&Record>,
) -> Vec<(String, Json)> {
    let Some(record) = record else {
        return Vec::new();
    };
    let stage = &pipe.stages[stage];
    let params = &pipe.scopes[stage.spec.scope].params;
    let mut found: Vec<(String, Json)> = Vec::new();
    for expr in exprs {
        let Ok(compiled) = Expr(expr.clone()).compile(&ENVIRONMENT) else {
            continue;
        };
        for full in compiled.names() {
            let root = full.split('.').next().unwrap_or(&full);
            let named = stage.with.iter().any(|(name, _)| name == root);
            if named || is_global(root) {
                continue;
            }
            let (name, value) = match full.strip_prefix("params.") {
                Some(param) => {
                    let first = param.split('.').next().unwrap_or(param);
                    (format!("params.{first}"), params.get_attr(first).ok())
                }
                None => (root.to_owned(), record.fields.get(root).cloned()),
            };
            let known = found.iter().any(|(known, _)| *known == name);
            if let Some(value) = value.filter(|value| !known && !value.is_undefined()) {
                found.push((name, json(&value)));
            }
        }
    }
    found
}

/// The conditions of an expression that all have to hold: what stands between its outermost
/// `and`s. One with an outermost `or` or `if` is one condition.
fn parts(expr: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0_usize, 0);
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut before = ' ';
    for (at, c) in expr.char_indices() {
        if let Some(open) = quote {
            if c == open && !escaped {
                quote = None;
            }
            escaped = c == '\\' && !escaped;
            before = c;
            continue;
        }
        match c {
            '\'' | '"' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 && is_word(c) && !is_word(before) => {
                let rest = &expr[at..];
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                match &rest[..end] {
                    "or" | "if" | "else" => return vec![expr.to_owned()],
                    "and" => {
                        parts.push(expr[start..at].trim().to_owned());
                        start = at + end;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        before = c;
    }
    parts.push(expr[start..].trim().to_owned());
    parts
}

/// True if a condition is known not to hold of a record. One that needs other stages is not known.
fn fails(pipe: &Pipe, stage: usize, part: &str, record: &Record) -> bool {
    let scope = Scope {
        fields: record.fields.clone(),
        shared: pipe.build(stage, Vec::new()).shared,
    };
    let named = |name: &String| {
        let mut with = pipe.stages[stage].with.iter();
        with.any(|(with, _)| name.split('.').next() == Some(with))
    };
    let Ok(compiled) = Expr(part.to_owned()).compile(&ENVIRONMENT) else {
        return false;
    };
    let known = !compiled.names().iter().any(named);
    known && compiled.eval(&scope).is_ok_and(|value| !value.is_true())
}

/// A value as JSON.
pub fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// An expression on one line.
fn line(expr: &str) -> String {
    expr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn conditions_are_what_stands_between_the_outermost_ands() {
        assert_eq!(parts("a"), ["a"]);
        assert_eq!(
            parts("x in (b and c) and 'this and that' in text\n and not band"),
            ["x in (b and c)", "'this and that' in text", "not band"]
        );
        assert_eq!(parts(r"a == 'it\'s and' and b"), [r"a == 'it\'s and'", "b"]);
        let whole = "a and b or c";
        assert_eq!(parts(whole), [whole]);
        let whole = "a if b and c else d";
        assert_eq!(parts(whole), [whole]);
        assert_eq!(parts("a and (b or c)"), ["a", "(b or c)"]);
        assert_eq!(parts(")and("), [")", "("]);
    }
}
