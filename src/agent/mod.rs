//! The agent: this very binary inside the mirror's network. It asks for pages, probes and waits; it judges nothing.
//!
//! Gate and agent speak JSON lines over the standard streams of an `exec`, so that any engine that can run a
//! container can host it, remote ones too. Requests carry an id; replies come in any order. What belongs together
//! stands in one file: what can be asked, what is answered, and how it is done.

pub mod batch;
pub mod client;
pub mod directory;
pub mod entrance;
pub mod exchange;
pub mod failure;
mod first_words;
#[cfg(test)]
mod free_port;
pub mod front;
pub mod gateway;
pub mod held;
pub mod jar;
mod listen;
pub mod load;
pub mod notes;
pub mod outside;
pub mod probe;
pub mod processors;
mod radius;
pub mod radius_call;
pub(crate) mod resolver;
pub mod serve;
pub mod session;
pub mod unverified;
pub mod wait;
mod wire;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use directory::{DirectoryAnswer, DirectoryCall};
use exchange::{HttpAnswer, HttpCall};
use failure::CallFailure;
use front::FrontsCall;
use front::calls::{CallsAnswer, CallsCall};
use front::fault::{FaultAnswer, FaultCall};
use front::issuer::KeysCall;
use held::{HeldAnswer, HeldCall};
use load::{LoadAnswer, LoadCall};
use outside::{OutsideAnswer, OutsideCall};
use probe::{ProbeAnswer, ProbeCall};
use processors::Processors;
use radius_call::{RadiusAnswer, RadiusCall};
use session::{SessionAnswer, SessionCall};
use wait::{Awaited, WaitCall};

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
    pub body: ReplyBody,
}

/// What came of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyBody {
    /// This.
    Answer(Answer),
    /// Something that is longer than a line may be: so many bytes.
    TooLong(usize),
}

/// What the agent can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Call {
    /// Is anybody there?
    Ping,
    /// Stays when the gate has gone, and goes on answering under names: the mirror is kept.
    Stay,
    /// One HTTP exchange in a session.
    Http(HttpCall),
    /// One question to a directory.
    Directory(DirectoryCall),
    /// Sessions: cookie jars by name.
    Session(SessionCall),
    /// Waits until something is true.
    Wait(WaitCall),
    /// The same question again and again.
    Probe(ProbeCall),
    /// Requests whose last byte waits.
    Held(HeldCall),
    /// Answers under names of production's from now on, until the agent ends.
    Fronts(FrontsCall),
    /// What was asked there.
    Calls(CallsCall),
    /// What is done there to clients, in a service's place.
    Fault(FaultCall),
    /// Which keys of ours are shown there.
    Keys(KeysCall),
    /// The world outside.
    Outside(OutsideCall),
    /// Many requests.
    Load(LoadCall),
    /// Whether a RADIUS server takes a user.
    Radius(RadiusCall),
    /// What the machine's processors have done.
    Processors,
}

impl Call {
    /// How long the agent itself may take for it.
    fn limit(&self) -> Duration {
        match self {
            Self::Http(call) => call.limit(),
            Self::Directory(call) => call.limit(),
            Self::Wait(call) => call.limit(),
            Self::Probe(call) => call.limit(),
            Self::Held(call) => call.limit(),
            Self::Load(call) => call.limit(),
            Self::Radius(call) => call.limit(),
            Self::Ping
            | Self::Stay
            | Self::Session(_)
            | Self::Fronts(_)
            | Self::Calls(_)
            | Self::Fault(_)
            | Self::Keys(_)
            | Self::Outside(_)
            | Self::Processors => Duration::ZERO,
        }
    }
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Done, nothing to tell.
    Done,
    /// It could not be done, or was cut on the way.
    Failed(CallFailure),
    /// An HTTP response.
    Http(HttpAnswer),
    /// Of a directory.
    Directory(DirectoryAnswer),
    /// Of a session.
    Session(SessionAnswer),
    /// The outcome of a wait.
    Awaited(Awaited),
    /// Of a probe.
    Probe(ProbeAnswer),
    /// Of requests that wait.
    Held(HeldAnswer),
    /// Of the fronts.
    Calls(CallsAnswer),
    /// How a fault stands.
    Fault(FaultAnswer),
    /// Of the world outside.
    Outside(OutsideAnswer),
    /// Of many requests.
    Load(LoadAnswer),
    /// Of a RADIUS server.
    Radius(RadiusAnswer),
    /// Of the machine's processors; nothing where its kernel does not tell.
    Processors(Option<Processors>),
}

impl Answer {
    /// What was done in the words of `done`, or why it was not.
    fn of<T>(result: Result<T, CallFailure>, done: impl FnOnce(T) -> Self) -> Self {
        result.map_or_else(Self::Failed, done)
    }
}
