//! What a wire API is: how a chat becomes the body of a request, how bytes become a reply,
//! and the key of a call. Pure; the client does the sending.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::anthropic::Anthropic;
use super::chat::{Chat, Question, Reply, Request};
use super::completions::Completions;
use super::error::CallError;
use super::openai::OpenAi;
use super::spec::{ApiKind, ModelSpec};
use super::structured;
use super::tgi::Tgi;
use crate::hash::Hash;

/// A wire API.
pub trait Api: Sync {
    /// The path after the model's `url`.
    fn path(&self) -> &'static str;

    /// True when that path stands at the server's root even if `url` ends in `/v1`.
    fn is_beside_v1(&self) -> bool {
        false
    }

    /// The headers of every request, with the token of the model's `key_env` if it has one.
    fn headers(&self, token: Option<&str>) -> Vec<(&'static str, String)> {
        let bearer = |token| ("authorization", format!("Bearer {token}"));
        token.map(bearer).into_iter().collect()
    }

    /// The whole body of the request. Only what decides the answer may be in it.
    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value;

    /// Reads the body of an answer with status 200 to that chat.
    ///
    /// # Errors
    /// [`CallError::BadJson`] and [`CallError::NoChoice`].
    fn reply(&self, model: &ModelSpec, chat: &Chat, bytes: &[u8]) -> Result<Reply, CallError>;

    /// What this API lacks of how the model is to sample, with the settings of the stage that
    /// asks; `None` when all can be sent.
    fn refusal(&self, _: &ModelSpec) -> Option<String> {
        None
    }
}

impl ApiKind {
    /// The API of this kind: one line each.
    pub fn api(self) -> &'static dyn Api {
        match self {
            ApiKind::Openai => &OpenAi,
            ApiKind::Completions => &Completions,
            ApiKind::Tgi => &Tgi,
            ApiKind::Anthropic => &Anthropic,
        }
    }
}

/// What the key of a call is made of.
///
/// v1: the kind of API, the model's name and revision, and the body that would be sent. Not
/// the address, the token or the concurrency: the same question is the same call wherever
/// it is asked. With a schema, its text as it is sent too: servers write an answer's properties in
/// its order, which the body does not tell, because maps are sorted in keys.
fn chat_key(model: &ModelSpec, chat: &Chat) -> Value {
    let mut key = Map::new();
    key.insert("api".to_owned(), json!(model.api()));
    key.insert("id".to_owned(), json!(model.id));
    key.insert("revision".to_owned(), json!(model.revision));
    key.insert("body".to_owned(), model.api().api().body(model, chat));
    if let Some((_, schema)) = structured::told(model, chat) {
        key.insert("schema".to_owned(), json!(schema.to_string()));
    }
    Value::Object(key)
}

/// What the key of a text's tokens is made of.
///
/// v1: the model's name and revision, and the text. Not the API or the sampling: a model has one
/// tokenizer, however it is asked.
#[derive(Serialize)]
struct TokensKey<'a> {
    id: &'a str,
    revision: Option<&'a str>,
    text: &'a str,
}

