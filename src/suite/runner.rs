//! Runs a suite: steps of whatever kind become tests, with retries, captures and names of their own.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::guarded::Guarded;
use super::run::{Captures, SuiteOutcome, SuiteRun};
use super::template::{Missing, Scope};
use super::test_bed::TestBed;
use super::words;
use crate::agent::Call;
use crate::agent::client::Client;
use crate::agent::session::SessionCall;
use crate::record::status::Status;
use crate::record::test::{Reply, TestRecord};
use crate::text::units::millis;
use crate::yaml::span::Span;

/// The pause before a step is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

/// A suite on its way.
pub(super) struct Runner<'a, B> {
    pub bed: &'a B,
    pub run: &'a SuiteRun<'a>,
    pub session: String,
    pub captured: BTreeMap<String, String>,
    pub secrets: BTreeSet<String>,
    pub tests: Vec<TestRecord>,
    pub guarded: Vec<Guarded>,
}

/// A step of whatever kind, so that retries, captures and records are one thing.
pub(super) trait TestStep<B> {
    /// Its name, its place, and what it has in common with others.
    fn head(&self) -> StepHead<'_>;
    /// One attempt. Cannot fail as such: whatever happens is in the [`Attempt`].
    ///
    /// # Errors
    /// It uses a value that nobody captured.
    fn attempt(&self, runner: &Runner<'_, B>) -> impl Future<Output = Result<Attempt, Missing>> + Send;
}

/// What every step has.
pub(super) struct StepHead<'a> {
    pub name: &'a str,
    pub span: &'a Span,
    /// Tried again for this long.
    pub retry: Option<Duration>,
    /// The names that it captures.
    pub captures: Vec<&'a String>,
}

impl<'a> StepHead<'a> {
    pub fn of<C>(name: &'a str, span: &'a Span, retry: Option<Duration>, capture: &'a [(String, C)]) -> Self {
        Self {
            name,
            span,
            retry,
            captures: capture.iter().map(|(name, _)| name).collect(),
        }
    }
}

/// What one attempt of a step came to.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// What is not as expected; empty = passed.
    pub problems: Vec<String>,
    /// What was asked, as the first line says it.
    pub subject: String,
    /// Request, answer, output.
    pub detail: String,
    /// It could not be told: the agent or the engine failed, not what they asked.
    pub lost: bool,
    /// The service it was addressed to.
    pub service: Option<String>,
    /// What came back.
    pub reply: Reply,
    pub duration: Duration,
    pub captured: Vec<(String, String)>,
    pub secrets: Vec<String>,
    /// The request, where it carried credentials and was answered as it must be.
    pub guarded: Option<Guarded>,
}

impl<'a, B: TestBed> Runner<'a, B> {
    /// Nothing has run yet.
    pub async fn begin(bed: &'a B, run: &'a SuiteRun<'a>) -> Self {
        Self {
            bed,
            run,
            session: open_session(bed.agent(), run).await,
            captured: run.inherited.values.clone(),
            secrets: BTreeSet::new(),
            tests: Vec::new(),
            guarded: Vec::new(),
        }
    }

