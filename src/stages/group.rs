//! `group`: one record per group of records. Owns grouping; [`aggregate`](super::aggregate)
//! has the sums.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregate, State};
use super::bound::Bound;
use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::fingerprint::{fingerprint, key_text};
use super::named::{Named, Names};
use crate::diag::Diagnostic;
use crate::record::Record;
use crate::spec::decode::Src;

/// Makes one record of all records that agree in the fields `by`, in the order of their
/// first; without `by` one of all records, also of none. It has the fields `by`, then the
/// aggregates. Keys: the value of `by`, or a JSON list of several values; `all` without.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The fields that make a group.
    #[serde(default)]
    by: Names,
    /// Collect the records of the group in this field, as a list of maps.
    #[serde(default)]
    into: Option<Src<String>>,
    /// What to compute over each group: `{name: {fn: mean, of: expression}}`.
    #[serde(default)]
    aggregate: Named<Aggregate>,
}

impl Verb for Group {
    const NAME: &'static str = "group";
    const VERSION: u32 = 1;

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let input = cx.input();
        let mut fields = FieldSet::default();
        for name in &self.by.0 {
            cx.field(name, &input);
            fields.add(name);
        }
        for (name, aggregate) in self.aggregate.iter() {
            aggregate.check(name, &input, cx);
            if fields.names.iter().any(|field| field == name) {
                cx.fault(Diagnostic::error(format!(
                    "`{name}` is one of the fields `by`: give the aggregate another name"
                )));
            }
            fields.add(name);
        }
        if let Some(into) = &self.into {
            if fields.names.contains(&into.value) {
                cx.fault(
                    Diagnostic::error(format!("there is already a field `{}`", into.value))
                        .at(into.span, ""),
                );
            }
            fields.add(into);
        }
        fields
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let aggregates = self.aggregate.iter().map(|(name, aggregate)| {
            let of = aggregate.of.as_ref();
            let of = of.map(|of| Bound::new(of, cx)).transpose()?;
            Ok((Arc::from(name), of, aggregate.function))
        });
        let mut grouping = Grouping {
            by: self.by.0.iter().map(|name| name.as_str().into()).collect(),
            into: self.into.as_ref().map(|name| name.as_str().into()),
            aggregates: aggregates.collect::<Result<_, Diagnostic>>()?,
            groups: Vec::new(),
            at: HashMap::new(),
            drained: 0,
            last: None,
        };
        if grouping.by.is_empty() {
            let whole = grouping.empty(Vec::new());
            grouping.groups.push(whole);
        }
        Ok(Operator::Flow(Box::new(grouping)))
    }
}

struct Grouping {
    by: Vec<Arc<str>>,
    into: Option<Arc<str>>,
    aggregates: Vec<(Arc<str>, Option<Bound>, super::aggregate::Function)>,
    groups: Vec<Members>,
    /// The group of each value of `by`.
    at: HashMap<u128, usize>,
    drained: usize,
    /// The group of the record that was taken last.
    last: Option<usize>,
}

struct Members {
    by: Vec<Value>,
    states: Vec<State>,
    records: Vec<Value>,
}

impl Grouping {
    fn empty(&self, by: Vec<Value>) -> Members {
        let states = self.aggregates.iter();
        Members {
            by,
            states: states
                .map(|(_, _, function)| State::new(*function))
                .collect(),
            records: Vec::new(),
        }
    }

    fn group_of(&mut self, record: &Record) -> Result<usize, Fault> {
        if self.by.is_empty() {
            return Ok(0);
        }
        let values = self.by.iter().map(|name| {
            let value = record.fields.get(name).cloned();
            value.ok_or_else(|| Fault::Record(format!("no field `{name}` to group by")))
        });
        let values: Vec<Value> = values.collect::<Result<_, _>>()?;
        let print = fingerprint(&values)?;
        if let Some(at) = self.at.get(&print) {
            return Ok(*at);
        }
        let members = self.empty(values);
        self.groups.push(members);
        self.at.insert(print, self.groups.len() - 1);
        Ok(self.groups.len() - 1)
    }
}

