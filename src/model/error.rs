//! Why a call failed. Owns the kinds, which of them may pass by waiting, and how a server's
//! refusal is told apart; never keeps a server's words, since they may quote the prompt.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallError {
    /// No connection could be made.
    Unreachable {
        /// Host and port.
        host: String,
    },
    /// No whole answer in time.
    Timeout,
    /// The connection ended before the answer did.
    Cut,
    /// All attempts together took longer than the model's `deadline`.
    Deadline,
    /// The run stopped before the call was tried again.
    Stopped,
    /// The server is there, and still loads its model (llama.cpp's 503).
    Loading,
    /// The server is busy (429).
    RateLimited,
    /// The server refuses the token (401, 403).
    WrongKey {
        /// The status.
        code: u16,
    },
    /// The server knows no such model, or no such path (404).
    UnknownModel {
        /// The model's name on the server.
        id: String,
    },
    /// The prompt does not fit into the model's context.
    ContextOverflow {
        /// Tokens of the prompt, if the server told.
        prompt: Option<u64>,
        /// Tokens of the context, if the server told.
        limit: Option<u64>,
    },
    /// The model, or its server, cannot go on from a beginning that the prompt gives.
    NoPrefill {
        /// The status.
        code: u16,
    },
    /// The server points to another address (3xx), which is not followed.
    Redirect {
        /// The status.
        code: u16,
    },
    /// Any other status that is not 200.
    Status {
        /// The status.
        code: u16,
    },
    /// The answer is not the JSON that the API promises.
    BadJson,
    /// The answer is JSON without an answer in it.
    NoChoice,
    /// The answer is larger than any answer should be.
    TooLarge,
    /// The server does not cut texts into tokens for others (no such path, or not allowed).
    NoTokenizer {
        /// The status.
        code: u16,
    },
    /// The answer does not say how a text is cut into tokens.
    NoPieces,
}

impl CallError {
    /// True when the same request may well succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            CallError::Unreachable { .. }
            | CallError::Timeout
            | CallError::Cut
            | CallError::Loading
            | CallError::RateLimited
            | CallError::BadJson => true,
            // 424 is TGI's word for a generation that broke.
            CallError::Status { code } => *code >= 500 || matches!(code, 408 | 424),
            _ => false,
        }
    }

    /// True when what is asked is at fault: asked again, it fares no better.
    pub fn is_of_request(&self) -> bool {
        match self {
            CallError::ContextOverflow { .. } => true,
            CallError::Status { code } => matches!(code, 400 | 413 | 422),
            _ => false,
        }
    }

    /// True when the server says that it has too much to do. 503 is also said by servers that are
    /// being started, or that are broken: fewer requests would not help those.
    pub fn is_overload(&self) -> bool {
        matches!(
            self,
            CallError::RateLimited | CallError::Status { code: 529 }
        )
    }

    /// What a status other than 200 means, with the help of the body that came with it.
    /// `prefilled` says that the answer was to go on from a beginning.
    pub fn of_status(code: u16, body: &[u8], id: &str, prefilled: bool) -> CallError {
        let (error, message) = complaint(body);
        if let Some(overflow) = overflow(&error, &message) {
            return overflow;
        }
        if prefilled && matches!(code, 400 | 422) && is_about_prefill(&message) {
            return CallError::NoPrefill { code };
        }
        match code {
            300..=399 => CallError::Redirect { code },
            401 | 403 => CallError::WrongKey { code },
            404 => CallError::UnknownModel { id: id.to_owned() },
            429 => CallError::RateLimited,
            503 if message == "Loading model" => CallError::Loading,
            _ => CallError::Status { code },
        }
    }
}

/// The error in a body, and its sentence. TGI has the sentence alone where others have an object.
fn complaint(body: &[u8]) -> (Value, String) {
    let mut json: Value = serde_json::from_slice(body).unwrap_or_default();
    match json.get_mut("error").map(Value::take) {
        Some(Value::String(message)) => (json, message),
        Some(error @ Value::Object(_)) => {
            let message = error["message"].as_str().unwrap_or("").to_owned();
            (error, message)
        }
        _ => {
            let message = json["message"].as_str().unwrap_or("").to_owned();
            (json, message)
        }
    }
}

