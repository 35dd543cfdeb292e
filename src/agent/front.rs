//! Fronts: answers under names of production's, with TLS by the run's CA where production has TLS, and every request
//! passed on to the service behind the name as a usual front does it. Names that are expected on the same port share it:
//! a client's first words tell which it means. A service's own names are relayed, byte by byte. What is asked of the
//! authentication dependency is read along.

mod breaking;
pub mod calls;
#[cfg(test)]
mod datagram_tests;
mod datagrams;
mod ending;
#[cfg(test)]
mod ending_tests;
pub mod fault;
#[cfg(test)]
mod fault_tests;
mod http_watch;
pub mod issuer;
#[cfg(test)]
mod issuer_tests;
mod ldap_groups;
mod ldap_refusal;
mod ldap_shape;
mod ldap_watch;
mod observer;
pub(super) mod octets;
mod proxy;
mod radius_watch;
pub mod relay;
mod tls;
mod tls_watch;

pub use proxy::{Forwarded, FrontCall};
pub use tls::{FrontTls, Protocol};

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::failure::CallFailure;
use super::first_words;
use super::listen::listen_at;
use super::resolver::Resolver;
use super::session::lock;
use calls::{Calls, CallsAnswer, CallsCall};
use datagrams::DatagramRelay;
use fault::{Fault, FaultAnswer, FaultCall, Faults};
use issuer::{IssuerCall, KeysCall, Ours};
use proxy::Handler;
use relay::{Relay, RelayCall, Transport};
use tls::HANDSHAKE_LIMIT;

/// A port that a fault had closed is open again by then, if its service listens.
const REOPENS_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to have a port again.
const PAUSE: Duration = Duration::from_millis(50);

/// Names of production's to answer to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrontsCall {
    /// Each.
    pub fronts: Vec<FrontCall>,
    /// Services that are reached through us under their own names.
    pub relays: Vec<RelayCall>,
    /// Where they are answered, of IPv4; empty = everywhere.
    pub own: Vec<Ipv4Addr>,
    /// Keys that stand among the authentication dependency's; `None` = the product's own alone.
    pub issuer: Option<IssuerCall>,
}

/// The names that are answered to, while this is held.
#[derive(Default)]
pub(super) struct Fronts {
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    ports: Mutex<BTreeMap<u16, Arc<Port>>>,
    /// Ports over UDP.
    datagrams: Mutex<BTreeMap<u16, Arc<DatagramRelay>>>,
    calls: Calls,
    /// Ports that a fault has closed.
    closed: Mutex<BTreeSet<u16>>,
    /// The keys that stand among the authentication dependency's.
    issuer: OnceLock<Ours>,
}

/// A port, and who answers there.
struct Port {
    fronts: Vec<Handler>,
    /// Who answers whom no front knows; alone, it opens the port itself.
    relay: OnceLock<Arc<Relay>>,
    open: watch::Sender<bool>,
}

