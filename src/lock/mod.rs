//! The lock: dated facts read from production. `facts` is what it holds, `state` what a run has of it; [`read`] and
//! [`mod@write`] are its two ways over the disk, [`probe`] the questions whose answers are facts, [`take`] where
//! production is asked, [`compare`] what differs, [`explain`] what people are told. A lock is reviewed in pull requests,
//! and hostile until read.

pub mod compare;
pub mod explain;
mod facts;
pub mod probe;
pub mod read;
mod state;
pub mod take;
pub mod write;

pub use facts::{
    AuthFacts, Capability, Captured, Certificate, Facts, KeyFacts, Known, Lock, OwnProbe, ServiceFacts, TlsFacts, Trust,
};
pub use state::{Age, State};
