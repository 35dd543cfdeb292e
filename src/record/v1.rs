//! `result.json`, schema `rehearsal/v1`: the record as a versioned copy, so that the types of the program may change
//! and files stay readable. Every report is made from it and from nothing else. An older or a newer Rehearsal reads it:
//! fields that are not known are passed over, words that are not known are kept.

use serde::{Deserialize, Serialize};

use super::alerts::{AlertRecord, Says, Scenario, Told};
use super::calls::{CallRecord, Taken};
use super::check::CheckId;
use super::fidelity::{self, FidelityState};
use super::finding::{self, Blame, Severity};
use super::headline::Headline;
use super::inputs::Inputs;
use super::load::{CapacityRecord, LoadRecord, SlowdownRecord};
use super::measured::{Measure, ProbeRecord, TimeRecord};
use super::recorded::{CheckRecord, Recorded, StageRecord, StepRecord};
use super::release::{AuthRecord, EngineRecord, LockRecord, ProductionRecord, Release};
use super::shard::Shard;
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
    /// The command that runs the same again.
    #[serde(default)]
    pub rerun: Option<String>,
    /// What was left out or signed for: `only`, `shard`, `forward_only`, `unexercised`, `waived`.
    #[serde(default)]
    pub partial: Vec<String>,
    /// What it is of the whole, where it is one of several shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
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
    /// What it was made from, by digest.
    #[serde(default, skip_serializing_if = "Inputs::is_empty")]
    pub inputs: Inputs,
    /// What wants to replace production.
    pub candidate: Vec<Release>,
    /// What production runs.
    pub baseline: Vec<Release>,
    /// Every other service of the mirror, with its image: the other half of the pair.
    pub mirror: Vec<Release>,
    /// Where production's description comes from, where that is not the working tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production: Option<ProductionRecord>,
    /// The authentication dependency, where the configuration names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<AuthRecord>,
    /// The lock's age and source, or the statement that there is none.
    pub lock: LockRecord,
    /// Mirror against production, fact by fact; empty without a lock.
    pub fidelity: Vec<Fidelity>,
    /// The times of the deploy that could be told, with their limits.
    #[serde(default)]
    pub times: Vec<Time>,
    /// What the probe saw, stage by stage.
    #[serde(default)]
    pub probes: Vec<Probe>,
    /// What the releases did under load, where load was asked for: the baseline in `control`, the candidate in `load`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub load: Vec<LoadRecord>,
    /// Slow-downs against the baseline that must be caught, where the configuration has some, and what was seen of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slowdowns: Vec<SlowdownRecord>,
    /// How many requests a second each release bears, where that was asked for and measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityRecord>,
    /// What was asked of the authentication dependency, as its fronts saw it; those that are alike are one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<AuthCall>,
    /// What production's alert rules said of each failure that was made; empty where they were not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
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
    /// The log of each container, as far as it is in this record; the whole is in `logs/`.
    #[serde(default)]
    pub logs: Vec<Log>,
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

/// A time of the deploy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// `downtime`, `way-back` or `ready`.
    pub measure: Word<Measure>,
    /// In which stage.
    pub stage: Word<StageId>,
    /// Milliseconds.
    pub value_ms: u64,
    /// Milliseconds that the configuration allows; more is a finding.
    pub limit_ms: u64,
}

/// What the probe saw in a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// In which stage.
    pub stage: Word<StageId>,
    /// What was asked, as `http://web:8080/items`.
    pub asked_for: String,
    /// The answer that counts as good, as `status 200`; null where the baseline never answered.
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

/// Calls of the authentication dependency that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthCall {
    /// In which stage.
    pub stage: Word<StageId>,
    /// Who asked: a service, `the sign-in`, `a test's container`, `unknown`.
    pub by: String,
    /// The service that was asked.
    pub service: String,
    /// What; parameters by their names, with the values that are no secret.
    pub asked: String,
    /// What came, e.g. `400 invalid_request`.
    pub answer: String,
    /// The answer was a refusal or a failure; null where nobody can tell.
    pub refused: Option<bool>,
    /// How often.
    pub times: u64,
    /// Milliseconds until the slowest answer began.
    pub slowest_ms: u64,
}

/// What one of production's alert rules said of a failure that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// `control` (nothing has failed), `upgrade`, `auth-down`, `auth-slow`, `ramp` or `memory`.
    pub scenario: Word<Scenario>,
    /// The alert's name.
    pub alert: String,
    /// Its group's name.
    pub group: String,
    /// Whether the configuration says that it must fire.
    pub must_fire: bool,
    /// `fires`, `too-late`, `never`, `false-alarm` (it fires in `control`, too) or `not-judged`.
    pub says: Word<Says>,
    /// Why it is not judged.
    pub reason: Option<String>,
    /// Milliseconds from the scenario's beginning until its condition holds.
    pub condition_ms: Option<u64>,
    /// Milliseconds from there until on-call is told, at the latest.
    pub latest_ms: Option<u64>,
    /// Milliseconds from there to the first failed request of a user; null where none failed.
    pub first_failure_ms: Option<u64>,
    /// Milliseconds from the alert to the first failed request of a user; negative where that came first.
    pub lead_ms: Option<i64>,
    /// Milliseconds from the scenario's beginning to the first crash of a container; null where none crashed.
    #[serde(default)]
    pub crash_ms: Option<u64>,
    /// Milliseconds from the alert to that crash; negative where that came first.
    #[serde(default)]
    pub crash_lead_ms: Option<i64>,
    /// The condition holds in what was recorded; false: only where that was held on to.
    pub recorded: bool,
    /// Milliseconds of the scenario that were recorded; what follows is held as it was last. Null in records of older
    /// versions.
    #[serde(default)]
    pub real_ms: Option<u64>,
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
    /// Others of the same cause, for which it speaks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folded: Vec<Folded>,
}

