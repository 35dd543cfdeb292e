//! `auth-login`: the real sign-in, at production's version of the authentication product. The primary check.

mod tokens;

use serde::Serialize;

use super::asked::{self, Refusal, deciding};
use super::auth_capability;
use super::ground::Marks;
use super::memory::MemoryKills;
use super::pair::Pair;
use super::{About, Again, At, Case, Check, Evidence, Given, Moment, Unanswered};
use crate::agent::exchange::{HttpCall, SERVER_ERROR};
use crate::agent::jar::CookieRule;
use crate::config::settings::{Login, SignInBy};
use crate::mirror::names::calls::Called;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::stage::StageId;
use crate::record::test::TOO_MANY;
use crate::suite::directory;
use crate::suite::login::{Kind, LoginOutcome, Trouble, UsedCode};
use tokens::Tokens;

static ABOUT: About = About {
    id: CheckId::AuthLogin,
    question: "can a user sign in?",
    explain: "Signs in as auth.login says, without a browser: GET start, follow redirects to the first form with a \
              password field, fill it in with its hidden fields, submit, follow; then auth.login.expect must be \
              answered as said. On the baseline the same page is asked without a session and must not be answered \
              so. A start-up or health check cannot see what this sees: the process is healthy, only the sign-in \
              fails. Cookies go along as a browser sends them: where one is kept back and the sign-in fails, it is \
              tried again without that rule, and where none decides alone without all of them, so that a rule is blamed only where it decided. A cookie with \
              Secure that is set over plain http is sent back by nobody: where production speaks https, \
              production.hosts names the address. A page that needs JavaScript is for a test container. Then a \
              wrong password is tried, once, after the right one, and an authorization code is used a \
              second time: where the baseline refuses it and the candidate takes it, that blocks. Where auth.login asks for a token, \
              the issuer's user info is asked with it, if discovery names that, and it is refreshed, if something came to \
              refresh it by: what works with the baseline must work with the candidate, and user info must name the same \
              user (sub). As ldap, auth.login binds to the directory as the user and searches for the entry that auth.login.expect \
              names, over StartTLS or ldaps where it says so; nothing is followed, and a result is told by its name. There the \
              candidate is asked, too, whether the entry is shown without a bind. With auth.login.as radius the product itself \
              is asked first, and what it said explains what the page answers. What to do: the cause names the request that the authentication product \
              refused; either the product is upgraded first, or the release must not need it.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::AfterSuites),
        (StageId::Upgrade, Moment::AfterSuites),
        (StageId::Rollback, Moment::AfterSuites),
    ],
    step: "sign in as the test user",
};

/// A user can sign in.
pub struct AuthLogin;

/// How a sign-in went.
#[derive(Debug, Serialize)]
pub struct SignIn {
    /// The protected page is to be had without a session; asked in `control` alone, of a directory in `upgrade`, too.
    open: Option<String>,
    /// Why it failed; nothing where it did not.
    failed: Option<Failed>,
    /// What went well for now only.
    remarks: Vec<String>,
    /// What a password that is not the user's came to.
    wrong: Wrong,
    /// What a code came to that was used before.
    used_code: Wrong,
    /// What its token is good for.
    tokens: Tokens,
    /// What it asked of the authentication dependency; `None` where nobody can tell. `auth-traffic` writes it down.
    #[serde(skip)]
    calls: Option<Vec<Called>>,
}

/// What came of something that must be refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Wrong {
    /// It was not tried: the sign-in fails, or knows nothing of the kind.
    NotTried,
    /// As it must be, in its words.
    Refused(String),
    /// A server error, in its words: neither refused nor taken.
    Broken(String),
    /// The page behind the sign-in was answered as for a user.
    Taken,
    /// It could not be tried, in words.
    Untried(String),
}

/// What a failed sign-in left to see.
#[derive(Debug, Clone, Serialize)]
struct Failed {
    #[serde(skip)]
    kind: Kind,
    /// The status in which it ended, if something answered.
    status: Option<u16>,
    /// At which hop, and what: `GET http://web:8080/login answered 500`.
    message: String,
    /// Every hop.
    trail: Vec<String>,
    /// A kill for memory since the sign-in began, else the first fatal line of the candidate's log.
    fatal: Option<String>,
    /// What candidate and product said meanwhile, and never in `control`.
    said: Vec<String>,
    /// What the authentication product refused: the evidence without which its version is not blamed.
    refused: Option<Refused>,
}

