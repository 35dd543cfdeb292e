//! `make test-parallel`: ten worlds at once.

use crate::at_once::at_once;

#[test]
fn ten_runs_at_once_keep_their_verdicts() {
    at_once(10);
}
