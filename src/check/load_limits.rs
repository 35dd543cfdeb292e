//! Absolute thresholds of load: on which side of one a release is, or that it cannot be told. Pure: slices in, an answer
//! out.

use std::time::Duration;

use super::traffic::ln_choose;
use crate::agent::load::plan::Counts;
use crate::agent::load::slice::{Slice, StepSlice};
use crate::agent::load::times::Times;
use crate::record::load::{LimitAnswer, Quantile};
use crate::text::units::fine;

/// More often than this chance does not put most slices beyond a limit that holds.
const CHANCE: f64 = 0.01;
/// One side of 99 of 100, in deviations.
const Z: f64 = 2.326;
/// So many answers lie beyond a quantile in each group of slices of which it is taken.
const BEYOND: f64 = 5.0;
/// The share of what was due that must have been sent.
const SENT: f64 = 0.99;
/// A lag up to this is nothing.
const LEAST_LAG: Duration = Duration::from_millis(1);
/// The part of a limit that a lag may make up.
const LAG: f64 = 0.05;
/// Requests that fail where the baseline's do not, in spite of no threshold for them: more than this share.
pub const MOST_NEW_ERRORS: f64 = 0.01;

/// On which side of a limit a release is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// On the good one.
    Within,
    /// On the other.
    Beyond,
    /// It cannot be told, and why.
    Unknown(String),
}

impl Answer {
    /// As records have it.
    pub fn recorded(&self) -> LimitAnswer {
        match self {
            Self::Within => LimitAnswer::Within,
            Self::Beyond => LimitAnswer::Beyond,
            Self::Unknown(_) => LimitAnswer::Unknown,
        }
    }
}

/// A figure, and what it is held against.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// In the unit of its limit; nothing where there is none.
    pub value: Option<f64>,
    /// On which side it is.
    pub answer: Answer,
}

/// What one release did.
#[derive(Debug, Clone)]
pub struct Arm {
    slices: Vec<Slice>,
    /// All of them as one.
    pub whole: StepSlice,
    /// Requests that were due.
    pub planned: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// How late they were sent.
    pub lag: Times,
}

impl Arm {
    /// Of the slices that count.
    pub fn of(slices: &[Slice]) -> Self {
        let slices: Vec<Slice> = slices
            .iter()
            .filter(|slice| slice.counts == Counts::Yes)
            .cloned()
            .collect();
        let mut arm = Self {
            planned: slices.iter().map(|slice| slice.planned).sum(),
            sent: slices.iter().map(|slice| slice.sent).sum(),
            whole: StepSlice::default(),
            lag: Times::new(),
            slices,
        };
        for slice in &arm.slices {
            arm.whole.add(&slice.whole());
            arm.lag.add(&slice.lag);
        }
        arm
    }

    /// In order.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// Step by step, over all slices.
    pub fn steps(&self) -> Vec<StepSlice> {
        let mut steps: Vec<StepSlice> = Vec::new();
        for slice in &self.slices {
            steps.resize(steps.len().max(slice.steps.len()), StepSlice::default());
            steps.iter_mut().zip(&slice.steps).for_each(|(all, one)| all.add(one));
        }
        steps
    }

    /// Why what was seen is the gate's doing: it did not send what it was to send.
    pub fn short(&self) -> Option<String> {
        let is_short = (self.sent as f64) < SENT * self.planned as f64 || self.planned == 0;
        let words = format!("the gate sent {} of {} requests that were due", self.sent, self.planned);
        is_short.then_some(words)
    }

    /// The share of requests that were not answered well.
    pub fn error_share(&self) -> Option<f64> {
        let errors = self.whole.errors.count() as f64;
        (self.whole.sent > 0).then(|| errors / self.whole.sent as f64)
    }

    /// Good answers a second.
    pub fn good_rate(&self) -> Option<f64> {
        let seconds: f64 = self.slices.iter().map(|slice| slice.length_ms as f64 / 1_000.0).sum();
        (seconds > 0.0).then(|| self.whole.good as f64 / seconds)
    }

