//! The authentication dependency: which product, who asked it what, and what it refused.

use super::shown::{Room, Rows, Tone};
use crate::record::release::Release;
use crate::record::status::Status;
use crate::record::v1::{AuthCall, Check, Finding, Record};
use crate::report::words;

/// The ids of all checks of the authentication dependency begin so.
const CHECKS: &str = "auth-";
/// Lines of evidence of one finding; all are told with it.
const SEEN: usize = 12;

/// Everything of the section.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) product: String,
    pub(super) issuer: Option<String>,
    /// What was asked and what came.
    pub(super) asked: Rows<Asked>,
    /// Who called what, and what came, where it went wrong.
    pub(super) refused: Rows<Refused>,
    /// What the fronts saw.
    pub(super) calls: Rows<CallRow>,
}

/// Calls that are alike.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) tone: Tone,
    pub(super) stage: String,
    pub(super) by: String,
    pub(super) asked: String,
    pub(super) answer: String,
    pub(super) times: String,
}

/// A check of the dependency, in one stage.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) tone: Tone,
    pub(super) status: &'static str,
    pub(super) stage: String,
    pub(super) check: String,
    pub(super) reason: String,
}

/// Where it went wrong.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) stage: String,
    pub(super) title: String,
    pub(super) calls: Vec<String>,
}

impl Auth {
    pub(super) fn of(result: &Record, room: Room) -> Option<Self> {
        let auth = result.auth.as_ref()?;
        let product: Vec<String> = auth.services.iter().map(|name| with_release(result, name)).collect();
        let checks: Vec<&Check> = result
            .checks
            .iter()
            .filter(|check| check.check.to_string().starts_with(CHECKS))
            .collect();
        let findings: Vec<&Finding> = result
            .findings
            .iter()
            .filter(|finding| finding.check.to_string().starts_with(CHECKS))
            .collect();
        Some(Self {
            product: room.line(&product.join(", ")),
            issuer: auth.issuer.as_ref().map(|issuer| room.line(issuer)),
            asked: room.rows(&checks, |check| asked(check, room)),
            refused: room.rows(&findings, |finding| refused(finding, room)),
            calls: room.rows(&result.calls, |call| called(call, room)),
        })
    }
}

fn with_release(result: &Record, name: &str) -> String {
    let by_name = |release: &&Release| release.service == name;
    let mut all = result.candidate.iter().chain(&result.mirror).chain(&result.baseline);
    let release = all.find(by_name).map(|release| format!(" {}", words::release(release)));
    format!("{name}{}", release.unwrap_or_default())
}

fn asked(check: &Check, room: Room) -> Asked {
    let status = check.status.or(Status::Error);
    Asked {
        tone: Tone::of(status),
        status: status.words(),
        stage: words::word(&check.stage),
        check: words::word(&check.check),
        reason: room.line(check.reason.as_deref().unwrap_or_default()),
    }
}

fn called(call: &AuthCall, room: Room) -> CallRow {
    CallRow {
        tone: match call.refused {
            Some(true) => Tone::RED,
            Some(false) => Tone::PLAIN,
            None => Tone::GREY,
        },
        stage: words::word(&call.stage),
        by: room.line(&call.by),
        asked: room.line(&format!("{}: {}", call.service, call.asked)),
        answer: room.line(&call.answer),
        times: match call.times {
            1 => format!("once, {} ms", call.slowest_ms),
            times => format!("{times} times, at most {} ms", call.slowest_ms),
        },
    }
}

fn refused(finding: &Finding, room: Room) -> Refused {
    let calls = finding.evidence.iter().take(SEEN.min(room.rows));
    Refused {
        stage: words::word(&finding.stage),
        title: room.line(&finding.title),
        calls: calls
            .map(|line| room.line(line))
            .filter(|line| !line.is_empty())
            .collect(),
    }
}
