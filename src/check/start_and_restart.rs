//! `start-and-restart`: restarts, exit codes, memory kills and start time of the candidate, against the baseline.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde::Serialize;

use super::boot_production_env::failure_of;
use super::lives::{self, AGAIN, Life, Usual};
use super::release::blank_first;
use super::spans::{self, Span};
use super::{About, At, Case, Check, Evidence, Moment, together};
use crate::config::settings::Rollback;
use crate::mirror::failure::{ServiceFailure, ServiceFailureKind};
use crate::mirror::swap::Swapped;
use crate::record::check::CheckId;
use crate::record::finding::{Blame, Finding, Severity};
use crate::record::outcome::Lost;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::text::units::{counted, millis, seconds, times};
use crate::world::model::{Restart, Service};
use crate::world::replica::Replica;

static ABOUT: About = About {
    id: CheckId::StartAndRestart,
    question: "does the candidate start once and stay up?",
    explain: "Exits and memory kills are read from the engine's events, because an engine forgets them after a \
              restart. A candidate is crashing at its second exit (or its first, where nothing restarts it; or later, where production's release \
              ends well as often, or what it depends on comes up with it); one that \
              only came up by restarting, or takes more than twice the baseline's start time and ten seconds, is \
              warned about: the slower of the baseline's two starts counts, in control and on the way back. Of several replicas \
              each counts, under its own name. Of services that stay, those count that exit twice beside the candidate, once it \
              is up, and not in control; one exit is warned about where the way back shows none, and is no pass where nothing starts them again. What \
              ends well after longer than production was watched, is started again and is asked by nobody works in turns: \
              that counts nowhere. So are processes killed for \
              memory (twice blocks) and a health check that fails after it has passed, where production's does not. What ends as production's own does in control is \
              nobody's doing; what we stop, and what exits while a check makes failures or seeks limits, counts nowhere here. The cause is \
              the first fatal line of its log: later lines are often only consequences.",
    evidence: Evidence::Behaviour,
    looks: &[
        (StageId::Control, Moment::Probed),
        (StageId::Upgrade, Moment::Tried),
        (StageId::Load, Moment::Tried),
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
    /// Of services that stay, beside the candidate.
    beside: BTreeMap<Replica, Life>,
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
            _ => of_candidate(at).await,
        }
    }

    fn judge(&self, case: &Case<'_>, before: &Lives, after: &Lives) -> Vec<Finding> {
        let crashed = after.failure.as_ref().and_then(|failure| crashed(case, failure));
        let lived = after.services.iter().flat_map(|(replica, life)| {
            let before = before.of(replica);
            let ready = before.and_then(|life| life.ready_ms);
            let slow = slow(replica, life, ready).filter(|_| is_last_start(case));
            lived(case, replica, before, life).into_iter().chain(slow)
        });
        let beside = after.beside.iter();
        let beside = beside.filter_map(|(replica, life)| beside_it(case, replica, before.of(replica), life));
        together(crashed.into_iter().chain(lived).chain(beside))
    }
}

