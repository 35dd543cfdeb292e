//! `auth-faults`: while the authentication dependency is down, slow or in error, a release does what production's does, and
//! works again by itself when that does.

use std::time::Duration;

use serde::Serialize;
use url::Url;

use super::crowd;
use super::discovery::discovery;
use super::fault_trial::{Asked, Came, Trial, Users, got, tried};
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::agent::front::calls::Said;
use crate::config::settings::AuthFault;
use crate::mirror::names::calls::Called;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::text::units::{millis, of_millis, times};

static ABOUT: About = About {
    id: CheckId::AuthFaults,
    question: "while the authentication dependency fails, does the candidate bear it as production's release does?",
    explain: "Asked where stages.faults says so. In control production's release, and later the candidate, meets each \
              fault in turn, done by the fronts of auth.service: down while it starts, down, answers 5 s late (to \
              services; the gate's own browser is spared), 503, 429 with Retry-After, connections reset, the signing keys \
              alone answered by 503; LDAP answers unavailable or busy, RADIUS nothing. While it lasts, somebody who is signed in asks for auth.login.expect, and somebody \
              signs in; without auth.login the suites run that reach the product. Then the product is back. What \
              production's release bears and the candidate does not blocks: a session that ends or a sign-in that \
              fails, an error of its own (500) where production's release says that it does not work now (503, \
              a refusal), no answer, an exit, also one that a restart policy heals, and not working again by itself \
              within production's own time and 5 s. It is tried again, and on a baseline that the candidate has not \
              touched. Where production's release lets people in under a fault, 100 sign in there, or as many as come in \
              30 s, as fast as it manages without one and at most 20 a second, until one is not let in: where it lets in all \
              and the candidate does not, that blocks. \
              What to do: answer 503 while the product is away, keep nothing that failed, ask again at the next request.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Last), (StageId::Faults, Moment::Last)],
    step: "let the authentication dependency fail, and come back",
};

/// Faults are borne as before.
pub struct AuthFaults;

/// How a release bore them.
#[derive(Debug, Serialize)]
pub struct Borne {
    trials: Vec<Trial>,
    /// The suites that reach the product, where nobody signs in.
    suites: Vec<Subject>,
    /// Milliseconds from one sign-in to the next, as production's release managed them without a fault.
    pace_ms: Option<u64>,
    /// What has no meaning here, with the reason.
    meaningless: Vec<(AuthFault, String)>,
    /// What has a meaning and could not be told, in words.
    untold: Vec<String>,
    /// Why nothing, or not all of it, was tried.
    not_tried: Option<String>,
}

/// Why a fault that was asked for is not tried.
enum Untried {
    /// It has no meaning here.
    Meaningless(String),
    /// It may have one.
    Untold(String),
}

impl Check for AuthFaults {
    type Seen = Borne;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        let faults = given.settings.stages.faults.as_ref();
        faults.is_some_and(|faults| !faults.auth.is_empty())
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let mut services = given.settings.auth_services().iter();
        let is_candidate = services.any(|service| given.candidate.services.contains_key(service));
        is_candidate.then(|| "the authentication dependency is the candidate itself".to_owned())
    }

    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Borne, Lost> {
        let marks = at.marks();
        let borne = borne(at).await;
        // What is said to faults of ours is nothing that a release is known to say.
        at.driver.set_aside(&marks).await;
        borne
    }

    fn judge(&self, case: &Case<'_>, before: &Borne, after: &Borne) -> Vec<Finding> {
        let pairs = after.trials.iter().filter_map(|trial| {
            let same = before.trials.iter().find(|one| one.fault == trial.fault)?;
            Some((same, trial))
        });
        pairs.flat_map(|(before, after)| worse(case, before, after)).collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Borne) -> Option<Unanswered> {
        let reasons = || {
            let told = after.meaningless.iter().map(|(fault, why)| format!("`{fault}`: {why}"));
            told.collect::<Vec<_>>().join("; ")
        };
        match &after.not_tried {
            Some(why) => Some(Unanswered::NotRun(why.clone())),
            None if !after.untold.is_empty() => Some(Unanswered::NotRun(after.untold.join("; "))),
            None if after.trials.is_empty() => Some(Unanswered::Skipped(reasons())),
            None => None,
        }
    }

    fn again(&self, finding: &Finding) -> Again {
        let fault = finding.detail.as_deref().and_then(|detail| detail.split('/').next());
        fault.map_or(Again::Look, |fault| Again::Part(fault.to_owned()))
    }

    /// One for each way to fail, which names the faults.
    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
        let way = |finding: &Finding| {
            finding
                .detail
                .as_deref()
                .and_then(|detail| detail.split_once('/'))
                .map(|(_, way)| way.to_owned())
        };
        let mut all: Vec<Finding> = Vec::new();
        for finding in findings {
            let alike =
                |one: &&mut Finding| way(one) == way(&finding) && one.waived.is_none() && finding.waived.is_none();
            match all.iter_mut().find(alike) {
                Some(one) => one.take_in(finding),
                None => all.push(finding),
            }
        }
        all
    }

    fn notes(&self, case: &Case<'_>, seen: &Borne) -> Vec<String> {
        let of =
            |(fault, why): &(AuthFault, String)| format!("{} in {}: `{fault}` is skipped: {why}", ABOUT.id, case.stage);
        let crowds = seen
            .trials
            .iter()
            .filter_map(|trial| Some((trial, trial.crowd.as_ref()?)));
        let limited = crowds.filter(|(_, crowd)| crowd.failed > 0).map(|(trial, crowd)| {
            format!(
                "{} in {}: under `{}` {} of {} sign-ins fail",
                ABOUT.id, case.stage, trial.fault, crowd.failed, crowd.people
            )
        });
        seen.meaningless.iter().map(of).chain(limited).collect()
    }
}

