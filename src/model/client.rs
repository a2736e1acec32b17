//! Sends requests to one model's server: so many at once, so often again, and with an end.
//! Knows no API's format and no cache.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use reqwest::header::RETRY_AFTER;
use reqwest::{StatusCode, Url};
use tokio::sync::Semaphore;

use super::chat::{Question, Reply, Request};
use super::error::CallError;
use super::http::{headers, http_client};
use super::retry::{Backoff, retry_after};
use super::spec::ModelSpec;
use super::{thinking, tokenize};
use crate::diag::Diagnostic;

/// The most bytes that the body of an answer may have.
const MOST_BYTES: usize = 32 << 20;
/// How long a look at what a server tells may take.
const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// How often a server that was never reached is tried: a wrong address should fail soon.
const FIRST_TRIES: u32 = 3;
/// After so many calls in a row that found nobody, the others are not tried any more.
const GIVE_UP_AFTER: u32 = 8;

/// A client for one model. Stages that sample it differently share it, and so its limit of
/// concurrency. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    url: Url,
    host: String,
    timeout: Duration,
    retries: u32,
    slots: Semaphore,
    backoff: Backoff,
    /// Any answer was ever received.
    met: AtomicBool,
    /// Calls in a row that ended unreachable.
    lost: AtomicU32,
}

/// An attempt that failed, and how long the server asks to wait.
struct Failure {
    error: CallError,
    wait: Option<Duration>,
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        Failure { error, wait: None }
    }
}

impl Client {
    /// Makes a client for the model; connects to nothing yet.
    ///
    /// # Errors
    /// The model has no valid address, or its token is not in the environment.
    pub fn new(spec: &ModelSpec) -> Result<Client, Diagnostic> {
        Client::with_backoff(spec, Backoff::default())
    }

    fn with_backoff(spec: &ModelSpec, backoff: Backoff) -> Result<Client, Diagnostic> {
        let name = &spec.name;
        let url = spec
            .url
            .as_deref()
            .and_then(|url| Url::parse(url).ok())
            .filter(|url| !url.cannot_be_a_base())
            .ok_or_else(|| Diagnostic::error(format!("model `{name}` has no valid `url`")))?;
        let http = http_client(&url, headers(spec)?).map_err(|why| {
            Diagnostic::error(format!("cannot make connections for model `{name}`: {why}"))
        })?;
        let host = url.host_str().unwrap_or_default();
        let host = match url.port_or_known_default() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                url,
                host,
                timeout: spec.timeout(),
                retries: spec.retries,
                slots: Semaphore::new(spec.concurrency.max(1) as usize),
                backoff,
                met: AtomicBool::new(false),
                lost: AtomicU32::new(0),
            }),
        })
    }

    /// Host and port of the address.
    pub fn host(&self) -> &str {
        &self.inner.host
    }

    /// What the server says at a path, below the model's address or beside its `/v1`: status and
    /// body. One attempt, and not for long.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn get(&self, path: &str, beside_v1: bool) -> Result<(u16, Vec<u8>), CallError> {
        let inner = &*self.inner;
        let sent = inner
            .http
            .get(inner.address(path, beside_v1))
            .timeout(inner.timeout.min(LOOK_WITHIN))
            .send()
            .await;
        let response = sent.map_err(|error| inner.fault(&error))?;
        let status = response.status().as_u16();
        Ok((status, read(response).await?))
    }

    /// Asks, and asks again where that may help. The address is the client's own; the rest
    /// comes from the request's model.
    ///
    /// # Errors
    /// Why the last attempt failed.
    pub async fn ask(&self, request: &Request) -> Result<Reply, CallError> {
        let inner = &*self.inner;
        // The slot is kept while waiting: a busy server gets fewer requests, not more.
        let Ok(_slot) = inner.slots.acquire().await else {
            return Err(inner.unreachable());
        };
        let mut tried = 0;
        loop {
            if inner.given_up() {
                return Err(inner.unreachable());
            }
            let failure = match inner.attempt(request).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure,
            };
            tried += 1;
            let out_of_reach = matches!(failure.error, CallError::Unreachable { .. });
            let first_contact = out_of_reach && !inner.met.load(Ordering::Relaxed);
            let tries = if first_contact {
                FIRST_TRIES.min(1 + inner.retries)
            } else {
                1 + inner.retries
            };
            if !failure.error.is_transient() || tried >= tries {
                if out_of_reach {
                    inner.lost.fetch_add(1, Ordering::Relaxed);
                }
                return Err(failure.error);
            }
            let wait = if first_contact {
                // In full: a server that is being started gets its moment.
                inner.backoff.wait(tried - 1, 1.0)
            } else {
                let told = failure.wait.unwrap_or_default();
                told.max(inner.backoff.jittered(tried - 1))
            };
            tracing::debug!(host = %inner.host, error = %failure.error, tried, ?wait, "asking again");
            tokio::time::sleep(wait).await;
        }
    }
}

impl Inner {
    fn unreachable(&self) -> CallError {
        CallError::Unreachable {
            host: self.host.clone(),
        }
    }

    /// The address of a path, below the model's own or beside its `/v1`.
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
            self.unreachable()
        } else {
            broken(error)
        }
    }

    /// True when waiting calls need not try: a server that was never there is given up
    /// after one call, one that was there after several.
    fn given_up(&self) -> bool {
        let enough = if self.met.load(Ordering::Relaxed) {
            GIVE_UP_AFTER
        } else {
            1
        };
        self.lost.load(Ordering::Relaxed) >= enough
    }

    async fn attempt(&self, request: &Request) -> Result<Reply, Failure> {
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
        self.met.store(true, Ordering::Relaxed);
        self.lost.store(0, Ordering::Relaxed);
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

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
