//! Probe traffic: one question every 100 ms around a swap; what it gets before the swap is the baseline's own rate. Never
//! beside a suite or an entry of `data`: our own traffic must not change what a test sees.

use std::time::Duration;

use super::Rehearsal;
use super::course::{Course, Suspect};
use super::on_mirror::INTERVAL_MS;
use super::one_cause::replies;
use crate::agent::exchange::SERVER_ERROR;
use crate::agent::probe::{ProbeSample, Question};
use crate::check::Given;
use crate::check::ground::Ground;
use crate::check::question::questions;
use crate::check::traffic::Traffic;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Step;
use crate::record::test::Reply;

/// Before a swap, and after readiness.
const SPAN: Duration = Duration::from_secs(2);
/// The probe of which an untouched baseline is to bear as much.
const AS_MANY: &str = "as-many";
/// The probe that finds out what production answers.
const CHOICE: &str = "choice";

impl Rehearsal<'_> {
    /// The baseline's own rate, when all else in `control` is over: whoever signs in or asks must not meet it. The questions go on into the swap.
    pub(super) async fn baseline_traffic(&self, course: &mut Course) {
        let Some(ground) = course.ground.clone().filter(|_| self.probes(course)) else {
            return;
        };
        course.probe = self.choose(&*ground).await;
        let Some(question) = course.probe.clone() else { return };
        // The span before the swap is the baseline alone: it is asked once for both.
        for stage in [StageId::Control, StageId::Upgrade] {
            ground.probe_begins(stage.as_str(), &question).await;
        }
        tokio::time::sleep(SPAN).await;
        self.traffic_ends(StageId::Control, &*ground, course).await;
    }

    /// Only a baseline that stands and will give way.
    fn probes(&self, course: &Course) -> bool {
        let upgrade = self.plan.stage(StageId::Upgrade);
        let swaps = upgrade.is_some_and(|stage| stage.steps.iter().any(|planned| matches!(planned.id, Step::Swap(_))));
        swaps && course.in_place == Some(Role::Baseline) && course.broken.is_none()
    }

    /// The configuration's question, whatever is answered to it; else the first that production answers.
    async fn choose(&self, ground: &dyn Ground) -> Option<Question> {
        let given = Given {
            settings: self.settings,
            world: self.world,
            candidate: self.candidate,
        };
        let asked = questions(&given, |image| ground.image(image));
        if self.settings.stages.upgrade.probe.is_some() {
            return asked.into_iter().next();
        }
        for question in asked {
            if is_answered(&question, ground).await {
                return Some(question);
            }
        }
        None
    }

    /// The swap is over: a moment more, and what was seen is kept.
    pub(super) async fn swap_traffic_ends(&self, ground: &dyn Ground, course: &mut Course) {
        if course.probe.is_some() {
            tokio::time::sleep(SPAN).await;
            self.traffic_ends(StageId::Upgrade, ground, course).await;
        }
    }

    /// What came back as asked too often was asked after all of the probe's questions: an untouched baseline bears as many
    /// before it is asked the same.
    pub(super) async fn bear_as_many(&self, ground: &dyn Ground, suspects: &[Suspect], course: &Course) {
        let limited = |suspect: &Suspect| replies(&suspect.finding, &course.facts).any(Reply::is_limited);
        let question = course.probe.as_ref().filter(|_| suspects.iter().any(limited));
        let Some(question) = question else { return };
        let traffic = course
            .facts
            .traffic
            .values()
            .filter_map(|traffic| traffic.as_ref().ok());
        let answered: usize = traffic.map(|traffic| traffic.asked - traffic.failed).sum();
        let every = Duration::from_millis(INTERVAL_MS);
        ground.probe_begins(AS_MANY, question).await;
        tokio::time::sleep(
            every
                .saturating_mul(u32::try_from(answered).unwrap_or(u32::MAX))
                .min(self.time_left()),
        )
        .await;
        // Nobody asks what came of it; where the agent is gone, whatever is asked next tells so.
        let _answers = ground.probe_ends(AS_MANY).await;
    }

    async fn traffic_ends(&self, stage: StageId, ground: &dyn Ground, course: &mut Course) {
        let Some(question) = &course.probe else { return };
        let good = course.facts.traffic.get(&StageId::Control);
        let good = good.and_then(|traffic| traffic.as_ref().ok()?.good);
        let samples = ground.probe_ends(stage.as_str()).await;
        let traffic = samples.map(|samples| Traffic::of(&question.to_string(), &samples, good));
        if let Ok(traffic) = &traffic {
            self.recorder.probe(traffic.record(stage));
        }
        course.facts.traffic.insert(stage, traffic);
    }
}

/// Asked once, as a probe asks. Where the agent is gone, whatever is asked next tells so.
async fn is_answered(question: &Question, ground: &dyn Ground) -> bool {
    ground.probe_begins(CHOICE, question).await;
    let Ok(samples) = ground.probe_ends(CHOICE).await else {
        return true;
    };
    let is_answer = |sample: &ProbeSample| sample.failure.is_none();
    let well = |sample: &ProbeSample| sample.status.is_none_or(|status| status < SERVER_ERROR);
    samples.iter().any(|sample| is_answer(sample) && well(sample))
}
