//! What a sign-in's token is good for beside the page: who the user is, at the issuer's `userinfo_endpoint`, and another token
//! by what came with it. Only where the sign-in itself asks for tokens: a release that a browser signs in to keeps them to itself.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::check::discovery::{discovery, issuer};
use crate::check::forged::Jwt;
use crate::check::ground::Copy;
use crate::check::{At, Case};
use crate::config::settings::{Login, SignInBy};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::record::test::TOO_MANY;
use crate::suite::given;
use crate::suite::login::{Kind, Session};

/// For one answer.
const LIMIT_MS: u64 = 5_000;

/// What became of a sign-in's token.
#[derive(Debug, Default, Serialize)]
pub(super) struct Tokens {
    pub user_info: UserInfo,
    pub refresh: Refresh,
}

/// What the issuer says of the user.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum UserInfo {
    /// It was not asked, and why; nothing where it is no question here.
    Skipped(Option<String>),
    /// It was asked.
    Answered(Told),
    /// Nothing answered.
    #[default]
    Silent,
}

/// An answer of the user info endpoint.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Told {
    status: u16,
    /// Who the user is, where that is the same for each token; `None` = nobody can compare it.
    #[serde(skip)]
    sub: Option<String>,
}

/// What came of asking for another token.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Refresh {
    /// It was not asked for, and why; nothing where it is no question here.
    Skipped(Option<String>),
    /// Another token was given, and the page with it.
    Works,
    /// It was not, in words.
    Fails(String),
    /// Nothing answered.
    #[default]
    Silent,
}

const KEPT: &str = "the release keeps its tokens to itself (`auth.login.as` asks for none)";

/// Asks with the token of a sign-in that held. After the rollback nothing is compared with it.
pub(super) async fn tokens(at: &At<'_>, left: &Session, before: Option<&Tokens>) -> Result<Tokens, Lost> {
    let login = at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
    let Some(login) = login.filter(|_| at.case.stage != StageId::Rollback) else {
        return Ok(skipped(None));
    };
    let behind = given::behind(login, left, at.ca);
    let Some(token) = behind
        .as_ref()
        .and_then(|behind| behind.token())
        .filter(|_| asks_for_tokens(login))
    else {
        return Ok(skipped(Some(KEPT)));
    };
    // What does not work with production is asked of nobody else.
    let mut tokens = skipped(None);
    if before.is_none_or(|before| before.user_info.is_known()) {
        tokens.user_info = user_info(at, token).await?;
    }
    if before.is_none_or(|before| before.refresh == Refresh::Works) {
        tokens.refresh = refresh(at, left).await?;
    }
    Ok(tokens)
}

impl UserInfo {
    fn is_known(&self) -> bool {
        matches!(self, Self::Answered(Told { status: 200, .. }))
    }
}

fn skipped(why: Option<&str>) -> Tokens {
    let why = why.map(str::to_owned);
    Tokens {
        user_info: UserInfo::Skipped(why.clone()),
        refresh: Refresh::Skipped(why),
    }
}

fn asks_for_tokens(login: &Login) -> bool {
    match login.by {
        SignInBy::Bearer(_) => true,
        SignInBy::Form | SignInBy::Basic | SignInBy::Header | SignInBy::Ldap(_) | SignInBy::Radius(_) => false,
    }
}

async fn user_info(at: &At<'_>, token: &str) -> Result<UserInfo, Lost> {
    let jwt = Jwt::read(token);
    let document = match issuer(at, jwt.as_ref()) {
        Some(issuer) => discovery(at, &issuer).await?,
        None => None,
    };
    let Some(document) = document else {
        return Ok(UserInfo::Skipped(Some(
            "no discovery says where (`auth.issuer`)".to_owned(),
        )));
    };
    let Some(address) = document.get("userinfo_endpoint").and_then(Value::as_str) else {
        return Ok(UserInfo::Skipped(Some(
            "discovery names no `userinfo_endpoint`".to_owned(),
        )));
    };
    let answered = asked(at, address, token).await?;
    let Some(first) = answered.filter(|answer| answer.status != TOO_MANY) else {
        return Ok(UserInfo::Silent);
    };
    let sub = match at.case.stage {
        StageId::Control => steady(at, address, sub_of(&first)).await?,
        _ => sub_of(&first),
    };
    Ok(UserInfo::Answered(Told {
        status: first.status,
        // On fresh volumes the same user may be another to the product.
        sub: sub.filter(|_| at.facts.on == Copy::First),
    }))
}

/// The user, where another token of theirs names the same.
async fn steady(at: &At<'_>, address: &str, sub: Option<String>) -> Result<Option<String>, Lost> {
    let again = at.driver.sign_in().await.filter(|outcome| outcome.held());
    let login = at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
    let behind = again
        .as_ref()
        .zip(login)
        .and_then(|(again, login)| given::behind(login, &again.left, at.ca));
    let Some(token) = behind.as_ref().and_then(|behind| behind.token()) else {
        return Ok(None);
    };
    let second = asked(at, address, token).await?;
    Ok(sub.filter(|sub| second.as_ref().and_then(sub_of).as_ref() == Some(sub)))
}

async fn asked(at: &At<'_>, address: &str, token: &str) -> Result<Option<HttpAnswer>, Lost> {
    let call = HttpCall {
        session: "user info".to_owned(),
        method: "GET".to_owned(),
        url: address.to_owned(),
        headers: vec![("Authorization".to_owned(), format!("Bearer {token}"))],
        timeout_ms: LIMIT_MS,
        ca: at.ca.to_vec(),
        ..HttpCall::default()
    };
    at.ground.http(call).await
}

