//! `result.json`, schema `rehearsal/v1`: the record as a versioned copy, so that the types of the program may change
//! and files stay readable. Every report is made from it and from nothing else. An older or a newer Rehearsal reads it:
//! fields that are not known are passed over, words that are not known are kept.

use serde::{Deserialize, Serialize};

use super::check::CheckId;
use super::fidelity::{self, FidelityState};
use super::finding::{self, Blame, Severity};
use super::headline::Headline;
use super::recorded::{CheckRecord, Recorded, StageRecord, StepRecord};
use super::release::{EngineRecord, LockRecord, Release};
use super::stage::StageId;
use super::status::Status;
use super::test::{TestId, TestRecord};
use super::verdict::Verdict;
use super::word::Word;

/// Value of `schema`.
pub const SCHEMA: &str = "rehearsal/v1";

/// `result.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// The one verdict.
    pub verdict: Word<Verdict>,
    /// The first-cause line: what broke, the pair of versions, the way out.
    pub cause: String,
    /// The same in its parts.
    #[serde(default)]
    pub headline: Headline,
    /// The command that brings the moment of a failure back.
    #[serde(default)]
    pub again: Option<String>,
    /// What was left out or signed for: `only`, `forward_only`, `unexercised`, `waived`.
    #[serde(default)]
    pub partial: Vec<String>,
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
    pub stages: Vec<Stage>,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// Every test that ran or should have.
    pub tests: Vec<Test>,
    /// The built-in checks, one for each planned check and stage.
    pub checks: Vec<Check>,
    /// Sums over the cases that it holds.
    pub counts: Counts,
    /// What ran the mirror.
    pub engine: Option<EngineRecord>,
    /// What the mirror does not mirror, and anything else a reader should know; one sentence each.
    pub notes: Vec<String>,
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
    pub state: Word<FidelityState>,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Which.
    pub id: Word<StageId>,
    /// How it ended.
    pub status: Word<Status>,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
    /// In order of start.
    pub steps: Vec<Step>,
}

/// One step of a stage: bringing a service up, a suite, a swap …
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Name as in the plan, e.g. `start db`, `suite smoke`, `swap web`.
    pub id: String,
    /// How it ended; the same words as for stages.
    pub status: Word<Status>,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds since the run began.
    pub start_ms: u64,
    /// Milliseconds.
    pub duration_ms: u64,
}

/// One test: a step of a suite or a case of a JUnit file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// Name of the suite, or `data.seed`, `data.verify`, `data.write`, `data.verify_write`.
    pub suite: String,
    /// Name of the test, unique in its suite.
    pub name: String,
    /// In which stage.
    pub stage: Word<StageId>,
    /// How it ended.
    pub status: Word<Status>,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Id from the catalog.
    pub check: Word<CheckId>,
    /// In which stage.
    pub stage: Word<StageId>,
    /// How it ended.
    pub status: Word<Status>,
    /// Why, where it is not `passed`.
    pub reason: Option<String>,
    /// Milliseconds spent on this check alone, where that can be told.
    pub duration_ms: u64,
}

/// What a check or a suite learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the check, from the catalog.
    pub check: Word<CheckId>,
    /// How bad.
    pub severity: Word<Severity>,
    /// Whose doing.
    pub blame: Word<Blame>,
    /// Where it was seen.
    pub stage: Word<StageId>,
    /// The service it is about.
    pub service: Option<String>,
    /// The tests it is about.
    #[serde(default)]
    pub tests: Vec<TestName>,
    /// One line: what broke.
    pub title: String,
    /// One line: why, as far as it is known.
    pub cause: Option<String>,
    /// Log lines, requests and answers, figures.
    pub evidence: Vec<String>,
    /// The way out.
    pub help: String,
    /// Whose waiver covers it, as `reason (owner)`.
    pub waived: Option<String>,
}

/// Which test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestName {
    /// See [`Test::suite`].
    pub suite: String,
    /// See [`Test::name`].
    pub name: String,
}

impl Finding {
    /// It is about this test.
    pub fn is_about(&self, test: &Test) -> bool {
        self.stage == test.stage
            && self
                .tests
                .iter()
                .any(|named| named.suite == test.suite && named.name == test.name)
    }
}

/// Sums over the cases: tests, sign-ins, starts of services and checks. JUnit's are the same, with `errors` and
/// `not_run` in one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All cases.
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
    /// The same for each kind of case.
    #[serde(default)]
    pub kinds: Kinds,
}

/// Sums for each kind of case; every case is of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kinds {
    /// The user's tests and the entries of `data`.
    pub tests: Tally,
    /// Sign-ins.
    pub sign_ins: Tally,
    /// Starts of services.
    pub starts: Tally,
    /// Built-in checks.
    pub checks: Tally,
    /// Stages, or the run, of which no other case tells how they ended.
    pub stages: Tally,
}

