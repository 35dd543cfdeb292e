//! Several containers of one service: what they share, what each has for itself, and that what one of them alone does
//! is not lost.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::driver::{self, Rehearsed};
use crate::mirror::{service, world};
use crate::stage::{LIMIT, Stage, comes_up, says};
use crate::worlds::{self, Expected};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rehearsal::agent::exchange::HttpCall;
use rehearsal::agent::{Answer, Call};
use rehearsal::config::settings::{HttpExpect, Matcher, RequestBody, RequestStep, SuiteBody};
use rehearsal::mirror::Mirror;
use rehearsal::record::release::Role;
use rehearsal::record::stage::StageId;
use rehearsal::record::status::Status;
use rehearsal::record::step::Subject;
use rehearsal::suite::{Captures, SuiteRun};
use rehearsal::world::candidates::Candidates;
use rehearsal::world::model::{Mount, Service, Source, VolumeOptions};
use rehearsal::world::replica::{Naming, Replica, Replicas};
use rehearsal::yaml::span::{self, Span};

/// Says its host's name to whoever asks, and writes it down where only this replica has a volume.
const SERVES: &str = "hostname >/www/index.html; hostname >>/own/names; exec httpd -f -p 8080 -h /www";

fn web(line: &str, count: u32) -> Service {
    Service {
        ports: vec![8080],
        replicas: Replicas {
            naming: Naming::Numbered,
            ..Replicas::of(count)
        },
        mounts: vec![Mount {
            target: "/own".to_owned(),
            source: Source::Anonymous,
            read_only: false,
            volume: VolumeOptions::default(),
        }],
        ..service("web", line)
    }
}

/// What a client gets who asks so often in one session.
async fn answers(mirror: &Mirror, session: &str, times: usize) -> Vec<String> {
    let mut all = Vec::new();
    for _ in 0..times {
        let call = HttpCall {
            session: session.to_owned(),
            method: "GET".to_owned(),
            url: "http://web:8080/".to_owned(),
            timeout_ms: 5_000,
            ..HttpCall::default()
        };
        let Answer::Http(answer) = mirror.agent().call(Call::Http(call)).await.unwrap() else {
            panic!("no HTTP answer")
        };
        let body = BASE64_STANDARD.decode(answer.body).unwrap();
        all.push(String::from_utf8(body).unwrap().trim().to_owned());
    }
    all
}

fn ids(mirror: &Mirror) -> Vec<String> {
    let all = mirror.containers_of("web").into_iter();
    all.map(|running| running.id).collect()
}

#[tokio::test]
async fn replicas_share_a_name_and_nothing_else() {
    let stage = Stage::of(world([web(SERVES, 2), service("asks", "sleep infinity")])).await;
    let mirror = &stage.mirror;
    comes_up(mirror).await;
    // One session goes from one to the next, and every session begins with the first.
    let heard = answers(mirror, "a", 4).await;
    assert_eq!((&heard[0], &heard[1]), (&heard[2], &heard[3]));
    assert_ne!(heard[0], heard[1]);
    assert_eq!(answers(mirror, "b", 2).await, heard[..2]);
    // The engine's own DNS names both to everyone else, in an order of chance.
    let asks =
        "for n in 0 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p; do wget -qO- http://web:8080/; done | sort -u";
    let named: Vec<String> = says(mirror, "asks", asks).await.lines().map(str::to_owned).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    let release = Service {
        env: [("RELEASE".to_owned(), Some("2".to_owned()))].into(),
        ..web(SERVES, 2)
    };
    let candidates = Candidates {
        services: [("web".to_owned(), release)].into(),
        ..Candidates::default()
    };
    let before = ids(mirror);
    let deploy = candidates.upgrade(&stage.setup.world);
    let swapped = mirror.swap(&deploy, LIMIT, Role::Candidate, None).await.unwrap();
    let names: BTreeSet<String> = swapped.iter().map(|one| one.replica.to_string()).collect();
    assert_eq!(names, ["web-1".to_owned(), "web-2".to_owned()].into());
    assert!(ids(mirror).iter().all(|id| !before.contains(id)));
    // Each finds its own volume again, and no other's.
    let kept = says(mirror, "web", "wc -l </own/names").await;
    assert_eq!(kept, "2");
    mirror.stop("web").await;
    for number in [1, 2] {
        assert!(!mirror.history(&Replica::numbered("web", number)).unwrap().running);
    }
    stage.down().await;
}

/// A suite of one request, whose answer is a container's name.
fn asks_once() -> SuiteBody {
    let source = span::Source {
        path: "rehearsal.yaml".into(),
        text: String::new(),
    };
    let step = RequestStep {
        name: "a name".to_owned(),
        method: "GET".to_owned(),
        url: "/".to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        basic: None,
        body: RequestBody::Empty,
        follow: false,
        expect: HttpExpect {
            body: Some(Matcher::Matches("^[0-9a-f]{12}".to_owned())),
            ..HttpExpect::default()
        },
        capture: Vec::new(),
        retry: None,
        repeatable: None,
        span: Span {
            source: Arc::new(source),
            range: 0..0,
        },
    };
    SuiteBody {
        target: Some("http://web:8080".to_owned()),
        requests: vec![step],
        ..SuiteBody::default()
    }
}

