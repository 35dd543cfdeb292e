//! `auth-tokens`: whatever good token production's release takes, the candidate takes, too, in whichever shape issuers make it.

use std::collections::BTreeSet;

use serde::Serialize;
use strum::VariantArray as _;

use super::auth_refusals::requests::requests;
use super::auth_refusals::{Answered, as_one};
use super::forged::Jwt;
use super::resigned::{self, Shape, Signers};
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::config::settings::Signs;
use crate::mirror::names::issuer::Signer;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;
use crate::suite::guarded::Guarded;

static ABOUT: About = About {
    id: CheckId::AuthTokens,
    question: "does the candidate take every good token that production's release takes?",
    explain: "Asked where auth.act_as_issuer says so: then a key of the run's own stands behind the issuer's, in the mirror and \
              from its start. Each request of a suite that reads and carried a JSON web token as a bearer, and the page behind \
              the sign-in, is made again with that token signed anew by this key: as it is, without kid, its one audience as a \
              text or as a list, its issuer with or without a slash at the end, a number as sub (where it is one), further \
              claims, issued 2 s from now. What production takes in control and the candidate refuses, or answers by a \
              server error, blocks; a token without kid may be refused, but not by an error. Only tokens by RS256 are signed anew. Where production does not take such a token as it is, \
              where the issuer's keys do not pass a front that reads them, and for tokens of another kind, it is skipped. What \
              to do: verify tokens by a library that knows the issuer's keys by their set, not by one of them, and hold \
              claims against what the specification says they may be.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
    ],
    step: "",
};

/// Good tokens are taken.
pub struct AuthTokens;

/// What became of good tokens.
#[derive(Debug, Default, Serialize)]
pub struct Good {
    tried: Vec<Tried>,
    /// What production took and this release was not asked, by request.
    missing: BTreeSet<String>,
    /// What was not asked, and why.
    left: BTreeSet<String>,
}

/// One request with a token of one shape.
#[derive(Debug, Serialize)]
struct Tried {
    request: String,
    shape: Shape,
    answered: Answered,
}

impl Check for AuthTokens {
    type Seen = Good;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        match &given.settings.auth {
            None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
            Some(auth) if auth.signs == Signs::Product => {
                Some("only the issuer's own key signs good tokens (`auth.act_as_issuer`)".to_owned())
            }
            Some(_) => None,
        }
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Good, Lost> {
        let (requests, begun) = (requests(at).await?, at.marks());
        let before = at.seen_before::<AuthTokens>();
        let mut good = Good {
            left: before.map(|before| before.left.clone()).unwrap_or_default(),
            ..Good::default()
        };
        let mut signers = Signers::default();
        for asked in requests.iter().filter(|asked| !asked.writes()) {
            good.all_shapes(at, asked, &mut signers).await?;
        }
        if let Some(before) = before {
            good.missing = before.requests().difference(&good.requests()).cloned().collect();
        }
        if good.tried.is_empty() && good.left.is_empty() {
            good.left.insert("no request that reads carries a token".to_owned());
        }
        // What answers an attempt with a server error has something to say.
        let is_broken = |tried: &Tried| matches!(tried.answered, Answered::Broken(_));
        if !good.tried.is_empty() && !good.tried.iter().any(is_broken) {
            at.driver.set_aside(&begun).await;
        }
        Ok(good)
    }

    fn judge(&self, case: &Case<'_>, before: &Good, after: &Good) -> Vec<Finding> {
        let newly = after.tried.iter().filter_map(|tried| {
            let took = before.took(&tried.request, tried.shape)?;
            match tried.answered {
                // With several keys a token must name its own (OpenID Connect Core 1.0, section 10.1): no release has to take
                // one that does not, and ours makes them several.
                Answered::Refused(_) if tried.shape == Shape::KidAbsent => None,
                Answered::Refused(now) | Answered::Broken(now) => Some(finding(case, tried, took, now)),
                _ => None,
            }
        });
        newly.collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Good) -> Option<Unanswered> {
        let silent = after.tried.iter().find(|tried| tried.answered.tells_nothing());
        let silent = silent.map(|tried| {
            let (request, token) = (&tried.request, tried.shape.words());
            match tried.answered {
                Answered::Limited => format!("{request} had been asked too often (429) to tell for {token}"),
                Answered::Over => format!("the token of {request} was over before {token} was tried"),
                _ => format!("{request} got no answer for {token}"),
            }
        });
        let missing = after.missing.first();
        let missing = missing.map(|request| format!("no good token by our key could be tried at {request} here"));
        let reasons = || after.left.iter().cloned().collect::<Vec<_>>().join("; ");
        match silent.or(missing) {
            Some(why) => Some(Unanswered::NotRun(why)),
            None if after.tried.is_empty() => Some(Unanswered::Skipped(reasons())),
            None => None,
        }
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        as_one(findings)
    }

    fn notes(&self, case: &Case<'_>, seen: &Good) -> Vec<String> {
        let said = |left: &String| format!("{} in {}: {left}", ABOUT.id, case.stage);
        seen.left.iter().map(said).collect()
    }
}

