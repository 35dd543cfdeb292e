//! A front over HTTP: every request is passed on to the service behind the name as a usual front does it, or meets the fault
//! that the service has.

use std::fmt::Write as _;
use std::io::Error;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::breaking::unbroken;
use super::calls::{Calls, Carried};
use super::ending::Ending;
use super::fault::{Fault, pause};
use super::issuer::{self, Issuer, Ours};
use super::observer::{Observed, Observer};
use super::tls::{FrontTls, HANDSHAKE_LIMIT, server_config};
use crate::agent::first_words;
use crate::agent::resolver::Resolver;

/// The longest body that comes in halves.
const HALVED_LIMIT: usize = 16 * 1024 * 1024;

/// One connection to the service takes at most this long.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// An issuer that does not say within this time where its keys are is asked again at the next request.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(5);

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

type Body = BoxBody<Bytes, Error>;

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

impl std::fmt::Debug for FrontCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FrontCall")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

fn acceptor(tls: &FrontTls) -> Result<TlsAcceptor, String> {
    Ok(TlsAcceptor::from(Arc::new(server_config(tls)?)))
}

/// What every connection knows.
#[derive(Clone)]
pub(super) struct Handler {
    tls: Option<TlsAcceptor>,
    resolver: Resolver,
    pub(super) call: Arc<FrontCall>,
    calls: Calls,
    /// Whose keys stand among the service's.
    issuer: Option<Arc<Issuer>>,
    /// How TLS is begun towards the service, where its own is ended by us.
    begins: Option<Arc<Ending>>,
}

impl Handler {
    /// One that stands for a service itself, without TLS.
    pub(super) fn of_service(service: &str, reached_at: &str, port: u16, resolver: Resolver, calls: Calls) -> Self {
        let call = FrontCall {
            host: service.to_owned(),
            port,
            tls: None,
            service: reached_at.to_owned(),
            ports: vec![port],
            headers: Vec::new(),
            forwarded: Forwarded::AsItCame,
            heard: Some(service.to_owned()),
        };
        Self {
            tls: None,
            resolver,
            call: Arc::new(call),
            calls,
            issuer: None,
            begins: None,
        }
    }

    /// How what is asked of it goes over the wire.
    pub(super) fn carried(&self) -> Carried {
        match self.begins {
            Some(_) => Carried::Tls,
            None => Carried::Clear,
        }
    }

    /// The same, over TLS towards the service.
    pub(super) fn over_tls(&self, begins: &Arc<Ending>) -> Self {
        let begins = Some(Arc::clone(begins));
        Self { begins, ..self.clone() }
    }

    pub(super) fn new(call: FrontCall, resolver: Resolver, calls: Calls) -> Result<Self, String> {
        let failed = |why: String| format!("the name `{}` cannot be answered to: {why}", call.host);
        let tls = call.tls.as_ref().map(acceptor).transpose().map_err(failed)?;
        let call = Arc::new(call);
        Ok(Self {
            tls,
            resolver,
            call,
            calls,
            issuer: None,
            begins: None,
        })
    }

    /// The same, with keys of ours among the service's, where its calls are kept.
    pub(super) fn showing(self, keys: Option<&Ours>) -> Self {
        let own = keys.filter(|_| self.call.heard.is_some());
        let issuer = own.map(|keys| Arc::new(Issuer::new(keys.clone())));
        Self { issuer, ..self }
    }

    /// Keys of ours stand among the service's.
    pub(super) fn is_issuer(&self) -> bool {
        self.issuer.is_some()
    }

    /// Whose calls are kept here, and whose faults met.
    pub(super) fn heard(&self) -> Option<&str> {
        self.call.heard.as_deref()
    }

    pub(super) fn is_meant(&self, host: &str) -> bool {
        self.call.host.eq_ignore_ascii_case(host)
    }

