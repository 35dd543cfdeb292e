//! Load: what a release did under it, each figure with the limit that it is held to.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantArray};

/// A quantile of latency that a threshold may name.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumString, VariantArray,
)]
pub enum Quantile {
    /// The median.
    #[serde(rename = "p50")]
    #[strum(serialize = "p50")]
    P50,
    /// 90 of 100.
    #[serde(rename = "p90")]
    #[strum(serialize = "p90")]
    P90,
    /// 95 of 100.
    #[serde(rename = "p95")]
    #[strum(serialize = "p95")]
    P95,
    /// 99 of 100.
    #[serde(rename = "p99")]
    #[strum(serialize = "p99")]
    P99,
    /// 999 of 1000.
    #[serde(rename = "p99.9")]
    #[strum(serialize = "p99.9")]
    P999,
}

impl Quantile {
    /// All of them, rising.
    pub const ALL: &[Self] = <Self as VariantArray>::VARIANTS;

    /// The share of all that lies within it, 0 to 1.
    pub fn share(self) -> f64 {
        match self {
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P95 => 0.95,
            Self::P99 => 0.99,
            Self::P999 => 0.999,
        }
    }

    /// Answers in all below which it says nothing: a hundred must lie beyond it.
    pub fn least(self) -> u64 {
        match self {
            Self::P50 => 200,
            Self::P90 => 1_000,
            Self::P95 => 2_000,
            Self::P99 => 10_000,
            Self::P999 => 100_000,
        }
    }
}
