//! A whole number in a pipeline's settings: written as one, or as an expression. Owns both
//! forms and what is said of a value that is none; knows nothing of what the number is for.

use std::borrow::Cow;
use std::fmt;

use minijinja::Value;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Visitor};
use serde::{Deserialize, Serialize};

use super::contract::Fault;
use crate::jinja::expr::Expr;
use crate::spec::decode::Src;

/// An expression for a whole number; a plain number is one.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Number(pub Expr);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Number, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or an expression")
            }

            fn visit_str<E>(self, source: &str) -> Result<Number, E> {
                Ok(Number(Expr(source.to_owned())))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Number, E> {
                Ok(Number(Expr(number.to_string())))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Number, E> {
                match i64::try_from(number) {
                    Ok(number) => Ok(Number(Expr(number.to_string()))),
                    Err(_) => Err(E::custom(format!("{number} is too large"))),
                }
            }

            fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Number, E> {
                Err(E::custom("expected a whole number or an expression"))
            }
        }
        d.deserialize_any(NumberVisitor)
    }
}

impl JsonSchema for Number {
    fn schema_name() -> Cow<'static, str> {
        "WholeNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "format": "jinja-expression",
            "description": "A whole number, or a Jinja expression for one."
        })
    }
}

impl Src<Number> {
    /// The expression, at its place.
    pub fn expr(&self) -> Src<Expr> {
        Src {
            value: self.value.0.clone(),
            span: self.span,
        }
    }
}

/// A value as a whole number; `what` names it in the fault.
///
/// # Errors
/// [`Fault::Record`] for anything else.
pub fn whole(what: &str, value: &Value) -> Result<i64, Fault> {
    let number = value.is_number().then(|| i64::try_from(value.clone()).ok());
    let number = number.flatten();
    number.ok_or_else(|| {
        let found = match value.is_number() {
            true => "another number".to_owned(),
            false => value.kind().to_string(),
        };
        Fault::Record(format!("expected a whole number for {what}, found {found}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_expressions() {
        let of = |json: &str| serde_json::from_str::<Number>(json).map(|number| number.0.0);
        assert_eq!(of("-3").expect("a number"), "-3");
        assert_eq!(of("12").expect("a number"), "12");
        assert_eq!(of(r#""a | length""#).expect("a number"), "a | length");
        for json in ["2.5", "18446744073709551615", "null", "[1]"] {
            assert!(of(json).is_err(), "{json}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_told() {
        let of = |value: Value| match whole("x", &value) {
            Err(Fault::Record(why)) => why,
            Err(_) => panic!("not the record's fault"),
            Ok(number) => number.to_string(),
        };
        assert_eq!(of(Value::from(-7)), "-7");
        assert_eq!(of(Value::from(7.0)), "7");
        assert_eq!(
            of(Value::from(7.5)),
            "expected a whole number for x, found another number"
        );
        assert_eq!(
            of(Value::from("7")),
            "expected a whole number for x, found string"
        );
    }
}
