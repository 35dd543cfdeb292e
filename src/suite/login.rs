//! The sign-in of a test user, as a browser does it: pages, redirects, forms. It knows no product: whatever leads from
//! `start` to a form with a password field and back is followed, and the protected page has the last word.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use url::{Url, form_urlencoded};

use super::page::{Form, Page};
use super::request::{Response, is_cookie_secret};
use super::words;
use crate::agent::client::Client;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::agent::failure::CallFailure;
use crate::agent::session::SessionCall;
use crate::agent::{Answer, Call};
use crate::config::settings::{HttpExpect, Login, StatusPattern};
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
const MOST_PASSED_ON: usize = 4;

/// How a sign-in went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginOutcome {
    /// The protected page was answered as it must be; or at which hop what was wrong; or nobody can tell.
    pub came_to: Outcome<(), Trouble>,
    /// Every hop as `STATUS METHOD URL`, codes and tokens masked; a hop without an answer has `---` for its status.
    pub trail: Vec<String>,
    /// What redaction must learn: cookies, codes and tokens seen on the way.
    pub secrets: Vec<String>,
    /// First request to last answer.
    pub duration: Duration,
}

/// Signs the test user in and asks for the protected page. What `session` held before is forgotten; afterwards it
/// holds the signed-in cookies. `ca`: CAs to trust, PEM.
///
/// Fails only as an outcome: also an agent that is gone is a message.
pub async fn sign_in(client: &Client, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
    let mut visit = Visit::begin(client, login, session, ca).await;
    let arrived = match visit.walk(login).await {
        Ok(()) => visit.expect(login, visit.first_bad.clone()).await,
        Err(trouble) => Err(trouble),
    };
    visit.end(arrived)
}

/// Asks for the protected page in a fresh session. Held = it was *not* answered as it is for a signed-in user, so
/// that a sign-in proves something; lost = it did not answer, and nobody can tell.
pub async fn protected_without_session(client: &Client, login: &Login, session: &str, ca: &[String]) -> LoginOutcome {
    let mut visit = Visit::begin(client, login, session, ca).await;
    let refused = match visit.ask_protected(login).await {
        Ok((url, answer)) if problems(&answer, &login.expect.expect).is_empty() => {
            let what = format!("answered {} without a session, as for a signed-in user", answer.status);
            Err(Trouble::at(Kind::Behind, "GET", &url, Some(answer.status), &what).into())
        }
        Ok(_) => Ok(()),
        // What does not answer is neither open nor closed.
        Err(Halt::Trouble(trouble)) => Err(Halt::Lost(Lost::new(Part::Step, trouble.message))),
        Err(lost) => Err(lost),
    };
    visit.end(refused)
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
    /// No form to fill in: a page without one, or a script's.
    NoForm,
    /// The form came again: user and password were not taken.
    Refused,
    /// An answer that a user would call an error.
    Error,
    /// The sign-in was taken, and the page behind it is not as it must be.
    Behind,
    /// Redirects without end, a URL that is none, too many requests.
    Astray,
}

/// Why a visit ends early.
#[derive(Debug, Clone)]
enum Halt {
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
    fn at(kind: Kind, method: &str, url: &Url, status: Option<u16>, what: &str) -> Self {
        let url = words::masked(url.as_str());
        Self {
            kind,
            message: format!("{method} {url} {what}"),
            url: Some(url),
            status,
        }
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
struct Open {
    method: &'static str,
    url: Url,
    status: u16,
    page: Page,
}

/// A request to make.
struct Go {
    method: &'static str,
    url: Url,
    body: Option<String>,
    /// The page that leads there.
    from: Option<Url>,
}

/// A browser window.
struct Visit<'a> {
    client: &'a Client,
    session: &'a str,
    ca: Vec<String>,
    insecure: bool,
    started: Instant,
    hops: usize,
    trail: Vec<String>,
    secrets: BTreeSet<String>,
    /// The first answer after the submission that a user would call an error.
    first_bad: Option<Trouble>,
}

impl<'a> Visit<'a> {
    async fn begin(client: &'a Client, login: &Login, session: &'a str, ca: &[String]) -> Self {
        let visit = Self {
            client,
            session,
            ca: ca.iter().chain(&login.tls.ca).cloned().collect(),
            insecure: login.tls.insecure,
            started: Instant::now(),
            hops: 0,
            trail: Vec::new(),
            secrets: BTreeSet::new(),
            first_bad: None,
        };
        // An agent that is gone shows with the first request.
        let close = SessionCall::Close {
            session: session.to_owned(),
        };
        let _ = client.call(Call::Session(close)).await;
        visit
    }

