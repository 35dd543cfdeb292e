//! Fidelity: mirror against production, fact by fact.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr};

/// What a comparison came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FidelityState {
    /// Alike.
    Same,
    /// Not alike.
    Differs,
    /// Not alike, and as near as a mirror comes: this machine's kernel, another build of the same version.
    StandIn,
    /// Nobody knows.
    Unknown,
}

/// One row of the fidelity table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Service.
    pub service: String,
    /// Name of the fact.
    pub fact: String,
    /// As the lock has it.
    pub production: Option<String>,
    /// As the mirror has it.
    pub mirror: Option<String>,
    /// What follows.
    pub state: FidelityState,
}
