//! A cache in an S3-compatible bucket: what one can ask of it. Owns the client, and the care that
//! an upload is there as a whole or not at all; knows nothing of what the files mean.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::path::Path as File;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig,
};

use super::endpoint::Endpoint;
use super::fault::Fault;
use super::index::Index;
use super::place::BucketPlace;
use super::refusal;
use crate::diag::Diagnostic;
use crate::engine::halt::Halt;
use crate::model::http::client_for;
use crate::store::{Part, Version, newer_than};
use crate::text::visible::plain;
use crate::trust::config::Config;

/// How long somebody may take to hand out credentials: that there is nobody shows as silence.
const HAND_OUT: Duration = Duration::from_secs(2);
/// How long a server may be silent.
const SILENCE: Duration = Duration::from_secs(60);
/// How long cleaning up after a failed upload may take.
const CLEAN_UP: Duration = Duration::from_secs(5);
/// Larger files are sent in pieces (bytes).
const WHOLE: u64 = 16 << 20;
/// A piece (bytes), unless the file is so large that it needs larger ones.
const PIECE: u64 = 8 << 20;
/// S3 takes ten thousand.
const MOST_PIECES: u64 = 9_000;

/// A cache in a bucket.
pub struct Bucket {
    objects: Arc<dyn ObjectStore>,
    place: BucketPlace,
    endpoint: Endpoint,
}

/// What is there.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Parts, with their bytes.
    pub(super) parts: BTreeMap<Part, u64>,
    /// Segments, with their bytes, and whether there is an index.
    pub(super) segments: BTreeMap<String, (u64, bool)>,
}

/// What is there already under a name that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing; if somebody else is faster, theirs stays.
    Nothing,
    /// Something damaged, which is replaced.
    Damaged,
}

/// Where a segment is.
pub(super) fn segment(name: &str) -> String {
    format!("calls/{name}.seg")
}

/// Where its index is.
pub(super) fn index(name: &str) -> String {
    format!("calls/{name}.idx")
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bucket({})", self.place)
    }
}

