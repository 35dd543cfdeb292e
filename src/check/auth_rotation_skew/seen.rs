//! What is seen of one release.

use std::collections::BTreeSet;

use serde::Serialize;
use strum::{Display, VariantArray};

use crate::check::auth_refusals::Answered;

/// What became of new keys and shifted times.
#[derive(Debug, Default, Serialize)]
pub struct Kept {
    pub(super) rotation: Vec<Turned>,
    pub(super) skew: Vec<Shifted>,
    /// What has no meaning here, and why.
    pub(super) left: BTreeSet<String>,
    /// What has one and could not be told.
    pub(super) untold: BTreeSet<String>,
}

/// One request while keys changed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Turned {
    pub(super) request: String,
    pub(super) change: Change,
    /// The answer to a token by the new key before that was shown.
    pub(super) unseen: Answered,
    /// Milliseconds until it was taken; `None` = it was not.
    pub(super) taken_ms: Option<u64>,
    /// The last answer to it.
    pub(super) last: Answered,
    /// The first server error on the way.
    pub(super) broke: Option<u16>,
    /// The answer to a token by the old key then.
    pub(super) old: Answered,
}

/// What becomes of the old keys of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Change {
    /// They stay beside the new one.
    Beside,
    /// They go.
    Dropped,
}

/// To which side a token's times lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Display, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub(super) enum Side {
    /// It begins later than now.
    Ahead,
    /// It has ended.
    Behind,
}

/// One request with a token of shifted times.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Shifted {
    pub(super) request: String,
    pub(super) side: Side,
    pub(super) seconds: i64,
    pub(super) answered: Answered,
}

impl Kept {
    /// What of production's release was asked, by request.
    pub(super) fn requests(&self) -> BTreeSet<&str> {
        let turned = self.rotation.iter().map(|turned| turned.request.as_str());
        turned
            .chain(self.skew.iter().map(|shifted| shifted.request.as_str()))
            .collect()
    }
}
