//! Fronts: answers under names of production's, with TLS by the run's CA where production has TLS, and every request
//! passed on to the service behind the name as a usual front does it. Names that are expected on the same port share it:
//! a client's first words tell which it means. A service's own names are relayed, byte by byte. What is asked of the
//! authentication dependency is read along.

pub mod calls;
mod http_watch;
mod ldap_watch;
mod observer;
mod octets;
pub mod relay;
mod tls_watch;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use super::failure::CallFailure;
use super::first_words;
use super::listen::listen_at;
use super::resolver::Resolver;
use super::session::lock;
use calls::{Calls, CallsAnswer, CallsCall};
use observer::{Observed, Observer};
use relay::{Relay, RelayCall};

/// One connection to the service takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// One handshake with a client. Long: on a machine at its limits a client takes its time, and a front that hangs up on it
/// would look like the candidate's fault.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(60);

/// Headers that belong to one connection, not to the message.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

type Body = BoxBody<Bytes, hyper::Error>;

/// Names of production's to answer to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FrontsCall {
    /// Each.
    pub fronts: Vec<FrontCall>,
    /// Services that are reached through us under their own names.
    pub relays: Vec<RelayCall>,
    /// Where they are answered, of IPv4; empty = everywhere.
    pub own: Vec<Ipv4Addr>,
}

/// A name of production's to answer to, and what stands behind it.
#[derive(Clone, Serialize, Deserialize)]
pub struct FrontCall {
    /// The name.
    pub host: String,
    /// The port on which it is expected.
    pub port: u16,
    /// `None` = without TLS.
    pub tls: Option<FrontTls>,
    /// The service that requests are passed on to.
    pub service: String,
    /// Its ports for plain HTTP, tried in order.
    pub ports: Vec<u16>,
    /// Headers that are set on the way; `None` = taken away.
    pub headers: Vec<(String, Option<String>)>,
    /// What the service hears of the request as it came, beside these.
    pub forwarded: Forwarded,
    /// Whose calls are kept, by production's name of the service; `None` = nobody's.
    pub heard: Option<String>,
}

/// What a service behind a front hears of how it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Forwarded {
    /// `X-Forwarded-Proto`, `-Host`, `-Port` and `-For`, as a usual front says them.
    Said,
    /// Nothing but what the client itself said.
    AsItCame,
}

/// How a name is answered to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrontTls {
    /// Certificate chain, PEM.
    pub chain: String,
    /// Its key, PEM.
    pub key: String,
    /// Versions that are spoken, oldest first; at least one.
    pub protocols: Vec<Protocol>,
}

/// A version of TLS that the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// 1.2, RFC 5246.
    Tls12,
    /// 1.3, RFC 8446.
    Tls13,
}

