//! One HTTP exchange as a careful client does it: a connection of its own, redirects hop by hop, a bounded body.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, Response, StatusCode};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use super::failure::{CallFailure, Failure, millis};
use super::jar::{Lifted, Ruled, Trip};
use super::resolver::{INSTEAD, Instead, LOOKUP, Resolver, TURNS};
use super::session::{self, Jar, Sessions, lock};

/// From here on a status says that the server is at fault (RFC 9110, section 15.6).
pub const SERVER_ERROR: u16 = 500;

/// Bodies are cut here: 8 MiB.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;

/// What a request says it comes from, unless it says so itself.
pub(super) const USER_AGENT: &str = concat!("rehearsal/", env!("CARGO_PKG_VERSION"));

/// Clients kept for different trust; a run knows a handful.
const MOST_CLIENTS: usize = 32;

/// One HTTP exchange.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpCall {
    /// Cookie jar to use; made when first named.
    pub session: String,
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// The name by which the URL's host is reached, where that is one of several which bear the host's own.
    pub reached_at: Option<String>,
    /// In order; names as given.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body.
    pub body: Option<String>,
    /// Follow at most this many redirects; 0 = none.
    pub follow: u32,
    /// The exchange's limit, milliseconds.
    pub timeout_ms: u64,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Further CAs, PEM; the run's own is among them.
    pub ca: Vec<String>,
    /// The page in a browser's window that leads there, so that cookies with `SameSite` are asked; none where an address
    /// is typed, or a tool asks. Absolute.
    pub led_by: Option<String>,
    /// Rules of cookies that do not hold for once.
    #[serde(default)]
    pub lifted: Lifted,
}

impl HttpCall {
    /// How long it may take.
    pub(super) fn limit(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}

/// An HTTP response.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// In the order received; values that are not UTF-8 are lossy.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body, at most [`BODY_LIMIT`] bytes of it.
    pub body: String,
    /// The body was longer than the limit.
    pub truncated: bool,
    /// The URL that answered, after redirects.
    pub url: String,
    /// Every hop: status and URL.
    pub trail: Vec<(u16, String)>,
    /// The session's cookies for `url` after the exchange, name and value.
    pub cookies: Vec<(String, String)>,
    /// Cookies over which a browser's rule decided: kept back from the request, or dropped from the answer.
    pub ruled: Vec<Ruled>,
    /// Cookies that went along for two minutes only, because they say no `SameSite`.
    pub by_grace: Vec<String>,
    /// First byte sent to last byte received, milliseconds.
    pub duration_ms: u64,
}

impl HttpAnswer {
    /// A header, whatever the case of its name; the first of several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(&found.1)
    }
}

/// What exchanges share.
pub(super) struct Browser {
    pub resolver: Resolver,
    pub sessions: Sessions,
    clients: Mutex<HashMap<(bool, Vec<String>), reqwest::Client>>,
}

impl Browser {
    pub fn new() -> Self {
        Self {
            resolver: Resolver::system(),
            sessions: Sessions::default(),
            clients: Mutex::default(),
        }
    }

    /// The client for that trust. Built when first needed: a container made from scratch has no CA store.
    pub fn client(&self, insecure: bool, ca: &[String]) -> Result<reqwest::Client, Failure> {
        let mut clients = lock(&self.clients);
        let key = (insecure, ca.to_vec());
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        let client = build(insecure, ca, &self.resolver)?;
        if clients.len() < MOST_CLIENTS {
            clients.insert(key, client.clone());
        }
        Ok(client)
    }

    /// Does one exchange, within its limit.
    pub async fn exchange(&self, call: &HttpCall) -> Result<HttpAnswer, CallFailure> {
        let limit = call.limit().max(Duration::from_millis(1));
        let started = Instant::now();
        let exchange = LOOKUP.scope(Cell::default(), async {
            let answer = self.hops(call).await?;
            let spent = started.elapsed().saturating_sub(LOOKUP.with(Cell::get));
            Ok(HttpAnswer {
                duration_ms: millis(spent),
                ..answer
            })
        });
        let exchange = TURNS.scope(self.sessions.turns(&call.session), exchange);
        let exchange = INSTEAD.scope(Instead::of(&call.url, call.reached_at.as_deref()), exchange);
        match tokio::time::timeout(limit, exchange).await {
            Ok(ended) => ended.map_err(|failure: Failure| failure.after(started.elapsed())),
            Err(_) => Err(Failure::timeout(limit).after(started.elapsed())),
        }
    }

    async fn hops(&self, call: &HttpCall) -> Result<HttpAnswer, Failure> {
        let client = self.client(call.insecure, &call.ca)?;
        let jar = self.sessions.jar(&call.session);
        let mut hop = Hop::first(call)?;
        let mut trail = Vec::new();
        loop {
            let response = hop
                .send(&client, &jar)
                .await
                .map_err(|failure| blamed(failure, &hop.url, &trail))?;
            trail.push((response.status().as_u16(), hop.url.to_string()));
            match hop.next(&response) {
                Some(next) if trail.len() <= call.follow as usize => hop = next,
                _ => return finished(response, hop, trail, &jar).await,
            }
        }
    }
}

