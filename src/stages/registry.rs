//! What makes a list of verbs out of their types: decoding, schema, and one object for all.

use std::path::{Path, PathBuf};

use schemars::{Schema, SchemaGenerator};

use super::contract::{Build, Check, FieldSet, Look, Operator, Verb};
use super::traces::Traces;
use crate::diag::Diagnostic;
use crate::hash::Canonical;
use crate::spec::decode::decode;
use crate::spec::node::Node;

/// A verb as the registry knows it.
#[derive(Clone, Copy)]
pub struct VerbDef {
    /// Its name in YAML.
    pub name: &'static str,
    /// The JSON Schema of its settings.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    /// Decodes its settings.
    pub decode: fn(&Node) -> Result<Box<dyn AnyVerb>, Diagnostic>,
}

impl VerbDef {
    /// The registration of a verb: one line.
    pub const fn of<V: Verb>() -> VerbDef {
        VerbDef {
            name: V::NAME,
            schema: |generator| generator.subschema_for::<V>(),
            decode: |node| Ok(Box::new(decode::<V>(node)?)),
        }
    }
}

/// A [`Verb`] of any type.
pub trait AnyVerb: Send + Sync {
    /// Its name in YAML.
    fn name(&self) -> &'static str;
    /// Its semantic version.
    fn version(&self) -> u32;
    /// Its settings as JSON: what decides its output, apart from inputs and files.
    fn settings(&self) -> serde_json::Value;
    /// The same as keys have it.
    fn canonical(&self) -> Canonical;
    /// See [`Verb::inputs`].
    fn inputs(&self) -> (usize, usize);
    /// See [`Verb::heavy`].
    fn heavy(&self) -> bool;
    /// See [`Verb::recordwise`].
    fn recordwise(&self, port: usize) -> bool;
    /// See [`Verb::writes`].
    fn writes(&self) -> Option<&Path>;
    /// See [`Verb::files`].
    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf>;
    /// See [`Verb::traces`].
    fn traces(&self, cx: &Build<'_>) -> Traces;
    /// See [`Verb::look`].
    fn look(&self, cx: &Build<'_>) -> Option<Look>;
    /// See [`Verb::check`].
    fn check(&self, cx: &mut Check<'_>) -> FieldSet;
    /// See [`Verb::operator`].
    ///
    /// # Errors
    /// As there.
    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic>;
}

impl<V: Verb> AnyVerb for V {
    fn name(&self) -> &'static str {
        V::NAME
    }

    fn version(&self) -> u32 {
        V::VERSION
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn canonical(&self) -> Canonical {
        Canonical::of(self)
    }

    fn inputs(&self) -> (usize, usize) {
        Verb::inputs(self)
    }

    fn heavy(&self) -> bool {
        Verb::heavy(self)
    }

    fn recordwise(&self, port: usize) -> bool {
        Verb::recordwise(self, port)
    }

    fn writes(&self) -> Option<&Path> {
        Verb::writes(self)
    }

    fn files(&self, cx: &Build<'_>) -> Vec<PathBuf> {
        Verb::files(self, cx)
    }

    fn traces(&self, cx: &Build<'_>) -> Traces {
        Verb::traces(self, cx)
    }

    fn look(&self, cx: &Build<'_>) -> Option<Look> {
        Verb::look(self, cx)
    }

    fn check(&self, cx: &mut Check<'_>) -> FieldSet {
        Verb::check(self, cx)
    }

    fn operator(&self, cx: &Build<'_>) -> Result<Operator, Diagnostic> {
        Verb::operator(self, cx)
    }
}
