//! Times: a histogram of durations that loses less than a thousandth, adds up exactly, and goes over the wire as what it
//! holds.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Digits that are kept.
const DIGITS: u8 = 3;

/// Longer times are taken as this, which is beyond every limit of a request: microseconds.
const LONGEST: u64 = 600_000_000;

/// Durations in microseconds.
#[derive(Clone, PartialEq)]
pub struct Times(Histogram<u64>);

impl Times {
    /// Nothing yet. It grows with the longest time that it holds, up to about 200 KiB.
    pub fn new() -> Self {
        // Two to five digits are valid.
        Self(Histogram::new(DIGITS).unwrap_or_else(|_| unreachable!("three digits are valid")))
    }

    /// Takes one more.
    pub fn record(&mut self, time: Duration) {
        self.record_many(u64::try_from(time.as_micros()).unwrap_or(LONGEST), 1);
    }

    fn record_many(&mut self, micros: u64, count: u64) {
        // It grows by itself: what is at most the longest always fits.
        let _fits = self.0.record_n(micros.min(LONGEST), count);
    }

    /// Takes all of another's.
    pub fn add(&mut self, other: &Self) {
        let _fits = self.0.add(&other.0);
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The time within which this share of all lies, 0 to 1; nothing where there are none.
    pub fn at(&self, share: f64) -> Option<Duration> {
        let is_there = !self.0.is_empty();
        is_there.then(|| Duration::from_micros(self.0.value_at_quantile(share)))
    }

    /// How many lie beyond that share of all.
    pub fn beyond(&self, share: f64) -> u64 {
        ((1.0 - share) * self.count() as f64).round() as u64
    }

    /// The longest.
    pub fn longest(&self) -> Option<Duration> {
        self.at(1.0)
    }

    /// Each time that is held, in microseconds, and how often.
    pub fn held(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let values = self.0.iter_recorded();
        values.map(|value| (value.value_iterated_to(), value.count_at_value()))
    }
}

impl Default for Times {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.held()).finish()
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.held())
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let held = Vec::<(u64, u64)>::deserialize(deserializer)?;
        let mut times = Self::new();
        held.into_iter()
            .for_each(|(micros, count)| times.record_many(micros, count));
        Ok(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(millis: impl IntoIterator<Item = u64>) -> Times {
        let mut times = Times::new();
        millis
            .into_iter()
            .for_each(|one| times.record(Duration::from_millis(one)));
        times
    }

    #[test]
    fn what_goes_over_the_wire_comes_out_the_same_and_adds_up() {
        let all = times(1..=1000);
        let json = serde_json::to_string(&all).unwrap();
        let back: Times = serde_json::from_str(&json).unwrap();
        assert!(back == all);
        let mut halves = times(1..=500);
        halves.add(&times(501..=1000));
        assert!(halves == all);
    }

    #[test]
    fn a_share_of_all_lies_within_its_time_to_a_thousandth() {
        let p95 = times(1..=1000).at(0.95).unwrap().as_secs_f64();
        assert!((p95 / 0.950 - 1.0).abs() < 0.001, "{p95}");
        assert_eq!(Times::new().at(0.95), None);
        assert_eq!(times(1..=1000).beyond(0.95), 50);
    }

    #[test]
    fn a_time_beyond_every_limit_is_still_counted() {
        let mut all = times([1]);
        all.record(Duration::MAX);
        assert_eq!(all.count(), 2);
        assert!(all.longest().unwrap() >= Duration::from_secs(599));
    }
}