impl Drop for Fronts {
    fn drop(&mut self) {
        lock(&self.tasks).iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Fronts {
    /// Begins to answer; returns once connections are accepted, those of relays excepted: they follow their services.
    pub(super) async fn serve(&self, call: FrontsCall, resolver: &Resolver) -> Result<(), CallFailure> {
        if let Some(issuer) = call.issuer {
            // A run has one, and which of its keys stand there is said by later calls.
            let _first = self.issuer.set(Ours::new(issuer));
        }
        let mut ports: BTreeMap<u16, Vec<Handler>> = BTreeMap::new();
        for front in call.fronts {
            let port = ports.entry(front.port).or_default();
            let handler = Handler::new(front, resolver.clone(), self.calls.clone());
            let handler = handler.map_err(CallFailure::request)?;
            port.push(handler.showing(self.issuer.get()));
        }
        for (port, fronts) in ports {
            self.open(&call.own, port, fronts).await?;
        }
        for relay in call.relays {
            match relay.transport {
                Transport::Tcp => self.stand(&call.own, relay, resolver)?,
                Transport::Udp => self.hear(&call.own, relay, resolver),
            }
        }
        Ok(())
    }

    /// What was asked at the fronts.
    pub(super) fn calls(&self, call: &CallsCall) -> CallsAnswer {
        self.calls.serve(call)
    }

    /// Other keys of ours stand among the authentication dependency's from now on.
    pub(super) fn show(&self, call: KeysCall) -> Result<(), CallFailure> {
        let none = || CallFailure::request("no key of ours stands among an issuer's".to_owned());
        self.issuer.get().ok_or_else(none)?.show(call.keys);
        Ok(())
    }

    /// A fault of services begins, or ends; returns once it does, for new connections and for those that stood.
    pub(super) async fn fault(&self, call: &FaultCall) -> FaultAnswer {
        let ports: Vec<(u16, Arc<Port>)> = {
            let ports = lock(&self.ports);
            let meant = ports.iter().filter(|(_, port)| port.is_of(&call.services));
            meant.map(|(number, port)| (*number, Arc::clone(port))).collect()
        };
        let is_shut = |(_, port): &&(u16, Arc<Port>)| port.is_closed();
        let shut: BTreeSet<u16> = ports.iter().filter(is_shut).map(|(number, _)| *number).collect();
        self.calls.faults().begin_or_end(call);
        let mut answer = FaultAnswer {
            silent: self.silent(&call.services),
            ..FaultAnswer::default()
        };
        let goes_down = call
            .fault
            .as_ref()
            .is_some_and(|injected| injected.fault == Fault::Down);
        for (number, port) in ports {
            if port.is_down(self.calls.faults()) {
                port.comes_to_be(false).await;
                // One that was closed anyway is no doing of ours.
                answer.refused.extend((!shut.contains(&number)).then_some(number));
            } else if goes_down {
                answer.reset.push(number);
            } else if !self.reopened(number, &port).await {
                answer.gone.push(number);
            }
        }
        lock(&self.closed).extend(&answer.refused);
        answer
    }

    /// Ports over UDP of services that are down.
    fn silent(&self, services: &[String]) -> Vec<u16> {
        let datagrams = lock(&self.datagrams);
        let is_meant = |relay: &Arc<DatagramRelay>| {
            let service = &relay.call.service;
            services.contains(service) && self.calls.faults().is_down(service)
        };
        let meant = datagrams.iter().filter(|(_, relay)| is_meant(relay));
        meant.map(|(port, _)| *port).collect()
    }

    /// Whether a port is as it was before a fault had closed it, if one had.
    async fn reopened(&self, number: u16, port: &Port) -> bool {
        let was_closed = lock(&self.closed).remove(&number);
        !was_closed || timeout(REOPENS_WITHIN, port.comes_to_be(true)).await.is_ok()
    }

    async fn open(&self, own: &[Ipv4Addr], port: u16, fronts: Vec<Handler>) -> Result<(), CallFailure> {
        let failed = |error: std::io::Error| {
            let hosts: Vec<String> = fronts.iter().map(|front| format!("`{}`", front.call.host)).collect();
            let hosts = hosts.join(", ");
            CallFailure::request(format!("the name {hosts} cannot be answered to: port {port}: {error}"))
        };
        let listeners = listen_at(own, port).await.map_err(failed)?;
        let answering = Arc::new(Port {
            fronts,
            relay: OnceLock::new(),
            open: watch::Sender::new(true),
        });
        let kept = Arc::clone(&answering).keep(listeners, own.to_vec(), port, self.calls.faults().clone());
        lock(&self.tasks).push(tokio::spawn(kept));
        lock(&self.ports).insert(port, answering);
        Ok(())
    }

    /// A port over UDP has one relay: the first.
    fn hear(&self, own: &[Ipv4Addr], call: RelayCall, resolver: &Resolver) {
        if let Entry::Vacant(free) = lock(&self.datagrams).entry(call.port) {
            let relay = Arc::new(DatagramRelay::new(call, resolver.clone(), self.calls.clone()));
            free.insert(Arc::clone(&relay));
            lock(&self.tasks).push(tokio::spawn(relay.stand(own.to_vec())));
        }
    }

    /// A relay has its port for itself, or answers there whom no front knows. A port has one relay: the first.
    fn stand(&self, own: &[Ipv4Addr], call: RelayCall, resolver: &Resolver) -> Result<(), CallFailure> {
        let port = call.port;
        let relay = Relay::new(call, resolver.clone(), self.calls.clone(), self.issuer.get());
        let relay = Arc::new(relay.map_err(CallFailure::request)?);
        let mut ports = lock(&self.ports);
        if let Some(known) = ports.get(&port) {
            let _first = known.relay.set(relay);
            return Ok(());
        }
        let alone = Port {
            fronts: Vec::new(),
            relay: OnceLock::from(Arc::clone(&relay)),
            open: relay.open.clone(),
        };
        ports.insert(port, Arc::new(alone));
        lock(&self.tasks).push(tokio::spawn(relay.stand(own.to_vec())));
        Ok(())
    }
}

impl Port {
    /// Open but while all who answer here are down.
    async fn keep(self: Arc<Self>, mut listeners: Vec<TcpListener>, own: Vec<Ipv4Addr>, number: u16, faults: Faults) {
        loop {
            self.open.send_replace(true);
            let each = listeners
                .into_iter()
                .map(|listener| Box::pin(accept(listener, self.clone())));
            tokio::select! {
                _ = futures_util::future::select_all(each) => {}
                () = self.goes_down(&faults) => {}
            }
            self.open.send_replace(false);
            self.comes_up(&faults).await;
            listeners = loop {
                match listen_at(&own, number).await {
                    Ok(listeners) => break listeners,
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
        }
    }

    /// All whose calls are kept here; `None` among them = somebody else's.
    fn services(&self) -> impl Iterator<Item = Option<&str>> {
        let relay = self.relay.get().map(|relay| Some(relay.service()));
        self.fronts.iter().map(Handler::heard).chain(relay)
    }

    fn is_of(&self, services: &[String]) -> bool {
        let mut known = self.services().flatten();
        known.any(|service| services.iter().any(|one| one == service))
    }

    fn is_down(&self, faults: &Faults) -> bool {
        self.services()
            .all(|service| service.is_some_and(|service| faults.is_down(service)))
    }

    async fn goes_down(&self, faults: &Faults) {
        let mut changes = faults.changes();
        while !self.is_down(faults) {
            changes.next().await;
        }
    }

    async fn comes_up(&self, faults: &Faults) {
        let mut changes = faults.changes();
        while self.is_down(faults) {
            changes.next().await;
        }
    }

    fn is_closed(&self) -> bool {
        !*self.open.borrow()
    }

    async fn comes_to_be(&self, open: bool) {
        let mut changes = self.open.subscribe();
        // We hold a sender.
        let _never_closed = changes.wait_for(|is| *is == open).await;
    }
}

async fn accept(listener: TcpListener, port: Arc<Port>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(receive(stream, peer.ip().to_canonical(), port.clone()))),
            // Too many open files: those that are open end.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Hands a client to the front that it means, and whom none knows to the relay. One that is alone on its port need not be
/// named.
async fn receive(mut stream: TcpStream, peer: IpAddr, port: Arc<Port>) {
    if let ([only], None) = (port.fronts.as_slice(), port.relay.get()) {
        return only.clone().receive(stream, peer).await;
    }
    let said = match port.relay.get() {
        Some(relay) => relay.first_words(&mut stream).await,
        None => timeout(HANDSHAKE_LIMIT, first_words::read(&mut stream))
            .await
            .ok()
            .flatten(),
    };
    let Some((said, host)) = said else { return };
    let meant = port
        .fronts
        .iter()
        .find(|front| host.as_ref().is_some_and(|host| front.is_meant(host)));
    match (meant.cloned(), port.relay.get()) {
        (Some(front), _) => front.receive_words(said, stream, peer).await,
        (None, Some(relay)) => relay.receive_words(said, stream, peer).await,
        (None, None) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::proxy::forwarded;
    use super::*;
    use crate::agent::free_port::free_port;

    fn call(port: u16, ports: Vec<u16>) -> FrontCall {
        FrontCall {
            host: "login.example.com".to_owned(),
            port,
            tls: None,
            service: "127.0.0.1".to_owned(),
            ports,
            headers: vec![],
            forwarded: Forwarded::Said,
            heard: None,
        }
    }

    async fn begin(fronts: Vec<FrontCall>) -> Fronts {
        let all = Fronts::default();
        let call = FrontsCall {
            fronts,
            relays: vec![],
            // At every address a relay would come back to itself, until no file can be opened.
            own: vec![Ipv4Addr::LOCALHOST],
            issuer: None,
        };
        all.serve(call, &Resolver::system()).await.unwrap();
        all
    }

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let builder = Request::builder().uri("/o/authorize?a=b");
        headers
            .iter()
            .fold(builder, |builder, (name, value)| builder.header(*name, *value))
            .body(())
            .unwrap()
    }

    #[test]
    fn a_front_says_who_asked_and_for_what_name() {
        let given = request(&[
            ("Host", "login.example.com"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("X-Forwarded-Proto", "http"),
        ]);
        let call = FrontCall {
            tls: Some(FrontTls {
                chain: String::new(),
                key: String::new(),
                protocols: vec![],
            }),
            ..call(443, vec![])
        };
        let sent = forwarded(given, &call, "192.0.2.2".parse().unwrap());
        let header = |name: &str| sent.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(sent.uri(), "/o/authorize?a=b");
        assert_eq!(header("host"), "login.example.com");
        assert_eq!(header("x-forwarded-host"), "login.example.com");
        assert_eq!(header("x-forwarded-proto"), "https");
        assert_eq!(header("x-forwarded-port"), "443");
        assert_eq!(header("x-forwarded-for"), "192.0.2.1, 192.0.2.2");
    }

    #[test]
    fn what_the_configuration_says_of_a_header_has_the_last_word() {
        let own = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let call = FrontCall {
            headers: vec![
                own("X-Forwarded-Proto", Some("https")),
                own("X-Forwarded-For", None),
                own("X-Real-Ip", Some("203.0.113.7")),
            ],
            ..call(80, vec![])
        };
        let given = || request(&[("Host", "shop.example.com"), ("X-Forwarded-For", "192.0.2.1")]);
        let peer = "192.0.2.2".parse().unwrap();
        let sent = forwarded(given(), &call, peer);
        assert_eq!(sent.headers()["x-forwarded-proto"], "https");
        assert_eq!(sent.headers()["x-real-ip"], "203.0.113.7");
        assert_eq!(sent.headers()["x-forwarded-host"], "shop.example.com");
        assert!(!sent.headers().contains_key("x-forwarded-for"));
        let silent = FrontCall {
            headers: vec![],
            forwarded: Forwarded::AsItCame,
            ..call
        };
        let sent = forwarded(given(), &silent, peer);
        assert_eq!(sent.headers()["x-forwarded-for"], "192.0.2.1");
        assert!(!sent.headers().contains_key("x-forwarded-proto"));
    }

    #[test]
    fn headers_of_the_connection_stay_behind() {
        let given = request(&[
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("TE", "trailers"),
            ("X-Kept", "1"),
        ]);
        let sent = forwarded(given, &call(80, vec![]), "192.0.2.2".parse().unwrap());
        assert!(
            ["connection", "x-hop", "te"]
                .iter()
                .all(|name| !sent.headers().contains_key(*name))
        );
        assert!(sent.headers().contains_key("x-kept"));
    }

    async fn echo_service() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let echo = service_fn(|request: Request<Incoming>| async move {
                    Ok::<_, Infallible>(Response::new(request.into_body()))
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), echo));
            }
        });
        port
    }

