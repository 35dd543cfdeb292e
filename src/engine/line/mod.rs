//! The line to the engine: one way of carrying the API's calls over a socket, TCP, TLS or SSH.
//!
//! A connection is used again once an answer has been read. Names are not looked up by the C library, which a static
//! program must not do, and the API's version stands in every path: engines keep what older versions promised, and
//! do not promise anything to callers who name none.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use bollard::{BollardRequest, Docker};
use hickory_resolver::TokioResolver;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderValue, UPGRADE};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

pub mod address;
pub(super) mod agree;
mod tunnel;

use address::{Certificates, Endpoint};

/// Seconds that the engine has for the beginning of an answer.
const ANSWER: u64 = 120;
/// Time for a connection to come about.
const CONNECT: Duration = Duration::from_secs(15);
/// A connection that nobody used for this long may have been forgotten by a firewall.
const IDLE: Duration = Duration::from_secs(20);
/// Connections that are kept for later.
const MOST_IDLE: usize = 8;
/// Connections that come about at the same time: an SSH server turns away more than ten at once.
const AT_ONCE: usize = 6;

/// What carries bytes.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A line to an engine; it is opened by the first call.
pub(super) struct Transport {
    endpoint: Endpoint,
    version: OnceLock<String>,
    idle: Mutex<Vec<Idle>>,
    connecting: tokio::sync::Semaphore,
}

struct Idle {
    since: Instant,
    calls: Calls,
}

type Calls = SendRequest<CallBody>;
type CallBody = <BollardRequest as Content>::Body;

/// Names the type of a call's body, which bollard does not.
trait Content {
    type Body;
}

impl<B: Body> Content for Request<B> {
    type Body = B;
}

