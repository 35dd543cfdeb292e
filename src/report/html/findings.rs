//! Findings, grouped by cause: what breaks in several ways is told once.

use super::shown::{Room, Tone};
use crate::record::finding::{Blame, Severity};
use crate::record::v1::{self, Record};
use crate::report::words;
use crate::text::harmless;

/// All groups, worst first.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) groups: Vec<Group>,
    /// Findings that there was no room for.
    pub(super) more: usize,
}

/// What has one cause: the finding that speaks for it first.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) lead: Finding,
    pub(super) others: Vec<Finding>,
}

/// A finding.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) tone: Tone,
    pub(super) severity: String,
    pub(super) title: String,
    /// `auth-login in upgrade, web`.
    pub(super) place: String,
    /// What must be known before it is believed, or blamed on somebody.
    pub(super) notice: Option<String>,
    pub(super) why: Option<String>,
    pub(super) way_out: String,
    pub(super) evidence: String,
    /// The tests that show it.
    pub(super) tests: Vec<String>,
    /// Those that it speaks for.
    pub(super) folded: Option<String>,
}

impl Findings {
    pub(super) fn of(result: &Record, room: Room) -> Self {
        let mut groups: Vec<Vec<&v1::Finding>> = Vec::new();
        for finding in result.findings.iter().take(room.rows) {
            match groups.iter_mut().find(|group| is_same(group[0], finding)) {
                Some(group) => group.push(finding),
                None => groups.push(vec![finding]),
            }
        }
        Self {
            groups: groups.iter().map(|group| Group::of(group, room)).collect(),
            more: result.findings.len().saturating_sub(room.rows),
        }
    }
}

/// Two findings have one cause: both say so, or one has seen what the other gives as its cause.
fn is_same(one: &v1::Finding, other: &v1::Finding) -> bool {
    let saw = |finding: &v1::Finding, cause: &str| finding.evidence.iter().any(|line| line.contains(cause));
    let cause = |finding: &v1::Finding| finding.cause.clone().filter(|cause| !cause.trim().is_empty());
    match (cause(one), cause(other)) {
        (Some(first), Some(second)) => first == second || saw(other, &first) || saw(one, &second),
        (Some(first), None) => saw(other, &first),
        (None, Some(second)) => saw(one, &second),
        (None, None) => false,
    }
}

impl Group {
    fn of(findings: &[&v1::Finding], room: Room) -> Self {
        Self {
            lead: Finding::of(findings[0], room),
            others: findings[1..].iter().map(|finding| Finding::of(finding, room)).collect(),
        }
    }
}

impl Finding {
    fn of(finding: &v1::Finding, room: Room) -> Self {
        let about = finding.service.as_ref().map(|service| format!(", {service}"));
        let place = format!("{} in {}{}", finding.check, finding.stage, about.unwrap_or_default());
        let tests = finding.tests.iter().take(room.rows);
        let evidence = match room.detail {
            0 => String::new(),
            most => harmless::block(&finding.evidence.join("\n"), most),
        };
        Self {
            tone: tone(finding),
            severity: severity(finding),
            title: room.line(&finding.title),
            place: room.line(&place),
            notice: notice(finding).map(|notice| room.line(&notice)),
            why: finding
                .cause
                .as_ref()
                .map(|cause| room.line(cause))
                .filter(|why| !why.is_empty()),
            way_out: room.line(&finding.help),
            evidence,
            tests: tests
                .map(|test| room.line(&format!("{} / {}", test.suite, test.name)))
                .collect(),
            folded: words::folded(finding).map(|others| room.line(&others)),
        }
    }
}

fn tone(finding: &v1::Finding) -> Tone {
    let severity = finding.severity.or(Severity::Error);
    match (severity, finding.blame.or(Blame::Mirror), &finding.waived) {
        (_, _, Some(_)) | (Severity::Info, _, None) => Tone::GREY,
        (Severity::Error, Blame::Candidate, None) => Tone::RED,
        (Severity::Error | Severity::Warn, _, None) => Tone::AMBER,
    }
}

fn severity(finding: &v1::Finding) -> String {
    match finding.severity.known() {
        Some(Severity::Error) => "error".to_owned(),
        Some(Severity::Warn) => "warning".to_owned(),
        Some(Severity::Info) => "remark".to_owned(),
        None => words::word(&finding.severity),
    }
}

fn notice(finding: &v1::Finding) -> Option<String> {
    if let Some(waiver) = &finding.waived {
        return Some(format!("Waived: {waiver}"));
    }
    let blame = match finding.blame.or(Blame::Mirror) {
        Blame::Candidate | Blame::Nobody => return None,
        Blame::Mirror => "It says nothing of the candidate: the mirror, a suite or the machine is at fault.",
        Blame::Flaky => "Flaky: an untouched baseline fails here too.",
        Blame::PreExisting => "Pre-existing: the baseline fails here alike.",
    };
    Some(blame.to_owned())
}
