//! What verbs share that ask a model about each record: the model, the prompt, and how fields
//! become a request and a reply becomes text. Knows nothing of what is made of it.

use std::sync::Arc;

use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use super::contract::{Build, Check, Fault, FieldSet};
use super::prompted::PromptFile;
use super::structured::schema::Schema;
use super::structured::{SCHEMA, SchemaSetting, Structure, repair};
use super::traces::Traces;
use crate::diag::{Diagnostic, Span};
use crate::jinja::expr::{Scope, Shared};
use crate::model::chat::{Chat, Question, Reply, Request};
use crate::model::spec::{ModelSpec, Sampling};
use crate::prompt::Prompt;
use crate::record::Fields;
use crate::spec::decode::Src;
use crate::text::is_space;

/// What is said of a model that the pipeline does not have.
pub fn unknown_model<'a>(
    name: &str,
    span: Span,
    names: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    Diagnostic::error(format!("no model `{name}`"))
        .at(span, "")
        .suggest(name, names)
}

/// What is asked of whom, as a verb's settings say it.
pub struct Asking<'a> {
    /// The model, by its name under `models:`.
    pub model: &'a Src<String>,
    /// The prompt.
    pub prompt: &'a PromptFile,
    /// How the model samples here.
    pub sampling: Option<&'a Src<Sampling>>,
    /// What its answers look like.
    pub structure: Structure<'a>,
}

impl Asking<'_> {
    /// The model as it samples here.
    fn sampled(&self, model: &Arc<ModelSpec>) -> Arc<ModelSpec> {
        match self.sampling {
            Some(sampling) => Arc::new(model.with_sampling(sampling)),
            None => model.clone(),
        }
    }

    /// What decides the answers besides the verb's settings.
    pub fn traces<T: Serialize>(&self, settings: &T, cx: &Build<'_>) -> Traces {
        let mut traces = Traces::of_settings(settings, cx);
        traces.models.push(self.model.value.clone());
        self.prompt.trace(&mut traces, cx);
        traces
    }

    /// Checks the model, the prompt, which may read `fields` and names in `extra`, and how
    /// the model samples.
    pub fn check(&self, cx: &mut Check<'_>, fields: &FieldSet, extra: &[&str]) {
        if !cx.models.contains(self.model) {
            let names = cx.models.iter().map(String::as_str);
            let fault = unknown_model(self.model, self.model.span, names);
            cx.fault(fault);
        }
        let schema = self.structure.check(self.prompt, cx);
        let mut extra = extra.to_vec();
        if schema.is_some() {
            extra.push(SCHEMA);
        }
        self.prompt.check(fields, &extra, cx);
        if schema.is_some()
            && fields.names.iter().any(|name| name == SCHEMA)
            && self.prompt.reads(SCHEMA, cx)
        {
            let what = "the prompt's `schema` is the JSON Schema, not the field of that name";
            let span = self.structure.schema.map(SchemaSetting::span);
            let fault = Diagnostic::error(what).at(span.unwrap_or(self.model.span), "");
            cx.fault(fault.help("give the field another name before, with `rename`"));
        }
        if let Some(sampling) = self.sampling {
            for (_, message) in sampling.faults() {
                cx.fault(Diagnostic::error(message).at(sampling.span, ""));
            }
        }
        if let Some(model) = cx.build.models.get(&self.model.value) {
            let model = self.sampled(model);
            if let Some(schema) = &schema {
                self.structure
                    .check_model(schema, &model, self.model.span, cx);
            }
            if let Some(why) = model.api().api().refusal(&model) {
                let span = self
                    .sampling
                    .map_or(self.model.span, |sampling| sampling.span);
                let help = format!(
                    "change `sampling` here or in model `{}`; what is set here wins",
                    self.model.value
                );
                cx.fault(Diagnostic::error(why).at(span, "").help(help));
            }
        }
    }

    /// Gets ready to ask.
    ///
    /// # Errors
    /// There is no such model, or the prompt cannot be read.
    pub fn asker(&self, cx: &Build<'_>) -> Result<Asker, Diagnostic> {
        let known = cx.models.get(&self.model.value);
        let model = known.ok_or_else(|| {
            let names = cx.models.keys().map(String::as_str);
            unknown_model(self.model, self.model.span, names)
        })?;
        Ok(Asker {
            model: self.sampled(model),
            prompt: self.prompt.get(cx)?,
            shared: cx.shared.clone(),
            schema: self.structure.get(self.prompt, cx)?,
            repairs: self.structure.repairs(),
        })
    }
}

/// Asks about the fields of records, and whatever else the prompt is to see.
pub struct Asker {
    model: Arc<ModelSpec>,
    prompt: Arc<Prompt>,
    shared: Arc<Shared>,
    schema: Option<Arc<Schema>>,
    repairs: bool,
}