/// True when the sentence refuses the beginning of an answer, as Anthropic, llama.cpp, Mistral and
/// OpenAI (which does not know the field for it) do.
fn is_about_prefill(message: &str) -> bool {
    let words = [
        "prefill",
        "pre-fill",
        "continue_final_message",
        "final `assistant` message must start with",
        "Expected last role",
    ];
    words.iter().any(|word| message.contains(word))
}

/// Finds out whether an error complains of a prompt that is too long: llama.cpp says so by `type`
/// and numbers of its own, OpenAI by `code`, vLLM, TGI and Anthropic in a sentence.
fn overflow(error: &Value, message: &str) -> Option<CallError> {
    let is = |key: &str, word: &str| error.get(key).and_then(Value::as_str) == Some(word);
    if is("type", "exceed_context_size_error") {
        let number = |key: &str| error.get(key).and_then(Value::as_u64);
        return Some(CallError::ContextOverflow {
            prompt: number("n_prompt_tokens"),
            limit: number("n_ctx"),
        });
    }
    if is("type", "invalid_request_error") && message.contains("prompt is too long") {
        return Some(CallError::ContextOverflow {
            prompt: number_after(message, "too long: "),
            limit: number_after(message, " > "),
        });
    }
    if is("type", "invalid_request_error") && message.contains("exceed context limit") {
        return Some(CallError::ContextOverflow {
            prompt: number_after(message, "exceed context limit: "),
            limit: number_after(message, " > "),
        });
    }
    let tgi = message.contains("`inputs` ") && is("error_type", "validation");
    let told = |words| tgi.then(|| number_after(message, words)).flatten();
    if let Some(limit) = told("must be <= ").or_else(|| told("must have less than ")) {
        return Some(CallError::ContextOverflow {
            prompt: number_after(message, "Given: "),
            limit: Some(limit),
        });
    }
    let limit = number_after(message, "maximum context length is ");
    (is("code", "context_length_exceeded") || limit.is_some()).then(|| CallError::ContextOverflow {
        prompt: number_before(message, " in the messages")
            .or_else(|| number_before(message, " in the prompt"))
            .or_else(|| number_before(message, " input tokens"))
            .or_else(|| number_after(message, "resulted in ")),
        limit,
    })
}

fn number_after(text: &str, words: &str) -> Option<u64> {
    let rest = &text[text.find(words)? + words.len()..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn number_before(text: &str, words: &str) -> Option<u64> {
    let rest = &text[..text.find(words)?];
    let start = rest.rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| {
        at + rest[at..].chars().next().map_or(1, char::len_utf8)
    });
    rest[start..].parse().ok()
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unreachable { host } => write!(f, "no connection to `{host}`"),
            CallError::Timeout => f.write_str("no answer in time"),
            CallError::Cut => f.write_str("the connection was cut before the answer was whole"),
            CallError::Deadline => f.write_str("no answer within the model's `deadline`"),
            CallError::Stopped => f.write_str("the run stopped"),
            CallError::Loading => f.write_str("the server is still loading its model"),
            CallError::RateLimited => f.write_str("the server is busy (status 429)"),
            CallError::WrongKey { code } => {
                write!(f, "the server refuses the token (status {code})")
            }
            CallError::UnknownModel { id } => write!(
                f,
                "the server knows no model `{id}`, or the path of its `url` is wrong (status 404)"
            ),
            CallError::ContextOverflow { prompt, limit } => {
                f.write_str("the prompt does not fit into the model's context")?;
                match (prompt, limit) {
                    (Some(p), Some(l)) => write!(f, " ({p} tokens, {l} fit)"),
                    (Some(p), None) => write!(f, " ({p} tokens)"),
                    (None, Some(l)) => write!(f, " ({l} tokens fit)"),
                    (None, None) => Ok(()),
                }
            }
            CallError::NoPrefill { code } => write!(
                f,
                "the model cannot go on from the beginning of an answer (status {code}); leave out the prompt's last `{{% assistant %}}`"
            ),
            CallError::Redirect { code } => write!(
                f,
                "the server points to another address, which is not followed (status {code})"
            ),
            CallError::Status { code: 529 } => f.write_str("the server is overloaded (status 529)"),
            CallError::Status { code } => write!(f, "the server answered with status {code}"),
            CallError::BadJson => f.write_str("the answer is not valid JSON of this API"),
            CallError::NoChoice => f.write_str("the answer holds no generated text"),
            CallError::TooLarge => f.write_str("the answer is too large"),
            CallError::NoTokenizer { code } => write!(
                f,
                "the server has no `/tokenize` (status {code}); name a `tokenizer.json` instead"
            ),
            CallError::NoPieces => f.write_str(
                "the server does not say which part of the text each token is; name a `tokenizer.json` instead",
            ),
        }
    }
}

