//! What is wrong with a JSON Schema: words that nobody knows, types that do not exist, references
//! that lead nowhere or out of it. Owns the messages; what a sound schema means is not its
//! business.

use jsonschema::meta;
use serde_json::Value;

use super::places::{Source, step};
use crate::diag::{Diagnostic, nearest};
use crate::model::structured::each;

const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// The drafts that are known, by what `$schema` says.
const DRAFTS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    "http://json-schema.org/draft-04/schema",
];

/// The keywords of all drafts.
const KEYWORDS: [&str; 64] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// Every fault of a schema, each at its place.
pub fn faults(source: &Source) -> Vec<Diagnostic> {
    let at = |pointer: &str, what: String| Diagnostic::error(what).at(source.place(pointer), "");
    let schema = &source.value;
    if !schema.is_object() {
        let fault = at("", "expected a JSON Schema, which is a map".to_owned());
        return vec![fault.help("such as `{type: object, properties: {…}}`")];
    }
    let draft = &schema["$schema"];
    let known = |uri: &str| DRAFTS.contains(&uri.trim_end_matches('#'));
    if !draft.is_null() && !draft.as_str().is_some_and(known) {
        let what = "`$schema` names no draft of JSON Schema that is known".to_owned();
        let fault = at("/$schema", what);
        return vec![match draft.as_str() {
            Some(uri) => fault.suggest(uri, DRAFTS),
            None => fault.help(format!("leave it out, or say `{}`", DRAFTS[0])),
        }];
    }
    let mut faults = Vec::new();
    each(schema, &mut |pointer, part| {
        let keys = part.as_object().into_iter().flat_map(|keys| keys.keys());
        // Words of one's own are allowed, but not those that are meant to be a keyword.
        for key in keys.filter(|key| !KEYWORDS.contains(&key.as_str())) {
            if let Some(near) = nearest(key, KEYWORDS) {
                let fault = at(
                    &format!("{pointer}{}", step(key)),
                    format!("`{key}` is no keyword of JSON Schema"),
                );
                faults.push(fault.help(format!("did you mean `{near}`?")));
            }
        }
        if let Some(reference) = part["$ref"].as_str() {
            faults.extend(dangling(source, pointer, reference));
        }
    });
    match meta::validator_for(schema) {
        Ok(validator) => {
            for error in validator.iter_errors(schema) {
                let pointer = error.instance_path().as_str();
                faults.push(match no_type(schema, pointer) {
                    Some(name) => {
                        at(pointer, format!("there is no type `{name}`")).suggest(name, TYPES)
                    }
                    None => at(pointer, format!("not a valid JSON Schema: {error}")),
                });
            }
        }
        Err(error) => faults.push(at("", format!("not a valid JSON Schema: {error}"))),
    }
    faults
}

/// The word that is no type, if that is what stands there.
fn no_type<'a>(schema: &'a Value, pointer: &str) -> Option<&'a str> {
    let is_type = pointer.ends_with("/type") || pointer.contains("/type/");
    let name = schema.pointer(pointer).filter(|_| is_type)?.as_str()?;
    (!TYPES.contains(&name)).then_some(name)
}

/// What is wrong with a reference. Those by `$id` or `$anchor` are left to the compiler.
fn dangling(source: &Source, pointer: &str, reference: &str) -> Option<Diagnostic> {
    let place = source.place(&format!("{pointer}/$ref"));
    let mut ids = false;
    each(&source.value, &mut |_, part| {
        ids |= part.get("$id").is_some() || part.get("id").is_some_and(Value::is_string);
    });
    let Some(within) = reference.strip_prefix('#') else {
        let what = format!("`$ref` leads out of the schema, to `{reference}`");
        let help = "nothing is fetched: copy it under `$defs`, and say `#/$defs/NAME`";
        return (!ids).then(|| Diagnostic::error(what).at(place, "").help(help));
    };
    let is_path = within.is_empty() || within.starts_with('/');
    if !is_path || ids || within.contains('%') || source.value.pointer(within).is_some() {
        return None;
    }
    let defs = ["$defs", "definitions"].map(|word| {
        let names = source.value[word].as_object().into_iter();
        names.flat_map(move |names| names.keys().map(move |name| format!("#/{word}/{name}")))
    });
    let names: Vec<String> = defs.into_iter().flatten().collect();
    let fault = Diagnostic::error(format!("`$ref` leads nowhere: `{reference}`")).at(place, "");
    Some(fault.suggest(reference, names.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{FileId, Span};

    fn told(text: &str) -> Vec<String> {
        let place = Span {
            file: FileId(0),
            start: 0,
            end: text.len() as u32,
        };
        let source = Source::json(text, place).unwrap_or_else(|_| panic!("JSON"));
        let tell = |fault: Diagnostic| {
            let place = fault.primary.as_ref().map(|(span, _)| *span);
            let at = place.map_or("", |span| &text[span.start as usize..span.end as usize]);
            let help = fault.help.as_deref().unwrap_or("");
            format!("{at}: {} ({help})", fault.message)
        };
        faults(&source).into_iter().map(tell).collect()
    }

    #[test]
    fn sound_schemas_are_let_be() {
        for text in [
            "{}",
            r##"{"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}, "items": [{"$ref": "#/definitions/a"}]}"##,
            r#"{"type": ["string", "null"], "x-order": 1, "properties": {"typ": {"type": "string"}}}"#,
            r##"{"$defs": {"b": {"$anchor": "b"}}, "$ref": "#b"}"##,
            r##"{"properties": {"a": {"$ref": "#"}}}"##,
        ] {
            assert_eq!(told(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn faults_have_places_and_suggestions() {
        for (text, expected) in [
            (
                r#"{"properties": {"a": {"type": "strng"}}}"#,
                "\"strng\": there is no type `strng` (did you mean `string`?)",
            ),
            (
                r#"{"items": {"propertis": {}}}"#,
                "\"propertis\": `propertis` is no keyword of JSON Schema (did you mean `properties`?)",
            ),
            (
                r#"{"$ref": "https://example.com/a.json"}"#,
                "\"https://example.com/a.json\": `$ref` leads out of the schema, to `https://example.com/a.json` (nothing is fetched: copy it under `$defs`, and say `#/$defs/NAME`)",
            ),
            (
                r##"{"$defs": {"note": {}}, "items": {"$ref": "#/$defs/nota"}}"##,
                "\"#/$defs/nota\": `$ref` leads nowhere: `#/$defs/nota` (did you mean `#/$defs/note`?)",
            ),
            (
                r#"{"$schema": "https://json-schema.org/draft/2020-21/schema"}"#,
                "\"https://json-schema.org/draft/2020-21/schema\": `$schema` names no draft of JSON Schema that is known (did you mean `https://json-schema.org/draft/2020-12/schema`?)",
            ),
        ] {
            assert_eq!(told(text), [expected]);
        }
        let wrong = told(r#"{"minimum": "3", "required": "a"}"#);
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(
            wrong[0].starts_with("\"3\": not a valid JSON Schema: "),
            "{wrong:?}"
        );
        assert!(told("[]")[0].contains("expected a JSON Schema"));
    }
}
