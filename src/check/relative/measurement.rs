//! A measurement: the slices of two releases, pair by pair, and what they say of every quantile that is asked for.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::answer::{Answer, Series, Why, answer};
use super::change::Change;
use super::estimate::{Estimate, LogRatio};
use super::failures::Failures;
use super::looks::Precision;
use super::rates::Difference;
use super::several::{self, Worse};
use super::validity::{Samples, Sending};
use crate::agent::load::slice::{Slice, StepSlice};
use crate::agent::load::times::Times;
use crate::config::settings::Levels;
use crate::record::load::Quantile;

/// Of what lies beyond a quantile, one part in so many may be requests that were sent late: of p95 one request in a hundred.
/// They move the quantile's rank by no more than that.
const LATE_PARTS: f64 = 5.0;

/// What is asked for: by how much a quantile may not become slower.
pub type Asked = BTreeMap<Quantile, Levels<Change>>;

/// The slices of two releases, pair by pair.
#[derive(Debug, Clone)]
pub struct Measurement {
    asked: Asked,
    series: BTreeMap<Quantile, Series>,
    pairs: usize,
    baseline: Side,
    candidate: Side,
    planned: u64,
    sent: u64,
    lag: Times,
}

/// One release in all slices.
#[derive(Debug, Clone, Default)]
struct Side {
    whole: StepSlice,
    /// Latencies of the slice with the fewest.
    least: Option<u64>,
}

/// What a measurement says of one quantile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// What is known; nothing where that is nothing.
    pub known: Option<Estimate>,
    /// Of the change that is worth a warning, where there is one.
    pub warn: Option<Answer>,
    /// Of the change that blocks, where there is one.
    pub fail: Option<Answer>,
}

/// What was asked for, as changes for the worse.
pub fn asked(thresholds: &BTreeMap<Quantile, Levels<f64>>) -> Asked {
    // What is no change for the worse is refused by the reader. Whatever gets past it is held to the strictest.
    let change = |share: f64| Change::of(share).unwrap_or(Change::LEAST);
    let levels = |levels: &Levels<f64>| Levels {
        warn: levels.warn.map(change),
        fail: levels.fail.map(change),
    };
    let all = thresholds.iter();
    all.map(|(quantile, asked)| (*quantile, levels(asked))).collect()
}

impl Side {
    fn add(&mut self, slice: &StepSlice) {
        let count = slice.latency.count();
        self.least = Some(self.least.map_or(count, |least| least.min(count)));
        self.whole.add(slice);
    }

    fn samples(&self) -> Samples {
        Samples {
            all: self.whole.latency.count(),
            least: self.least.unwrap_or_default(),
        }
    }

    fn failures(&self) -> Failures {
        Failures {
            failed: self.whole.errors.count(),
            of: self.whole.sent,
        }
    }
}

impl Measurement {
    /// Nothing is measured yet.
    pub fn of(asked: Asked) -> Self {
        let series = asked.keys().map(|quantile| (*quantile, Series::default()));
        Self {
            series: series.collect(),
            asked,
            pairs: 0,
            baseline: Side::default(),
            candidate: Side::default(),
            planned: 0,
            sent: 0,
            lag: Times::new(),
        }
    }

    /// The next pair.
    pub fn add(&mut self, baseline: &Slice, candidate: &Slice) {
        let (old, new) = (baseline.whole(), candidate.whole());
        for (quantile, series) in &mut self.series {
            let at = |slice: &StepSlice| slice.latency.at(quantile.share()).map(|time| time.as_secs_f64());
            let ratio = at(&old).zip(at(&new)).and_then(|(old, new)| LogRatio::of(old, new));
            series.push(ratio);
        }
        self.pairs += 1;
        self.baseline.add(&old);
        self.candidate.add(&new);
        for slice in [baseline, candidate] {
            self.planned += slice.planned;
            self.sent += slice.sent;
            self.lag.add(&slice.lag);
        }
    }

    /// The same with the releases turned round.
    #[must_use]
    pub fn turned(&self) -> Self {
        let series = self.series.iter();
        Self {
            series: series.map(|(quantile, one)| (*quantile, one.turned())).collect(),
            baseline: self.candidate.clone(),
            candidate: self.baseline.clone(),
            ..self.clone()
        }
    }

    /// Pairs so far.
    pub fn pairs(&self) -> usize {
        self.pairs
    }

    /// Whether every change that is asked for would be caught by now.
    pub fn precision(&self) -> Precision {
        let reached = self.asked.iter().all(|(quantile, levels)| {
            let is_shown = [&self.baseline, &self.candidate].map(|side| side.samples().show(*quantile).is_ok());
            let known = self.series.get(quantile).map(Series::known);
            let changes = [levels.warn, levels.fail];
            let is_precise = |known: &Estimate| {
                let mut changes = changes.iter().flatten();
                changes.all(|change| known.is_precise_for(*change))
            };
            is_shown == [true, true] && matches!(&known, Some(Ok(known)) if is_precise(known))
        });
        match reached {
            true => Precision::Reached,
            false => Precision::Wanting,
        }
    }

