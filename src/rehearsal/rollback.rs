//! `rollback`: after the candidate has written, the baseline comes back, against the clock.

use std::time::Instant;

use super::{Course, On, Rehearsal};
use crate::check;
use crate::check::rollback as oracle;
use crate::config::settings::Rollback;
use crate::mirror::Mirror;
use crate::mirror::swap::Swapped;
use crate::record::result::{StageStatus, TestStatus};
use crate::record::stage::StageId;
use std::collections::BTreeMap;
use std::time::Duration;

const STAGE: StageId = StageId::Rollback;

impl Rehearsal<'_> {
    pub(super) async fn rollback(&self, mirror: &Mirror, course: &mut Course) {
        let Rollback::Within(within) = self.settings.stages.rollback else {
            return;
        };
        if self.plan.stage(STAGE).is_none_or(|stage| stage.skipped.is_some()) {
            return;
        }
        self.recorder.stage_started(STAGE);
        mirror.logs().enter(STAGE);
        if course.came_up {
            self.write_on_candidate(mirror, course).await;
        } else {
            self.recorder
                .note("the candidate did not come up, so it could not write before the rollback");
        }
        if self.swap_back(mirror, course, within).await {
            self.try_baseline(mirror, course).await;
            self.without_auth(mirror).await;
        }
        let (status, reason) = self.stage_status(STAGE, course);
        self.recorder.stage_finished(STAGE, status, reason);
    }

    async fn write_on_candidate(&self, mirror: &Mirror, course: &mut Course) {
        let on = On { mirror, stage: STAGE };
        let data = &self.settings.data;
        let marks = self.marks(mirror);
        let (tests, captures) = self.data(on, "data.write", data.write.as_ref(), &course.data).await;
        self.suspect_tests(on, course, "data.write", &tests, &marks).await;
        course.data = captures;
        let (tests, _) = self
            .data(on, "data.verify_write", data.verify_write.as_ref(), &course.data)
            .await;
        self.suspect_tests(on, course, "data.verify_write", &tests, &marks)
            .await;
    }

    /// `true`: the baseline is back.
    async fn swap_back(&self, mirror: &Mirror, course: &Course, within: Duration) -> bool {
        let services: Vec<&str> = self.candidate.keys().map(String::as_str).collect();
        let step = self.recorder.step(STAGE, &format!("swap {}", services.join(" ")));
        let baseline: BTreeMap<_, _> = self
            .candidate
            .keys()
            .filter_map(|name| Some((name.clone(), self.setup.world.services.get(name)?.clone())))
            .collect();
        let begun = Instant::now();
        // A release that is late is still worth knowing to come at all, so the clock is read, not obeyed.
        let patience = (within * 2).min(self.time_left());
        let mut swapped = mirror.swap(&baseline, patience, false).await;
        let good = course.baseline_traffic.as_ref().map(|traffic| traffic.good);
        if swapped.is_ok()
            && let Err(failure) = self
                .await_answers(mirror, &self.candidates(), good, patience, within)
                .await
        {
            swapped = Err(failure);
        }
        let took = begun.elapsed();
        match swapped {
            Ok(swapped) => {
                let killed = |one: &&Swapped| one.stopped.killed && course.stopped_by_itself.contains(&one.service);
                for one in swapped.iter().filter(killed) {
                    self.found(check::start_and_restart::killed_at_stop(&one.service, one.stopped.took));
                }
                self.back_in_time(step, took, within);
                true
            }
            Err(failure) => {
                step.ended(StageStatus::Failed, Some(failure.line()));
                self.found(oracle::not_ready(&failure, &self.pair()));
                false
            }
        }
    }

    fn back_in_time(&self, step: super::record::Step, took: Duration, within: Duration) {
        self.recorder.note(format!(
            "rollback: the baseline was back after {}",
            crate::text::units::seconds(took)
        ));
        if took <= within {
            return step.passed();
        }
        let finding = oracle::too_slow(took, within);
        step.ended(StageStatus::Failed, Some(finding.title.clone()));
        self.found(finding);
    }

    async fn try_baseline(&self, mirror: &Mirror, course: &mut Course) {
        let on = On { mirror, stage: STAGE };
        let marks = self.marks(mirror);
        for (suite, tests) in self.suites(on).await {
            self.suspect_tests(on, course, &suite, &tests, &marks).await;
        }
        self.candidate_signs_in(on, course).await;
        let data = &self.settings.data;
        let (tests, _) = self.data(on, "data.verify", data.verify.as_ref(), &course.data).await;
        self.suspect_tests(on, course, "data.verify", &tests, &marks).await;
        if course.came_up {
            let id = "data.verify_write after the rollback";
            let (tests, _) = self.data(on, id, data.verify_write.as_ref(), &course.data).await;
            self.suspect_tests(on, course, id, &tests, &marks).await;
        }
    }

    /// Stops the authentication dependency: the sign-in or a suite must notice. The mirror is not used after this.
    async fn without_auth(&self, mirror: &Mirror) {
        if !self.plan.has_step(STAGE, "without auth") || check::auth_exercised::left_out(self.settings).is_some() {
            return;
        }
        let Some(auth) = &self.settings.auth else { return };
        let step = self.recorder.step(STAGE, "without auth");
        for service in &auth.services {
            mirror.stop(service).await;
        }
        let id = check::auth_exercised::ABOUT.id;
        match self.stays_green(mirror).await {
            None => {
                self.answered(id, STAGE, StageStatus::Passed, None);
                step.passed();
            }
            Some(tests) => {
                let finding = check::auth_exercised::not_noticed(&auth.services, tests);
                self.answered(id, STAGE, StageStatus::Error, Some(finding.title.clone()));
                step.ended(StageStatus::Error, Some(finding.title.clone()));
                self.found(finding);
            }
        }
    }

    /// `None`: something failed, as it must. Else how many tests stayed green.
    async fn stays_green(&self, mirror: &Mirror) -> Option<usize> {
        if let Some(login) = self.login(STAGE)
            && !self.sign_in(mirror, login).await.passed
        {
            return None;
        }
        let mut green = 0;
        for suite in &self.settings.suites {
            let on = On { mirror, stage: STAGE };
            let run = self.run_value(super::next_run());
            let outcome = self
                .run_suite(on, &suite.name, &suite.body, Default::default(), &run)
                .await;
            if outcome
                .tests
                .iter()
                .any(|test| test.status != TestStatus::Passed && test.status != TestStatus::Skipped)
            {
                return None;
            }
            green += outcome.tests.len();
        }
        Some(green)
    }
}
