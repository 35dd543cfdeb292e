//! The schedule: which request is due when, and to which slice it belongs. It depends on the plan alone.

use std::time::Duration;

use super::plan::{LoadPlan, MOST_STEPS, Phase, Rate, SLICE};

/// A load may last so long.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Requests a second.
const MOST_RATE: f64 = 1_000_000.0;

/// One request that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// Since the load began.
    pub at: Duration,
    /// Of which slice.
    pub slice: usize,
    /// Which step of its mix.
    pub step: usize,
    /// How many were due before it.
    pub number: u64,
}

/// A slice that is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub phase: usize,
    pub start: Duration,
    pub length: Duration,
}

/// Why a plan cannot be followed.
pub(super) fn refused(plan: &LoadPlan) -> Option<String> {
    let rates = plan.phases.iter().flat_map(|phase| match phase.rate {
        Rate::Constant(rate) => [rate, rate],
        Rate::Ramp(from, to) => [from, to],
    });
    let is_rate = |rate: f64| (0.0..=MOST_RATE).contains(&rate);
    let has_steps = |phase: &Phase| plan.mixes.get(phase.mix).is_some_and(|mix| !mix.is_empty());
    let total: Duration = plan.phases.iter().map(length).sum();
    if !rates.into_iter().all(is_rate) {
        Some(format!("a rate is none of 0 to {MOST_RATE} a second"))
    } else if total > LONGEST {
        Some(format!("{} s are longer than a load may last", total.as_secs()))
    } else if plan.mixes.iter().any(|mix| mix.len() > MOST_STEPS) {
        Some(format!("a mix has more than {MOST_STEPS} steps"))
    } else if !plan.phases.iter().all(has_steps) {
        Some("a phase has nothing to send".to_owned())
    } else {
        None
    }
}

fn length(phase: &Phase) -> Duration {
    Duration::from_millis(phase.duration_ms)
}

/// Slices of a load; more are none of this world.
const MOST_SLICES: u128 = 10_000;

/// Each phase in equal slices, none longer than the plan says.
pub(super) fn spans(plan: &LoadPlan) -> Vec<Span> {
    let mut spans = Vec::new();
    let longest = u128::from(plan.slice_ms).clamp(1, SLICE.as_millis());
    let mut start = Duration::ZERO;
    for (phase, of) in plan.phases.iter().enumerate() {
        let count = length(of).as_millis().div_ceil(longest).clamp(1, MOST_SLICES);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        for number in 0..count {
            spans.push(Span {
                phase,
                start: start + length(of) * number / count,
                length: length(of) / count,
            });
        }
        start += length(of);
    }
    spans
}

/// Every request of the plan, in order.
pub(super) fn dues(plan: &LoadPlan) -> impl Iterator<Item = Due> + use<> {
    let spans = spans(plan);
    let phases: Vec<(Phase, usize)> = plan
        .phases
        .iter()
        .map(|phase| (phase.clone(), plan.mixes[phase.mix].len()))
        .collect();
    let starts: Vec<Duration> = (0..phases.len()).map(|phase| start_of(&spans, phase)).collect();
    let all = phases.into_iter().zip(starts).flat_map(|((phase, steps), start)| {
        (0_u64..)
            .map_while(move |count| at(&phase, count))
            .enumerate()
            .map(move |(count, at)| (start + at, count % steps))
    });
    let mut slice = 0;
    all.enumerate().map(move |(number, (at, step))| {
        while spans.get(slice + 1).is_some_and(|next| next.start <= at) {
            slice += 1;
        }
        Due {
            at,
            slice,
            step,
            number: number as u64,
        }
    })
}

fn start_of(spans: &[Span], phase: usize) -> Duration {
    let first = spans.iter().find(|span| span.phase == phase);
    first.map(|span| span.start).unwrap_or_default()
}

