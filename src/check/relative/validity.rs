//! Whether what was measured is of the releases: requests that the gate did not send, or sent late, are its own fault, and
//! never good latency.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::record::load::Quantile;

/// Of what was planned, so many in a hundred are sent at least.
const SENT_PERCENT: u64 = 99;
/// Of the latency that is compared, the lag of nearly all requests is less than one part in so many: what is added to both
/// sides makes the difference look smaller than it is, by no more than that part of it.
const LAG_PARTS: u32 = 20;
/// Samples beyond a quantile, in all slices of a release: what [`Quantile::least`] is made for.
const BEYOND: u64 = 100;
/// Samples beyond a quantile in one slice: under this its quantile is whatever its slowest request was.
const BEYOND_IN_SLICE: u64 = 2;

/// How requests were sent, in all slices of a measurement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sending {
    /// Requests that the rate asked for.
    pub planned: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// How late nearly all of them were sent. Nothing where nobody knows.
    pub lag: Option<Duration>,
}

/// How many samples a release has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Samples {
    /// In all slices.
    pub all: u64,
    /// In the slice with the fewest.
    pub least: u64,
}

/// What makes a measurement say nothing of the releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Invalid {
    /// Requests were not sent.
    NotSent {
        /// Those that were.
        sent: u64,
        /// Those that the rate asked for.
        planned: u64,
    },
    /// Requests were sent late.
    Late {
        /// How late; nothing where nobody knows.
        lag: Option<Duration>,
        /// How late they may be.
        allowed: Duration,
    },
    /// Too few samples lie beyond the quantile.
    TooFew {
        /// Samples of the release that has fewer.
        have: u64,
        /// What the quantile needs.
        need: u64,
    },
    /// Too few samples lie beyond the quantile in a slice.
    ThinSlices {
        /// Samples of the smallest slice.
        have: u64,
        /// What the quantile needs.
        need: u64,
    },
}

impl Samples {
    /// Whether they are enough to compare this quantile.
    ///
    /// # Errors
    /// They are not, in all or in a slice.
    pub fn show(self, quantile: Quantile) -> Result<(), Invalid> {
        let (need, in_slice) = (quantile.least(), quantile.least() * BEYOND_IN_SLICE / BEYOND);
        match self {
            Self { least, .. } if least < in_slice => Err(Invalid::ThinSlices {
                have: least,
                need: in_slice,
            }),
            Self { all, .. } if all < need => Err(Invalid::TooFew { have: all, need }),
            Self { .. } => Ok(()),
        }
    }
}

impl Sending {
    /// Whether it is the releases that were measured; `compared`: the smallest latency that is compared.
    ///
    /// # Errors
    /// What the gate did not send, or not in time.
    pub fn is_valid(&self, compared: Duration) -> Result<(), Invalid> {
        let (planned, sent) = (self.planned, self.sent);
        // Of nothing, nothing is all.
        if planned == 0 || sent.saturating_mul(100) < planned.saturating_mul(SENT_PERCENT) {
            return Err(Invalid::NotSent { sent, planned });
        }
        let allowed = compared / LAG_PARTS;
        match self.lag {
            Some(lag) if lag < allowed => Ok(()),
            lag => Err(Invalid::Late { lag, allowed }),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_ms = |time: &Duration| format!("{:.2} ms", time.as_secs_f64() * 1000.0);
        match self {
            Self::NotSent { sent, planned } => {
                write!(
                    f,
                    "this machine sent {sent} of {planned} planned requests: a lower rate, or more cores"
                )
            }
            Self::Late { lag: None, .. } => f.write_str("nobody knows how late requests were sent"),
            Self::Late {
                lag: Some(lag),
                allowed,
            } => write!(
                f,
                "this machine sent requests up to {} late, less than {} is needed: a lower rate, or more cores",
                in_ms(lag),
                in_ms(allowed)
            ),
            Self::TooFew { have, need } => write!(
                f,
                "{have} answers of a release are too few for this quantile, {need} are needed: a higher rate, or a larger budget"
            ),
            Self::ThinSlices { have, need } => write!(
                f,
                "{have} answers in a slice are too few for this quantile, {need} are needed: a higher rate"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn good() -> Sending {
        Sending {
            planned: 10_000,
            sent: 9_900,
            lag: Some(MS / 2),
        }
    }

    #[test]
    fn what_the_gate_did_not_send_or_sent_late_says_nothing_of_the_releases() {
        assert_eq!(good().is_valid(20 * MS), Ok(()));
        let one_fewer = Sending { sent: 9_899, ..good() };
        let not_sent = Invalid::NotSent {
            sent: 9_899,
            planned: 10_000,
        };
        assert_eq!(one_fewer.is_valid(20 * MS), Err(not_sent));
        let late = Sending {
            lag: Some(5 * MS),
            ..good()
        };
        assert_eq!(
            late.is_valid(100 * MS),
            Err(Invalid::Late {
                lag: Some(5 * MS),
                allowed: 5 * MS
            })
        );
        assert_eq!(late.is_valid(101 * MS), Ok(()));
    }

    #[test]
    fn what_is_late_is_measured_by_what_is_compared() {
        // Half a millisecond is a tenth of five.
        assert!(good().is_valid(5 * MS).is_err());
        assert!(good().is_valid(Duration::ZERO).is_err());
    }

    #[test]
    fn nothing_sent_and_nothing_known_are_not_valid() {
        let nothing = Sending::default();
        let not_sent = Invalid::NotSent { sent: 0, planned: 0 };
        assert_eq!(nothing.is_valid(20 * MS), Err(not_sent));
        let unknown = Sending { lag: None, ..good() };
        assert!(matches!(
            unknown.is_valid(20 * MS),
            Err(Invalid::Late { lag: None, .. })
        ));
    }

    #[test]
    fn a_quantile_needs_a_hundred_answers_beyond_it_and_two_in_each_slice() {
        let samples = |all, least| Samples { all, least };
        assert_eq!(samples(10_000, 200).show(Quantile::P99), Ok(()));
        assert_eq!(
            samples(9_999, 200).show(Quantile::P99),
            Err(Invalid::TooFew {
                have: 9_999,
                need: 10_000
            })
        );
        assert_eq!(
            samples(10_000, 199).show(Quantile::P99),
            Err(Invalid::ThinSlices { have: 199, need: 200 })
        );
        let wanting = Quantile::ALL
            .iter()
            .map(|quantile| samples(u64::MAX, 0).show(*quantile));
        let need = |invalid| match invalid {
            Err(Invalid::ThinSlices { need, .. }) => need,
            other => panic!("{other:?}"),
        };
        assert_eq!(wanting.map(need).collect::<Vec<_>>(), [4, 20, 40, 200, 2_000]);
    }
}