impl Bucket {
    /// Finds the credentials; asks the server nothing.
    ///
    /// # Errors
    /// What is not set.
    pub(super) async fn open(place: &BucketPlace) -> Result<Bucket, Fault> {
        let endpoint = Endpoint::of_env()?;
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(100),
                max_backoff: Duration::from_secs(2),
                base: 2.0,
            },
            max_retries: 4,
            retry_timeout: Duration::from_secs(30),
        };
        let broken = |error: Error| {
            Fault::Input(Diagnostic::error(format!(
                "cannot use `{place}`: {}",
                refusal::innermost(&error)
            )))
        };
        let mut builder = AmazonS3Builder::new()
            .with_retry(retry.clone())
            .with_allow_http(endpoint.url.scheme() == "http");
        for (name, value) in set() {
            builder = builder.with_config(name, value);
        }
        builder = builder
            .with_bucket_name(&place.bucket)
            .with_region(&endpoint.region)
            // With the bucket in it, it is taken as it is.
            .with_virtual_hosted_style_request(true)
            .with_config(AmazonS3ConfigKey::S3Endpoint, endpoint.of_bucket(place));
        let open = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
        let open = open.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        // Whoever hands out credentials is asked in the way that is usual there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let first = builder.clone().build().map_err(|_| half(place))?;
        if !open {
            credentials(&first, place).await?;
        }
        let objects = builder
            .with_credentials(first.credentials().clone())
            .with_http_connector(Guarded(endpoint.clone()))
            .build()
            .map_err(broken)?;
        Ok(Bucket {
            objects: Arc::new(objects),
            place: place.clone(),
            endpoint,
        })
    }

    /// One whose objects are somewhere else.
    #[cfg(test)]
    pub(super) fn of(objects: Arc<dyn ObjectStore>) -> Bucket {
        Bucket {
            objects,
            place: BucketPlace {
                bucket: "clinic".to_owned(),
                prefix: "all".to_owned(),
            },
            endpoint: Endpoint {
                url: "http://127.0.0.1".parse().expect("an address"),
                named: true,
                region: "us-east-1".to_owned(),
            },
        }
    }

    /// How users call a file there.
    pub(super) fn shown(&self, name: &str) -> String {
        format!("{}/{name}", self.place)
    }

    /// How users call it.
    pub(super) fn place(&self) -> String {
        self.place.to_string()
    }

    /// Why what is in a cache may not go there: a cache holds what pipelines read and what models
    /// said, of all that ran with it. Only the user's own configuration says that it may.
    pub(super) fn refused(&self, config: &Config) -> Option<Diagnostic> {
        if self.endpoint.is_here() {
            return None;
        }
        let place = self.place();
        let file = config.file.as_ref().map(|file| file.display().to_string());
        let file = plain(&file.unwrap_or_else(|| "the file that `CLUE_CONFIG` names".to_owned()));
        let refuse = |to: &str, add: String| {
            Diagnostic::error(format!(
                "this would send the cache to {to}, which your own configuration does not allow"
            ))
            .note("a cache holds records and answers of all pipelines that ran with it")
            .help(format!("only if they may go there: add {add} in `{file}`"))
        };
        if !config.allows_remote(&place) {
            return Some(refuse(
                &format!("`{place}`"),
                format!("`{place}` to `remotes: […]`"),
            ));
        }
        let host = self.endpoint.named.then(|| self.endpoint.host().to_owned());
        let mut machines = host.into_iter().chain(self.endpoint.proxy());
        let other = plain(&machines.find(|host| !config.allows(host))?);
        Some(refuse(
            &format!("`{place}` by `{other}`"),
            format!("`{other}` to `sensitive: {{hosts: […]}}`"),
        ))
    }

    fn fault(&self, error: Error) -> Fault {
        refusal::fault(&error, &self.place, &self.endpoint)
    }

    fn path(&self, name: &str) -> Result<Path, Fault> {
        let whole = match self.place.prefix.as_str() {
            "" => name.to_owned(),
            prefix => format!("{prefix}/{name}"),
        };
        Path::parse(whole).map_err(|error| self.fault(error.into()))
    }

    /// The version of the cache; none if there is no cache.
    pub(super) async fn version(&self) -> Result<Option<Version>, Fault> {
        let found = self.read(Version::FILE).await?;
        let version = found.map(|found| Version::of(&found));
        match version {
            Some(Version::Newer(format)) => Err(Fault::Input(
                newer_than(&self.place(), format)
                    .help("use the newer `clue` that wrote it, or choose another place"),
            )),
            other => Ok(other),
        }
    }

    /// Everything that is there. Segments before outputs: who pushes sends outputs first, so those
    /// of all results seen are seen.
    pub(super) async fn list(&self) -> Result<Listing, Fault> {
        let mut listing = Listing::default();
        let mut indexed = Vec::new();
        for (name, bytes) in self.list_in("calls").await? {
            match name.strip_prefix("calls/").and_then(|n| n.rsplit_once('.')) {
                Some((name, "seg")) => {
                    listing.segments.insert(name.to_owned(), (bytes, false));
                }
                Some((name, "idx")) => indexed.push(name.to_owned()),
                _ => {}
            }
        }
        for name in indexed {
            if let Some((_, has_index)) = listing.segments.get_mut(&name) {
                *has_index = true;
            }
        }
        for folder in Part::FOLDERS {
            for (name, bytes) in self.list_in(folder).await? {
                if let Some(part) = Part::parse(&name) {
                    listing.parts.insert(part, bytes);
                }
            }
        }
        Ok(listing)
    }

    async fn list_in(&self, folder: &str) -> Result<Vec<(String, u64)>, Fault> {
        let under = self.path(folder)?;
        let whole = under.as_ref().len() - folder.len();
        let found = self.objects.list(Some(&under));
        let found = found.map_ok(|object| {
            let name = object.location.as_ref().get(whole..).unwrap_or_default();
            (name.to_owned(), object.size)
        });
        found.try_collect().await.map_err(|error| self.fault(error))
    }

    /// The index of a segment; none if there is none, or it is damaged.
    pub(super) async fn read_index(&self, name: &str) -> Result<Option<Index>, Fault> {
        let found = self.read(&index(name)).await?;
        Ok(found.and_then(|bytes| Index::decode(&bytes)))
    }

    /// A small file; none if there is none.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let got = match self.objects.get(&self.path(name)?).await {
            Ok(got) => got,
            Err(Error::NotFound { source, .. }) if !no_bucket(&*source) => return Ok(None),
            Err(error) => return Err(self.fault(error)),
        };
        let bytes = got.bytes().await.map_err(|error| self.fault(error))?;
        Ok(Some(bytes.to_vec()))
    }

    /// Gets a file; false if it is gone.
    pub(super) async fn fetch(
        &self,
        name: &str,
        into: &mut tempfile::NamedTempFile,
        halt: &Halt,
    ) -> Result<bool, Fault> {
        let work = async {
            let got = match self.objects.get(&self.path(name)?).await {
                Ok(got) => got,
                Err(Error::NotFound { source, .. }) if !no_bucket(&*source) => return Ok(false),
                Err(error) => return Err(self.fault(error)),
            };
            let mut pieces = got.into_stream();
            while let Some(piece) = pieces.next().await {
                let piece = piece.map_err(|error| self.fault(error))?;
                into.write_all(&piece).map_err(|error| disk(&error))?;
            }
            into.flush().map_err(|error| disk(&error))?;
            Ok(true)
        };
        tokio::select! {
            done = work => done,
            () = halt.raised() => Err(Fault::Interrupted),
        }
    }

    /// Writes a small file; false if there is one already.
    pub(super) async fn write(
        &self,
        name: &str,
        bytes: Vec<u8>,
        before: Before,
    ) -> Result<bool, Fault> {
        let path = self.path(name)?;
        let put =
            |mode: PutMode, bytes: Vec<u8>| self.objects.put_opts(&path, bytes.into(), mode.into());
        let done = match before {
            Before::Damaged => put(PutMode::Overwrite, bytes).await,
            Before::Nothing => match put(PutMode::Create, bytes.clone()).await {
                // Not every server can: names are of content or unique, so it does no harm.
                Err(error) if cannot(&error) => put(PutMode::Overwrite, bytes).await,
                other => other,
            },
        };
        match done {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. }) => Ok(false),
            Err(error) => Err(self.fault(error)),
        }
    }

    /// Sends a file; false if there is one already. One that is cut short leaves nothing.
    pub(super) async fn send(
        &self,
        name: &str,
        file: &File,
        before: Before,
        halt: &Halt,
    ) -> Result<bool, Fault> {
        let mut from = std::fs::File::open(file).map_err(|error| disk(&error))?;
        let len = from.metadata().map_err(|error| disk(&error))?.len();
        if len <= WHOLE {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(|error| disk(&error))?;
            return tokio::select! {
                done = self.write(name, bytes, before) => done,
                () = halt.raised() => Err(Fault::Interrupted),
            };
        }
        let upload = self.objects.put_multipart(&self.path(name)?).await;
        let mut upload = upload.map_err(|error| self.fault(error))?;
        let piece = PIECE.max(len.div_ceil(MOST_PIECES));
        let work = async {
            loop {
                let mut bytes = Vec::new();
                let mut next = (&mut from).take(piece);
                next.read_to_end(&mut bytes).map_err(|error| disk(&error))?;
                if bytes.is_empty() {
                    break;
                }
                let part = upload.put_part(bytes.into()).await;
                part.map_err(|error| self.fault(error))?;
            }
            upload.complete().await.map_err(|error| self.fault(error))
        };
        let done = tokio::select! {
            done = work => done,
            () = halt.raised() => Err(Fault::Interrupted),
        };
        if done.is_err()
            && !matches!(
                tokio::time::timeout(CLEAN_UP, upload.abort()).await,
                Ok(Ok(()))
            )
        {
            tracing::debug!(%name, "pieces of an upload stay");
        }
        done.map(|_| true)
    }
}

