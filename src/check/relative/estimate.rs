//! What the pairs show together: by how much the candidate is worse, and how well that is known.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::change::Change;
use super::looks::FIRST_LOOK;

/// A pair is pulled in when it is further from the middle than so many deviations.
const CLIP: f64 = 3.0;
/// Makes a median of absolute deviations the standard deviation of what is normally spread.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// Histograms keep three digits: no difference is known better than this, however alike the pairs are.
const RESOLUTION: f64 = 0.001;
/// So many standard errors are within a change that is caught in 19 of 20 runs and found in at most one of a hundred where
/// there is none: 2.33 + 1.65, and a little for what is estimated itself.
pub const ERRORS_IN_A_CHANGE: f64 = 4.2;

/// By how much the candidate was worse in one pair: the logarithm of a ratio. Finite.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize)]
pub struct LogRatio(f64);

impl LogRatio {
    /// Of a quantity of which more is worse, in the same unit; `None` where one of them is nothing, or no number.
    pub fn of(baseline: f64, candidate: f64) -> Option<Self> {
        let is_measured = |value: f64| value.is_finite() && value > 0.0;
        let ratio = candidate.ln() - baseline.ln();
        (is_measured(baseline) && is_measured(candidate)).then_some(Self(ratio))
    }

    /// By how much the baseline was worse.
    #[must_use]
    pub fn turned(self) -> Self {
        Self(-self.0)
    }
}

/// By how much the candidate is worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Pairs that it rests on.
    pub pairs: usize,
    /// The mean of the logarithms of the ratios, outliers pulled in.
    pub mean: f64,
    /// Its standard error; never nothing.
    pub error: f64,
    /// Pairs in which the candidate was so much worse than in the others that they were pulled in.
    pub far_worse: usize,
    /// The same for the better.
    pub far_better: usize,
}

impl Estimate {
    /// Of all pairs; `None` where they are too few for any.
    pub fn of(ratios: &[LogRatio]) -> Option<Self> {
        let values: Vec<f64> = ratios.iter().map(|ratio| ratio.0).collect();
        (values.len() >= FIRST_LOOK).then(|| Self::winsorised(&values))
    }

    /// Outliers count, but no more than the farthest of the others may: a mean that one pair of ninety moves is no mean of
    /// the pairs. The error is widened for what was pulled in.
    fn winsorised(values: &[f64]) -> Self {
        let middle = median(values);
        let deviations: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
        let reach = match CLIP * MAD_TO_DEVIATION * median(&deviations) {
            // More than half of the pairs are alike to the last digit: nothing says what an outlier is.
            0.0 => f64::INFINITY,
            reach => reach,
        };
        let (low, high) = (middle - reach, middle + reach);
        let far_worse = values.iter().filter(|value| **value > high).count();
        let far_better = values.iter().filter(|value| **value < low).count();
        let kept = values.len() - far_worse - far_better;
        let pulled_in: Vec<f64> = values.iter().map(|value| value.clamp(low, high)).collect();
        let mean = mean(&pulled_in);
        let pairs = values.len() as f64;
        // At least half of all are within one deviation of the middle, so `kept` is six at the least.
        let widened = (pairs - 1.0) / (kept as f64 - 1.0);
        let error = deviation(&pulled_in, mean) / pairs.sqrt() * widened;
        Self {
            pairs: values.len(),
            mean,
            error: error.max(RESOLUTION),
            far_worse,
            far_better,
        }
    }

    /// What the difference exceeds with this confidence.
    pub fn above(&self, confidence: f64) -> f64 {
        self.mean - self.t(confidence) * self.error
    }

    /// What the difference stays under with this confidence.
    pub fn below(&self, confidence: f64) -> f64 {
        self.mean + self.t(confidence) * self.error
    }

    /// How probable so great a difference would be, were the candidate no worse.
    pub fn by_chance(&self) -> f64 {
        self.students().map_or(1.0, |t| t.sf(self.mean / self.error))
    }

    /// Whether a change of this size would have been caught.
    pub fn is_precise_for(&self, change: Change) -> bool {
        self.error <= needed_for(change)
    }

    /// The smallest change that these pairs would have caught in 19 of 20 runs.
    pub fn smallest_caught(&self) -> Option<Change> {
        Change::of_log(ERRORS_IN_A_CHANGE * self.error)
    }

    fn t(&self, confidence: f64) -> f64 {
        self.students().map_or(f64::INFINITY, |t| t.inverse_cdf(confidence))
    }

    fn students(&self) -> Option<StudentsT> {
        StudentsT::new(0.0, 1.0, self.pairs as f64 - 1.0).ok()
    }
}

/// The standard error with which a change is caught.
pub fn needed_for(change: Change) -> f64 {
    change.log() / ERRORS_IN_A_CHANGE
}

