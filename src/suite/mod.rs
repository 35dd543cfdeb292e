//! Suites: the user's own tests, run inside the mirror's network, each step one test.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::agent::client::Client;
use crate::agent::{Answer, Call};
use crate::config::settings::SuiteBody;
use crate::config::yaml::Span;
use crate::mirror::{ContainerOutcome, ContainerRun, ExecOutput, Mirror};
use crate::plan::StageId;
use crate::report::result::{TestRecord, TestStatus};

mod container;
mod exec;
mod hurl;
mod junit;
pub mod login;
mod matcher;
mod page;
mod request;
mod template;
mod words;

use template::{Missing, Scope};

/// A suite's containers are killed after this long.
const CONTAINER_LIMIT: Duration = Duration::from_secs(600);

/// The pause before a step is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

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
    /// What earlier runs left to this one. Its cookies are copied: what this run does to them, it does for itself.
    pub inherited: Captures,
    /// The services whose release is being changed: a failing step that is addressed to another one names it.
    pub candidates: &'a [String],
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
}

/// Runs a suite: `files`, `requests`, `exec`, `container`, in this order, each as written. Never fails as a whole:
/// what could not be run is a record that says so.
pub async fn run(mirror: &Mirror, run: SuiteRun<'_>) -> SuiteOutcome {
    run_on(mirror, run).await
}

/// What a suite needs of the mirror: the border at which tests put something smaller in its place.
trait Ground: Sync {
    fn agent(&self) -> &Client;

    fn exec(
        &self,
        service: &str,
        command: &[String],
        stdin: Option<&[u8]>,
    ) -> impl Future<Output = anyhow::Result<ExecOutput>> + Send;

    fn run_container(&self, run: &ContainerRun) -> impl Future<Output = anyhow::Result<ContainerOutcome>> + Send;
}

impl Ground for Mirror {
    fn agent(&self) -> &Client {
        Mirror::agent(self)
    }

    async fn exec(&self, service: &str, command: &[String], stdin: Option<&[u8]>) -> anyhow::Result<ExecOutput> {
        Mirror::exec(self, service, command, stdin).await
    }

    async fn run_container(&self, run: &ContainerRun) -> anyhow::Result<ContainerOutcome> {
        Mirror::run_container(self, run).await
    }
}

async fn run_on<G: Ground>(ground: &G, run: SuiteRun<'_>) -> SuiteOutcome {
    let session = open_session(ground.agent(), &run).await;
    let captured = run.inherited.values.clone();
    let mut course = Course {
        ground,
        run: &run,
        session,
        captured,
        secrets: BTreeSet::new(),
        tests: Vec::new(),
    };
    hurl::run_all(&mut course).await;
    for step in &run.body.requests {
        course.step(&request::Request::new(&run, step)).await;
    }
    for step in &run.body.exec {
        course.step(&exec::Command { step }).await;
    }
    if let Some(container) = &run.body.container {
        container::run(&mut course, container).await;
    }
    course.end()
}

/// A session of this run's own; an agent that is gone shows with the first step.
async fn open_session(agent: &Client, run: &SuiteRun<'_>) -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let session = format!("{} {} {number}", run.stage, run.name);
    if !run.inherited.session.is_empty() {
        let _ = agent
            .call(Call::Fork {
                from: run.inherited.session.clone(),
                to: session.clone(),
            })
            .await;
    }
    session
}

/// A suite on its way.
struct Course<'a, G> {
    ground: &'a G,
    run: &'a SuiteRun<'a>,
    session: String,
    captured: BTreeMap<String, String>,
    secrets: BTreeSet<String>,
    tests: Vec<TestRecord>,
}

