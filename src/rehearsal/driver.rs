//! The driver: runs the user's tests and signs in, for steps and checks alike, and keeps what is captured on the way out of
//! everything that is written.

use async_trait::async_trait;

use super::{Rehearsal, next_run};
use crate::check::Driver;
use crate::check::ground::Ground;
use crate::config::settings::{Login, SuiteBody};
use crate::record::check::CheckId;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;
use crate::suite::login::LoginOutcome;
use crate::suite::{Captures, SuiteOutcome, SuiteRun};

/// A mirror in a stage.
pub(super) struct OnGround<'a> {
    pub rehearsal: &'a Rehearsal<'a>,
    pub ground: &'a dyn Ground,
    pub stage: StageId,
}

impl OnGround<'_> {
    /// Runs a suite or an entry of `data`, with what entries before it captured.
    pub async fn run_with(&self, subject: &Subject, body: &SuiteBody, inherited: Captures) -> SuiteOutcome {
        let rehearsal = self.rehearsal;
        let candidates = rehearsal.candidates();
        let run = match subject {
            Subject::Suite(_) => rehearsal.run_value(next_run()),
            // One for all entries: they speak of the same things.
            Subject::Data(_) => rehearsal.run_value(0),
        };
        let outcome = self.ground.run_suite(SuiteRun {
            subject,
            body,
            stage: self.stage,
            run: &run,
            inherited,
            candidates: &candidates,
            hurl_image: &rehearsal.hurl_image,
            ca: &rehearsal.ca,
        });
        let outcome = outcome.await;
        outcome
            .secrets
            .iter()
            .for_each(|secret| rehearsal.redactor.learn(secret));
        outcome
    }

    fn login(&self) -> Option<&Login> {
        let plan = self.rehearsal.plan;
        let login = self.rehearsal.settings.auth.as_ref()?.login.as_ref()?;
        plan.asks(CheckId::AuthLogin, self.stage).then_some(login)
    }

    fn learned(&self, outcome: LoginOutcome) -> LoginOutcome {
        let redactor = &self.rehearsal.redactor;
        outcome.secrets.iter().for_each(|secret| redactor.learn(secret));
        outcome
    }
}

#[async_trait]
impl Driver for OnGround<'_> {
    async fn run(&self, subject: &Subject) -> Vec<TestRecord> {
        match self.rehearsal.settings.body(subject) {
            Some(body) => self.run_with(subject, body, Captures::default()).await.tests,
            None => Vec::new(),
        }
    }

    async fn sign_in(&self) -> Option<LoginOutcome> {
        let session = format!("login-{}", next_run());
        let outcome = self.ground.sign_in(self.login()?, &session, &self.rehearsal.ca).await;
        Some(self.learned(outcome))
    }

    async fn ask_without_session(&self) -> Option<LoginOutcome> {
        let ca = &self.rehearsal.ca;
        let outcome = self.ground.ask_without_session(self.login()?, "stranger", ca).await;
        Some(self.learned(outcome))
    }
}
