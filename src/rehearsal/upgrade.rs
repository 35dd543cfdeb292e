//! `upgrade`: the candidate takes the baseline's place on the same volumes, under traffic.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::{Course, Go, LOGIN, Marks, On, REPEATS, Rehearsal, Suspect, login_record, probe};
use crate::agent::{Answer, Call};
use crate::check;
use crate::check::auth_login::Failed;
use crate::check::traffic::Traffic;
use crate::config::settings::{Login, SuiteBody};
use crate::mirror::Mirror;
use crate::mirror::failure::{ServiceFailure, What};
use crate::mirror::swap::Swapped;
use crate::record::result::{StageStatus, TestRecord, TestStatus};
use crate::record::stage::StageId;
use crate::suite::Captures;
use crate::suite::login::LoginOutcome;

const STAGE: StageId = StageId::Upgrade;

impl Rehearsal<'_> {
    pub(super) async fn upgrade(&self, mirror: &Mirror, course: &mut Course) -> Go {
        if self.plan.stage(STAGE).is_none_or(|stage| stage.skipped.is_some()) {
            return Go::On;
        }
        self.recorder.stage_started(STAGE);
        mirror.logs().enter(STAGE);
        let url = probe::url(self.settings);
        probe::begin(mirror, "upgrade", url.as_deref()).await;
        let mut unmet = self.production_meets_needs(course);
        unmet.iter().cloned().for_each(|finding| self.found(finding));
        let swapped = self.swap_in(mirror, course).await;
        if swapped.is_ok() {
            let of_image = self.image_meets_needs(mirror, course).await;
            of_image.iter().cloned().for_each(|finding| self.found(finding));
            unmet.extend(of_image);
        }
        self.needs_answered(&unmet, swapped.is_ok());
        if let Ok(swapped) = &swapped {
            self.try_candidate(mirror, course, swapped).await;
        }
        let samples = probe::end(mirror, "upgrade").await;
        let came_up = swapped.is_ok();
        course.came_up = came_up;
        self.judge_traffic(course, url.as_deref(), &samples, came_up);
        self.compare_logs(mirror, came_up);
        self.finish(course, &swapped);
        match self.fail_fast && self.has_failed(course) {
            true => Go::Stop,
            false => Go::On,
        }
    }

    fn has_failed(&self, course: &Course) -> bool {
        !course.suspects.is_empty()
            || self
                .recorder
                .findings()
                .iter()
                .any(|finding| finding.blame == crate::record::finding::Blame::Candidate)
    }

    async fn swap_in(&self, mirror: &Mirror, course: &mut Course) -> Result<Vec<Swapped>, Box<ServiceFailure>> {
        let services: Vec<&str> = self.candidate.keys().map(String::as_str).collect();
        let step = self.recorder.step(STAGE, &format!("swap {}", services.join(" ")));
        let begun = Instant::now();
        let within = self.settings.stages.upgrade.within.min(self.time_left());
        let mut swapped = mirror.swap(&self.candidate, within, true).await;
        if swapped.is_ok() {
            let left = within.saturating_sub(begun.elapsed()).max(Duration::from_secs(1));
            let good = course.baseline_traffic.as_ref().map(|traffic| traffic.good);
            if let Err(failure) = self.await_answers(mirror, &self.candidates(), good, left, within).await {
                swapped = Err(failure);
            }
        }
        if let Ok(swapped) = &swapped {
            course.stopped_by_itself = swapped
                .iter()
                .filter(|one| !one.stopped.killed)
                .map(|one| one.service.clone())
                .collect();
        }
        match &swapped {
            Ok(_) => step.passed(),
            Err(failure) => step.ended(StageStatus::Failed, Some(failure.line())),
        }
        if let Err(failure) = &swapped {
            self.did_not_come_up(failure);
        }
        swapped
    }

    fn did_not_come_up(&self, failure: &ServiceFailure) {
        let pair = self.pair();
        if !self.candidate.contains_key(&failure.service) {
            self.found(check::control::service_down(STAGE, failure));
        } else if matches!(failure.what, What::Exited) {
            self.found(check::start_and_restart::crashed(failure, &pair));
        } else {
            self.found(check::boot_production_env::not_ready(failure, &pair));
        }
    }

    async fn try_candidate(&self, mirror: &Mirror, course: &mut Course, swapped: &[Swapped]) {
        let on = On { mirror, stage: STAGE };
        let marks = Marks::default();
        for (suite, tests) in self.suites(on).await {
            self.suspect_tests(on, course, &suite, &tests, &marks).await;
        }
        self.candidate_signs_in(on, course).await;
        let (tests, _) = self
            .data(on, "data.verify", self.settings.data.verify.as_ref(), &course.data)
            .await;
        self.suspect_tests(on, course, "data.verify", &tests, &marks).await;
        for service in swapped
            .iter()
            .filter(|swapped| self.candidate.contains_key(&swapped.service))
        {
            let seen = mirror.seen(&service.service).unwrap_or_default();
            let before = course.start_times.get(&service.service).copied();
            let cause = crate::text::fatal::first_fatal(&mirror.logs().of(STAGE, &service.service));
            for finding in check::start_and_restart::after(service, &seen, before, cause, &self.pair()) {
                self.found(finding);
            }
        }
    }

    /// Repeats what failed, on the release that failed it, and keeps it for confirmation.
    pub(super) async fn suspect_tests(
        &self,
        on: On<'_>,
        course: &mut Course,
        suite: &str,
        tests: &[TestRecord],
        marks: &Marks,
    ) {
        self.report_unclear(on.stage, suite, tests, course);
        let mut failed: Vec<&TestRecord> = tests.iter().filter(|test| test.status == TestStatus::Failed).collect();
        if failed.is_empty() {
            return;
        }
        let cause = self.cause_of_failure(on.mirror, marks).await;
        let body = self.body_of(suite);
        let mut reproduced: Vec<&str> = Vec::new();
        for _ in 0..REPEATS {
            let Some(body) = body else { break };
            let again = self
                .run_suite(on, suite, body, self.captures_for(suite, course), &self.run_for(suite))
                .await
                .tests;
            let fails = |test: &&TestRecord| {
                again
                    .iter()
                    .any(|other| other.name == test.name && other.status != TestStatus::Passed)
            };
            let (again, open): (Vec<_>, Vec<_>) = failed.into_iter().partition(fails);
            reproduced.extend(again.iter().map(|test| test.name.as_str()));
            failed = open;
            if failed.is_empty() {
                break;
            }
        }
        for test in tests.iter().filter(|test| test.status == TestStatus::Failed) {
            course.suspects.push(Suspect {
                stage: on.stage,
                suite: suite.to_owned(),
                test: test.clone(),
                reproduced: reproduced.contains(&test.name.as_str()),
                cause: cause.clone(),
                login: None,
            });
        }
    }

    /// Tests that could not be told are nobody's failure, but no pass either.
    fn report_unclear(&self, stage: StageId, suite: &str, tests: &[TestRecord], course: &Course) {
        // A missing capture follows from a failure that is named elsewhere.
        let any_failed = tests.iter().any(|test| test.status == TestStatus::Failed) || self.has_failed(course);
        let unclear: Vec<&TestRecord> = tests
            .iter()
            .filter(|test| test.status == TestStatus::Error || (test.status == TestStatus::NotRun && !any_failed))
            .collect();
        if let Some(first) = unclear.first() {
            let title = format!("`{suite}` / `{}` could not be told: {}", first.name, first.message);
            self.found(check::control::cannot_tell(
                stage,
                title,
                check::control::evidence_of(&unclear),
            ));
        }
    }

    pub(super) fn body_of(&self, suite: &str) -> Option<&SuiteBody> {
        let data = &self.settings.data;
        match suite {
            "data.seed" => data.seed.as_ref(),
            "data.verify" => data.verify.as_ref(),
            "data.write" => data.write.as_ref(),
            "data.verify_write" | "data.verify_write after the rollback" => data.verify_write.as_ref(),
            _ => self
                .settings
                .suites
                .iter()
                .find(|known| known.name == suite)
                .map(|known| &known.body),
        }
    }

    pub(super) fn captures_for(&self, suite: &str, course: &Course) -> Captures {
        if suite.starts_with("data.") {
            course.data.clone()
        } else {
            Captures::default()
        }
    }

    pub(super) fn run_for(&self, suite: &str) -> String {
        if suite.starts_with("data.") {
            self.data_run()
        } else {
            self.run_value(super::next_run())
        }
    }

    /// The sign-in on the release that runs now; repeated where it failed.
    pub(super) async fn candidate_signs_in(&self, on: On<'_>, course: &mut Course) {
        let Some(login) = self.login(on.stage) else { return };
        let step = self.recorder.step(on.stage, "login");
        let marks = self.marks(on.mirror);
        let outcome = self.sign_in(on.mirror, login).await;
        if outcome.passed {
            step.passed();
            return;
        }
        let reproduced = self.login_fails_again(on.mirror, login).await;
        // Only now: a busy engine hands lines on late, and the first line of an error seldom says why.
        let failed = self.look_at_failed_login(on.mirror, &marks, &outcome).await;
        step.ended(StageStatus::Failed, Some(outcome.message.clone()));
        course.suspects.push(Suspect {
            stage: on.stage,
            suite: LOGIN.to_owned(),
            test: login_record(on.stage, &outcome),
            reproduced,
            cause: failed.fatal.clone(),
            login: Some(failed),
        });
    }

    async fn login_fails_again(&self, mirror: &Mirror, login: &Login) -> bool {
        for _ in 0..REPEATS {
            if !self.sign_in(mirror, login).await.passed {
                return true;
            }
        }
        false
    }

    /// Log line, trail, and what the authentication dependency answers to the address that the log complains about.
    async fn look_at_failed_login(&self, mirror: &Mirror, marks: &Marks, outcome: &LoginOutcome) -> Failed {
        let fatal = self.cause_of_failure(mirror, marks).await;
        let mut asked = Vec::new();
        let url = fatal.as_deref().and_then(url_in);
        let services = self.settings.auth_services();
        let borne = self.setup.borne.as_ref().map(|borne| &borne.host);
        if let Some(url) = url.filter(|url| services.iter().chain(borne).any(|name| url.host_str() == Some(name))) {
            let call = Call::Http(crate::agent::HttpCall {
                session: "look".to_owned(),
                method: "GET".to_owned(),
                url: url.to_string(),
                timeout_ms: 5_000,
                ca: self.ca.clone(),
                ..Default::default()
            });
            if let Ok(Answer::Http(answer)) = mirror.agent().call(call).await {
                asked.push(format!("GET {url} answers {} on this mirror", answer.status));
            }
        }
        Failed {
            message: outcome.message.clone(),
            trail: outcome.trail.clone(),
            fatal,
            asked,
        }
    }

    fn judge_traffic(&self, course: &Course, url: Option<&str>, samples: &[crate::agent::ProbeSample], came_up: bool) {
        let (Some(url), Some(baseline)) = (url, &course.baseline_traffic) else {
            self.recorder
                .note("nothing in the configuration can be asked over HTTP: downtime was not measured");
            return;
        };
        if !came_up {
            return;
        }
        let traffic = Traffic::of(url, samples, Some(baseline.good));
        self.recorder.note(format!("upgrade: {}", traffic.words()));
        for finding in check::upgrade_in_place::traffic(
            &traffic,
            baseline,
            self.settings.stages.upgrade.max_downtime,
            &self.pair(),
        ) {
            self.found(finding);
        }
    }

    fn compare_logs(&self, mirror: &Mirror, came_up: bool) {
        let of = |stage| -> BTreeMap<String, Vec<String>> {
            self.setup
                .world
                .services
                .keys()
                .map(|name| (name.clone(), mirror.logs().of(stage, name)))
                .collect()
        };
        let failed = !came_up
            || self
                .recorder
                .findings()
                .iter()
                .any(|finding| finding.stage == STAGE && finding.blame == crate::record::finding::Blame::Candidate);
        let found = check::log_difference::findings(&of(StageId::Control), &of(STAGE), failed);
        let status = if failed && !found.is_empty() {
            StageStatus::Failed
        } else {
            StageStatus::Passed
        };
        let reason = found.first().map(|finding| finding.title.clone());
        self.answered(check::log_difference::ABOUT.id, STAGE, status, reason);
        for finding in found {
            self.found(finding);
        }
    }

    fn finish(&self, course: &Course, swapped: &Result<Vec<Swapped>, Box<ServiceFailure>>) {
        let (status, reason) = match swapped {
            Err(failure) => (StageStatus::Failed, Some(failure.line())),
            Ok(_) => self.stage_status(STAGE, course),
        };
        self.recorder.stage_finished(STAGE, status, reason);
    }

    /// What a stage came to, suspects included: they are confirmed at the end.
    pub(super) fn stage_status(&self, stage: StageId, course: &Course) -> (StageStatus, Option<String>) {
        let findings = self.recorder.findings();
        let of = |blame| {
            findings.iter().find(|finding| {
                finding.stage == stage
                    && finding.blame == blame
                    && finding.severity == crate::record::finding::Severity::Error
            })
        };
        let suspect = course.suspects.iter().find(|suspect| suspect.stage == stage);
        if let Some(finding) = of(crate::record::finding::Blame::Candidate) {
            return (StageStatus::Failed, Some(finding.title.clone()));
        }
        if let Some(suspect) = suspect {
            return (
                StageStatus::Failed,
                Some(format!(
                    "{} / {}: {}",
                    suspect.suite, suspect.test.name, suspect.test.message
                )),
            );
        }
        match of(crate::record::finding::Blame::Mirror) {
            Some(finding) => (StageStatus::Error, Some(finding.title.clone())),
            None => (StageStatus::Passed, None),
        }
    }
}

/// The first URL in a log line.
fn url_in(line: &str) -> Option<url::Url> {
    let start = line.find("http://").or_else(|| line.find("https://"))?;
    let end = line[start..]
        .find(|c: char| c.is_whitespace() || "\"'`<>)".contains(c))
        .map_or(line.len(), |at| start + at);
    url::Url::parse(line[start..end].trim_end_matches(['.', ',', ';'])).ok()
}
