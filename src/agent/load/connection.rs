//! Connections of a load: to one server each, opened when none that was kept is free, and kept while the server keeps them.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use url::Url;

use super::super::failure::CallFailureKind;
use super::super::resolver::Resolver;
use super::super::session::lock;

/// A connection that is open.
pub(super) type Connection = SendRequest<Full<Bytes>>;

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The server's doing, or the network's.
    Failed(CallFailureKind),
    /// This machine gives no more files or ports: the gate's doing.
    Unsent,
}

/// A server, by name and port.
pub(super) struct Target {
    addresses: Result<Vec<SocketAddr>, ()>,
    turn: AtomicUsize,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    kept: Mutex<Vec<Connection>>,
}

impl Target {
    /// The server of a URL, or the one that bears another name in its place. Its name is asked for once: the clients of a
    /// service keep its address, too.
    pub async fn of(url: &Url, at: Option<&str>, tls: &TlsConnector, resolver: &Resolver) -> Result<Self, String> {
        let host = url.host_str().ok_or("it has no host")?;
        let port = url.port_or_known_default().ok_or("it has no port")?;
        let tls = match url.scheme() {
            "http" => None,
            "https" => {
                let bare = host.trim_matches(['[', ']']).to_owned();
                let name = ServerName::try_from(bare).map_err(|error| error.to_string())?;
                Some((tls.clone(), name))
            }
            other => return Err(format!("`{other}:` is not a scheme of HTTP")),
        };
        let found = resolver.addresses(at.unwrap_or(host)).await;
        let addresses = found.map(|all| all.into_iter().map(|address| SocketAddr::new(address, port)).collect());
        Ok(Self {
            addresses: addresses.map_err(drop),
            turn: AtomicUsize::new(0),
            tls,
            kept: Mutex::default(),
        })
    }

    /// One that was kept, and that the server has not closed meanwhile.
    pub fn take_kept(&self) -> Option<Connection> {
        let mut kept = lock(&self.kept);
        while let Some(connection) = kept.pop() {
            if connection.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps one for the next request.
    pub fn keep(&self, connection: Connection) {
        if !connection.is_closed() {
            lock(&self.kept).push(connection);
        }
    }

    /// A new one, to each of the server's addresses in turn.
    pub async fn open(&self) -> Result<Connection, Unanswered> {
        let addresses = self
            .addresses
            .as_ref()
            .map_err(|()| Unanswered::Failed(CallFailureKind::Dns))?;
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let address = turn.checked_rem(addresses.len()).and_then(|at| addresses.get(at));
        let address = address.ok_or(Unanswered::Failed(CallFailureKind::Dns))?;
        let stream = TcpStream::connect(address).await.map_err(|error| of_connect(&error))?;
        let _delays = stream.set_nodelay(true);
        match &self.tls {
            None => shake(stream).await,
            Some((tls, name)) => {
                let stream = tls.connect(name.clone(), stream).await;
                shake(stream.map_err(|_| Unanswered::Failed(CallFailureKind::Tls))?).await
            }
        }
    }
}

async fn shake(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection, Unanswered> {
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (connection, carrier) = shaken.map_err(|error| of_http(&error))?;
    // It ends with the connection, and the connection with its last user.
    tokio::spawn(carrier);
    Ok(connection)
}

/// One exchange on a connection, body and all: the status. The connection is given back where it can be used again.
pub(super) async fn exchange(connection: &mut Connection, request: Request<Full<Bytes>>) -> Result<u16, Ended> {
    let answer = connection.try_send_request(request).await;
    let answer: Response<Incoming> = answer.map_err(|mut error| match error.take_message() {
        Some(request) => Ended::Unwritten(Box::new(request)),
        None if error.error().is_incomplete_message() => Ended::Silent,
        None => Ended::Broken(of_http(error.error())),
    })?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| Ended::Broken(of_http(&error)))?;
    }
    // Until the carrier has seen the end of the body it takes no other request.
    let _closed = connection.ready().await;
    Ok(status)
}

/// How an exchange ended that has no answer.
#[derive(Debug)]
pub(super) enum Ended {
    /// The connection was gone before a byte was written.
    Unwritten(Box<Request<Full<Bytes>>>),
    /// The server hung up without a byte of an answer, as one does with a connection that it has kept for long enough.
    Silent,
    /// Anything else.
    Broken(Unanswered),
}

/// `EMFILE`, `ENFILE`, `EADDRNOTAVAIL` and `ENOBUFS` of Linux: this machine has no more of something.
const OURS: [i32; 4] = [24, 23, 99, 105];

fn of_connect(error: &std::io::Error) -> Unanswered {
    match error.raw_os_error() {
        Some(code) if OURS.contains(&code) => Unanswered::Unsent,
        _ => Unanswered::Failed(CallFailureKind::Connect),
    }
}

fn of_http(error: &hyper::Error) -> Unanswered {
    let kind = match error {
        error if error.is_parse() => CallFailureKind::Protocol,
        error if error.is_timeout() => CallFailureKind::Timeout,
        _ => CallFailureKind::Reset,
    };
    Unanswered::Failed(kind)
}

/// Every server of a load.
pub(super) type Targets = std::collections::HashMap<Key, Arc<Target>>;

/// What tells one server from another: scheme, host and port, and the name that is asked for in the host's place.
pub(super) type Key = (String, Option<String>);

/// The key of a URL's server.
pub(super) fn key(url: &Url, at: Option<&str>) -> Key {
    (url.origin().ascii_serialization(), at.map(str::to_owned))
}