/// A step of whatever kind, so that retries, captures and records are one thing.
trait Step<G> {
    fn name(&self) -> &str;
    fn span(&self) -> &Span;
    /// Tried again for this long.
    fn retry(&self) -> Option<Duration>;
    /// The names that it captures.
    fn captures(&self) -> impl Iterator<Item = &String>;
    /// One attempt. Cannot fail as such: whatever happens is in the [`Attempt`].
    ///
    /// # Errors
    /// It uses a value that nobody captured.
    fn attempt(&self, course: &Course<'_, G>) -> impl Future<Output = Result<Attempt, Missing>> + Send;
}

/// What one attempt of a step came to.
#[derive(Debug, Default)]
struct Attempt {
    /// What is not as expected; empty = passed.
    problems: Vec<String>,
    /// What was asked, as the first line says it.
    subject: String,
    /// Request, answer, output.
    detail: String,
    /// It could not be told: the agent or the engine failed, not what they asked.
    lost: bool,
    /// The service it was addressed to.
    service: Option<String>,
    duration: Duration,
    captured: Vec<(String, String)>,
    secrets: Vec<String>,
}

impl<G: Ground> Course<'_, G> {
    fn scope(&self) -> Scope<'_> {
        Scope {
            values: &self.captured,
            run: self.run.run,
        }
    }

    /// Runs one step to its end and records it.
    async fn step(&mut self, step: &(impl Step<G> + Sync)) {
        let record = self.record(step.name(), Some(step.span()));
        let record = match self.attempts(step).await {
            Ok((attempt, retries)) => {
                self.take_captures(step.captures(), &attempt);
                self.secrets.extend(attempt.secrets.iter().cloned());
                self.judged(TestRecord { retries, ..record }, attempt)
            }
            Err(Missing(name)) => not_run(record, &name),
        };
        self.tests.push(record);
    }

    async fn attempts(&self, step: &(impl Step<G> + Sync)) -> Result<(Attempt, u32), Missing> {
        let started = Instant::now();
        let mut retries = 0;
        loop {
            let attempt = step.attempt(self).await?;
            let again = step
                .retry()
                .is_some_and(|limit| started.elapsed() + RETRY_EVERY <= limit);
            if attempt.problems.is_empty() || attempt.lost || !again {
                return Ok((attempt, retries));
            }
            tokio::time::sleep(RETRY_EVERY).await;
            retries += 1;
        }
    }

    /// A value that this step should have captured and did not is gone, also where an earlier step had one: what
    /// follows must not go on with the old one.
    fn take_captures<'n>(&mut self, names: impl Iterator<Item = &'n String>, attempt: &Attempt) {
        for name in names {
            self.captured.remove(name);
        }
        for (name, value) in &attempt.captured {
            self.learn(name, value);
            self.captured.insert(name.clone(), value.clone());
        }
    }

    fn learn(&mut self, name: &str, value: &str) {
        if words::is_secret(name, value) {
            self.secrets.insert(value.to_owned());
        }
    }

    fn judged(&self, record: TestRecord, attempt: Attempt) -> TestRecord {
        let status = match (attempt.problems.is_empty(), attempt.lost) {
            (true, _) => TestStatus::Passed,
            (false, false) => TestStatus::Failed,
            (false, true) => TestStatus::Error,
        };
        let duration_ms = millis(attempt.duration);
        let (mut message, mut detail) = (String::new(), String::new());
        if !attempt.problems.is_empty() {
            let addressed = self.addressed(attempt.service.as_deref());
            message = format!("{}: {}{addressed}", attempt.subject, attempt.problems.join("; "));
            detail = format!("{}\n{}", attempt.problems.join("\n"), attempt.detail);
        }
        TestRecord {
            status,
            duration_ms,
            message,
            detail,
            service: attempt.service,
            ..record
        }
    }

    /// Names the service of a failing step where it is not the candidate.
    fn addressed(&self, service: Option<&str>) -> String {
        let candidates = self.run.candidates;
        match service {
            Some(service) if !candidates.is_empty() && !candidates.iter().any(|known| known == service) => {
                format!(" (asked `{service}`, not the candidate `{}`)", candidates.join("`, `"))
            }
            _ => String::new(),
        }
    }

    /// A record of this suite, passed until something else is found.
    fn record(&self, name: &str, span: Option<&Span>) -> TestRecord {
        TestRecord {
            suite: self.run.name.to_owned(),
            name: words::name(name),
            stage: self.run.stage,
            status: TestStatus::Passed,
            duration_ms: 0,
            message: String::new(),
            detail: String::new(),
            service: None,
            retries: 0,
            location: span.map(location),
        }
    }

    fn end(self) -> SuiteOutcome {
        SuiteOutcome {
            tests: with_unique_names(self.tests),
            captures: Captures {
                values: self.captured,
                session: self.session,
            },
            secrets: self.secrets.into_iter().collect(),
        }
    }
}

fn not_run(record: TestRecord, missing: &str) -> TestRecord {
    let message = format!("not run: nothing was captured as `{missing}`; see the step that captures it");
    TestRecord {
        status: TestStatus::NotRun,
        message,
        ..record
    }
}

fn location(span: &Span) -> String {
    format!("{}:{}", span.source.path.display(), span.line_column().0)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The second test of a name becomes `name (2)`: stages are compared test by test, so each needs a name of its own.
fn with_unique_names(mut tests: Vec<TestRecord>) -> Vec<TestRecord> {
    let mut taken = HashSet::new();
    for test in &mut tests {
        let mut name = test.name.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{} ({number})", test.name);
            number += 1;
        }
        test.name = name;
    }
    tests
}

/// The words for an answer that no call of this kind gets: agent and gate are the same binary, so a bug.
fn unexpected(answer: &Answer) -> String {
    let kind = format!("{answer:?}");
    format!(
        "the agent answered with {}, a bug in Rehearsal",
        words::quoted(&kind, 40)
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::yaml::Source;

    pub(super) fn a_span() -> Span {
        let source = Source {
            path: "rehearsal.yaml".into(),
            text: String::new(),
        };
        Span {
            source: Arc::new(source),
            range: 0..0,
        }
    }

    pub(super) fn record(name: &str) -> TestRecord {
        TestRecord {
            suite: "smoke".to_owned(),
            name: name.to_owned(),
            stage: StageId::Control,
            status: TestStatus::Passed,
            duration_ms: 0,
            message: String::new(),
            detail: String::new(),
            service: None,
            retries: 0,
            location: None,
        }
    }

    #[test]
    fn every_test_has_a_name_of_its_own() {
        let tests = ["a", "a (2)", "a", "b", "a"].map(record).to_vec();
        let names: Vec<_> = with_unique_names(tests).into_iter().map(|test| test.name).collect();
        assert_eq!(names, ["a", "a (2)", "a (3)", "b", "a (4)"]);
    }
}
