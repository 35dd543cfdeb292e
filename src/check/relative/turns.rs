//! Turns: the slices of both releases as a load that the agent sends, and what comes back as pairs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::looks::{SLICE, order};
use crate::agent::load::plan::{Counts, Phase, Rate};
use crate::agent::load::slice::Slice;
use crate::record::outcome::{Lost, Part};
use crate::record::release::Role;
use crate::text::units::millis;

/// Of each slice this is not looked at: what waited in the other release's slice is over by then.
const SETTLES: Duration = Duration::from_millis(200);
/// Each release is warmed up so long before the first pair.
const WARM_UP: Duration = Duration::from_secs(5);

/// The mix of a release, in the order of a plan's mixes.
pub fn mix(role: Role) -> usize {
    match role {
        Role::Baseline => 0,
        Role::Candidate => 1,
    }
}

/// What is sent for so many pairs more, at so many requests a second; before the first of all, what warms up.
pub fn phases(from: usize, more: usize, rate: f64) -> Vec<Phase> {
    let phase = |role: Role, duration: Duration, counts: Counts| Phase {
        mix: mix(role),
        rate: Rate::Constant(rate),
        duration_ms: millis(duration),
        counts,
    };
    let warm_up = [Role::Baseline, Role::Candidate].map(|role| phase(role, WARM_UP, Counts::WarmUp));
    let warm_up = warm_up.into_iter().filter(|_| from == 0);
    let slice = |role| {
        [
            phase(role, SETTLES, Counts::WarmUp),
            phase(role, SLICE - SETTLES, Counts::Yes),
        ]
    };
    warm_up
        .chain((from..from + more).flat_map(order).flat_map(slice))
        .collect()
}

/// The slices that came back as pairs, the baseline's first.
///
/// # Errors
/// Some are missing, or are not those that were asked for.
pub fn pairs(phases: &[Phase], slices: &[Slice]) -> Result<Vec<(Slice, Slice)>, Lost> {
    let by_phase: BTreeMap<usize, &Slice> = slices
        .iter()
        .filter(|slice| slice.counts == Counts::Yes)
        .map(|slice| (slice.phase, slice))
        .collect();
    let wanted = phases
        .iter()
        .enumerate()
        .filter(|(_, phase)| phase.counts == Counts::Yes);
    let found = wanted.map(|(number, phase)| {
        let slice = by_phase.get(&number).filter(|slice| slice.mix == phase.mix);
        slice
            .copied()
            .cloned()
            .ok_or_else(|| Lost::new(Part::Agent, format!("slice {number} of a load did not come back")))
    });
    let found: Vec<Slice> = found.collect::<Result<_, Lost>>()?;
    let (both, rest) = found.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Lost::new(
            Part::Agent,
            "a slice of a load has no other to be compared with",
        ));
    }
    let baseline = mix(Role::Baseline);
    let in_order = both.iter().map(|[one, other]| match one.mix == baseline {
        true => (one.clone(), other.clone()),
        false => (other.clone(), one.clone()),
    });
    Ok(in_order.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::load::times::Times;

    fn sent(phases: &[Phase]) -> Vec<Slice> {
        let slice = |(number, phase): (usize, &Phase)| Slice {
            phase: number,
            mix: phase.mix,
            counts: phase.counts,
            start_ms: number as u64,
            length_ms: phase.duration_ms,
            planned: 1,
            sent: 1,
            lag: Times::new(),
            steps: Vec::new(),
        };
        phases.iter().enumerate().map(slice).collect()
    }

    #[test]
    fn a_release_is_asked_for_two_seconds_at_a_time_and_the_first_tenth_does_not_count() {
        let first = phases(0, 2, 200.0);
        let told: Vec<(usize, u64)> = first.iter().map(|phase| (phase.mix, phase.duration_ms)).collect();
        let slices = [0, 1, 1, 0].map(|mix| [(mix, 200), (mix, 1_800)]);
        assert_eq!(told, [&[(0, 5_000), (1, 5_000)][..], slices.as_flattened()].concat());
        // Later ones are warm, and go on in the same order.
        let later = phases(3, 1, 200.0);
        assert_eq!(later.iter().map(|phase| phase.mix).collect::<Vec<_>>(), [1, 1, 0, 0]);
    }

    #[test]
    fn what_comes_back_is_paired_whichever_was_first() {
        let asked = phases(0, 12, 200.0);
        let paired = pairs(&asked, &sent(&asked)).unwrap();
        assert_eq!(paired.len(), 12);
        assert!(paired.iter().all(|(old, new)| (old.mix, new.mix) == (0, 1)));
        assert!(paired[1].0.start_ms > paired[1].1.start_ms);
    }

    #[test]
    fn what_does_not_come_back_or_is_another_release_is_lost() {
        let asked = phases(0, 2, 200.0);
        let all = sent(&asked);
        assert!(pairs(&asked, &all[..all.len() - 1]).is_err());
        assert!(pairs(&asked, &[]).is_err());
        let mut other = all.clone();
        other[3].mix = 1;
        assert!(pairs(&asked, &other).is_err());
    }
}