/// Something that the authentication product refused.
#[derive(Debug, Clone, Serialize)]
struct Refused {
    /// Its service.
    service: String,
    /// `answers 404 to GET /o/.well-known/openid-configuration`, or its own line.
    what: String,
}

impl Check for AuthLogin {
    type Seen = SignIn;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        match &given.settings.auth {
            None => Some("the configuration names no authentication dependency (`auth`)".to_owned()),
            Some(auth) if auth.login.is_none() => {
                Some("the configuration does not say how to sign in (`auth.login`)".to_owned())
            }
            Some(_) => None,
        }
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<SignIn, Lost> {
        let open = match at.case.stage {
            StageId::Control => self.is_open(at).await,
            StageId::Upgrade if binds(&at.case) => self.is_open(at).await,
            StageId::Upgrade | StageId::Faults | StageId::Load | StageId::Rollback => Ok(None),
        };
        let begun = Begun::now(at);
        let outcome = at.driver.sign_in().await.ok_or_else(left_out)?;
        let calls = at.ground.calls().await.ok();
        let failed = match &outcome.came_to {
            Outcome::Held(()) => None,
            Outcome::Broke(trouble) if trouble.kind == Kind::Script => match in_its_place(at, trouble) {
                Some(trouble) => Some(examine(at, &trouble, outcome.trail.clone(), &begun).await),
                // Neither release is to blame for what only a browser can tell.
                None => return Err(Lost::new(Part::Test, trouble.message.clone())),
            },
            // Ours are many, and a limit that both releases have may fall on the one or the other.
            Outcome::Broke(trouble) if trouble.status == Some(TOO_MANY) => {
                return Err(Lost::new(Part::Test, format!("asked too often: {}", trouble.message)));
            }
            Outcome::Broke(trouble) => Some(examine(at, trouble, outcome.trail.clone(), &begun).await),
            Outcome::Lost(lost) => return Err(lost.clone()),
        };
        // Where the sign-in fails, that tells what is wrong with the page, too.
        let open = match (open, &failed) {
            (Err(_), Some(_)) => None,
            (open, _) => open?,
        };
        let tokens = match failed {
            None => {
                let before = at.seen_before::<Self>().map(|before| &before.tokens);
                tokens::tokens(at, &outcome.left, before).await?
            }
            Some(_) => Tokens::default(),
        };
        let (wrong, used_code) = match failed {
            None => (wrong_password(at).await?, used_code(at).await?),
            Some(_) => (Wrong::NotTried, Wrong::NotTried),
        };
        Ok(SignIn {
            open,
            failed,
            remarks: outcome.remarks,
            wrong,
            used_code,
            tokens,
            calls: calls.map(|calls| calls.of(&calls.last_sign_in).to_vec()),
        })
    }

    fn doubts(&self, case: &Case<'_>, seen: &SignIn) -> Vec<Finding> {
        let doubt =
            |title: String, help: &str| Finding::new(CheckId::Control, case.stage, Blame::Mirror, title).help(help);
        if let Some(url) = &seen.open {
            let title = format!("`{url}` is answered as expected without signing in");
            return vec![doubt(
                title,
                "set auth.login.expect to a page that only a signed-in user gets",
            )];
        }
        let Some(failed) = &seen.failed else { return Vec::new() };
        let with = format!("{} with {}", case.pair.baseline(), case.pair.auth());
        let title = format!("production itself cannot sign in: {} ({with})", failed.message);
        vec![
            doubt(title, in_control(failed))
                .because(failed.fatal.clone())
                .seen(failed.trail.iter().cloned().chain(behind_a_front(seen)).collect()),
        ]
    }

    fn judge(&self, case: &Case<'_>, before: &SignIn, after: &SignIn) -> Vec<Finding> {
        let calls = before.calls.as_deref().zip(after.calls.as_deref());
        let refused = calls.and_then(|(before, after)| deciding(before, after));
        let failed = after.failed.iter();
        let fails = failed.map(|failed| fails(case, failed, refused.as_ref()));
        let newly = |before: &Wrong, after: &Wrong| *after == Wrong::Taken && before.is_kept_out();
        let any = newly(&before.wrong, &after.wrong).then(|| takes_any(case));
        let used = newly(&before.used_code, &after.used_code).then(|| takes_used(case));
        let breaks = breaks(case, &before.wrong, &after.wrong);
        let opened = after
            .open
            .iter()
            .filter(|_| before.open.is_none())
            .map(|url| opens(case, url));
        // Where nobody signs in there is no token.
        let tokens = match after.failed {
            None => tokens::findings(case, &before.tokens, &after.tokens),
            Some(_) => Vec::new(),
        };
        let taken = any.into_iter().chain(used).chain(breaks).chain(opened);
        fails.chain(taken).chain(tokens).collect()
    }

