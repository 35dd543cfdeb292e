//! Suites: the user's own tests, run inside the mirror's network, each step one test.

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

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::agent::client::Client;
use crate::agent::{Answer, Call};
use crate::config::settings::SuiteBody;
use crate::engine::ExecOutput;
use crate::mirror::{ContainerOutcome, ContainerRun, Mirror};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::TestRecord;
use crate::yaml::span::Span;
use template::{Missing, Scope};

/// A suite's containers are killed after this long.
const CONTAINER_LIMIT: Duration = Duration::from_secs(600);

/// The pause before a step is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(250);

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
    let session = format!("{} {} {number}", run.stage, run.subject);
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
    fn about(&self) -> About<'_>;
    /// One attempt. Cannot fail as such: whatever happens is in the [`Attempt`].
    ///
    /// # Errors
    /// It uses a value that nobody captured.
    fn attempt(&self, course: &Course<'_, G>) -> impl Future<Output = Result<Attempt, Missing>> + Send;
}

/// What every step has.
struct About<'a> {
    name: &'a str,
    span: &'a Span,
    /// Tried again for this long.
    retry: Option<Duration>,
    /// The names that it captures.
    captures: Vec<&'a String>,
}

impl<'a> About<'a> {
    fn of<C>(name: &'a str, span: &'a Span, retry: Option<Duration>, capture: &'a [(String, C)]) -> Self {
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
        let about = step.about();
        let record = self.record(about.name, Some(about.span));
        let record = match self.attempts(step, about.retry).await {
            Ok((attempt, retries)) => {
                self.take_captures(&about.captures, &attempt);
                self.secrets.extend(attempt.secrets.iter().cloned());
                self.judged(TestRecord { retries, ..record }, attempt)
            }
            Err(Missing(name)) => not_run(record, &name),
        };
        self.tests.push(record);
    }

