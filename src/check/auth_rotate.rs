//! `auth-rotate`: when the product itself has changed its signing key, as `auth.rotate` tells it to, people sign in at a release,
//! and stay signed in, as at production's.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::auth_rotation_skew::{PAUSE, TAKEN_WITHIN};
use super::fault_trial::{Came, MORE_THAN_PRODUCTION, comes_back, restarted, signs_in};
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::config::settings::AuthChange;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::suite::login::Session;
use crate::text::units::{millis, of_millis};

static ABOUT: About = About {
    id: CheckId::AuthRotate,
    question: "do people sign in, and stay signed in, when the product has changed its signing key?",
    explain: "Asked where stages.faults.auth says rotation and auth.rotate says how the product changes its key. A key that is gone \
              takes with it what it has signed, so this is done when all else is over, on a mirror of its own: production's \
              release first, then the candidate in its place, on the same volumes. Somebody signs in, auth.rotate is run, and \
              somebody signs in until that works: with production's release for 35 s at most, with the candidate for 40 s. \
              Who cannot sign in by then, or meets a server error on the way that production does not show, blocks; so does who \
              was signed in before and gets something worse than with production. Where nobody can sign in with production's \
              release after it, it is skipped with its reason. What to do: ask for the issuer's keys again when a token names \
              one that is not known.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Apart), (StageId::Faults, Moment::Apart)],
    step: "",
};

/// New keys of the product's are followed as before.
pub struct AuthRotate;

/// What users got when the product had changed its key.
#[derive(Debug, Default, Serialize)]
pub struct Rotated {
    seen: Option<Users>,
    /// Why nothing of it can be compared.
    left: Option<String>,
    /// Why it could not be told.
    untold: Option<String>,
}

#[derive(Debug, Serialize)]
struct Users {
    /// Milliseconds until somebody could sign in again; `None` = nobody could.
    back_ms: Option<u64>,
    /// The first error of the release's own on the way, with what it was.
    broke: Option<String>,
    /// The last sign-in.
    signs_in: Came,
    /// Whoever had signed in before.
    is_signed_in: Came,
}

impl Check for AuthRotate {
    type Seen = Rotated;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        let auth = given.settings.auth.as_ref();
        let faults = given.settings.stages.faults.as_ref();
        auth.is_some_and(|auth| auth.rotate.is_some())
            && faults.is_some_and(|faults| faults.changes.contains(&AuthChange::Rotation))
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let mut services = given.settings.auth_services().iter();
        if services.any(|service| given.candidate.services.contains_key(service)) {
            return Some("the authentication dependency is the candidate itself".to_owned());
        }
        let login = given.settings.auth.as_ref().and_then(|auth| auth.login.as_ref());
        let none = "the configuration does not say how to sign in (`auth.login`)";
        login.is_none().then(|| none.to_owned())
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Rotated, Lost> {
        let before = at.seen_before::<Self>().map(|before| before.seen.as_ref());
        if let Some(None) = before {
            let left = at.seen_before::<Self>().and_then(|before| before.left.clone());
            return Ok(Rotated {
                left,
                ..Rotated::default()
            });
        }
        let session = match at.driver.sign_in().await {
            Some(outcome) if outcome.held() => outcome.left,
            Some(outcome) => return Ok(untold(format!("the sign-in itself fails: {}", outcome.message()))),
            None => return Ok(untold("the sign-in is left out".to_owned())),
        };
        if let Some(why) = not_run(at).await {
            return Ok(untold(why));
        }
        let seen = afterwards(at, &session).await?;
        if at.role == Role::Candidate && seen.back_ms.is_none() {
            // A repeat asks a release that lets people in.
            restarted(at).await?;
        }
        Ok(compared(at, before.is_none(), seen))
    }

    fn judge(&self, case: &Case<'_>, before: &Rotated, after: &Rotated) -> Vec<Finding> {
        let both = before.seen.as_ref().zip(after.seen.as_ref());
        both.map_or_else(Vec::new, |(before, after)| findings(case, before, after))
    }

    fn doubts(&self, case: &Case<'_>, seen: &Rotated) -> Vec<Finding> {
        let help = "see auth.rotate: on a mirror of its own it could not be asked of production's release";
        let doubt = |why: &String| Finding::new(CheckId::Control, case.stage, Blame::Mirror, why.clone()).help(help);
        seen.untold.iter().map(doubt).collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Rotated) -> Option<Unanswered> {
        let untold = after.untold.clone().map(Unanswered::NotRun);
        untold.or_else(|| after.left.clone().map(Unanswered::Skipped))
    }

    /// Each time costs the product another key.
    fn again(&self, _finding: &Finding) -> Again {
        Again::Once
    }

