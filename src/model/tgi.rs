//! Text Generation Inference's own API, `/generate`: a text is gone on with, without any chat
//! template. It stands at the root of the server, beside `/v1`. Pure.
//!
//! TGI refuses a temperature of 0, and samples as soon as a `top_p` or `top_k` is set: the
//! likeliest token each time is `do_sample: false` with none of the three. It also leaves the
//! text at which it stopped at the end of the answer; other APIs do not, and so it is cut off.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::api::Api;
use super::chat::{Chat, Reply};
use super::completions::prompt;
use super::error::CallError;
use super::spec::{ModelSpec, Sampling};
use super::structured;

/// The API of Text Generation Inference.
pub struct Tgi;

impl Api for Tgi {
    fn path(&self) -> &'static str {
        "generate"
    }

    fn is_beside_v1(&self) -> bool {
        true
    }

    fn body(&self, model: &ModelSpec, chat: &Chat) -> Value {
        let mut parameters = parameters(&model.sampling);
        structured::put(model, chat, &mut parameters);
        json!({"inputs": prompt(chat), "parameters": parameters})
    }

    fn reply(&self, model: &ModelSpec, _: &Chat, bytes: &[u8]) -> Result<Reply, CallError> {
        let json: Value = serde_json::from_slice(bytes).map_err(|_| CallError::BadJson)?;
        // Some gateways in front of TGI answer with a list of one.
        let one = match json {
            Value::Array(list) => list.into_iter().next().unwrap_or_default(),
            Value::Object(_) => json,
            _ => return Err(CallError::BadJson),
        };
        let Answer {
            generated_text,
            details,
        } = serde_json::from_value(one).map_err(|_| CallError::NoChoice)?;
        let mut text = generated_text;
        let reason = details.as_ref().and_then(|d| d.finish_reason.as_deref());
        if reason != Some("length") {
            cut_stop(&mut text, model.sampling.stop.as_deref().unwrap_or(&[]));
        }
        let details = details.as_ref();
        // The list is empty unless `decoder_input_details` was asked for.
        let prefill = details.and_then(|d| d.prefill.as_ref()).map(Vec::len);
        Ok(Reply {
            finish_reason: reason.map(|reason| match reason {
                "eos_token" | "stop_sequence" => "stop".to_owned(),
                other => other.to_owned(),
            }),
            prompt_tokens: prefill.filter(|n| *n > 0).map(|n| n as u64),
            answer_tokens: details.and_then(|d| d.generated_tokens),
            text,
            ..Reply::default()
        })
    }

    fn refusal(&self, model: &ModelSpec) -> Option<String> {
        (model.sampling.seed? < 0).then(|| "`api: tgi` takes no negative `seed`".to_owned())
    }
}

fn parameters(sampling: &Sampling) -> Map<String, Value> {
    let mut parameters = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            parameters.insert(name.to_owned(), value);
        }
    };
    if sampling.temperature == Some(0.0) {
        set("do_sample", Some(false.into()));
    } else {
        let drawn = sampling.temperature.map(|_| true.into());
        set("do_sample", drawn);
        set("temperature", sampling.temperature.map(Value::from));
        // Values that keep all tokens are refused: not to send them means the same.
        let top_p = sampling.top_p.filter(|p| *p < 1.0);
        set("top_p", top_p.map(Value::from));
        let top_k = sampling.top_k.filter(|k| *k > 0);
        set("top_k", top_k.map(Value::from));
    }
    set("max_new_tokens", sampling.max_tokens.map(Value::from));
    set("stop", sampling.stop.clone().map(Value::from));
    set("seed", sampling.seed.map(Value::from));
    set("details", Some(true.into()));
    set("return_full_text", Some(false.into()));
    for (name, value) in &sampling.extra {
        set(name, Some(value.clone()));
    }
    parameters
}

/// Cuts off the longest of the stops that the text ends with.
fn cut_stop(text: &mut String, stops: &[String]) {
    let ends = stops.iter().filter(|stop| text.ends_with(stop.as_str()));
    let cut = ends.map(String::len).max().unwrap_or(0);
    text.truncate(text.len() - cut);
}

#[derive(Deserialize)]
struct Answer {
    generated_text: String,
    details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    finish_reason: Option<String>,
    generated_tokens: Option<u64>,
    prefill: Option<Vec<serde::de::IgnoredAny>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::chat::{Role, Turn};

    fn chat() -> Chat {
        let turn = |role, text: &str| Turn {
            role,
            text: text.to_owned(),
        };
        Chat {
            turns: vec![turn(Role::System, "List."), turn(Role::User, "Letter")],
            prefill: "- ".to_owned(),
            text: None,
            schema: None,
        }
    }

