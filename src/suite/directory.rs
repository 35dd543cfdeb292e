//! The sign-in of a test user with a directory: a simple bind by name and password, and the search for an entry that only
//! who is bound is shown. What the directory answers is told as what it is; nothing is followed that it refers to.

use std::time::{Duration, Instant};

use url::Url;

use super::login::{Halt, Kind, LoginOutcome, Session, Trouble, came_to};
use super::returning::{Received, Returned};
use super::words;
use crate::agent::client::Client;
use crate::agent::directory::{
    Did, DirectoryAnswer, DirectoryCall, DirectorySearch, DirectoryStep, DirectoryTls, Scope,
};
use crate::agent::failure::CallFailure;
use crate::agent::{Answer, Call};
use crate::config::directory::{Directory, Reach, Secured};
use crate::config::settings::Login;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::text::units::millis;

/// The whole sign-in's limit.
const LIMIT: Duration = Duration::from_secs(30);
/// Results that a directory gives for an entry which it does not show: none of that name, no right to it.
const NOT_SHOWN: [u32; 2] = [32, 50];
/// Results by which it says that it does not get to an answer now: busy, unavailable.
const NOT_NOW: [u32; 2] = [51, 52];
/// Results that no client should see: an error of operations or of the protocol, and any other.
const BROKEN: [u32; 3] = [1, 2, 80];

/// Names of results that decide over a sign-in (RFC 4511, 4.1.9).
const NAMES: [(u32, &str); 22] = [
    (1, "operationsError"),
    (2, "protocolError"),
    (3, "timeLimitExceeded"),
    (4, "sizeLimitExceeded"),
    (7, "authMethodNotSupported"),
    (8, "strongerAuthRequired"),
    (10, "referral"),
    (11, "adminLimitExceeded"),
    (12, "unavailableCriticalExtension"),
    (13, "confidentialityRequired"),
    (14, "saslBindInProgress"),
    (19, "constraintViolation"),
    (21, "invalidAttributeSyntax"),
    (32, "noSuchObject"),
    (34, "invalidDNSyntax"),
    (48, "inappropriateAuthentication"),
    (49, "invalidCredentials"),
    (50, "insufficientAccessRights"),
    (51, "busy"),
    (52, "unavailable"),
    (53, "unwillingToPerform"),
    (80, "other"),
];

/// A result, with its name where it has one here: `13 (confidentialityRequired)`.
pub fn named(result: u32) -> String {
    match NAMES.iter().find(|(known, _)| *known == result) {
        Some((_, name)) => format!("{result} ({name})"),
        None => result.to_string(),
    }
}

/// It is the directory's own error, and no refusal.
pub fn is_broken(result: u32) -> bool {
    BROKEN.contains(&result)
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
enum Who<'a> {
    /// The user, with this password.
    User(&'a str),
    /// Somebody who does not say.
    Stranger,
}

/// Binds as the user, and searches.
pub async fn sign_in(client: &Client, login: &Login, directory: &Directory, ca: &[String]) -> LoginOutcome {
    let visit = Visit::of(client, login, directory, ca);
    visit.made(Who::User(&login.password)).await
}

/// The same with a password that is not the user's, once.
pub async fn sign_in_wrongly(client: &Client, login: &Login, directory: &Directory, ca: &[String]) -> LoginOutcome {
    let wrong = format!("not-{}", login.password);
    let visit = Visit::of(client, login, directory, ca);
    visit.made(Who::User(&wrong)).await
}

/// Searches without a bind. Held = the entry is not shown.
pub async fn without_a_bind(client: &Client, login: &Login, directory: &Directory, ca: &[String]) -> LoginOutcome {
    let mut visit = Visit::of(client, login, directory, ca);
    let kept_back = match visit.asks(Who::Stranger).await {
        Ok(()) => Err(visit
            .trouble(Kind::Behind, "is shown without a bind, as to the user")
            .into()),
        // What does not answer, or not now, is neither open nor closed.
        Err(Halt::Trouble(trouble)) if tells_nothing(&trouble) => {
            Err(Halt::Lost(Lost::new(Part::Step, trouble.message)))
        }
        Err(Halt::Trouble(_)) => Ok(()),
        Err(lost) => Err(lost),
    };
    visit.end(kept_back)
}

/// Somebody who has signed in once binds again: no bind outlives its connection.
pub async fn come_back(client: &Client, login: &Login, directory: &Directory, ca: &[String]) -> Returned {
    let outcome = sign_in(client, login, directory, ca).await;
    Returned {
        came_to: match outcome.came_to {
            Outcome::Held(()) => Outcome::Held(Received::Known),
            Outcome::Broke(trouble) => Outcome::Broke(trouble),
            Outcome::Lost(lost) => Outcome::Lost(lost),
        },
        trail: outcome.trail,
        secrets: outcome.secrets,
    }
}

fn tells_nothing(trouble: &Trouble) -> bool {
    match trouble.kind {
        Kind::NoAnswer => true,
        Kind::Ldap(result) => NOT_NOW.contains(&result),
        _ => false,
    }
}

/// One question to the directory.
struct Visit<'a> {
    client: &'a Client,
    login: &'a Login,
    directory: &'a Directory,
    ca: Vec<String>,
    begun: Instant,
    trail: Vec<String>,
}

