//! What is wrong with a model's settings, beyond their shape. Pure.

use reqwest::Url;

use super::spec::{ApiKind, Concurrency, ModelSpec, Sampling, ServeSpec};
use super::structured::SchemaField;
use crate::diag::{Diagnostic, Span};
use crate::spec::node::{Node, NodeValue};

/// Fields of a body that settings of their own decide.
const OWN_FIELDS: [&str; 5] = ["model", "messages", "prompt", "stream", "n"];

/// Every fault of `spec`, at its place in `node`.
pub(super) fn faults(spec: &ModelSpec, node: &Node) -> Vec<Diagnostic> {
    let mut faults = Vec::new();
    address(spec, node, &mut faults);
    numbers(spec, node, &mut faults);
    if spec.id.trim().is_empty() {
        faults.push(Diagnostic::error("`id` is empty").at(place(node, &["id"]), ""));
    }
    if spec.api == Some(ApiKind::Openai) && !spec.instruct {
        faults.push(
            Diagnostic::error("`instruct: false` does not go with `api: openai`")
                .at(place(node, &["api"]), "this API is for chats")
                .help("leave `api` out, or say `api: completions`"),
        );
    }
    if spec.api == Some(ApiKind::Anthropic) && !spec.instruct {
        faults.push(
            Diagnostic::error("`instruct: false` does not go with `api: anthropic`")
                .at(place(node, &["api"]), "this API is for chats"),
        );
    }
    template(spec, node, &mut faults);
    schemas(spec, node, &mut faults);
    for (path, message) in spec.sampling.faults() {
        let path: Vec<&str> = ["sampling"].into_iter().chain(path).collect();
        faults.push(Diagnostic::error(message).at(place(node, &path), ""));
    }
    if let Some(serve) = &spec.serve {
        server(serve, node, &mut faults);
    }
    faults
}

/// Whether there is a chat template just where one is used.
fn template(spec: &ModelSpec, node: &Node, faults: &mut Vec<Diagnostic>) {
    let (message, key, help) = match (&spec.chat_template, spec.api(), spec.instruct) {
        (Some(_), _, false) => (
            "`chat_template` does not go with `instruct: false`",
            "chat_template",
            "a base model knows no chat: its prompt is sent as it is",
        ),
        (Some(_), ApiKind::Openai | ApiKind::Anthropic, true) => (
            "`chat_template` does not go with an API for chats",
            "chat_template",
            "this server is sent the chat and uses its own template; for ours, say `api: completions` or `api: tgi`",
        ),
        (None, ApiKind::Completions, true) => (
            "a model that knows chats needs a `chat_template` with `api: completions`",
            "api",
            "name the folder with its `tokenizer_config.json`; or say `instruct: false` for a base model",
        ),
        (None, ApiKind::Tgi, true) => (
            "a model that knows chats needs a `chat_template` with `api: tgi`",
            "api",
            "name the folder with its `tokenizer_config.json`; or say `api: openai` with `url: http://HOST:PORT/v1`, which TGI serves as well; or `instruct: false` for a base model",
        ),
        _ => return,
    };
    faults.push(
        Diagnostic::error(message)
            .at(place(node, &[key]), "")
            .help(help),
    );
}

/// Whether schemas are told in a way that the API has.
fn schemas(spec: &ModelSpec, node: &Node, faults: &mut Vec<Diagnostic>) {
    let ways = SchemaField::of(spec.api());
    if let Some(field) = spec.json_schema.filter(|field| !ways.contains(field)) {
        let names: Vec<String> = ways.iter().map(|way| format!("`{}`", way.name())).collect();
        let what = format!("`json_schema: {}` does not go with this API", field.name());
        faults.push(
            Diagnostic::error(what)
                .at(place(node, &["json_schema"]), "")
                .help(format!("it has {}", names.join(", "))),
        );
    }
}

impl Sampling {
    /// What is wrong with the values: the path of the key, and a message.
    pub fn faults(&self) -> Vec<(Vec<&str>, String)> {
        let ranges = [
            (
                self.temperature.is_none_or(|t| t.is_finite() && t >= 0.0),
                "temperature",
                "`temperature` must be 0 or more",
            ),
            (
                self.top_p.is_none_or(|p| p > 0.0 && p <= 1.0),
                "top_p",
                "`top_p` must be more than 0 and at most 1",
            ),
            (
                self.max_tokens != Some(0),
                "max_tokens",
                "`max_tokens` must be 1 or more",
            ),
        ];
        let ranges = ranges.into_iter().filter(|(holds, ..)| !holds);
        let own = self.extra.keys().map(String::as_str);
        let own = own.filter(|name| OWN_FIELDS.contains(name));
        ranges
            .map(|(_, key, message)| (vec![key], message.to_owned()))
            .chain(own.map(|name| {
                let message = format!("`extra` must not set `{name}`");
                (vec!["extra", name], message)
            }))
            .collect()
    }
}

