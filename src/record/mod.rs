//! The record: the vocabulary of a run. Stages, steps, checks, findings, tests, events, the verdict and how a process
//! ends: types on which everything above is built, and which import nothing of ours.
//!
//! [`v1`] is what leaves the program: `result.json` and the events, in a form that other versions can read.

pub mod alerts;
pub mod calls;
pub mod cases;
pub mod check;
pub mod container;
pub mod event;
pub mod exit_code;
pub mod fidelity;
pub mod finding;
pub mod headline;
pub mod image;
pub mod inputs;
pub mod load;
pub mod measured;
pub mod outcome;
pub mod partial;
pub mod recorded;
pub mod release;
pub mod reread;
pub mod shard;
pub mod stage;
pub mod status;
pub mod step;
pub mod test;
pub mod texts;
pub mod v1;
pub mod verdict;
pub mod word;
