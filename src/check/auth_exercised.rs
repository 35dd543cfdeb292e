//! `auth-exercised`: without the authentication dependency, something must notice. Where nothing can reach it past its
//! fronts, closed fronts take it away in no time; what they do not show, its containers stopped do.

use serde::Serialize;

use super::witness;
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::agent::front::fault::{Fault, Reach};
use crate::config::settings::Rollback;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::AuthExercised,
    question: "do the suites and the sign-in notice when the authentication dependency is gone?",
    explain: "At the end, with the baseline back in place, the services of auth.service are taken away and the sign-in \
              and the suites run until the first of them fails, twice. Where every name and port of theirs is a front of \
              ours and nothing else leads to them (no shared folder, fixed address, link or namespace), the fronts refuse \
              connections and cut those that stand; where something else may lead to them, and wherever that goes \
              unnoticed, their containers are stopped. If everything stays green then, nothing in this rehearsal \
              tests authentication, so no verdict about it can be given: inconclusive. So it is where every call passes \
              a front of ours, and none was seen in the whole run. What to do: describe the \
              sign-in in auth.login, or add a suite step that needs the authentication product.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Upgrade, Moment::Last), (StageId::Rollback, Moment::Last)],
    step: "take the authentication dependency away: something must notice",
};

/// Something notices that the authentication dependency is gone.
pub struct AuthExercised;

/// What happened without it.
#[derive(Debug, Serialize)]
pub struct Without {
    services: Vec<String>,
    /// By which means it was last away.
    by: Means,
    /// Why its fronts alone do not take it away, if so.
    past_the_fronts: Option<String>,
    /// What failed twice, as it must, and was fine again afterwards.
    noticed_by: Option<String>,
    /// Tests that stayed green.
    green: usize,
    /// Calls that the fronts saw in the whole run; `None` where some may have gone past them.
    calls: Option<usize>,
}

/// How it is taken away.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Means {
    /// Its fronts refuse connections, and cut those that stand.
    ClosedFronts,
    /// Its containers are stopped.
    StoppedContainers,
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

    /// Takes the authentication dependency away: the sign-in or a suite must notice, twice, and be fine again with it.
    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Without, Lost> {
        let calls = at.ground.calls().await?.all;
        let services = at.case.settings.auth_services().to_vec();
        let past_the_fronts = at.ground.past_the_fronts();
        let (mut by, mut noticed_by, mut green) = (Means::ClosedFronts, None, 0);
        if past_the_fronts.is_none() {
            (noticed_by, green) = noticed_without(at, &services, by).await?;
        }
        // What nobody notices there may go a way of its own that nobody knows.
        if noticed_by.is_none() {
            by = Means::StoppedContainers;
            (noticed_by, green) = noticed_without(at, &services, by).await?;
        }
        Ok(Without {
            services,
            by,
            past_the_fronts,
            noticed_by,
            green,
            calls,
        })
    }

    fn doubts(&self, case: &Case<'_>, seen: &Without) -> Vec<Finding> {
        let product = seen.services.join(", ");
        let title = match (&seen.noticed_by, seen.calls) {
            (None, _) => format!(
                "nothing notices that {product} is stopped: {} tests stay green without it",
                seen.green
            ),
            (Some(_), Some(0)) => format!("nothing was asked of {product} in the whole run: its front saw no call"),
            (Some(_), Some(_) | None) => return Vec::new(),
        };
        let found = Finding::new(ABOUT.id, case.stage, Blame::Mirror, title).about(seen.services.first().cloned());
        vec![found.help("the suites do not test authentication: describe auth.login, or add a step that signs in")]
    }
}

/// What noticed, and was fine again with it; and how many tests stayed green before.
async fn noticed_without(at: &At<'_>, services: &[String], by: Means) -> Result<(Option<String>, usize), Lost> {
    take_away(at, services, by).await?;
    let noticed = witness::first(at, services).await;
    bring_back(at, services, by).await?;
    let noticed = noticed?;
    let noticed_by = match noticed.witness {
        Some(witness) if witness.recovers(at).await? => Some(witness.to_string()),
        Some(_) | None => None,
    };
    Ok((noticed_by, noticed.green))
}

async fn take_away(at: &At<'_>, services: &[String], by: Means) -> Result<(), Lost> {
    match by {
        Means::ClosedFronts => at.ground.fault_begins(Fault::Down, Reach::Everything).await.map(drop),
        Means::StoppedContainers => {
            for service in services {
                at.ground.stop(service).await;
            }
            Ok(())
        }
    }
}

async fn bring_back(at: &At<'_>, services: &[String], by: Means) -> Result<(), Lost> {
    match by {
        Means::ClosedFronts => at.ground.fault_ends().await,
        Means::StoppedContainers => {
            for service in services.iter().rev() {
                at.ground.start_again(service).await?;
            }
            Ok(())
        }
    }
}
