//! A slice: what became of the requests that were due in one short span of a load.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::failure::CallFailureKind;
use super::plan::Counts;
use super::times::Times;

/// What became of the requests that were due in a span of at most [`SLICE`](super::plan::SLICE); complete, for it is told only
/// when the last of them has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// Which phase of the plan it is of.
    pub phase: usize,
    /// Which mix.
    pub mix: usize,
    /// Whether it counts.
    pub counts: Counts,
    /// When it began, milliseconds since the load did.
    pub start_ms: u64,
    /// How long requests were due, milliseconds.
    pub length_ms: u64,
    /// Requests that were due.
    pub planned: u64,
    /// Requests that were sent. The others are nobody's doing but the gate's: they have no latency, good or bad.
    pub sent: u64,
    /// How late requests were sent.
    pub lag: Times,
    /// By step, in the order of the mix.
    pub steps: Vec<StepSlice>,
}

/// What became of one step's requests in a slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StepSlice {
    /// Requests that were sent.
    pub sent: u64,
    /// Requests that were answered well.
    pub good: u64,
    /// The others.
    pub errors: Errors,
    /// Connections that were opened for it.
    pub opened: u64,
    /// From the moment a request was due to the last byte of its answer: good answers, and what had no answer in time, at
    /// the moment at which it was given up.
    pub latency: Times,
    /// From the moment a request was sent, of the same requests.
    pub service: Times,
}

/// What was not answered well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Answers of a status that is not good.
    pub by_status: BTreeMap<u16, u64>,
    /// No answer, by where on its way the exchange failed.
    pub by_failure: BTreeMap<CallFailureKind, u64>,
}

impl Errors {
    /// How many.
    pub fn count(&self) -> u64 {
        self.by_status.values().chain(self.by_failure.values()).sum()
    }

    /// Takes others in.
    pub fn add(&mut self, other: &Self) {
        for (status, count) in &other.by_status {
            *self.by_status.entry(*status).or_default() += count;
        }
        for (kind, count) in &other.by_failure {
            *self.by_failure.entry(*kind).or_default() += count;
        }
    }
}

impl StepSlice {
    /// Takes another's requests in.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.good += other.good;
        self.errors.add(&other.errors);
        self.opened += other.opened;
        self.latency.add(&other.latency);
        self.service.add(&other.service);
    }
}

impl Slice {
    /// All of its steps as one.
    pub fn whole(&self) -> StepSlice {
        let mut whole = StepSlice::default();
        self.steps.iter().for_each(|step| whole.add(step));
        whole
    }
}
