//! Finds out whether a model can be asked: looks at what its server tells, asks for one tiny
//! answer, and says what is wrong and how to mend it. Starts nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::about::{About, Template};
use super::chat::{Chat, Question, Request, Role, Turn};
use super::client::Client;
use super::error::CallError;
use super::spec::{ApiKind, ModelSpec, Sampling};

/// The most tokens of the tiny answer.
const TOKENS: u32 = 4;
/// The most seconds that the tiny answer may take.
const WITHIN: f64 = 60.0;
/// What is asked.
const WORDS: &str = "Say hello.";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in one word.
    pub check: &'static str,
    /// What came of it.
    pub state: State,
    /// The same in words.
    pub what: String,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is as it should be.
    Good,
    /// It is not known, or may matter.
    Note,
    /// The model cannot be used like this.
    Wrong,
}

impl Finding {
    /// Something that is wrong, and how to mend it.
    pub fn wrong(check: &'static str, what: String, mend: Option<String>) -> Finding {
        Finding {
            check,
            state: State::Wrong,
            what,
            mend,
        }
    }

    fn good(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            check,
            state: State::Good,
            what: what.into(),
            mend: None,
        }
    }

    fn note(check: &'static str, what: impl Into<String>) -> Finding {
        Finding {
            state: State::Note,
            ..Finding::good(check, what)
        }
    }
}

/// Looks at a model whose server runs, if it does. What follows from a fault is left out.
pub async fn probe(model: &ModelSpec) -> Vec<Finding> {
    let (told, model) = (model, &probed(model));
    let client = match Client::new(model) {
        Ok(client) => client,
        Err(fault) => {
            let mend = fault.help;
            return vec![Finding::wrong("address", fault.message, mend)];
        }
    };
    let list = match client.get("models", false).await {
        Ok(answer) => answer,
        Err(error) => {
            let mend = match error {
                CallError::Unreachable { .. } | CallError::Timeout => {
                    "start the server, or correct the model's `url`"
                }
                _ => "see that the model's `url` is that of a model server",
            };
            let mend = Some(mend.to_owned());
            return vec![Finding::wrong("reachable", error.to_string(), mend)];
        }
    };
    let host = client.host();
    let mut found = vec![Finding::good("reachable", format!("`{host}` answers"))];
    let mut about = About::default();
    if list.0 == 200 {
        about.models(&list.1, &model.id);
    }
    for (path, read) in [
        ("props", About::props as fn(&mut About, &[u8])),
        ("info", About::info),
    ] {
        if let Ok((200, body)) = client.get(path, true).await {
            read(&mut about, &body);
        }
    }
    let start = Instant::now();
    let asked = client.call(&request(model)).await;
    let took = start.elapsed();
    let reply = asked.as_ref().ok();
    found.push(served(model, &about, asked.as_ref().err()));
    found.push(context(told, &about));
    found.extend(template(model, &about, reply.is_some()));
    let gone = [CallError::Timeout, CallError::Cut];
    if !asked.as_ref().is_err_and(|error| gone.contains(error)) {
        found.push(tokenizer(&client, model).await);
    }
    found.push(match &asked {
        Ok(reply) => completed(reply.answer_tokens, took),
        Err(error) => failed(model, &about, error),
    });
    found
}

/// The model, asked for little and not for long. What would forbid a short answer goes.
fn probed(model: &ModelSpec) -> ModelSpec {
    let mut sampling = Sampling {
        max_tokens: Some(TOKENS),
        stop: None,
        ..model.sampling.clone()
    };
    sampling.extra.remove("thinking");
    if let Some(most) = sampling.extra.get_mut("max_completion_tokens") {
        *most = TOKENS.into();
        sampling.max_tokens = None;
    }
    ModelSpec {
        sampling,
        retries: model.retries.min(1),
        timeout: model.timeout.min(WITHIN),
        ..model.clone()
    }
}

fn request(model: &ModelSpec) -> Request {
    let turn = Turn {
        role: Role::User,
        text: WORDS.to_owned(),
    };
    let chat = Chat {
        turns: vec![turn],
        ..Chat::default()
    };
    // A template that refuses so plain a chat was told when it was loaded.
    let chat = chat.clone().for_model(model).unwrap_or(chat);
    Request {
        model: Arc::new(model.clone()),
        question: Question::Chat(chat),
    }
}