#[tokio::test]
async fn a_suite_that_asks_once_finds_the_replica_that_alone_answers_wrongly() {
    let stage = Stage::of(world([web(SERVES, 2)])).await;
    let mirror = &stage.mirror;
    comes_up(mirror).await;
    let (body, subject) = (asks_once(), Subject::Suite("smoke".to_owned()));
    let run = || SuiteRun {
        subject: &subject,
        body: &body,
        stage: StageId::Upgrade,
        run: "r1",
        inherited: Captures::default(),
        candidates: &[],
        hosts: &[],
        hurl_image: "",
        ca: &[],
    };
    let before = rehearsal::suite::run(mirror, run()).await.tests;
    assert_eq!(before[0].status, Status::Passed, "{before:?}");
    let spoil = ["sh", "-c", "echo wrong >/www/index.html"].map(str::to_owned);
    let spoilt = mirror.engine().exec(&ids(mirror)[1], &spoil, None).await.unwrap();
    assert_eq!(spoilt.exit, 0, "{spoilt:?}");
    let after = rehearsal::suite::run(mirror, run()).await.tests;
    assert_eq!(after[0].status, Status::Failed);
    assert!(
        after[0].message.starts_with("GET http://web:8080/: web-2: body: "),
        "{after:?}"
    );
    stage.down().await;
}

#[tokio::test]
async fn a_replica_that_alone_fails_is_named() {
    let mut racing = web(
        "mkdir /book/first || { echo 'FATAL: taken'; exit 4; }; exec httpd -f -p 8080 -h /www",
        2,
    );
    racing.mounts.push(Mount {
        target: "/book".to_owned(),
        source: Source::Volume("book".to_owned()),
        read_only: false,
        volume: VolumeOptions::default(),
    });
    let stage = Stage::of(world([racing])).await;
    let started = stage.mirror.start(LIMIT).await.unwrap().started;
    let failed = started.into_iter().find_map(|one| one.failure).expect("one fails");
    assert!(failed.replica.is_numbered(), "{failed}");
    assert_eq!(
        (failed.exit_code, failed.fatal.as_deref()),
        (Some(4), Some("FATAL: taken"))
    );
    stage.down().await;
}

#[tokio::test]
async fn where_only_the_number_changes_what_runs_stays() {
    let stage = Stage::of(world([web(SERVES, 1)])).await;
    comes_up(&stage.mirror).await;
    let candidates = Candidates {
        services: [("web".to_owned(), web(SERVES, 2))].into(),
        ..Candidates::default()
    };
    let first = ids(&stage.mirror);
    let there = candidates.upgrade(&stage.setup.world);
    let swapped = stage.mirror.swap(&there, LIMIT, Role::Candidate, None).await.unwrap();
    let names: Vec<String> = swapped.iter().map(|one| one.replica.to_string()).collect();
    assert_eq!(names, ["web-2"]);
    assert_eq!(ids(&stage.mirror)[..1], first);
    assert_eq!(ids(&stage.mirror).len(), 2);
    let back = candidates.rollback(&stage.setup.world);
    stage.mirror.swap(&back, LIMIT, Role::Baseline, None).await.unwrap();
    assert_eq!(ids(&stage.mirror), first);
    stage.down().await;
}

/// Runs a world of `fixtures/worlds/replicas`.
fn rehearsed(name: &str) -> (Rehearsed, Expected) {
    let folder = driver::root().join("fixtures/worlds/replicas");
    let expected = worlds::expectations(&folder.join("expected.yaml")).remove(name);
    let out = driver::folder(&format!("replicas/{name}"));
    crate::docker::image();
    let run = Rehearsed::of(driver::run(&folder.join(name).with_extension("yaml"), &out), &out);
    (run, expected.expect("it is in expected.yaml"))
}

fn ends_as_expected(name: &str) -> Rehearsed {
    let (run, expected) = rehearsed(name);
    worlds::ends(name, &expected, &run);
    run
}

#[test]
fn a_migration_that_two_replicas_run_at_once_is_blocked() {
    let run = ends_as_expected("migration-race");
    let finding = &run.result()["findings"][0];
    let title = finding["title"].as_str().unwrap();
    let name = ["web-1", "web-2"]
        .into_iter()
        .find(|name| title.contains(&format!("`{name}`")));
    let name = name.unwrap_or_else(|| panic!("no replica is named: {title}"));
    assert_eq!(finding["service"], "web");
    assert_eq!(finding["cause"], "FATAL: relation \"orders_v2\" already exists");
    assert!(run.read(&format!("logs/upgrade/{name}.log")).contains("already exists"));
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_migration_that_waits_for_its_turn_passes() {
    let run = ends_as_expected("migration-waits");
    let text = run.result().to_string();
    assert!(
        text.contains("service `web`: 2 of 3 replicas run here (`policy.max_replicas`)"),
        "{text}"
    );
    let junit = run.read("junit.xml");
    assert!(junit.contains("web-1") && junit.contains("web-2"), "{junit}");
}

#[test]
fn sessions_that_only_one_replica_knows_are_blocked() {
    ends_as_expected("sessions-in-memory");
}

#[test]
#[ignore = "each night: make test-worlds"]
fn a_single_replica_keeps_its_sessions() {
    let run = ends_as_expected("sessions-alone");
    assert!(run.result().to_string().contains("1 of 3 replicas run here"));
}