impl Flow for Grouping {
    fn push(&mut self, _port: usize, record: Record, _out: &mut Vec<Record>) -> Result<(), Fault> {
        // All values first, so that a record that fails leaves nothing behind.
        let values = self.aggregates.iter().map(|(name, of, function)| {
            let value = of.as_ref().map(|of| of.eval(&record.fields)).transpose()?;
            function.accepts(name, value.as_ref())?;
            Ok(value)
        });
        let values: Vec<Option<Value>> = values.collect::<Result<_, Fault>>()?;
        let at = self.group_of(&record)?;
        self.last = Some(at);
        let members = &mut self.groups[at];
        for (state, value) in members.states.iter_mut().zip(values) {
            state.add(value);
        }
        if self.into.is_some() {
            members.records.push(record.to_value());
        }
        Ok(())
    }

    fn drain(&mut self, out: &mut Vec<Record>) -> Result<bool, Fault> {
        if let Some(members) = self.groups.get_mut(self.drained) {
            self.drained += 1;
            let key = match members.by.as_slice() {
                [] => "all".into(),
                values => key_text(values),
            };
            let mut record = Record::new(key);
            for (name, value) in self.by.iter().zip(std::mem::take(&mut members.by)) {
                record.fields.set(name.clone(), value);
            }
            let states = std::mem::take(&mut members.states);
            for ((name, _, _), state) in self.aggregates.iter().zip(states) {
                record.fields.set(name.clone(), state.result());
            }
            if let Some(into) = &self.into {
                let records = std::mem::take(&mut members.records);
                record
                    .fields
                    .set(into.clone(), records.into_iter().collect());
            }
            out.push(record);
        }
        Ok(self.drained < self.groups.len())
    }

    fn group(&self) -> Option<usize> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    const ROWS: &[&str] = &[
        r#"{"m":"a","n":1,"x":1}"#,
        r#"{"m":"b","n":1,"x":0.1}"#,
        r#"{"m":"a","n":1.0,"x":4}"#,
        r#"{"m":"b","n":1,"x":null}"#,
    ];

    #[test]
    fn groups_in_the_order_of_their_first() {
        let yaml = "{by: m, aggregate: {n: {fn: count}, k: {fn: count, of: x}, \
                    s: {fn: sum, of: x}, m2: {fn: mean, of: x}}}";
        assert_eq!(
            Stage::new("group", yaml).flow(records(ROWS)),
            [
                r#"a {"m":"a","n":2,"k":2,"s":5,"m2":2.5}"#,
                r#"b {"m":"b","n":2,"k":1,"s":0.1,"m2":0.1}"#
            ]
        );
        assert_eq!(
            Stage::new("group", "{by: [m, n], into: rows}").flow(records(&ROWS[..1])),
            [r#"["a",1] {"m":"a","n":1,"rows":[{"m":"a","n":1,"x":1}]}"#]
        );
    }

    #[test]
    fn one_group_of_all_also_of_nothing() {
        let stage = Stage::new(
            "group",
            "aggregate: {lo: {fn: min, of: x}, hi: {fn: max, of: x}, l: {fn: list, of: m}}",
        );
        assert_eq!(
            stage.flow(records(ROWS)),
            [r#"all {"lo":0.1,"hi":4,"l":["a","b","a","b"]}"#]
        );
        assert_eq!(
            stage.flow(Vec::new()),
            [r#"all {"lo":null,"hi":null,"l":[]}"#]
        );
    }

    #[test]
    fn nonsense_is_rejected() {
        let check = |yaml| Stage::new("group", yaml).check(&[&["m", "x"]]).1.len();
        assert_eq!(check("{by: mm}"), 1);
        assert_eq!(check("aggregate: {a: {fn: mean}}"), 1);
        assert_eq!(check("aggregate: {a: {fn: mean, of: y}}"), 1);
        assert_eq!(check("{by: m, aggregate: {m: {fn: count}}}"), 1);
        let stage = Stage::new("group", "aggregate: {a: {fn: sum, of: m}, n: {fn: count}}");
        let (out, lost) = stage.run(vec![records(&ROWS[..1])]).expect("runs");
        assert_eq!(lost, ["`a` needs numbers, found string"]);
        assert_eq!(
            serde_json::to_string(&out[0].fields).expect("JSON"),
            r#"{"a":0,"n":0}"#
        );
    }
}
