//! The client against servers that misbehave.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::super::exchange::MOST_BYTES;
use super::*;
use crate::model::chat::{Chat, Question, Role, Turn};
use crate::model::spec::{Addresses, Concurrency};

const GOOD: &str = r#"{"choices":[{"message":{"content":"yes"},"finish_reason":"stop"}]}"#;

/// What the server does with one connection.
#[derive(Clone)]
enum Act {
    /// Status line's rest, further header lines, body.
    Say(&'static str, &'static str, String),
    /// Promises more than it sends.
    Cut,
    /// Says nothing.
    Hang,
}

fn ok(body: &str) -> Act {
    Act::Say("200 OK", "", body.to_owned())
}

/// The requests that a server saw, as text.
type Seen = Arc<Mutex<Vec<String>>>;

/// Serves one act per connection, the last one for ever.
async fn server(acts: Vec<Act>) -> (ModelSpec, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let log = seen.clone();
    tokio::spawn(async move {
        let mut at = 0;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let act = acts[at.min(acts.len() - 1)].clone();
            at += 1;
            tokio::spawn(serve(stream, act, log.clone()));
        }
    });
    let mut spec = ModelSpec::new("m", "llama").with_url(&format!("http://127.0.0.1:{port}/v1/"));
    spec.timeout = 5.0;
    (spec, seen)
}

async fn serve(mut stream: TcpStream, act: Act, seen: Seen) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    while !request.ends_with(b"}") {
        match stream.read(&mut part).await.unwrap() {
            0 => break,
            n => request.extend_from_slice(&part[..n]),
        }
    }
    seen.lock()
        .unwrap()
        .push(String::from_utf8(request).unwrap());
    let answer = match act {
        Act::Say(status, headers, body) => format!(
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}",
            body.len()
        ),
        Act::Cut => "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"choi".to_owned(),
        Act::Hang => return tokio::time::sleep(Duration::from_secs(60)).await,
    };
    stream.write_all(answer.as_bytes()).await.unwrap();
    let _ = stream.shutdown().await;
}

fn client(spec: &ModelSpec) -> Client {
    let quick = Backoff {
        base: Duration::from_millis(2),
        cap: Duration::from_millis(5),
    };
    Client::with_backoff(spec, Box::new(|_| {}), quick).unwrap()
}

fn request(spec: &ModelSpec) -> Request {
    Request {
        model: Arc::new(spec.clone()),
        question: Question::Chat(Chat {
            turns: vec![Turn {
                role: Role::User,
                text: "well?".to_owned(),
            }],
            prefill: String::new(),
            text: None,
            schema: None,
        }),
    }
}

