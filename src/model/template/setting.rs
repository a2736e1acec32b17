//! What a pipeline says of a model's chat template. Plain data.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A chat template, for APIs that take one text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ChatTemplate {
    /// A folder with `tokenizer_config.json` or `chat_template.jinja`, or such a file.
    Path(String),
    /// The same with more to say, or a template that is written here.
    Settings(Box<Settings>),
}

/// A chat template and what it sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// A folder with `tokenizer_config.json` or `chat_template.jinja`, or such a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The template itself, instead of `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = is_jinja)]
    pub inline: Option<String>,
    /// Which of several templates; without it, the one named `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The mark for the start of a text (`bos_token`), instead of the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    /// The mark for the end of a text (`eos_token`), instead of the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eos: Option<String>,
    /// Whether the text that is sent keeps the mark for its start. Servers put one there
    /// themselves; so it is left out, unless `tokenizer_config.json` says `add_bos_token: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_bos: Option<bool>,
    /// The day that a template gets which asks for today's, as `YYYY-MM-DD`: an answer must not
    /// depend on when it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Further names that the template sees, such as `enable_thinking: false`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub vars: BTreeMap<String, Value>,
}

/// Keeps params from being filled into a template's own `{{ … }}`.
fn is_jinja(schema: &mut Schema) {
    schema.insert("format".to_owned(), "jinja-chat-template".into());
}

impl ChatTemplate {
    /// All that is said, a mere path being the least.
    pub fn settings(&self) -> Settings {
        match self {
            ChatTemplate::Path(path) => Settings {
                path: Some(path.clone()),
                ..Settings::default()
            },
            ChatTemplate::Settings(settings) => (**settings).clone(),
        }
    }
}
