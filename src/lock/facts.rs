//! What a lock holds, as types: production's facts, what is known of the authentication dependency, and who read them.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use time::OffsetDateTime;

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
    pub keys: Option<Vec<KeyFacts>>,
    /// How it speaks TLS.
    pub tls: Option<TlsFacts>,
    /// Capability → variant → what is known of it.
    pub capabilities: BTreeMap<String, BTreeMap<String, Capability>>,
}

/// One key of the published key set, without the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyFacts {
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
pub struct TlsFacts {
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