#[tokio::test]
async fn a_text_is_cut_into_tokens_beside_the_api() {
    let good = ok(r#"{"tokens":[{"id":1,"piece":"we"},{"id":2,"piece":"ll?"}]}"#);
    let busy = Act::Say("503 Loading", "", String::new());
    let (spec, seen) = server(vec![busy, good]).await;
    let mut asked = request(&spec);
    asked.question = Question::Tokens("well?".into());
    let reply = client(&spec).call(&asked).await.unwrap();
    assert_eq!(reply.token_bytes, Some(vec![2, 3]));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].starts_with("POST /tokenize HTTP"), "{}", seen[1]);
    assert!(seen[1].contains(r#""content":"well?""#), "{}", seen[1]);
}

#[tokio::test]
async fn a_server_without_a_tokenizer_is_told() {
    let none = Act::Say("404 Not Found", "", "{}".to_owned());
    let (spec, seen) = server(vec![none]).await;
    let mut asked = request(&spec);
    asked.question = Question::Tokens("well?".into());
    let error = client(&spec).call(&asked).await.unwrap_err();
    assert_eq!(error, CallError::NoTokenizer { code: 404 });
    assert_eq!(seen.lock().unwrap().len(), 1);
}

/// One call: what came of it, and how many requests the server saw.
async fn one(acts: Vec<Act>) -> (Result<String, CallError>, usize) {
    let (mut spec, seen) = server(acts).await;
    spec.retries = 3;
    spec.timeout = 0.2;
    let got = client(&spec).call(&request(&spec)).await;
    let count = seen.lock().unwrap().len();
    (got.map(|reply| reply.text), count)
}

#[tokio::test]
async fn a_request_goes_out_and_its_answer_comes_back() {
    let (spec, seen) = server(vec![ok(GOOD)]).await;
    let reply = client(&spec).call(&request(&spec)).await.unwrap();
    assert_eq!(reply.text, "yes");
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].starts_with("POST /v1/chat/completions HTTP/1.1\r\n"),
        "{seen:?}"
    );
    assert!(!seen[0].to_lowercase().contains("authorization"));
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let say = |status, body: &str| Act::Say(status, "", body.to_owned());
    let yes = Ok("yes".to_owned());
    let two = |act| one(vec![act, ok(GOOD)]);
    assert_eq!(two(say("500 Oh", "")).await, (yes.clone(), 2));
    assert_eq!(two(say("503 Loading", "{}")).await, (yes.clone(), 2));
    assert_eq!(two(Act::Cut).await, (yes.clone(), 2));
    assert_eq!(two(Act::Hang).await, (yes.clone(), 2));
    assert_eq!(two(ok("{\"choices\": [")).await, (yes, 2));
}

#[tokio::test]
async fn what_cannot_pass_is_not() {
    let say = |status, headers, body: &str| Act::Say(status, headers, body.to_owned());
    assert_eq!(
        one(vec![say("401 No", "", "")]).await,
        (Err(CallError::WrongKey { code: 401 }), 1)
    );
    assert_eq!(
        one(vec![say("404 Where", "", "")]).await,
        (Err(CallError::UnknownModel { id: "llama".into() }), 1)
    );
    assert_eq!(
        one(vec![say(
            "302 There",
            "location: http://127.0.0.1:1/\r\n",
            ""
        )])
        .await,
        (Err(CallError::Redirect { code: 302 }), 1)
    );
    let long = r#"{"error":{"type":"exceed_context_size_error","n_prompt_tokens":9,"n_ctx":8}}"#;
    assert_eq!(
        one(vec![say("400 Long", "", long)]).await.0,
        Err(CallError::ContextOverflow {
            prompt: Some(9),
            limit: Some(8)
        })
    );
}

#[tokio::test]
async fn trying_ends() {
    assert_eq!(
        one(vec![Act::Say("500 Oh", "", String::new())]).await,
        (Err(CallError::Status { code: 500 }), 4)
    );
    assert_eq!(one(vec![Act::Cut]).await, (Err(CallError::Cut), 4));
    assert_eq!(one(vec![Act::Hang]).await, (Err(CallError::Timeout), 4));
    assert_eq!(one(vec![ok("<p>")]).await, (Err(CallError::BadJson), 4));
}

#[tokio::test]
async fn a_busy_server_says_when_to_come_back() {
    let busy = Act::Say("429 Busy", "retry-after: 1\r\n", String::new());
    let start = std::time::Instant::now();
    let (got, count) = one(vec![busy, ok(GOOD)]).await;
    assert_eq!((got, count), (Ok("yes".to_owned()), 2));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_wrong_address_fails_soon_and_for_all() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let mut spec = ModelSpec::new("m", "llama").with_url(&format!("http://127.0.0.1:{port}/v1"));
    spec.concurrency = Concurrency::Most(1);
    let client = client(&spec);
    let request = request(&spec);
    let calls = (0..50).map(|_| client.call(&request));
    for got in futures::future::join_all(calls).await {
        let host = format!("127.0.0.1:{port}");
        assert_eq!(got, Err(CallError::Unreachable { host }));
    }
    assert_eq!(client.pool().sent(), [u64::from(FIRST_TRIES)]);
}

