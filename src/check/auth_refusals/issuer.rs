//! Whose tokens they are: the issuer's documents, its keys, and a token that it takes back.

use serde_json::Value;

use crate::agent::exchange::HttpCall;
use crate::check::At;
use crate::check::discovery::{discovery, document, issuer};
use crate::check::forged::{Jwt, PublicKey};
use crate::config::settings::Login;
use crate::record::outcome::Lost;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::suite::given;
use crate::suite::guarded::Guarded;
use crate::suite::login::LoginOutcome;

/// What became of taking a sign-in's credentials back.
pub(super) enum Revoked {
    /// The sign-in has no token of a client's.
    Nobodys,
    /// It cannot be done, in words.
    Skipped(String),
    /// The product was to do it as the configuration says, and did not, in words.
    Failed(String),
    /// With these this page was to be had.
    Done(Box<TakenBack>),
}

/// The page behind the sign-in, and by what it was to be had.
pub(super) struct TakenBack {
    guarded: Guarded,
    /// Where the sign-in's cookies are.
    jar: String,
}

impl TakenBack {
    pub(super) fn page(&self) -> &Guarded {
        &self.guarded
    }

    /// By the token alone, where there is one.
    pub(super) fn call(&self) -> HttpCall {
        match self.guarded.token() {
            Some(token) => self.guarded.with_token(token, "revoked"),
            None => self.guarded.by(&self.jar),
        }
    }
}

/// Credentials of their own, so that nobody else's sign-in ends.
pub(super) async fn take_back(at: &At<'_>) -> Result<Revoked, Lost> {
    let Some(auth) = &at.case.settings.auth else {
        return Ok(Revoked::Nobodys);
    };
    let Some(login) = auth.login.as_ref() else {
        return Ok(Revoked::Nobodys);
    };
    if auth.revoke.is_none() && given::revocation(login, "", "", &[]).is_none() {
        return Ok(Revoked::Nobodys);
    }
    let signed_in = at.driver.sign_in().await.filter(LoginOutcome::held);
    let taken_back = signed_in.and_then(|outcome| {
        Some(TakenBack {
            guarded: given::behind(login, &outcome.left, at.ca)?,
            jar: outcome.left.jar,
        })
    });
    let Some(taken_back) = taken_back else {
        return Ok(Revoked::Skipped("nobody could sign in for it".to_owned()));
    };
    match auth.revoke {
        Some(_) => as_configured(at, taken_back).await,
        None => at_its_endpoint(at, login, taken_back).await,
    }
}

/// By `auth.revoke`, which knows the token as `{{token}}`.
async fn as_configured(at: &At<'_>, taken_back: TakenBack) -> Result<Revoked, Lost> {
    let token = taken_back.guarded.token().map(str::to_owned);
    token.iter().for_each(|token| at.driver.hide(token));
    let values = token.into_iter().map(|token| ("token".to_owned(), token)).collect();
    let steps = at.driver.run_given(&Subject::Revoke, values).await;
    if steps.is_empty() {
        return Ok(Revoked::Failed("auth.revoke ran nothing".to_owned()));
    }
    let failed = steps.iter().find(|step| step.status != Status::Passed);
    Ok(match failed {
        Some(step) => Revoked::Failed(format!("auth.revoke / {} does not pass: {}", step.name, step.message)),
        None => Revoked::Done(Box::new(taken_back)),
    })
}

async fn at_its_endpoint(at: &At<'_>, login: &Login, taken_back: TakenBack) -> Result<Revoked, Lost> {
    let Some(token) = taken_back.guarded.token() else {
        return Ok(Revoked::Skipped("no token could be had".to_owned()));
    };
    let discovery = match issuer(at, Jwt::read(token).as_ref()) {
        Some(issuer) => discovery(at, &issuer).await?,
        None => None,
    };
    let endpoint = discovery
        .as_ref()
        .and_then(|found| found.get("revocation_endpoint")?.as_str());
    let call = endpoint.and_then(|endpoint| given::revocation(login, endpoint, token, at.ca));
    let Some(call) = call else {
        let why = "discovery names no endpoint for it, and nothing else tells the product (`auth.revoke`)";
        return Ok(Revoked::Skipped(why.to_owned()));
    };
    Ok(match at.ground.http(call).await? {
        Some(answer) if answer.status == 200 => Revoked::Done(Box::new(taken_back)),
        Some(answer) => Revoked::Skipped(format!("the product's endpoint answers {}", answer.status)),
        None => Revoked::Skipped("the product's endpoint does not answer".to_owned()),
    })
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