impl fmt::Display for Protocol {
    /// As a lock has it: `TLSv1.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

impl std::fmt::Debug for FrontCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontCall")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// The names that are answered to, while this is held.
#[derive(Default)]
pub(super) struct Fronts {
    tasks: Mutex<Vec<tokio::task::JoinHandle<()>>>,
    ports: Mutex<BTreeMap<u16, Arc<Port>>>,
    calls: Calls,
}

/// A port, and who answers there.
struct Port {
    fronts: Vec<Handler>,
    /// Who answers whom no front knows.
    relay: OnceLock<Arc<Relay>>,
}

impl Drop for Fronts {
    fn drop(&mut self) {
        lock(&self.tasks).iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Fronts {
    /// Begins to answer; returns once connections are accepted, those of relays excepted: they follow their services.
    pub(super) async fn serve(&self, call: FrontsCall, resolver: &Resolver) -> Result<(), CallFailure> {
        let mut ports: BTreeMap<u16, Vec<Handler>> = BTreeMap::new();
        for front in call.fronts {
            let port = ports.entry(front.port).or_default();
            let handler = Handler::new(front, resolver.clone(), self.calls.clone());
            port.push(handler.map_err(CallFailure::request)?);
        }
        for (port, fronts) in ports {
            self.open(&call.own, port, fronts).await?;
        }
        for relay in call.relays {
            self.stand(&call.own, relay, resolver);
        }
        Ok(())
    }

    /// What was asked at the fronts.
    pub(super) fn calls(&self, call: &CallsCall) -> CallsAnswer {
        self.calls.serve(call)
    }

    async fn open(&self, own: &[Ipv4Addr], port: u16, fronts: Vec<Handler>) -> Result<(), CallFailure> {
        let failed = |error: std::io::Error| {
            let hosts: Vec<String> = fronts.iter().map(|front| format!("`{}`", front.call.host)).collect();
            let hosts = hosts.join(", ");
            CallFailure::request(format!("the name {hosts} cannot be answered to: port {port}: {error}"))
        };
        let listeners = listen_at(own, port).await.map_err(failed)?;
        let relay = OnceLock::new();
        let answering = Arc::new(Port { fronts, relay });
        let accepting = |listener| tokio::spawn(accept(listener, answering.clone()));
        lock(&self.tasks).extend(listeners.into_iter().map(accepting));
        lock(&self.ports).insert(port, answering);
        Ok(())
    }

    /// A relay has its port for itself, or answers there whom no front knows. A port has one relay: the first.
    fn stand(&self, own: &[Ipv4Addr], call: RelayCall, resolver: &Resolver) {
        let port = call.port;
        let relay = Arc::new(Relay::new(call, resolver.clone(), self.calls.clone()));
        let mut ports = lock(&self.ports);
        if let Some(known) = ports.get(&port) {
            let _first = known.relay.set(relay);
            return;
        }
        let fronts = Vec::new();
        let alone = Port {
            fronts,
            relay: OnceLock::from(Arc::clone(&relay)),
        };
        ports.insert(port, Arc::new(alone));
        lock(&self.tasks).push(tokio::spawn(relay.stand(own.to_vec())));
    }
}

fn acceptor(tls: &FrontTls) -> Result<TlsAcceptor, String> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(tls.chain.as_bytes()).collect();
    let chain = chain.map_err(|error| format!("its certificate is not readable: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
        .map_err(|error| format!("its key is not readable: {error}"))?;
    let version = |protocol: &Protocol| match protocol {
        Protocol::Tls12 => &TLS12,
        Protocol::Tls13 => &TLS13,
    };
    let versions: Vec<_> = tls.protocols.iter().map(version).collect();
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)
        .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, port: Arc<Port>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(receive(stream, peer.ip().to_canonical(), port.clone()))),
            // Too many open files: those that are open end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Hands a client to the front that it means, and whom none knows to the relay. One that is alone on its port need not be
/// named.
async fn receive(mut stream: TcpStream, peer: IpAddr, port: Arc<Port>) {
    if let ([only], None) = (port.fronts.as_slice(), port.relay.get()) {
        return only.clone().converse(stream, peer).await;
    }
    let Ok(Some((said, host))) = timeout(HANDSHAKE_LIMIT, first_words::read(&mut stream)).await else {
        return;
    };
    let is_meant = |front: &&Handler| {
        host.as_ref()
            .is_some_and(|host| front.call.host.eq_ignore_ascii_case(host))
    };
    let meant = port.fronts.iter().find(is_meant).cloned();
    let (reader, writer) = stream.into_split();
    let again = tokio::io::join(std::io::Cursor::new(said).chain(reader), writer);
    match (meant, port.relay.get()) {
        (Some(front), _) => front.converse(again, peer).await,
        (None, Some(relay)) => relay.carry(again, peer).await,
        (None, None) => {}
    }
}

/// What every connection knows.
#[derive(Clone)]
struct Handler {
    tls: Option<TlsAcceptor>,
    resolver: Resolver,
    call: Arc<FrontCall>,
    calls: Calls,
}

impl Handler {
    fn new(call: FrontCall, resolver: Resolver, calls: Calls) -> Result<Self, String> {
        let failed = |why: String| format!("the name `{}` cannot be answered to: {why}", call.host);
        let tls = call.tls.as_ref().map(acceptor).transpose().map_err(failed)?;
        let call = Arc::new(call);
        Ok(Self {
            tls,
            resolver,
            call,
            calls,
        })
    }

    async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
        let Some(tls) = self.tls.clone() else {
            return self.serve(stream, peer).await;
        };
        // A client that does not trust the run's CA ends here; it says so in its own log.
        if let Ok(Ok(stream)) = timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
            self.serve(stream, peer).await;
        }
    }

    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
        match &self.call.heard {
            Some(service) => {
                let client = self.calls.client(peer, service, self.call.port, &self.resolver);
                let stream = Observed::new(stream, Observer::new(client));
                self.answer_all(stream, peer).await;
            }
            None => self.answer_all(stream, peer).await,
        }
    }