    #[tokio::test]
    async fn a_large_body_goes_there_and_back_by_the_first_port_that_answers() {
        let (front, silent, service) = (free_port(), free_port(), echo_service().await);
        let _fronts = begin(vec![call(front, vec![silent, service])]).await;
        let body = vec![7u8; 20 * 1024 * 1024];
        let client = reqwest::Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .build()
            .unwrap();
        let answer = client
            .post(format!("http://127.0.0.1:{front}/x"))
            .body(body.clone())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.bytes().await.unwrap(), body);
    }

    /// Whether OpenSSL and the front agree on TLS, with these options of its client.
    async fn shakes_hands(port: u16, options: &[&str]) -> bool {
        let mut client = tokio::process::Command::new("openssl");
        client
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
            .args(options);
        let output = client.stdin(std::process::Stdio::null()).output().await;
        output
            .expect("openssl is installed where these tests run")
            .status
            .success()
    }

    #[tokio::test]
    async fn a_front_speaks_the_versions_that_production_speaks_and_no_other() {
        let made = rcgen::generate_simple_self_signed(["login.example.com".to_owned()]).unwrap();
        let tls = |protocols: &[Protocol]| FrontTls {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            protocols: protocols.to_vec(),
        };
        for (protocols, old, new) in [
            (&[Protocol::Tls12][..], true, false),
            (&[Protocol::Tls13], false, true),
            (&[Protocol::Tls12, Protocol::Tls13], true, true),
        ] {
            let port = free_port();
            let call = FrontCall {
                tls: Some(tls(protocols)),
                ..call(port, vec![])
            };
            let _fronts = begin(vec![call]).await;
            let spoken = (
                shakes_hands(port, &["-tls1_2"]).await,
                shakes_hands(port, &["-tls1_3"]).await,
            );
            assert_eq!(spoken, (old, new), "{protocols:?}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_away_is_a_bad_gateway_that_names_it() {
        let (front, silent) = (free_port(), free_port());
        let _fronts = begin(vec![call(front, vec![silent])]).await;
        let mut stream = TcpStream::connect(("127.0.0.1", front)).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 502"), "{said}");
        assert!(said.contains(&format!("port {silent}:")), "{said}");
    }

    async fn answer_of(port: u16, host: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let request = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut said = String::new();
        // Whom nobody knows is hung up on, with bytes on the way.
        let _ended = stream.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn two_names_on_one_port_lead_to_two_services_and_a_third_name_to_none() {
        let (port, silent, service) = (free_port(), free_port(), echo_service().await);
        let front = |host: &str, behind| FrontCall {
            host: host.to_owned(),
            ..call(port, vec![behind])
        };
        let _fronts = begin(vec![
            front("shop.example.com", service),
            front("login.example.com", silent),
        ])
        .await;
        let shop = answer_of(port, "Shop.example.com").await;
        assert!(shop.starts_with("HTTP/1.1 200") && shop.ends_with("hello"), "{shop}");
        let login = answer_of(port, "login.example.com").await;
        assert!(login.starts_with("HTTP/1.1 502"), "{login}");
        assert_eq!(answer_of(port, "other.example.com").await, "");
    }

    #[tokio::test]
    async fn calls_of_a_service_that_is_heard_are_kept_and_those_of_others_are_not() {
        for (heard, wanted) in [(Some("idp".to_owned()), 1), (None, 0)] {
            let (port, service) = (free_port(), echo_service().await);
            let front = FrontCall {
                heard,
                ..call(port, vec![service])
            };
            let fronts = begin(vec![front]).await;
            assert!(answer_of(port, "login.example.com").await.ends_with("hello"));
            let page = fronts.calls(&CallsCall::Take { after: 0, most: 9 });
            assert_eq!(page.calls.items.len(), wanted);
            assert!(page.calls.items.iter().all(|call| call.took_ms.is_some()));
        }
    }

    fn relay(fronts: &Fronts, port: u16, reached_at: &str) {
        let call = RelayCall {
            service: "idp".to_owned(),
            reached_at: reached_at.to_owned(),
            port,
            transport: Transport::Tcp,
            ends_tls: None,
        };
        fronts
            .stand(&[Ipv4Addr::new(127, 0, 0, 2)], call, &Resolver::system())
            .unwrap();
    }

    async fn through(port: u16, said: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).await?;
        stream.write_all(said).await?;
        stream.shutdown().await?;
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await?;
        Ok(heard)
    }

    /// A service that gives back every byte.
    async fn give_back(listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                let _ended = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    }

    #[tokio::test]
    async fn a_relayed_port_is_open_while_its_service_listens_and_closed_while_it_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let fronts = Fronts::default();
        relay(&fronts, port, "127.0.0.1");
        assert!(through(port, b"early").await.is_err());
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
        let service = tokio::spawn(give_back(TcpListener::bind(("127.0.0.1", port)).await.unwrap()));
        let back = loop {
            if let Ok(back) = through(port, &bytes).await {
                break back;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        assert!(back == bytes);
        service.abort();
        let _ended = service.await;
        while TcpStream::connect((Ipv4Addr::new(127, 0, 0, 2), port)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let page = fronts.calls(&CallsCall::Take { after: 0, most: 9 });
        assert_eq!(page.calls.items[0].said, calls::Said::Other);
    }

    #[tokio::test]
    async fn on_a_port_that_a_front_has_a_relay_answers_whom_the_front_does_not_know() {
        let (port, shop) = (free_port(), echo_service().await);
        let front = FrontCall {
            host: "shop.example.com".to_owned(),
            ..call(port, vec![shop])
        };
        let fronts = begin(vec![front]).await;
        let call = RelayCall {
            service: "idp".to_owned(),
            reached_at: "127.0.0.3".to_owned(),
            port,
            transport: Transport::Tcp,
            ends_tls: None,
        };
        fronts.stand(&[], call, &Resolver::system()).unwrap();
        assert!(answer_of(port, "shop.example.com").await.ends_with("hello"));
        // Nothing listens behind the relay.
        assert_eq!(answer_of(port, "idp").await, "");
    }

    #[tokio::test]
    async fn two_names_on_one_port_have_two_certificates() {
        let port = free_port();
        let front = |host: &str| {
            let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
            let tls = FrontTls {
                chain: made.cert.pem(),
                key: made.signing_key.serialize_pem(),
                protocols: vec![Protocol::Tls13],
            };
            let pem = tls.chain.clone();
            let call = FrontCall {
                host: host.to_owned(),
                tls: Some(tls),
                ..call(port, vec![])
            };
            (call, pem)
        };
        let ((shop, shop_ca), (login, _)) = (front("shop.example.com"), front("login.example.com"));
        let _fronts = begin(vec![shop, login]).await;
        let trusts_shop = |host: &'static str, ca: String| async move {
            let client = reqwest::Client::builder()
                .no_proxy()
                .tls_certs_only([reqwest::Certificate::from_pem(ca.as_bytes()).unwrap()])
                .resolve(host, ([127, 0, 0, 1], port).into())
                .build()
                .unwrap();
            client.get(format!("https://{host}:{port}/")).send().await.is_ok()
        };
        assert!(trusts_shop("shop.example.com", shop_ca.clone()).await);
        assert!(!trusts_shop("login.example.com", shop_ca).await);
    }
}