    async fn attempts(&self, step: &(impl Step<G> + Sync), retry: Option<Duration>) -> Result<(Attempt, u32), Missing> {
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

    fn learn(&mut self, name: &str, value: &str) {
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
            suite: self.run.subject.clone(),
            name: words::name(name),
            stage: self.run.stage,
            status: Status::Passed,
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
        status: Status::NotRun,
        message,
        ..record
    }
}

fn location(span: &Span) -> String {
    format!("{}:{}", span.source.path.display(), span.line_column().0)
}

/// How long a step is waited for: longer than its `within`, so that what is slow is told as slow.
fn limit(within: Option<Duration>, usual: Duration) -> Duration {
    within.map_or(usual, |within| usual.max(within.saturating_add(Duration::from_secs(5))))
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
    use std::sync::{Arc, LazyLock};

    use super::*;
    use crate::config::settings::{ExecStep, HttpCapture, HttpExpect, Matcher, RequestBody, RequestStep};
    use crate::yaml::span::Source;

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
            suite: Subject::Suite("smoke".to_owned()),
            name: name.to_owned(),
            stage: StageId::Control,
            status: Status::Passed,
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
    /// A mirror of one agent whose commands and containers answer what the test says.
    struct Small {
        agent: Client,
        exec: fn(&[String]) -> anyhow::Result<ExecOutput>,
        container: fn(&ContainerRun) -> anyhow::Result<ContainerOutcome>,
    }

    impl Ground for Small {
        fn agent(&self) -> &Client {
            &self.agent
        }

        async fn exec(&self, _: &str, command: &[String], _: Option<&[u8]>) -> anyhow::Result<ExecOutput> {
            (self.exec)(command)
        }

        async fn run_container(&self, run: &ContainerRun) -> anyhow::Result<ContainerOutcome> {
            (self.container)(run)
        }
    }

    impl Small {
        fn new() -> Self {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let (reader, writer) = tokio::io::split(theirs);
            tokio::spawn(crate::agent::serve::serve(reader, writer));
            let (reader, writer) = tokio::io::split(ours);
            Self {
                agent: Client::over(reader, writer),
                exec: |_| anyhow::bail!("no container"),
                container: |_| anyhow::bail!("no image"),
            }
        }
    }

    /// Answers every request with its first line and its cookie as JSON; 500 below `/bad`, 503 twice below `/late`.
    async fn echo() -> std::net::SocketAddr {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut late = 0;
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut raw = vec![0; 8192];
                let length = stream.read(&mut raw).await.unwrap();
                let text = String::from_utf8_lossy(&raw[..length]).into_owned();
                let line = text.lines().next().unwrap_or_default().to_owned();
                let cookie = text
                    .lines()
                    .find_map(|line| line.strip_prefix("cookie: "))
                    .unwrap_or_default();
                late += u32::from(line.contains("/late"));
                let status = match line.as_str() {
                    line if line.contains("/bad") => 500,
                    line if line.contains("/late") && late < 3 => 503,
                    _ => 200,
                };
                let body = serde_json::json!({"line": line, "cookie": cookie, "token": "abcd1234"}).to_string();
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nSet-Cookie: sid=s3ss10n99; Path=/\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        });
        address
    }

    fn step(name: &str, url: &str) -> RequestStep {
        RequestStep {
            name: name.to_owned(),
            method: "GET".to_owned(),
            url: url.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            basic: None,
            body: RequestBody::Empty,
            follow: false,
            expect: HttpExpect::default(),
            capture: Vec::new(),
            retry: None,
            span: a_span(),
        }
    }

    fn a_run<'a>(body: &'a SuiteBody, candidates: &'a [String]) -> SuiteRun<'a> {
        static SMOKE: LazyLock<Subject> = LazyLock::new(|| Subject::Suite("smoke".to_owned()));
        SuiteRun {
            subject: &SMOKE,
            body,
            stage: StageId::Control,
            run: "r1",
            inherited: Captures::default(),
            candidates,
            hurl_image: "hurl",
            ca: &[],
        }
    }

    #[tokio::test]
    async fn steps_go_on_after_a_failure_and_what_misses_a_capture_is_not_run() {
        let at = echo().await;
        let mut first = step("first", "/a?run={{run}}");
        first.capture = vec![("token".to_owned(), HttpCapture::Json("$.token".to_owned()))];
        let mut bad = step("bad", "/bad");
        bad.capture = vec![("gone".to_owned(), HttpCapture::Json("$.none".to_owned()))];
        let uses = step("uses", "/x/{{token}}");
        let misses = step("misses", "/x/{{gone}}");
        let body = SuiteBody {
            target: Some(format!("http://{at}")),
            requests: vec![first, bad, uses, misses],
            ..SuiteBody::default()
        };
        let candidates = ["web".to_owned()];
        let outcome = run_on(&Small::new(), a_run(&body, &candidates)).await;
        let statuses: Vec<_> = outcome
            .tests
            .iter()
            .map(|test| (test.name.as_str(), test.status))
            .collect();
        use Status::{Failed, NotRun, Passed};
        assert_eq!(
            statuses,
            [("first", Passed), ("bad", Failed), ("uses", Passed), ("misses", NotRun)]
        );
        let bad = &outcome.tests[1];
        assert_eq!(
            bad.message,
            format!(
                "GET http://{at}/bad: expected status 2xx, received 500; capture `gone`: the answer has no node at `$.none` \
                 (asked `127.0.0.1`, not the candidate `web`)"
            )
        );
        assert_eq!(bad.location.as_deref(), Some("rehearsal.yaml:1"));
        assert!(outcome.tests[3].message.contains("`gone`"));
        assert_eq!(outcome.secrets, ["abcd1234", "s3ss10n99"]);
        assert_eq!(
            outcome.captures.values.get("token").map(String::as_str),
            Some("abcd1234")
        );
    }

    #[tokio::test]
    async fn what_is_true_in_the_end_passes_with_its_retries_counted() {
        let at = echo().await;
        let mut late = step("late", "/late");
        late.retry = Some(Duration::from_secs(20));
        let body = SuiteBody {
            target: Some(format!("http://{at}")),
            requests: vec![late],
            ..SuiteBody::default()
        };
        let outcome = run_on(&Small::new(), a_run(&body, &[])).await;
        assert_eq!((outcome.tests[0].status, outcome.tests[0].retries), (Status::Passed, 2));
    }

    #[tokio::test]
    async fn inherited_cookies_are_seen_and_not_changed() {
        let at = echo().await;
        let body = SuiteBody {
            target: Some(format!("http://{at}")),
            requests: vec![step("one", "/a")],
            ..SuiteBody::default()
        };
        let small = Small::new();
        let seed = run_on(&small, a_run(&body, &[])).await;
        let mut seen = step("seen", "/b");
        seen.expect.json = vec![("$.cookie".to_owned(), Matcher::Equals("sid=s3ss10n99".into()))];
        let body = SuiteBody {
            requests: vec![seen],
            ..body.clone()
        };
        let inherits = SuiteRun {
            inherited: seed.captures.clone(),
            ..a_run(&body, &[])
        };
        let verify = run_on(&small, inherits).await;
        assert_eq!(verify.tests[0].status, Status::Passed, "{:?}", verify.tests);
        assert_ne!(verify.captures.session, seed.captures.session);
    }

    #[tokio::test]
    async fn what_cannot_be_run_is_a_record_and_never_silence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.hurl");
        std::fs::write(&file, "GET {{target}}/\n").unwrap();
        let exec = ExecStep {
            name: "rows".to_owned(),
            command: vec!["psql".to_owned()],
            service: "db".to_owned(),
            service_span: a_span(),
            stdin: None,
            expect: Default::default(),
            capture: Vec::new(),
            retry: None,
            span: a_span(),
        };
        let body = SuiteBody {
            files: vec![file, folder.path().join("none.hurl")],
            requests: vec![step("r", "/nowhere")],
            exec: vec![exec],
            container: Some(crate::config::settings::TestContainer {
                image: "acme/e2e".to_owned(),
                command: None,
                entrypoint: None,
                env: Default::default(),
                junit: None,
                span: a_span(),
            }),
            ..SuiteBody::default()
        };
        let outcome = run_on(&Small::new(), a_run(&body, &[])).await;
        let statuses: Vec<_> = outcome
            .tests
            .iter()
            .map(|test| (test.name.as_str(), test.status))
            .collect();
        use Status::{Error, Failed};
        assert_eq!(
            statuses,
            [
                ("a.hurl", Error),
                ("none.hurl", Error),
                ("r", Failed),
                ("rows", Error),
                ("e2e", Error)
            ]
        );
    }

    #[tokio::test]
    async fn hurl_entries_are_tests_and_their_captures_join_the_suite() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.hurl");
        std::fs::write(
            &file,
            "GET {{target}}/items\n\nGET {{nope}}/x\n\nGET {{target}}/last # c\n",
        )
        .unwrap();
        let mut small = Small::new();
        small.exec = |command| {
            Ok(ExecOutput {
                stdout: command.join(" ").into_bytes(),
                ..ExecOutput::default()
            })
        };
        small.container = |run| {
            let command = run.command.clone().unwrap_or_default();
            assert!(
                command
                    .windows(2)
                    .any(|two| two == ["--variable", "target=\"http://web:8080\""]),
                "{command:?}"
            );
            assert!(
                command.windows(2).any(|two| two == ["--variable", "run=\"r1\""]),
                "{command:?}"
            );
            assert_eq!(command.last().map(String::as_str), Some("/suite/a.hurl"));
            let call = serde_json::json!({"request": {"method": "GET", "url": "http://idp/items?code=c0dec0de"},
                "response": {"status": 200, "cookies": [{"name": "sid", "value": "c00kie-value"}]}});
            let report = serde_json::json!([{"cookies": [], "filename": "/suite/a.hurl", "success": false, "time": 5, "entries": [
                {"index": 1, "line": 1, "time": 4, "calls": [call], "captures": [{"name": "id", "value": 7}], "asserts": [{"line": 1, "success": true}]},
                {"index": 2, "line": 3, "time": 0, "calls": [], "captures": [], "asserts": []},
                {"index": 3, "line": 5, "time": 1, "calls": [call], "captures": [], "asserts": [{"line": 5, "success": false,
                    "message": "Assert status code\n  --> /suite/a.hurl:5:6\n   |\n 5 | HTTP 200\n   |      ^^^ actual value is <500>\n   |"}]},
            ]}]);
            Ok(ContainerOutcome {
                exit: Some(4),
                output: b"error: Undefined variable\n  --> /suite/a.hurl:3:7\n   |\n 3 | GET {{nope}}/x\n   |       ^^^^ you must set the variable nope\n   |\n".to_vec(),
                files: vec![("/out/report.json".to_owned(), report.to_string().into_bytes())],
                ..ContainerOutcome::default()
            })
        };
        let exec = ExecStep {
            name: "echo".to_owned(),
            command: vec!["echo".to_owned(), "{{id}}".to_owned()],
            service: "db".to_owned(),
            service_span: a_span(),
            stdin: None,
            expect: crate::config::settings::ExecExpect {
                stdout: Some(Matcher::Equals("echo 7".into())),
                ..Default::default()
            },
            capture: Vec::new(),
            retry: None,
            span: a_span(),
        };
        let body = SuiteBody {
            target: Some("http://web:8080/".to_owned()),
            files: vec![file],
            exec: vec![exec],
            ..SuiteBody::default()
        };
        let candidates = ["web".to_owned()];
        let outcome = run_on(&small, a_run(&body, &candidates)).await;
        let told: Vec<_> = outcome
            .tests
            .iter()
            .map(|t| (t.name.as_str(), t.status, t.message.as_str()))
            .collect();
        use Status::{Failed, NotRun, Passed};
        assert_eq!(
            told,
            [
                ("a.hurl GET /items", Passed, ""),
                (
                    "a.hurl GET {{nope}}/x",
                    NotRun,
                    "not run: nothing was captured as `nope`; see the step that captures it"
                ),
                (
                    "a.hurl GET /last",
                    Failed,
                    "GET http://idp/items?code=*** answered 200: Assert status code: `HTTP 200, actual value is <500>` \
                     (asked `idp`, not the candidate `web`)"
                ),
                ("echo", Passed, ""),
            ]
        );
        assert_eq!(outcome.secrets, ["c00kie-value"]);
    }

    #[test]
    fn a_suite_can_run_on_any_thread() {
        fn is_send<T: Send>(_: T) {}
        fn assert(mirror: &Mirror, suite: SuiteRun<'_>) {
            is_send(run(mirror, suite));
        }
        let _ = assert;
    }
}
