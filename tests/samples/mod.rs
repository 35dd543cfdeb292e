//! Records for the tests of reports: the incident that started Rehearsal, the same gone well, and one whose every text
//! is hostile. Shared by the tests in `src/report` and those in `tests/`.

// Each of the two uses a part of it.
#![allow(dead_code)]

use crate::product::record::alerts::{Says, Scenario};
use crate::product::record::headline::Headline;
use crate::product::record::load::{
    LatencyRecord, Level, LimitAnswer, LimitRecord, LoadRecord, LoadSliceRecord, LoadStepRecord, Quantile, UsageRecord,
    UsedRecord,
};
use crate::product::record::measured::Measure;
use crate::product::record::stage::StageId;
use crate::product::record::status::Status;
use crate::product::record::v1::Finding;
use crate::product::record::v1::{Alert, Counts, Record, Test, Time};
use crate::product::record::verdict::Verdict;
use crate::product::record::word::Word;

/// What a hostile candidate prints; every report is tried with each.
pub const NASTY: &[&str] = &[
    "]]></system-out></testcase><testcase name=\"forged\"/>",
    "]]>]]>",
    "]]",
    "</failure></testcase></testsuite></testsuites>",
    "<!-- <![CDATA[ &bogus; &#0; &lt;",
    "::error::forged",
    "   ::error file=a,line=1::forged",
    "::stop-commands::x",
    "##[error]forged",
    "ok ##[set-output name=verdict;]pass",
    "\u{1b}[31mred\u{1b}[0m\u{1b}[2J",
    "\u{1b}]0;title\u{7}\u{1b}]8;;http:evil\u{1b}\\link",
    "\u{9b}31mred \u{9d}x\u{9c}",
    "\u{1b}",
    "\u{1b}]never ends",
    "nul \0 bell \u{7} back \u{8}",
    "\u{ffff} \u{fffe} \u{feff} \u{10ffff}",
    "lone\rCR",
    "crlf\r\nline\n::error::next",
    "EOF\nverdict=pass",
    "x\nverdict<<EOF\npass\nEOF",
    "</details><script>alert(1)</script>",
    "`` ` ``` | a | b |",
    "a | b \\| c",
    "[click](javascript:alert)![i](x) <img src=x onerror=y>",
    "@everyone #1 **bold** _i_ ~~s~~ $x$",
    "```\n# heading\n---\n| a |\n|---|",
    "\u{202e}gnp.exe\u{2066}",
    "line\u{2028}separator\u{85}next",
    "[[ATTACHMENT|/etc/passwd]]",
    "100% of %0A::error::x%25",
    "",
    "   ",
    "é€😀",
];

/// The upgrade that broke sign-in.
pub fn block() -> Record {
    serde_json::from_str(include_str!("block.json")).expect("the sample fits the record")
}

/// A clean run.
pub fn pass() -> Record {
    let mut result = block();
    result.verdict = Verdict::Pass.into();
    result.exit_code = 0;
    result.cause = "web shop:2 may take the place of shop:1".to_owned();
    result.headline = Headline::plain(&result.cause);
    result.again = None;
    // There was a way back, and all of it in time.
    result.times[0].value_ms = 4_200;
    result.times.push(Time {
        measure: Measure::WayBack.into(),
        stage: StageId::Rollback.into(),
        value_ms: 9_800,
        limit_ms: 60_000,
    });
    result.findings.clear();
    for stage in &mut result.stages {
        stage.status = Status::Passed.into();
        stage.reason = None;
        stage
            .steps
            .iter_mut()
            .for_each(|step| (step.status, step.reason) = (Status::Passed.into(), None));
    }
    result.checks.retain(|check| check.status == Status::Passed);
    result.tests.retain(|test| test.status == Status::Passed);
    result.counts = Counts::of(&result);
    result
}

/// A run with load on both releases, of which the candidate's fails and grows, and with alert rules that say everything that
/// rules can say.
pub fn under_load() -> Record {
    let mut result = block();
    result.load = vec![load(StageId::Control), load(StageId::Load)];
    result.alerts = [
        alert(Scenario::AuthDown, "LoginFails", Says::Fires, Some((2_000, 20_000))),
        alert(
            Scenario::AuthDown,
            "ShopRestartsAgainAndAgainAndAgain",
            Says::FalseAlarm,
            None,
        ),
        alert(Scenario::AuthDown, "DiskFull", Says::Never, None),
        alert(Scenario::AuthDown, "QueueTooLong", Says::NotJudged, None),
        alert(
            Scenario::Ramp,
            "MemoryAlmostFull",
            Says::TooLate,
            Some((90_000, 160_000)),
        ),
        alert(Scenario::Ramp, "LatencyHigh", Says::Fires, Some((20_000, 50_000))),
        alert(Scenario::Ramp, "LoginFails", Says::Never, None),
    ]
    .into();
    result
}

