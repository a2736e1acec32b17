//! `require`: what must hold of every record, in words. Owns that a record of which it doesn't
//! fails with these words, which are the pipeline's and never the record's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::named::Named;
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::spec::decode::Src;

/// Passes on the records of which all of this holds, `{in words: expression}`; the others fail,
/// with the words of the first that does not. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Require(Named<Src<Expr>>);

impl Verb for Require {
    const NAME: &'static str = "require";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let fields = cx.input();
        for (_, expr) in self.0.iter() {
            cx.expr(expr, &fields, &[]);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let terms = self.0.iter().map(|(words, expr)| {
            let bound = Bound::new(expr, cx)?;
            Ok((words.to_owned(), bound))
        });
        Ok(Operator::Flow(Box::new(Terms(
            terms.collect::<Result<_, Diagnostic>>()?,
        ))))
    }
}

struct Terms(Vec<(String, Bound)>);

impl Flow for Terms {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        for (words, holds) in &self.0 {
            if !holds.eval(&record.fields)?.is_true() {
                return Err(Fault::Record(format!("not so: {words}")));
            }
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records, show};

    #[test]
    fn records_fail_with_the_pipelines_words() {
        let stage = Stage::new("require", "{a is small: a < 3, b is there: b}");
        let input = [
            r#"{"a":1,"b":"x"}"#,
            r#"{"a":3,"b":""}"#,
            r#"{"a":2,"b":""}"#,
            r#"{"a":2}"#,
        ];
        let (out, lost) = stage.run(vec![records(&input)]).expect("runs");
        assert_eq!(show(&out), [r#"1 {"a":1,"b":"x"}"#]);
        let why = [
            "not so: a is small",
            "not so: b is there",
            "no field `b` in `b`; did you mean `a`?",
        ];
        assert_eq!(lost, why);
        let (fields, faults) = stage.check(&[&["a"]]);
        assert_eq!((fields.names.len(), faults.len()), (1, 1));
    }
}
