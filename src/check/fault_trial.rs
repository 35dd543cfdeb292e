//! A fault on trial: the fronts of the authentication dependency do it, and the release is asked what users ask of it, while
//! it lasts and when it is over.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::At;
use super::crowd::{self, Crowd};
use crate::agent::front::fault::{Fault, Reach};
use crate::config::settings::AuthFault;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::{Reply, TestRecord};
use crate::suite::directory;
use crate::suite::login::{Kind, Session, Trouble};
use crate::suite::returning::Received;
use crate::text::units::millis;

/// So late an answer is, milliseconds.
pub const LATE_MS: u64 = 5_000;
/// What `Retry-After` says, seconds.
const RETRY_AFTER: u64 = 2;
/// A release that is started without the product has so long, beyond what its start takes with it.
const MORE_TO_START: Duration = Duration::from_secs(30);
/// Production's release has so long to work again when the product does …
const BACK_WITHIN: Duration = Duration::from_secs(30);
/// … and the candidate so much more than that took.
pub const MORE_THAN_PRODUCTION: Duration = Duration::from_secs(5);
/// Between two questions whether it works again.
const PAUSE: Duration = Duration::from_millis(250);
/// Statuses by which a server says that something behind it is away, or that it will not do this now.
pub const SAYS_SO: [u16; 3] = [502, 503, 504];

/// By what a release is asked.
pub enum Users {
    /// The test user: somebody who has signed in before, and somebody who does now.
    SignIn(Session),
    /// Suites that reach the product, and what of them worked before the fault.
    Suites(Vec<Subject>, Vec<String>),
}

impl Users {
    /// What must work again when the product does. An old session that is refused then is no failure: users sign in anew.
    fn needs(&self) -> Vec<&str> {
        match self {
            Self::SignIn(_) => vec![SIGNS_IN],
            Self::Suites(_, worked) => worked.iter().map(String::as_str).collect(),
        }
    }
}

/// What a test user asks.
const IS_SIGNED_IN: &str = "whoever is signed in";
const SIGNS_IN: &str = "whoever signs in";

/// How a release bore one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Trial {
    /// Which.
    pub fault: AuthFault,
    /// Paths that were out, where not everything was.
    pub paths: Vec<String>,
    /// What became of ports of the product's: `8000 refused`.
    pub ports: String,
    /// It was ready, started while the product was down; `None` where it was up before.
    pub started: Option<bool>,
    /// What its users got.
    pub got: Vec<Got>,
    /// What became of a crowd that signed in, where production's release lets people in under this fault.
    pub crowd: Option<Crowd>,
    /// Exits of its containers that we did not ask for.
    pub exits: usize,
    /// Milliseconds from the fault's end until all worked again by itself; `None` = it did not.
    pub back_ms: Option<u64>,
}

impl Trial {
    /// Whoever signs in is let in.
    pub fn lets_in(&self) -> bool {
        lets_in(&self.got)
    }
}

fn lets_in(got: &[Got]) -> bool {
    got.iter().any(|got| got.what == SIGNS_IN && got.came == Came::Works)
}

/// What came of one thing that a user asked.
#[derive(Debug, Clone, Serialize)]
pub struct Got {
    /// What was asked.
    pub what: String,
    /// What came.
    pub came: Came,
}

/// What comes of a user's question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Came {
    /// What is wanted.
    Works,
    /// An answer by which a user knows that it does not work now: a refusal, 503, the product's own trouble.
    Refused(String),
    /// The release's own error.
    Breaks(String),
    /// No answer.
    Silent(String),
    /// It was skipped, or did not run.
    Unknown,
}

impl Came {
    /// It is a worse thing to get.
    pub fn is_worse_than(&self, other: &Self) -> bool {
        matches!(
            (other, self),
            (Self::Works, Self::Refused(_)) | (Self::Works | Self::Refused(_), Self::Breaks(_) | Self::Silent(_))
        )
    }

    /// For people.
    pub fn words(&self) -> &str {
        match self {
            Self::Works => "it works",
            Self::Refused(words) | Self::Breaks(words) | Self::Silent(words) => words,
            Self::Unknown => "nobody can tell",
        }
    }
}

/// One fault, from a release that works to one that works again.
///
/// # Errors
/// Nobody can tell: the agent is gone, the product does not come back, or the release does not, even restarted.
pub async fn tried(at: &At<'_>, users: &Users, asked: &Asked<'_>) -> Result<Trial, Lost> {
    let at_start = asked.fault == AuthFault::DownAtStart;
    if at_start {
        stop(at).await;
    }
    let exits_before = exits(at);
    let (fault, reach) = asked.injected();
    let stands = at.ground.fault_begins(fault, reach).await?;
    let started = match at_start {
        true => Some(start(at).await),
        false => None,
    };
    let asked_meanwhile = meanwhile(at, users, asked).await;
    // Whatever was lost, the product is there again.
    at.ground.fault_ends().await?;
    let started = started.transpose()?;
    let (got, crowd) = asked_meanwhile?;
    let back_ms = back(at, users, asked.back_within()).await?;
    let exits = exits(at) - exits_before;
    if back_ms.is_none() {
        restart_and_wait(at, users, asked.fault).await?;
    }
    Ok(Trial {
        fault: asked.fault,
        paths: asked.paths.to_vec(),
        ports: stands.words(),
        started,
        got,
        crowd,
        exits,
        back_ms,
    })
}

