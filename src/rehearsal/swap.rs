//! The swap: another release takes a place, on the same volumes. Upgrade and rollback are this one step in two directions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::course::Course;
use super::{Next, Rehearsal};
use crate::agent::probe::Question;
use crate::check::facts::Swap;
use crate::check::ground::Ground;
use crate::check::traffic::Good;
use crate::config::settings::Rollback;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::swap::Swapped;
use crate::plan::Planned;
use crate::record::outcome::Outcome;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::text::units::seconds;
use crate::world::model::Service;

impl Rehearsal<'_> {
    pub(super) async fn swap(&self, stage: StageId, planned: &Planned, course: &mut Course) -> Next {
        let Some(ground) = course.ground.clone() else {
            return Next::End;
        };
        // What the candidate has shown is judged while it is there.
        if course.in_place == Some(Role::Candidate) {
            self.settle(stage, course).await;
        }
        let left = course.in_place;
        let step = self.recorder.step(stage, &planned.id);
        let within = self.within(planned.on);
        let begun = Instant::now();
        let swap = Swap {
            outcome: self.put_in_place(&*ground, planned.on, within, course).await,
            took: begun.elapsed(),
            within,
        };
        let (status, reason) = status_of(&swap, planned.on);
        step.ended(status, reason);
        if planned.on == Role::Candidate {
            self.swap_traffic_ends(&*ground, course).await;
        }
        course.in_place = swap.outcome.held().map(|_| planned.on);
        course.marks = match planned.on {
            Role::Candidate => ground.beginnings(&self.candidates()),
            Role::Baseline => ground.marks(&self.candidates()),
        };
        course.facts.swaps.insert(stage, swap);
        if let Some(left) = left {
            self.look_stopping(stage, left, course).await;
        }
        self.look_at(stage, crate::check::Moment::Swapped, course).await;
        Next::On
    }

    /// What the configuration allows. The run's own limit cuts a swap off, and is nobody's failure.
    fn within(&self, to: Role) -> Duration {
        match (to, &self.settings.stages.rollback) {
            (Role::Baseline, Rollback::Within(within)) => *within,
            _ => self.settings.stages.upgrade.within,
        }
    }

    async fn put_in_place(
        &self,
        ground: &dyn Ground,
        to: Role,
        within: Duration,
        course: &Course,
    ) -> Outcome<Vec<Swapped>, ServiceFailure> {
        let patience = match to {
            Role::Candidate => within,
            // A release that is late is still worth knowing to come at all, so the clock is read, not obeyed.
            Role::Baseline => within * 2,
        };
        let swapped = match ground
            .swap(&self.releases(to), patience, to, course.probe.as_ref())
            .await
        {
            Outcome::Held(swapped) => swapped,
            other => return other,
        };
        let left = match to {
            Role::Candidate => left_of(within, &swapped),
            Role::Baseline => patience,
        };
        let expected = self.expected(self.candidates(), good_answer(course));
        match ground.await_answers(&expected, left, within).await {
            Outcome::Held(()) => Outcome::Held(swapped),
            Outcome::Broke(failure) => Outcome::Broke(failure),
            Outcome::Lost(lost) => Outcome::Lost(lost),
        }
    }

    fn releases(&self, role: Role) -> BTreeMap<String, Service> {
        match role {
            Role::Candidate => self.candidate.clone(),
            Role::Baseline => {
                let own = |name: &String| Some((name.clone(), self.world.services.get(name)?.clone()));
                self.candidate.keys().filter_map(own).collect()
            }
        }
    }
}

/// What the probe asks over HTTP, and the status that the baseline gives.
fn good_answer(course: &Course) -> Option<(String, u16)> {
    let traffic = course.facts.traffic.get(&StageId::Control)?;
    match (course.probe.as_ref()?, traffic.as_ref().ok()?.good?) {
        (Question::Get(url), Good::Status(status)) => Some((url.clone(), status)),
        _ => None,
    }
}

/// What the new releases have not used up: what the old ones took to stop is not charged to them.
fn left_of(within: Duration, swapped: &[Swapped]) -> Duration {
    let used = swapped.iter().map(|swapped| swapped.ready).sum();
    within.saturating_sub(used).max(Duration::from_secs(1))
}

fn status_of(swap: &Swap, to: Role) -> (Status, Option<String>) {
    match (&swap.outcome, to) {
        (Outcome::Broke(failure), _) => (Status::Failed, Some(failure.line())),
        (Outcome::Lost(lost), _) => (Status::Error, Some(lost.to_string())),
        (Outcome::Held(_), Role::Baseline) if swap.took > swap.within => {
            let words = format!("{}, {} are allowed", seconds(swap.took), seconds(swap.within));
            (Status::Failed, Some(format!("the rollback took {words}")))
        }
        (Outcome::Held(_), _) => (Status::Passed, None),
    }
}
