//! No way out of the mirror, on the real engine: what is tried is refused at once, and heard with the service that tried.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use crate::docker::{IMAGE, docker};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rehearsal::agent::front::Forwarded;
use rehearsal::config::settings::OpenHost;
use rehearsal::mirror::Setup;
use rehearsal::mirror::border::attempts::Attempts;
use rehearsal::mirror::names::fronts::{Front, Name, StandsFor};
use rehearsal::record::release::Role;
use rehearsal::world::deploy::Deploy;
use rehearsal::world::model::{Attachment, Network, Service, World};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::stage::{LIMIT, Stage, comes_up};

/// A mirror of `web` and `other` in the network `front`, up.
async fn stage_of(front: Network, change: impl FnOnce(&mut Setup)) -> Stage {
    let world = World {
        services: ["web", "other"].map(|name| (name.to_owned(), service(name))).into(),
        networks: BTreeMap::from([("front".to_owned(), front)]),
        ..World::default()
    };
    let stage = Stage::changed(world, change).await;
    comes_up(&stage.mirror).await;
    stage
}

/// Puts a candidate in the place of `web`.
async fn upgrade(stage: &Stage) {
    let releases = BTreeMap::from([("web".to_owned(), service("web"))]);
    let deploy = Deploy::of(releases, &stage.setup.world);
    stage.mirror.swap(&deploy, LIMIT, Role::Candidate, None).await.unwrap();
}

