//! `capacity`: how many requests a second does each release bear, on one machine in one run? Both are up at once, and the
//! rate is raised on the one and on the other in turns until it breaks what it is held to.

mod compare;
mod held_to;
mod measure;
mod ran_out;
mod said;
mod search;
mod step;
mod turn;

#[cfg(test)]
mod simulated;

use serde::Serialize;

use self::compare::Answer;
use self::measure::{Measured, measure};
use super::load::only_candidate;
use super::two::{Two, Untold, not_at_once};
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::config::settings::Capacity as Wanted;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::load::CapacityRecord;
use crate::record::outcome::{Lost, Part};
use crate::record::stage::StageId;
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::Capacity,
    question: "how many requests a second does the candidate bear, and how many production's release?",
    explain: "Only with stages.load.capacity: true. In the stage load a second container of production's release comes up \
              beside the candidate, both begin anew, and the rate is raised in turns (production's, the candidate's, the \
              candidate's, production's) by a half at a time (doubled where nobody knows yet what is borne), 5 s each of which 4 s count, from below what control has shown, until the release breaks: until it \
              is beyond what stages.load.thresholds block at (without a latency there p99 above 1 s, without error_rate 1 % \
              of errors), or until answers fall behind the rate by more than 3 %. A rate at which it breaks is asked \
              once more, and only twice is broken; then the rate is sought between the last that held and the first that \
              broke until they are 5 % apart, or a quarter of stages.load.budget (default 6m, at least 2m) is spent. What the \
              gate could not send, or sent late, is its own limit: the release bears at least what it was sent. \
              Capacity alone never fails a release. A candidate that bears clearly less is a warning, which blocks only where \
              policy.block_on says warn: in both turns the rate at which it broke lies below what production's release held, \
              by a tenth in the mean; then both are restarted and measured again, it is so again, and in the mean of all \
              four turns it bears less by an eighth. So a fall of a fifth is found 19 times of 20, and of 1000 equal \
              releases on a noisy machine none is warned of. Everything else is a figure in the report: alike, higher, or \
              cannot be told, with the reason. In control production's release is measured against a second one of itself: \
              where that differs, nothing is said of the candidate. Where nothing can be measured at all the verdict is \
              inconclusive. \
              The report says what ran out first where it broke: a container's limit of processor time (throttled), \
              its memory, the machine's processors (of which the gate uses a part: production may have more), one processor \
              of several as a single thread uses it, connections that were not taken, errors; or that it cannot be told, as \
              for locks and pools. Throughput thresholds are not asked here. A release that changes several services, writes \
              to a volume or shares a namespace cannot stand beside itself, and a load that reaches it only through another \
              service reaches one release alone: there it is skipped. What to do: give what ran out, or find what takes \
              more of it for each request; what must be borne is a threshold of the check load at a rate of its own.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Last), (StageId::Load, Moment::Last)],
    step: "raise the rate on two releases in turns until each breaks; in control on production's and a second one of it",
};

/// The candidate bears as much as production's release.
pub struct Capacity;

/// Two releases, each asked more and more.
#[derive(Debug, Serialize)]
pub struct Borne {
    /// Steps that were not sent, and why.
    left_out: Vec<String>,
    came_to: Result<Measured, Untold>,
}

impl Check for Capacity {
    type Seen = Borne;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        let load = given.settings.stages.load.as_ref();
        load.is_some_and(|load| load.capacity == Wanted::Asked)
    }

    fn left_out(&self, _stage: StageId, given: &Given<'_>) -> Option<String> {
        let load = given.settings.stages.load.as_ref()?;
        let why = not_at_once(given.settings, load, (given.candidate, given.world))?;
        Some(format!("both releases cannot be asked at once: {why}"))
    }

    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Borne, Lost> {
        let before = at.seen_before::<Self>();
        if let Some(why) = before.and_then(Borne::untold_why) {
            return Ok(Borne::untold(why.to_owned()));
        }
        let two = match Two::of(at) {
            Ok(two) => two,
            Err(why) => return Ok(Borne::untold(why)),
        };
        let (marks, exits) = (at.marks(), exits_of_others(at, &two));
        let of_control = before.and_then(|before| before.came_to.as_ref().ok());
        let measured = measure(at, &two, of_control).await;
        // What a release says of more than it bears, no release is known to say.
        at.driver.set_aside(&marks).await;
        at.ground.take_from_beside(&two.second.name).await;
        let measured = measured?;
        match exits_of_others(at, &two).into_iter().find(|now| !exits.contains(now)) {
            Some((replica, _)) => Err(Lost::new(
                Part::Step,
                format!("`{replica}` exited while the rate was raised, and is not what it was"),
            )),
            None => Ok(measured.map_or_else(Borne::untold, |(measured, left_out)| Borne {
                left_out,
                came_to: Ok(measured),
            })),
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Borne, after: &Borne) -> Vec<Finding> {
        match (before.untold_why(), &after.came_to) {
            (Some(why), _) => vec![untold(case, why)],
            (None, Err(Untold(why))) => vec![untold(case, why)],
            (None, Ok(measured)) => lower(case, measured).into_iter().collect(),
        }
    }

    fn notes(&self, _case: &Case<'_>, seen: &Borne) -> Vec<String> {
        let left_out = seen.left_out.iter().map(|step| format!("not sent: {step}"));
        let remarks = seen
            .came_to
            .iter()
            .flat_map(|measured| measured.remarks.iter().cloned());
        left_out
            .chain(remarks)
            .map(|remark| format!("capacity: {remark}"))
            .collect()
    }

    fn capacity(&self, case: &Case<'_>, seen: &Borne) -> Option<CapacityRecord> {
        let measured = seen.came_to.as_ref().ok();
        let measured = measured.filter(|_| case.stage == StageId::Load)?;
        Some(said::record(measured))
    }
}

impl Borne {
    fn untold(why: String) -> Self {
        Self {
            left_out: Vec::new(),
            came_to: Err(Untold(why)),
        }
    }

    fn untold_why(&self) -> Option<&str> {
        self.came_to.as_ref().err().map(|Untold(why)| why.as_str())
    }
}

/// What was asked for cannot be looked at.
fn untold(case: &Case<'_>, why: &str) -> Finding {
    let what = "how many requests a second the releases bear";
    Untold::finding(case, ABOUT.id, what, why).help("see to what is in the way, or take `capacity` out of stages.load")
}

/// It bears less, and did so again: nobody set a limit for it, so it is worth a word.
fn lower(case: &Case<'_>, measured: &Measured) -> Option<Finding> {
    let Answer::Lower = measured.answer else { return None };
    let record = said::record(measured);
    let found = Finding::new(ABOUT.id, case.stage, Blame::Nobody, said::title(&record));
    let help = "give it what ran out first, or find what takes more of it for each request; a rate that it must bear is \
                stages.load.rate with a threshold";
    Some(
        found
            .about(only_candidate(case))
            .because(said::ran_out(&record.candidate))
            .seen(said::evidence(&record))
            .help(help),
    )
}

/// How often each container of all other services has exited.
fn exits_of_others(at: &At<'_>, two: &Two<'_>) -> Vec<(Replica, usize)> {
    let services = at.case.services();
    let others = services.iter().filter(|name| **name != two.own.name);
    let replicas = at.case.replicas(others).into_iter();
    let exits = |replica: Replica| {
        let exits = at.ground.history(&replica).exits.len();
        (replica, exits)
    };
    replicas.map(exits).collect()
}