/// What users get while the fault lasts, one alone and many.
async fn meanwhile(at: &At<'_>, users: &Users, asked: &Asked<'_>) -> Result<(Vec<Got>, Option<Crowd>), Lost> {
    let got = match asked.fault {
        AuthFault::DownAtStart => got_once_it_answers(at, users).await?,
        _ => got(at, users).await?,
    };
    // Whom production's release does not let in, nobody has to.
    let bears = |before: &Trial| before.crowd.as_ref().is_some_and(|crowd| crowd.failed == 0);
    let is_wanted = asked.before.is_none_or(bears);
    let crowd = match asked.pace.filter(|_| lets_in(&got) && is_wanted) {
        Some(pace) => Some(crowd::comes(at, pace).await?),
        None => None,
    };
    Ok((got, crowd))
}

/// A fault, and how production's release bore it, where it was asked.
pub struct Asked<'a> {
    /// Which.
    pub fault: AuthFault,
    /// What is out of `jwks`.
    pub paths: &'a [String],
    /// From one sign-in to the next where many sign in; `None` = only one does.
    pub pace: Option<Duration>,
    /// How production's release bore it.
    pub before: Option<&'a Trial>,
}

impl Asked<'_> {
    fn injected(&self) -> (Fault, Reach) {
        let all = |fault| (fault, Reach::Everything);
        match self.fault {
            AuthFault::DownAtStart | AuthFault::Outage => all(Fault::Down),
            AuthFault::Slow => all(Fault::Slow(LATE_MS)),
            AuthFault::Errors => all(Fault::Errors),
            AuthFault::RateLimit => all(Fault::RateLimit(RETRY_AFTER)),
            AuthFault::Reset => all(Fault::Reset),
            AuthFault::Jwks => (Fault::Errors, Reach::Paths(self.paths.to_vec())),
        }
    }

    /// Where production's release did not come back, nothing is compared with it.
    fn back_within(&self) -> Duration {
        let took = self.before.and_then(|before| before.back_ms);
        took.map_or(BACK_WITHIN, |took| Duration::from_millis(took) + MORE_THAN_PRODUCTION)
    }
}

/// What users get now.
///
/// # Errors
/// Nobody can tell.
pub async fn got(at: &At<'_>, users: &Users) -> Result<Vec<Got>, Lost> {
    match users {
        Users::SignIn(session) => {
            let known = Got {
                what: IS_SIGNED_IN.to_owned(),
                came: comes_back(at, session).await?,
            };
            let new = Got {
                what: SIGNS_IN.to_owned(),
                came: signs_in(at).await?,
            };
            Ok(vec![known, new])
        }
        Users::Suites(suites, _) => {
            let mut all = Vec::new();
            for suite in suites {
                let tests = at.driver.run(suite).await;
                all.extend(tests.iter().map(|test| Got {
                    what: format!("`{suite}` / `{}`", test.name),
                    came: of_test(test),
                }));
            }
            Ok(all)
        }
    }
}

