//! Bringing up: production's release on the mirror, every service as its dependencies allow.

use super::answers::FIRST_ANSWER;
use super::course::Course;
use super::{Next, Rehearsal};
use crate::check::ground::Copy;
use crate::check::trouble;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::start::Started;
use crate::record::recorded::StepRecord;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Step;
use crate::text::units::millis;

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
        let started = match ground.start(self.time_left()).await {
            Ok(started) => started,
            Err(error) => return self.broken(course, trouble::machine(stage, &format!("{error:#}"))),
        };
        for service in &started {
            self.recorder.step_done(stage, start_step(since, service));
        }
        course.facts.started.clone_from(&started);
        if let Some(failure) = first_failure(&started) {
            return self.broken(course, trouble::service_down(stage, failure));
        }
        course.in_place = Some(Role::Baseline);
        // What does not answer by then is the suites' business.
        let expected = self.expected(self.world.services.keys().cloned().collect(), None);
        let _answered = ground.await_answers(&expected, FIRST_ANSWER, FIRST_ANSWER).await;
        Next::On
    }

    /// Nothing more can be said on this mirror.
    pub(super) fn broken(&self, course: &mut Course, finding: crate::record::finding::Finding) -> Next {
        let found = self.found(finding);
        course.broken.get_or_insert(found.title);
        Next::End
    }
}

fn start_step(since: u64, started: &Started) -> StepRecord {
    StepRecord {
        id: Step::Start(started.service.clone()),
        status: match started.failure {
            Some(_) => Status::Error,
            None => Status::Passed,
        },
        reason: started.failure.as_ref().map(ServiceFailure::line),
        start_ms: since + millis(started.begun),
        duration_ms: millis(started.took),
    }
}

/// The failure that others only followed from.
pub(super) fn first_failure(started: &[Started]) -> Option<&ServiceFailure> {
    let failures = || started.iter().filter_map(|started| started.failure.as_ref());
    let own = failures().find(|failure| !matches!(failure.kind, ServiceFailureKind::Held(_)));
    own.or_else(|| failures().next())
}
