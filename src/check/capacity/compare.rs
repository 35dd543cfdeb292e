//! Two releases compared: pairs of turns in, an answer out. A turn is an interval: the last rate that held, and the first
//! that broke. Pure.

use serde::Serialize;

/// What one turn says of a release, in requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Interval {
    /// The highest rate that held; nothing where the lowest that was asked broke.
    pub(super) held: Option<f64>,
    /// The lowest rate at which it broke; nothing where the gate could not ask for more, or had no time to.
    pub(super) broke: Option<f64>,
}

/// One turn of production's release, and one of the candidate's.
pub(super) type Pair = (Interval, Interval);

/// How they compare.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum Answer {
    /// The candidate bears about as much.
    Alike,
    /// It bears less.
    Lower,
    /// It bears more.
    Higher,
    /// It cannot be told, and why.
    CouldNotTell(String),
}

/// Beyond this share, in the mean of the turns, releases seem to differ.
const SEEMS: f64 = 0.1;
/// A fall that is worth a word, in the mean of all turns of both measurements: so is a fall of a fifth found, and two equal
/// releases are not told apart. See the simulated runs.
const FALL: f64 = 0.125;
/// What is alike surely bears no less than this share less.
const ALIKE: f64 = 0.25;

impl Answer {
    /// One of them bears more.
    pub(super) fn differs(&self) -> bool {
        matches!(self, Self::Lower | Self::Higher)
    }
}

impl Interval {
    /// In the middle, as factors go; at least what held where it did not break, at most what broke where it did not hold.
    fn middle(self) -> Option<f64> {
        match (self.held, self.broke) {
            (Some(held), Some(broke)) => Some((held * broke).sqrt()),
            (one, other) => one.or(other),
        }
    }

    /// It surely bears less than another.
    fn is_below(self, other: Self) -> bool {
        matches!((self.broke, other.held), (Some(broke), Some(held)) if broke <= held)
    }
}

/// By what factor the candidate bears more, in the mean of the turns; nothing where one of them is open.
pub(super) fn factor(pairs: &[Pair]) -> Option<f64> {
    let is_closed = |interval: &Interval| interval.held.is_some() && interval.broke.is_some();
    let are_closed = pairs.iter().all(|(old, new)| is_closed(old) && is_closed(new));
    middle(pairs).filter(|_| are_closed)
}

/// How the candidate compares, in one measurement.
pub(super) fn compare(pairs: &[Pair]) -> Answer {
    let Some(mean) = middle(pairs) else {
        return Answer::CouldNotTell("nothing was measured".to_owned());
    };
    if let Some((old, _)) = pairs.iter().find(|(old, _)| old.held.is_none()) {
        let least = old
            .broke
            .map(|broke| format!(" at {broke:.0} a second, the lowest rate that was tried"));
        return Answer::CouldNotTell(format!(
            "production's own release breaks what it is held to{}",
            least.unwrap_or_default()
        ));
    }
    let least = self::mean(pairs, |old, new| Some(new.held? / old.broke?));
    if mean <= 1.0 - SEEMS && pairs.iter().all(|(old, new)| new.is_below(*old)) {
        Answer::Lower
    } else if mean >= 1.0 / (1.0 - SEEMS) && pairs.iter().all(|(old, new)| old.is_below(*new)) {
        Answer::Higher
    } else if least.is_some_and(|least| least >= 1.0 - ALIKE) {
        Answer::Alike
    } else {
        Answer::CouldNotTell(unclear(pairs))
    }
}

fn unclear(pairs: &[Pair]) -> String {
    let is_open = |of: fn(&Pair) -> Interval| pairs.iter().any(|pair| of(pair).broke.is_none());
    match (is_open(|pair| pair.0), is_open(|pair| pair.1)) {
        (true, true) => "neither release broke: more was not asked".to_owned(),
        (true, false) => "production's release did not break: more was not asked".to_owned(),
        (false, true) => "the candidate did not break: more was not asked".to_owned(),
        (false, false) => "the turns do not say the same, or not well enough".to_owned(),
    }
}

/// The candidate's by production's, in the middle of both and in the mean of the turns.
fn middle(pairs: &[Pair]) -> Option<f64> {
    mean(pairs, |old, new| Some(new.middle()? / old.middle()?))
}

/// The geometric mean of something of each pair; nothing where one has none of it.
fn mean(pairs: &[Pair], of: impl Fn(Interval, Interval) -> Option<f64>) -> Option<f64> {
    geometric(pairs.iter().map(|(old, new)| of(*old, *new)))
}

/// The geometric mean; `None` where one is not known, or none is there.
pub(super) fn geometric(all: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let logs = all.map(|one| Some(one?.ln())).collect::<Option<Vec<f64>>>()?;
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}