impl std::error::Error for CallError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn overflow_of(body: &str) -> (Option<u64>, Option<u64>) {
        match CallError::of_status(400, body.as_bytes(), "m", false) {
            CallError::ContextOverflow { prompt, limit } => (prompt, limit),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn overflow_is_known_in_five_dialects() {
        assert_eq!(
            overflow_of(
                r#"{"error":{"code":400,"message":"too long","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}"#
            ),
            (Some(9000), Some(8192))
        );
        assert_eq!(
            overflow_of(
                r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 5100 tokens (5000 in the messages, 100 in the completion).","code":400}"#
            ),
            (Some(5000), Some(4096))
        );
        assert_eq!(
            overflow_of(r#"{"error":{"message":"no","code":"context_length_exceeded"}}"#),
            (None, None)
        );
        assert_eq!(
            overflow_of(
                r#"{"error":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 200 `max_new_tokens`","error_type":"validation"}"#
            ),
            (Some(4000), Some(4096))
        );
        assert_eq!(
            overflow_of(
                r#"{"error":"Input validation error: `inputs` must have less than 1024 tokens. Given: 1500","error_type":"validation"}"#
            ),
            (Some(1500), Some(1024))
        );
        let claude = |message: &str| {
            let error = serde_json::json!({"type": "invalid_request_error", "message": message});
            overflow_of(&serde_json::json!({"type": "error", "error": error}).to_string())
        };
        assert_eq!(
            claude("prompt is too long: 210000 tokens > 200000 maximum"),
            (Some(210_000), Some(200_000))
        );
        assert_eq!(
            claude(
                "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000, decrease it"
            ),
            (Some(199_000), Some(200_000))
        );
    }

    #[test]
    fn other_complaints_of_tgi_are_no_overflow() {
        let body = br#"{"error":"Input validation error: `temperature` must be strictly positive","error_type":"validation"}"#;
        assert_eq!(
            CallError::of_status(422, body, "m", false),
            CallError::Status { code: 422 }
        );
    }

    #[test]
    fn a_refused_prefill_is_known_if_there_was_one() {
        let refused = |message: &str, prefilled| {
            let body = serde_json::json!({"error": {"message": message}}).to_string();
            CallError::of_status(400, body.as_bytes(), "m", prefilled)
        };
        for message in [
            "This model does not support assistant message prefill.",
            "Assistant response prefill is incompatible with enable_thinking.",
            "Unrecognized request arguments supplied: continue_final_message",
            "Expected last role User or Tool but got assistant",
        ] {
            assert_eq!(refused(message, true), CallError::NoPrefill { code: 400 });
            assert_eq!(refused(message, false), CallError::Status { code: 400 });
        }
        assert_eq!(refused("no", true), CallError::Status { code: 400 });
    }

    #[test]
    fn a_servers_words_are_never_repeated() {
        let body = br#"{"error":{"message":"bad request: Mr Smith was admitted"}}"#;
        for code in [302, 400, 401, 404, 422, 429, 500] {
            let text = CallError::of_status(code, body, "m", true).to_string();
            assert!(!text.contains("Smith"), "{text}");
            assert!(!text.contains('\n'));
        }
    }

    #[test]
    fn a_server_that_loads_its_model_is_told_from_a_broken_one() {
        let of = |message: &str| {
            let body =
                serde_json::json!({"error": {"message": message, "type": "unavailable_error"}});
            CallError::of_status(503, body.to_string().as_bytes(), "m", false)
        };
        assert_eq!(of("Loading model"), CallError::Loading);
        assert_eq!(of("no"), CallError::Status { code: 503 });
    }

    #[test]
    fn only_passing_faults_are_tried_again() {
        let kind = |code| CallError::of_status(code, b"", "m", false).is_transient();
        assert!(kind(429) && kind(500) && kind(503) && kind(408));
        assert!(kind(424) && kind(529));
        assert!(!kind(400) && !kind(401) && !kind(404) && !kind(302));
        assert!(!CallError::NoChoice.is_transient());
    }
}
