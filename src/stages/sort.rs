//! `sort`: puts records in order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::order::{Orders, Sorter};
use super::spool::{Drain, Spool};
use crate::diag::Diagnostic;
use crate::record::Record;

/// Sorts all records: by the first order, ties by the second, and so on; the last ties keep
/// the order in which they came. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sort(Orders);

impl Verb for Sort {
    const NAME: &'static str = "sort";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let fields = cx.input();
        self.0.check(&fields, cx);
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Sorted {
            sorter: self.0.sorter(cx)?,
            spool: Spool::new(cx.temp_dir),
            drain: Drain::default(),
        })))
    }
}

struct Sorted {
    sorter: Sorter,
    spool: Spool,
    drain: Drain,
}

impl Flow for Sorted {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        self.sorter.push(&record.fields)?;
        self.spool.push(&record).inspect_err(|_| self.sorter.pop())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if !self.drain.started() {
            self.drain.start(self.sorter.sorted());
        }
        self.drain.next(&self.spool, out)
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    fn keys(yaml: &str, json: &[&str]) -> String {
        let (out, _) = Stage::new("sort", yaml)
            .run(vec![records(json)])
            .expect("runs");
        out.iter().map(|record| &*record.key).collect()
    }

    #[test]
    fn numbers_then_texts_then_nothing_and_ties_stay() {
        let mixed = &[
            r#"{"x":null}"#,
            r#"{"x":"b"}"#,
            r#"{"x":10}"#,
            r#"{"x":9.5}"#,
            r#"{"x":"a"}"#,
            r#"{"x":10.0}"#,
        ];
        assert_eq!(keys("x", mixed), "436521");
        assert_eq!(keys("{by: x, order: desc}", mixed), "253641");
    }

    #[test]
    fn ties_go_to_the_next_order() {
        let rows = &[r#"{"a":1,"b":1}"#, r#"{"a":0,"b":1}"#, r#"{"a":1,"b":2}"#];
        assert_eq!(keys("[{by: a}, {by: b, order: desc}]", rows), "231");
        let (_, faults) = Stage::new("sort", "[{by: aa}]").check(&[&["a"]]);
        assert!(faults[0].contains("did you mean `a`?"), "{}", faults[0]);
    }

    #[test]
    fn what_has_no_order_is_lost_alone() {
        let stage = Stage::new("sort", "x");
        let input = records(&[r#"{"x":[1]}"#, r#"{"x":1}"#]);
        let (out, lost) = stage.run(vec![input]).expect("runs");
        assert_eq!(lost, ["cannot sort by sequence"]);
        assert_eq!(&*out[0].key, "2");
    }
}
