//! An expression bound to what all records of a stage share. Owns how an expression's
//! failure becomes a fault; knows nothing of what the value is for.

use std::sync::Arc;

use minijinja::Value;

use super::contract::{Build, Fault};
use crate::diag::Diagnostic;
use crate::jinja::expr::{Compiled, Expr, Scope, Shared};
use crate::record::Fields;
use crate::spec::decode::Src;

/// A compiled expression, ready to be evaluated on records.
pub struct Bound {
    compiled: Compiled,
    shared: Arc<Shared>,
}

impl Bound {
    /// Compiles an expression of the pipeline file.
    ///
    /// # Errors
    /// A diagnostic at the expression when it does not parse.
    pub fn new(expr: &Src<Expr>, cx: &Build<'_>) -> Result<Bound, Diagnostic> {
        let compiled = expr
            .value
            .compile(cx.env)
            .map_err(|why| Diagnostic::error(why).at(expr.span, ""))?;
        Ok(Bound {
            compiled,
            shared: cx.shared.clone(),
        })
    }

    /// The value for one record.
    ///
    /// # Errors
    /// [`Fault::Record`] when the expression has no value for it.
    pub fn eval(&self, fields: &Fields) -> Result<Value, Fault> {
        let scope = Scope {
            fields: fields.clone(),
            shared: self.shared.clone(),
        };
        self.compiled.eval(&scope).map_err(Fault::Record)
    }
}