    /// A client at a port that is this front's alone.
    pub(super) async fn receive(self, mut stream: TcpStream, peer: IpAddr) {
        match self.fault_at(peer) {
            Some(Fault::Reset | Fault::TlsFailure) => {
                if let Ok(Some((said, _))) = timeout(HANDSHAKE_LIMIT, first_words::read(&mut stream)).await {
                    self.receive_words(said, stream, peer).await;
                }
            }
            Some(Fault::Down) => self.receive_words(Vec::new(), stream, peer).await,
            _ => self.converse(stream, peer).await,
        }
    }

    /// A client whose first words are read.
    pub(super) async fn receive_words(self, said: Vec<u8>, stream: TcpStream, peer: IpAddr) {
        let Some(stream) = unbroken(self.fault_at(peer), &said, stream).await else {
            let service = self.heard().unwrap_or_default();
            return self.calls.broken(peer, service, self.call.port, &self.resolver);
        };
        self.converse(with_words(said, stream), peer).await;
    }

    fn fault_at(&self, peer: IpAddr) -> Option<Fault> {
        let stand = self.calls.faults().of(self.heard()?);
        stand.at_connections(Some(peer))
    }

    /// A client whose connection no fault ends; one that begins later does.
    pub(super) async fn converse(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
        let Some(service) = self.call.heard.clone() else {
            return self.shake_hands(stream, peer).await;
        };
        let faults = self.calls.faults().clone();
        let stand = faults.of(&service);
        tokio::select! {
            () = self.shake_hands(stream, peer) => {}
            () = faults.begins(&service, &stand) => {}
        }
    }

    async fn shake_hands(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: IpAddr) {
        let Some(tls) = self.tls.clone() else {
            return self.serve(stream, peer, Box::pin(std::future::pending())).await;
        };
        // A client that does not trust the run's CA ends here; it says so in its own log.
        if let Ok(Ok(stream)) = timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
            self.serve(stream, peer, Box::pin(std::future::pending())).await;
        }
    }

    /// Answers all that a client asks, the last of it when `enough` returns.
    pub(super) async fn serve(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: IpAddr,
        enough: BoxFuture<'static, ()>,
    ) {
        match &self.call.heard {
            Some(service) => {
                let client = self.calls.client(peer, service, self.call.port, &self.resolver);
                let stream = Observed::new(stream, Observer::new(client, self.carried()));
                self.answer_all(stream, peer, enough).await;
            }
            None => self.answer_all(stream, peer, enough).await,
        }
    }

    async fn answer_all(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: IpAddr,
        enough: BoxFuture<'static, ()>,
    ) {
        let service = service_fn(move |request| {
            let front = self.clone();
            async move { front.answer(request, peer).await }
        });
        let http = hyper::server::conn::http1::Builder::new();
        let mut conversation = pin!(http.serve_connection(TokioIo::new(stream), service));
        // A client that goes away is no news.
        tokio::select! {
            _ = conversation.as_mut() => return,
            () = enough => conversation.as_mut().graceful_shutdown(),
        }
        let _ended = conversation.await;
    }

    /// An error ends the connection without an answer.
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Result<Response<Body>, Error> {
        let path = request.uri().path();
        let stand = self.call.heard.as_ref().map(|service| self.calls.faults().of(service));
        let fault = stand.and_then(|stand| stand.at_path(peer, path));
        match fault {
            None | Some(Fault::TlsFailure) => Ok(self.passed_on(request, peer).await),
            Some(Fault::Slow(late)) => {
                tokio::time::sleep(pause(late)).await;
                Ok(self.passed_on(request, peer).await)
            }
            Some(Fault::Errors) => Ok(refusal(StatusCode::SERVICE_UNAVAILABLE, None)),
            Some(Fault::RateLimit(after)) => Ok(refusal(StatusCode::TOO_MANY_REQUESTS, Some(after))),
            Some(Fault::SlowBody(late)) => in_halves(self.passed_on(request, peer).await, Some(pause(late))).await,
            Some(Fault::CutBody) => in_halves(self.passed_on(request, peer).await, None).await,
            Some(Fault::Down | Fault::Reset) => Err(Error::other("nobody answers here")),
        }
    }

    async fn passed_on(&self, request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        let issuer = self.issuer_at(&request, peer).await;
        let mut request = forwarded(request, &self.call, peer);
        if issuer.is_some() {
            issuer::unpacked(request.headers_mut());
        }
        let answered = match (self.pass_on(request).await, issuer) {
            (Ok(response), Some(issuer)) => issuer.with_keys(response).await.map_err(|error| error.to_string()),
            (Ok(response), None) => Ok(response.map(|body| body.map_err(Error::other).boxed())),
            (Err(why), _) => Err(why),
        };
        answered.unwrap_or_else(|why| {
            bad_gateway(&format!(
                "{} does not answer behind {}: {why}\n",
                self.call.service, self.call.host
            ))
        })
    }

    /// Who adds keys to what is asked for: the keys, wherever the product says that they are.
    async fn issuer_at(&self, request: &Request<Incoming>, peer: IpAddr) -> Option<&Issuer> {
        let issuer = self.issuer.as_deref().filter(|_| request.method() == Method::GET)?;
        if issuer.keys_at().is_none() {
            let asked = forwarded(issuer.discovery()?, &self.call, peer);
            if let Ok(Ok(answer)) = timeout(DISCOVERY_LIMIT, self.pass_on(asked)).await {
                issuer.learn(answer).await;
            }
        }
        (issuer.keys_at() == Some(request.uri().path())).then_some(issuer)
    }

    async fn pass_on<B>(&self, request: Request<B>) -> Result<Response<Incoming>, String>
    where
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.connect().await?;
        match &self.begins {
            None => self.ask(stream, request).await,
            Some(begins) => {
                let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
                let named = named.map(|host| host.split(':').next().unwrap_or(host).to_owned());
                let stream = begins.begin(stream, named.as_deref()).await;
                self.ask(stream.map_err(|error| error.to_string())?, request).await
            }
        }
    }

    async fn ask<B>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        request: Request<B>,
    ) -> Result<Response<Incoming>, String>
    where
        B: hyper::body::Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
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

