//! Stages: the parts of a rehearsal, in order.

use serde::{Deserialize, Serialize};

/// A part of the rehearsal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StageId {
    /// Production on the mirror, on its own.
    Control,
    /// The candidate takes its place.
    Upgrade,
    /// The baseline comes back.
    Rollback,
}

impl StageId {
    /// In order.
    pub const ALL: [Self; 3] = [Self::Control, Self::Upgrade, Self::Rollback];

    /// As in reports, folders and JUnit names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
        }
    }
}

impl std::fmt::Display for StageId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