/// Whether the model is among those that are served. Some servers have one model and take any
/// name for it.
fn served(model: &ModelSpec, about: &About, error: Option<&CallError>) -> Finding {
    const CHECK: &str = "served";
    let id = &model.id;
    let others = names(&about.served);
    if about.served.contains(id) {
        return Finding::good(CHECK, format!("`{id}`"));
    }
    let unknown = matches!(error, Some(CallError::UnknownModel { .. }));
    if about.served.is_empty() {
        let what = "the server does not list its models";
        return Finding::note(CHECK, what);
    }
    let what = format!("the server has {others}, not `{id}`");
    if unknown && model.api() != ApiKind::Tgi {
        let mend = match about.served.as_slice() {
            [only] => format!("say `id: {}`", plain(only)),
            _ => format!("set `id` to one of {others}"),
        };
        Finding::wrong(CHECK, what, Some(mend))
    } else if error.is_none() {
        Finding::note(CHECK, format!("{what}; it answers all the same"))
    } else {
        Finding::note(CHECK, what)
    }
}

fn context(model: &ModelSpec, about: &About) -> Finding {
    const CHECK: &str = "context";
    let most = model.sampling.max_tokens.map(u64::from);
    match about.context {
        Some(tokens) if most.is_some_and(|most| most >= tokens) => {
            let what = format!("{tokens} tokens: `max_tokens` leaves no room for a prompt");
            let mend = "lower `max_tokens`, or start the server with a longer context";
            Finding::wrong(CHECK, what, Some(mend.to_owned()))
        }
        Some(tokens) => Finding::good(CHECK, format!("{tokens} tokens")),
        None => Finding::note(CHECK, "the server does not say how many tokens fit"),
    }
}

/// The chat template, where the server applies one.
fn template(model: &ModelSpec, about: &About, answered: bool) -> Option<Finding> {
    const CHECK: &str = "template";
    if model.template.is_some() {
        return Some(Finding::good(CHECK, "rendered here, by `chat_template`"));
    }
    if model.api() != ApiKind::Openai {
        return None;
    }
    Some(match about.template {
        Some(Template::Own) => Finding::good(CHECK, "the model's own"),
        Some(Template::FallBack) => Finding {
            mend: Some("if it is a base model, say `instruct: false`".to_owned()),
            ..Finding::note(
                CHECK,
                "ChatML, which llama.cpp takes for a model without a template",
            )
        },
        Some(Template::Missing) => Finding::wrong(
            CHECK,
            "the server has no chat template".to_owned(),
            Some("if it is a base model, say `instruct: false`; else start the server with a template".to_owned()),
        ),
        None if answered => Finding::good(CHECK, "the server takes chats; it does not show how"),
        None => Finding::note(CHECK, "the server does not show it"),
    })
}

async fn tokenizer(client: &Client, model: &ModelSpec) -> Finding {
    const CHECK: &str = "tokenizer";
    let request = Request {
        model: Arc::new(model.clone()),
        question: Question::Tokens(WORDS.into()),
    };
    match client.call(&request).await {
        Ok(_) => Finding::good(CHECK, "the server cuts texts into tokens"),
        Err(error @ (CallError::NoTokenizer { .. } | CallError::NoPieces)) => {
            Finding::note(CHECK, format!("{error} where a stage counts tokens"))
        }
        Err(error) => Finding::note(CHECK, error.to_string()),
    }
}

fn completed(tokens: Option<u64>, took: Duration) -> Finding {
    let seconds = took.as_secs_f64();
    let what = match tokens {
        Some(1) => format!("1 token in {seconds:.2} s"),
        Some(tokens) => format!("{tokens} tokens in {seconds:.2} s"),
        None => format!("an answer in {seconds:.2} s"),
    };
    Finding::good("completion", what)
}

