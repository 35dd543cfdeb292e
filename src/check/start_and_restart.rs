//! `start-and-restart`: restarts, exit codes, memory kills and start time of the candidate, against the baseline.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::boot_production_env::failure_of;
use super::{About, At, Case, Check, Evidence, Moment};
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::swap::Swapped;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::fatal::{first_fatal, last_words};
use crate::text::units::{millis, seconds};

static ABOUT: About = About {
    id: CheckId::StartAndRestart,
    question: "does the candidate start once and stay up?",
    explain: "Exits and memory kills are read from the engine's events, because an engine forgets them after a \
              restart. A candidate is crashing at its second exit (or its first, where nothing restarts it); one that \
              only came up by restarting, or takes more than twice the baseline's start time and five seconds, is \
              warned about. The cause is the first fatal line of its log: later lines are often only consequences.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::ForComparison),
        (StageId::Upgrade, Moment::Tried),
        (StageId::Rollback, Moment::Tried),
    ],
    step: "",
};

/// The candidate starts once and stays up.
pub struct StartAndRestart;

/// How the services of a release lived.
#[derive(Debug, Default, Serialize)]
pub struct Lives {
    /// Why it did not come up.
    did_not_come_up: Option<String>,
    #[serde(skip)]
    failure: Option<ServiceFailure>,
    services: BTreeMap<String, Life>,
}

/// How one service lived in this stage.
#[derive(Debug, Default, Serialize)]
struct Life {
    /// From start to ready.
    ready_ms: Option<u64>,
    /// Exits on its way up.
    on_the_way: usize,
    /// Exits since, in this stage.
    later: usize,
    /// All exits.
    exits: usize,
    running: bool,
    last: Option<Last>,
    /// Its first fatal line.
    fatal: Option<String>,
}

/// The last exit of a container.
#[derive(Debug, Serialize)]
struct Last {
    code: i64,
    killed_for_memory: bool,
}

impl Check for StartAndRestart {
    type Seen = Lives;

    fn about(&self) -> &'static About {
        &ABOUT
    }

    async fn look<'a>(&'a self, at: &'a At<'a>) -> Result<Lives, Lost> {
        match (at.case.stage, at.role) {
            (StageId::Control, _) => Ok(of_baseline(at)),
            (StageId::Rollback, Role::Baseline) => Ok(Lives::default()),
            _ => of_candidate(at),
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Lives, after: &Lives) -> Vec<Finding> {
        let crashed = after.failure.as_ref().and_then(|failure| crashed(case, failure));
        let lived = after.services.iter().flat_map(|(service, life)| {
            let before = before.services.get(service).and_then(|life| life.ready_ms);
            lived(case, service, life)
                .into_iter()
                .chain(slow(case, service, life, before))
        });
        crashed.into_iter().chain(lived).collect()
    }
}

fn of_baseline(at: &At<'_>) -> Lives {
    let life = |started: &crate::mirror::start::Started| {
        let life = Life {
            ready_ms: Some(millis(started.took)),
            running: true,
            ..Life::default()
        };
        (started.service.clone(), life)
    };
    Lives {
        services: at.facts.started.iter().map(life).collect(),
        ..Lives::default()
    }
}

fn of_candidate(at: &At<'_>) -> Result<Lives, Lost> {
    let swap = at.facts.swap(StageId::Upgrade)?;
    if let Some(failure) = failure_of(swap)? {
        return Ok(Lives {
            did_not_come_up: Some(failure.line()),
            failure: Some(failure),
            ..Lives::default()
        });
    }
    let swapped = swap.outcome.held().into_iter().flatten();
    let own = swapped.filter(|one| at.case.candidate.contains_key(&one.service));
    Ok(Lives {
        services: own.map(|one| (one.service.clone(), life(at, one))).collect(),
        ..Lives::default()
    })
}

fn life(at: &At<'_>, swapped: &Swapped) -> Life {
    let history = at.ground.history(&swapped.service);
    let exits = &history.exits;
    let said = at.ground.said(at.case.stage, at.role, &swapped.service);
    let known = at
        .facts
        .exits_before(at.case.stage, &swapped.service)
        .max(swapped.exits);
    Life {
        ready_ms: (at.case.stage == StageId::Upgrade).then(|| millis(swapped.ready)),
        on_the_way: swapped.exits,
        later: exits.len().saturating_sub(known),
        exits: exits.len(),
        running: history.running,
        last: exits.last().map(|exit| Last {
            code: exit.code,
            killed_for_memory: exit.oom,
        }),
        fatal: first_fatal(&said).or_else(|| last_words(&said).filter(|_| !history.running)),
    }
}

fn finding(case: &Case<'_>, blame: Blame, service: &str, title: String) -> Finding {
    Finding::new(ABOUT.id, case.stage, blame, title).about(service.to_owned())
}

/// The candidate crashed instead of coming up.
fn crashed(case: &Case<'_>, failure: &ServiceFailure) -> Option<Finding> {
    let own = case.candidate.contains_key(&failure.service) && matches!(failure.kind, ServiceFailureKind::Exited);
    let help = format!(
        "do not deploy: {} stays up here and {} does not",
        case.pair.baseline(),
        case.pair.candidate()
    );
    own.then(|| {
        finding(case, Blame::Candidate, &failure.service, failure.headline())
            .detail("crashed")
            .because(failure.fatal.clone())
            .seen(failure.log.clone())
            .help(help)
    })
}

/// What happened to a candidate that did come up: exits on its way up, and since.
fn lived(case: &Case<'_>, service: &str, life: &Life) -> Option<Finding> {
    let last = life.last.as_ref().map_or_else(String::new, |last| {
        let memory = if last.killed_for_memory {
            ", killed for memory"
        } else {
            ""
        };
        format!(", last with code {}{memory}", last.code)
    });
    if life.later > 0 && (life.exits >= 2 || !life.running) {
        let title = format!("`{service}` exited {} after it was ready{last}", times(life.later));
        let help = format!("do not deploy: {} stays up under the same suites", case.pair.baseline());
        let found = finding(case, Blame::Candidate, service, title).detail("exited");
        return Some(found.because(life.fatal.clone()).help(help));
    }
    let told_already = case.stage != StageId::Upgrade && life.later == 0;
    if life.exits == 0 || told_already {
        return None;
    }
    let title = format!(
        "`{service}` came up only by restarting ({}{last})",
        counted(life.exits, "exit")
    );
    let help = "find out what it needs that is not there at its first start";
    let found = finding(case, Blame::Nobody, service, title).detail("restarted");
    Some(found.because(life.fatal.clone()).help(help))
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

fn slow(case: &Case<'_>, service: &str, life: &Life, before: Option<u64>) -> Option<Finding> {
    let (before, ready) = (Duration::from_millis(before?), Duration::from_millis(life.ready_ms?));
    let is_slow = ready > before * 2 && ready > before + Duration::from_secs(5);
    let title = format!(
        "`{service}` takes {} to be ready, the baseline took {}",
        seconds(ready),
        seconds(before)
    );
    let help = "a slow start is downtime in every deploy and every restart";
    is_slow.then(|| finding(case, Blame::Nobody, service, title).detail("slow").help(help))
}
