//! Probe traffic: one question every 100 ms around a swap; what it gets before the swap is the baseline's own rate. Never
//! beside a suite or an entry of `data`: our own traffic must not change what a test sees.

use std::time::Duration;

use super::Rehearsal;
use super::course::Course;
use crate::agent::exchange::{HttpCall, SERVER_ERROR};
use crate::agent::probe::Question;
use crate::check::Given;
use crate::check::ground::Ground;
use crate::check::question::questions;
use crate::check::traffic::Traffic;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Step;

/// Before a swap, and after readiness.
const SPAN: Duration = Duration::from_secs(2);
/// What production's answer to a page may take before another question is sought.
const PAGE_LIMIT: Duration = Duration::from_secs(5);

impl Rehearsal<'_> {
    /// The baseline's own rate, when all else in `control` is over. The questions go on into the swap.
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

    /// The first question that production answers well; without such, the last.
    async fn choose(&self, ground: &dyn Ground) -> Option<Question> {
        let given = Given {
            settings: self.settings,
            world: self.world,
            candidate: self.candidate,
        };
        let mut asked = questions(&given, |image| ground.image(image));
        let last = asked.pop()?;
        for question in asked {
            if self.is_answered(&question, ground).await {
                return Some(question);
            }
        }
        Some(last)
    }

    async fn is_answered(&self, question: &Question, ground: &dyn Ground) -> bool {
        let Question::Get(url) = question else { return true };
        let call = HttpCall {
            method: "GET".to_owned(),
            url: url.clone(),
            timeout_ms: crate::text::units::millis(PAGE_LIMIT),
            insecure: true,
            ..HttpCall::default()
        };
        // Where the agent is gone, whatever is asked next tells so.
        let answer = ground.http(call).await.ok().flatten();
        answer.is_some_and(|answer| answer.status < SERVER_ERROR)
    }

    /// The swap is over: a moment more, and what was seen is kept.
    pub(super) async fn swap_traffic_ends(&self, ground: &dyn Ground, course: &mut Course) {
        if course.probe.is_some() {
            tokio::time::sleep(SPAN).await;
            self.traffic_ends(StageId::Upgrade, ground, course).await;
        }
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
