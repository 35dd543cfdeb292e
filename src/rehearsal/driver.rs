//! The driver: runs the user's tests and signs in, for steps and checks alike, and keeps what is captured on the way out of
//! everything that is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::{Rehearsal, next_run};
use crate::check::Driver;
use crate::check::facts::{Aside, Facts};
use crate::check::ground::{Ground, Marks};
use crate::config::settings::{Login, SuiteBody};
use crate::record::check::CheckId;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::TestRecord;
use crate::suite::guarded::Guarded;
use crate::suite::leaving::{Exit, Patience, SignedOut};
use crate::suite::login::{CodeAgain, LoginOutcome, Session};
use crate::suite::mix::Mix;
use crate::suite::returning::{Received, Returned};
use crate::suite::{Captures, SuiteOutcome, SuiteRun};
use crate::world::replica::Replica;

/// A mirror in a stage.
pub(super) struct OnGround<'a> {
    pub rehearsal: &'a Rehearsal<'a>,
    pub ground: &'a dyn Ground,
    pub stage: StageId,
    /// What the first sign-in left that held.
    left: Mutex<Option<Session>>,
    /// What takes the place of a session that was kept and holds no more.
    anew: Mutex<Option<Session>>,
    /// What was said to attempts that must fail.
    aside: Mutex<Vec<BTreeMap<Replica, Vec<String>>>>,
}

/// The checks that sign in: without any of them nobody does.
const SIGN_IN: [CheckId; 7] = [
    CheckId::AuthLogin,
    CheckId::AuthRefusals,
    CheckId::AuthTokens,
    CheckId::SessionSurvival,
    CheckId::AuthFaults,
    CheckId::AuthRotationSkew,
    CheckId::AuthRotate,
];

impl Rehearsal<'_> {
    /// The driver of a mirror in a stage.
    pub(super) fn on<'a>(&'a self, ground: &'a dyn Ground, stage: StageId) -> OnGround<'a> {
        OnGround {
            rehearsal: self,
            ground,
            stage,
            left: Mutex::default(),
            anew: Mutex::default(),
            aside: Mutex::default(),
        }
    }
}

