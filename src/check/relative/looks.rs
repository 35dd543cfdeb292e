//! When the pairs are looked at, and in which order their slices are measured.

use std::time::Duration;

use crate::config::settings::Load;
use crate::record::release::Role;

/// A slice: one release asked at the configured rate.
pub const SLICE: Duration = Duration::from_secs(2);
/// Two slices, one of each release.
pub const PAIR: Duration = Duration::from_secs(4);
/// Pairs before the first look.
pub const FIRST_LOOK: usize = 12;
/// Pairs between looks.
pub const EVERY: usize = 6;
/// The least budget: what comes before the first look.
pub const LEAST_BUDGET: Duration = Load::LEAST_BUDGET;

/// The looks of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    most: usize,
    ends: Ends,
}

/// When a measurement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Once enough is known.
    Known,
    /// When its budget is spent.
    Spent,
}

/// How a measurement goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// So many pairs, then another look.
    Measure(usize),
    /// It is over.
    Stop,
}

/// Whether the pairs so far say enough, whatever they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Every change that is asked for would be caught.
    Reached,
    /// More pairs would say more.
    Wanting,
}

impl Looks {
    /// As many pairs as a budget has room for; `None` under [`LEAST_BUDGET`].
    pub fn within(budget: Duration) -> Option<Self> {
        let most = usize::try_from(budget.as_millis() / PAIR.as_millis()).unwrap_or(usize::MAX);
        let ends = Ends::Known;
        (budget >= LEAST_BUDGET).then_some(Self { most, ends })
    }

    /// Of the control: one look.
    pub fn of_control() -> Self {
        Self {
            most: FIRST_LOOK,
            ends: Ends::Known,
        }
    }

    /// The same, to its end: what was suspect once is known as well as the budget allows before it blocks.
    pub fn to_the_end(self) -> Self {
        Self {
            ends: Ends::Spent,
            ..self
        }
    }

    /// The most pairs.
    pub fn most(self) -> usize {
        self.most
    }

    /// What follows after so many pairs.
    pub fn after(self, pairs: usize, precision: Precision) -> Next {
        if pairs < FIRST_LOOK {
            return Next::Measure(FIRST_LOOK - pairs);
        }
        let is_enough = self.ends == Ends::Known && precision == Precision::Reached;
        if pairs >= self.most || is_enough {
            return Next::Stop;
        }
        let to_next = EVERY - (pairs - FIRST_LOOK) % EVERY;
        Next::Measure(to_next.min(self.most - pairs))
    }
}

/// Whose slices a pair has, in order: every second pair is turned round, so that what drifts favours nobody.
pub fn order(pair: usize) -> [Role; 2] {
    match pair.is_multiple_of(2) {
        true => [Role::Baseline, Role::Candidate],
        false => [Role::Candidate, Role::Baseline],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After how many pairs it is looked, where precision comes with this many.
    fn looks(looks: Looks, reached: usize) -> Vec<usize> {
        let (mut pairs, mut all) = (0, Vec::new());
        let precision = |pairs| match pairs >= reached {
            true => Precision::Reached,
            false => Precision::Wanting,
        };
        while let Next::Measure(more) = looks.after(pairs, precision(pairs)) {
            pairs += more;
            all.push(pairs);
        }
        all
    }

    #[test]
    fn the_first_look_is_after_twelve_pairs_and_then_every_six_until_it_is_precise() {
        let six_minutes = Looks::within(Duration::from_secs(360)).unwrap();
        assert_eq!(six_minutes.most(), 90);
        assert_eq!(looks(six_minutes, 0), [12]);
        assert_eq!(looks(six_minutes, 19), [12, 18, 24]);
        assert_eq!(looks(six_minutes, usize::MAX).last(), Some(&90));
    }

    #[test]
    fn a_budget_is_held_and_one_without_room_for_a_look_is_none() {
        assert_eq!(
            looks(Looks::within(Duration::from_secs(60)).unwrap(), usize::MAX),
            [12, 15]
        );
        assert_eq!(looks(Looks::within(LEAST_BUDGET).unwrap(), usize::MAX), [12]);
        assert_eq!(Looks::within(Duration::from_millis(47_999)), None);
        assert_eq!(LEAST_BUDGET, PAIR * u32::try_from(FIRST_LOOK).unwrap());
        assert_eq!(looks(Looks::of_control(), usize::MAX), [12]);
    }

    #[test]
    fn pairs_are_turned_round_in_turn() {
        let slices: Vec<Role> = (0..2).flat_map(order).collect();
        let abba = [Role::Baseline, Role::Candidate, Role::Candidate, Role::Baseline];
        assert_eq!(slices, abba);
    }
}
