//! What a pipeline says of a model: how it is reached, how it samples, who starts it.
//! Owns the settings and their checks; opens no connection and starts nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::limit::{Limit, MOST_FOUND};
pub use super::serve_spec::{Auto, Port, ServeSpec};
use super::structured::SchemaField;
use super::template::Template;
use super::template::setting::ChatTemplate;
use crate::diag::Diagnostic;
use crate::spec::decode::decode;
use crate::spec::node::Node;

/// A model of the pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Its name in the pipeline.
    #[serde(skip)]
    pub name: String,
    /// How it is spoken to. Without it: `completions` if `instruct: false`, else `openai`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiKind>,
    /// The base of the server's address, e.g. `http://127.0.0.1:8080/v1`. With `serve`, leave it
    /// out (or empty), or let it hold `{port}`: a whole address is that of a server that runs
    /// already, and `serve` is not used. TGI's may end in `/v1` or not. A list names servers that
    /// share the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<Addresses>,
    /// The model's name on the server. (TGI serves one model and does not ask for it.)
    pub id: String,
    /// False for a base model, which goes on from a text and knows no chat.
    #[serde(default = "yes")]
    pub instruct: bool,
    /// What becomes of the system prompt.
    #[serde(default)]
    pub system: SystemPrompt,
    /// How a chat becomes one text, for APIs that take a text: the template of the model's
    /// tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<ChatTemplate>,
    /// The same, read.
    #[serde(skip)]
    pub template: Option<Arc<Template>>,
    /// How it samples, unless a stage says otherwise.
    #[serde(default)]
    pub sampling: Sampling,
    /// How its server is told the `schema` of a stage. Without it, as its API has it:
    /// `response_format` (openai), `grammar` (tgi), `output_config` (anthropic); texts
    /// (completions) have no common way, so that there only the answers are checked. So it is
    /// where the prompt begins the answer, but for texts and vLLM if it begins no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json_schema: Option<SchemaField>,
    /// The most requests that are open at once at each server; fewer while it says that it is
    /// busy. `auto` finds out how many it takes. With more than 1, prompts that wait and begin
    /// alike are sent one after the other, which helps servers that keep what they computed.
    #[serde(default)]
    pub concurrency: Concurrency,
    /// The most requests that are sent in a minute, to all its servers together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// The most tokens of prompts and answers in a minute: guessed before a request, corrected by
    /// what the server counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u32>,
    /// Seconds that one attempt may take.
    #[serde(default = "ten_minutes")]
    pub timeout: f64,
    /// How often a failed request is tried again.
    #[serde(default = "five")]
    pub retries: u32,
    /// Seconds that a call may take with all its attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<f64>,
    /// Seconds that servers which answered before and are gone are waited for.
    #[serde(default = "a_minute")]
    pub patience: f64,
    /// Seconds after which a request that is not answered goes to another server as well; the
    /// first answer counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hedge: Option<f64>,
    /// Name of the environment variable that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// What a million tokens cost, for `--max-cost` and the sum at the end of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// The version of the weights, in any words. Other words ask all questions anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// A local server that is started for the run and stopped after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serve: Option<ServeSpec>,
}

fn yes() -> bool {
    true
}

fn five() -> u32 {
    5
}

fn ten_minutes() -> f64 {
    600.0
}

fn a_minute() -> f64 {
    60.0
}

/// The address of a server, or those of several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Addresses {
    /// One.
    One(String),
    /// Several that share the work.
    Many(Vec<String>),
}

impl Addresses {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Addresses::One(url) => std::slice::from_ref(url),
            Addresses::Many(urls) => urls,
        }
    }
}

/// How many requests may be open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Concurrency {
    /// At most so many.
    Most(u32),
    /// As many as the server takes.
    Found(Auto),
}

impl Default for Concurrency {
    fn default() -> Concurrency {
        Concurrency::Most(16)
    }
}

impl Concurrency {
    /// The limit of a server to which nothing was sent yet.
    pub fn limit(self) -> Limit {
        match self {
            Concurrency::Most(most) => Limit::up_to(most),
            Concurrency::Found(Auto::Auto) => Limit::found_out(),
        }
    }
}

