//! An expression in a YAML file: parsed once, evaluated per record.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Environment, ErrorKind, Expression, Value};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::{size, watch};
use crate::record::Fields;

/// The source of a Jinja expression, such as `'fever' in text`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Expr(pub String);

impl JsonSchema for Expr {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "jinja-expression",
            "description": "A Jinja expression over the record's fields, `params`, and the stages named in `with`."
        })
    }
}

/// A compiled expression.
pub struct Compiled {
    expression: Expression<'static, 'static>,
    source: Arc<str>,
}

impl Expr {
    /// Compiles the expression.
    ///
    /// # Errors
    /// A syntax error, as one line without values.
    pub fn compile(&self, env: &'static Environment<'static>) -> Result<Compiled, String> {
        let expression = env
            .compile_expression_owned(self.0.clone())
            .map_err(|e| describe(&e))?;
        Ok(Compiled {
            expression,
            source: self.0.as_str().into(),
        })
    }
}

impl Expr {
    /// The filters and tests that it uses and that there are not: Jinja itself looks for them
    /// only when they are needed.
    pub fn unknown(&self, env: &'static Environment<'static>) -> Vec<Unknown> {
        let mut found: Vec<Unknown> = Vec::new();
        for (name, is_test) in calls(&self.0) {
            let probe = if is_test {
                format!("none is {name}")
            } else {
                format!("none | {name}")
            };
            let error = env.compile_expression_owned(probe);
            let error = error.and_then(|probe| probe.eval(())).err();
            let missing = match error.map(|error| error.kind()) {
                Some(ErrorKind::UnknownTest) => is_test,
                Some(ErrorKind::UnknownFilter) => !is_test,
                _ => false,
            };
            if missing && !found.iter().any(|known| known.name == name) {
                found.push(Unknown {
                    name: name.to_owned(),
                    is_test,
                });
            }
        }
        found
    }
}

/// A name that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// True for a test (`x is NAME`), false for a filter (`x | NAME`).
    pub is_test: bool,
}

/// The names behind `|`, and those behind `is` and `is not` (true), outside of quotes.
fn calls(source: &str) -> Vec<(&str, bool)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut words: Vec<&str> = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if first == '\'' || first == '"' {
            // A quoted text, with what is escaped in it.
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, c)| {
                let ends = *c == first && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.len(), |(at, _)| at + 1)
        } else if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (word, after) = rest.split_at(length);
        if !word.trim().is_empty() {
            words.push(word);
        }
        rest = after;
    }
    let name = |at: usize| {
        words
            .get(at)
            .copied()
            .filter(|word| word.starts_with(is_word))
    };
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match *word {
            "|" => found.extend(name(at + 1).map(|name| (name, false))),
            "is" => {
                let at = if words.get(at + 1) == Some(&"not") {
                    at + 2
                } else {
                    at + 1
                };
                found.extend(name(at).map(|name| (name, true)));
            }
            _ => {}
        }
    }
    found
}

impl Compiled {
    /// The value for one record.
    ///
    /// # Errors
    /// Why it has none, as one line without values: names of fields at most.
    pub fn eval(&self, scope: &Scope) -> Result<Value, String> {
        let _busy = watch::busy(&self.source);
        let value = self
            .expression
            .eval(scope.to_value())
            .and_then(|value| size::check(&value).map(|()| value))
            .map_err(|error| self.explain(&error, scope))?;
        if value.is_undefined() {
            return Err(self
                .undefined(scope)
                .unwrap_or_else(|| "the expression has no value".to_owned()));
        }
        Ok(value)
    }

    /// Root names that the expression reads, with the attributes where these are plain
    /// (`params.max_notes`).
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .expression
            .undeclared_variables(true)
            .into_iter()
            .collect();
        names.sort();
        names
    }

    fn explain(&self, error: &minijinja::Error, scope: &Scope) -> String {
        if error.kind() == ErrorKind::UndefinedError
            && let Some(text) = self.undefined(scope)
        {
            return text;
        }
        describe(error)
    }

    fn undefined(&self, scope: &Scope) -> Option<String> {
        let missing = self.names().into_iter().find(|name| {
            let root = name.split('.').next().unwrap_or(name);
            !is_global(root) && scope.get(root).is_none()
        })?;
        let known: Vec<String> = scope.names();
        Some(
            match crate::diag::nearest(&missing, known.iter().map(String::as_str)) {
                Some(name) => format!(
                    "no field `{missing}` in `{}`; did you mean `{name}`?",
                    self.source
                ),
                None => format!("no field `{missing}` in `{}`", self.source),
            },
        )
    }
}

