//! The records of all shards as one: what several say of the same thing is as the worst of them has it.

use std::cmp::Reverse;

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::shard::One;
use crate::plan::shard::Part;
use crate::record::check::CheckId;
use crate::record::inputs::Input;
use crate::record::shard::IN_ANOTHER;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::{Step as StepId, Subject};
use crate::record::v1::{Finding, Record, Stage, Step};
use crate::record::word::Word;
use crate::text::units::of_millis;

/// Logs of which a record keeps the end.
const LOGS: usize = 32;
/// Why something is not run.
const NO_SHARD: &str = "no shard looked at it";

/// One record of all; `base` has what they say alike, and `uncovered` is what none of them looked at.
pub(super) fn whole(base: &Record, shards: &[One], uncovered: &[Part]) -> Record {
    let records: Vec<&Record> = shards.iter().map(|one| &one.record).collect();
    let mut whole = looked(&records, base);
    measured(&records, &mut whole);
    if let Some((started, duration_ms)) = span(&records) {
        (whole.started, whole.duration_ms) = (started, duration_ms);
    }
    whole.shard = None;
    whole.inputs.plan = shards.first().map(|one| Input::Digest(one.shard.plan.clone()));
    whole.notes = each(&of(&records, |record| &record.notes), Clone::clone, |_| 0);
    whole.notes.extend(shards.iter().map(came_to));
    uncovered.iter().for_each(|part| not_run(&mut whole, part));
    whole
}

/// What was looked at.
fn looked(records: &[&Record], base: &Record) -> Record {
    let tests = of(records, |record| &record.tests);
    let checks = of(records, |record| &record.checks);
    Record {
        stages: stages(records),
        findings: each(&of(records, |record| &record.findings), told, |_| 0),
        tests: each(
            &tests,
            |test| (test.stage.to_string(), test.suite.clone(), test.name.clone()),
            |test| rank(&test.status, None),
        ),
        checks: each(
            &checks,
            |check| (check.stage.to_string(), check.check.to_string()),
            |check| rank(&check.status, check.reason.as_deref()),
        ),
        ..base.clone()
    }
}

/// What was measured and written down on the way.
fn measured(records: &[&Record], whole: &mut Record) {
    let place = |stage: &Word<StageId>, what: &str| (stage.to_string(), what.to_owned());
    whole.fidelity = each(&of(records, |record| &record.fidelity), |row| format!("{row:?}"), |_| 0);
    whole.times = each(
        &of(records, |record| &record.times),
        |time| place(&time.stage, &time.measure.to_string()),
        |time| time.value_ms,
    );
    whole.probes = each(
        &of(records, |record| &record.probes),
        |probe| probe.stage.to_string(),
        |probe| probe.downtime_ms,
    );
    whole.load = each(&of(records, |record| &record.load), |load| format!("{load:?}"), |_| 0);
    whole.slowdowns = each(
        &of(records, |record| &record.slowdowns),
        |one| format!("{one:?}"),
        |_| 0,
    );
    whole.capacity = records.iter().find_map(|record| record.capacity.clone());
    whole.calls = each(
        &of(records, |record| &record.calls),
        |call| {
            place(
                &call.stage,
                &format!("{} {} {} {}", call.by, call.service, call.asked, call.answer),
            )
        },
        |call| call.times,
    );
    whole.alerts = each(
        &of(records, |record| &record.alerts),
        |alert| format!("{alert:?}"),
        |_| 0,
    );
    whole.logs = each(
        &of(records, |record| &record.logs),
        |log| place(&log.stage, &log.service),
        |log| log.bytes,
    );
    whole.logs.truncate(LOGS);
}

/// Worst first, as in every record.
pub(super) fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| {
        let (severity, stage) = (finding.severity.known(), finding.stage.known());
        (Reverse(severity), stage, finding.check.known())
    });
}

fn of<'r, T>(records: &[&'r Record], part: impl Fn(&'r Record) -> &'r Vec<T>) -> Vec<&'r [T]> {
    records.iter().map(|record| part(record).as_slice()).collect()
}

/// Each thing once, in the order of the first that has it; what another one of them has in a worse state is as there.
fn each<T: Clone, K: PartialEq>(lists: &[&[T]], key: impl Fn(&T) -> K, badness: impl Fn(&T) -> u64) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    for list in lists {
        let mut behind = 0;
        for thing in *list {
            let name = key(thing);
            match all.iter().position(|known| key(known) == name) {
                Some(at) if badness(thing) > badness(&all[at]) => {
                    all[at] = thing.clone();
                    behind = at + 1;
                }
                Some(at) => behind = at + 1,
                None => {
                    all.insert(behind, thing.clone());
                    behind += 1;
                }
            }
        }
    }
    all
}