    /// Latency at a quantile, at most the limit.
    pub fn latency(&self, quantile: Quantile, limit: Duration) -> Held {
        let all = &self.whole.latency;
        let value = all.at(quantile.share()).map(|time| time.as_micros() as f64);
        let held = |answer| Held { value, answer };
        if let Some(why) = self.short() {
            return held(Answer::Unknown(why));
        }
        if all.count() < quantile.least() {
            let words = format!(
                "{} answers, and {quantile} needs {}: a hundred beyond it",
                all.count(),
                quantile.least()
            );
            return held(Answer::Unknown(words));
        }
        let latency = side(&self.groups(quantile, |step| &step.latency), limit);
        let lag = self.lag.at(0.99).unwrap_or_default();
        let lags = lag > LEAST_LAG && lag.as_secs_f64() > LAG * limit.as_secs_f64();
        // What the gate sent late is late without the release: then only its own time speaks against it.
        if latency == Answer::Beyond && lags && side(&self.groups(quantile, |step| &step.service), limit) != latency {
            let words = format!("the gate itself sent up to {} late", fine(lag));
            return held(Answer::Unknown(words));
        }
        held(match (latency, value) {
            (Answer::Within, Some(whole)) if whole > limit.as_micros() as f64 => mixed("slower"),
            (latency, _) => latency,
        })
    }

    /// The quantile in groups of slices that follow each other, each large enough for it.
    fn groups(&self, quantile: Quantile, times: impl Fn(&StepSlice) -> &Times) -> Vec<Duration> {
        let enough = (BEYOND / (1.0 - quantile.share())).round() as u64;
        let mut groups = vec![Times::new()];
        for slice in &self.slices {
            if groups.last().is_some_and(|last| last.count() >= enough) {
                groups.push(Times::new());
            }
            if let Some(last) = groups.last_mut() {
                slice.steps.iter().for_each(|step| last.add(times(step)));
            }
        }
        // What is left over at the end belongs to the group before it.
        if let [.., before, last] = &mut groups[..]
            && last.count() < enough
        {
            before.add(last);
            groups.pop();
        }
        groups.iter().filter_map(|group| group.at(quantile.share())).collect()
    }

    /// The share of requests that are not answered well, at most the limit.
    pub fn errors(&self, limit: f64) -> Held {
        let value = self.error_share();
        let held = |answer| Held { value, answer };
        let (Some(share), None) = (value, self.short()) else {
            return held(Answer::Unknown(
                self.short().unwrap_or_else(|| "nothing was sent".to_owned()),
            ));
        };
        let sent = self.whole.sent;
        let (low, _) = wilson(self.whole.errors.count(), sent);
        // A share of the limit would have shown in so many requests, 19 times of 20.
        let enough = if limit > 0.0 { 3.0 / limit } else { 0.0 };
        held(if low > limit {
            Answer::Beyond
        } else if share > limit {
            Answer::Unknown(format!(
                "{} of {sent} requests failed: too few to tell",
                self.whole.errors.count()
            ))
        } else if (sent as f64) < enough {
            Answer::Unknown(format!("{sent} requests, and this limit needs {enough:.0}"))
        } else {
            Answer::Within
        })
    }

    /// Good answers a second, at least the limit.
    pub fn throughput(&self, limit: f64) -> Held {
        let value = self.good_rate();
        let held = |answer| Held { value, answer };
        if let Some(why) = self.short() {
            return held(Answer::Unknown(why));
        }
        let rate = |slice: &Slice| slice.whole().good as f64 * 1_000.0 / slice.length_ms.max(1) as f64;
        let rates: Vec<f64> = self.slices.iter().map(rate).collect();
        let most = of_most(rates.iter().filter(|rate| **rate < limit).count(), rates.len(), "below");
        held(match (most, value) {
            (Answer::Within, Some(whole)) if whole < limit => mixed("fewer"),
            (most, _) => most,
        })
    }

    /// Errors that the baseline does not show: the least by which its share is exceeded, nothing where that may be chance.
    pub fn more_errors_than(&self, baseline: &Self) -> Option<f64> {
        let (own, its) = (self.error_share()?, baseline.error_share()?);
        let (low, _) = wilson(self.whole.errors.count(), self.whole.sent);
        let (_, high) = wilson(baseline.whole.errors.count(), baseline.whole.sent);
        let difference = own - its;
        let least = difference - ((own - low).powi(2) + (high - its).powi(2)).sqrt();
        (least > 0.0).then_some(least)
    }
}

