//! Traffic: what a probe saw, reduced to downtime and single failures.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::agent::probe::ProbeSample;
use crate::record::measured::ProbeRecord;
use crate::record::stage::StageId;
use crate::text::units::{millis, seconds};

/// Questions at the end of which one must have a good answer: half a second's.
const LAST: usize = 5;

/// What is rarer than this is not put down to chance.
const BY_CHANCE: f64 = 0.05;

/// What counts as a good answer: what the baseline gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Good {
    /// This status.
    Status(u16),
    /// A connection.
    Connection,
}

impl fmt::Display for Good {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Connection => f.write_str("a connection"),
        }
    }
}

/// What a probe saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Traffic {
    /// What was asked.
    pub asked_for: String,
    /// What counts as good: the baseline's answer; nothing where the baseline never answered.
    pub good: Option<Good>,
    /// Questions.
    pub asked: usize,
    /// Questions without a good answer, all of them.
    pub failed: usize,
    /// The longest time without a good answer: from the first question that has none to the next good answer.
    pub downtime: Duration,
    /// Questions outside that gap: those that neither began nor went on in it.
    pub outside: usize,
    /// Failures outside that gap.
    pub singles: usize,
    /// The first of them: when, and what came.
    pub first_single: Option<String>,
    /// One of the last questions had a good answer: a single failure at the very end is a single failure.
    pub recovered: bool,
    /// What the last question got, in words.
    pub last: String,
    /// The same, where it got something.
    pub last_answer: Option<Good>,
}

impl Traffic {
    /// Reduces samples. With `good` unknown (on the baseline) it is the answer seen most often.
    pub fn of(asked_for: &str, samples: &[ProbeSample], good: Option<Good>) -> Self {
        let good = good.or_else(|| most_frequent(samples));
        let mut ordered: Vec<&ProbeSample> = samples.iter().collect();
        ordered.sort_by_key(|sample| sample.at_ms);
        let is_good = |sample: &ProbeSample| good.is_some() && answer(sample) == good;
        let failed = ordered.iter().filter(|sample| !is_good(sample)).count();
        let (from, to) = longest_gap(&ordered, is_good);
        // A question that was cut off by what opened the gap belongs to it, though one after it was still answered.
        let is_outside = |sample: &&&ProbeSample| sample.at_ms > to || sample.done_ms < from || from == to;
        let outside: Vec<_> = ordered.iter().filter(is_outside).collect();
        let singles: Vec<_> = outside.iter().filter(|sample| !is_good(sample)).collect();
        let last = ordered.last();
        Self {
            asked_for: asked_for.to_owned(),
            good,
            asked: ordered.len(),
            failed,
            downtime: Duration::from_millis(to - from),
            outside: outside.len(),
            singles: singles.len(),
            first_single: singles.first().map(|sample| {
                format!(
                    "{} after {}",
                    words(sample),
                    seconds(Duration::from_millis(sample.at_ms))
                )
            }),
            recovered: ordered.iter().rev().take(LAST).any(|sample| is_good(sample)),
            last_answer: last.and_then(|sample| answer(sample)),
            last: last.map_or_else(|| "nothing was asked".to_owned(), |sample| words(sample)),
        }
    }

    /// Single failures are more frequent than in other traffic, by more than chance lets expect: Fisher's exact test.
    /// One failure in a few dozen questions is what a busy machine does, too.
    pub fn fails_more_often_than(&self, other: &Self) -> bool {
        let expected = Hypergeometric {
            drawn: self.outside,
            all: self.outside + other.outside,
            failed: self.singles + other.singles,
        };
        self.singles > 0 && expected.at_least(self.singles) < BY_CHANCE
    }

    /// As the record keeps it.
    pub fn record(&self, stage: StageId) -> ProbeRecord {
        ProbeRecord {
            stage,
            asked_for: self.asked_for.clone(),
            good: self.good.map(|good| good.to_string()),
            asked: self.asked as u64,
            failed: self.failed as u64,
            downtime_ms: millis(self.downtime),
            singles: self.singles as u64,
            last: self.last.clone(),
        }
    }

    /// The good answer in words.
    pub fn good_words(&self) -> String {
        self.good
            .map_or_else(|| "any answer".to_owned(), |good| good.to_string())
    }

    /// One line.
    pub fn words(&self) -> String {
        format!(
            "probe {}: {} questions, {} without {}, longest time without a good answer {}, {} failures outside it{}",
            self.asked_for,
            self.asked,
            self.failed,
            self.good_words(),
            seconds(self.downtime),
            self.singles,
            self.first_single
                .as_ref()
                .map_or_else(String::new, |first| format!(" (the first: {first})"))
        )
    }
}