    /// What is known of a quantile.
    ///
    /// # Errors
    /// Nothing is: too little was measured, or not of the releases.
    fn known(&self, quantile: Quantile) -> Result<Estimate, Why> {
        let nothing = Why::TooFewPairs { have: 0 };
        let known = self.series.get(&quantile).ok_or(nothing)?.known()?;
        let sides = [&self.baseline, &self.candidate];
        let compared = sides.map(|side| side.whole.latency.at(quantile.share()).unwrap_or_default());
        let sending = Sending {
            planned: self.planned,
            sent: self.sent,
            lag: self.lag.at(1.0 - (1.0 - quantile.share()) / LATE_PARTS),
        };
        let smallest = compared.into_iter().min().unwrap_or(Duration::ZERO);
        sending.is_valid(smallest).map_err(Why::Invalid)?;
        for side in sides {
            side.samples().show(quantile).map_err(Why::Invalid)?;
        }
        let failures = Difference::of(self.baseline.failures(), self.candidate.failures());
        failures.ok_or(Why::Unasked)?.are_alike()?;
        Ok(known)
    }

    /// What it says of every quantile that is asked for. Those that may block are judged together.
    pub fn judged(&self) -> BTreeMap<Quantile, Judged> {
        let known: BTreeMap<Quantile, Result<Estimate, Why>> = self
            .asked
            .keys()
            .map(|quantile| (*quantile, self.known(*quantile)))
            .collect();
        let worse = self.worse(&known);
        let of = |(quantile, known): (Quantile, Result<Estimate, Why>)| {
            let levels = self.asked.get(&quantile);
            let judged = Judged {
                warn: levels
                    .and_then(|levels| levels.warn)
                    .map(|change| say(&known, change, known.as_ref().map_or(Worse::PerhapsNot, several::alone))),
                fail: levels.and_then(|levels| levels.fail).map(|change| {
                    say(
                        &known,
                        change,
                        worse.get(&quantile).copied().unwrap_or(Worse::PerhapsNot),
                    )
                }),
                known: known.ok(),
            };
            (quantile, judged)
        };
        known.into_iter().map(of).collect()
    }

    /// Of those that may block, which are worse beyond chance.
    fn worse(&self, known: &BTreeMap<Quantile, Result<Estimate, Why>>) -> BTreeMap<Quantile, Worse> {
        let may_block = known
            .iter()
            .filter(|(quantile, _)| self.asked.get(quantile).is_some_and(|levels| levels.fail.is_some()));
        // What is not known is not beyond chance, and is one of them all the same.
        let by_chance: Vec<(Quantile, f64)> = may_block
            .map(|(quantile, known)| (*quantile, known.as_ref().map_or(1.0, Estimate::by_chance)))
            .collect();
        let chances: Vec<f64> = by_chance.iter().map(|(_, chance)| *chance).collect();
        let quantiles = by_chance.into_iter().map(|(quantile, _)| quantile);
        quantiles.zip(several::together(&chances)).collect()
    }
}

