//! A step: one rate for a few seconds, and whether the release bore it. What the gate did is told apart from what the
//! release did.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::held_to::{HeldTo, Percent};
use crate::agent::failure::CallFailureKind;
use crate::agent::load::plan::{Counts, Phase, Rate};
use crate::agent::load::slice::{Slice, StepSlice};
use crate::agent::load::times::Times;
use crate::record::load::Quantile;
use crate::text::units::{fine, millis};

/// So long the rate is there already when it begins to count: what an earlier one left is over by then.
pub(super) const SETTLES: Duration = Duration::from_secs(1);
/// So long it counts.
pub(super) const COUNTS: Duration = Duration::from_secs(4);
/// Slices of it, in which it is seen whether answers keep up.
pub(super) const SLICE: Duration = Duration::from_millis(500);

/// Answers that come later by more than this share of the time that goes by fall behind: as many are missing of the rate.
const BEHIND: f64 = 0.03;
/// Standard errors by which the line must be steeper than that: as it is asked twice, one is enough.
const ERRORS: f64 = 1.0;
/// Fewer slices with answers show no such thing.
const LEAST_SLICES: usize = 3;
/// The share of what was due that must have been sent.
const SENT: f64 = 0.99;
/// One that fails is an accident, whatever the share.
const ACCIDENTS: u64 = 1;

/// What was seen of one rate.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Requests that were due.
    pub(super) planned: u64,
    /// Requests that were sent.
    pub(super) sent: u64,
    /// Requests that were not answered well.
    pub(super) failed: u64,
    /// Those of them that found no connection.
    pub(super) unconnected: u64,
    /// The quantiles that a release is held to: from the moment at which requests were due, and at which they were sent.
    pub(super) latency: BTreeMap<Quantile, Taken>,
    /// For each request of the mix: when a slice was in its middle, since the step began, and the median of its own time
    /// for an answer. Together they would tell which request was asked more often there.
    pub(super) medians: Vec<Vec<(Duration, Duration)>>,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) since_due: Duration,
    pub(super) since_sent: Duration,
}

/// What became of a rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum Bore {
    /// The release bore it.
    Held,
    /// It broke what it is held to.
    Broke(Vec<Breach>),
    /// The gate did not send it, or not in time: nobody knows.
    Unsent(Unsent),
}

/// How a release breaks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum Breach {
    /// Answers take too long.
    Slow {
        /// The quantile.
        quantile: Quantile,
        /// What it is.
        took: Duration,
        /// What it may be.
        most: Duration,
    },
    /// Too many fail, as shares.
    Fails {
        /// So many do.
        failed: f64,
        /// Of which so many found no connection.
        unconnected: f64,
        /// So many may.
        most: f64,
    },
    /// Answers do not keep up with the rate, by this share of it.
    Behind(f64),
}

/// What the gate did not do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) enum Unsent {
    /// It sent fewer than were due.
    Fewer {
        /// Those that were sent.
        sent: u64,
        /// Those that were due.
        planned: u64,
    },
    /// It sent them so late that a quantile is beyond its bound by that alone.
    Late(Quantile),
}

/// What is sent for a step; the second phase counts.
pub(super) fn phases(mix: usize, rate: f64) -> Vec<Phase> {
    let phase = |duration, counts| Phase {
        mix,
        rate: Rate::Constant(rate),
        duration_ms: millis(duration),
        counts,
    };
    vec![phase(SETTLES, Counts::WarmUp), phase(COUNTS, Counts::Yes)]
}

