//! What a run left: the facts that the verdict and every report are made from.

use super::finding::Finding;
use super::result::{CheckRecord, Fidelity, StageRecord, TestRecord};

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
    /// Remarks.
    pub notes: Vec<String>,
}