impl Good {
    /// One request with tokens of all shapes: production's release first with one as it is, the candidate with what production
    /// took.
    async fn all_shapes(&mut self, at: &At<'_>, asked: &Guarded, signers: &mut Signers) -> Result<(), Lost> {
        let Some(token) = asked.token() else { return Ok(()) };
        let Some(jwt) = Jwt::read(token) else {
            self.left
                .insert(format!("the token of {} is no JSON web token", asked.name));
            return Ok(());
        };
        let signer = match signers.of(at, token, &jwt).await? {
            Ok(signer) => signer,
            Err(why) => {
                self.left.insert(why);
                return Ok(());
            }
        };
        let before = at.seen_before::<AuthTokens>();
        let first = self.tried.len();
        for shape in Shape::VARIANTS {
            match before.map(|before| before.answered(&asked.name, *shape)) {
                None | Some(Some(Answered::Given(_))) => self.try_one(at, (asked, &jwt), *shape, &signer).await?,
                // What nobody could tell of production cannot be told of this release either.
                Some(Some(untold)) if untold.tells_nothing() => self.note(asked, *shape, untold),
                Some(_) => {}
            }
            if before.is_none() && !self.is_heard(asked) {
                return Ok(());
            }
        }
        self.still_good(at, (asked, token), first).await
    }

    async fn try_one(
        &mut self,
        at: &At<'_>,
        (asked, jwt): (&Guarded, &Jwt<'_>),
        shape: Shape,
        signer: &Signer,
    ) -> Result<(), Lost> {
        let Some(token) = resigned::shaped(jwt, shape, signer) else {
            return Ok(());
        };
        at.driver.hide(&token);
        let answered = answered(at, asked, &token, shape).await?;
        self.note(asked, shape, answered);
        Ok(())
    }

    /// Production takes what our key signs, or nobody can tell; else nothing else is asked.
    fn is_heard(&mut self, asked: &Guarded) -> bool {
        match self.answered(&asked.name, Shape::KidPresent) {
            Some(Answered::Refused(_) | Answered::Broken(_)) => {
                self.tried.retain(|tried| tried.request != asked.name);
                self.left.insert(format!(
                    "production refuses a good token by our key at {}, or the token is over",
                    asked.name
                ));
                false
            }
            Some(other) => other.is_given(),
            None => {
                self.left.insert("no token could be signed".to_owned());
                false
            }
        }
    }

    /// Where the user's own token is taken no more, what was refused meanwhile says nothing.
    async fn still_good(&mut self, at: &At<'_>, (asked, token): (&Guarded, &str), first: usize) -> Result<(), Lost> {
        let mine = &mut self.tried[first..];
        let is_refused = |tried: &Tried| matches!(tried.answered, Answered::Refused(_) | Answered::Broken(_));
        if !mine.iter().any(is_refused) {
            return Ok(());
        }
        let call = asked.with_token(token, "tokens once more");
        let own = at.ground.http(call).await?;
        if own.is_some_and(|answer| Answered::of(asked, &answer).is_given()) {
            return Ok(());
        }
        let refused = mine.iter_mut().filter(|tried| is_refused(tried));
        refused.for_each(|tried| tried.answered = Answered::Over);
        Ok(())
    }

    /// What was asked.
    fn requests(&self) -> BTreeSet<String> {
        self.tried.iter().map(|tried| tried.request.clone()).collect()
    }

    fn note(&mut self, asked: &Guarded, shape: Shape, answered: Answered) {
        self.tried.push(Tried {
            request: asked.name.clone(),
            shape,
            answered,
        });
    }

    fn answered(&self, request: &str, shape: Shape) -> Option<Answered> {
        let own = |tried: &&Tried| tried.request == request && tried.shape == shape;
        self.tried.iter().find(own).map(|tried| tried.answered)
    }

    /// The status by which it was taken.
    fn took(&self, request: &str, shape: Shape) -> Option<u16> {
        match self.answered(request, shape)? {
            Answered::Given(status) => Some(status),
            _ => None,
        }
    }
}

async fn answered(at: &At<'_>, asked: &Guarded, token: &str, shape: Shape) -> Result<Answered, Lost> {
    let jar = format!("tokens {} {} {} {shape}", at.case.stage, at.role, asked.name);
    let answer = at.ground.http(asked.with_token(token, &jar)).await?;
    Ok(answer.map_or(Answered::Silence, |answer| Answered::of(asked, &answer)))
}

fn finding(case: &Case<'_>, tried: &Tried, then: u16, now: u16) -> Finding {
    let baseline = case.pair.baseline();
    let (request, words) = (&tried.request, tried.shape.words());
    let title = match tried.answered {
        Answered::Broken(now) => format!("{request} ends in HTTP {now} for {words}, which {baseline} takes"),
        _ => format!("{request} is refused by HTTP {now} for {words}, which {baseline} takes"),
    };
    let line = format!(
        "{request}, {}: the baseline answers {then}, the candidate {now}",
        tried.shape
    );
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail(tried.shape.to_string())
        .seen(vec![line])
        .help("take what the specification lets a good token be: issuers change it without a word")
}
