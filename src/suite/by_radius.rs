//! The sign-in by RADIUS: the product itself is asked whether it takes the user.

use super::login::{Halt, Kind, Trouble};
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

/// What a product was asked and said, for the trail, and what that means.
pub(super) async fn ask(client: &Client, server: &RadiusServer, login: &Login) -> (String, Result<(), Halt>) {
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
    match client.call(Call::Radius(call)).await {
        Ok(Answer::Radius(answer)) => told(&asked, &answer),
        Ok(Answer::Failed(failure)) => (format!("--- {asked}"), Err(silent(&asked, &failure))),
        Ok(other) => {
            let lost = Lost::new(Part::Agent, words::unexpected(&other));
            (format!("--- {asked}"), Err(Halt::Lost(lost)))
        }
        Err(error) => {
            let lost = Lost::new(Part::Agent, words::first_line(&format!("{error:#}")));
            (format!("--- {asked}"), Err(Halt::Lost(lost)))
        }
    }
}

fn told(asked: &str, answer: &RadiusAnswer) -> (String, Result<(), Halt>) {
    let said = answer.words.as_deref().map(words::name);
    let said = said.map_or(String::new(), |said| format!(": {said}"));
    let (name, trouble) = match answer.verdict {
        RadiusVerdict::Accepted => ("Access-Accept", None),
        RadiusVerdict::Rejected => (
            "Access-Reject",
            Some((
                Kind::Refused,
                "was answered Access-Reject: the product refused the user",
            )),
        ),
        RadiusVerdict::Challenged => (
            "Access-Challenge",
            Some((
                Kind::Error,
                "was answered Access-Challenge: the product wants more than a password",
            )),
        ),
    };
    let came = match trouble {
        None => Ok(()),
        Some((kind, what)) => Err(at(kind, format!("{asked} {what}{said}"))),
    };
    (format!("{name} {asked}"), came)
}

/// The page has the last word; what the product said explains it.
pub(super) fn explains(said: &Trouble, page: Trouble) -> Trouble {
    Trouble {
        kind: said.kind,
        message: format!("{}; then {}", said.message, page.message),
        ..page
    }
}

fn silent(asked: &str, failure: &CallFailure) -> Halt {
    let what = match failure.kind {
        CallFailureKind::Timeout => format!("got no answer, asked {TRIES} times"),
        CallFailureKind::Protocol => "was answered by whoever does not know the secret of `login.radius`".to_owned(),
        _ => format!("got no answer: {}", words::first_line(&failure.message)),
    };
    at(Kind::Error, format!("{asked} {what}"))
}

fn at(kind: Kind, message: String) -> Halt {
    Halt::Trouble(Trouble {
        kind,
        message,
        url: None,
        status: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(came: Result<(), Halt>) -> (Kind, String) {
        match came {
            Err(Halt::Trouble(trouble)) => (trouble.kind, trouble.message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_product_refuses_is_told_as_its_refusal_and_silence_as_no_answer() {
        let answer = |verdict| RadiusAnswer {
            verdict,
            words: Some("locked".to_owned()),
        };
        let asked = "Access-Request to radius:1812";
        let (trail, came) = told(asked, &answer(RadiusVerdict::Accepted));
        assert!(came.is_ok());
        assert_eq!(trail, "Access-Accept Access-Request to radius:1812");
        let (_, came) = told(asked, &answer(RadiusVerdict::Rejected));
        let says = "Access-Request to radius:1812 was answered Access-Reject: the product refused the user: locked";
        assert_eq!(message(came), (Kind::Refused, says.to_owned()));
        let (_, came) = told(asked, &answer(RadiusVerdict::Challenged));
        assert_eq!(message(came).0, Kind::Error);
        let failed = |kind| CallFailure {
            kind,
            message: "because".to_owned(),
            duration_ms: 9_000,
        };
        let (kind, says) = message(Err(silent(asked, &failed(CallFailureKind::Timeout))));
        assert_eq!(
            (kind, says.as_str()),
            (
                Kind::Error,
                "Access-Request to radius:1812 got no answer, asked 3 times"
            )
        );
        assert_eq!(
            message(Err(silent(asked, &failed(CallFailureKind::Protocol)))).0,
            Kind::Error
        );
    }

    #[test]
    fn the_pages_status_is_kept_where_the_product_explains_it() {
        let (_, came) = told(
            "asked",
            &RadiusAnswer {
                verdict: RadiusVerdict::Rejected,
                words: None,
            },
        );
        let Err(Halt::Trouble(said)) = came else {
            panic!("{came:?}")
        };
        let page = Trouble {
            kind: Kind::Behind,
            message: "GET /account answered 401".to_owned(),
            url: Some("/account".to_owned()),
            status: Some(401),
        };
        let both = explains(&said, page);
        assert_eq!((both.kind, both.status), (Kind::Refused, Some(401)));
        assert!(
            both.message
                .ends_with("refused the user; then GET /account answered 401"),
            "{}",
            both.message
        );
    }
}
