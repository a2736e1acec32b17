//! `join`: puts together records of two streams that agree in some fields, or keeps those of
//! one by whether the other has their like. The second input is held (its fields on disk if
//! there is much of it), the first flows through: what is large goes first.

use std::collections::HashMap;
use std::sync::Arc;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::fingerprint::fingerprint;
use super::named::{Names, Pairs};
use super::spool::Spool;
use crate::diag::Diagnostic;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;

/// Adds to each record of the first input what the second has for the same value of `on`, in
/// the order of the first. Without `into`, several matches make several records, in the
/// order of the second input. Keys: the first input's; the second match of a record gets
/// `~2`, the third `~3`. Null matches nothing. With `how: semi` or `how: anti` nothing is
/// added: of the second input only the values of `on` count, and only they are held.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Join {
    /// The field or fields that must be equal; `{left: right}` where names differ.
    on: Pairs,
    /// What becomes of records without a match.
    #[serde(default)]
    how: How,
    /// Which fields of the second input to take; all but those of `on` if left out.
    #[serde(default)]
    fields: Option<Names>,
    /// Put this before the names of the fields taken.
    #[serde(default)]
    prefix: String,
    /// Collect all matches in this field, as a list of maps, instead of making records.
    #[serde(default)]
    into: Option<Src<String>>,
}

/// What becomes of records of the first input without a match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// They go.
    #[default]
    Inner,
    /// They stay, with null for the fields of the second input, or an empty list.
    Left,
    /// They go; those with a match stay as they are, each once.
    Semi,
    /// They stay as they are; those with a match go.
    Anti,
}

impl How {
    /// True when the second input only decides who stays.
    fn only_keeps(self) -> bool {
        matches!(self, How::Semi | How::Anti)
    }
}

impl Join {
    fn taken(&self, right: &FieldSet) -> Vec<String> {
        match &self.fields {
            Some(names) => names.0.iter().map(|name| name.value.clone()).collect(),
            None => {
                let on = |name: &&String| self.on.0.iter().any(|(_, r)| r.value == **name);
                right
                    .names
                    .iter()
                    .filter(|name| !on(name))
                    .cloned()
                    .collect()
            }
        }
    }
}

impl Verb for Join {
    const NAME: &'static str = "join";
    const VERSION: u32 = 2;

    fn inputs(&self) -> (usize, usize) {
        (2, 2)
    }

    fn recordwise(&self, port: usize) -> bool {
        port == 0
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        let mut left = cx.input();
        let right = cx.inputs.get(1).cloned().unwrap_or_else(FieldSet::unknown);
        for (l, r) in &self.on.0 {
            cx.field(l, &left);
            cx.field(r, &right);
        }
        for name in self.fields.iter().flat_map(|names| &names.0) {
            cx.field(name, &right);
        }
        if self.how.only_keeps() {
            let named = self.fields.iter().flat_map(|names| &names.0).next();
            if let Some(name) = named.or(self.into.as_ref()) {
                cx.fault(
                    Diagnostic::error("with `how: semi` or `how: anti` nothing is taken over")
                        .at(name.span, "")
                        .help("leave `fields` and `into` out, or use `how: inner`"),
                );
            }
            return left;
        }
        let place = self.on.0.first().map(|(l, _)| l.span);
        if let Some(into) = &self.into {
            left.add(into);
            return left;
        }
        for name in self.taken(&right) {
            let name = format!("{}{name}", self.prefix);
            if left.names.contains(&name)
                && let Some(span) = place
            {
                cx.fault(
                    Diagnostic::error(format!("both inputs have a field `{name}`"))
                        .at(span, "")
                        .help(
                            "give a `prefix`, name the `fields` to take, or collect `into` a list",
                        ),
                );
            }
            left.add(&name);
        }
        left.open |= right.open && self.fields.is_none();
        left
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let (left_on, right_on) = self
            .on
            .0
            .iter()
            .map(|(left, right)| (left.value.clone(), right.value.clone()))
            .unzip();
        let take = self.fields.as_ref().map(|names| {
            let names = names.0.iter();
            names.map(|name| name.value.clone()).collect()
        });
        // What is asked for is there even if the second input is empty.
        let names = self.fields.iter().flat_map(|names| &names.0);
        let names = names.map(|name| format!("{}{}", self.prefix, name.value).into());
        Ok(Operator::Flow(Box::new(Joining {
            left_on,
            right_on,
            how: self.how,
            take,
            prefix: self.prefix.clone(),
            into: self.into.as_ref().map(|name| name.as_str().into()),
            names: names.collect(),
            right: Spool::new(cx.temp_dir),
            heads: HashMap::new(),
            next: Vec::new(),
            matched: Vec::new(),
        })))
    }
}

