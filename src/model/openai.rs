//! Chat completions as OpenAI, vLLM, llama.cpp and many others speak them. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::chat::{Chat, Reply, Role, Turn};
use super::error::CallError;
use super::spec::ModelSpec;

/// The chat completions API.
pub struct OpenAi;

impl Api for OpenAi {
    fn path(&self) -> &'static str {
        "chat/completions"
    }

    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value {
        let mut messages: Vec<Value> = chat
            .turns_for(model.system)
            .iter()
            .map(|Turn { role, text }| json!({"role": role, "content": text}))
            .collect();
        let mut body = Map::new();
        body.insert("model".to_owned(), model.id.clone().into());
        if !chat.prefill.is_empty() {
            messages.push(json!({"role": Role::Assistant, "content": chat.prefill}));
            // vLLM must be told to go on from the last turn; llama.cpp does so by itself.
            body.insert("continue_final_message".to_owned(), true.into());
            body.insert("add_generation_prompt".to_owned(), false.into());
        }
        body.insert("messages".to_owned(), messages.into());
        model.sampling.write(&mut body);
        Value::Object(body)
    }

    fn reply(&self, bytes: &[u8]) -> Result<Reply, CallError> {
        let answer: Answer<ChatChoice> =
            serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
        answer.reply(|choice| {
            let text = choice.message?.content.unwrap_or_default();
            Some((text, choice.finish_reason))
        })
    }

    fn answer(&self, chat: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        let mut reply = self.reply(bytes)?;
        // llama.cpp, which alone tells its timings, repeats the beginning; vLLM does not.
        if reply.text.starts_with(&chat.prefill)
            && serde_json::from_slice::<LlamaCpp>(bytes).is_ok()
        {
            reply.text.drain(..chat.prefill.len());
        }
        Ok(reply)
    }
}

/// What only llama.cpp answers.
#[derive(Deserialize)]
struct LlamaCpp {
    #[serde(rename = "timings")]
    _timings: IgnoredAny,
}

#[derive(Deserialize)]
struct ChatChoice {
    message: Option<Message>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    content: Option<String>,
}

/// An answer of either API, but for what a choice looks like.
#[derive(Deserialize)]
pub(super) struct Answer<C> {
    #[serde(default = "Vec::new")]
    choices: Vec<C>,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

impl<C> Answer<C> {
    /// The reply, with text and reason to stop taken from the first choice by `take`.
    pub(super) fn reply(
        self,
        take: impl FnOnce(C) -> Option<(String, Option<String>)>,
    ) -> Result<Reply, CallError> {
        let (text, finish_reason) = self
            .choices
            .into_iter()
            .next()
            .and_then(take)
            .ok_or(CallError::NoChoice)?;
        let usage = self.usage.as_ref();
        Ok(Reply {
            text,
            finish_reason,
            prompt_tokens: usage.and_then(|u| u.prompt_tokens),
            answer_tokens: usage.and_then(|u| u.completion_tokens),
            model: self.model,
            token_bytes: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::SystemPrompt;

    fn turn(role: Role, text: &str) -> Turn {
        Turn {
            role,
            text: text.to_owned(),
        }
    }

    fn chat(prefill: &str) -> Chat {
        Chat {
            turns: vec![turn(Role::System, "Be brief."), turn(Role::User, "Why?")],
            prefill: prefill.to_owned(),
        }
    }

    #[test]
    fn a_body_as_it_is_sent() {
        let mut model = ModelSpec::new("w", "llama");
        model.sampling.temperature = Some(0.0);
        model.sampling.max_tokens = Some(5);
        model.sampling.extra.insert("min_p".to_owned(), json!(0.1));
        assert_eq!(
            OpenAi.body(&model, &chat("")).to_string(),
            r#"{"model":"llama","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Why?"}],"temperature":0.0,"max_tokens":5,"min_p":0.1}"#
        );
    }

    #[test]
    fn a_prefill_is_the_last_turn_and_is_gone_on_from() {
        let mut model = ModelSpec::new("w", "llama");
        model.system = SystemPrompt::Merge;
        assert_eq!(
            OpenAi.body(&model, &chat("Because ")).to_string(),
            r#"{"model":"llama","continue_final_message":true,"add_generation_prompt":false,"messages":[{"role":"user","content":"Be brief.\n\nWhy?"},{"role":"assistant","content":"Because "}]}"#
        );
    }

    #[test]
    fn an_answer_is_read() {
        let reply = OpenAi
            .reply(br#"{"id":"x","model":"llama-3","choices":[{"index":0,"message":{"role":"assistant","content":"So."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#)
            .unwrap();
        assert_eq!(reply.text, "So.");
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            (reply.prompt_tokens, reply.answer_tokens),
            (Some(7), Some(2))
        );
        assert_eq!(reply.model.as_deref(), Some("llama-3"));
        let silent = OpenAi.reply(br#"{"choices":[{"message":{"content":null}}]}"#);
        assert_eq!(silent.unwrap().text, "");
    }

    #[test]
    fn a_beginning_that_is_repeated_is_taken_off() {
        let text = |more: &str, prefill: &str| {
            let answer = format!(r#"{{"choices":[{{"message":{{"content":"- - a"}}}}]{more}}}"#);
            let reply = OpenAi.answer(&chat(prefill), answer.as_bytes());
            reply.unwrap().text
        };
        let llama_cpp = r#","timings":{"prompt_n":30}"#;
        assert_eq!(text(llama_cpp, "- "), "- a");
        assert_eq!(text(llama_cpp, ""), "- - a");
        assert_eq!(text(llama_cpp, "* "), "- - a");
        assert_eq!(text("", "- "), "- - a");
    }

    #[test]
    fn broken_answers_are_told_apart() {
        assert_eq!(OpenAi.reply(b"{\"choices\": [{"), Err(CallError::BadJson));
        assert_eq!(OpenAi.reply(b"<html>"), Err(CallError::BadJson));
        assert_eq!(OpenAi.reply(b"[1]"), Err(CallError::BadJson));
        assert_eq!(OpenAi.reply(b"{\"choices\": []}"), Err(CallError::NoChoice));
        assert_eq!(
            OpenAi.reply(b"{\"error\": \"x\"}"),
            Err(CallError::NoChoice)
        );
        assert_eq!(
            OpenAi.reply(b"{\"choices\": [{}]}"),
            Err(CallError::NoChoice)
        );
    }
}