impl<'a> Visit<'a> {
    fn of(client: &'a Client, login: &'a Login, directory: &'a Directory, ca: &[String]) -> Self {
        Self {
            client,
            login,
            directory,
            ca: ca.iter().chain(&login.tls.ca).cloned().collect(),
            begun: Instant::now(),
            trail: Vec::new(),
        }
    }

    async fn made(mut self, who: Who<'_>) -> LoginOutcome {
        let result = self.asks(who).await;
        self.end(result)
    }

    fn end(self, result: Result<(), Halt>) -> LoginOutcome {
        LoginOutcome {
            came_to: came_to(result),
            trail: self.trail,
            secrets: Vec::new(),
            remarks: Vec::new(),
            left: Session::default(),
            duration: self.begun.elapsed(),
        }
    }

    async fn asks(&mut self, who: Who<'_>) -> Result<(), Halt> {
        let answer = self.client.call(Call::Directory(self.call(who))).await;
        let gone = |error: anyhow::Error| Lost::new(Part::Agent, words::first_line(&format!("{error:#}")));
        match answer.map_err(|error| Halt::Lost(gone(error)))? {
            Answer::Directory(answer) => self.judged(&answer).map_err(Halt::Trouble),
            Answer::Failed(CallFailure { kind, message, .. }) => {
                self.trail.push(format!("--- {}", self.server()));
                let what = format!("got no answer ({kind}): {}", words::first_line(&message));
                Err(self.trouble(Kind::NoAnswer, &what).into())
            }
            other => Err(Halt::Lost(Lost::new(Part::Agent, words::unexpected(&other)))),
        }
    }

    fn call(&self, who: Who<'_>) -> DirectoryCall {
        let asked = self.directory;
        DirectoryCall {
            host: asked.host.clone(),
            port: asked.port,
            tls: match asked.tls {
                Secured::Never => DirectoryTls::Never,
                Secured::Started => DirectoryTls::Started,
                Secured::AtOnce => DirectoryTls::AtOnce,
            },
            bind: match who {
                Who::User(password) => Some((asked.bind_dn.clone(), password.to_owned())),
                Who::Stranger => None,
            },
            search: DirectorySearch {
                base: asked.base.clone(),
                scope: match asked.reach {
                    Reach::Base => Scope::Base,
                    Reach::One => Scope::One,
                    Reach::Sub => Scope::Sub,
                },
                filter: asked.filter.clone(),
                attributes: asked.attributes.clone(),
            },
            timeout_ms: millis(LIMIT),
            insecure: self.login.tls.insecure,
            ca: self.ca.clone(),
        }
    }

    fn judged(&mut self, answer: &DirectoryAnswer) -> Result<(), Trouble> {
        for step in &answer.steps {
            self.trail
                .push(format!("{} {} {}", step.result, did(step.did), self.server()));
        }
        match answer.steps.last() {
            Some(step) if step.result != 0 => Err(self.refused(step)),
            Some(_) => self.shown(answer),
            None => Err(self.trouble(Kind::NoAnswer, "answered nothing")),
        }
    }

    fn refused(&self, step: &DirectoryStep) -> Trouble {
        let says = match step.words.trim() {
            "" => String::new(),
            words => format!(": {}", words::name(words)),
        };
        let to: Vec<String> = step.referrals.iter().map(|to| words::masked(to)).collect();
        let to = match to.is_empty() {
            true => String::new(),
            false => format!(" to {}", to.join(", ")),
        };
        let what = format!("answered {} to {}{to}{says}", named(step.result), did(step.did));
        let kind = match step.did {
            Did::Search if NOT_SHOWN.contains(&step.result) => Kind::Behind,
            _ => Kind::Ldap(step.result),
        };
        self.trouble(kind, &what)
    }