/// A finding that another one of the same cause speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folded {
    /// Id of its check.
    pub check: Word<CheckId>,
    /// Where it was seen.
    pub stage: Word<StageId>,
    /// One line: what broke.
    pub title: String,
    /// The tests it is about.
    #[serde(default)]
    pub tests: Vec<TestName>,
}

/// The end of a container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log {
    /// In which stage it was written.
    pub stage: Word<StageId>,
    /// The service.
    pub service: String,
    /// Bytes of the whole, which is `logs/STAGE/SERVICE.log`.
    pub bytes: u64,
    /// Its last lines.
    pub end: String,
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
        self.stage == test.stage && test.is_among(&self.tests)
    }

    /// It is about this test, or speaks for one that is.
    pub fn tells_of(&self, test: &Test) -> bool {
        self.is_about(test) || self.folded.iter().any(|one| one.is_about(test))
    }
}

impl Folded {
    /// It is about this test.
    pub fn is_about(&self, test: &Test) -> bool {
        self.stage == test.stage && test.is_among(&self.tests)
    }
}

impl Test {
    fn is_among(&self, names: &[TestName]) -> bool {
        names
            .iter()
            .any(|named| named.suite == self.suite && named.name == self.name)
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

impl Counts {
    /// All cases, by how they ended.
    pub fn all(&self) -> Tally {
        Tally {
            all: self.tests,
            passed: self.passed,
            failed: self.failed,
            errors: self.errors,
            skipped: self.skipped,
            not_run: self.not_run,
        }
    }
}

/// The parts of a record that come from what was recorded.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// See [`Record::fidelity`].
    pub fidelity: Vec<Fidelity>,
    /// See [`Record::times`].
    pub times: Vec<Time>,
    /// See [`Record::probes`].
    pub probes: Vec<Probe>,
    /// See [`Record::load`].
    pub load: Vec<LoadRecord>,
    /// See [`Record::slowdowns`].
    pub slowdowns: Vec<SlowdownRecord>,
    /// See [`Record::capacity`].
    pub capacity: Option<CapacityRecord>,
    /// See [`Record::calls`].
    pub calls: Vec<AuthCall>,
    /// See [`Record::alerts`].
    pub alerts: Vec<Alert>,
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
            times: recorded.times.iter().map(Time::from).collect(),
            probes: recorded.probes.iter().map(Probe::from).collect(),
            load: recorded.load.clone(),
            slowdowns: recorded.slowdowns.clone(),
            capacity: recorded.capacity.clone(),
            calls: recorded.calls.iter().map(AuthCall::from).collect(),
            alerts: recorded.alerts.iter().map(Alert::from).collect(),
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

impl From<&TimeRecord> for Time {
    fn from(time: &TimeRecord) -> Self {
        Self {
            measure: time.measure.into(),
            stage: time.stage.into(),
            value_ms: time.value_ms,
            limit_ms: time.limit_ms,
        }
    }
}

impl From<&ProbeRecord> for Probe {
    fn from(probe: &ProbeRecord) -> Self {
        Self {
            stage: probe.stage.into(),
            asked_for: probe.asked_for.clone(),
            good: probe.good.clone(),
            asked: probe.asked,
            failed: probe.failed,
            downtime_ms: probe.downtime_ms,
            singles: probe.singles,
            last: probe.last.clone(),
        }
    }
}

impl From<&CallRecord> for AuthCall {
    fn from(call: &CallRecord) -> Self {
        Self {
            stage: call.stage.into(),
            by: call.by.clone(),
            service: call.service.clone(),
            asked: call.asked.clone(),
            answer: call.answer.clone(),
            refused: match call.taken {
                Taken::Granted => Some(false),
                Taken::Refused => Some(true),
                Taken::Unknown => None,
            },
            times: call.times,
            slowest_ms: call.slowest_ms,
        }
    }
}

impl From<&AlertRecord> for Alert {
    fn from(alert: &AlertRecord) -> Self {
        let firing = alert.told.firing();
        Self {
            scenario: alert.scenario.into(),
            alert: alert.alert.clone(),
            group: alert.group.clone(),
            must_fire: alert.must_fire,
            says: alert.told.word().into(),
            reason: match &alert.told {
                Told::NotJudged(why) => Some(why.clone()),
                _ => None,
            },
            condition_ms: firing.map(|firing| firing.condition_ms),
            latest_ms: firing.map(|firing| firing.latest_ms),
            first_failure_ms: alert.first_failure_ms,
            lead_ms: alert.lead_ms(),
            crash_ms: alert.crash_ms,
            crash_lead_ms: alert.crash_lead_ms(),
            recorded: alert.is_real(),
            real_ms: Some(alert.real_ms),
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
            folded: finding.folded.iter().map(Folded::from).collect(),
        }
    }
}

impl From<&finding::Finding> for Folded {
    fn from(finding: &finding::Finding) -> Self {
        Self {
            check: finding.check.into(),
            stage: finding.stage.into(),
            title: finding.title.clone(),
            tests: finding.tests.iter().map(TestName::from).collect(),
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
