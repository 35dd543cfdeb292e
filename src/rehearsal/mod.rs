//! The rehearsal: runs the plan on the mirror, one file a stage. Events are its only output.

mod answers;
mod confirm;
mod control;
mod egress;
pub mod fidelity;
pub mod not_run;
pub mod probe;
pub mod record;
mod rollback;
mod upgrade;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::check::pair::Pair;
use crate::check::traffic::Traffic;
use crate::config::settings::{Login, Settings, SuiteBody};
use crate::lock::compare::Mirrored;
use crate::mirror::{Mirror, Setup};
use crate::plan::Plan;
use crate::record::finding::Finding;
use crate::record::result::{CheckRecord, StageStatus, TestRecord, TestStatus};
use crate::record::stage::StageId;
use crate::suite::login::LoginOutcome;
use crate::suite::{self, Captures, SuiteOutcome, SuiteRun};
use crate::text::redact::Redactor;
use crate::text::units::millis;
use crate::world::model::Service;
use crate::{check, lock};
use record::Recorder;

/// How long a log may take to say why something failed …
const CAUSE_WITHIN: Duration = Duration::from_secs(2);
/// … and how long what it said must stay the first cause.
const CAUSE_STEADY: Duration = Duration::from_millis(300);

/// Suspects are tried again at most this often on the release that failed.
const REPEATS: usize = 4;

/// Everything a run of the plan needs.
pub struct Rehearsal<'a> {
    /// What was asked.
    pub settings: &'a Settings,
    /// What will happen.
    pub plan: &'a Plan,
    /// Production's facts.
    pub lock: &'a lock::State,
    /// What mirrors are made from.
    pub setup: Setup,
    /// The candidate's services.
    pub candidate: BTreeMap<String, Service>,
    /// What is said goes here.
    pub recorder: Recorder,
    /// Learns what suites capture.
    pub redactor: Redactor,
    /// Replays the run.
    pub seed: u64,
    /// The image that runs Hurl files.
    pub hurl_image: String,
    /// Ends after the first stage that failed.
    pub fail_fast: bool,
    /// CAs that the gate's own requests trust, PEM: the run's own and a company's.
    pub ca: Vec<String>,
    /// When the run must be over.
    pub deadline: Instant,
}

/// What stages leave to those after them.
#[derive(Default)]
struct Course {
    /// What `seed` and `write` captured.
    data: Captures,
    /// How the baseline answers the probe.
    baseline_traffic: Option<Traffic>,
    /// How long each service took to be ready in control.
    start_times: BTreeMap<String, Duration>,
    /// What each service is in the mirror, where it was asked.
    mirrored: BTreeMap<String, Mirrored>,
    /// Failures that must be confirmed before they block.
    suspects: Vec<Suspect>,
    /// The candidate was ready once.
    came_up: bool,
    /// Services whose baseline stopped within its grace period.
    stopped_by_itself: Vec<String>,
}

/// A failure on its way to a finding.
#[derive(Debug, Clone)]
struct Suspect {
    stage: StageId,
    /// Name of the suite, a `data` entry, or [`LOGIN`].
    suite: String,
    /// The test as it failed first.
    test: TestRecord,
    /// It failed again when it was repeated.
    reproduced: bool,
    /// First fatal log line of the candidate meanwhile.
    cause: Option<String>,
    /// The sign-in's evidence.
    login: Option<check::auth_login::Failed>,
}

/// Stands for the sign-in among the suites.
const LOGIN: &str = "login";

/// How a stage went on.
enum Go {
    On,
    Stop,
}

impl<'a> Rehearsal<'a> {
    /// Runs the stages. Whoever interrupts this takes the mirror down by the run's labels.
    pub async fn run(&self) {
        let mut course = Course::default();
        let Some(mirror) = self.control(&mut course).await else {
            return;
        };
        if let Go::On = self.upgrade(&mirror, &mut course).await {
            self.rollback(&mirror, &mut course).await;
        }
        self.compare_attempts(&mirror).await;
        self.confirm(&mirror, course).await;
    }

    /// The pair that is tried.
    pub fn pair(&self) -> Pair {
        Pair::of(self.plan, self.settings.auth_services())
    }

