//! Thousands of measurements, simulated: what the rule warns of and what it finds can be counted only where the truth is
//! known. A release is a queue of one server whose answers take as long as chance says; the machine's noise drifts as a
//! machine's does, and stumbles now and then; the seed is fixed.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::Duration;

use fastrand::Rng;

use super::compare::{Answer, Interval, Pair, compare, confirmed};
use super::held_to::HeldTo;
use super::ran_out::RanOut;
use super::search::{Next, Search, Start};
use super::step::{Bore, COUNTS, SETTLES, Step, Taken};
use super::turn::{Stopped, Turn};
use crate::check::relative::looks::order;
use crate::config::settings::Thresholds;
use crate::record::load::Quantile;
use crate::record::release::Role;

/// What production's release bears.
const BORN: f64 = 200.0;
/// Where a search begins.
const BEGINS: f64 = 0.6 * BORN;
/// Rates that a quarter of six minutes has room for.
const RATES: usize = 18;
/// Slices of a step.
const SLICES: usize = 8;
/// Of a step's drift, what is left in the next.
const DRIFT_STAYS: f64 = 0.9;

/// A machine while it measures.
struct Machine {
    rng: Rng,
    /// Deviations of what the machine drifts by, and the share of steps in which it stumbles: takes up to twice as long.
    noise: f64,
    stumbles: f64,
    drift: f64,
    /// The gate sends no more than this.
    sends: f64,
}

/// Drift, and stumbles.
const QUIET: (f64, f64) = (0.02, 0.0);
const SHARED: (f64, f64) = (0.05, 0.05);

impl Machine {
    fn of((noise, stumbles): (f64, f64), seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let drift = noise * gauss(&mut rng);
        Self {
            rng,
            noise,
            stumbles,
            drift,
            sends: f64::INFINITY,
        }
    }

    /// By what factor everything takes longer in the next step.
    fn slows(&mut self) -> f64 {
        let fresh = (1.0 - DRIFT_STAYS * DRIFT_STAYS).sqrt() * self.noise;
        self.drift = DRIFT_STAYS * self.drift + fresh * gauss(&mut self.rng);
        let stumble = match self.rng.f64() < self.stumbles {
            true => self.rng.f64(),
            false => 0.0,
        };
        self.drift.exp() * (1.0 + stumble)
    }

    /// A step at a rate, of a release that bears so many a second.
    fn step(&mut self, bears: f64, rate: f64) -> Step {
        let each = self.slows() / bears;
        let planned = (rate * COUNTS.as_secs_f64()) as u64;
        let (mut free, mut all, mut slices) = (0.0_f64, Vec::new(), vec![Vec::new(); SLICES]);
        for number in 0..(rate * (SETTLES + COUNTS).as_secs_f64()) as u64 {
            let due = number as f64 / rate;
            free = free.max(due) - (1.0 - self.rng.f64()).ln() * each;
            let slice = ((due - SETTLES.as_secs_f64()) * 2.0).floor();
            if slice >= 0.0 {
                slices[(slice as usize).min(SLICES - 1)].push(free - due);
                all.push(free - due);
            }
        }
        let at = |times: &mut Vec<f64>, share: f64| {
            times.sort_by(f64::total_cmp);
            let rank = (times.len() as f64 * share) as usize;
            Duration::from_secs_f64(times.get(rank).or(times.last()).copied().unwrap_or_default())
        };
        let medians = slices.iter_mut().enumerate().map(|(number, times)| {
            let middle = SETTLES + Duration::from_millis(500 * number as u64 + 250);
            (middle, at(times, 0.5))
        });
        let p99 = at(&mut all, 0.99);
        Step {
            planned,
            sent: planned.min((self.sends * COUNTS.as_secs_f64()) as u64),
            failed: 0,
            unconnected: 0,
            medians: vec![medians.collect()],
            latency: BTreeMap::from([(
                Quantile::P99,
                Taken {
                    since_due: p99,
                    since_sent: p99,
                },
            )]),
        }
    }

    /// A turn of a release, as it is driven on a mirror.
    fn turn(&mut self, bears: f64) -> Interval {
        let held_to = HeldTo::of(&Thresholds::default());
        let (mut search, mut asked) = (Search::from(Start::near(BEGINS)), Vec::new());
        let stopped = loop {
            let (Next::Ask(rate) | Next::AskAgain(rate)) = search.next() else {
                break Stopped::Found;
            };
            if asked.len() == RATES {
                break Stopped::Spent;
            }
            let bore = self.step(bears, rate).bore(&held_to);
            asked.push((rate, bore.clone()));
            search.learn(rate, bore);
        };
        Turn::of(&search, stopped, RanOut::unknown(), asked).interval()
    }