fn say(known: &Result<Estimate, Why>, change: Change, worse: Worse) -> Answer {
    match known {
        Ok(known) => answer(known, change, worse),
        Err(why) => Answer::CouldNotTell(why.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::load::plan::Counts;

    /// 400 answers between `ms` and twice that.
    fn slice(ms: f64) -> Slice {
        let mut latency = Times::new();
        (0..400).for_each(|at| latency.record(Duration::from_secs_f64(ms * (1.0 + f64::from(at) / 400.0) / 1000.0)));
        let mut lag = Times::new();
        (0..400).for_each(|_| lag.record(Duration::from_micros(50)));
        let step = StepSlice {
            sent: 400,
            good: 400,
            service: latency.clone(),
            latency,
            ..StepSlice::default()
        };
        Slice {
            phase: 0,
            mix: 0,
            counts: Counts::Yes,
            start_ms: 0,
            length_ms: 1_800,
            planned: 400,
            sent: 400,
            lag,
            steps: vec![step],
        }
    }

    fn asked_for(quantiles: &[Quantile]) -> Asked {
        let levels = Levels {
            warn: Some(0.05),
            fail: Some(0.1),
        };
        asked(&quantiles.iter().map(|quantile| (*quantile, levels)).collect())
    }

    /// Twelve pairs, the candidate slower by this.
    fn measured(slower: f64, change: impl Fn(&mut Slice, &mut Slice)) -> Measurement {
        let mut measurement = Measurement::of(asked_for(&[Quantile::P95]));
        for pair in 0..12 {
            let drift = 20.0 + f64::from(pair % 5);
            let wobble = 1.0 + 0.01 * f64::from(pair % 3);
            let (mut old, mut new) = (slice(drift), slice(drift * slower * wobble));
            change(&mut old, &mut new);
            measurement.add(&old, &new);
        }
        measurement
    }

    fn fail(measurement: &Measurement) -> Answer {
        measurement.judged()[&Quantile::P95].fail.clone().unwrap()
    }

    #[test]
    fn what_drifts_under_both_is_no_difference_and_what_is_slower_is_suspect() {
        let equal = measured(1.0, |_, _| ());
        assert_eq!(fail(&equal), Answer::Pass);
        assert_eq!(equal.precision(), Precision::Reached);
        let slower = measured(1.1, |_, _| ());
        assert_eq!(fail(&slower), Answer::Suspect);
        // Whether to go on does not depend on what it looks like.
        assert_eq!(slower.precision(), Precision::Reached);
    }

    #[test]
    fn turned_round_the_slower_one_is_the_faster_one() {
        let slower = measured(1.1, |_, _| ());
        assert_eq!(fail(&slower.turned()), Answer::Pass);
        let faster = measured(0.85, |_, _| ());
        assert_eq!(fail(&faster), Answer::Pass);
        assert_eq!(fail(&faster.turned()), Answer::Suspect);
    }

    #[test]
    fn a_warning_has_its_own_change() {
        let judged = measured(1.05, |_, _| ()).judged();
        let judged = &judged[&Quantile::P95];
        assert_eq!(judged.warn, Some(Answer::Suspect));
        assert_eq!(judged.fail, Some(Answer::Pass));
    }

    #[test]
    fn nothing_measured_is_no_pass_and_not_precise() {
        let nothing = Measurement::of(asked_for(&[Quantile::P95]));
        assert_eq!(nothing.precision(), Precision::Wanting);
        assert_eq!(fail(&nothing), Answer::CouldNotTell(Why::TooFewPairs { have: 0 }));
        assert_eq!(nothing.judged()[&Quantile::P95].known, None);
    }

    #[test]
    fn slices_without_answers_are_no_pass() {
        let silent = measured(1.0, |_, new| new.steps[0].latency = Times::new());
        assert_eq!(
            fail(&silent),
            Answer::CouldNotTell(Why::Unmeasured { pairs: 12, of: 12 })
        );
    }

    #[test]
    fn what_was_not_sent_or_sent_late_is_no_pass() {
        let unsent = fail(&measured(1.0, |old, _| old.planned = 420));
        assert!(matches!(unsent, Answer::CouldNotTell(Why::Invalid(_))), "{unsent:?}");
        let late = fail(&measured(1.0, |_, new| new.lag = new.steps[0].latency.clone()));
        assert!(matches!(late, Answer::CouldNotTell(Why::Invalid(_))), "{late:?}");
        let unknown = fail(&measured(1.0, |old, new| {
            [old, new].into_iter().for_each(|slice| slice.lag = Times::new());
        }));
        assert!(matches!(unknown, Answer::CouldNotTell(Why::Invalid(_))), "{unknown:?}");
    }

    #[test]
    fn a_few_that_were_sent_late_are_no_matter_for_a_median_and_are_one_for_what_only_a_few_exceed() {
        let mut measurement = Measurement::of(asked_for(&[Quantile::P50, Quantile::P95]));
        for _ in 0..12 {
            let mut pair = [slice(20.0), slice(20.0)];
            // One in fifty.
            pair.iter_mut()
                .for_each(|slice| (0..8).for_each(|_| slice.lag.record(Duration::from_millis(300))));
            measurement.add(&pair[0], &pair[1]);
        }
        let judged = measurement.judged();
        assert_eq!(judged[&Quantile::P50].fail, Some(Answer::Pass));
        let late = &judged[&Quantile::P95].fail;
        assert!(matches!(late, Some(Answer::CouldNotTell(Why::Invalid(_)))), "{late:?}");
    }

    #[test]
    fn a_candidate_that_fails_fast_is_no_pass() {
        let fails = fail(&measured(1.0, |_, new| {
            new.steps[0].errors.by_status.insert(500, 10);
        }));
        assert!(
            matches!(fails, Answer::CouldNotTell(Why::FailsMore { .. })),
            "{fails:?}"
        );
    }

    #[test]
    fn a_quantile_with_too_few_answers_beyond_it_is_never_computed() {
        let mut measurement = Measurement::of(asked_for(&[Quantile::P95, Quantile::P999]));
        (0..12).for_each(|_| measurement.add(&slice(20.0), &slice(20.0)));
        let judged = measurement.judged();
        assert_eq!(judged[&Quantile::P95].fail, Some(Answer::Pass));
        assert!(matches!(
            judged[&Quantile::P999].fail,
            Some(Answer::CouldNotTell(Why::Invalid(_)))
        ));
        assert_eq!(judged[&Quantile::P999].known, None);
        assert_eq!(measurement.precision(), Precision::Wanting);
    }

    #[test]
    fn what_is_no_slow_down_is_held_to_the_strictest() {
        let levels = Levels {
            warn: None,
            fail: Some(f64::NAN),
        };
        let mut measurement = Measurement::of(asked(&[(Quantile::P95, levels)].into()));
        (0..12).for_each(|_| measurement.add(&slice(20.0), &slice(20.0)));
        assert!(matches!(fail(&measurement), Answer::CouldNotTell(Why::TooNoisy { .. })));
    }
}
