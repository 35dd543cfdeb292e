//! Rehearsal performs a deploy on a mirror of production before production does, and gives one verdict.
//!
//! The flow is config → plan → mirror → rehearsal → finding → verdict → report → publish, and the house has a room for
//! each. From top to bottom; a room imports only rooms below it (`tests/without_engine/architecture.rs` holds the table):
//!
//! | room | owns |
//! |---|---|
//! | [`command`] | one file a command: arguments in, an exit code out; [`cli`] has their words |
//! | [`publish`] | where reports go |
//! | [`init`] | a first configuration, guessed from production's files |
//! | [`report`] | terminal, JSON, JUnit, summary, HTML: a record in, bytes out |
//! | [`attest`] | the signed verdict, and whether a deploy may rely on it |
//! | [`merge`] | the shards of a run as one record, with one verdict |
//! | [`rehearsal`] | executes the plan: one loop, what a step does, looks, repeats, confirmation |
//! | [`verdict`] | pass, block or inconclusive: a pure function of what was recorded |
//! | [`prepare`] | from settings, production and lock to everything that a mirror is made from |
//! | [`plan`] | what will happen, as plain data, printed before anything does, and then executed |
//! | [`check`] | the built-in checks, one file each: what a check sees, and what it makes of it |
//! | [`alerts`] | production's own alert rules, asked of what a mirror has shown |
//! | [`suite`] | the user's own tests, and the sign-in |
//! | [`mirror`] | the containers, networks and volumes that stand for production |
//! | [`lock`] | production's facts: read, written, compared, taken |
//! | [`engine`] | the only place that speaks to a container engine |
//! | [`config`] | `rehearsal.yaml`, from as written to as validated |
//! | [`world`] | production in our own words, whatever described it |
//! | [`compose`] | Compose's language |
//! | [`agent`] | our own binary inside the mirror |
//! | [`yaml`] | YAML with places, and the errors that point there |
//! | [`text`] | what is said to people: harmless, redacted, in units |
//! | [`record`] | the vocabulary of a run, and the file that leaves it |
//!
//! [`context`] and [`interrupt`] are what is known of the process.

// What is said goes through one mouth: `println!` panics where nobody reads any more.
#![warn(clippy::print_stderr, clippy::print_stdout)]

// The samples in `tests/` are shared with tests for which the product is another crate.
#[cfg(test)]
use crate as product;

pub mod agent;
pub mod alerts;
pub mod attest;
pub mod check;
pub mod cli;
pub mod command;
pub mod compose;
pub mod config;
pub mod context;
pub mod engine;
pub mod init;
pub mod interrupt;
pub mod lock;
pub mod merge;
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
