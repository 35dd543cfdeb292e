//! What a release is held to while the rate rises: what the configuration blocks at, and where it says nothing, bounds that
//! nobody would call an answer any more.

use std::fmt;
use std::time::Duration;

use crate::config::settings::Thresholds;
use crate::record::load::Quantile;
use crate::text::units::fine;

/// Without a threshold of latency: this quantile …
const QUANTILE: Quantile = Quantile::P99;
/// … within this time.
const WITHIN: Duration = Duration::from_secs(1);
/// A request is given up after twice the longest bound, and within these times.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);
const MOST_PATIENCE: Duration = Duration::from_secs(60);
/// Without a threshold of errors: this share.
const ERRORS: f64 = 0.01;

/// What a release is held to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HeldTo {
    /// Quantiles of its own time for an answer, and what they may be at most.
    pub(super) latency: Vec<(Quantile, Duration)>,
    /// The share of requests that may fail.
    pub(super) errors: f64,
}

impl HeldTo {
    /// What blocks. A throughput is no bound of this kind: every lower rate has a lower one.
    pub(super) fn of(thresholds: &Thresholds) -> Self {
        let latency = thresholds.latency.iter();
        let latency: Vec<_> = latency
            .filter_map(|(quantile, levels)| Some((*quantile, levels.fail?)))
            .collect();
        Self {
            latency: match latency.is_empty() {
                true => vec![(QUANTILE, WITHIN)],
                false => latency,
            },
            errors: thresholds.error_rate.and_then(|levels| levels.fail).unwrap_or(ERRORS),
        }
    }

    /// What takes longer is given up: what a release has not answered by then it has not borne, and the next rate waits
    /// for the last answer.
    pub(super) fn patience(&self) -> Duration {
        let longest = self.latency.iter().map(|(_, most)| *most * 2).max();
        longest.unwrap_or_default().clamp(LEAST_PATIENCE, MOST_PATIENCE)
    }

    /// In words, one by one.
    pub(super) fn words(&self) -> Vec<String> {
        let latency = self.latency.iter();
        let latency = latency.map(|(quantile, most)| format!("{quantile} at most {}", fine(*most)));
        let errors = format!("errors at most {}", Percent(self.errors));
        latency
            .chain([errors, "answers that keep up with the rate".to_owned()])
            .collect()
    }
}

/// A share as people say it.
pub(super) struct Percent(pub(super) f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} %", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::Levels;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn what_blocks_counts_and_what_warns_or_asks_for_a_throughput_does_not() {
        let levels = |warn: Option<u32>, fail: Option<u32>| Levels {
            warn: warn.map(|ms| ms * MS),
            fail: fail.map(|ms| ms * MS),
        };
        let thresholds = Thresholds {
            latency: [
                (Quantile::P50, levels(Some(5), None)),
                (Quantile::P95, levels(Some(200), Some(300))),
            ]
            .into(),
            error_rate: Some(Levels {
                warn: Some(0.0),
                fail: Some(0.002),
            }),
            throughput: Some(Levels {
                warn: None,
                fail: Some(1e6),
            }),
            ..Thresholds::default()
        };
        let held_to = HeldTo::of(&thresholds);
        assert_eq!(held_to.latency, [(Quantile::P95, 300 * MS)]);
        let words = [
            "p95 at most 300 ms",
            "errors at most 0.20 %",
            "answers that keep up with the rate",
        ];
        assert_eq!(held_to.words(), words);
    }

    #[test]
    fn where_nothing_blocks_a_second_and_one_error_in_a_hundred_do() {
        let held_to = HeldTo::of(&Thresholds::default());
        assert_eq!(held_to.latency, [(Quantile::P99, 1_000 * MS)]);
        assert_eq!(held_to.patience(), 5_000 * MS);
        assert!((held_to.errors - 0.01).abs() < f64::EPSILON);
    }
}
