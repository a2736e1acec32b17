//! The rules of a catalogue's addresses and paths: what is safe to fetch from, and where files
//! may go. Pure; reads no files.

use std::path::{Component, Path, PathBuf};

use reqwest::Url;

use super::shelf;
use crate::diag::{Diagnostic, Span};
use crate::model::reach::is_loopback;
use crate::spec::decode::Src;

/// An address that data may come from: encrypted, or on this computer; without a login in it.
pub(super) fn address(text: &Src<String>) -> Result<Url, Box<Diagnostic>> {
    let fault = |message: &str| Diagnostic::error(message).at(text.span, "");
    let url = Url::parse(text).map_err(|why| {
        fault(&format!("this is no address: {why}"))
            .help("write it like `https://example.org/file`")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Box::new(
            fault("an address must not hold a login").help("describe an account under `accounts:`"),
        ));
    }
    if is_safe(&url) {
        return Ok(url);
    }
    Err(Box::new(match url.scheme() {
        "http" => fault("this address is not encrypted").help("write `https://`"),
        other => fault(&format!("cannot fetch from `{other}:` addresses")).help("write `https://`"),
    }))
}

/// True for addresses that nobody on the way can read along: HTTPS, or this computer.
pub(super) fn is_safe(url: &Url) -> bool {
    let host = url.host_str().filter(|host| !host.is_empty());
    match url.scheme() {
        "https" => host.is_some(),
        "http" => host.is_some_and(is_loopback),
        _ => false,
    }
}

/// The data folder that a catalogue names: below the folder around the catalogue's, so that no
/// catalogue writes all over the place.
pub(super) fn into(text: &Src<String>) -> Result<&str, Box<Diagnostic>> {
    if text.contains(char::is_control) {
        let fault = Diagnostic::error("expected a folder without control characters in its name");
        return Err(Box::new(fault.at(text.span, "")));
    }
    let mut parts = Path::new(text.as_str()).components();
    let first = parts.next();
    let inside = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let below = match first {
        Some(Component::ParentDir) => parts.clone().next().is_some(),
        Some(part) => inside(part),
        None => false,
    };
    if below && parts.all(inside) {
        return Ok(text.as_str());
    }
    Err(Box::new(
        Diagnostic::error("this is too far away from the catalogue")
            .at(
                text.span,
                "expected a folder beside the catalogue or its folder",
            )
            .help("write it like `data` or `../data`; to use another folder, give `--to DIR`"),
    ))
}

/// Where a file goes: inside the data folder, and where no other file goes.
pub(super) fn place(
    to: &Src<String>,
    places: &mut Vec<(String, Span)>,
    faults: &mut Vec<Diagnostic>,
) -> Option<String> {
    let text = to.as_str();
    let odd = |part: &str| matches!(part, "" | "." | "..");
    let strange = |c: char| c.is_control() || matches!(c, '\\' | ':');
    if text.split('/').any(odd) || text.contains(strange) {
        faults.push(
            Diagnostic::error("expected a path inside the data folder")
                .at(to.span, "")
                .help("write it like `folder/file.csv`: no `..`, no `/` in front"),
        );
        return None;
    }
    if shelf::is_ours(text) {
        faults.push(Diagnostic::error("clue keeps a file of its own by this name").at(to.span, ""));
        return None;
    }
    let clash = |(other, _): &&(String, Span)| {
        let within = |inner: &str, outer: &str| {
            inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        other == text || within(other, text) || within(text, other)
    };
    if let Some((_, first)) = places.iter().find(clash) {
        faults.push(
            Diagnostic::error("two files go to the same place")
                .at(to.span, "")
                .also(*first, "the other one"),
        );
        return None;
    }
    places.push((text.to_owned(), to.span));
    Some(text.to_owned())
}

/// A file's name in a list of sums: relative to the list's folder.
pub(super) fn listed(sums: &Url, file: &Url) -> Option<String> {
    if sums.origin() != file.origin() {
        return None;
    }
    let folder = sums
        .path()
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let name = file.path().strip_prefix(folder)?.strip_prefix('/')?;
    Some(decoded(name)).filter(|name| !name.is_empty())
}

/// A path without its `%20`s.
fn decoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let code = part
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(&part.as_bytes()[2..]);
            }
            None => {
                bytes.push(b'%');
                bytes.extend(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path without `folder/..` in it: for people to read.
pub(super) fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        let last = tidy.components().next_back();
        match (part, last) {
            (Component::CurDir, _) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                tidy.pop();
            }
            _ => tidy.push(part),
        }
    }
    if tidy.as_os_str().is_empty() {
        tidy.push(".");
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_become_names() {
        let names = ["a%20b", "%C3%A9", "100%", "%zz%2", "a%é"].map(decoded);
        assert_eq!(names, ["a b", "é", "100%", "%zz%2", "a%é"]);
    }

    #[test]
    fn paths_for_people() {
        let tidied = [
            "pipelines/../data",
            "../data",
            "./a/b/..",
            "a/..",
            "/x/../y",
        ]
        .map(|path| tidy(Path::new(path)).display().to_string());
        assert_eq!(tidied, ["data", "../data", "a", ".", "/y"]);
    }
}
