//! Anthropic's messages API. Pure.
//!
//! The system prompt stands beside the turns, `max_tokens` must be said, and the token goes into
//! a header of its own. A prefill is the last turn; it must not end in white space, so that is
//! kept back and put before what the model goes on with.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::chat::{Chat, Reply, Role};
use super::error::CallError;
use super::spec::ModelSpec;
use super::structured;

/// The version of the API that is spoken.
const VERSION: &str = "2023-06-01";

/// The messages API.
pub struct Anthropic;

impl Api for Anthropic {
    fn path(&self) -> &'static str {
        "messages"
    }

    fn headers(&self, token: Option<&str>) -> Vec<(&'static str, String)> {
        let key = token.map(|token| ("x-api-key", token.to_owned()));
        let version = ("anthropic-version", VERSION.to_owned());
        key.into_iter().chain([version]).collect()
    }

    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value {
        let (mut system, mut messages) = (Vec::new(), Vec::new());
        for turn in chat.turns_for(model.system).iter() {
            match turn.role {
                Role::System => system.push(turn.text.clone()),
                role => messages.push(json!({"role": role, "content": turn.text})),
            }
        }
        let prefill = chat.prefill.trim_end();
        if !prefill.is_empty() {
            messages.push(json!({"role": Role::Assistant, "content": prefill}));
        }
        let sampling = &model.sampling;
        let system = Some(system.join("\n\n")).filter(|text| !text.is_empty());
        let settings = [
            ("model", Some(model.id.clone().into())),
            ("max_tokens", sampling.max_tokens.map(Value::from)),
            ("system", system.map(Value::from)),
            ("messages", Some(messages.into())),
            ("temperature", sampling.temperature.map(Value::from)),
            ("top_p", sampling.top_p.map(Value::from)),
            ("top_k", sampling.top_k.map(Value::from)),
            ("stop_sequences", sampling.stop.clone().map(Value::from)),
        ];
        let mut body = Map::new();
        for (name, value) in settings {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        }
        for (name, value) in &sampling.extra {
            body.insert(name.clone(), value.clone());
        }
        structured::put(model, chat, &mut body);
        Value::Object(body)
    }

    fn reply(&self, _: &ModelSpec, chat: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        let answer: Answer = serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
        let (mut text, mut thinking) = (String::new(), String::new());
        for block in answer.content.ok_or(CallError::NoChoice)? {
            match block {
                Block::Text { text: more } => text.push_str(&more),
                Block::Thinking { thinking: more } => thinking.push_str(&more),
                Block::Other => {}
            }
        }
        let kept_back = &chat.prefill[chat.prefill.trim_end().len()..];
        if let Some(rest) = text.strip_prefix(kept_back) {
            text = rest.to_owned();
        }
        let usage = answer.usage.unwrap_or_default();
        // What came from the server's own cache was part of the prompt all the same.
        let cached = [
            usage.cache_creation_input_tokens,
            usage.cache_read_input_tokens,
        ];
        let prompt = |fresh: u64| {
            cached
                .iter()
                .flatten()
                .fold(fresh, |n, more| n.saturating_add(*more))
        };
        Ok(Reply {
            text,
            thinking: Some(thinking).filter(|text| !text.is_empty()),
            finish_reason: answer.stop_reason.map(reason),
            prompt_tokens: usage.input_tokens.map(prompt),
            answer_tokens: usage.output_tokens,
            model: answer.model,
            token_bytes: None,
        })
    }

    fn refusal(&self, model: &ModelSpec) -> Option<String> {
        let sampling = &model.sampling;
        if sampling.max_tokens.is_none() {
            Some("`api: anthropic` needs `max_tokens` under `sampling`".to_owned())
        } else if sampling.seed.is_some() {
            Some("`api: anthropic` has no `seed`".to_owned())
        } else if sampling.temperature.is_some_and(|t| t > 1.0) {
            Some("`api: anthropic` takes no `temperature` above 1".to_owned())
        } else if sampling.top_k.is_some_and(|k| k < 1) {
            Some("`api: anthropic` takes no `top_k` below 1".to_owned())
        } else {
            None
        }
    }
}

/// Why the model stopped, in the words of the other APIs where they have one.
fn reason(word: String) -> String {
    match word.as_str() {
        "end_turn" | "stop_sequence" => "stop".to_owned(),
        "max_tokens" | "model_context_window_exceeded" => "length".to_owned(),
        "refusal" => "content_filter".to_owned(),
        _ => word,
    }
}

#[derive(Deserialize)]
struct Answer {
    content: Option<Vec<Block>>,
    stop_reason: Option<String>,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: String,
    },
    Thinking {
        thinking: String,
    },
    #[serde(other)]
    Other,
}

#[derive(Default, Deserialize)]
struct Usage {
    input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chat::Turn;
    use crate::model::spec::SystemPrompt;