    fn unanswered(&self, case: &Case<'_>, after: &SignIn) -> Option<Unanswered> {
        let untold = || tokens::untold(&after.tokens).or_else(|| untried(case, after).map(str::to_owned));
        let is_in = after.failed.is_none();
        is_in.then(untold).flatten().map(Unanswered::NotRun)
    }

    fn again(&self, _finding: &Finding) -> Again {
        Again::Look
    }

    fn notes(&self, case: &Case<'_>, seen: &SignIn) -> Vec<String> {
        let said = |remark: String| format!("auth-login in {}: {remark}", case.stage);
        let taken = (seen.wrong == Wrong::Taken).then(|| "a wrong password signs in".to_owned());
        let used = (seen.used_code == Wrong::Taken).then(|| "a code signs in a second time".to_owned());
        let left = match case.stage {
            StageId::Control if seen.failed.is_none() => tokens::left(&seen.tokens),
            _ => Vec::new(),
        };
        let untried = match &seen.used_code {
            Wrong::Untried(why) if case.stage == StageId::Control => {
                Some(format!("a code's second use is skipped: {why}"))
            }
            _ => None,
        };
        let remarks = seen
            .remarks
            .iter()
            .cloned()
            .chain(taken)
            .chain(used)
            .chain(untried)
            .chain(left);
        remarks.map(said).collect()
    }
}

impl Wrong {
    /// Nobody came in by it.
    fn is_kept_out(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Broken(_))
    }
}

/// What production refused and nobody could try of this release. Production's own is a note.
fn untried<'a>(case: &Case<'_>, after: &'a SignIn) -> Option<&'a str> {
    match &after.used_code {
        Wrong::Untried(why) if case.stage != StageId::Control => Some(why),
        _ => None,
    }
}

/// Where production fails behind a front of ours, the front may be why: the product sees its address.
fn behind_a_front(seen: &SignIn) -> Option<String> {
    let called = seen.calls.as_ref()?.first()?;
    let service = &called.call.service;
    Some(format!(
        "what was asked of {service} passed a front of ours: {service} sees its address, and not the client's"
    ))
}

/// Why a look that needs the sign-in cannot look.
pub(super) fn left_out() -> Lost {
    Lost::new(Part::Step, "the sign-in is left out")
}

impl AuthLogin {
    /// Without a session the protected page must be refused, or the sign-in proves nothing.
    async fn is_open(&self, at: &At<'_>) -> Result<Option<String>, Lost> {
        let outcome = at.driver.ask_without_session().await.ok_or_else(left_out)?;
        match outcome.came_to {
            Outcome::Held(()) => Ok(None),
            Outcome::Broke(_) => Ok(login_of(&at.case).map(|login| login.expect.get.clone())),
            Outcome::Lost(lost) => Err(lost),
        }
    }
}

/// A page of the product's that needs a script, where the baseline came to its form on the same mirror: it is another page, as
/// the product's for errors.
fn in_its_place(at: &At<'_>, trouble: &Trouble) -> Option<Trouble> {
    let services = at.case.settings.auth_services();
    let mut services = services.iter();
    let is_the_same = !services.any(|service| at.case.candidate.services.contains_key(service));
    let signed_in = at
        .seen_before::<AuthLogin>()
        .is_some_and(|before| before.failed.is_none());
    let url = trouble.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let is_its = url.is_some_and(|url| is_of_auth(at, &url));
    (is_the_same && signed_in && is_its).then(|| trouble.without_a_form())
}

/// Once, after the right one: accounts lock.
async fn wrong_password(at: &At<'_>) -> Result<Wrong, Lost> {
    let begun = at.marks();
    let Some(outcome) = at.driver.sign_in_wrongly().await else {
        return Ok(Wrong::NotTried);
    };
    kept_apart(at, &begun, wrong(outcome)?).await
}

/// What answers an attempt with a server error has something to say; else its words are to us.
async fn kept_apart(at: &At<'_>, begun: &Marks, came_to: Wrong) -> Result<Wrong, Lost> {
    if !matches!(came_to, Wrong::Broken(_)) {
        at.driver.set_aside(begun).await;
    }
    Ok(came_to)
}