/// Most slices keep a limit, and all together do not: a release that stalls now and then, or a machine that does.
fn mixed(word: &str) -> Answer {
    Answer::Unknown(format!(
        "most slices keep it, and all together are {word}: some stalled, and nobody can tell whose doing that was"
    ))
}

/// On which side of a limit most of them are.
fn side(groups: &[Duration], limit: Duration) -> Answer {
    of_most(
        groups.iter().filter(|group| **group > limit).count(),
        groups.len(),
        "above",
    )
}

/// The median is within the limit; or most are beyond it, as chance does not do it; or neither.
fn of_most(beyond: usize, all: usize, word: &str) -> Answer {
    if all == 0 {
        Answer::Unknown("nothing was measured".to_owned())
    } else if 2 * beyond <= all {
        Answer::Within
    } else if at_least(beyond, all) < CHANCE {
        Answer::Beyond
    } else {
        Answer::Unknown(format!(
            "{beyond} of {all} slices lie {word} the limit: that may be chance"
        ))
    }
}

/// The chance that so many of all, or more, lie on one side where the median is the limit.
fn at_least(beyond: usize, all: usize) -> f64 {
    let none = all as f64 * std::f64::consts::LN_2;
    (beyond..=all).map(|count| (ln_choose(all, count) - none).exp()).sum()
}