    fn measure(&mut self, baseline: f64, candidate: f64) -> Vec<Pair> {
        let pair = |pair| {
            let turns = order(pair).map(|role| match role {
                Role::Baseline => self.turn(baseline),
                Role::Candidate => self.turn(candidate),
            });
            match order(pair) {
                [Role::Baseline, _] => (turns[0], turns[1]),
                [Role::Candidate, _] => (turns[1], turns[0]),
            }
        };
        (0..2).map(pair).collect()
    }

    /// What is said of a candidate.
    fn says(&mut self, candidate: f64) -> Answer {
        let first = self.measure(BORN, candidate);
        match compare(&first) {
            Answer::Lower => confirmed(&first, &self.measure(BORN, candidate)),
            other => other,
        }
    }
}

fn gauss(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

/// How often a candidate gets each answer: alike, lower, higher, cannot be told.
fn count(machine: (f64, f64), runs: std::ops::Range<u64>, candidate: f64) -> [usize; 4] {
    let mut count = [0; 4];
    for seed in runs {
        count[match Machine::of(machine, seed).says(candidate) {
            Answer::Alike => 0,
            Answer::Lower => 1,
            Answer::Higher => 2,
            Answer::CouldNotTell(_) => 3,
        }] += 1;
    }
    count
}

/// None of the first thousand is; they take half a minute.
#[test]
fn of_equal_releases_none_is_warned_of_and_most_are_alike() {
    let shared = count(SHARED, 0..250, BORN);
    assert!(shared[1] == 0 && shared[0] > 225, "{shared:?}");
    let quiet = count(QUIET, 0..100, BORN);
    assert!(quiet[1] == 0 && quiet[0] > 95, "{quiet:?}");
}

#[test]
fn a_release_that_bears_a_fifth_less_is_found_19_times_of_20() {
    for machine in [QUIET, SHARED] {
        let of = count(machine, 5_000..5_200, 0.8 * BORN);
        assert!(of[1] >= 190, "{of:?}");
    }
}

#[test]
fn what_a_release_bears_is_found_to_a_seventh() {
    let found = (0..100).filter(|seed| {
        let mut machine = Machine::of(QUIET, *seed);
        let turns = [machine.turn(BORN), machine.turn(BORN)];
        let middle = turns.map(|turn| (turn.held.unwrap() * turn.broke.unwrap()).sqrt());
        (0.86..1.14).contains(&((middle[0] * middle[1]).sqrt() / BORN))
    });
    let found = found.count();
    assert!(found >= 90, "{found} of 100");
}

#[test]
fn a_gate_that_sends_less_than_a_release_bears_says_at_least_and_never_less() {
    for seed in 0..50 {
        let mut machine = Machine::of(QUIET, seed);
        machine.sends = 150.0;
        let turn = machine.turn(BORN);
        assert_eq!(turn.broke, None);
        assert!(
            turn.held.is_some_and(|held| (135.0..=152.0).contains(&held)),
            "{turn:?}"
        );
        assert!(matches!(machine.says(BORN), Answer::CouldNotTell(why) if why.contains("neither release broke")));
    }
}

/// What people do: one ramp of each release, one after the other, and whoever bears a tenth less has lost.
#[test]
fn one_ramp_of_each_blames_the_machine_on_the_candidate() {
    let blamed = (0..200).filter(|seed| {
        let mut machine = Machine::of(SHARED, *seed);
        let (old, new) = (machine.turn(BORN).held.unwrap(), machine.turn(BORN).held.unwrap());
        new < 0.9 * old
    });
    let blamed = blamed.count();
    assert!(blamed > 5, "{blamed} of 200");
}

#[test]
fn three_times_what_is_borne_breaks_and_half_of_it_holds() {
    let held_to = HeldTo::of(&Thresholds::default());
    let mut machine = Machine::of((0.0, 0.0), 7);
    let bore = machine.step(BORN, 3.0 * BORN).bore(&held_to);
    assert!(matches!(bore, Bore::Broke(_)), "{bore:?}");
    assert_eq!(machine.step(BORN, 0.5 * BORN).bore(&held_to), Bore::Held);
}
