//! `control`: production's release on the mirror, on its own. It passes, or the verdict is inconclusive.

use super::answers::FIRST_ANSWER;
use super::{Course, On, Rehearsal, probe};
use crate::agent::{Answer, Call};
use crate::check;
use crate::check::control as oracle;
use crate::check::traffic::Traffic;
use crate::mirror::Mirror;
use crate::mirror::start::Started;
use crate::record::result::{StageStatus, StepRecord};
use crate::record::stage::StageId;
use crate::suite;
use crate::text::fatal::first_fatal;
use crate::text::units::millis;

const STAGE: StageId = StageId::Control;

impl Rehearsal<'_> {
    /// The mirror, if production works on it.
    pub(super) async fn control(&self, course: &mut Course) -> Option<Mirror> {
        self.recorder.stage_started(STAGE);
        let mirror = self.bring_up(course).await;
        let passed = match &mirror {
            Ok(mirror) => match self.compare_with_lock(mirror, course).await {
                Ok(()) => self.production_passes(mirror, course).await,
                // Suites on a mirror that is not production would answer another question.
                Err(why) => Err(why),
            },
            Err(why) => Err(why.clone()),
        };
        let (status, reason) = match &passed {
            Ok(()) => (StageStatus::Passed, None),
            Err(why) => (StageStatus::Error, Some(why.clone())),
        };
        self.answered(oracle::ABOUT.id, STAGE, status, reason.clone());
        self.recorder.stage_finished(STAGE, status, reason);
        passed.ok().and(mirror.ok())
    }

    async fn bring_up(&self, course: &mut Course) -> Result<Mirror, String> {
        let step = self.recorder.step(STAGE, "mirror");
        let mirror = match Mirror::prepare(self.setup.clone()).await {
            Ok(mirror) => mirror,
            Err(error) => {
                let why = format!("{error:#}");
                step.ended(StageStatus::Error, Some(why.clone()));
                self.found(oracle::machine(STAGE, &why));
                return Err(why);
            }
        };
        step.passed();
        let since = self.recorder.now_ms();
        let started = match mirror.start(self.time_left()).await {
            Ok(started) => started,
            Err(error) => {
                let why = format!("{error:#}");
                self.found(oracle::machine(STAGE, &why));
                return Err(why);
            }
        };
        for service in &started {
            self.recorder.step_done(STAGE, start_step(since, service));
            course.start_times.insert(service.service.clone(), service.took);
        }
        if let Some(failure) = first_failure(&started) {
            self.found(oracle::service_down(STAGE, failure));
            return Err(failure.line());
        }
        // What does not answer by then is the suites' business.
        let all: Vec<String> = self.setup.world.services.keys().cloned().collect();
        let _answered = self
            .await_answers(&mirror, &all, None, FIRST_ANSWER, FIRST_ANSWER)
            .await;
        Ok(mirror)
    }

    async fn production_passes(&self, mirror: &Mirror, course: &mut Course) -> Result<(), String> {
        let on = On { mirror, stage: STAGE };
        let url = probe::url(self.settings);
        probe::begin(mirror, "control", url.as_deref()).await;
        let suites = self.suites(on).await;
        let signed_in = self.baseline_signs_in(mirror).await;
        let data = &self.settings.data;
        let (seeded, captures) = self.data(on, "data.seed", data.seed.as_ref(), &course.data).await;
        course.data = captures;
        let (verified, _) = self.data(on, "data.verify", data.verify.as_ref(), &course.data).await;
        let samples = probe::end(mirror, "control").await;
        course.baseline_traffic = url.map(|url| Traffic::of(&url, &samples, None));

        let all = suites
            .into_iter()
            .chain([("data.seed".to_owned(), seeded), ("data.verify".to_owned(), verified)]);
        let baseline = self.pair().baseline();
        let findings: Vec<_> = all
            .filter_map(|(name, tests)| oracle::tests_fail(&name, &tests, &baseline))
            .collect();
        for mut finding in findings.clone() {
            finding
                .evidence
                .extend(self.candidate.keys().flat_map(|name| mirror.logs().tail(name, 20)));
            self.found(finding);
        }
        let failed = findings.into_iter().next().map(|finding| finding.title);
        let too_few = self
            .recorder
            .findings()
            .into_iter()
            .find(|finding| finding.waived.is_none())
            .map(|finding| finding.title);
        match signed_in.err().or(failed).or(too_few) {
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    /// On the baseline the sign-in works, and the protected page is not to be had without it.
    async fn baseline_signs_in(&self, mirror: &Mirror) -> Result<(), String> {
        let Some(login) = self.login(STAGE) else { return Ok(()) };
        let step = self.recorder.step(STAGE, "login");
        let open = !suite::login::protected_without_session(mirror.agent(), login, "stranger", &self.ca)
            .await
            .passed;
        let marks = self.marks(mirror);
        let outcome = self.sign_in(mirror, login).await;
        let finding = if open {
            Some(oracle::login_proves_nothing(&login.expect.get))
        } else if outcome.passed {
            None
        } else {
            let said = |name: &String| {
                first_fatal(
                    &mirror
                        .logs()
                        .since(name, marks.0.get(name).copied().unwrap_or_default()),
                )
            };
            let cause = self.candidate.keys().find_map(said);
            Some(oracle::sign_in_fails(
                &outcome.message,
                outcome.trail.clone(),
                cause,
                &self.production_pair(),
            ))
        };
        let Some(finding) = finding else {
            self.answered(check::auth_login::ABOUT.id, STAGE, StageStatus::Passed, None);
            step.passed();
            return Ok(());
        };
        let why = finding.title.clone();
        self.answered(
            check::auth_login::ABOUT.id,
            STAGE,
            StageStatus::Error,
            Some(why.clone()),
        );
        step.ended(StageStatus::Error, Some(why.clone()));
        self.found(finding);
        Err(why)
    }

    fn production_pair(&self) -> String {
        let pair = self.pair();
        format!("{} with {}", pair.baseline(), pair.auth())
    }

    /// Whether the agent still answers: without it nothing can be told.
    pub(super) async fn agent_lives(&self, mirror: &Mirror) -> bool {
        matches!(mirror.agent().call(Call::Ping).await, Ok(Answer::Done))
    }
}

fn start_step(since: u64, started: &Started) -> StepRecord {
    StepRecord {
        id: format!("start {}", started.service),
        status: if started.failure.is_some() {
            StageStatus::Error
        } else {
            StageStatus::Passed
        },
        reason: started
            .failure
            .as_ref()
            .map(crate::mirror::failure::ServiceFailure::line),
        start_ms: since + millis(started.begun),
        duration_ms: millis(started.took),
    }
}

/// The failure that others only followed from.
pub(super) fn first_failure(started: &[Started]) -> Option<&crate::mirror::failure::ServiceFailure> {
    let failures = || started.iter().filter_map(|started| started.failure.as_ref());
    let own = failures().find(|failure| !matches!(failure.what, crate::mirror::failure::What::Held(_)));
    own.or_else(|| failures().next())
}
