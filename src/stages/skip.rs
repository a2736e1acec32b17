//! `skip`: all but the first records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::record::Record;

/// Passes on all but the first `n` records: what `take` with the same number leaves. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Skip(u64);

impl Verb for Skip {
    const NAME: &'static str = "skip";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        cx.input()
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Rest { left: self.0 })))
    }
}

struct Rest {
    left: u64,
}

impl Flow for Rest {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        match self.left.checked_sub(1) {
            Some(left) => self.left = left,
            None => out.push(record),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn it_passes_what_take_leaves() {
        let input = || records(&[r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a":3}"#]);
        assert_eq!(Stage::new("skip", "2").flow(input()), [r#"3 {"a":3}"#]);
        assert_eq!(Stage::new("skip", "0").flow(input()).len(), 3);
        assert!(Stage::new("skip", "9").flow(input()).is_empty());
    }
}
