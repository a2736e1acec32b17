//! Few-shot examples: which solved cases a prompt shows to a record. Owns the choice; what is
//! made of them is the prompt's business.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::ValueKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet};
use crate::diag::{Diagnostic, Span};
use crate::jinja::expr::Expr;
use crate::record::Record;
use crate::rng::{Rng, RngKind};
use crate::spec::decode::Src;

/// The name under which a prompt finds them.
pub const SHOTS: &str = "shots";
/// What `by` calls a case that could be shown.
const SHOT: &str = "shot";

/// Which solved cases a prompt shows: the first of a stage, as they come or after a shuffle; or
/// for each record those that suit it best. A record that all others are shown gets no answer
/// and goes no further: what is shown is not tested.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shots {
    /// Where they come from: a name under `with:`. It may be the stage that is tested.
    of: Src<String>,
    /// How many.
    n: Src<u64>,
    /// Take the first ones after a shuffle by this seed; without it, as they come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seed: Option<Src<i64>>,
    /// Which generator shuffles: this program's own, or CPython's after `random.seed(seed)`.
    #[serde(default)]
    rng: RngKind,
    /// Choose for each record: those for which this is greatest, the best one last, next to
    /// the case. An expression for a number, over the record and the case `shot`, such as
    /// `question | overlap(shot.question)`. A record is never its own example, and all are
    /// tested.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<Src<Expr>>,
}

impl Shots {
    /// Checks the names.
    pub fn check(&self, span: Span, fields: &FieldSet, cx: &mut Check<'_>) {
        if !cx.with.contains(&self.of) {
            let fault = Diagnostic::error(format!("no input `{}`", self.of.value))
                .at(self.of.span, "")
                .help(format!(
                    "name the stage beside `generate`: `with: {{{}: STAGE}}`",
                    self.of.value
                ));
            cx.fault(fault.suggest(&self.of, cx.with.iter().map(String::as_str)));
        }
        if cx.with.iter().any(|name| name == SHOTS) {
            let what = format!("`{SHOTS}` stands for what is chosen here");
            cx.fault(
                Diagnostic::error(what)
                    .at(span, "")
                    .help("give the stage under `with:` another name"),
            );
        }
        let Some(by) = &self.by else { return };
        cx.expr(by, fields, &[SHOT]);
        if let Some(seed) = &self.seed {
            cx.fault(Diagnostic::error("with `by` there is nothing to shuffle").at(seed.span, ""));
        }
    }

    /// Chooses, as far as the choice is the same for all records.
    ///
    /// # Errors
    /// There are fewer cases than are to be shown.
    pub fn chosen(&self, cx: &Build<'_>) -> Result<Shown, Diagnostic> {
        let with = cx
            .shared
            .with
            .iter()
            .find(|(name, _)| *name == self.of.value);
        let list = with.map(|(_, list)| list.clone()).unwrap_or_default();
        let mut pool: Vec<Value> = list.try_iter().into_iter().flatten().collect();
        let own = usize::from(self.by.is_some());
        let n = usize::try_from(self.n.value).unwrap_or(usize::MAX);
        if n > 0 && n.saturating_add(own) > pool.len() {
            let what = format!("{n} cases to show, and only {} to choose from", pool.len());
            let fault = Diagnostic::error(what).at(self.n.span, "");
            return Err(match &self.by {
                Some(_) => fault.note("a record is never its own example"),
                None => fault,
            });
        }
        if let Some(by) = &self.by {
            let by = Bound::new(by, cx)?;
            return Ok(Shown::Nearest { pool, n, by });
        }
        if let Some(seed) = &self.seed {
            Rng::seeded(self.rng, seed.value).shuffle(&mut pool);
        }
        pool.truncate(n);
        let records = pool.iter().filter_map(record);
        Ok(Shown::Same {
            by_key: records.map(|r| (r.key.clone(), r.clone())).collect(),
            list: Value::from(pool),
        })
    }
}

fn record(value: &Value) -> Option<&Record> {
    value.downcast_object_ref::<Record>()
}

/// The choice.
pub enum Shown {
    /// The same for all.
    Same {
        /// The cases.
        list: Value,
        /// The same by their keys.
        by_key: HashMap<Arc<str>, Record>,
    },
    /// Another for each record.
    Nearest {
        /// What there is to choose from.
        pool: Vec<Value>,
        /// How many.
        n: usize,
        /// How well one suits.
        by: Bound,
    },
}

impl Shown {
    /// True for a record that is shown to the others, and so is no test case: the key is the
    /// same, and so are all fields that both have. Keys alone would not do: those of two files
    /// may be mere numbers.
    pub fn is_among(&self, record: &Record) -> bool {
        match self {
            Shown::Same { by_key, .. } => {
                let shown = by_key.get(&record.key);
                shown.is_some_and(|shown| is_same(shown, record))
            }
            Shown::Nearest { .. } => false,
        }
    }

    /// The cases for a record, as a list.
    ///
    /// # Errors
    /// [`Fault::Record`] when it cannot be said how well one suits.
    pub fn of(&self, of: &Record) -> Result<Value, Fault> {
        let (pool, n, by) = match self {
            Shown::Same { list, .. } => return Ok(list.clone()),
            Shown::Nearest { pool, n, by } => (pool, *n, by),
        };
        let mut ranked = Vec::with_capacity(pool.len());
        let mut fields = of.fields.clone();
        for (at, shot) in pool.iter().enumerate() {
            if record(shot).is_some_and(|shot| shot.key == of.key && is_same(shot, of)) {
                continue;
            }
            fields.set(SHOT, shot.clone());
            let rank = by.eval(&fields)?;
            let number = f64::try_from(rank.clone()).ok().filter(|n| !n.is_nan());
            let number = number.filter(|_| rank.kind() == ValueKind::Number);
            let number = number.ok_or_else(|| {
                Fault::Record(format!("`shots`: `by` is {}, not a number", rank.kind()))
            })?;
            ranked.push((number, at));
        }
        // Of equals the first comes first, and so stands nearer to the case.
        ranked.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
        ranked.truncate(n);
        let best = ranked.iter().rev().map(|(_, at)| pool[*at].clone());
        Ok(best.collect())
    }
}

