//! `draw`: fields at random, from lists that each record has. Owns which numbers decide which
//! record; `rng` owns the numbers.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::named::Named;
use super::number::{Number, whole};
use crate::diag::Diagnostic;
use crate::hash::Hash;
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::rng::{Rng, RngKind};
use crate::spec::decode::Src;

/// Sets fields to what is drawn at random from lists, in order: each sees the ones before it.
/// Keys stay.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Draw {
    /// What is drawn depends on this, on the lists, and on `stream`.
    seed: i64,
    /// Which generator: this program's own, or CPython's `random`.
    #[serde(default)]
    rng: RngKind,
    /// Whose numbers a record takes.
    #[serde(default)]
    stream: Stream,
    /// What is drawn.
    fields: Named<Src<Drawn>>,
}

/// Whose random numbers a record takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Its own, which follow from the seed and its key: other records change nothing.
    #[default]
    Record,
    /// The next ones of a generator that is seeded once, for all records in order, as a script
    /// would take them.
    All,
}

/// How one field is drawn: one of `sample`, `shuffle` and `choice`, an expression for a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drawn {
    /// Takes `n` elements without putting any back, in the order in which they are drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sample: Option<Src<Expr>>,
    /// How many elements `sample` takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<Src<Number>>,
    /// Puts all elements in a random order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shuffle: Option<Src<Expr>>,
    /// Takes one element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<Src<Expr>>,
}

