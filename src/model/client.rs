//! Sends requests to a model's servers, so often again as may help, and with an end. Knows no
//! API's format and no cache.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use reqwest::Url;

use super::chat::{Reply, Request};
use super::error::CallError;
use super::exchange::{Failure, Server};
use super::http::headers;
use super::pace::Pace;
use super::pool::{End, Lost, Notice, Permit, Pool, Waits, Want};
use super::prefix::Sketch;
use super::retry::Backoff;
use super::spec::{Concurrency, ModelSpec};
use crate::diag::Diagnostic;

/// How often a server that was never reached is tried: a wrong address should fail soon.
const FIRST_TRIES: u32 = 3;
/// How often a call is tried at servers that are busy, but answer others.
const BUSY_TRIES: u32 = 500;
/// The longest pause between looks for a server that is away.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A client for one model. Stages that sample it differently share it, and so its limits. Cheap
/// to clone.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
    pool: Arc<Pool>,
}

struct Inner {
    servers: Vec<Server>,
    retries: u32,
    patience: Duration,
    deadline: Option<Duration>,
    hedge: Option<Duration>,
    /// Prompts that begin alike are sent one after the other. Servers that keep what they have
    /// computed may round differently then, so one at a time means in their own order.
    groups: bool,
    backoff: Backoff,
}

/// Hears a reply.
pub type Heard<'a> = &'a (dyn Fn(&Reply) + Send + Sync);

/// Hears what is worth telling while calls are made, in words.
pub type Tell = Box<dyn Fn(String) + Send + Sync>;

impl Client {
    /// Makes a client for the model; connects to nothing yet.
    ///
    /// # Errors
    /// The model has no valid address, or its token is not in the environment.
    pub fn new(spec: &ModelSpec) -> Result<Client, Diagnostic> {
        Client::told(spec, Box::new(|_| {}))
    }