/// A signed answer is a token itself (OpenID Connect Core, 5.3.2).
fn sub_of(answer: &HttpAnswer) -> Option<String> {
    let body = BASE64_STANDARD
        .decode(&answer.body)
        .ok()
        .filter(|_| answer.status == 200)?;
    let plain: Option<Value> = serde_json::from_slice(&body).ok();
    let sub = |claims: &Value| claims.get("sub").and_then(Value::as_str).map(str::to_owned);
    plain.as_ref().and_then(sub).or_else(|| sub_of_jwt(&body))
}

fn sub_of_jwt(body: &[u8]) -> Option<String> {
    let jwt = Jwt::read(std::str::from_utf8(body).ok()?.trim())?;
    jwt.claims().get("sub")?.as_str().map(str::to_owned)
}

async fn refresh(at: &At<'_>, left: &Session) -> Result<Refresh, Lost> {
    let Some(outcome) = at.driver.refresh(left).await else {
        return Ok(Refresh::Skipped(Some(
            "no refresh token comes with the token".to_owned(),
        )));
    };
    Ok(match outcome.came_to {
        Outcome::Held(()) => Refresh::Works,
        // Ours are many, and a limit that both releases have may fall on the one or the other.
        Outcome::Broke(trouble) if trouble.kind == Kind::NoAnswer || trouble.status == Some(TOO_MANY) => {
            Refresh::Silent
        }
        Outcome::Broke(trouble) => Refresh::Fails(trouble.message),
        Outcome::Lost(lost) => return Err(lost),
    })
}

/// What production's tokens are good for and the candidate's are not.
pub(super) fn findings(case: &Case<'_>, before: &Tokens, after: &Tokens) -> Vec<Finding> {
    let user_info = user_info_fails(case, &before.user_info, &after.user_info);
    user_info
        .into_iter()
        .chain(refresh_fails(case, &before.refresh, &after.refresh))
        .collect()
}

fn user_info_fails(case: &Case<'_>, before: &UserInfo, after: &UserInfo) -> Option<Finding> {
    let UserInfo::Answered(Told { status: 200, sub: then }) = before else {
        return None;
    };
    let baseline = case.pair.baseline();
    let title = match after {
        UserInfo::Answered(Told { status: 200, sub }) => {
            then.as_ref().zip(sub.as_ref()).filter(|(then, now)| then != now)?;
            format!("user info names another user (`sub`) for the same sign-in than with {baseline}")
        }
        UserInfo::Answered(Told { status, .. }) => {
            format!("user info answers HTTP {status} to the token of a sign-in; with {baseline} it answers 200")
        }
        UserInfo::Skipped(Some(why)) => {
            format!("nobody learns who has signed in: {why}; with {baseline} user info answers 200")
        }
        UserInfo::Skipped(None) | UserInfo::Silent => return None,
    };
    Some(found(case, "user-info", title))
}

fn refresh_fails(case: &Case<'_>, before: &Refresh, after: &Refresh) -> Option<Finding> {
    let why = match (before, after) {
        (Refresh::Works, Refresh::Fails(why)) => why,
        (Refresh::Works, Refresh::Skipped(Some(why))) => why,
        _ => return None,
    };
    let baseline = case.pair.baseline();
    let title = format!("no token can be refreshed: {why}; with {baseline} another one is given, and the page by it");
    Some(found(case, "refresh", title))
}

fn found(case: &Case<'_>, detail: &str, title: String) -> Finding {
    let help = format!(
        "do not deploy: with {} it works on the same mirror",
        case.pair.baseline()
    );
    Finding::new(CheckId::AuthLogin, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail(detail)
        .help(help)
}

/// What production did and nobody can tell of the candidate.
pub(super) fn untold(after: &Tokens) -> Option<String> {
    let silent = match (&after.user_info, &after.refresh) {
        (UserInfo::Silent, _) => "the issuer's user info",
        (_, Refresh::Silent) => "the token endpoint, asked to refresh a token,",
        _ => return None,
    };
    Some(format!("{silent} gave no answer"))
}

/// What was not asked of production, so of nobody.
pub(super) fn left(tokens: &Tokens) -> Vec<String> {
    let (user_info, refresh) = match (&tokens.user_info, &tokens.refresh) {
        (UserInfo::Skipped(Some(one)), Refresh::Skipped(Some(other))) if one == other => {
            return vec![format!("user info and refresh are skipped: {one}")];
        }
        (user_info, refresh) => (user_info, refresh),
    };
    let user_info = match user_info {
        UserInfo::Skipped(Some(why)) => Some(format!("user info is skipped: {why}")),
        UserInfo::Silent => Some("user info is skipped: it gave no answer".to_owned()),
        UserInfo::Answered(told) if told.status != 200 => Some(format!(
            "user info is skipped: it answers {} to the token of production's sign-in",
            told.status
        )),
        UserInfo::Skipped(None) | UserInfo::Answered(_) => None,
    };
    let refresh = match refresh {
        Refresh::Skipped(Some(why)) => Some(format!("refresh is skipped: {why}")),
        Refresh::Fails(why) => Some(format!("refresh is skipped: it fails for production: {why}")),
        Refresh::Silent => Some("refresh is skipped: nothing answered".to_owned()),
        Refresh::Skipped(None) | Refresh::Works => None,
    };
    user_info.into_iter().chain(refresh).collect()
}