/// Of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    lower + (upper - lower) / 2.0
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64], mean: f64) -> f64 {
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (values.len() as f64 - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn ratios(values: &[f64]) -> Vec<LogRatio> {
        values.iter().copied().map(LogRatio).collect()
    }

    fn estimate(values: &[f64]) -> Estimate {
        Estimate::of(&ratios(values)).unwrap()
    }

    #[test]
    fn what_was_not_measured_has_no_ratio() {
        for nothing in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(LogRatio::of(nothing, 1.0), None);
            assert_eq!(LogRatio::of(1.0, nothing), None);
        }
        assert_eq!(LogRatio::of(2.0, 2.0), Some(LogRatio(0.0)));
        // The least and the greatest that a number can be.
        assert!(LogRatio::of(f64::MIN_POSITIVE, f64::MAX).unwrap().0.is_finite());
    }

    #[test]
    fn eleven_pairs_are_no_estimate_and_twelve_are() {
        assert_eq!(Estimate::of(&[]), None);
        assert_eq!(Estimate::of(&ratios(&[0.1; 11])), None);
        assert_eq!(estimate(&[0.1; 12]).pairs, 12);
    }

    #[test]
    fn pairs_that_are_alike_to_the_last_digit_are_known_no_better_than_a_histogram_keeps_them() {
        let alike = estimate(&[0.0; 12]);
        assert_eq!((alike.mean, alike.error), (0.0, RESOLUTION));
        // Nine alike and three far away are no certainty.
        let mut most = vec![0.0; 9];
        most.extend([0.3, 0.3, 0.3]);
        assert!(estimate(&most).error > 0.03, "{:?}", estimate(&most));
        assert_eq!(estimate(&most).far_worse, 0);
    }

    #[test]
    fn an_outlier_counts_as_far_as_it_is_pulled_in_and_widens_the_error() {
        let calm: Vec<f64> = (0..12).map(|pair| f64::from(pair % 4) * 0.01).collect();
        let mut one_far = calm.clone();
        one_far[5] = 5.0;
        let (calm, one_far) = (estimate(&calm), estimate(&one_far));
        assert_eq!((calm.far_worse, one_far.far_worse, one_far.far_better), (0, 1, 0));
        assert!(one_far.mean < 0.03, "{one_far:?}");
        assert!(one_far.error > calm.error, "{one_far:?}");
    }

    #[test]
    fn the_interval_is_the_textbooks() {
        // Twelve values with the mean 5.5 and the standard deviation sqrt(13) = 3.606: t(11, 0.975) is 2.201.
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        let known = estimate(&values);
        let error = 13.0_f64.sqrt() / 12.0_f64.sqrt();
        assert!((known.mean - 5.5).abs() < 1e-12 && (known.error - error).abs() < 1e-12);
        assert!((known.above(0.975) - (5.5 - 2.20099 * error)).abs() < 1e-4);
        assert!((known.below(0.99) - (5.5 + 2.71808 * error)).abs() < 1e-4);
    }

    #[test]
    fn what_could_have_been_caught_is_what_the_error_is_needed_for() {
        let known = estimate(&(0..12).map(|pair| f64::from(pair % 3) * 0.02).collect::<Vec<_>>());
        let smallest = known.smallest_caught().unwrap();
        assert!((needed_for(smallest) - known.error).abs() < 1e-12);
        assert!(!known.is_precise_for(Change::of(smallest.share() * 0.9).unwrap()));
        assert!(known.is_precise_for(Change::of(smallest.share() * 1.1).unwrap()));
    }

    proptest! {
        #[test]
        fn every_estimate_is_a_number_with_a_bound_on_both_sides(values in vec(-800.0..800.0_f64, 12..100)) {
            let known = estimate(&values);
            prop_assert!(known.mean.is_finite() && known.error.is_finite() && known.error >= RESOLUTION);
            prop_assert!(known.above(0.975) <= known.mean && known.mean <= known.below(0.99));
            prop_assert!((0.0..=1.0).contains(&known.by_chance()));
            prop_assert!(known.far_worse + known.far_better <= known.pairs / 2);
        }

        #[test]
        fn the_order_of_the_pairs_says_nothing(values in vec(-1.0..1.0_f64, 12..40)) {
            let mut back = values.clone();
            back.reverse();
            let (there, back) = (estimate(&values), estimate(&back));
            prop_assert!((there.mean - back.mean).abs() < 1e-9 && (there.error - back.error).abs() < 1e-9);
        }

        #[test]
        fn the_error_does_not_know_the_result(values in vec(-1.0..1.0_f64, 12..40), worse in -2.0..2.0_f64) {
            let shifted: Vec<f64> = values.iter().map(|value| value + worse).collect();
            let (one, other) = (estimate(&values), estimate(&shifted));
            prop_assert!((one.error - other.error).abs() < 1e-6, "{one:?} {other:?}");
            prop_assert!((one.mean + worse - other.mean).abs() < 1e-6, "{one:?} {other:?}");
        }

        #[test]
        fn the_other_way_round_the_difference_is_the_opposite(values in vec(-1.0..1.0_f64, 12..40)) {
            let turned: Vec<f64> = values.iter().map(|value| -value).collect();
            let (one, other) = (estimate(&values), estimate(&turned));
            prop_assert!((one.mean + other.mean).abs() < 1e-9 && (one.error - other.error).abs() < 1e-9);
            prop_assert_eq!((one.far_worse, one.far_better), (other.far_better, other.far_worse));
        }
    }
}