impl Step {
    /// Of what came back of it.
    pub(super) fn of(slices: &[Slice], held_to: &HeldTo) -> Self {
        let counted: Vec<&Slice> = slices.iter().filter(|slice| slice.counts == Counts::Yes).collect();
        let mut whole = StepSlice::default();
        counted.iter().for_each(|slice| whole.add(&slice.whole()));
        let at = |times: &Times, quantile: Quantile| times.at(quantile.share()).unwrap_or_default();
        let taken = |(quantile, _): &(Quantile, Duration)| {
            let taken = Taken {
                since_due: at(&whole.latency, *quantile),
                since_sent: at(&whole.service, *quantile),
            };
            (*quantile, taken)
        };
        let median = |slice: &Slice, request: usize| {
            let middle = Duration::from_millis(slice.start_ms) + Duration::from_millis(slice.length_ms) / 2;
            Some((middle, slice.steps.get(request)?.service.at(Quantile::P50.share())?))
        };
        let requests = counted.iter().map(|slice| slice.steps.len()).max().unwrap_or_default();
        let medians = |request| counted.iter().filter_map(|slice| median(slice, request)).collect();
        Self {
            planned: counted.iter().map(|slice| slice.planned).sum(),
            sent: counted.iter().map(|slice| slice.sent).sum(),
            failed: whole.errors.count(),
            unconnected: whole
                .errors
                .by_failure
                .get(&CallFailureKind::Connect)
                .copied()
                .unwrap_or_default(),
            latency: held_to.latency.iter().map(taken).collect(),
            medians: (0..requests).map(medians).collect(),
        }
    }

    /// Whether the release bore it.
    pub(super) fn bore(&self, held_to: &HeldTo) -> Bore {
        let (sent, planned) = (self.sent, self.planned);
        let is_sent = planned > 0 && sent as f64 >= SENT * planned as f64;
        // Nothing more is sent where too much is unanswered: what was sent, and at its time, tells whose that is.
        if !is_sent && (planned == 0 || self.is_late(held_to)) {
            return Bore::Unsent(Unsent::Fewer { sent, planned });
        }
        let slow = held_to.latency.iter().filter_map(|bound| self.slow(*bound));
        let behind = self.behind().map(Breach::Behind);
        let breaches: Vec<Breach> = self
            .fails(held_to.errors)
            .into_iter()
            .chain(slow)
            .chain(behind)
            .collect();
        if !breaches.is_empty() {
            return Bore::Broke(breaches);
        }
        if !is_sent {
            return Bore::Unsent(Unsent::Fewer { sent, planned });
        }
        // Its own time is good, and the whole is not: that is the gate's.
        let late = |(quantile, most): &&(Quantile, Duration)| self.taken(*quantile).since_due > *most;
        match held_to.latency.iter().find(late) {
            Some((quantile, _)) => Bore::Unsent(Unsent::Late(*quantile)),
            None => Bore::Held,
        }
    }

    /// Half of what somebody waited, and more, had gone by before the request was sent.
    fn is_late(&self, held_to: &HeldTo) -> bool {
        let mut quantiles = held_to.latency.iter().map(|(quantile, _)| self.taken(*quantile));
        quantiles.any(|taken| taken.since_due > taken.since_sent * 2)
    }

    fn taken(&self, quantile: Quantile) -> Taken {
        self.latency.get(&quantile).copied().unwrap_or_default()
    }

    fn slow(&self, (quantile, most): (Quantile, Duration)) -> Option<Breach> {
        let took = self.taken(quantile).since_sent;
        (took > most).then_some(Breach::Slow { quantile, took, most })
    }

    fn fails(&self, most: f64) -> Option<Breach> {
        let share = |count: u64| count as f64 / self.sent.max(1) as f64;
        let failed = share(self.failed);
        (self.failed > ACCIDENTS && failed > most).then(|| Breach::Fails {
            failed,
            unconnected: share(self.unconnected),
            most,
        })
    }

    /// By how much later answers come for each second that goes by: where more is asked for than is borne, what waits grows
    /// as the rate is beyond it. One line through the medians of each request, by least squares, and never one that noise
    /// alone could make steep: `None` where nobody can tell that it is.
    fn behind(&self) -> Option<f64> {
        let told = self.medians.iter().filter(|medians| medians.len() >= LEAST_SLICES);
        let (requests, points): (Vec<usize>, Vec<Vec<Point>>) = told.map(|of| (1, around_mean(of))).unzip();
        let points = points.concat();
        let sum = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>();
        let spread = sum(|(at, _)| at * at);
        if spread <= 0.0 {
            return None;
        }
        let slope = sum(|(at, took)| at * took) / spread;
        let off: f64 = points.iter().map(|(at, took)| (took - slope * at).powi(2)).sum();
        let free = points.len().saturating_sub(requests.len() + 1).max(1);
        let error = (off / free as f64 / spread).sqrt();
        (slope - ERRORS * error > BEHIND).then_some(slope)
    }
}