/// What a model answered.
pub struct Answer {
    /// The whole text, with its beginning if the prompt gave one.
    pub text: String,
    /// What is said of it if nothing came that can be seen.
    pub empty: Option<String>,
    /// What was asked.
    pub request: Request,
    /// What was asked before that and was answered amiss.
    pub before: Option<Request>,
    /// The reply that it was made of.
    pub reply: Reply,
}

impl Asker {
    fn scope(&self, fields: &Fields) -> Scope {
        Scope {
            fields: fields.clone(),
            shared: self.shared.clone(),
        }
    }

    /// The request.
    ///
    /// # Errors
    /// [`Fault::Record`] when the prompt cannot be rendered, or the model's chat template refuses
    /// it.
    pub fn request(&self, fields: &Fields) -> Result<Request, Fault> {
        let chat = match &self.schema {
            None => self.prompt.render(&self.scope(fields)),
            Some(schema) => {
                let mut fields = fields.clone();
                fields.set(SCHEMA, schema.shown());
                self.prompt.render(&self.scope(&fields))
            }
        };
        self.ask(chat.map_err(Fault::Record)?)
    }

    fn ask(&self, mut chat: Chat) -> Result<Request, Fault> {
        chat.schema = self.schema.as_ref().map(|schema| schema.value());
        let chat = chat.for_model(&self.model);
        Ok(Request {
            model: self.model.clone(),
            question: Question::Chat(chat.map_err(Fault::Record)?),
        })
    }

    /// True if answers are JSON.
    pub fn is_structured(&self) -> bool {
        self.schema.is_some()
    }

    /// What an answer says: its text, or the JSON in it that fits the schema.
    ///
    /// # Errors
    /// [`Fault::Answer`] when there is none.
    pub fn read(&self, answer: &Answer) -> Result<Value, Fault> {
        let Some(schema) = &self.schema else {
            return Ok(Value::from(answer.text.as_str()));
        };
        let read = schema.read(answer.prefill(), &answer.reply.text);
        let json = read.map_err(|wrong| Fault::Answer(wrong.told(&answer.reply)))?;
        Ok(Value::from(Serde(&json)))
    }

    /// The request to put an answer right that does not fit the schema, if that is wanted.
    ///
    /// # Errors
    /// As [`Asker::request`].
    pub fn again(&self, answered: &[(Request, Reply)]) -> Result<Vec<Request>, Fault> {
        let (Some(schema), [(request, reply)]) = (&self.schema, answered) else {
            return Ok(Vec::new());
        };
        let Some(chat) = request.chat().filter(|_| self.repairs) else {
            return Ok(Vec::new());
        };
        match repair::chat(schema, chat, &reply.text) {
            Some(chat) => Ok(vec![self.ask(chat)?]),
            None => Ok(Vec::new()),
        }
    }
}

impl Answer {
    /// Its beginning, if the prompt gave one.
    fn prefill(&self) -> &str {
        self.request.chat().map_or("", |chat| chat.prefill.as_str())
    }

    /// The answer to the last request that was made.
    ///
    /// # Errors
    /// [`Fault::Record`] when there is no reply.
    pub fn of(answered: Vec<(Request, Reply)>) -> Result<Answer, Fault> {
        let mut answered = answered.into_iter();
        let (Some((request, reply)), next) = (answered.next(), answered.next_back()) else {
            return Err(Fault::Record("there is no reply".to_owned()));
        };
        let (request, before, reply) = match next {
            Some((last, reply)) => (last, Some(request), reply),
            None => (request, None, reply),
        };
        let prefill = request.chat().map_or("", |chat| chat.prefill.as_str());
        let nothing = reply.text.chars().all(is_space);
        Ok(Answer {
            text: format!("{prefill}{}", reply.text),
            empty: nothing.then(|| empty(&reply)),
            request,
            before,
            reply,
        })
    }
}

/// What is said of an empty answer. Only reasons that servers are known to give are told:
/// others could be any text.
fn empty(reply: &Reply) -> String {
    let known = ["stop", "length", "content_filter"];
    let reason = reply.finish_reason.as_deref();
    let what = match &reply.thinking {
        Some(_) => "there is thinking, but no answer",
        None => "the answer is empty",
    };
    match reason.filter(|reason| known.contains(reason)) {
        Some(reason) => format!("{what} (the model stopped because of `{reason}`)"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_answer_says_why_without_a_servers_own_words() {
        let told = |reason: Option<&str>, thinking: Option<&str>| {
            empty(&Reply {
                finish_reason: reason.map(str::to_owned),
                thinking: thinking.map(str::to_owned),
                ..Reply::default()
            })
        };
        assert_eq!(told(Some("Mr Smith"), None), "the answer is empty");
        assert_eq!(
            told(Some("length"), Some("Mr Smith")),
            "there is thinking, but no answer (the model stopped because of `length`)"
        );
    }
}
