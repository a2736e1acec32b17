//! A test file that is read and sound in itself. Owns the places of its names; knows nothing of
//! what the pipeline has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::TestFile;
use crate::diag::{Diagnostic, Sources, Span, in_order};
use crate::spec::document;
use crate::spec::node::{Node, NodeValue};

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
