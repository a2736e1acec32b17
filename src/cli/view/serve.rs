//! The page over HTTP, to this computer alone: what it is, its data, and a word when there are
//! newer ones (server-sent events). Knows nothing of how they are made.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::stream::{Stream, unfold};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch::Receiver;

use super::page::Shown;
use crate::report::page::live;

/// How long a silent connection is left alone.
const ALIVE: Duration = Duration::from_secs(15);
/// How long a browser waits for the first page.
const FIRST: Duration = Duration::from_secs(120);

/// Serves the page of a pipeline under `/TOKEN/`.
///
/// # Errors
/// No connection can be taken any more.
pub async fn serve(
    listener: TcpListener,
    token: &str,
    name: &str,
    shown: Receiver<Shown>,
) -> io::Result<()> {
    let page = live(name);
    let router = Router::new()
        .route(&format!("/{token}/"), get(|| async { Html(page) }))
        .route(&format!("/{token}/overview"), get(overview))
        .route(
            &format!("/{token}/blocks/{{version}}/{{number}}"),
            get(block),
        )
        .route(&format!("/{token}/events"), get(events))
        .with_state(shown)
        .layer(from_fn(guard));
    axum::serve(listener, router).await
}

/// Answers only who asked for this computer by its name, so that a page from elsewhere whose
/// name leads here learns nothing; and tells browsers to keep and show nothing elsewhere.
async fn guard(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    if !host.is_some_and(is_here) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// True for this computer's own names, with any port: a tunnel has another one.
fn is_here(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "127.0.0.1" | "localhost" | "[::1]")
}

async fn overview(State(mut shown): State<Receiver<Shown>>) -> Response {
    let there = shown.wait_for(|shown| shown.latest().is_some() || shown.fault.is_some());
    let found = match tokio::time::timeout(FIRST, there).await {
        Ok(Ok(shown)) => shown.latest().cloned(),
        _ => None,
    };
    let Some(data) = found else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let mut response = json_of(data.overview.clone());
    let version = HeaderName::from_static("clue-version");
    response
        .headers_mut()
        .insert(version, HeaderValue::from(data.version));
    response
}

async fn block(
    Path((version, number)): Path<(u64, usize)>,
    State(shown): State<Receiver<Shown>>,
) -> Response {
    let found = shown.borrow().block(version, number);
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), json_of)
}

fn json_of(body: impl Into<Body>) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], body.into()).into_response()
}

async fn events(
    State(shown): State<Receiver<Shown>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let stream = unfold((shown, true), |(mut shown, first)| async move {
        if !first {
            shown.changed().await.ok()?;
        }
        let event = {
            let now = shown.borrow_and_update();
            let version = now.latest().map(|data| data.version.to_string());
            let told = json!({"version": version, "fault": now.fault});
            Event::default().event("state").data(told.to_string())
        };
        Some((Ok(event), (shown, false)))
    });
    Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_computers_names_are_answered() {
        for host in [
            "127.0.0.1:80",
            "localhost:8000",
            "[::1]:1",
            "[::1]",
            "localhost",
        ] {
            assert!(is_here(host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
            "::1",
            "a:b",
            "",
        ] {
            assert!(!is_here(host), "{host}");
        }
    }
}
