//! `auth-refusals`: whatever production's release refuses, the candidate refuses, too: strangers and forged tokens.

mod answers;
mod issuer;
mod parted;
mod parting;
pub(super) mod requests;
mod trial;

use strum::VariantArray as _;

use super::forged::Forgery;
use super::ground::Copy;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::config::settings::SuiteBody;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use answers::Tried;
pub use answers::{Answered, Refusals};
use requests::requests;
use trial::Trial;

static ABOUT: About = About {
    id: CheckId::AuthRefusals,
    question: "does the candidate refuse whoever and whatever production's release refuses?",
    explain: "Each request of a suite that carried credentials, and the page behind the sign-in, is made again: without \
              them, and where it carried a JSON web token as a bearer, with that token forged: altered claims, an \
              altered, cut and empty signature, alg: none, and HS256 keyed with the issuer's public key as PEM (with and \
              without its last line feed), as DER, and with nothing. Where a client asks for the sign-in's token, one of \
              its own is revoked at the endpoint that discovery names, or what any sign-in gave as auth.revoke says, and the page behind the sign-in is asked until \
              production refuses it, at most 10 s; the candidate has 5 s more. Where the sign-in is a form, somebody signs in and \
              out again: by the link or form that the page behind the sign-in, or where it led, shows for that, and at the \
              end_session_endpoint that discovery names. Then that page is asked in the same window and with the cookies that \
              it held before; where production's session has ended, the candidate's must within 5 s. Where auth.act_as_issuer says so and production \
              takes the token signed anew by a key of the run's own, requests that read are made with it expired, not yet \
              valid, of another issuer and for another audience. What production refuses (a redirect to the sign-in \
              is a refusal, and so is a page with the form by which users sign in) and the candidate answers as for the user blocks. Requests that write are made after the \
              last entry of data that the release still answers, only those with credentials in a header, and of the \
              candidate only where production refused. What to do: do not deploy; look at how the release verifies \
              tokens, and which paths it protects.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
        (StageId::Rollback, Moment::Tried),
    ],
    step: "",
};

/// Strangers and forged tokens are refused.
pub struct AuthRefusals;

impl Check for AuthRefusals {
    type Seen = Refusals;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// In `rollback` only for what writes.
    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool {
        let mut suites = given.settings.suites.iter();
        stage != StageId::Rollback || suites.any(|suite| may_write(&suite.body))
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let none = || "the configuration names no authentication dependency (`auth`)".to_owned();
        given.settings.auth.is_none().then(none)
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Refusals, Lost> {
        // What is compared has been seen: this is the release that everything is compared with.
        if (at.case.stage, at.role, at.facts.on) == (StageId::Rollback, Role::Baseline, Copy::First) {
            return Ok(Refusals::default());
        }
        let requests = requests(at).await?;
        let (mut trial, begun) = (Trial::of(at, at.seen_before::<Self>(), requests.is_empty()), at.marks());
        for asked in &requests {
            trial.all_ways(asked).await?;
        }
        trial.revoked().await?;
        trial.sign_outs().await?;
        trial.keep_signed_in().await?;
        trial.seen.missing = trial.missing(&requests);
        // What answers an attempt with a server error has something to say.
        if trial.calls > 0 && !trial.seen.is_broken() {
            at.driver.set_aside(&begun).await;
        }
        Ok(trial.seen)
    }

    fn doubts(&self, case: &Case<'_>, seen: &Refusals) -> Vec<Finding> {
        let help = "auth.revoke takes back what one sign-in gave, its token as `{{token}}`, and leaves the user";
        let doubt = |why: &String| Finding::new(CheckId::Control, case.stage, Blame::Mirror, why.clone()).help(help);
        seen.doubt.iter().map(doubt).collect()
    }

    fn judge(&self, case: &Case<'_>, before: &Refusals, after: &Refusals) -> Vec<Finding> {
        let newly = |way: Forgery| {
            let own = after.tried.iter().filter(move |tried| tried.forgery == way);
            let newly = own.filter_map(|tried| match tried.answered {
                Answered::Given(now) => Some((tried, before.kept_back(&tried.request, way)?, now)),
                _ => None,
            });
            finding(case, &newly.collect::<Vec<_>>())
        };
        let given = Forgery::VARIANTS.iter().filter_map(|way| newly(*way));
        let parted = parting::findings(case, before, after);
        given.chain(breaks(case, before, after)).chain(parted).collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Refusals) -> Option<Unanswered> {
        let mut silent = after.tried.iter().filter(|tried| tried.answered.tells_nothing());
        let silent = silent.next().map(|tried| {
            let (request, way) = (&tried.request, tried.forgery.words());
            match tried.answered {
                Answered::Limited => format!("{request} had been asked too often (429) to tell for {way}"),
                Answered::Over => format!("the token of {request} was over before {way} was tried"),
                Answered::Unclear => {
                    format!("{request} asks for a password, maybe the user, too: nobody can tell for {way}")
                }
                Answered::Deaf => format!("{request} takes no good token by our key here: nobody can tell for {way}"),
                _ => format!("{request} got no answer for {way}"),
            }
        });
        let missing = after.missing.first();
        let missing = missing
            .map(|request| format!("{request} came without credentials here, so that strangers could not be tried"));
        let untold = || after.untold.first().cloned();
        let not_run = silent.or(missing).or_else(untold).map(Unanswered::NotRun);
        not_run.or_else(|| after.nothing.clone().map(Unanswered::Skipped))
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }

    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        as_one(findings)
    }

