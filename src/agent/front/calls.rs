//! What is asked of services behind a front: every call, without its secrets. A value is kept where its parameter is on a
//! list of those that hold none; of all others the name alone is.
//!
//! What arrives here is hostile: texts are cut and made printable, and a bounded number of calls is kept.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::fault::{Fault, Faults};
use super::ldap_groups::Groups;
use crate::agent::batch::Batch;
use crate::agent::failure::millis;
use crate::agent::resolver::Resolver;
use crate::agent::session::lock;

/// Calls that are kept; more are counted.
const MOST_CALLS: usize = 100_000;
/// Bytes of calls that are kept, as they are told; of what is beyond them the parameters are forgotten, and then it is counted.
const MOST_BYTES: usize = 128 << 20;
/// Characters of a text that is kept.
const TEXT_LIMIT: usize = 200;
/// Parameters of one call that are kept.
const MOST_PARAMS: usize = 40;
/// A part of a path is a value, and may be a secret, from this length on, where it has a digit …
const VALUE_WITH_DIGIT: usize = 16;
/// … and from this one on in any case.
const VALUE_LENGTH: usize = 40;
/// What stands in its place.
const HIDDEN: &str = "*";

/// Parameters of OAuth 2.0, OpenID Connect and SAML whose values tell what is asked for, and are no secret.
const OPEN_PARAMS: [&str; 19] = [
    "acr_values",
    "audience",
    "client_assertion_type",
    "code_challenge_method",
    "display",
    "error",
    "grant_type",
    "iss",
    "prompt",
    "redirect_uri",
    "requested_token_type",
    "resource",
    "response_mode",
    "response_type",
    "scope",
    "SigAlg",
    "subject_token_type",
    "token_type_hint",
    "ui_locales",
];

/// What can be asked of the calls that the fronts have seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallsCall {
    /// Those behind the first so many.
    Take {
        /// So many are known already.
        after: usize,
        /// Not more than these.
        most: usize,
    },
}

/// A part of what the fronts have seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CallsAnswer {
    /// In the order in which they began.
    pub calls: Batch<CallSeen>,
    /// Further calls, which were too many to keep.
    pub more: u64,
}

/// A call at a front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSeen {
    /// When it began, milliseconds since the agent did.
    pub at_ms: u64,
    /// Milliseconds until its answer began, or until it was clear that none comes; `None` = it is under way.
    pub took_ms: Option<u64>,
    /// The asker as the engine's DNS names it, the container's name first; empty where it has no name for the address,
    /// `None` = it has not been asked yet.
    pub by: Option<String>,
    /// The asker's address.
    pub from: IpAddr,
    /// The service behind the front.
    pub service: String,
    /// The port that was asked.
    pub port: u16,
    /// What was said.
    pub said: Said,
    /// The fault that it met.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
}

/// What was said in a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// A request and its answer.
    Http(HttpSaid),
    /// A request over LDAP and its result.
    Ldap(LdapSaid),
    /// A request over RADIUS and its answer.
    Radius(RadiusSaid),
    /// A connection over TLS that the service itself ends.
    Tls(TlsSaid),
    /// A connection of another kind, or datagrams; nothing of it is read.
    Other,
}

/// An HTTP request and its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpSaid {
    /// The host that the request names.
    pub host: String,
    /// Method.
    pub method: String,
    /// Path without query; `*` for a part that may be a secret.
    pub path: String,
    /// Of query and body.
    pub params: Vec<Param>,
    /// The scheme of its `Authorization`: `Basic`, `Bearer`, `DPoP`.
    pub authorization: Option<String>,
    /// It carries a proof of possession (RFC 9449).
    pub proof: bool,
    /// The answer's status; `None` = there was none.
    pub status: Option<u16>,
    /// The answer's error code, as OAuth 2.0 has it: `invalid_request`.
    pub error: Option<String>,
    /// The same in the product's words.
    pub error_words: Option<String>,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Param {
    /// Its name.
    pub name: String,
    /// Its value, where that is no secret.
    pub value: Option<String>,
}

