//! The engine's own words, as people are told them.

use std::path::Path;

use anyhow::{Result, anyhow};
use bollard::errors::Error as DockerError;

use crate::record::outcome::{Lost, Part};
use crate::text::harmless::one_line;

/// Why a call to the engine came to nothing, in words for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EngineError {
    /// It answered, and refused: the doing of whoever asked.
    #[error("{0}")]
    Refused(String),
    /// It answered that its disk is full or broken.
    #[error("{0}")]
    NoRoom(String),
    /// It did not answer, or not to the end.
    #[error("{0}")]
    Silent(String),
    /// What lies on this machine could not be copied into the mirror: nobody's doing who asked for it.
    #[error("{0}")]
    NotCopied(String),
    /// Under the name of an image there is another one by now.
    #[error("{0}")]
    OtherImage(String),
}

/// What an engine says whose disk takes nothing more: the texts of ENOSPC, EDQUOT and EIO. Not of EROFS: a release
/// whose own root is read-only has that.
const DISK: [&str; 3] = ["no space left on device", "disk quota exceeded", "input/output error"];

impl EngineError {
    /// In the engine's own words.
    pub fn refused(words: String) -> Self {
        let lower = words.to_lowercase();
        match DISK.iter().any(|text| lower.contains(text)) {
            true => Self::NoRoom(words),
            false => Self::Refused(words),
        }
    }
}

impl From<&DockerError> for EngineError {
    fn from(error: &DockerError) -> Self {
        let words = engine_words(error);
        match error {
            DockerError::DockerResponseServerError { .. } | DockerError::DockerStreamError { .. } => {
                Self::refused(words)
            }
            _ => Self::Silent(words),
        }
    }
}

/// What a failed call tells of the machine: nothing, where the engine answered and refused.
pub(crate) fn lost(error: &anyhow::Error) -> Option<Lost> {
    let part = match error.downcast_ref::<EngineError>()? {
        EngineError::Refused(_) => return None,
        EngineError::NoRoom(_) => Part::Disk,
        EngineError::Silent(_) => Part::Engine,
        EngineError::NotCopied(_) => Part::File,
        EngineError::OtherImage(_) => Part::Image,
    };
    Some(Lost::new(part, format!("{error:#}")))
}

/// A folder of this machine did not reach the mirror: whatever the reason, no release is to blame for it.
pub(crate) fn not_copied(error: anyhow::Error, folder: &Path) -> anyhow::Error {
    match lost(&error) {
        Some(_) => error.context(format!("`{}` could not be copied into the mirror", folder.display())),
        None => {
            let words = format!("`{}` could not be copied into the mirror: {error:#}", folder.display());
            EngineError::NotCopied(words).into()
        }
    }
}

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

/// What testcontainers says of a start; without an answer of the engine in it, there was none.
pub(super) fn start_error(message: &str) -> EngineError {
    match message.contains("Docker responded with status code") {
        true => EngineError::refused(start_words(message)),
        false => EngineError::Silent(one_line(message)),
    }
}

fn start_words(message: &str) -> String {
    let inner = message
        .rsplit("Docker responded with status code")
        .next()
        .unwrap_or(message);
    let inner = inner.split_once(": ").map_or(inner, |(_, rest)| rest);
    one_line(inner)
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    fn answered(message: &str) -> anyhow::Error {
        let error = DockerError::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        EngineError::from(&error).into()
    }

    #[test]
    fn a_folder_that_cannot_be_copied_is_no_releases_fault() {
        let part = |error: anyhow::Error| lost(&not_copied(error, Path::new("/srv/files"))).unwrap();
        let unread = part(anyhow!("`/srv/files/key` cannot be copied: Permission denied"));
        assert_eq!(unread.part, Part::File);
        assert!(unread.why.contains("/srv/files/key"), "{unread}");
        assert_eq!(part(answered("mount denied")).part, Part::File);
        assert_eq!(part(answered("write: no space left on device")).part, Part::Disk);
    }

    #[test]
    fn a_full_disk_and_a_silent_engine_are_the_machines_and_a_refusal_is_not() {
        let part = |error: anyhow::Error| lost(&error.context("`web` could not be made")).map(|lost| lost.part);
        assert_eq!(part(answered("exec: \"/no\": no such file or directory")), None);
        assert_eq!(part(answered("write /x: No space left on device")), Some(Part::Disk));
        let cut = DockerError::IOError {
            err: std::io::Error::from(std::io::ErrorKind::ConnectionReset),
        };
        assert_eq!(part(EngineError::from(&cut).into()), Some(Part::Engine));
        assert_eq!(part(start_error("failed to connect").into()), Some(Part::Engine));
        let refused = "Docker responded with status code 400: OCI runtime create failed";
        assert_eq!(part(start_error(refused).into()), None);
        assert_eq!(Err::<(), _>(anyhow!("ours")).context("x").map_err(part), Err(None));
    }
}
