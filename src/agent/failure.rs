//! Why an exchange brought no answer, in one of a few words.

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use super::Answer;

/// An exchange that failed on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// One of the words of [`Answer::Failed`].
    pub kind: &'static str,
    /// The library's words, causes included.
    pub message: String,
}

impl Failure {
    /// The call itself cannot be sent.
    pub fn request(message: impl Into<String>) -> Self {
        Self {
            kind: "request",
            message: message.into(),
        }
    }

    /// No complete answer in time.
    pub fn timeout(limit: Duration) -> Self {
        Self {
            kind: "timeout",
            message: format!("no complete answer within {} ms", limit.as_millis()),
        }
    }

    /// As it goes over the wire.
    pub fn into_answer(self, duration: Duration) -> Answer {
        Answer::Failed {
            kind: self.kind.to_owned(),
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

fn kind_of(error: &reqwest::Error) -> &'static str {
    if error.is_builder() {
        "request"
    } else if error.is_dns() {
        "dns"
    } else if error.is_connect() {
        connect_kind(error)
    } else if error.is_timeout() {
        "timeout"
    } else if was_cut(error) {
        "reset"
    } else {
        "protocol"
    }
}

/// A connection fails as TCP does, or afterwards in the TLS handshake, which reports what it dislikes as bad data.
fn connect_kind(error: &reqwest::Error) -> &'static str {
    let https = error.url().is_some_and(|url| url.scheme() == "https");
    match io_kinds(error).last() {
        Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof | ErrorKind::Other | ErrorKind::InvalidInput)
            if https =>
        {
            "tls"
        }
        Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => "reset",
        _ => "connect",
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
