//! Measured: the times of a deploy, each with the limit that it is held to, and what the probe saw around a swap.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use super::stage::StageId;

/// Which time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Measure {
    /// The longest time without a good answer while the candidate took the baseline's place.
    Downtime,
    /// From the order to go back until production's release was ready again.
    WayBack,
    /// From the first start of the candidate until all of it was ready; what the old release took to stop is not in it.
    Ready,
}

/// A time that could be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeRecord {
    /// Which.
    pub measure: Measure,
    /// In which stage.
    pub stage: StageId,
    /// Milliseconds.
    pub value_ms: u64,
    /// Milliseconds that the configuration allows.
    pub limit_ms: u64,
}

/// What the probe saw in a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeRecord {
    /// In which stage.
    pub stage: StageId,
    /// What was asked, as `http://web:8080/items`.
    pub asked_for: String,
    /// The answer that counts as good, as `status 200`; nothing where the baseline never answered.
    pub good: Option<String>,
    /// Questions.
    pub asked: u64,
    /// Questions without a good answer.
    pub failed: u64,
    /// Milliseconds of the longest time without a good answer.
    pub downtime_ms: u64,
    /// Questions without a good answer outside that time.
    pub singles: u64,
    /// What the last question got, in words.
    pub last: String,
}
