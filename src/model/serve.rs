//! Local servers: started for a run, known to be ready, stopped after it. Knows no API; only
//! that the server listens on a port and answers 200 to a path when it is ready.

use std::collections::BTreeMap;
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{StatusCode, Url};

use super::http::http_client;
use super::leash::{Leashed, how, last_lines};
use super::setup::prepare;
use super::spec::{ModelSpec, Port, ServeSpec};
use crate::diag::Diagnostic;

/// How often a starting program is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How long one question for health may take.
const HEALTH_WITHIN: Duration = Duration::from_secs(2);

/// Where lines of output are told to.
pub type Say<'a> = &'a (dyn Fn(String) + Sync);

/// Where servers are started and set up.
#[derive(Clone, Debug)]
pub struct Place {
    /// The pipeline's folder, absolute: the working folder of all commands.
    pub dir: PathBuf,
    /// The folder that holds the set-ups, absolute.
    pub envs: PathBuf,
    /// The folder for the servers' logs.
    pub logs: PathBuf,
    /// This program, which is run again as the supervisor.
    pub exe: PathBuf,
}

impl Place {
    /// Servers of the pipeline in `dir`, set up in the store at `cache`, with logs in `logs`.
    ///
    /// # Errors
    /// The working folder or this program's own path is not known.
    pub fn new(dir: &Path, cache: &Path, logs: &Path) -> io::Result<Place> {
        let absolute = |path: &Path| {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            std::path::absolute(path)
        };
        Ok(Place {
            dir: absolute(dir)?,
            envs: absolute(cache)?.join("envs"),
            logs: absolute(logs)?,
            exe: std::env::current_exe()?,
        })
    }

    /// The environment variables of a server, with the places filled in.
    pub(super) fn env(
        &self,
        spec: &ServeSpec,
        port: Option<u16>,
        setup: Option<&Path>,
    ) -> BTreeMap<String, String> {
        spec.env
            .iter()
            .map(|(name, value)| (name.clone(), fill(value, self, port, setup)))
            .collect()
    }
}

/// A word of a command with `{dir}`, `{port}` and `{setup_dir}` filled in, as far as known.
/// Other braces stay: arguments may be JSON.
pub(super) fn fill(word: &str, place: &Place, port: Option<u16>, setup: Option<&Path>) -> String {
    let mut word = word.replace("{dir}", &place.dir.to_string_lossy());
    if let Some(port) = port {
        word = word.replace("{port}", &port.to_string());
    }
    if let Some(setup) = setup {
        word = word.replace("{setup_dir}", &setup.to_string_lossy());
    }
    word
}

/// A running server. Dropping it ends it too, a moment later.
pub struct Server {
    /// The base of its address, for [`ModelSpec::with_url`].
    pub url: String,
    port: u16,
    running: Leashed,
}

impl Server {
    /// Sets the model's server up if that was not done before, starts it, and waits until it
    /// is ready. `None` if the model has no `serve`.
    ///
    /// # Errors
    /// What failed, with the exit code and the log file.
    pub async fn start(
        model: &ModelSpec,
        place: &Place,
        say: Say<'_>,
    ) -> Result<Option<Server>, Diagnostic> {
        let never = std::future::pending();
        Server::start_until(model, place, 0, say, never).await
    }

    /// The same for the `round`-th time (from 0) in a run, until `stop`: then what was begun is
    /// ended, which is awaited.
    ///
    /// # Errors
    /// As [`Server::start`], and when it was stopped.
    pub async fn start_until(
        model: &ModelSpec,
        place: &Place,
        round: u32,
        say: Say<'_>,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Server>, Diagnostic> {
        let Some(spec) = &model.serve else {
            return Ok(None);
        };
        let port = port(&model.name, spec)?;
        let server = Server::start_on(model, spec, place, (port, round), say, stop).await?;
        Ok(Some(server))
    }

    /// Starts a server that has died again, at the same address.
    ///
    /// # Errors
    /// As [`Server::start_until`].
    pub async fn again(
        &self,
        model: &ModelSpec,
        place: &Place,
        round: u32,
        say: Say<'_>,
        stop: impl Future<Output = ()>,
    ) -> Result<Server, Diagnostic> {
        let Some(spec) = &model.serve else {
            return Err(Diagnostic::error("the model has no `serve`"));
        };
        Server::start_on(model, spec, place, (self.port, round), say, stop).await
    }

