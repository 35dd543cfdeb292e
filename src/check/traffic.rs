//! Traffic: what a probe saw, reduced to downtime and single failures.

use std::time::Duration;

use serde::Serialize;

use crate::agent::probe::ProbeSample;
use crate::text::units::seconds;

/// Questions at the end of which one must have a good answer: half a second's.
const LAST: usize = 5;

/// What a probe saw.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Traffic {
    /// What was asked.
    pub url: String,
    /// The status that counts as good: the baseline's; nothing where the baseline never answered.
    pub good: Option<u16>,
    /// Questions.
    pub asked: usize,
    /// Questions without a good answer, all of them.
    pub failed: usize,
    /// The longest time without a good answer.
    pub downtime: Duration,
    /// Failures outside that gap.
    pub singles: usize,
    /// One of the last questions had a good answer: a single failure at the very end is a single failure.
    pub recovered: bool,
    /// What the last question got, in words.
    pub last: String,
}

impl Traffic {
    /// Reduces samples. With `good` unknown (on the baseline) it is the status seen most often.
    pub fn of(url: &str, samples: &[ProbeSample], good: Option<u16>) -> Self {
        let good = good.or_else(|| most_frequent(samples));
        let mut ordered: Vec<&ProbeSample> = samples.iter().collect();
        ordered.sort_by_key(|sample| sample.at_ms);
        let is_good = |sample: &ProbeSample| good.is_some() && sample.status == good;
        let failed = ordered.iter().filter(|sample| !is_good(sample)).count();
        let (from, to) = longest_gap(&ordered, good);
        let in_gap = |sample: &&&ProbeSample| !is_good(sample) && sample.at_ms >= from && sample.at_ms <= to;
        let last = ordered.last();
        Self {
            url: url.to_owned(),
            good,
            asked: ordered.len(),
            failed,
            downtime: if failed == 0 {
                Duration::ZERO
            } else {
                Duration::from_millis(to - from)
            },
            singles: failed - ordered.iter().filter(in_gap).count(),
            recovered: ordered.iter().rev().take(LAST).any(|sample| is_good(sample)),
            last: last.map_or_else(|| "nothing was asked".to_owned(), |sample| words(sample)),
        }
    }

    /// Single failures for each question.
    pub fn single_rate(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)]
        let rate = self.singles as f64 / self.asked.max(1) as f64;
        rate
    }

    /// The good status in words.
    pub fn good_words(&self) -> String {
        self.good
            .map_or_else(|| "nothing".to_owned(), |status| status.to_string())
    }

    /// One line.
    pub fn words(&self) -> String {
        format!(
            "probe {}: {} questions, {} without status {}, longest time without a good answer {}, {} failures outside it",
            self.url,
            self.asked,
            self.failed,
            self.good_words(),
            seconds(self.downtime),
            self.singles
        )
    }
}

fn words(sample: &ProbeSample) -> String {
    match (sample.status, &sample.failure) {
        (Some(status), _) => format!("status {status}"),
        (None, Some(kind)) => format!("no answer ({kind})"),
        (None, None) => "no answer".to_owned(),
    }
}

fn most_frequent(samples: &[ProbeSample]) -> Option<u16> {
    let statuses = samples.iter().filter_map(|sample| sample.status);
    let mut counts = std::collections::BTreeMap::new();
    for status in statuses {
        *counts.entry(status).or_insert(0usize) += 1;
    }
    counts
        .into_iter()
        .max_by_key(|(status, count)| (*count, std::cmp::Reverse(*status)))
        .map(|(status, _)| status)
}

