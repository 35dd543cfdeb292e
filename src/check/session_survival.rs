//! `session-survival`: whoever is signed in when releases give way to each other stays so, or signs in anew; an error is
//! neither.

use serde::Serialize;

use super::auth_login::left_out;
use super::ground::Copy;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::config::settings::{Bearer, SignInBy};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::stage::StageId;
use crate::record::test::TOO_MANY;
use crate::suite::login::{Kind, Session, Trouble};
use crate::suite::returning::{Received, Returned};

static ABOUT: About = About {
    id: CheckId::SessionSurvival,
    question: "does whoever is signed in stay so across the upgrade and the rollback, or sign in anew?",
    explain: "The session of auth.login that production made is kept: after the upgrade the candidate is asked for \
              auth.login.expect with it, and after the rollback production is, with the candidate's session, too. It \
              must be answered as for a user; or the session is refused, and a sign-in in the same browser, which \
              still holds the old cookies, leads to the page. An answer of 500 and above, a loop or no answer is \
              neither, and blocks where a sign-in without old cookies works. It is asked again, and of a baseline \
              that the candidate has not touched, across a restart of its own. What to do: read what the other \
              release has written into sessions, or give the cookie another name, so that users sign in anew.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::AfterSuites),
        (StageId::Rollback, Moment::AfterSuites),
    ],
    step: "come back with the sessions of before",
};

/// Sessions live across every switch, or end cleanly.
pub struct SessionSurvival;

/// What became of the sessions that releases before had made.
#[derive(Debug, Serialize)]
pub struct Sessions {
    returned: Vec<CameBack>,
}

/// One session.
#[derive(Debug, Serialize)]
struct CameBack {
    /// In which stage it was made.
    made_in: StageId,
    fate: Fate,
}

/// What became of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Fate {
    /// It holds.
    Holds,
    /// It was refused in these words, and a sign-in anew leads to the page.
    Refused(String),
    /// It leads into an error.
    Breaks(Broken),
    /// Nobody can sign in at all, which is another check's to tell.
    NobodySignsIn(String),
}

/// An error.
#[derive(Debug, Serialize)]
struct Broken {
    message: String,
    trail: Vec<String>,
    /// The release's own word for it.
    fatal: Option<String>,
}

impl Check for SessionSurvival {
    type Seen = Sessions;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let Some(auth) = &given.settings.auth else {
            return Some("the configuration names no authentication dependency (`auth`)".to_owned());
        };
        match auth.login.as_ref().map(|login| &login.by) {
            None => Some("the configuration does not say how to sign in (`auth.login`)".to_owned()),
            Some(
                SignInBy::Basic
                | SignInBy::Header
                | SignInBy::Ldap(_)
                | SignInBy::Radius(_)
                | SignInBy::Bearer(Bearer::Token(_)),
            ) => Some("no sign-in leaves a session: each request says itself who it is (`auth.login.as`)".to_owned()),
            Some(SignInBy::Form | SignInBy::Bearer(_)) => None,
        }
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Sessions, Lost> {
        let mut returned = Vec::new();
        for (made_in, session) in sessions(at).await? {
            let fate = fate(at, &session).await?;
            returned.push(CameBack { made_in, fate });
        }
        Ok(Sessions { returned })
    }

    fn judge(&self, case: &Case<'_>, _before: &Sessions, after: &Sessions) -> Vec<Finding> {
        let broken = after.returned.iter().filter_map(|one| match &one.fate {
            Fate::Breaks(broken) => Some((one.made_in, broken)),
            Fate::Holds | Fate::Refused(_) | Fate::NobodySignsIn(_) => None,
        });
        // One cause, whoever made the session.
        let first = broken.map(|(made_in, broken)| finding(case, made_in, broken)).next();
        first.into_iter().collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Sessions) -> Option<Unanswered> {
        after.returned.iter().find_map(|one| match &one.fate {
            Fate::NobodySignsIn(why) => Some(Unanswered::NotRun(format!("the sign-in itself fails: {why}"))),
            Fate::Holds | Fate::Refused(_) | Fate::Breaks(_) => None,
        })
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }

    fn notes(&self, case: &Case<'_>, seen: &Sessions) -> Vec<String> {
        let refused = seen.returned.iter().filter_map(|one| match &one.fate {
            Fate::Refused(what) => Some(format!(
                "session-survival in {}: a session made in {} does not hold, and users sign in anew: {what}",
                case.stage, one.made_in
            )),
            Fate::Holds | Fate::Breaks(_) | Fate::NobodySignsIn(_) => None,
        });
        refused.collect()
    }
}

