//! `explode`: one record per element of a list.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::spec::decode::Src;

/// Makes one record of each element of a list, and none of an empty list. Fields stay, the
/// list too unless `into` replaces it. Keys: the record's key, `#`, and the element's number
/// from 0.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Explode {
    /// The list: a field, or any expression.
    field: Src<Expr>,
    /// The field for the element.
    into: String,
    /// A field for the element's number, from 0.
    #[serde(default)]
    index: Option<Src<String>>,
}

impl Verb for Explode {
    const NAME: &'static str = "explode";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        cx.expr(&self.field, &fields, &[]);
        fields.add(&self.into);
        if let Some(index) = &self.index {
            if index.value == self.into {
                cx.fault(
                    Diagnostic::error("`index` and `into` name the same field").at(index.span, ""),
                );
            }
            fields.add(index);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Split {
            list: Bound::new(&self.field, cx)?,
            into: self.into.as_str().into(),
            index: self.index.as_ref().map(|name| name.as_str().into()),
        })))
    }
}

struct Split {
    list: Bound,
    into: Arc<str>,
    index: Option<Arc<str>>,
}

impl Flow for Split {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        let list = self.list.eval(&record.fields)?;
        if !matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) {
            return Err(Fault::Record(format!(
                "expected a list to explode, found {}",
                list.kind()
            )));
        }
        // The kind says that it can be iterated.
        for (at, element) in list.try_iter().into_iter().flatten().enumerate() {
            let mut part = Record {
                key: format!("{}#{at}", record.key).into(),
                fields: record.fields.clone(),
            };
            part.fields.set(self.into.clone(), element);
            if let Some(index) = &self.index {
                part.fields.set(index.clone(), Value::from(at));
            }
            out.push(part);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn one_record_per_element() {
        let stage = Stage::new("explode", "{field: l, into: x, index: i}");
        assert_eq!(
            stage.flow(records(&[r#"{"l":["a","b"]}"#, r#"{"l":[]}"#])),
            [
                r##"1#0 {"l":["a","b"],"x":"a","i":0}"##,
                r##"1#1 {"l":["a","b"],"x":"b","i":1}"##
            ]
        );
        let (_, lost) = stage
            .run(vec![records(&[r#"{"l":"secret"}"#, r#"{"l":null}"#])])
            .expect("runs");
        assert_eq!(
            lost,
            [
                "expected a list to explode, found string",
                "expected a list to explode, found none"
            ]
        );
        assert_eq!(stage.check(&[&["l"]]).0.names, ["l", "x", "i"]);
    }
}
