//! What `report.html` costs: a record of 100,000 cases, and one in which as many tests failed.
//!
//! `make bench-report`. It ends with an error where the slowest of five took a second or more.

#![allow(clippy::unwrap_used, reason = "a bench ends where something goes wrong")]

use rehearsal as product;

#[path = "../tests/samples/mod.rs"]
mod samples;

use std::time::{Duration, Instant};

use rehearsal::record::status::Status;
use rehearsal::record::v1::Record;
use rehearsal::report::html;

const CASES: usize = 100_000;
const ROUNDS: usize = 5;
const GOAL: Duration = Duration::from_secs(1);

fn main() {
    let passed = samples::large(CASES);
    let mut failed = passed.clone();
    let red = samples::block().tests[5].clone();
    for test in &mut failed.tests {
        (test.status, test.message) = (Status::Failed.into(), red.message.clone());
        test.detail.clone_from(&red.detail);
    }
    let slowest = [("passed", passed), ("failed", failed)].map(|(name, record)| slowest(name, &record));
    assert!(slowest.into_iter().all(|took| took < GOAL), "more than {GOAL:?}");
}

fn slowest(name: &str, record: &Record) -> Duration {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        let page = html::write(record, html::BUDGET).unwrap();
        (begun.elapsed(), page.len())
    });
    let (took, bytes) = rounds.max().unwrap();
    println!("{CASES} tests that {name}: {bytes} bytes, the slowest of {ROUNDS} in {took:?}");
    took
}