struct Joining {
    left_on: Vec<String>,
    right_on: Vec<String>,
    how: How,
    take: Option<Vec<String>>,
    prefix: String,
    into: Option<Arc<str>>,
    /// Every field name that the second input has given, with the prefix.
    names: Vec<Arc<str>>,
    right: Spool,
    /// First and last record of the second input for each value; each points to the next.
    heads: HashMap<u128, (usize, usize)>,
    next: Vec<Option<usize>>,
    /// The keys of the records of the second input that the last record met.
    matched: Vec<Arc<str>>,
}

/// What a record is joined on; none if any of it is null.
fn value_of(fields: &Fields, on: &[String]) -> Result<Option<u128>, Fault> {
    let values = on.iter().map(|name| {
        let value = fields.get(name).cloned();
        value.ok_or_else(|| Fault::Record(format!("no field `{name}` to join on")))
    });
    let values: Vec<Value> = values.collect::<Result<_, _>>()?;
    if values.iter().any(Value::is_none) {
        return Ok(None);
    }
    fingerprint(&values).map(Some)
}

impl Joining {
    fn index(&mut self, record: Record) -> Result<(), Fault> {
        let Some(on) = value_of(&record.fields, &self.right_on)? else {
            return Ok(());
        };
        if self.how.only_keeps() {
            self.heads.insert(on, (0, 0));
            return Ok(());
        }
        let mut kept = Record::new(record.key);
        let mut fields = record.fields;
        match &self.take {
            Some(names) => {
                for name in names {
                    let value = fields.remove(name).ok_or_else(|| {
                        Fault::Record(format!("no field `{name}` in the second input"))
                    })?;
                    kept.fields.set(format!("{}{name}", self.prefix), value);
                }
            }
            None => {
                for (name, value) in fields.iter() {
                    if !self.right_on.iter().any(|on| **on == **name) {
                        kept.fields
                            .set(format!("{}{name}", self.prefix), value.clone());
                    }
                }
            }
        }
        for name in kept.fields.names() {
            if !self.names.iter().any(|known| **known == *name) {
                self.names.push(name.into());
            }
        }
        let at = self.right.count();
        self.right.push(&kept)?;
        self.next.push(None);
        match self.heads.get_mut(&on) {
            Some((_, last)) => {
                self.next[*last] = Some(at);
                *last = at;
            }
            None => {
                self.heads.insert(on, (at, at));
            }
        }
        Ok(())
    }

    fn add(&self, record: &mut Record, fields: &Fields) -> Result<(), Fault> {
        for (name, value) in fields.iter() {
            if record.fields.get(name).is_some() {
                return Err(Fault::Record(format!(
                    "both inputs have a field `{name}`: give a `prefix`"
                )));
            }
            record.fields.set(name.clone(), value.clone());
        }
        Ok(())
    }
}

impl Flow for Joining {
    fn push(
        &mut self,
        port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        if port == 1 {
            return self.index(record);
        }
        self.matched.clear();
        let on = value_of(&record.fields, &self.left_on)?;
        let mut at = on
            .and_then(|on| self.heads.get(&on))
            .map(|(first, _)| *first);
        match self.how {
            How::Inner if at.is_none() => return Ok(()),
            How::Inner | How::Left => {}
            How::Semi | How::Anti => {
                if at.is_some() == (self.how == How::Semi) {
                    out.push(record);
                }
                return Ok(());
            }
        }
        let mut matches = Vec::new();
        while let Some(here) = at {
            let met = self.right.get(here)?;
            self.matched.push(met.key);
            matches.push(met.fields);
            at = self.next[here];
        }
        if let Some(into) = &self.into {
            let list = matches.into_iter().map(Value::from_object);
            record.fields.set(into.clone(), list.collect());
            out.push(record);
            return Ok(());
        }
        if matches.is_empty() {
            let nulls = self
                .names
                .iter()
                .map(|name| (name.clone(), Value::from(())));
            matches.push(nulls.collect());
        }
        let mut made = Vec::with_capacity(matches.len());
        for (number, fields) in matches.iter().enumerate() {
            let mut joined = record.clone();
            self.add(&mut joined, fields)?;
            if number > 0 {
                joined.key = format!("{}~{}", record.key, number + 1).into();
            }
            made.push(joined);
        }
        out.append(&mut made);
        Ok(())
    }

