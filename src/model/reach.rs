//! Which machines a model's requests reach: the hosts of its addresses, and the proxies that the
//! environment puts before them. Opens no connection; whoever asks the user decides.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower
//! case, read as curl reads them. This machine itself is never asked through a proxy.

use std::net::IpAddr;

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use reqwest::Url;

use super::spec::{ModelSpec, Port};

/// A way that requests take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// The machine that answers them.
    pub host: String,
    /// Scheme, host and port, such as `https://api.example.org`; the port only if it is not the
    /// scheme's own, and as `{port}` if it is chosen when a server is started.
    pub origin: String,
    /// The machine that passes them on, which sees them too (all but their content if they
    /// are encrypted).
    pub proxy: Option<String>,
}

/// All ways that a model's requests may take; none without a valid address.
pub fn ways(model: &ModelSpec) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    let free = model.serve.as_ref().is_some_and(|serve| {
        matches!(serve.port, Port::Free(_)) && model.url_on(1) != model.url_on(2)
    });
    for url in addresses(model) {
        let Some(host) = url.host_str() else { continue };
        let origin = match free {
            true => format!("{}://{host}:{{port}}", url.scheme()),
            false => url.origin().ascii_serialization(),
        };
        let through = proxy(&url).map(|proxy| host_of(&proxy));
        let way = Way {
            host: host.to_owned(),
            origin,
            proxy: through,
        };
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    ways
}

/// The addresses that a model's requests go to.
fn addresses(model: &ModelSpec) -> Vec<Url> {
    let texts = match &model.serve {
        None => model.urls().to_vec(),
        Some(serve) => vec![model.url_on(match serve.port {
            Port::Fixed(port) => port,
            Port::Free(_) => 1,
        })],
    };
    texts
        .iter()
        .filter_map(|text| Url::parse(text).ok())
        .collect()
}

/// The proxy that the environment wants for an address.
pub fn proxy(url: &Url) -> Option<Intercept> {
    through(url, &Matcher::from_env())
}

fn through(url: &Url, rules: &Matcher) -> Option<Intercept> {
    if is_loopback(url.host_str()?) {
        return None;
    }
    rules.intercept(&url.as_str().parse().ok()?)
}

/// The machine that a proxy runs on. Its address may hold a password, and is never shown.
pub fn host_of(proxy: &Intercept) -> String {
    proxy.uri().host().unwrap_or_default().to_owned()
}

/// True for names and addresses of this machine itself.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "localhost.evil.org",
            "127.0.0.1.evil.org",
            "0.0.0.0",
            "10.0.0.1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn proxies_are_for_other_machines_and_show_no_password() {
        let rules = Matcher::builder()
            .https("http://user:secret@proxy.lab:3128")
            .no("lab.example,10.0.0.0/8")
            .build();
        let host = |url: &str| {
            let url = Url::parse(url).unwrap();
            through(&url, &rules).map(|proxy| host_of(&proxy))
        };
        assert_eq!(
            host("https://api.example.org/v1").as_deref(),
            Some("proxy.lab")
        );
        for direct in [
            "https://gpu1.lab.example/v1",
            "https://10.1.2.3/v1",
            "https://127.0.0.1/v1",
            "https://localhost/v1",
            "http://api.example.org/v1",
        ] {
            assert_eq!(host(direct), None, "{direct}");
        }
    }

    #[test]
    fn a_started_server_is_reached_at_its_url() {
        let model = ModelSpec::new("m", "m");
        assert!(ways(&model).is_empty());
        let serve = serde_json::from_value(serde_json::json!({"command": ["x"]})).unwrap();
        let mut served = ModelSpec {
            serve: Some(serve),
            ..model
        };
        assert_eq!(ways(&served)[0].host, "127.0.0.1");
        served = served.with_url("http://evil.example:{port}/v1");
        assert_eq!(ways(&served)[0].host, "evil.example");
        assert_eq!(ways(&served)[0].origin, "http://evil.example:{port}");
    }

    #[test]
    fn scheme_and_port_tell_servers_of_one_machine_apart() {
        let mut model = ModelSpec::new("m", "m");
        let mut origin = |url: &str| {
            model = model.with_url(url);
            ways(&model)[0].origin.clone()
        };
        assert_eq!(origin("https://API.example:443/v1"), "https://api.example");
        assert_eq!(origin("http://api.example/v1"), "http://api.example");
        assert_eq!(
            origin("https://api.example:8443/v1"),
            "https://api.example:8443"
        );
    }
}
