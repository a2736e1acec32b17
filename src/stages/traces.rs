//! What decides a stage's output besides its settings, its files and its input: prompts,
//! models, and the params that expressions read. The planner makes manifests of it.

use std::path::PathBuf;
use std::sync::{Arc, LazyLock};

use regex::Regex;
use serde::Serialize;

use super::contract::Build;
use crate::hash::Hash;

/// What decides a stage's output besides its settings, its files and its input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Traces {
    /// The files of its prompts: as messages name them, hash of the text, text.
    pub prompts: Vec<(String, Hash, Arc<str>)>,
    /// The paths of these files: what they hold decides, not where they lie.
    pub paths: Vec<PathBuf>,
    /// Names of the models that it asks. What decides their answers is theirs to say.
    pub models: Vec<String>,
    /// Names of the params that it reads, sorted. There may be too many, never too few.
    pub params: Vec<String>,
}

impl Traces {
    /// The params that settings name in any of their texts: `params.x` and `params['x']` are
    /// that one; `params` used in any other way is all of them. A text that is no expression
    /// but looks like one names too many.
    pub fn of_settings<T: Serialize + ?Sized>(settings: &T, cx: &Build<'_>) -> Traces {
        let mut traces = Traces::default();
        if cx.shared.params.len() == Some(0) {
            return traces;
        }
        // Most name none, and to look into each of their texts takes longer.
        let text = serde_json::to_string(settings).unwrap_or_default();
        if text.contains("params") {
            let json = serde_json::to_value(settings).unwrap_or_default();
            traces.read_json(&json, &all_params(cx));
        }
        traces
    }

    /// Adds a name that a template reads, in the form `params.x`; other names are no params.
    pub fn read_name(&mut self, name: &str, cx: &Build<'_>) {
        self.read(name, &all_params(cx));
    }

    fn read_json(&mut self, json: &serde_json::Value, all: &[String]) {
        match json {
            serde_json::Value::String(text) => self.read(text, all),
            serde_json::Value::Array(items) => {
                items.iter().for_each(|item| self.read_json(item, all));
            }
            serde_json::Value::Object(entries) => {
                entries
                    .values()
                    .for_each(|value| self.read_json(value, all));
            }
            _ => {}
        }
    }

    fn read(&mut self, text: &str, all: &[String]) {
        let known = |name: &str| all.iter().any(|param| param == name);
        let captures = PARAM.as_ref().map(|regex| regex.captures_iter(text));
        for found in captures.into_iter().flatten() {
            match found.get(1).or(found.get(2)).map(|name| name.as_str()) {
                Some(name) if known(name) => self.params.push(name.to_owned()),
                _ => self.params.extend_from_slice(all),
            }
        }
        self.params.sort();
        self.params.dedup();
    }
}

/// `params`, with the name that it is asked for where that is plain.
static PARAM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r#"\bparams\b(?:\s*\.\s*(\w+)|\s*\[\s*["'](\w+)["']\s*\])?"#).ok());

fn all_params(cx: &Build<'_>) -> Vec<String> {
    let names = cx.shared.params.try_iter().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn params_are_found_in_any_text() {
        let all: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let read = |json: serde_json::Value| {
            let mut traces = Traces::default();
            traces.read_json(&json, &all);
            traces.params.join(" ")
        };
        assert_eq!(
            read(serde_json::json!({"x": ["params.b + params['a']"]})),
            "a b"
        );
        assert_eq!(read(serde_json::json!("params . c")), "c");
        assert_eq!(read(serde_json::json!("params[name]")), "a b c");
        assert_eq!(read(serde_json::json!("params.get('a')")), "a b c");
        assert_eq!(read(serde_json::json!("myparams.a or params_a")), "");
    }
}