impl OnGround<'_> {
    /// Leaves to later looks what sign-ins left and what was said to attempts that must fail.
    pub fn leave(self, role: Role, facts: &mut Facts) {
        let stage = self.stage;
        if let Some(left) = self.left.into_inner().unwrap_or_else(PoisonError::into_inner) {
            facts.sessions.entry(stage).or_insert(left);
        }
        if let Some(anew) = self.anew.into_inner().unwrap_or_else(PoisonError::into_inner) {
            facts.sessions.insert(stage, anew);
        }
        let aside = self.aside.into_inner().unwrap_or_else(PoisonError::into_inner);
        let aside = aside.into_iter().map(|said| Aside { stage, role, said });
        facts.aside.extend(aside);
    }

    /// Runs a suite or an entry of `data`, with what entries before it captured.
    pub async fn run_with(&self, subject: &Subject, body: &SuiteBody, inherited: Captures) -> SuiteOutcome {
        let run = match subject {
            Subject::Suite(_) | Subject::Rotate | Subject::Revoke => self.rehearsal.run_value(next_run()),
            // One for all entries: they speak of the same things.
            Subject::Data(_) => self.rehearsal.run_value(0),
        };
        let unmixed = |_: &SuiteRun<'_>, _: &SuiteOutcome| {};
        self.run_and(subject, body, (inherited, &run), unmixed).await
    }

    /// The same, and what is to be made of the run while it is at hand.
    async fn run_and(
        &self,
        subject: &Subject,
        body: &SuiteBody,
        (inherited, run): (Captures, &str),
        then: impl FnOnce(&SuiteRun<'_>, &SuiteOutcome),
    ) -> SuiteOutcome {
        let rehearsal = self.rehearsal;
        let candidates = rehearsal.candidates();
        let hosts = rehearsal.settings.production.hosts.iter();
        let hosts: Vec<(String, String)> = hosts.map(|host| (host.name(), host.service.clone())).collect();
        let given = SuiteRun {
            subject,
            body,
            stage: self.stage,
            run,
            inherited,
            candidates: &candidates,
            hosts: &hosts,
            hurl_image: &rehearsal.hurl_image,
            ca: &rehearsal.ca,
        };
        let mut outcome = self.ground.run_suite(given.clone()).await;
        then(&given, &outcome);
        for test in &mut outcome.tests {
            let mut hosts = hosts.iter();
            if let Some((_, behind)) = hosts.find(|(host, _)| test.service.as_ref() == Some(host)) {
                test.service = Some(behind.clone());
            }
        }
        outcome
            .secrets
            .iter()
            .for_each(|secret| rehearsal.redactor.learn(secret));
        outcome
    }

    fn login(&self) -> Option<&Login> {
        let plan = self.rehearsal.plan;
        let login = self.rehearsal.settings.auth.as_ref()?.login.as_ref()?;
        let asked = SIGN_IN.iter().any(|check| plan.asks(*check, self.stage));
        asked.then_some(login)
    }

    fn keep(&self, outcome: &LoginOutcome) {
        if outcome.held() {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            left.get_or_insert_with(|| outcome.left.clone());
        }
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
        self.run_given(subject, BTreeMap::new()).await
    }

    async fn run_given(&self, subject: &Subject, values: BTreeMap<String, String>) -> Vec<TestRecord> {
        let given = Captures {
            values,
            ..Captures::default()
        };
        match self.rehearsal.settings.body(subject) {
            Some(body) => self.run_with(subject, body, given).await.tests,
            None => Vec::new(),
        }
    }

    async fn guarded_by(&self, subject: &Subject) -> Vec<Guarded> {
        match self.rehearsal.settings.body(subject) {
            Some(body) => self.run_with(subject, body, Captures::default()).await.guarded,
            None => Vec::new(),
        }
    }

    async fn sign_in(&self) -> Option<LoginOutcome> {
        let session = format!("login-{}", next_run());
        let outcome = self.ground.sign_in(self.login()?, &session, &self.rehearsal.ca).await;
        self.keep(&outcome);
        Some(self.learned(outcome))
    }

    async fn mix(&self) -> Result<Mix, String> {
        let settings = self.rehearsal.settings;
        let wanted = settings.stages.load.as_ref().and_then(|load| load.mix.as_ref());
        let suites = settings
            .suites
            .iter()
            .filter(|suite| wanted.is_none_or(|name| *name == suite.name));
        let mut mix = Mix::default();
        for suite in suites.filter(|suite| !suite.body.requests.is_empty()) {
            // Its requests alone: nothing else of it is sent.
            let body = SuiteBody {
                files: Vec::new(),
                exec: Vec::new(),
                container: None,
                ..suite.body.clone()
            };
            let subject = Subject::Suite(suite.name.clone());
            let run = self.rehearsal.run_value(next_run());
            let add = |given: &SuiteRun<'_>, outcome: &SuiteOutcome| mix.add(given, &outcome.captures);
            let outcome = self.run_and(&subject, &body, (Captures::default(), &run), add).await;
            if let Some(test) = outcome.tests.iter().find(|test| test.status != Status::Passed) {
                return Err(format!("`{subject}` / `{}` does not pass: {}", test.name, test.message));
            }
        }
        Ok(mix)
    }

    async fn sign_in_wrongly(&self) -> Option<LoginOutcome> {
        let session = format!("wrong-{}", next_run());
        let ca = &self.rehearsal.ca;
        let outcome = self.ground.sign_in_wrongly(self.login()?, &session, ca).await?;
        Some(self.learned(outcome))
    }

    async fn use_code_again(&self) -> Option<CodeAgain> {
        let session = format!("code-{}", next_run());
        let ca = &self.rehearsal.ca;
        let again = self.ground.use_code_again(self.login()?, &session, ca).await;
        let redactor = &self.rehearsal.redactor;
        again.secrets.iter().for_each(|secret| redactor.learn(secret));
        Some(again)
    }

    async fn refresh(&self, left: &Session) -> Option<LoginOutcome> {
        let ca = &self.rehearsal.ca;
        let outcome = self.ground.refresh(self.login()?, left, ca).await?;
        Some(self.learned(outcome))
    }

    async fn sign_out(&self, exit: &Exit, patience: Patience) -> Option<SignedOut> {
        let session = format!("out-{}", next_run());
        let ca = &self.rehearsal.ca;
        let by = (session.as_str(), exit);
        let signed_out = self.ground.sign_out(self.login()?, by, ca, patience).await;
        let redactor = &self.rehearsal.redactor;
        signed_out.secrets.iter().for_each(|secret| redactor.learn(secret));
        Some(signed_out)
    }

    async fn keep_signed_in(&self, kept: &Session) -> Result<(), Lost> {
        let returned = self.come_back(kept).await.map(|returned| returned.came_to);
        if let Some(Outcome::Held(Received::Known)) | None = returned {
            return Ok(());
        }
        let Some(outcome) = self.sign_in().await else {
            return Ok(());
        };
        if !outcome.held() {
            return Err(Lost::new(Part::Step, outcome.message()));
        }
        let mut anew = self.anew.lock().unwrap_or_else(PoisonError::into_inner);
        *anew = Some(outcome.left);
        Ok(())
    }

    fn hide(&self, secret: &str) {
        self.rehearsal.redactor.learn(secret);
    }

    async fn set_aside(&self, since: &Marks) {
        let services = self.rehearsal.case(self.stage).services();
        let said = self.ground.set_aside(&services, since).await;
        self.aside.lock().unwrap_or_else(PoisonError::into_inner).push(said);
    }

    async fn come_back(&self, left: &Session) -> Option<Returned> {
        let jar = format!("back-{}", next_run());
        let ca = &self.rehearsal.ca;
        let returned = self.ground.come_back(self.login()?, left, &jar, ca).await;
        let redactor = &self.rehearsal.redactor;
        returned.secrets.iter().for_each(|secret| redactor.learn(secret));
        Some(returned)
    }

    async fn ask_without_session(&self) -> Option<LoginOutcome> {
        let ca = &self.rehearsal.ca;
        let outcome = self.ground.ask_without_session(self.login()?, "stranger", ca).await;
        Some(self.learned(outcome))
    }
}
