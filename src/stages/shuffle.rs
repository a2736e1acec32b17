//! `shuffle` and `sample`: random orders and choices that depend on a seed alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::spool::{Drain, Spool};
use crate::diag::{Diagnostic, Span};
use crate::record::Record;
use crate::rng::{Rng, RngKind};
use crate::spec::decode::Src;

/// Puts all records in a random order. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shuffle {
    /// The order depends on this and on the number of records.
    seed: i64,
    /// Which generator: this program's own, or CPython's after `random.seed(seed)`.
    #[serde(default)]
    rng: RngKind,
}

/// Chooses `n` records at random, in the order in which they were drawn. Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// How many.
    n: Src<u64>,
    /// The choice depends on this and on the number of records.
    seed: i64,
    /// Which generator: this program's own, or CPython's after `random.seed(seed)`.
    #[serde(default)]
    rng: RngKind,
}

impl Verb for Shuffle {
    const NAME: &'static str = "shuffle";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        cx.input()
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Mix {
            rng: Rng::seeded(self.rng, self.seed),
            sample: None,
            spool: Spool::new(cx.temp_dir),
            drain: Drain::default(),
        })))
    }
}

impl Verb for Sample {
    const NAME: &'static str = "sample";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        cx.input()
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Ok(Operator::Flow(Box::new(Mix {
            rng: Rng::seeded(self.rng, self.seed),
            sample: Some((self.n.value, self.n.span)),
            spool: Spool::new(cx.temp_dir),
            drain: Drain::default(),
        })))
    }
}

struct Mix {
    rng: Rng,
    /// How many to choose, and where that is said; none to keep all.
    sample: Option<(u64, Span)>,
    spool: Spool,
    drain: Drain,
}

impl Mix {
    fn order(&mut self) -> Result<Vec<usize>, Fault> {
        let count = self.spool.count();
        let Some((n, span)) = self.sample else {
            let mut order: Vec<usize> = (0..count).collect();
            self.rng.shuffle(&mut order);
            return Ok(order);
        };
        match usize::try_from(n) {
            Ok(n) if n <= count => Ok(self.rng.sample_indices(count, n)),
            _ => Err(
                Diagnostic::error(format!("cannot choose {n} of {count} records"))
                    .at(span, "")
                    .into(),
            ),
        }
    }
}

impl Flow for Mix {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        self.spool.push(&record)
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if !self.drain.started() {
            let order = self.order()?;
            self.drain.start(order);
        }
        self.drain.next(&self.spool, out)
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    fn keys(verb: &'static str, yaml: &str, count: usize) -> String {
        let (out, _) = Stage::new(verb, yaml)
            .run(vec![records(&vec!["{}"; count])])
            .expect("runs");
        let keys: Vec<&str> = out.iter().map(|record| &*record.key).collect();
        keys.join(" ")
    }

    #[test]
    fn python_orders_are_pythons() {
        // random.seed(44); x = list(range(1, 11)); random.shuffle(x) and random.sample(x, 3).
        let golden = include_str!("../../tests/golden/units/shuffle.jsonl");
        let line = golden
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
            .find(|line| {
                line["seed"] == 44
                    && line["n"].as_u64().is_some_and(|n| (5..200).contains(&n))
                    && line["order"].is_array()
            })
            .expect("a golden order");
        let order: Vec<String> = line["order"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|at| (at.as_u64().expect("an index") + 1).to_string())
            .collect();
        assert_eq!(
            keys("shuffle", "{seed: 44, rng: python}", order.len()),
            order.join(" ")
        );
        assert_eq!(
            keys("shuffle", "{seed: -44, rng: python}", order.len()),
            order.join(" ")
        );
    }

    #[test]
    fn samples_are_exact_or_refused() {
        let sample = |n: u32| format!("{{n: {n}, seed: 1}}");
        assert_eq!(keys("sample", &sample(3), 9).split(' ').count(), 3);
        let error = Stage::new("sample", &sample(3)).run(vec![records(&["{}"])]);
        assert_eq!(error.expect_err("too few"), "cannot choose 3 of 1 records");
        assert_eq!(keys("shuffle", "seed: 1", 0), "");
    }
}
