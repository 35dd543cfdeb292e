//! The record: the vocabulary of a run. Stages, findings, tests, events, the verdict: types on which everything above
//! is built, and which import nothing of ours.

pub mod event;
pub mod exit_code;
pub mod finding;
pub mod image;
pub mod recorded;
pub mod result;
pub mod stage;
