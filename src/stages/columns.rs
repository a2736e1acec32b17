//! `select`, `drop` and `rename`: which fields records have. Keys stay.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contract::{Build, Check, Fault, FieldSet, Flow, Operator, Verb};
use super::named::{Named, Names};
use crate::diag::Diagnostic;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;

/// Keeps these fields, in this order.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Select(Names);

/// Removes these fields.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Drop(Names);

/// Gives fields new names, `{new: old}`, in their places.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Rename(Named<Src<String>>);

/// Checks that the fields exist and are named once.
fn fields_exist<'a>(names: impl Iterator<Item = &'a Src<String>>, cx: &mut Check<'_>) {
    let input = cx.input();
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        cx.field(name, &input);
        if seen.contains(&name.as_str()) {
            cx.fault(
                Diagnostic::error(format!("`{}` is listed twice", name.value)).at(name.span, ""),
            );
        }
        seen.push(name);
    }
}

impl Verb for Select {
    const NAME: &'static str = "select";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        fields_exist(self.0.0.iter(), cx);
        let mut set = FieldSet::default();
        self.0.0.iter().for_each(|name| set.add(name));
        set
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let names = self.0.0.iter();
        Ok(Operator::Flow(Box::new(Change::Select(
            names.map(|name| name.as_str().into()).collect(),
        ))))
    }
}

impl Verb for Drop {
    const NAME: &'static str = "drop";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        fields_exist(self.0.0.iter(), cx);
        let mut set = cx.input();
        set.names
            .retain(|name| !self.0.0.iter().any(|dropped| dropped.value == *name));
        set
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let names = self.0.0.iter();
        Ok(Operator::Flow(Box::new(Change::Drop(
            names.map(|name| name.value.clone()).collect(),
        ))))
    }
}

impl Verb for Rename {
    const NAME: &'static str = "rename";
    const VERSION: u32 = 1;

    fn recordwise(&self, _port: usize) -> bool {
        true
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        fields_exist(self.0.iter().map(|(_, old)| old), cx);
        let mut set = cx.input();
        for (new, old) in self.0.iter() {
            let kept = set.names.iter().any(|name| name == new)
                && !self.0.iter().any(|(_, gone)| gone.value == *new);
            if kept {
                cx.fault(
                    Diagnostic::error(format!("there is already a field `{new}`"))
                        .at(old.span, "would take its name")
                        .help(format!("`drop` or `rename` `{new}` first")),
                );
            }
        }
        for name in &mut set.names {
            if let Some((new, _)) = self.0.iter().find(|(_, old)| old.value == *name) {
                *name = new.to_owned();
            }
        }
        for (new, _) in self.0.iter() {
            set.add(new);
        }
        set
    }

    fn operator(&self, _cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        let pairs = self.0.iter();
        Ok(Operator::Flow(Box::new(Change::Rename(
            pairs
                .map(|(new, old)| (new.into(), old.value.clone()))
                .collect(),
        ))))
    }
}

enum Change {
    Select(Vec<Arc<str>>),
    Drop(Vec<String>),
    Rename(Vec<(Arc<str>, String)>),
}

impl Change {
    fn apply(&self, mut fields: Fields) -> Result<Fields, Fault> {
        let missing = |name: &str| Fault::Record(format!("no field `{name}`"));
        match self {
            Change::Select(names) => names
                .iter()
                .map(|name| {
                    let value = fields.remove(name).ok_or_else(|| missing(name))?;
                    Ok((name.clone(), value))
                })
                .collect(),
            Change::Drop(names) => {
                for name in names {
                    fields.remove(name).ok_or_else(|| missing(name))?;
                }
                Ok(fields)
            }
            Change::Rename(pairs) => {
                if let Some((_, old)) = pairs.iter().find(|(_, old)| fields.get(old).is_none()) {
                    return Err(missing(old));
                }
                let renamed: Vec<_> = fields
                    .iter()
                    .map(|(name, value)| {
                        let new = pairs.iter().find(|(_, old)| **old == **name);
                        (new.map_or(name, |(new, _)| new).clone(), value.clone())
                    })
                    .collect();
                let fields: Fields = renamed.iter().cloned().collect();
                if fields.len() < renamed.len() {
                    return Err(Fault::Record(
                        "a new name is already that of another field".to_owned(),
                    ));
                }
                Ok(fields)
            }
        }
    }
}

impl Flow for Change {
    fn push(
        &mut self,
        _port: usize,
        mut record: Record,
        out: &mut Vec<Record>,
    ) -> Result<(), Fault> {
        record.fields = self.apply(record.fields)?;
        out.push(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::stages::driver::{Stage, records};

    #[test]
    fn fields_come_go_and_change_names() {
        let flow = |verb, yaml| Stage::new(verb, yaml).flow(records(&[r#"{"a":1,"b":2,"c":3}"#]));
        assert_eq!(flow("select", "[c, a]"), [r#"1 {"c":3,"a":1}"#]);
        assert_eq!(flow("select", "b"), [r#"1 {"b":2}"#]);
        assert_eq!(flow("drop", "[a]"), [r#"1 {"b":2,"c":3}"#]);
        assert_eq!(flow("rename", "{a: b, b: a}"), [r#"1 {"b":1,"a":2,"c":3}"#]);
    }

    #[test]
    fn the_check_follows_the_names() {
        let check = |verb, yaml| Stage::new(verb, yaml).check(&[&["a", "b"]]);
        assert_eq!(check("rename", "x: a").0.names, ["x", "b"]);
        assert_eq!(check("drop", "a").0.names, ["b"]);
        assert_eq!(check("select", "[b]").0.names, ["b"]);
        for (verb, yaml) in [
            ("rename", "b: a"),
            ("rename", "x: aa"),
            ("select", "[a, a]"),
            ("drop", "[c]"),
        ] {
            assert_eq!(check(verb, yaml).1.len(), 1, "{verb} {yaml}");
        }
    }
}
