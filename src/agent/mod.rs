//! The agent: this very binary inside the mirror's network. It asks for pages, probes and waits; it judges nothing.
//!
//! Gate and agent speak JSON lines over the standard streams of an `exec`, so that any engine that can run a
//! container can host it, remote ones too. Requests carry an id; replies come in any order.

mod bear;
pub mod client;
pub mod entrance;
mod exchange;
mod failure;
mod first_words;
mod gateway;
pub(crate) mod names;
mod notes;
mod outside;
mod probe;
pub mod serve;
mod session;
mod wait;
mod wire;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// One line from the gate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the gate, echoed in the reply.
    pub id: u64,
    /// What to do.
    pub call: Call,
}

/// One line from the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reply {
    /// The request's id.
    pub id: u64,
    /// What came of it.
    pub answer: Answer,
}

/// What the agent can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Is anybody there?
    Ping,
    /// One HTTP exchange in a session (a cookie jar).
    Http(HttpCall),
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
    Cookies {
        /// Session.
        session: String,
    },
    /// Puts cookies into a session, from another program.
    AddCookies {
        /// Session; made when first named.
        session: String,
        /// What to add.
        cookies: Vec<Cookie>,
    },
    /// Returns as soon as the URL gives any HTTP answer (`statuses` empty) or one of `statuses`, or at the deadline
    /// with the last answer. Certificates are not verified: this is a question about life, not about trust.
    AwaitHttp {
        /// What to ask.
        url: String,
        /// Wanted statuses; empty = any answer.
        statuses: Vec<u16>,
        /// Give up after this long, milliseconds.
        deadline_ms: u64,
    },
    /// Returns as soon as a TCP connection to one of the ports is accepted, or at the deadline.
    AwaitTcp {
        /// Host name or address.
        host: String,
        /// Any of these.
        ports: Vec<u16>,
        /// Give up after this long, milliseconds.
        deadline_ms: u64,
    },
    /// Asks `url` every `interval_ms`, on a connection of its own each time, until `ProbeStop`. A probe of the same
    /// name that still runs is forgotten. Certificates are not verified.
    ProbeStart {
        /// Name of the probe.
        probe: String,
        /// What to ask; redirects are not followed.
        url: String,
        /// Milliseconds between starts.
        interval_ms: u64,
        /// A single question's limit, milliseconds.
        timeout_ms: u64,
    },
    /// Answers under a name of production's from now on, until the agent ends.
    Bear(BearCall),
    /// Stays when the gate has gone, and goes on answering under names: the mirror is kept.
    Stay,
    /// Answers for every name that nobody in the mirror bears, from now on, until the agent ends.
    Outside(OutsideCall),
    /// Which of these names were asked for until now, and by whom.
    Asked,
    /// Ends a probe and returns its samples in the order asked, once the questions under way have ended.
    ProbeStop {
        /// Name of the probe.
        probe: String,
    },
}

/// A name of production's to answer to.
#[derive(Clone, Serialize, Deserialize)]
pub struct BearCall {
    /// The name.
    pub host: String,
    /// The port on which it is expected.
    pub port: u16,
    /// `None` = without TLS.
    pub tls: Option<BearTls>,
    /// The service that requests are passed on to.
    pub service: String,
    /// Its ports for plain HTTP, tried in order.
    pub ports: Vec<u16>,
    /// Where it is answered, of IPv4; empty = everywhere.
    pub own: Vec<Ipv4Addr>,
}

/// How a name is answered to over TLS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BearTls {
    /// Certificate chain, PEM.
    pub chain: String,
    /// Its key, PEM.
    pub key: String,
    /// Versions that are spoken, oldest first; at least one.
    pub protocols: Vec<Protocol>,
}

/// A version of TLS that the agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    /// 1.2, RFC 5246.
    Tls12,
    /// 1.3, RFC 8446.
    Tls13,
}

impl fmt::Display for Protocol {
    /// As a lock has it: `TLSv1.2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        })
    }
}

