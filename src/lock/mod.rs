//! The lock: dated facts read from production, as types. [`read`] and [`mod@write`] are its two ways over the disk,
//! [`probe`] the questions whose answers are facts, [`take`] where production is asked, [`compare`] what differs,
//! [`version`] which version is less than which. A lock is reviewed in pull requests, and hostile until read.

pub mod compare;
pub mod explain;
pub mod probe;
pub mod read;
pub mod take;
pub mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use time::OffsetDateTime;

use crate::record::release::LockRecord;

/// A lock that claims to be from the future by more than this is no lock.
const CLOCKS_DIFFER: Duration = Duration::from_secs(600);

/// Facts by name: `postgres` → `13.16`.
pub type Facts = BTreeMap<String, String>;

/// `production.lock`.
#[derive(Debug, Clone, PartialEq)]
pub struct Lock {
    /// When, where and by what it was taken.
    pub captured: Captured,
    /// The user's own probes, beside the built-in ones.
    pub probes: BTreeMap<String, OwnProbe>,
    /// Service → what runs in production.
    pub services: BTreeMap<String, ServiceFacts>,
    /// The authentication dependency as it can be seen from outside.
    pub auth: Option<AuthFacts>,
}

/// `captured:`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at: OffsetDateTime,
    /// Where production was read: `docker context prod`.
    pub from: String,
    /// What read it: `rehearsal 0.1.0`.
    pub by: String,
}

/// A probe that the user adds for a product that no built-in probe knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnProbe {
    /// Run by `sh -c`; it must only read.
    pub command: String,
    /// What the fact is within its output: group 1, else the match; without it the first line.
    pub matches: Option<String>,
}

/// One entry of `services:`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceFacts {
    /// Reference as production writes it; absent for a plain server.
    pub image: Option<String>,
    /// `sha256:…` of the image; absent for a plain server.
    pub digest: Option<String>,
    /// The answers of the probes.
    pub facts: Facts,
}

/// `auth:`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AuthFacts {
    /// Production's issuer.
    pub issuer: Option<String>,
    /// Name, as a probe calls it, and version.
    pub product: Option<(String, String)>,
    /// `None` = not recorded; `Some(Null)` = production answered 404.
    pub discovery: Option<Json>,
    /// The signing keys, as far as they are public.
    pub keys: Option<Vec<Key>>,
    /// How it speaks TLS.
    pub tls: Option<Tls>,
    /// Capability → variant → what is known of it.
    pub capabilities: BTreeMap<String, BTreeMap<String, Capability>>,
}

/// One key of the published key set, without the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// `RSA`, `EC`, `OKP`.
    pub kty: String,
    /// `RS256`, or `absent`.
    pub alg: String,
    /// `present` or `absent`: the value changes with every rotation.
    pub kid: String,
    /// Size, where the type has one.
    pub bits: Option<u64>,
}

/// What was seen of production's TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Versions it accepts, of `TLSv1` to `TLSv1.3`, oldest first.
    pub protocols: Vec<String>,
    /// Whether the machine where the lock was taken trusts the chain.
    pub trust: Trust,
    /// Its certificates, the server's own first.
    pub chain: Vec<Certificate>,
}

/// Whether a chain is trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Trust {
    /// By the machine's CAs, or the one that it was given.
    Yes,
    /// Why not.
    No(String),
    /// No chain was seen, or the lock does not say.
    #[default]
    Unknown,
}

/// One certificate of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished name.
    pub subject: String,
    /// e.g. `sha256WithRSA`.
    pub signature: String,
    /// Authority key identifier: `present` or `absent`.
    pub aki: String,
    /// Subject key identifier: `present` or `absent`.
    pub ski: Option<String>,
    /// Distinguished name of who signed it.
    pub issuer: Option<String>,
    /// Type and bits: `RSA 2048`.
    pub key: Option<String>,
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    /// RFC 3339.
    pub not_after: Option<String>,
}

/// Yes, no, or nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Yes.
    Yes,
    /// No.
    No,
    /// Neither recorded nor probed.
    Unknown,
}

/// What is known of one variant of a capability: a discovery document is no contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// The discovery document says so.
    pub advertised: Known,
    /// It works.
    pub honoured: Known,
    /// Nothing works without it.
    pub required: Known,
}

/// What a run has for a lock.
#[derive(Debug, Clone)]
pub enum State {
    /// The configuration names none.
    None,
    /// Read, and young enough.
    Fresh(Box<Lock>, Age),
    /// Named, and of no use: nothing can be said, whatever a run would show.
    Unusable {
        /// Missing, unreadable or stale, and the way out.
        why: String,
        /// The place in the file, where it could not be read.
        evidence: Vec<String>,
        /// Where it could be read.
        age: Option<Age>,
    },
}

/// How old a lock is, and whose words it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    /// Since it was taken.
    pub age: Duration,
    /// When, where and by what.
    pub captured: Captured,
}

impl Lock {
    /// The service's facts with what `auth` says of the product, for the authentication dependency's first service.
    pub fn facts_of(&self, service: &str, auth: &[String]) -> Facts {
        let mut facts = self
            .services
            .get(service)
            .map(|service| service.facts.clone())
            .unwrap_or_default();
        let product = self.auth.as_ref().and_then(|auth| auth.product.clone());
        if let (Some((name, version)), true) = (product, auth.first().is_some_and(|first| first == service)) {
            facts.entry(name).or_insert(version);
        }
        facts
    }
}

