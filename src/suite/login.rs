//! The sign-in of a test user, as a browser does it: pages, redirects, forms. It knows no product: whatever leads from
//! `start` to a form with a password field and back is followed, and the protected page has the last word.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::{Url, form_urlencoded};

use super::by_radius::{self, NotTaken};
use super::known_form::{self, KnownForm};
use super::navigation::Go;
use super::page::{self, Form, Page, is_html};
use super::referrer::{self, Referrer, ReferrerPolicy};
use super::request::{self, Response, is_cookie_secret};
use super::words;
use crate::agent::client::Client;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::failure::CallFailure;
use crate::agent::jar::{CookieRule, Lifted, Ruled};
use crate::agent::session::SessionCall;
use crate::agent::{Answer, Call};
use crate::config::settings::{Bearer, HttpExpect, Login, SignInBy, StatusPattern, TokenRequest};
use crate::record::outcome::{Lost, Outcome, Part};
use crate::text::units::millis;

/// The whole sign-in's limit.
const LIMIT: Duration = Duration::from_secs(60);

/// One request's limit.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// Requests of one sign-in, redirects included, are no more.
const MOST_HOPS: usize = 40;

/// Redirects in a row.
const MOST_REDIRECTS: usize = 20;

/// Pages that only pass on: forms that submit themselves, consent, refreshes.
pub(super) const MOST_PASSED_ON: usize = 4;

/// How a sign-in went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOutcome {
    /// The protected page was answered as it must be; or at which hop what was wrong; or nobody can tell.
    pub came_to: Outcome<(), Trouble>,
    /// Every hop as `STATUS METHOD URL`, codes and tokens masked; a hop without an answer has `---` for its status.
    pub trail: Vec<String>,
    /// What redaction must learn: cookies, codes and tokens seen on the way.
    pub secrets: Vec<String>,
    /// What went well for now only: remarks for the reader.
    pub remarks: Vec<String>,
    /// With it a request is the user's, where the sign-in held.
    pub left: Session,
    /// First request to last answer.
    pub duration: Duration,
}

/// What a sign-in leaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Session {
    /// The agent's session that holds its cookies.
    pub jar: String,
    /// Headers of each of its requests, a token among them.
    pub headers: Vec<(String, String)>,
    /// By it whoever has the token gets another (RFC 6749, 6), where the product has given one.
    pub refresh_token: Option<String>,
    /// The forms by which the user has signed in: who is shown one of them is nobody.
    pub forms: Vec<KnownForm>,
    /// Forms of the page behind the sign-in that ask for a password, as the user has got it.
    pub page: Vec<KnownForm>,
}

/// Signs the test user in and asks for the protected page. What `session` held before is forgotten; afterwards it
/// holds the signed-in cookies. `ca`: CAs to trust, PEM.
///
/// Where it fails, and a rule of browsers kept a cookie back on the way, it is tried again without that rule, and, where no rule
/// decides alone, without all of them: so the rule is blamed where it decided, and only there. Fails only as an outcome: also an agent that is gone is a message.
pub async fn sign_in(client: &Client, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
    let (mut outcome, ruled) = Visit::begin(client, login, session, ca, Lifted::new())
        .await
        .whole(login)
        .await;
    let Outcome::Broke(trouble) = &outcome.came_to else {
        return outcome;
    };
    if trouble.may_be_a_cookies() {
        let trouble = trouble.clone();
        let mut experiment = Experiment {
            client,
            login,
            session: &format!("{session}-without-a-rule"),
            ca,
            secrets: Vec::new(),
        };
        let decided = experiment.deciding(ruled).await;
        outcome.secrets.extend(experiment.secrets);
        if let Some(doubt) = decided {
            outcome.came_to = Outcome::Broke(doubt.decided(trouble));
        }
    }
    outcome
}

/// A sign-in that failed, tried again without what browsers hold against cookies.
struct Experiment<'a> {
    client: &'a Client,
    login: &'a Login,
    session: &'a str,
    ca: &'a [String],
    secrets: Vec<String>,
}

impl Experiment<'_> {
    /// The first cookie over which the rule decided without which it works; or the first of all, where it works without all
    /// of those rules.
    async fn deciding(&mut self, doubts: Vec<Doubt>) -> Option<Doubt> {
        let (mut doubts, mut all) = (VecDeque::from(doubts), Lifted::new());
        let mut first = None;
        while let Some(doubt) = doubts.pop_front() {
            if !all.insert(doubt.rule) {
                continue;
            }
            match self.without(&Lifted::from([doubt.rule])).await {
                Ok(()) => return Some(doubt),
                // What one rule has dropped no other one has been asked of.
                Err(further) => doubts.extend(further),
            }
            first.get_or_insert(doubt);
        }
        let works = all.len() > 1 && self.without(&all).await.is_ok();
        first.filter(|_| works)
    }

    /// Whether it works then; else over which cookies rules decide that still hold.
    async fn without(&mut self, lifted: &Lifted) -> Result<(), Vec<Doubt>> {
        let visit = Visit::begin(self.client, self.login, self.session, self.ca, lifted.clone()).await;
        let (outcome, doubts) = visit.whole(self.login).await;
        self.secrets.extend(outcome.secrets);
        match outcome.came_to {
            Outcome::Held(()) => Ok(()),
            Outcome::Broke(_) | Outcome::Lost(_) => Err(doubts),
        }
    }
}

