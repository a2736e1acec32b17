//! Which program serves a model, as it says itself: its name, its version and that of the weights.
//! For the record of a run only; nothing is decided by it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::client::Client;
use super::spec::{ApiKind, ModelSpec};
use crate::text::visible::plain;

/// How long a server may take to say what it is.
const WITHIN: Duration = Duration::from_secs(2);
/// The most characters of a fact.
const MOST: usize = 100;

/// A model, and what its server says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The API that it is spoken to with.
    pub api: ApiKind,
    /// The model's name on the server.
    pub id: String,
    /// Its revision, as the pipeline says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// What the server says.
    #[serde(flatten)]
    pub told: Told,
}

/// What a server says of itself. What it does not say is missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The program's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The version of the weights, such as the commit that they were fetched at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

impl Served {
    /// Asks the first server of a model, in one attempt that does not last long; nothing if it
    /// says nothing. Anthropic's tells no version and is not asked.
    pub async fn by(model: &ModelSpec, client: &Client) -> Option<Served> {
        if model.api() == ApiKind::Anthropic {
            return None;
        }
        let said = async |path: &str, beside_v1: bool| match client.get(path, beside_v1).await {
            Ok((200, bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
            _ => Value::Null,
        };
        let all = async {
            tokio::join!(
                said("models", false),
                said("props", true),
                said("version", true),
                said("info", true),
            )
        };
        let (models, props, version, info) = tokio::time::timeout(WITHIN, all).await.ok()?;
        let told = Told::read(&models, &props, &version, &info);
        (told != Told::default()).then(|| Served {
            api: model.api(),
            id: model.id.clone(),
            revision: model.revision.clone(),
            told,
        })
    }

    /// True if these are facts about this model.
    pub fn is_of(&self, model: &ModelSpec) -> bool {
        self.api == model.api() && self.id == model.id && self.revision == model.revision
    }
}

impl Told {
    /// From llama.cpp's `/props`, TGI's `/info`, vLLM's `/version`, and who owns the models of
    /// `/v1/models`.
    fn read(models: &Value, props: &Value, version: &Value, info: &Value) -> Told {
        if info["model_id"].is_string() && info["max_total_tokens"].is_u64() {
            return Told {
                server: Some("text-generation-inference".to_owned()),
                version: text(&info["version"]),
                weights: text(&info["model_sha"]),
            };
        }
        let owner = models["data"][0]["owned_by"].as_str();
        if props["default_generation_settings"].is_object() {
            return Told {
                server: Some("llama.cpp".to_owned()),
                version: text(&props["build_info"]),
                weights: None,
            };
        }
        let mut known = ["vllm", "sglang"].into_iter();
        let server = known.find(|name| owner == Some(name));
        Told {
            server: server.map(str::to_owned),
            version: text(&version["version"]),
            weights: None,
        }
    }
}

/// A fact in one plain line: a server may say anything.
fn text(value: &Value) -> Option<String> {
    let text: String = plain(value.as_str()?.trim()).chars().take(MOST).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(server: Option<&str>, version: Option<&str>, weights: Option<&str>) -> Told {
        Told {
            server: server.map(str::to_owned),
            version: version.map(str::to_owned),
            weights: weights.map(str::to_owned),
        }
    }

    #[test]
    fn servers_are_known_by_what_they_say() {
        let no = Value::Null;
        let props = json!({"default_generation_settings": {"n_ctx": 1}, "build_info": "b4500-ab"});
        let owned = |name: &str| json!({"data": [{"id": "m", "owned_by": name}]});
        let llama = Told::read(&owned("llamacpp"), &props, &no, &no);
        assert_eq!(llama, told(Some("llama.cpp"), Some("b4500-ab"), None));
        let vllm = Told::read(&owned("vllm"), &no, &json!({"version": "0.6.6"}), &no);
        assert_eq!(vllm, told(Some("vllm"), Some("0.6.6"), None));
        let info =
            json!({"model_id": "m", "max_total_tokens": 1, "version": "2", "model_sha": "c"});
        let tgi = Told::read(&no, &no, &no, &info);
        let name = "text-generation-inference";
        assert_eq!(tgi, told(Some(name), Some("2"), Some("c")));
        for odd in [json!([]), json!({"data": 3, "version": {}}), json!("x")] {
            assert_eq!(Told::read(&odd, &odd, &odd, &odd), Told::default());
        }
    }

    #[test]
    fn what_a_server_says_is_one_plain_line() {
        let long = json!(format!("a\n\u{1b}[2K{}", "b".repeat(500)));
        let text = text(&long).expect("text");
        assert!(text.starts_with("a\\n\\u{1b}[2Kb"), "{text}");
        assert_eq!(text.chars().count(), MOST);
    }
}
