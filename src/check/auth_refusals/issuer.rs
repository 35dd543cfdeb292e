//! Whose tokens they are: the issuer's documents, its keys, and a token that it takes back.

use serde_json::Value;

use crate::check::At;
use crate::check::discovery::{discovery, document};
use crate::check::forged::{Jwt, PublicKey};
use crate::record::outcome::Lost;
use crate::suite::given;
use crate::suite::guarded::Guarded;
use crate::suite::login::LoginOutcome;

/// What became of taking a token back.
pub(super) enum Revoked {
    /// The sign-in has no token of a client's.
    Nobodys,
    /// It cannot be done, in words.
    Skipped(String),
    /// With it this page was to be had.
    Done(Box<Guarded>),
}

/// A token of its own, so that nobody else's sign-in ends.
pub(super) async fn take_back(at: &At<'_>) -> Result<Revoked, Lost> {
    let Some(login) = at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref()) else {
        return Ok(Revoked::Nobodys);
    };
    if given::revocation(login, "", "", &[]).is_none() {
        return Ok(Revoked::Nobodys);
    }
    let signed_in = at.driver.sign_in().await.filter(LoginOutcome::held);
    let guarded = signed_in.and_then(|outcome| given::behind(login, &outcome.left, at.ca));
    let Some((token, guarded)) = guarded.as_ref().and_then(|own| Some((own.token()?, own))) else {
        return Ok(Revoked::Skipped("no token could be had".to_owned()));
    };
    let issuer = issuer(at, Jwt::read(token).as_ref());
    let discovery = match issuer {
        Some(issuer) => discovery(at, &issuer).await?,
        None => None,
    };
    let endpoint = discovery
        .as_ref()
        .and_then(|found| found.get("revocation_endpoint")?.as_str());
    let call = endpoint.and_then(|endpoint| given::revocation(login, endpoint, token, at.ca));
    let Some(call) = call else {
        return Ok(Revoked::Skipped("discovery names no endpoint for it".to_owned()));
    };
    Ok(match at.ground.http(call).await? {
        Some(answer) if answer.status == 200 => Revoked::Done(Box::new(guarded.clone())),
        Some(answer) => Revoked::Skipped(format!("the product's endpoint answers {}", answer.status)),
        None => Revoked::Skipped("the product's endpoint does not answer".to_owned()),
    })
}

/// Whose tokens they are: as configured, else as a token says itself.
fn issuer(at: &At<'_>, jwt: Option<&Jwt<'_>>) -> Option<String> {
    let configured = at.case.settings.auth.as_ref().and_then(|auth| auth.issuer.clone());
    configured.or_else(|| jwt?.issuer().map(str::to_owned))
}

/// The issuer's own keys.
fn without_ours(at: &At<'_>, mut keys: Value) -> Value {
    let ours = at.ground.signer();
    let ours = ours.as_ref().map(|signer| signer.kid());
    if let (Some(ours), Some(all)) = (ours, keys.get_mut("keys").and_then(Value::as_array_mut)) {
        all.retain(|key| key.get("kid").and_then(Value::as_str) != Some(ours));
    }
    keys
}

/// The public key of whoever has signed a token, by discovery; or why it cannot be had.
pub(super) async fn key_of(at: &At<'_>, jwt: &Jwt<'_>) -> Result<Result<PublicKey, String>, Lost> {
    let Some(issuer) = issuer(at, Some(jwt)) else {
        return Ok(Err("nobody says who has issued the token".to_owned()));
    };
    let discovery = discovery(at, &issuer).await?;
    let address = discovery.as_ref().and_then(|found| found.get("jwks_uri")?.as_str());
    let Some(address) = address else {
        return Ok(Err("discovery names no keys of the issuer's".to_owned()));
    };
    let keys = document(at, address.to_owned()).await?;
    Ok(match keys {
        Some(keys) => PublicKey::of(jwt, &without_ours(at, keys)),
        None => Err("the issuer does not show its keys".to_owned()),
    })
}
