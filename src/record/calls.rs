//! Calls of the authentication dependency, as reports tell them: those that are alike are one.

/// Calls that are alike, in one stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// In which stage.
    pub stage: super::stage::StageId,
    /// Who asked, in words: `web`, `the sign-in`.
    pub by: String,
    /// The service that was asked.
    pub service: String,
    /// What, e.g. `POST /o/token/ (code, grant_type=authorization_code)`.
    pub asked: String,
    /// What came, e.g. `400 invalid_request`.
    pub answer: String,
    /// What that means.
    pub taken: Taken,
    /// How often.
    pub times: u64,
    /// Milliseconds until the slowest answer began.
    pub slowest_ms: u64,
}

/// What an answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// The service did what was asked, or passed on.
    Granted,
    /// It refused, or failed.
    Refused,
    /// Nobody can tell.
    Unknown,
}
