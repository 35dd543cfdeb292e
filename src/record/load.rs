//! Load: what a release did under it, each figure with the limit that it is held to.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, VariantArray};

use super::stage::StageId;
use super::word::Word;

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

/// What one release did under load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadRecord {
    /// In which stage: `control` is the baseline, `load` the candidate.
    pub stage: Word<StageId>,
    /// Requests that were due, per second.
    pub rate: f64,
    /// For how long, milliseconds, without what warmed up.
    pub duration_ms: u64,
    /// Requests that were due.
    pub planned: u64,
    /// Requests that were sent; the others are the gate's doing.
    pub sent: u64,
    /// Requests that were answered as their step expects.
    pub good: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// How late the gate sent, microseconds: 99 of 100 requests within this.
    pub lag_us: u64,
    /// What was not answered well: `status 500` or `timeout`, and how often.
    pub errors: Vec<(String, u64)>,
    /// Latency, from the moment a request was due.
    pub latency: Vec<LatencyRecord>,
    /// Step by step.
    pub steps: Vec<LoadStepRecord>,
    /// Slice by slice, in order.
    pub slices: Vec<LoadSliceRecord>,
    /// What was held against it; empty in `control`.
    pub limits: Vec<LimitRecord>,
    /// What the containers of each service used meanwhile; empty where nobody looked, as in records of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub usage: Vec<UsageRecord>,
}

/// What the containers of a service used, together, while a release was under load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsageRecord {
    /// The service.
    pub service: String,
    /// Bytes of memory that they may use at most, or that the machine has where nothing limits them; null where the engine
    /// does not say.
    pub memory_limit: Option<u64>,
    /// In order; so few that they can be drawn.
    pub moments: Vec<UsedRecord>,
}

/// What the containers of a service used at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UsedRecord {
    /// Milliseconds since the load began, its warm-up included.
    pub at_ms: u64,
    /// Processors, in the mean since the moment before; null where that is not known.
    pub processors: Option<f64>,
    /// Bytes of memory that cannot be taken away at once; null where the engine does not say.
    pub memory: Option<u64>,
}

/// A quantile of latency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyRecord {
    /// Which.
    pub quantile: Word<Quantile>,
    /// From the moment a request was due to the end of its answer, microseconds.
    pub latency_us: u64,
    /// From the moment it was sent, microseconds.
    pub service_us: u64,
    /// So few answers lie beyond it that it says nothing.
    pub vague: bool,
}

/// One step under load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStepRecord {
    /// `smoke / catalogue`.
    pub name: String,
    /// Requests.
    pub sent: u64,
    /// Those answered as expected.
    pub good: u64,
    /// Microseconds; null where nothing was answered.
    pub p50_us: Option<u64>,
    /// Microseconds.
    pub p95_us: Option<u64>,
    /// Microseconds.
    pub p99_us: Option<u64>,
}

/// A short span of a load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadSliceRecord {
    /// Milliseconds since the load began.
    pub start_ms: u64,
    /// Milliseconds.
    pub length_ms: u64,
    /// Requests.
    pub sent: u64,
    /// Those answered as expected.
    pub good: u64,
    /// Microseconds; null where nothing was answered.
    pub p50_us: Option<u64>,
    /// Microseconds.
    pub p95_us: Option<u64>,
}

/// A threshold, and what was held against it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitRecord {
    /// The key in the configuration: `p95`, `error_rate`, `throughput`.
    pub key: String,
    /// Whether beyond it blocks, `fail`, or warns, `warn`.
    pub level: Word<Level>,
    /// The limit: microseconds, a share, or requests per second, as the key says.
    pub limit: f64,
    /// The candidate's figure in the same unit; null where there is none.
    pub value: Option<f64>,
    /// The baseline's.
    pub baseline: Option<f64>,
    /// What became of it.
    pub answer: Word<LimitAnswer>,
}

/// A slow-down that must be caught, and what two releases in turns showed of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlowdownRecord {
    /// The key in the configuration: `p95_vs_baseline`.
    pub key: String,
    /// Whether it blocks, `fail`, or warns, `warn`.
    pub level: Word<Level>,
    /// The slow-down that must be caught, as a share: 0.1 is +10 %.
    pub limit: f64,
    /// By how much the candidate was slower; below zero where it was faster, null where nothing is known.
    pub value: Option<f64>,
    /// The smallest slow-down that this run would have caught, as a share; null where it would have caught none.
    pub caught: Option<f64>,
    /// Pairs of slices that were measured.
    pub pairs: u64,
    /// What became of it.
    pub answer: Word<LimitAnswer>,
    /// Why it cannot be told, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How many requests a second each release bears before it breaks what it is held to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityRecord {
    /// What each release is held to, in words: `p95 at most 300 ms`.
    pub objective: Vec<String>,
    /// Production's release.
    pub baseline: BornRecord,
    /// What wants to replace it.
    pub candidate: BornRecord,
    /// How the one compares with the other.
    pub answer: Word<CapacityAnswer>,
    /// By what share the candidate bears more; below zero where it bears less, null where that is not known.
    pub change: Option<f64>,
    /// Why it cannot be told, where that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What one release bears.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BornRecord {
    /// Requests a second that it bore, the mean of its turns; null where it bore none of the rates that were tried.
    pub held: Option<f64>,
    /// Requests a second at which it broke, the mean of its turns; null where it did not in some turn, because the gate
    /// could not send more.
    pub broke: Option<f64>,
    /// What ran out first.
    pub ran_out: Word<Resource>,
    /// Whose it was, where it is a service's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_out_of: Option<String>,
    /// Turn by turn.
    pub turns: Vec<CapacityTurnRecord>,
}

/// One turn of one release: rates that rise until it breaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CapacityTurnRecord {
    /// The highest rate that it bore.
    pub held: Option<f64>,
    /// The lowest rate at which it broke.
    pub broke: Option<f64>,
    /// How it broke, or why it was not raised further.
    pub why: String,
}

/// How the capacities of two releases compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum CapacityAnswer {
    /// The candidate bears about as much.
    Alike,
    /// It bears less, and did so again on restarted containers.
    Lower,
    /// It bears more.
    Higher,
    /// It cannot be told.
    Unknown,
}

/// What a release ran out of first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Resource {
    /// A container's limit of processor time: it was throttled.
    CpuLimit,
    /// A container's memory.
    Memory,
    /// The machine's processors, which the gate uses, too.
    Machine,
    /// One processor of several, as a single thread can use.
    OneProcessor,
    /// Connections were not taken any more.
    Connections,
    /// It answered by errors before anything else showed.
    Errors,
    /// It cannot be told.
    Unknown,
}

/// What follows beyond a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Level {
    /// A warning.
    Warn,
    /// A block.
    Fail,
}

/// On which side of a threshold a release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LimitAnswer {
    /// On the good one.
    Within,
    /// On the other.
    Beyond,
    /// It cannot be told.
    Unknown,
}
