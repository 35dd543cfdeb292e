//! `auth-exercised`: with the authentication dependency stopped, something must notice.

use std::fmt;

use serde::Serialize;

use super::{About, At, Case, Check, Evidence, Moment};
use crate::config::settings::{Rollback, Settings};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;
use crate::record::test::TestId;

static ABOUT: About = About {
    id: CheckId::AuthExercised,
    question: "do the suites and the sign-in notice when the authentication dependency is gone?",
    explain: "At the end, with the baseline back in place, the services of auth.service are stopped and the sign-in \
              and the suites run until the first of them fails. If everything stays green, nothing in this rehearsal \
              tests authentication, so no verdict about it can be given: inconclusive. What to do: describe the \
              sign-in in auth.login, or add a suite step that needs the authentication product.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Rollback, Moment::Last)],
    step: "stop the authentication dependency: something must notice",
};

/// Something notices that the authentication dependency is gone.
pub struct AuthExercised;

/// What happened without it.
#[derive(Debug, Serialize)]
pub struct Without {
    stopped: Vec<String>,
    /// What failed twice, as it must, and was fine again afterwards.
    noticed_by: Option<String>,
    /// Tests that stayed green.
    green: usize,
}

impl Check for AuthExercised {
    type Seen = Without;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, settings: &Settings) -> Option<String> {
        let Some(auth) = &settings.auth else {
            return Some("the configuration names no authentication dependency (`auth`)".to_owned());
        };
        let mut services = auth.services.iter();
        if services.any(|service| settings.candidate.contains_key(service)) {
            let why = "the authentication dependency is the candidate itself: every check of this run is about it";
            return Some(why.to_owned());
        }
        let forward = matches!(settings.stages.rollback, Rollback::ForwardOnly(_));
        forward.then(|| "there is no rollback after which it could be asked".to_owned())
    }

    /// Stops the authentication dependency: the sign-in or a suite must notice, twice, and be fine again with it.
    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Without, Lost> {
        let stopped = at.case.settings.auth_services().to_vec();
        for service in &stopped {
            at.ground.stop(service).await;
        }
        let (noticed, green) = notice(at).await?;
        for service in stopped.iter().rev() {
            at.ground.start_again(service).await?;
        }
        let noticed_by = match noticed {
            Some(witness) if witness.is_fine(at).await? => Some(witness.to_string()),
            Some(_) | None => None,
        };
        Ok(Without {
            stopped,
            noticed_by,
            green,
        })
    }

    fn doubts(&self, case: &Case<'_>, seen: &Without) -> Vec<Finding> {
        if seen.noticed_by.is_some() {
            return Vec::new();
        }
        let title = format!(
            "nothing notices that {} is stopped: {} tests stay green without it",
            seen.stopped.join(", "),
            seen.green
        );
        let found = Finding::new(ABOUT.id, case.stage, Blame::Mirror, title).about(seen.stopped.first().cloned());
        vec![found.help("the suites do not test authentication: describe auth.login, or add a step that signs in")]
    }
}

/// What failed twice, as it must, and how many tests stayed green before.
async fn notice(at: &At<'_>) -> Result<(Option<Witness>, usize), Lost> {
    if Witness::SignIn.fails_twice(at).await? {
        return Ok((Some(Witness::SignIn), 0));
    }
    let mut green = 0;
    for suite in &at.case.settings.suites {
        let subject = Subject::Suite(suite.name.clone());
        let tests = at.driver.run(&subject).await;
        // An error, a test that did not run, a single failure: noise notices nothing.
        for test in tests.iter().filter(|test| test.status == Status::Failed) {
            let witness = Witness::Test(test.id());
            if witness.fails(at).await? {
                return Ok((Some(witness), green));
            }
        }
        green += tests.iter().filter(|test| test.status == Status::Passed).count();
    }
    Ok((None, green))
}

/// What notices that something is stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Witness {
    SignIn,
    Test(TestId),
}

impl Witness {
    async fn fails_twice(&self, at: &At<'_>) -> Result<bool, Lost> {
        Ok(self.fails(at).await? && self.fails(at).await?)
    }

    async fn fails(&self, at: &At<'_>) -> Result<bool, Lost> {
        Ok(self.ends(at).await? == Some(Status::Failed))
    }

    async fn is_fine(&self, at: &At<'_>) -> Result<bool, Lost> {
        Ok(self.ends(at).await? == Some(Status::Passed))
    }

    /// How it ends now; `None` where it is left out, or gone.
    async fn ends(&self, at: &At<'_>) -> Result<Option<Status>, Lost> {
        match self {
            Self::SignIn => match at.driver.sign_in().await.map(|outcome| outcome.came_to) {
                None => Ok(None),
                Some(Outcome::Held(())) => Ok(Some(Status::Passed)),
                Some(Outcome::Broke(_)) => Ok(Some(Status::Failed)),
                Some(Outcome::Lost(lost)) => Err(lost),
            },
            Self::Test(id) => {
                let tests = at.driver.run(&id.suite).await;
                Ok(tests.iter().find(|test| test.id() == *id).map(|test| test.status))
            }
        }
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn => f.write_str("the sign-in"),
            Self::Test(id) => write!(f, "{} / {}", id.suite, id.name),
        }
    }
}