impl std::fmt::Debug for BearCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BearCall")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// What is known of the world outside.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OutsideCall {
    /// Names that may be reached, lower case.
    pub allowed: Vec<String>,
    /// Where they are reached: the door's address in each network.
    pub doors: Vec<Ipv4Addr>,
    /// The mirror's networks; empty = names are answered everywhere, and raw addresses are not heard.
    pub networks: Vec<Inside>,
}

/// A network of the mirror, as the agent in it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// Its subnet's first address …
    pub first: Ipv4Addr,
    /// … and bits of the prefix.
    pub prefix: u8,
    /// The agent's own address.
    pub own: Ipv4Addr,
    /// The address to which containers send what is for outside, where the agent is to take it.
    pub gateway: Option<Ipv4Addr>,
}

/// One HTTP exchange.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpCall {
    /// Cookie jar to use; made when first named.
    pub session: String,
    /// Upper case.
    pub method: String,
    /// Absolute.
    pub url: String,
    /// In order; names as given.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body.
    pub body: Option<String>,
    /// Follow at most this many redirects; 0 = none.
    pub follow: u32,
    /// The exchange's limit, milliseconds.
    pub timeout_ms: u64,
    /// Certificates are not verified.
    pub insecure: bool,
    /// Further CAs, PEM; the run's own is among them.
    pub ca: Vec<String>,
}

/// What came of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done, nothing to tell.
    Done,
    /// An HTTP response.
    Http(HttpAnswer),
    /// No response: the exchange failed on the way.
    Failed {
        /// `dns`, `connect`, `tls`, `timeout`, `reset`, `protocol` or `request`.
        kind: String,
        /// The library's words, causes included.
        message: String,
        /// Milliseconds until it failed.
        duration_ms: u64,
    },
    /// A session's cookies.
    Cookies(Vec<Cookie>),
    /// What a probe saw.
    Probe(Vec<ProbeSample>),
    /// Names outside that were asked for.
    Asked(AskedAnswer),
    /// The outcome of a wait: when it became true, else `None` with the last thing seen.
    Awaited {
        /// Milliseconds until it became true.
        after_ms: Option<u64>,
        /// Last status or error.
        last: String,
    },
}

/// An HTTP response.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct HttpAnswer {
    /// Status code.
    pub status: u16,
    /// In the order received; values that are not UTF-8 are lossy.
    pub headers: Vec<(String, String)>,
    /// Base64 of the body, at most [`BODY_LIMIT`] bytes of it.
    pub body: String,
    /// The body was longer than the limit.
    pub truncated: bool,
    /// The URL that answered, after redirects.
    pub url: String,
    /// Every hop: status and URL.
    pub trail: Vec<(u16, String)>,
    /// The session's cookies for `url` after the exchange, name and value.
    pub cookies: Vec<(String, String)>,
    /// First byte sent to last byte received, milliseconds.
    pub duration_ms: u64,
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

/// Names that nobody in the mirror bears and that were asked for all the same, and addresses outside that were sought.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct AskedAnswer {
    /// By asker, in the order in which each asked first.
    pub asked: Vec<Asked>,
    /// Questions that were answered but not remembered: there were too many.
    pub more: u64,
    /// Why questions do not reach the agent on this engine, if they do not: then the list means nothing.
    pub unheard: Option<String>,
    /// Why raw addresses are not heard though the agent was told to take gateways.
    pub raw_unheard: Option<String>,
}

/// A name or an address outside, and who asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The asker as the engine's DNS names it, the container's name first; empty where it has no name for the address.
    pub by: String,
    /// Its address.
    pub from: IpAddr,
    /// The name: lower case, printable, at most 253 characters. A raw address with its port: `203.0.113.9:443`,
    /// `203.0.113.9:514/udp`.
    pub name: String,
    /// How often it was asked for.
    pub times: u64,
}

/// One question of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeSample {
    /// When it was asked, milliseconds since the probe started.
    pub at_ms: u64,
    /// When the answer (or failure) was complete, milliseconds since the probe started.
    pub done_ms: u64,
    /// The status, if an answer came.
    pub status: Option<u16>,
    /// Else the failure's kind.
    pub failure: Option<String>,
}

/// Bodies are cut here: 8 MiB.
pub const BODY_LIMIT: usize = 8 * 1024 * 1024;
