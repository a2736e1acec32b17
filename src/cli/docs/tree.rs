//! JSON Schemas as docs: the settings of a thing, with their types, defaults and meanings. Pure;
//! knows nothing of verbs.

use serde::Serialize;
use serde_json::{Map, Value as Json};

/// Settings inside of settings that are told.
const DEPTH: usize = 3;

/// A setting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its name.
    pub name: String,
    /// What it may be, in words.
    #[serde(rename = "type")]
    pub of: String,
    /// True if it must be there.
    pub required: bool,
    /// Its value if it is left out, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// What it means.
    pub about: String,
    /// The values that it may have, with what each means.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// What it is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
}

/// A value that a setting may have.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    /// The value.
    pub value: Json,
    /// What it means; empty if its name says it.
    pub about: String,
}

/// Schemas, and the definitions that they refer to.
pub struct Schemas<'a> {
    /// The definitions.
    pub defs: &'a Map<String, Json>,
}

impl<'a> Schemas<'a> {
    /// What a schema says that it describes, in plain lines.
    pub fn about(&self, schema: &'a Json) -> String {
        match schema["description"].as_str() {
            Some(text) => paragraphs(text),
            None => self
                .target(schema)
                .map_or_else(String::new, |to| self.about(to)),
        }
    }

    /// The settings of something.
    pub fn settings(&self, schema: &'a Json) -> Vec<Setting> {
        self.inner(schema, 0)
    }

    fn target(&self, schema: &'a Json) -> Option<&'a Json> {
        self.defs.get(name_of(schema)?)
    }

    /// The alternatives that a schema has, references followed, but for nothing and for what is
    /// filled in later.
    fn flat(&self, schema: &'a Json) -> Vec<&'a Json> {
        if let Some(name) = name_of(schema) {
            return match self.defs.get(name) {
                Some(target) if name != "Filled" => self.flat(target),
                _ => Vec::new(),
            };
        }
        // What has properties of its own says by these which of them go together.
        let words = match schema["properties"].is_object() {
            true => &[][..],
            false => &["anyOf", "oneOf"][..],
        };
        for word in words {
            if let Some(all) = schema[word].as_array() {
                return all.iter().flat_map(|schema| self.flat(schema)).collect();
            }
        }
        vec![schema]
    }

    /// Settings of an object, of the objects in a list, or of those of a map.
    fn inner(&self, schema: &'a Json, depth: usize) -> Vec<Setting> {
        let mut found: Vec<Setting> = Vec::new();
        for schema in self.flat(schema) {
            let mut here = match schema["properties"].as_object() {
                Some(properties) => {
                    let required = schema["required"].as_array();
                    let settings = properties.iter().map(|(name, inner)| {
                        let mut required = required.into_iter().flatten();
                        let required = required.any(|known| known == name);
                        self.setting(name, inner, required, depth)
                    });
                    settings.collect()
                }
                None => Vec::new(),
            };
            for word in ["items", "additionalProperties"] {
                if here.is_empty() && schema[word].is_object() {
                    here = self.inner(&schema[word], depth);
                }
            }
            here.retain(|setting| found.iter().all(|known| known.name != setting.name));
            found.append(&mut here);
        }
        // What must be there comes first.
        found.sort_by_key(|setting| !setting.required);
        found
    }

    fn setting(&self, name: &str, schema: &'a Json, required: bool, depth: usize) -> Setting {
        let settings = match depth + 1 < DEPTH {
            true => self.inner(schema, depth + 1),
            false => Vec::new(),
        };
        Setting {
            name: name.to_owned(),
            of: self.words(schema),
            required,
            default: Some(&schema["default"])
                .filter(|value| says_something(value))
                .cloned(),
            about: self.about(schema),
            choices: self.choices(schema),
            settings,
        }
    }

    /// What a value may be, in words.
    pub fn words(&self, schema: &'a Json) -> String {
        let mut words: Vec<String> = Vec::new();
        let fixed = values(&self.flat(schema));
        if !fixed.is_empty() {
            words.push(listed(&fixed));
        }
        for schema in self.flat(schema) {
            let kinds = match &schema["type"] {
                Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).collect(),
                Json::String(kind) => vec![kind.as_str()],
                _ => Vec::new(),
            };
            if schema.get("const").is_some() || schema.get("enum").is_some() {
                continue;
            }
            for kind in kinds {
                let word = match kind {
                    "null" => continue,
                    "string" if schema["format"] == "jinja-expression" => "expression".to_owned(),
                    "string" => "text".to_owned(),
                    "integer" => "whole number".to_owned(),
                    "number" => "number".to_owned(),
                    "boolean" => "true or false".to_owned(),
                    "array" => self.of("list", &schema["items"]),
                    "object" => self.of("map", &schema["additionalProperties"]),
                    other => other.to_owned(),
                };
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        match words.is_empty() {
            true => "anything".to_owned(),
            false => words.join(" or "),
        }
    }

    fn of(&self, what: &str, inner: &'a Json) -> String {
        match inner.is_object() {
            true => format!("{what} of {}", self.words(inner)),
            false => what.to_owned(),
        }
    }

    fn choices(&self, schema: &'a Json) -> Vec<Choice> {
        let mut found = Vec::new();
        self.choices_of(schema, "", &mut found);
        found
    }

    /// Adds the values that a schema allows, an alternative of one that says `about` of it.
    fn choices_of(&self, schema: &'a Json, about: &str, found: &mut Vec<Choice>) {
        if let Some(name) = name_of(schema) {
            if let Some(target) = self.defs.get(name).filter(|_| name != "Filled") {
                self.choices_of(target, about, found);
            }
            return;
        }
        for word in ["anyOf", "oneOf"] {
            for option in schema[word].as_array().into_iter().flatten() {
                let own = option["description"].as_str();
                self.choices_of(option, own.unwrap_or(about), found);
            }
        }
        if schema["items"].is_object() {
            self.choices_of(&schema["items"], "", found);
        }
        // A description of several is that of the setting.
        let about = match schema["enum"].is_array() {
            true => "",
            false => schema["description"].as_str().unwrap_or(about),
        };
        found.extend(values(&[schema]).into_iter().map(|value| Choice {
            value: value.clone(),
            about: paragraphs(about),
        }));
    }
}

/// The only values that schemas allow.
fn values<'a>(schemas: &[&'a Json]) -> Vec<&'a Json> {
    let values = schemas.iter().flat_map(|schema| {
        let several = schema["enum"].as_array().into_iter().flatten();
        several.chain(schema.get("const"))
    });
    values.collect()
}

