//! The swap: another release takes a place, on the same volumes. Upgrade and rollback are this one step in two directions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::course::Course;
use super::{Next, Rehearsal};
use crate::agent::probe::Question;
use crate::check::facts::{Aside, Swap};
use crate::check::ground::{Ground, Marks};
use crate::check::lives;
use crate::check::spans::Span;
use crate::check::traffic::Good;
use crate::config::settings::Rollback;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::swap::Swapped;
use crate::plan::Planned;
use crate::record::measured::{Measure, TimeRecord};
use crate::record::outcome::Outcome;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::text::units::{millis, seconds};
use crate::world::deploy::Deploy;
use crate::world::model::Service;
use crate::world::replica::Replica;

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
        course.begins(Span::swapping(stage, planned.on), &self.replicas());
        let neighbours = self.neighbours();
        let marks = ground.marks(&neighbours);
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
        self.recorder.times(self.measured(stage, planned.on, &swap, course));
        course.in_place = swap.outcome.held().map(|_| planned.on);
        self.set_neighbours_aside(&*ground, (stage, planned.on), (&neighbours, &marks), course);
        self.live_anew(stage, planned.on, course);
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

    /// Services that the release does not touch.
    fn neighbours(&self) -> Vec<String> {
        let all = lives::stays(&self.case(StageId::Upgrade)).into_iter();
        all.map(|replica| replica.service).collect()
    }

    /// What is away for a moment makes its neighbours say so, whichever release comes: that is nothing that the release
    /// does. Where it does not come up, they may have said why.
    fn set_neighbours_aside(
        &self,
        ground: &dyn Ground,
        (stage, role): (StageId, Role),
        (neighbours, since): (&[String], &Marks),
        course: &mut Course,
    ) {
        if course.in_place.is_some() {
            let said = ground.said_since(neighbours, since);
            course.facts.aside.push(Aside { stage, role, said });
        }
    }

    /// The containers that were made anew have no past.
    fn live_anew(&self, stage: StageId, to: Role, course: &mut Course) {
        let deploy = self.deploy(to);
        let made = deploy
            .made()
            .into_iter()
            .filter(|name| !deploy.rescaled.contains(*name));
        let made = made.filter_map(|name| deploy.services.get(name));
        let made: BTreeSet<Replica> = made.flat_map(Service::instances).collect();
        course.facts.lived.are_other(&made);
        course.lives_on(stage, &self.replicas());
    }

    /// What the configuration allows. The run's own limit cuts a swap off, and is nobody's failure.
    fn within(&self, to: Role) -> Duration {
        match (to, &self.settings.stages.rollback) {
            (Role::Baseline, Rollback::Within(within)) => *within,
            _ => self.settings.stages.upgrade.within,
        }
    }

    pub(super) async fn put_in_place(
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
        let deploy = self.deploy(to);
        let swapped = match ground.swap(&deploy, patience, to, course.probe.as_ref()).await {
            Outcome::Held(swapped) => swapped,
            other => return other,
        };
        let left = match to {
            Role::Candidate => left_of(within, &swapped),
            Role::Baseline => patience,
        };
        let expected = self.expected(deploy.anew.into_iter().collect(), good_answer(course));
        match ground.await_answers(&expected, left, within).await {
            Outcome::Held(()) => Outcome::Held(swapped),
            Outcome::Broke(failure) => Outcome::Broke(failure),
            Outcome::Lost(lost) => Outcome::Lost(lost),
        }
    }

    /// What could be told of its times, each with its limit; nothing of a release that did not come up.
    fn measured(&self, stage: StageId, to: Role, swap: &Swap, course: &Course) -> Vec<TimeRecord> {
        let Some(swapped) = swap.outcome.held() else {
            return Vec::new();
        };
        let time = |measure, value, limit| TimeRecord {
            measure,
            stage,
            value_ms: millis(value),
            limit_ms: millis(limit),
        };
        if to == Role::Baseline {
            return vec![time(Measure::WayBack, swap.took, swap.within)];
        }
        let traffic = course
            .facts
            .traffic
            .get(&stage)
            .and_then(|traffic| traffic.as_ref().ok());
        let budget = self.settings.stages.upgrade.max_downtime;
        let downtime = traffic.map(|traffic| time(Measure::Downtime, traffic.downtime, budget));
        let ready = time(Measure::Ready, used_by(swapped), swap.within);
        downtime.into_iter().chain([ready]).collect()
    }

    fn deploy(&self, to: Role) -> Deploy {
        match to {
            Role::Candidate => self.candidate.upgrade(self.world),
            Role::Baseline => self.candidate.rollback(self.world),
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
    within.saturating_sub(used_by(swapped)).max(Duration::from_secs(1))
}

/// From the first start of the new releases until all of them were ready.
fn used_by(swapped: &[Swapped]) -> Duration {
    let used = swapped.iter().map(|swapped| swapped.begun + swapped.ready).max();
    used.unwrap_or_default()
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
