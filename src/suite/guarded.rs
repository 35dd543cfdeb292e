//! Requests that carried credentials: by them is known what must be refused without.

use url::Url;

use super::known_form::KnownForm;
use super::page;
use super::words;
use crate::agent::exchange::{HttpAnswer, HttpCall};
use crate::config::settings::HttpExpect;

/// One request's limit, milliseconds.
pub(super) const LIMIT_MS: u64 = 10_000;

/// A request that carried credentials, and how it must be answered with them.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// Whose it is: `smoke / account`, or the sign-in's.
    pub name: String,
    /// As it was sent.
    pub call: HttpCall,
    pub(super) expect: HttpExpect,
    pub(super) own: Own,
    /// The forms by which the user has signed in: who is shown one of them is nobody.
    pub(super) ways_in: Vec<KnownForm>,
}

/// The forms of the user's own answer that ask for a password: by them a page that asks a stranger for one is told from one by
/// which users change theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Own {
    /// These and no others.
    Seen(Vec<KnownForm>),
    /// Nobody has kept the answer.
    Unseen,
}

impl Guarded {
    /// A request that was answered as it must be, where it carried credentials and the answer gave something.
    pub(crate) fn of(name: String, call: HttpCall, expect: HttpExpect, answer: &HttpAnswer) -> Option<Self> {
        let gives = (200..300).contains(&answer.status);
        let call = where_it_ended(call, answer);
        let expect = HttpExpect { within: None, ..expect };
        let url = Url::parse(&answer.url).or_else(|_| Url::parse(&call.url));
        let own = url.map_or_else(|_| Vec::new(), |url| page::asking(&url, answer));
        let asked = Self {
            name,
            call,
            expect,
            own: Own::Seen(own),
            ways_in: Vec::new(),
        };
        (gives && asked.carries(!answer.cookies.is_empty())).then_some(asked)
    }

    /// The same, where it is known how users sign in.
    pub fn with_ways_in(self, forms: &[KnownForm]) -> Self {
        Self {
            ways_in: forms.to_vec(),
            ..self
        }
    }

    /// The same, of an answer whose body nobody has kept.
    pub(super) fn unseen(self) -> Self {
        Self {
            own: Own::Unseen,
            ..self
        }
    }

    /// A cookie that lies in a jar anyway says little, so it counts only where asking without it changes nothing.
    fn carries(&self, cookies: bool) -> bool {
        self.call.headers.iter().any(is_credential) || (cookies && !self.writes())
    }

    /// Its method may change something.
    pub fn writes(&self) -> bool {
        !matches!(self.call.method.as_str(), "GET" | "HEAD")
    }

