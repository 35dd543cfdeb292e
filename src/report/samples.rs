//! Records for the tests of reports: the incident that started Rehearsal, the same gone well, and one whose every text
//! is hostile.

use crate::finding::Finding;
use crate::report::result::{Counts, RunResult, StageStatus, TestRecord, TestStatus, Verdict};
use crate::report::text::tests::NASTY;

/// The upgrade that broke sign-in.
pub fn block() -> RunResult {
    serde_json::from_str(include_str!("../../tests/samples/block.json")).expect("the sample fits the record")
}

/// A clean run.
pub fn pass() -> RunResult {
    let mut result = block();
    result.verdict = Verdict::Pass;
    result.exit_code = 0;
    result.cause = "web shop:2 may take the place of shop:1".to_owned();
    result.findings.clear();
    for stage in &mut result.stages {
        stage.status = StageStatus::Passed;
        stage.reason = None;
        stage
            .steps
            .iter_mut()
            .for_each(|step| (step.status, step.reason) = (StageStatus::Passed, None));
    }
    result.checks.retain(|check| check.status == StageStatus::Passed);
    result.tests.retain(|test| test.status == TestStatus::Passed);
    result.counts = Counts::of(&result.tests);
    result
}

/// Every free text is replaced by every nasty string in turn.
pub fn hostile() -> Vec<RunResult> {
    NASTY.iter().map(|nasty| hostile_with(nasty)).collect()
}

/// Every free text is `nasty`.
pub fn hostile_with(nasty: &str) -> RunResult {
    let mut result = block();
    result.cause = nasty.to_owned();
    result.notes = vec![nasty.to_owned()];
    result.lock.statement = nasty.to_owned();
    let releases = result
        .candidate
        .iter_mut()
        .chain(&mut result.baseline)
        .chain(&mut result.mirror);
    releases.for_each(|release| (release.service, release.image) = (nasty.to_owned(), nasty.to_owned()));
    for row in &mut result.fidelity {
        (row.service, row.fact, row.state) = (nasty.to_owned(), nasty.to_owned(), nasty.to_owned());
        (row.production, row.mirror) = (Some(nasty.to_owned()), Some(nasty.to_owned()));
    }
    for stage in &mut result.stages {
        stage.reason = Some(nasty.to_owned());
        stage
            .steps
            .iter_mut()
            .for_each(|step| (step.id, step.reason) = (nasty.to_owned(), Some(nasty.to_owned())));
    }
    result
        .findings
        .iter_mut()
        .for_each(|finding| spoil_finding(finding, nasty));
    result.tests.iter_mut().for_each(|test| spoil_test(test, nasty));
    result
        .checks
        .iter_mut()
        .for_each(|check| check.reason = Some(nasty.to_owned()));
    result
}

fn spoil_finding(finding: &mut Finding, nasty: &str) {
    (finding.title, finding.help) = (nasty.to_owned(), nasty.to_owned());
    (finding.service, finding.cause) = (Some(nasty.to_owned()), Some(nasty.to_owned()));
    finding.evidence = vec![nasty.to_owned(); 3];
}

fn spoil_test(test: &mut TestRecord, nasty: &str) {
    (test.suite, test.name) = (nasty.to_owned(), nasty.to_owned());
    (test.message, test.detail) = (nasty.to_owned(), format!("{nasty}\n{nasty}"));
    (test.service, test.location) = (Some(nasty.to_owned()), Some(nasty.to_owned()));
}
