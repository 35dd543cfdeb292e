//! Load: requests at the times that a plan says, whatever became of the earlier ones. A request's latency counts from the
//! moment at which it was due, so that a server that stalls, or a sender that lags, cannot hide what waited behind it.

mod connection;
mod ledger;
pub mod plan;
mod schedule;
pub(super) mod sender;
pub mod slice;
pub mod times;
pub(super) mod trust;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use plan::LoadPlan;
use slice::Slice;

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
