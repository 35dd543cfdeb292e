//! `auth-exercised`: with the authentication dependency stopped, something must notice.

use serde::Serialize;

use super::{About, At, Case, Check, Evidence, Moment};
use crate::config::settings::{Rollback, Settings};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::record::status::Status;
use crate::record::step::Subject;

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
    /// What failed, as it must.
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

    /// Stops the authentication dependency: the sign-in or a suite must notice.
    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Without, Lost> {
        let stopped = at.case.settings.auth_services().to_vec();
        for service in &stopped {
            at.ground.stop(service).await;
        }
        let (noticed_by, green) = notice(at).await?;
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

/// What fails first, and how many tests stayed green before.
async fn notice(at: &At<'_>) -> Result<(Option<String>, usize), Lost> {
    if let Some(outcome) = at.driver.sign_in().await {
        match outcome.came_to {
            Outcome::Held(()) => {}
            Outcome::Broke(_) => return Ok((Some("the sign-in".to_owned()), 0)),
            Outcome::Lost(lost) => return Err(lost),
        }
    }
    let mut green = 0;
    for suite in &at.case.settings.suites {
        let tests = at.driver.run(&Subject::Suite(suite.name.clone())).await;
        let failed = tests
            .iter()
            .find(|test| !matches!(test.status, Status::Passed | Status::Skipped));
        if let Some(test) = failed {
            return Ok((Some(format!("{} / {}", test.suite, test.name)), green));
        }
        green += tests.len();
    }
    Ok((None, green))
}
