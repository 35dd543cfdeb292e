//! No way out of the mirror, on the real engine: what is tried is refused at once, and heard with the service that tried.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod engine;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::time::Duration;

use engine::{IMAGE, docker, image, left_of};
use rehearsal::context::Context;
use rehearsal::mirror::egress::Attempts;
use rehearsal::mirror::engine::address::Address;
use rehearsal::mirror::engine::{Engine, RunLabels};
use rehearsal::mirror::model::{Attachment, Network, Service, World};
use rehearsal::mirror::names::Borne;
use rehearsal::mirror::{Mirror, Setup, images, sweep};
use rehearsal::redact::Redactor;

const LIMIT: Duration = Duration::from_secs(60);

/// A mirror of `web` and `other` in the network `front`, taken down at the end of its test.
struct Stage {
    mirror: Mirror,
    engine: Engine,
}

impl Stage {
    async fn of(front: Network, borne: Option<Borne>) -> Self {
        image();
        let mut random = [0; 4];
        getrandom::fill(&mut random).unwrap();
        let labels = RunLabels {
            run: format!("test{:08x}", u32::from_ne_bytes(random)),
            deadline: u64::MAX,
            // Of no machine: no other run's sweep takes it for dead.
            host: "tests".to_owned(),
            ..RunLabels::of_none()
        };
        let address = Address::find(&Context::read().unwrap()).unwrap();
        let engine = Engine::connect(&address, &labels).await.unwrap();
        let services = ["web", "other"].map(|name| (name.to_owned(), service(name)));
        let world = World {
            services: services.into(),
            networks: BTreeMap::from([("front".to_owned(), front)]),
            ..World::default()
        };
        let all: Vec<&Service> = world.services.values().collect();
        let images = images::resolve(&engine, &all).await.unwrap();
        let mirror = Mirror::prepare(Setup {
            engine: engine.clone(),
            prefix: String::new(),
            world,
            images,
            redactor: Redactor::default(),
            logs: None,
            news: tokio::sync::mpsc::unbounded_channel().0,
            borne,
            program: env!("CARGO_BIN_EXE_rehearsal").into(),
        })
        .await
        .unwrap();
        let started = mirror.start(LIMIT).await.unwrap();
        let failed = started.iter().find_map(|one| one.failure.as_ref());
        assert!(failed.is_none(), "{failed:?}");
        Self { mirror, engine }
    }

    /// Puts a candidate in the place of `web`.
    async fn upgrade(&self) {
        let releases = BTreeMap::from([("web".to_owned(), service("web"))]);
        self.mirror.swap(&releases, LIMIT, true).await.unwrap();
    }