impl Transport {
    /// Where it leads.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn to(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Self {
            endpoint,
            version: OnceLock::new(),
            idle: Mutex::default(),
            connecting: tokio::sync::Semaphore::new(AT_ONCE),
        })
    }

    /// The client that speaks over this line.
    pub(super) fn docker(self: &Arc<Self>) -> Result<Docker, bollard::errors::Error> {
        let line = Arc::clone(self);
        let carry = move |call: BollardRequest| {
            let line = Arc::clone(&line);
            async move { line.carry(call).await }
        };
        // The address is for the host header only.
        Docker::connect_with_custom_transport(carry, Some("http://engine"), ANSWER, bollard::API_DEFAULT_VERSION)
    }

    /// From now on every call is one of this version, such as `1.41`.
    pub(super) fn speak(&self, version: String) {
        // It has been agreed once.
        let _agreed = self.version.set(version);
    }

    async fn carry(&self, call: BollardRequest) -> Result<Response<Incoming>, bollard::errors::Error> {
        let mut call = self.addressed(call)?;
        while let Some(mut calls) = self.take() {
            match calls.try_send_request(call).await {
                Ok(answer) => return Ok(self.answered(answer, calls)),
                // The engine had closed it: the call is still ours.
                Err(mut lost) => match lost.take_message() {
                    Some(unsent) => call = unsent,
                    None => return Err(lost.into_error().into()),
                },
            }
        }
        let mut calls = self.connect().await?;
        let answer = calls.send_request(call).await?;
        Ok(self.answered(answer, calls))
    }

    /// A connection that speaks another protocol from here on, as BuildKit's do; `None` = the engine knows no such path.
    pub(super) async fn upgraded(&self, path: &str, headers: HeaderMap) -> io::Result<Option<Upgraded>> {
        let mut call = Request::post(path)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "h2c")
            .body(bollard::body_full(bytes::Bytes::new()))
            .map_err(io::Error::other)?;
        call.headers_mut().extend(headers);
        let call = self.addressed(call).map_err(io::Error::other)?;
        let mut calls = self.connect().await?;
        let answer = within(async { calls.send_request(call).await.map_err(io::Error::other) }).await?;
        match answer.status() {
            StatusCode::SWITCHING_PROTOCOLS => hyper::upgrade::on(answer).await.map(Some).map_err(io::Error::other),
            _ => Ok(None),
        }
    }

    /// The call as it goes over the wire: its path with the version, and a host.
    fn addressed(&self, call: BollardRequest) -> Result<BollardRequest, bollard::errors::Error> {
        let (mut parts, body) = call.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let version = self
            .version
            .get()
            .map(|version| format!("/v{version}"))
            .unwrap_or_default();
        parts.uri = format!("{version}{}", apart(path))
            .parse::<Uri>()
            .map_err(io::Error::other)?;
        parts.headers.insert(HOST, HeaderValue::from_static("engine"));
        spell_credentials_for_engines(&mut parts.headers);
        Ok(Request::from_parts(parts, body))
    }

    fn answered(&self, answer: Response<Incoming>, calls: Calls) -> Response<Incoming> {
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.retain(Idle::is_usable);
            if idle.len() < MOST_IDLE {
                let since = Instant::now();
                idle.push(Idle { since, calls });
            }
        }
        answer
    }

    /// A connection whose last answer has been read to its end.
    fn take(&self) -> Option<Calls> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Idle::is_usable);
        let at = idle.iter().position(|one| one.calls.is_ready())?;
        Some(idle.swap_remove(at).calls)
    }

    async fn connect(&self) -> io::Result<Calls> {
        let _turn = self.connecting.acquire().await.map_err(io::Error::other)?;
        match &self.endpoint {
            Endpoint::Socket(path) => hands(within(UnixStream::connect(path)).await?).await,
            Endpoint::Tcp { host, port, tls: None } => hands(tcp(host, *port).await?).await,
            Endpoint::Tcp {
                host,
                port,
                tls: Some(tls),
            } => {
                let stream = tcp(host, *port).await?;
                hands(within(secured(stream, host, tls)).await?).await
            }
            Endpoint::Ssh(ssh) => {
                let (stream, end) = tunnel::open(ssh)?;
                let mut calls = hands(stream).await?;
                // Whether it leads anywhere shows when something comes back; else SSH has said why.
                match ping(&mut calls).await {
                    Ok(()) => Ok(calls),
                    Err(error) => Err(end.why(error).await),
                }
            }
        }
    }
}

/// Engines read credentials in the form of base64 that is made for URLs, and take what they cannot read for none at
/// all; bollard 0.21 writes the other form.
fn spell_credentials_for_engines(headers: &mut HeaderMap) {
    for name in ["x-registry-auth", "x-registry-config"] {
        let Some(value) = headers.get_mut(name) else { continue };
        let spelt = value.to_str().map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(Ok(mut new)) = spelt.ok().map(HeaderValue::try_from) {
            new.set_sensitive(true);
            *value = new;
        }
    }
}

/// bollard writes all changes to an image into one, line by line; Podman wants each by itself.
fn apart(path: &str) -> String {
    match path.split_once("changes=") {
        Some((before, changes)) if path.starts_with("/images/create") => {
            format!("{before}changes={}", changes.replace("%0A", "&changes="))
        }
        _ => path.to_owned(),
    }
}

impl Idle {
    fn is_usable(&self) -> bool {
        !self.calls.is_closed() && self.since.elapsed() < IDLE
    }
}

async fn hands(stream: impl Stream + 'static) -> io::Result<Calls> {
    let (calls, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    // Its end shows in the calls that it carries.
    tokio::spawn(connection.with_upgrades());
    Ok(calls)
}

async fn ping(calls: &mut Calls) -> io::Result<()> {
    let body = bollard::body_full(bytes::Bytes::new());
    let ping = Request::get("/_ping")
        .header(HOST, "engine")
        .body(body)
        .map_err(io::Error::other)?;
    let answer = within(async { calls.send_request(ping).await.map_err(io::Error::other) }).await?;
    // Two letters; to be read before the next call.
    http_body_util::BodyExt::collect(answer.into_body())
        .await
        .map_err(io::Error::other)?;
    calls.ready().await.map_err(io::Error::other)
}

async fn within<T>(connected: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| {
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("nothing came back within {} s", CONNECT.as_secs()),
        )
    };
    tokio::time::timeout(CONNECT, connected)
        .await
        .unwrap_or_else(|elapsed| Err(late(elapsed)))
}