/// The place of the innermost key of `path` that exists.
fn place(node: &Node, path: &[&str]) -> Span {
    let mut at = node;
    for name in path {
        match at.get(name) {
            Some(inner) => at = inner,
            None => break,
        }
    }
    at.span
}

fn address(spec: &ModelSpec, node: &Node, faults: &mut Vec<Diagnostic>) {
    let Some(given) = &spec.url else {
        if spec.serve.is_none() {
            faults.push(
                Diagnostic::error(format!("model `{}` has no `url`", spec.name))
                    .at(node.span, "")
                    .help("say where it is, e.g. `url: http://127.0.0.1:8080/v1`"),
            );
        }
        return;
    };
    let at = place(node, &["url"]);
    if given.all().is_empty() {
        faults.push(Diagnostic::error("`url` names no server").at(at, ""));
    }
    if spec.serve.is_some() && given.all().len() > 1 {
        faults.push(
            Diagnostic::error("`serve` starts one server, and `url` names several")
                .at(at, "")
                .help("leave `serve` or the list out"),
        );
        return;
    }
    for (index, text) in given.all().iter().enumerate() {
        let item = match node.get("url").map(|node| &node.value) {
            Some(NodeValue::Seq(items)) => items.get(index),
            _ => None,
        };
        one_address(spec, text, item.map_or(at, |item| item.span), faults);
    }
}

