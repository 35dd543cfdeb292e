//! Suites: the user's own tests, run inside the mirror's network, each step one test. `run` is what a run is given and
//! comes to, `runner` what makes the one of the other; `hurl`, `request`, `exec` and `container` are the kinds of steps. [`login`] is the
//! sign-in.

mod by_radius;
mod container;
pub mod directory;
mod each;
mod exec;
#[doc(hidden)]
pub mod foreign;
pub mod given;
pub mod guarded;
mod hurl;
mod junit;
pub mod known_form;
pub mod leaving;
mod limits;
pub mod login;
mod matcher;
pub mod mix;
mod navigation;
mod page;
mod referrer;
mod request;
pub mod returning;
mod run;
mod runner;
mod sign_out_words;
mod template;
mod test_bed;
mod way_out;
mod words;

pub use run::{Captures, SuiteOutcome, SuiteRun};

use self::runner::Runner;
use self::test_bed::TestBed;
use crate::mirror::Mirror;

/// Runs a suite: `files`, `requests`, `exec`, `container`, in this order, each as written. Never fails as a whole:
/// what could not be run is a record that says so.
pub async fn run(mirror: &Mirror, run: SuiteRun<'_>) -> SuiteOutcome {
    run_on(mirror, run).await
}

async fn run_on<B: TestBed>(bed: &B, run: SuiteRun<'_>) -> SuiteOutcome {
    let mut runner = Runner::begin(bed, &run).await;
    hurl::run_all(&mut runner).await;
    for step in &run.body.requests {
        runner.step(&request::Request::new(&run, step)).await;
    }
    for step in &run.body.exec {
        runner.step(&exec::Command { step }).await;
    }
    if let Some(container) = &run.body.container {
        container::run(&mut runner, container).await;
    }
    runner.end()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock, Mutex};
    use std::time::Duration;

    use super::*;
    use crate::agent::client::Client;
    use crate::config::settings::{
        ExecStep, HttpCapture, HttpExpect, Matcher, RequestBody, RequestStep, StatusPattern, SuiteBody,
    };
    use crate::engine::exec::ExecOutput;
    use crate::mirror::names::several::Asked;
    use crate::mirror::run_container::{ContainerOutcome, ContainerRun};
    use crate::record::stage::StageId;
    use crate::record::status::Status;
    use crate::record::step::Subject;
    use crate::record::test::{Reply, TestRecord};
    use crate::world::replica::Replica;
    use crate::yaml::span::{Source, Span};

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
        TestRecord::passed(Subject::Suite("smoke".to_owned()), name, StageId::Control)
    }

    /// A mirror of one agent whose commands and containers answer what the test says.
    struct Small {
        agent: Client,
        several: Vec<Asked>,
        exec: fn(&[String]) -> anyhow::Result<ExecOutput>,
        container: fn(&ContainerRun) -> anyhow::Result<ContainerOutcome>,
    }

    impl TestBed for Small {
        fn agent(&self) -> &Client {
            &self.agent
        }

        fn several_at(&self, _: &str) -> Vec<Asked> {
            self.several.clone()
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
                several: Vec::new(),
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
                let who = text.lines().find_map(|line| line.strip_prefix("authorization: "));
                let body = serde_json::json!({"line": line, "cookie": cookie, "token": "abcd1234", "who": who});
                let body = body.to_string();
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
            repeatable: None,
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
            hosts: &[],
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

    /// Two containers of one service, the second of which alone is wrong; what each was asked, in order.
    async fn replicas() -> (Small, u16, [Arc<Mutex<Vec<String>>>; 2]) {
        let first = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = first.local_addr().unwrap().port();
        let second = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.unwrap();
        let heard = [(first, 200), (second, 500)].map(|(listener, status)| {
            let heard = Arc::new(Mutex::new(Vec::new()));
            tokio::spawn(answers_by(listener, status, heard.clone()));
            heard
        });
        let alone = |number: u32| Asked::Alone {
            replica: Replica::numbered("web", number),
            reached_at: format!("127.0.0.{number}"),
        };
        let small = Small {
            several: vec![alone(1), alone(2)],
            ..Small::new()
        };
        (small, port, heard)
    }

    async fn answers_by(listener: tokio::net::TcpListener, status: u16, heard: Arc<Mutex<Vec<String>>>) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut raw = vec![0; 8192];
            let length = stream.read(&mut raw).await.unwrap();
            let text = String::from_utf8_lossy(&raw[..length]).into_owned();
            let asked = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
            let status = if asked.ends_with("/same") { 200 } else { status };
            let cookie = text
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("cookie: ").map(str::to_owned));
            heard.lock().unwrap().push(
                [Some(asked), cookie]
                    .into_iter()
                    .flatten()
                    .collect::<Vec<_>>()
                    .join(" "),
            );
            let answer = format!(
                "HTTP/1.1 {status} X\r\nSet-Cookie: of={status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn each_replica_is_asked_what_may_be_asked_again_and_what_may_not_is_sent_once() {
        let (small, port, heard) = replicas().await;
        let order = RequestStep {
            method: "POST".to_owned(),
            ..step("order", "/order")
        };
        let link = RequestStep {
            repeatable: Some(false),
            ..step("a link that is good for once", "/link")
        };
        let put = RequestStep {
            method: "PUT".to_owned(),
            repeatable: Some(true),
            ..step("put", "/put")
        };
        let body = SuiteBody {
            target: Some(format!("http://localhost:{port}")),
            requests: vec![step("same", "/same"), step("items", "/items"), order, link, put],
            ..SuiteBody::default()
        };
        let outcome = run_on(&small, a_run(&body, &[])).await;
        let failing = outcome.tests.iter().filter(|test| test.status == Status::Failed);
        let failing: Vec<_> = failing.map(|test| test.message.clone()).collect();
        let wrong = "web-2: expected status 2xx, received 500";
        let wanted = ["GET", "PUT"].map(|method| (method, if method == "GET" { "items" } else { "put" }));
        let wanted = wanted.map(|(method, path)| format!("{method} http://localhost:{port}/{path}: {wrong}"));
        assert_eq!(failing, wanted);
        // Of one step, no replica has a cookie that another one has just set; the first one's stay.
        let heard = heard.map(|heard| heard.lock().unwrap().clone());
        let with_cookie = |paths: &[&str]| paths.iter().map(|path| format!("{path} of=200")).collect::<Vec<_>>();
        assert_eq!(heard[0][0], "GET /same");
        assert_eq!(
            heard[0][1..],
            with_cookie(&["GET /items", "POST /order", "GET /link", "PUT /put"])
        );
        assert_eq!(heard[1][0], "GET /same");
        assert_eq!(heard[1][1..], with_cookie(&["GET /items", "PUT /put"]));
    }

    #[tokio::test]
    async fn what_all_replicas_answer_wrongly_is_told_once_and_one_that_is_silent_by_its_name() {
        let (small, port, _) = replicas().await;
        let body = SuiteBody {
            target: Some(format!("http://localhost:{port}")),
            requests: vec![RequestStep {
                expect: HttpExpect {
                    status: vec![StatusPattern::Exact(204)],
                    ..HttpExpect::default()
                },
                ..step("same", "/same")
            }],
            ..SuiteBody::default()
        };
        let outcome = run_on(&small, a_run(&body, &[])).await;
        let message = format!("GET http://localhost:{port}/same: expected status 204, received 200");
        assert_eq!(outcome.tests[0].message, message);
        let gone = Asked::Alone {
            replica: Replica::numbered("web", 3),
            reached_at: "127.0.0.3".to_owned(),
        };
        let small = Small {
            several: vec![small.several[0].clone(), gone],
            ..Small::new()
        };
        let body = SuiteBody {
            requests: vec![step("items", "/items")],
            ..body
        };
        let outcome = run_on(&small, a_run(&body, &[])).await;
        assert_eq!(
            (outcome.tests[0].status, outcome.tests[0].reply),
            (Status::Failed, Reply::Nothing)
        );
        assert!(
            outcome.tests[0].message.contains("web-3: no answer (connect)"),
            "{:?}",
            outcome.tests[0]
        );
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
    async fn a_suites_basic_is_that_of_every_request_which_says_no_other() {
        let at = echo().await;
        let asks = |name: &str, who: &str| {
            let mut asks = step(name, "/a");
            asks.expect.json = vec![("$.who".to_owned(), Matcher::Equals(who.into()))];
            asks
        };
        let basic = |user: &str| Some((user.to_owned(), "pw".to_owned()));
        let suites = asks("suite's", "Basic YWxpY2U6cHc=");
        let mut own = asks("own", "Basic Ym9iOnB3");
        own.basic = basic("bob");
        let mut header = asks("header", "Bearer x");
        header.headers = vec![("AUTHORIZATION".to_owned(), "Bearer x".to_owned())];
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.hurl");
        std::fs::write(&file, "GET {{target}}/\n").unwrap();
        let body = SuiteBody {
            target: Some(format!("http://{at}")),
            basic: basic("alice"),
            files: vec![file],
            requests: vec![suites, own, header],
            ..SuiteBody::default()
        };
        let small = Small {
            container: |run| anyhow::bail!("{}", run.command.clone().unwrap_or_default().join(" ")),
            ..Small::new()
        };
        let outcome = run_on(&small, a_run(&body, &[])).await;
        let (hurl, requests) = outcome.tests.split_first().unwrap();
        assert!(hurl.detail.contains("--user alice:pw "), "{}", hurl.detail);
        assert!(
            requests.iter().all(|test| test.status == Status::Passed),
            "{requests:?}"
        );
        assert!(outcome.secrets.contains(&"YWxpY2U6cHc=".to_owned()));
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
            let headers =
                serde_json::json!([{"name": "Authorization", "value": "Bearer t"}, {"name": "Host", "value": "idp"}]);
            let call = serde_json::json!({"request": {"method": "GET", "url": "http://idp/items?code=c0dec0de", "headers": headers},
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
        let guarded: Vec<_> = outcome
            .guarded
            .iter()
            .map(|own| (own.name.as_str(), own.token()))
            .collect();
        assert_eq!(guarded, [("smoke / a.hurl GET /items", Some("t"))]);
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
