//! `candidate-exercised`: with a candidate's service stopped, something must notice.

use serde::Serialize;
use time::Date;

use super::witness::{self, Witness};
use super::{About, At, Case, Check, Evidence, Moment};
use crate::config::settings::{Policy, Rollback, Settings};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::CandidateExercised,
    question: "does any test touch the candidate?",
    explain: "At the end each service that the candidate replaces is stopped, and the sign-in, the suites and data.verify \
              run until one of them fails, twice. A one-shot counts by its exit. If everything stays green without it, \
              the suites say nothing about this release, whatever they said: inconclusive. What to do: add a step that \
              needs the service (a request to it, a command in it, or a question about what it has done), or sign for \
              it in policy.unexercised, which then stands in the first line of every report. Where no candidate at all \
              is exercised, there is no pass.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Upgrade, Moment::Last), (StageId::Rollback, Moment::Last)],
    step: "stop what the candidate replaces: something must notice",
};

/// Something notices that the candidate is gone.
pub struct CandidateExercised;

/// What happened without each service.
#[derive(Debug, Serialize)]
pub struct Exercised {
    services: Vec<Without>,
}

/// What happened without one service.
#[derive(Debug, Serialize)]
struct Without {
    service: String,
    /// What failed twice, as it must; a one-shot's own end.
    noticed_by: Option<String>,
    /// Tests that stayed green.
    green: usize,
    signed: bool,
}

impl Check for CandidateExercised {
    type Seen = Exercised;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    /// Last of all: after the way back, or where there is none, after the way there.
    fn is_asked(&self, stage: StageId, settings: &Settings) -> bool {
        let forward = matches!(settings.stages.rollback, Rollback::ForwardOnly(_));
        forward == (stage == StageId::Upgrade)
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Exercised, Lost> {
        let mut services = Vec::new();
        let names = at.case.candidates();
        for (number, service) in names.iter().enumerate() {
            services.push(without(at, service).await?);
            // The last one's start is not waited for where the mirror goes next.
            if number + 1 < names.len() || at.ground.stays() {
                at.ground.start_again(service).await?;
            }
        }
        Ok(Exercised { services })
    }

    fn doubts(&self, case: &Case<'_>, seen: &Exercised) -> Vec<Finding> {
        let none = seen.services.iter().all(|one| one.noticed_by.is_none());
        let silent = seen.services.iter().filter(|one| one.noticed_by.is_none());
        silent
            .filter(|one| none || !one.signed)
            .map(|one| nothing_notices(case, one))
            .collect()
    }
}

async fn without(at: &At<'_>, service: &str) -> Result<Without, Lost> {
    let signed = is_signed(&at.case.settings.policy, service, at.case.today);
    let ended = !at.ground.history(service).running;
    if ended {
        return Ok(Without {
            service: service.to_owned(),
            noticed_by: Some("its own end".to_owned()),
            green: 0,
            signed,
        });
    }
    at.ground.stop(service).await;
    let noticed = witness::first(at, &[service.to_owned()]).await?;
    Ok(Without {
        service: service.to_owned(),
        noticed_by: noticed.witness.as_ref().map(Witness::to_string),
        green: noticed.green,
        signed,
    })
}

/// Somebody has signed for a candidate that no test notices.
pub fn is_signed(policy: &Policy, service: &str, today: Date) -> bool {
    let mut signed = policy.unexercised.iter().filter(|entry| entry.service == service);
    signed.any(|entry| entry.expires.is_none_or(|end| today <= end))
}

fn nothing_notices(case: &Case<'_>, without: &Without) -> Finding {
    let (service, green) = (&without.service, without.green);
    let tests = match green {
        0 => "there is no test that could".to_owned(),
        1 => "1 test stays green without it".to_owned(),
        more => format!("{more} tests stay green without it"),
    };
    let title = format!("nothing notices that the candidate's `{service}` is stopped: {tests}");
    let help = format!(
        "add a step that needs it, e.g. suites: {{{service}: {{service: {service}, exec: [{{name: works, command: […]}}]}}}}, or \
         sign for it: policy: {{unexercised: [{{service: {service}, reason: \"…\"}}]}}"
    );
    Finding::new(ABOUT.id, case.stage, Blame::Mirror, title)
        .about(service.clone())
        .help(help)
}