    /// The bearer token that it carried.
    pub fn token(&self) -> Option<&str> {
        let (_, value) = self.call.headers.iter().find(|(name, _)| is_authorization(name))?;
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// The same by a stranger, in a jar of his own.
    pub fn without_credentials(&self, jar: &str) -> HttpCall {
        let mut call = self.by(jar);
        call.headers.retain(|header| !is_credential(header));
        call
    }

    /// The same with another token.
    pub fn with_token(&self, token: &str, jar: &str) -> HttpCall {
        let mut call = self.by(jar);
        for (_, value) in call.headers.iter_mut().filter(|(name, _)| is_authorization(name)) {
            *value = format!("Bearer {token}");
        }
        call
    }

    /// The same with the cookies of a jar.
    pub fn by(&self, jar: &str) -> HttpCall {
        HttpCall {
            session: jar.to_owned(),
            follow: 0,
            timeout_ms: LIMIT_MS,
            ..self.call.clone()
        }
    }
}

/// What was led on is asked for where that ended: without its credentials nobody follows it, and the way there is no secret. Of
/// another origin nothing is asked: credentials are not led there.
fn where_it_ended(call: HttpCall, answer: &HttpAnswer) -> HttpCall {
    let both = || Some((Url::parse(&call.url).ok()?, Url::parse(&answer.url).ok()?));
    let is_led = call.follow > 0 && matches!(call.method.as_str(), "GET" | "HEAD");
    let ended = both().filter(|(begun, ended)| is_led && begun.origin() == ended.origin());
    match ended {
        Some((_, ended)) => HttpCall {
            url: ended.into(),
            ..call
        },
        None => call,
    }
}

fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

fn is_credential((name, value): &(String, String)) -> bool {
    let name = name.to_ascii_lowercase();
    let known = ["authorization", "proxy-authorization", "cookie"];
    known.contains(&&*name) || (!is_ordinary(&name) && words::is_secret(&name, value))
}

/// Headers that say nothing of who asks, however long or random their values are: what is wanted, what is sent, and by which
/// request something is known again.
const ORDINARY: [&str; 31] = [
    "b3",
    "baggage",
    "cache-control",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "idempotency-key",
    "origin",
    "prefer",
    "priority",
    "range",
    "referer",
    "request-id",
    "te",
    "traceparent",
    "tracestate",
    "user-agent",
    "via",
    "x-correlation-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-idempotency-key",
    "x-real-ip",
    "x-request-id",
    "x-requested-with",
    "x-trace-id",
];

/// The same of all that begin so.
const ORDINARY_BEGINNINGS: [&str; 6] = ["accept", "content-", "if-", "sec-fetch-", "x-b3-", "x-amzn-trace-"];

fn is_ordinary(name: &str) -> bool {
    ORDINARY.contains(&name) || ORDINARY_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, headers: &[(&str, &str)], cookies: &[&str]) -> Option<Guarded> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let call = HttpCall {
            method: method.to_owned(),
            headers: headers.iter().map(own).collect(),
            ..HttpCall::default()
        };
        let answer = HttpAnswer {
            status: 200,
            cookies: cookies
                .iter()
                .map(|name| ((*name).to_owned(), "1".to_owned()))
                .collect(),
            ..HttpAnswer::default()
        };
        Guarded::of("smoke / account".to_owned(), call, HttpExpect::default(), &answer)
    }

    #[test]
    fn a_stranger_comes_without_whatever_says_who_it_is() {
        let own = [
            ("X-Api-Key", "abcdef"),
            ("authorization", "Bearer t"),
            ("Accept", "text/html"),
        ];
        let asked = asked("POST", &own, &[]).unwrap();
        assert_eq!(asked.token(), Some("t"));
        let stranger = asked.without_credentials("jar");
        assert_eq!(stranger.headers, [("Accept".to_owned(), "text/html".to_owned())]);
        let other = asked.with_token("u", "jar");
        assert!(
            other
                .headers
                .contains(&("authorization".to_owned(), "Bearer u".to_owned()))
        );
    }

    #[test]
    fn what_is_followed_is_guarded_where_it_ends() {
        let asked = |method: &str, follow: u32, ended: &str| {
            let call = HttpCall {
                method: method.to_owned(),
                url: "http://web/old".to_owned(),
                headers: vec![("Authorization".to_owned(), "Bearer t".to_owned())],
                follow,
                ..HttpCall::default()
            };
            let answer = HttpAnswer {
                status: 200,
                url: ended.to_owned(),
                ..HttpAnswer::default()
            };
            let guarded = Guarded::of("smoke / old".to_owned(), call, HttpExpect::default(), &answer).unwrap();
            guarded.without_credentials("stranger").url
        };
        assert_eq!(asked("GET", 10, "http://web/account?a=1"), "http://web/account?a=1");
        assert_eq!(asked("GET", 10, "http://idp/account"), "http://web/old");
        assert_eq!(asked("GET", 0, "http://web/account"), "http://web/old");
        assert_eq!(asked("POST", 10, "http://web/account"), "http://web/old");
    }

    #[test]
    fn what_every_client_says_is_no_credential() {
        let ordinary = [
            ("Accept", "application/vnd.shop.v3+json"),
            ("Content-Type", "application/vnd.shop.v3+json"),
            ("Idempotency-Key", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("X-Request-ID", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("If-None-Match", "W/8e03978e40d543e8bc936894a57f9324"),
        ];
        assert!(asked("POST", &ordinary, &[]).is_none());
        let own = [&ordinary[..], &[("X-Session", "8e03978e-40d5")]].concat();
        let stranger = asked("POST", &own, &[]).unwrap().without_credentials("jar");
        assert_eq!(stranger.headers.len(), ordinary.len(), "{:?}", stranger.headers);
    }

    #[test]
    fn a_cookie_alone_is_no_credential_of_what_writes() {
        assert!(asked("GET", &[], &["sid"]).is_some());
        assert!(asked("POST", &[], &["sid"]).is_none());
        assert!(asked("GET", &[], &[]).is_none());
    }
}
