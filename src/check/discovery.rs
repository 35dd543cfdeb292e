//! What an issuer says of itself: OpenID Connect's discovery document, and what it leads to.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::At;
use super::forged::Jwt;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::record::outcome::Lost;

/// For one document.
const LIMIT_MS: u64 = 5_000;

/// Whose tokens they are: as configured, else as a token says itself.
pub fn issuer(at: &At<'_>, jwt: Option<&Jwt<'_>>) -> Option<String> {
    let configured = at.case.settings.auth.as_ref().and_then(|auth| auth.issuer.clone());
    configured.or_else(|| jwt?.issuer().map(str::to_owned))
}

/// An issuer's discovery document; `None` where it shows none.
///
/// # Errors
/// The agent is gone.
pub async fn discovery(at: &At<'_>, issuer: &str) -> Result<Option<Value>, Lost> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    document(at, url).await
}

/// A JSON document, as it is given to anybody; `None` where none is.
///
/// # Errors
/// The agent is gone.
pub async fn document(at: &At<'_>, url: String) -> Result<Option<Value>, Lost> {
    let call = HttpCall {
        session: "documents".to_owned(),
        method: "GET".to_owned(),
        url,
        timeout_ms: LIMIT_MS,
        ca: at.ca.to_vec(),
        ..HttpCall::default()
    };
    let answer = at.ground.http(call).await?;
    Ok(answer.as_ref().and_then(json))
}

fn json(answer: &HttpAnswer) -> Option<Value> {
    let body = BASE64_STANDARD
        .decode(&answer.body)
        .ok()
        .filter(|_| answer.status == 200)?;
    serde_json::from_slice(&body).ok()
}