    /// What placeholders stand for by now.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            values: &self.captured,
            run: self.run.run,
        }
    }

    /// Runs one step to its end and records it.
    pub async fn step(&mut self, step: &(impl TestStep<B> + Sync)) {
        let head = step.head();
        let record = self.record(head.name, Some(head.span));
        let record = match self.attempts(step, head.retry).await {
            Ok((mut attempt, retries)) => {
                self.take_captures(&head.captures, &attempt);
                self.secrets.extend(attempt.secrets.iter().cloned());
                self.guarded.extend(attempt.guarded.take());
                self.judged(TestRecord { retries, ..record }, attempt)
            }
            Err(Missing(name)) => not_run(record, &name),
        };
        self.tests.push(record);
    }

    async fn attempts(
        &self,
        step: &(impl TestStep<B> + Sync),
        retry: Option<Duration>,
    ) -> Result<(Attempt, u32), Missing> {
        let started = Instant::now();
        let mut retries = 0;
        loop {
            let attempt = step.attempt(self).await?;
            let again = retry.is_some_and(|limit| started.elapsed() + RETRY_EVERY <= limit);
            if attempt.problems.is_empty() || !again {
                return Ok((attempt, retries));
            }
            tokio::time::sleep(RETRY_EVERY).await;
            retries += 1;
        }
    }

    /// A value that this step should have captured and did not is gone, also where an earlier step had one: what
    /// follows must not go on with the old one.
    fn take_captures(&mut self, names: &[&String], attempt: &Attempt) {
        for name in names {
            self.captured.remove(*name);
        }
        for (name, value) in &attempt.captured {
            self.learn(name, value);
            self.captured.insert(name.clone(), value.clone());
        }
    }

    /// Redacts a captured value from now on, if it looks like a secret.
    pub fn learn(&mut self, name: &str, value: &str) {
        if words::is_secret(name, value) {
            self.secrets.insert(value.to_owned());
        }
    }

    fn judged(&self, record: TestRecord, attempt: Attempt) -> TestRecord {
        let status = match (attempt.problems.is_empty(), attempt.lost) {
            (true, _) => Status::Passed,
            (false, false) => Status::Failed,
            (false, true) => Status::Error,
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
            reply: attempt.reply,
            ..record
        }
    }

    /// Names the service of a failing step where it is not the candidate.
    pub fn addressed(&self, service: Option<&str>) -> String {
        let candidates = self.run.candidates;
        let mut hosts = self.run.hosts.iter();
        let behind = hosts
            .find(|(host, _)| service == Some(host))
            .map(|(_, behind)| behind.as_str());
        match behind.or(service) {
            Some(service) if !candidates.is_empty() && !candidates.iter().any(|known| known == service) => {
                format!(" (asked `{service}`, not the candidate `{}`)", candidates.join("`, `"))
            }
            _ => String::new(),
        }
    }

    /// A record of this suite, passed until something else is found.
    pub fn record(&self, name: &str, span: Option<&Span>) -> TestRecord {
        TestRecord {
            location: span.map(location),
            ..TestRecord::passed(self.run.subject.clone(), words::name(name), self.run.stage)
        }
    }

    /// Nothing more will run.
    pub fn end(self) -> SuiteOutcome {
        SuiteOutcome {
            tests: with_unique_names(self.tests),
            captures: Captures {
                values: self.captured,
                session: self.session,
            },
            secrets: self.secrets.into_iter().collect(),
            guarded: self.guarded,
        }
    }
}

/// A session of this run's own; an agent that is gone shows with the first step.
async fn open_session(agent: &Client, run: &SuiteRun<'_>) -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let number = OPENED.fetch_add(1, Ordering::Relaxed);
    let session = format!("{} {} {number}", run.stage, run.subject);
    if !run.inherited.session.is_empty() {
        let fork = SessionCall::Fork {
            from: run.inherited.session.clone(),
            to: session.clone(),
        };
        let _ = agent.call(Call::Session(fork)).await;
    }
    session
}

/// A test that needs what nobody captured.
pub(super) fn not_run(record: TestRecord, missing: &str) -> TestRecord {
    let message = format!("not run: nothing was captured as `{missing}`; see the step that captures it");
    TestRecord {
        status: Status::NotRun,
        message,
        ..record
    }
}

fn location(span: &Span) -> String {
    format!("{}:{}", span.source.path.display(), span.line_column().0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::tests::record;

    #[test]
    fn every_test_has_a_name_of_its_own() {
        let tests = ["a", "a (2)", "a", "b", "a"].map(record).to_vec();
        let names: Vec<_> = with_unique_names(tests).into_iter().map(|test| test.name).collect();
        assert_eq!(names, ["a", "a (2)", "a (3)", "b", "a (4)"]);
    }
}
