//! What verbs share that ask a model about each record: the prompt, the model, and how a
//! record becomes a request and a reply becomes text. Knows nothing of what is made of it.

use std::sync::{Arc, OnceLock};

use minijinja::Value;
use serde::Serialize;

use super::contract::{Build, Check, Fault, FieldSet};
use super::traces::Traces;
use crate::diag::{Diagnostic, Sources};
use crate::jinja::expr::{Scope, Shared};
use crate::model::chat::{Reply, Request};
use crate::model::spec::{ModelSpec, Sampling};
use crate::prompt::Prompt;
use crate::record::{Fields, Record};
use crate::spec::decode::Src;
use crate::text::is_space;

/// A prompt that is read once: what keys are made of is what is asked.
pub type Loaded = OnceLock<Arc<Prompt>>;

/// What is asked, as a verb's settings say it.
pub struct Question<'a> {
    /// The model, by its name under `models:`.
    pub model: &'a Src<String>,
    /// The file of the prompt.
    pub prompt: &'a Src<String>,
    /// How the model samples here.
    pub sampling: Option<&'a Src<Sampling>>,
    /// The prompt, once it is read.
    pub loaded: &'a Loaded,
}

impl Question<'_> {
    fn load(&self, cx: &Build<'_>, sources: &mut Sources) -> Result<Arc<Prompt>, Vec<Diagnostic>> {
        let path = cx.path(self.prompt);
        let prompt = Prompt::load(&path, cx.prompt_dirs, sources).map_err(|faults| {
            let here = |fault: Diagnostic| match fault.primary {
                None => fault.at(self.prompt.span, ""),
                Some(_) => fault,
            };
            faults.into_iter().map(here).collect::<Vec<_>>()
        })?;
        let prompt = Arc::new(prompt);
        Ok(self.loaded.get_or_init(|| prompt.clone()).clone())
    }

    /// The prompt, for those who cannot show places in it.
    fn prompt(&self, cx: &Build<'_>) -> Result<Arc<Prompt>, Diagnostic> {
        if let Some(prompt) = self.loaded.get() {
            return Ok(prompt.clone());
        }
        let mut sources = Sources::default();
        self.load(cx, &mut sources).map_err(|faults| {
            let what = faults.first().map(|fault| {
                let place = fault.primary.as_ref().map(|(span, _)| *span);
                match place.filter(|span| *span != self.prompt.span) {
                    Some(span) => {
                        let (line, column) = sources.line_column(span);
                        let path = sources.path(span.file).display();
                        format!("{path}:{line}:{column}: {}", fault.message)
                    }
                    None => fault.message.clone(),
                }
            });
            Diagnostic::error(what.unwrap_or_default()).at(self.prompt.span, "")
        })
    }

    fn unknown_model<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Diagnostic {
        Diagnostic::error(format!("no model `{}`", self.model.value))
            .at(self.model.span, "")
            .suggest(self.model, names)
    }

    /// What decides the answers besides the verb's settings.
    pub fn traces<T: Serialize>(&self, settings: &T, cx: &Build<'_>) -> Traces {
        let mut traces = Traces::of_settings(settings, cx);
        traces.models.push(self.model.value.clone());
        // A prompt that cannot be read is a fault of the check's.
        if let Ok(prompt) = self.prompt(cx) {
            traces.prompts.clone_from(&prompt.files);
            for (name, _) in prompt.names() {
                traces.read_name(name, cx);
            }
        }
        traces
    }

    /// Checks the model, the prompt, which may read `fields` and names in `extra`, and how
    /// the model samples.
    pub fn check(&self, cx: &mut Check<'_>, fields: &FieldSet, extra: &[&str]) {
        if !cx.models.contains(self.model) {
            let fault = self.unknown_model(cx.models.iter().map(String::as_str));
            cx.fault(fault);
        }
        match self.load(&cx.build, cx.sources) {
            Ok(prompt) => {
                for (name, span) in prompt.names() {
                    cx.names(vec![name.clone()], *span, fields, extra);
                }
            }
            Err(faults) => faults.into_iter().for_each(|fault| cx.fault(fault)),
        }
        if let Some(sampling) = self.sampling {
            for (_, message) in sampling.faults() {
                cx.fault(Diagnostic::error(message).at(sampling.span, ""));
            }
        }
    }

    /// Gets ready to ask. `extra` are names that the prompt sees besides the record's fields.
    ///
    /// # Errors
    /// There is no such model, or the prompt cannot be read.
    pub fn asker(
        &self,
        cx: &Build<'_>,
        extra: Vec<(&'static str, Value)>,
    ) -> Result<Asker, Diagnostic> {
        let known = cx.models.get(&self.model.value);
        let model =
            known.ok_or_else(|| self.unknown_model(cx.models.keys().map(String::as_str)))?;
        let model = match self.sampling {
            Some(sampling) => Arc::new(model.with_sampling(sampling)),
            None => model.clone(),
        };
        Ok(Asker {
            model,
            prompt: self.prompt(cx)?,
            extra,
            shared: cx.shared.clone(),
        })
    }
}

/// Asks about records.
pub struct Asker {
    model: Arc<ModelSpec>,
    prompt: Arc<Prompt>,
    extra: Vec<(&'static str, Value)>,
    shared: Arc<Shared>,
}

/// What a model answered.
pub struct Answer {
    /// The whole text, with its beginning if the prompt gave one.
    pub text: String,
    /// What is said of it if nothing came that can be seen.
    pub empty: Option<String>,
}

impl Asker {
    /// The record's fields with those names that come on top.
    pub fn fields(&self, record: &Record) -> Fields {
        let mut fields = record.fields.clone();
        for (name, value) in &self.extra {
            fields.set(*name, value.clone());
        }
        fields
    }

    fn scope(&self, record: &Record) -> Scope {
        Scope {
            fields: self.fields(record),
            shared: self.shared.clone(),
        }
    }

    /// The request for a record.
    ///
    /// # Errors
    /// [`Fault::Record`] when the prompt cannot be rendered.
    pub fn request(&self, record: &Record) -> Result<Request, Fault> {
        let chat = self.prompt.render(&self.scope(record));
        Ok(Request {
            model: self.model.clone(),
            chat: chat.map_err(Fault::Record)?,
        })
    }

    /// The answer among the replies to one request.
    ///
    /// # Errors
    /// [`Fault::Record`] when there is no reply, or its beginning cannot be rendered.
    pub fn answer(&self, record: &Record, replies: Vec<Reply>) -> Result<Answer, Fault> {
        let Some(reply) = replies.into_iter().next() else {
            return Err(Fault::Record("there is no reply".to_owned()));
        };
        let nothing = reply.text.chars().all(is_space);
        let mut text = self
            .prompt
            .prefill(&self.scope(record))
            .map_err(Fault::Record)?;
        text.push_str(&reply.text);
        Ok(Answer {
            text,
            empty: nothing.then(|| empty(reply.finish_reason.as_deref())),
        })
    }
}

/// What is said of an empty answer. Only reasons that servers are known to give are told:
/// others could be any text.
fn empty(reason: Option<&str>) -> String {
    let known = ["stop", "length", "content_filter"];
    match reason.filter(|reason| known.contains(reason)) {
        Some(reason) => format!("the answer is empty (the model stopped because of `{reason}`)"),
        None => "the answer is empty".to_owned(),
    }
}
