//! Thousands of measurements, simulated: what the rule blocks and what it catches can be counted only where the truth is
//! known. Each world has its own noise, and the machine's noise drifts as a machine's does; the seed is fixed.

use std::f64::consts::TAU;

use fastrand::Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::answer::{Answer, Series, Why, answer};
use super::change::Change;
use super::estimate::{Estimate, LogRatio};
use super::looks::{Looks, Next, PAIR, Precision, order};
use super::several;
use super::twice::{Conclusion, conclude};
use crate::record::release::Role;

/// Requests of a slice of 2 s at 222/s, the first tenth discarded.
const REQUESTS: f64 = 400.0;
/// The rank of the request that is the slice's p95.
const P95_AT: f64 = 380.0;
/// Of a slice's drift, what is left in the next.
const DRIFT_STAYS: f64 = 0.9;
/// One slice in twenty is slower by up to twice where a machine is shared.
const SPIKES: f64 = 0.05;
/// One request in two hundred is slow for something that has nothing to do with the others.
const USUAL: f64 = 0.995;
const RUNS: u32 = 1_000;

/// A machine and a service.
#[derive(Clone, Copy)]
struct World {
    name: &'static str,
    /// Standard deviation of a request's logarithm.
    latency: f64,
    /// Of what the machine drifts by.
    drift: f64,
    /// Of what each slice has of its own.
    noise: f64,
    spikes: f64,
}

const WORLDS: [World; 3] = [
    World {
        name: "quiet",
        latency: 0.5,
        drift: 0.05,
        noise: 0.02,
        spikes: 0.0,
    },
    World {
        name: "shared",
        latency: 0.5,
        drift: 0.1,
        noise: 0.04,
        spikes: SPIKES,
    },
    World {
        name: "heavy tail",
        latency: 1.0,
        drift: 0.1,
        noise: 0.04,
        spikes: SPIKES,
    },
];

/// A machine while it measures slices.
struct Machine {
    world: World,
    rng: Rng,
    drift: f64,
    normal: Normal,
}

impl Machine {
    fn of(world: World, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let drift = world.drift * gauss(&mut rng);
        Self {
            world,
            rng,
            drift,
            normal: Normal::standard(),
        }
    }

    /// The logarithm of a slice's p95.
    fn slice(&mut self) -> f64 {
        let (world, rng) = (self.world, &mut self.rng);
        let fresh = (1.0 - DRIFT_STAYS * DRIFT_STAYS).sqrt() * world.drift;
        self.drift = DRIFT_STAYS * self.drift + fresh * gauss(rng);
        let spike = match rng.f64() < world.spikes {
            true => rng.f64().ln_1p(),
            false => 0.0,
        };
        // Where the request of that rank lies among all: so are ranks of so many requests spread.
        let (below, above) = (gamma(rng, P95_AT), gamma(rng, REQUESTS + 1.0 - P95_AT));
        let lies = (below / (below + above) / USUAL).min(0.9999);
        let noise = self.drift + world.noise * gauss(rng) + spike;
        noise + world.latency * self.normal.inverse_cdf(lies)
    }
}

