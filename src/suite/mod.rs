//! Suites: the user's own tests, run inside the mirror's network, each step one test.

use std::collections::BTreeMap;

use crate::config::settings::SuiteBody;
use crate::mirror::Mirror;
use crate::plan::StageId;
use crate::report::result::TestRecord;

/// One run of one suite (or `data` entry).
#[derive(Debug, Clone)]
pub struct SuiteRun<'a> {
    /// Its name, as in reports: the suite's key, or `data.seed` …
    pub name: &'a str,
    /// What it runs.
    pub body: &'a SuiteBody,
    /// In which stage.
    pub stage: StageId,
    /// The value of `{{run}}`.
    pub run: &'a str,
    /// What earlier runs left to this one.
    pub inherited: Captures,
    /// The services whose release is being changed: a failing step that is addressed to another one names it.
    pub candidates: &'a [String],
    /// The Hurl image, for `files`.
    pub hurl_image: &'a str,
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
}

/// Runs a suite. Never fails as a whole: what could not be run is a record that says so.
pub async fn run(_mirror: &Mirror, _run: SuiteRun<'_>) -> SuiteOutcome {
    SuiteOutcome::default()
}
