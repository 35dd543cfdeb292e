//! `candidate-exercised`: with a candidate's service stopped, something must notice.

use serde::Serialize;
use time::Date;

use super::witness::{self, Witness};
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::config::settings::{Policy, Rollback};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::world::model::Service;
use crate::world::outliving;
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::CandidateExercised,
    question: "does any test touch the candidate?",
    explain: "At the end each service that the candidate replaces is stopped, all of its replicas, and the sign-in, the suites and data.verify \
              run until one of them fails, twice; a service that the release adds, before the way back. A one-shot \
              counts by its good exit, if production's ended so, too. If everything stays green without it, \
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

    /// Last of all: after the way back, or where there is none, after the way there. What the release adds is there only
    /// before the way back.
    fn is_asked(&self, stage: StageId, given: &Given<'_>) -> bool {
        let forward = matches!(given.settings.stages.rollback, Rollback::ForwardOnly(_));
        let adds = || {
            let mut services = given.candidate.services.keys();
            services.any(|service| given.candidate.adds(service, given.world))
        };
        forward == (stage == StageId::Upgrade) || (stage == StageId::Upgrade && adds())
    }

    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Exercised, Lost> {
        let mut services = Vec::new();
        let names = tried_here(&at.case);
        for (number, service) in names.iter().enumerate() {
            let (without, trial) = without(at, service).await?;
            services.push(without);
            let goes_on = is_used_on(&at.case);
            // The last one's start is not waited for where the mirror goes next.
            if number + 1 < names.len() || at.ground.stays() || goes_on {
                trial.ends(at, service).await?;
            }
        }
        Ok(Exercised { services })
    }

    fn doubts(&self, case: &Case<'_>, seen: &Exercised) -> Vec<Finding> {
        // The others are asked after the way back.
        let others = is_way_back_to_come(case) && case.candidates().len() > seen.services.len();
        let none = !others && seen.services.iter().all(|one| one.noticed_by.is_none());
        let silent = seen.services.iter().filter(|one| one.noticed_by.is_none());
        silent
            .filter(|one| none || !one.signed)
            .map(|one| nothing_notices(case, one))
            .collect()
    }
}

/// The rehearsal goes on after this.
fn is_used_on(case: &Case<'_>) -> bool {
    let stages = &case.settings.stages;
    let goes_on = stages.faults.is_some() || stages.load.is_some();
    is_way_back_to_come(case) || (case.stage == StageId::Upgrade && goes_on)
}

/// What is not tried here is tried after the way back.
fn is_way_back_to_come(case: &Case<'_>) -> bool {
    let forward = matches!(case.settings.stages.rollback, Rollback::ForwardOnly(_));
    case.stage == StageId::Upgrade && !forward
}

/// After the way back what the release adds is gone: it is tried before.
fn tried_here(case: &Case<'_>) -> Vec<String> {
    let mut names = case.candidates();
    let adds = |name: &String| case.candidate.adds(name, case.world);
    match (case.stage, is_way_back_to_come(case)) {
        (StageId::Upgrade, true) => names.retain(adds),
        (StageId::Rollback, _) => names.retain(|name| !adds(name)),
        _ => {}
    }
    names
}

/// What was done to a service to see who notices.
enum Trial {
    /// Nothing.
    None,
    /// It was stopped, and this noticed it.
    Stopped(Option<Witness>),
}

impl Trial {
    /// The service is there again; where the rehearsal goes on, it must find everything as it was.
    async fn ends(self, at: &At<'_>, service: &str) -> Result<(), Lost> {
        let Self::Stopped(witness) = self else { return Ok(()) };
        at.ground.start_again(service).await?;
        match witness.filter(|_| is_used_on(&at.case)) {
            Some(witness) if !witness.recovers(at).await? => {
                let words = format!("{witness} does not recover when `{service}` was stopped and is there again");
                Err(Lost::new(Part::Step, words))
            }
            _ => Ok(()),
        }
    }
}

async fn without(at: &At<'_>, service: &str) -> Result<(Without, Trial), Lost> {
    let mut without = Without {
        service: service.to_owned(),
        noticed_by: None,
        green: 0,
        signed: is_signed(&at.case.settings.policy, service, at.case.today),
    };
    // Where the rehearsal goes on, nothing is disturbed for a question that somebody has answered.
    if without.signed && is_used_on(&at.case) {
        return Ok((without, Trial::None));
    }
    let containers: Vec<Replica> = there(at, service).collect();
    let is_up = containers.iter().any(|replica| at.ground.history(replica).running);
    if !is_up && containers.iter().all(|replica| has_done_its_work(at, replica)) {
        without.noticed_by = Some("its own end".to_owned());
        return Ok((without, Trial::None));
    }
    if is_up {
        at.ground.stop(service).await;
    }
    let noticed = witness::first(at, &[service.to_owned()]).await?;
    without.noticed_by = noticed.witness.as_ref().map(Witness::to_string);
    without.green = noticed.green;
    let trial = match is_up {
        true => Trial::Stopped(noticed.witness),
        false => Trial::None,
    };
    Ok((without, trial))
}

/// The containers that stand for a service now.
fn there<'a>(at: &'a At<'_>, service: &str) -> impl Iterator<Item = Replica> + 'a {
    let of = match at.role {
        Role::Candidate => at.case.candidate.services.get(service),
        Role::Baseline => at.case.world.services.get(service),
    };
    of.into_iter().flat_map(Service::instances)
}

/// It was a one-shot, and has ended well; where production has something in that place, so did that in `control`.
fn has_done_its_work(at: &At<'_>, replica: &Replica) -> bool {
    let history = at.ground.history(replica);
    let well = history.has_ended() && history.last_exit().is_some_and(|exit| exit.code == 0);
    let is_new = at.case.candidate.adds(&replica.service, at.case.world);
    well && (is_new || at.facts.lived.is_one_shot(replica))
}

/// Somebody has signed for a candidate that no test notices.
pub fn is_signed(policy: &Policy, service: &str, today: Date) -> bool {
    let mut signed = policy.unexercised.iter().filter(|entry| entry.service == service);
    signed.any(|entry| entry.expires.is_none_or(|end| today <= end))
}

/// Why tests may stay green that ask for what the service did.
fn what_stays(case: &Case<'_>, service: &str) -> Option<String> {
    let left = outliving::left(case.candidate.services.get(service)?, case.world)?;
    let from = case.settings.file.parent()?;
    let (written, read, reader) = (left.written.words(from), left.read.words(from), left.reader);
    let read = if read == written { "it".to_owned() } else { read };
    Some(format!(
        "; what it may have written to {written} stays, and {reader} mounts {read}"
    ))
}

fn nothing_notices(case: &Case<'_>, without: &Without) -> Finding {
    let (service, green) = (&without.service, without.green);
    let tests = match green {
        0 => "there is no test that could".to_owned(),
        1 => "1 test stays green without it".to_owned(),
        more => format!("{more} tests stay green without it"),
    };
    let stays = what_stays(case, service).unwrap_or_default();
    let title = format!("nothing notices that the candidate's `{service}` is stopped: {tests}{stays}");
    let help = format!(
        "add a step that needs it, e.g. suites: {{{service}: {{service: {service}, exec: [{{name: works, command: […]}}]}}}}, or \
         sign for it: policy: {{unexercised: [{{service: {service}, reason: \"…\"}}]}}"
    );
    Finding::new(ABOUT.id, case.stage, Blame::Mirror, title)
        .about(service.clone())
        .help(help)
}