/// A request over LDAP.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LdapSaid {
    /// `bind simple`, `bind EXTERNAL`, `search`, `StartTLS`, …
    pub operation: String,
    /// The result's code (RFC 4511, 4.1.9); `None` = there was none.
    pub result: Option<u32>,
    /// How it went over the wire.
    #[serde(default)]
    pub carried: Carried,
    /// What a search looks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<LdapSearch>,
    /// Controls that go along, by their OIDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
    /// Servers that the answer refers to: `ldap://other:389`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub referrals: Vec<String>,
    /// How the passwords are stored that it writes: `{SSHA}`; `clear` without a scheme.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schemes: Vec<String>,
}

/// How something goes over the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Carried {
    /// For everybody to read.
    #[default]
    Clear,
    /// Within TLS that we end.
    Tls,
}

/// A search, without its values.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LdapSearch {
    /// `base`, `one`, `sub`.
    pub scope: String,
    /// Its filter, `?` for each value: `(&(objectClass=?)(uid=?))`.
    pub filter: String,
    /// Entries that came.
    pub entries: u32,
    /// By which way it finds groups within groups, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<Nested>,
}

/// A way to groups within groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nested {
    /// The matching rule in the chain, `1.2.840.113556.1.4.1941`.
    Rule,
    /// An attribute that the server computes, such as `tokenGroups`.
    Attribute,
    /// It asks for the groups that hold a group.
    Lookup,
}

/// A request over RADIUS. Of attributes the names alone are known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadiusSaid {
    /// `Access-Request`, `Accounting-Request`, …
    pub request: String,
    /// The names of its attributes, in their order, each once.
    pub attributes: Vec<String>,
    /// It has a `Message-Authenticator` (RFC 3579, 3.2).
    pub sealed: bool,
    /// So often the same request came again.
    pub retransmissions: u32,
    /// `Access-Accept`, `Access-Reject`, …; `None` = there was none.
    pub answer: Option<String>,
    /// Whether the answer has a `Message-Authenticator`.
    pub answer_sealed: Option<bool>,
}

/// A handshake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSaid {
    /// The name that the client means.
    pub name: Option<String>,
    /// The highest version that the client offers.
    pub offered: Option<String>,
    /// The version that the service chose.
    pub chosen: Option<String>,
    /// The cipher suite that it chose, as registered: `0x1301`.
    pub cipher: Option<String>,
    /// The first alert in the clear, with who sent it: `service: 40`.
    pub alert: Option<String>,
}

impl CallSeen {
    /// Nothing more comes to it.
    pub fn is_settled(&self) -> bool {
        self.took_ms.is_some() && self.by.is_some()
    }
}

impl Param {
    /// A parameter as it may be kept.
    pub(super) fn open(name: &str, value: &str) -> Self {
        Self {
            name: text(name),
            value: OPEN_PARAMS.contains(&name).then(|| text(value)),
        }
    }
}

impl HttpSaid {
    /// Adds parameters; the same one again is no news.
    pub(super) fn add_params(&mut self, params: impl Iterator<Item = Param>) {
        for param in params {
            if self.params.len() < MOST_PARAMS && !self.params.contains(&param) {
                self.params.push(param);
            }
        }
    }
}

/// A text as it may be kept: printable and short.
pub(super) fn text(given: &str) -> String {
    given
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(TEXT_LIMIT)
        .collect()
}

/// A path without what may be a secret.
pub(super) fn path(given: &str) -> String {
    let part = |part: &str| {
        let has_digit = part.chars().any(|c| c.is_ascii_digit());
        let is_value = part.len() >= VALUE_LENGTH || (part.len() >= VALUE_WITH_DIGIT && has_digit);
        if is_value { HIDDEN.to_owned() } else { text(part) }
    };
    text(&given.split('/').map(part).collect::<Vec<_>>().join("/"))
}

/// Every call that the fronts have seen. Cheap to clone.
#[derive(Clone)]
pub(in crate::agent) struct Calls {
    kept: Arc<Mutex<Kept>>,
    begun: Instant,
    faults: Faults,
    most_bytes: usize,
    groups: Groups,
}