/// How bad an end is; what another shard does is as good as not there.
fn rank(status: &Word<Status>, reason: Option<&str>) -> u64 {
    match status.or(Status::Error) {
        Status::Skipped if reason == Some(IN_ANOTHER) => 0,
        Status::Skipped => 1,
        Status::Passed => 2,
        Status::NotRun => 3,
        Status::Error => 4,
        Status::Failed => 5,
    }
}

fn stages(records: &[&Record]) -> Vec<Stage> {
    let all = of(records, |record| &record.stages);
    let ended = |stage: &Stage| rank(&stage.status, stage.reason.as_deref());
    let mut stages = each(&all, |stage| stage.id.to_string(), ended);
    stages.sort_by_key(|stage| stage.id.known());
    for stage in &mut stages {
        let same: Vec<&Stage> = all
            .iter()
            .copied()
            .flatten()
            .filter(|other| other.id == stage.id)
            .collect();
        let steps: Vec<&[Step]> = same.iter().map(|other| other.steps.as_slice()).collect();
        let ran = same.iter().filter(|other| other.duration_ms > 0);
        stage.start_ms = ran.clone().map(|other| other.start_ms).min().unwrap_or_default();
        stage.duration_ms = ran.map(|other| other.duration_ms).max().unwrap_or_default();
        stage.steps = each(&steps, |step| step.id.clone(), |step| rank(&step.status, None));
    }
    stages
}

/// What tells a finding from others, whichever shard found it.
fn told(finding: &Finding) -> String {
    format!(
        "{} {} {} {} {:?} {:?} {:?} {}",
        finding.check,
        finding.severity,
        finding.blame,
        finding.stage,
        finding.service,
        finding.tests,
        finding.waived,
        finding.title
    )
}

/// From when the first began until the last was over; `None` where a time cannot be read.
fn span(records: &[&Record]) -> Option<(String, u64)> {
    let times: Option<Vec<(OffsetDateTime, OffsetDateTime)>> = records
        .iter()
        .map(|record| {
            let began = OffsetDateTime::parse(&record.started, &Rfc3339).ok()?;
            let took = Duration::milliseconds(i64::try_from(record.duration_ms).ok()?);
            Some((began, began.checked_add(took)?))
        })
        .collect();
    let times = times?;
    let first = times.iter().map(|(began, _)| *began).min()?;
    let last = times.iter().map(|(_, over)| *over).max()?;
    let took = u64::try_from((last - first).whole_milliseconds()).ok()?;
    Some((first.format(&Rfc3339).ok()?, took))
}

/// For the reader: which shard did what, and how long that took.
fn came_to(one: &One) -> String {
    let (name, record) = (one.name(), &one.record);
    let took = of_millis(record.duration_ms);
    format!(
        "{name}: {}, {took}; {}; its logs are there",
        record.verdict,
        one.shard.parts.join(", ")
    )
}

/// Law 1: what was planned and did not happen is in the record.
fn not_run(whole: &mut Record, part: &Part) {
    match part {
        Part::Suite(name) => suite_not_run(whole, name),
        Part::Check(id) => check_not_run(whole, *id),
        Part::Fault(_) => check_not_run(whole, CheckId::AuthFaults),
    }
}

fn suite_not_run(whole: &mut Record, name: &str) {
    let runs_suites = [StageId::Control, StageId::Upgrade, StageId::Rollback];
    let stages = whole.stages.iter_mut().filter(|stage| stage.status != Status::Skipped);
    let stages = stages.filter(|stage| stage.id.known().is_some_and(|id| runs_suites.contains(&id)));
    for stage in stages {
        stage.steps.push(Step {
            id: StepId::Run(Subject::Suite(name.to_owned())).to_string(),
            status: Status::NotRun.into(),
            reason: Some(NO_SHARD.to_owned()),
            start_ms: stage.start_ms,
            duration_ms: 0,
        });
    }
}

fn check_not_run(whole: &mut Record, id: CheckId) {
    let is_fine = |status: &Word<Status>| matches!(status.known(), Some(Status::Skipped | Status::Passed));
    let mut asked_in = Vec::new();
    for check in whole
        .checks
        .iter_mut()
        .filter(|check| check.check == id && is_fine(&check.status))
    {
        (check.status, check.reason) = (Status::NotRun.into(), Some(NO_SHARD.to_owned()));
        asked_in.push(check.stage.clone());
    }
    let anothers = |stage: &&mut Stage| stage.reason.as_deref() == Some(IN_ANOTHER) && asked_in.contains(&stage.id);
    for stage in whole.stages.iter_mut().filter(anothers) {
        (stage.status, stage.reason) = (Status::NotRun.into(), Some(NO_SHARD.to_owned()));
    }
}