fn is_same(shown: &Record, record: &Record) -> bool {
    let mut common = shown
        .fields
        .iter()
        .filter_map(|(name, value)| Some((value, record.fields.get(name)?)))
        .peekable();
    common.peek().is_some() && common.all(|(shown, value)| shown == value)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::record::Record;
    use crate::stages::contract::{Fault, Operator};
    use crate::stages::driver::{Stage, record, records};

    const PROMPT: &str = "{% for shot in shots %}{{ shot.q }}={{ shot.a }};{% endfor %}{{ q }}=";
    const POOL: [&str; 4] = [
        r#"{"q":"one two","a":1}"#,
        r#"{"q":"two","a":2}"#,
        r#"{"q":"three","a":3}"#,
        r#"{"q":"two three","a":4}"#,
    ];

    /// What each record is asked; none for those that are shown.
    fn asked(shots: &str, test: Vec<Record>) -> Result<Vec<Option<String>>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("p.j2"), PROMPT).expect("written");
        let yaml = format!("{{model: writer, prompt: p.j2, shots: {shots}}}");
        let stage = Stage::within(dir.path(), "generate", &yaml).with("pool", records(&POOL));
        let (_, faults) = stage.check(&[&["q", "a"]]);
        assert!(faults.is_empty(), "{faults:?}");
        let ask = match stage.verb().operator(&stage.build()) {
            Ok(Operator::Ask(ask)) => ask,
            Ok(_) => panic!("does not ask"),
            Err(fault) => return Err(fault.message),
        };
        let mut all = Vec::new();
        for record in test {
            let requests = ask.requests(&record).map_err(|fault| match fault {
                Fault::Record(why) => why,
                Fault::Stage(fault) => fault.message,
            })?;
            let text = requests.first().and_then(|r| r.chat());
            let text = text.map(|chat| chat.turns[0].text.clone());
            if text.is_none() {
                let mut out = Vec::new();
                assert!(ask.absorb(record, Vec::new(), &mut out).is_ok() && out.is_empty());
            }
            all.push(text);
        }
        Ok(all)
    }

    fn texts(shots: &str) -> Vec<String> {
        let all = asked(shots, records(&POOL)).expect("asks");
        all.into_iter()
            .map(|text| text.unwrap_or_default())
            .collect()
    }

    #[test]
    fn the_first_ones_are_shown_and_not_tested() {
        assert_eq!(
            texts("{of: pool, n: 2}"),
            [
                "",
                "",
                "one two=1;two=2;three=",
                "one two=1;two=2;two three="
            ]
        );
        assert_eq!(
            texts("{of: pool, n: 0}"),
            ["one two=", "two=", "three=", "two three="]
        );
        // random.seed(1); random.shuffle([0, 1, 2, 3]) begins with 3, 0.
        assert_eq!(
            texts("{of: pool, n: 2, seed: 1, rng: python}")[1],
            "two three=4;one two=1;two="
        );
    }

    #[test]
    fn what_only_has_the_same_key_is_tested() {
        let other = vec![record("1", r#"{"q":"other"}"#), record("x", POOL[0])];
        let all = asked("{of: pool, n: 1}", other).expect("asks");
        assert_eq!(
            all,
            [
                Some("one two=1;other=".to_owned()),
                Some("one two=1;one two=".to_owned())
            ]
        );
    }

    #[test]
    fn the_nearest_are_shown_best_last() {
        assert_eq!(
            texts("{of: pool, n: 2, by: q | overlap(shot.q)}"),
            [
                "two three=4;two=2;one two=",
                "two three=4;one two=1;two=",
                "one two=1;two three=4;three=",
                "three=3;two=2;two three="
            ]
        );
        assert_eq!(
            asked("{of: pool, n: 1, by: shot.q}", records(&POOL)),
            Err("`shots`: `by` is string, not a number".to_owned())
        );
    }

    #[test]
    fn too_few_cases_are_told() {
        assert_eq!(
            asked("{of: pool, n: 5}", Vec::new()),
            Err("5 cases to show, and only 4 to choose from".to_owned())
        );
        assert!(asked("{of: pool, n: 4, by: shot.a}", Vec::new()).is_err());
        assert!(asked("{of: pool, n: 4}", records(&POOL)).is_ok());
    }

    #[test]
    fn names_are_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("p.j2"), PROMPT).expect("written");
        let faults = |shots: &str, with: &str| {
            let yaml = format!("{{model: writer, prompt: p.j2, shots: {shots}}}");
            let stage = Stage::within(dir.path(), "generate", &yaml).with(with, Vec::new());
            stage.check(&[&["q"]]).1.join("\n")
        };
        let all = [
            faults("{of: pol, n: 1}", "pool"),
            faults("{of: shots, n: 1}", "shots"),
            faults("{of: pool, n: 1, by: qq | overlap(shot.q)}", "pool"),
            faults("{of: pool, n: 1, by: shot.a, seed: 1}", "pool"),
        ];
        insta::assert_snapshot!(all.join("\n\n"));
    }
}
