//! Load: requests at the times that a plan says, whatever became of the earlier ones. A request's latency counts from the
//! moment at which it was due, so that a server that stalls, or a sender that lags, cannot hide what waited behind it.

pub mod slice;
pub mod times;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use slice::Slice;

/// A slice is no longer than this.
pub const SLICE: Duration = Duration::from_secs(2);

/// Steps of one mix.
pub const MOST_STEPS: usize = 64;

/// What can be done with a load.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadCall {
    /// Begins to send. A load of the same name is ended, with its slices; its kept connections are taken over.
    Start {
        /// Its name.
        load: String,
        /// What is sent, and when.
        plan: LoadPlan,
    },
    /// Slices that have ended, in order: waits for the first of them a few seconds at most.
    Take {
        /// Its name.
        load: String,
        /// So many have been taken already.
        after: usize,
    },
    /// Ends it at once, and closes its connections.
    Stop {
        /// Its name.
        load: String,
    },
}

impl LoadCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        match self {
            Self::Take { .. } => TAKE_LIMIT,
            Self::Start { .. } | Self::Stop { .. } => Duration::ZERO,
        }
    }
}

/// How long a question for slices waits for one.
const TAKE_LIMIT: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadAnswer {
    /// It sends from now on.
    Started,
    /// What has ended behind those that were taken; maybe nothing yet.
    Slices {
        /// In order.
        slices: Vec<Slice>,
        /// How many the whole load has.
        of: usize,
    },
    /// It sends no more.
    Stopped,
}

/// What is sent, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadPlan {
    /// Steps to choose from: in a phase its mix's steps take turns in their order, so that each weighs as often as it is
    /// named. Two releases side by side are two mixes.
    pub mixes: Vec<Vec<LoadStep>>,
    /// One after the other.
    pub phases: Vec<Phase>,
    /// A request's limit from the moment it was due, milliseconds.
    pub timeout_ms: u64,
    /// Each of so many requests opens a connection of its own, the others take one that was kept; 1 = all of them, 0 =
    /// none but where no kept one is free.
    pub fresh_every: u64,
    /// Requests under way at the same time; what is due beyond it is not sent.
    pub most_at_once: usize,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Further CAs, PEM.
    pub ca: Vec<String>,
}

/// One request of a mix.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadStep {
    /// Its name, as in reports.
    pub name: String,
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; names as given.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body.
    pub body: Option<String>,
    /// Statuses that are good, each a first and a last one.
    pub good: Vec<(u16, u16)>,
}

/// A part of a load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Which mix.
    pub mix: usize,
    /// How often.
    pub rate: Rate,
    /// For so many milliseconds.
    pub duration_ms: u64,
    /// Whether it counts.
    pub counts: Counts,
}

/// How often requests are due.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rate {
    /// So many a second. Steps are several phases.
    Constant(f64),
    /// From so many a second to so many, evenly.
    Ramp(f64, f64),
}

/// Whether what is seen in a phase says something of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counts {
    /// It does.
    Yes,
    /// Caches fill and connections open: it does not.
    WarmUp,
}