/// The same with a password that is not the user's, tried once; `None` where no password decides. Held = it signs in.
pub async fn sign_in_wrongly(client: &Client, login: &Login, session: &str, ca: &[String]) -> Option<LoginOutcome> {
    let decides = match &login.by {
        SignInBy::Form | SignInBy::Basic | SignInBy::Radius(_) | SignInBy::Bearer(Bearer::PasswordGrant(_)) => true,
        SignInBy::Header | SignInBy::Ldap(_) | SignInBy::Bearer(Bearer::Token(_) | Bearer::ClientCredentials(_)) => {
            false
        }
    };
    if !decides {
        return None;
    }
    let wrong = Login {
        // Before it: hashes that cut at a length pass over what is added at the end.
        password: format!("not-{}", login.password),
        ..login.clone()
    };
    let visit = Visit::begin(client, &wrong, session, ca, Lifted::new()).await;
    Some(visit.whole(&wrong).await.0)
}

/// How using a code again went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeAgain {
    /// What became of the code; or why nobody could sign in to get one; or nobody can tell.
    pub came_to: Outcome<UsedCode, Trouble>,
    /// What redaction must learn.
    pub secrets: Vec<String>,
}

impl CodeAgain {
    /// No code is used where users sign in so.
    pub fn no_code() -> Self {
        Self {
            came_to: Outcome::Held(UsedCode::NoCode),
            secrets: Vec::new(),
        }
    }
}

/// What became of a code that was used before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsedCode {
    /// No code passes through the browser.
    NoCode,
    /// The window in which it was tried is signed in without it, as where the release keeps one session on its side.
    NotNeeded,
    /// It signs in again.
    Taken,
    /// It leads to no session.
    Refused(Trouble),
}

/// Signs in and sends the code, with which the product leads back, a second time, from a window as it was before the first.
/// Fails only as an outcome.
pub async fn use_code_again(client: &Client, login: &Login, session: &str, ca: &[String]) -> CodeAgain {
    let before = format!("{session}-before-the-code");
    let mut visit = Visit::begin(client, login, session, ca, Lifted::new()).await;
    visit.kept_before_code = Some(before.clone());
    let used = visit.use_code_again(login, &before, ca).await;
    CodeAgain {
        came_to: came_to(used),
        secrets: visit.secrets.into_iter().collect(),
    }
}

/// Asks for another token by what came with the first, and for the protected page with it; `None` where nothing came by which
/// it could be asked for. Held = the page is answered as it must be.
pub async fn refresh(client: &Client, login: &Login, left: &Session, ca: &[String]) -> Option<LoginOutcome> {
    let (SignInBy::Bearer(Bearer::ClientCredentials(request)) | SignInBy::Bearer(Bearer::PasswordGrant(request))) =
        &login.by
    else {
        return None;
    };
    let by = left.refresh_token.as_deref()?;
    let mut visit = Visit::with(client, login, (&left.jar, left), ca);
    let came_to = visit.refreshed(login, request, by).await;
    Some(visit.end(came_to).0)
}

/// Asks for the protected page in a fresh session. Held = it was *not* answered as it is for a signed-in user, so
/// that a sign-in proves something; lost = it did not answer, and nobody can tell.
pub async fn protected_without_session(client: &Client, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
    let mut visit = Visit::begin(client, login, session, ca, Lifted::new()).await;
    if login.by == SignInBy::Header {
        visit.headers.clear();
    }
    let refused = visit.is_refused(login).await;
    visit.end(refused).0
}

/// A code on its second way.
#[derive(Debug, Clone)]
enum Replay {
    /// None is.
    Nothing,
    /// This one.
    Of(Box<Go>),
    /// Another code came after it.
    Overtaken,
}

impl Replay {
    fn is_followed_by(&mut self, next: &Go) {
        if matches!(self, Self::Of(code) if next.brings_another_code(code)) {
            *self = Self::Overtaken;
        }
    }
}

/// What went wrong, at which hop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What kind.
    pub kind: Kind,
    /// One line.
    pub message: String,
    /// The URL of that hop, masked.
    pub url: Option<String>,
    /// Its status, if it was answered.
    pub status: Option<u16>,
}

/// What kind of trouble a sign-in met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing answers at an address: a name that nobody bears, a closed port, TLS that fails.
    NoAnswer,
    /// No form to fill in.
    NoForm,
    /// A page that only a script fills: nobody can tell what a browser would have made of it.
    Script,
    /// The form came again: user and password were not taken.
    Refused,
    /// An answer that a user would call an error.
    Error,
    /// The sign-in was taken, and the page behind it is not as it must be.
    Behind,
    /// By this rule browsers keep a cookie back, and without it the sign-in works.
    Cookie(CookieRule),
    /// Redirects without end, a URL that is none, too many requests.
    Astray,
    /// A directory's result that is no success (RFC 4511, 4.1.9).
    Ldap(u32),
}

