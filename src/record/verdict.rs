//! The verdict.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// The one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Verdict {
    /// Opens the gate; the only one that does.
    Pass,
    /// The candidate would have gone wrong.
    Block,
    /// Rehearsal could not tell.
    Inconclusive,
}
