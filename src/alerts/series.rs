//! Series: what production's Prometheus would have scraped, second by second.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

/// The label that holds a series' name.
pub const NAME: &str = "__name__";

/// A recording has no more series: those of a hostile service must not fill the disk.
pub const MOST_SERIES: usize = 20_000;

/// What tells one series from another: its name and its labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(pub BTreeMap<String, String>);

impl Labels {
    /// A name and labels.
    pub fn of<'a>(name: &'a str, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let named = std::iter::once((NAME, name)).chain(labels);
        Self(named.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// The series' name.
    pub fn name(&self) -> &str {
        self.get(NAME)
    }

    /// A label; one that is not there is empty.
    pub fn get(&self, label: &str) -> &str {
        self.0.get(label).map_or("", String::as_str)
    }

    /// With labels that the scrape sets: what a target says itself under such a name is set aside, as by Prometheus.
    #[must_use]
    pub fn scraped_from(mut self, target: &[(&str, &str)]) -> Self {
        for (name, value) in target {
            if let Some(own) = self.0.insert((*name).to_owned(), (*value).to_owned()) {
                self.0.insert(format!("exported_{name}"), own);
            }
        }
        self
    }
}

/// As in PromQL: `up{instance="web:8080", job="web"}`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        let labels = self.0.iter().filter(|(name, _)| *name != NAME);
        let labels: Vec<String> = labels
            .map(|(name, value)| format!("{name}={}", quoted(value)))
            .collect();
        write!(f, "{{{}}}", labels.join(", "))
    }
}

/// A text as a string of PromQL. What is beyond ASCII stays; what controls a terminal or a line does not.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            other if other.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(other))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

/// How a series goes on where nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It only grows, as fast as it last did.
    Counter,
    /// It stays.
    Gauge,
}

/// A sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of which series.
    pub labels: Labels,
    /// How that goes on.
    pub kind: Kind,
    /// The value; finite.
    pub value: f64,
}

/// A series, second by second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Track {
    /// Which.
    pub labels: Labels,
    /// How it goes on.
    pub kind: Kind,
    /// A value for each second, nothing where it was not there or could not be scraped.
    pub values: Vec<Option<f64>>,
}

/// What was scraped, second by second.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// How many seconds.
    pub seconds: usize,
    /// Every series, in the order of their labels.
    pub tracks: Vec<Track>,
    /// The second in which a user's request failed first.
    pub first_failure: Option<usize>,
    /// The second in which a container crashed first.
    #[serde(default)]
    pub crash: Option<usize>,
    /// Series that were left out because there were too many.
    pub left_out: usize,
}

/// A recording under way.
#[derive(Debug, Default)]
pub struct Recorder {
    seconds: usize,
    tracks: BTreeMap<Labels, Track>,
    first_failure: Option<usize>,
    crash: Option<usize>,
    left_out: BTreeSet<String>,
}

impl Recorder {
    /// A second is over, and this was scraped in it. Of two samples of one series the first counts.
    pub fn second(&mut self, samples: impl IntoIterator<Item = Sample>) {
        let at = self.seconds;
        for sample in samples.into_iter().filter(|sample| sample.value.is_finite()) {
            if self.tracks.len() >= MOST_SERIES && !self.tracks.contains_key(&sample.labels) {
                if self.left_out.len() < MOST_SERIES {
                    self.left_out.insert(sample.labels.to_string());
                }
                continue;
            }
            let track = self.tracks.entry(sample.labels.clone()).or_insert_with(|| Track {
                labels: sample.labels,
                kind: sample.kind,
                values: Vec::new(),
            });
            if track.values.len() <= at {
                track.values.resize(at, None);
                track.values.push(Some(sample.value));
            }
        }
        self.seconds += 1;
    }

    /// A request of a user failed in the second under way.
    pub fn failed(&mut self) {
        self.failed_in(self.seconds);
    }

    /// One failed in that second, which may be heard of late.
    pub fn failed_in(&mut self, second: usize) {
        let first = self.first_failure.map_or(second, |first| first.min(second));
        self.first_failure = Some(first);
    }

    /// A container crashed in the second under way.
    pub fn crashed(&mut self) {
        self.crash.get_or_insert(self.seconds);
    }

    /// How many seconds are over.
    pub fn seconds(&self) -> usize {
        self.seconds
    }

    /// The second in which something failed or crashed first.
    pub fn first_harm(&self) -> Option<usize> {
        self.first_failure.into_iter().chain(self.crash).min()
    }

    /// All of it.
    pub fn finish(self) -> Recording {
        let tracks = self.tracks.into_values().map(|mut track| {
            track.values.resize(self.seconds, None);
            track
        });
        Recording {
            seconds: self.seconds,
            tracks: tracks.collect(),
            first_failure: self.first_failure,
            crash: self.crash,
            left_out: self.left_out.len(),
        }
    }
}

impl Recording {
    /// The series with these labels.
    pub fn track(&self, labels: &Labels) -> Option<&Track> {
        let found = self.tracks.binary_search_by(|track| track.labels.cmp(labels));
        found.ok().and_then(|at| self.tracks.get(at))
    }

