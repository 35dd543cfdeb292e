//! Verdict: pass, block or inconclusive, from the record alone. [`judge`] is pure; there is no path through it from
//! "could not tell" to a pass.

use time::Date;

use crate::check;
use crate::config::settings::Policy;
use crate::record::exit_code::ExitCode;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::recorded::Recorded;
use crate::record::result::{StageStatus, TestRecord, TestStatus, Verdict};
use crate::record::stage::StageId;

/// Why a run ended before its plan did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It did not.
    AsPlanned,
    /// A signal: exit code 130 or 143.
    Signal(ExitCode),
    /// The run's own limit.
    TimeOut,
}

/// The one answer, and what it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The first-cause line.
    pub cause: String,
    /// The process's exit code.
    pub exit_code: ExitCode,
}

/// Judges a run.
pub fn judge(recorded: &Recorded, policy: &Policy, ended: &Ended, pair: &str) -> Judgement {
    let blocking = first(recorded, |finding| blocks(finding, policy));
    let unclear = first(recorded, |finding| finding.waived.is_none() && unclear(finding));
    let (verdict, cause) = match (ended, blocking, unclear) {
        (Ended::Signal(_), ..) => (
            Verdict::Inconclusive,
            "interrupted before the rehearsal was over".to_owned(),
        ),
        (_, Some(finding), _) => (Verdict::Block, line(finding, pair)),
        (Ended::TimeOut, ..) => (
            Verdict::Inconclusive,
            "the run's time limit was reached (timeout)".to_owned(),
        ),
        (_, None, Some(finding)) => (Verdict::Inconclusive, line(finding, pair)),
        (Ended::AsPlanned, None, None) => match incomplete(recorded) {
            Some(what) => (Verdict::Inconclusive, what),
            None => (
                Verdict::Pass,
                format!("{pair}: the upgrade and the rollback work on this mirror"),
            ),
        },
    };
    let exit_code = match (ended, verdict) {
        (Ended::Signal(code), _) => *code,
        (_, Verdict::Pass) => ExitCode::Pass,
        (_, Verdict::Block) => ExitCode::Block,
        (_, Verdict::Inconclusive) => ExitCode::Inconclusive,
    };
    Judgement {
        verdict,
        cause: one_line(&cause),
        exit_code,
    }
}

fn blocks(finding: &Finding, policy: &Policy) -> bool {
    let by_policy = policy.block_on.contains(&finding.severity);
    let guilty =
        finding.blame == Blame::Candidate || (finding.blame == Blame::Nobody && finding.severity != Severity::Info);
    finding.waived.is_none() && by_policy && guilty
}

fn unclear(finding: &Finding) -> bool {
    matches!(finding.blame, Blame::Mirror | Blame::Flaky) && finding.severity == Severity::Error
}

/// The first cause: the earliest stage speaks first, within it the checks in the order of their catalog.
fn first(recorded: &Recorded, wanted: impl Fn(&Finding) -> bool) -> Option<&Finding> {
    let rank = |finding: &&Finding| (finding.stage, check::rank(&finding.check));
    recorded
        .findings
        .iter()
        .filter(|finding| wanted(finding))
        .min_by_key(rank)
}

/// What broke, why, the pair of versions, the way out.
fn line(finding: &Finding, pair: &str) -> String {
    let why = finding
        .cause
        .as_ref()
        .filter(|cause| !finding.title.contains(cause.as_str()));
    let why = why.map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{}: {}{why}; {pair}; {}", finding.check, finding.title, finding.help)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Law 1: something planned that has no good end.
fn incomplete(recorded: &Recorded) -> Option<String> {
    let signed = |stage: StageId| {
        recorded
            .findings
            .iter()
            .any(|found| found.stage == stage && found.waived.is_some())
    };
    let fine = |status: StageStatus, stage: StageId| match status {
        StageStatus::Passed | StageStatus::Skipped => true,
        // What failed here blocks unless somebody has signed for it, and nothing blocked.
        StageStatus::Failed => signed(stage),
        StageStatus::Error | StageStatus::NotRun => false,
    };
    let stage = recorded.stages.iter().find(|stage| !fine(stage.status, stage.id));
    let stage = stage.map(|stage| {
        format!(
            "stage {} did not pass: {}",
            stage.id,
            stage.reason.clone().unwrap_or_default()
        )
    });
    let step = || {
        let stages = recorded
            .stages
            .iter()
            .filter(|stage| stage.status != StageStatus::Skipped);
        let mut steps = stages.flat_map(|stage| stage.steps.iter().map(|step| (stage.id, step)));
        let (_, bad) = steps.find(|(stage, step)| !fine(step.status, *stage))?;
        Some(format!(
            "step {} did not pass: {}",
            bad.id,
            bad.reason.clone().unwrap_or_default()
        ))
    };
    let check = || {
        let bad = recorded.checks.iter().find(|check| !fine(check.status, check.stage))?;
        Some(format!(
            "check {} was not answered in {}: {}",
            bad.check,
            bad.stage,
            bad.reason.clone().unwrap_or_default()
        ))
    };
    let test = || {
        let fine = |test: &TestRecord| match test.status {
            TestStatus::Passed | TestStatus::Skipped => true,
            TestStatus::Failed => signed(test.stage),
            TestStatus::Error | TestStatus::NotRun => false,
        };
        let bad = recorded.tests.iter().find(|test| !fine(test))?;
        Some(format!(
            "test {} / {} did not pass in {}: {}",
            bad.suite, bad.name, bad.stage, bad.message
        ))
    };
    let nothing = || recorded.stages.is_empty().then(|| "nothing was run".to_owned());
    stage.or_else(step).or_else(check).or_else(test).or_else(nothing)
}

/// Marks the findings that somebody has signed for. A waiver that has expired covers nothing.
pub fn waive(findings: &mut [Finding], policy: &Policy, today: Date) {
    for finding in findings {
        let covers = |waiver: &&crate::config::settings::Waiver| {
            // Nobody can sign for a mirror that does not work.
            let may_sign = finding.check != check::control::ABOUT.id && check::mirror_fidelity::can_be_waived(finding);
            may_sign && waiver.check == finding.check && waiver.expires.is_none_or(|end| today <= end)
        };
        let waiver = policy.waive.iter().find(covers);
        finding.waived = waiver.map(|waiver| match &waiver.owner {
            Some(owner) => format!("{} ({owner})", waiver.reason),
            None => waiver.reason.clone(),
        });
    }
}