#[tokio::test]
async fn no_more_requests_are_open_than_allowed() {
    let (mut spec, seen) = server(vec![Act::Hang]).await;
    spec.concurrency = Concurrency::Most(3);
    let client = client(&spec);
    let request = request(&spec);
    let calls = futures::future::join_all((0..9).map(|_| client.call(&request)));
    let _ = tokio::time::timeout(Duration::from_millis(300), calls).await;
    assert_eq!(seen.lock().unwrap().len(), 3);
}

/// A model with a list of servers.
fn shared(urls: &[&ModelSpec]) -> ModelSpec {
    let urls = urls.iter().flat_map(|spec| spec.urls().to_vec());
    let mut spec = ModelSpec::new("m", "llama");
    spec.url = Some(Addresses::Many(urls.collect()));
    spec.timeout = 5.0;
    spec
}

#[tokio::test]
async fn a_server_that_is_not_there_is_routed_round() {
    let gone = ModelSpec::new("m", "llama").with_url("http://127.0.0.1:9/v1");
    let (good, seen) = server(vec![ok(GOOD)]).await;
    let client = client(&shared(&[&gone, &good]));
    let request = request(&good);
    let calls = (0..20).map(|_| client.call(&request));
    for got in futures::future::join_all(calls).await {
        assert_eq!(got.map(|reply| reply.text), Ok("yes".to_owned()));
    }
    assert_eq!(seen.lock().unwrap().len(), 20);
}

#[tokio::test]
async fn a_server_that_fails_fast_does_not_draw_all_requests() {
    let (bad, seen) = server(vec![Act::Say("500 Oh", "", String::new())]).await;
    let (good, _) = server(vec![ok(GOOD)]).await;
    let mut spec = shared(&[&bad, &good]);
    spec.concurrency = Concurrency::Most(2);
    let client = client(&spec);
    let request = request(&good);
    for got in futures::future::join_all((0..200).map(|_| client.call(&request))).await {
        assert!(got.is_ok(), "{got:?}");
    }
    let count = seen.lock().unwrap().len();
    // It would draw at least as many as the other one if nobody minded. How many fewer depends on
    // how long the machine takes for them all.
    assert!(count < 100, "{count} requests to a server that fails");
}

#[tokio::test]
async fn no_call_waits_for_a_busy_server_while_another_one_is_free() {
    let busy = Act::Say("429 Busy", "retry-after: 3600\r\n", String::new());
    let (busy, seen) = server(vec![busy]).await;
    let (good, _) = server(vec![ok(GOOD)]).await;
    let mut spec = shared(&[&busy, &good]);
    (spec.concurrency, spec.retries) = (Concurrency::Most(2), 1);
    let client = client(&spec);
    let request = request(&good);
    let calls = futures::future::join_all((0..60).map(|_| client.call(&request)));
    let all = tokio::time::timeout(Duration::from_secs(20), calls).await;
    for got in all.expect("in time") {
        assert!(got.is_ok(), "{got:?}");
    }
    assert!(seen.lock().unwrap().len() <= 4);
}

#[tokio::test]
async fn a_busy_server_is_waited_for_as_one_that_is_gone() {
    let busy = || Act::Say("429 Busy", "", String::new());
    let acts = std::iter::repeat_with(busy).take(30).chain([ok(GOOD)]);
    let (mut spec, _) = server(acts.collect()).await;
    spec.retries = 1;
    assert!(client(&spec).call(&request(&spec)).await.is_ok());
    let (mut spec, _) = server(vec![busy()]).await;
    (spec.retries, spec.patience) = (1, 0.05);
    let got = client(&spec).call(&request(&spec)).await;
    assert_eq!(got, Err(CallError::RateLimited));
}

#[tokio::test]
async fn servers_that_all_fail_end_a_call() {
    let bad = || vec![Act::Say("500 Oh", "", String::new())];
    let (one, _) = server(bad()).await;
    let (two, _) = server(bad()).await;
    let mut spec = shared(&[&one, &two]);
    spec.retries = 2;
    let client = client(&spec);
    let request = request(&one);
    let calls = futures::future::join_all((0..200).map(|_| client.call(&request)));
    let all = tokio::time::timeout(Duration::from_secs(20), calls).await;
    for got in all.expect("in time") {
        assert_eq!(got, Err(CallError::Status { code: 500 }));
    }
}

