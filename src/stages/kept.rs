//! What is kept of a call beside the answer. Owns which field gets what.

use std::fmt::Write;

use minijinja::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asking::Answer;
use crate::hash::Hash;
use crate::model::chat::{Request, Role};

/// What of a call is kept beside the answer, each with the field that gets it. All of it comes
/// from the cache with the answer, and is the same again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// The prompt as the model got it, but for the server's own chat template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    /// A hash of the prompt: the same for the same prompt, whichever model got it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_hash: Option<String>,
    /// The answer before `parse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// What the model thought aloud before its answer: told apart by the server, or a
    /// `<think>…</think>` at the start of its text, which is no part of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thinking: Option<String>,
    /// Why the model stopped: `stop`, `length` for an answer cut off, or the server's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finish_reason: Option<String>,
    /// Tokens of the prompt, as the server counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt_tokens: Option<String>,
    /// Tokens of the answer, as the server counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer_tokens: Option<String>,
    /// What the server calls the model that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// Whether the answer is that of the repair round. `prompt` and `prompt_hash` are those of the
    /// first round even so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repaired: Option<String>,
}

impl Keep {
    /// True when nothing is.
    pub fn is_empty(&self) -> bool {
        *self == Keep::default()
    }

    /// The fields, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let all = [
            &self.prompt,
            &self.prompt_hash,
            &self.answer,
            &self.thinking,
            &self.finish_reason,
            &self.prompt_tokens,
            &self.answer_tokens,
            &self.model,
            &self.repaired,
        ];
        all.into_iter().flatten().map(String::as_str)
    }

    /// The fields with their values; what the server does not tell is null.
    pub fn of<'a>(&'a self, answer: &Answer) -> impl Iterator<Item = (&'a str, Value)> {
        let reply = &answer.reply;
        let asked = answer.before.as_ref().unwrap_or(&answer.request);
        let null = || Value::from(());
        let number = |n: Option<u64>| n.map_or_else(null, Value::from);
        let text = |text: &Option<String>| text.as_deref().map_or_else(null, Value::from);
        let request = |wanted: &Option<String>, of: fn(&Request) -> String| {
            let wanted = wanted.is_some();
            wanted.then(|| of(asked)).map_or_else(null, Value::from)
        };
        let all = [
            (&self.prompt, request(&self.prompt, shown)),
            (&self.prompt_hash, request(&self.prompt_hash, hash)),
            (&self.answer, Value::from(answer.text.as_str())),
            (&self.thinking, text(&reply.thinking)),
            (&self.finish_reason, text(&reply.finish_reason)),
            (&self.prompt_tokens, number(reply.prompt_tokens)),
            (&self.answer_tokens, number(reply.answer_tokens)),
            (&self.model, text(&reply.model)),
            (&self.repaired, Value::from(answer.before.is_some())),
        ];
        let asked = |(field, value): (&'a Option<String>, Value)| Some((field.as_deref()?, value));
        all.into_iter().filter_map(asked)
    }
}

/// A prompt for people: the text of a completion as it is, a chat with a heading to each turn.
fn shown(request: &Request) -> String {
    let model = &request.model;
    let Some(chat) = request.chat() else {
        return String::new();
    };
    let api = model.api().api();
    let body = api.body(model, chat);
    if let Some(text) = body["prompt"].as_str().or(body["inputs"].as_str()) {
        return text.to_owned();
    }
    let mut text = String::new();
    for turn in chat.turns_for(model.system).iter() {
        let role = match turn.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        let _ = write!(text, "[{role}]\n{}\n\n", turn.text);
    }
    let _ = write!(text, "[assistant]\n{}", chat.prefill);
    text
}

/// The hash of a prompt, in 16 hexadecimal digits.
fn hash(request: &Request) -> String {
    let hash = Hash::of("clue prompt v1", &request.chat()).to_string();
    hash.chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::chat::{Chat, Question, Reply, Turn};
    use crate::model::spec::{ApiKind, ModelSpec, SystemPrompt};

    fn request(change: fn(&mut ModelSpec)) -> Request {
        going_on(change, "Because")
    }

    fn going_on(change: fn(&mut ModelSpec), prefill: &str) -> Request {
        let mut model = ModelSpec::new("a", "m");
        change(&mut model);
        let turn = |role, text: &str| Turn {
            role,
            text: text.to_owned(),
        };
        Request {
            model: Arc::new(model),
            question: Question::Chat(Chat {
                turns: vec![turn(Role::System, "Be brief."), turn(Role::User, "Why?")],
                prefill: prefill.to_owned(),
                text: None,
                schema: None,
            }),
        }
    }

    #[test]
    fn a_prompt_is_shown_as_it_is_sent() {
        assert_eq!(
            shown(&request(|_| {})),
            "[system]\nBe brief.\n\n[user]\nWhy?\n\n[assistant]\nBecause"
        );
        assert_eq!(
            shown(&request(|model| model.system = SystemPrompt::Merge)),
            "[user]\nBe brief.\n\nWhy?\n\n[assistant]\nBecause"
        );
        assert_eq!(
            shown(&request(|model| model.instruct = false)),
            "Be brief.\n\nWhy?\n\nBecause"
        );
        assert_eq!(
            shown(&request(|model| model.api = Some(ApiKind::Tgi))),
            "Be brief.\n\nWhy?\n\nBecause"
        );
    }

    #[test]
    fn a_prompts_hash_knows_no_model() {
        let one = hash(&request(|_| {}));
        assert_eq!(one.len(), 16);
        assert_eq!(one, hash(&request(|model| model.id = "n".to_owned())));
        assert_ne!(one, hash(&going_on(|_| {}, "")));
    }

    #[test]
    fn what_is_wanted_is_kept_in_order() {
        let keep: Keep =
            serde_json::from_str(r#"{"finish_reason":"why","model":"who","thinking":"how"}"#)
                .unwrap();
        let asked = request(|_| {});
        let reply = Reply {
            finish_reason: Some("length".to_owned()),
            thinking: Some("Hm.".to_owned()),
            ..Reply::default()
        };
        let answer = Answer::of(vec![(asked, reply)]).ok().unwrap();
        let kept: Vec<(&str, Value)> = keep.of(&answer).collect();
        let expected = [
            ("how", Value::from("Hm.")),
            ("why", Value::from("length")),
            ("who", Value::from(())),
        ];
        assert_eq!(kept, expected);
        assert_eq!(keep.names().collect::<Vec<_>>(), ["how", "why", "who"]);
        assert!(!keep.is_empty());
    }
}
