//! Rehearsal performs a deploy on a mirror of production before production does, and gives one verdict.
//!
//! The flow, and so the house:
//!
//! 1. [`config`]: `rehearsal.yaml` and Compose files, from as written to as validated.
//! 2. [`plan`]: what will happen, as plain data, printed before anything does.
//! 3. [`mirror`]: the containers, networks and volumes that stand for production.
//! 4. [`rehearsal`]: runs the plan on the mirror, stage by stage; events are its only output.
//! 5. [`record::finding`]: what a check or a suite learned.
//! 6. [`verdict`]: pass, block or inconclusive; a pure function.
//! 7. [`report`]: the record and what is made of it.
//! 8. [`publish`]: where reports go.
//!
//! [`run`] is that flow, one line an arrow; [`command`] holds the other commands, [`cli`] their words, [`context`]
//! everything that is read from the process.
//!
//! Beside the flow stand [`agent`] (our binary inside the mirror), [`suite`] (the user's tests), [`check`] (the
//! built-in ones), [`lock`] (production's facts) and [`text`] (said harmlessly, and without secrets).

// The samples in `tests/` are shared with tests for which the product is another crate.
#[cfg(test)]
use crate as product;

pub mod agent;
pub mod check;
pub mod cli;
pub mod command;
pub mod compose;
pub mod config;
pub mod context;
pub mod engine;
pub mod interrupt;
pub mod lock;
pub mod mirror;
pub mod plan;
pub mod prepare;
pub mod publish;
pub mod record;
pub mod rehearsal;
pub mod report;
pub mod suite;
pub mod text;
pub mod verdict;
pub mod world;
pub mod yaml;
