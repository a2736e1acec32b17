//! One exchange with one server: a question goes out, an answer or a fault comes back. Knows the
//! limits of time and size of a single attempt, and nothing of others.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{StatusCode, Url};

use super::chat::{Question, Reply, Request};
use super::error::CallError;
use super::http::http_client;
use super::pool::End;
use super::retry::retry_after;
use super::{thinking, tokenize};

/// The most bytes that the body of an answer may have.
pub(super) const MOST_BYTES: usize = 32 << 20;
/// How long a look at what a server tells may take.
const LOOK_WITHIN: Duration = Duration::from_secs(10);

/// One server of a model.
pub(super) struct Server {
    url: Url,
    http: reqwest::Client,
    timeout: Duration,
}

/// An attempt that failed, and how long the server asks to wait.
pub(super) struct Failure {
    /// Why.
    pub(super) error: CallError,
    /// How long the server asks to wait.
    pub(super) wait: Option<Duration>,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        Failure { error, wait: None }
    }
}

impl Failure {
    /// What it says of the server.
    pub(super) fn end(&self) -> End {
        match &self.error {
            CallError::Unreachable { .. } => End::Absent,
            CallError::Loading => End::Loading,
            error if error.is_overload() => End::Busy(self.wait.unwrap_or_default()),
            error if error.is_transient() => End::Failed,
            _ => End::Answered(None),
        }
    }
}

impl Server {
    /// A server at an address; connects to nothing yet.
    ///
    /// # Errors
    /// No connections can be made at all.
    pub(super) fn new(
        url: &Url,
        headers: HeaderMap,
        timeout: Duration,
    ) -> Result<Server, reqwest::Error> {
        Ok(Server {
            url: url.clone(),
            http: http_client(url, headers)?,
            timeout,
        })
    }

    /// Host and port.
    pub(super) fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        match self.url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// The address of a path, below the server's own or beside its `/v1`.
    fn address(&self, path: &str, beside_v1: bool) -> Url {
        let mut url = self.url.clone();
        if beside_v1 {
            tokenize::beside_v1(&mut url, path);
        } else if let Ok(mut parts) = url.path_segments_mut() {
            parts.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    /// Why no answer began.
    fn fault(&self, error: &reqwest::Error) -> CallError {
        if error.is_connect() {
            CallError::Unreachable { host: self.host() }
        } else {
            broken(error)
        }
    }

    /// What it says at a path, below its address or beside its `/v1`: status and body. One attempt,
    /// and not for long.
    ///
    /// # Errors
    /// There is no whole answer.
    pub(super) async fn get(
        &self,
        path: &str,
        beside_v1: bool,
    ) -> Result<(u16, Vec<u8>), CallError> {
        let sent = self
            .http
            .get(self.address(path, beside_v1))
            .timeout(self.timeout.min(LOOK_WITHIN))
            .send()
            .await;
        let response = sent.map_err(|error| self.fault(&error))?;
        let status = response.status().as_u16();
        Ok((status, read(response).await?))
    }

    /// Asks once.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(super) async fn attempt(&self, request: &Request) -> Result<Reply, Failure> {
        let model = &request.model;
        let api = model.api().api();
        let (url, body) = match &request.question {
            Question::Chat(chat) => (
                self.address(api.path(), api.is_beside_v1()),
                api.body(model, chat),
            ),
            Question::Tokens(text) => (
                self.address("tokenize", true),
                tokenize::body(&model.id, text),
            ),
        };
        let sent = self
            .http
            .post(url)
            .timeout(self.timeout)
            .json(&body)
            .send()
            .await;
        let response = sent.map_err(|error| self.fault(&error))?;
        let status = response.status();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| retry_after(value, SystemTime::now()));
        let body = read(response).await;
        if status == StatusCode::OK {
            return Ok(match &request.question {
                Question::Chat(chat) => {
                    let reply = api.reply(model, chat, &body?)?;
                    thinking::split(model, chat, reply)
                }
                Question::Tokens(text) => tokenize::reply(&body?, text)?,
            });
        }
        let code = status.as_u16();
        let error = match &request.question {
            Question::Tokens(_) if matches!(code, 404 | 405 | 501) => {
                CallError::NoTokenizer { code }
            }
            question => {
                let chat = match question {
                    Question::Chat(chat) => Some(chat),
                    Question::Tokens(_) => None,
                };
                let prefilled = chat.is_some_and(|chat| !chat.prefill.is_empty());
                CallError::of_status(code, &body.unwrap_or_default(), &model.id, prefilled)
            }
        };
        Err(Failure { error, wait })
    }
}

/// Reads the whole body, unless it is too large.
async fn read(mut response: reqwest::Response) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| broken(&error))? {
        if body.len() + part.len() > MOST_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

/// What broke an exchange that had begun.
fn broken(error: &reqwest::Error) -> CallError {
    if error.is_timeout() {
        CallError::Timeout
    } else {
        CallError::Cut
    }
}