/// Why there is no answer, and what may help.
fn failed(model: &ModelSpec, about: &About, error: &CallError) -> Finding {
    let mend = match error {
        CallError::WrongKey { .. } => Some(match &model.key_env {
            Some(name) => format!("put the server's token into the variable `{name}`"),
            None => "name the variable that holds the server's token with `key_env`".to_owned(),
        }),
        CallError::UnknownModel { .. } if model.api() == ApiKind::Tgi && !about.is_tgi => {
            Some("it is no TGI: say `api: completions`, or correct `url`".to_owned())
        }
        CallError::UnknownModel { .. } if about.served.contains(&model.id) => {
            Some("the model is there, the path is not: correct `api`".to_owned())
        }
        CallError::UnknownModel { .. } if about.served.is_empty() => {
            Some("correct `url` (it mostly ends in `/v1`), `api` or `id`".to_owned())
        }
        CallError::BadJson | CallError::NoChoice => {
            Some("the server speaks another language: correct `api` or `url`".to_owned())
        }
        CallError::Status { code: 400 | 422 } => Some(
            "the server refuses a setting: look at `sampling`, and at `extra` first".to_owned(),
        ),
        CallError::Timeout => {
            Some("see that the server is not overloaded, or raise `timeout`".to_owned())
        }
        CallError::RateLimited | CallError::Status { .. } | CallError::Cut => {
            Some("wait and check again; else look at the server's log".to_owned())
        }
        _ => None,
    };
    Finding::wrong("completion", error.to_string(), mend)
}

/// Some names as a list, a few of them.
fn names(all: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = all.iter().take(SHOWN);
    let mut names: Vec<String> = shown.map(|name| format!("`{}`", plain(name))).collect();
    if all.len() > SHOWN {
        names.push(format!("{} more", all.len() - SHOWN));
    }
    names.join(", ")
}

/// A server's word, short and without characters that a terminal would obey.
fn plain(word: &str) -> String {
    word.chars()
        .take(100)
        .flat_map(char::escape_debug)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(served: &[&str]) -> About {
        About {
            served: served.iter().map(|id| (*id).to_owned()).collect(),
            ..About::default()
        }
    }

    fn unknown() -> CallError {
        CallError::UnknownModel { id: "m".to_owned() }
    }

    #[test]
    fn a_name_matters_only_if_the_server_minds() {
        let model = ModelSpec::new("w", "m");
        assert_eq!(served(&model, &about(&["m"]), None).state, State::Good);
        assert_eq!(served(&model, &about(&["n"]), None).state, State::Note);
        assert_eq!(served(&model, &about(&[]), None).state, State::Note);
        let wrong = served(&model, &about(&["n"]), Some(&unknown()));
        assert_eq!(wrong.state, State::Wrong);
        assert_eq!(wrong.what, "the server has `n`, not `m`");
        assert_eq!(wrong.mend.as_deref(), Some("say `id: n`"));
    }

    #[test]
    fn names_of_servers_are_short_and_plain() {
        let many: Vec<String> = (0..7).map(|n| format!("{n}\u{1b}[2J")).collect();
        let text = names(&many);
        assert!(
            text.ends_with(", 2 more") && !text.contains('\u{1b}'),
            "{text}"
        );
    }

    #[test]
    fn a_short_answer_is_asked_for() {
        let mut model = ModelSpec::new("w", "m");
        model.sampling.max_tokens = Some(900);
        model.sampling.temperature = Some(0.0);
        let extra = &mut model.sampling.extra;
        extra.insert("thinking".to_owned(), "x".into());
        extra.insert("min_p".to_owned(), 0.1.into());
        let short = probed(&model).sampling;
        assert_eq!(
            (short.max_tokens, short.temperature),
            (Some(TOKENS), Some(0.0))
        );
        assert_eq!(short.extra.len(), 1);
        let most = "max_completion_tokens";
        model.sampling.extra.insert(most.to_owned(), 900.into());
        let short = probed(&model).sampling;
        assert_eq!(short.max_tokens, None);
        assert_eq!(short.extra[most], TOKENS);
    }

    #[test]
    fn base_models_need_no_template() {
        let mut model = ModelSpec::new("w", "m");
        let missing = About {
            template: Some(Template::Missing),
            ..About::default()
        };
        let state = |model: &ModelSpec| template(model, &missing, true).map(|f| f.state);
        assert_eq!(state(&model), Some(State::Wrong));
        model.instruct = false;
        assert_eq!(state(&model), None);
    }
}
