//! Why a file could not be fetched. Owns the words and which failures may pass by waiting;
//! never holds a login, nor what a server said.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::StatusCode;

use super::sums::Sum;

/// Why a file could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// No connection could be made.
    #[error("cannot reach {host}: {because}")]
    Unreachable {
        /// Host and port.
        host: String,
        /// The operating system's or the TLS library's words.
        because: String,
    },
    /// Nothing came for so long.
    #[error("nothing came from {host} for {seconds} s")]
    Stalled {
        /// Host and port.
        host: String,
        /// How long.
        seconds: u64,
    },
    /// The connection ended before the file did.
    #[error("the connection to {host} was cut")]
    Cut {
        /// Host and port.
        host: String,
    },
    /// Any status that is told no better.
    #[error("{host} answers with status {code}")]
    Status {
        /// Host and port.
        host: String,
        /// The status.
        code: u16,
    },
    /// 401.
    #[error("{host} refuses the login (status 401): wrong user name or password")]
    Login {
        /// Host and port.
        host: String,
    },
    /// 401 without a login.
    #[error("{host} wants a login (status 401), and the catalogue names no account for it")]
    NoAccount {
        /// Host and port.
        host: String,
    },
    /// 403.
    #[error("{host} does not give this file to this user (status 403)")]
    Forbidden {
        /// Host and port.
        host: String,
    },
    /// 404 or 410.
    #[error("{host} has no such file (status {code})")]
    Missing {
        /// Host and port.
        host: String,
        /// The status.
        code: u16,
    },
    /// A page for people, such as one to log in.
    #[error("{host} sent a web page instead of the file")]
    Page {
        /// Host and port.
        host: String,
    },
    /// A redirect to an address without encryption.
    #[error("{host} points to {to}, which is not encrypted: not followed")]
    Insecure {
        /// Who points.
        host: String,
        /// Where to.
        to: String,
    },
    /// A redirect that leads nowhere.
    #[error("{host} points to another address that is none, or in a circle")]
    Lost {
        /// Who points.
        host: String,
    },
    /// The bytes are not the right ones.
    #[error("wrong SHA-256 sum: expected {expected}, found {found}")]
    Sum {
        /// What it should be.
        expected: Sum,
        /// What it is.
        found: Sum,
    },
    /// The bytes are not those of the first download, and nobody publishes a sum.
    #[error("not the file of the first download: its SHA-256 sum was {kept} and is now {found}")]
    Changed {
        /// What it was.
        kept: Sum,
        /// What it is.
        found: Sum,
    },
    /// The list of sums has none for this file.
    #[error("the list of sums at {host} has none for this file")]
    Unlisted {
        /// Where the list is.
        host: String,
    },
    /// The list of sums is none.
    #[error("what {host} sent is no list of sums")]
    NoList {
        /// Where the list is.
        host: String,
    },
    /// No connections can be made at all.
    #[error("cannot make connections: {because}")]
    NoClient {
        /// The library's words.
        because: String,
    },
    /// Another process is at it.
    #[error("another process is fetching this file")]
    InUse,
    /// The disk does not take or give it.
    #[error("{because} while {doing} `{}`", path.display())]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The operating system's words.
        because: String,
        /// True when there is no room.
        full: bool,
    },
}

impl Why {
    /// A failure of the disk.
    pub fn disk(doing: &'static str, path: &Path, error: &io::Error) -> Why {
        Why::Disk {
            doing,
            path: path.to_owned(),
            because: plain(&error.to_string()),
            full: matches!(
                error.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
        }
    }

    /// What a status means that is no success.
    pub(super) fn of_status(status: StatusCode, host: String, login: bool) -> Why {
        match status.as_u16() {
            401 if login => Why::Login { host },
            401 => Why::NoAccount { host },
            403 => Why::Forbidden { host },
            code @ (404 | 410) => Why::Missing { host, code },
            code => Why::Status { host, code },
        }
    }

    /// True when the same request may well succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Why::Unreachable { .. } | Why::Stalled { .. } | Why::Cut { .. } => true,
            Why::Status { code, .. } => *code >= 500 || matches!(code, 408 | 425 | 429),
            _ => false,
        }
    }
}

/// Words of the operating system without its number, lower case at the start.
pub(super) fn plain(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
