//! Few-shot examples: which solved cases a prompt shows to a record. Owns the choice; what is
//! made of them is the prompt's business.

use std::collections::HashSet;
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
        cx.reserved(&[SHOTS, SHOT], span);
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
        let n = usize::try_from(self.n.value).unwrap_or(usize::MAX);
        if n > pool.len() {
            let what = format!("{n} cases to show, and only {} to choose from", pool.len());
            return Err(Diagnostic::error(what).at(self.n.span, ""));
        }
        let kin = cx.kin.contains(&self.of.value);
        if let Some(by) = &self.by {
            let by = Bound::new(by, cx)?;
            return Ok(Shown::Nearest { pool, n, by, kin });
        }
        if let Some(seed) = &self.seed {
            Rng::seeded(self.rng, seed.value).shuffle(&mut pool);
        }
        pool.truncate(n);
        let records = pool.iter().filter_map(record).filter(|_| kin);
        Ok(Shown::Same {
            keys: records.map(|record| record.key.clone()).collect(),
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
        /// The keys of those that may come to be tested.
        keys: HashSet<Arc<str>>,
    },
    /// Another for each record.
    Nearest {
        /// What there is to choose from.
        pool: Vec<Value>,
        /// How many.
        n: usize,
        /// How well one suits.
        by: Bound,
        /// True when a record may be among them itself.
        kin: bool,
    },
}

impl Shown {
    /// True for a record that is shown to the others, and so is no test case: it has the same
    /// key, and comes from the same source. Of two files, keys may be mere numbers.
    pub fn is_among(&self, record: &Record) -> bool {
        match self {
            Shown::Same { keys, .. } => keys.contains(&record.key),
            Shown::Nearest { .. } => false,
        }
    }

    /// The cases for a record, as a list.
    ///
    /// # Errors
    /// [`Fault::Record`] when it cannot be said how well one suits.
    pub fn of(&self, of: &Record) -> Result<Value, Fault> {
        let (pool, n, by, kin) = match self {
            Shown::Same { list, .. } => return Ok(list.clone()),
            Shown::Nearest { pool, n, by, kin } => (pool, *n, by, *kin),
        };
        let mut ranked = Vec::with_capacity(pool.len());
        let mut fields = of.fields.clone();
        for (at, shot) in pool.iter().enumerate() {
            if kin && record(shot).is_some_and(|shot| shot.key == of.key) {
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
        if ranked.len() < n {
            let left = ranked.len();
            return Err(Fault::Record(format!(
                "{n} cases to show, and only {left} but for itself"
            )));
        }
        // Of equals the first comes first, and so stands nearer to the case.
        ranked.sort_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
        ranked.truncate(n);
        let best = ranked.iter().rev().map(|(_, at)| pool[*at].clone());
        Ok(best.collect())
    }
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
    fn asked(shots: &str, test: Vec<Record>, kin: bool) -> Result<Vec<Option<String>>, String> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("p.j2"), PROMPT).expect("written");
        let yaml = format!("{{model: writer, prompt: p.j2, shots: {shots}}}");
        let stage = Stage::within(dir.path(), "generate", &yaml).with("pool", records(&POOL));
        let stage = if kin { stage.kin("pool") } else { stage };
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
                Fault::Record(why) | Fault::Call(why) | Fault::Answer(why) => why,
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
        let all = asked(shots, records(&POOL), true).expect("asks");
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
    fn keys_of_another_source_mean_nothing() {
        let shown = "one two=1;".to_owned();
        let other = || {
            let changed = record("1", r#"{"q":"changed"}"#);
            vec![changed, record("x", POOL[0])]
        };
        let all = asked("{of: pool, n: 1}", other(), false).expect("asks");
        let both = [
            Some(shown.clone() + "changed="),
            Some(shown.clone() + "one two="),
        ];
        assert_eq!(all, both);
        // A field that was changed on the way does not make another case of it.
        let all = asked("{of: pool, n: 1}", other(), true).expect("asks");
        assert_eq!(all, [None, Some(shown + "one two=")]);
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
            asked("{of: pool, n: 1, by: shot.q}", records(&POOL), true),
            Err("`shots`: `by` is string, not a number".to_owned())
        );
    }

    #[test]
    fn too_few_cases_are_told() {
        assert_eq!(
            asked("{of: pool, n: 5}", Vec::new(), true),
            Err("5 cases to show, and only 4 to choose from".to_owned())
        );
        assert!(asked("{of: pool, n: 4}", records(&POOL), true).is_ok());
        let nearest = "{of: pool, n: 4, by: shot.a}";
        assert!(asked(nearest, records(&POOL), false).is_ok());
        assert_eq!(
            asked(nearest, records(&POOL), true),
            Err("4 cases to show, and only 3 but for itself".to_owned())
        );
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
        fs::write(dir.path().join("zero.j2"), "{{ q }}=").expect("written");
        let unread = "{model: writer, prompt: zero.j2, shots: {of: pool, n: 1}}";
        let unread = Stage::within(dir.path(), "generate", unread).with("pool", Vec::new());
        let unread = unread.check(&[&["q"]]).1.join("\n");
        let all = [
            unread,
            faults("{of: pol, n: 1}", "pool"),
            faults("{of: shots, n: 1}", "shots"),
            faults("{of: pool, n: 1, by: qq | overlap(shot.q)}", "pool"),
            faults("{of: pool, n: 1, by: shot.a, seed: 1}", "pool"),
            faults(
                "{of: pool, n: 1}, keep: {prompt: answer, model: x, prompt_hash: x}",
                "pool",
            ),
        ];
        insta::assert_snapshot!(all.join("\n\n"));
    }
}