/// What a line of shell prints in a service's container, errors too.
async fn says(stage: &Stage, service: &str, line: &str) -> String {
    let line = format!("{{ {line}; }} 2>&1");
    // A way that were open would be waited at for ever.
    let words = ["timeout", "60", "sh", "-c", &line].map(str::to_owned);
    let output = stage.mirror.exec(service, &words, None).await.unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What was heard, once it holds as much as is waited for: what is refused is read a moment later.
async fn heard(stage: &Stage, enough: impl Fn(&Attempts) -> bool) -> Attempts {
    for _ in 0..200 {
        let attempts = stage.mirror.attempts().await.unwrap();
        if enough(&attempts) {
            return attempts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("heard only {:?}", stage.mirror.attempts().await)
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
    let stage = stage_of(Network::default(), |_| {}).await;
    says(&stage, "other", "wget -qO- http://203.0.113.1/").await;
    upgrade(&stage).await;
    // An address that nobody has would be "no route to host", three seconds later.
    let tcp = says(&stage, "web", "wget -qO- http://203.0.113.9:443/").await;
    assert!(tcp.contains("Connection refused"), "{tcp}");
    let udp = says(&stage, "web", "timeout 9 nslookup x.example.com 203.0.113.53").await;
    assert!(udp.contains("Connection refused"), "{udp}");
    let ping = says(&stage, "web", "ping -c 1 -W 1 203.0.113.7 || echo lost").await;
    assert!(ping.contains("lost"), "{ping}");
    let v6 = says(&stage, "web", "wget -qO- http://[2001:db8::1]/").await;
    assert!(v6.contains("wget: "), "{v6}");
    let name = says(&stage, "web", "wget -qO- http://telemetry.example.com/").await;
    assert!(name.contains("bad address"), "{name}");
    // What stays inside, and what nobody has inside, is no attempt.
    assert_eq!(says(&stage, "web", "wget -qO- http://other:8080/").await, "fine");

    let wanted = [
        "203.0.113.53:53/udp",
        "203.0.113.7",
        "203.0.113.9:443",
        "telemetry.example.com",
    ];
    let attempts = heard(&stage, |attempts| {
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
    let front = Front {
        name: Name::of("http://login.example.com/").unwrap(),
        service: "other".to_owned(),
        port: None,
        authority: None,
        headers: vec![],
        forwarded: Forwarded::Said,
        stands_for: StandsFor::Issuer,
    };
    let stage = stage_of(Network::default(), |setup| setup.fronts = vec![front]).await;
    let answer = says(&stage, "web", "wget -qO- http://login.example.com/").await;
    assert_eq!(answer, "fine");
    let foreign = says(&stage, "web", "wget -qO- http://203.0.113.9/").await;
    assert!(foreign.contains("Connection refused"), "{foreign}");
    let attempts = heard(&stage, |attempts| !attempts.production.is_empty()).await;
    assert_eq!(attempts.production["web"], ["203.0.113.9:80"]);
    stage.down().await;
}

#[tokio::test]
async fn a_network_with_ipv6_has_a_door_and_says_that_raw_addresses_are_not_heard_in_it() {
    let front = Network {
        ipv6: true,
        ..Network::default()
    };
    let stage = stage_of(front, |setup| setup.open = vec![open("api.example.com", &[80])]).await;
    outside(&stage, &["api.example.com"]);
    assert_eq!(says(&stage, "web", "wget -qO- http://api.example.com/").await, "fine");
    says(
        &stage,
        "web",
        "wget -qO- http://203.0.113.9/; wget -qO- http://[2001:db8::1]/",
    )
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

/// What a line of shell prints beside one of our containers, in its networks, with its addresses.
fn beside(stage: &Stage, ours: &str, line: &str) -> String {
    let label = format!("dev.rehearsal.run={}", stage.engine.run());
    let network = format!("container:{}", stage.engine.name(ours));
    docker(&[
        "run",
        "--rm",
        "--label",
        &label,
        "--network",
        &network,
        IMAGE,
        "sh",
        "-c",
        line,
    ])
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
    let stage = stage_of(Network::default(), |_| {}).await;
    let listeners = ["0.0.0.0:0", "[::]:0"].map(|address| TcpListener::bind(address).unwrap());
    let gateway = stage.mirror.subnet("front").unwrap().gateway().v4.to_string();
    let addresses = own_addresses();
    assert!(!addresses.is_empty());
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for address in addresses.iter().chain([&gateway]) {
            let line = format!("timeout 60 nc -w 9 {address} {port} -e true && echo reached");
            let from_web = says(&stage, "web", &line).await;
            let from_agent = beside(&stage, "agent", &format!("{line} || echo refused"));
            assert!(!from_web.contains("reached"), "{address}:{port}: {from_web}");
            assert_eq!(from_agent, "refused", "{address}:{port}");
        }
        let came = listener.accept();
        assert!(came.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    stage.down().await;
}

/// A host outside that bears these names, where the door looks them up; and its address.
fn outside(stage: &Stage, names: &[&str]) -> String {
    let label = format!("dev.rehearsal.run={}", stage.engine.run());
    let (network, name) = (stage.engine.name("--door"), stage.engine.name("test-outside"));
    let serves = "httpd -p 80 -h /www; nc -ll -p 5432 -e echo the database & exec nc -ll -p 443 -e head -c 1";
    let named = names.iter().flat_map(|name| ["--network-alias", name]);
    let words = [
        "run",
        "--detach",
        "--label",
        &label,
        "--name",
        &name,
        "--network",
        &network,
    ];
    let all: Vec<&str> = words
        .into_iter()
        .chain(named)
        .chain([IMAGE, "sh", "-c", serves])
        .collect();
    docker(&all);
    docker(&[
        "inspect",
        "--format",
        "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
        &name,
    ])
}

/// Shell that says hello to a host's name over TLS, and prints the first byte of the answer.
fn tls(to: &str, name: &str) -> String {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    format!(
        "echo {} | base64 -d | nc {to} 443 | od -An -tx1",
        STANDARD.encode(hello)
    )
}

fn open(host: &str, ports: &[u16]) -> OpenHost {
    OpenHost {
        host: host.to_owned(),
        ports: ports.to_vec(),
    }
}

#[tokio::test]
async fn an_open_host_is_reached_by_its_name_and_nothing_beside_it() {
    let hosts = vec![
        open("api.example.com", &[443, 80]),
        open("files.example.com", &[443, 80]),
        open("db.example.com", &[5432]),
    ];
    let stage = stage_of(Network::default(), |setup| {
        setup.open = hosts;
        let other = Arc::make_mut(&mut setup.world).services.get_mut("other").unwrap();
        // Production's own entry would lead past the door.
        other.limits.extra_hosts = vec!["api.example.com:192.0.2.7".to_owned()];
    })
    .await;
    let raw = outside(&stage, &["api.example.com", "db.example.com", "other.example.com"]);
    let form = "{{range .IPAM.Config}}{{.Gateway}}{{end}}";
    let gateway = docker(&["network", "inspect", "--format", form, &stage.engine.name("--door")]);
    assert!(beside(&stage, "door", "ip route").contains(&format!("default via {gateway} ")));
    for service in ["web", "other"] {
        assert_eq!(says(&stage, service, "wget -qO- http://api.example.com/").await, "fine");
    }
    assert_eq!(
        says(&stage, "web", &tls("api.example.com", "api.example.com")).await,
        "16"
    );
    // Alone on its port, it may speak first.
    assert_eq!(
        says(&stage, "web", "nc db.example.com 5432 </dev/null").await,
        "the database"
    );

    // Nobody else is reached through the door, nor another port of it.
    let front = "wget -qO- --header 'Host: other.example.com' http://api.example.com/ || echo refused";
    assert!(says(&stage, "web", front).await.ends_with("refused"));
    assert_eq!(
        says(&stage, "web", &tls("api.example.com", "other.example.com")).await,
        ""
    );
    let port = says(&stage, "web", "wget -qO- http://api.example.com:5433/").await;
    assert!(port.contains("Connection refused"), "{port}");
    let other = says(&stage, "web", "wget -qO- http://other.example.com/").await;
    assert!(other.contains("bad address"), "{other}");
    let past = says(&stage, "web", &format!("wget -qO- http://{raw}/")).await;
    assert!(past.contains("Connection refused"), "{past}");

    let attempts = heard(&stage, |attempts| {
        attempts.production.get("web").is_some_and(|heard| heard.len() > 1)
    })
    .await;
    assert_eq!(attempts.production.len(), 1, "{attempts:?}");
    assert_eq!(
        attempts.production["web"],
        ["other.example.com".to_owned(), format!("{raw}:80")]
    );
    stage.down().await;
}