    fn notes(&self, case: &Case<'_>, seen: &Refusals) -> Vec<String> {
        let said = |left: &String| format!("auth-refusals in {}: {left}", case.stage);
        seen.left.iter().map(said).collect()
    }
}

/// One cause in several ways.
pub(super) fn as_one(findings: Vec<Finding>) -> Vec<Finding> {
    let mut folded: Vec<(Finding, usize)> = Vec::new();
    for finding in findings {
        let alike = |(other, _): &&mut (Finding, usize)| {
            (other.blame, &other.waived, other.stage) == (finding.blame, &finding.waived, finding.stage)
        };
        match folded.iter_mut().find(alike) {
            Some((first, more)) => {
                first.evidence.extend(finding.evidence);
                *more += 1;
            }
            None => folded.push((finding, 0)),
        }
    }
    folded.into_iter().map(counted).collect()
}

fn counted((finding, more): (Finding, usize)) -> Finding {
    let ways = match more {
        0 => return finding,
        1 => "1 more way".to_owned(),
        more => format!("{more} more ways"),
    };
    Finding {
        title: format!("{} (and in {ways})", finding.title),
        ..finding
    }
}

/// A step of it may carry credentials in a header, and write.
fn may_write(body: &SuiteBody) -> bool {
    let steps = body.requests.iter();
    let mut writing = steps.filter(|step| !matches!(step.method.as_str(), "GET" | "HEAD"));
    writing.any(|step| body.basic.is_some() || step.basic.is_some() || !step.headers.is_empty())
}

fn finding(case: &Case<'_>, newly: &[(&Tried, Answered, u16)]) -> Option<Finding> {
    let (first, ..) = newly.first()?;
    let baseline = case.pair.baseline();
    let title = match first.forgery {
        Forgery::NoCredentials => format!("{} is given to strangers, whom {baseline} refuses", first.request),
        way => format!(
            "{} is given for {}, which {baseline} refuses",
            first.request,
            way.words()
        ),
    };
    let lines = newly.iter().map(|(tried, then, now)| {
        let (request, way) = (&tried.request, tried.forgery);
        format!("{request}, {way}: the baseline {}, the candidate {now}", then.words())
    });
    let found = Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail(first.forgery.to_string())
        .help(format!("do not deploy: {baseline} refuses it on the same mirror"));
    Some(found.seen(lines.collect()))
}

/// A stranger is refused by production, and meets a server error here: so does everybody who has not signed in.
fn breaks(case: &Case<'_>, before: &Refusals, after: &Refusals) -> Option<Finding> {
    let of_strangers = after
        .tried
        .iter()
        .filter(|tried| tried.forgery == Forgery::NoCredentials);
    let newly = of_strangers.filter_map(|tried| match tried.answered {
        Answered::Broken(now) => match before.answered(&tried.request, tried.forgery)? {
            Answered::Refused(then) => Some((tried, then, now)),
            _ => None,
        },
        _ => None,
    });
    let newly: Vec<_> = newly.collect();
    let (first, then, now) = newly.first()?;
    let baseline = case.pair.baseline();
    let title = format!(
        "{} ends in HTTP {now} for strangers, whom {baseline} refuses by {then}",
        first.request
    );
    let lines = newly
        .iter()
        .map(|(tried, then, now)| format!("{}: the baseline answers {then}, the candidate {now}", tried.request));
    let found = Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .detail("server-error")
        .help("do not deploy: whoever has not signed in meets the error first");
    Some(found.seen(lines.collect()))
}
