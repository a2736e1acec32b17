//! Plain text completions, for base models: the chat is written out as one text, without any
//! chat template. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::api::Api;
use super::chat::{Chat, Reply};
use super::error::CallError;
use super::openai::{Answer, Told};
use super::spec::ModelSpec;
use super::structured;

/// The text completions API.
pub struct Completions;

impl Api for Completions {
    fn path(&self) -> &'static str {
        "completions"
    }

    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value {
        let mut body = Map::new();
        body.insert("model".to_owned(), model.id.clone().into());
        body.insert("prompt".to_owned(), prompt(chat).into());
        model.sampling.write(&mut body);
        structured::put(model, chat, &mut body);
        Value::Object(body)
    }

    fn reply(&self, _: &ModelSpec, _: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        let answer: Answer<Choice> =
            serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
        answer.reply(|choice| {
            Some(Told {
                text: choice.text?,
                thinking: None,
                finish_reason: choice.finish_reason,
            })
        })
    }
}

#[derive(Deserialize)]
struct Choice {
    text: Option<String>,
    finish_reason: Option<String>,
}

/// The turns, joined by blank lines; the prefill counts as the last turn.
pub(super) fn prompt(chat: &Chat) -> String {
    if let Some(text) = &chat.text {
        return text.clone();
    }
    let mut parts: Vec<&str> = chat.turns.iter().map(|turn| turn.text.as_str()).collect();
    if !chat.prefill.is_empty() {
        parts.push(&chat.prefill);
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chat::{Role, Turn};

    #[test]
    fn turns_become_one_text() {
        let turn = |role, text: &str| Turn {
            role,
            text: text.to_owned(),
        };
        let mut chat = Chat {
            turns: vec![turn(Role::System, "List."), turn(Role::User, "Letter")],
            prefill: "Statements:\n- ".to_owned(),
            text: None,
            schema: None,
        };
        let mut model = ModelSpec::new("w", "gemma");
        model.sampling.stop = Some(vec!["\n".to_owned()]);
        assert_eq!(
            Completions.body(&model, &chat).to_string(),
            r#"{"model":"gemma","prompt":"List.\n\nLetter\n\nStatements:\n- ","stop":["\n"]}"#
        );
        chat.prefill.clear();
        assert_eq!(prompt(&chat), "List.\n\nLetter");
    }

    #[test]
    fn an_answer_is_read() {
        let read = |bytes: &[u8]| {
            let model = ModelSpec::new("w", "gemma");
            Completions.reply(&model, &Chat::default(), bytes)
        };
        let reply = read(br#"{"choices":[{"text":" fine","finish_reason":"length"}],"usage":{"prompt_tokens":3}}"#)
        .unwrap();
        assert_eq!(reply.text, " fine");
        assert_eq!(reply.finish_reason.as_deref(), Some("length"));
        assert_eq!((reply.prompt_tokens, reply.answer_tokens), (Some(3), None));
        assert_eq!(
            read(br#"{"choices":[{"message":{"content":"x"}}]}"#),
            Err(CallError::NoChoice)
        );
    }
}
