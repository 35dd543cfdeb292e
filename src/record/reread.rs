//! A record that has left the program, as what a verdict is made from. A word that this version does not know makes
//! nothing: who judges must know all of them.

use std::str::FromStr;

use super::finding;
use super::recorded::{CheckRecord, Recorded, StageRecord, StepRecord};
use super::step::{Step as StepId, Subject};
use super::test::{Reply, TestId, TestRecord};
use super::v1::{Check, Finding, Folded, Record, Stage, Step, Test, TestName};
use super::word::Word;

/// A word that is not known here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no word that this Rehearsal knows")]
pub struct UnknownWord(pub String);

/// What a verdict is made from: stages, tests, checks and findings.
///
/// # Errors
/// A word of another version's, or nobody's.
pub fn recorded(record: &Record) -> Result<Recorded, UnknownWord> {
    Ok(Recorded {
        stages: all(&record.stages, stage)?,
        tests: all(&record.tests, test)?,
        checks: all(&record.checks, check)?,
        findings: all(&record.findings, finding)?,
        ..Recorded::default()
    })
}

fn all<A, B>(from: &[A], one: impl Fn(&A) -> Result<B, UnknownWord>) -> Result<Vec<B>, UnknownWord> {
    from.iter().map(one).collect()
}

fn known<T: Copy + std::fmt::Display>(word: &Word<T>) -> Result<T, UnknownWord> {
    word.known().ok_or_else(|| UnknownWord(word.to_string()))
}

fn stage(stage: &Stage) -> Result<StageRecord, UnknownWord> {
    Ok(StageRecord {
        id: known(&stage.id)?,
        status: known(&stage.status)?,
        reason: stage.reason.clone(),
        start_ms: stage.start_ms,
        duration_ms: stage.duration_ms,
        steps: all(&stage.steps, step)?,
    })
}

fn step(step: &Step) -> Result<StepRecord, UnknownWord> {
    let Ok(id) = StepId::from_str(&step.id);
    Ok(StepRecord {
        id,
        status: known(&step.status)?,
        reason: step.reason.clone(),
        start_ms: step.start_ms,
        duration_ms: step.duration_ms,
    })
}

fn test(test: &Test) -> Result<TestRecord, UnknownWord> {
    Ok(TestRecord {
        suite: Subject::named(&test.suite),
        name: test.name.clone(),
        stage: known(&test.stage)?,
        status: known(&test.status)?,
        duration_ms: test.duration_ms,
        message: test.message.clone(),
        detail: test.detail.clone(),
        service: test.service.clone(),
        retries: test.retries,
        location: test.location.clone(),
        reply: Reply::Unknown,
    })
}

fn check(check: &Check) -> Result<CheckRecord, UnknownWord> {
    Ok(CheckRecord {
        check: known(&check.check)?,
        stage: known(&check.stage)?,
        status: known(&check.status)?,
        reason: check.reason.clone(),
        duration_ms: check.duration_ms,
    })
}

fn finding(from: &Finding) -> Result<finding::Finding, UnknownWord> {
    Ok(finding::Finding {
        severity: known(&from.severity)?,
        service: from.service.clone(),
        cause: from.cause.clone(),
        evidence: from.evidence.clone(),
        help: from.help.clone(),
        waived: from.waived.clone(),
        folded: all(&from.folded, |one| folded(one, from))?,
        ..finding::Finding::new(
            known(&from.check)?,
            known(&from.stage)?,
            known(&from.blame)?,
            from.title.clone(),
        )
        .of_tests(from.tests.iter().map(test_id))
    })
}

/// It is as bad as the one that speaks for it, and as much signed for.
fn folded(one: &Folded, speaker: &Finding) -> Result<finding::Finding, UnknownWord> {
    let blame = known(&speaker.blame)?;
    let made = finding::Finding::new(known(&one.check)?, known(&one.stage)?, blame, one.title.clone());
    Ok(made.of_tests(one.tests.iter().map(test_id)))
}

fn test_id(name: &TestName) -> TestId {
    TestId {
        suite: Subject::named(&name.suite),
        name: name.name.clone(),
    }
}
