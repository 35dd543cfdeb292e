//! The engine's own words, as people are told them.

use anyhow::{Result, anyhow};
use bollard::errors::Error as DockerError;

/// Removing what is already gone is success.
pub(crate) fn gone(removed: Result<(), DockerError>) -> Result<()> {
    match removed {
        Ok(()) | Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        // "removal … is already in progress": the sweep looks again.
        Err(DockerError::DockerResponseServerError {
            status_code: 409,
            message,
        }) if message.contains("in progress") => Ok(()),
        Err(error) => Err(anyhow!("{}", engine_words(&error))),
    }
}

/// The engine's own words, without the library's frame around them.
pub(crate) fn engine_words(error: &DockerError) -> String {
    match error {
        DockerError::DockerResponseServerError { message, .. } | DockerError::DockerStreamError { error: message } => {
            one_line(message)
        }
        other => one_line(&other.to_string()),
    }
}

pub(super) fn start_words(message: &str) -> String {
    let inner = message
        .rsplit("Docker responded with status code")
        .next()
        .unwrap_or(message);
    let inner = inner.split_once(": ").map_or(inner, |(_, rest)| rest);
    one_line(inner)
}

pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
