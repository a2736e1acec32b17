//! JSON of a schema, asked for in the words of each server. Owns where a JSON Schema stands in the
//! body of a request, and what becomes of it there. Knows nothing of answers: they are checked
//! against the whole schema wherever it was sent. Pure.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::chat::Chat;
use super::spec::{ApiKind, ModelSpec};

/// How a server is told the JSON Schema of its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SchemaField {
    /// `response_format` as OpenAI, vLLM and llama.cpp's chats know it.
    ResponseFormat,
    /// `structured_outputs` of vLLM from 0.12 on, for chats and texts.
    StructuredOutputs,
    /// `guided_json` of older vLLM, for chats and texts.
    GuidedJson,
    /// `json_schema` of llama.cpp, for chats and texts.
    JsonSchema,
    /// `grammar` of Text Generation Inference.
    Grammar,
    /// `output_config` of Anthropic.
    OutputConfig,
    /// It is not told: answers are only checked.
    None,
}

use SchemaField::{
    Grammar, GuidedJson, JsonSchema as LlamaCpp, None as Untold, OutputConfig, ResponseFormat,
    StructuredOutputs,
};

impl SchemaField {
    /// Its name in YAML, and (but for `none`) in the body.
    pub fn name(self) -> &'static str {
        match self {
            ResponseFormat => "response_format",
            StructuredOutputs => "structured_outputs",
            GuidedJson => "guided_json",
            LlamaCpp => "json_schema",
            Grammar => "grammar",
            OutputConfig => "output_config",
            Untold => "none",
        }
    }

    /// The ways of an API, the usual one first. Completions have none that servers share.
    pub fn of(api: ApiKind) -> &'static [SchemaField] {
        match api {
            ApiKind::Openai => &[
                ResponseFormat,
                StructuredOutputs,
                GuidedJson,
                LlamaCpp,
                Untold,
            ],
            ApiKind::Completions => &[
                Untold,
                LlamaCpp,
                StructuredOutputs,
                GuidedJson,
                ResponseFormat,
            ],
            ApiKind::Tgi => &[Grammar, Untold],
            ApiKind::Anthropic => &[OutputConfig, Untold],
        }
    }

    /// The field's value for a schema; none where it is not told.
    fn value(self, schema: &Value) -> Option<Value> {
        let schema = plain(schema);
        Some(match self {
            ResponseFormat => {
                let mut told = json!({"name": "answer", "schema": schema});
                if is_strict(&schema) {
                    told["strict"] = true.into();
                }
                json!({"type": "json_schema", "json_schema": told})
            }
            StructuredOutputs => json!({"json": schema}),
            GuidedJson | LlamaCpp => schema,
            Grammar => json!({"type": "json", "value": schema}),
            OutputConfig => {
                json!({"format": {"type": "json_schema", "schema": without_limits(&schema)}})
            }
            Untold => return None,
        })
    }
}

/// How a model is told schemas.
pub fn field(model: &ModelSpec) -> SchemaField {
    let usual = SchemaField::of(model.api()).first().copied();
    model.json_schema.or(usual).unwrap_or(Untold)
}

/// The field of the body for a chat's schema, and its value. None where the model is not told:
/// it is set so, or the prompt has begun the answer in a way that does not go with a schema.
///
/// Anthropic refuses a beginning together with a schema, and llama.cpp's chats break on it (their
/// grammar begins before the beginning). Elsewhere only JSON must not have begun: a server
/// would begin it anew.
pub(super) fn told(model: &ModelSpec, chat: &Chat) -> Option<(&'static str, Value)> {
    let schema = chat.schema.as_deref()?;
    let field = field(model);
    let chats = model.api() == ApiKind::Openai && matches!(field, ResponseFormat | LlamaCpp);
    let begun = match chats || field == OutputConfig {
        true => !chat.prefill.trim().is_empty(),
        false => chat.prefill.contains(['{', '[', '"']),
    };
    if begun {
        return None;
    }
    Some((field.name(), field.value(schema)?))
}