    async fn start_on(
        model: &ModelSpec,
        spec: &ServeSpec,
        place: &Place,
        (port, round): (u16, u32),
        say: Say<'_>,
        stop: impl Future<Output = ()>,
    ) -> Result<Server, Diagnostic> {
        let name = &model.name;
        let stopped = || Diagnostic::error(format!("the start of model `{name}` was stopped"));
        let mut stop = std::pin::pin!(stop);
        let setup = tokio::select! {
            biased;
            () = &mut stop => return Err(stopped()),
            setup = prepare(name, spec, place, say) => setup?,
        };
        let fill = |word: &String| fill(word, place, Some(port), setup.as_deref());
        let argv: Vec<String> = spec.command.iter().map(fill).collect();
        let env = place.env(spec, Some(port), setup.as_deref());
        // What a server said before it died stays to be read.
        let log = match round {
            0 => format!("serve-{}.log", file_name(name)),
            round => format!("serve-{}.{round}.log", file_name(name)),
        };
        let log = place.logs.join(log);
        say(format!(
            "starting the server of model `{name}`; its log is `{}`",
            log.display()
        ));
        let running = Leashed::start(place, &argv, &env, &log).map_err(|why| {
            Diagnostic::error(format!("cannot start the server of model `{name}`: {why}"))
        })?;
        let mut server = Server {
            url: model.url_on(port),
            port,
            running,
        };
        let ready = tokio::select! {
            biased;
            () = &mut stop => Err(stopped()),
            ready = server.ready(name, spec) => ready,
        };
        match ready {
            Ok(()) => Ok(server),
            Err(fault) => {
                server.stop().await;
                Err(fault)
            }
        }
    }

    /// How it ended by itself, in words, if it did.
    pub fn ended(&mut self) -> Option<String> {
        match self.running.ended() {
            Ok(None) => None,
            Ok(Some(status)) => Some(how(status)),
            Err(why) => Some(format!("is out of sight: {why}")),
        }
    }

    /// Ends the server and waits until it is gone.
    pub async fn stop(self) {
        self.running.stop().await;
    }

    async fn ready(&mut self, name: &str, spec: &ServeSpec) -> Result<(), Diagnostic> {
        let (health, http) = health(&self.url, &spec.health)
            .and_then(|url| {
                http_client(&url, HeaderMap::new())
                    .ok()
                    .map(|http| (url, http))
            })
            .ok_or_else(|| Diagnostic::error(format!("model `{name}` has no valid `url`")))?;
        let deadline = Instant::now() + spec.startup_timeout();
        let mut last = None;
        loop {
            let answer = http.get(health.clone()).timeout(HEALTH_WITHIN).send().await;
            let status = answer.ok().map(|answer| answer.status());
            // Looked at after the answer: it might have come from somebody else.
            match self.running.ended() {
                Ok(None) => {}
                Ok(Some(exit)) => {
                    let message = format!("the server of model `{name}` {}", how(exit));
                    return Err(self.fault(message));
                }
                Err(why) => {
                    let message = format!("lost sight of the server of model `{name}`: {why}");
                    return Err(self.fault(message));
                }
            }
            if status == Some(StatusCode::OK) {
                return Ok(());
            }
            last = status.or(last);
            if Instant::now() >= deadline {
                let message = format!(
                    "the server of model `{name}` was not ready after {} seconds",
                    spec.startup_timeout
                );
                let fault = self.fault(message).note(match last {
                    Some(status) => {
                        format!("`{}` answered with status {}", spec.health, status.as_u16())
                    }
                    None => format!("nobody answered at `{}`", spec.health),
                });
                return Err(fault.help(if last == Some(StatusCode::NOT_FOUND) {
                    "name the path that tells when the server is ready with `health`"
                } else {
                    "give it more time with `startup_timeout`"
                }));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A fault with the log and its end. Nothing was asked yet, so no prompt can be in it.
    fn fault(&self, message: String) -> Diagnostic {
        let log = self.running.log();
        let mut fault = Diagnostic::error(message).note(format!("its log is `{}`", log.display()));
        for line in last_lines(log, 5) {
            fault = fault.note(line);
        }
        fault
    }
}

/// The address that tells when a server is ready: a path of the server itself.
pub(super) fn health(url: &str, path: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    // `//host` and the like lead elsewhere.
    url.join(path)
        .ok()
        .filter(|joined| joined.origin() == url.origin())
}

/// The port to use: a free one, or the one that is asked for, if it is free.
fn port(name: &str, spec: &ServeSpec) -> Result<u16, Diagnostic> {
    let wanted = match spec.port {
        Port::Fixed(port) => port,
        Port::Free(_) => 0,
    };
    TcpListener::bind(("127.0.0.1", wanted))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|why| {
            Diagnostic::error(format!(
                "the server of model `{name}` cannot have port {wanted}: {why}"
            ))
            .help("say `port: auto` to use a free one")
        })
}

/// A model's name as part of a file's name.
fn file_name(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