    fn candidates(&self) -> Vec<String> {
        self.candidate.keys().cloned().collect()
    }

    fn time_left(&self) -> Duration {
        self.deadline
            .saturating_duration_since(Instant::now())
            .max(Duration::from_secs(1))
    }

    /// Whether the plan asks this check in this stage.
    fn asks(&self, check: &str, stage: StageId) -> bool {
        let planned = self.plan.stage(stage).into_iter().flat_map(|plan| &plan.checks);
        planned
            .filter(|planned| planned.skipped.is_none())
            .any(|planned| planned.id == check)
    }

    fn answered(&self, check: &str, stage: StageId, status: StageStatus, reason: Option<String>) {
        if self.asks(check, stage) {
            self.recorder.check(CheckRecord {
                check: check.to_owned(),
                stage,
                status,
                reason,
                duration_ms: 0,
            });
        }
    }

    fn found(&self, finding: Finding) {
        self.recorder.finding(finding);
    }

    /// `{{run}}`: short, derived from the seed, another one for each `number`.
    fn run_value(&self, number: u64) -> String {
        use sha2::Digest as _;
        let hash = sha2::Sha256::digest(format!("{}/{number}", self.seed));
        hash.iter().take(3).map(|byte| format!("{byte:02x}")).collect()
    }

    async fn run_suite(
        &self,
        on: On<'_>,
        name: &str,
        body: &SuiteBody,
        inherited: Captures,
        run: &str,
    ) -> SuiteOutcome {
        let candidates = self.candidates();
        let outcome = suite::run(
            on.mirror,
            SuiteRun {
                name,
                body,
                stage: on.stage,
                run,
                inherited,
                candidates: &candidates,
                hurl_image: &self.hurl_image,
                ca: &self.ca,
            },
        )
        .await;
        for secret in &outcome.secrets {
            self.redactor.learn(secret);
        }
        outcome
    }

    /// Every suite of the plan, one after the other, recorded.
    async fn suites(&self, on: On<'_>) -> Vec<(String, Vec<TestRecord>)> {
        let mut all = Vec::new();
        for suite in &self.settings.suites {
            let id = format!("suite {}", suite.name);
            if !self.plan.has_step(on.stage, &id) {
                continue;
            }
            let step = self.recorder.step(on.stage, &id);
            let run = self.run_value(next_run());
            let outcome = self
                .run_suite(on, &suite.name, &suite.body, Captures::default(), &run)
                .await;
            let tests = on.as_recorded(outcome.tests);
            self.recorder.tests(&tests);
            self.end_suite(on, step, &suite.name, &suite.body, &tests);
            all.push((suite.name.clone(), tests));
        }
        all
    }

    /// A run with too few tests proves nothing, whatever they said.
    fn end_suite(&self, on: On<'_>, step: record::Step, name: &str, body: &SuiteBody, tests: &[TestRecord]) {
        let is_run = |test: &&TestRecord| !matches!(test.status, TestStatus::Skipped | TestStatus::NotRun);
        let ran = u64::try_from(tests.iter().filter(is_run).count()).unwrap_or(u64::MAX);
        let (status, reason) = on.status_of(tests);
        if ran >= body.min_tests || status == StageStatus::Failed {
            return step.ended(status, reason);
        }
        self.found(check::control::too_few_tests(on.stage, name, ran, body.min_tests));
        step.ended(
            StageStatus::Error,
            Some(format!("{ran} tests ran, at least {} are needed", body.min_tests)),
        );
    }

    /// One `data` entry, recorded; its captures are returned.
    async fn data(
        &self,
        on: On<'_>,
        id: &str,
        body: Option<&SuiteBody>,
        inherited: &Captures,
    ) -> (Vec<TestRecord>, Captures) {
        let Some(body) = body else {
            return (Vec::new(), inherited.clone());
        };
        let step = self.recorder.step(on.stage, id);
        let outcome = self.run_suite(on, id, body, inherited.clone(), &self.data_run()).await;
        let tests = on.as_recorded(outcome.tests);
        self.recorder.tests(&tests);
        self.end_suite(on, step, id, body, &tests);
        (tests, outcome.captures)
    }

    fn data_run(&self) -> String {
        self.run_value(0)
    }

