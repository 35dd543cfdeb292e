//! What is asked: every request that is to be refused without its credentials, when it is its turn.

use std::collections::BTreeSet;

use url::Url;

use crate::check::At;
use crate::check::ground::Copy;
use crate::config::settings::Rollback;
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::suite::given;
use crate::suite::guarded::Guarded;
use crate::suite::login::Session;

/// Every request that is to be refused without its credentials, of those whose turn it is.
///
/// # Errors
/// Nobody can tell whether the user could sign in.
pub(in crate::check) async fn requests(at: &At<'_>) -> Result<Vec<Guarded>, Lost> {
    // Behind the upgrade the candidate is asked what it was asked there.
    let stage = match at.case.stage {
        StageId::Rollback | StageId::Faults => StageId::Upgrade,
        other => other,
    };
    let of_suites = match at.facts.on {
        Copy::Untouched | Copy::Apart => anew(at).await,
        Copy::First => {
            let suites = at.facts.ran_on(stage, at.role);
            let suites = suites.filter(|ran| matches!(ran.subject, Subject::Suite(_)));
            suites.flat_map(|ran| ran.guarded.clone()).collect()
        }
    };
    let session = signed_in(at, stage).await?;
    let known = |asked: Guarded| match &session {
        Some(session) => asked.with_ways_in(&session.forms),
        None => asked,
    };
    let all = of_suites
        .into_iter()
        .map(known)
        .chain(behind_the_sign_in(at, session.as_ref()));
    let mut asked_once = BTreeSet::new();
    let asked = all.filter(|asked| !is_of_the_product(at, asked) && is_its_turn(at, asked));
    Ok(asked.filter(|asked| asked_once.insert(place(asked))).collect())
}

/// What is protected as one thing: an address with its query, which may say what is asked for, by one method, with a token or
/// without.
fn place(asked: &Guarded) -> (String, String, bool) {
    let address = asked.call.url.split('#').next().unwrap_or_default();
    (asked.call.method.clone(), address.to_owned(), asked.token().is_some())
}

/// The product itself is no release, and locks accounts of whom it often refuses.
fn is_of_the_product(at: &At<'_>, asked: &Guarded) -> bool {
    let fronts = at.ground.fronts();
    let services = at.case.settings.auth_services();
    let is_candidate = services
        .iter()
        .any(|service| at.case.candidate.services.contains_key(service));
    let url = Url::parse(&asked.call.url).ok();
    let host = url.as_ref().and_then(Url::host_str);
    let mut names = services.iter().chain(&fronts);
    !is_candidate && names.any(|name| Some(name.as_str()) == host)
}

/// On a mirror of its own, with tokens of its own.
async fn anew(at: &At<'_>) -> Vec<Guarded> {
    let mut all = Vec::new();
    for suite in at.facts.suites() {
        all.extend(at.driver.guarded_by(&suite).await);
    }
    all
}

fn behind_the_sign_in(at: &At<'_>, session: Option<&Session>) -> Option<Guarded> {
    let login = at.case.settings.auth.as_ref()?.login.as_ref()?;
    given::behind(login, session?, at.ca)
}

/// What the user's sign-in has left; none where it does not hold, which its own check tells.
async fn signed_in(at: &At<'_>, stage: StageId) -> Result<Option<Session>, Lost> {
    if let Some(session) = at.facts.sessions.get(&stage) {
        return Ok(Some(session.clone()));
    }
    let Some(outcome) = at.driver.sign_in().await else {
        return Ok(None);
    };
    match outcome.came_to {
        Outcome::Held(()) => Ok(Some(outcome.left)),
        Outcome::Broke(_) => Ok(None),
        Outcome::Lost(lost) => Err(lost),
    }
}

/// What writes waits until no entry of `data` follows that this release answers.
fn is_its_turn(at: &At<'_>, asked: &Guarded) -> bool {
    is_turn_of(at, asked.writes())
}

pub(super) fn is_turn_of(at: &At<'_>, writes: bool) -> bool {
    let forward = matches!(at.case.settings.stages.rollback, Rollback::ForwardOnly(_));
    match at.case.stage {
        StageId::Control => true,
        StageId::Upgrade | StageId::Faults => forward || !writes,
        StageId::Load => false,
        StageId::Rollback => writes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::exchange::{HttpAnswer, HttpCall};
    use crate::config::settings::HttpExpect;

    #[test]
    fn what_a_query_asks_for_is_a_place_of_its_own_and_a_part_of_a_page_is_none() {
        let at = |url: &str| {
            let call = HttpCall {
                method: "GET".to_owned(),
                url: url.to_owned(),
                headers: vec![("Authorization".to_owned(), "Bearer t".to_owned())],
                ..HttpCall::default()
            };
            let good = HttpAnswer {
                status: 200,
                ..HttpAnswer::default()
            };
            place(&Guarded::of("smoke / it".to_owned(), call, HttpExpect::default(), &good).unwrap())
        };
        assert_ne!(at("http://web/api?do=list"), at("http://web/api?do=export"));
        assert_eq!(at("http://web/api?do=list"), at("http://web/api?do=list#first"));
    }
}