async fn tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = None;
    for address in addresses(host).await? {
        match within(TcpStream::connect((address, port))).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stay(&stream)?;
                return Ok(stream);
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other(format!("`{host}` has no address"))))
}

/// A stream of events may be silent for long: what stands between must not take it for dead.
fn stay(stream: &TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(30))?;
    Ok(sockopt::set_tcp_keepintvl(stream, Duration::from_secs(10))?)
}

async fn addresses(host: &str) -> io::Result<Vec<std::net::IpAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let resolver = TokioResolver::builder_tokio().and_then(hickory_resolver::ResolverBuilder::build);
    let resolver = resolver.map_err(|error| io::Error::other(format!("`/etc/resolv.conf` cannot be used: {error}")))?;
    let found = resolver.lookup_ip(host).await;
    let found = found.map_err(|error| io::Error::other(format!("`{host}` has no address: {error}")))?;
    Ok(found.iter().collect())
}

async fn secured(stream: TcpStream, host: &str, tls: &Certificates) -> io::Result<impl Stream + use<>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(Arc::new(config(&tls.folder)?))
        .connect(name, stream)
        .await
}

/// As the Docker client has it: `ca.pem` alone is trusted where it is there, else what the system trusts; `cert.pem` and
/// `key.pem` say who we are.
fn config(folder: &Path) -> io::Result<ClientConfig> {
    let bad = |path: &Path, error: &dyn std::fmt::Display| {
        io::Error::other(format!("`{}` cannot be used: {error}", path.display()))
    };
    let (ca, cert, key) = (folder.join("ca.pem"), folder.join("cert.pem"), folder.join("key.pem"));
    let certificates = |path: &Path| {
        let all: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
        all.map_err(|error| bad(path, &error))
    };
    let mut roots = RootCertStore::empty();
    let trusted = if ca.exists() {
        certificates(&ca)?
    } else {
        rustls_native_certs::load_native_certs().certs
    };
    roots.add_parsable_certificates(trusted);
    let config = ClientConfig::builder().with_root_certificates(roots);
    if !cert.exists() {
        return Ok(config.with_no_client_auth());
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| bad(&key, &error))?;
    config
        .with_client_auth_cert(certificates(&cert)?, private)
        .map_err(|error| bad(&cert, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_with_every_sign_reaches_the_engine() {
        use base64::Engine as _;
        let password = br#"{"password":"??>>~~"}"#;
        let plain = base64::engine::general_purpose::STANDARD.encode(password);
        assert!(plain.contains(['+', '/']), "{plain} shows nothing");
        let mut headers = HeaderMap::new();
        headers.insert("x-registry-auth", plain.parse().unwrap());
        spell_credentials_for_engines(&mut headers);
        let read = base64::engine::general_purpose::URL_SAFE.decode(&headers["x-registry-auth"]);
        assert_eq!(read.as_deref(), Ok(&password[..]));
    }

    #[test]
    fn changes_to_an_image_travel_one_by_one() {
        let path = "/images/create?fromSrc=-&changes=LABEL+a%3D1%0ALABEL+b%3D2&platform=";
        assert_eq!(
            apart(path),
            "/images/create?fromSrc=-&changes=LABEL+a%3D1&changes=LABEL+b%3D2&platform="
        );
        assert_eq!(apart("/commit?changes=a%0Ab"), "/commit?changes=a%0Ab");
    }
}