fn one_address(spec: &ModelSpec, text: &str, at: Span, faults: &mut Vec<Diagnostic>) {
    let filled = if spec.serve.is_some() {
        spec.url_on(1)
    } else {
        text.to_owned()
    };
    if spec.serve.is_some() {
        let host =
            |port| Url::parse(&spec.url_on(port)).map(|url| url.host_str().map(str::to_owned));
        if host(1) != host(2) {
            faults.push(
                Diagnostic::error("`{port}` can only be the port of `url`")
                    .at(at, "")
                    .help("e.g. `url: http://127.0.0.1:{port}/v1`"),
            );
        }
    }
    // The address itself is not repeated: a wrong one may hold a password.
    let wrong = match Url::parse(&filled) {
        Err(why) => Some(format!("`url` is not an address: {why}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            Some("`url` must begin with `http://` or `https://`".to_owned())
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("`url` must not hold a user or a password".to_owned())
        }
        Ok(_) => None,
    };
    if let Some(message) = wrong {
        faults.push(Diagnostic::error(message).at(at, "").help(
            "an address looks like `http://127.0.0.1:8080/v1`; a token is named by `key_env`",
        ));
    }
}

fn numbers(spec: &ModelSpec, node: &Node, faults: &mut Vec<Diagnostic>) {
    let mut must = |holds: bool, path: &[&str], message: &str| {
        if !holds {
            faults.push(Diagnostic::error(message).at(place(node, path), ""));
        }
    };
    let seconds = |s: f64| s.is_finite() && s > 0.0 && s <= 7.0 * 86_400.0;
    let few = |most: u32| (1..=4096).contains(&most);
    must(
        !matches!(spec.concurrency, Concurrency::Most(most) if !few(most)),
        &["concurrency"],
        "`concurrency` must be between 1 and 4096",
    );
    for (name, limit) in [
        ("requests_per_minute", spec.requests_per_minute),
        ("tokens_per_minute", spec.tokens_per_minute),
    ] {
        let message = format!("`{name}` must be 1 or more");
        must(limit != Some(0), &[name], &message);
    }
    for (name, time) in [("deadline", spec.deadline), ("hedge", spec.hedge)] {
        let message = format!("`{name}` must be more than 0 seconds and at most a week");
        must(time.is_none_or(seconds), &[name], &message);
    }
    must(
        spec.patience == 0.0 || seconds(spec.patience),
        &["patience"],
        "`patience` must be between 0 seconds and a week",
    );
    must(
        spec.hedge.is_none() || spec.urls().len() > 1,
        &["hedge"],
        "`hedge` needs several servers: a list of addresses as `url`",
    );
    must(
        spec.retries <= 100,
        &["retries"],
        "`retries` must be between 0 and 100",
    );
    must(
        seconds(spec.timeout),
        &["timeout"],
        "`timeout` must be more than 0 seconds and at most a week",
    );
    if let Some(price) = &spec.price {
        let fine = |price: f64| price.is_finite() && price >= 0.0;
        must(
            fine(price.prompt) && fine(price.answer),
            &["price"],
            "prices must not be negative",
        );
    }
    if let Some(serve) = &spec.serve {
        must(
            seconds(serve.startup_timeout),
            &["serve", "startup_timeout"],
            "`startup_timeout` must be more than 0 seconds and at most a week",
        );
        for (name, amount) in &serve.resources {
            let message = format!("`{name}` must be more than 0");
            let path = ["serve", "resources", name.as_str()];
            must(amount.is_finite() && *amount > 0.0, &path, &message);
        }
    }
}

fn server(serve: &ServeSpec, node: &Node, faults: &mut Vec<Diagnostic>) {
    let mut fault = |path: &[&str], message: &str, help: &str| {
        faults.push(
            Diagnostic::error(message)
                .at(place(node, path), "")
                .help(help),
        );
    };
    if serve.command.first().is_none_or(String::is_empty) {
        fault(
            &["serve", "command"],
            "`command` names no program",
            "give the program and its arguments as a list",
        );
    }
    if super::serve::health("http://127.0.0.1:1", &serve.health).is_none()
        || !serve.health.starts_with('/')
    {
        fault(
            &["serve", "health"],
            "`health` must begin with `/`",
            "it is a path on the server, e.g. `/health`",
        );
    }
    let names = |args: &[String], what: &str| args.iter().any(|arg| arg.contains(what));
    if names(&serve.setup, "{port}") {
        fault(
            &["serve", "setup"],
            "`setup` cannot use `{port}`",
            "it runs once, before any server has a port",
        );
    }
    if serve.setup.is_empty() && names(&serve.command, "{setup_dir}") {
        fault(
            &["serve", "command"],
            "`command` uses `{setup_dir}`, but there is no `setup`",
            "add `setup`, or use `{dir}` for the pipeline's folder",
        );
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::diag::Sources;

    fn read(yaml: &str) -> Result<ModelSpec, Vec<String>> {
        let mut sources = Sources::default();
        let file = sources.add(Path::new("p.yaml"), yaml);
        let node = Node::parse(&sources, file).unwrap();
        ModelSpec::from_node("m", &node).map_err(|faults| {
            faults
                .into_iter()
                .map(|fault| {
                    let line = fault
                        .primary
                        .as_ref()
                        .map_or(0, |(span, _)| sources.line_column(*span).0);
                    format!("{line}: {}", fault.message)
                })
                .collect()
        })
    }

    #[test]
    fn a_whole_model_is_read() {
        let spec = read(
            "url: http://127.0.0.1:{port}/v1\nid: gemma\ninstruct: false\n\
             sampling: {temperature: 0, max_tokens: 9, stop: [\"\\n\"], extra: {min_p: 0.1}}\n\
             serve: {command: [run, '{port}'], setup: [sh, a.sh], port: auto, env: {A: b}}\n",
        )
        .unwrap();
        assert_eq!(spec.name, "m");
        assert_eq!(spec.url_on(81), "http://127.0.0.1:81/v1");
        assert_eq!(spec.sampling.temperature, Some(0.0));
        assert_eq!(spec.serve.as_ref().unwrap().port, Default::default());
        let again = read("id: x\nserve: {command: [a], port: 8080}\n").unwrap();
        assert_eq!(again.url_on(8080), "http://127.0.0.1:8080/v1");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = read(
            "url: http://me:secret@host/v1\nid: x\napi: openai\ninstruct: false\n\
             concurrency: 0\ntimeout: -1\nsampling:\n  top_p: 2\n  extra: {stream: true}\n\
             serve:\n  command: ['{setup_dir}/run']\n  health: health\n",
        )
        .unwrap_err();
        let lines: Vec<&str> = faults
            .iter()
            .map(|f| f.split(':').next().unwrap())
            .collect();
        assert_eq!(
            lines,
            ["1", "5", "6", "3", "8", "9", "12", "11"],
            "{faults:#?}"
        );
        assert!(!faults.concat().contains("secret"));
    }

    #[test]
    fn a_template_is_for_chats_that_become_a_text() {
        let base = "url: http://h/v1\nid: x\n";
        let with = |more: &str| read(&format!("{base}{more}")).map_err(|faults| faults.concat());
        let spec = with("api: completions\nchat_template: {inline: '{{ a }}', bos: <s>}\n");
        assert!(spec.unwrap().chat_template.is_some());
        assert_eq!(
            with("chat_template: tok\n").unwrap_err(),
            "3: `chat_template` does not go with an API for chats"
        );
        assert_eq!(
            with("instruct: false\nchat_template: tok\n").unwrap_err(),
            "4: `chat_template` does not go with `instruct: false`"
        );
        assert_eq!(
            with("api: completions\n").unwrap_err(),
            "3: a model that knows chats needs a `chat_template` with `api: completions`"
        );
    }

    #[test]
    fn a_model_needs_an_address() {
        assert_eq!(read("id: x\n").unwrap_err(), ["1: model `m` has no `url`"]);
        assert_eq!(
            read("id: x\nurl: localhost:8080\n").unwrap_err(),
            ["2: `url` must begin with `http://` or `https://`"]
        );
    }
}