/// By a sign-in of its own: a product may take back all that a code has led to when it sees the code again.
async fn used_code(at: &At<'_>) -> Result<Wrong, Lost> {
    let begun = at.marks();
    // After the rollback nothing is compared with it.
    if at.case.stage == StageId::Rollback {
        return Ok(Wrong::NotTried);
    }
    let Some(again) = at.driver.use_code_again().await else {
        return Ok(Wrong::NotTried);
    };
    let came_to = match again.came_to {
        Outcome::Held(UsedCode::NoCode) => return Ok(Wrong::NotTried),
        Outcome::Held(UsedCode::NotNeeded) => Wrong::NotTried,
        Outcome::Held(UsedCode::Taken) => Wrong::Taken,
        Outcome::Held(UsedCode::Refused(trouble)) => kept_out(trouble)?,
        Outcome::Broke(trouble) => return Ok(untried_code(at, &trouble)),
        Outcome::Lost(lost) => return Err(lost),
    };
    kept_apart(at, &begun, came_to).await
}

/// The sign-in of before held, and this one does not. Where production takes used codes, or could not be asked, nothing is
/// compared with it.
fn untried_code(at: &At<'_>, trouble: &Trouble) -> Wrong {
    match at.seen_before::<AuthLogin>() {
        Some(before) if !before.used_code.is_kept_out() => Wrong::NotTried,
        _ => Wrong::Untried(format!(
            "nobody could sign in after a wrong password: {}",
            trouble.message
        )),
    }
}

fn wrong(outcome: LoginOutcome) -> Result<Wrong, Lost> {
    match outcome.came_to {
        Outcome::Held(()) => Ok(Wrong::Taken),
        Outcome::Broke(trouble) => kept_out(trouble),
        Outcome::Lost(lost) => Err(lost),
    }
}

fn kept_out(trouble: Trouble) -> Result<Wrong, Lost> {
    match is_servers(&trouble) {
        // What does not answer has neither taken nor refused it.
        _ if trouble.kind == Kind::NoAnswer => Err(Lost::new(Part::Test, trouble.message)),
        true => Ok(Wrong::Broken(trouble.message)),
        false => Ok(Wrong::Refused(trouble.message)),
    }
}

fn is_servers(trouble: &Trouble) -> bool {
    match trouble.kind {
        Kind::Ldap(result) => directory::is_broken(result),
        _ => trouble.status.is_some_and(|status| status >= SERVER_ERROR),
    }
}

/// Whoever mistypes a password meets it.
fn breaks(case: &Case<'_>, before: &Wrong, after: &Wrong) -> Option<Finding> {
    let (Wrong::Refused(_), Wrong::Broken(message)) = (before, after) else {
        return None;
    };
    let baseline = case.pair.baseline();
    let title = format!("a wrong password ends in a server error, where {baseline} refuses it: {message}");
    Some(takes(case, &title).detail("wrong-password-breaks"))
}

fn takes_any(case: &Case<'_>) -> Finding {
    let title = "a wrong password signs in: the page behind the sign-in is answered as for a user";
    takes(case, title).detail("wrong-password")
}

fn opens(case: &Case<'_>, url: &str) -> Finding {
    let title = format!("{url} is shown without a bind: whoever reaches the directory reads it");
    takes(case, &title).detail("without-a-bind")
}

fn takes_used(case: &Case<'_>) -> Finding {
    let title = "an authorization code signs in a second time: whoever reads it in a log or a history is the user";
    takes(case, title).detail("used-code")
}

fn takes(case: &Case<'_>, title: &str) -> Finding {
    let help = format!("do not deploy: {} refuses it on the same mirror", case.pair.baseline());
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .help(help)
}

fn login_of<'a>(case: &Case<'a>) -> Option<&'a Login> {
    case.settings.auth.as_ref()?.login.as_ref()
}

/// Somebody signs in by a bind.
fn binds(case: &Case<'_>) -> bool {
    login_of(case).is_some_and(|login| matches!(login.by, SignInBy::Ldap(_)))
}

/// How things stood when a sign-in began.
struct Begun {
    own: Marks,
    product: Marks,
    memory_kills: MemoryKills,
}

impl Begun {
    fn now(at: &At<'_>) -> Self {
        Self {
            own: at.ground.marks(&at.case.candidates()),
            product: at.ground.marks(at.case.settings.auth_services()),
            memory_kills: MemoryKills::so_far(at.ground, at.case.replicas(&concerned(at))),
        }
    }
}

