//! What a pipeline says of a local server: how it is set up, started, and known to be ready.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A local server: how it is set up, started, and known to be ready. Arguments may hold
/// `{port}`, `{setup_dir}` and `{dir}` (the pipeline's folder).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServeSpec {
    /// Program and arguments that start the server.
    pub command: Vec<String>,
    /// Program and arguments that fill `{setup_dir}`, once per machine and content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup: Vec<String>,
    /// Files whose content decides the set-up, besides those that `setup` names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The port on 127.0.0.1.
    #[serde(default)]
    pub port: Port,
    /// The path that answers 200 when the server is ready.
    #[serde(default = "health")]
    pub health: String,
    /// Seconds until the server must be ready.
    #[serde(default = "two_minutes")]
    pub startup_timeout: f64,
    /// What the server needs of the machine, such as `{gpu: 1}`. Servers that do not fit together
    /// run one after the other. A machine has one of everything unless `--resources` says more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, f64>,
    /// Environment variables for set-up and server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

fn health() -> String {
    "/health".to_owned()
}

fn two_minutes() -> f64 {
    120.0
}

/// The port of a local server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Port {
    /// Always this one.
    Fixed(u16),
    /// A free one.
    Free(Auto),
}

/// The word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Auto {
    /// Let the program choose.
    Auto,
}

impl Default for Port {
    fn default() -> Port {
        Port::Free(Auto::Auto)
    }
}

impl ServeSpec {
    /// How long the server may take to become ready.
    pub fn startup_timeout(&self) -> Duration {
        Duration::try_from_secs_f64(self.startup_timeout).unwrap_or(Duration::from_secs(120))
    }
}
