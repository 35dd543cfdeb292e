//! The swap: another release takes a place, on the same volumes. Upgrade and rollback are this one step in two directions.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::course::Course;
use super::{Next, Rehearsal, probe};
use crate::check::facts::Swap;
use crate::check::ground::Ground;
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
        let step = self.recorder.step(stage, &planned.id);
        let within = self.within(planned.on);
        let begun = Instant::now();
        let outcome = self.put_in_place(&*ground, planned.on, within, course).await;
        let swap = Swap {
            outcome: match outcome {
                Ok(swapped) => Outcome::Held(swapped),
                Err(failure) => Outcome::Broke(*failure),
            },
            took: begun.elapsed(),
            within,
        };
        let (status, reason) = status_of(&swap, planned.on);
        step.ended(status, reason);
        course.in_place = swap.outcome.held().map(|_| planned.on);
        course.marks = match planned.on {
            Role::Candidate => ground.beginnings(&self.candidates()),
            Role::Baseline => ground.marks(&self.candidates()),
        };
        course.facts.swaps.insert(stage, swap);
        self.look_at(stage, crate::check::Moment::Swapped, course).await;
        Next::On
    }

    /// What the configuration allows.
    fn within(&self, to: Role) -> Duration {
        match (to, &self.settings.stages.rollback) {
            (Role::Baseline, Rollback::Within(within)) => *within,
            _ => self.settings.stages.upgrade.within.min(self.time_left()),
        }
    }

    async fn put_in_place(
        &self,
        ground: &dyn Ground,
        to: Role,
        within: Duration,
        course: &Course,
    ) -> Result<Vec<Swapped>, Box<ServiceFailure>> {
        let begun = Instant::now();
        let patience = match to {
            Role::Candidate => within,
            // A release that is late is still worth knowing to come at all, so the clock is read, not obeyed.
            Role::Baseline => (within * 2).min(self.time_left()),
        };
        let swapped = ground.swap(&self.releases(to), patience, to).await?;
        let left = match to {
            Role::Candidate => within.saturating_sub(begun.elapsed()).max(Duration::from_secs(1)),
            Role::Baseline => patience,
        };
        let good = good_answer(course).and_then(|good| Some((probe::url(self.settings)?, good)));
        let expected = self.expected(self.candidates(), good);
        ground.await_answers(&expected, left, within).await?;
        Ok(swapped)
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

/// The status that the baseline gives the probe.
fn good_answer(course: &Course) -> Option<u16> {
    let traffic = course.facts.traffic.get(&StageId::Control)?;
    traffic.as_ref().ok()?.good
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
