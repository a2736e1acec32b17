//! `key`: makes a record's key a field, for outputs and for what compares records by fields.

use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::record::Record;
use crate::spec::decode::Src;

/// Puts each record's key into a field, as text. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// The field that gets it.
    into: Src<String>,
}

impl Verb for Key {
    const NAME: &'static str = "key";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        fields.add(&self.into);
        fields
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let into = self.into.as_str().into();
        Ok(Operator::Flow(Box::new(Name { into })))
    }
}

struct Name {
    into: Arc<str>,
}

impl Flow for Name {
    fn push(
        &mut self,
        _port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let key = Value::from(record.key.clone());
        record.fields.set(self.into.clone(), key);
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, record};

    #[test]
    fn the_key_becomes_a_field() {
        let stage = Stage::new("key", "{into: id}");
        let input = vec![record("a~2", r#"{"x":1}"#)];
        assert_eq!(stage.flow(input), [r#"a~2 {"x":1,"id":"a~2"}"#]);
        assert_eq!(stage.check(&[&["x"]]).0.names, ["x", "id"]);
    }
}