/// The candidate's services and the authentication product's.
fn concerned(at: &At<'_>) -> Vec<String> {
    let mut concerned = at.case.candidates();
    concerned.extend(at.case.settings.auth_services().iter().cloned());
    concerned
}

/// Log line, trail, and what the authentication product refused meanwhile.
async fn examine(at: &At<'_>, trouble: &Trouble, trail: Vec<String>, begun: &Begun) -> Failed {
    let fatal = at.ground.why(&at.case.candidates(), &begun.own).await;
    let refused = match ask(at, fatal.as_deref()).await {
        Some(refused) => Some(refused),
        None => its_own_words(at, &begun.product).await,
    };
    let said = [
        at.ground.new_lines(&at.case.candidates(), &begun.own),
        at.ground.new_lines(at.case.settings.auth_services(), &begun.product),
    ];
    // The engine's word of a kill may come after the answer that it cut off: it is read last.
    let killed = begun.memory_kills.since(at.ground, &concerned(at));
    Failed {
        said: said.concat(),
        kind: trouble.kind,
        status: trouble.status,
        message: trouble.message.clone(),
        trail,
        fatal: killed.or(fatal),
        refused,
    }
}

/// What the product answers to the address that the candidate's log complains about, where that is a refusal.
async fn ask(at: &At<'_>, fatal: Option<&str>) -> Option<Refused> {
    let url = fatal.and_then(url_in).filter(|url| is_of_auth(at, url))?;
    let call = HttpCall {
        session: "look".to_owned(),
        method: "GET".to_owned(),
        url: url.to_string(),
        timeout_ms: 5_000,
        ca: at.ca.to_vec(),
        ..Default::default()
    };
    // What cannot be asked is no evidence; the sign-in itself is.
    let answer = at.ground.http(call).await.ok().flatten()?;
    let product = at.case.settings.auth_services().first()?;
    (answer.status >= 400).then(|| Refused {
        service: product.clone(),
        what: format!("answers {} to GET {}", answer.status, url.path()),
    })
}

fn is_of_auth(at: &At<'_>, url: &url::Url) -> bool {
    let fronts = at.ground.fronts();
    let mut names = at.case.settings.auth_services().iter().chain(&fronts);
    names.any(|name| url.host_str() == Some(name))
}

/// What the product itself says of trouble, and never said while production signed in.
async fn its_own_words(at: &At<'_>, marks: &Marks) -> Option<Refused> {
    let services = at.case.settings.auth_services();
    if services
        .iter()
        .any(|service| at.case.candidate.services.contains_key(service))
    {
        return None;
    }
    let line = at.ground.why(services, marks).await?;
    Some(Refused {
        service: services.first()?.clone(),
        what: format!("says: {}", line.trim()),
    })
}

/// The first URL in a log line.
fn url_in(line: &str) -> Option<url::Url> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let end = line[start..]
        .find(|c: char| c.is_whitespace() || "\"'`<>)".contains(c))
        .map_or(line.len(), |at| start + at);
    url::Url::parse(line[start..end].trim_end_matches(['.', ',', ';'])).ok()
}

/// What to do where production itself cannot sign in. Only a refusal can be the product's.
fn in_control(failed: &Failed) -> &'static str {
    match failed.kind {
        Kind::Refused => {
            "is that the user, or the password, of a test user whom production has? see auth.login.username and password"
        }
        Kind::Cookie(CookieRule::Secure | CookieRule::NoneWithoutSecure | CookieRule::Prefix) => {
            "name its https address in production.hosts, and use it in auth.login"
        }
        Kind::Cookie(CookieRule::SameSite | CookieRule::Domain) => {
            "the mirror's names are not production's: name those in production.hosts, and use them in auth.login"
        }
        Kind::NoAnswer => {
            "auth.login names an address that nothing in the mirror answers: services are reached by their names and container ports"
        }
        Kind::Script => "sign in by a test container that has a browser",
        Kind::NoForm => "auth.login.start must lead to a page with a form that has a password field",
        Kind::Behind => "the sign-in was taken: see auth.login.expect, and whether production's release answers it so",
        Kind::Astray => "see the trail: the sign-in does not come to an end",
        Kind::Ldap(8 | 13) => {
            "production's directory asks for TLS: set auth.login.start_tls, or name `ldaps://` in auth.login.expect"
        }
        Kind::Ldap(10) => {
            "the entry is in another directory, which the answer names: name that one in auth.login.expect"
        }
        Kind::Ldap(48 | 49) => {
            "is that the user, or the password, of a test user whom production has? see auth.login.bind_dn, username and password"
        }
        Kind::Ldap(51 | 52) => "the directory was not ready: give its service a health check that binds",
        Kind::Error | Kind::Ldap(_) => {
            "production's release already fails with this authentication product: check that the mirror runs production's version of it"
        }
    }
}