/// What chance lets expect of questions that are drawn from all.
struct Hypergeometric {
    drawn: usize,
    all: usize,
    failed: usize,
}

impl Hypergeometric {
    /// The probability that so many of those drawn, or more, have failed.
    fn at_least(&self, failed: usize) -> f64 {
        let (good, most) = (self.all - self.failed, self.drawn.min(self.failed));
        let all = ln_choose(self.all, self.drawn);
        let ways = |k: usize| ln_choose(self.failed, k) + ln_choose(good, self.drawn - k);
        let possible = (failed..=most).filter(|k| self.drawn - k <= good);
        possible.map(|k| (ways(k) - all).exp()).sum()
    }
}

/// The logarithm of how many ways there are to choose `k` of `n`.
#[allow(clippy::cast_precision_loss)]
pub(super) fn ln_choose(n: usize, k: usize) -> f64 {
    (1..=k.min(n - k)).map(|i| ((n - i + 1) as f64 / i as f64).ln()).sum()
}

/// What came, if something came.
fn answer(sample: &ProbeSample) -> Option<Good> {
    match (sample.status, &sample.failure) {
        (Some(status), _) => Some(Good::Status(status)),
        (None, None) => Some(Good::Connection),
        (None, Some(_)) => None,
    }
}

fn words(sample: &ProbeSample) -> String {
    match &sample.failure {
        Some(kind) => format!("no answer ({kind})"),
        None => answer(sample).map(|answer| answer.to_string()).unwrap_or_default(),
    }
}

fn most_frequent(samples: &[ProbeSample]) -> Option<Good> {
    let mut counts = std::collections::BTreeMap::new();
    for answer in samples.iter().filter_map(answer) {
        *counts.entry(answer).or_insert(0usize) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(answer, count)| (*count, std::cmp::Reverse(*answer)))
        .map(|(answer, _)| answer)
}