fn gauss(rng: &mut Rng) -> f64 {
    let (radius, angle) = (1.0 - rng.f64(), rng.f64());
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

/// A gamma variable of a shape above 1, by Marsaglia's and Tsang's way.
fn gamma(rng: &mut Rng, shape: f64) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = gauss(rng);
        let v = (1.0 + c * x).powi(3);
        if v > 0.0 && (1.0 - rng.f64()).ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// Slices, one after the other: logarithms of p95.
trait Slices {
    fn next(&mut self) -> f64;
}

impl Slices for Machine {
    fn next(&mut self) -> f64 {
        self.slice()
    }
}

fn caught() -> Change {
    Change::of(0.1).unwrap()
}

/// One measurement, as it is driven on a mirror: the answer, and how many pairs it took.
fn measure(slices: &mut impl Slices, slower: f64) -> (Answer, usize) {
    let looks = Looks::within(90 * PAIR).unwrap();
    let (mut series, mut precision) = (Series::default(), Precision::Wanting);
    while let Next::Measure(more) = looks.after(series.pairs(), precision) {
        for pair in series.pairs()..series.pairs() + more {
            series.push(measure_pair(slices, pair, slower));
        }
        let is_precise = series.known().is_ok_and(|known| known.is_precise_for(caught()));
        precision = match is_precise {
            true => Precision::Reached,
            false => Precision::Wanting,
        };
    }
    let pairs = series.pairs();
    (say(series.known()), pairs)
}

fn measure_pair(slices: &mut impl Slices, pair: usize, slower: f64) -> Option<LogRatio> {
    let (mut baseline, mut candidate) = (0.0, 0.0);
    for role in order(pair) {
        let slice = slices.next();
        match role {
            Role::Baseline => baseline = slice,
            Role::Candidate => candidate = slice + slower.ln_1p(),
        }
    }
    LogRatio::of(f64::exp(baseline), f64::exp(candidate))
}

fn say(known: Result<Estimate, Why>) -> Answer {
    match known {
        Ok(known) => answer(&known, caught(), several::alone(&known)),
        Err(why) => Answer::CouldNotTell(why),
    }
}

/// What came of many runs.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Count {
    runs: u32,
    holds: u32,
    fails: u32,
    not_confirmed: u32,
    unknown: u32,
    /// Suspect once, whatever came of it.
    suspects: u32,
    pairs: usize,
}

fn count<S: Slices>(runs: u32, slower: f64, machine: impl Fn(u64) -> S) -> Count {
    let mut count = Count {
        runs,
        ..Count::default()
    };
    for run in 0..u64::from(runs) {
        let mut slices = machine(run);
        let (first, pairs) = measure(&mut slices, slower);
        count.pairs += pairs;
        let again = (first == Answer::Suspect).then(|| measure(&mut slices, slower).0);
        count.suspects += u32::from(again.is_some());
        match conclude(&first, again.as_ref()) {
            Conclusion::Holds => count.holds += 1,
            Conclusion::Fails => count.fails += 1,
            Conclusion::NotConfirmed => count.not_confirmed += 1,
            Conclusion::CouldNotTell(_) => count.unknown += 1,
        }
    }
    count
}

impl Count {
    fn percent(&self, of: u32) -> f64 {
        f64::from(of) * 100.0 / f64::from(self.runs)
    }
}

#[test]
fn of_a_thousand_runs_at_most_one_in_a_hundred_is_blocked_for_nothing_and_19_in_20_slow_ones_are_caught() {
    for world in WORLDS {
        let equal = count(RUNS, 0.0, |run| Machine::of(world, run));
        let slow = count(RUNS, 0.1, |run| Machine::of(world, 1_000_000 + run));
        assert!(equal.percent(equal.fails) <= 1.0, "{}: {equal:?}", world.name);
        assert!(slow.percent(slow.fails) >= 95.0, "{}: {slow:?}", world.name);
        // What is not answered is more seldom than what is, or the rule would be of no use.
        assert!(equal.percent(equal.unknown) <= 3.0, "{}: {equal:?}", world.name);
    }
}

/// What people do without pairs: all slices of one release, then all of the other, and a bound of 99 % on the difference.
fn one_after_the_other(machine: &mut Machine) -> Answer {
    const SLICES: usize = 18;
    let mut side = || (0..SLICES).map(|_| machine.slice()).collect::<Vec<f64>>();
    let (baseline, candidate) = (side(), side());
    let mean = |side: &[f64]| side.iter().sum::<f64>() / SLICES as f64;
    let square = |side: &[f64]| {
        let squares: f64 = side.iter().map(|value| (value - mean(side)).powi(2)).sum();
        squares / (SLICES - 1) as f64 / SLICES as f64
    };
    let error = (square(&baseline) + square(&candidate)).sqrt();
    match mean(&candidate) - mean(&baseline) > 2.33 * error {
        true => Answer::Suspect,
        false => Answer::Pass,
    }
}

#[test]
fn one_release_after_the_other_blames_a_drifting_machine_on_the_candidate() {
    let world = WORLDS[1];
    let blamed = |run| one_after_the_other(&mut Machine::of(world, run)) == Answer::Suspect;
    let blamed = (0..1_000).filter(|run| blamed(*run)).count();
    assert!(blamed > 50, "{blamed} of 1000");
}
