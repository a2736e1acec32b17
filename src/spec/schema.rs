//! The JSON Schema of a whole pipeline file, for editors.

use serde_json::{Map, Value as Json, json};

use super::shapes::Shapes;

/// The schema (draft 2020-12). Wherever params may be filled in, `{{ … }}` is allowed too.
pub fn json_schema(shapes: &Shapes) -> Json {
    let mut defs = Map::new();
    for (name, schema) in &shapes.defs {
        defs.insert(name.clone(), open(schema));
    }
    defs.insert(
        "Filled".to_owned(),
        json!({"type": "string", "pattern": r"\{\{[\s\S]*\}\}", "description": "A value made from `params`."}),
    );
    let common = json!({
        "from": {
            "description": "The stage or stages whose records it reads.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
        "with": {
            "description": "Stages that expressions can read as a whole: name in expressions, and stage.",
            "type": "object",
            "additionalProperties": {"type": "string"},
        },
        "on_error": described("What to do with records that fail.", open(&shapes.on_error)),
        "when": {
            "description": "An expression over `params`; when false the stage is left out, and its readers read its input.",
            "type": ["string", "boolean"],
        },
    });
    // The name of the output is its path.
    let mut output = common.clone();
    if let (Some(all), Some(write)) = (output.as_object_mut(), shapes.verbs.get("write")) {
        let flat = shapes.flat(write);
        let settings = flat
            .iter()
            .filter_map(|schema| schema["properties"].as_object());
        for (name, schema) in settings.flatten().filter(|(name, _)| *name != "path") {
            all.insert(name.clone(), open(schema));
        }
    }
    let mut stage = common.clone();
    let mut verbs = Vec::new();
    for (name, schema) in &shapes.verbs {
        let mut schema = open(schema);
        if shapes.wants_map(&shapes.verbs[name]) {
            schema = json!({"anyOf": [schema, {"type": "null"}]});
        }
        stage[name] = schema;
        verbs.push(json!({"required": [name]}));
    }
    let included = json!({"anyOf": [
        {"type": "string"},
        {
            "type": "object",
            "additionalProperties": false,
            "required": ["file"],
            "properties": {
                "file": {"type": "string", "description": "The other pipeline's file."},
                "as": {"type": "string", "description": "What the names of its stages, models and outputs begin with; its file's name by default."},
                "when": common["when"],
                "for_each": {
                    "description": "Lists: one instance for every combination of their values, which `as` and `params` read as `each.NAME`.",
                    "type": "object",
                    "additionalProperties": {"type": ["array", "string"]},
                },
                "params": {
                    "description": "Values for its params; others have the value of the param of the same name here, or their default.",
                    "type": "object",
                },
                "inputs": {
                    "description": "Stages here that stand in for stages there, by the names they have there: who read those reads these.",
                    "type": "object",
                    "additionalProperties": {"type": "string"},
                },
            },
        },
    ]});
    let kind = json!({"description": "Its type; by default that of its default.", "enum": ["string", "int", "float", "bool", "path", "list", "map"]});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "clue pipeline",
        "type": "object",
        "required": ["clue"],
        "additionalProperties": false,
        "properties": {
            "clue": {"const": 1, "description": "Version of the language."},
            "name": {"type": "string", "description": "Name of the pipeline; the file's by default."},
            "description": {"type": "string", "description": "What it makes, for readers."},
            "cite": {
                "description": "What to cite when using it.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
            },
            "license": {"type": "string", "description": "The license of what it makes, by its SPDX identifier, such as `CC-BY-4.0`."},
            "params": {
                "description": "Values that a run may set with `-p name=value`.",
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [
                    {"type": ["string", "number", "boolean", "array", "null"]},
                    {
                        "type": "object",
                        "additionalProperties": false,
                        "properties": {
                            "type": kind,
                            "default": {"description": "Without it a value must be given."},
                            "choices": {"type": "array", "description": "The values it may have; of a list, what it may hold."},
                            "help": {"type": "string", "description": "What it is for, in a line."},
                        },
                    },
                ]},
            },
            "models": {
                "description": "Language models by name; one written as `{{ … }}` is given by a param.",
                "type": ["object", "null"],
                "additionalProperties": {"anyOf": [open(&shapes.model), {"$ref": "#/$defs/Filled"}]},
            },
            "stages": {
                "description": "Stages by name: each has inputs and one verb.",
                "type": ["object", "null"],
                "additionalProperties": {
                    "type": "object",
                    "additionalProperties": false,
                    "properties": stage,
                    "oneOf": verbs,
                },
            },
            "outputs": {
                "description": "Files to write into the output folder, by name, each with the settings of `write`.",
                "type": ["object", "null"],
                "additionalProperties": {
                    "description": "A file, by what it holds.",
                    "type": "object",
                    "required": ["from"],
                    "additionalProperties": false,
                    "properties": output,
                },
            },
            "include": {
                "description": "Files whose params, models, stages and outputs belong to this pipeline, by name; and instances of other pipelines, each a map.",
                "anyOf": [included, {"type": "array", "items": included}],
            },
            "on_error": described("What to do with records that fail, where a stage does not say.", open(&shapes.on_error)),
        },
        "$defs": defs,
    })
}

