//! The tests that take too long for every change: `make test-reaper`, `test-parallel`, `test-engines`, `test-load`,
//! `test-probes`, `test-release` and `test-releases` run a module each, `make test` none of them.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/at_once.rs"]
mod at_once;
#[expect(dead_code, reason = "the other binaries use the rest")]
#[path = "../consumers/mod.rs"]
mod consumers;
#[expect(dead_code, reason = "the binary `engine` uses the rest")]
#[path = "../common/docker.rs"]
mod docker;
#[expect(dead_code, reason = "the binary `engine` uses the rest")]
#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/gate.rs"]
mod gate;
#[expect(dead_code, reason = "the other binaries use the rest")]
#[path = "../common/in_workflow.rs"]
mod in_workflow;
#[path = "../common/miscounted.rs"]
mod miscounted;
#[path = "../common/other_engine.rs"]
mod other_engine;
#[expect(dead_code, reason = "the binary `engine` uses the rest")]
#[path = "../common/production.rs"]
mod production;
#[path = "../common/signals.rs"]
mod signals;
#[path = "../common/slot.rs"]
mod slot;

mod engines;
mod load;
mod parallel;
mod probes;
mod reaper;
mod release;
mod releases;