    async fn answer_all(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
        let service = service_fn(move |request| {
            let front = self.clone();
            async move { Ok::<_, Infallible>(front.answer(request, peer).await) }
        });
        // A client that goes away is no news.
        let _ended = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        match self.pass_on(forwarded(request, &self.call, peer)).await {
            Ok(response) => response.map(|body| body.boxed()),
            Err(why) => bad_gateway(&format!(
                "{} does not answer behind {}: {why}\n",
                self.call.service, self.call.host
            )),
        }
    }

    async fn pass_on(&self, request: Request<Incoming>) -> Result<Response<Incoming>, String> {
        let stream = self.connect().await?;
        let handshake = hyper::client::conn::http1::Builder::new()
            .handshake(TokioIo::new(stream))
            .await;
        let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let mut response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        drop_hop_by_hop(response.headers_mut());
        *response.version_mut() = Version::HTTP_11;
        Ok(response)
    }

    /// The first port that takes a connection: where production's files and the image name several, they are tried in order.
    async fn connect(&self) -> Result<TcpStream, String> {
        let mut tried = String::new();
        for address in self.resolver.addresses(&self.call.service).await? {
            for port in &self.call.ports {
                match timeout(CONNECT_LIMIT, TcpStream::connect(SocketAddr::new(address, *port))).await {
                    Ok(Ok(stream)) => return Ok(stream),
                    Ok(Err(error)) => drop(write!(tried, "port {port}: {error}; ")),
                    Err(_) => drop(write!(tried, "port {port}: no answer; ")),
                }
            }
        }
        Err(tried.trim_end_matches("; ").to_owned())
    }
}

/// The request as a usual front hands it on: the path and production's name as they came, and who asked.
fn forwarded<B>(mut request: Request<B>, call: &FrontCall, peer: IpAddr) -> Request<B> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let uri = path.parse().unwrap_or_default();
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    drop_hop_by_hop(headers);
    let host = headers
        .get(header::HOST)
        .cloned()
        .or_else(|| HeaderValue::from_str(&call.host).ok());
    if let Some(host) = host.clone() {
        headers.insert(header::HOST, host);
    }
    if call.forwarded == Forwarded::Said {
        say_forwarded(headers, call, host, peer);
    }
    set_own(headers, &call.headers);
    request
}

fn say_forwarded(headers: &mut HeaderMap, call: &FrontCall, host: Option<HeaderValue>, peer: IpAddr) {
    let before = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok())
        .map(|list| format!("{list}, "));
    let scheme = if call.tls.is_some() { "https" } else { "http" };
    let known = [
        ("x-forwarded-host", host),
        ("x-forwarded-port", Some(HeaderValue::from(call.port))),
        ("x-forwarded-proto", Some(HeaderValue::from_static(scheme))),
        (
            "x-forwarded-for",
            HeaderValue::from_str(&format!("{}{peer}", before.unwrap_or_default())).ok(),
        ),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// What the configuration says has the last word.
fn set_own(headers: &mut HeaderMap, own: &[(String, Option<String>)]) {
    for (name, value) in own {
        let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
            continue;
        };
        headers.remove(&name);
        if let Some(value) = value.as_ref().and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

fn drop_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

fn bad_gateway(why: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(why.to_owned()))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::free_port::free_port;
    use tokio::io::AsyncWriteExt as _;

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
        begin_at(vec![], fronts).await
    }

    async fn begin_at(own: Vec<Ipv4Addr>, fronts: Vec<FrontCall>) -> Fronts {
        let all = Fronts::default();
        let call = FrontsCall {
            fronts,
            relays: vec![],
            own,
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
        };
        fronts.stand(&[Ipv4Addr::new(127, 0, 0, 2)], call, &Resolver::system());
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
        // On one address only: on all of them, what stands behind the relay would be the front again, without end.
        let fronts = begin_at(vec![Ipv4Addr::LOCALHOST], vec![front]).await;
        let call = RelayCall {
            service: "idp".to_owned(),
            reached_at: "127.0.0.3".to_owned(),
            port,
        };
        fronts.stand(&[], call, &Resolver::system());
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