    fn port_order(&self, ports: usize) -> Vec<usize> {
        // The second input is read whole before the first flows through.
        (0..ports).rev().collect()
    }

    fn partners(&self) -> &[Arc<str>] {
        &self.matched
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records, show};

    fn run(yaml: &str) -> Vec<String> {
        let left = records(&[
            r#"{"h":"1","t":"x"}"#,
            r#"{"h":"2","t":"y"}"#,
            r#"{"h":null,"t":"z"}"#,
        ]);
        let right = records(&[
            r#"{"id":"1","c":"A"}"#,
            r#"{"id":"3","c":"B"}"#,
            r#"{"id":"1","c":"C"}"#,
            r#"{"id":null,"c":"D"}"#,
        ]);
        let (out, lost) = Stage::new("join", yaml)
            .run(vec![left, right])
            .expect("runs");
        assert!(lost.is_empty(), "{lost:?}");
        show(&out)
    }

    #[test]
    fn matches_make_records() {
        let first = r#"1 {"h":"1","t":"x","c":"A"}"#;
        let second = r#"1~2 {"h":"1","t":"x","c":"C"}"#;
        assert_eq!(run("on: {h: id}"), [first, second]);
        assert_eq!(
            run("{on: {h: id}, how: left}"),
            [
                first,
                second,
                r#"2 {"h":"2","t":"y","c":null}"#,
                r#"3 {"h":null,"t":"z","c":null}"#
            ]
        );
        assert_eq!(
            run("{on: {h: id}, fields: id, prefix: r_}")[0],
            r#"1 {"h":"1","t":"x","r_id":"1"}"#
        );
    }

    #[test]
    fn what_is_asked_for_is_there_even_of_nothing() {
        let left = records(&[r#"{"h":"1"}"#]);
        let stage = Stage::new("join", "{on: {h: id}, how: left, fields: c, prefix: r_}");
        let (out, _) = stage.run(vec![left, Vec::new()]).expect("runs");
        assert_eq!(show(&out), [r#"1 {"h":"1","r_c":null}"#]);
    }

    #[test]
    fn matches_make_a_list() {
        assert_eq!(
            run("{on: {h: id}, how: left, into: cs}"),
            [
                r#"1 {"h":"1","t":"x","cs":[{"c":"A"},{"c":"C"}]}"#,
                r#"2 {"h":"2","t":"y","cs":[]}"#,
                r#"3 {"h":null,"t":"z","cs":[]}"#
            ]
        );
    }

    #[test]
    fn matches_decide_who_stays() {
        assert_eq!(run("{on: {h: id}, how: semi}"), [r#"1 {"h":"1","t":"x"}"#]);
        assert_eq!(
            run("{on: {h: id}, how: anti}"),
            [r#"2 {"h":"2","t":"y"}"#, r#"3 {"h":null,"t":"z"}"#]
        );
    }

    #[test]
    fn the_check_sees_both_sides() {
        let check = |yaml| Stage::new("join", yaml).check(&[&["h", "c"], &["id", "c", "d"]]);
        assert_eq!(
            check("{on: {h: id}, prefix: r_}").0.names,
            ["h", "c", "r_c", "r_d"]
        );
        assert_eq!(check("on: {h: id}").1.len(), 1);
        assert_eq!(check("{on: {h: i}, into: x}").1.len(), 1);
        assert_eq!(check("on: h").1.len(), 2);
        // Equal names are no matter where nothing is taken over; asking for it is.
        let (fields, faults) = check("{on: {h: id}, how: semi}");
        assert_eq!((fields.names.len(), faults.len()), (2, 0));
        assert_eq!(check("{on: {h: id}, how: anti, fields: c}").1.len(), 1);
        assert_eq!(check("{on: {h: id}, how: semi, into: c}").1.len(), 1);
    }
}
