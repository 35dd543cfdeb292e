//! One run of a suite: what it is given, and what it came to.

use std::collections::BTreeMap;

use super::guarded::Guarded;
use crate::config::settings::SuiteBody;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;

/// One run of one suite (or `data` entry).
#[derive(Debug, Clone)]
pub struct SuiteRun<'a> {
    /// Whose tests they are.
    pub subject: &'a Subject,
    /// What it runs.
    pub body: &'a SuiteBody,
    /// In which stage.
    pub stage: StageId,
    /// The value of `{{run}}`.
    pub run: &'a str,
    /// What earlier runs left to this one. Its cookies are copied: what this run does to them, it does for itself.
    pub inherited: Captures,
    /// The services whose release is being changed: a failing step that is addressed to another one names it.
    pub candidates: &'a [String],
    /// Production's names, and the service behind each.
    pub hosts: &'a [(String, String)],
    /// The Hurl image, for `files`.
    pub hurl_image: &'a str,
    /// CAs that every suite trusts, PEM: the run's own.
    pub ca: &'a [String],
}

/// Captured values and the cookie jar they came with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures {
    /// Name → value.
    pub values: BTreeMap<String, String>,
    /// The agent's session that holds the cookies; empty = a fresh one.
    pub session: String,
}

/// What a run of a suite came to.
#[derive(Debug, Clone, Default)]
pub struct SuiteOutcome {
    /// One record a test, in order. Statuses are the plain truth of this run; who is to blame is decided later.
    pub tests: Vec<TestRecord>,
    /// What it captured, its inheritance included.
    pub captures: Captures,
    /// What redaction must learn before anything of this outcome is written: captured tokens, cookies, Basic headers.
    pub secrets: Vec<String>,
    /// Its requests that carried credentials and were answered as they must be.
    pub guarded: Vec<Guarded>,
}
