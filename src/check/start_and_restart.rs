//! `start-and-restart`: restarts, exit codes, memory kills and start time of the candidate, against the baseline.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::boot_production_env::failure_of;
use super::release::blank_first;
use super::two::not_at_once;
use super::{About, At, Case, Check, Evidence, Moment, together};
use crate::config::settings::Rollback;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::swap::Swapped;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::fatal::{first_fatal, last_words};
use crate::text::units::{millis, seconds};
use crate::world::model::Service;
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::StartAndRestart,
    question: "does the candidate start once and stay up?",
    explain: "Exits and memory kills are read from the engine's events, because an engine forgets them after a \
              restart. A candidate is crashing at its second exit (or its first, where nothing restarts it); one that \
              only came up by restarting, or takes more than twice the baseline's start time and ten seconds, is \
              warned about: the slower of the baseline's two starts counts, in control and on the way back. Of several replicas \
              each counts, under its own name. The cause is \
              the first fatal line of its log: later lines are often only consequences.",
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

/// How the containers of a release lived.
#[derive(Debug, Default, Serialize)]
pub struct Lives {
    /// Why it did not come up.
    did_not_come_up: Option<String>,
    #[serde(skip)]
    failure: Option<ServiceFailure>,
    services: BTreeMap<Replica, Life>,
}

/// How one container lived in this stage.
#[derive(Debug, Default, Serialize)]
struct Life {
    /// From start to ready.
    ready_ms: Option<u64>,
    /// The same of the baseline, when it came back.
    back_ms: Option<u64>,
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
            (StageId::Rollback, Role::Baseline) => Ok(starts(at)),
            _ => of_candidate(at),
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Lives, after: &Lives) -> Vec<Finding> {
        let crashed = after.failure.as_ref().and_then(|failure| crashed(case, failure));
        let lived = after.services.iter().flat_map(|(replica, life)| {
            let before = before.of(replica).and_then(|life| life.ready_ms);
            let slow = slow(replica, life, before).filter(|_| is_last_start(case));
            lived(case, replica, life).into_iter().chain(slow)
        });
        together(crashed.into_iter().chain(lived))
    }
}

fn of_baseline(at: &At<'_>) -> Lives {
    let life = |started: &crate::mirror::start::Started| {
        let life = Life {
            ready_ms: Some(millis(started.took)),
            running: true,
            ..Life::default()
        };
        (started.replica.clone(), life)
    };
    Lives {
        services: at.facts.started.iter().map(life).collect(),
        ..Lives::default()
    }
}

