//! Lives: how one container of a mirror lived, and how production's release lives in the same place.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::spans::Span;
use super::{At, Case};
use crate::engine::watch::{Exit, History};
use crate::record::release::Role;
use crate::text::fatal::{first_fatal, last_words};
use crate::world::model::{Restart, Service};
use crate::world::replica::Replica;

/// So many exits are no accident.
pub const AGAIN: usize = 2;

/// Who came back longer ago is there to stay.
const LATELY: Duration = Duration::from_secs(10);

/// How one container lived.
#[derive(Debug, Default, Serialize)]
pub struct Life {
    /// From start to ready.
    pub ready_ms: Option<u64>,
    /// The same of the baseline, when it came back.
    pub back_ms: Option<u64>,
    /// Exits on its way up.
    pub on_the_way: usize,
    /// Exits since, in this stage.
    pub later: usize,
    /// All exits, but for those that a check has made.
    pub exits: usize,
    /// Those that a check has made.
    pub strained: usize,
    /// Exits when the baseline came back, of one that stays; `None` before it has.
    pub back: Option<usize>,
    /// Processes in it that were killed for memory, in this stage.
    pub memory_kills: usize,
    /// It runs, or does not because we have stopped it.
    pub running: bool,
    /// It has ended by itself, and nothing starts it again.
    pub over: bool,
    /// What its health check says, once it has.
    pub healthy: Option<bool>,
    /// Its last exit.
    pub last: Option<Last>,
    /// Its first fatal line.
    pub fatal: Option<String>,
}

/// The last exit of a container.
#[derive(Debug, Serialize)]
pub struct Last {
    /// Its code.
    pub code: i64,
    /// The kernel killed it.
    pub killed_for_memory: bool,
}

/// How production's release lives in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usual {
    /// It ends so, too, and well: it is meant to.
    Ends,
    /// It fails so, too.
    Fails,
    /// It does not end so.
    Stays,
}

/// A release that exits once may do so more often in a longer stage; so much more often is another thing.
const MORE_OFTEN: usize = 5;

impl Life {
    /// What can be seen of a container now, beside how often it has ended.
    pub fn now(at: &At<'_>, replica: &Replica) -> Self {
        let history = at.ground.history(replica);
        let said = at.ground.said(at.case.stage, at.role, replica);
        Self {
            running: !history.has_ended(),
            over: history.has_ended() && !is_started_again(at, replica, &history),
            healthy: history.healthy.filter(|_| history.running),
            last: history.own_exits().next_back().map(|exit| Last {
                code: exit.code,
                killed_for_memory: exit.oom,
            }),
            fatal: first_fatal(&said).or_else(|| last_words(&said).filter(|_| !history.running)),
            ..Self::default()
        }
    }

    /// In one span after another release has come up.
    pub fn after(at: &At<'_>, replica: &Replica, swapping: Span, lived: &[Span]) -> Self {
        let of = |spans: &[Span]| at.facts.lived.of(at.ground, replica, spans);
        let (on_the_way, later) = (of(&[swapping]).exits, of(lived));
        Self {
            on_the_way,
            later: later.exits,
            exits: on_the_way + later.exits,
            memory_kills: later.memory_kills,
            ..Self::now(at, replica)
        }
    }

    /// How production's release lives in the same place, where this one has ended.
    pub fn usual(&self, before: Option<&Self>) -> Usual {
        // What nothing starts again has not ended as what is.
        let ends_so = |before: &&Self| before.exits > 0 && (before.over || !self.over);
        let Some(before) = before.filter(ends_so) else {
            return Usual::Stays;
        };
        match self.code() {
            Some(0) if before.code() == Some(0) || before.over => Usual::Ends,
            // What production does on its way up alone, it does not do once it is there.
            _ if self.later >= AGAIN && before.later == 0 => Usual::Stays,
            own if own == before.code() && self.exits < before.exits * MORE_OFTEN => Usual::Fails,
            _ => Usual::Stays,
        }
    }

    /// With what it ended last.
    pub fn code(&self) -> Option<i64> {
        self.last.as_ref().map(|last| last.code)
    }

    /// Its last exit, in words that follow others.
    pub fn last_words(&self) -> String {
        self.last.as_ref().map_or_else(String::new, |last| {
            let memory = if last.killed_for_memory {
                ", killed for memory"
            } else {
                ""
            };
            format!(", last with code {}{memory}", last.code)
        })
    }

    /// It ended on its way up, and nothing starts it again.
    pub fn has_failed_on_the_way(&self) -> bool {
        let badly = self.last.as_ref().is_some_and(|last| last.code != 0);
        badly && self.later == 0 && self.on_the_way > 0 && !self.running
    }

    /// Its own health check fails, and production's does not.
    pub fn is_ill(&self, before: Option<&Self>) -> bool {
        self.healthy == Some(false) && before.is_some_and(|before| before.healthy == Some(true))
    }
}

/// Who has ended is given time to be well again, or to end once more: an engine waits up to a minute before it starts
/// something again. Costs nothing where nobody has, or where production's release ends, too.
pub async fn give_time(at: &At<'_>, replica: &Replica, before: Option<&Life>, spans: &[Span]) {
    let exits = || at.facts.lived.of(at.ground, replica, spans).exits;
    if before.is_some_and(|before| before.later > 0) {
        return;
    }
    for _ in 0..AGAIN {
        let (history, so_far) = (at.ground.history(replica), exits());
        let is_ill = history.healthy == Some(false) && before.is_some_and(|before| before.healthy == Some(true));
        let comes_again = history.has_ended() && is_started_again(at, replica, &history);
        let lately = |exit: &Exit| exit.at.elapsed() < LATELY;
        let has_come_again = so_far > 0 && history.running && history.last_exit().is_some_and(lately);
        if so_far >= AGAIN || !(is_ill || comes_again || has_come_again) {
            return;
        }
        at.ground.is_given_time(replica).await;
        if exits() == so_far {
            return;
        }
    }
}

/// Its policy starts it again after such an end.
fn is_started_again(at: &At<'_>, replica: &Replica, history: &History) -> bool {
    let code = history.last_exit().map_or(0, |exit| exit.code);
    match service(at, &replica.service).map(|service| service.restart) {
        Some(Restart::Always | Restart::UnlessStopped) => true,
        Some(Restart::OnFailure(_)) => code != 0,
        Some(Restart::No) | None => false,
    }
}

fn service<'a>(at: &At<'a>, name: &str) -> Option<&'a Service> {
    let candidate = at.case.candidate.services.get(name);
    let own = at.case.world.services.get(name);
    match at.role {
        Role::Candidate => candidate.or(own),
        Role::Baseline => own,
    }
}

/// Containers of services that the release does not touch.
pub fn stays(case: &Case<'_>) -> BTreeSet<Replica> {
    let touched = case.candidate.touched();
    let staying = case.world.services.values();
    let staying = staying.filter(|service| !touched.contains(&service.name));
    staying.flat_map(Service::instances).collect()
}