/// Names that Jinja itself defines.
pub fn is_global(name: &str) -> bool {
    matches!(
        name,
        "range"
            | "dict"
            | "namespace"
            | "debug"
            | "cycler"
            | "joiner"
            | "lipsum"
            | "loop"
            | "caller"
    )
}

/// A Jinja error as one line that holds no value of any variable.
///
/// minijinja's plain `Display` prints the kind, the detail and the place; the alternate and
/// debug forms would print variables, which here are patient text.
pub fn describe(error: &minijinja::Error) -> String {
    match error.detail() {
        // Says which argument by quoting the text that is formatted.
        Some(_) if error.kind() == ErrorKind::MissingArgument => error.kind().to_string(),
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    }
}

/// What an expression or prompt sees: a record's fields, `params`, and named inputs.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The record's fields.
    pub fields: Fields,
    /// What is the same for all records of a stage.
    pub shared: Arc<Shared>,
}

/// The part of a [`Scope`] that all records of a stage share.
#[derive(Clone, Debug, Default)]
pub struct Shared {
    /// The pipeline's params.
    pub params: Value,
    /// Named inputs (`with:`), each a list of records.
    pub with: Vec<(String, Value)>,
}

impl Scope {
    /// The value of a name, fields last: `params` and named inputs win.
    pub fn get(&self, name: &str) -> Option<Value> {
        if name == "params" {
            return Some(self.shared.params.clone());
        }
        if let Some((_, value)) = self.shared.with.iter().find(|(n, _)| n == name) {
            return Some(value.clone());
        }
        self.fields.get(name).cloned()
    }

    /// Every name there is.
    pub fn names(&self) -> Vec<String> {
        let with = self.shared.with.iter().map(|(n, _)| n.clone());
        self.fields
            .names()
            .map(str::to_owned)
            .chain(with)
            .chain(["params".to_owned()])
            .collect()
    }

    /// As a template context. Values are shared, not copied.
    pub fn to_value(&self) -> Value {
        Value::from_object(self.clone())
    }
}

impl Object for Scope {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.names().into_iter().map(Value::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::record::Fields;

    static ENV: LazyLock<Environment<'static>> = LazyLock::new(crate::jinja::environment);

    fn eval(source: &str) -> Result<Value, String> {
        let fields = [("text", "SECRET 7"), ("id", "a")];
        let fields = fields.map(|(name, value)| (Arc::from(name), Value::from(value)));
        let scope = Scope {
            fields: Fields::from_iter(fields),
            shared: Arc::default(),
        };
        Expr(source.to_owned()).compile(&ENV)?.eval(&scope)
    }

    #[test]
    fn misspelt_filters_and_tests_are_found() {
        let unknown = |source: &str| -> Vec<String> {
            let unknown = Expr(source.to_owned()).unknown(&ENV);
            unknown.into_iter().map(|found| found.name).collect()
        };
        assert_eq!(unknown("text | uper | strip"), ["uper"]);
        assert_eq!(
            unknown("x is machting('a') or x is not nonee"),
            ["machting", "nonee"]
        );
        // What needs arguments, or other values, is there all the same.
        for fine in [
            "text | regex_find('a | nofilter') or ''",
            "'it\\'s | nothing' ~ (x | default(\"is nothing\"))",
            "x is none and x is not matching('y') | int",
            "xs | map(attribute='a') | select('in', ys) | list | length > 0",
            "text | overlap(other) | round(2)",
            "",
        ] {
            assert!(unknown(fine).is_empty(), "{fine}");
        }
    }

    #[test]
    fn misspelt_fields_are_named() {
        assert_eq!(
            eval("txt | upper").unwrap_err(),
            "no field `txt` in `txt | upper`; did you mean `text`?"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_text_panics(source in "\\PC{0,60}") {
            let _ = eval(&source);
            let _ = Expr(source).unknown(&ENV);
        }

        #[test]
        fn no_expression_tells_values(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "text", "id", "text[0]", "text.x", "1", "'s'", " + ", " - ", " in ", " | ",
                    "upper", "int", "list", "first", "regex_find('[')", "from_json", "join", "(",
                    ")", "[", "]", " and ", " ~ ", "text.format()", "sort", "qa_pairs", "bullets",
                ]),
                1..8,
            )
        ) {
            if let Err(why) = eval(&parts.concat()) {
                prop_assert!(!why.contains("SECRET"), "{}", why);
            }
        }
    }
}