/// Why a visit ends early.
#[derive(Debug, Clone)]
pub(super) enum Halt {
    /// Something that a user would call an error.
    Trouble(Trouble),
    /// Nobody can tell.
    Lost(Lost),
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl LoginOutcome {
    /// One line: what was wrong; empty where nothing was.
    pub fn message(&self) -> &str {
        match &self.came_to {
            Outcome::Held(()) => "",
            Outcome::Broke(trouble) => &trouble.message,
            Outcome::Lost(lost) => &lost.why,
        }
    }

    /// The protected page was answered as it must be.
    pub fn held(&self) -> bool {
        self.came_to.held().is_some()
    }
}

impl Trouble {
    pub(super) fn at(kind: Kind, method: &str, url: &Url, status: Option<u16>, what: &str) -> Self {
        let url = words::masked(url.as_str());
        Self {
            kind,
            message: format!("{method} {url} {what}"),
            url: Some(url),
            status,
        }
    }

    /// A page that needs a script where another release is shown a form.
    pub fn without_a_form(&self) -> Self {
        let url = self.url.as_deref().unwrap_or_default();
        let status = self
            .status
            .map_or(String::new(), |status| format!("answered {status}, "));
        Self {
            kind: Kind::NoForm,
            message: format!("{url} {status}and its page has scripts and no form with a password field"),
            ..self.clone()
        }
    }

    /// A cookie that is missing can be what lies behind it.
    fn may_be_a_cookies(&self) -> bool {
        match self.kind {
            Kind::Refused | Kind::Behind | Kind::Error | Kind::NoForm | Kind::Astray => true,
            Kind::NoAnswer | Kind::Script | Kind::Cookie(_) | Kind::Ldap(_) => false,
        }
    }

    /// What a page answers has the last word; what the product said before explains it.
    fn explained(self, kind: Kind, said: &str) -> Self {
        let message = format!("{said}; then {}", self.message);
        Self { kind, message, ..self }
    }

    fn plain(message: String) -> Self {
        Self {
            kind: Kind::Astray,
            message,
            url: None,
            status: None,
        }
    }
}

/// One page as a browser has it open.
pub(super) struct Open {
    method: &'static str,
    pub url: Url,
    pub status: u16,
    pub page: Page,
    policy: ReferrerPolicy,
}

impl Open {
    /// As what it leads to knows it.
    pub fn referrer(&self) -> Referrer {
        Referrer::page(self.url.clone(), self.policy)
    }
}

/// A browser window.
pub(super) struct Visit<'a> {
    client: &'a Client,
    session: &'a str,
    ca: Vec<String>,
    insecure: bool,
    /// Of each request.
    pub headers: Vec<(String, String)>,
    started: Instant,
    hops: usize,
    pub trail: Vec<String>,
    pub secrets: BTreeSet<String>,
    /// The first answer after the submission that a user would call an error.
    first_bad: Option<Trouble>,
    /// Why the product itself does not take the user, where it was asked.
    product_said: Option<(Kind, String)>,
    /// Rules of cookies that do not hold for once.
    lifted: Lifted,
    /// Cookies that a browser's rule kept back.
    ruled: Vec<Doubt>,
    remarks: BTreeSet<String>,
    /// Where the cookies are copied to that the window holds before a code is sent.
    kept_before_code: Option<String>,
    replay: Replay,
    /// What brought the code back.
    code: Option<Go>,
    /// What came with the token.
    refresh_token: Option<String>,
    /// The forms that lead in: of the user's name, of the password.
    forms: Vec<KnownForm>,
    /// Forms of the protected page that ask for a password.
    page: Vec<KnownForm>,
    /// Where the last way through pages ended, and what was answered there.
    pub landed: Option<(Url, HttpAnswer)>,
}

/// A cookie that a browser's rule kept back, and where.
struct Doubt {
    rule: CookieRule,
    /// One line, to be followed by what came of it.
    message: String,
    /// The URL of that hop, masked.
    url: String,
    status: u16,
}

impl Doubt {
    fn of(ruled: &Ruled, go: &Go, answer: &HttpAnswer) -> Self {
        let (cookie, says) = (words::name(&ruled.name), words::name(&ruled.says));
        let (url, method, status) = (words::masked(go.url.as_str()), go.method, answer.status);
        let from = go.from.as_ref().map_or("elsewhere".to_owned(), |from| {
            format!("a page of {}", from.page.origin().ascii_serialization())
        });
        let message = match ruled.rule {
            CookieRule::Secure => format!(
                "a `Secure` cookie ({cookie}) was set over plain http, so nobody sends it back: {method} {url} answered {status}"
            ),
            CookieRule::SameSite => format!(
                "no browser sends the cookie `{cookie}` ({says}) with {method} {url}, to which {from} leads: answered {status}"
            ),
            CookieRule::NoneWithoutSecure | CookieRule::Prefix | CookieRule::Domain => {
                format!("no browser keeps the cookie `{cookie}` ({says}): {method} {url} answered {status}")
            }
        };
        Self {
            rule: ruled.rule,
            message,
            url,
            status,
        }
    }

