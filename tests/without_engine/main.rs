//! The tests that need no container engine, in one binary: a module's are run by `cargo test --test without_engine
//! commands::`.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "../consumers/mod.rs"]
mod consumers;
#[expect(dead_code, reason = "without an engine a part of it is used")]
#[path = "../common/driver.rs"]
mod driver;
#[path = "../fuzz/src/seeds.rs"]
mod fuzz_seeds;
#[path = "../fuzz/src/targets.rs"]
mod fuzz_targets;
#[path = "../github/mod.rs"]
mod github;
#[path = "../common/in_workflow.rs"]
mod in_workflow;
#[path = "../common/miscounted.rs"]
mod miscounted;
#[path = "../samples/mod.rs"]
mod samples;
#[path = "../common/signals.rs"]
mod signals;
#[expect(dead_code, reason = "without an engine a part of it is used")]
#[path = "../common/slot.rs"]
mod slot;

use rehearsal as product;

mod action;
mod action_download;
mod agent_http;
mod agent_load;
mod alerts;
mod architecture;
mod commands;
mod compose_oracle;
mod config_errors;
mod config_valid;
mod foreign_bytes;
mod function_lengths;
mod html_in_a_browser;
mod init;
mod init_guesses;
mod junit_consumers;
mod laws_of_text;
mod lock_tls;
mod production_from;
mod public_releases;
mod publish;
mod releases;
mod secrets;
mod signed_verdict;
mod source;
mod summary_consumers;
