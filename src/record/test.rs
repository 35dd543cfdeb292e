//! Tests: a step of a suite, or a case of a JUnit file.

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