    /// It is why a sign-in failed: all that followed is its consequence.
    fn decided(&self, trouble: Trouble) -> Trouble {
        Trouble {
            kind: Kind::Cookie(self.rule),
            message: format!("{}; then {}", self.message, trouble.message),
            url: Some(self.url.clone()),
            status: Some(self.status),
        }
    }
}

impl<'a> Visit<'a> {
    pub async fn begin(client: &'a Client, login: &Login, session: &'a str, ca: &[String], lifted: Lifted) -> Self {
        // An agent that is gone shows with the first request.
        let close = SessionCall::Close {
            session: session.to_owned(),
        };
        let _ = client.call(Call::Session(close)).await;
        Self {
            lifted,
            ..Self::go_on(client, login, session, ca)
        }
    }

    /// With what a sign-in has left, and the cookies of a jar.
    pub fn with(client: &'a Client, login: &Login, (jar, left): (&'a str, &Session), ca: &[String]) -> Self {
        Self {
            headers: left.headers.clone(),
            forms: left.forms.clone(),
            ..Self::go_on(client, login, jar, ca)
        }
    }

    /// With whatever the session holds.
    fn go_on(client: &'a Client, login: &Login, session: &'a str, ca: &[String]) -> Self {
        Self {
            client,
            session,
            ca: ca.iter().chain(&login.tls.ca).cloned().collect(),
            insecure: login.tls.insecure,
            headers: login.headers.clone(),
            started: Instant::now(),
            hops: 0,
            trail: Vec::new(),
            secrets: BTreeSet::new(),
            first_bad: None,
            product_said: None,
            lifted: Lifted::new(),
            ruled: Vec::new(),
            remarks: BTreeSet::new(),
            kept_before_code: None,
            replay: Replay::Nothing,
            code: None,
            refresh_token: None,
            forms: Vec::new(),
            page: Vec::new(),
            landed: None,
        }
    }

    /// From the start to the protected page.
    async fn whole(mut self, login: &Login) -> (LoginOutcome, Vec<Doubt>) {
        let arrived = self.arrive(login).await;
        self.end(arrived)
    }

    pub async fn arrive(&mut self, login: &Login) -> Result<(), Halt> {
        self.walk(login).await?;
        self.expect(login, self.first_bad.clone()).await
    }

    /// What it leaves.
    pub fn left(&self) -> Session {
        Session {
            jar: self.session.to_owned(),
            headers: self.headers.clone(),
            refresh_token: self.refresh_token.clone(),
            forms: self.forms.clone(),
            page: self.page.clone(),
        }
    }

    fn end(self, result: Result<(), Halt>) -> (LoginOutcome, Vec<Doubt>) {
        let outcome = LoginOutcome {
            left: self.left(),
            came_to: came_to(result),
            trail: self.trail,
            secrets: self.secrets.into_iter().collect(),
            remarks: self.remarks.into_iter().collect(),
            duration: self.started.elapsed(),
        };
        (outcome, self.ruled)
    }

    /// All that comes before the protected page.
    async fn walk(&mut self, login: &Login) -> Result<(), Halt> {
        match &login.by {
            SignInBy::Form => return self.through_pages(login).await,
            // A directory is asked without pages, in `directory`.
            SignInBy::Header | SignInBy::Ldap(_) => {}
            SignInBy::Basic => self.authorize(request::basic(&login.username, &login.password)),
            SignInBy::Radius(server) => {
                self.secrets.insert(server.shared_secret.clone());
                let asked = by_radius::ask(self.client, server, login).await;
                self.trail.push(asked.hop);
                match asked.came {
                    Ok(()) => {}
                    Err(NotTaken::Lost(lost)) => return Err(Halt::Lost(lost)),
                    Err(NotTaken::Refused(said)) => self.product_said = Some((Kind::Refused, said)),
                    Err(NotTaken::Untold(said)) => self.product_said = Some((Kind::Error, said)),
                }
                self.authorize(request::basic(&login.username, &login.password));
            }
            SignInBy::Bearer(bearer) => {
                let token = self.token(bearer, login).await?;
                self.secrets.insert(token.clone());
                self.authorize(format!("Bearer {token}"));
            }
        }
        Ok(())
    }

    fn authorize(&mut self, value: String) {
        self.headers
            .retain(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
        self.headers.push(header("Authorization", &value));
    }

    async fn token(&mut self, bearer: &Bearer, login: &Login) -> Result<String, Halt> {
        let (request, mut form) = match bearer {
            Bearer::Token(token) => return Ok(token.clone()),
            Bearer::ClientCredentials(request) => (request, vec![("grant_type", "client_credentials")]),
            Bearer::PasswordGrant(request) => {
                let user = [("username", &*login.username), ("password", &*login.password)];
                (request, [("grant_type", "password")].into_iter().chain(user).collect())
            }
        };
        form.extend(request.scope.as_deref().map(|scope| ("scope", scope)));
        self.granted(request, form).await
    }

    /// What a grant gives: a token, and maybe what it can be refreshed by.
    async fn granted(&mut self, request: &TokenRequest, form: Vec<(&str, &str)>) -> Result<String, Halt> {
        let go = self.token_call(request, form)?;
        let answer = self.ask(&go).await?;
        let body: Option<serde_json::Value> = serde_json::from_str(Response::read(&answer).body()).ok();
        let word = |name: &str| body.as_ref()?.get(name)?.as_str().map(str::to_owned);
        self.refresh_token = word("refresh_token");
        self.secrets.extend(self.refresh_token.clone());
        match word("access_token").filter(|_| answer.status == 200) {
            Some(token) => Ok(token),
            None => Err(no_token(&go, &answer, word("error"))),
        }
    }

    /// Another token in the place of the one that it has, and the protected page by that.
    async fn refreshed(&mut self, login: &Login, request: &TokenRequest, by: &str) -> Result<(), Halt> {
        // The client says who it is anew.
        self.headers.clone_from(&login.headers);
        let form = vec![("grant_type", "refresh_token"), ("refresh_token", by)];
        let token = self.granted(request, form).await?;
        self.secrets.insert(token.clone());
        self.authorize(format!("Bearer {token}"));
        self.expect(login, None).await
    }

    /// A client's name and secret go as RFC 6749 (2.3.1) has it: form-encoded, by HTTP Basic.
    fn token_call<'r>(&mut self, request: &'r TokenRequest, mut form: Vec<(&str, &'r str)>) -> Result<Go, Halt> {
        let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        match &request.client_secret {
            Some(secret) => {
                // The token takes its place.
                self.authorize(request::basic(&encoded(&request.client_id), &encoded(secret)));
            }
            None => form.push(("client_id", &request.client_id)),
        }
        Ok(Go::posted(parse(&request.url)?, &form))
    }

    /// From `start` to the form, through it, and on to where the product leads.
    async fn through_pages(&mut self, login: &Login) -> Result<(), Halt> {
        let (open, form) = self.reach_form(login).await?;
        self.come_back(Go::submission(&form.filled(login), open.referrer()), login)
            .await
    }

    /// To the page with a password field; a page that asks for the user's name alone is answered on the way, once.
    async fn reach_form(&mut self, login: &Login) -> Result<(Open, Form), Halt> {
        let start = parse(&login.start)?;
        let mut open = self.go(Go::typed(start)).await?;
        let mut named_user = false;
        for _ in 0..=MOST_PASSED_ON {
            if let Some(form) = open.page.sign_in_form(&login.fields).cloned() {
                self.forms.push(form.known());
                // What a script takes from such a form no one else can send.
                return match form.is_bare && open.page.is_scripted {
                    true => Err(needs_script(&open).into()),
                    false => Ok((open, form)),
                };
            }
            let user_form = open
                .page
                .user_form(&login.fields)
                .filter(|_| !named_user && open.status < 400);
            let next = match user_form {
                Some(form) => Some(Go::submission(&form.filled(login), open.referrer())),
                None => onwards(&open),
            };
            named_user |= user_form.is_some();
            self.forms.extend(user_form.map(|form| form.known()));
            open = self.go(next.ok_or_else(|| no_form(&open))?).await?;
        }
        Err(no_form(&open).into())
    }

    /// Submits, and follows the pages that only pass on. What goes wrong here is remembered, not decided on: where a
    /// sign-in ends may be a page that the mirror does not have.
    async fn come_back(&mut self, mut next: Go, login: &Login) -> Result<(), Halt> {
        for _ in 0..=MOST_PASSED_ON {
            match self.go(next).await {
                Ok(open) => {
                    self.note_bad(&open, login);
                    let further = onwards(&open).filter(|_| !self.has_landed(login));
                    let Some(further) = further else { return Ok(()) };
                    next = further;
                }
                Err(Halt::Trouble(trouble)) => {
                    self.first_bad.get_or_insert(trouble);
                    return Ok(());
                }
                Err(lost) => return Err(lost),
            }
        }
        Ok(())
    }

    /// The way has ended at the protected page itself: whatever that leads to, nobody has to go there.
    fn has_landed(&self, login: &Login) -> bool {
        let Some((url, answer)) = &self.landed else {
            return false;
        };
        let is_there = protected(login).is_ok_and(|there| bare(&there) == bare(url));
        is_there && self.gives(login, (url, answer))
    }

    fn note_bad(&mut self, open: &Open, login: &Login) {
        let (kind, what) = if open.status >= 400 {
            (Kind::Error, format!("answered {}{}", open.status, open.page.says()))
        } else if open.page.sign_in_form(&login.fields).is_some() {
            let status = open.status;
            (
                Kind::Refused,
                format!("answered {status} with the sign-in form again: the sign-in was refused"),
            )
        } else {
            return;
        };
        let trouble = Trouble::at(kind, open.method, &open.url, Some(open.status), &what);
        self.first_bad.get_or_insert(trouble);
    }

    /// The protected page has the last word; if it says no, an error on the way is the better explanation.
    async fn expect(&mut self, login: &Login, first_bad: Option<Trouble>) -> Result<(), Halt> {
        let (url, answer) = match self.ask_protected(login).await {
            Ok(answered) => answered,
            Err(Halt::Trouble(trouble)) => return Err(self.explained(first_bad, trouble).into()),
            Err(lost) => return Err(lost),
        };
        let problems = problems(&answer, &login.expect.expect);
        if problems.is_empty() && self.asks_who_it_is(&url, &answer) {
            let what = format!("answered {} with the sign-in form: nobody is signed in", answer.status);
            let trouble = Trouble::at(Kind::Refused, "GET", &url, Some(answer.status), &what);
            return Err(first_bad.unwrap_or(trouble).into());
        }
        if problems.is_empty() {
            self.page = page::asking(&url, &answer);
            return Ok(());
        }
        let what = format!("after the sign-in: {}", problems.join("; "));
        let trouble = Trouble::at(Kind::Behind, "GET", &url, Some(answer.status), &what);
        Err(self.explained(first_bad, trouble).into())
    }

    fn explained(&self, first_bad: Option<Trouble>, page: Trouble) -> Trouble {
        match (first_bad, &self.product_said) {
            (Some(first), _) => first,
            (None, Some((kind, said))) => page.explained(*kind, said),
            (None, None) => page,
        }
    }

    /// Whether the protected page is to be had.
    async fn is_given(&mut self, login: &Login) -> Result<bool, Halt> {
        let (url, answer) = self.ask_protected(login).await?;
        Ok(self.gives(login, (&url, &answer)))
    }

    /// It is the protected page as the user gets it.
    pub fn gives(&self, login: &Login, answered: (&Url, &HttpAnswer)) -> bool {
        problems(answered.1, &login.expect.expect).is_empty() && !self.asks_who_it_is(answered.0, answered.1)
    }

    /// A form that leads in is shown to nobody who is in.
    fn asks_who_it_is(&self, url: &Url, answer: &HttpAnswer) -> bool {
        known_form::holds(&page::shown(url, answer), &self.forms)
    }

    /// The protected page is refused to whoever has no session: an answer of another kind, or the way in itself.
    async fn is_refused(&mut self, login: &Login) -> Result<(), Halt> {
        let (url, answer) = self.ask_protected(login).await.map_err(untold)?;
        if !problems(&answer, &login.expect.expect).is_empty() {
            return Ok(());
        }
        if login.by == SignInBy::Form && !page::shown(&url, &answer).is_empty() {
            // Whose forms they are tells the way in.
            match self.reach_form(login).await {
                Ok(_) if self.asks_who_it_is(&url, &answer) => return Ok(()),
                Err(halt) if !page::asking(&url, &answer).is_empty() => return Err(untold(halt)),
                Ok(_) | Err(_) => {}
            }
        }
        let what = format!("answered {} without a session, as for a signed-in user", answer.status);
        Err(Trouble::at(Kind::Behind, "GET", &url, Some(answer.status), &what).into())
    }

    /// Signs in, and sends the code again from the window of before.
    async fn use_code_again(&mut self, login: &Login, before: &str, ca: &[String]) -> Result<UsedCode, Halt> {
        self.arrive(login).await?;
        let Some(code) = self.code.take() else {
            return Ok(UsedCode::NoCode);
        };
        // Whoever asks for the page is led to the product anew, and what is kept for the code's way back is forgotten: so the
        // code goes first, and a copy tells what the window gets without it.
        let without = format!("{before}-without-it");
        self.fork(before, &without).await;
        let left = self.left();
        let mut again = Visit::with(self.client, login, (before, &left), ca);
        let used = again.once_more(code, login).await;
        self.secrets.append(&mut again.secrets);
        match used {
            Ok(()) => {}
            Err(Halt::Trouble(trouble)) => return Ok(UsedCode::Refused(trouble)),
            Err(lost) => return Err(lost),
        }
        let mut beside = Visit::with(self.client, login, (&without, &left), ca);
        let is_needed = !beside.is_given(login).await.map_err(untold)?;
        self.secrets.append(&mut beside.secrets);
        Ok(if is_needed {
            UsedCode::Taken
        } else {
            UsedCode::NotNeeded
        })
    }

    /// A code that was used, and what it leads to.
    async fn once_more(&mut self, code: Go, login: &Login) -> Result<(), Halt> {
        let url = code.url.clone();
        self.replay = Replay::Of(Box::new(code.clone()));
        match self.go(code).await {
            // An error is as good a refusal as any.
            Ok(_) | Err(Halt::Trouble(_)) => {}
            Err(lost) => return Err(lost),
        }
        // A release that leads to the product again has refused it, whoever the product still knows.
        match !matches!(self.replay, Replay::Overtaken) && self.is_given(login).await? {
            true => Ok(()),
            false => Err(Trouble::at(Kind::Refused, "GET", &url, None, "leads to no session the second time").into()),
        }
    }

    async fn keep_before_code(&mut self, go: &Go) {
        let Some(to) = self.kept_before_code.take_if(|_| go.brings_code()) else {
            return;
        };
        self.code = Some(go.clone());
        self.fork(self.session, &to).await;
    }

    async fn fork(&self, from: &str, to: &str) {
        let (from, to) = (from.to_owned(), to.to_owned());
        // An agent that is gone shows with the next request.
        let _ = self.client.call(Call::Session(SessionCall::Fork { from, to })).await;
    }

    pub async fn ask_protected(&mut self, login: &Login) -> Result<(Url, HttpAnswer), Halt> {
        let url = protected(login)?;
        let answer = self.ask(&Go::typed(url.clone())).await?;
        Ok((url, answer))
    }

    /// Makes a request and follows its redirects.
    pub async fn go(&mut self, mut go: Go) -> Result<Open, Halt> {
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&go).await?;
            match go.redirected(&answer) {
                Some(next) => {
                    self.replay.is_followed_by(&next);
                    go = next;
                }
                None => {
                    let (url, open) = (go.url.clone(), opened(go, &answer));
                    self.landed = Some((url, answer));
                    return Ok(open);
                }
            }
        }
        let what = format!("was redirected to after {MOST_REDIRECTS} other redirects: a loop");
        Err(Trouble::at(Kind::Astray, go.method, &go.url, None, &what).into())
    }

    async fn ask(&mut self, go: &Go) -> Result<HttpAnswer, Halt> {
        self.hops += 1;
        let left = LIMIT.saturating_sub(self.started.elapsed());
        if left.is_zero() || self.hops > MOST_HOPS {
            let why = if left.is_zero() {
                "60 s are over"
            } else {
                "it took too many requests"
            };
            let what = format!("was not asked any more: {why}");
            return Err(Trouble::at(Kind::Astray, go.method, &go.url, None, &what).into());
        }
        self.learn_url(&go.url);
        self.keep_before_code(go).await;
        let answer = self.client.call(Call::Http(self.call(go, left))).await;
        let gone = |error: anyhow::Error| Lost::new(Part::Agent, words::first_line(&format!("{error:#}")));
        let answer = answer.map_err(|error| Halt::Lost(gone(error)))?;
        match answer {
            Answer::Http(answer) => {
                self.trail.push(format!(
                    "{} {} {}",
                    answer.status,
                    go.method,
                    words::masked(go.url.as_str())
                ));
                self.learn_cookies(&answer);
                self.note_cookies(go, &answer);
                Ok(answer)
            }
            Answer::Failed(CallFailure { kind, message, .. }) => {
                self.trail
                    .push(format!("--- {} {}", go.method, words::masked(go.url.as_str())));
                let what = format!("got no answer ({kind}): {}", words::first_line(&message));
                Err(Trouble::at(Kind::NoAnswer, go.method, &go.url, None, &what).into())
            }
            other => Err(Halt::Lost(Lost::new(Part::Agent, words::unexpected(&other)))),
        }
    }

    fn call(&mut self, go: &Go, left: Duration) -> HttpCall {
        let mut headers = vec![header(
            "Accept",
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        )];
        headers.extend(go.headers());
        // What the configuration says stands, also where a browser would say something else.
        headers.retain(|(name, _)| !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        headers.extend(self.headers.iter().cloned());
        for (name, value) in form_urlencoded::parse(go.body.as_deref().unwrap_or_default().as_bytes()) {
            if words::is_secret(&name, &value) && !is_password(&name) {
                self.secrets.insert(value.into_owned());
            }
        }
        HttpCall {
            session: self.session.to_owned(),
            method: go.method.to_owned(),
            url: go.url.to_string(),
            reached_at: None,
            headers,
            body: go.body.as_ref().map(|body| BASE64_STANDARD.encode(body)),
            follow: 0,
            timeout_ms: millis(left.min(REQUEST_LIMIT)),
            insecure: self.insecure,
            ca: self.ca.clone(),
            led_by: go.from.as_ref().map(|from| from.page.to_string()),
            lifted: self.lifted.clone(),
        }
    }

    fn note_cookies(&mut self, go: &Go, answer: &HttpAnswer) {
        let doubts = answer.ruled.iter().map(|ruled| Doubt::of(ruled, go, answer));
        self.ruled.extend(doubts);
        let url = words::masked(go.url.as_str());
        self.remarks.extend(answer.by_grace.iter().map(|cookie| {
            format!(
                "the cookie `{}` says no SameSite: browsers send it with {} {url}, to which a page of another site leads, \
                 only in its first two minutes",
                words::name(cookie),
                go.method
            )
        }));
    }

    fn learn_url(&mut self, url: &Url) {
        let secret = url
            .query_pairs()
            .filter(|(name, value)| value.len() >= 8 && words::is_secret(name, value));
        self.secrets.extend(secret.map(|(_, value)| value.into_owned()));
    }

    fn learn_cookies(&mut self, answer: &HttpAnswer) {
        self.secrets.extend(Response::read(answer).cookie_secrets());
        let jar = answer
            .cookies
            .iter()
            .filter(|(name, value)| is_cookie_secret(name, value));
        self.secrets.extend(jar.map(|(_, value)| value.clone()));
    }
}

