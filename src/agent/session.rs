//! Sessions: cookie jars by name, kept as a browser keeps them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cookie_store::{CookieDomain, CookieExpiration};
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use url::Url;

use super::jar::{CookieJar, Ruled, Trip};
use super::resolver::Turns;

/// What can be done with a session. It is made when it is first named.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionCall {
    /// Copies one session's cookies into a new session.
    Fork {
        /// Existing or unknown (= empty) session.
        from: String,
        /// The new one; what it held before is forgotten.
        to: String,
    },
    /// Forgets a session.
    Close {
        /// Session.
        session: String,
    },
    /// Every cookie of a session, to hand it to another program.
    List {
        /// Session.
        session: String,
    },
    /// Puts cookies into a session, from another program.
    Add {
        /// Session.
        session: String,
        /// What to add.
        cookies: Vec<Cookie>,
    },
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionAnswer {
    /// Done.
    Done,
    /// What the session holds.
    Cookies(Vec<Cookie>),
}

/// One cookie of a session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cookie {
    /// Host it belongs to.
    pub domain: String,
    /// Hosts below `domain` get it too.
    pub subdomains: bool,
    /// Paths below this get it.
    pub path: String,
    /// Only over TLS.
    pub secure: bool,
    /// Not for scripts.
    pub http_only: bool,
    /// Unix seconds; 0 = at the end of the session.
    pub expires: i64,
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// One cookie jar.
pub(super) type Jar = Arc<Mutex<CookieJar>>;

/// What is kept of a session.
#[derive(Clone, Default)]
struct Session {
    jar: Jar,
    turns: Turns,
}

/// All of them.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

impl Sessions {
    /// Does what is asked.
    pub fn serve(&self, call: SessionCall) -> SessionAnswer {
        match call {
            SessionCall::Fork { from, to } => self.fork(&from, &to),
            SessionCall::Close { session } => self.close(&session),
            SessionCall::List { session } => return SessionAnswer::Cookies(list(&self.jar(&session))),
            SessionCall::Add { session, cookies } => add(&self.jar(&session), &cookies),
        }
        SessionAnswer::Done
    }

    /// The session of that name, made when first named.
    pub fn jar(&self, session: &str) -> Jar {
        self.session(session).jar
    }

    /// Whose turn it is in it: the same for each session, however many there were before.
    pub fn turns(&self, session: &str) -> Turns {
        self.session(session).turns
    }

    fn session(&self, name: &str) -> Session {
        lock(&self.0).entry(name.to_owned()).or_default().clone()
    }

    /// Copies one session's cookies into a new session.
    fn fork(&self, from: &str, to: &str) {
        let copy = lock(&self.jar(from)).clone();
        let session = Session {
            jar: Arc::new(Mutex::new(copy)),
            turns: Turns::default(),
        };
        lock(&self.0).insert(to.to_owned(), session);
    }

    /// Forgets a session.
    fn close(&self, session: &str) {
        lock(&self.0).remove(session);
    }
}

/// A lock that outlives a panic of another holder: cookies have no half-written state.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the `Set-Cookie` headers of one response; those that a browser drops, each with its rule.
pub(super) fn take<'a>(jar: &Jar, headers: impl Iterator<Item = &'a HeaderValue>, trip: &Trip<'_>) -> Vec<Ruled> {
    let (mut jar, now) = (lock(jar), OffsetDateTime::now_utc());
    let texts = headers.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    texts.filter_map(|value| jar.take(value, trip, now)).collect()
}

/// The cookies that a tool's request to `url` carries: longer paths first.
pub(super) fn pairs(jar: &Jar, url: &Url) -> Vec<(String, String)> {
    lock(jar).carried(&Trip::of_tool(url), OffsetDateTime::now_utc()).pairs
}

/// Every cookie that still holds.
fn list(jar: &Jar) -> Vec<Cookie> {
    lock(jar).unexpired().filter_map(exported).collect()
}