async fn borne(at: &At<'_>) -> Result<Borne, Lost> {
    let mut borne = Borne {
        trials: Vec::new(),
        suites: Vec::new(),
        pace_ms: None,
        meaningless: Vec::new(),
        untold: Vec::new(),
        not_tried: at.ground.past_the_fronts(),
    };
    if borne.not_tried.is_some() {
        return Ok(borne);
    }
    let before = at.seen_before::<AuthFaults>();
    let wanted = match before {
        Some(before) => {
            // What could not be told of production's release is not tried here.
            borne.untold.clone_from(&before.untold);
            borne.suites.clone_from(&before.suites);
            borne.pace_ms = before.pace_ms;
            borne.untold.extend(no_crowd(before));
            before
                .trials
                .iter()
                .map(|trial| (trial.fault, trial.paths.clone()))
                .collect()
        }
        None => {
            borne.suites = reaching(at).await?;
            borne.pace_ms = pace(at).await?.map(millis);
            with_a_meaning(at, &mut borne).await?
        }
    };
    let is_part = |fault: AuthFault| at.part.is_none_or(|part| part == fault.as_str());
    for (fault, paths) in wanted.into_iter().filter(|(fault, _)| is_part(*fault)) {
        let asked = Asked {
            fault,
            paths: &paths,
            pace: borne.pace_ms.map(Duration::from_millis),
            before: before.and_then(|before| before.trials.iter().find(|one| one.fault == fault)),
        };
        match users(at, &borne.suites).await? {
            Ok(users) => {
                let trial = tried(at, &users, &asked).await?;
                borne
                    .untold
                    .extend(asked.before.iter().flat_map(|before| untold(before, &trial)));
                borne.trials.push(trial);
            }
            Err(why) => {
                borne.not_tried = Some(why);
                break;
            }
        }
    }
    Ok(borne)
}

/// As fast as production's release lets people in; `None` where nobody signs in, or not every time.
async fn pace(at: &At<'_>) -> Result<Option<Duration>, Lost> {
    match at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref()) {
        Some(_) => crowd::pace(at).await,
        None => Ok(None),
    }
}

/// Why nobody knows how many are let in, where somebody signs in at all.
fn no_crowd(before: &Borne) -> Option<String> {
    let is_unknown = before.pace_ms.is_none() && before.trials.iter().any(Trial::lets_in);
    let words =
        "production's release did not let everybody in even without a fault: how it bears many could not be told";
    is_unknown.then(|| words.to_owned())
}

/// By what the release is asked; or why it cannot be, as long as nothing is at fault.
async fn users(at: &At<'_>, suites: &[Subject]) -> Result<Result<Users, String>, Lost> {
    match at.driver.sign_in().await {
        Some(outcome) if outcome.held() => return Ok(Ok(Users::SignIn(outcome.left))),
        Some(outcome) => return Ok(Err(format!("the sign-in itself fails: {}", outcome.message()))),
        None if suites.is_empty() => {
            let words = "no suite reaches the authentication dependency, and auth.login does not say how to sign in";
            return Ok(Err(words.to_owned()));
        }
        None => {}
    }
    let users = Users::Suites(suites.to_vec(), Vec::new());
    let works = got(at, &users).await?.into_iter().filter(|got| got.came == Came::Works);
    let worked: Vec<String> = works.map(|got| got.what).collect();
    Ok(match worked.is_empty() {
        true => Err("nothing works even without a fault".to_owned()),
        false => Ok(Users::Suites(suites.to_vec(), worked)),
    })
}