/// Those of the stages before. In `control` its own; and where no release has given way to another, one that has seen a
/// restart of the release that made it.
async fn sessions(at: &At<'_>) -> Result<Vec<(StageId, Session)>, Lost> {
    let known = at.facts.sessions.iter();
    let known = known.filter(|(made_in, _)| **made_in < at.case.stage || at.case.stage == StageId::Control);
    let known: Vec<(StageId, Session)> = known.map(|(made_in, session)| (*made_in, session.clone())).collect();
    if !known.is_empty() {
        return Ok(known);
    }
    let session = sign_in(at).await?;
    if at.facts.on == Copy::Untouched {
        restart(at).await?;
    }
    Ok(vec![(StageId::Control, session)])
}

async fn sign_in(at: &At<'_>) -> Result<Session, Lost> {
    let outcome = at.driver.sign_in().await.ok_or_else(left_out)?;
    match outcome.came_to {
        Outcome::Held(()) => Ok(outcome.left),
        Outcome::Broke(trouble) => Err(Lost::new(Part::Step, trouble.message)),
        Outcome::Lost(lost) => Err(lost),
    }
}

/// The baseline's own restart: what a switch is compared with.
async fn restart(at: &At<'_>) -> Result<(), Lost> {
    let names = at.case.candidates().into_iter();
    let names: Vec<String> = names.filter(|name| at.case.world.services.contains_key(name)).collect();
    for name in names.iter().rev() {
        at.ground.stop(name).await;
    }
    for name in &names {
        at.ground.start_again(name).await?;
    }
    Ok(())
}

async fn fate(at: &At<'_>, session: &Session) -> Result<Fate, Lost> {
    let marks = at.ground.marks(&at.case.candidates());
    let Returned { came_to, trail, .. } = at.driver.come_back(session).await.ok_or_else(left_out)?;
    match came_to {
        Outcome::Held(Received::Known) => Ok(Fate::Holds),
        Outcome::Held(Received::Anew(what)) => Ok(Fate::Refused(what)),
        Outcome::Lost(lost) => Err(lost),
        // Neither release is to blame for what only a browser can tell, nor for how often we have signed in.
        Outcome::Broke(trouble) if trouble.kind == Kind::Script || trouble.status == Some(TOO_MANY) => {
            Err(Lost::new(Part::Test, trouble.message))
        }
        Outcome::Broke(Trouble { message, .. }) if !signs_in(at).await? => Ok(Fate::NobodySignsIn(message)),
        Outcome::Broke(Trouble { message, .. }) => Ok(Fate::Breaks(Broken {
            message,
            trail,
            fatal: at.ground.why(&at.case.candidates(), &marks).await,
        })),
    }
}

/// Whether somebody without old cookies comes to the page.
async fn signs_in(at: &At<'_>) -> Result<bool, Lost> {
    if at.facts.sessions.contains_key(&at.case.stage) {
        return Ok(true);
    }
    let outcome = at.driver.sign_in().await.ok_or_else(left_out)?;
    match outcome.came_to {
        Outcome::Held(()) => Ok(true),
        Outcome::Broke(_) => Ok(false),
        Outcome::Lost(lost) => Err(lost),
    }
}

fn finding(case: &Case<'_>, made_in: StageId, broken: &Broken) -> Finding {
    let maker = match made_in {
        StageId::Upgrade | StageId::Faults | StageId::Load => case.pair.candidate(),
        StageId::Control | StageId::Rollback => case.pair.baseline(),
    };
    let after = match case.stage {
        StageId::Rollback => " after the rollback",
        StageId::Control | StageId::Upgrade | StageId::Faults | StageId::Load => "",
    };
    let title = format!(
        "whoever signed in with {maker} is left with an error{after}: {}",
        broken.message
    );
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .because(broken.fatal.clone())
        .seen(broken.trail.clone())
        .help(help(case))
}

fn help(case: &Case<'_>) -> String {
    match case.stage {
        StageId::Rollback => format!(
            "after a rollback whoever is signed in gets errors: plan the way back before deploying {}",
            case.pair.candidate()
        ),
        StageId::Control | StageId::Upgrade | StageId::Faults | StageId::Load => format!(
            "do not deploy: let {} read those sessions, or give its cookie another name, so that users sign in anew",
            case.pair.candidate()
        ),
    }
}
