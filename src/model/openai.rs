//! Chat completions as OpenAI, vLLM, llama.cpp and many others speak them. Pure.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::chat::{Chat, Reply, Role, Turn};
use super::error::CallError;
use super::spec::ModelSpec;
use super::structured;

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
        structured::put(model, chat, &mut body);
        Value::Object(body)
    }

    fn reply(&self, _: &ModelSpec, chat: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        let answer: Answer<ChatChoice> =
            serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
        let mut reply = answer.reply(|choice| {
            let message = choice.message?;
            let thinking = [message.reasoning_content, message.reasoning];
            Some(Told {
                text: message.content.unwrap_or_default(),
                thinking: thinking.iter().flatten().find_map(text),
                finish_reason: choice.finish_reason,
            })
        })?;
        // llama.cpp, which alone tells its timings, repeats the beginning; vLLM does not.
        if !chat.prefill.is_empty()
            && reply.text.starts_with(&chat.prefill)
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
    /// Thinking, as llama.cpp, SGLang and older vLLM call it.
    reasoning_content: Option<Value>,
    /// The same, as newer vLLM and OpenRouter call it.
    reasoning: Option<Value>,
}

/// The text in a value, if it is one that says something.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| !text.is_empty());
    text.map(str::to_owned)
}

/// What a choice tells.
pub(super) struct Told {
    pub text: String,
    pub thinking: Option<String>,
    pub finish_reason: Option<String>,
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
    /// The reply, made of what `take` finds in the first choice.
    pub(super) fn reply(self, take: impl FnOnce(C) -> Option<Told>) -> Result<Reply, CallError> {
        let told = self
            .choices
            .into_iter()
            .next()
            .and_then(take)
            .ok_or(CallError::NoChoice)?;
        let usage = self.usage.as_ref();
        Ok(Reply {
            text: told.text,
            thinking: told.thinking,
            finish_reason: told.finish_reason,
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
            text: None,
            schema: None,
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

    fn read(bytes: &[u8]) -> Result<Reply, CallError> {
        OpenAi.reply(&ModelSpec::new("w", "llama"), &chat(""), bytes)
    }

    #[test]
    fn further_fields_reach_the_server() {
        let mut model = ModelSpec::new("w", "llama");
        let extra = [
            ("chat_template_kwargs", json!({"enable_thinking": false})),
            (
                "response_format",
                json!({"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}),
            ),
        ];
        for (name, value) in extra.clone() {
            model.sampling.extra.insert(name.to_owned(), value);
        }
        let body = OpenAi.body(&model, &chat(""));
        for (name, value) in extra {
            assert_eq!(body[name], value);
        }
    }

    #[test]
    fn thinking_is_told_apart_under_either_name() {
        for name in ["reasoning_content", "reasoning"] {
            let message = json!({"content": "So.", name: "Hm."});
            let answer = json!({"choices": [{"message": message}]});
            let reply = read(answer.to_string().as_bytes()).unwrap();
            assert_eq!(reply.text, "So.");
            assert_eq!(reply.thinking.as_deref(), Some("Hm."));
        }
        let none = br#"{"choices":[{"message":{"content":"So.","reasoning_content":""}}]}"#;
        assert_eq!(read(none).unwrap().thinking, None);
        let unlike = br#"{"choices":[{"message":{"content":"So.","reasoning":{"effort":1}}}]}"#;
        assert_eq!(read(unlike).unwrap().text, "So.");
    }

    #[test]
    fn an_answer_is_read() {
        let reply = read(br#"{"id":"x","model":"llama-3","choices":[{"index":0,"message":{"role":"assistant","content":"So."},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#)
            .unwrap();
        assert_eq!(reply.text, "So.");
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            (reply.prompt_tokens, reply.answer_tokens),
            (Some(7), Some(2))
        );
        assert_eq!(reply.model.as_deref(), Some("llama-3"));
        let silent = read(br#"{"choices":[{"message":{"content":null}}]}"#);
        assert_eq!(silent.unwrap().text, "");
    }

    #[test]
    fn a_beginning_that_is_repeated_is_taken_off() {
        let text = |more: &str, prefill: &str| {
            let answer = format!(r#"{{"choices":[{{"message":{{"content":"- - a"}}}}]{more}}}"#);
            let model = ModelSpec::new("a", "m");
            let reply = OpenAi.reply(&model, &chat(prefill), answer.as_bytes());
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
        assert_eq!(read(b"{\"choices\": [{"), Err(CallError::BadJson));
        assert_eq!(read(b"<html>"), Err(CallError::BadJson));
        assert_eq!(read(b"[1]"), Err(CallError::BadJson));
        assert_eq!(read(b"{\"choices\": []}"), Err(CallError::NoChoice));
        assert_eq!(read(b"{\"error\": \"x\"}"), Err(CallError::NoChoice));
        assert_eq!(read(b"{\"choices\": [{}]}"), Err(CallError::NoChoice));
    }
}