/// Ten seconds of warm-up, and a minute.
fn load(stage: StageId) -> LoadRecord {
    let is_candidate = stage == StageId::Load;
    let slices = (0..30_u64).map(|number| {
        let fails = if is_candidate {
            number / 4
        } else {
            u64::from(number == 12)
        };
        let p95_us = 140_000 + (number * 7_919) % 40_000 + if is_candidate { number * 4_000 } else { 0 };
        LoadSliceRecord {
            start_ms: 10_000 + number * 2_000,
            length_ms: 2_000,
            sent: 400,
            good: 400 - fails,
            p50_us: Some(p95_us / 2),
            // Where nothing was answered, nothing is known.
            p95_us: (number != 20).then_some(p95_us),
        }
    });
    let limits = [("p95", 300_000.0, 290_000.0), ("error_rate", 0.01, 0.008)];
    let limits = limits.into_iter().filter(|_| is_candidate);
    LoadRecord {
        stage: stage.into(),
        rate: 200.0,
        duration_ms: 60_000,
        planned: 12_000,
        sent: 12_000,
        good: 11_900,
        opened: 1_200,
        lag_us: 300,
        errors: vec![("status 500".to_owned(), 100)],
        latency: vec![LatencyRecord {
            quantile: Quantile::P95.into(),
            latency_us: if is_candidate { 272_000 } else { 174_000 },
            service_us: if is_candidate { 271_000 } else { 173_000 },
            vague: false,
        }],
        steps: vec![LoadStepRecord {
            name: "smoke / catalogue".to_owned(),
            sent: 12_000,
            good: 11_900,
            p50_us: Some(80_000),
            p95_us: Some(174_000),
            p99_us: Some(200_000),
        }],
        slices: slices.collect(),
        limits: limits
            .map(|(key, limit, value)| limit_record(key, limit, value))
            .collect(),
        usage: vec![usage("db", 1, 0), usage("web", 3, if is_candidate { 6 } else { 0 })],
    }
}

fn limit_record(key: &str, limit: f64, value: f64) -> LimitRecord {
    LimitRecord {
        key: key.to_owned(),
        level: Level::Fail.into(),
        limit,
        value: Some(value),
        baseline: Some(value / 2.0),
        answer: LimitAnswer::Within.into(),
    }
}

/// So busy, and growing by so many MiB from one look to the next.
fn usage(service: &str, busy: u64, grows: u64) -> UsageRecord {
    let moments = (0..36_u64).map(|number| UsedRecord {
        at_ms: number * 2_000,
        processors: (number > 0).then(|| (busy * (100 + number * 37 % 60)) as f64 / 1_000.0),
        memory: Some((100 + grows * number) << 20),
    });
    UsageRecord {
        service: service.to_owned(),
        memory_limit: Some(512 << 20),
        moments: moments.collect(),
    }
}

/// With the condition and the latest moment that on-call is told, milliseconds.
fn alert(scenario: Scenario, name: &str, says: Says, firing: Option<(u64, u64)>) -> Alert {
    let (failure_ms, crash_ms, real_ms) = match scenario {
        Scenario::Ramp => (60_000, Some(70_000), 80_000),
        _ => (1_000, None, 60_000),
    };
    let latest = firing.map(|(_, latest)| latest);
    let lead = |harm: u64| latest.map(|latest| harm.cast_signed() - latest.cast_signed());
    Alert {
        scenario: scenario.into(),
        alert: name.to_owned(),
        group: "shop".to_owned(),
        must_fire: matches!(says, Says::TooLate | Says::Fires),
        says: says.into(),
        reason: (says == Says::NotJudged).then(|| "no series has the metric `queue_length`".to_owned()),
        condition_ms: firing.map(|(condition, _)| condition),
        latest_ms: latest,
        first_failure_ms: Some(failure_ms),
        lead_ms: lead(failure_ms),
        crash_ms,
        crash_lead_ms: crash_ms.and_then(lead),
        recorded: firing.is_none_or(|(condition, _)| condition <= real_ms),
        real_ms: Some(real_ms),
    }
}

