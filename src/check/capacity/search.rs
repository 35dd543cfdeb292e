//! The search for the highest rate that a release bears: ever more until it breaks, then between the last rate
//! that held and the first that broke. Pure: it says which rate to ask next, and learns what became of it.

use serde::Serialize;

use super::step::{Bore, Breach, Unsent};
use crate::config::settings::Load;

/// By so much the rate rises until it breaks, where nobody knows when that is.
const RISE: f64 = 2.0;
/// The same where it is about to: what is asked beyond what is borne waits, and must be answered afterwards.
const LITTLE_RISE: f64 = 1.5;
/// By so much it falls where already the first rate breaks.
const FALL: f64 = 2.0;
/// So often it may fall.
const FALLS: i32 = 4;
/// The last that held and the first that broke are near enough.
const NEAR: f64 = 1.05;
/// The gate asks no less than this a second.
const LEAST: f64 = 1.0;

/// Where a search begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Start {
    /// Requests a second.
    pub(super) rate: f64,
    rise: f64,
}

impl Start {
    /// At this rate, of a release of which nothing is known.
    pub(super) fn unknown(rate: f64) -> Self {
        let rise = RISE;
        Self { rate, rise }
    }

    /// At this rate, not far below what it may bear.
    pub(super) fn near(rate: f64) -> Self {
        let rise = LITTLE_RISE;
        Self { rate, rise }
    }
}

/// A search under way.
#[derive(Debug, Clone)]
pub(super) struct Search {
    from: f64,
    rise: f64,
    held: Option<f64>,
    end: Option<(f64, End)>,
    /// A rate that was not borne once: to be asked again, for a machine may stumble.
    doubted: Option<f64>,
}

/// Why a rate was not borne.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum End {
    /// The release broke.
    Broke(Vec<Breach>),
    /// The gate could not ask it.
    Unsent(Unsent),
}

/// What is to be asked next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    /// This rate.
    Ask(f64),
    /// This rate, once more: what it comes to counts.
    AskAgain(f64),
    /// Nothing.
    Over,
}

impl Search {
    /// Begins there.
    pub(super) fn from(start: Start) -> Self {
        Self {
            from: start.rate.clamp(LEAST, Load::MOST_RATE),
            rise: start.rise,
            held: None,
            end: None,
            doubted: None,
        }
    }

    /// What is to be asked next.
    pub(super) fn next(&self) -> Next {
        if let Some(rate) = self.doubted {
            return Next::AskAgain(rate);
        }
        let rate = match (self.held, &self.end) {
            (None, None) => Some(self.from),
            (Some(held), None) => (held < Load::MOST_RATE).then(|| (held * self.rise).min(Load::MOST_RATE)),
            (None, Some((end, _))) => {
                let least = (self.from / FALL.powi(FALLS)).max(LEAST);
                (*end > least).then(|| (end / FALL).max(least))
            }
            (Some(held), Some((end, _))) => (end / held > NEAR).then(|| (held * end).sqrt()),
        };
        rate.map_or(Next::Over, Next::Ask)
    }

    /// What became of a rate that was asked.
    pub(super) fn learn(&mut self, rate: f64, bore: Bore) {
        let again = self.doubted.take().is_some();
        let end = match bore {
            Bore::Held => {
                self.held = Some(rate);
                return;
            }
            Bore::Broke(breaches) => End::Broke(breaches),
            Bore::Unsent(unsent) => End::Unsent(unsent),
        };
        match again {
            true => self.end = Some((rate, end)),
            false => self.doubted = Some(rate),
        }
    }

    /// The highest rate that held.
    pub(super) fn held(&self) -> Option<f64> {
        self.held
    }