    fn model(change: fn(&mut Sampling)) -> ModelSpec {
        let mut model = ModelSpec::new("w", "gemma");
        model.instruct = false;
        change(&mut model.sampling);
        model
    }

    fn read(bytes: &str, stop: &[&str]) -> Result<Reply, CallError> {
        let mut model = model(|_| {});
        model.sampling.stop = Some(stop.iter().map(|stop| (*stop).to_owned()).collect());
        Tgi.reply(&model, &chat(), bytes.as_bytes())
    }

    #[test]
    fn a_body_as_it_is_sent() {
        let model = model(|sampling| {
            sampling.temperature = Some(0.5);
            sampling.top_p = Some(0.9);
            sampling.top_k = Some(40);
            sampling.max_tokens = Some(5);
            sampling.stop = Some(vec!["\n".to_owned()]);
            sampling.seed = Some(7);
            let grammar = json!({"type": "json", "value": {"type": "object"}});
            sampling.extra.insert("grammar".to_owned(), grammar);
        });
        assert_eq!(
            Tgi.body(&model, &chat()).to_string(),
            r#"{"inputs":"List.\n\nLetter\n\n- ","parameters":{"do_sample":true,"temperature":0.5,"top_p":0.9,"top_k":40,"max_new_tokens":5,"stop":["\n"],"seed":7,"details":true,"return_full_text":false,"grammar":{"type":"json","value":{"type":"object"}}}}"#
        );
    }

    #[test]
    fn the_likeliest_token_is_asked_for_in_its_way() {
        let parameters = |change| Tgi.body(&model(change), &chat())["parameters"].to_string();
        assert_eq!(
            parameters(|sampling| {
                sampling.temperature = Some(0.0);
                sampling.top_p = Some(0.9);
                sampling.top_k = Some(40);
            }),
            r#"{"do_sample":false,"details":true,"return_full_text":false}"#
        );
        assert_eq!(
            parameters(|sampling| {
                sampling.top_p = Some(1.0);
                sampling.top_k = Some(-1);
            }),
            r#"{"details":true,"return_full_text":false}"#
        );
    }

    #[test]
    fn an_answer_is_read() {
        let answer = r#"{"generated_text":" fine\n","details":{"finish_reason":"stop_sequence","generated_tokens":2,"seed":null,"prefill":[{"id":1},{"id":2},{"id":3}],"tokens":[{"id":9,"text":" fine"}]}}"#;
        let reply = read(answer, &["x", "\n"]).unwrap();
        assert_eq!(reply.text, " fine");
        assert_eq!(reply.finish_reason.as_deref(), Some("stop"));
        assert_eq!(
            (reply.prompt_tokens, reply.answer_tokens),
            (Some(3), Some(2))
        );
        let listed = read(&format!("[{answer}]"), &["\n"]).unwrap();
        assert_eq!(listed, reply);
        let bare = read(r#"{"generated_text":"so"}"#, &[]).unwrap();
        assert_eq!(bare.text, "so");
        assert_eq!((bare.prompt_tokens, bare.finish_reason), (None, None));
    }

    #[test]
    fn only_the_stop_at_the_end_is_cut_off() {
        let text = |reason: &str, text: &str, stop: &[&str]| {
            let details = json!({"finish_reason": reason, "prefill": []});
            let answer = json!({"generated_text": text, "details": details});
            read(&answer.to_string(), stop).unwrap().text
        };
        assert_eq!(text("stop_sequence", "a##", &["#", "##"]), "a");
        assert_eq!(text("stop_sequence", "a", &["a"]), "");
        assert_eq!(text("eos_token", "# a", &["#"]), "# a");
        // Cut off by length: what ends like a stop ends so by chance.
        assert_eq!(text("length", "a#", &["#"]), "a#");
    }

    #[test]
    fn broken_answers_are_told_apart() {
        for broken in ["{\"generated", "<html>", "3"] {
            assert_eq!(read(broken, &[]), Err(CallError::BadJson));
        }
        for none in [
            "{}",
            "[]",
            r#"{"choices":[]}"#,
            r#"{"generated_text":null}"#,
        ] {
            assert_eq!(read(none, &[]), Err(CallError::NoChoice));
        }
    }

    #[test]
    fn a_negative_seed_is_refused() {
        assert!(
            Tgi.refusal(&model(|sampling| sampling.seed = Some(-1)))
                .is_some()
        );
        assert!(
            Tgi.refusal(&model(|sampling| sampling.seed = Some(0)))
                .is_none()
        );
    }
}
