//! How often requests failed, and how well that is known.

use std::fmt;

use serde::Serialize;

/// How often requests failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Failures {
    /// Requests that failed.
    pub failed: u64,
    /// Requests.
    pub of: u64,
}

impl Failures {
    /// The share; `None` where there were no requests.
    pub fn share(self) -> Option<f64> {
        (self.of > 0 && self.failed <= self.of).then(|| self.failed as f64 / self.of as f64)
    }

    /// Wilson's interval, `z` standard deviations to either side.
    pub(super) fn wilson(self, z: f64) -> Option<(f64, f64)> {
        let (share, n) = (self.share()?, self.of as f64);
        let widened = 1.0 + z * z / n;
        let middle = (share + z * z / (2.0 * n)) / widened;
        let reach = z / widened * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
        Some(((middle - reach).max(0.0), (middle + reach).min(1.0)))
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.failed, self.of)
    }
}