/// Says what one setting of a verb, such as `options`, holds for each value of another, such as
/// `metric`: `choices` are the values, as if they were verbs.
pub fn depending(schema: &mut Json, verb: &str, (by, of): (&str, &str), choices: &Shapes) {
    let stages = &schema["properties"]["stages"]["additionalProperties"];
    let Some(name) = refers(&stages["properties"][verb]) else {
        return;
    };
    // Names of definitions may be those of others.
    let place = |name: &str| format!("{verb}.{name}");
    let mut rules = Vec::new();
    for (value, shape) in &choices.verbs {
        let mut shape = open(shape);
        moved(&mut shape, &place);
        rules.push(json!({
            "if": {"required": [by], "properties": {by: {"const": value}}},
            "then": {"properties": {of: {"anyOf": [shape, {"type": "null"}]}}},
        }));
    }
    let Some(defs) = schema["$defs"].as_object_mut() else {
        return;
    };
    for (name, shape) in choices.needed() {
        let mut shape = open(shape);
        moved(&mut shape, &place);
        defs.insert(place(name), shape);
    }
    if let Some(verb) = defs.get_mut(&name) {
        verb["allOf"] = rules.into();
    }
}

/// The definition that a schema refers to.
fn refers(schema: &Json) -> Option<String> {
    let mut all = std::iter::once(schema).chain(schema["anyOf"].as_array().into_iter().flatten());
    let name = all.find_map(|schema| schema["$ref"].as_str()?.strip_prefix(DEFS));
    name.map(str::to_owned)
}

/// Where definitions are.
const DEFS: &str = "#/$defs/";

/// Gives the definitions that a schema refers to other names.
fn moved(schema: &mut Json, place: &impl Fn(&str) -> String) {
    match schema {
        Json::Object(map) => {
            for (word, value) in map {
                match value.as_str().and_then(|to| to.strip_prefix(DEFS)) {
                    Some(name) if word == "$ref" && name != "Filled" => {
                        *value = format!("{DEFS}{}", place(name)).into();
                    }
                    _ => moved(value, place),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| moved(item, place)),
        _ => {}
    }
}

fn described(text: &str, mut schema: Json) -> Json {
    schema["description"] = text.into();
    schema
}

/// A schema that also takes `{{ … }}` wherever something other than free text is expected.
fn open(schema: &Json) -> Json {
    let Json::Object(map) = schema else {
        return schema.clone();
    };
    let mut inner = Map::new();
    let mut outer = Map::new();
    for (word, value) in map {
        match word.as_str() {
            // Two alternatives may both take `{{ … }}`.
            "anyOf" | "oneOf" => {
                inner.insert("anyOf".to_owned(), each(value));
            }
            "allOf" | "prefixItems" => {
                inner.insert(word.clone(), each(value));
            }
            "properties" if map.contains_key("description") => {
                // An alternative of one property is described as a whole.
                let mut opened = value.as_object().cloned().unwrap_or_default();
                opened.values_mut().for_each(|inner| *inner = open(inner));
                if let (1, Some(only)) = (opened.len(), opened.values_mut().next())
                    && only.get("description").is_none()
                    && only.get("$ref").is_none()
                {
                    only["description"] = map["description"].clone();
                }
                inner.insert(word.clone(), Json::Object(opened));
            }
            "properties" | "$defs" | "patternProperties" => {
                let opened = value.as_object().map(|map| {
                    map.iter()
                        .map(|(k, v)| (k.clone(), open(v)))
                        .collect::<Map<_, _>>()
                });
                inner.insert(word.clone(), opened.map_or(Json::Null, Json::Object));
            }
            "items" | "additionalProperties" => {
                inner.insert(word.clone(), open(value));
            }
            "description" | "title" | "default" => {
                outer.insert(word.clone(), value.clone());
            }
            _ => {
                inner.insert(word.clone(), value.clone());
            }
        }
    }
    let of_type = |kind: &str| {
        map.get("type").is_some_and(|t| {
            t == kind
                || t.as_array()
                    .is_some_and(|all| all.iter().any(|t| t == kind))
        })
    };
    let closed = ["integer", "number", "boolean", "array"]
        .into_iter()
        .any(of_type)
        || map.contains_key("enum")
        || map.contains_key("const");
    if closed {
        outer.insert(
            "anyOf".to_owned(),
            json!([inner, {"$ref": "#/$defs/Filled"}]),
        );
    } else {
        outer.extend(inner);
    }
    Json::Object(outer)
}

fn each(value: &Json) -> Json {
    value
        .as_array()
        .map(|all| Json::Array(all.iter().map(open).collect()))
        .unwrap_or_default()
}
