//! Why a stage left a record out, in the words of the pipeline: what its verb decides by, and the
//! values of that. Owns what is known of each verb; pure.

use minijinja::Value;
use serde_json::Value as Json;

use crate::engine::pipe::{ENVIRONMENT, Pipe};
use crate::jinja::expr::{Expr, is_global};
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
            exprs.push(expr.to_owned());
            format!("`{}` is false", line(expr))
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

/// A value as JSON.
pub fn json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

/// An expression on one line.
fn line(expr: &str) -> String {
    expr.split_whitespace().collect::<Vec<_>>().join(" ")
}