/// When the request behind so many others of its phase is due, since the phase began; none when the phase is over. A ramp
/// has sent `from·t + (to − from)·t²/2d` by the time t.
fn at(phase: &Phase, count: u64) -> Option<Duration> {
    let (count, lasts) = (count as f64, length(phase).as_secs_f64());
    let seconds = match phase.rate {
        Rate::Constant(rate) => count / rate,
        Rate::Ramp(from, to) if (from - to).abs() < f64::EPSILON => count / from,
        Rate::Ramp(from, to) => {
            let slope = (to - from) / lasts;
            (-from + (from * from + 2.0 * slope * count).sqrt()) / slope
        }
    };
    // No number where a rate of nothing is never over.
    (seconds < lasts).then(|| Duration::from_secs_f64(seconds.max(0.0)))
}

#[cfg(test)]
mod tests {
    use super::super::plan::{Counts, LoadStep};
    use super::*;

    fn plan(phases: &[(Rate, u64)], steps: usize) -> LoadPlan {
        let phases = phases.iter().map(|(rate, duration_ms)| Phase {
            mix: 0,
            rate: *rate,
            duration_ms: *duration_ms,
            counts: Counts::Yes,
        });
        LoadPlan {
            mixes: vec![vec![LoadStep::default(); steps]],
            phases: phases.collect(),
            slice_ms: 2_000,
            timeout_ms: 1_000,
            fresh_every: 0,
            most_at_once: 10,
            insecure: false,
            ca: Vec::new(),
        }
    }

    #[test]
    fn a_constant_rate_is_evenly_due_and_its_steps_take_turns() {
        let dues: Vec<Due> = dues(&plan(&[(Rate::Constant(4.0), 3_000)], 3)).collect();
        let at: Vec<u128> = dues.iter().map(|due| due.at.as_millis()).collect();
        assert_eq!(at, (0..12).map(|count| count * 250).collect::<Vec<_>>());
        let steps: Vec<usize> = dues.iter().map(|due| due.step).collect();
        assert_eq!(steps, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
        let slices: Vec<usize> = dues.iter().map(|due| due.slice).collect();
        assert_eq!(slices, [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn a_ramp_is_due_ever_more_often_and_as_often_in_all_as_its_mean() {
        let dues: Vec<Due> = dues(&plan(&[(Rate::Ramp(0.0, 100.0), 10_000)], 1)).collect();
        assert_eq!(dues.len(), 500);
        let early = dues.iter().filter(|due| due.at < Duration::from_secs(5)).count();
        assert_eq!(early, 125);
        let falling = super::dues(&plan(&[(Rate::Ramp(100.0, 0.0), 10_000)], 1));
        assert_eq!(falling.filter(|due| due.at < Duration::from_secs(5)).count(), 375);
    }

    #[test]
    fn steps_of_a_rate_are_phases_one_after_the_other() {
        let phases = [(Rate::Constant(10.0), 2_000), (Rate::Constant(20.0), 5_000)];
        let plan = plan(&phases, 1);
        assert_eq!(dues(&plan).count(), 20 + 100);
        let spans = spans(&plan);
        let of: Vec<usize> = spans.iter().map(|span| span.phase).collect();
        assert_eq!(of, [0, 1, 1, 1]);
        assert!(spans.iter().all(|span| span.length <= SLICE));
        let first_of_second = dues(&plan).find(|due| due.slice == 1);
        assert_eq!(first_of_second.map(|due| due.at), Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_never_ends_or_has_nothing_to_send_is_refused() {
        let wrong = [
            plan(&[(Rate::Constant(f64::NAN), 1_000)], 1),
            plan(&[(Rate::Constant(-1.0), 1_000)], 1),
            plan(&[(Rate::Constant(1.0), 4_000_000)], 1),
            plan(&[(Rate::Constant(1.0), 1_000)], 0),
            plan(&[(Rate::Constant(1.0), 1_000)], MOST_STEPS + 1),
        ];
        assert!(wrong.iter().all(|plan| refused(plan).is_some()));
        assert_eq!(refused(&plan(&[(Rate::Ramp(0.0, 1.0), 1_000)], 1)), None);
        assert_eq!(dues(&plan(&[(Rate::Constant(0.0), 1_000)], 1)).count(), 0);
    }
}
