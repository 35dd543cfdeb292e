//! Whether anything notices that a release, or the authentication dependency, is gone: each shard asks its own tests, and
//! one that notices is enough. Where none does, every shard says so, and it stands.

use super::shard::One;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Severity};
use crate::record::status::Status;
use crate::record::step::Step;
use crate::record::v1::{Finding, Record};

/// The checks that need some test that notices.
const ASKED_OF_ALL: [CheckId; 2] = [CheckId::AuthExercised, CheckId::CandidateExercised];

/// Takes from each shard what another one has noticed; the indexes of those that had such a thing.
pub(super) fn excuse(shards: &mut [One]) -> Vec<u32> {
    let as_given: Vec<Record> = shards.iter().map(|one| one.record.clone()).collect();
    let mut excused = Vec::new();
    for (at, one) in shards.iter_mut().enumerate() {
        let others = || as_given.iter().enumerate().filter(|(other, _)| *other != at);
        let is_noticed = |finding: &Finding| others().any(|(_, record)| notices(record, finding));
        let (gone, kept) = std::mem::take(&mut one.record.findings)
            .into_iter()
            .partition(|finding| says_that_nothing_notices(finding) && is_noticed(finding));
        one.record.findings = kept;
        let gone: Vec<Finding> = gone;
        gone.iter().for_each(|finding| undo(&mut one.record, finding));
        if !gone.is_empty() {
            excused.push(one.shard.place.index);
        }
    }
    excused
}

fn says_that_nothing_notices(finding: &Finding) -> bool {
    let asked = finding.check.known().is_some_and(|check| ASKED_OF_ALL.contains(&check));
    asked && finding.waived.is_none() && finding.blame == Blame::Mirror && finding.severity == Severity::Error
}

/// The same was asked there, answered, and found otherwise.
fn notices(record: &Record, finding: &Finding) -> bool {
    let alike = |other: &&Finding| other.check == finding.check && other.stage == finding.stage;
    let mut found = record.findings.iter().filter(alike).peekable();
    let passed = record
        .checks
        .iter()
        .any(|check| check.check == finding.check && check.stage == finding.stage && check.status == Status::Passed);
    let answered = passed || found.peek().is_some();
    answered && !found.any(|other| other.service == finding.service)
}

/// What went red by this finding alone is red no more.
fn undo(record: &mut Record, gone: &Finding) {
    let of_check = |finding: &&Finding| finding.check == gone.check && finding.stage == gone.stage;
    if !record.findings.iter().any(|finding| of_check(&finding)) {
        let checks = record.checks.iter_mut();
        let own = checks.filter(|check| check.check == gone.check && check.stage == gone.stage);
        for check in own.filter(|check| check.status == Status::Error) {
            (check.status, check.reason) = (Status::Passed.into(), None);
        }
        undo_step(record, gone);
    }
    let keeps = |finding: &&Finding| {
        let is_mirrors = finding.blame == Blame::Mirror && finding.severity == Severity::Error;
        finding.stage == gone.stage && finding.waived.is_none() && is_mirrors
    };
    let other = record.findings.iter().find(keeps).map(|finding| finding.title.clone());
    for stage in record.stages.iter_mut().filter(|stage| stage.id == gone.stage) {
        if stage.status == Status::Error && stage.reason.as_ref() == Some(&gone.title) {
            stage.status = if other.is_some() { Status::Error } else { Status::Passed }.into();
            stage.reason.clone_from(&other);
        }
    }
}

fn undo_step(record: &mut Record, gone: &Finding) {
    let name = gone.check.known().map(|check| Step::Check(check).to_string());
    let stages = record.stages.iter_mut().filter(|stage| stage.id == gone.stage);
    let steps = stages.flat_map(|stage| &mut stage.steps);
    for step in steps.filter(|step| Some(&step.id) == name.as_ref() && step.status == Status::Error) {
        (step.status, step.reason) = (Status::Passed.into(), None);
    }
}
