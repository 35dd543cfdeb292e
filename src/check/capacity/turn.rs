//! One turn of one release: rates that rise until it breaks.

use serde::Serialize;

use super::compare::Interval;
use super::ran_out::RanOut;
use super::search::{End, Search};
use super::step::Bore;

/// What came of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Turn {
    /// The highest rate that held, requests a second.
    pub(super) held: Option<f64>,
    /// The lowest rate that was not borne, and why.
    pub(super) end: Option<(f64, End)>,
    pub(super) stopped: Stopped,
    /// What ran out where it broke.
    pub(super) ran_out: RanOut,
    /// Every rate that was asked, in order.
    pub(super) asked: Vec<(f64, Bore)>,
}

/// Why it went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) enum Stopped {
    /// It was found.
    Found,
    /// Its time was over.
    Spent,
}

impl Turn {
    /// Of a search that is over.
    pub(super) fn of(search: &Search, stopped: Stopped, ran_out: RanOut, asked: Vec<(f64, Bore)>) -> Self {
        Self {
            held: search.held(),
            end: search.end().cloned(),
            stopped,
            ran_out,
            asked,
        }
    }

    /// What it says of the release.
    pub(super) fn interval(&self) -> Interval {
        Interval {
            held: self.held,
            broke: match &self.end {
                Some((rate, End::Broke(_))) => Some(*rate),
                Some((_, End::Unsent(_))) | None => None,
            },
        }
    }

    /// How it broke, or why it was not raised further.
    pub(super) fn why(&self) -> String {
        match (&self.end, self.stopped) {
            (Some((_, End::Broke(breaches))), _) => {
                let breaches: Vec<String> = breaches.iter().map(ToString::to_string).collect();
                breaches.join("; ")
            }
            (Some((_, End::Unsent(unsent))), _) => unsent.to_string(),
            (None, Stopped::Spent) => "its time was over before it broke".to_owned(),
            (None, Stopped::Found) => "the gate asks no more than that".to_owned(),
        }
    }
}
