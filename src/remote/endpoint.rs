//! Which server has the buckets, by the environment variables that every S3 program reads. Asks
//! nobody.

use reqwest::Url;

use super::fault::Fault;
use super::place::BucketPlace;
use crate::diag::Diagnostic;
use crate::model::reach::{host_of, is_loopback, proxy};

/// Where requests about a bucket go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The server's address.
    pub url: Url,
    /// True if the environment names it: else it is Amazon's own.
    pub named: bool,
    /// The region.
    pub region: String,
}

impl Endpoint {
    /// As the environment says.
    ///
    /// # Errors
    /// It names no address.
    pub fn of_env() -> Result<Endpoint, Fault> {
        Endpoint::by(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn by(get: impl Fn(&str) -> Option<String>) -> Result<Endpoint, Fault> {
        let region = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION"));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if !region.chars().all(plain) {
            return Err(Fault::Input(Diagnostic::error(
                "`AWS_REGION` holds no region, such as `eu-central-1`",
            )));
        }
        for name in ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"] {
            let Some(text) = get(name) else { continue };
            let url = Url::parse(&text).ok().filter(is_plain);
            let url = url.ok_or_else(|| {
                Fault::Input(
                    Diagnostic::error(format!("`{name}` holds no server's address"))
                        .note("expected `https://HOST`, or `http://HOST` on a network that you trust, without a login, a bucket or a question mark"),
                )
            })?;
            return Ok(Endpoint {
                url,
                named: true,
                region,
            });
        }
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        let url = Url::parse(&format!("https://s3.{region}.amazonaws.com{china}"));
        Ok(Endpoint {
            url: url
                .map_err(|_| Fault::Input(Diagnostic::error("`AWS_REGION` holds no region")))?,
            named: false,
            region,
        })
    }

    /// The address of a bucket: its name is in the path, which every server understands.
    pub(super) fn of_bucket(&self, place: &BucketPlace) -> String {
        let url = self.url.as_str().trim_end_matches('/');
        format!("{url}/{}", place.bucket)
    }

    /// The server's name or address.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// True if it is this machine.
    pub fn is_here(&self) -> bool {
        is_loopback(self.host())
    }

    /// The machine that passes requests on.
    pub fn proxy(&self) -> Option<String> {
        proxy(&self.url).map(|proxy| host_of(&proxy))
    }
}

fn is_plain(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(all: &[(&str, &str)]) -> Result<Endpoint, String> {
        let get = |name: &str| {
            let found = all.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Endpoint::by(get).map_err(|fault| format!("{fault:?}"))
    }

    #[test]
    fn the_environment_names_the_server() {
        let amazon = by(&[("AWS_REGION", "eu-central-1")]).expect("a region");
        assert_eq!(amazon.host(), "s3.eu-central-1.amazonaws.com");
        assert!(!amazon.named && !amazon.is_here());
        let own = by(&[
            ("AWS_ENDPOINT_URL", "https://other.example"),
            ("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9000/"),
        ]);
        let own = own.expect("an address");
        assert!(own.named && own.is_here());
        let place = BucketPlace {
            bucket: "b".to_owned(),
            prefix: String::new(),
        };
        assert_eq!(own.of_bucket(&place), "http://127.0.0.1:9000/b");
    }

    #[test]
    fn what_is_no_address_is_told_without_it() {
        for (name, text) in [
            ("AWS_ENDPOINT_URL", "127.0.0.1:9000"),
            ("AWS_ENDPOINT_URL", "https://user:secret@s3.example"),
            ("AWS_ENDPOINT_URL_S3", "ftp://s3.example"),
            ("AWS_REGION", "secret/../x"),
        ] {
            let fault = by(&[(name, text)]).expect_err(text);
            assert!(fault.contains(name) && !fault.contains("secret"), "{fault}");
        }
    }
}
