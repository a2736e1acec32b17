//! Checks that verbs share: expressions and field names against the fields that exist.

use std::sync::Arc;

use super::contract::{Check, FieldSet};
use crate::diag::{Diagnostic, Span};
use crate::jinja::builtin;
use crate::jinja::expr::{Expr, Unknown, is_global};
use crate::jinja::filters::{FILTERS, TESTS};
use crate::spec::decode::Src;

impl Check<'_> {
    /// Fields of the first input.
    pub fn input(&self) -> FieldSet {
        self.inputs
            .first()
            .cloned()
            .unwrap_or_else(FieldSet::unknown)
    }

    /// Reports a fault.
    pub fn fault(&mut self, diagnostic: Diagnostic) {
        self.faults.push(diagnostic);
    }

    /// Checks that `with` calls no stage by a name that has a meaning of its own here: named
    /// inputs win over it.
    pub fn reserved(&mut self, names: &[&str], span: Span) {
        let with = self.with.iter().map(String::as_str);
        for name in with.filter(|name| names.contains(name)).collect::<Vec<_>>() {
            let what = format!("`with` calls a stage `{name}`, which has another meaning here");
            let fault = Diagnostic::error(what).at(span, "");
            self.fault(fault.help("give it another name there"));
        }
    }

    /// Checks that an expression parses and reads only names that exist: `fields`, names in
    /// `extra`, `params.*`, and the stages named in `with`.
    pub fn expr(&mut self, expr: &Src<Expr>, fields: &FieldSet, extra: &[&str]) {
        if let Some(names) = self.parsed.get(&expr.value.0).cloned() {
            return self.names(&names, expr.span, fields, extra);
        }
        let unknown = expr.value.unknown(self.build.env);
        let sound = unknown.is_empty();
        for Unknown { name, is_test } in unknown {
            let (kind, known, jinjas) = match is_test {
                true => ("test", TESTS, builtin::TESTS),
                false => ("filter", FILTERS, builtin::FILTERS),
            };
            let known = known.iter().chain(jinjas).map(|(name, _)| *name);
            let place = self.find(expr.span, &name);
            self.fault(
                Diagnostic::error(format!("no {kind} `{name}`"))
                    .at(place, "")
                    .suggest(&name, known),
            );
        }
        match expr.value.compile(self.build.env) {
            Ok(compiled) => {
                let names: Arc<[String]> = compiled.names().into();
                self.names(&names, expr.span, fields, extra);
                if sound {
                    self.parsed.insert(expr.value.0.clone(), names);
                }
            }
            Err(why) => self.fault(
                Diagnostic::error(format!("this expression does not parse: {why}"))
                    .at(expr.span, ""),
            ),
        }
    }

    /// Checks that a field exists.
    pub fn field(&mut self, name: &Src<String>, fields: &FieldSet) {
        if !fields.allows(name) {
            self.fault(
                Diagnostic::error(format!("no field `{}`", name.value))
                    .at(name.span, "")
                    .suggest(name, fields.names.iter().map(String::as_str)),
            );
        }
    }

    /// Checks root names (with plain attributes, `params.x`) read somewhere in `span`.
    pub fn names(&mut self, names: &[String], span: Span, fields: &FieldSet, extra: &[&str]) {
        for name in names {
            let (root, rest) = name
                .split_once('.')
                .map_or((name.as_str(), None), |(a, b)| (a, Some(b)));
            if root == "params" {
                let param = rest.and_then(|rest| rest.split('.').next());
                if let Some(param) = param
                    && !self.params.iter().any(|p| p == param)
                {
                    let place = self.find(span, param);
                    self.fault(
                        Diagnostic::error(format!("no param `{param}`"))
                            .at(place, "")
                            .suggest(param, self.params.iter().map(String::as_str)),
                    );
                }
                continue;
            }
            let known = is_global(root)
                || fields.allows(root)
                || extra.contains(&root)
                || self.with.iter().any(|w| w == root)
                || self.build.env.globals().any(|(global, _)| global == root);
            if !known {
                let place = self.find(span, root);
                let mut all: Vec<&str> = fields.names.iter().map(String::as_str).collect();
                all.extend(extra);
                all.extend(self.with.iter().map(String::as_str));
                all.push("params");
                self.faults.push(
                    Diagnostic::error(format!("no field `{root}`"))
                        .at(place, "")
                        .suggest(root, all),
                );
            }
        }
    }

    /// The first place of a name as a whole word within a span; the span itself if none.
    fn find(&self, span: Span, name: &str) -> Span {
        let text = self.sources.slice(span);
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let found = text.match_indices(name).find(|(at, _)| {
            let before = text[..*at].chars().next_back();
            let after = text[at + name.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        });
        found.map_or(span, |(at, _)| span.within(at, at + name.len()))
    }
}
