//! Findings: what a check or a suite learned.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString};

use super::check::CheckId;
use super::stage::StageId;
use super::test::TestId;

/// How bad a finding is in itself; whether it blocks is the verdict's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Never blocks alone.
    Warn,
    /// Blocks by default.
    Error,
}

/// Whose doing it is, and so what follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Display, EnumString)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Blame {
    /// The candidate (or, in `rollback`, what it left behind): blocks if the severity says so.
    Candidate,
    /// The mirror, the suite, the machine: nothing can be said about the candidate, so `inconclusive`.
    Mirror,
    /// A failure that an untouched baseline shows too: `inconclusive`, named flaky.
    Flaky,
    /// Both releases fail alike: reported, decides nothing.
    PreExisting,
    /// Nobody's: a remark.
    Nobody,
}

/// What a check or a suite learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: CheckId,
    /// How bad.
    pub severity: Severity,
    /// Whose doing.
    pub blame: Blame,
    /// Where it was seen.
    pub stage: StageId,
    /// The service it is about.
    pub service: Option<String>,
    /// Which of the things that its check can find, where there are several: with the check, the stage, the service
    /// and the tests it tells one finding from another.
    pub detail: Option<String>,
    /// The tests it is about.
    pub tests: Vec<TestId>,
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
    pub folded: Vec<Self>,
}

/// What tells one finding from another.
pub type Identity = (CheckId, StageId, Option<String>, Option<String>, Vec<TestId>);

impl Finding {
    /// The detail of a suite in which too few tests ran.
    pub const TOO_FEW: &str = "too-few";

    /// What tells it from others; two with the same are the same thing, seen twice.
    pub fn identity(&self) -> Identity {
        (
            self.check,
            self.stage,
            self.service.clone(),
            self.detail.clone(),
            self.tests.clone(),
        )
    }

    /// A finding with nothing known but what broke: an error where somebody is to blame, else a warning.
    pub fn new(check: CheckId, stage: StageId, blame: Blame, title: impl Into<String>) -> Self {
        Self {
            check,
            severity: if blame == Blame::Nobody {
                Severity::Warn
            } else {
                Severity::Error
            },
            blame,
            stage,
            service: None,
            detail: None,
            tests: Vec::new(),
            title: title.into(),
            cause: None,
            evidence: Vec::new(),
            help: String::new(),
            waived: None,
            folded: Vec::new(),
        }
    }

    /// It follows from another failure, where one is told.
    pub fn follows(&self) -> bool {
        self.detail.as_deref() == Some(Self::TOO_FEW)
    }

    /// It and those for which it speaks.
    pub fn all(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.folded)
    }

    /// Speaks for another one of the same cause from now on, and names it.
    pub fn take_in(&mut self, other: Self) {
        self.evidence.push(format!(
            "the same cause, {} in {}: {}",
            other.check, other.stage, other.title
        ));
        self.folded.push(other);
    }

    /// An error that is the candidate's doing.
    pub fn blames_candidate(&self) -> bool {
        self.blame == Blame::Candidate && self.severity == Severity::Error
    }

    /// The service it is about.
    #[must_use]
    pub fn about(self, service: impl Into<Option<String>>) -> Self {
        Self {
            service: service.into(),
            ..self
        }
    }

    /// Which of the things that the check can find.
    #[must_use]
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Self {
            detail: Some(detail.into()),
            ..self
        }
    }

    /// The tests it is about.
    #[must_use]
    pub fn of_tests(self, tests: impl IntoIterator<Item = TestId>) -> Self {
        Self {
            tests: tests.into_iter().collect(),
            ..self
        }
    }

    /// Why, as far as it is known.
    #[must_use]
    pub fn because(self, cause: impl Into<Option<String>>) -> Self {
        Self {
            cause: cause.into(),
            ..self
        }
    }

    /// What there is to see.
    #[must_use]
    pub fn seen(self, evidence: Vec<String>) -> Self {
        Self { evidence, ..self }
    }

    /// The way out.
    #[must_use]
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: help.into(),
            ..self
        }
    }
}
