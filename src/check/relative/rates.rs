//! Shares of requests that fail, compared: Newcombe's interval of the difference of two shares, from Wilson's intervals of
//! each. It holds where hardly anything fails, or nothing, where the usual one is no interval at all.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, Normal};

use super::answer::Why;
use super::estimate::ERRORS_IN_A_CHANGE;
use super::failures::Failures;

/// With this confidence the difference is below what must be caught.
const PASSES_AT: f64 = 0.99;
/// With this confidence a suspect fails more often at all.
const SUSPECT_AT: f64 = 0.975;
/// With this confidence a candidate fails more often, where nobody has asked.
const UNASKED_AT: f64 = 0.999;
/// A candidate may mend so many errors, as a share of requests, and be compared all the same.
const MENDED: f64 = 0.01;

/// What the shares of two releases say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum RatesAnswer {
    /// The candidate does not fail so much more often.
    Pass,
    /// It seems to: to be measured again, on restarted containers.
    Suspect,
    /// Neither can be said: nothing was asked, or too little for so small a difference.
    CouldNotTell,
}

/// By how much more often the candidate fails: a difference of two shares.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    baseline: Failures,
    candidate: Failures,
}

impl Difference {
    /// Of both releases; `None` where one of them was asked nothing.
    pub fn of(baseline: Failures, candidate: Failures) -> Option<Self> {
        baseline.share()?;
        candidate.share()?;
        Some(Self { baseline, candidate })
    }

    /// The difference itself, as a share of requests.
    pub fn value(&self) -> f64 {
        self.candidate.share().unwrap_or(1.0) - self.baseline.share().unwrap_or(0.0)
    }

    /// What the difference exceeds with this confidence.
    pub fn above(&self, confidence: f64) -> f64 {
        self.bounds(confidence).0
    }

    /// What the difference stays under with this confidence.
    pub fn below(&self, confidence: f64) -> f64 {
        self.bounds(confidence).1
    }

    fn bounds(&self, confidence: f64) -> (f64, f64) {
        let z = Normal::standard().inverse_cdf(confidence);
        let (Some(old), Some(new)) = (self.baseline.wilson(z), self.candidate.wilson(z)) else {
            return (-1.0, 1.0);
        };
        let (old_share, new_share) = (
            self.baseline.share().unwrap_or_default(),
            self.candidate.share().unwrap_or_default(),
        );
        let down = (new_share - new.0).hypot(old.1 - old_share);
        let up = (new.1 - new_share).hypot(old_share - old.0);
        (self.value() - down, self.value() + up)
    }

    /// What it says of a difference that must be caught, by the rule that latencies are held to.
    pub fn answer(&self, caught: f64) -> RatesAnswer {
        if !(caught.is_finite() && caught > 0.0) {
            return RatesAnswer::CouldNotTell;
        }
        let (value, below) = (self.value(), self.below(PASSES_AT));
        let near_nothing = value < caught / 2.0;
        let error = (below - value) / Normal::standard().inverse_cdf(PASSES_AT);
        if below < caught || (near_nothing && error <= caught / ERRORS_IN_A_CHANGE) {
            return RatesAnswer::Pass;
        }
        match self.above(SUSPECT_AT) > 0.0 && !near_nothing {
            true => RatesAnswer::Suspect,
            false => RatesAnswer::CouldNotTell,
        }
    }

    /// Why the latencies of two releases cannot be compared: the candidate fails more often, and what fails may fail fast;
    /// or the baseline does, and by more than a candidate mends: it is not asked the same.
    ///
    /// # Errors
    /// One of them does, beyond any doubt of chance.
    pub fn are_alike(&self) -> Result<(), Why> {
        let (baseline, candidate) = (self.baseline, self.candidate);
        if self.above(UNASKED_AT) > 0.0 {
            return Err(Why::FailsMore { baseline, candidate });
        }
        match self.below(UNASKED_AT) < -MENDED {
            true => Err(Why::BaselineFailsMore { baseline, candidate }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failures(failed: u64, of: u64) -> Failures {
        Failures { failed, of }
    }

    fn difference(baseline: (u64, u64), candidate: (u64, u64)) -> Difference {
        Difference::of(failures(baseline.0, baseline.1), failures(candidate.0, candidate.1)).unwrap()
    }

    #[test]
    fn the_interval_is_newcombes() {
        // Newcombe's example (a) of 1998, method 10: 56 of 70 and 48 of 80, 95 %: 0.0524 to 0.3339.
        let known = difference((48, 80), (56, 70));
        assert!((known.above(0.975) - 0.0524).abs() < 1e-4, "{}", known.above(0.975));
        assert!((known.below(0.975) - 0.3339).abs() < 1e-4, "{}", known.below(0.975));
        // Example (h): none of 10 either way: -0.2775 to 0.2775.
        let none = difference((0, 10), (0, 10));
        assert!((none.below(0.975) - 0.2775).abs() < 1e-4, "{}", none.below(0.975));
    }

    #[test]
    fn what_was_asked_nothing_has_no_difference() {
        assert_eq!(Difference::of(failures(0, 0), failures(0, 9)), None);
        assert_eq!(Difference::of(failures(0, 9), failures(0, 0)), None);
        assert_eq!(Difference::of(failures(0, 9), failures(10, 9)), None);
    }

    #[test]
    fn few_requests_say_nothing_of_a_small_difference_and_many_do() {
        let caught = 0.01;
        assert_eq!(difference((0, 50), (0, 50)).answer(caught), RatesAnswer::CouldNotTell);
        assert_eq!(difference((0, 5_000), (0, 5_000)).answer(caught), RatesAnswer::Pass);
        assert_eq!(difference((0, 5_000), (50, 5_000)).answer(caught), RatesAnswer::Suspect);
        assert_eq!(difference((50, 5_000), (0, 5_000)).answer(caught), RatesAnswer::Pass);
        for nothing in [0.0, f64::NAN, -1.0] {
            assert_eq!(
                difference((0, 5_000), (0, 5_000)).answer(nothing),
                RatesAnswer::CouldNotTell
            );
        }
    }

    #[test]
    fn latencies_of_a_candidate_that_fails_more_often_are_not_compared() {
        assert_eq!(difference((2, 5_000), (3, 5_000)).are_alike(), Ok(()));
        assert_eq!(difference((60, 5_000), (0, 5_000)).are_alike(), Ok(()));
        let worse = difference((0, 5_000), (60, 5_000)).are_alike();
        assert!(matches!(worse, Err(Why::FailsMore { .. })), "{worse:?}");
        // As where it does not know the session that is asked with.
        let other = difference((500, 5_000), (0, 5_000)).are_alike();
        assert!(matches!(other, Err(Why::BaselineFailsMore { .. })), "{other:?}");
    }

    proptest! {
        #[test]
        fn the_difference_lies_within_its_bounds_and_they_are_numbers(
            old in (0..500_u64, 1..500_u64), new in (0..500_u64, 1..500_u64)
        ) {
            let known = difference((old.0.min(old.1), old.1), (new.0.min(new.1), new.1));
            let (above, below) = (known.above(0.99), known.below(0.99));
            prop_assert!((-1.0 - 1e-9..=known.value() + 1e-9).contains(&above), "{above}");
            prop_assert!((known.value() - 1e-9..=1.0 + 1e-9).contains(&below), "{below}");
        }
    }
}