/// Every container of production, until `control` is over.
fn of_baseline(at: &At<'_>) -> Lives {
    let (stage, role) = (StageId::Control, Role::Baseline);
    let life = |started: &crate::mirror::start::Started| {
        let lived = [Span::lived(stage, role)];
        let life = Life {
            ready_ms: Some(millis(started.took)),
            ..Life::after(at, &started.replica, Span::swapping(stage, role), &lived)
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
        beside: lives::stays(&at.case)
            .into_iter()
            .map(|one| beside_both(at, one))
            .collect(),
        ..Lives::default()
    }
}

/// What one that stays did beside the candidate, all in all, and what it does when the baseline comes back.
fn beside_both(at: &At<'_>, replica: Replica) -> (Replica, Life) {
    let candidate = spans::of_candidate_until(StageId::Rollback);
    let (stage, role) = (StageId::Rollback, Role::Baseline);
    let back = [Span::swapping(stage, role), Span::lived(stage, role)];
    let life = Life {
        back: Some(at.facts.lived.of(at.ground, &replica, &back).exits),
        later: at.facts.lived.of(at.ground, &replica, &candidate).exits,
        ..Life::now(at, &replica)
    };
    (replica, life)
}

async fn of_candidate(at: &At<'_>) -> Result<Lives, Lost> {
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
    let before = |replica: &Replica| {
        at.seen_before::<StartAndRestart>()
            .and_then(|before| before.of(replica))
    };
    let mut services = BTreeMap::new();
    for replica in own {
        let life = life(at, &replica, before(&replica), swapped.get(&replica).copied()).await;
        services.insert(replica, life);
    }
    let staying = lives::stays(&at.case).into_iter().map(async |replica| {
        let life = staying(at, &replica, before(&replica)).await;
        (replica, life)
    });
    // Each may need time, and none more because of another.
    let beside = join_all(staying).await.into_iter().collect();
    Ok(Lives {
        services,
        beside,
        ..Lives::default()
    })
}

/// How a container of the candidate's lived in this stage.
async fn life(at: &At<'_>, replica: &Replica, before: Option<&Life>, swapped: Option<&Swapped>) -> Life {
    let stage = at.case.stage;
    let of = |spans: &[Span]| at.facts.lived.of(at.ground, replica, spans);
    let swapping = Span::swapping(StageId::Upgrade, Role::Candidate);
    let here = match stage {
        StageId::Upgrade => vec![swapping, Span::lived(stage, Role::Candidate)],
        _ => vec![Span::lived(stage, Role::Candidate)],
    };
    // Elsewhere nothing of the kind is done to production's release.
    let strained = [StageId::Faults, StageId::Load];
    let strained = strained.iter().filter(|one| **one <= stage);
    let strained: Vec<Span> = strained.map(|one| Span::strained(*one, Role::Candidate)).collect();
    let all: Vec<Span> = [swapping].into_iter().chain(spans::of_candidate_until(stage)).collect();
    let on_the_way = swapped.map_or(0, |swapped| swapped.exits);
    // Whoever has ended here more often than on its way up has told enough.
    if of(&here).exits <= on_the_way {
        lives::give_time(at, replica, before, &here).await;
    }
    let known = if stage == StageId::Upgrade { on_the_way } else { 0 };
    let ready = swapped.filter(|_| stage == StageId::Upgrade);
    Life {
        ready_ms: ready.map(|swapped| millis(swapped.ready)),
        on_the_way,
        later: of(&here).exits.saturating_sub(known),
        exits: of(&all).exits.max(on_the_way),
        strained: of(&strained).exits,
        memory_kills: of(&here).memory_kills,
        ..Life::now(at, replica)
    }
}

/// How a container that stays lived beside the candidate.
async fn staying(at: &At<'_>, replica: &Replica, before: Option<&Life>) -> Life {
    let here = [Span::lived(at.case.stage, Role::Candidate)];
    let until_now = spans::of_candidate_until(at.case.stage);
    lives::give_time(at, replica, before, &until_now).await;
    let of = |spans: &[Span]| at.facts.lived.of(at.ground, replica, spans).exits;
    Life {
        on_the_way: of(&[Span::swapping(StageId::Upgrade, Role::Candidate)]),
        later: of(&here),
        exits: of(&until_now),
        ..Life::now(at, replica)
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

/// What happened to a candidate that did come up: exits on its way up, and since, and what else goes wrong in it.
fn lived(case: &Case<'_>, replica: &Replica, before: Option<&Life>, life: &Life) -> Option<Finding> {
    let ended = ended(case, replica, before, life);
    let told = match life.usual(before) {
        Usual::Stays if before.is_some_and(|before| before.exits > 0) => {
            // Production's end is another one: neither stands for the other.
            ended.map(|found| found.detail("exited-otherwise"))
        }
        Usual::Stays => ended,
        Usual::Ends => None,
        Usual::Fails => ended.filter(Finding::blames_candidate).map(|found| Finding {
            blame: Blame::PreExisting,
            severity: Severity::Warn,
            ..found
        }),
    };
    told.or_else(|| unwell(case, replica, before, life))
}

/// Exits of the candidate's, on its way up, and since.
fn ended(case: &Case<'_>, replica: &Replica, before: Option<&Life>, life: &Life) -> Option<Finding> {
    let last = life.last_words();
    if life.has_failed_on_the_way() || died_under_strain(before, life) {
        let title = format!("`{replica}` exited and does not run any more{last}");
        let title = blank_first(case, &replica.service, title);
        let help = format!("do not deploy: {} stays up here", case.pair.baseline());
        let found = finding(case, Blame::Candidate, replica, title).detail("exited");
        return Some(found.because(life.fatal.clone()).help(help));
    }
    if life.later > 0 && (life.exits >= AGAIN || !life.running) && !is_one_shot(case, replica, life) {
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

/// While a check made failures it ended, and is not there again, where production's is.
fn died_under_strain(before: Option<&Life>, life: &Life) -> bool {
    life.later == 0 && life.strained > 0 && !life.running && before.is_some_and(|before| before.running)
}

/// Processes in it were killed for memory, or its health check fails, and production's do not.
fn unwell(case: &Case<'_>, replica: &Replica, before: Option<&Life>, life: &Life) -> Option<Finding> {
    let is_usual = before.is_some_and(|before| before.memory_kills > 0);
    if life.memory_kills > 0 && !is_usual {
        let title = format!(
            "a process in `{replica}` was killed for memory {}",
            times(life.memory_kills)
        );
        let blame = match life.memory_kills >= AGAIN {
            true => Blame::Candidate,
            false => Blame::Nobody,
        };
        let help = format!("find what takes it: {} needs less here", case.pair.baseline());
        return Some(finding(case, blame, replica, title).detail("memory").help(help));
    }
    let title = format!("`{replica}` was ready, and its own health check fails since");
    let help = format!("do not deploy: {} stays healthy here", case.pair.baseline());
    let found = finding(case, Blame::Candidate, replica, title).detail("unhealthy");
    (life.is_ill(before) && case.stage != StageId::Rollback).then(|| found.because(life.fatal.clone()).help(help))
}

/// What a service does beside the candidate that the release does not touch.
fn beside_it(case: &Case<'_>, replica: &Replica, before: Option<&Life>, life: &Life) -> Option<Finding> {
    if before.is_some_and(|before| before.later > 0) {
        return None;
    }
    let help = format!(
        "find what {} does to it: it stays up beside {}",
        case.pair.candidate(),
        case.pair.baseline()
    );
    let found = |blame, what: String| {
        let title = format!("`{replica}`, which stays, {what}{}", life.last_words());
        let found = finding(case, blame, replica, title).detail("beside");
        Some(found.because(life.fatal.clone()).help(&help))
    };
    let count = |exits| format!("exited {} beside the candidate", times(exits));
    let was_told = life.exits.saturating_sub(life.later) >= AGAIN;
    if life.exits >= AGAIN && life.later > 0 && !was_told {
        return found(Blame::Candidate, count(life.exits));
    }
    if stays_down(case, replica) && life.has_died(before) {
        // Whether the swap alone would have done it, no way back tells: it was not there to see that.
        return found(
            Blame::Mirror,
            "exited beside the candidate, and nothing starts it again: whether any deploy does that cannot be told"
                .to_owned(),
        );
    }
    // One exit may be chance, or what every deploy does to it: that is known after the way back.
    let is_one_way = matches!(case.settings.stages.rollback, Rollback::ForwardOnly(_));
    if life.later == 1 && (life.back == Some(0) || is_one_way) {
        return found(Blame::Nobody, count(1));
    }
    if case.stage == StageId::Upgrade && life.is_gone(before) {
        return found(
            Blame::Nobody,
            "does not run any more since the candidate came".to_owned(),
        );
    }
    let is_ill = life.is_ill(before) && case.stage == StageId::Upgrade;
    let ill = || {
        found(
            Blame::Nobody,
            "is called unhealthy by its health check since".to_owned(),
        )
    };
    is_ill.then(ill).flatten()
}

/// Nothing starts it again once it has ended.
fn stays_down(case: &Case<'_>, replica: &Replica) -> bool {
    let service = case.world.services.get(&replica.service);
    service.is_some_and(|service| service.restart == Restart::No)
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
    /// It ended in the swap, and not as production's in the same place had ended before: a one-shot that is run again
    /// by every deploy is no news.
    fn is_gone(&self, before: Option<&Self>) -> bool {
        let ends_so = before.is_some_and(|before| !before.running && before.code() == self.code());
        self.on_the_way > 0 && self.later == 0 && !self.running && !ends_so
    }

    /// It ran beside production, ended badly beside the candidate, and lives beside production once more.
    fn has_died(&self, before: Option<&Self>) -> bool {
        let ran = before.is_some_and(|before| before.running);
        ran && self.later > 0 && self.code().is_some_and(|code| code != 0) && self.back == Some(0)
    }

    /// It was a one-shot, and has ended well at once.
    fn has_completed(&self) -> bool {
        let well = self.last.as_ref().is_some_and(|last| last.code == 0);
        well && self.exits == 1 && !self.running
    }
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
