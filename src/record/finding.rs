//! Findings: what a check or a suite learned.

use serde::{Deserialize, Serialize};

use crate::record::stage::StageId;

/// How bad a finding is in itself; whether it blocks is the verdict's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Never blocks alone.
    Warn,
    /// Blocks by default.
    Error,
}

/// Whose doing it is, and so what follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the check, from the catalog.
    pub check: String,
    /// How bad.
    pub severity: Severity,
    /// Whose doing.
    pub blame: Blame,
    /// Where it was seen.
    pub stage: StageId,
    /// The service it is about.
    pub service: Option<String>,
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
}

impl Finding {
    /// A finding with nothing known but what broke: an error where somebody is to blame, else a warning.
    pub fn new(check: &str, stage: StageId, blame: Blame, title: impl Into<String>) -> Self {
        Self {
            check: check.to_owned(),
            severity: if blame == Blame::Nobody {
                Severity::Warn
            } else {
                Severity::Error
            },
            blame,
            stage,
            service: None,
            title: title.into(),
            cause: None,
            evidence: Vec::new(),
            help: String::new(),
            waived: None,
        }
    }

    /// The service it is about.
    #[must_use]
    pub fn about(self, service: impl Into<Option<String>>) -> Self {
        Self {
            service: service.into(),
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
