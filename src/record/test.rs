//! Tests: a step of a suite, or a case of a JUnit file.

use serde::Serialize;

use super::stage::StageId;
use super::status::Status;
use super::step::Subject;

/// One test, as it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRecord {
    /// Whose it is.
    pub suite: Subject,
    /// Name of the test, unique in its suite.
    pub name: String,
    /// In which stage.
    pub stage: StageId,
    /// How it ended.
    pub status: Status,
    /// Milliseconds.
    pub duration_ms: u64,
    /// First line: what broke. Empty when passed.
    pub message: String,
    /// Expected and received, captured output; may be long.
    pub detail: String,
    /// The service the step was addressed to, where that is known.
    pub service: Option<String>,
    /// Attempts beyond the first that `retry` needed.
    pub retries: u32,
    /// `file:line` of the step in the configuration.
    pub location: Option<String>,
    /// What came back of what it asked.
    pub reply: Reply,
}

impl TestRecord {
    /// One that passed, with nothing to say of it.
    pub fn passed(suite: Subject, name: impl Into<String>, stage: StageId) -> Self {
        Self {
            suite,
            name: name.into(),
            stage,
            status: Status::Passed,
            duration_ms: 0,
            message: String::new(),
            detail: String::new(),
            service: None,
            retries: 0,
            location: None,
            reply: Reply::Unknown,
        }
    }
}

/// What came back of what a test asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// It is not known: a command, another runner's test.
    #[default]
    Unknown,
    /// An answer with this status.
    Status(u16),
    /// No answer at all.
    Nothing,
}

impl Reply {
    /// What was asked for could not be looked at: refused, the server's own error, no answer. `before`: what came back
    /// from production's release; a redirect in the place of an answer shows nothing, either.
    pub fn is_blind(self, before: Self) -> bool {
        match self {
            Self::Nothing | Self::Status(500..=599) => true,
            Self::Status(300..=399) => !matches!(before, Self::Status(300..=399)),
            other => other.is_refused(),
        }
    }

    /// Nobody may look who has not signed in.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Status(401 | 403))
    }
}

/// Which test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TestId {
    /// Whose it is.
    pub suite: Subject,
    /// Its name.
    pub name: String,
}

impl TestRecord {
    /// Which test it is.
    pub fn id(&self) -> TestId {
        TestId {
            suite: self.suite.clone(),
            name: self.name.clone(),
        }
    }
}
