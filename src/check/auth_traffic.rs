//! `auth-traffic`: what is asked of the authentication dependency, and how often, for one sign-in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::asked::{answer, by, call, newly_refused, taken};
use super::auth_capability::{unread, unseen};
use super::{About, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::agent::front::calls::{CallSeen, Said};
use crate::mirror::names::calls::Called;
use crate::record::calls::{CallRecord, Taken};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::AuthTraffic,
    question: "does the candidate ask the authentication dependency much more, or get other answers?",
    explain: "Counts the calls at the fronts of auth.service for one sign-in: each with who asked, what, and what came. \
              More than three times as many as production's release makes is a warning (products limit rates, and an \
              identity provider of another company bills or bans), and so is a refusal or a failure that production's \
              release never gets. It blocks nothing alone. All calls of a stage are in the evidence, without codes, \
              tokens and passwords, and in the report's part on authentication. What is asked past the fronts is named \
              and not counted; where nothing can be read at them, this is skipped. What to do: cache the signing keys and the discovery document; see what was refused.",
    evidence: Evidence::Text,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
    ],
    step: "",
};

/// More than so many times production's calls are told …
const TIMES: usize = 3;
/// … where they are at least so many more: twice nothing is nothing.
const MORE: usize = 4;
/// Kinds of calls that one record tells.
const KINDS: usize = 200;

/// What is asked is as before.
pub struct AuthTraffic;

/// What was asked in a stage.
#[derive(Debug, Serialize)]
pub struct Traffic {
    /// All of it.
    calls: Vec<Called>,
    /// What one sign-in asked.
    sign_in: Vec<Called>,
    /// Further calls, which were too many to keep.
    more: u64,
    /// Where calls may have gone past the fronts.
    unseen: Vec<String>,
}

impl Check for AuthTraffic {
    type Seen = Traffic;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        unseen(given)
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Traffic, Lost> {
        let calls = at.ground.calls().await?;
        Ok(Traffic {
            sign_in: calls.of(&calls.first_sign_in).to_vec(),
            calls: calls.calls,
            more: calls.more,
            unseen: calls.unseen,
        })
    }

    fn judge(&self, case: &Case<'_>, before: &Traffic, after: &Traffic) -> Vec<Finding> {
        let (old, new) = (before.sign_in.len(), after.sign_in.len());
        let service = case.settings.auth_services().first().cloned();
        let is_more = old > 0 && new > old * TIMES && new - old >= MORE;
        let more = is_more.then(|| {
            let title =
                format!("one sign-in asks the authentication dependency {new} times; production's release {old} times");
            finding(case, title, "more")
        });
        let refused = other_refusals(before, after);
        let refused = (!refused.is_empty()).then(|| {
            let title = format!(
                "the sign-in gets what production's release never gets: {}",
                refused.join(", ")
            );
            finding(case, title, "refused").seen(refused)
        });
        more.into_iter()
            .chain(refused)
            .map(|finding| finding.about(service.clone()))
            .collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Traffic) -> Option<Unanswered> {
        unread(&after.sign_in, &after.unseen)
    }

    fn notes(&self, case: &Case<'_>, seen: &Traffic) -> Vec<String> {
        let lost = (seen.more > 0).then(|| {
            format!(
                "{} in {}: {} further calls were not kept",
                ABOUT.id, case.stage, seen.more
            )
        });
        lost.into_iter().collect()
    }

    fn calls(&self, case: &Case<'_>, seen: &Traffic) -> Vec<CallRecord> {
        records(case.stage, &seen.calls)
    }
}

/// Refusals that only the candidate gets, but those for what it newly asks for: `auth-capability` tells them.
fn other_refusals(before: &Traffic, after: &Traffic) -> Vec<String> {
    let told: BTreeSet<String> = newly_refused(&before.sign_in, &after.sign_in)
        .into_iter()
        .map(|refusal| refusal.call)
        .collect();
    let is_refused = |called: &&Called| taken(&called.call) == Taken::Refused;
    let words = |called: &Called| format!("{} → {}", call(&called.call), answer(&called.call));
    let known: BTreeSet<String> = before.calls.iter().map(words).collect();
    let new = after
        .sign_in
        .iter()
        .filter(is_refused)
        .filter(|called| !told.contains(&call(&called.call)));
    let new: BTreeSet<String> = new.map(words).filter(|words| !known.contains(words)).collect();
    new.into_iter().collect()
}