/// What has no health check runs before it listens.
async fn got_once_it_answers(at: &At<'_>, users: &Users) -> Result<Vec<Got>, Lost> {
    let begun = Instant::now();
    loop {
        let got = got(at, users).await?;
        let is_silent = got.iter().any(|got| matches!(got.came, Came::Silent(_)));
        if !is_silent || begun.elapsed() >= MORE_TO_START {
            return Ok(got);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What somebody gets who has signed in before.
///
/// # Errors
/// Nobody can tell.
pub async fn comes_back(at: &At<'_>, session: &Session) -> Result<Came, Lost> {
    let returned = at.driver.come_back(session).await.ok_or_else(no_sign_in)?;
    match returned.came_to {
        Outcome::Held(Received::Known) => Ok(Came::Works),
        Outcome::Held(Received::Anew(words)) => Ok(Came::Refused(words)),
        Outcome::Broke(trouble) => Ok(of_trouble(at, trouble)),
        Outcome::Lost(lost) => Err(lost),
    }
}

/// What somebody gets who signs in.
///
/// # Errors
/// Nobody can tell.
pub async fn signs_in(at: &At<'_>) -> Result<Came, Lost> {
    let outcome = at.driver.sign_in().await.ok_or_else(no_sign_in)?;
    match outcome.came_to {
        Outcome::Held(()) => Ok(Came::Works),
        Outcome::Broke(trouble) => Ok(of_trouble(at, trouble)),
        Outcome::Lost(lost) => Err(lost),
    }
}

fn no_sign_in() -> Lost {
    Lost::new(Part::Step, "the sign-in was left out")
}

/// What the product itself does to a browser is no answer of the release's.
fn of_trouble(at: &At<'_>, trouble: Trouble) -> Came {
    let is_products = trouble.url.as_deref().is_some_and(|url| is_of_product(at, url));
    match (trouble.kind, trouble.status) {
        _ if is_products => Came::Refused(trouble.message),
        (Kind::NoAnswer, _) => Came::Silent(trouble.message),
        (_, Some(status)) if status >= 500 && !SAYS_SO.contains(&status) => Came::Breaks(trouble.message),
        (Kind::Astray, None) => Came::Breaks(trouble.message),
        (Kind::Ldap(result), None) if directory::is_broken(result) => Came::Breaks(trouble.message),
        _ => Came::Refused(trouble.message),
    }
}

fn is_of_product(at: &At<'_>, url: &str) -> bool {
    let host = |url: &str| Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
    let Some(asked) = host(url) else { return false };
    let auth = at.case.settings.auth.as_ref();
    let is_issuer = auth
        .and_then(|auth| host(auth.issuer.as_deref()?))
        .is_some_and(|issuer| issuer == asked);
    let services = at.case.settings.auth_services().iter();
    let mut bearers = services.filter_map(|name| at.case.world.services.get(name));
    is_issuer || bearers.any(|service| service.name == asked || service.names().any(|name| *name == asked))
}

fn of_test(test: &TestRecord) -> Came {
    match (test.status, test.reply) {
        (Status::Passed, _) => Came::Works,
        (Status::Failed, Reply::Status(status)) if status >= 500 && !SAYS_SO.contains(&status) => {
            Came::Breaks(test.message.clone())
        }
        (Status::Failed, Reply::Nothing) => Came::Silent(test.message.clone()),
        (Status::Failed, _) => Came::Refused(test.message.clone()),
        (Status::Error | Status::Skipped | Status::NotRun, _) => Came::Unknown,
    }
}

/// Milliseconds until all works; `None` where that takes too long.
async fn back(at: &At<'_>, users: &Users, within: Duration) -> Result<Option<u64>, Lost> {
    let begun = Instant::now();
    loop {
        let got = got(at, users).await?;
        let works = |what: &&str| got.iter().any(|got| got.what == **what && got.came == Came::Works);
        let took = begun.elapsed();
        if users.needs().iter().all(works) {
            return Ok(Some(millis(took)));
        }
        if took >= within {
            return Ok(None);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The services of the release that stands in the place of production's, those that it adds excepted: they are not always
/// there.
fn own(at: &At<'_>) -> Vec<String> {
    let names = at.case.candidates().into_iter();
    names.filter(|name| at.case.world.services.contains_key(name)).collect()
}

async fn stop(at: &At<'_>) {
    for service in own(at).iter().rev() {
        at.ground.stop(service).await;
    }
}

/// Whether it is ready in time.
///
/// # Errors
/// Whether it would be cannot be told.
async fn start(at: &At<'_>) -> Result<bool, Lost> {
    let mut ready = true;
    for service in own(at) {
        let usual = at.facts.start_of(&service).unwrap_or_default();
        let swapped = at.facts.swaps.values().filter_map(|swap| swap.outcome.held()).flatten();
        let swapped = swapped
            .filter(|one| one.replica.service == service)
            .map(|one| one.ready);
        let usual = swapped.chain([usual]).max().unwrap_or_default();
        match at.ground.comes_up_again(&service, usual + MORE_TO_START).await {
            Outcome::Held(()) => {}
            Outcome::Broke(_) => ready = false,
            Outcome::Lost(lost) => return Err(lost),
        }
    }
    Ok(ready)
}

/// The release starts anew.
///
/// # Errors
/// It does not come back.
pub async fn restarted(at: &At<'_>) -> Result<(), Lost> {
    stop(at).await;
    for service in own(at) {
        at.ground.start_again(&service).await?;
    }
    Ok(())
}

async fn restart_and_wait(at: &At<'_>, users: &Users, fault: AuthFault) -> Result<(), Lost> {
    restarted(at).await?;
    match back(at, users, BACK_WITHIN).await? {
        Some(_) => Ok(()),
        None => Err(Lost::new(
            Part::Step,
            format!("after the fault `{fault}` nothing works any more, even restarted"),
        )),
    }
}

fn exits(at: &At<'_>) -> usize {
    let services = own(at);
    let replicas = at.case.replicas(&services);
    replicas
        .iter()
        .map(|replica| at.ground.history(replica).exits.len())
        .sum()
}
