//! `take`: the first records, and no more of the stages before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::record::Record;

/// Passes on the first `n` records, or all when there are fewer. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Take(u64);

impl Verb for Take {
    const NAME: &'static str = "take";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        cx.input()
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(First { left: self.0 })))
    }
}

struct First {
    left: u64,
}

impl Flow for First {
    fn push(&mut self, _port: usize, record: Record, out: &mut Vec<Record>) -> Result<(), Fault> {
        if self.left > 0 {
            self.left -= 1;
            out.push(record);
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn takes_the_first() {
        let input = || records(&["{}", "{}", "{}"]);
        assert_eq!(Stage::new("take", "2").flow(input()), ["1 {}", "2 {}"]);
        assert_eq!(Stage::new("take", "0").flow(input()).len(), 0);
        assert_eq!(Stage::new("take", "9").flow(input()).len(), 3);
    }
}