/// Seconds, and seconds for an answer, from the mean of both.
type Point = (f64, f64);

fn around_mean(medians: &[(Duration, Duration)]) -> Vec<Point> {
    let mean = |of: fn(&(Duration, Duration)) -> Duration| {
        medians.iter().map(|point| of(point).as_secs_f64()).sum::<f64>() / medians.len() as f64
    };
    let (at, took) = (mean(|point| point.0), mean(|point| point.1));
    let points = medians.iter();
    points
        .map(|point| (point.0.as_secs_f64() - at, point.1.as_secs_f64() - took))
        .collect()
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slow { quantile, took, most } => {
                write!(f, "{quantile} {}, at most {}", fine(*took), fine(*most))
            }
            Self::Fails { failed, most, .. } => {
                write!(f, "{} of requests failed, at most {}", Percent(*failed), Percent(*most))
            }
            Self::Behind(share) => write!(f, "answers fell behind the rate by {}", Percent(*share)),
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fewer { sent, planned } => {
                write!(
                    f,
                    "more could not be sent: this machine sent {sent} of {planned} requests that were due"
                )
            }
            Self::Late(quantile) => {
                write!(
                    f,
                    "more could not be sent in time: {quantile} is beyond its bound by that alone"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::load::slice::Errors;

    const MS: Duration = Duration::from_millis(1);

    fn held_to() -> HeldTo {
        HeldTo {
            latency: vec![(Quantile::P95, 300 * MS)],
            errors: 0.01,
        }
    }

    /// Six slices of a hundred answers, the first of which takes so long, and each next one longer by that.
    fn slices(took: Duration, longer: Duration, late: Duration, errors: u64) -> Vec<Slice> {
        let slice = |number: u32| {
            let mut step = StepSlice {
                sent: 100 + errors,
                good: 100,
                errors: Errors {
                    by_failure: [(CallFailureKind::Connect, errors)].into(),
                    ..Errors::default()
                },
                ..StepSlice::default()
            };
            for _ in 0..100 {
                step.service.record(took + longer * number);
                step.latency.record(took + longer * number + late);
            }
            Slice {
                phase: 1,
                mix: 0,
                counts: Counts::Yes,
                start_ms: 1_000 + 500 * u64::from(number),
                length_ms: 500,
                planned: 100 + errors,
                sent: 100 + errors,
                lag: Times::new(),
                steps: vec![step],
            }
        };
        (0..6).map(slice).collect()
    }

    fn bore(slices: &[Slice]) -> Bore {
        Step::of(slices, &held_to()).bore(&held_to())
    }

    #[test]
    fn a_rate_is_asked_for_five_seconds_of_which_four_count() {
        let asked: Vec<(u64, Counts)> = phases(1, 50.0)
            .iter()
            .map(|phase| (phase.duration_ms, phase.counts))
            .collect();
        assert_eq!(asked, [(1_000, Counts::WarmUp), (4_000, Counts::Yes)]);
        // What does not count says nothing.
        let mut warm = slices(900 * MS, Duration::ZERO, Duration::ZERO, 50);
        warm.iter_mut().for_each(|slice| slice.counts = Counts::WarmUp);
        let all = [warm, slices(20 * MS, Duration::ZERO, Duration::ZERO, 0)].concat();
        assert_eq!(bore(&all), Bore::Held);
    }

    #[test]
    fn too_slow_or_too_many_errors_break_it() {
        assert_eq!(bore(&slices(299 * MS, Duration::ZERO, Duration::ZERO, 0)), Bore::Held);
        let slow = bore(&slices(302 * MS, Duration::ZERO, Duration::ZERO, 0));
        assert!(matches!(slow, Bore::Broke(breaches) if matches!(breaches[..], [Breach::Slow { .. }])));
        assert_eq!(bore(&slices(20 * MS, Duration::ZERO, Duration::ZERO, 1)), Bore::Held);
        let failing = bore(&slices(20 * MS, Duration::ZERO, Duration::ZERO, 2));
        let Bore::Broke(breaches) = failing else {
            panic!("{failing:?}")
        };
        assert_eq!(breaches[0].to_string(), "1.96 % of requests failed, at most 1.00 %");
    }

    #[test]
    fn one_request_that_fails_is_an_accident_whatever_the_share() {
        let strict = HeldTo {
            errors: 0.0,
            ..held_to()
        };
        let mut all = slices(20 * MS, Duration::ZERO, Duration::ZERO, 0);
        all[3] = slices(20 * MS, Duration::ZERO, Duration::ZERO, 1)[3].clone();
        assert_eq!(Step::of(&all, &strict).bore(&strict), Bore::Held);
        all[4] = slices(20 * MS, Duration::ZERO, Duration::ZERO, 1)[4].clone();
        assert!(matches!(Step::of(&all, &strict).bore(&strict), Bore::Broke(_)));
    }

    #[test]
    fn answers_that_come_ever_later_break_it_long_before_they_are_too_slow() {
        // 12 ms for each half second: 2.4 %.
        assert_eq!(bore(&slices(20 * MS, 12 * MS, Duration::ZERO, 0)), Bore::Held);
        let behind = bore(&slices(20 * MS, 30 * MS, Duration::ZERO, 0));
        let Bore::Broke(breaches) = behind else {
            panic!("{behind:?}")
        };
        assert_eq!(breaches.len(), 1);
        assert_eq!(breaches[0].to_string(), "answers fell behind the rate by 6.00 %");
    }

    #[test]
    fn requests_of_a_mix_that_differ_make_no_line_steep() {
        // Of two requests the slow one is asked more often in every other slice, and more so towards the end.
        let mut all = slices(10 * MS, Duration::ZERO, Duration::ZERO, 0);
        for (number, slice) in all.iter_mut().enumerate() {
            let mut slow = StepSlice::default();
            for _ in 0..(if number < 4 { 90 } else { 110 }) {
                slow.sent += 1;
                slow.good += 1;
                slow.service.record(250 * MS);
                slow.latency.record(250 * MS);
            }
            slice.steps.push(slow);
        }
        assert_eq!(bore(&all), Bore::Held);
    }

    #[test]
    fn what_is_not_sent_because_a_release_answers_nothing_any_more_is_the_releases() {
        let mut fewer = slices(900 * MS, Duration::ZERO, Duration::ZERO, 0);
        fewer.iter_mut().for_each(|slice| slice.planned += 20);
        assert!(matches!(bore(&fewer), Bore::Broke(_)), "{:?}", bore(&fewer));
        let mut well = slices(20 * MS, Duration::ZERO, Duration::ZERO, 0);
        well.iter_mut().for_each(|slice| slice.planned += 20);
        assert!(matches!(bore(&well), Bore::Unsent(Unsent::Fewer { .. })));
    }

    #[test]
    fn what_the_gate_did_not_send_or_sent_late_is_never_the_releases() {
        let mut fewer = slices(900 * MS, Duration::ZERO, 1000 * MS, 50);
        fewer.iter_mut().for_each(|slice| slice.planned += 2);
        assert!(matches!(
            bore(&fewer),
            Bore::Unsent(Unsent::Fewer {
                sent: 900,
                planned: 912
            })
        ));
        let late = slices(20 * MS, Duration::ZERO, 400 * MS, 0);
        assert_eq!(bore(&late), Bore::Unsent(Unsent::Late(Quantile::P95)));
        assert!(matches!(bore(&[]), Bore::Unsent(_)));
    }
}