/// After a redirect the URL that failed is not the caller's: say it, without its query.
fn blamed(failure: Failure, url: &Url, trail: &[(u16, String)]) -> Failure {
    if trail.is_empty() {
        return failure;
    }
    let at = &url[..url::Position::AfterPath];
    Failure {
        message: format!("redirected to {at}: {}", failure.message),
        ..failure
    }
}

fn build(insecure: bool, ca: &[String], resolver: &Resolver) -> Result<reqwest::Client, Failure> {
    let mut certificates = Vec::new();
    for pem in ca {
        let bundle = Certificate::from_pem_bundle(pem.as_bytes());
        certificates.extend(bundle.map_err(|error| Failure::request(format!("a CA is not readable PEM: {error}")))?);
    }
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .no_proxy()
        .no_gzip()
        .referer(false)
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        // A kept connection may lead to a container that a swap has taken away.
        .pool_max_idle_per_host(0)
        .tls_certs_only(certificates)
        .tls_danger_accept_invalid_certs(insecure)
        .dns_resolver(resolver.clone());
    Ok(builder.build()?)
}

/// One request on the way.
#[derive(Clone)]
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    led_by: Option<Url>,
    lifted: Lifted,
    /// Of this hop and those before it.
    ruled: Vec<Ruled>,
    by_grace: Vec<String>,
}

impl Hop {
    fn first(call: &HttpCall) -> Result<Self, Failure> {
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| Failure::request(format!("`{}` is not an HTTP method", call.method)))?;
        let parsed = |url: &str| Url::parse(url).map_err(|error| Failure::request(format!("not a URL: {error}")));
        let url = parsed(&call.url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::request(format!("`{}:` is not a scheme of HTTP", url.scheme())));
        }
        let body = BASE64_STANDARD.decode(call.body.as_deref().unwrap_or_default());
        let body = body.map_err(|error| Failure::request(format!("the body is not base64: {error}")))?;
        Ok(Self {
            method,
            url,
            headers: headers_of(&call.headers)?,
            body,
            led_by: call.led_by.as_deref().map(parsed).transpose()?,
            lifted: call.lifted.clone(),
            ruled: Vec::new(),
            by_grace: Vec::new(),
        })
    }

    async fn send(&mut self, client: &reqwest::Client, jar: &Jar) -> Result<Response, Failure> {
        let carried = lock(jar).carried(&self.trip(), OffsetDateTime::now_utc());
        let mut headers = self.headers.clone();
        match cookie_header(carried.pairs, &self.headers) {
            Some(cookies) => headers.insert(header::COOKIE, cookies),
            None => headers.remove(header::COOKIE),
        };
        let mut request = client.request(self.method.clone(), self.url.clone()).headers(headers);
        if !self.body.is_empty() {
            request = request.body(self.body.clone());
        }
        let response = request.send().await?;
        let set = response.headers().get_all(header::SET_COOKIE).iter();
        let dropped = session::take(jar, set, &self.trip());
        self.ruled.extend(carried.kept_back.into_iter().chain(dropped));
        self.by_grace.extend(carried.by_grace);
        Ok(response)
    }

    fn trip(&self) -> Trip<'_> {
        Trip {
            url: &self.url,
            method: self.method.as_str(),
            led_by: self.led_by.as_ref(),
            lifted: &self.lifted,
        }
    }

    /// Where the response sends us, if it is a redirect that a client can follow.
    fn next(&self, response: &Response) -> Option<Self> {
        let status = response.status();
        if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = std::str::from_utf8(response.headers().get(header::LOCATION)?.as_bytes()).ok()?;
        let url = self
            .url
            .join(location)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let mut next = Self { url, ..self.clone() };
        if becomes_get(status, &self.method) {
            next.drop_body();
        }
        if next.url.origin() != self.url.origin() {
            next.drop_credentials();
        }
        Some(next)
    }

    fn drop_body(&mut self) {
        self.method = Method::GET;
        self.body.clear();
        for name in [
            header::CONTENT_TYPE,
            header::CONTENT_LENGTH,
            header::CONTENT_ENCODING,
            header::TRANSFER_ENCODING,
        ] {
            self.headers.remove(name);
        }
    }

    fn drop_credentials(&mut self) {
        for name in [
            header::AUTHORIZATION,
            header::PROXY_AUTHORIZATION,
            header::COOKIE,
            header::HOST,
        ] {
            self.headers.remove(name);
        }
    }
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status.as_u16() {
        303 => *method != Method::HEAD,
        301 | 302 => *method == Method::POST,
        _ => false,
    }
}