/// What a million tokens cost, in a currency that all models of a run share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Of prompts.
    #[schemars(range(min = 0))]
    pub prompt: f64,
    /// Of answers.
    #[schemars(range(min = 0))]
    pub answer: f64,
}

impl Price {
    /// What so many tokens cost.
    pub fn of(&self, prompt: u64, answer: u64) -> f64 {
        (self.prompt * prompt as f64 + self.answer * answer as f64) / 1e6
    }
}

/// The wire APIs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiKind {
    /// Chat completions as OpenAI, vLLM, llama.cpp and many others speak them.
    Openai,
    /// Plain text completions of the same servers, for base models.
    Completions,
    /// `/generate` of Text Generation Inference, for base models. (Its `/v1` speaks `openai`.)
    Tgi,
    /// Anthropic's messages; needs `max_tokens`.
    Anthropic,
}

/// What becomes of the system prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SystemPrompt {
    /// It is a turn of its own.
    #[default]
    Native,
    /// It is put before the first user turn, for models that know no system role.
    Merge,
}

/// How a model samples. What is not set is left to the server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sampling {
    /// 0 picks the likeliest token each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Draws from the likeliest tokens that together have this probability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Draws from this many of the likeliest tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<i64>,
    /// The most tokens of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// Texts at which the answer ends; they are not part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Vec<String>>,
    /// The seed of the server's random numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Further fields of the request's body (with `api: tgi`, of its `parameters`), passed on as
    /// they are: what a server knows beyond the settings above. Of a chat template:
    /// `chat_template_kwargs: {enable_thinking: false}`. For Anthropic: `thinking: {type: enabled,
    /// budget_tokens: N}`. (JSON of a schema is asked for by a stage's `schema`.)
    /// For OpenAI's reasoning models: `max_completion_tokens` in place of `max_tokens`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

impl ModelSpec {
    /// A model with nothing said but its name on the server.
    pub fn new(name: &str, id: &str) -> ModelSpec {
        ModelSpec {
            name: name.to_owned(),
            api: None,
            url: None,
            id: id.to_owned(),
            instruct: true,
            system: SystemPrompt::Native,
            chat_template: None,
            template: None,
            sampling: Sampling::default(),
            json_schema: None,
            concurrency: Concurrency::default(),
            requests_per_minute: None,
            tokens_per_minute: None,
            timeout: ten_minutes(),
            retries: five(),
            deadline: None,
            patience: a_minute(),
            hedge: None,
            key_env: None,
            price: None,
            revision: None,
            serve: None,
        }
    }

    /// Decodes and checks what the pipeline says under `models:`.
    ///
    /// # Errors
    /// Every fault, each at its place.
    pub fn from_node(name: &str, node: &Node) -> Result<ModelSpec, Vec<Diagnostic>> {
        let mut spec: ModelSpec = decode(node).map_err(|fault| vec![fault])?;
        name.clone_into(&mut spec.name);
        if spec.urls() == [""] {
            spec.url = None;
        }
        let faults = super::spec_check::faults(&spec, node);
        // A whole address is that of a server that runs already.
        if spec.urls().iter().any(|url| !url.contains("{port}")) {
            spec.serve = None;
        }
        if faults.is_empty() {
            Ok(spec)
        } else {
            Err(faults)
        }
    }

    /// The API that it is spoken to with.
    pub fn api(&self) -> ApiKind {
        self.api.unwrap_or(if self.instruct {
            ApiKind::Openai
        } else {
            ApiKind::Completions
        })
    }

    /// What decides its answers, and nothing else: no address, no secrets, no concurrency.
    pub fn identity(&self) -> Value {
        let mut identity = serde_json::json!({
            "api": self.api(),
            "id": self.id,
            "revision": self.revision,
            "instruct": self.instruct,
            "system": self.system,
            "sampling": self.sampling,
        });
        if let Some(template) = &self.template {
            identity["chat_template"] = template.hash().to_string().into();
        }
        if let Some(field) = self.json_schema {
            identity["json_schema"] = field.name().into();
        }
        identity
    }