    /// The lowest rate that was not borne, and why.
    pub(super) fn end(&self) -> Option<&(f64, End)> {
        self.end.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broke() -> Bore {
        Bore::Broke(vec![Breach::Behind(0.5)])
    }

    fn unsent() -> Bore {
        Bore::Unsent(Unsent::Fewer { sent: 1, planned: 9 })
    }

    /// Every rate that is asked, where each becomes what is said.
    fn asked(search: &mut Search, becomes: impl Fn(f64) -> Bore) -> Vec<f64> {
        let mut all = Vec::new();
        while let Next::Ask(rate) | Next::AskAgain(rate) = search.next() {
            all.push(rate);
            assert!(all.len() < 60, "{all:?}");
            search.learn(rate, becomes(rate));
        }
        all
    }

    fn up_to(capacity: f64) -> impl Fn(f64) -> Bore {
        move |rate| if rate <= capacity { Bore::Held } else { broke() }
    }

    #[test]
    fn it_doubles_until_it_breaks_twice_and_is_sought_between_then() {
        let mut search = Search::from(Start::unknown(100.0));
        let all = asked(&mut search, up_to(300.0));
        assert_eq!(all[..5], [100.0, 200.0, 400.0, 400.0, (200.0_f64 * 400.0).sqrt()]);
        let (held, (end, _)) = (search.held().unwrap(), search.end().unwrap());
        assert!(held <= 300.0 && *end > 300.0 && end / held <= NEAR, "{held} {end}");
    }

    #[test]
    fn a_rate_that_breaks_once_and_then_holds_has_held() {
        let mut search = Search::from(Start::unknown(100.0));
        search.learn(100.0, broke());
        assert_eq!(search.next(), Next::AskAgain(100.0));
        search.learn(100.0, Bore::Held);
        assert_eq!((search.held(), search.end()), (Some(100.0), None));
        assert_eq!(search.next(), Next::Ask(200.0));
    }

    #[test]
    fn where_the_first_rate_breaks_it_falls_and_not_for_ever() {
        let mut search = Search::from(Start::unknown(100.0));
        asked(&mut search, up_to(30.0));
        assert!(search.held().is_some_and(|held| (28.0..=30.0).contains(&held)));
        let mut none = Search::from(Start::unknown(100.0));
        let all = asked(&mut none, up_to(0.0));
        assert_eq!(none.held(), None);
        assert_eq!(all.last(), Some(&6.25));
        let mut least = Search::from(Start::unknown(2.0));
        assert_eq!(asked(&mut least, up_to(0.0)).last(), Some(&LEAST));
    }

    #[test]
    fn what_the_gate_cannot_send_ends_it_without_a_word_on_the_release() {
        let mut search = Search::from(Start::unknown(100.0));
        asked(&mut search, |rate| if rate <= 400.0 { Bore::Held } else { unsent() });
        assert!(search.held().is_some_and(|held| held > 380.0));
        assert!(matches!(search.end(), Some((_, End::Unsent(_)))));
        // A release that breaks below that is found all the same.
        let mut both = Search::from(Start::unknown(100.0));
        asked(&mut both, |rate| match rate {
            rate if rate > 330.0 => unsent(),
            rate if rate > 250.0 => broke(),
            _ => Bore::Held,
        });
        assert!(matches!(both.end(), Some((rate, End::Broke(_))) if *rate < 270.0));
        let mut fast = Search::from(Start::unknown(100.0));
        assert_eq!(asked(&mut fast, |_| Bore::Held).last(), Some(&Load::MOST_RATE));
        assert_eq!((fast.held(), fast.end()), (Some(Load::MOST_RATE), None));
    }

    proptest! {
        #[test]
        fn whatever_happens_it_ends_and_what_held_lies_below_what_did_not(from in 0.0..20_000.0_f64, luck in any::<u64>()) {
            let mut rng = fastrand::Rng::with_seed(luck);
            let mut search = Search::from(Start::near(from));
            let mut count = 0;
            while let Next::Ask(rate) | Next::AskAgain(rate) = search.next() {
                prop_assert!((LEAST..=Load::MOST_RATE).contains(&rate), "{rate}");
                count += 1;
                prop_assert!(count < 100);
                search.learn(rate, match rng.u8(0..3) {
                    0 => Bore::Held,
                    1 => broke(),
                    _ => unsent(),
                });
            }
            if let (Some(held), Some((end, _))) = (search.held(), search.end()) {
                prop_assert!(held < *end);
            }
        }
    }
}
