//! What the language needs to know of verbs and models: the JSON Schemas of their settings,
//! as plain data given by the caller.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::pipeline::OnError;

/// The shapes of all settings that a pipeline file may hold.
#[derive(Clone, Debug)]
pub struct Shapes {
    /// Verbs by name.
    pub verbs: BTreeMap<String, Value>,
    /// A model.
    pub model: Value,
    /// `on_error`.
    pub on_error: Value,
    /// Definitions that the others refer to as `#/$defs/NAME`.
    pub defs: Map<String, Value>,
}

impl Shapes {
    /// Collects the schemas of verbs and of a model with one generator, so that they share
    /// their definitions.
    pub fn new<'a>(
        verbs: impl Iterator<Item = (&'a str, fn(&mut SchemaGenerator) -> Schema)>,
        model: fn(&mut SchemaGenerator) -> Schema,
    ) -> Shapes {
        let mut generator = SchemaSettings::draft2020_12().into_generator();
        let verbs = verbs
            .map(|(name, schema)| (name.to_owned(), schema(&mut generator).to_value()))
            .collect();
        let model = model(&mut generator).to_value();
        let on_error = generator.subschema_for::<OnError>().to_value();
        Shapes {
            verbs,
            model,
            on_error,
            defs: generator.take_definitions(true),
        }
    }

    /// The definition that a `$ref` names.
    pub(super) fn definition(&self, reference: &str) -> Option<&Value> {
        self.defs.get(reference.strip_prefix("#/$defs/")?)
    }

    /// The definitions that verbs refer to, themselves or through others.
    pub(super) fn needed(&self) -> impl Iterator<Item = (&String, &Value)> {
        let mut texts: Vec<String> = self.verbs.values().map(Value::to_string).collect();
        let mut needed = vec![false; self.defs.len()];
        while let Some(text) = texts.pop() {
            for (at, (name, schema)) in self.defs.iter().enumerate() {
                if !needed[at] && text.contains(&format!("\"#/$defs/{name}\"")) {
                    needed[at] = true;
                    texts.push(schema.to_string());
                }
            }
        }
        let defs = self.defs.iter().zip(needed);
        defs.filter_map(|(def, needed)| needed.then_some(def))
    }

    /// A schema with its references and alternatives laid flat: every schema that may say
    /// something about the value.
    pub(super) fn flat<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let mut found: Vec<&Value> = Vec::new();
        let mut open = vec![schema];
        while let Some(schema) = open.pop() {
            if found.iter().any(|f| std::ptr::eq(*f, schema)) {
                continue;
            }
            found.push(schema);
            // In one pass: to ask for each word takes longer.
            let mut lists = [&[][..]; 3];
            for (word, value) in schema.as_object().into_iter().flatten() {
                let list = || value.as_array().map_or(&[][..], Vec::as_slice);
                match word.as_str() {
                    "$ref" => open.extend(value.as_str().and_then(|r| self.definition(r))),
                    "anyOf" => lists[0] = list(),
                    "oneOf" => lists[1] = list(),
                    "allOf" => lists[2] = list(),
                    _ => {}
                }
            }
            lists.into_iter().for_each(|list| open.extend(list));
        }
        found
    }

    /// True when an empty map is meant by writing nothing: objects that may not be null.
    pub(super) fn wants_map(&self, schema: &Value) -> bool {
        let flat = self.flat(schema);
        flat.iter().any(|s| s["type"] == "object") && !flat.iter().any(|s| allows_null(s))
    }
}

fn allows_null(schema: &Value) -> bool {
    schema["type"] == "null"
        || schema["type"]
            .as_array()
            .is_some_and(|types| types.iter().any(|t| t == "null"))
}
