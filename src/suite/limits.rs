//! How long the parts of a suite may take.

use std::time::Duration;

/// A suite's containers are killed after this long.
pub(super) const CONTAINER_LIMIT: Duration = Duration::from_secs(600);

/// How long a step is waited for: longer than its `within`, so that what is slow is told as slow.
pub(super) fn limit(within: Option<Duration>, usual: Duration) -> Duration {
    within.map_or(usual, |within| usual.max(within.saturating_add(Duration::from_secs(5))))
}
