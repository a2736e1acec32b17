//! HTTP as models need it: the headers of an API, and a client that sends data nowhere but to
//! the address that it is given.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::reach::proxy;
use super::spec::ModelSpec;
use crate::diag::Diagnostic;

/// The headers of the model's API, with its token.
pub(super) fn headers(spec: &ModelSpec) -> Result<HeaderMap, Diagnostic> {
    let of_model = &spec.name;
    let token = spec.key_env.as_ref().map(|name| {
        std::env::var(name).map_err(|_| {
            Diagnostic::error(format!(
                "model `{of_model}` needs the environment variable `{name}`"
            ))
            .help("set it to the server's token, or remove `key_env`")
        })
    });
    let token = token.transpose()?;
    let mut headers = HeaderMap::new();
    for (name, value) in spec.api().api().headers(token.as_deref().map(str::trim)) {
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            let name = spec.key_env.as_deref().unwrap_or_default();
            Diagnostic::error(format!(
                "the environment variable `{name}` of model `{of_model}` holds no usable token"
            ))
        })?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

/// A plain HTTP client: no redirects, so that data goes where the pipeline says and nowhere
/// else; through the proxy that the environment wants for this address, which the user was
/// shown beside it.
pub(super) fn http_client(
    url: &Url,
    headers: HeaderMap,
) -> Result<reqwest::Client, reqwest::Error> {
    client_for(url)?.default_headers(headers).build()
}

/// The same, to be told more of.
///
/// # Errors
/// A proxy that is no address.
pub fn client_for(url: &Url) -> Result<reqwest::ClientBuilder, reqwest::Error> {
    // An error means that another part of the program has chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("clue/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(10));
    let proxy = proxy(url);
    let mut plain = url.scheme() == "http";
    if let Some(proxy) = &proxy {
        let mut address = proxy.uri().to_string();
        plain &= proxy.uri().scheme_str() != Some("https");
        if let (Some((user, password)), Ok(mut with_login)) =
            (proxy.raw_auth(), Url::parse(&address))
        {
            let _ = with_login.set_username(user);
            let _ = with_login.set_password(Some(password));
            address = with_login.into();
        }
        let mut through = reqwest::Proxy::all(address)?;
        if let Some(login) = proxy.basic_auth() {
            through = through.custom_http_auth(login.clone());
        }
        builder = builder.proxy(through);
    }
    if plain {
        // The system's certificates need not be there, nor be read.
        builder = builder.tls_certs_only(std::iter::empty());
    }
    Ok(builder)
}
