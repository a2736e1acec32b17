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
    let kind = json!({"enum": ["string", "int", "float", "bool", "path", "list", "map"]});
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
            "license": {
                "type": "string",
                "description": "Under which license it may be used: a name of SPDX, such as MIT, or an address.",
            },
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
                            "help": {"type": "string"},
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
                "additionalProperties": {"type": "object", "required": ["from"], "properties": common},
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