#[tokio::test]
async fn a_slow_request_goes_to_another_server_too() {
    let (slow, seen) = server(vec![Act::Hang]).await;
    let (good, _) = server(vec![ok(GOOD)]).await;
    let mut spec = shared(&[&slow, &good]);
    spec.hedge = Some(0.05);
    let client = client(&spec);
    let start = std::time::Instant::now();
    let reply = client.call(&request(&good)).await.unwrap();
    assert_eq!(reply.text, "yes");
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_model_that_is_being_loaded_is_waited_for() {
    let loading = r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#;
    let loading = || Act::Say("503 Service Unavailable", "", loading.to_owned());
    let acts = std::iter::repeat_with(loading).take(8).chain([ok(GOOD)]);
    let (mut spec, seen) = server(acts.collect()).await;
    // No attempt is lost on it.
    spec.retries = 0;
    let reply = client(&spec).call(&request(&spec)).await.unwrap();
    assert_eq!(reply.text, "yes");
    assert_eq!(seen.lock().unwrap().len(), 9);
    let (mut spec, _) = server(vec![loading()]).await;
    spec.patience = 0.05;
    let got = client(&spec).call(&request(&spec)).await;
    assert_eq!(got, Err(CallError::Loading));
}

#[tokio::test]
async fn a_deadline_holds_for_all_attempts_together() {
    let (mut spec, seen) = server(vec![Act::Hang]).await;
    (spec.timeout, spec.deadline, spec.retries) = (0.1, Some(0.35), 100);
    let got = client(&spec).call(&request(&spec)).await;
    assert_eq!(got, Err(CallError::Deadline));
    let count = seen.lock().unwrap().len();
    assert!((2..=4).contains(&count), "{count}");
}

#[tokio::test]
async fn requests_keep_the_pace() {
    let (mut spec, seen) = server(vec![ok(GOOD)]).await;
    // One a tenth of a second.
    spec.requests_per_minute = Some(600);
    let client = client(&spec);
    let request = request(&spec);
    let start = std::time::Instant::now();
    // Sixty go at once.
    let calls = (0..65).map(|_| client.call(&request));
    futures::future::join_all(calls).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(500), "{took:?}");
    assert_eq!(seen.lock().unwrap().len(), 65);
}

#[tokio::test]
async fn waiting_ends_when_the_run_stops() {
    let busy = Act::Say("429 Busy", "retry-after: 60\r\n", String::new());
    let (spec, _) = server(vec![busy]).await;
    let client = client(&spec);
    let request = request(&spec);
    let permit = client.admit(&request).await.unwrap();
    let stop = tokio::time::sleep(Duration::from_millis(50));
    let got = client.ask(&request, permit, stop, &|_| {}).await;
    assert_eq!(got, Err(CallError::Stopped));
}

#[tokio::test]
async fn an_endless_answer_is_refused() {
    let huge = "x".repeat(MOST_BYTES + 1);
    let (mut spec, _) = server(vec![ok(&huge)]).await;
    spec.retries = 0;
    spec.timeout = 20.0;
    let got = client(&spec).call(&request(&spec)).await;
    assert_eq!(got, Err(CallError::TooLarge));
}

#[test]
fn a_missing_token_is_told_before_anything_is_sent() {
    let mut spec = ModelSpec::new("m", "llama").with_url("http://127.0.0.1:1/v1");
    spec.key_env = Some("CLUE_TEST_NO_SUCH_TOKEN".to_owned());
    let Err(fault) = Client::new(&spec) else {
        panic!("a client without its token");
    };
    assert_eq!(
        fault.message,
        "model `m` needs the environment variable `CLUE_TEST_NO_SUCH_TOKEN`"
    );
}
