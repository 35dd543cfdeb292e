//! `auth-exercised`: with the authentication dependency stopped, something must notice.

use serde::Serialize;

use super::witness;
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::config::settings::Rollback;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::AuthExercised,
    question: "do the suites and the sign-in notice when the authentication dependency is gone?",
    explain: "At the end, with the baseline back in place, the services of auth.service are stopped and the sign-in \
              and the suites run until the first of them fails. If everything stays green, nothing in this rehearsal \
              tests authentication, so no verdict about it can be given: inconclusive. So it is where every call passes \
              a front of ours, and none was seen in the whole run. What to do: describe the \
              sign-in in auth.login, or add a suite step that needs the authentication product.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Upgrade, Moment::Last), (StageId::Rollback, Moment::Last)],
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
    /// Calls that the fronts saw in the whole run; `None` where some may have gone past them.
    calls: Option<usize>,
}

impl Check for AuthExercised {
    type Seen = Without;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let Some(auth) = &given.settings.auth else {
            return Some("the configuration names no authentication dependency (`auth`)".to_owned());
        };
        let mut services = auth.services.iter();
        if services.any(|service| given.candidate.services.contains_key(service)) {
            let why = "the authentication dependency is the candidate itself: every check of this run is about it";
            return Some(why.to_owned());
        }
        None
    }

    /// Last of all: after the way back, or where there is none, after the way there.
    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool {
        let forward = matches!(given.settings.stages.rollback, Rollback::ForwardOnly(_));
        forward == (stage == StageId::Upgrade)
    }

    /// Stops the authentication dependency: the sign-in or a suite must notice, twice, and be fine again with it.
    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Without, Lost> {
        let calls = at.ground.calls().await?.all;
        let stopped = at.case.settings.auth_services().to_vec();
        for service in &stopped {
            at.ground.stop(service).await;
        }
        let noticed = witness::first(at, &stopped).await?;
        for service in stopped.iter().rev() {
            at.ground.start_again(service).await?;
        }
        let noticed_by = match noticed.witness {
            Some(witness) if witness.recovers(at).await? => Some(witness.to_string()),
            Some(_) | None => None,
        };
        Ok(Without {
            stopped,
            noticed_by,
            green: noticed.green,
            calls,
        })
    }

    fn doubts(&self, case: &Case<'_>, seen: &Without) -> Vec<Finding> {
        let product = seen.stopped.join(", ");
        let title = match (&seen.noticed_by, seen.calls) {
            (None, _) => format!(
                "nothing notices that {product} is stopped: {} tests stay green without it",
                seen.green
            ),
            (Some(_), Some(0)) => format!("nothing was asked of {product} in the whole run: its front saw no call"),
            (Some(_), Some(_) | None) => return Vec::new(),
        };
        let found = Finding::new(ABOUT.id, case.stage, Blame::Mirror, title).about(seen.stopped.first().cloned());
        vec![found.help("the suites do not test authentication: describe auth.login, or add a step that signs in")]
    }
}
