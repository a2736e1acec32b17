//! The server: reads as little of a request as HTTP/1.1 allows, and answers from one buffer. A
//! `GET` is told how many chats it answered.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const BODY: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"mock","choices":[{"index":0,"message":{"role":"assistant","content":"The patient was seen and sent home."},"finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":8,"total_tokens":20}}"#;

static ANSWERED: AtomicUsize = AtomicUsize::new(0);

/// Serves until it is killed.
pub async fn serve(latency: u64) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("{}", listener.local_addr().expect("an address").port());
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Duration::from_millis(latency)));
        }
    }
}

async fn answer(mut stream: TcpStream, latency: Duration) {
    let _ = stream.set_nodelay(true);
    let reply = http(BODY);
    let mut bytes = Vec::with_capacity(1 << 14);
    loop {
        let whole = loop {
            if let Some(length) = length(&bytes)
                && bytes.len() >= length
            {
                break length;
            }
            match stream.read_buf(&mut bytes).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        };
        let counts = bytes.starts_with(b"GET");
        bytes.drain(..whole);
        let sent = if counts {
            let answered = ANSWERED.load(Ordering::Relaxed).to_string();
            stream.write_all(http(&answered).as_bytes()).await
        } else {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            ANSWERED.fetch_add(1, Ordering::Relaxed);
            stream.write_all(reply.as_bytes()).await
        };
        if sent.is_err() {
            return;
        }
    }
}

fn http(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// The length of the first request, once its head is there.
fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let body = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    Some(end + body.unwrap_or(0))
}
