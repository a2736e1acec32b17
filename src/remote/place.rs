//! Where a cache elsewhere is, as the user writes it. Pure.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::diag::Diagnostic;

/// A place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A folder.
    Folder(PathBuf),
    /// A bucket.
    Bucket(BucketPlace),
}

/// A bucket, and where in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketPlace {
    /// Its name.
    pub bucket: String,
    /// What all names in it begin with, without a `/` at either end; may be empty.
    pub prefix: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(folder) => write!(f, "{}", folder.display()),
            Place::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}", self.bucket)?;
        match self.prefix.as_str() {
            "" => Ok(()),
            prefix => write!(f, "/{prefix}"),
        }
    }
}

impl Place {
    /// Reads `s3://BUCKET/PREFIX`, `file:///FOLDER`, or a folder.
    ///
    /// # Errors
    /// It is none of them.
    pub fn parse(text: &str) -> Result<Place, Diagnostic> {
        const EXPECTED: &str = "expected `s3://BUCKET/PREFIX`, `file:///FOLDER` or a folder";
        // The text may hold a login, and is not shown.
        let fault = |why: &str| Diagnostic::error(why).note(EXPECTED);
        let Some((scheme, rest)) = text.split_once("://") else {
            return match text.trim() {
                "" => Err(fault("no place for a cache is named")),
                _ => Ok(Place::Folder(PathBuf::from(text))),
            };
        };
        match scheme {
            "file" if rest.starts_with('/') => Ok(Place::Folder(Path::new(rest).to_owned())),
            "file" => Err(fault("a `file:` address names a folder by its whole path")
                .help("write three slashes: `file:///FOLDER`")),
            "s3" => bucket(rest).map(Place::Bucket).map_err(fault),
            "http" | "https" => Err(fault("a cache is not named by a server's address")
                .help("write `s3://BUCKET/PREFIX`, and set `AWS_ENDPOINT_URL` to the server")),
            _ => Err(fault("this is no place for a cache")),
        }
    }
}

fn bucket(text: &str) -> Result<BucketPlace, &'static str> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    if bucket.contains('@') {
        return Err("a place must not hold a login: credentials are read from the environment");
    }
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
    let ends = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !(3..=63).contains(&bucket.len())
        || !bucket.chars().all(plain)
        || !bucket.starts_with(ends)
        || !bucket.ends_with(ends)
    {
        return Err("a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens");
    }
    let prefix = prefix.trim_end_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._=+:@ ".contains(c);
    let fine = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
    if !prefix.is_empty() && !prefix.split('/').all(fine) {
        return Err("the part after the bucket is no path of plain names");
    }
    Ok(BucketPlace {
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_are_told_apart() {
        let shown = |text: &str| Place::parse(text).map(|place| place.to_string());
        for (text, place) in [
            ("s3://clinic", "s3://clinic"),
            ("s3://clinic/", "s3://clinic"),
            ("s3://clinic/a/b/", "s3://clinic/a/b"),
            ("file:///srv/cache", "/srv/cache"),
            ("../cache", "../cache"),
        ] {
            assert_eq!(shown(text).expect(text), place);
        }
        for wrong in [
            "",
            "s3://",
            "s3:///x",
            "s3://UPPER/x",
            "s3://ab",
            "s3://key:secret@clinic/x",
            "s3://clinic//x",
            "s3://clinic/../x",
            "s3://clinic/a?b",
            "file://srv/cache",
            "https://clinic.example/x",
            "gs://clinic",
        ] {
            let fault = Place::parse(wrong).expect_err(wrong);
            assert!(!format!("{fault:?}").contains("secret"), "{fault:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_shown_as_it_is_read(text in "(s3://)?[a-z./:@0-9 é-]{0,24}") {
            if let Ok(place) = Place::parse(&text) {
                prop_assert_eq!(Place::parse(&place.to_string()).expect("again"), place);
            }
        }
    }
}