/// The key of a call: equal for equal questions to the same model.
pub fn call_key(request: &Request) -> Hash {
    let model = &request.model;
    match &request.question {
        Question::Chat(chat) => Hash::of("clue call v1", &chat_key(model, chat)),
        Question::Tokens(text) => {
            let (id, revision) = (model.id.as_str(), model.revision.as_deref());
            Hash::of("clue tokens v1", &TokensKey { id, revision, text })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::model::chat::{Role, Turn};

    fn request(model: ModelSpec, text: &str) -> Request {
        Request {
            model: Arc::new(model),
            question: Question::Chat(Chat {
                turns: vec![Turn {
                    role: Role::User,
                    text: text.to_owned(),
                }],
                prefill: String::new(),
                text: None,
                schema: None,
            }),
        }
    }

    fn tokens(model: ModelSpec, text: &str) -> Request {
        Request {
            model: Arc::new(model),
            question: Question::Tokens(text.into()),
        }
    }

    #[test]
    fn the_key_follows_the_question_and_the_model_only() {
        let model = ModelSpec::new("a", "m");
        let key = call_key(&request(model.clone(), "hi"));
        let mut elsewhere = model.with_url("http://elsewhere/v1");
        elsewhere.retries = 0;
        elsewhere.key_env = Some("TOKEN".to_owned());
        assert_eq!(call_key(&request(elsewhere, "hi")), key);
        assert_ne!(call_key(&request(model.clone(), "ho")), key);
        for change in [
            |m: &mut ModelSpec| m.revision = Some("2".to_owned()),
            |m: &mut ModelSpec| m.id = "n".to_owned(),
            |m: &mut ModelSpec| m.instruct = false,
            |m: &mut ModelSpec| m.sampling.seed = Some(1),
        ] {
            let mut other = model.clone();
            change(&mut other);
            assert_ne!(call_key(&request(other, "hi")), key);
        }
    }

    #[test]
    fn the_key_of_each_api_is_pinned() {
        let key = |api, instruct| {
            let mut model = ModelSpec::new("a", "m");
            model.api = Some(api);
            model.instruct = instruct;
            model.sampling.max_tokens = Some(9);
            call_key(&request(model, "hi")).short().to_string()
        };
        let keys = [
            key(ApiKind::Openai, true),
            key(ApiKind::Completions, false),
            key(ApiKind::Tgi, false),
            key(ApiKind::Anthropic, true),
        ];
        assert_eq!(
            keys,
            [
                "2b322905d4ff",
                "45b93ac7916d",
                "ac2c4e7a966e",
                "cd6f7852711c"
            ]
        );
    }

    proptest! {
        /// Whatever a server says, it is an answer or a fault.
        #[test]
        fn no_answer_breaks_a_codec(cut in 0_usize..400, put in ".{0,8}", code in 200_u16..600) {
            const ANSWERS: [&str; 4] = [
                r#"{"choices":[{"message":{"content":"<think>a</think>b","reasoning":"c"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7}}"#,
                r#"{"choices":[{"text":"b","finish_reason":"length"}],"model":"m"}"#,
                r#"[{"generated_text":"b stop","details":{"finish_reason":"stop_sequence","generated_tokens":2,"prefill":[{"id":1}]}}]"#,
                r#"{"content":[{"type":"thinking","thinking":"a"},{"type":"text","text":" b"}],"stop_reason":"end_turn","usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":18446744073709551615,"cache_creation_input_tokens":1}}"#,
            ];
            let mut model = ModelSpec::new("a", "m");
            model.sampling.stop = Some(vec!["stop".to_owned(), String::new(), put.clone()]);
            let chat = Chat { turns: Vec::new(), prefill: format!("so {put} \n"), text: None, schema: None };
            for api in [ApiKind::Openai, ApiKind::Completions, ApiKind::Tgi, ApiKind::Anthropic] {
                prop_assert!(api.api().body(&model, &chat).is_object());
                for answer in ANSWERS {
                    let at = cut.min(answer.len());
                    let spoilt = format!("{}{put}{}", &answer[..at], &answer[at..]);
                    for bytes in [&answer.as_bytes()[..at], spoilt.as_bytes()] {
                        let _ = api.api().reply(&model, &chat, bytes);
                        let fault = CallError::of_status(code, bytes, "m", true).to_string();
                        prop_assert!(!fault.contains("finish_reason"));
                    }
                }
            }
        }
    }

    /// A new hash here means that everybody's cached calls are lost: raise the version then.
    #[test]
    fn the_key_is_pinned() {
        assert_eq!(
            call_key(&request(ModelSpec::new("a", "m"), "hi")).short(),
            "abf9f3dad13f"
        );
        assert_eq!(
            call_key(&tokens(ModelSpec::new("a", "m"), "hi")).short(),
            "8f39fab908cf"
        );
    }

    #[test]
    fn tokens_do_not_depend_on_how_a_model_samples() {
        let model = ModelSpec::new("a", "m");
        let key = call_key(&tokens(model.clone(), "hi"));
        let mut other = model.clone();
        other.sampling.seed = Some(1);
        other.instruct = false;
        assert_eq!(call_key(&tokens(other.clone(), "hi")), key);
        other.revision = Some("2".to_owned());
        assert_ne!(call_key(&tokens(other, "hi")), key);
        assert_ne!(call_key(&tokens(model, "ho")), key);
    }
}