/// The longest stretch of questions without a good answer, in the order in which they were asked: from the first of
/// them to the first good answer to a later one. A question from before it that is answered slowly does not break it.
fn longest_gap(ordered: &[&ProbeSample], is_good: impl Fn(&ProbeSample) -> bool) -> (u64, u64) {
    let end = ordered.iter().map(|sample| sample.done_ms).max().unwrap_or_default();
    let mut gaps = Vec::new();
    let mut from = None;
    for (at, sample) in ordered.iter().enumerate() {
        if !is_good(sample) {
            from.get_or_insert(sample.at_ms);
        } else if let Some(from) = from.take() {
            let later = ordered[at..].iter().filter(|sample| is_good(sample));
            gaps.push((from, later.map(|sample| sample.done_ms).min().unwrap_or(end)));
        }
    }
    gaps.extend(from.map(|from| (from, end)));
    gaps.into_iter().max_by_key(|(from, to)| to - from).unwrap_or((0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::failure::CallFailureKind;

    fn sample(at_ms: u64, status: Option<u16>) -> ProbeSample {
        let failure = status.is_none().then_some(CallFailureKind::Connect);
        ProbeSample {
            at_ms,
            done_ms: at_ms + 5,
            status,
            failure,
        }
    }

    #[test]
    fn all_good_answers_are_no_downtime() {
        let samples: Vec<_> = (0..10).map(|n| sample(n * 100, Some(200))).collect();
        let traffic = Traffic::of("http://web/", &samples, None);
        assert_eq!(
            (traffic.downtime, traffic.failed, traffic.recovered),
            (Duration::ZERO, 0, true)
        );
    }

    #[test]
    fn downtime_lasts_from_the_first_failure_to_the_next_good_answer() {
        let samples = [
            sample(0, Some(200)),
            sample(100, None),
            sample(200, Some(502)),
            sample(300, Some(200)),
        ];
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!(
            (traffic.downtime, traffic.failed, traffic.singles),
            (Duration::from_millis(205), 2, 0)
        );
    }

    #[test]
    fn a_failure_outside_the_longest_gap_is_single() {
        let answers = [Some(200), None, Some(200), None, None, None, Some(200)];
        let samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!((traffic.singles, traffic.failed), (1, 4));
    }

    #[test]
    fn a_slow_answer_to_an_earlier_question_makes_no_failure_single() {
        let answers = [Some(200), None, None, None, Some(200)];
        let mut samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        // Asked before the stop, answered after the first refusal.
        samples[0].done_ms = 150;
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!((traffic.singles, traffic.failed), (0, 3));
        assert_eq!(traffic.downtime, Duration::from_millis(305));
    }

    #[test]
    fn a_question_that_the_stop_cuts_off_is_no_single_failure_though_the_next_was_answered() {
        let answers = [Some(200), None, Some(200), None, None, None, Some(200)];
        let mut samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        // Asked before the stop, and still waiting when the release ended.
        samples[1].done_ms = 310;
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!((traffic.singles, traffic.failed), (0, 4));
    }

    fn outside(singles: usize, outside: usize) -> Traffic {
        Traffic {
            singles,
            outside,
            ..Traffic::default()
        }
    }

    #[test]
    fn what_chance_does_is_not_more_often() {
        let quiet = outside(0, 20);
        assert!(!outside(1, 60).fails_more_often_than(&quiet), "one of sixty");
        assert!(
            !outside(4, 20).fails_more_often_than(&quiet),
            "four of twenty: p = 0.053"
        );
        assert!(
            outside(5, 20).fails_more_often_than(&quiet),
            "five of twenty: p = 0.024"
        );
        assert!(!outside(10, 20).fails_more_often_than(&outside(8, 20)));
        assert!(!outside(0, 20).fails_more_often_than(&outside(8, 20)));
        assert!(outside(20, 1_000_000).fails_more_often_than(&outside(0, 1_000_000)));
    }

    #[test]
    fn a_long_time_without_a_question_is_no_downtime() {
        let samples = [
            sample(0, Some(200)),
            sample(5_000, Some(200)),
            sample(5_100, None),
            sample(5_200, Some(200)),
        ];
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!((traffic.downtime, traffic.singles), (Duration::from_millis(105), 0));
    }

    #[test]
    fn the_longest_gap_counts_though_another_comes_after_it() {
        let answers = [Some(200), None, None, None, Some(200), None, Some(200)];
        let samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!((traffic.downtime, traffic.singles), (Duration::from_millis(305), 1));
    }

    #[test]
    fn without_a_question_nothing_failed() {
        let traffic = Traffic::of("http://web/", &[], None);
        assert!(!traffic.fails_more_often_than(&traffic));
        assert_eq!(traffic.last, "nothing was asked");
        assert_eq!(traffic.good_words(), "any answer");
    }

    #[test]
    fn the_baselines_status_is_the_most_frequent_one_and_the_lowest_of_two() {
        let good = |statuses: &[u16]| {
            let samples: Vec<_> = statuses.iter().map(|status| sample(0, Some(*status))).collect();
            Traffic::of("http://web/", &samples, None).good
        };
        assert_eq!(good(&[200, 503, 503]), Some(Good::Status(503)));
        assert_eq!(good(&[503, 200, 503, 200]), Some(Good::Status(200)));
        assert_eq!(good(&[]), None);
    }

    #[test]
    fn one_line_says_what_was_asked_and_what_came() {
        let samples = [sample(0, Some(200)), sample(100, None), sample(200, Some(200))];
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!(
            traffic.words(),
            "probe http://web/: 3 questions, 1 without status 200, longest time without a good answer 105 ms, 0 failures outside it"
        );
    }

    #[test]
    fn a_baseline_that_still_answers_while_it_stops_is_no_downtime() {
        let answers = [Some(200), Some(200), Some(200), None, Some(200)];
        let mut samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        // The last that the old release answered took its time.
        samples[2].done_ms = 290;
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(200)));
        assert_eq!(traffic.downtime, Duration::from_millis(105));
    }

    #[test]
    fn a_connection_is_an_answer_where_nothing_speaks_http() {
        let connected = |n: u64| ProbeSample {
            failure: None,
            ..sample(n * 100, None)
        };
        let samples = [connected(0), sample(100, None), connected(2)];
        let traffic = Traffic::of("tcp://db:5432", &samples, None);
        assert_eq!((traffic.good, traffic.failed), (Some(Good::Connection), 1));
        assert!(
            traffic.words().contains("1 without a connection"),
            "{}",
            traffic.words()
        );
    }

    #[test]
    fn another_status_than_the_baselines_is_not_good() {
        let samples: Vec<_> = (0..8)
            .map(|n| sample(n * 100, Some(if n == 0 { 302 } else { 500 })))
            .collect();
        let traffic = Traffic::of("http://web/", &samples, Some(Good::Status(302)));
        assert!(!traffic.recovered);
        assert_eq!(traffic.last, "status 500");
    }
}
