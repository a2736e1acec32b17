//! A test file that is read and sound in itself. Owns the places of its names; knows nothing of
//! what the pipeline has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{Records, TestFile};
use serde_json::Value as Json;

use crate::diag::{Diagnostic, Sources, Span, in_order};
use crate::spec::document;
use crate::spec::node::{Node, NodeValue};
use crate::stages::named::Named;

/// Whole numbers that the tree can hold as close ones only, as the text has them.
fn exact(file: &mut TestFile, root: &Node, text: &str) {
    let named = |node: Option<&Node>, fields: &mut Named<Json>| {
        for (name, value) in &mut fields.0 {
            if let Some(node) = node.and_then(|node| node.get(name)) {
                whole(node, text, value);
            }
        }
    };
    for (stage, records) in &mut file.inputs.0 {
        let node = root.get("inputs").and_then(|node| node.get(stage));
        for (at, record) in records.iter_mut().enumerate() {
            named(node.and_then(|node| item(node, at)), record);
        }
    }
    let expected = root.get("expect").and_then(|node| node.get("records"));
    for (stage, records) in &mut file.expect.records.0 {
        let node = expected.and_then(|node| node.get(stage));
        match records {
            Records::All(all) => {
                for (at, record) in all.iter_mut().enumerate() {
                    named(node.and_then(|node| item(node, at)), record);
                }
            }
            Records::Some(some) => {
                for (key, record) in &mut some.0 {
                    named(node.and_then(|node| node.get(key)), record);
                }
            }
        }
    }
}

fn item(node: &Node, at: usize) -> Option<&Node> {
    match &node.value {
        NodeValue::Seq(items) => items.get(at),
        _ => None,
    }
}

fn whole(node: &Node, text: &str, value: &mut Json) {
    match (&node.value, value) {
        (NodeValue::Float(_), value) => {
            let span = node.span.start as usize..node.span.end as usize;
            let digits = text.get(span).unwrap_or("");
            if digits.bytes().all(|byte| byte.is_ascii_digit())
                && let Ok(number) = digits.parse::<u64>()
            {
                *value = number.into();
            }
        }
        (NodeValue::Seq(nodes), Json::Array(values)) => {
            let pairs = nodes.iter().zip(values);
            pairs.for_each(|(node, value)| whole(node, text, value));
        }
        (NodeValue::Map(_), Json::Object(values)) => {
            for (name, value) in values {
                if let Some(node) = node.get(name) {
                    whole(node, text, value);
                }
            }
        }
        _ => {}
    }
}

/// A test.
pub struct Case {
    /// Its file.
    pub path: PathBuf,
    /// The text of that.
    pub text: Arc<str>,
    /// What it says.
    pub file: TestFile,
    /// The same with places.
    pub root: Node,
    /// What messages point into.
    pub sources: Sources,
}

impl Case {
    /// Reads a test file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path) -> Result<Case, (Vec<Diagnostic>, Sources)> {
        let mut sources = Sources::default();
        let read = document::read_with_places::<TestFile>(path, &mut sources);
        let (file, root) = match read {
            Ok(read) => read,
            Err(faults) => return Err((faults, sources)),
        };
        let text = sources.text(root.span.file).clone();
        let mut file = file;
        exact(&mut file, &root, &text);
        let case = Case {
            path: path.to_owned(),
            text,
            file,
            root,
            sources,
        };
        let mut faults = case.faults();
        if faults.is_empty() {
            return Ok(case);
        }
        in_order(&mut faults);
        Err((faults, case.sources))
    }

    fn faults(&self) -> Vec<Diagnostic> {
        let mut faults = Vec::new();
        if self.file.clue_test != 1 {
            let n = self.file.clue_test;
            let what = format!("this clue reads version 1 of test files, not {n}");
            faults.push(self.fault(what, &["clue_test"]));
        }
        for (at, rule) in self.file.answers.iter().enumerate() {
            let span = self.rule(at, "");
            let mut wrong = |what: &str| faults.push(Diagnostic::error(what).at(span, ""));
            match (&rule.answer, &rule.fails) {
                (None, None) => wrong("expected `answer`, or `fails` with a reason"),
                (Some(_), Some(_)) => wrong("expected `answer` or `fails`, not both"),
                _ => {}
            }
        }
        for name in self.file.expect.text.iter().map(|(name, _)| name) {
            if self.file.expect.outputs.iter().any(|(n, _)| n == name) {
                let what = format!("`{name}` is expected twice: as a file, and as a text");
                faults.push(self.fault(what, &["expect", "text", name]));
            }
        }
        faults
    }

    /// A path of this file.
    pub fn join(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The place of a key, by the keys that lead to it.
    pub fn place(&self, keys: &[&str]) -> Span {
        let mut node = &self.root;
        let mut span = node.span;
        for name in keys {
            let mut entries = node.entries().iter();
            match entries.find(|(key, _)| key.name == *name) {
                Some((key, inner)) => (span, node) = (key.span, inner),
                None => break,
            }
        }
        span
    }

    /// The place of a setting of a rule; of the rule itself, for one that it has not.
    pub fn rule(&self, at: usize, setting: &str) -> Span {
        let rules = self.root.get("answers");
        let rule = rules.and_then(|rules| match &rules.value {
            NodeValue::Seq(items) => items.get(at),
            _ => None,
        });
        let Some(rule) = rule else {
            return self.root.span;
        };
        rule.get(setting).map_or(rule.span, |node| node.span)
    }

    /// A fault at a key.
    pub fn fault(&self, what: String, keys: &[&str]) -> Diagnostic {
        Diagnostic::error(what).at(self.place(keys), "")
    }
}
