//! What a wire API is: how a chat becomes the body of a request, how bytes become a reply,
//! and the key of a call. Pure; the client does the sending.

use serde::Serialize;
use serde_json::Value;

use super::chat::{Chat, Question, Reply, Request};
use super::completions::Completions;
use super::error::CallError;
use super::openai::OpenAi;
use super::spec::{ApiKind, ModelSpec};
use crate::hash::Hash;

/// A wire API.
pub trait Api: Sync {
    /// The path after the model's `url`.
    fn path(&self) -> &'static str;

    /// The whole body of the request. Only what decides the answer may be in it.
    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value;

    /// Reads the body of an answer with status 200.
    ///
    /// # Errors
    /// [`CallError::BadJson`] and [`CallError::NoChoice`].
    fn reply(&self, bytes: &[u8]) -> Result<Reply, CallError>;

    /// The same for the answer to a chat, if servers differ in whether they repeat the beginning
    /// that they were given.
    ///
    /// # Errors
    /// As [`Api::reply`].
    fn answer(&self, _: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        self.reply(bytes)
    }
}

impl ApiKind {
    /// The API of this kind: one line each.
    pub fn api(self) -> &'static dyn Api {
        match self {
            ApiKind::Openai => &OpenAi,
            ApiKind::Completions => &Completions,
        }
    }
}

/// What the key of a call is made of.
///
/// v1: the kind of API, the model's name and revision, and the body that would be sent. Not
/// the address, the token or the concurrency: the same question is the same call wherever
/// it is asked.
#[derive(Serialize)]
struct CallKey<'a> {
    api: ApiKind,
    id: &'a str,
    revision: Option<&'a str>,
    body: &'a Value,
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
    let (id, revision) = (model.id.as_str(), model.revision.as_deref());
    match &request.question {
        Question::Chat(chat) => Hash::of(
            "clue call v1",
            &CallKey {
                api: model.api(),
                id,
                revision,
                body: &model.api().api().body(model, chat),
            },
        ),
        Question::Tokens(text) => Hash::of("clue tokens v1", &TokensKey { id, revision, text }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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
