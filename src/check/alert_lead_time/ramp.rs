//! A ramp: the rate of production's load is raised on its release, ever more, until a user's request fails or a container
//! crashes. It begins at production's own rate, so that what an alert says there can be told from what it says later.

use std::ops::ControlFlow;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::future::join;
use tokio_util::sync::CancellationToken;

use super::drill::{Drill, finished, harms, lock, of_seconds};
use super::rest::rest;
use crate::agent::failure::CallFailureKind;
use crate::agent::load::plan::{Counts, LoadPlan, Phase, Rate};
use crate::agent::load::slice::Slice;
use crate::alerts::series::{Recorder, Recording};
use crate::check::load::{most_at_once, nothing_to_send, sending};
use crate::config::settings::Load;
use crate::record::outcome::Lost;
use crate::text::units::{millis, rate};

/// By so much the rate rises in each step, evenly.
const RISE: f64 = 1.5;
/// So often it rises: to a hundred times of what production has.
const MOST_STEPS: u32 = 12;
/// No load lasts longer.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Slices, each of which says whether requests of its second failed.
const SLICE: Duration = Duration::from_secs(1);
/// One request of a second that fails is an accident.
const ACCIDENTS: u64 = 1;
/// The share of what was due that must have been sent.
const SENT: f64 = 0.99;
/// A request that was sent so late was delayed by the gate.
const LATE: Duration = Duration::from_secs(1);

/// What was recorded.
pub(super) struct Ramped {
    /// At production's own rate.
    pub usual: Recording,
    /// While it rose.
    pub raised: Recording,
    /// How far it rose, and why no further.
    pub remark: String,
}

/// Why the rate was raised no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Something failed or crashed.
    Harm,
    /// The gate could not send more.
    Unsent,
    /// It was high enough.
    Spent,
}

/// Raises the rate, and lets the release begin anew; or why it cannot.
///
/// # Errors
/// The agent is gone, or the release does not come back.
pub(super) async fn ramp(drill: &Drill<'_>, load: &Load) -> Result<Result<Ramped, String>, Lost> {
    let at = drill.at;
    let mix = match at.driver.mix().await {
        Ok(mix) if mix.steps.is_empty() => return Ok(Err(nothing_to_send(&mix))),
        Ok(mix) => mix,
        Err(why) => return Ok(Err(why)),
    };
    let plan = sending(load, &mix);
    let marks = at.marks();
    let ramped = raised(drill, load, &plan).await;
    // What is still under way would meet the release as soon as it is back, all at once.
    tokio::time::sleep(Duration::from_millis(plan.timeout_ms)).await;
    let rested = rest(drill).await;
    // What a release says of more than it bears, no release is known to say.
    at.driver.set_aside(&marks).await;
    rested.and(ramped)
}

async fn raised(drill: &Drill<'_>, load: &Load, plan: &LoadPlan) -> Result<Result<Ramped, String>, Lost> {
    let climb = Climb::new(load, drill.alerts.record, plan);
    let (usual, _) = climb.sent(drill, climb.usual()).await?;
    if let Some(second) = usual.harm() {
        let (rate, after) = (rate(load.rate), of_seconds(second));
        return Ok(Err(format!(
            "already at production's own rate, {rate} requests a second, a user's request fails after {after}"
        )));
    }
    let (raised, end) = climb.sent(drill, climb.rising()).await?;
    let remark = climb.remark(&raised, end);
    Ok(Ok(Ramped { usual, raised, remark }))
}

/// How the rate rises.
struct Climb<'a> {
    from: f64,
    /// How long a step lasts, and how long it goes on when something has failed.
    step: Duration,
    plan: &'a LoadPlan,
}

impl<'a> Climb<'a> {
    fn new(load: &Load, step: Duration, plan: &'a LoadPlan) -> Self {
        let from = load.rate.min(Load::MOST_RATE);
        Self { from, step, plan }
    }

    fn usual(&self) -> Vec<Phase> {
        vec![self.phase(Rate::Constant(self.from))]
    }

