//! Runs on one engine at the same time do not disturb each other.

use crate::at_once::at_once;

#[test]
fn three_runs_at_once_keep_their_verdicts() {
    at_once(3);
}