    /// The same, with somebody who hears of servers that go and come.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn told(spec: &ModelSpec, tell: Tell) -> Result<Client, Diagnostic> {
        Client::with_backoff(spec, tell, Backoff::default())
    }

    /// The same for a server that somebody starts again if it dies: it is waited for until
    /// [`Pool::lose`].
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn kept(spec: &ModelSpec) -> Result<Client, Diagnostic> {
        let mut client = Client::new(spec)?;
        let waits = Waits {
            first_tries: u32::MAX,
            patience: Duration::MAX,
            ..client.pool.waits()
        };
        client.pool = Pool::new(
            vec![spec.concurrency.limit()],
            pace(spec),
            waits,
            Box::new(|_| {}),
        );
        Ok(client)
    }

    fn with_backoff(spec: &ModelSpec, tell: Tell, backoff: Backoff) -> Result<Client, Diagnostic> {
        let name = &spec.name;
        let url = |text: &String| {
            let url = Url::parse(text).ok();
            url.filter(|url| !url.cannot_be_a_base())
        };
        let urls: Option<Vec<Url>> = spec.urls().iter().map(url).collect();
        let urls = urls.filter(|urls| !urls.is_empty());
        let urls =
            urls.ok_or_else(|| Diagnostic::error(format!("model `{name}` has no valid `url`")))?;
        let headers = headers(spec)?;
        // Each has a client of its own: a proxy may be for one of them only.
        let server = |url: &Url| {
            Server::new(url, headers.clone(), spec.timeout()).map_err(|why| {
                Diagnostic::error(format!("cannot make connections for model `{name}`: {why}"))
            })
        };
        let servers = urls
            .iter()
            .map(server)
            .collect::<Result<Vec<Server>, _>>()?;
        let limits = urls.iter().map(|_| spec.concurrency.limit()).collect();
        let patience = Duration::try_from_secs_f64(spec.patience).unwrap_or_default();
        let waits = Waits {
            backoff: Backoff {
                cap: backoff.cap.min(LOOK_EVERY),
                ..backoff
            },
            first_tries: FIRST_TRIES.min(1 + spec.retries),
            patience,
        };
        let hosts: Vec<String> = servers.iter().map(Server::host).collect();
        let name = name.clone();
        let notice = move |notice: Notice| {
            tell(match notice {
                Notice::Away(at) => format!(
                    "model `{name}`: `{}` cannot be asked any more; waiting up to {} s for it",
                    hosts[at],
                    patience.as_secs()
                ),
                Notice::Back(at) => format!("model `{name}`: `{}` is there again", hosts[at]),
            });
        };
        Ok(Client {
            pool: Pool::new(limits, pace(spec), waits, Box::new(notice)),
            inner: Arc::new(Inner {
                servers,
                retries: spec.retries,
                patience,
                deadline: spec
                    .deadline
                    .and_then(|s| Duration::try_from_secs_f64(s).ok()),
                hedge: spec.hedge.and_then(|s| Duration::try_from_secs_f64(s).ok()),
                groups: spec.concurrency != Concurrency::Most(1),
                backoff,
            }),
        })
    }

    /// Host and port of the first address.
    pub fn host(&self) -> String {
        self.inner.servers[0].host()
    }

    /// The servers.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// What the first server says at a path, below the model's address or beside its `/v1`: status
    /// and body. One attempt, and not for long.
    ///
    /// # Errors
    /// There is no whole answer.
    pub async fn get(&self, path: &str, beside_v1: bool) -> Result<(u16, Vec<u8>), CallError> {
        self.inner.servers[0].get(path, beside_v1).await
    }

    /// Gets in line, at once, and waits until the request may be sent. Dropping the wait gives it
    /// up. The error: there is no server any more.
    pub fn admit(
        &self,
        request: &Request,
    ) -> impl Future<Output = Result<Permit, CallError>> + use<'_> {
        let mut want = wants(request);
        if self.inner.groups {
            want.sketch = Sketch::of(&request.question);
        }
        self.acquire(want, false)
    }

    /// Asks, and asks again where that may help, until `stop`. What is under way then is awaited.
    /// `heard` hears the reply before anybody else is sent in its place.
    ///
    /// # Errors
    /// Why the last attempt failed.
    pub async fn ask(
        &self,
        request: &Request,
        permit: Permit,
        stop: impl Future<Output = ()>,
        heard: Heard<'_>,
    ) -> Result<Reply, CallError> {
        let asked = std::pin::pin!(self.asked(request, permit, stop, heard));
        match self.inner.deadline {
            None => asked.await,
            Some(deadline) => tokio::time::timeout(deadline, asked)
                .await
                .unwrap_or(Err(CallError::Deadline)),
        }
    }

    /// [`Client::admit`] and [`Client::ask`] in one.
    ///
    /// # Errors
    /// As there.
    pub async fn call(&self, request: &Request) -> Result<Reply, CallError> {
        let permit = self.admit(request).await?;
        self.ask(request, permit, std::future::pending(), &|_| {})
            .await
    }

    fn hosts(&self) -> String {
        let hosts: Vec<String> = self.inner.servers.iter().map(Server::host).collect();
        hosts.join("`, `")
    }

    fn acquire(
        &self,
        want: Want,
        again: bool,
    ) -> impl Future<Output = Result<Permit, CallError>> + use<'_> {
        let permit = self.pool.acquire(want, again);
        let lost = |Lost| CallError::Unreachable { host: self.hosts() };
        async move { permit.await.map_err(lost) }
    }

    async fn asked(
        &self,
        request: &Request,
        mut permit: Permit,
        stop: impl Future<Output = ()>,
        heard: Heard<'_>,
    ) -> Result<Reply, CallError> {
        let inner = &*self.inner;
        let mut stop = std::pin::pin!(stop);
        let mut want = wants(request);
        let (mut tried, mut busy) = (0_u32, 0_u32);
        // Since when it is refused and nobody is served.
        let mut refused: Option<Instant> = None;
        loop {
            let at = permit.at();
            let failure = match self.attempts(request, permit, &want, heard).await {
                Ok(reply) => return Ok(reply),
                Err((failure, permit)) => {
                    let end = failure.end();
                    let progress = permit.end(end);
                    match end {
                        End::Busy(_) => {
                            busy += 1;
                            refused = refused.filter(|_| !progress).or(Some(Instant::now()));
                        }
                        end if end.is_away() => {}
                        _ => tried += 1,
                    }
                    failure
                }
            };
            let patient = refused.is_none_or(|since| since.elapsed() < inner.patience);
            let hopeless = busy > inner.retries && (!patient || busy > BUSY_TRIES);
            if !failure.error.is_transient() || tried > inner.retries || hopeless {
                return Err(failure.error);
            }
            let wait = match failure.end() {
                End::Failed => {
                    let told = failure.wait.unwrap_or_default();
                    told.max(inner.backoff.jittered(tried.saturating_sub(1)))
                }
                // The pool knows when a server can be asked.
                _ => Duration::ZERO,
            };
            let host = inner.servers[at].host();
            tracing::debug!(host, error = %failure.error, tried, ?wait, "asking again");
            want.avoid = Some(at);
            let next = async {
                tokio::time::sleep(wait).await;
                self.acquire(want.clone(), true).await
            };
            permit = tokio::select! {
                biased;
                () = &mut stop => return Err(CallError::Stopped),
                permit = next => permit.map_err(|_| failure.error)?,
            };
        }
    }

    /// One attempt, or with `hedge` two at two servers.
    async fn attempts(
        &self,
        request: &Request,
        permit: Permit,
        want: &Want,
        heard: Heard<'_>,
    ) -> Result<Reply, (Failure, Permit)> {
        match self.inner.hedge {
            None => self.attempt(request, permit, heard).await,
            // Few do, and the others need no room for it.
            Some(after) => {
                let hedged = self.hedged(request, permit, want, after, heard);
                hedged.boxed().await
            }
        }
    }

    /// An attempt, and another one at another server if the answer is not there `after` a while.
    async fn hedged(
        &self,
        request: &Request,
        permit: Permit,
        want: &Want,
        after: Duration,
        heard: Heard<'_>,
    ) -> Result<Reply, (Failure, Permit)> {
        let at = permit.at();
        let mut first = std::pin::pin!(self.attempt(request, permit, heard));
        tokio::select! {
            biased;
            done = &mut first => return done,
            () = tokio::time::sleep(after) => {}
        }
        let Some(permit) = self.pool.another(want, at) else {
            return first.await;
        };
        let mut second = std::pin::pin!(self.attempt(request, permit, heard));
        // The first answer counts; a failure only if both fail.
        tokio::select! {
            biased;
            done = &mut first => match done {
                Ok(reply) => Ok(reply),
                Err(failed) => second.await.map_err(|(failure, permit)| {
                    permit.end(failure.end());
                    failed
                }),
            },
            done = &mut second => match done {
                Ok(reply) => Ok(reply),
                Err((failure, permit)) => {
                    permit.end(failure.end());
                    first.await
                }
            },
        }
    }

    async fn attempt(
        &self,
        request: &Request,
        permit: Permit,
        heard: Heard<'_>,
    ) -> Result<Reply, (Failure, Permit)> {
        match self.inner.servers[permit.at()].attempt(request).await {
            Ok(reply) => {
                let prompt = reply.prompt_tokens.unwrap_or(0);
                let tokens = reply
                    .answer_tokens
                    .map(|answer| prompt.saturating_add(answer));
                heard(&reply);
                permit.end(End::Answered(tokens));
                Ok(reply)
            }
            Err(failure) => Err((failure, permit)),
        }
    }
}

/// The pace of a model to which nothing was sent yet.
fn pace(spec: &ModelSpec) -> Pace {
    let (requests, tokens) = (spec.requests_per_minute, spec.tokens_per_minute);
    Pace::new(requests, tokens, Instant::now())
}

/// What a request needs to be placed.
fn wants(request: &Request) -> Want {
    let most = request.model.sampling.max_tokens;
    Want {
        sketch: Sketch::default(),
        tokens: request
            .chat()
            .map_or(0, |chat| chat.tokens() + u64::from(most.unwrap_or(0))),
        open: most.is_none() && request.chat().is_some(),
        avoid: None,
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
