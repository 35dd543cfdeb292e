//! `make test-reaper`, a quarter of an hour: SIGKILL of the gate at many more points than `tests/engine/reaper.rs` has.

use std::time::Duration;

use crate::gate::{Killed, kill_after, stay_gone};

/// 50 runs, 25 points.
#[test]
fn fifty_killed_gates_leave_nothing() {
    let points = (0..50u32).map(|n| {
        (
            1 + (n as usize % 25) * 3 / 2,
            Duration::from_millis(u64::from(n) * 37 % 400),
        )
    });
    let killed = points
        .zip(Killed::in_turn())
        .filter_map(|((events, pause), whom)| kill_after(events, pause, whom));
    let (runs, times): (Vec<String>, Vec<Duration>) = killed.unzip();
    stay_gone(&runs);
    println!(
        "{} of 50 runs killed before their end; the slowest was gone after {:?}",
        times.len(),
        times.iter().max()
    );
    assert!(
        times.len() >= 45,
        "only {} runs were killed before their end",
        times.len()
    );
}
