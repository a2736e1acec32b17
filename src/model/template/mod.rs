//! Chat templates as Hugging Face's models carry them: a chat becomes the one text that the
//! model was trained to go on from, for APIs that take a text. Rendered as `apply_chat_template`
//! of transformers does, without tools. Pure once it is loaded.
//!
//! Owns what a template sees and how its failures are told; knows no API. Messages of failures
//! never hold a turn's text.

mod date;
mod json;
mod load;
mod python;
pub mod setting;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use minijinja::{Environment, Error, Value};

use super::chat::{Chat, Role, Turn};
use super::spec::SystemPrompt;
use crate::hash::Hash;
use crate::jinja::deep;
use crate::jinja::expr::describe;
use crate::text::{is_space, strip};

/// The name of the only template of an environment.
const NAME: &str = "chat";

/// Marks where the beginning of an answer ends. With these very letters transformers does the
/// same, and so a template does the same with it; the space shows whether texts are trimmed.
const END: &str = "CONTINUE_FINAL_MESSAGE_TAG ";

/// A template that is ready to use.
pub struct Template {
    env: Environment<'static>,
    source: String,
    /// What it sees besides the chat: special tokens, and what the setting gives.
    names: Vec<(String, Value)>,
    /// What a text must not begin with, since the server puts it there.
    without: Option<String>,
    hash: Hash,
    /// The files that it was read from.
    files: Vec<PathBuf>,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({})", self.hash.short())
    }
}

/// Templates are equal when they make the same text of every chat.
impl PartialEq for Template {
    fn eq(&self, other: &Template) -> bool {
        self.hash == other.hash
    }
}

impl Template {
    /// The files that it was read from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Names all that decides what it makes of a chat.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The text of a chat, up to where the model goes on. A beginning of the answer is a last
    /// turn that is left open, with what the template puts before it: transformers'
    /// `continue_final_message`.
    ///
    /// # Errors
    /// Why the template makes no text of it, in one line without any text of the chat.
    pub fn text(&self, chat: &Chat, system: SystemPrompt) -> Result<String, String> {
        let _busy = crate::jinja::watch::busy(&"the chat template".into());
        let mut turns = chat.turns_for(system).into_owned();
        let open = !chat.prefill.is_empty();
        if open {
            turns.push(Turn {
                role: Role::Assistant,
                text: format!("{}{END}", chat.prefill),
            });
        }
        let mut text = self.render(&turns, !open)?;
        if open {
            let end = text
                .rfind(END.trim_end())
                .filter(|_| text.contains(strip(&chat.prefill)))
                .ok_or("the chat template does not render the beginning of the answer as it is")?;
            let trimmed = !text[end..].starts_with(END);
            text.truncate(end);
            if trimmed {
                text.truncate(text.trim_end_matches(is_space).len());
            }
        }
        if let Some(bos) = &self.without
            && text.starts_with(bos.as_str())
        {
            text.drain(..bos.len());
        }
        Ok(text)
    }

    fn render(&self, turns: &[Turn], open_turn: bool) -> Result<String, String> {
        let messages: Vec<Value> = turns
            .iter()
            .map(|turn| {
                let role = Value::from(name(turn.role));
                Value::from_pairs([("role", role), ("content", turn.text.as_str().into())])
            })
            .collect();
        let own = [
            ("messages", Value::from(messages)),
            ("tools", ().into()),
            ("documents", ().into()),
            ("add_generation_prompt", open_turn.into()),
        ];
        let given = self.names.iter().map(|(n, v)| (n.as_str(), v.clone()));
        let names = Value::from_pairs(own.into_iter().chain(given));
        let render = || {
            let template = self.env.get_template(NAME);
            template
                .and_then(|template| template.render(names))
                .map_err(|error| self.explain(&error))
        };
        if deep::may_nest(&self.source) {
            deep::on_large_stack(render)?
        } else {
            render()
        }
    }

    /// One line on what went wrong. The template's own words are told if they stand in it as
    /// they are: otherwise a turn's text may be among them.
    fn explain(&self, error: &Error) -> String {
        let line = |error: &Error| match error.line() {
            Some(line) => format!(" (line {line})"),
            None => String::new(),
        };
        let mut next = Some(error);
        while let Some(error) = next {
            let source = std::error::Error::source(error);
            if let Some(python::Raised(words)) = source.and_then(|s| s.downcast_ref()) {
                let place = line(error);
                return if !words.is_empty() && self.source.contains(words.as_str()) {
                    format!("the chat template refuses the chat{place}: {words}")
                } else {
                    format!("the chat template refuses the chat{place}")
                };
            }
            match source.and_then(|source| source.downcast_ref::<Error>()) {
                Some(inner) => next = Some(inner),
                None => {
                    return format!(
                        "the chat template{} fails: {}",
                        line(error),
                        describe(error)
                    );
                }
            }
        }
        "the chat template fails".to_owned()
    }
}

/// What templates call the one who speaks.
fn name(role: Role) -> &'static str {
    match role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
    }
}