/// How long the candidate took to take over, and the baseline to come back: the same swap on the same machine.
fn starts(at: &At<'_>) -> Lives {
    let swapped = |stage| {
        let swap = at.facts.swap(stage).ok();
        swap.and_then(|swap| swap.outcome.held()).into_iter().flatten()
    };
    let back: BTreeMap<_, _> = swapped(StageId::Rollback)
        .map(|one| (&one.replica, one.ready))
        .collect();
    let life = |one: &Swapped| {
        let life = Life {
            ready_ms: Some(millis(one.ready)),
            back_ms: back.get(&one.replica).copied().map(millis),
            running: true,
            ..Life::default()
        };
        (one.replica.clone(), life)
    };
    Lives {
        services: swapped(StageId::Upgrade).map(life).collect(),
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
    let swapped: BTreeMap<&Replica, &Swapped> = swapped.map(|one| (&one.replica, one)).collect();
    // Where there are only more of a service, those stay that are there.
    let own = at.case.candidate.services.values().flat_map(Service::instances);
    let lives = own.map(|replica| {
        let life = life(at, &replica, swapped.get(&replica).copied());
        (replica, life)
    });
    Ok(Lives {
        services: lives.collect(),
        ..Lives::default()
    })
}

fn life(at: &At<'_>, replica: &Replica, swapped: Option<&Swapped>) -> Life {
    let history = at.ground.history(replica);
    let exits = &history.exits;
    let said = at.ground.said(at.case.stage, at.role, replica);
    let on_the_way = swapped.map_or(0, |swapped| swapped.exits);
    let known = at.facts.exits_before(at.case.stage, replica).max(on_the_way);
    let ready = swapped.filter(|_| at.case.stage == StageId::Upgrade);
    Life {
        ready_ms: ready.map(|swapped| millis(swapped.ready)),
        back_ms: None,
        on_the_way,
        later: exits.len().saturating_sub(known),
        exits: exits
            .len()
            .saturating_sub(at.facts.exits_since(stopped_in(at), at.case.stage, replica)),
        running: history.running,
        last: exits.last().map(|exit| Last {
            code: exit.code,
            killed_for_memory: exit.oom,
        }),
        fatal: first_fatal(&said).or_else(|| last_words(&said).filter(|_| !history.running)),
    }
}

/// Where the release is stopped and started by us: exits are judged there, or are nobody's.
fn stopped_in(at: &At<'_>) -> &'static [StageId] {
    let (settings, release) = (at.case.settings, (at.case.candidate, at.case.world));
    let load = settings.stages.load.as_ref().filter(|load| load.restarts_releases());
    // What is skipped restarts nothing.
    match load.is_some_and(|load| not_at_once(settings, load, release).is_none()) {
        true => &[StageId::Faults, StageId::Load],
        false => &[StageId::Faults],
    }
}

fn finding(case: &Case<'_>, blame: Blame, replica: &Replica, title: String) -> Finding {
    Finding::new(ABOUT.id, case.stage, blame, title).about(replica.service.clone())
}

/// The candidate crashed instead of coming up.
fn crashed(case: &Case<'_>, failure: &ServiceFailure) -> Option<Finding> {
    let own = case.candidate.services.contains_key(&failure.replica.service)
        && matches!(failure.kind, ServiceFailureKind::Exited);
    let help = format!(
        "do not deploy: {} stays up here and {} does not",
        case.pair.baseline(),
        case.pair.candidate()
    );
    own.then(|| {
        let title = blank_first(case, &failure.replica.service, failure.headline());
        finding(case, Blame::Candidate, &failure.replica, title)
            .detail("crashed")
            .because(failure.fatal.clone())
            .seen(failure.log.clone())
            .help(help)
    })
}

/// What happened to a candidate that did come up: exits on its way up, and since.
fn lived(case: &Case<'_>, replica: &Replica, life: &Life) -> Option<Finding> {
    let last = life.last.as_ref().map_or_else(String::new, |last| {
        let memory = if last.killed_for_memory {
            ", killed for memory"
        } else {
            ""
        };
        format!(", last with code {}{memory}", last.code)
    });
    if life.has_crashed() {
        let title = format!("`{replica}` exited and does not run any more{last}");
        let title = blank_first(case, &replica.service, title);
        let help = format!("do not deploy: {} stays up here", case.pair.baseline());
        let found = finding(case, Blame::Candidate, replica, title).detail("exited");
        return Some(found.because(life.fatal.clone()).help(help));
    }
    if life.later > 0 && (life.exits >= 2 || !life.running) && !is_one_shot(case, replica, life) {
        let title = format!("`{replica}` exited {} after it was ready{last}", times(life.later));
        let title = blank_first(case, &replica.service, title);
        let help = format!("do not deploy: {} stays up under the same suites", case.pair.baseline());
        let found = finding(case, Blame::Candidate, replica, title).detail("exited");
        return Some(found.because(life.fatal.clone()).help(help));
    }
    let told_already = case.stage != StageId::Upgrade && life.later == 0;
    if life.exits == 0 || told_already || life.has_completed() {
        return None;
    }
    let title = format!(
        "`{replica}` came up only by restarting ({}{last})",
        counted(life.exits, "exit")
    );
    let help = "find out what it needs that is not there at its first start";
    let found = finding(case, Blame::Nobody, replica, title).detail("restarted");
    Some(found.because(life.fatal.clone()).help(help))
}

/// Where production has nothing in that place, what ends well once was meant to.
fn is_one_shot(case: &Case<'_>, replica: &Replica, life: &Life) -> bool {
    life.has_completed() && case.candidate.adds(&replica.service, case.world)
}

impl Lives {
    /// Of one that was not there, another of its service says how long a start takes.
    fn of(&self, replica: &Replica) -> Option<&Life> {
        let mut others = self.services.iter();
        let alike = |(other, _): &(&Replica, &Life)| other.service == replica.service;
        let other = || others.find(alike).map(|(_, life)| life);
        self.services.get(replica).or_else(other)
    }
}

impl Life {
    /// It has failed on its way up, and nothing starts it again.
    fn has_crashed(&self) -> bool {
        let badly = self.last.as_ref().is_some_and(|last| last.code != 0);
        badly && self.later == 0 && self.on_the_way > 0 && !self.running
    }

    /// It was a one-shot, and has ended well at once.
    fn has_completed(&self) -> bool {
        let well = self.last.as_ref().is_some_and(|last| last.code == 0);
        well && self.exits == 1 && !self.running
    }
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

/// Nothing will start again that could be compared with.
fn is_last_start(case: &Case<'_>) -> bool {
    let is_one_way = matches!(case.settings.stages.rollback, Rollback::ForwardOnly(_));
    is_one_way || case.stage == StageId::Rollback
}

/// Slower by less is told of nobody: one start was seen, and a busy machine alone made a start of 1 s one of 10.6 s here.
const SLOWER: Duration = Duration::from_secs(10);

fn slow(replica: &Replica, life: &Life, before: Option<u64>) -> Option<Finding> {
    let before = before?.max(life.back_ms.unwrap_or_default());
    let (before, ready) = (Duration::from_millis(before), Duration::from_millis(life.ready_ms?));
    let is_slow = ready > before * 2 && ready > before + SLOWER;
    let title = format!(
        "`{replica}` takes {} to be ready, the baseline took {}",
        seconds(ready),
        seconds(before)
    );
    let help = "a slow start is downtime in every deploy and every restart";
    let found = Finding::new(ABOUT.id, StageId::Upgrade, Blame::Nobody, title).about(replica.service.clone());
    is_slow.then(|| found.detail("slow").help(help))
}