/// Puts a chat's schema into the body of a request, beside what else the field may hold.
pub(super) fn put(model: &ModelSpec, chat: &Chat, body: &mut Map<String, Value>) {
    let Some((name, value)) = told(model, chat) else {
        return;
    };
    match (body.get_mut(name), value) {
        (Some(Value::Object(there)), Value::Object(more)) => there.extend(more),
        (_, value) => {
            body.insert(name.to_owned(), value);
        }
    }
}

/// Why a model cannot be told a schema as it is set, in one line; none if it can.
pub fn refusal(model: &ModelSpec, schema: &Value) -> Option<String> {
    let field = field(model);
    let name = field.name();
    let own = model.sampling.extra.get(name).filter(|_| field != Untold);
    if own.is_some_and(|own| field != OutputConfig || own.get("format").is_some()) {
        return Some(format!(
            "`extra` sets `{name}`, where the schema is to stand"
        ));
    }
    if field != OutputConfig {
        return None;
    }
    let mut open = false;
    each(schema, &mut |_, part| {
        let kind = &part["type"];
        let mut kinds = kind.as_array().into_iter().flatten();
        let object = kind == "object"
            || kinds.any(|kind| kind == "object")
            || part.get("properties").is_some();
        open |= object && part["additionalProperties"] != Value::Bool(false);
    });
    let what = "`api: anthropic` wants `additionalProperties: false` in every object of a schema";
    open.then(|| what.to_owned())
}

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords whose value is a list of schemas; that of `items` was one in older drafts.
const LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// Keywords whose value is a map of schemas, by names of the user's.
const MAP: [&str; 6] = [
    "$defs",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "patternProperties",
    "properties",
];

/// Calls `look` with every object in a schema that is a schema itself, and its JSON pointer.
pub fn each(schema: &Value, look: &mut impl FnMut(&str, &Value)) {
    walk(schema, &mut String::new(), look);
}

fn walk(schema: &Value, at: &mut String, look: &mut impl FnMut(&str, &Value)) {
    let Value::Object(keys) = schema else {
        return;
    };
    look(at, schema);
    let mut below = |inner: &Value, steps: &[&str]| {
        let length = at.len();
        for step in steps {
            at.push('/');
            at.push_str(&step.replace('~', "~0").replace('/', "~1"));
        }
        walk(inner, at, look);
        at.truncate(length);
    };
    for (key, value) in keys {
        let word = key.as_str();
        match value {
            Value::Object(inner) if MAP.contains(&word) => {
                for (name, inner) in inner {
                    below(inner, &[word, name]);
                }
            }
            Value::Array(inner) if LIST.contains(&word) => {
                for (n, inner) in inner.iter().enumerate() {
                    below(inner, &[word, &n.to_string()]);
                }
            }
            inner if ONE.contains(&word) => below(inner, &[word]),
            _ => {}
        }
    }
}

/// The same schema without what the rules of its writing say: no server wants to know.
fn plain(schema: &Value) -> Value {
    let mut plain = schema.clone();
    if let Value::Object(keys) = &mut plain {
        keys.shift_remove("$schema");
    }
    plain
}

/// Keywords that OpenAI's strict mode knows.
const STRICT: [&str; 21] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "type",
];

/// True for a schema that OpenAI's strict mode takes, which alone holds a model to it: an object
/// whose objects name all of their properties and require them. Others take the word for a hint.
fn is_strict(schema: &Value) -> bool {
    let mut strict = schema["type"] == "object" && schema.get("anyOf").is_none();
    each(schema, &mut |_, part| {
        let keys = part.as_object().into_iter().flat_map(Map::keys);
        strict &= keys
            .into_iter()
            .all(|key| key == "title" || STRICT.contains(&key.as_str()));
        let properties = part["properties"].as_object();
        if properties.is_some() || part["type"] == "object" {
            let required = part["required"].as_array();
            let is_required = |name: &String| {
                required.is_some_and(|all| all.iter().any(|one| one == name.as_str()))
            };
            strict &= part["additionalProperties"] == Value::Bool(false)
                && properties.is_some_and(|all| all.keys().all(is_required));
        }
    });
    strict
}

