//! The client: the least that a program in Rust does to ask a model and read its answers.

use futures::StreamExt;
use serde_json::{Value, json};

/// Makes the calls.
pub async fn ask(url: &str, calls: usize, width: usize) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let url = format!("{url}/chat/completions");
    let asked = futures::stream::iter(0..calls).map(|at| {
        let (client, url) = (client.clone(), url.clone());
        async move {
            let prompt = format!("What happened to patient {at} in the hospital?");
            let body = json!({"model": "mock", "messages": [{"role": "user", "content": prompt}]});
            let reply = client
                .post(url)
                .json(&body)
                .send()
                .await
                .expect("an answer");
            let reply: Value = reply.json().await.expect("JSON");
            reply["choices"][0]["message"]["content"]
                .as_str()
                .map(str::len)
        }
    });
    let answers: Vec<Option<usize>> = asked.buffer_unordered(width).collect().await;
    assert!(
        answers.iter().all(Option::is_some),
        "an answer without a text"
    );
}
