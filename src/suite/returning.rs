//! Coming back: somebody who signed in earlier asks for the protected page with what that sign-in left, and signs in anew
//! where it is not taken any more, as a browser that still holds the old cookies does.

use super::login::{Halt, Kind, Session, Trouble, Visit, came_to};
use crate::agent::Call;
use crate::agent::client::Client;
use crate::agent::exchange::SERVER_ERROR;
use crate::agent::session::SessionCall;
use crate::config::settings::Login;
use crate::record::outcome::Outcome;

/// How somebody was received who signed in earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// With the page, in one way or the other; or at which hop what was wrong; or nobody can tell.
    pub came_to: Outcome<Received, Trouble>,
    /// Every hop, as that of a sign-in.
    pub trail: Vec<String>,
    /// What redaction must learn.
    pub secrets: Vec<String>,
}

/// With the page behind the sign-in …
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// … at once: the session still holds.
    Known,
    /// … after a sign-in anew; so the session was refused, in words.
    Anew(String),
}

/// Asks with what a sign-in left. Its cookies are copied to `jar` first, so that it can be asked again.
pub async fn come_back(client: &Client, login: &Login, left: &Session, jar: &str, ca: &[String]) -> Returned {
    let fork = SessionCall::Fork {
        from: left.jar.clone(),
        to: jar.to_owned(),
    };
    // An agent that is gone shows with the first request.
    let _ = client.call(Call::Session(fork)).await;
    let mut visit = Visit::with(client, login, (jar, left), ca);
    let received = received(&mut visit, login).await;
    Returned {
        came_to: came_to(received),
        trail: visit.trail,
        secrets: visit.secrets.into_iter().collect(),
    }
}

async fn received(visit: &mut Visit<'_>, login: &Login) -> Result<Received, Halt> {
    let (url, answer) = visit.ask_protected(login).await?;
    if visit.gives(login, (&url, &answer)) {
        return Ok(Received::Known);
    }
    let refused = |kind, what: &str| Trouble::at(kind, "GET", &url, Some(answer.status), what);
    let what = format!("answered {} to a session of before", answer.status);
    if answer.status >= SERVER_ERROR {
        return Err(Halt::Trouble(refused(Kind::Error, &what)));
    }
    visit.headers.clone_from(&login.headers);
    visit.arrive(login).await?;
    Ok(Received::Anew(refused(Kind::Refused, &what).message))
}