fn exported(cookie: &cookie_store::Cookie<'_>) -> Option<Cookie> {
    let (domain, subdomains) = match &cookie.domain {
        CookieDomain::HostOnly(host) => (host, false),
        CookieDomain::Suffix(host) => (host, true),
        CookieDomain::NotPresent | CookieDomain::Empty => return None,
    };
    Some(Cookie {
        domain: domain.clone(),
        subdomains,
        path: String::from(&cookie.path),
        secure: cookie.secure().unwrap_or(false),
        http_only: cookie.http_only().unwrap_or(false),
        expires: match cookie.expires {
            CookieExpiration::AtUtc(at) => at.unix_timestamp(),
            CookieExpiration::SessionEnd => 0,
        },
        name: cookie.name().to_owned(),
        value: cookie.value().to_owned(),
    })
}

/// Puts cookies in. One that cannot be written as a `Set-Cookie` header is left out.
fn add(jar: &Jar, cookies: &[Cookie]) {
    for cookie in cookies {
        let scheme = if cookie.secure { "https" } else { "http" };
        let host = cookie.domain.trim_start_matches('.');
        let Ok(url) = Url::parse(&format!("{scheme}://{host}/")) else {
            continue;
        };
        let Ok(header) = HeaderValue::from_str(&set_cookie(cookie, host)) else {
            continue;
        };
        take(jar, std::iter::once(&header), &Trip::of_tool(&url));
    }
}

fn set_cookie(cookie: &Cookie, host: &str) -> String {
    let mut text = format!("{}={}; Path={}", cookie.name, cookie.value, cookie.path);
    if cookie.subdomains {
        text += &format!("; Domain={host}");
    }
    if cookie.secure {
        text += "; Secure";
    }
    if cookie.http_only {
        text += "; HttpOnly";
    }
    if cookie.expires > 0 {
        text += &format!(
            "; Max-Age={}",
            cookie.expires - OffsetDateTime::now_utc().unix_timestamp()
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn set(jar: &Jar, header: &'static str, from: &str) {
        let from = url(from);
        take(
            jar,
            std::iter::once(&HeaderValue::from_static(header)),
            &Trip::of_tool(&from),
        );
    }

    fn sent(jar: &Jar, to: &str) -> Vec<String> {
        pairs(jar, &url(to))
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn a_cookie_goes_back_to_its_own_host_and_path_only() {
        let jar = Jar::default();
        set(&jar, "a=1; Path=/app", "http://web:8080/app/login");
        assert_eq!(sent(&jar, "http://web:9090/app/x"), ["a=1"]);
        assert!(sent(&jar, "http://web:8080/").is_empty());
        assert!(sent(&jar, "http://idp/app").is_empty());
    }

    #[test]
    fn a_secure_cookie_is_kept_from_plain_http() {
        let jar = Jar::default();
        set(&jar, "a=1; Secure", "https://web/");
        assert!(sent(&jar, "http://web/").is_empty());
        assert_eq!(sent(&jar, "https://web/"), ["a=1"]);
    }

    #[test]
    fn longer_paths_come_first() {
        let jar = Jar::default();
        set(&jar, "a=root; Path=/", "http://web/");
        set(&jar, "a=deep; Path=/x/y", "http://web/x/y");
        assert_eq!(sent(&jar, "http://web/x/y/z"), ["a=deep", "a=root"]);
    }

    #[test]
    fn a_fork_goes_its_own_way() {
        let sessions = Sessions::default();
        set(&sessions.jar("one"), "a=1", "http://web/");
        sessions.fork("one", "two");
        set(&sessions.jar("two"), "a=2", "http://web/");
        assert_eq!(sent(&sessions.jar("one"), "http://web/"), ["a=1"]);
        assert_eq!(sent(&sessions.jar("two"), "http://web/"), ["a=2"]);
    }

    #[test]
    fn what_is_listed_can_be_added_elsewhere() {
        let (from, to) = (Jar::default(), Jar::default());
        set(&from, "sid=x; HttpOnly; Max-Age=3600; Path=/app", "http://web/app/");
        set(&from, "t=y; Secure; Domain=example.com", "https://login.example.com/");
        add(&to, &list(&from));
        assert_eq!(sent(&to, "http://web/app/x"), ["sid=x"]);
        assert_eq!(sent(&to, "https://other.example.com/"), ["t=y"]);
    }
}
