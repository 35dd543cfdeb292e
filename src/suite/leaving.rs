//! Leaving: somebody who has signed in signs out, by what the pages show or where the issuer has it, and asks for the protected
//! page once more: in the same window, and with a copy of the cookies that it held before.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use url::Url;

use super::given::{self, Gives};
use super::login::{Halt, MOST_PASSED_ON, Session, Trouble, Visit, came_to, onwards, parse};
use super::navigation::Go;
use super::way_out;
use super::words;
use crate::agent::Call;
use crate::agent::client::Client;
use crate::agent::exchange::{HttpAnswer, SERVER_ERROR};
use crate::agent::jar::Lifted;
use crate::agent::session::SessionCall;
use crate::config::settings::Login;
use crate::record::outcome::Outcome;

/// Between two questions whether a session has ended.
const EVERY: Duration = Duration::from_millis(500);

/// The status by which somebody is told to come later.
const TOO_MANY: u16 = 429;

/// By what somebody signs out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// What the release's own pages show.
    Shown,
    /// The issuer's address for it (OpenID Connect RP-Initiated Logout).
    Issuers(String),
}

/// How signing out went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedOut {
    /// What became of it; or why nobody could sign in first; or nobody can tell.
    pub came_to: Outcome<Parting, Trouble>,
    /// What redaction must learn.
    pub secrets: Vec<String>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parting {
    /// Nothing leads out, in words.
    NoWay(String),
    /// Somebody has left.
    Left(Gone),
}

/// Somebody has left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// `POST http://web:8080/logout`.
    pub by: String,
    /// The status in which the way out ended, if something answered there.
    pub way: Option<u16>,
    /// What the same window gets then.
    pub window: After,
    /// What whoever has kept its cookies gets.
    pub copy: After,
}

/// What the protected page answers to somebody who has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// As to the user.
    Given(u16),
    /// Something else: the session has ended.
    Ended(u16),
    /// A server error.
    Broken(u16),
    /// Nothing that tells.
    Silent,
}

/// Signs in, signs out, and asks for the protected page; so long at most, until it is refused.
pub async fn sign_out(
    client: &Client,
    login: &Login,
    (session, exit): (&str, &Exit),
    ca: &[String],
    patience: Patience,
) -> SignedOut {
    let mut visit = Visit::begin(client, login, session, ca, Lifted::new()).await;
    let copy = format!("{session}-kept");
    let left = left(&mut visit, login, exit, (client, session, &copy)).await;
    let as_before = visit.left();
    let mut secrets = visit.secrets;
    let parted = match left {
        Ok(Ok((by, way))) => {
            let mut afterwards = Afterwards {
                client,
                login,
                left: &as_before,
                ca,
                patience,
                secrets: &mut secrets,
            };
            afterwards
                .of_both(session, &copy)
                .await
                .map(|(window, copy)| Parting::Left(Gone { by, way, window, copy }))
        }
        Ok(Err(why)) => Ok(Parting::NoWay(why)),
        Err(halt) => Err(halt),
    };
    SignedOut {
        came_to: came_to(parted),
        secrets: secrets.into_iter().collect(),
    }
}

/// By what somebody left, and how that ended; or why nothing leads out.
async fn left(
    visit: &mut Visit<'_>,
    login: &Login,
    exit: &Exit,
    (client, session, copy): (&Client, &str, &str),
) -> Result<Result<(String, Option<u16>), String>, Halt> {
    visit.arrive(login).await?;
    let way = match exit {
        Exit::Issuers(address) => Ok(Go::typed(parse(address)?)),
        Exit::Shown => shown(visit, login).await?,
    };
    let go = match way {
        Ok(go) => go,
        Err(why) => return Ok(Err(why)),
    };
    let fork = SessionCall::Fork {
        from: session.to_owned(),
        to: copy.to_owned(),
    };
    // An agent that is gone shows with the next request.
    let _ = client.call(Call::Session(fork)).await;
    let by = format!("{} {}", go.method, words::masked(go.url.as_str()));
    Ok(Ok((by, leave(visit, go).await?)))
}

/// What the protected page shows, or the page to which the sign-in led.
async fn shown(visit: &mut Visit<'_>, login: &Login) -> Result<Result<Go, String>, Halt> {
    let landed = visit.landed.take();
    let behind = visit.ask_protected(login).await?;
    let address = words::masked(behind.0.as_str());
    let pages: Vec<(Url, HttpAnswer)> = [Some(behind), landed].into_iter().flatten().collect();
    let way = pages.iter().find_map(|(url, answer)| way_out::of(url, answer));
    Ok(way.ok_or_else(|| format!("{address} shows no link or form by which to sign out")))
}

/// Where the way out ends; a page that asks whether that is meant is told so.
async fn leave(visit: &mut Visit<'_>, mut next: Go) -> Result<Option<u16>, Halt> {
    let mut status = None;
    for _ in 0..=MOST_PASSED_ON {
        let open = match visit.go(next).await {
            Ok(open) => open,
            // It may lead to a name that the mirror does not have: what counts is the session.
            Err(Halt::Trouble(trouble)) => return Ok(trouble.status),
            Err(lost) => return Err(lost),
        };
        status = Some(open.status);
        let asked = way_out::form(&open.page).filter(|_| open.status < 400);
        let asked = asked.map(|form| Go::submission(&form, open.referrer()));
        match asked.or_else(|| onwards(&open)) {
            Some(further) => next = further,
            None => break,
        }
    }
    Ok(status)
}

/// How long a session may take to end: that of the window, and that of a copy of its cookies.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// In the window in which somebody has signed out.
    pub window: Duration,
    /// Beside it.
    pub copy: Duration,
}

impl Patience {
    /// The same for both.
    pub fn of_both(within: Duration) -> Self {
        Self {
            window: within,
            copy: within,
        }
    }
}

/// Somebody has left, and asks for the protected page.
struct Afterwards<'a> {
    client: &'a Client,
    login: &'a Login,
    /// What the sign-in left.
    left: &'a Session,
    ca: &'a [String],
    patience: Patience,
    secrets: &'a mut BTreeSet<String>,
}

impl Afterwards<'_> {
    /// Both wait at the same time.
    async fn of_both(&mut self, window: &str, copy: &str) -> Result<(After, After), Halt> {
        let (
            begun,
            Patience {
                window: first,
                copy: second,
            },
        ) = (Instant::now(), self.patience);
        Ok((
            self.of(window, begun + first).await?,
            self.of(copy, begun + second).await?,
        ))
    }

    async fn of(&mut self, jar: &str, until: Instant) -> Result<After, Halt> {
        let mut visit = Visit::with(self.client, self.login, (jar, self.left), self.ca);
        let after = loop {
            let answered = match visit.ask_protected(self.login).await {
                Ok((_, answer)) => of(self.login, self.left, &answer),
                Err(Halt::Trouble(_)) => After::Silent,
                Err(lost) => return Err(lost),
            };
            if !matches!(answered, After::Given(_)) || Instant::now() >= until {
                break answered;
            }
            tokio::time::sleep(EVERY).await;
        };
        self.secrets.append(&mut visit.secrets);
        Ok(after)
    }
}

fn of(login: &Login, left: &Session, answer: &HttpAnswer) -> After {
    let behind = given::behind(login, left, &[]);
    match answer.status {
        status if behind.is_some_and(|behind| given::gives(&behind, answer) == Gives::All) => After::Given(status),
        TOO_MANY => After::Silent,
        status if status >= SERVER_ERROR => After::Broken(status),
        status => After::Ended(status),
    }
}
