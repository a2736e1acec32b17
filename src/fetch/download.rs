//! One file, from wherever it was left to its place: asks again where that may help, goes on
//! where a cut came, and lets nothing into its place whose sum is wrong. Knows no catalogue's
//! rules and no list of files.

use std::path::Path;
use std::time::{Duration, SystemTime};

use reqwest::header::{
    CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, LAST_MODIFIED, RETRY_AFTER, TRANSFER_ENCODING,
};
use reqwest::{Response, Version};

use super::aside::aside;
use super::error::Why;
use super::meter::Meter;
use super::part::{Note, Part};
use super::sums::{Sum, Sums};
use super::web::{Ask, Web, host};
use crate::model::retry::{Backoff, retry_after};

/// How often a host that never answered is tried: a wrong address should fail soon.
const FIRST_TRIES: u32 = 3;
/// The most bytes that a list of sums may have.
const MOST_SUMS: usize = 128 << 20;

/// How a file is got.
pub struct Getting<'a> {
    /// The client.
    pub web: &'a Web,
    /// What to ask for.
    pub ask: Ask<'a>,
    /// Failures in a row that are forgiven.
    pub retries: u32,
}

/// A file that is in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Got {
    /// Its size.
    pub bytes: u64,
    /// Its sum.
    pub sum: Sum,
    /// False if it was fetched from a server that tells no end: a cut would look the same.
    pub end_told: bool,
}

/// An attempt that failed.
struct Failure {
    why: Why,
    /// How long the server asks to wait.
    wait: Option<Duration>,
    /// A server answered at all.
    met: bool,
}

impl From<Why> for Failure {
    fn from(why: Why) -> Failure {
        let met = !matches!(why, Why::Unreachable { .. });
        Failure {
            why,
            wait: None,
            met,
        }
    }
}