    /// How often it rises.
    fn steps(&self) -> u32 {
        let fit = LONGEST.as_secs() / self.step.as_secs().max(1);
        MOST_STEPS.min(u32::try_from(fit).unwrap_or(MOST_STEPS))
    }

    fn rising(&self) -> Vec<Phase> {
        let rates = (0..self.steps()).map(|step| (self.after(step), self.after(step + 1)));
        let rates = rates.take_while(|(from, to)| from < to);
        rates.map(|(from, to)| self.phase(Rate::Ramp(from, to))).collect()
    }

    /// The rate after so many steps.
    fn after(&self, steps: u32) -> f64 {
        (self.from * RISE.powi(steps.cast_signed())).min(Load::MOST_RATE)
    }

    fn phase(&self, rate: Rate) -> Phase {
        Phase {
            mix: 0,
            rate,
            duration_ms: millis(self.step),
            counts: Counts::Yes,
        }
    }

    /// Sends that and records, until some time after something has failed.
    async fn sent(&self, drill: &Drill<'_>, phases: Vec<Phase>) -> Result<(Recording, End), Lost> {
        let plan = LoadPlan {
            phases,
            slice_ms: millis(SLICE),
            most_at_once: most_at_once(Load::MOST_RATE, Duration::from_millis(self.plan.timeout_ms)),
            ..self.plan.clone()
        };
        let (recorder, over) = (Mutex::new(Recorder::default()), CancellationToken::new());
        let end = Mutex::new(End::Spent);
        let seen = |slices: &[Slice]| match self.look(slices, &recorder) {
            Some(why) => {
                *lock(&end) = why;
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        };
        let sending = async {
            let sent = drill.at.ground.load_while(plan, &seen).await;
            over.cancel();
            sent
        };
        let (recorded, sent) = join(drill.record_until(&recorder, |_| over.is_cancelled()), sending).await;
        recorded?;
        sent?;
        let end = *lock(&end);
        Ok((finished(recorder), end))
    }

    /// Whether these slices are its end.
    fn look(&self, slices: &[Slice], recorder: &Mutex<Recorder>) -> Option<End> {
        let mut recorder = lock(recorder);
        for slice in slices {
            match fate(slice) {
                Fate::Borne => {}
                Fate::Unsent if recorder.first_harm().is_none() => return Some(End::Unsent),
                // The release leaves so much unanswered that no more is sent.
                Fate::Unsent => {}
                Fate::Fails(kind) => recorder.failed_in(self.failed_in(slice, kind)),
            }
        }
        let harm = recorder.first_harm()?;
        (recorder.seconds() as u64 >= harm as u64 + self.step.as_secs()).then_some(End::Harm)
    }

    /// The second in which the first request of a slice failed: what gets no answer fails when nobody waits any longer.
    fn failed_in(&self, slice: &Slice, kind: Fails) -> usize {
        let after = match kind {
            Fails::AtOnce => 0,
            Fails::Unanswered => self.plan.timeout_ms,
        };
        usize::try_from((slice.start_ms + after) / 1_000).unwrap_or(usize::MAX)
    }

    /// The rate in that second.
    fn rate_in(&self, second: usize) -> f64 {
        let steps = second as f64 / self.step.as_secs_f64();
        let whole = steps.floor();
        let from = self.from * RISE.powf(whole);
        (from + from * (RISE - 1.0) * (steps - whole)).min(self.after(self.steps()))
    }

    /// For people.
    fn remark(&self, raised: &Recording, end: End) -> String {
        let (from, to) = (rate(self.from), |second| rate(self.rate_in(second)));
        match (raised.harm(), end) {
            (None, End::Unsent) => format!(
                "the rate was raised from {from} to {} requests a second, more could not be sent, and nothing failed",
                to(raised.seconds)
            ),
            (None, End::Harm | End::Spent) => format!(
                "the rate was raised from {from} to {} requests a second, and nothing failed",
                to(raised.seconds)
            ),
            (Some(second), _) => format!(
                "the rate was raised from {from} requests a second; {}, at {}",
                harms(raised).join(", "),
                to(second)
            ),
        }
    }
}

/// What became of a second's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// They were answered well.
    Borne,
    /// Some were not.
    Fails(Fails),
    /// They were not sent, or late: nobody's doing but the gate's.
    Unsent,
}