#[derive(Default)]
struct Kept {
    calls: Vec<CallSeen>,
    /// Of all of them.
    bytes: usize,
    more: u64,
}

impl Kept {
    /// Takes account of what has been learnt of a call; where it is too much, what is long of that is forgotten.
    fn account(&mut self, at: usize, before: usize, most: usize) {
        let said = &mut self.calls[at].said;
        let mut now = said.bytes();
        if self.bytes + now.saturating_sub(before) > most {
            said.forget();
            now = said.bytes();
        }
        self.bytes = (self.bytes + now).saturating_sub(before);
    }
}

impl Said {
    /// As it is told.
    fn bytes(&self) -> usize {
        serde_json::to_vec(self).map_or(0, |told| told.len())
    }

    /// What can be long and many.
    fn forget(&mut self) {
        if let Self::Http(http) = self {
            http.params = Vec::new();
            http.error_words = None;
        }
    }
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            kept: Arc::default(),
            begun: Instant::now(),
            faults: Faults::default(),
            most_bytes: MOST_BYTES,
            groups: Groups::default(),
        }
    }
}

impl Calls {
    /// What is done to clients: each call is kept with the fault that it meets.
    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// A client's connection that a fault has ended before anything of it was read.
    pub(super) fn broken(&self, from: IpAddr, service: &str, port: u16, resolver: &Resolver) {
        let client = self.client(from, service, port, resolver);
        client.settles(client.begins(Said::Other));
    }

    /// Does what is asked.
    pub(in crate::agent) fn serve(&self, call: &CallsCall) -> CallsAnswer {
        let CallsCall::Take { after, most } = call;
        let kept = lock(&self.kept);
        CallsAnswer {
            calls: Batch::of(&kept.calls, *after, *most),
            more: kept.more,
        }
    }

    /// A client has come to a front; what its address is called is asked meanwhile.
    pub(super) fn client(&self, from: IpAddr, service: &str, port: u16, resolver: &Resolver) -> Client {
        let name: Arc<Mutex<Name>> = Arc::default();
        let client = Client {
            calls: self.clone(),
            from,
            service: service.to_owned(),
            port,
            name: Arc::clone(&name),
        };
        let (resolver, calls) = (resolver.clone(), self.clone());
        tokio::spawn(async move {
            let known = resolver.of_address(from).await.unwrap_or_default();
            let mut name = lock(&name);
            let mut kept = lock(&calls.kept);
            for at in name.waiting.drain(..) {
                kept.calls[at].by = Some(known.clone());
            }
            name.known = Some(known);
        });
        client
    }
}

/// What a client's address is called, once that is known, and which calls wait for it.
#[derive(Default)]
struct Name {
    known: Option<String>,
    waiting: Vec<usize>,
}

/// A client at a front.
#[derive(Clone)]
pub(super) struct Client {
    calls: Calls,
    from: IpAddr,
    service: String,
    port: u16,
    name: Arc<Mutex<Name>>,
}

/// A call that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    at: usize,
    begun: Instant,
}

impl Client {
    /// What is known of a directory's groups, whoever has asked for them.
    pub(super) fn groups(&self) -> &Groups {
        &self.calls.groups
    }

    /// It begins a call; `None` where there are too many.
    pub(super) fn begins(&self, said: Said) -> Option<Ticket> {
        let (mut name, mut kept) = (lock(&self.name), lock(&self.calls.kept));
        if kept.calls.len() >= MOST_CALLS || kept.bytes >= self.calls.most_bytes {
            kept.more += 1;
            return None;
        }
        let at = kept.calls.len();
        if name.known.is_none() {
            name.waiting.push(at);
        }
        kept.calls.push(CallSeen {
            at_ms: millis(self.calls.begun.elapsed()),
            took_ms: None,
            by: name.known.clone(),
            from: self.from,
            service: self.service.clone(),
            port: self.port,
            fault: self.fault(&said),
            said,
        });
        kept.account(at, 0, self.calls.most_bytes);
        let begun = Instant::now();
        Some(Ticket { at, begun })
    }