/// What does not answer is neither open nor closed.
fn untold(halt: Halt) -> Halt {
    match halt {
        Halt::Trouble(trouble) => Halt::Lost(Lost::new(Part::Step, trouble.message)),
        lost @ Halt::Lost(_) => lost,
    }
}

/// What a visit came to.
pub(super) fn came_to<T>(result: Result<T, Halt>) -> Outcome<T, Trouble> {
    match result {
        Ok(held) => Outcome::Held(held),
        Err(Halt::Trouble(trouble)) => Outcome::Broke(trouble),
        Err(Halt::Lost(lost)) => Outcome::Lost(lost),
    }
}

/// A page as a window has it open.
fn opened(go: Go, answer: &HttpAnswer) -> Open {
    let page = match is_html(answer) {
        true => Page::read(Response::read(answer).body(), &go.url),
        false => Page::default(),
    };
    Open {
        method: go.method,
        status: answer.status,
        policy: page.policy.or_else(|| referrer::stated(answer)).unwrap_or_default(),
        url: go.url,
        page,
    }
}

/// The password itself is the configuration's: marked there if it is a secret, a plain word where it is not.
fn is_password(name: &str) -> bool {
    name.to_ascii_lowercase().contains("pass")
}

pub(super) fn parse(url: &str) -> Result<Url, Trouble> {
    Url::parse(url).map_err(|error| bad_url(url, error))
}

