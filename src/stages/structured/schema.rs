//! A JSON Schema that answers are checked against. Owns its own check (what `clue check` says of
//! a schema) and what is said of a value that does not fit: keywords and places, never what
//! stands there.

use std::collections::BTreeSet;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use minijinja::value::Serde;
use serde_json::Value;

use super::keywords;
use super::places::{Source, step};
use super::read::{Wrong, candidates};
use crate::diag::Diagnostic;
use crate::jinja::watch;
use crate::model::structured::each;

/// Most faults that are told of one answer.
const TOLD: usize = 8;
/// Most characters of a keyword's value that are told.
const SHORT: usize = 80;

/// A sound schema.
#[derive(Debug)]
pub struct Schema {
    value: Arc<Value>,
    validator: Validator,
    /// Its name for whoever watches that no check takes for ever: alternatives within
    /// alternatives can.
    what: Arc<str>,
    /// The names of properties that stand in it: these may be told.
    names: BTreeSet<String>,
}

impl Schema {
    /// Makes a schema ready for use.
    ///
    /// # Errors
    /// Everything that is wrong with it, each at its place.
    pub fn compile(source: &Source) -> Result<Schema, Vec<Diagnostic>> {
        let faults = keywords::faults(source);
        if !faults.is_empty() {
            return Err(faults);
        }
        // Nothing is ever fetched, and no pattern takes longer than its text is long.
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex());
        let validator = options.build(&source.value).map_err(|error| {
            let place = source.place(error.instance_path().as_str());
            vec![Diagnostic::error(format!("not a valid JSON Schema: {error}")).at(place, "")]
        })?;
        let mut names = BTreeSet::new();
        each(&source.value, &mut |_, part| {
            let properties = part["properties"].as_object();
            names.extend(properties.into_iter().flat_map(|all| all.keys().cloned()));
        });
        Ok(Schema {
            value: Arc::new(source.value.clone()),
            validator,
            what: "the check of an answer by its `schema`".into(),
            names,
        })
    }

    /// As it is sent.
    pub fn value(&self) -> Arc<Value> {
        self.value.clone()
    }

    /// As prompts see it.
    pub fn shown(&self) -> minijinja::Value {
        minijinja::Value::from(Serde(&*self.value))
    }

    /// The JSON of an answer, which may stand within other text: the first that fits.
    ///
    /// # Errors
    /// There is no JSON, or what does not fit in the first there is.
    pub fn read(&self, prefill: &str, text: &str) -> Result<Value, Wrong> {
        let _busy = watch::busy(&self.what);
        let mut wrong = Wrong::NoJson;
        for value in candidates(prefill, text) {
            if self.validator.is_valid(&value) {
                return Ok(value);
            }
            if wrong == Wrong::NoJson {
                wrong = Wrong::Unfit(self.faults(&value));
            }
        }
        Err(wrong)
    }

    /// What does not fit, in words that hold nothing of the value.
    fn faults(&self, value: &Value) -> Vec<String> {
        let errors = self.validator.iter_errors(value).take(TOLD);
        let mut told: Vec<String> = errors.map(|error| self.told(&error, value)).collect();
        told.dedup();
        told
    }

    fn told(&self, error: &ValidationError<'_>, value: &Value) -> String {
        let place = match self.path(error.instance_path().as_str(), value) {
            path if path.is_empty() => "it".to_owned(),
            path => format!("`{path}`"),
        };
        let at = error.schema_path().as_str();
        let kind = error.kind();
        let keyword = kind.keyword();
        match kind {
            Kind::Required { property } => {
                format!("{place} lacks `{}`", property.as_str().unwrap_or_default())
            }
            Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
                format!("{place} has properties that the schema does not name")
            }
            Kind::FalseSchema => format!("nothing may stand where {place} is"),
            _ => {
                let said = self.value.pointer(at).filter(|said| !said.is_object());
                let said = said.map(Value::to_string);
                match said.filter(|said| said.chars().count() <= SHORT) {
                    Some(said) => format!("{place} breaks `{keyword}: {said}`"),
                    None => format!("{place} breaks `{keyword}`"),
                }
            }
        }
    }

    /// A path within an answer, with `*` for names that are the model's own.
    fn path(&self, pointer: &str, value: &Value) -> String {
        let mut path = String::new();
        let mut at = Some(value);
        for part in pointer.split('/').skip(1) {
            let name = part.replace("~1", "/").replace("~0", "~");
            let is_index = at.is_some_and(Value::is_array);
            at = at.and_then(|value| value.pointer(&format!("/{part}")));
            if is_index || self.names.contains(&name) {
                path.push_str(&step(&name));
            } else {
                path.push_str("/*");
            }
        }
        path
    }
}

#[cfg(test)]
fn source(value: &Value) -> Result<Source, Vec<Diagnostic>> {
    let text = value.to_string();
    let place = crate::diag::Span {
        file: crate::diag::FileId(0),
        start: 0,
        end: text.len() as u32,
    };
    Source::json(&text, place)
}

