//! Fronts: answers under names of production's, with TLS by the run's CA where production has TLS, and every request
//! passed on to the service behind the name as a usual front does it. Names that are expected on the same port share it:
//! a client's first words tell which it means.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
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
use socket2::{Domain, Socket, Type};
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
use super::resolver::Resolver;
use super::session::lock;

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
pub(super) struct Fronts(Mutex<Vec<tokio::task::JoinHandle<()>>>);

impl Drop for Fronts {
    fn drop(&mut self) {
        lock(&self.0).iter().for_each(tokio::task::JoinHandle::abort);
    }
}

impl Fronts {
    /// Begins to answer; returns once connections are accepted.
    pub(super) async fn serve(&self, call: FrontsCall, resolver: &Resolver) -> Result<(), CallFailure> {
        let mut ports: BTreeMap<u16, Vec<Handler>> = BTreeMap::new();
        for front in call.fronts {
            let port = ports.entry(front.port).or_default();
            port.push(Handler::new(front, resolver.clone()).map_err(CallFailure::request)?);
        }
        for (port, fronts) in ports {
            self.open(&call.own, port, fronts.into()).await?;
        }
        Ok(())
    }

    async fn open(&self, own: &[Ipv4Addr], port: u16, fronts: Arc<[Handler]>) -> Result<(), CallFailure> {
        let failed = |error: std::io::Error| {
            let hosts: Vec<String> = fronts.iter().map(|front| format!("`{}`", front.call.host)).collect();
            let hosts = hosts.join(", ");
            CallFailure::request(format!("the name {hosts} cannot be answered to: port {port}: {error}"))
        };
        let listeners = listen_at(own, port).await.map_err(failed)?;
        let accepting = |listener| tokio::spawn(accept(listener, fronts.clone()));
        lock(&self.0).extend(listeners.into_iter().map(accepting));
        Ok(())
    }
}

/// At each of our own addresses of IPv4, where the agent has taken gateways: every other address would be ours as well.
/// Of IPv6 everywhere; no foreign address of it is ours.
async fn listen_at(own: &[Ipv4Addr], port: u16) -> std::io::Result<Vec<TcpListener>> {
    if own.is_empty() {
        return Ok(vec![listen(port).await?]);
    }
    let each = own.iter().map(|address| TcpListener::bind((*address, port)));
    let mut all = futures_util::future::try_join_all(each).await?;
    // A container that has no IPv6 has nobody who asks by it.
    all.extend(listen_v6(port).ok());
    Ok(all)
}

fn listen_v6(port: u16) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None)?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into())?;
    socket.listen(1024)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket.into())
}

/// On every address, of both families where the container has both.
pub(super) async fn listen(port: u16) -> std::io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Ok(listener) => Ok(listener),
        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
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

async fn accept(listener: TcpListener, fronts: Arc<[Handler]>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => drop(tokio::spawn(receive(stream, peer.ip().to_canonical(), fronts.clone()))),
            // Too many open files: those that are open end.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Hands a client to the front that it means. One that is alone on its port need not be named.
async fn receive(mut stream: TcpStream, peer: IpAddr, fronts: Arc<[Handler]>) {
    if let [only] = &*fronts {
        return only.clone().converse(stream, peer).await;
    }
    let Ok(Some((said, host))) = timeout(HANDSHAKE_LIMIT, first_words::read(&mut stream)).await else {
        return;
    };
    let meant = fronts.iter().find(|front| front.call.host.eq_ignore_ascii_case(&host));
    if let Some(front) = meant.cloned() {
        let (reader, writer) = stream.into_split();
        let again = tokio::io::join(std::io::Cursor::new(said).chain(reader), writer);
        front.converse(again, peer).await;
    }
}

/// What every connection knows.
#[derive(Clone)]
struct Handler {
    tls: Option<TlsAcceptor>,
    resolver: Resolver,
    call: Arc<FrontCall>,
}

impl Handler {
    fn new(call: FrontCall, resolver: Resolver) -> Result<Self, String> {
        let failed = |why: String| format!("the name `{}` cannot be answered to: {why}", call.host);
        let tls = call.tls.as_ref().map(acceptor).transpose().map_err(failed)?;
        let call = Arc::new(call);
        Ok(Self { tls, resolver, call })
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
    let before = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok())
        .map(|list| format!("{list}, "));
    let scheme = if call.tls.is_some() { "https" } else { "http" };
    let known = [
        (header::HOST, host.clone()),
        (HeaderName::from_static("x-forwarded-host"), host),
        (
            HeaderName::from_static("x-forwarded-port"),
            Some(HeaderValue::from(call.port)),
        ),
        (
            HeaderName::from_static("x-forwarded-proto"),
            Some(HeaderValue::from_static(scheme)),
        ),
        (
            HeaderName::from_static("x-forwarded-for"),
            HeaderValue::from_str(&format!("{}{peer}", before.unwrap_or_default())).ok(),
        ),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
    request
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
    use tokio::io::AsyncWriteExt as _;

    fn call(port: u16, ports: Vec<u16>) -> FrontCall {
        FrontCall {
            host: "login.example.com".to_owned(),
            port,
            tls: None,
            service: "127.0.0.1".to_owned(),
            ports,
        }
    }

    async fn begin(fronts: Vec<FrontCall>) -> Fronts {
        let all = Fronts::default();
        let call = FrontsCall { fronts, own: vec![] };
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

    /// A port nobody listens on, as far as one can know.
    async fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0")
            .await
            .unwrap()
            .local_addr()
            .unwrap()
            .port()
    }

    #[tokio::test]
    async fn a_large_body_goes_there_and_back_by_the_first_port_that_answers() {
        let (front, silent, service) = (free_port().await, free_port().await, echo_service().await);
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
            let port = free_port().await;
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
        let (front, silent) = (free_port().await, free_port().await);
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
        let (port, silent, service) = (free_port().await, free_port().await, echo_service().await);
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
    async fn two_names_on_one_port_have_two_certificates() {
        let port = free_port().await;
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
