//! `graceful-stop`: a release that is told to stop ends by itself, and ends what it has begun.

use std::time::Duration;

use serde::Serialize;

use super::{About, At, Case, Check, Evidence, Moment, together};
use crate::mirror::swap::{InFlight, Swapped};
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::{Lost, Outcome};
use crate::record::stage::StageId;
use crate::text::units::{millis, seconds};
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::GracefulStop,
    question: "does the candidate stop as production's release does, and end the requests that it has begun?",
    explain: "When the baseline gives way in upgrade, and the candidate in rollback, some requests are under way, their \
              last byte waiting; it is sent when the release has its stop signal. Where the baseline answers at least \
              one of them to the end and the candidate cuts them all, every deploy after this one cuts its clients off: \
              that blocks. A candidate that had to be killed after its grace period, where the baseline stopped by \
              itself in less than a quarter of that time, is warned about. What to do: handle the stop signal (as \
              process 1 a program has no default for it), and close the listener before the connections.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Upgrade, Moment::Stopping),
        (StageId::Rollback, Moment::Stopping),
    ],
    step: "",
};

/// A release ends by itself what it has begun.
pub struct GracefulStop;

/// How a release's containers stopped.
#[derive(Debug, Serialize)]
pub struct Stops(Vec<Stop>);

/// How one container stopped.
#[derive(Debug, Serialize)]
struct Stop {
    replica: Replica,
    took_ms: u64,
    killed: bool,
    exit_code: Option<i64>,
    in_flight: Option<InFlight>,
}

impl Check for GracefulStop {
    type Seen = Stops;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Stops, Lost> {
        match &at.facts.swap(at.case.stage)?.outcome {
            Outcome::Lost(lost) => Err(lost.clone()),
            outcome => {
                let swapped = outcome.held().into_iter().flatten();
                let own = swapped.filter(|one| at.case.candidate.services.contains_key(&one.replica.service));
                Ok(Stops(own.map(stop).collect()))
            }
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Stops, after: &Stops) -> Vec<Finding> {
        let pairs = after.0.iter().filter_map(|stop| {
            let same = |one: &&Stop| one.replica == stop.replica;
            let alike = |one: &&Stop| one.replica.service == stop.replica.service;
            let baseline = before.0.iter().find(same).or_else(|| before.0.iter().find(alike))?;
            Some((baseline, stop))
        });
        together(
            pairs.flat_map(|(before, after)| cut(case, before, after).into_iter().chain(killed(case, before, after))),
        )
    }
}

fn stop(swapped: &Swapped) -> Stop {
    Stop {
        replica: swapped.replica.clone(),
        took_ms: millis(swapped.stopped.took),
        killed: swapped.stopped.killed,
        exit_code: swapped.stopped.exit_code,
        in_flight: swapped.stopped.in_flight,
    }
}

fn finding(case: &Case<'_>, blame: Blame, service: &str, title: String) -> Finding {
    Finding::new(ABOUT.id, case.stage, blame, title).about(service.to_owned())
}

/// What the baseline ends and the candidate cuts off.
fn cut(case: &Case<'_>, before: &Stop, after: &Stop) -> Option<Finding> {
    let (old, new) = (before.in_flight?, after.in_flight?);
    let title = format!(
        "`{}` cuts off requests that it has begun when it is told to stop: {} of {} were answered",
        after.replica, new.completed, new.begun
    );
    let evidence = format!(
        "{}, told to stop, answered {} of {} to the end",
        case.pair.baseline(),
        old.completed,
        old.begun
    );
    let help = format!(
        "do not deploy: every later deploy of {} cuts its clients off; let it end what it has begun",
        case.pair.candidate()
    );
    (old.completed > 0 && new.begun > 0 && new.completed == 0).then(|| {
        finding(case, Blame::Candidate, &after.replica.service, title)
            .detail("cut")
            .seen(vec![evidence])
            .help(help)
    })
}

/// A baseline that needs a good part of the grace period is on a slow machine, or slow itself.
const QUICK: u64 = 4;

/// What stopped by itself, with time to spare, and has to be killed now.
fn killed(case: &Case<'_>, before: &Stop, after: &Stop) -> Option<Finding> {
    let title = format!(
        "`{}` did not stop within its grace period and was killed; the baseline stops by itself after {}",
        after.replica,
        seconds(Duration::from_millis(before.took_ms))
    );
    let help = "handle production's stop signal, or give it more time: stop_grace_period";
    let was_quick = before.took_ms.saturating_mul(QUICK) < after.took_ms;
    (after.killed && !before.killed && was_quick).then(|| {
        finding(case, Blame::Nobody, &after.replica.service, title)
            .detail("killed")
            .help(help)
    })
}