/// Where nobody signs in, the suites in whose turn something was asked of the product. One that another shard runs is run
/// in any case: what it asks of the product says which faults have a meaning.
pub(super) async fn reaching(at: &At<'_>) -> Result<Vec<Subject>, Lost> {
    let mut reaching = Vec::new();
    let signs_in = at.case.settings.auth.as_ref().is_some_and(|auth| auth.login.is_some());
    let ran = at.facts.suites();
    let suites = at.case.settings.suites.iter();
    let suites = suites.map(|suite| Subject::Suite(suite.name.clone()));
    for subject in suites.filter(|suite| !signs_in || !ran.contains(suite)) {
        let before = at.ground.calls().await?.calls.len();
        let _ended = at.driver.run(&subject).await;
        if !signs_in && at.ground.calls().await?.calls.len() > before {
            reaching.push(subject);
        }
    }
    Ok(reaching)
}

/// The faults that were asked for and have a meaning here, each with the paths that it takes away.
async fn with_a_meaning(at: &At<'_>, borne: &mut Borne) -> Result<Vec<(AuthFault, Vec<String>)>, Lost> {
    let calls = at.ground.calls().await?.calls;
    let is_read = |said: &Said| matches!(said, Said::Http(_) | Said::Ldap(_) | Said::Radius(_));
    let is_http = |said: &Said| matches!(said, Said::Http(_));
    let mut meant = Vec::new();
    for fault in asked(at) {
        let reads = |read: &dyn Fn(&Said) -> bool| calls.iter().any(|called| read(&called.call.said));
        let paths = match fault {
            AuthFault::Reset | AuthFault::RateLimit if is_radius(&calls) => Err(Untried::Meaningless(
                "all that was seen at the fronts is RADIUS, which has neither connections to reset nor an answer that asks for patience".to_owned(),
            )),
            AuthFault::Jwks if reads(&is_http) => keys_at(at).await?,
            AuthFault::Jwks if calls.is_empty() => Err(unasked()),
            AuthFault::Jwks if calls.iter().all(|called| is_read(&called.call.said)) => Err(Untried::Meaningless(
                "no call over HTTP was seen at the fronts".to_owned(),
            )),
            AuthFault::Jwks => Err(unread()),
            AuthFault::Errors | AuthFault::RateLimit if !reads(&is_read) => Err(unread()),
            _ => Ok(Vec::new()),
        };
        match paths {
            Ok(paths) => meant.push((fault, paths)),
            Err(Untried::Meaningless(why)) => borne.meaningless.push((fault, why)),
            Err(Untried::Untold(why)) => borne.untold.push(format!("`{fault}` could not be tried: {why}")),
        }
    }
    Ok(meant)
}

/// Nothing but RADIUS is spoken.
fn is_radius(calls: &[Called]) -> bool {
    let mut said = calls.iter().map(|called| &called.call.said);
    !calls.is_empty() && said.all(|said| matches!(said, Said::Radius(_)))
}

/// Whoever asks nothing while it is looked at may ask for keys later.
fn unasked() -> Untried {
    Untried::Untold("nothing was asked at the fronts, so that nobody knows how keys are asked for".to_owned())
}

fn unread() -> Untried {
    let why = "no call over HTTP, LDAP or RADIUS was seen at the fronts: what the product encrypts itself passes unread \
               (`auth.tls: terminate` lets the front end it)";
    Untried::Untold(why.to_owned())
}

/// What production's release answered under a fault, and this one did not so that it could be told.
fn untold(before: &Trial, after: &Trial) -> Vec<String> {
    let known = before.got.iter().filter(|old| old.came != Came::Unknown);
    let missing = known.filter(|old| {
        let mut same = after.got.iter().filter(|new| new.what == old.what);
        !same.any(|new| new.came != Came::Unknown)
    });
    missing
        .map(|old| format!("`{}`: what {} gets could not be told", after.fault, old.what))
        .collect()
}

fn asked(at: &At<'_>) -> Vec<AuthFault> {
    let faults = at.case.settings.stages.faults.as_ref();
    faults.map(|faults| faults.auth.clone()).unwrap_or_default()
}

/// The path of the signing keys, by discovery; or why it is not known.
async fn keys_at(at: &At<'_>) -> Result<Result<Vec<String>, Untried>, Lost> {
    let auth = at.case.settings.auth.as_ref();
    let Some(issuer) = auth.and_then(|auth| auth.issuer.as_deref()) else {
        let why = "nobody says who the issuer is (`auth.issuer`)";
        return Ok(Err(Untried::Meaningless(why.to_owned())));
    };
    let Some(found) = discovery(at, issuer).await? else {
        return Ok(Err(Untried::Untold(
            "the issuer's discovery document was not to be had".to_owned(),
        )));
    };
    let address = found.get("jwks_uri").and_then(|address| address.as_str());
    let path = address.and_then(|address| Some(Url::parse(address).ok()?.path().to_owned()));
    Ok(path
        .map(|path| vec![path])
        .ok_or_else(|| Untried::Meaningless("discovery names no keys of the issuer's".to_owned())))
}