    fn notes(&self, case: &Case<'_>, seen: &Rotated) -> Vec<String> {
        let said = |left: &String| format!("{} in {}: {left}", ABOUT.id, case.stage);
        seen.left.iter().map(said).collect()
    }
}

fn untold(why: String) -> Rotated {
    Rotated {
        untold: Some(why),
        ..Rotated::default()
    }
}

/// What can be compared; else why nothing can.
fn compared(at: &At<'_>, is_production: bool, seen: Users) -> Rotated {
    if seen.is_signed_in == Came::Unknown || seen.signs_in == Came::Unknown {
        return untold("nobody can tell what users got after auth.rotate".to_owned());
    }
    if is_production && seen.back_ms.is_none() {
        let (release, seconds, got) = (at.case.pair.baseline(), TAKEN_WITHIN.as_secs(), seen.signs_in.words());
        return Rotated {
            left: Some(format!(
                "skipped: nobody can sign in at {release} within {seconds} s after auth.rotate ({got})"
            )),
            ..Rotated::default()
        };
    }
    Rotated {
        seen: Some(seen),
        ..Rotated::default()
    }
}

/// Why the product did not change its key, if it did not.
async fn not_run(at: &At<'_>) -> Option<String> {
    let steps = at.driver.run(&Subject::Rotate).await;
    if steps.is_empty() {
        return Some("auth.rotate ran nothing".to_owned());
    }
    let failed = steps.iter().find(|step| step.status != Status::Passed)?;
    let (name, message) = (&failed.name, &failed.message);
    Some(format!("auth.rotate / {name} does not pass: {message}"))
}

/// How much of the time is over within which a release asks for keys again is chance: the candidate has as long as production
/// has, and more.
fn within(role: Role) -> Duration {
    match role {
        Role::Baseline => TAKEN_WITHIN,
        Role::Candidate => TAKEN_WITHIN + MORE_THAN_PRODUCTION,
    }
}

async fn afterwards(at: &At<'_>, session: &Session) -> Result<Users, Lost> {
    let (begun, within, mut broke) = (Instant::now(), within(at.role), None);
    let (signs_in, back_ms) = loop {
        let came = signs_in(at).await?;
        let took = begun.elapsed();
        match came {
            Came::Works => break (came, Some(millis(took))),
            _ if took >= within => break (came, None),
            Came::Breaks(words) => drop(broke.get_or_insert(words)),
            Came::Refused(_) | Came::Silent(_) | Came::Unknown => {}
        }
        tokio::time::sleep(PAUSE).await;
    };
    Ok(Users {
        back_ms,
        broke,
        signs_in,
        is_signed_in: comes_back(at, session).await?,
    })
}

/// What users of the candidate get and those of production's release do not.
fn findings(case: &Case<'_>, before: &Users, after: &Users) -> Vec<Finding> {
    let found = |way: &str, title: String| {
        Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
            .about(case.pair.first_service())
            .detail(way)
            .seen(seen(case, before, after))
            .help("ask for the issuer's keys again when a token names one that is not known")
    };
    let baseline = case.pair.baseline();
    let mut all = Vec::new();
    match (before.back_ms, after.back_ms) {
        (Some(took), None) => {
            let (took, got) = (of_millis(took), after.signs_in.words());
            let title =
                format!("after auth.rotate whoever signs in gets: {got}; {baseline} lets people in after {took}");
            all.push(found("late", title));
        }
        _ => all.extend(after.broke.iter().filter(|_| before.broke.is_none()).map(|got| {
            let title = format!("after auth.rotate whoever signs in gets: {got}; from {baseline} no such error comes");
            found("breaks", title)
        })),
    }
    let (old, new) = (&before.is_signed_in, &after.is_signed_in);
    if new.is_worse_than(old) {
        let (new, old) = (new.words(), old.words());
        let title = format!("after auth.rotate whoever is signed in gets: {new}; from {baseline}: {old}");
        all.push(found("session", title));
    } else if old.is_worse_than(new) {
        let old = old.words();
        let title = format!("after auth.rotate whoever is signed in stays so; from {baseline} they get: {old}");
        all.push(Finding {
            blame: Blame::Nobody,
            severity: Severity::Warn,
            ..found("stays", title)
        });
    }
    all
}

fn seen(case: &Case<'_>, before: &Users, after: &Users) -> Vec<String> {
    let of = |who: String, one: &Users| {
        let back = match one.back_ms {
            Some(took) => format!("lets people in {} after auth.rotate", of_millis(took)),
            None => "lets nobody in after auth.rotate".to_owned(),
        };
        format!("{who} {back}; whoever is signed in gets: {}", one.is_signed_in.words())
    };
    vec![of(case.pair.baseline(), before), of(case.pair.candidate(), after)]
}