/// Between which shares the true one lies, 49 of 50 times, where so many of all were seen (Wilson's interval).
fn wilson(seen: u64, all: u64) -> (f64, f64) {
    if all == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (all as f64, seen as f64 / all as f64);
    let square = Z * Z;
    let middle = share + square / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    ((middle - half).max(0.0) / scale, ((middle + half) / scale).min(1.0))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::agent::load::slice::Errors;

    /// A slice of so many answers, spread evenly up to twice the median, and so many errors.
    pub(crate) fn slice(number: u64, answers: u64, median_ms: u64, errors: u64) -> Slice {
        let mut step = StepSlice {
            sent: answers + errors,
            good: answers,
            errors: Errors {
                by_status: [(500, errors)].into(),
                ..Errors::default()
            },
            ..StepSlice::default()
        };
        let mut lag = Times::new();
        for at in 0..answers {
            let time = Duration::from_micros(median_ms * 2_000 * (at + 1) / answers);
            step.latency.record(time);
            step.service.record(time);
            lag.record(Duration::from_micros(50));
        }
        Slice {
            phase: 0,
            mix: 0,
            counts: Counts::Yes,
            start_ms: number * 2_000,
            length_ms: 2_000,
            planned: answers + errors,
            sent: answers + errors,
            lag,
            steps: vec![step],
        }
    }

    fn arm(slices: impl IntoIterator<Item = Slice>) -> Arm {
        Arm::of(&slices.into_iter().collect::<Vec<_>>())
    }

    /// 30 slices of 400 answers with this median each.
    fn steady(median_ms: u64) -> Arm {
        arm((0..30).map(|number| slice(number, 400, median_ms, 0)))
    }

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn is_unknown(held: &Held, words: &str) -> bool {
        matches!(&held.answer, Answer::Unknown(why) if why.contains(words))
    }

    #[test]
    fn what_most_slices_exceed_is_beyond_and_what_most_keep_is_within() {
        let limit = |median: u64, limit: u64| steady(median).latency(Quantile::P95, ms(limit)).answer;
        assert_eq!(limit(150, 100), Answer::Beyond);
        assert_eq!(limit(10, 100), Answer::Within);
        // One slow slice of thirty is the machine's; eight are more than one in twenty answers, and yet not most of the time.
        let slow =
            |every: u64| arm((0..30).map(|number| slice(number, 400, if number % every == 0 { 300 } else { 10 }, 0)));
        assert_eq!(slow(30).latency(Quantile::P95, ms(100)).answer, Answer::Within);
        assert!(is_unknown(&slow(4).latency(Quantile::P95, ms(100)), "some stalled"));
    }

    #[test]
    fn a_majority_that_may_be_chance_is_neither() {
        let held = arm((0..30).map(|number| slice(number, 400, if number < 18 { 300 } else { 10 }, 0)));
        assert!(is_unknown(&held.latency(Quantile::P95, ms(100)), "may be chance"));
    }

    #[test]
    fn too_few_answers_beyond_a_quantile_say_nothing_of_it() {
        let arm = steady(10);
        assert_eq!(arm.whole.latency.count(), 12_000);
        for (quantile, told) in [
            (Quantile::P50, true),
            (Quantile::P95, true),
            (Quantile::P99, true),
            (Quantile::P999, false),
        ] {
            let answer = arm.latency(quantile, ms(100)).answer;
            assert_eq!(answer == Answer::Within, told, "{quantile}: {answer:?}");
        }
        assert!(is_unknown(&arm.latency(Quantile::P999, ms(1)), "needs 100000"));
    }

    #[test]
    fn what_the_gate_did_not_send_says_nothing_though_all_that_was_sent_is_fast() {
        let mut slices: Vec<Slice> = (0..30).map(|number| slice(number, 400, 10, 0)).collect();
        slices.iter_mut().for_each(|slice| slice.planned += 5);
        let arm = Arm::of(&slices);
        assert!(is_unknown(&arm.latency(Quantile::P95, ms(100)), "sent 12000 of 12150"));
        assert!(is_unknown(&arm.errors(0.01), "sent 12000 of 12150"));
        assert!(is_unknown(&arm.throughput(1.0), "sent 12000 of 12150"));
    }

    #[test]
    fn what_the_gate_sent_late_is_not_the_releases_unless_its_own_time_says_so() {
        let mut slices: Vec<Slice> = (0..30).map(|number| slice(number, 400, 150, 0)).collect();
        slices.iter_mut().for_each(|slice| slice.lag.record(ms(200)));
        for slice in &mut slices {
            (0..400).for_each(|_| slice.lag.record(ms(200)));
        }
        assert_eq!(Arm::of(&slices).latency(Quantile::P95, ms(100)).answer, Answer::Beyond);
        let fast = slice(0, 400, 10, 0).steps[0].service.clone();
        slices
            .iter_mut()
            .for_each(|slice| slice.steps[0].service = fast.clone());
        let held = Arm::of(&slices).latency(Quantile::P95, ms(100));
        assert!(is_unknown(&held, "late"), "{held:?}");
    }

    #[test]
    fn a_share_of_errors_is_told_where_enough_was_sent() {
        let errors = |errors: u64, limit: f64| {
            arm((0..30).map(|number| slice(number, 400, 10, errors)))
                .errors(limit)
                .answer
        };
        assert_eq!(errors(0, 0.001), Answer::Within);
        assert_eq!(errors(8, 0.001), Answer::Beyond);
        let few = arm([slice(0, 200, 10, 0)]);
        assert!(is_unknown(&few.errors(0.001), "needs 3000"));
        let one = arm([slice(0, 200, 10, 1)]);
        assert!(is_unknown(&one.errors(0.001), "too few to tell"));
        assert_eq!(arm([]).errors(0.001).value, None);
    }

    #[test]
    fn errors_that_the_baseline_shows_too_are_no_more_of_them() {
        let of = |errors: u64| arm((0..30).map(|number| slice(number, 400, 10, errors)));
        assert_eq!(of(8).more_errors_than(&of(8)), None);
        assert!(
            of(8)
                .more_errors_than(&of(0))
                .is_some_and(|least| least > MOST_NEW_ERRORS)
        );
        assert_eq!(
            arm([slice(0, 200, 10, 1)]).more_errors_than(&arm([slice(0, 200, 10, 0)])),
            None
        );
    }

    #[test]
    fn good_answers_a_second_are_counted_slice_by_slice() {
        let arm = arm((0..30).map(|number| slice(number, 300, 10, 100)));
        assert_eq!(arm.throughput(140.0).answer, Answer::Within);
        assert_eq!(arm.throughput(160.0).answer, Answer::Beyond);
        assert_eq!(arm.throughput(160.0).value, Some(150.0));
    }

    #[test]
    fn a_coin_that_falls_seven_times_alike_is_a_chance_below_one_in_a_hundred() {
        assert!((at_least(7, 7) - 1.0 / 128.0).abs() < 1e-9);
        assert!((at_least(0, 9) - 1.0).abs() < 1e-9);
        let (low, high) = wilson(10, 100);
        assert!(low > 0.04 && low < 0.06 && high > 0.18 && high < 0.21, "{low} {high}");
    }
}