    fn end(self, result: Result<(), Halt>) -> LoginOutcome {
        LoginOutcome {
            came_to: match result {
                Ok(()) => Outcome::Held(()),
                Err(Halt::Trouble(trouble)) => Outcome::Broke(trouble),
                Err(Halt::Lost(lost)) => Outcome::Lost(lost),
            },
            trail: self.trail,
            secrets: self.secrets.into_iter().collect(),
            duration: self.started.elapsed(),
        }
    }

    /// From `start` to the form, through it, and on to where the product leads.
    async fn walk(&mut self, login: &Login) -> Result<(), Halt> {
        let (open, form) = self.reach_form(login).await?;
        self.come_back(submission(&form.filled(login), &open.url), login).await
    }

    /// To the page with a password field; a page that asks for the user's name alone is answered on the way, once.
    async fn reach_form(&mut self, login: &Login) -> Result<(Open, Form), Halt> {
        let start = parse(&login.start)?;
        let mut open = self
            .go(Go {
                method: "GET",
                url: start,
                body: None,
                from: None,
            })
            .await?;
        let mut named_user = false;
        for _ in 0..=MOST_PASSED_ON {
            if let Some(form) = open.page.sign_in_form(&login.fields).cloned() {
                return Ok((open, form));
            }
            let user_form = open
                .page
                .user_form(&login.fields)
                .filter(|_| !named_user && open.status < 400);
            let next = match user_form {
                Some(form) => Some(submission(&form.filled(login), &open.url)),
                None => onwards(&open),
            };
            named_user |= user_form.is_some();
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
                    let Some(further) = onwards(&open) else { return Ok(()) };
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
            Err(Halt::Trouble(trouble)) => return Err(first_bad.unwrap_or(trouble).into()),
            Err(lost) => return Err(lost),
        };
        let problems = problems(&answer, &login.expect.expect);
        if problems.is_empty() {
            return Ok(());
        }
        let what = format!("after the sign-in: {}", problems.join("; "));
        let trouble = first_bad.unwrap_or_else(|| Trouble::at(Kind::Behind, "GET", &url, Some(answer.status), &what));
        Err(trouble.into())
    }

    async fn ask_protected(&mut self, login: &Login) -> Result<(Url, HttpAnswer), Halt> {
        let url = match Url::parse(&login.expect.get) {
            Ok(url) => url,
            Err(_) => parse(&login.start)?
                .join(&login.expect.get)
                .map_err(|error| bad_url(&login.expect.get, error))?,
        };
        let answer = self
            .ask(&Go {
                method: "GET",
                url: url.clone(),
                body: None,
                from: None,
            })
            .await?;
        Ok((url, answer))
    }