    fn login(&self, stage: StageId) -> Option<&Login> {
        let login = self.settings.auth.as_ref()?.login.as_ref()?;
        self.plan.has_step(stage, "login").then_some(login)
    }

    async fn sign_in(&self, mirror: &Mirror, login: &Login) -> LoginOutcome {
        let outcome = suite::login::sign_in(mirror.agent(), login, &format!("login-{}", next_run()), &self.ca).await;
        for secret in &outcome.secrets {
            self.redactor.learn(secret);
        }
        outcome
    }

    /// The same for a failure that has just been seen: a busy engine hands log lines on late, and the first line of an
    /// error seldom says why, so the log is given a moment. Only what failed pays for this.
    async fn cause_of_failure(&self, mirror: &Mirror, marks: &Marks) -> Option<String> {
        let mut more = mirror.logs().more();
        let limit = tokio::time::Instant::now() + CAUSE_WITHIN;
        let (mut cause, mut until) = (None, limit);
        loop {
            let now = self.new_cause(mirror, marks);
            if now != cause {
                cause = now;
                until = limit.min(tokio::time::Instant::now() + CAUSE_STEADY);
            }
            if tokio::time::timeout_at(until, more.changed()).await.is_err() {
                return cause;
            }
        }
    }

    /// The candidate's first fatal log line since the marks that the baseline never wrote.
    fn new_cause(&self, mirror: &Mirror, marks: &Marks) -> Option<String> {
        let of = |service: &String| {
            let said = mirror
                .logs()
                .since(service, marks.0.get(service).copied().unwrap_or_default());
            let known = mirror.logs().of(StageId::Control, service);
            let known: std::collections::BTreeSet<String> =
                known.iter().map(|line| check::log_difference::template(line)).collect();
            let new: Vec<String> = said
                .into_iter()
                .filter(|line| !known.contains(&check::log_difference::template(line)))
                .collect();
            crate::text::fatal::first_fatal(&new)
        };
        self.candidate.keys().find_map(of)
    }

    fn marks(&self, mirror: &Mirror) -> Marks {
        Marks(
            self.candidate
                .keys()
                .map(|name| (name.clone(), mirror.logs().mark(name)))
                .collect(),
        )
    }
}

/// Where logs stood at a moment.
#[derive(Default)]
struct Marks(BTreeMap<String, usize>);

/// Where something runs.
#[derive(Clone, Copy)]
struct On<'a> {
    mirror: &'a Mirror,
    stage: StageId,
}

impl On<'_> {
    /// In control a failure is not the candidate's: the plain truth of the run becomes "could not tell".
    fn as_recorded(self, mut tests: Vec<TestRecord>) -> Vec<TestRecord> {
        if self.stage == StageId::Control {
            for test in tests.iter_mut().filter(|test| test.status == TestStatus::Failed) {
                test.status = TestStatus::Error;
            }
        }
        tests
    }

    fn status_of(self, tests: &[TestRecord]) -> (StageStatus, Option<String>) {
        let bad = tests.iter().find(|test| test.status == TestStatus::Failed);
        let unclear = || {
            tests
                .iter()
                .find(|test| matches!(test.status, TestStatus::Error | TestStatus::NotRun))
        };
        match (bad, unclear()) {
            (Some(test), _) => (StageStatus::Failed, Some(format!("{}: {}", test.name, test.message))),
            (None, Some(test)) => (StageStatus::Error, Some(format!("{}: {}", test.name, test.message))),
            (None, None) => (StageStatus::Passed, None),
        }
    }
}

static RUNS: AtomicU64 = AtomicU64::new(1);

fn next_run() -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}

/// A sign-in as a test record, so that it can be repeated and confirmed like one.
fn login_record(stage: StageId, outcome: &LoginOutcome) -> TestRecord {
    TestRecord {
        suite: LOGIN.to_owned(),
        name: "sign-in".to_owned(),
        stage,
        status: if outcome.passed {
            TestStatus::Passed
        } else {
            TestStatus::Failed
        },
        duration_ms: millis(outcome.duration),
        message: outcome.message.clone(),
        detail: outcome.trail.join("\n"),
        service: None,
        retries: 0,
        location: None,
    }
}
