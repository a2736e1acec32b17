//! Questions and replies as plain data. Knows nothing of any API.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::spec::{ModelSpec, SystemPrompt};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sets the task.
    System,
    /// Asks.
    User,
    /// The model.
    Assistant,
}

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// A chat that a model is to continue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chat {
    /// The turns so far.
    pub turns: Vec<Turn>,
    /// The beginning of the answer, which the model goes on from; empty for none.
    pub prefill: String,
    /// All of it as the model's chat template writes it, for APIs that take a text. What it is
    /// made of names the chat.
    #[serde(skip)]
    pub text: Option<String>,
    /// The JSON Schema that the answer is to fit, for servers that can be told. It is no part of
    /// the chat, but of the call.
    #[serde(skip)]
    pub schema: Option<Arc<Value>>,
}

/// A question to a model.
#[derive(Clone, Debug)]
pub struct Request {
    /// The model, with the sampling of the stage that asks.
    pub model: Arc<ModelSpec>,
    /// What it is asked.
    pub question: Question,
}

impl Request {
    /// The chat that the model is to go on with, if it is asked that.
    pub fn chat(&self) -> Option<&Chat> {
        match &self.question {
            Question::Chat(chat) => Some(chat),
            Question::Tokens(_) => None,
        }
    }
}

/// What a model, or its server, is asked.
#[derive(Clone, Debug)]
pub enum Question {
    /// To go on with a chat.
    Chat(Chat),
    /// How its tokenizer cuts this text, without any marks for its start and end.
    Tokens(Arc<str>),
}

/// A model's reply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The generated text, without the prefill.
    pub text: String,
    /// What the model thought aloud before its answer, told from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thinking: Option<String>,
    /// Why the model stopped: `stop`, `length`, or another word of the server's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Tokens of the prompt, as the server counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, as the server counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer_tokens: Option<u64>,
    /// The model's name in the server's reply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Of a text that was to be cut into tokens: how many bytes of it each token has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_bytes: Option<Vec<u32>>,
}

impl Chat {
    /// The chat as it is sent to a model: one with a chat template gets the text that it makes
    /// of it.
    ///
    /// # Errors
    /// Why the template makes no text of it, in one line without any text of the chat.
    pub fn for_model(mut self, model: &ModelSpec) -> Result<Chat, String> {
        let Some(template) = &model.template else {
            return Ok(self);
        };
        let text = template.text(&self, model.system).map_err(|why| {
            let native = model.system == SystemPrompt::Native;
            let system = native && self.turns.iter().any(|turn| turn.role == Role::System);
            if system && why.to_lowercase().contains("system") {
                format!("{why}; `system: merge` puts the system prompt into the user's turn")
            } else {
                why
            }
        })?;
        self.text = Some(text);
        Ok(self)
    }

    /// About how many tokens it has, without what a template adds: four characters a token is
    /// usual for English text.
    pub fn tokens(&self) -> u64 {
        let turns = self.turns.iter().map(|turn| turn.text.chars().count());
        let characters = turns.sum::<usize>() + self.prefill.chars().count();
        characters.div_ceil(4) as u64
    }

    /// The turns as a model gets them. With [`SystemPrompt::Merge`], system turns are put
    /// before the text of the first user turn, or become one if there is none.
    pub fn turns_for(&self, system: SystemPrompt) -> Cow<'_, [Turn]> {
        if system == SystemPrompt::Native {
            return Cow::Borrowed(&self.turns);
        }
        let (systems, mut turns): (Vec<Turn>, Vec<Turn>) = self
            .turns
            .iter()
            .cloned()
            .partition(|turn| turn.role == Role::System);
        if systems.is_empty() {
            return turns.into();
        }
        let mut parts: Vec<String> = systems.into_iter().map(|turn| turn.text).collect();
        let first = turns.iter_mut().find(|turn| turn.role == Role::User);
        match first {
            Some(turn) => {
                parts.push(std::mem::take(&mut turn.text));
                turn.text = parts.join("\n\n");
            }
            None => turns.insert(
                0,
                Turn {
                    role: Role::User,
                    text: parts.join("\n\n"),
                },
            ),
        }
        turns.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cache holds replies of all versions.
    #[test]
    fn replies_of_older_versions_are_read_and_written_as_they_were() {
        for old in [
            r#"{"text":"a"}"#,
            r#"{"text":"a","finish_reason":"stop","prompt_tokens":1,"answer_tokens":2,"model":"m"}"#,
            r#"{"text":"","token_bytes":[1,2]}"#,
        ] {
            let reply: Reply = serde_json::from_str(old).unwrap();
            assert_eq!(reply.thinking, None);
            assert_eq!(serde_json::to_string(&reply).unwrap(), old);
        }
    }
}
