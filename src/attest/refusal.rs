//! Why a deploy does not go on: refused, or it could not be told. Each in one sentence, with the way out.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::record::verdict::Verdict;

/// No deploy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// What was signed does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It cannot be told.
    #[error(transparent)]
    Untold(#[from] Untold),
}

/// What was signed does not allow it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Signed by nobody, or by several.
    #[error("it has {0} signatures, not one: take the file that `rehearsal run` wrote, as it is")]
    Signatures(usize),
    /// Another key, or something was changed since.
    #[error(
        "it was not signed by this key, or was changed since: take the file as `rehearsal run` wrote it, and the public key of the pair that signs"
    )]
    NotByThisKey,
    /// A candidate that no registry has.
    #[error(
        "`{0}` was rehearsed as an image that no registry knows: push by digest before the rehearsal, and rehearse what was pushed"
    )]
    NeverPushed(String),
    /// Something is to be deployed that was not rehearsed.
    #[error("{} was not rehearsed, but {} was: deploy what was rehearsed, or rehearse this", list(.missing), list(.rehearsed))]
    NotRehearsed {
        /// What is to be deployed.
        missing: Vec<String>,
        /// The images that the rehearsal was about.
        rehearsed: Vec<String>,
    },
    /// Something that was rehearsed is left out.
    #[error("{} was rehearsed together with this and is not named: deploy all that was rehearsed, or rehearse this alone", list(.0))]
    LeftBehind(Vec<String>),
    /// Another lock.
    #[error("it was rehearsed against another lock: rehearse again with the one that holds now")]
    OtherLock,
    /// A lock where none was, or none where one was.
    #[error("{0}")]
    Lock(&'static str),
    /// Another configuration.
    #[error("it was rehearsed with another configuration: rehearse again with the one that holds now")]
    OtherConfiguration,
    /// Not a pass.
    #[error("the verdict is `{verdict}`, and only `pass` is deployed ({cause}): mend that, and rehearse again")]
    Verdict {
        /// What it is.
        verdict: Verdict,
        /// The rehearsal's first line.
        cause: String,
    },
    /// A run that was narrowed.
    #[error("the rehearsal was narrowed ({0}): rehearse the whole, without `--only` and without a shard")]
    Narrowed(String),
    /// What somebody has signed for, where that is not enough.
    #[error(
        "the rehearsal left something out ({0}), and `--strict` allows nothing: mend it, or verify without `--strict`"
    )]
    Partial(String),
    /// Too long ago.
    #[error("the rehearsal began {age} ago, and at most {most} are allowed: rehearse again")]
    TooOld {
        /// How long ago.
        age: String,
        /// What is allowed.
        most: String,
    },
    /// It has not happened yet.
    #[error("the rehearsal is from the future, it ended at {}: set the clocks of this machine and of the one that rehearsed, and rehearse again", moment(.0))]
    Future(OffsetDateTime),
}

/// It cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// Not a file of ours.
    #[error("it is no signed verdict ({0}): name the `verdict.sigstore.json` that `rehearsal run --key` wrote")]
    NoBundle(String),
    /// Signed without a key.
    #[error("it is signed by a certificate and not by a key: verify it with `gh attestation verify` or `cosign`")]
    ByCertificate,
    /// This key signed it, and it is something else.
    #[error(
        "what this key signed is no verdict ({0}): name the `verdict.sigstore.json` that `rehearsal run --key` wrote"
    )]
    NoStatement(String),
    /// Another version's.
    #[error(
        "the verdict has the form `{0}`, which this Rehearsal cannot read: verify with the Rehearsal that signed it"
    )]
    OtherSchema(String),
    /// A word that only another version knows.
    #[error("the verdict says `{0}`, which this Rehearsal does not know: verify with the Rehearsal that signed it")]
    UnknownWord(String),
    /// It contradicts itself.
    #[error("the verdict contradicts itself ({0}): rehearse again, and tell us")]
    Contradiction(&'static str),
}

fn list(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

fn moment(time: &OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}
