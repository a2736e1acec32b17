//! Values without what is of this machine alone: addresses of models, which decide nothing, and
//! where files lie. Owns what counts as such; knows nothing of what the values are for.

use std::path::Path;

use reqwest::Url;
use serde_json::Value as Json;

use super::labels::Labels;
use crate::engine::pipe::Pipe;

/// What stands for an address.
const ADDRESS: &str = "(address)";

/// What is of this machine alone.
pub struct Plain {
    labels: Labels,
    addresses: Vec<String>,
}

impl Plain {
    /// For a pipeline.
    pub fn new(pipe: &Pipe) -> Plain {
        let models = pipe.models.values();
        Plain {
            labels: Labels::new(pipe),
            addresses: models.flat_map(|model| model.urls().to_vec()).collect(),
        }
    }

    /// The names of files.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// A value without it; maps are sorted.
    pub fn value(&self, value: &Json) -> Json {
        self.with(value, &|_| ADDRESS.to_owned())
    }

    /// A value without it that a run still takes: addresses lead nowhere, to this machine.
    pub fn runnable(&self, value: &Json) -> Json {
        self.with(value, &nowhere)
    }

    fn with(&self, value: &Json, address: &dyn Fn(&str) -> String) -> Json {
        match value {
            Json::String(text) => Json::String(self.text(text, address)),
            Json::Array(items) => {
                let items = items.iter();
                items.map(|item| self.with(item, address)).collect()
            }
            Json::Object(entries) => {
                let entries = entries.iter();
                let mut entries: Vec<(String, Json)> = entries
                    .map(|(name, value)| (name.clone(), self.with(value, address)))
                    .collect();
                entries.sort_by(|a, b| a.0.cmp(&b.0));
                Json::Object(entries.into_iter().collect())
            }
            other => other.clone(),
        }
    }

    fn text(&self, text: &str, address: &dyn Fn(&str) -> String) -> String {
        let path = Path::new(text);
        if self.addresses.iter().any(|url| is_address(text, url)) {
            address(text)
        } else if path.is_absolute() && path.exists() {
            self.labels.file(path)
        } else {
            text.to_owned()
        }
    }
}

/// An address of the same form that says nothing of a machine: at the port of this one that
/// discards what it gets (RFC 863), where nothing listens these days.
fn nowhere(text: &str) -> String {
    const HOST: &str = "127.0.0.1";
    const PORT: u16 = 9;
    match Url::parse(text) {
        Ok(url) if url.has_host() => {
            let path = url.path();
            let path = if text.ends_with('/') {
                path
            } else {
                path.strip_suffix('/').unwrap_or(path)
            };
            format!("{}://{HOST}:{PORT}{path}", url.scheme())
        }
        _ if text.contains(':') => format!("{HOST}:{PORT}"),
        _ => HOST.to_owned(),
    }
}

/// True if a text is the address of a model, or its beginning, or the host in it.
fn is_address(text: &str, url: &str) -> bool {
    let Ok(parsed) = Url::parse(url) else {
        return false;
    };
    let Some(host) = parsed.host_str() else {
        return false;
    };
    let begins = || Url::parse(text).is_ok_and(|part| part.has_host()) && url.starts_with(text);
    let with_port = || {
        let port = parsed.port().map(|port| format!("{host}:{port}"));
        port.is_some_and(|whole| whole == text)
    };
    text == url || text == host || with_port() || begins()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_its_form_alone() {
        for (text, plain) in [
            ("https://me:pw@node7/v1", "https://127.0.0.1:9/v1"),
            ("http://node7:8000", "http://127.0.0.1:9"),
            ("http://node7:8000/", "http://127.0.0.1:9/"),
            ("node7:8000", "127.0.0.1:9"),
            ("node7", "127.0.0.1"),
        ] {
            assert_eq!(nowhere(text), plain);
        }
    }

    #[test]
    fn only_what_leads_to_a_model_is_an_address() {
        let url = "http://node7:8000/v1";
        for text in [
            url,
            "http://node7:8000",
            "http://node7",
            "node7",
            "node7:8000",
        ] {
            assert!(is_address(text, url), "{text}");
        }
        for text in [
            "",
            "http",
            "node",
            "v1",
            "https://example.org/guideline",
            "8000",
        ] {
            assert!(!is_address(text, url), "{text}");
        }
    }
}