    /// One of the entries has all that an entry must have.
    fn shown(&self, answer: &DirectoryAnswer) -> Result<(), Trouble> {
        let lacks = |entry: &Vec<String>| {
            let wanted = self.directory.attributes.iter();
            wanted
                .filter(|name| !entry.contains(&name.to_lowercase()))
                .cloned()
                .collect::<Vec<_>>()
        };
        let fewest = answer.entries.iter().map(lacks).min_by_key(Vec::len);
        let what = match fewest {
            None => "shows no entry to the user".to_owned(),
            Some(missing) if missing.is_empty() => return Ok(()),
            Some(missing) => format!("shows the user an entry without {}", missing.join(", ")),
        };
        Err(self.trouble(Kind::Behind, &what))
    }

    /// `ldap://ldap:389`.
    fn server(&self) -> String {
        let scheme = match self.directory.tls {
            Secured::Never | Secured::Started => "ldap",
            Secured::AtOnce => "ldaps",
        };
        format!("{scheme}://{}:{}", self.directory.host, self.directory.port)
    }

    fn trouble(&self, kind: Kind, what: &str) -> Trouble {
        let url = Url::parse(&self.directory.url).map_or_else(|_| self.server(), |url| words::masked(url.as_str()));
        let at = match kind {
            Kind::Behind => &url,
            _ => &self.server(),
        };
        Trouble {
            kind,
            message: format!("{at} {what}"),
            url: Some(url),
            status: None,
        }
    }
}

fn did(did: Did) -> &'static str {
    match did {
        Did::StartTls => "StartTLS",
        Did::Bind => "the user's bind",
        Did::Search => "the search",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::{LoginExpect, LoginFields, SignInBy, Tls};

    fn login(url: &str) -> (Login, Directory) {
        let directory = Directory::read(url).expect("a URL").bound_by(None, "alice");
        let login = Login {
            by: SignInBy::Ldap(directory.clone()),
            start: String::new(),
            expect: LoginExpect {
                get: url.to_owned(),
                expect: Default::default(),
            },
            username: "alice".to_owned(),
            password: "wonderland".to_owned(),
            fields: LoginFields::default(),
            headers: Vec::new(),
            tls: Tls::default(),
        };
        (login, directory)
    }

    /// What an answer means to somebody who signs in.
    fn comes_to(did: Did, result: u32, referrals: &[&str], entries: &[&[&str]]) -> Result<(), (Kind, String)> {
        let (login, directory) = login("ldap://ldap/uid=alice,dc=example?mail,memberOf");
        let client = Client::over(tokio::io::empty(), tokio::io::sink());
        let mut visit = Visit::of(&client, &login, &directory, &[]);
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let step = DirectoryStep {
            did,
            result,
            words: String::new(),
            referrals: owned(referrals),
        };
        let answer = DirectoryAnswer {
            steps: vec![step],
            entries: entries.iter().map(|entry| owned(entry)).collect(),
        };
        let judged = visit.judged(&answer);
        judged.map_err(|trouble| (trouble.kind, trouble.message))
    }

    #[tokio::test]
    async fn a_result_is_told_as_what_it_is() {
        for (result, name) in [
            (8, "strongerAuthRequired"),
            (13, "confidentialityRequired"),
            (49, "invalidCredentials"),
            (51, "busy"),
            (52, "unavailable"),
        ] {
            let wanted = format!("ldap://ldap:389 answered {result} ({name}) to the user's bind");
            assert_eq!(comes_to(Did::Bind, result, &[], &[]), Err((Kind::Ldap(result), wanted)));
        }
        let (kind, message) = comes_to(Did::Search, 10, &["ldap://east/dc=east"], &[]).unwrap_err();
        assert_eq!(kind, Kind::Ldap(10));
        assert!(
            message.ends_with("answered 10 (referral) to the search to ldap://east/dc=east"),
            "{message}"
        );
        assert_eq!(named(4711), "4711");
    }

    #[tokio::test]
    async fn the_entry_must_be_shown_with_all_that_is_asked_of_it() {
        assert_eq!(comes_to(Did::Search, 0, &[], &[&["mail", "memberof"]]), Ok(()));
        let behind = |entries: &[&[&str]]| comes_to(Did::Search, 0, &[], entries).unwrap_err();
        assert!(behind(&[]).1.ends_with("shows no entry to the user"));
        let (kind, message) = behind(&[&["cn"], &["mail"]]);
        assert_eq!(kind, Kind::Behind);
        assert!(
            message.ends_with("shows the user an entry without memberOf"),
            "{message}"
        );
        assert_eq!(comes_to(Did::Search, 32, &[], &[]).unwrap_err().0, Kind::Behind);
    }
}