/// A draw that is set well.
enum Way<'a> {
    Sample(&'a Src<Expr>, &'a Src<Number>),
    Shuffle(&'a Src<Expr>),
    Choice(&'a Src<Expr>),
}

impl Drawn {
    fn way(&self) -> Result<Way<'_>, &'static str> {
        match (&self.sample, &self.n, &self.shuffle, &self.choice) {
            (Some(list), Some(n), None, None) => Ok(Way::Sample(list, n)),
            (Some(_), None, None, None) => Err("`sample` needs `n`, the number of elements"),
            (None, None, Some(list), None) => Ok(Way::Shuffle(list)),
            (None, None, None, Some(list)) => Ok(Way::Choice(list)),
            (None, Some(_), _, _) => Err("`n` goes with `sample`"),
            _ => Err("expected one of `sample`, `shuffle` and `choice`"),
        }
    }
}

impl Verb for Draw {
    const NAME: &'static str = "draw";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        self.stream == Stream::Record
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut fields = cx.input();
        for (name, drawn) in self.fields.iter() {
            match drawn.way() {
                Ok(Way::Sample(list, n)) => {
                    cx.expr(list, &fields, &[]);
                    cx.expr(&n.expr(), &fields, &[]);
                }
                Ok(Way::Shuffle(list) | Way::Choice(list)) => cx.expr(list, &fields, &[]),
                Err(why) => cx.fault(Diagnostic::error(why).at(drawn.span, "")),
            }
            fields.add(name);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let field = |(name, drawn): (&str, &Src<Drawn>)| {
            let way = drawn.way();
            let way = way.map_err(|why| Diagnostic::error(why).at(drawn.span, ""))?;
            let (list, how) = match way {
                Way::Sample(list, n) => (list, How::Sample(Bound::new(&n.expr(), cx)?)),
                Way::Shuffle(list) => (list, How::Shuffle),
                Way::Choice(list) => (list, How::Choice),
            };
            Ok(Field {
                name: name.into(),
                list: Bound::new(list, cx)?,
                how,
            })
        };
        let fields = self.fields.iter().map(field);
        Ok(Operator::Flow(Box::new(Drawing {
            seed: self.seed,
            kind: self.rng,
            all: (self.stream == Stream::All).then(|| Rng::seeded(self.rng, self.seed)),
            fields: fields.collect::<Result<_, Diagnostic>>()?,
        })))
    }
}

struct Drawing {
    seed: i64,
    kind: RngKind,
    /// The generator of all records, if they share one.
    all: Option<Rng>,
    fields: Vec<Field>,
}

struct Field {
    name: Arc<str>,
    list: Bound,
    how: How,
}

enum How {
    Sample(Bound),
    Shuffle,
    Choice,
}

/// The generator of one record.
///
/// v1: the seed and the key.
fn own(kind: RngKind, seed: i64, key: &str) -> Rng {
    let hash = Hash::of("clue draw v1", &(seed, key)).0;
    let first = hash.first_chunk().copied().unwrap_or_default();
    Rng::new(kind, u64::from_le_bytes(first))
}

impl Field {
    fn draw(&self, rng: &mut Rng, record: &Record) -> Result<Value, Fault> {
        let list = self.list.eval(&record.fields)?;
        let name = &self.name;
        if !matches!(list.kind(), ValueKind::Seq | ValueKind::Iterable) {
            let kind = list.kind();
            return Err(Fault::Record(format!(
                "expected a list to draw `{name}` from, found {kind}"
            )));
        }
        // The kind says that it can be iterated.
        let mut list: Vec<Value> = list.try_iter().into_iter().flatten().collect();
        let count = list.len();
        match &self.how {
            How::Shuffle => {
                rng.shuffle(&mut list);
                Ok(Value::from(list))
            }
            How::Choice if list.is_empty() => Err(Fault::Record(format!(
                "cannot draw `{name}` from an empty list"
            ))),
            How::Choice => {
                // Below the length, which is a `usize`.
                let at = rng.randbelow(count as u64) as usize;
                Ok(list.swap_remove(at))
            }
            How::Sample(n) => {
                let n = whole(&format!("`n` of `{name}`"), &n.eval(&record.fields)?)?;
                let few = usize::try_from(n).ok().filter(|n| *n <= count);
                let few = few.ok_or_else(|| {
                    Fault::Record(format!("cannot draw {n} of {count} elements for `{name}`"))
                })?;
                let picked = rng.sample_indices(count, few);
                Ok(picked.into_iter().map(|at| list[at].clone()).collect())
            }
        }
    }
}

impl Flow for Drawing {
    fn push(
        &mut self,
        _port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        let mut mine = match self.all {
            Some(_) => None,
            None => Some(own(self.kind, self.seed, &record.key)),
        };
        let Some(rng) = mine.as_mut().or(self.all.as_mut()) else {
            return Ok(());
        };
        for field in &self.fields {
            let value = field.draw(rng, &record)?;
            record.fields.set(field.name.clone(), value);
        }
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use crate::record::Record;
    use crate::stages::driver::{Stage, record, records};

    fn field(records: &[Record], name: &str) -> Vec<Json> {
        let value = |record: &Record| {
            let value = record.fields.get(name).expect("a field");
            serde_json::to_value(value).expect("JSON")
        };
        records.iter().map(value).collect()
    }

    #[test]
    fn samples_are_the_references() {
        let golden = include_str!("../../tests/golden/units/distractions.jsonl");
        let mut lines = golden
            .lines()
            .map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
        let first = lines.next().expect("the benchmark");
        let patients = first["benchmark"].as_object().expect("an object");
        let others = patients
            .iter()
            .filter(|(name, _)| **name != first["patient"]);
        let pool: Vec<&Json> = others
            .flat_map(|(_, patient)| patient["texts"].as_object().expect("texts").values())
            .collect();
        let mut seen = 0;
        for line in lines {
            let draws = line["draws"].as_array().expect("a list");
            let input = json!({"pool": pool, "many": line["n"]}).to_string();
            let stage = Stage::new(
                "draw",
                &format!(
                    "{{seed: {}, rng: python, stream: all, fields: {{d: {{sample: pool, n: many}}}}}}",
                    line["seed"]
                ),
            );
            let (out, lost) = stage
                .run(vec![records(&vec![input.as_str(); draws.len()])])
                .expect("runs");
            assert!(lost.is_empty(), "{lost:?}");
            assert_eq!(field(&out, "d"), *draws);
            seen += draws.len();
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn a_record_has_its_own_numbers() {
        let list: Vec<u32> = (0..20).collect();
        let json = json!({ "l": list }).to_string();
        let yaml =
            "{seed: 1, fields: {one: {choice: l}, few: {sample: l, n: 3}, all: {shuffle: l}}}";
        let run = |keys: &[&str], yaml: &str| {
            let input = keys.iter().map(|key| record(key, &json)).collect();
            Stage::new("draw", yaml).run(vec![input]).expect("runs").0
        };
        let both = run(&["a", "b"], yaml);
        let alone = run(&["b"], yaml);
        for name in ["one", "few", "all"] {
            assert_eq!(field(&both, name)[1..], field(&alone, name)[..]);
        }
        assert_ne!(field(&both, "all")[0], field(&both, "all")[1]);
        // An order loses and repeats nothing.
        let mut order: Vec<u64> = field(&alone, "all")[0]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Json::as_u64)
            .collect();
        order.sort_unstable();
        assert_eq!(json!(order), json!(list));
        let other = run(&["b"], &yaml.replace("seed: 1", "seed: 2"));
        assert_ne!(field(&other, "all"), field(&alone, "all"));
        // Published selections depend on these.
        assert_eq!(field(&alone, "few"), [json!([16, 12, 18])]);
    }

    #[test]
    fn later_draws_see_earlier_ones() {
        let yaml = "{seed: 1, fields: {few: {sample: l, n: 2}, both: {shuffle: 'few + [9]'}}}";
        let (out, _) = Stage::new("draw", yaml)
            .run(vec![records(&[r#"{"l":[1,2,3]}"#])])
            .expect("runs");
        assert_eq!(field(&out, "both")[0].as_array().map(Vec::len), Some(3));
        let names = Stage::new("draw", yaml).check(&[&["l"]]).0.names;
        assert_eq!(names, ["l", "few", "both"]);
    }

    #[test]
    fn what_cannot_be_drawn_fails_its_record() {
        let lost = |yaml: &str| {
            let input = records(&[r#"{"l":["secret"],"t":"secret","e":[]}"#]);
            let (out, lost) = Stage::new("draw", yaml).run(vec![input]).expect("runs");
            assert!(out.is_empty());
            lost.join("; ")
        };
        assert_eq!(
            lost("{seed: 1, fields: {d: {sample: l, n: 2}}}"),
            "cannot draw 2 of 1 elements for `d`"
        );
        assert_eq!(
            lost("{seed: 1, fields: {d: {sample: l, n: -1}}}"),
            "cannot draw -1 of 1 elements for `d`"
        );
        assert_eq!(
            lost("{seed: 1, fields: {d: {sample: l, n: t}}}"),
            "expected a whole number for `n` of `d`, found string"
        );
        assert_eq!(
            lost("{seed: 1, fields: {d: {shuffle: t}}}"),
            "expected a list to draw `d` from, found string"
        );
        assert_eq!(
            lost("{seed: 1, fields: {d: {choice: e}}}"),
            "cannot draw `d` from an empty list"
        );
    }

    #[test]
    fn settings_that_do_not_go_together_are_told() {
        for (yaml, what) in [
            ("{sample: l}", "`sample` needs `n`"),
            ("{shuffle: l, n: 2}", "`n` goes with `sample`"),
            ("{shuffle: l, choice: l}", "expected one of"),
            ("{}", "expected one of"),
            ("{sample: l, n: m}", "no field `m`"),
        ] {
            let yaml = format!("{{seed: 1, fields: {{d: {yaml}}}}}");
            let (_, faults) = Stage::new("draw", &yaml).check(&[&["l"]]);
            assert!(faults.join("").contains(what), "{yaml}: {faults:?}");
        }
    }
}
