//! The answer of one measurement: pass, suspect, or could not tell, and why not.

use std::fmt;

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::change::{Change, of_log_in_percent};
use super::estimate::{Estimate, LogRatio, needed_for};
use super::failures::Failures;
use super::looks::FIRST_LOOK;
use super::several::Worse;
use super::validity::Invalid;

/// With this confidence the difference is below what must be caught.
const PASSES_AT: f64 = 0.99;
/// Outliers on one side only are no accident of the machine when they were so improbable.
const BURSTS_AT: f64 = 0.001;

/// What a measurement says of one change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Answer {
    /// The candidate is not worse by so much.
    Pass,
    /// It seems to be: to be measured again, on restarted containers.
    Suspect,
    /// Neither can be said.
    CouldNotTell(Why),
}

/// Why neither can be said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Why {
    /// What was measured is fewer pairs than any answer needs.
    TooFewPairs {
        /// Those that were measured.
        have: usize,
    },
    /// In some pairs a release had nothing to compare.
    Unmeasured {
        /// Such pairs.
        pairs: usize,
        /// All.
        of: usize,
    },
    /// The difference is not known well enough.
    TooNoisy {
        /// The standard error, as a logarithm of a ratio.
        error: f64,
        /// What was needed.
        needed: f64,
        /// Pairs that it rests on.
        pairs: usize,
    },
    /// Now and then the candidate is far worse, and what is usual says nothing of that.
    Bursts {
        /// Pairs in which it was far worse.
        worse: usize,
        /// Far better.
        better: usize,
    },
    /// The candidate fails more often, and what fails may fail fast.
    FailsMore {
        /// Of the baseline.
        baseline: Failures,
        /// Of the candidate.
        candidate: Failures,
    },
    /// The baseline fails more often, and what is left of its answers may be the slow ones, or the fast ones.
    BaselineFailsMore {
        /// Of the baseline.
        baseline: Failures,
        /// Of the candidate.
        candidate: Failures,
    },
    /// What was measured says nothing of the releases.
    Invalid(Invalid),
    /// A release was asked nothing.
    Unasked,
    /// It looks worse, and was not measured again.
    OnlyOnce,
}

/// The pairs of one quantity, as they come.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Series {
    ratios: Vec<LogRatio>,
    unmeasured: usize,
}

impl Series {
    /// The next pair; `None` where a release had nothing to compare.
    pub fn push(&mut self, ratio: Option<LogRatio>) {
        match ratio {
            Some(ratio) => self.ratios.push(ratio),
            None => self.unmeasured += 1,
        }
    }

    /// Pairs, measured or not.
    pub fn pairs(&self) -> usize {
        self.ratios.len() + self.unmeasured
    }

    /// The same with the releases turned round.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self {
            ratios: self.ratios.iter().map(|ratio| ratio.turned()).collect(),
            unmeasured: self.unmeasured,
        }
    }

    /// What is known.
    ///
    /// # Errors
    /// Nothing is: a pair is missing, or they are too few. A pair is never left out: it may be missing for what is asked.
    pub fn known(&self) -> Result<Estimate, Why> {
        if self.unmeasured > 0 {
            return Err(Why::Unmeasured {
                pairs: self.unmeasured,
                of: self.pairs(),
            });
        }
        let too_few = Why::TooFewPairs {
            have: self.ratios.len(),
        };
        Estimate::of(&self.ratios).ok_or(too_few)
    }
}

/// What an estimate says of a change; `worse` is whether the candidate is worse at all, beyond chance.
///
/// A pass is sure to be below the change, or nearer to nothing than to it and known well enough. A suspect is worse beyond
/// chance, nearer to the change than to nothing, and not sure to be below it.
pub fn answer(known: &Estimate, change: Change, worse: Worse) -> Answer {
    let log = change.log();
    let below = known.below(PASSES_AT) < log;
    let near_nothing = known.mean < log / 2.0;
    if below || (near_nothing && known.is_precise_for(change)) {
        return match bursts(known) {
            Some(why) => Answer::CouldNotTell(why),
            None => Answer::Pass,
        };
    }
    match worse {
        Worse::BeyondChance if !near_nothing => Answer::Suspect,
        Worse::BeyondChance | Worse::PerhapsNot => Answer::CouldNotTell(Why::TooNoisy {
            error: known.error,
            needed: needed_for(change),
            pairs: known.pairs,
        }),
    }
}