    /// What a line of shell prints in a service's container, errors too.
    async fn says(&self, service: &str, line: &str) -> String {
        let line = format!("{{ {line}; }} 2>&1");
        // A way that were open would be waited at for ever.
        let words = ["timeout", "60", "sh", "-c", &line].map(str::to_owned);
        let output = self.mirror.exec(service, &words, None).await.unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// What was heard, once it holds as much as is waited for: what is refused is read a moment later.
    async fn heard(&self, enough: impl Fn(&Attempts) -> bool) -> Attempts {
        for _ in 0..200 {
            let attempts = self.mirror.attempts().await.unwrap();
            if enough(&attempts) {
                return attempts;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("heard only {:?}", self.mirror.attempts().await)
    }

    async fn down(self) {
        self.engine.close().await;
        sweep::remove_run(&self.engine, self.engine.run()).await.unwrap();
        assert_eq!(left_of(self.engine.run()), Vec::<String>::new());
    }
}

fn service(name: &str) -> Service {
    Service {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        command: Some(["httpd", "-f", "-p", "8080", "-h", "/www"].map(str::to_owned).to_vec()),
        networks: BTreeMap::from([("front".to_owned(), Attachment::named([name]))]),
        stop_signal: Some("SIGKILL".to_owned()),
        ..Service::default()
    }
}

#[tokio::test]
async fn a_name_a_raw_address_a_datagram_and_ipv6_are_refused_and_heard_with_their_service() {
    let stage = Stage::of(Network::default(), None).await;
    stage.says("other", "wget -qO- http://203.0.113.1/").await;
    stage.upgrade().await;
    // An address that nobody has would be "no route to host", three seconds later.
    let tcp = stage.says("web", "wget -qO- http://203.0.113.9:443/").await;
    assert!(tcp.contains("Connection refused"), "{tcp}");
    let udp = stage.says("web", "timeout 9 nslookup x.example.com 203.0.113.53").await;
    assert!(udp.contains("Connection refused"), "{udp}");
    let ping = stage.says("web", "ping -c 1 -W 1 203.0.113.7 || echo lost").await;
    assert!(ping.contains("lost"), "{ping}");
    let v6 = stage.says("web", "wget -qO- http://[2001:db8::1]/").await;
    assert!(v6.contains("wget: "), "{v6}");
    let name = stage.says("web", "wget -qO- http://telemetry.example.com/").await;
    assert!(name.contains("bad address"), "{name}");
    // What stays inside, and what nobody has inside, is no attempt.
    assert_eq!(stage.says("web", "wget -qO- http://other:8080/").await, "fine");

    let wanted = [
        "203.0.113.53:53/udp",
        "203.0.113.7",
        "203.0.113.9:443",
        "telemetry.example.com",
    ];
    let attempts = stage
        .heard(|attempts| {
            attempts
                .candidate
                .get("web")
                .is_some_and(|heard| heard.len() >= wanted.len())
        })
        .await;
    let mut of_web = attempts.candidate["web"].clone();
    of_web.sort();
    assert_eq!(of_web, wanted);
    assert_eq!(
        attempts.production,
        [("other".to_owned(), vec!["203.0.113.1:80".to_owned()])].into()
    );
    assert_eq!((attempts.unheard, attempts.raw_unheard), (None, vec![]));
    stage.down().await;
}

#[tokio::test]
async fn the_agent_answers_under_its_own_addresses_and_under_no_foreign_one() {
    let borne = Borne {
        host: "login.example.com".to_owned(),
        port: 80,
        service: "other".to_owned(),
        authority: None,
    };
    let stage = Stage::of(Network::default(), Some(borne)).await;
    let answer = stage.says("web", "wget -qO- http://login.example.com/").await;
    assert_eq!(answer, "fine");
    let foreign = stage.says("web", "wget -qO- http://203.0.113.9/").await;
    assert!(foreign.contains("Connection refused"), "{foreign}");
    let attempts = stage.heard(|attempts| !attempts.production.is_empty()).await;
    assert_eq!(attempts.production["web"], ["203.0.113.9:80"]);
    stage.down().await;
}

#[tokio::test]
async fn a_network_with_ipv6_says_that_raw_addresses_are_not_heard_in_it() {
    let front = Network {
        ipv6: true,
        ..Network::default()
    };
    let stage = Stage::of(front, None).await;
    stage
        .says("web", "wget -qO- http://203.0.113.9/; wget -qO- http://[2001:db8::1]/")
        .await;
    let attempts = stage.mirror.attempts().await.unwrap();
    assert_eq!(attempts.production, BTreeMap::new());
    let told = attempts.raw_unheard.concat();
    assert!(
        told.contains("not heard in `front`: engines close networks with IPv6"),
        "{told}"
    );
    stage.down().await;
}

/// Every address of this machine but those of its loopback.
fn own_addresses() -> Vec<String> {
    let output = Command::new("hostname").arg("-I").output().unwrap();
    let all = String::from_utf8(output.stdout).unwrap();
    all.split_whitespace()
        .filter(|address| address.parse::<Ipv4Addr>().is_ok())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn no_container_of_the_mirror_reaches_this_machines_ports() {
    let stage = Stage::of(Network::default(), None).await;
    let listeners = ["0.0.0.0:0", "[::]:0"].map(|address| TcpListener::bind(address).unwrap());
    let gateway = stage.mirror.subnet("front").unwrap().gateway().v4.to_string();
    let addresses = own_addresses();
    assert!(!addresses.is_empty());
    let agent = stage.engine.name("agent");
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in addresses.iter().chain([&gateway]) {
            let line = format!("timeout 60 nc -w 9 {address} {port} -e true && echo reached");
            let from_web = stage.says("web", &line).await;
            // What stands beside the agent, in its networks, with its address.
            let label = format!("dev.rehearsal.run={}", stage.engine.run());
            let beside = [
                "run",
                "--rm",
                "--label",
                &label,
                "--network",
                &format!("container:{agent}"),
                IMAGE,
            ];
            let from_agent = docker(&[&beside[..], &["sh", "-c", &format!("{line} || echo refused")]].concat());
            assert!(!from_web.contains("reached"), "{address}:{port}: {from_web}");
            assert_eq!(from_agent, "refused", "{address}:{port}");
        }
        let came = listener.accept();
        assert!(came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    stage.down().await;
}
