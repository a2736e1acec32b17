//! `dedupe`: the first of the records that are alike.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::fingerprint::fingerprint;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::spec::decode::Src;

/// Keeps the first of the records for which an expression has the same value. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// What makes records alike: a field, any expression, or a list of them (`"[a, b]"`).
    by: Src<Expr>,
}

impl Verb for Dedupe {
    const NAME: &'static str = "dedupe";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let fields = cx.input();
        cx.expr(&self.by, &fields, &[]);
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(FirstOf {
            by: Bound::new(&self.by, cx)?,
            seen: HashSet::new(),
        })))
    }
}

struct FirstOf {
    by: Bound,
    seen: HashSet<u128>,
}

impl Flow for FirstOf {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        let value = self.by.eval(&record.fields)?;
        if self.seen.insert(fingerprint(&[value])?) {
            out.push(record);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn the_first_stays() {
        let input = || records(&[r#"{"a":1,"b":1}"#, r#"{"a":1,"b":2}"#, r#"{"a":1.0,"b":1}"#]);
        assert_eq!(
            Stage::new("dedupe", "by: a").flow(input()),
            [r#"1 {"a":1,"b":1}"#]
        );
        assert_eq!(Stage::new("dedupe", "by: '[a, b]'").flow(input()).len(), 2);
    }
}
