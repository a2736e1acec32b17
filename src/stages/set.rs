//! `set`: computes fields.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::named::Named;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::spec::decode::Src;

/// Sets fields to the values of expressions, in order: each sees the ones before it. Keys
/// stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Set(Named<Src<Expr>>);

impl Verb for Set {
    const NAME: &'static str = "set";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        for (name, expr) in self.0.iter() {
            cx.expr(expr, &fields, &[]);
            fields.add(name);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let exprs = self.0.iter();
        let exprs = exprs.map(|(name, expr)| Ok((name.into(), Bound::new(expr, cx)?)));
        Ok(Operator::Flow(Box::new(Compute {
            exprs: exprs.collect::<Result<_, Diagnostic>>()?,
        })))
    }
}

struct Compute {
    exprs: Vec<(std::sync::Arc<str>, Bound)>,
}

impl Flow for Compute {
    fn push(
        &mut self,
        _port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        for (name, expr) in &self.exprs {
            let value = expr.eval(&record.fields)?;
            record.fields.set(name.clone(), value);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn later_expressions_see_earlier_ones() {
        let stage = Stage::new("set", "{b: a + params.n, a: b * 10}");
        assert_eq!(
            stage.flow(records(&[r#"{"a":1}"#])),
            [r#"1 {"a":30,"b":3}"#]
        );
        let (fields, faults) = stage.check(&[&["a"]]);
        assert_eq!(fields.names, ["a", "b"]);
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn a_misspelt_name_is_told_at_its_place() {
        let (_, faults) = Stage::new("set", "b: txt | upper").check(&[&["text"]]);
        assert!(faults[0].contains("test.yaml:1:4"), "{}", faults[0]);
        assert!(faults[0].contains("did you mean `text`?"), "{}", faults[0]);
    }

    #[test]
    fn the_order_is_part_of_the_settings() {
        let first = Stage::new("set", "{a: '1', b: '2'}").settings();
        let second = Stage::new("set", "{b: '2', a: '1'}").settings();
        assert_ne!(
            crate::hash::canonical_json(&first),
            crate::hash::canonical_json(&second)
        );
    }
}
