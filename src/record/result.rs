//! The record of a run: `result.json`, schema `rehearsal/v1`. Every report is made from it and from nothing else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::record::finding::Finding;
use crate::record::stage::StageId;

/// Value of `schema`.
pub const SCHEMA: &str = "rehearsal/v1";

/// `result.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunResult {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The one verdict.
    pub verdict: Verdict,
    /// The first-cause line: what broke, the pair of versions, the way out.
    pub cause: String,
    /// The process's exit code.
    pub exit_code: u8,
    /// RFC 3339, UTC.
    pub started: String,
    /// Wall clock, milliseconds.
    pub duration_ms: u64,
    /// Replays the run.
    pub seed: u64,
    /// Version of Rehearsal that wrote this.
    pub rehearsal: String,
    /// What wants to replace production.
    pub candidate: Vec<Release>,
    /// What production runs.
    pub baseline: Vec<Release>,
    /// Every other service of the mirror, with its image: the other half of the pair.
    pub mirror: Vec<Release>,
    /// The lock's age and source, or the statement that there is none.
    pub lock: LockRecord,
    /// Mirror against production, fact by fact; empty without a lock.
    pub fidelity: Vec<Fidelity>,
    /// In order.
    pub stages: Vec<StageRecord>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Every test that ran or should have.
    pub tests: Vec<TestRecord>,
    /// The built-in checks, one record for each planned check and stage.
    pub checks: Vec<CheckRecord>,
    /// Sums over `tests`.
    pub counts: Counts,
    /// What ran the mirror.
    pub engine: Option<EngineRecord>,
    /// What the mirror does not mirror, and anything else a reader should know; one sentence each.
    pub notes: Vec<String>,
}

/// The one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Opens the gate; the only one that does.
    Pass,
    /// The candidate would have gone wrong.
    Block,
    /// Rehearsal could not tell.
    Inconclusive,
}

/// One service's release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Name in the compose file.
    pub service: String,
    /// Reference as written.
    pub image: String,
    /// `sha256:…` of the image, once the engine told.
    pub digest: Option<String>,
}

/// What is known about the lock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockRecord {
    /// Seconds since it was taken.
    pub age_seconds: Option<u64>,
    /// Where it was read.
    pub source: Option<String>,
    /// A sentence for the reader.
    pub statement: String,
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
    /// `same`, `differs`, `stand-in` or `unknown`.
    pub state: String,
}

/// How a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StageStatus {
    /// All as expected.
    Passed,
    /// The candidate is at fault.
    Failed,
    /// Rehearsal could not tell.
    Error,
    /// The configuration leaves it out.
    Skipped,
    /// Planned, and did not happen.
    NotRun,
}

/// One stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageRecord {
    /// Which.
    pub id: StageId,
    /// How it ended.
    pub status: StageStatus,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
    /// In order of start.
    pub steps: Vec<StepRecord>,
}

/// One step of a stage: bringing a service up, a suite, a swap …
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepRecord {
    /// Id as in the plan, e.g. `up`, `start db`, `suite smoke`, `swap web`.
    pub id: String,
    /// How it ended; the same words as for stages.
    pub status: StageStatus,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TestStatus {
    /// As expected.
    Passed,
    /// Not as expected: an assertion failed.
    Failed,
    /// Could not be told (on the baseline, or a machine's fault).
    Error,
    /// Left out by the test itself or by the configuration.
    Skipped,
    /// Planned, and did not happen.
    NotRun,
}

/// One test: a step of a suite or a case of a JUnit file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestRecord {
    /// Name of the suite, or `data.seed`, `data.verify`, `data.write`, `data.verify_write`.
    pub suite: String,
    /// Name of the test, unique in its suite.
    pub name: String,
    /// In which stage.
    pub stage: StageId,
    /// How it ended.
    pub status: TestStatus,
    /// Milliseconds.
    pub duration_ms: u64,
    /// First line: what broke. Empty when passed.
    pub message: String,
    /// Expected and received, captured output; may be long.
    pub detail: String,
    /// The service the step was addressed to, where that is known.
    pub service: Option<String>,
    /// Attempts beyond the first that `retry` needed.
    pub retries: u32,
    /// `file:line` of the step in the configuration.
    pub location: Option<String>,
}

/// How one built-in check ended in one stage.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckRecord {
    /// Id from the catalog.
    pub check: String,
    /// In which stage.
    pub stage: StageId,
    /// How it ended.
    pub status: StageStatus,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds spent on this check alone, where that can be told.
    pub duration_ms: u64,
}

/// Sums over the tests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All.
    pub tests: u64,
    /// As expected.
    pub passed: u64,
    /// Not as expected.
    pub failed: u64,
    /// Could not be told.
    pub errors: u64,
    /// Left out on purpose.
    pub skipped: u64,
    /// Planned, did not happen.
    pub not_run: u64,
}

impl Counts {
    /// Sums `tests`.
    pub fn of(tests: &[TestRecord]) -> Self {
        let count = |wanted| tests.iter().filter(|test| test.status == wanted).count() as u64;
        Self {
            tests: tests.len() as u64,
            passed: count(TestStatus::Passed),
            failed: count(TestStatus::Failed),
            errors: count(TestStatus::Error),
            skipped: count(TestStatus::Skipped),
            not_run: count(TestStatus::NotRun),
        }
    }
}

/// What ran the mirror.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineRecord {
    /// e.g. `Docker Engine`.
    pub name: String,
    /// e.g. `20.10.24`.
    pub version: String,
    /// e.g. `1.41`.
    pub api: String,
    /// e.g. `linux/amd64`.
    pub platform: String,
    /// Further facts: cgroup version, storage driver.
    pub facts: BTreeMap<String, String>,
}