impl Getting<'_> {
    /// Puts the file at `path`, with the sum that is expected, if one is. A wrong sum is
    /// given one more try, from the first byte: the beginning may have been another file's.
    ///
    /// # Errors
    /// Why it is not there. What has come stays for the next time, unless its sum is wrong.
    pub async fn file(
        &self,
        path: &Path,
        expected: Option<Sum>,
        meter: &Meter,
    ) -> Result<Got, Why> {
        let (place, url) = (path.to_owned(), self.ask.url.to_string());
        let mut part = aside(move || Part::open(&place, &url)).await?;
        meter.set(part.bytes(), part.note().bytes);
        let mut again = false;
        loop {
            let end_told = self.fill(&mut part, expected.is_some(), meter).await?;
            let (bytes, sum) = (part.bytes(), part.sum());
            match expected.filter(|expected| *expected != sum) {
                None => {
                    aside(|| part.settle()).await?;
                    return Ok(Got {
                        bytes,
                        sum,
                        end_told,
                    });
                }
                Some(expected) if again => {
                    part.discard();
                    return Err(Why::Sum {
                        expected,
                        found: sum,
                    });
                }
                Some(_) => {
                    tracing::debug!("wrong sum; once more from the first byte");
                    part.clear()?;
                    again = true;
                }
            }
        }
    }

    /// The published list of sums.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn sums(&self) -> Result<Sums, Why> {
        let mut failed = 0;
        loop {
            match self.text().await {
                Ok(sums) => return Ok(sums),
                Err(failure) => {
                    failed += 1;
                    self.pause(failure, failed).await?;
                }
            }
        }
    }

    /// Gets what is not there; whether the end is surely the end.
    async fn fill(&self, part: &mut Part, checked: bool, meter: &Meter) -> Result<bool, Why> {
        let mut failed = 0;
        let mut most = part.bytes();
        while !part.is_whole() {
            match self.attempt(part, checked, meter).await {
                Ok(end_told) => return Ok(end_told),
                Err(failure) => {
                    // Slow progress is progress. Bytes that were here before are none: a server
                    // that always begins anew could keep us busy for ever.
                    failed = if part.bytes() > most { 1 } else { failed + 1 };
                    most = most.max(part.bytes());
                    self.pause(failure, failed).await?;
                }
            }
        }
        Ok(true)
    }

    /// Waits before the next attempt, or gives up.
    async fn pause(&self, failure: Failure, failed: u32) -> Result<(), Why> {
        let most = if failure.met {
            self.retries
        } else {
            self.retries.min(FIRST_TRIES - 1)
        };
        if !failure.why.is_transient() || failed > most {
            return Err(failure.why);
        }
        let told = failure.wait.unwrap_or_default();
        let wait = told.max(Backoff::default().jittered(failed - 1));
        tracing::debug!(why = %failure.why, failed, ?wait, "asking again");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    async fn attempt(
        &self,
        part: &mut Part,
        checked: bool,
        meter: &Meter,
    ) -> Result<bool, Failure> {
        let mut answer = self.answer(part, checked).await?;
        let end_told = part.note().bytes.is_some() || tells_end(&answer);
        meter.set(part.bytes(), part.note().bytes);
        while let Some(bytes) = self.web.more(&mut answer).await? {
            if part.bytes() == 0 && begins_like_a_page(&bytes) && !self.wants_page() {
                return Err(Why::Page {
                    host: host(answer.url()),
                }
                .into());
            }
            part.add(&bytes)?;
            meter.add(bytes.len() as u64);
        }
        match part.note().bytes {
            Some(whole) if part.bytes() != whole => Err(Why::Cut {
                host: host(answer.url()),
            }
            .into()),
            _ => Ok(end_told),
        }
    }

    /// An answer whose bytes go to the end of the part.
    async fn answer(&self, part: &mut Part, checked: bool) -> Result<Response, Failure> {
        loop {
            let same = part.note().validator();
            // Without anything to tell two files apart, only a sum can vouch for the whole.
            let goes_on = part.bytes() > 0 && (same.is_some() || checked);
            let ask = Ask {
                from: goes_on.then_some((part.bytes(), same)),
                ..self.ask
            };
            let answer = self.web.get(&ask).await?;
            let status = answer.status().as_u16();
            let told = self.note(answer.headers());
            match status {
                206 if goes_on => {
                    let range = range(answer.headers());
                    let fits = range.is_some_and(|(from, _)| from == part.bytes());
                    let whole = Note {
                        bytes: range.and_then(|(_, whole)| whole),
                        ..told
                    };
                    if fits && part.note().agrees(&whole) {
                        return Ok(answer);
                    }
                    part.clear()?;
                }
                // The part is longer than the file is now.
                416 if goes_on => part.clear()?,
                200 => {
                    if is_page(answer.headers()) && !self.wants_page() {
                        let host = host(answer.url());
                        return Err(Why::Page { host }.into());
                    }
                    part.begin(Note {
                        bytes: answer.content_length(),
                        ..told
                    })?;
                    return Ok(answer);
                }
                _ => return Err(self.refused(&answer)),
            }
        }
    }

    async fn text(&self) -> Result<Sums, Failure> {
        let mut answer = self.web.get(&self.ask).await?;
        if answer.status().as_u16() != 200 {
            return Err(self.refused(&answer));
        }
        let mut text = Vec::new();
        while let Some(bytes) = self.web.more(&mut answer).await? {
            text.extend_from_slice(&bytes);
            if text.len() > MOST_SUMS {
                break;
            }
        }
        let sums = Sums::parse(&String::from_utf8_lossy(&text));
        let host = host(answer.url());
        if is_page(answer.headers()) || begins_like_a_page(&text) {
            return Err(Why::Page { host }.into());
        }
        if sums.is_empty() || text.len() > MOST_SUMS {
            return Err(Why::NoList { host }.into());
        }
        Ok(sums)
    }

    fn refused(&self, answer: &Response) -> Failure {
        let account = self.ask.account;
        let known = account.is_some_and(|account| account.owns(answer.url()));
        let wait = answer.headers().get(RETRY_AFTER);
        let wait = wait.and_then(|value| value.to_str().ok());
        Failure {
            why: Why::of_status(answer.status(), host(answer.url()), known),
            wait: wait.and_then(|value| retry_after(value, SystemTime::now())),
            met: true,
        }
    }

    /// What an answer says of the whole file, but for its size.
    fn note(&self, headers: &HeaderMap) -> Note {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        Note {
            url: self.ask.url.as_str().to_owned(),
            etag: text(ETAG).map(str::to_owned),
            last_modified: text(LAST_MODIFIED).map(str::to_owned),
            bytes: None,
        }
    }

    fn wants_page(&self) -> bool {
        let path = self.ask.url.path();
        path.ends_with(".html") || path.ends_with(".htm")
    }
}

/// False for answers that end where the connection does, as old servers give them.
fn tells_end(answer: &Response) -> bool {
    answer.content_length().is_some()
        || answer.headers().contains_key(TRANSFER_ENCODING)
        || answer.version() > Version::HTTP_11
}

/// The first byte and the size of the whole, from `bytes 5-9/10` or `bytes 5-9/*`.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, whole) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, whole.trim().parse().ok()))
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim().to_ascii_lowercase().starts_with("text/html"))
}

/// Servers may call a page anything.
fn begins_like_a_page(bytes: &[u8]) -> bool {
    let start = bytes.trim_ascii_start();
    ["<!doctype html", "<html"].iter().any(|tag| {
        let head = start.get(..tag.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[test]
    fn ranges_are_read() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_RANGE, HeaderValue::from_static(text));
            range(&headers)
        };
        assert_eq!(read("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(read("bytes 5-9/*"), Some((5, None)));
        assert_eq!(read("bytes */10"), None);
        assert_eq!(read("items 5-9/10"), None);
        assert_eq!(read("bytes -9/10"), None);
    }

    #[test]
    fn pages_are_told_from_data() {
        assert!(begins_like_a_page(b"\n <!DOCTYPE HTML><html>"));
        assert!(begins_like_a_page(b"<html lang=\"en\">"));
        assert!(!begins_like_a_page(b"<!doc"));
        assert!(!begins_like_a_page(b"note_id,text\n1,<html>"));
    }
}