/// How the first of them failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fails {
    /// By an answer, or by none that could come.
    AtOnce,
    /// Nobody waited any longer.
    Unanswered,
}

fn fate(slice: &Slice) -> Fate {
    let errors = slice.whole().errors;
    let silent = errors
        .by_failure
        .get(&CallFailureKind::Timeout)
        .copied()
        .unwrap_or_default();
    let is_late = slice.lag.at(0.5).is_some_and(|lag| lag >= LATE);
    match errors.count() {
        _ if is_late => Fate::Unsent,
        count if count > ACCIDENTS && count == silent => Fate::Fails(Fails::Unanswered),
        count if count > ACCIDENTS => Fate::Fails(Fails::AtOnce),
        _ if (slice.sent as f64) < SENT * slice.planned as f64 => Fate::Unsent,
        _ => Fate::Borne,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::load::slice::{Errors, StepSlice};
    use crate::check::load_limits::tests::slice;

    const TIMEOUT_MS: u64 = 10_000;

    /// A second from so many milliseconds on, of a hundred requests of which these failed.
    fn failing(start_ms: u64, statuses: u64, timeouts: u64) -> Slice {
        let step = StepSlice {
            errors: Errors {
                by_status: [(500, statuses)].into(),
                by_failure: [(CallFailureKind::Timeout, timeouts)].into(),
            },
            ..StepSlice::default()
        };
        Slice {
            start_ms,
            steps: vec![step],
            ..slice(0, 100, 10, 0)
        }
    }

    /// When the first request failed, and whether these are the end, a step of six seconds after it.
    fn looked(slices: &[Slice], seconds: usize) -> (Option<usize>, Option<End>) {
        let plan = LoadPlan {
            timeout_ms: TIMEOUT_MS,
            ..LoadPlan::default()
        };
        let climb = Climb {
            from: 10.0,
            step: Duration::from_secs(6),
            plan: &plan,
        };
        let recorder = Mutex::new(Recorder::default());
        (0..seconds).for_each(|_| lock(&recorder).second([]));
        let end = climb.look(slices, &recorder);
        (finished(recorder).first_failure, end)
    }

    #[test]
    fn one_request_that_fails_alone_in_its_second_is_an_accident() {
        assert_eq!(looked(&[failing(3_000, 1, 0), failing(4_000, 0, 1)], 30), (None, None));
        assert_eq!(
            looked(&[failing(3_000, 1, 0), failing(4_000, 2, 0)], 9),
            (Some(4), None)
        );
        assert_eq!(looked(&[failing(4_000, 2, 0)], 10), (Some(4), Some(End::Harm)));
    }

    #[test]
    fn what_gets_no_answer_fails_when_nobody_waits_any_longer() {
        assert_eq!(looked(&[failing(4_000, 0, 2)], 16), (Some(14), None));
        // One that is refused beside them fails at once.
        assert_eq!(looked(&[failing(4_000, 1, 2)], 9), (Some(4), None));
    }

    #[test]
    fn what_the_gate_sends_late_or_not_at_all_is_no_failed_request() {
        let mut late = failing(4_000, 50, 0);
        (0..500).for_each(|_| late.lag.record(Duration::from_secs(2)));
        assert_eq!(looked(&[late], 30), (None, Some(End::Unsent)));
        let mut unsent = failing(4_000, 0, 0);
        unsent.planned += 2;
        assert_eq!(looked(std::slice::from_ref(&unsent), 30), (None, Some(End::Unsent)));
        // A release that leaves too much unanswered has failed before.
        assert_eq!(looked(&[failing(3_000, 0, 9), unsent], 15), (Some(13), None));
    }
}
