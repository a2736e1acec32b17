//! One GET request, followed to where the data is. Owns the client and the rule of who gets a
//! login: the account's own hosts, over connections that nobody can read, wherever a
//! redirect leads. Knows no files.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, HeaderValue, IF_RANGE, LOCATION, RANGE, USER_AGENT};
use reqwest::{Client, Response, Url};

use super::catalogue::Account;
use super::error::{Why, plain};
use super::rules::is_safe;

/// The most redirects that are followed.
const MOST_HOPS: usize = 10;

/// What to ask for.
pub struct Ask<'a> {
    /// The address.
    pub url: &'a Url,
    /// Whose login to send, to its own hosts.
    pub account: Option<&'a Account>,
    /// From which byte on, and what must still hold of the file for that.
    pub from: Option<(u64, Option<&'a str>)>,
}

/// Clients, made when they are needed: one for this computer, one for the rest of the world.
pub struct Web {
    near: OnceLock<Client>,
    far: OnceLock<Client>,
    /// The longest silence that is waited through.
    patience: Duration,
}

impl Web {
    /// Connects to nothing yet.
    pub fn new(patience: Duration) -> Web {
        Web {
            near: OnceLock::new(),
            far: OnceLock::new(),
            patience,
        }
    }

    /// Asks, and follows redirects. Requests with a login are answered one after the other, so
    /// that a wrong one is sent once; what the answers hold comes at the same time.
    ///
    /// # Errors
    /// No answer, a redirect that is not followed, or a login that was refused before. Any answer is one, whatever its status.
    pub async fn get(&self, ask: &Ask<'_>) -> Result<Response, Why> {
        let mut url = ask.url.clone();
        for _ in 0..=MOST_HOPS {
            let mut request = self
                .client(&url)?
                .get(url.clone())
                // What is stored is what is summed: no other encoding of it.
                .header(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            let mut turn = None;
            if let Some(account) = ask.account.filter(|account| account.owns(&url)) {
                if let Some(agent) = &account.agent {
                    request = request.header(USER_AGENT, agent);
                }
                if let Some(login) = account.login.get() {
                    turn = Some(login.turn().await?);
                    request = login.put(request);
                }
            }
            if let Some((from, same)) = ask.from {
                request = request.header(RANGE, format!("bytes={from}-"));
                if let Some(same) = same {
                    request = request.header(IF_RANGE, same);
                }
            }
            let answer = tokio::time::timeout(self.patience, request.send())
                .await
                .map_err(|_| self.stalled(&url))?
                .map_err(|error| broken(&url, &error))?;
            if let (401, Some(turn)) = (answer.status().as_u16(), turn) {
                turn.refused(Why::Login { host: host(&url) });
            }
            if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            url = next(&url, &answer)?;
        }
        Err(Why::Lost { host: host(&url) })
    }

    /// The next bytes of an answer; `None` at its end.
    ///
    /// # Errors
    /// Silence, or a cut.
    pub async fn more(&self, answer: &mut Response) -> Result<Option<Vec<u8>>, Why> {
        let url = answer.url().clone();
        let more = tokio::time::timeout(self.patience, answer.chunk()).await;
        match more {
            Err(_) => Err(self.stalled(&url)),
            Ok(Err(_)) => Err(Why::Cut { host: host(&url) }),
            Ok(Ok(bytes)) => Ok(bytes.map(|bytes| bytes.to_vec())),
        }
    }

    fn stalled(&self, url: &Url) -> Why {
        Why::Stalled {
            host: host(url),
            seconds: self.patience.as_secs().max(1),
        }
    }

    fn client(&self, url: &Url) -> Result<&Client, Why> {
        let near = url.scheme() == "http";
        let kept = if near { &self.near } else { &self.far };
        if let Some(client) = kept.get() {
            return Ok(client);
        }
        let client = client(near).map_err(|error| Why::NoClient {
            because: innermost(&error),
        })?;
        Ok(kept.get_or_init(|| client))
    }
}

fn client(near: bool) -> Result<Client, reqwest::Error> {
    // An error means that another part of the program has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent(concat!("clue/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_gzip()
        .connect_timeout(Duration::from_secs(20));
    if near {
        // No proxy between this computer and itself, and no certificates needed. (Elsewhere a
        // proxy from the environment only passes on what is encrypted.)
        builder = builder.no_proxy().tls_certs_only(std::iter::empty());
    }
    builder.build()
}

/// Where a redirect leads, if it may be followed.
fn next(url: &Url, answer: &Response) -> Result<Url, Why> {
    let to = answer.headers().get(LOCATION);
    let to = to.and_then(|to| to.to_str().ok());
    let next = to.and_then(|to| url.join(to).ok());
    let next = next.ok_or_else(|| Why::Lost { host: host(url) })?;
    // Nor does a far host get to send us to a server on this computer.
    if !is_safe(&next) || (url.scheme() == "https" && next.scheme() != "https") {
        return Err(Why::Insecure {
            host: host(url),
            to: host(&next),
        });
    }
    Ok(next)
}

/// A host as messages name it: with its port, unless that is the usual one.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or("nowhere");
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn broken(url: &Url, error: &reqwest::Error) -> Why {
    let host = host(url);
    if error.is_connect() {
        Why::Unreachable {
            host,
            because: innermost(error),
        }
    } else {
        Why::Cut { host }
    }
}

/// The cause at the bottom: the ones above only repeat the address.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut bottom = error;
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    plain(&bottom.to_string())
}