fn finding(case: &Case<'_>, title: String, detail: &str) -> Finding {
    Finding::new(ABOUT.id, case.stage, Blame::Nobody, title)
        .detail(detail)
        .help("see the calls in the report's part on authentication: what is asked again and again can be kept")
}

/// Calls that are alike as one, in the order in which the first of each was made.
fn records(stage: StageId, calls: &[Called]) -> Vec<CallRecord> {
    let mut places: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut records: Vec<CallRecord> = Vec::new();
    for called in calls {
        let key = (by(&called.by), asked_with(&called.call), answer(&called.call));
        let slowest_ms = called.call.took_ms.unwrap_or_default();
        if let Some(at) = places.get(&key) {
            records[*at].times += 1;
            records[*at].slowest_ms = records[*at].slowest_ms.max(slowest_ms);
        } else if records.len() < KINDS {
            places.insert(key.clone(), records.len());
            let (by, asked, answer) = key;
            records.push(CallRecord {
                stage,
                by,
                service: called.call.service.clone(),
                asked,
                answer,
                taken: taken(&called.call),
                times: 1,
                slowest_ms,
            });
        }
    }
    records
}

/// The call with its parameters: `POST /o/token/ (code, grant_type=authorization_code)`.
fn asked_with(seen: &CallSeen) -> String {
    let http = match &seen.said {
        Said::Http(http) => http,
        Said::Radius(radius) => return format!("{} ({})", radius.request, radius.attributes.join(", ")),
        Said::Ldap(_) | Said::Tls(_) | Said::Other => return call(seen),
    };
    let params = http.params.iter().map(|param| match &param.value {
        Some(value) => format!("{}={value}", param.name),
        None => param.name.clone(),
    });
    let scheme = http
        .authorization
        .iter()
        .map(|scheme| format!("Authorization: {scheme}"));
    let all: Vec<String> = params.chain(scheme).collect();
    match all.is_empty() {
        true => call(seen),
        false => format!("{} ({})", call(seen), all.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::asked::tests::called;
    use crate::mirror::names::calls::Caller;

    fn traffic(calls: &[&str]) -> Traffic {
        let web = |told: &&str| called(Caller::Service("web".to_owned()), told);
        let calls: Vec<Called> = calls.iter().map(web).collect();
        Traffic {
            sign_in: calls.clone(),
            calls,
            more: 0,
            unseen: Vec::new(),
        }
    }

    #[test]
    fn a_refusal_is_told_once_and_what_is_newly_asked_for_is_left_to_the_other_check() {
        let before = traffic(&["GET /authorize 302 response_type=code", "GET /icon 404"]);
        let after = traffic(&[
            "GET /authorize 302 response_type=code",
            "GET /icon 404",
            "GET /api/me 403",
            "GET /api/me 403",
            "GET /.well-known/openid-configuration 404",
        ]);
        assert_eq!(other_refusals(&before, &after), ["GET /api/me → 403"]);
        assert!(other_refusals(&before, &before).is_empty());
    }

    #[test]
    fn calls_that_are_alike_are_one_row_with_their_number() {
        let seen = traffic(&[
            "POST /token 200 grant_type=refresh_token refresh_token",
            "GET /keys 200",
            "GET /keys 200",
        ]);
        let rows = records(StageId::Control, &seen.calls);
        let told: Vec<(&str, u64)> = rows.iter().map(|row| (row.asked.as_str(), row.times)).collect();
        assert_eq!(
            told,
            [
                ("POST /token (grant_type=refresh_token, refresh_token)", 1),
                ("GET /keys", 2)
            ]
        );
    }
}