    fn fault(&self, said: &Said) -> Option<Fault> {
        let stand = self.calls.faults.of(&self.service);
        match said {
            Said::Http(http) => stand.at_path(self.from, &http.path),
            Said::Ldap(_) | Said::Tls(_) | Said::Other => stand.at_connections(Some(self.from)),
            Said::Radius(_) => stand
                .at_connections(Some(self.from))
                .filter(|fault| matches!(fault, Fault::Down | Fault::Errors | Fault::Slow(_))),
        }
    }

    /// Something is learned of a call.
    pub(super) fn learns(&self, ticket: Option<Ticket>, learn: impl FnOnce(&mut Said)) {
        if let Some(ticket) = ticket {
            let mut kept = lock(&self.calls.kept);
            let said = &mut kept.calls[ticket.at].said;
            let before = said.bytes();
            learn(said);
            kept.account(ticket.at, before, self.calls.most_bytes);
        }
    }

    /// Its answer begins, or it is clear that none comes.
    pub(super) fn settles(&self, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            let took: Duration = ticket.begun.elapsed();
            lock(&self.calls.kept).calls[ticket.at]
                .took_ms
                .get_or_insert(millis(took));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_where_it_is_no_secret_and_the_name_always() {
        let open = Param::open("scope", "openid profile");
        assert_eq!(open.value.as_deref(), Some("openid profile"));
        for name in [
            "code",
            "client_secret",
            "password",
            "state",
            "refresh_token",
            "code_verifier",
            "username",
        ] {
            let hidden = Param::open(name, "s3cr3t");
            assert_eq!((hidden.name.as_str(), hidden.value), (name, None));
        }
    }

    #[test]
    fn a_part_of_a_path_that_may_be_a_secret_is_hidden() {
        let kept = [
            "/o/.well-known/openid-configuration",
            "/realms/shop/protocol",
            "/.well-known/oauth-authorization-server",
        ];
        for given in kept {
            assert_eq!(path(given), given);
        }
        assert_eq!(path("/reset/b7d1f0a2c4e8905512/new"), "/reset/*/new");
        assert_eq!(path(&format!("/x/{}", "y".repeat(60))), "/x/*");
        assert_eq!(path("/a\u{1b}[31m\n"), "/a [31m ");
    }

    fn client(calls: &Calls) -> Client {
        Client {
            calls: calls.clone(),
            from: [127, 0, 0, 1].into(),
            service: "idp".to_owned(),
            port: 80,
            name: Arc::default(),
        }
    }

    #[test]
    fn calls_in_which_as_much_is_said_as_can_be_fill_no_memory() {
        let most_bytes = 1 << 20;
        let calls = Calls {
            most_bytes,
            ..Calls::default()
        };
        let client = client(&calls);
        let long = |number: usize| Param::open(&format!("{number}{}", "€".repeat(TEXT_LIMIT)), "");
        let mut begun = 0;
        for _ in 0..20_000 {
            let ticket = client.begins(Said::Http(HttpSaid::default()));
            begun += usize::from(ticket.is_some());
            client.learns(ticket, |said| {
                if let Said::Http(http) = said {
                    http.add_params((0..MOST_PARAMS).map(long));
                }
            });
        }
        let kept = lock(&calls.kept);
        let bytes: usize = kept.calls.iter().map(|call| call.said.bytes()).sum();
        assert_eq!(bytes, kept.bytes);
        let overshoot = serde_json::to_vec(&Said::Http(HttpSaid::default())).unwrap().len();
        assert!(bytes <= most_bytes + overshoot && bytes > most_bytes / 2, "{bytes}");
        assert_eq!((begun, begun as u64 + kept.more), (kept.calls.len(), 20_000));
    }

    #[test]
    fn more_calls_than_are_kept_are_counted() {
        let calls = Calls::default();
        let client = client(&calls);
        for _ in 0..MOST_CALLS {
            assert!(client.begins(Said::Other).is_some());
        }
        assert!(client.begins(Said::Other).is_none());
        let page = calls.serve(&CallsCall::Take { after: 10, most: 5 });
        assert_eq!(
            (page.calls.items.len(), page.calls.left, page.more),
            (5, MOST_CALLS - 15, 1)
        );
    }
}