    /// Makes a request and follows its redirects.
    async fn go(&mut self, mut go: Go) -> Result<Open, Halt> {
        for _ in 0..=MOST_REDIRECTS {
            let answer = self.ask(&go).await?;
            match redirect(&go, &answer) {
                Some(next) => go = next,
                None => {
                    let page = Page::read(Response::read(&answer).body(), &go.url);
                    let page = if is_html(&answer) { page } else { Page::default() };
                    return Ok(Open {
                        method: go.method,
                        url: go.url,
                        status: answer.status,
                        page,
                    });
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
        headers.extend(
            go.from
                .as_ref()
                .and_then(|from| referer(from, &go.url))
                .map(|from| header("Referer", &from)),
        );
        if go.method == "POST" {
            let origin = go
                .from
                .as_ref()
                .map_or("null".to_owned(), |from| from.origin().ascii_serialization());
            headers.push(header("Origin", &origin));
            headers.push(header("Content-Type", "application/x-www-form-urlencoded"));
        }
        for (name, value) in form_urlencoded::parse(go.body.as_deref().unwrap_or_default().as_bytes()) {
            if words::is_secret(&name, &value) && !is_password(&name) {
                self.secrets.insert(value.into_owned());
            }
        }
        HttpCall {
            session: self.session.to_owned(),
            method: go.method.to_owned(),
            url: go.url.to_string(),
            headers,
            body: go.body.as_ref().map(|body| BASE64_STANDARD.encode(body)),
            follow: 0,
            timeout_ms: millis(left.min(REQUEST_LIMIT)),
            insecure: self.insecure,
            ca: self.ca.clone(),
        }
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

/// The password itself is the configuration's: marked there if it is a secret, a plain word where it is not.
fn is_password(name: &str) -> bool {
    name.to_ascii_lowercase().contains("pass")
}

fn parse(url: &str) -> Result<Url, Trouble> {
    Url::parse(url).map_err(|error| bad_url(url, error))
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

/// As browsers do by default: the whole URL within an origin, else the origin, from TLS to plain nothing.
fn referer(from: &Url, to: &Url) -> Option<String> {
    if from.origin() == to.origin() {
        let mut whole = from.clone();
        whole.set_fragment(None);
        let _ = whole.set_username("");
        let _ = whole.set_password(None);
        return Some(whole.into());
    }
    let downgrade = from.scheme() == "https" && to.scheme() != "https";
    (!downgrade).then(|| format!("{}/", from.origin().ascii_serialization()))
}

fn redirect(go: &Go, answer: &HttpAnswer) -> Option<Go> {
    if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let (_, location) = answer
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("location"))?;
    let url = go
        .url
        .join(location)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"))?;
    let keeps = matches!(answer.status, 307 | 308);
    let (method, body) = if keeps {
        (go.method, go.body.clone())
    } else {
        ("GET", None)
    };
    Some(Go {
        method,
        body,
        from: go.from.clone(),
        url,
    })
}

/// What a page without a password field leads to by itself.
fn onwards(open: &Open) -> Option<Go> {
    if open.status >= 400 {
        return None;
    }
    if let Some(form) = open.page.passing_form() {
        return Some(submission(&form, &open.url));
    }
    let url = open.page.refresh.clone()?;
    Some(Go {
        method: "GET",
        url,
        body: None,
        from: Some(open.url.clone()),
    })
}

fn submission(form: &Form, page: &Url) -> Go {
    let data = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form.data())
        .finish();
    let mut url = form.action.clone();
    let from = Some(page.clone());
    if form.is_post {
        return Go {
            method: "POST",
            url,
            body: Some(data),
            from,
        };
    }
    url.set_query(Some(&data));
    Go {
        method: "GET",
        url,
        body: None,
        from,
    }
}

fn no_form(open: &Open) -> Trouble {
    let (status, says) = (open.status, open.page.says());
    let (kind, what) = if status >= 400 {
        (Kind::Error, format!("answered {status}{says}"))
    } else if open.page.has_loose_password {
        let why = "with a password field outside any form: a sign-in by script is not supported";
        (Kind::NoForm, format!("answered {status} {why}"))
    } else {
        let why = "and its page has no form with a password field";
        (Kind::NoForm, format!("answered {status}, {why}{says}"))
    };
    Trouble::at(kind, open.method, &open.url, Some(status), &what)
}

fn is_html(answer: &HttpAnswer) -> bool {
    let kind = answer
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    kind.is_none_or(|(_, kind)| kind.to_ascii_lowercase().contains("html"))
}

fn problems(answer: &HttpAnswer, expect: &HttpExpect) -> Vec<String> {
    let mut expect = expect.clone();
    if expect.status.is_empty() {
        expect.status = vec![StatusPattern::Exact(200)];
    }
    Response::read(answer).problems(&expect)
}
