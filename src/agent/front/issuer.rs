//! The front as issuer: where the configuration asks for it, public keys of the run's own stand among those that the
//! authentication dependency shows, behind all of them. Their private halves are not here: the agent signs nothing.
//!
//! What the product answers is not trusted: whatever is no set of keys passes as it came.

use std::io::Error;
use std::sync::{Arc, Mutex, OnceLock};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::agent::session::lock;

/// The longest document that is read.
const LIMIT: usize = 1024 * 1024;
/// Where an issuer says what it has, below its own path (OpenID Connect Discovery 1.0, section 4).
const DISCOVERY: &str = ".well-known/openid-configuration";

/// Keys that stand among an issuer's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IssuerCall {
    /// The issuer, as production names it.
    pub issuer: String,
    /// Public keys as JSON web keys (RFC 7517), each with its `kid`.
    pub keys: Vec<Value>,
}

/// Which keys stand among an issuer's from now on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeysCall {
    /// Public keys as JSON web keys, each with its `kid`: these and no others of ours.
    pub keys: Vec<Value>,
}

/// The keys that all fronts show. Cheap to clone: all clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Ours(Arc<Mutex<IssuerCall>>);

impl Ours {
    pub(super) fn new(call: IssuerCall) -> Self {
        Self(Arc::new(Mutex::new(call)))
    }

    /// These from now on, and none of before.
    pub(super) fn show(&self, keys: Vec<Value>) {
        lock(&self.0).keys = keys;
    }

    fn call(&self) -> IssuerCall {
        lock(&self.0).clone()
    }
}

/// One front that shows the keys.
#[derive(Debug)]
pub(super) struct Issuer {
    ours: Ours,
    /// The path of the keys, once the product has named it.
    keys_at: OnceLock<String>,
}

impl Issuer {
    pub(super) fn new(ours: Ours) -> Self {
        Self {
            ours,
            keys_at: OnceLock::new(),
        }
    }

    /// Where the keys are, if the product has said it.
    pub(super) fn keys_at(&self) -> Option<&str> {
        self.keys_at.get().map(String::as_str)
    }

    /// What asks the product where they are.
    pub(super) fn discovery(&self) -> Option<Request<Empty<Bytes>>> {
        let issuer = Url::parse(&self.ours.call().issuer).ok()?;
        let host = issuer.host_str()?;
        let host = issuer.port().map_or(host.to_owned(), |port| format!("{host}:{port}"));
        let path = format!("{}/{DISCOVERY}", issuer.path().trim_end_matches('/'));
        let asked = Request::get(path).header(header::HOST, host);
        asked.header(header::ACCEPT, "application/json").body(Empty::new()).ok()
    }

    /// Learns from the answer to that where they are.
    pub(super) async fn learn(&self, answer: Response<Incoming>) {
        if answer.status() != StatusCode::OK {
            return;
        }
        let read = Limited::new(answer.into_body(), LIMIT).collect().await;
        let found = read.ok().and_then(|body| keys_of(&body.to_bytes()));
        if let Some(path) = found {
            // Whoever was first has learnt the same.
            let _known = self.keys_at.set(path);
        }
    }

    /// The product's keys, and ours behind them; what is no such answer as it came.
    ///
    /// # Errors
    /// The product did not end what it had begun to say.
    pub(super) async fn with_keys(&self, answer: Response<Incoming>) -> Result<Response<BoxBody<Bytes, Error>>, Error> {
        let (mut head, body) = answer.into_parts();
        if head.status != StatusCode::OK {
            return Ok(Response::from_parts(head, body.map_err(Error::other).boxed()));
        }
        let read = Limited::new(body, LIMIT).collect().await;
        let came = read.map_err(Error::other)?.to_bytes();
        let shown = self.among(&came).map_or(came, Bytes::from);
        // It is another set than the product's, and may be another one the next time.
        for validator in [header::ETAG, header::LAST_MODIFIED] {
            head.headers.remove(validator);
        }
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(shown.len()));
        let body = Full::new(shown).map_err(|never| match never {}).boxed();
        Ok(Response::from_parts(head, body))
    }

    /// A set of keys with ours; nothing where it has one of them, or is none, or has a key without a name: beside a second
    /// one nobody could tell which is meant.
    fn among(&self, set: &[u8]) -> Option<Vec<u8>> {
        let mut set: Value = serde_json::from_slice(set).ok()?;
        let (keys, ours) = (set.get_mut("keys")?.as_array_mut()?, self.ours.call().keys);
        let is_ours = |kid: &Value| ours.iter().any(|key| key.get("kid") == Some(kid));
        if keys.iter().any(|key| key.get("kid").is_none_or(is_ours)) {
            return None;
        }
        keys.extend(ours);
        serde_json::to_vec(&set).ok()
    }
}

/// The path of an issuer's keys, by its discovery document.
fn keys_of(discovery: &[u8]) -> Option<String> {
    let found: Value = serde_json::from_slice(discovery).ok()?;
    let address = Url::parse(found.get("jwks_uri")?.as_str()?).ok()?;
    Some(address.path().to_owned())
}

/// A document that is read must come as it is, and whole: what a client has of it may have other keys of ours.
pub(super) fn unpacked(headers: &mut HeaderMap) {
    let unwanted = [
        header::ACCEPT_ENCODING,
        header::RANGE,
        header::IF_NONE_MATCH,
        header::IF_MODIFIED_SINCE,
    ];
    for name in unwanted {
        headers.remove(name);
    }
}