/// All in which the candidate bears a fault worse.
fn worse(case: &Case<'_>, before: &Trial, after: &Trial) -> Vec<Finding> {
    let with = with(case, after.fault);
    let found = |way: &str, title: String, help: &str| {
        Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
            .about(case.pair.first_service())
            .detail(format!("{}/{way}", after.fault))
            .seen(seen(case, before, after))
            .help(help)
    };
    let mut all: Vec<Finding> = Vec::new();
    if (before.started, after.started) == (Some(true), Some(false)) {
        let title = format!("{with}, the candidate does not come up, and production's release does");
        all.push(found(
            "start",
            title,
            "let it start without the product, and ask for that when it is needed",
        ));
    }
    for (old, new) in after
        .got
        .iter()
        .filter_map(|new| Some((before.got.iter().find(|old| old.what == new.what)?, new)))
    {
        if new.came.is_worse_than(&old.came) {
            let title = format!(
                "{with}, {} gets: {}; from production's release: {}",
                new.what,
                new.came.words(),
                old.came.words()
            );
            all.push(found(
                &format!("got {}", new.what),
                title,
                "answer 503 while the product is away, and let sessions live",
            ));
        }
    }
    if before.exits == 0 && after.exits > 0 {
        let title = format!(
            "{with}, the candidate exits {}; production's release stays up",
            times(after.exits)
        );
        all.push(found(
            "exits",
            title,
            "do not end because the product is away: a restart helps nobody",
        ));
    }
    all.extend(crowded(before, after).map(|words| {
        let help = "let one user's wait for the product hold up no other: more workers, shorter time-outs";
        found("crowd", format!("{with}, {words}"), help)
    }));
    all.extend(late(before, after).map(|words| {
        let title = format!("{with} no more, the candidate {words}");
        found(
            "back",
            title,
            "keep no failure: ask the product again at the next request",
        )
    }));
    all
}

/// What some of a crowd get that production's release lets in to the last.
fn crowded(before: &Trial, after: &Trial) -> Option<String> {
    let new = after.crowd.as_ref().filter(|new| new.failed > 0)?;
    let old = before.crowd.as_ref().filter(|old| old.failed == 0)?;
    let first = new.first.as_deref().unwrap_or_default();
    Some(format!(
        "{} of {} who sign in fail: {first}; production's release lets all of {} in",
        new.failed, new.people, old.people
    ))
}

/// How the candidate is late when the product is back; where production's release does not come back, nobody can tell.
fn late(before: &Trial, after: &Trial) -> Option<String> {
    let old = before.back_ms?;
    let words = |what: &str| format!("{what}; production's release does after {}", of_millis(old));
    // Until then it was asked.
    after.back_ms.is_none().then(|| words("does not work again by itself"))
}

/// `with idp down`.
fn with(case: &Case<'_>, fault: AuthFault) -> String {
    let product = case
        .settings
        .auth_services()
        .first()
        .map_or("the product", String::as_str);
    let what = match fault {
        AuthFault::DownAtStart => "down at its start",
        AuthFault::Outage => "down",
        AuthFault::Slow => "5 s late",
        AuthFault::Errors => "answering 503",
        AuthFault::RateLimit => "answering 429",
        AuthFault::Reset => "resetting connections",
        AuthFault::Jwks => "showing no keys",
    };
    format!("with {product} {what}")
}

fn seen(case: &Case<'_>, before: &Trial, after: &Trial) -> Vec<String> {
    let of = |who: &str, trial: &Trial| {
        let got = trial
            .got
            .iter()
            .map(|got| format!("{} gets: {}", got.what, got.came.words()));
        let back = match trial.back_ms {
            Some(took) => format!("works again {} after it", of_millis(took)),
            None => "does not work again by itself".to_owned(),
        };
        let got = got.collect::<Vec<_>>().join("; ");
        let crowd = trial
            .crowd
            .as_ref()
            .map(|crowd| format!("; {} of {} fail to sign in", crowd.failed, crowd.people));
        let crowd = crowd.unwrap_or_default();
        format!(
            "{who}, fault `{}`: {got}{crowd}; {back}; {} exits",
            trial.fault, trial.exits
        )
    };
    vec![of(&case.pair.baseline(), before), of(&case.pair.candidate(), after)]
}
