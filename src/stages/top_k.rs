//! `top_k`: the first records of one order, or of several in turn. Owns how lists are
//! interleaved.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::order::{Orders, Sorter};
use super::spool::{Drain, Spool};
use crate::diag::{Diagnostic, Span};
use crate::record::Record;
use crate::spec::decode::Src;

/// Picks `k` records from the heads of one or several orders, in turn. In each list ties
/// keep the order of the list before it. Keys stay; with `dedupe: false` a record's second
/// appearance gets `~2`, its third `~3`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopK {
    /// How many.
    k: Src<u64>,
    /// The order, or a list of orders that are used in turn.
    by: Orders,
    /// Which record of its list each turn takes.
    #[serde(default)]
    pick: PickRule,
    /// Pick no record twice. Without it, some records come twice and others give way.
    #[serde(default = "yes")]
    dedupe: bool,
    /// True to be content with fewer picks where there are no more; else that is an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    fewer: bool,
}

fn yes() -> bool {
    true
}

/// Which record of its list a turn takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PickRule {
    /// The next one of that list.
    #[default]
    Alternate,
    /// The one whose place in the list is the number of the turn: with two lists, the even
    /// places of the first and the odd places of the second.
    ByIndex,
}

impl Verb for TopK {
    const NAME: &'static str = "top_k";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let fields = cx.input();
        self.by.check(&fields, cx);
        if self.by.0.is_empty() {
            cx.fault(Diagnostic::error("`by` names no order").at(self.k.span, ""));
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Best {
            k: self.k.value,
            span: self.k.span,
            pick: self.pick,
            dedupe: self.dedupe,
            fewer: self.fewer,
            sorter: self.by.sorter(cx)?,
            spool: Spool::new(cx.temp_dir),
            times: Vec::new(),
            doubles: HashMap::new(),
            drain: Drain::default(),
        })))
    }
}

struct Best {
    k: u64,
    span: Span,
    pick: PickRule,
    dedupe: bool,
    fewer: bool,
    sorter: Sorter,
    spool: Spool,
    /// For each record still to come out, reversed: how often it came out before, plus one.
    times: Vec<u32>,
    /// Of records that came out before: the new key of each, and its own.
    doubles: HashMap<Arc<str>, Arc<str>>,
    drain: Drain,
}

/// The picks in order, at most `k`. Every list holds the same numbers, from 0.
fn picks(lists: &[Vec<usize>], k: usize, pick: PickRule, dedupe: bool) -> Vec<usize> {
    let count = lists.first().map_or(0, Vec::len);
    let mut picked = vec![false; count];
    let mut next = vec![0; lists.len()];
    let mut out = Vec::new();
    // Every turn moves one of the lists on, so this ends.
    for turn in 0..count.saturating_mul(lists.len()) {
        if out.len() == k {
            break;
        }
        let which = turn % lists.len();
        let place = match pick {
            PickRule::ByIndex => turn,
            PickRule::Alternate => {
                while dedupe && lists[which].get(next[which]).is_some_and(|at| picked[*at]) {
                    next[which] += 1;
                }
                next[which] += 1;
                next[which] - 1
            }
        };
        let Some(&at) = lists[which].get(place) else {
            continue;
        };
        if !(dedupe && picked[at]) {
            picked[at] = true;
            out.push(at);
        }
    }
    out
}

impl Best {
    fn start(&mut self) -> Result<(), Fault> {
        let lists = self.sorter.lists();
        let k = usize::try_from(self.k).unwrap_or(usize::MAX);
        let order = picks(&lists, k, self.pick, self.dedupe);
        if order.len() < k && !self.fewer {
            let message = format!(
                "cannot pick {k} records: {} came in, which gives {} picks",
                self.spool.count(),
                order.len()
            );
            return Err(Diagnostic::error(message).at(self.span, "").into());
        }
        let mut times = vec![0; self.spool.count()];
        for &at in &order {
            times[at] += 1;
            self.times.push(times[at]);
        }
        self.times.reverse();
        self.drain.start(order);
        Ok(())
    }
}

impl Flow for Best {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        self.sorter.push(&record.fields)?;
        self.spool.push(&record).inspect_err(|_| self.sorter.pop())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if !self.drain.started() {
            self.start()?;
        }
        let first = out.len();
        let more = self.drain.next(&self.spool, out)?;
        for record in &mut out[first..] {
            match self.times.pop() {
                None | Some(0 | 1) => {}
                Some(n) => {
                    let double: Arc<str> = format!("{}~{n}", record.key).into();
                    let own = std::mem::replace(&mut record.key, double.clone());
                    self.doubles.insert(double, own);
                }
            }
        }
        Ok(more)
    }

    fn origin(&self, made: &Record) -> Arc<str> {
        self.doubles.get(&made.key).unwrap_or(&made.key).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::driver::{Stage, records};

    fn pairs(text: &str) -> Vec<serde_json::Value> {
        let line = |line| serde_json::from_str(line).expect("JSON");
        text.lines().map(line).collect()
    }

    /// The published order: 60 picks of which 56 are different.
    #[test]
    fn picks_by_index_are_those_of_the_reference() {
        let pool: Vec<&str> = include_str!("../../tests/golden/top_k/pool.jsonl")
            .lines()
            .collect();
        let expected = pairs(include_str!("../../tests/golden/top_k/picked.jsonl"));
        let yaml = "{k: 60, by: [{by: rouge_l}, {by: bertscore}], pick: by_index, dedupe: false}";
        let (out, _) = Stage::new("top_k", yaml)
            .run(vec![records(&pool)])
            .expect("runs");
        let field = |record: &Record, name| record.fields.get(name).cloned().expect("there");
        for (record, pick) in out.iter().zip(&expected) {
            assert_eq!(field(record, "note_id").as_str(), pick["note_id"].as_str());
            assert_eq!(
                field(record, "Question").as_str(),
                pick["Question"].as_str()
            );
        }
        assert_eq!(out.len(), expected.len());
        let doubles = out.iter().filter(|record| record.key.contains('~')).count();
        assert_eq!(out.len() - doubles, 56);
    }

    #[test]
    fn lists_take_turns() {
        let lists = [vec![0, 1, 2, 3], vec![0, 2, 1, 3]];
        let run = |k, pick, dedupe| picks(&lists, k, pick, dedupe);
        assert_eq!(run(4, PickRule::Alternate, true), [0, 2, 1, 3]);
        assert_eq!(run(4, PickRule::Alternate, false), [0, 0, 1, 2]);
        assert_eq!(run(4, PickRule::ByIndex, false), [0, 2, 2, 3]);
        assert_eq!(run(4, PickRule::ByIndex, true), [0, 2, 3]);
        assert_eq!(run(0, PickRule::Alternate, true), [0; 0]);
    }

    #[test]
    fn too_few_records_are_an_error() {
        let error = Stage::new("top_k", "{k: 3, by: x}").run(vec![records(&[r#"{"x":1}"#])]);
        assert_eq!(
            error.expect_err("too few"),
            "cannot pick 3 records: 1 came in, which gives 1 picks"
        );
        let fewer = Stage::new("top_k", "{k: 3, by: x, fewer: true}");
        assert_eq!(fewer.flow(records(&[r#"{"x":1}"#])), [r#"1 {"x":1}"#]);
        assert!(fewer.flow(Vec::new()).is_empty());
    }
}
