//! `where`: keeps the records for which an expression is true.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::jinja::expr::{Compiled, Expr, Scope};
use crate::record::Record;
use crate::spec::decode::Src;

/// Keeps the records for which the expression is true, e.g. `"'fever' in text"`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Where(Src<Expr>);

impl Verb for Where {
    const NAME: &'static str = "where";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let fields = cx.input();
        cx.expr(&self.0, &fields, &[]);
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let test = self
            .0
            .compile(cx.env)
            .map_err(|why| Diagnostic::error(why).at(self.0.span, ""))?;
        Ok(Operator::Flow(Box::new(Keep {
            test,
            shared: cx.shared.clone(),
        })))
    }
}

struct Keep {
    test: Compiled,
    shared: std::sync::Arc<crate::jinja::expr::Shared>,
}

impl Flow for Keep {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        let scope = Scope {
            fields: record.fields.clone(),
            shared: self.shared.clone(),
        };
        if self.test.eval(&scope).map_err(Fault::Record)?.is_true() {
            out.push(record);
        }
        Ok(())
    }
}