/// The limits that Anthropic's API refuses. Its own clients leave them out too; answers are
/// checked against them all the same.
const LIMITS: [&str; 12] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "uniqueItems",
];

fn without_limits(schema: &Value) -> Value {
    let mut limited = Vec::new();
    each(schema, &mut |at, _| limited.push(at.to_owned()));
    let mut plain = schema.clone();
    for at in limited {
        if let Some(Value::Object(keys)) = plain.pointer_mut(&at) {
            keys.retain(|key, _| !LIMITS.contains(&key.as_str()));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::api::call_key;
    use crate::model::chat::{Question, Request};

    fn chat(schema: &Value, prefill: &str) -> Chat {
        Chat {
            prefill: prefill.to_owned(),
            schema: Some(Arc::new(schema.clone())),
            ..Chat::default()
        }
    }

    fn model(api: ApiKind, field: Option<SchemaField>) -> ModelSpec {
        let mut model = ModelSpec::new("w", "m");
        model.api = Some(api);
        model.json_schema = field;
        model.sampling.max_tokens = Some(9);
        model
    }

    fn body(api: ApiKind, field: Option<SchemaField>, chat: &Chat) -> Value {
        api.api().body(&model(api, field), chat)
    }

    fn closed() -> Value {
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"b": {"type": "integer", "minimum": 0}, "a": {"enum": ["x", "y"]}},
            "required": ["b", "a"],
            "additionalProperties": false
        })
    }

    const SENT: &str = r#"{"type":"object","properties":{"b":{"type":"integer","minimum":0},"a":{"enum":["x","y"]}},"required":["b","a"],"additionalProperties":false}"#;

    #[test]
    fn each_api_is_told_in_its_own_words() {
        let chat = chat(&closed(), "");
        let sent: Value = serde_json::from_str(SENT).unwrap();
        let told = body(ApiKind::Openai, None, &chat)["response_format"].to_string();
        assert_eq!(
            told,
            format!(
                r#"{{"type":"json_schema","json_schema":{{"name":"answer","schema":{SENT},"strict":true}}}}"#
            )
        );
        for api in [ApiKind::Openai, ApiKind::Completions] {
            let vllm = body(api, Some(StructuredOutputs), &chat);
            assert_eq!(vllm["structured_outputs"], json!({"json": sent}));
            assert_eq!(body(api, Some(GuidedJson), &chat)["guided_json"], sent);
            assert_eq!(body(api, Some(LlamaCpp), &chat)["json_schema"], sent);
        }
        assert_eq!(
            body(ApiKind::Completions, None, &chat),
            body(ApiKind::Completions, None, &Chat::default())
        );
        assert_eq!(
            body(ApiKind::Tgi, None, &chat)["parameters"]["grammar"],
            json!({"type": "json", "value": sent})
        );
        // What it does not know is left out there.
        let mut loose = sent.clone();
        loose["properties"]["b"] = json!({"type": "integer"});
        assert_eq!(
            body(ApiKind::Anthropic, None, &chat)["output_config"],
            json!({"format": {"type": "json_schema", "schema": loose}})
        );
    }

    #[test]
    fn a_model_can_be_left_untold() {
        let chat = chat(&closed(), "");
        for api in [ApiKind::Openai, ApiKind::Tgi, ApiKind::Anthropic] {
            assert_eq!(
                body(api, Some(Untold), &chat),
                body(api, None, &Chat::default())
            );
        }
    }

    #[test]
    fn json_that_the_prompt_has_begun_is_not_begun_anew() {
        let told = |prefill: &str, api, field| {
            told(&model(api, field), &chat(&closed(), prefill)).is_some()
        };
        for field in [None, Some(LlamaCpp)] {
            assert!(!told("JSON:\n", ApiKind::Openai, field));
            assert!(told(" ", ApiKind::Openai, field));
        }
        assert!(told("JSON:\n", ApiKind::Openai, Some(StructuredOutputs)));
        assert!(!told("{", ApiKind::Openai, Some(StructuredOutputs)));
        assert!(told("JSON:\n", ApiKind::Completions, Some(LlamaCpp)));
        assert!(told("JSON:\n", ApiKind::Tgi, None));
        assert!(!told("JSON:\n[\"", ApiKind::Tgi, None));
        assert!(!told("JSON:", ApiKind::Anthropic, None));
        assert!(told(" ", ApiKind::Anthropic, None));
    }

    #[test]
    fn only_schemas_of_the_strict_kind_are_called_strict() {
        assert!(is_strict(&plain(&closed())));
        let mut optional = closed();
        optional["required"] = json!(["a"]);
        assert!(!is_strict(&optional));
        let mut open = closed();
        open["additionalProperties"] = true.into();
        assert!(!is_strict(&open));
        let mut inner = closed();
        inner["properties"]["a"] = json!({"type": "array", "items": {"type": "object"}});
        assert!(!is_strict(&inner));
        let mut foreign = closed();
        foreign["properties"]["a"]["minLength"] = 3.into();
        assert!(!is_strict(&foreign));
        assert!(!is_strict(&json!({"type": "array", "items": {}})));
        // A property that is called as a keyword is.
        let named = json!({"type": "object", "properties": {"not": {}}, "required": ["not"], "additionalProperties": false});
        assert!(is_strict(&named));
    }

    #[test]
    fn a_field_of_the_users_own_is_in_the_way() {
        let refused = |api, field, name: &str, value: Value| {
            let mut model = model(api, field);
            model.sampling.extra.insert(name.to_owned(), value);
            refusal(&model, &closed()).is_some()
        };
        let effort = json!({"effort": "low"});
        let format = json!({"format": {}});
        assert!(refused(ApiKind::Openai, None, "response_format", json!({})));
        assert!(!refused(ApiKind::Openai, None, "guided_json", json!({})));
        assert!(!refused(
            ApiKind::Completions,
            None,
            "json_schema",
            json!({})
        ));
        assert!(refused(ApiKind::Tgi, None, "grammar", json!({})));
        assert!(refused(ApiKind::Anthropic, None, "output_config", format));
        assert!(!refused(
            ApiKind::Anthropic,
            None,
            "output_config",
            effort.clone()
        ));
        let mut model = model(ApiKind::Anthropic, None);
        model
            .sampling
            .extra
            .insert("output_config".to_owned(), effort);
        let body = ApiKind::Anthropic.api().body(&model, &chat(&closed(), ""));
        assert_eq!(body["output_config"]["effort"], "low");
        assert_eq!(body["output_config"]["format"]["type"], "json_schema");
        assert!(refusal(&model, &json!({"type": "object"})).is_some());
    }

    /// Servers write properties in the schema's order, so that another order is another answer.
    #[test]
    fn keys_see_the_order_of_properties() {
        let key = |schema: Option<&str>, field| {
            let schema = schema.map(|text| Arc::new(serde_json::from_str(text).unwrap()));
            let chat = Chat {
                schema,
                ..Chat::default()
            };
            call_key(&Request {
                model: Arc::new(model(ApiKind::Openai, field)),
                question: Question::Chat(chat),
            })
        };
        let one = r#"{"properties":{"a":{},"b":{}}}"#;
        let other = r#"{"properties":{"b":{},"a":{}}}"#;
        assert_ne!(key(Some(one), None), key(Some(other), None));
        assert_ne!(key(Some(one), None), key(None, None));
        assert_eq!(key(Some(one), Some(Untold)), key(None, None));
    }
}