fn headers_of(given: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let bad = |what: &str| Failure::request(format!("header `{name}`: {what}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad("not a header name"))?;
        let value =
            HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("its value holds a control character"))?;
        headers.try_append(key, value).map_err(|_| bad("too many headers"))?;
    }
    Ok(headers)
}

/// The jar's cookies and the request's own in one header; the request's own win over the jar's of the same name.
fn cookie_header(kept: Vec<(String, String)>, given: &HeaderMap) -> Option<HeaderValue> {
    let own: Vec<&str> = given
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let is_own = |name: &str| {
        let names = own
            .iter()
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.split('=').next());
        names.into_iter().any(|known| known.trim() == name)
    };
    let kept = kept.into_iter().filter(|(name, _)| !is_own(name));
    let mut all: Vec<String> = kept.map(|(name, value)| format!("{name}={value}")).collect();
    all.extend(own.iter().map(|value| (*value).to_owned()));
    if all.is_empty() {
        None
    } else {
        HeaderValue::from_str(&all.join("; ")).ok()
    }
}

async fn finished(
    mut response: Response,
    hop: Hop,
    trail: Vec<(u16, String)>,
    jar: &Jar,
) -> Result<HttpAnswer, Failure> {
    let (raw, cut) = read_body(&mut response)
        .await
        .map_err(|failure| blamed(failure, &hop.url, &trail[1..]))?;
    let (body, truncated) = decoded(raw, cut, response.headers());
    Ok(HttpAnswer {
        status: response.status().as_u16(),
        headers: received(response.headers()),
        body: BASE64_STANDARD.encode(body),
        truncated,
        cookies: session::pairs(jar, &hop.url),
        ruled: hop.ruled,
        by_grace: hop.by_grace,
        url: hop.url.into(),
        trail,
        duration_ms: 0,
    })
}

fn received(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(value)))
        .collect()
}

async fn read_body(response: &mut Response) -> Result<(Vec<u8>, bool), Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = BODY_LIMIT - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok((body, true));
        }
    }
    Ok((body, false))
}

/// Unpacks gzip, within the same limit. The headers stay as received, so a step can still ask about the encoding.
fn decoded(raw: Vec<u8>, cut: bool, headers: &HeaderMap) -> (Vec<u8>, bool) {
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    if !encoding.eq_ignore_ascii_case(b"gzip") || raw.is_empty() {
        return (raw, cut);
    }
    let mut plain = Vec::new();
    let read = flate2::read::MultiGzDecoder::new(raw.as_slice())
        .take(BODY_LIMIT as u64 + 1)
        .read_to_end(&mut plain);
    if read.is_err() && plain.is_empty() {
        return (raw, cut);
    }
    let longer = plain.len() > BODY_LIMIT;
    plain.truncate(BODY_LIMIT);
    (plain, cut || longer)
}

/// A question of a probe or a wait: one GET, no redirect, no jar, certificates unverified; the status or the failure.
pub(super) async fn ask(browser: &Arc<Browser>, url: &str, limit: Duration) -> Result<u16, Failure> {
    let client = browser.client(true, &[])?;
    let url = Url::parse(url).map_err(|error| Failure::request(format!("not a URL: {error}")))?;
    let answered = async {
        let mut response = client.get(url).send().await?;
        // An answer counts when it is complete: a release on its way out may cut it.
        read_body(&mut response).await?;
        Ok(response.status().as_u16())
    };
    tokio::time::timeout(limit, answered)
        .await
        .unwrap_or_else(|_| Err(Failure::timeout(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::failure::CallFailureKind;

    #[test]
    fn a_gzip_bomb_is_cut_at_the_limit() {
        use std::io::Write;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![0; BODY_LIMIT + 10]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let (plain, truncated) = decoded(packer.finish().unwrap(), false, &headers);
        assert_eq!((plain.len(), truncated), (BODY_LIMIT, true));
    }

    #[test]
    fn the_requests_own_cookie_wins_over_the_jars() {
        let jar = Jar::default();
        let url = Url::parse("http://web/").unwrap();
        session::take(
            &jar,
            [HeaderValue::from_static("a=jar"), HeaderValue::from_static("b=jar")].iter(),
            &Trip::of_tool(&url),
        );
        let kept = session::pairs(&jar, &url);
        let given = headers_of(&[("Cookie".to_owned(), "a=own".to_owned())]).unwrap();
        assert_eq!(cookie_header(kept, &given).unwrap(), "b=jar; a=own");
    }

    #[test]
    fn a_header_with_a_line_break_is_refused_by_name() {
        let failure = headers_of(&[("X-A".to_owned(), "a\r\nX-B: c".to_owned())]).unwrap_err();
        assert_eq!(failure.kind, CallFailureKind::Request);
        assert!(failure.message.contains("header `X-A`"), "{}", failure.message);
    }

    #[test]
    fn a_client_is_built_without_any_certificate() {
        assert!(Browser::new().client(false, &[]).is_ok());
    }
}
