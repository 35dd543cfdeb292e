//! The sign-in by RADIUS: the product itself is asked whether it takes the user.

use super::words;
use crate::agent::client::Client;
use crate::agent::failure::{CallFailure, CallFailureKind};
use crate::agent::radius_call::{RadiusAnswer, RadiusCall, RadiusVerdict};
use crate::agent::{Answer, Call};
use crate::config::settings::{Login, RadiusServer};
use crate::record::outcome::{Lost, Part};

/// A request is sent so often; so long each time. As clients of RADIUS usually have it.
const TRIES: u32 = 3;
const TRY_MS: u64 = 3_000;

/// What the product was asked, and what came of it.
pub(super) struct Asked {
    /// For the trail: `Access-Accept Access-Request to radius:1812`.
    pub hop: String,
    /// Whether it takes the user.
    pub came: Result<(), NotTaken>,
}

/// Why nobody can say that the product takes the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// It says that it does not.
    Refused(String),
    /// It says nothing that tells.
    Untold(String),
    /// It was not asked.
    Lost(Lost),
}

/// Asks the product.
pub(super) async fn ask(client: &Client, server: &RadiusServer, login: &Login) -> Asked {
    let asked = format!("Access-Request to {}:{}", server.host, server.port);
    let call = RadiusCall {
        host: server.host.clone(),
        port: server.port,
        secret: server.shared_secret.clone(),
        username: login.username.clone(),
        password: login.password.clone(),
        tries: TRIES,
        try_ms: TRY_MS,
    };
    let why = match client.call(Call::Radius(call)).await {
        Ok(Answer::Radius(answer)) => return told(&asked, &answer),
        Ok(Answer::Failed(failure)) => silent(&asked, &failure),
        Ok(other) => NotTaken::Lost(Lost::new(Part::Agent, words::unexpected(&other))),
        Err(error) => NotTaken::Lost(Lost::new(Part::Agent, words::first_line(&format!("{error:#}")))),
    };
    Asked {
        hop: format!("--- {asked}"),
        came: Err(why),
    }
}

fn told(asked: &str, answer: &RadiusAnswer) -> Asked {
    let said = answer.words.as_deref().map(words::name);
    let said = said.map_or(String::new(), |said| format!(": {said}"));
    let (name, came) = match answer.verdict {
        RadiusVerdict::Accepted => ("Access-Accept", Ok(())),
        RadiusVerdict::Rejected => {
            let what = format!("{asked} was answered Access-Reject: the product refused the user{said}");
            ("Access-Reject", Err(NotTaken::Refused(what)))
        }
        RadiusVerdict::Challenged => {
            let what = format!("{asked} was answered Access-Challenge: the product wants more than a password{said}");
            ("Access-Challenge", Err(NotTaken::Untold(what)))
        }
    };
    Asked {
        hop: format!("{name} {asked}"),
        came,
    }
}

fn silent(asked: &str, failure: &CallFailure) -> NotTaken {
    let what = match failure.kind {
        CallFailureKind::Timeout => format!("got no answer, asked {TRIES} times"),
        CallFailureKind::Protocol => "was answered by whoever does not know the secret of `login.radius`".to_owned(),
        _ => format!("got no answer: {}", words::first_line(&failure.message)),
    };
    NotTaken::Untold(format!("{asked} {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_product_refuses_is_told_as_its_refusal_and_silence_as_no_answer() {
        let answer = |verdict| RadiusAnswer {
            verdict,
            words: Some("locked".to_owned()),
        };
        let asked = "Access-Request to radius:1812";
        let accepted = told(asked, &answer(RadiusVerdict::Accepted));
        assert_eq!(accepted.came, Ok(()));
        assert_eq!(accepted.hop, "Access-Accept Access-Request to radius:1812");
        let says = "Access-Request to radius:1812 was answered Access-Reject: the product refused the user: locked";
        let refused = told(asked, &answer(RadiusVerdict::Rejected)).came;
        assert_eq!(refused, Err(NotTaken::Refused(says.to_owned())));
        let challenged = told(asked, &answer(RadiusVerdict::Challenged)).came;
        assert!(matches!(challenged, Err(NotTaken::Untold(_))));
        let failed = |kind| CallFailure {
            kind,
            message: "because".to_owned(),
            duration_ms: 9_000,
        };
        let says = "Access-Request to radius:1812 got no answer, asked 3 times";
        let silence = silent(asked, &failed(CallFailureKind::Timeout));
        assert_eq!(silence, NotTaken::Untold(says.to_owned()));
        let NotTaken::Untold(foreign) = silent(asked, &failed(CallFailureKind::Protocol)) else {
            panic!("{silence:?}")
        };
        assert!(foreign.contains("does not know the secret"), "{foreign}");
    }
}