/// Where the protected page is.
fn protected(login: &Login) -> Result<Url, Trouble> {
    match Url::parse(&login.expect.get) {
        Ok(url) => Ok(url),
        Err(_) => parse(&login.start)?
            .join(&login.expect.get)
            .map_err(|error| bad_url(&login.expect.get, error)),
    }
}

/// An address without what is no part of the request.
fn bare(url: &Url) -> &str {
    &url[..url::Position::AfterQuery]
}

fn bad_url(url: &str, error: url::ParseError) -> Trouble {
    Trouble::plain(format!(
        "{} is not a URL: {error}",
        words::quoted(url, words::IN_MESSAGE)
    ))
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// What a page without a password field leads to by itself.
pub(super) fn onwards(open: &Open) -> Option<Go> {
    if open.status >= 400 {
        return None;
    }
    if let Some(form) = open.page.passing_form() {
        return Some(Go::submission(&form, open.referrer()));
    }
    Some(Go::led(open.page.refresh.clone()?, open.referrer()))
}

fn no_form(open: &Open) -> Trouble {
    let (status, says) = (open.status, open.page.says());
    let (kind, what) = if status >= 400 {
        (Kind::Error, format!("answered {status}{says}"))
    } else if open.page.is_scripted {
        return needs_script(open);
    } else {
        let why = "and its page has no form with a password field";
        (Kind::NoForm, format!("answered {status}, {why}{says}"))
    };
    Trouble::at(kind, open.method, &open.url, Some(status), &what)
}

/// What a token endpoint said instead of a token.
fn no_token(go: &Go, answer: &HttpAnswer, error: Option<String>) -> Halt {
    let said = error.map_or_else(|| "without a token".to_owned(), |error| words::name(&error));
    let what = format!("answered {}: {said}", answer.status);
    let kind = match answer.status {
        400 | 401 | 403 => Kind::Refused,
        _ => Kind::Error,
    };
    Trouble::at(kind, go.method, &go.url, Some(answer.status), &what).into()
}

fn needs_script(open: &Open) -> Trouble {
    let host = words::name(open.url.host_str().unwrap_or_default());
    let (url, says) = (words::masked(open.url.as_str()), open.page.says());
    Trouble {
        kind: Kind::Script,
        message: format!(
            "the sign-in page of {host} needs JavaScript: use a test container ({} {url} answered {}{says})",
            open.method, open.status
        ),
        url: Some(url),
        status: Some(open.status),
    }
}

fn problems(answer: &HttpAnswer, expect: &HttpExpect) -> Vec<String> {
    let mut expect = expect.clone();
    if expect.status.is_empty() {
        expect.status = vec![StatusPattern::Exact(200)];
    }
    Response::read(answer).problems(&expect)
}
