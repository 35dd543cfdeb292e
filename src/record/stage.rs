//! Stages: the parts of a rehearsal, in order.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// A part of the rehearsal.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum StageId {
    /// Production on the mirror, on its own.
    Control,
    /// The candidate takes its place.
    Upgrade,
    /// The candidate, while the authentication dependency is down, slow or in error.
    Faults,
    /// Many requests at the candidate, where they are asked for.
    Load,
    /// The baseline comes back.
    Rollback,
}

impl StageId {
    /// In order.
    pub const ALL: &[Self] = Self::VARIANTS;

    /// As in reports, folders and JUnit names.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}