/// What a second measurement, with both restarted, makes of a first in which the candidate seems to bear less.
pub(super) fn confirmed(first: &[Pair], again: &[Pair]) -> Answer {
    let all = [first, again].concat();
    let fell = middle(&all).is_some_and(|middle| middle <= 1.0 - FALL);
    let are_apart = !again.is_empty() && all.iter().all(|(old, new)| new.is_below(*old));
    match fell && are_apart {
        true => Answer::Lower,
        false => Answer::CouldNotTell("it was lower once, and not, or not by as much, with both restarted".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(held: f64, broke: f64) -> Interval {
        Interval {
            held: Some(held),
            broke: Some(broke),
        }
    }

    fn at_least(held: f64) -> Interval {
        Interval {
            held: Some(held),
            broke: None,
        }
    }

    fn none(broke: f64) -> Interval {
        Interval {
            held: None,
            broke: Some(broke),
        }
    }

    fn is_unknown(answer: &Answer, why: &str) -> bool {
        matches!(answer, Answer::CouldNotTell(said) if said.contains(why))
    }

    #[test]
    fn less_is_where_both_turns_lie_apart_and_the_mean_is_well_below() {
        let fell = [
            (closed(400.0, 420.0), closed(310.0, 325.0)),
            (closed(410.0, 430.0), closed(330.0, 345.0)),
        ];
        assert_eq!(compare(&fell), Answer::Lower);
        let rose = fell.map(|(old, new)| (new, old));
        assert_eq!(compare(&rose), Answer::Higher);
        assert!(factor(&fell).is_some_and(|factor| (factor - 0.79).abs() < 0.01));
    }

    #[test]
    fn a_little_less_is_alike_though_both_turns_lie_apart() {
        let little = [(closed(400.0, 415.0), closed(365.0, 380.0)); 2];
        assert_eq!(compare(&little), Answer::Alike);
    }

    #[test]
    fn one_turn_alone_says_nothing() {
        let turns = [
            (closed(400.0, 420.0), closed(200.0, 210.0)),
            (closed(400.0, 420.0), closed(395.0, 415.0)),
        ];
        assert!(is_unknown(&compare(&turns), "the turns do not say the same"));
        assert!(is_unknown(&compare(&[]), "nothing was measured"));
    }

    #[test]
    fn intervals_that_are_too_wide_are_not_alike() {
        let wide = [(closed(300.0, 450.0), closed(300.0, 450.0)); 2];
        assert!(is_unknown(&compare(&wide), "not well enough"));
    }

    #[test]
    fn what_did_not_break_bears_at_least_what_held_and_nobody_knows_how_much_more() {
        let neither = [(at_least(4_000.0), at_least(4_000.0)); 2];
        assert!(is_unknown(&compare(&neither), "neither release broke"));
        assert_eq!(factor(&neither), None);
        // A candidate that breaks where production's holds bears less, however much that bears.
        let fell = [(at_least(4_000.0), closed(800.0, 830.0)); 2];
        assert_eq!(compare(&fell), Answer::Lower);
        let more = [(closed(800.0, 830.0), at_least(4_000.0)); 2];
        assert_eq!(compare(&more), Answer::Higher);
        let as_much = [(closed(800.0, 830.0), at_least(810.0)); 2];
        assert_eq!(compare(&as_much), Answer::Alike);
        // It holds less than production's, and did not break.
        let unknown = [(closed(800.0, 830.0), at_least(400.0)); 2];
        assert!(is_unknown(&compare(&unknown), "the candidate did not break"));
    }

    #[test]
    fn a_candidate_that_bears_nothing_bears_less_and_production_that_does_is_no_measure() {
        let fell = [(closed(400.0, 420.0), none(25.0)); 2];
        assert_eq!(compare(&fell), Answer::Lower);
        let broken = [(none(25.0), none(25.0)); 2];
        assert!(is_unknown(&compare(&broken), "production's own release breaks"));
    }

    #[test]
    fn what_is_lower_once_only_or_by_a_little_is_not_lower() {
        let fell = [(closed(400.0, 420.0), closed(310.0, 325.0)); 2];
        let same = [(closed(400.0, 420.0), closed(400.0, 420.0)); 2];
        let little = [(closed(400.0, 420.0), closed(355.0, 373.0)); 2];
        assert_eq!(confirmed(&fell, &fell), Answer::Lower);
        assert!(is_unknown(&confirmed(&fell, &same), "with both restarted"));
        assert!(is_unknown(&confirmed(&fell, &[]), "with both restarted"));
        assert_eq!(compare(&little), Answer::Lower);
        assert!(is_unknown(&confirmed(&little, &little), "not by as much"));
    }
}