/// The candidate cannot sign in where the baseline can. The product's version is named only with evidence from the
/// product: what it answered, or what it said.
fn fails(case: &Case<'_>, failed: &Failed, asked: Option<&Refusal>) -> Finding {
    let diagnosed = asked.filter(|_| case.stage == StageId::Upgrade && !matches!(failed.kind, Kind::Cookie(_)));
    let evidence = failed.trail.iter().cloned().chain(
        failed
            .refused
            .iter()
            .map(|refused| format!("{} {}", refused.service, refused.what)),
    );
    let evidence = evidence.chain(diagnosed.map(Refusal::evidence));
    let evidence = evidence.chain(failed.said.iter().cloned());
    let title = match diagnosed {
        Some(refusal) => diagnosis(case, failed, refusal),
        None => title(case, failed),
    };
    Finding::new(ABOUT.id, case.stage, Blame::Candidate, title)
        .about(case.pair.first_service())
        .because(failed.fatal.clone())
        .seen(evidence.collect())
        .help(match diagnosed {
            Some(refusal) => auth_capability::way_out(case, refusal, asked::product(case).as_ref()),
            None => help(case, failed),
        })
}

/// What the candidate asked for at the front and did not get, and how the sign-in ends.
fn diagnosis(case: &Case<'_>, failed: &Failed, refusal: &Refusal) -> String {
    let sentence = auth_capability::sentence(case, refusal, asked::product(case).as_ref());
    match failed.status {
        Some(status) if status >= 400 => format!("{sentence}. Sign-in ends in HTTP {status}"),
        _ => format!("{sentence}. Sign-in ends: {}", failed.message),
    }
}

fn title(case: &Case<'_>, failed: &Failed) -> String {
    let (after, message) = match case.stage {
        StageId::Rollback => (" after the rollback", &failed.message),
        StageId::Control | StageId::Upgrade | StageId::Faults | StageId::Load => ("", &failed.message),
    };
    match (&failed.refused, failed.kind) {
        // Without its rule the sign-in works: whatever the product says is a consequence.
        (_, Kind::Cookie(_)) => format!("nobody can sign in{after}: {message}"),
        (Some(refused), _) => format!(
            "nobody can sign in{after}: {} {}: {message}",
            refused.service, refused.what
        ),
        (None, Kind::Behind) => format!("the page behind the sign-in is broken{after}: {message}"),
        (None, Kind::Refused) => format!("the sign-in is refused{after}: {message}"),
        (None, _) => format!("nobody can sign in{after}: {message}"),
    }
}

fn help(case: &Case<'_>, failed: &Failed) -> String {
    let pair = case.pair;
    if let (Kind::Cookie(rule), StageId::Control | StageId::Upgrade | StageId::Faults) = (failed.kind, case.stage) {
        return in_browsers(pair, rule);
    }
    match (case.stage, &failed.refused) {
        (StageId::Rollback, _) => format!(
            "after a rollback nobody can sign in: plan the way back before deploying {}",
            pair.candidate()
        ),
        (_, Some(_)) => format!(
            "keep {}, or first move {} to a version that offers what {} asks for",
            pair.baseline(),
            pair.auth(),
            pair.candidate()
        ),
        (_, None) => format!("do not deploy: {} signs in on the same mirror", pair.baseline()),
    }
}

/// The way out where a rule of browsers decided.
fn in_browsers(pair: &Pair, rule: CookieRule) -> String {
    let (baseline, so) = (pair.baseline(), "name its address in production.hosts");
    match rule {
        CookieRule::Secure => {
            format!("do not deploy: {baseline} signs in over plain http; where production speaks https, {so}")
        }
        CookieRule::SameSite | CookieRule::Domain => format!(
            "do not deploy: {baseline} signs in on the same mirror; where production's names share a site, {so}"
        ),
        CookieRule::NoneWithoutSecure | CookieRule::Prefix => {
            format!("do not deploy: {baseline} signs in on the same mirror; where production speaks https, {so}")
        }
    }
}
