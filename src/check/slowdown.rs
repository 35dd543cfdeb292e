//! `slowdown`: is the candidate slower than production, on one machine in one run? Both releases are up at once and asked
//! in turns; by which rule they are compared stands in [`relative`](super::relative).

mod pairs;
mod said;
mod turns;

use serde::Serialize;

use self::pairs::Measured;
use self::said::Told;
use self::turns::measure;
use super::relative::looks::Looks;
use super::two::{Two, Untold};
use super::{About, At, Case, Check, Evidence, Given, Moment};
use crate::record::check::CheckId;
use crate::record::finding::Finding;
use crate::record::load::SlowdownRecord;
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;

static ABOUT: About = About {
    id: CheckId::Slowdown,
    question: "is the candidate slower than production, on the same machine and at the same time?",
    explain: "Only with thresholds like stages.load.thresholds.p95_vs_baseline: +10%, a slow-down that must be caught; {warn: …, \
              fail: …} says two levels. In the stage load a second container of production's release comes up beside the \
              candidate, on the same networks and dependencies, and both begin anew. They are asked at stages.load.rate in \
              turns of 2 s, in pairs whose order turns round, so that what the machine does meanwhile happens to both; of \
              each pair counts by how much the candidate was slower. It is looked at after 12 pairs (48 s) and then every 6, \
              and it ends when the difference is known well enough to catch every slow-down that is asked for, whatever it \
              is, or when stages.load.budget (default 6m) is spent. The answer: kept, where the slow-down is smaller for \
              sure, or near to none and known well; suspect, where the candidate is slower beyond chance and not surely by \
              less; else it cannot be told, and the verdict is inconclusive, with the error that was reached and the one \
              that was needed. What is suspect is measured again with both releases restarted: only what is suspect \
              twice blocks, what is not is a warning. Several quantiles are judged together (Holm), so that more of them \
              find no more by chance. The report has the smallest slow-down that the run would have caught. In control \
              production's release is compared with a second one of itself: where it differs from itself nothing is said of \
              the candidate. Requests that the gate could not send or sent late, a release that fails more often than the \
              other, and too few answers are no answer either. Only requests to the changed service itself are sent: what \
              goes through another service reaches the candidate alone. A release that changes several services, or one \
              that writes to a volume or shares a namespace, cannot stand beside itself, and is refused before anything \
              starts. What to do: see by how much, and which step; make the candidate faster, or say in the configuration \
              what is allowed. Where it is too noisy: a quieter machine, a higher rate, a larger budget, or a larger \
              threshold.",
    evidence: Evidence::Behaviour,
    looks: &[(StageId::Control, Moment::Last), (StageId::Load, Moment::Last)],
    step: "ask two releases in turns and compare; in control production's and a second one of it",
};

/// The candidate is not slower than it may be.
pub struct Slowdown;

/// Two releases, asked in turns.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// Steps that were not sent, and why.
    left_out: Vec<String>,
    came_to: Result<Measured, Untold>,
}

impl Check for Slowdown {
    type Seen = Compared;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn is_asked(&self, _stage: StageId, given: &Given<'_>) -> bool {
        let load = given.settings.stages.load.as_ref();
        load.is_some_and(|load| !load.thresholds.against_baseline.is_empty())
    }

    fn strains(&self, _case: &Case<'_>) -> bool {
        true
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Compared, Lost> {
        // Where production differs from itself, nothing that is measured says anything.
        if let Some(why) = at.seen_before::<Self>().and_then(Compared::forbids) {
            return Ok(Compared::untold(why));
        }
        let two = match Two::of(at) {
            Ok(two) => two,
            Err(why) => return Ok(Compared::untold(why)),
        };
        let compared = compared(at, &two).await;
        at.ground.take_from_beside(&two.second.name).await;
        compared
    }

    fn judge(&self, case: &Case<'_>, before: &Compared, after: &Compared) -> Vec<Finding> {
        let measured = match (before.forbids(), &after.came_to) {
            (None, Ok(measured)) => measured,
            (Some(why), _) => return vec![untold(case, &why)],
            (None, Err(Untold(why))) => return vec![untold(case, why)],
        };
        Told::findings(&Told::all(case, measured))
    }

    fn notes(&self, _case: &Case<'_>, seen: &Compared) -> Vec<String> {
        let left_out = seen.left_out.iter();
        left_out.map(|step| format!("slowdown: not sent: {step}")).collect()
    }

    fn slowdowns(&self, case: &Case<'_>, seen: &Compared) -> Vec<SlowdownRecord> {
        match (&seen.came_to, case.stage) {
            (Ok(measured), StageId::Load) => Told::all(case, measured).iter().map(Told::record).collect(),
            _ => Vec::new(),
        }
    }
}

/// What must be caught cannot be told.
fn untold(case: &Case<'_>, why: &str) -> Finding {
    let what = "whether the candidate is slower than production";
    Untold::finding(case, ABOUT.id, what, why)
        .help("see to what is in the way, or hold the load to absolute thresholds alone")
}

impl Compared {
    fn untold(why: String) -> Self {
        Self {
            left_out: Vec::new(),
            came_to: Err(Untold(why)),
        }
    }

    /// Of production and itself: why nothing can be said of another release.
    fn forbids(&self) -> Option<String> {
        match &self.came_to {
            Err(Untold(why)) => Some(why.clone()),
            Ok(measured) => measured.again.as_ref().unwrap_or(&measured.first).unlike(),
        }
    }
}

/// Measured once; and again where it is suspect.
async fn compared(at: &At<'_>, two: &Two<'_>) -> Result<Compared, Lost> {
    let looks = match at.role {
        Role::Baseline => Some(Looks::of_control()),
        Role::Candidate => Looks::within(two.load.budget),
    };
    let Some(looks) = looks else {
        return Ok(Compared::untold("stages.load.budget has no room for a look".to_owned()));
    };
    let (first, left_out) = match measure(two, at, looks).await? {
        Ok(measured) => measured,
        Err(why) => return Ok(Compared::untold(why)),
    };
    // Of two that are the same, one measurement in thirty calls them different.
    let again = match at.role {
        Role::Candidate if first.is_suspect() => measure(two, at, looks.to_the_end()).await?.ok(),
        Role::Baseline if first.unlike().is_some() => measure(two, at, looks).await?.ok(),
        Role::Candidate | Role::Baseline => None,
    };
    Ok(Compared {
        left_out,
        came_to: Ok(Measured {
            first,
            again: again.map(|(again, _)| again),
        }),
    })
}