/// A connection of which a part is read, as it came.
pub(super) fn with_words(
    said: Vec<u8>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> impl AsyncRead + AsyncWrite + Unpin + Send + 'static {
    let (reader, writer) = tokio::io::split(stream);
    tokio::io::join(std::io::Cursor::new(said).chain(reader), writer)
}

/// The request as a usual front hands it on: the path and production's name as they came, and who asked.
pub(super) fn forwarded<B>(mut request: Request<B>, call: &FrontCall, peer: IpAddr) -> Request<B> {
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
    answered(StatusCode::BAD_GATEWAY, why)
}

/// What the service does not say.
fn refusal(status: StatusCode, retry_after: Option<u64>) -> Response<Body> {
    let mut response = answered(status, "a fault of the rehearsal\n");
    if let Some(seconds) = retry_after {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn answered(status: StatusCode, words: &str) -> Response<Body> {
    let body = Full::new(Bytes::from(words.to_owned()))
        .map_err(|never| match never {})
        .boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}

/// A body whose second half comes late, or never.
async fn in_halves(response: Response<Body>, late: Option<Duration>) -> Result<Response<Body>, Error> {
    let (mut head, body) = response.into_parts();
    let first = Limited::new(body, HALVED_LIMIT)
        .collect()
        .await
        .map_err(Error::other)?
        .to_bytes();
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from(first.len()));
    let half = first.len() / 2;
    let second = first.slice(half..);
    let first = stream::once(async move { Ok(Frame::data(first.slice(..half))) });
    let rest = stream::once(async move {
        tokio::time::sleep(late.unwrap_or_default()).await;
        let never = || Error::other("the second half never comes");
        late.map(|_| Frame::data(second)).ok_or_else(never)
    });
    let halves = StreamBody::new(stream::StreamExt::chain(first, rest));
    Ok(Response::from_parts(head, BodyExt::boxed(halves)))
}
