//! Calls as Inspect has them: messages, outputs, and what was used. Pure.

use serde_json::{Map, Value as Json, json};

use crate::replay::cassette::Entry;
use crate::report::page::calls::turns;

/// The messages of a call, as they were sent.
pub fn input(entry: &Entry) -> Vec<Json> {
    let mut sent = match &entry.asked {
        Some(Json::Object(sent)) => sent.clone(),
        _ => Map::new(),
    };
    let messages = turns(&mut sent).into_iter().map(|(role, text)| {
        let role = match role.as_str() {
            "system" | "assistant" => role.as_str(),
            // A base model's prompt is what the user says.
            _ => "user",
        };
        json!({"role": role, "content": text, "source": "input"})
    });
    messages.collect()
}

/// The model's message.
pub fn answer(entry: &Entry) -> Json {
    let text = &entry.reply.text;
    let content = match &entry.reply.thinking {
        None => json!(text),
        Some(thinking) => json!([
            {"type": "reasoning", "reasoning": thinking},
            {"type": "text", "text": text},
        ]),
    };
    json!({
        "role": "assistant", "content": content, "source": "generate",
        "model": entry.reply.model.as_ref().unwrap_or(&entry.model),
    })
}

/// The output of a call.
pub fn output(entry: &Entry) -> Json {
    let reply = &entry.reply;
    let stop = match reply.finish_reason.as_deref() {
        Some("stop" | "end_turn" | "stop_sequence" | "eos_token" | "eos") => "stop",
        Some("length" | "max_tokens") => "max_tokens",
        Some("content_filter" | "refusal") => "content_filter",
        Some("model_length" | "model_context_window_exceeded") => "model_length",
        _ => "unknown",
    };
    let mut output = json!({
        "model": reply.model.as_ref().unwrap_or(&entry.model),
        "choices": [{"message": answer(entry), "stop_reason": stop}],
        "completion": reply.text,
    });
    let usage = Usage::of(entry);
    if usage != Usage::default() {
        output["usage"] = usage.json();
    }
    output
}

/// Tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    prompt: u64,
    answer: u64,
}

impl Usage {
    /// Of a call.
    pub fn of(entry: &Entry) -> Usage {
        Usage {
            prompt: entry.reply.prompt_tokens.unwrap_or(0),
            answer: entry.reply.answer_tokens.unwrap_or(0),
        }
    }

    /// Of several.
    pub fn sum(all: impl Iterator<Item = Usage>) -> Usage {
        all.fold(Usage::default(), |sum, one| Usage {
            prompt: sum.prompt + one.prompt,
            answer: sum.answer + one.answer,
        })
    }

    /// As Inspect has it.
    pub fn json(self) -> Json {
        json!({
            "input_tokens": self.prompt, "output_tokens": self.answer,
            "total_tokens": self.prompt + self.answer,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;
    use crate::model::chat::Reply;

    fn entry(asked: Json, reply: Reply) -> Entry {
        Entry {
            stage: "a".to_owned(),
            record: "1".to_owned(),
            model: "m".to_owned(),
            api: None,
            call: Hash([0; 32]),
            asked: Some(asked),
            reply,
        }
    }

    #[test]
    fn chats_and_texts_become_messages() {
        let chat = json!({"messages": [{"role": "system", "content": "S"},
            {"role": "user", "content": "U"}, {"role": "assistant", "content": "- "}]});
        let roles = |asked: Json| -> Vec<String> {
            let input = input(&entry(asked, Reply::default()));
            let text = |message: &Json| format!("{}: {}", message["role"], message["content"]);
            input.iter().map(text).collect()
        };
        assert_eq!(
            roles(chat),
            [
                "\"system\": \"S\"",
                "\"user\": \"U\"",
                "\"assistant\": \"- \""
            ]
        );
        assert_eq!(roles(json!({"prompt": "P"})), ["\"user\": \"P\""]);
        assert_eq!(roles(json!({"inputs": "P"})), ["\"user\": \"P\""]);
    }

    #[test]
    fn thinking_and_tokens_are_told_apart() {
        let reply = Reply {
            text: "A".to_owned(),
            thinking: Some("hm".to_owned()),
            finish_reason: Some("length".to_owned()),
            prompt_tokens: Some(3),
            answer_tokens: Some(2),
            ..Reply::default()
        };
        let output = output(&entry(json!({}), reply));
        let choice = &output["choices"][0];
        assert_eq!(choice["stop_reason"], "max_tokens");
        assert_eq!(choice["message"]["content"][0]["reasoning"], "hm");
        assert_eq!(output["usage"]["total_tokens"], 5);
        let plain = super::output(&entry(json!({}), Reply::default()));
        assert_eq!(plain.get("usage"), None);
    }
}
