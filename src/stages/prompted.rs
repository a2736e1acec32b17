//! The file of a prompt in a pipeline's settings: read once, checked, and part of what decides a
//! stage's output. Owns the way from the setting to the prompt; knows nothing of what it is for.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

use super::contract::{Build, Check, FieldSet};
use super::traces::Traces;
use crate::diag::{Diagnostic, Sources};
use crate::prompt::Prompt;
use crate::spec::decode::Src;

/// The file of a prompt, relative to the pipeline's. Its name is no setting that decides the
/// output: its content is.
#[derive(Clone, Debug)]
pub struct PromptFile {
    path: Src<String>,
    /// Read once: what keys are made of is what is asked.
    loaded: OnceLock<Arc<Prompt>>,
}

impl<'de> Deserialize<'de> for PromptFile {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<PromptFile, D::Error> {
        Ok(PromptFile {
            path: Src::deserialize(d)?,
            loaded: OnceLock::new(),
        })
    }
}

impl JsonSchema for PromptFile {
    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

impl PromptFile {
    /// The prompt.
    ///
    /// # Errors
    /// Every fault, each at its place.
    pub fn load(
        &self,
        cx: &Build<'_>,
        sources: &mut Sources,
    ) -> Result<Arc<Prompt>, Vec<Diagnostic>> {
        let path = cx.path(&self.path);
        let prompt = Prompt::load(&path, cx.prompt_dirs, cx.fence, sources).map_err(|faults| {
            let here = |fault: Diagnostic| match fault.primary {
                None => fault.at(self.path.span, ""),
                Some(_) => fault,
            };
            faults.into_iter().map(here).collect::<Vec<_>>()
        })?;
        let prompt = Arc::new(prompt);
        Ok(self.loaded.get_or_init(|| prompt.clone()).clone())
    }

    /// The prompt, for those who cannot show places in it.
    ///
    /// # Errors
    /// Why it cannot be read, in one diagnostic at the setting.
    pub fn get(&self, cx: &Build<'_>) -> Result<Arc<Prompt>, Diagnostic> {
        if let Some(prompt) = self.loaded.get() {
            return Ok(prompt.clone());
        }
        let mut sources = Sources::default();
        self.load(cx, &mut sources).map_err(|faults| {
            let what = faults.first().map(|fault| {
                let place = fault.primary.as_ref().map(|(span, _)| *span);
                match place.filter(|span| *span != self.path.span) {
                    Some(span) => {
                        let (line, column) = sources.line_column(span);
                        let path = sources.path(span.file).display();
                        format!("{path}:{line}:{column}: {}", fault.message)
                    }
                    None => fault.message.clone(),
                }
            });
            Diagnostic::error(what.unwrap_or_default()).at(self.path.span, "")
        })
    }

    /// Reports every fault of the prompt. It may read `fields`, and the names in `extra`.
    pub fn check(&self, fields: &FieldSet, extra: &[&str], cx: &mut Check<'_>) {
        match self.load(&cx.build, cx.sources) {
            Ok(prompt) => {
                for (name, span) in prompt.names() {
                    cx.names(std::slice::from_ref(name), *span, fields, extra);
                }
            }
            Err(faults) => faults.into_iter().for_each(|fault| cx.fault(fault)),
        }
    }

    /// True if the prompt reads this name.
    pub fn reads(&self, name: &str, cx: &Check<'_>) -> bool {
        let root = |read: &str| read.split('.').next() == Some(name);
        let prompt = self.get(&cx.build);
        prompt.is_ok_and(|prompt| prompt.names().iter().any(|(read, _)| root(read)))
    }

    /// True if any of the prompt's files holds this word, or if that cannot be known.
    pub fn mentions(&self, word: &str, cx: &Check<'_>) -> bool {
        let prompt = self.get(&cx.build);
        prompt.map_or(true, |prompt| {
            prompt.files.iter().any(|(_, _, text)| text.contains(word))
        })
    }

    /// Adds the prompt's files, and the params that it reads. A prompt that cannot be read is a
    /// fault of the check's.
    pub fn trace(&self, traces: &mut Traces, cx: &Build<'_>) {
        if let Ok(prompt) = self.get(cx) {
            traces.prompts.extend_from_slice(&prompt.files);
            traces.paths.extend_from_slice(&prompt.paths);
            for (name, _) in prompt.names() {
                traces.read_name(name, cx);
            }
        }
    }
}