/// Every free text is replaced by every nasty string in turn.
pub fn hostile() -> Vec<Record> {
    NASTY.iter().map(|nasty| hostile_with(nasty)).collect()
}

/// Every free text is `nasty`.
pub fn hostile_with(nasty: &str) -> Record {
    let mut result = under_load();
    result.cause = nasty.to_owned();
    // What says nothing is left out.
    let part = || format!("part {nasty}");
    result.headline = Headline {
        what: part(),
        pair: part(),
        way_out: part(),
    };
    (result.again, result.rerun) = (Some(part()), Some(part()));
    result.notes = vec![nasty.to_owned()];
    result.lock.statement = nasty.to_owned();
    let releases = result
        .candidate
        .iter_mut()
        .chain(&mut result.baseline)
        .chain(&mut result.mirror);
    releases.for_each(|release| (release.service, release.image) = (nasty.to_owned(), nasty.to_owned()));
    spoil_surroundings(&mut result, nasty);
    for row in &mut result.fidelity {
        (row.service, row.fact) = (nasty.to_owned(), nasty.to_owned());
        row.state = Word::Unknown(nasty.to_owned());
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

/// The authentication dependency, the probe and the logs.
fn spoil_surroundings(result: &mut Record, nasty: &str) {
    for alert in &mut result.alerts {
        (alert.alert, alert.group) = (nasty.to_owned(), nasty.to_owned());
        alert.reason = Some(nasty.to_owned());
    }
    if let Some(strange) = result.alerts.last_mut() {
        (strange.scenario, strange.says) = (Word::Unknown(nasty.to_owned()), Word::Unknown(nasty.to_owned()));
    }
    if let Some(auth) = &mut result.auth {
        (auth.services, auth.issuer) = (vec![nasty.to_owned()], Some(nasty.to_owned()));
    }
    for probe in &mut result.probes {
        (probe.asked_for, probe.last) = (nasty.to_owned(), nasty.to_owned());
        probe.good = Some(nasty.to_owned());
    }
    for call in &mut result.calls {
        (call.by, call.service) = (nasty.to_owned(), nasty.to_owned());
        (call.asked, call.answer) = (nasty.to_owned(), nasty.to_owned());
    }
    for load in &mut result.load {
        load.steps.iter_mut().for_each(|step| nasty.clone_into(&mut step.name));
        load.errors.iter_mut().for_each(|(what, _)| nasty.clone_into(what));
        load.limits
            .iter_mut()
            .for_each(|limit| nasty.clone_into(&mut limit.key));
        load.usage
            .iter_mut()
            .for_each(|usage| nasty.clone_into(&mut usage.service));
    }
    for log in &mut result.logs {
        (log.service, log.end) = (nasty.to_owned(), format!("{nasty}\n{nasty}"));
    }
    result.partial = vec![nasty.to_owned()];
}

fn spoil_finding(finding: &mut Finding, nasty: &str) {
    (finding.title, finding.help) = (nasty.to_owned(), nasty.to_owned());
    (finding.service, finding.cause) = (Some(nasty.to_owned()), Some(nasty.to_owned()));
    finding.evidence = vec![nasty.to_owned(); 3];
    for test in &mut finding.tests {
        (test.suite, test.name) = (nasty.to_owned(), nasty.to_owned());
    }
    for folded in &mut finding.folded {
        folded.title = nasty.to_owned();
        for test in &mut folded.tests {
            (test.suite, test.name) = (nasty.to_owned(), nasty.to_owned());
        }
    }
}

fn spoil_test(test: &mut Test, nasty: &str) {
    (test.suite, test.name) = (nasty.to_owned(), nasty.to_owned());
    (test.message, test.detail) = (nasty.to_owned(), format!("{nasty}\n{nasty}"));
    (test.service, test.location) = (Some(nasty.to_owned()), Some(nasty.to_owned()));
}

/// A clean run of `tests` tests more.
pub fn large(tests: usize) -> Record {
    let mut result = pass();
    let one = result.tests[0].clone();
    result.tests.extend((0..tests).map(|number| Test {
        name: format!("item {number}"),
        ..one.clone()
    }));
    result.counts = Counts::of(&result);
    result
}