/// A schema for tests.
#[cfg(test)]
pub(super) fn of_json(value: &Value) -> Schema {
    let source = source(value).unwrap_or_else(|_| panic!("JSON"));
    Schema::compile(&source).unwrap_or_else(|faults| panic!("{}", faults[0].message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn schema(value: &Value) -> Schema {
        of_json(value)
    }

    fn finding() -> Schema {
        schema(&json!({
            "type": "object",
            "properties": {
                "side": {"enum": ["left", "right"]},
                "size": {"type": "integer", "minimum": 1},
                "day": {"type": "string", "format": "date"},
                "code": {"type": "string", "pattern": "^[A-Z][0-9]+$"},
                "notes": {"type": "array", "items": {"$ref": "#/$defs/note"}, "maxItems": 2},
            },
            "required": ["side"],
            "additionalProperties": {"type": "boolean"},
            "$defs": {"note": {"type": "string"}},
        }))
    }

    fn faults(answer: &str) -> Vec<String> {
        match finding().read("", answer) {
            Err(Wrong::Unfit(faults)) => faults,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_fits_is_read_in_its_order() {
        let text = r#"{"size": 3, "side": "left", "notes": ["a"], "day": "2026-01-31"}"#;
        let read = finding().read("", text).map(|value| value.to_string());
        assert_eq!(
            read.as_deref(),
            Ok(r#"{"size":3,"side":"left","notes":["a"],"day":"2026-01-31"}"#)
        );
    }

    #[test]
    fn what_does_not_fit_is_told_without_saying_it() {
        assert_eq!(faults("{}"), ["it lacks `side`"]);
        assert_eq!(faults("[]"), [r#"it breaks `type: "object"`"#]);
        let mut told = faults(
            r#"{"side": "Mr Smith", "size": 0, "day": "Monday", "code": "Smith", "notes": [1], "Smith": 7}"#,
        );
        told.sort();
        assert_eq!(
            told,
            [
                r#"`/*` breaks `type: "boolean"`"#,
                r#"`/code` breaks `pattern: "^[A-Z][0-9]+$"`"#,
                r#"`/day` breaks `format: "date"`"#,
                r#"`/notes/0` breaks `type: "string"`"#,
                r#"`/side` breaks `enum: ["left","right"]`"#,
                "`/size` breaks `minimum: 1`",
            ]
        );
        assert_eq!(
            faults(r#"{"side": "left", "notes": ["a", "b", "c"]}"#),
            ["`/notes` breaks `maxItems: 2`"]
        );
        let closed = schema(&json!({"additionalProperties": false, "properties": {"a": {}}}));
        let Err(Wrong::Unfit(told)) = closed.read("", r#"{"Smith": 1}"#) else {
            panic!("fits");
        };
        assert_eq!(told, ["it has properties that the schema does not name"]);
        let either =
            schema(&json!({"anyOf": [{"type": "object", "required": ["a"]}, {"type": "array"}]}));
        let Err(Wrong::Unfit(told)) = either.read("", r#"{"Smith": 1}"#) else {
            panic!("fits");
        };
        assert!(told[0].starts_with("it breaks `anyOf"), "{told:?}");
    }

    #[test]
    fn a_key_that_looks_like_a_number_is_none() {
        let map = schema(&json!({"additionalProperties": {"type": "string"}}));
        let Err(Wrong::Unfit(told)) = map.read("", r#"{"4711": 1}"#) else {
            panic!("fits");
        };
        assert_eq!(told, [r#"`/*` breaks `type: "string"`"#]);
    }

    #[test]
    fn schemas_that_lead_in_circles_end() {
        let circle = schema(&json!({"$ref": "#"}));
        assert!(circle.read("", "{}").is_ok());
        let tree = schema(&json!({
            "type": "object",
            "properties": {"child": {"$ref": "#"}},
            "additionalProperties": false
        }));
        assert!(tree.read("", r#"{"child": {"child": {}}}"#).is_ok());
        assert!(tree.read("", r#"{"child": {"child": 1}}"#).is_err());
    }

    /// What looks like a schema, and mostly is none.
    fn any_schema() -> impl Strategy<Value = Value> {
        let words = "(#|#/\\$defs/a|a|string|object|\\$ref|https://a.b/c|date|\\(|\\[a-z\\]\\+|)";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            words.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let keys = "(type|properties|items|\\$ref|\\$defs|\\$id|a|anyOf|required|enum|pattern|minimum|not|\\$schema|prefixItems|multipleOf|\\$dynamicRef|\\$anchor|if)";
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::vec((keys, inner), 0..4)
                    .prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is written, it is a schema or at fault; whatever is answered to it, it fits or
        /// not.
        #[test]
        fn no_schema_breaks_anything(schema in any_schema(), answer in any_schema()) {
            let compiled = source(&schema).and_then(|source| Schema::compile(&source));
            if let Ok(schema) = compiled {
                let _ = schema.read("", &answer.to_string());
            }
        }

        /// Whatever is answered, nothing of it is told.
        #[test]
        fn nothing_of_an_answer_is_told(word in "[a-z]{3}zq", n in 1000_i64..2000) {
            let schema = finding();
            for answer in [
                json!({"side": word, "size": word, &word: n}),
                json!([word, n]),
                json!({"notes": {&word: [n]}, &word: {"size": word}}),
            ] {
                if let Err(Wrong::Unfit(told)) = schema.read("", &answer.to_string()) {
                    let told = told.concat();
                    prop_assert!(!told.contains(&word) && !told.contains(&n.to_string()), "{}", told);
                }
            }
        }
    }
}