/// What the environment sets for S3, but for what is no business of a cache's.
fn set() -> impl Iterator<Item = (AmazonS3ConfigKey, String)> {
    let all = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let own = all.filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty());
    own.filter_map(|(name, value)| {
        let key = name.to_ascii_lowercase().parse().ok()?;
        let other = matches!(
            key,
            AmazonS3ConfigKey::Client(_) | AmazonS3ConfigKey::Endpoint
        );
        (!other).then_some((key, value))
    })
}

/// Asks for credentials where there should be some.
async fn credentials(
    objects: &object_store::aws::AmazonS3,
    place: &BucketPlace,
) -> Result<(), Fault> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let off = std::env::var("AWS_EC2_METADATA_DISABLED");
    let elsewhere = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let nobody =
        off.is_ok_and(|off| off.eq_ignore_ascii_case("true")) && !elsewhere.into_iter().any(set);
    let asked = async {
        let given = objects.credentials().get_credential();
        tokio::time::timeout(HAND_OUT, given).await
    };
    if !nobody && matches!(asked.await, Ok(Ok(_))) {
        return Ok(());
    }
    Err(Fault::Input(
        Diagnostic::error(format!("there are no credentials for `{place}`"))
            .note(
                "looked for `AWS_ACCESS_KEY_ID`, a web identity, a container's role, and the role \
                 of a machine at Amazon; profiles in `~/.aws` are not read",
            )
            .help(
                "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (for a profile: `eval \
                 \"$(aws configure export-credentials --format env)\"`), or \
                 `AWS_SKIP_SIGNATURE=true` for a bucket that is open to all",
            ),
    ))
}

/// Credentials of which one half is set.
fn half(place: &BucketPlace) -> Fault {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (id, secret) = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
    let what = match (set(id), set(secret)) {
        (true, false) => format!("`{id}` is set, and `{secret}` is not"),
        (false, true) => format!("`{secret}` is set, and `{id}` is not"),
        _ => format!("an environment variable `AWS_…` does not fit `{place}`"),
    };
    Fault::Input(Diagnostic::error(what).help("set both, or neither"))
}

/// A client that sends data nowhere but to the server, as those for models do.
#[derive(Debug)]
struct Guarded(Endpoint);

impl HttpConnector for Guarded {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = client_for(&self.0.url)
            .and_then(|builder| builder.no_gzip().read_timeout(SILENCE).build())
            .map_err(|source| Error::Generic {
                store: "S3",
                source: Box::new(source),
            })?;
        Ok(HttpClient::new(client))
    }
}

/// True for a server that knows no condition on writing.
fn cannot(error: &Error) -> bool {
    matches!(
        error,
        Error::NotImplemented { .. } | Error::NotSupported { .. }
    ) || error.to_string().contains("<Code>NotImplemented</Code>")
}

/// What is not found may be the whole bucket.
fn no_bucket(source: &(dyn std::error::Error + 'static)) -> bool {
    source.to_string().contains("<Code>NoSuchBucket</Code>")
}

fn disk(error: &std::io::Error) -> Fault {
    Fault::Transfer(Diagnostic::error(format!("cannot use a file: {error}")))
}