/// Values in a row, such as `a`, `b` or `c`.
fn listed(values: &[&Json]) -> String {
    let values: Vec<String> = values.iter().map(|value| plain(value)).collect();
    match values.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        values => values.concat(),
    }
}

/// A value as it is written in YAML, in backticks.
pub fn plain(value: &Json) -> String {
    match value {
        Json::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

fn name_of(schema: &Json) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// Defaults that are nothing are no news.
fn says_something(value: &Json) -> bool {
    match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Array(items) => !items.is_empty(),
        Json::Object(entries) => !entries.is_empty(),
        Json::Bool(_) | Json::Number(_) => true,
    }
}

/// Lines of a comment as paragraphs, each on one line.
pub fn paragraphs(text: &str) -> String {
    let parts = text.split("\n\n");
    let parts = parts.map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    parts.collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_are_found_in_lists_and_behind_references() {
        let defs = json!({
            "Mode": {"description": "How.", "oneOf": [
                {"const": "fast", "type": "string", "description": "Quick\nand rough."},
                {"const": "good", "type": "string"},
            ]},
            "Inner": {"description": "Parts.", "type": "object", "required": ["x"], "properties": {
                "y": {"type": "integer", "default": 3, "description": "Why."},
                "x": {"type": ["array", "null"], "items": {"type": "string", "format": "jinja-expression"}},
            }},
            "Filled": {"type": "string"},
        });
        let schemas = Schemas {
            defs: defs.as_object().expect("a map"),
        };
        let schema = json!({"anyOf": [{"type": "object", "properties": {
            "mode": {"$ref": "#/$defs/Mode", "default": "fast"},
            "parts": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Inner"}}, {"$ref": "#/$defs/Filled"}]},
        }}, {"type": "null"}]});
        let settings = schemas.settings(&schema);
        let [mode, parts] = settings.as_slice() else {
            panic!("{settings:?}");
        };
        assert_eq!(
            (mode.of.as_str(), mode.about.as_str()),
            ("`fast` or `good`", "How.")
        );
        assert_eq!(mode.default, Some(json!("fast")));
        assert_eq!(mode.choices[0].about, "Quick and rough.");
        assert_eq!(parts.of, "list of map");
        let told = parts
            .settings
            .iter()
            .map(|s| format!("{} {} {}", s.name, s.of, s.required));
        assert_eq!(
            told.collect::<Vec<_>>(),
            ["x list of expression true", "y whole number false"]
        );
    }
}