    fn chat(prefill: &str) -> Chat {
        let turn = |role, text: &str| Turn {
            role,
            text: text.to_owned(),
        };
        Chat {
            turns: vec![turn(Role::System, "Be brief."), turn(Role::User, "Why?")],
            prefill: prefill.to_owned(),
            text: None,
            schema: None,
        }
    }

    fn model() -> ModelSpec {
        let mut model = ModelSpec::new("w", "claude");
        model.sampling.max_tokens = Some(5);
        model
    }

    fn read(bytes: &str, prefill: &str) -> Result<Reply, CallError> {
        Anthropic.reply(&model(), &chat(prefill), bytes.as_bytes())
    }

    #[test]
    fn a_body_as_it_is_sent() {
        let mut model = model();
        model.sampling.temperature = Some(0.0);
        model.sampling.top_k = Some(3);
        model.sampling.stop = Some(vec!["END".to_owned()]);
        let thinking = json!({"type": "enabled", "budget_tokens": 2000});
        model.sampling.extra.insert("thinking".to_owned(), thinking);
        assert_eq!(
            Anthropic.body(&model, &chat("")).to_string(),
            r#"{"model":"claude","max_tokens":5,"system":"Be brief.","messages":[{"role":"user","content":"Why?"}],"temperature":0.0,"top_k":3,"stop_sequences":["END"],"thinking":{"type":"enabled","budget_tokens":2000}}"#
        );
        model = self::model();
        model.system = SystemPrompt::Merge;
        assert_eq!(
            Anthropic.body(&model, &chat(" \n")).to_string(),
            r#"{"model":"claude","max_tokens":5,"messages":[{"role":"user","content":"Be brief.\n\nWhy?"}]}"#
        );
    }

    #[test]
    fn white_space_at_the_end_of_a_prefill_is_kept_back_and_put_back() {
        let body = Anthropic.body(&model(), &chat("List:\n- "));
        assert_eq!(
            body["messages"][1],
            json!({"role": "assistant", "content": "List:\n-"})
        );
        let text = |text: &str| {
            let answer = json!({"content": [{"type": "text", "text": text}]});
            read(&answer.to_string(), "List:\n- ").unwrap().text
        };
        // Either way, the prefill and the text together are `List:\n- one`.
        assert_eq!(text(" one"), "one");
        assert_eq!(text("one"), "one");
        assert_eq!(text("  one"), " one");
    }

    #[test]
    fn the_token_has_a_header_of_its_own() {
        assert_eq!(
            Anthropic.headers(Some("t")),
            [
                ("x-api-key", "t".to_owned()),
                ("anthropic-version", VERSION.to_owned())
            ]
        );
        assert_eq!(Anthropic.headers(None).len(), 1);
    }

    #[test]
    fn an_answer_is_read() {
        let reply = read(
            r#"{"id":"x","type":"message","role":"assistant","model":"claude-1","content":[{"type":"thinking","thinking":"Well.","signature":"s"},{"type":"redacted_thinking","data":"d"},{"type":"text","text":"So "},{"type":"text","text":"it is."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":7,"cache_read_input_tokens":10,"output_tokens":2}}"#,
            "",
        )
        .unwrap();
        assert_eq!(reply.text, "So it is.");
        assert_eq!(reply.thinking.as_deref(), Some("Well."));
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            (reply.prompt_tokens, reply.answer_tokens),
            (Some(17), Some(2))
        );
        assert_eq!(reply.model.as_deref(), Some("claude-1"));
        let cut = read(r#"{"content":[],"stop_reason":"max_tokens"}"#, "").unwrap();
        assert_eq!((cut.text.as_str(), cut.thinking), ("", None));
        assert_eq!(cut.finish_reason.as_deref(), Some("length"));
    }

    #[test]
    fn broken_answers_are_told_apart() {
        for broken in ["{\"content\": [{", "<html>", "[1]", r#"{"content":[{}]}"#] {
            assert_eq!(read(broken, ""), Err(CallError::BadJson), "{broken}");
        }
        assert_eq!(read("{}", ""), Err(CallError::NoChoice));
        assert_eq!(
            read(r#"{"type":"error","error":{}}"#, ""),
            Err(CallError::NoChoice)
        );
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let refusal = |change: fn(&mut ModelSpec)| {
            let mut model = model();
            change(&mut model);
            Anthropic.refusal(&model).is_some()
        };
        assert!(!refusal(|_| {}));
        assert!(refusal(|m| m.sampling.max_tokens = None));
        assert!(refusal(|m| m.sampling.seed = Some(1)));
        assert!(refusal(|m| m.sampling.temperature = Some(1.5)));
        assert!(refusal(|m| m.sampling.top_k = Some(-1)));
    }
}
