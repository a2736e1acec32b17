//! What a server's refusal means, and what to set. The words of servers may hold anything, so only
//! the name of the fault is taken from them.

use std::error::Error as _;

use object_store::Error;

use super::endpoint::Endpoint;
use super::fault::Fault;
use super::place::BucketPlace;
use crate::diag::Diagnostic;

/// Words a failed request about a bucket.
pub(super) fn fault(error: &Error, place: &BucketPlace, endpoint: &Endpoint) -> Fault {
    let told = told(error);
    let code = code(&told);
    let bucket = &place.bucket;
    let host = endpoint.host();
    let region = &endpoint.region;
    let input = |what: String, help: String| Fault::Input(Diagnostic::error(what).help(help));
    match code {
        Some("NoSuchBucket") => input(
            format!("`{host}` has no bucket `{bucket}`"),
            "make it, or check its name, `AWS_ENDPOINT_URL` and `AWS_REGION`".to_owned(),
        ),
        Some(
            "AuthorizationHeaderMalformed"
            | "PermanentRedirect"
            | "IllegalLocationConstraintException",
        ) => wrong_region(bucket, region),
        _ if told.contains("redirect without LOCATION")
            || status(&told).is_some_and(|s| s.starts_with("301") || s.starts_with("307")) =>
        {
            wrong_region(bucket, region)
        }
        Some(
            code @ ("InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "ExpiredToken"
            | "TokenRefreshRequired"
            | "InvalidClientTokenId"
            | "UnrecognizedClientException"),
        ) => input(
            format!("`{host}` does not take these credentials ({code})"),
            "check `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`".to_owned(),
        ),
        Some("RequestTimeTooSkewed") => input(
            format!("`{host}` does not take requests of this machine: its clock is wrong"),
            "set the clock".to_owned(),
        ),
        _ if matches!(
            error,
            Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
        ) =>
        {
            input(
                format!("`{host}` does not let these credentials into `{place}`"),
                "they need the rights to list, get and put objects there (`s3:ListBucket`, \
                 `s3:GetObject`, `s3:PutObject`, `s3:AbortMultipartUpload`)"
                    .to_owned(),
            )
        }
        _ => Fault::Transfer(
            Diagnostic::error(format!("`{place}`: {}", broken(host, &told, error, code)))
                .help("what has moved stays; run it again to go on"),
        ),
    }
}

fn wrong_region(bucket: &str, region: &str) -> Fault {
    Fault::Input(
        Diagnostic::error(format!(
            "the bucket `{bucket}` is not in the region `{region}`"
        ))
        .help("set `AWS_REGION` to its region"),
    )
}

/// All that is told of an error.
fn told(error: &Error) -> String {
    error.to_string()
}

/// The name that S3 gives a fault, if it is a plain word.
fn code(told: &str) -> Option<&str> {
    let (_, rest) = told.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let plain = code.len() <= 60 && code.chars().all(|c| c.is_ascii_alphanumeric());
    plain.then_some(code)
}

/// The status of an answer, such as `503 Service Unavailable`.
fn status(told: &str) -> Option<&str> {
    let (_, rest) = told.split_once("status code: ")?;
    let end = rest.find([':', '\n']).unwrap_or(rest.len());
    let status = rest[..end].trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
    (status.len() <= 60 && status.chars().all(plain)).then_some(status)
}

fn broken(host: &str, told: &str, error: &Error, code: Option<&str>) -> String {
    match (status(told), code) {
        (Some(status), Some(code)) => format!("`{host}` answers {status} ({code})"),
        (Some(status), None) => format!("`{host}` answers {status}"),
        (None, Some(code)) => format!("`{host}` refuses ({code})"),
        (None, None) => format!("cannot reach `{host}`: {}", innermost(error)),
    }
}

/// The cause at the bottom: the ones above only repeat the address.
pub(super) fn innermost(error: &Error) -> String {
    let Some(mut bottom) = error.source() else {
        return "no answer".to_owned();
    };
    while let Some(source) = bottom.source() {
        bottom = source;
    }
    let text = bottom.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_taken_from_what_a_server_says() {
        let told = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>AccessDenied</Code>\
                    <Message>SECRET</Message></Error>";
        assert_eq!(code(told), Some("AccessDenied"));
        assert_eq!(status(told), Some("403 Forbidden"));
        assert_eq!(code("<Code>a b; SECRET</Code>"), None);
        assert_eq!(status("status code: 500 SECRET\u{1b}[2J: "), None);
    }
}
