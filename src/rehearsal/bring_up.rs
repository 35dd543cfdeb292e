//! Bringing up: production's release on the mirror, every service as its dependencies allow.

use std::time::Duration;

use super::course::Course;
use super::{Next, Rehearsal};
use crate::check::ground::{Copy, Ground};
use crate::check::spans::Span;
use crate::check::trouble;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::restore::{RestoreFailure, Restored};
use crate::mirror::start::{BroughtUp, Started, first_failure};
use crate::record::outcome::Outcome;
use crate::record::recorded::StepRecord;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::text::units::millis;

/// What has used up its time is asked once all the same.
const AT_LEAST: Duration = Duration::from_secs(1);

impl Rehearsal<'_> {
    /// Networks, volumes, the agent.
    pub(super) async fn make_mirror(&self, stage: StageId, course: &mut Course) -> Next {
        let step = self.recorder.step(stage, &Step::Mirror);
        match self.grounds.prepare(Copy::First).await {
            Ok(ground) => {
                step.passed();
                course.ground = Some(ground);
                Next::On
            }
            Err(error) => {
                let why = format!("{error:#}");
                step.ended(Status::Error, Some(why.clone()));
                self.broken(course, trouble::machine(stage, &why))
            }
        }
    }

    /// All services come up side by side, so the first of these steps starts them all.
    pub(super) async fn start(&self, stage: StageId, course: &mut Course) -> Next {
        if course.in_place.is_some() {
            return Next::On;
        }
        let Some(ground) = course.ground.clone() else {
            return Next::End;
        };
        let since = self.recorder.now_ms();
        let brought_up = match ground.start(self.start_within()).await {
            Ok(brought_up) => brought_up,
            Err(error) => return self.broken(course, trouble::machine(stage, &format!("{error:#}"))),
        };
        let BroughtUp { started, restored } = &brought_up;
        self.brought_up(stage, since, started, restored);
        course.facts.started.clone_from(started);
        if let Some((restored, failure)) = failed(restored) {
            return self.broken(course, trouble::not_restored(stage, restored, failure));
        }
        if let Some(failure) = first_failure(started) {
            return self.broken(course, trouble::service_down(stage, failure));
        }
        course.in_place = Some(Role::Baseline);
        course.begins(Span::swapping(stage, Role::Baseline), &self.replicas());
        self.await_production(&*ground, &brought_up).await;
        course.facts.lived.are_other(&self.replicas());
        course.lives_on(stage, &self.replicas());
        Next::On
    }

    /// What was started is given the rest of its time to answer. What does not answer by then is the suites' business.
    /// Restoring is charged to nobody.
    pub(super) async fn await_production(&self, ground: &dyn Ground, brought_up: &BroughtUp) {
        let within = self.start_within();
        let ready = brought_up.started.iter().map(|service| service.begun + service.took);
        let restoring: Duration = brought_up.restored.iter().map(|restored| restored.took).sum();
        let used = ready.max().unwrap_or_default().saturating_sub(restoring);
        let left = within.saturating_sub(used).max(AT_LEAST);
        let expected = self.expected(self.world.services.keys().cloned().collect(), None);
        if let Outcome::Broke(silent) = ground.await_answers(&expected, left, within).await {
            self.recorder
                .note(format!("{}; the tests ask it all the same", silent.headline()));
        }
    }

    /// What was restored has its time in its step; its size stands in a note, which every report has.
    fn brought_up(&self, stage: StageId, since: u64, started: &[Started], restored: &[Restored]) {
        let started = started.iter().map(|service| start_step(since, service));
        let steps = started.chain(restored.iter().map(|restored| restore_step(since, restored)));
        let mut steps: Vec<StepRecord> = steps.collect();
        steps.sort_by_key(|step| step.start_ms);
        steps.into_iter().for_each(|step| self.recorder.step_done(stage, step));
        for restored in restored.iter().filter(|restored| restored.failure.is_none()) {
            self.recorder.note(format!("restored {}", restored.line()));
        }
    }

    /// What production may take to come up.
    pub(super) fn start_within(&self) -> Duration {
        self.settings.stages.control.within.min(self.time_left())
    }

    /// Nothing more can be said on this mirror.
    pub(super) fn broken(&self, course: &mut Course, finding: crate::record::finding::Finding) -> Next {
        let found = self.found(finding);
        course.broken.get_or_insert(found.title);
        Next::End
    }
}

fn failed(restored: &[Restored]) -> Option<(&Restored, &RestoreFailure)> {
    let mut all = restored.iter();
    all.find_map(|one| Some((one, one.failure.as_ref()?)))
}

fn restore_step(since: u64, restored: &Restored) -> StepRecord {
    StepRecord {
        id: Step::Restore(restored.into.clone()),
        status: match restored.failure {
            Some(_) => Status::Error,
            None => Status::Passed,
        },
        reason: restored.failure_line(),
        start_ms: since + millis(restored.begun),
        duration_ms: millis(restored.took),
    }
}

fn start_step(since: u64, started: &Started) -> StepRecord {
    StepRecord {
        id: Step::Start(started.replica.to_string()),
        status: match started.failure {
            Some(_) => Status::Error,
            None => Status::Passed,
        },
        reason: started.failure.as_ref().map(ServiceFailure::line),
        start_ms: since + millis(started.begun),
        duration_ms: millis(started.took),
    }
}
