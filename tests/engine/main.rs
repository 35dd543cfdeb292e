//! The tests on a real container engine, in one binary: a module's are run by `cargo test --test engine worlds::`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../common/at_once.rs"]
mod at_once;
#[expect(dead_code, reason = "no page is looked at here")]
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
#[path = "../common/miscounted.rs"]
mod miscounted;
#[path = "../common/production.rs"]
mod production;
#[path = "../common/registry.rs"]
mod registry;
#[path = "../common/signals.rs"]
mod signals;
#[expect(dead_code, reason = "the binary `long` uses the rest")]
#[path = "../common/slot.rs"]
mod slot;
#[path = "../common/stage.rs"]
mod stage;

mod action;
mod border;
mod builds;
mod deploys;
mod directory;
mod doctor;
mod drills;
mod egress;
mod guards;
mod init;
mod interrupts;
mod keeps_networks;
mod lives;
mod load;
mod lock;
mod logs;
mod mirror;
mod mirror_compose;
mod names;
mod outage;
mod parallel;
mod pulls;
mod radius;
mod reaper;
mod releases;
mod replicas;
mod restore;
mod roles;
mod rotation;
mod shards;
mod signed;
mod signin;
mod up;
mod worlds;
