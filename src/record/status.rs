//! How something ended: a stage, a step, a test, a check. Five words, and three of them are apart on purpose: left out,
//! not looked at, could not be told.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Status {
    /// As expected.
    Passed,
    /// The candidate is at fault.
    Failed,
    /// Rehearsal could not tell: the machine, the mirror or the suite is at fault.
    Error,
    /// Left out by the configuration, or without meaning here; the reason says why.
    Skipped,
    /// Planned, with a meaning, and not looked at: never in a pass.
    NotRun,
}

impl Status {
    /// As people read it.
    pub fn words(self) -> &'static str {
        match self {
            Self::NotRun => "not run",
            other => other.into(),
        }
    }

    /// It keeps the gate shut unless somebody has signed for it.
    pub fn is_red(self) -> bool {
        !matches!(self, Self::Passed | Self::Skipped)
    }
}