impl State {
    /// Reads the lock that the configuration names, if it names one.
    pub fn read(path: Option<&Path>, max_age: Duration, now: OffsetDateTime) -> Self {
        let Some(path) = path else { return Self::None };
        match read::load(path) {
            Ok(lock) => Self::of_age(lock, path, max_age, now),
            Err(error) => {
                let why = format!("the lock `{}` cannot be used: {}", path.display(), error.message);
                Self::Unusable {
                    why,
                    evidence: error.to_string().lines().map(str::to_owned).collect(),
                    age: None,
                }
            }
        }
    }

    fn of_age(lock: Lock, path: &Path, max_age: Duration, now: OffsetDateTime) -> Self {
        let since = now - lock.captured.at;
        let age = Age {
            age: Duration::try_from(since).unwrap_or_default(),
            captured: lock.captured.clone(),
        };
        let unusable = |what: String| {
            let why = format!(
                "the lock `{}` {what}: take it again with `rehearsal lock`",
                path.display()
            );
            Self::Unusable {
                why,
                evidence: Vec::new(),
                age: Some(age.clone()),
            }
        };
        if -since > CLOCKS_DIFFER {
            return unusable(format!(
                "says that it was taken in the future, at {}",
                write::moment(lock.captured.at)
            ));
        }
        if age.age > max_age {
            return unusable(format!(
                "is stale: {} old, at most {} are allowed (max_lock_age)",
                words(age.age),
                words(max_age)
            ));
        }
        Self::Fresh(Box::new(lock), age)
    }

    /// The lock, where it can be used.
    pub fn lock(&self) -> Option<&Lock> {
        match self {
            Self::Fresh(lock, _) => Some(lock),
            Self::None | Self::Unusable { .. } => None,
        }
    }

    /// How old it is, where that is known.
    pub fn age(&self) -> Option<&Age> {
        match self {
            Self::None => None,
            Self::Fresh(_, age) => Some(age),
            Self::Unusable { age, .. } => age.as_ref(),
        }
    }

    /// What every report says of it.
    pub fn record(&self) -> LockRecord {
        let age = self.age();
        LockRecord {
            age_seconds: age.map(|age| age.age.as_secs()),
            source: age.map(|age| age.captured.from.clone()),
            statement: self.statement(),
        }
    }

    /// The same as one sentence.
    pub fn statement(&self) -> String {
        match self {
            Self::None => "no lock: production's facts are unrecorded".to_owned(),
            Self::Fresh(_, age) => {
                let captured = &age.captured;
                format!(
                    "taken {} from {}, {} old",
                    write::moment(captured.at),
                    captured.from,
                    words(age.age)
                )
            }
            Self::Unusable { why, .. } => why.clone(),
        }
    }
}

/// A long time in words: `3 days`, `5 h`, `12 min`.
fn words(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 172_800.. => format!("{} days", seconds / 86_400),
        seconds @ 7_200.. => format!("{} h", seconds / 3_600),
        seconds @ 120.. => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-22 12:00 UTC);
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn state(text: &str) -> State {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("production.lock");
        std::fs::write(&path, text).expect("writable");
        State::read(Some(&path), WEEK, NOW)
    }

    fn taken(at: &str) -> State {
        state(&format!(
            "version: 1\ncaptured: {{at: {at}, from: here, by: hand}}\nservices: {{}}\n"
        ))
    }

    #[test]
    fn no_lock_is_a_statement() {
        assert!(State::read(None, WEEK, NOW).statement().contains("unrecorded"));
    }

    #[test]
    fn a_young_lock_is_used() {
        let state = taken("2026-11-20T12:00:00Z");
        assert!(state.lock().is_some());
        assert_eq!(state.statement(), "taken 2026-11-20T12:00:00Z from here, 2 days old");
    }

    #[test]
    fn a_lock_older_than_its_limit_is_stale_to_the_second() {
        assert!(taken("2026-11-15T12:00:00Z").lock().is_some());
        let state = taken("2026-11-15T11:59:59Z");
        assert!(state.lock().is_none());
        assert!(
            state
                .statement()
                .contains("is stale: 7 days old, at most 7 days are allowed"),
            "{}",
            state.statement()
        );
        assert_eq!(state.age().map(|age| age.age.as_secs()), Some(7 * 86_400 + 1));
    }

    #[test]
    fn a_lock_from_the_future_is_not_young() {
        assert!(taken("2099-01-01T00:00:00Z").lock().is_none());
        assert!(taken("2026-11-22T12:05:00Z").lock().is_some());
    }

    #[test]
    fn what_is_missing_or_broken_is_unusable_and_says_why() {
        let missing = State::read(Some(Path::new("/nowhere/production.lock")), WEEK, NOW);
        assert!(
            missing.statement().contains("cannot be used"),
            "{}",
            missing.statement()
        );
        for broken in [
            "",
            "version: 2",
            "version: 1\ncaptured: 7",
            "{",
            "version: 1\nservices: {web: {imag: x}}",
        ] {
            assert!(state(broken).lock().is_none(), "{broken}");
        }
    }
}
