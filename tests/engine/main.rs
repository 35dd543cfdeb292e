//! The tests on a real container engine, in one binary: a module's are run by `cargo test --test engine worlds::`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/at_once.rs"]
mod at_once;
#[path = "../consumers/mod.rs"]
mod consumers;
#[path = "../common/docker.rs"]
mod docker;
#[path = "../common/driver.rs"]
mod driver;
#[path = "../common/gate.rs"]
mod gate;
#[expect(dead_code, reason = "the binary `without_engine` uses the rest")]
#[path = "../common/in_workflow.rs"]
mod in_workflow;
#[path = "../common/other_engine.rs"]
mod other_engine;
#[path = "../common/production.rs"]
mod production;
#[path = "../common/registry.rs"]
mod registry;
#[path = "../common/signals.rs"]
mod signals;
#[path = "../common/slot.rs"]
mod slot;
#[path = "../common/stage.rs"]
mod stage;

mod action;
mod builds;
mod doctor;
mod egress;
mod engines;
mod interrupts;
mod lock;
mod logs;
mod mirror;
mod mirror_compose;
mod names;
mod parallel;
mod pulls;
mod reaper;
mod roles;
mod up;
mod worlds;
