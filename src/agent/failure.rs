//! Why an exchange brought no answer, in one of a few words.

use std::error::Error;
use std::fmt;
use std::io::ErrorKind;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where on its way an exchange failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallFailureKind {
    /// The name has no address.
    Dns,
    /// Nobody takes the connection.
    Connect,
    /// The two do not agree on TLS.
    Tls,
    /// No complete answer in time.
    Timeout,
    /// The connection was cut.
    Reset,
    /// What came is not HTTP.
    Protocol,
    /// The call itself cannot be done.
    Request,
}

impl fmt::Display for CallFailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Request => "request",
        })
    }
}

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFailure {
    /// Where it failed.
    pub kind: CallFailureKind,
    /// The library's words, causes included.
    pub message: String,
    /// Milliseconds until it failed.
    pub duration_ms: u64,
}

impl CallFailure {
    /// What was asked for cannot be done.
    pub(super) fn request(message: String) -> Self {
        Failure::request(message).after(Duration::ZERO)
    }
}

/// An exchange that failed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// Where it failed.
    pub kind: CallFailureKind,
    /// The library's words, causes included.
    pub message: String,
}

impl Failure {
    /// The call itself cannot be sent.
    pub fn request(message: impl Into<String>) -> Self {
        Self {
            kind: CallFailureKind::Request,
            message: message.into(),
        }
    }

    /// No complete answer in time.
    pub fn timeout(limit: Duration) -> Self {
        Self {
            kind: CallFailureKind::Timeout,
            message: format!("no complete answer within {} ms", limit.as_millis()),
        }
    }

    /// As it goes over the wire.
    pub fn after(self, duration: Duration) -> CallFailure {
        CallFailure {
            kind: self.kind,
            message: self.message,
            duration_ms: millis(duration),
        }
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let kind = kind_of(&error);
        // The URL is the caller's own knowledge, and may hold a code or a token.
        Self {
            kind,
            message: words(&error.without_url()),
        }
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn kind_of(error: &reqwest::Error) -> CallFailureKind {
    if error.is_builder() {
        CallFailureKind::Request
    } else if error.is_dns() {
        CallFailureKind::Dns
    } else if error.is_connect() {
        connect_kind(error)
    } else if error.is_timeout() {
        CallFailureKind::Timeout
    } else if was_cut(error) {
        CallFailureKind::Reset
    } else {
        CallFailureKind::Protocol
    }
}

/// A connection fails as TCP does, or afterwards in the TLS handshake, which reports what it dislikes as bad data.
fn connect_kind(error: &reqwest::Error) -> CallFailureKind {
    let https = error.url().is_some_and(|url| url.scheme() == "https");
    match io_kinds(error).last() {
        Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::Other | ErrorKind::InvalidInput)
            if https =>
        {
            CallFailureKind::Tls
        }
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => CallFailureKind::Reset,
        _ => CallFailureKind::Connect,
    }
}

fn was_cut(error: &reqwest::Error) -> bool {
    let by_hyper = causes(error)
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(|hyper| hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled());
    by_hyper
        || io_kinds(error).any(|kind| {
            use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
            matches!(kind, ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof)
        })
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn io_kinds<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = ErrorKind> + 'a {
    causes(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind)
}

/// The chain of causes in one line; a cause that its effect already quotes is not said twice.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    for cause in causes(error).map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}
