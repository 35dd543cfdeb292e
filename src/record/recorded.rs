//! What a run left: the facts that the verdict and every report are made from.

use super::alerts::AlertRecord;
use super::calls::CallRecord;
use super::check::CheckId;
use super::fidelity::Fidelity;
use super::finding::Finding;
use super::load::{CapacityRecord, LoadRecord, SlowdownRecord};
use super::measured::{ProbeRecord, TimeRecord};
use super::stage::StageId;
use super::status::Status;
use super::step::Step;
use super::test::TestRecord;

/// What the record of a run is made from.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Stages that were begun.
    pub stages: Vec<StageRecord>,
    /// Tests, in order.
    pub tests: Vec<TestRecord>,
    /// Checks that were answered.
    pub checks: Vec<CheckRecord>,
    /// What was learned.
    pub findings: Vec<Finding>,
    /// Mirror against production.
    pub fidelity: Vec<Fidelity>,
    /// Times that could be told.
    pub times: Vec<TimeRecord>,
    /// What the probe saw.
    pub probes: Vec<ProbeRecord>,
    /// What releases did under load.
    pub load: Vec<LoadRecord>,
    /// Slow-downs that must be caught, and what was seen of them.
    pub slowdowns: Vec<SlowdownRecord>,
    /// How much each release bears.
    pub capacity: Option<CapacityRecord>,
    /// Calls of the authentication dependency.
    pub calls: Vec<CallRecord>,
    /// What production's alert rules said.
    pub alerts: Vec<AlertRecord>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// One stage.
#[derive(Debug, Clone)]
pub struct StageRecord {
    /// Which.
    pub id: StageId,
    /// How it ended.
    pub status: Status,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
    /// In order of start.
    pub steps: Vec<StepRecord>,
}

/// One step of a stage.
#[derive(Debug, Clone)]
pub struct StepRecord {
    /// Which, as in the plan.
    pub id: Step,
    /// How it ended.
    pub status: Status,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// How one built-in check ended in one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// Which.
    pub check: CheckId,
    /// In which stage.
    pub stage: StageId,
    /// How it ended.
    pub status: Status,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds spent on this check alone, where that can be told.
    pub duration_ms: u64,
}
