//! `auth-refusals`: whatever production's release refuses, the candidate refuses, too: strangers and forged tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::Serialize;
use strum::VariantArray as _;
use url::Url;

use super::discovery::{discovery, document};
use super::forged::{Forgery, Jwt, PublicKey};
use super::ground::Copy;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::agent::exchange::{HttpAnswer, HttpCall, SERVER_ERROR};
use crate::config::settings::{Rollback, SuiteBody};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::suite::given;
use crate::suite::guarded::Guarded;
use crate::suite::login::LoginOutcome;
use crate::text::units::millis;

static ABOUT: About = About {
    id: CheckId::AuthRefusals,
    question: "does the candidate refuse whoever and whatever production's release refuses?",
    explain: "Each request of a suite that carried credentials, and the page behind the sign-in, is made again: without \
              them, and where it carried a JSON web token as a bearer, with that token forged: altered claims, an \
              altered, cut and empty signature, alg: none, and HS256 keyed with the issuer's public key as PEM (with and \
              without its last line feed), as DER, and with nothing. Where a client asks for the sign-in's token, one of \
              its own is revoked at the endpoint that discovery names, and the page behind the sign-in is asked until \
              production refuses it, at most 10 s; the candidate has 5 s more. Tokens that only the issuer's own key can sign \
              (expired, of another issuer or audience) are left out. What production refuses (a redirect to the sign-in \
              is a refusal) and the candidate answers as for the user blocks. Requests that write are made after the \
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

/// A revoked token is watched for so long, so often; on the candidate for as long as the baseline took it, and …
const REVOKED_WITHIN: Duration = Duration::from_secs(10);
const REVOKED_EVERY: Duration = Duration::from_millis(250);
/// … so much longer.
const REVOKED_LATER: Duration = Duration::from_secs(5);

/// Strangers and forged tokens are refused.
pub struct AuthRefusals;

/// What strangers and forged tokens came to.
#[derive(Debug, Default, Serialize)]
pub struct Refusals {
    tried: Vec<Tried>,
    /// How long a revoked token was still taken, where it was refused in the end.
    revoked_after_ms: Option<u64>,
    /// What production refused and this release was not asked, by request.
    missing: BTreeSet<String>,
    /// What was not asked, and why.
    left: Vec<String>,
    /// Why nothing was asked that should have been.
    nothing: Option<String>,
}

/// One request in one way.
#[derive(Debug, Serialize)]
struct Tried {
    request: String,
    /// Its method may change something.
    writes: bool,
    forgery: Forgery,
    answered: Answered,
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Answered {
    /// What the user gets.
    Given(u16),
    /// Something else.
    Refused(u16),
    /// A server error: neither given nor refused.
    Broken(u16),
    /// Too many had been asked: nobody knows what one alone would have got.
    Limited,
    /// It was refused, but so was the token itself by then: one that is over says nothing of its forgeries.
    Over,
    /// Nothing: neither given nor refused.
    Silence,
}

/// Too Many Requests (RFC 6585, section 4).
const TOO_MANY: u16 = 429;

impl Answered {
    fn of(asked: &Guarded, answer: &HttpAnswer) -> Self {
        match answer.status {
            status if given::is_given(asked, answer) => Self::Given(status),
            TOO_MANY => Self::Limited,
            status if status >= SERVER_ERROR => Self::Broken(status),
            status => Self::Refused(status),
        }
    }

    /// Nobody can tell what this says of who may come in.
    fn tells_nothing(self) -> bool {
        matches!(self, Self::Silence | Self::Limited | Self::Over)
    }
}

impl Refusals {
    fn answered(&self, request: &str, forgery: Forgery) -> Option<Answered> {
        let own = |tried: &&Tried| tried.request == request && tried.forgery == forgery;
        self.tried.iter().find(own).map(|tried| tried.answered)
    }

    /// The status of an answer that gave nothing, whatever else it was.
    fn kept_back(&self, request: &str, forgery: Forgery) -> Option<u16> {
        match self.answered(request, forgery)? {
            Answered::Refused(status) | Answered::Broken(status) => Some(status),
            Answered::Given(_) | Answered::Limited | Answered::Over | Answered::Silence => None,
        }
    }

    /// What it refused, of what writes or of what does not.
    fn refused(&self, turn: impl Fn(&Tried) -> bool) -> BTreeSet<String> {
        let refused = |tried: &&Tried| matches!(tried.answered, Answered::Refused(_)) && turn(tried);
        self.tried
            .iter()
            .filter(refused)
            .map(|tried| tried.request.clone())
            .collect()
    }

    fn is_broken(&self) -> bool {
        self.tried
            .iter()
            .any(|tried| matches!(tried.answered, Answered::Broken(_)))
    }
}

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
        let requests = requests(at).await;
        let (mut trial, begun) = (Trial::of(at, requests.is_empty()), at.marks());
        for asked in &requests {
            trial.all_ways(asked).await?;
        }
        trial.revoked().await?;
        trial.seen.missing = trial.missing(&requests);
        // What answers an attempt with a server error has something to say.
        if trial.calls > 0 && !trial.seen.is_broken() {
            at.driver.set_aside(&begun).await;
        }
        Ok(trial.seen)
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
        given.chain(breaks(case, before, after)).collect()
    }

    fn unanswered(&self, _case: &Case<'_>, after: &Refusals) -> Option<Unanswered> {
        let mut silent = after.tried.iter().filter(|tried| tried.answered.tells_nothing());
        let silent = silent.next().map(|tried| {
            let (request, way) = (&tried.request, tried.forgery.words());
            match tried.answered {
                Answered::Limited => format!("{request} had been asked too often (429) to tell for {way}"),
                Answered::Over => format!("the token of {request} was over before {way} was tried"),
                _ => format!("{request} got no answer for {way}"),
            }
        });
        let missing = after.missing.first();
        let missing = missing
            .map(|request| format!("{request} came without credentials here, so that strangers could not be tried"));
        let not_run = silent.or(missing).map(Unanswered::NotRun);
        not_run.or_else(|| after.nothing.clone().map(Unanswered::Skipped))
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }

    /// One cause in several ways.
    fn fold(&self, findings: Vec<Finding>) -> Vec<Finding> {
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

    fn notes(&self, case: &Case<'_>, seen: &Refusals) -> Vec<String> {
        let said = |left: &String| format!("auth-refusals in {}: {left}", case.stage);
        seen.left.iter().map(said).collect()
    }
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

fn finding(case: &Case<'_>, newly: &[(&Tried, u16, u16)]) -> Option<Finding> {
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
        format!("{request}, {way}: the baseline answers {then}, the candidate {now}")
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

/// Every request that is to be refused without its credentials, of those whose turn it is.
async fn requests(at: &At<'_>) -> Vec<Guarded> {
    // Before the way back the candidate is asked what it was asked in `upgrade`.
    let stage = match at.case.stage {
        StageId::Rollback => StageId::Upgrade,
        other => other,
    };
    let of_suites = match at.facts.on {
        Copy::Untouched => anew(at).await,
        Copy::First => {
            let suites = at.facts.ran_on(stage, at.role);
            let suites = suites.filter(|ran| matches!(ran.subject, Subject::Suite(_)));
            suites.flat_map(|ran| ran.guarded.clone()).collect()
        }
    };
    let all = of_suites.into_iter().chain(behind_the_sign_in(at, stage).await);
    let mut asked_once = BTreeSet::new();
    all.filter(|asked| !is_of_the_product(at, asked) && is_its_turn(at, asked))
        .filter(|asked| asked_once.insert(place(asked)))
        .collect()
}

/// What is protected as one thing: an address without its query, by one method, with a token or without.
fn place(asked: &Guarded) -> (String, String, bool) {
    let address = asked.call.url.split(['?', '#']).next().unwrap_or_default();
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
    for suite in &at.case.settings.suites {
        all.extend(at.driver.guarded_by(&Subject::Suite(suite.name.clone())).await);
    }
    all
}

async fn behind_the_sign_in(at: &At<'_>, stage: StageId) -> Option<Guarded> {
    let login = at.case.settings.auth.as_ref()?.login.as_ref()?;
    let session = match at.facts.sessions.get(&stage) {
        Some(session) => session.clone(),
        None => {
            let outcome = at.driver.sign_in().await?;
            outcome.held().then_some(outcome.left)?
        }
    };
    given::behind(login, &session, at.ca)
}

/// What writes waits until no entry of `data` follows that this release answers.
fn is_its_turn(at: &At<'_>, asked: &Guarded) -> bool {
    is_turn_of(at, asked.writes())
}

fn is_turn_of(at: &At<'_>, writes: bool) -> bool {
    let forward = matches!(at.case.settings.stages.rollback, Rollback::ForwardOnly(_));
    match at.case.stage {
        StageId::Control => true,
        StageId::Upgrade | StageId::Faults => forward || !writes,
        StageId::Rollback => writes,
    }
}

/// A look on its way.
struct Trial<'a> {
    at: &'a At<'a>,
    before: Option<&'a Refusals>,
    /// Keys of issuers, by the token that they have signed; why there is none.
    keys: BTreeMap<String, Result<PublicKey, String>>,
    calls: usize,
    seen: Refusals,
}

impl<'a> Trial<'a> {
    fn of(at: &'a At<'a>, is_empty: bool) -> Self {
        let none = "no request of a suite, and no sign-in, carries credentials";
        let nothing = (is_empty && at.case.stage != StageId::Rollback).then(|| none.to_owned());
        Self {
            at,
            before: at.seen_before::<AuthRefusals>(),
            keys: BTreeMap::new(),
            calls: 0,
            seen: Refusals {
                nothing,
                ..Refusals::default()
            },
        }
    }

    /// What writes is left alone as soon as it was given once.
    async fn all_ways(&mut self, asked: &Guarded) -> Result<(), Lost> {
        for way in Forgery::VARIANTS {
            let answered = self.one_way(asked, *way).await?;
            if asked.writes() && matches!(answered, Some(Answered::Given(_))) {
                return Ok(());
            }
        }
        self.still_good(asked).await
    }

    /// Whether the token itself is still taken when all its forgeries were refused; what writes is not asked again.
    async fn still_good(&mut self, asked: &Guarded) -> Result<(), Lost> {
        let is_forged = |tried: &Tried| tried.request == asked.name && tried.forgery != Forgery::NoCredentials;
        let token = asked.token().filter(|_| !asked.writes());
        let Some(token) = token.filter(|_| self.seen.tried.iter().any(is_forged)) else {
            return Ok(());
        };
        let own = self.ask(asked, asked.with_token(token, "refusals once more")).await?;
        if matches!(own, Answered::Given(_)) {
            return Ok(());
        }
        let forged = self.seen.tried.iter_mut().filter(|tried| is_forged(tried));
        let refused = forged.filter(|tried| matches!(tried.answered, Answered::Refused(_)));
        refused.for_each(|tried| tried.answered = Answered::Over);
        // Of production's own nobody knows more: then the candidate is not asked.
        if self.before.is_none() {
            self.leave(format!(
                "forged tokens of {} are skipped: the token itself was over by then",
                asked.name
            ));
        }
        Ok(())
    }

    /// A token that its issuer has taken back, until it is refused.
    async fn revoked(&mut self) -> Result<(), Lost> {
        let at = self.at;
        let limit = match self.before {
            _ if at.case.stage == StageId::Rollback => return Ok(()),
            None => REVOKED_WITHIN,
            Some(before) => match before.revoked_after_ms {
                Some(after) => Duration::from_millis(after) + REVOKED_LATER,
                None => return Ok(()),
            },
        };
        match revoked(at).await? {
            Revoked::Nobodys => Ok(()),
            Revoked::Skipped(why) => {
                self.leave(format!("revoked is skipped: {why}"));
                Ok(())
            }
            Revoked::Done(guarded) => self.watch(&guarded, limit).await,
        }
    }

    async fn watch(&mut self, guarded: &Guarded, limit: Duration) -> Result<(), Lost> {
        let begun = Instant::now();
        let own = guarded.token().unwrap_or_default().to_owned();
        loop {
            self.calls += 1;
            let answered = self.ask(guarded, guarded.with_token(&own, "revoked")).await?;
            let is_over = begun.elapsed() + REVOKED_EVERY > limit;
            if matches!(answered, Answered::Given(_)) && !is_over {
                tokio::time::sleep(REVOKED_EVERY).await;
                continue;
            }
            if self.before.is_none() && !matches!(answered, Answered::Refused(_)) {
                let seconds = limit.as_secs();
                self.leave(format!(
                    "revoked is skipped: production takes a revoked token for {seconds} s and more"
                ));
                return Ok(());
            }
            self.seen.revoked_after_ms = Some(millis(begun.elapsed()));
            self.note(guarded, Forgery::Revoked, answered);
            return Ok(());
        }
    }

    async fn ask(&self, asked: &Guarded, call: HttpCall) -> Result<Answered, Lost> {
        let answer = self.at.ground.http(call).await?;
        Ok(answer.map_or(Answered::Silence, |answer| Answered::of(asked, &answer)))
    }

    /// What production refused, whose turn it is, and this release gave without credentials or not at all.
    fn missing(&self, asked: &[Guarded]) -> BTreeSet<String> {
        let turn = |tried: &Tried| is_turn_of(self.at, tried.writes);
        let refused = self.before.map(|before| before.refused(turn)).unwrap_or_default();
        let is_asked = |request: &String| {
            let mut names = asked.iter().map(|one| &one.name);
            let mut tried = self.seen.tried.iter().map(|tried| &tried.request);
            names.any(|name| name == request) || tried.any(|name| name == request)
        };
        refused.into_iter().filter(|request| !is_asked(request)).collect()
    }

    fn note(&mut self, asked: &Guarded, forgery: Forgery, answered: Answered) {
        self.seen.tried.push(Tried {
            request: asked.name.clone(),
            writes: asked.writes(),
            forgery,
            answered,
        });
    }

    async fn one_way(&mut self, asked: &Guarded, way: Forgery) -> Result<Option<Answered>, Lost> {
        if let Some(before) = self.before {
            match before.answered(&asked.name, way) {
                Some(Answered::Refused(_) | Answered::Broken(_)) => {}
                // What nobody could tell of production cannot be told of this release either.
                Some(Answered::Limited) => {
                    self.note(asked, way, Answered::Limited);
                    return Ok(None);
                }
                _ => return Ok(None),
            }
        }
        let jar = format!("refusals {} {} {}", self.at.case.stage, self.at.role, self.calls);
        let Some(call) = self.call(asked, way, &jar).await? else {
            return Ok(None);
        };
        self.calls += 1;
        let answered = self.ask(asked, call).await?;
        self.note(asked, way, answered);
        Ok(Some(answered))
    }

    /// The request in that way; none where it has none.
    async fn call(&mut self, asked: &Guarded, way: Forgery, jar: &str) -> Result<Option<HttpCall>, Lost> {
        if way == Forgery::NoCredentials {
            return Ok(Some(asked.without_credentials(jar)));
        }
        let Some((token, jwt)) = asked.token().and_then(|token| Some((token, Jwt::read(token)?))) else {
            return Ok(None);
        };
        if !self.keys.contains_key(token) {
            let key = key_of(self.at, &jwt).await?;
            self.tell_what_is_left(&key);
            self.keys.insert(token.to_owned(), key);
        }
        let key = self.keys.get(token).and_then(|key| key.as_ref().ok());
        let forged = jwt.forged(way, key);
        // One letter away from the user's own, or as good as it.
        forged.iter().for_each(|token| self.at.driver.hide(token));
        Ok(forged.map(|token| asked.with_token(&token, jar)))
    }

    fn tell_what_is_left(&mut self, key: &Result<PublicKey, String>) {
        // Once is enough.
        if self.at.case.stage != StageId::Control {
            return;
        }
        if let Err(why) = key {
            self.leave(format!("HS256 with the issuer's key is skipped: {why}"));
        }
        let by_issuer = "expired, not yet valid, invalid-iss and invalid-aud are skipped: only the issuer's own key signs such \
                         a token";
        self.leave(by_issuer.to_owned());
    }

    fn leave(&mut self, what: String) {
        if !self.seen.left.contains(&what) {
            self.seen.left.push(what);
        }
    }
}

/// What became of taking a token back.
enum Revoked {
    /// The sign-in has no token of a client's.
    Nobodys,
    /// It cannot be done, in words.
    Skipped(String),
    /// With it this page was to be had.
    Done(Box<Guarded>),
}

/// A token of its own, so that nobody else's sign-in ends.
async fn revoked(at: &At<'_>) -> Result<Revoked, Lost> {
    let Some(login) = at.case.settings.auth.as_ref().and_then(|auth| auth.login.as_ref()) else {
        return Ok(Revoked::Nobodys);
    };
    if given::revocation(login, "", "", &[]).is_none() {
        return Ok(Revoked::Nobodys);
    }
    let signed_in = at.driver.sign_in().await.filter(LoginOutcome::held);
    let guarded = signed_in.and_then(|outcome| given::behind(login, &outcome.left, at.ca));
    let Some((token, guarded)) = guarded.as_ref().and_then(|own| Some((own.token()?, own))) else {
        return Ok(Revoked::Skipped("no token could be had".to_owned()));
    };
    let issuer = issuer(at, Jwt::read(token).as_ref());
    let discovery = match issuer {
        Some(issuer) => discovery(at, &issuer).await?,
        None => None,
    };
    let endpoint = discovery
        .as_ref()
        .and_then(|found| found.get("revocation_endpoint")?.as_str());
    let call = endpoint.and_then(|endpoint| given::revocation(login, endpoint, token, at.ca));
    let Some(call) = call else {
        return Ok(Revoked::Skipped("discovery names no endpoint for it".to_owned()));
    };
    Ok(match at.ground.http(call).await? {
        Some(answer) if answer.status == 200 => Revoked::Done(Box::new(guarded.clone())),
        Some(answer) => Revoked::Skipped(format!("the product's endpoint answers {}", answer.status)),
        None => Revoked::Skipped("the product's endpoint does not answer".to_owned()),
    })
}

/// Whose tokens they are: as configured, else as a token says itself.
fn issuer(at: &At<'_>, jwt: Option<&Jwt<'_>>) -> Option<String> {
    let configured = at.case.settings.auth.as_ref().and_then(|auth| auth.issuer.clone());
    configured.or_else(|| jwt?.issuer().map(str::to_owned))
}

/// The public key of whoever has signed a token, by discovery; or why it cannot be had.
async fn key_of(at: &At<'_>, jwt: &Jwt<'_>) -> Result<Result<PublicKey, String>, Lost> {
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
        Some(keys) => PublicKey::of(jwt, &keys),
        None => Err("the issuer does not show its keys".to_owned()),
    })
}