    /// The same model, sampled as a stage wants: what `over` sets, wins.
    #[must_use]
    pub fn with_sampling(&self, over: &Sampling) -> ModelSpec {
        let base = &self.sampling;
        let mut extra = base.extra.clone();
        extra.extend(over.extra.clone());
        ModelSpec {
            sampling: Sampling {
                temperature: over.temperature.or(base.temperature),
                top_p: over.top_p.or(base.top_p),
                top_k: over.top_k.or(base.top_k),
                max_tokens: over.max_tokens.or(base.max_tokens),
                stop: over.stop.clone().or_else(|| base.stop.clone()),
                seed: over.seed.or(base.seed),
                extra,
            },
            ..self.clone()
        }
    }

    /// The same model at another address.
    #[must_use]
    pub fn with_url(&self, url: &str) -> ModelSpec {
        ModelSpec {
            url: Some(Addresses::One(url.to_owned())),
            ..self.clone()
        }
    }

    /// The addresses that the pipeline gives.
    pub fn urls(&self) -> &[String] {
        self.url.as_ref().map_or(&[], Addresses::all)
    }

    /// The address for a port of a local server: `url` with `{port}` filled in.
    pub fn url_on(&self, port: u16) -> String {
        let url = self.urls().first().map(String::as_str);
        url.unwrap_or("http://127.0.0.1:{port}/v1")
            .replace("{port}", &port.to_string())
    }

    /// The most requests that are open at once, at all servers together.
    pub fn width(&self) -> usize {
        let most = match self.concurrency {
            Concurrency::Most(most) => most,
            Concurrency::Found(_) => MOST_FOUND,
        };
        most as usize * self.urls().len().max(1)
    }

    /// How long one attempt may take.
    pub fn timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.timeout).unwrap_or(Duration::from_secs(600))
    }
}

impl Sampling {
    /// Puts what is set into the body of a request, under the names that the
    /// OpenAI-compatible servers share.
    pub(super) fn write(&self, body: &mut serde_json::Map<String, Value>) {
        let settings = [
            ("temperature", self.temperature.map(Value::from)),
            ("top_p", self.top_p.map(Value::from)),
            ("top_k", self.top_k.map(Value::from)),
            ("max_tokens", self.max_tokens.map(Value::from)),
            ("stop", self.stop.clone().map(Value::from)),
            ("seed", self.seed.map(Value::from)),
        ];
        for (name, value) in settings {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        }
        for (name, value) in &self.extra {
            body.insert(name.clone(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_holds_only_what_decides_answers() {
        let a = ModelSpec::new("a", "m");
        let mut b = a.with_url("http://elsewhere/v1");
        b.concurrency = Concurrency::Most(1);
        b.key_env = Some("TOKEN".to_owned());
        b.name = "b".to_owned();
        assert_eq!(a.identity(), b.identity());
        b.revision = Some("2".to_owned());
        assert_ne!(a.identity(), b.identity());
    }

    #[test]
    fn a_stage_overrides_only_what_it_sets() {
        let mut spec = ModelSpec::new("a", "m");
        spec.sampling.temperature = Some(0.5);
        spec.sampling.max_tokens = Some(10);
        spec.sampling.extra.insert("min_p".to_owned(), 0.1.into());
        let over = Sampling {
            temperature: Some(0.0),
            stop: Some(Vec::new()),
            ..Sampling::default()
        };
        let got = spec.with_sampling(&over).sampling;
        assert_eq!(got.temperature, Some(0.0));
        assert_eq!(got.max_tokens, Some(10));
        assert_eq!(got.stop, Some(Vec::new()));
        assert_eq!(got.extra.len(), 1);
    }

    #[test]
    fn a_base_model_is_asked_for_completions() {
        let mut spec = ModelSpec::new("a", "m");
        assert_eq!(spec.api(), ApiKind::Openai);
        spec.instruct = false;
        assert_eq!(spec.api(), ApiKind::Completions);
    }
}