/// The longest stretch between two good answers (or the ends) that holds a failure.
fn longest_gap(ordered: &[&ProbeSample], good: Option<u16>) -> (u64, u64) {
    let is_good = |sample: &ProbeSample| good.is_some() && sample.status == good;
    let end = ordered.iter().map(|sample| sample.done_ms).max().unwrap_or_default();
    let mut goods: Vec<u64> = ordered
        .iter()
        .filter(|sample| is_good(sample))
        .map(|sample| sample.done_ms)
        .collect();
    goods.sort_unstable();
    let mut edges = vec![0];
    edges.extend(goods);
    edges.push(end);
    let has_failure = |from: u64, to: u64| ordered.iter().any(|s| !is_good(s) && s.at_ms >= from && s.at_ms <= to);
    let gaps = edges
        .windows(2)
        .map(|pair| (pair[0], pair[1]))
        .filter(|(from, to)| has_failure(*from, *to));
    gaps.max_by_key(|(from, to)| to - from).unwrap_or((0, 0))
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
    fn downtime_lasts_from_the_last_good_answer_to_the_next() {
        let samples = [
            sample(0, Some(200)),
            sample(100, None),
            sample(200, Some(502)),
            sample(300, Some(200)),
        ];
        let traffic = Traffic::of("http://web/", &samples, Some(200));
        assert_eq!(
            (traffic.downtime, traffic.failed, traffic.singles),
            (Duration::from_millis(300), 2, 0)
        );
    }

    #[test]
    fn a_failure_outside_the_longest_gap_is_single() {
        let answers = [Some(200), None, Some(200), None, None, None, Some(200)];
        let samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        let traffic = Traffic::of("http://web/", &samples, Some(200));
        assert_eq!((traffic.singles, traffic.failed), (1, 4));
    }

    #[test]
    fn a_long_time_without_a_question_is_no_downtime() {
        let samples = [
            sample(0, Some(200)),
            sample(5_000, Some(200)),
            sample(5_100, None),
            sample(5_200, Some(200)),
        ];
        let traffic = Traffic::of("http://web/", &samples, Some(200));
        assert_eq!((traffic.downtime, traffic.singles), (Duration::from_millis(200), 0));
    }

    #[test]
    fn the_longest_gap_counts_though_another_comes_after_it() {
        let answers = [Some(200), None, None, None, Some(200), None, Some(200)];
        let samples: Vec<_> = (0..).zip(answers).map(|(n, status)| sample(n * 100, status)).collect();
        let traffic = Traffic::of("http://web/", &samples, Some(200));
        assert_eq!((traffic.downtime, traffic.singles), (Duration::from_millis(400), 1));
        assert!(
            (traffic.single_rate() - 1.0 / 7.0).abs() < 1e-9,
            "{}",
            traffic.single_rate()
        );
    }

    #[test]
    fn without_a_question_nothing_failed() {
        let traffic = Traffic::of("http://web/", &[], None);
        assert!(traffic.single_rate().abs() < 1e-9);
        assert_eq!(traffic.last, "nothing was asked");
        assert_eq!(traffic.good_words(), "nothing");
    }

    #[test]
    fn the_baselines_status_is_the_most_frequent_one_and_the_lowest_of_two() {
        let good = |statuses: &[u16]| {
            let samples: Vec<_> = statuses.iter().map(|status| sample(0, Some(*status))).collect();
            Traffic::of("http://web/", &samples, None).good
        };
        assert_eq!(good(&[200, 503, 503]), Some(503));
        assert_eq!(good(&[503, 200, 503, 200]), Some(200));
        assert_eq!(good(&[]), None);
    }

    #[test]
    fn one_line_says_what_was_asked_and_what_came() {
        let samples = [sample(0, Some(200)), sample(100, None), sample(200, Some(200))];
        let traffic = Traffic::of("http://web/", &samples, Some(200));
        assert_eq!(
            traffic.words(),
            "probe http://web/: 3 questions, 1 without status 200, longest time without a good answer 200 ms, 0 failures outside it"
        );
    }

    #[test]
    fn another_status_than_the_baselines_is_not_good() {
        let samples: Vec<_> = (0..8)
            .map(|n| sample(n * 100, Some(if n == 0 { 302 } else { 500 })))
            .collect();
        let traffic = Traffic::of("http://web/", &samples, Some(302));
        assert!(!traffic.recovered);
        assert_eq!(traffic.last, "status 500");
    }
}