/// Outliers are pulled in, because a busy machine makes them on either side. Those of one side alone are no such.
fn bursts(known: &Estimate) -> Option<Why> {
    let (worse, better) = (known.far_worse, known.far_better);
    let all = u64::try_from(worse + better).ok()?;
    let even = Binomial::new(0.5, all).ok()?;
    // At least so many of them on that side, were both sides alike.
    let by_chance = match u64::try_from(worse).ok()?.checked_sub(1) {
        Some(fewer) => even.sf(fewer),
        None => 1.0,
    };
    (by_chance < BURSTS_AT).then_some(Why::Bursts { worse, better })
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewPairs { have } => write!(f, "{have} pairs of slices were measured, {FIRST_LOOK} are needed"),
            Self::Unmeasured { pairs, of } => {
                write!(
                    f,
                    "in {pairs} of {of} pairs of slices a release gave nothing to compare"
                )
            }
            Self::TooNoisy { error, needed, pairs } => {
                let [error, needed] = [*error, *needed].map(of_log_in_percent);
                let [error, needed] = [&error, &needed].map(|text| text.trim_start_matches('+').to_owned());
                write!(
                    f,
                    "the machine is too noisy: standard error {error} after {pairs} pairs, {needed} is needed"
                )
            }
            Self::Bursts { worse, better } => write!(
                f,
                "now and then the candidate is far worse: in {worse} pairs, and far better in {better}; an absolute \
                 threshold tells whether that is allowed"
            ),
            Self::FailsMore { baseline, candidate } => write!(
                f,
                "the candidate fails more often, {candidate} against {baseline}, and what fails may fail fast"
            ),
            Self::BaselineFailsMore { baseline, candidate } => write!(
                f,
                "production's release beside fails more often, {baseline} against {candidate}, and the answers that are left \
                 are no like ones"
            ),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Unasked => f.write_str("a release was asked nothing"),
            Self::OnlyOnce => f.write_str("it looks worse, and could not be measured again on restarted containers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::check::relative::several;

    fn ten() -> Change {
        Change::of(0.1).unwrap()
    }

    fn series(ratios: &[f64]) -> Series {
        let mut series = Series::default();
        ratios
            .iter()
            .for_each(|ratio| series.push(LogRatio::of(1.0, ratio.exp())));
        series
    }

    fn answer_of(ratios: &[f64]) -> Answer {
        match series(ratios).known() {
            Ok(known) => answer(&known, ten(), several::alone(&known)),
            Err(why) => Answer::CouldNotTell(why),
        }
    }

    /// Pairs around a middle, with a standard error of about `spread` / 4.
    fn around(middle: f64, spread: f64) -> Vec<f64> {
        let steps = [-1.0, 1.0, 0.5, -0.5, 0.0, 0.2, -0.2, 0.8, -0.8, 0.1, -0.1, 0.0];
        steps.iter().map(|step| middle + spread * step).collect()
    }

    #[test]
    fn equal_passes_as_slow_as_must_be_caught_is_suspect_and_noise_is_neither() {
        assert_eq!(answer_of(&around(0.0, 0.03)), Answer::Pass);
        assert_eq!(answer_of(&around(0.1_f64.ln_1p(), 0.03)), Answer::Suspect);
        let noisy = answer_of(&around(0.0, 0.5));
        assert!(
            matches!(noisy, Answer::CouldNotTell(Why::TooNoisy { pairs: 12, .. })),
            "{noisy:?}"
        );
    }

    #[test]
    fn faster_passes() {
        assert_eq!(answer_of(&around(-0.3, 0.03)), Answer::Pass);
    }

    #[test]
    fn nothing_measured_never_passes() {
        let nothing = answer_of(&[]);
        assert_eq!(nothing, Answer::CouldNotTell(Why::TooFewPairs { have: 0 }));
        let mut missing = series(&around(0.0, 0.01));
        missing.push(LogRatio::of(1.0, 0.0));
        assert_eq!(missing.known(), Err(Why::Unmeasured { pairs: 1, of: 13 }));
    }

    #[test]
    fn a_candidate_that_is_far_worse_now_and_then_does_not_pass_for_being_usual_in_between() {
        let mut ratios: Vec<f64> = (0..10).flat_map(|_| around(0.0, 0.03)).collect();
        ratios.iter_mut().step_by(10).for_each(|ratio| *ratio = 1.5);
        let bursts = Why::Bursts { worse: 12, better: 0 };
        assert_eq!(answer_of(&ratios), Answer::CouldNotTell(bursts));
        // A machine that stumbles does so under both.
        ratios.iter_mut().step_by(20).for_each(|ratio| *ratio = -1.5);
        assert_eq!(answer_of(&ratios), Answer::Pass);
    }

    #[test]
    fn the_reason_says_what_was_reached_and_what_is_needed() {
        let why = Why::TooNoisy {
            error: 0.041_f64.ln_1p(),
            needed: needed_for(ten()),
            pairs: 90,
        };
        assert_eq!(
            why.to_string(),
            "the machine is too noisy: standard error 4.1 % after 90 pairs, 2.3 % is needed"
        );
    }

    proptest! {
        #[test]
        fn the_slower_the_candidate_the_less_it_passes(
            ratios in vec(-0.3..0.3_f64, 12..60), slower in 0.0..1.0_f64, change in 0.01..0.5_f64
        ) {
            let change = Change::of(change).unwrap();
            let rank = |ratios: &[f64]| {
                let known = series(ratios).known().unwrap();
                match answer(&known, change, several::alone(&known)) {
                    Answer::Pass => 0,
                    Answer::CouldNotTell(_) => 1,
                    Answer::Suspect => 2,
                }
            };
            let worse: Vec<f64> = ratios.iter().map(|ratio| ratio + slower).collect();
            prop_assert!(rank(&ratios) <= rank(&worse));
        }

        #[test]
        fn not_both_ways_round_a_release_is_suspect(ratios in vec(-0.5..0.5_f64, 12..60)) {
            let turned: Vec<f64> = ratios.iter().map(|ratio| -ratio).collect();
            let suspects = [answer_of(&ratios), answer_of(&turned)];
            prop_assert!(suspects.iter().filter(|one| **one == Answer::Suspect).count() < 2);
        }

        #[test]
        fn what_is_twice_as_slow_as_must_be_caught_never_passes(ratios in vec(-0.02..0.02_f64, 12..90)) {
            let slow: Vec<f64> = ratios.iter().map(|ratio| ratio + 0.2_f64.ln_1p()).collect();
            prop_assert_eq!(answer_of(&slow), Answer::Suspect);
        }
    }
}
