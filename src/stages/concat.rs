//! `concat`: several streams, one after another.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use crate::diag::Diagnostic;
use crate::record::Record;

/// All records of the first input, then all of the second, and so on. Keys stay, and must be
/// different across inputs, unless `prefix` puts the input's number and a `/` before them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// Put the number of the input, from 1, and `/` before each key.
    #[serde(default)]
    prefix: bool,
}

impl Verb for Concat {
    const NAME: &'static str = "concat";
    const VERSION: u32 = 1;

    fn inputs(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        // Only what all inputs have is sure to be there; the rest may be.
        let mut all = cx.input();
        for input in cx.inputs.iter().skip(1) {
            let same = all.names.len() == input.names.len()
                && all.names.iter().all(|name| input.names.contains(name));
            all.open |= input.open || !same;
            all.names.retain(|name| input.names.contains(name));
        }
        all
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Chain {
            prefix: self.prefix,
            seen: HashMap::new(),
        })))
    }
}

struct Chain {
    prefix: bool,
    /// Of each key, its hash and the input it came from.
    seen: HashMap<u64, usize>,
}

impl Flow for Chain {
    fn push(
        &mut self,
        port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        if self.prefix {
            record.key = format!("{}/{}", port + 1, record.key).into();
        } else {
            let mut hasher = DefaultHasher::new();
            record.key.hash(&mut hasher);
            if let Some(other) = self.seen.insert(hasher.finish(), port) {
                let message = format!(
                    "inputs {} and {} both have a record with the key `{}`",
                    other + 1,
                    port + 1,
                    record.key
                );
                return Err(Diagnostic::error(message)
                    .help("`concat: {prefix: true}` puts the input's number before each key")
                    .into());
            }
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, record, show};

    #[test]
    fn inputs_follow_each_other() {
        let inputs = |second: &str| vec![vec![record("a", "{}")], vec![record(second, "{}")]];
        let run = |yaml, second| Stage::new("concat", yaml).run(inputs(second));
        assert_eq!(show(&run("{}", "b").expect("runs").0), ["a {}", "b {}"]);
        assert_eq!(
            show(&run("prefix: true", "a").expect("runs").0),
            ["1/a {}", "2/a {}"]
        );
        assert_eq!(
            run("{}", "a").expect_err("clash"),
            "inputs 1 and 2 both have a record with the key `a`"
        );
    }

    #[test]
    fn only_common_fields_are_known() {
        let (fields, _) = Stage::new("concat", "{}").check(&[&["a", "b"], &["b"]]);
        assert_eq!((fields.names, fields.open), (vec!["b".to_owned()], true));
    }
}