    /// What on-call is to hear of first: a user's failed request, or where none was seen a crash.
    pub fn harm(&self) -> Option<usize> {
        self.first_failure.or(self.crash)
    }

    /// So many of its last seconds are as it will go on: those since something failed, and half of it at most. At least two,
    /// for of one nobody can tell how fast a counter grows.
    pub fn steady_end(&self) -> usize {
        let half = self.seconds / 2;
        let since = self.harm().map_or(half, |second| self.seconds.saturating_sub(second));
        since.min(half).max(2)
    }
}

impl Track {
    /// The last value, if there is one.
    pub fn last(&self) -> Option<f64> {
        self.values.iter().rev().find_map(|value| *value)
    }

    /// The first value, if there is one.
    pub fn first(&self) -> Option<f64> {
        self.values.iter().find_map(|value| *value)
    }

    /// Whether it is still there in the last second.
    pub fn stays(&self) -> bool {
        self.values.last().is_some_and(Option::is_some)
    }

    /// The value in the middle of all.
    pub fn median(&self) -> Option<f64> {
        let mut values: Vec<f64> = self.values.iter().copied().flatten().collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    }

    /// By how much it grows in a second, over its last seconds: a restart counts as growth from nothing.
    pub fn growth(&self, seconds: usize) -> f64 {
        let from = self.values.len().saturating_sub(seconds + 1);
        let known = self.values.iter().enumerate().skip(from);
        let known: Vec<(usize, f64)> = known.filter_map(|(at, value)| Some((at, (*value)?))).collect();
        let grown: f64 = known.windows(2).map(|pair| grown(pair[0].1, pair[1].1)).sum();
        match (known.first(), known.last()) {
            (Some((first, _)), Some((last, _))) if last > first => grown / (last - first) as f64,
            _ => 0.0,
        }
    }
}

/// By how much a counter has grown; one that was reset began at nothing.
pub fn grown(before: f64, after: f64) -> f64 {
    if after < before { after } else { after - before }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, value: f64) -> Sample {
        Sample {
            labels: Labels::of(name, []),
            kind: Kind::Gauge,
            value,
        }
    }

    #[test]
    fn a_series_has_a_place_for_each_second_and_nothing_where_it_was_not_seen() {
        let mut recorder = Recorder::default();
        recorder.second([sample("a", 1.0)]);
        recorder.second([sample("b", 5.0), sample("b", 6.0)]);
        recorder.failed();
        recorder.second([sample("a", 2.0), sample("c", f64::NAN)]);
        let recording = recorder.finish();
        let values = |name| recording.track(&Labels::of(name, [])).map(|track| track.values.clone());
        assert_eq!(values("a"), Some(vec![Some(1.0), None, Some(2.0)]));
        assert_eq!(values("b"), Some(vec![None, Some(5.0), None]));
        assert_eq!(values("c"), None);
        assert_eq!((recording.seconds, recording.first_failure), (3, Some(2)));
    }

    #[test]
    fn a_failure_that_is_heard_of_late_is_told_at_its_time() {
        let mut recorder = Recorder::default();
        (0..9).for_each(|_| recorder.second([]));
        recorder.crashed();
        recorder.failed();
        recorder.failed_in(7);
        recorder.failed_in(8);
        assert_eq!((recorder.seconds(), recorder.first_harm()), (9, Some(7)));
        recorder.second([]);
        let recording = recorder.finish();
        assert_eq!((recording.first_failure, recording.crash), (Some(7), Some(9)));
        assert_eq!(recording.steady_end(), 3);
    }

    #[test]
    fn what_a_target_says_under_a_name_of_the_scrapes_is_set_aside() {
        let labels = Labels::of("up", [("job", "mine")]).scraped_from(&[("job", "web"), ("instance", "web:8080")]);
        assert_eq!(
            labels.to_string(),
            r#"up{exported_job="mine", instance="web:8080", job="web"}"#
        );
    }

    #[test]
    fn a_label_cannot_leave_its_quotes_or_its_line() {
        let labels = Labels::of("a", [("path", "x\"} 1\n\u{1b}[2J\\")]);
        assert_eq!(labels.to_string(), r#"a{path="x\"} 1\n\u001b[2J\\"}"#);
    }

    #[test]
    fn series_beyond_the_limit_are_counted_and_left_out() {
        let mut recorder = Recorder::default();
        recorder.second((0..=MOST_SERIES).map(|number| sample(&format!("s{number}"), 1.0)));
        let recording = recorder.finish();
        assert_eq!((recording.tracks.len(), recording.left_out), (MOST_SERIES, 1));
    }

    #[test]
    fn a_counter_that_was_reset_has_grown_from_nothing() {
        let track = Track {
            labels: Labels::of("a", []),
            kind: Kind::Counter,
            values: vec![Some(100.0), Some(110.0), None, Some(4.0), Some(6.0)],
        };
        assert!((track.growth(60) - 4.0).abs() < 1e-9);
        assert!((track.growth(1) - 2.0).abs() < 1e-9);
    }
}