/// Sums over cases of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// All.
    pub all: u64,
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

/// The parts of a record that come from what was recorded.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// See [`Record::fidelity`].
    pub fidelity: Vec<Fidelity>,
    /// See [`Record::stages`].
    pub stages: Vec<Stage>,
    /// See [`Record::findings`].
    pub findings: Vec<Finding>,
    /// See [`Record::tests`].
    pub tests: Vec<Test>,
    /// See [`Record::checks`].
    pub checks: Vec<Check>,
}

impl From<&Recorded> for Parts {
    fn from(recorded: &Recorded) -> Self {
        Self {
            fidelity: recorded.fidelity.iter().map(Fidelity::from).collect(),
            stages: recorded.stages.iter().map(Stage::from).collect(),
            findings: recorded.findings.iter().map(Finding::from).collect(),
            tests: recorded.tests.iter().map(Test::from).collect(),
            checks: recorded.checks.iter().map(Check::from).collect(),
        }
    }
}

impl From<&fidelity::Fidelity> for Fidelity {
    fn from(row: &fidelity::Fidelity) -> Self {
        Self {
            service: row.service.clone(),
            fact: row.fact.clone(),
            production: row.production.clone(),
            mirror: row.mirror.clone(),
            state: row.state.into(),
        }
    }
}

impl From<&StageRecord> for Stage {
    fn from(stage: &StageRecord) -> Self {
        Self {
            id: stage.id.into(),
            status: stage.status.into(),
            reason: stage.reason.clone(),
            start_ms: stage.start_ms,
            duration_ms: stage.duration_ms,
            steps: stage.steps.iter().map(Step::from).collect(),
        }
    }
}

impl From<&StepRecord> for Step {
    fn from(step: &StepRecord) -> Self {
        Self {
            id: step.id.to_string(),
            status: step.status.into(),
            reason: step.reason.clone(),
            start_ms: step.start_ms,
            duration_ms: step.duration_ms,
        }
    }
}

impl From<&TestRecord> for Test {
    fn from(test: &TestRecord) -> Self {
        Self {
            suite: test.suite.to_string(),
            name: test.name.clone(),
            stage: test.stage.into(),
            status: test.status.into(),
            duration_ms: test.duration_ms,
            message: test.message.clone(),
            detail: test.detail.clone(),
            service: test.service.clone(),
            retries: test.retries,
            location: test.location.clone(),
        }
    }
}

impl From<&CheckRecord> for Check {
    fn from(check: &CheckRecord) -> Self {
        Self {
            check: check.check.into(),
            stage: check.stage.into(),
            status: check.status.into(),
            reason: check.reason.clone(),
            duration_ms: check.duration_ms,
        }
    }
}

impl From<&TestId> for TestName {
    fn from(test: &TestId) -> Self {
        Self {
            suite: test.suite.to_string(),
            name: test.name.clone(),
        }
    }
}

impl From<&finding::Finding> for Finding {
    fn from(finding: &finding::Finding) -> Self {
        Self {
            check: finding.check.into(),
            severity: finding.severity.into(),
            blame: finding.blame.into(),
            stage: finding.stage.into(),
            service: finding.service.clone(),
            tests: finding.tests.iter().map(TestName::from).collect(),
            title: finding.title.clone(),
            cause: finding.cause.clone(),
            evidence: finding.evidence.clone(),
            help: finding.help.clone(),
            waived: finding.waived.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_another_version_are_kept_as_they_were_written() {
        let written =
            r#"{"check":"of-tomorrow","stage":"canary","status":"postponed","reason":null,"duration_ms":1,"new":2}"#;
        let check: Check = serde_json::from_str(written).expect("it can be read");
        assert_eq!(check.check, Word::Unknown("of-tomorrow".to_owned()));
        assert_eq!(check.stage.known(), None);
        // Nobody knows what it means, so it is nothing good.
        assert!(check.status.or(Status::Error).is_red());
        let back = serde_json::to_string(&check).expect("JSON");
        assert_eq!(back, written.replace(r#","new":2"#, ""));
    }

    #[test]
    fn every_word_of_the_vocabulary_leads_back_to_itself() {
        for stage in StageId::ALL {
            assert_eq!(stage.to_string().parse(), Ok(*stage));
        }
        for check in CheckId::ALL {
            assert_eq!(check.to_string().parse(), Ok(*check));
            assert_eq!(serde_json::to_value(check).expect("JSON"), check.as_str());
        }
        for status in [
            Status::Passed,
            Status::Failed,
            Status::Error,
            Status::Skipped,
            Status::NotRun,
        ] {
            assert_eq!(status.to_string().parse(), Ok(status));
        }
    }
}
