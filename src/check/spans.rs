//! Spans: how often each container of a mirror has ended by its own doing, or had something killed for memory, and while
//! what. Every moment belongs to one span, so that no exit is between two looks; our own stops count nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::ground::Ground;
use crate::engine::watch::History;
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::world::replica::Replica;

/// While what something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// In which stage.
    pub stage: StageId,
    /// With which release in place.
    pub role: Role,
    /// What was done to it.
    pub way: Way,
}

/// What is done to a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// A release comes up: whatever depends on what is away for a moment may end meanwhile.
    Swapping,
    /// What production meets, too.
    Lived,
    /// A check makes failures, or asks for more than production has to bear: what ends meanwhile is that check's.
    Strained,
}

/// How often something happened that tells of a release.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Exits by its own doing, but for those of what works in turns.
    pub exits: usize,
    /// Processes in it that the kernel killed for memory.
    pub memory_kills: usize,
}

/// What has happened to the containers of a mirror, span by span.
#[derive(Debug, Clone, Default)]
pub struct Lived {
    now: Option<Span>,
    /// Until the span that lasts began.
    before: BTreeMap<Replica, Tally>,
    over: BTreeMap<(Replica, Span), Tally>,
    /// Containers that had ended well by their own doing when `control` was over.
    one_shots: BTreeSet<Replica>,
    /// The longest that each container of production's was seen to run, when `control` was over, of those that may work in
    /// turns.
    watched: BTreeMap<Replica, Duration>,
}

impl Lived {
    /// Another span begins.
    pub fn begins(&mut self, span: Span, ground: &dyn Ground, replicas: &BTreeSet<Replica>) {
        for replica in replicas {
            let until_now = self.tally(ground, replica);
            let before = self.before.insert(replica.clone(), until_now).unwrap_or_default();
            if let Some(now) = self.now {
                let tally = self.over.entry((replica.clone(), now)).or_default();
                *tally = tally.and(until_now.since(before));
            }
        }
        self.now = Some(span);
    }

    /// In these places are other containers, of which nothing is known yet.
    pub fn are_other<'r>(&mut self, replicas: impl IntoIterator<Item = &'r Replica>) {
        for replica in replicas {
            self.before.remove(replica);
        }
    }

    /// `control` is over. `turning`: what may work in turns, because something starts it again and nobody asks it anything.
    pub fn control_ends(
        &mut self,
        ground: &dyn Ground,
        replicas: &BTreeSet<Replica>,
        turning: impl Fn(&Replica) -> bool,
    ) {
        let is_over = |replica: &&Replica| {
            let history = ground.history(replica);
            history.has_ended() && history.last_exit().is_some_and(|exit| exit.code == 0)
        };
        self.one_shots = replicas.iter().filter(is_over).cloned().collect();
        let watched = |replica: &Replica| {
            let history = ground.history(replica);
            let longest = history.longest().filter(|_| history.own_exits().next().is_none())?;
            Some((replica.clone(), longest))
        };
        let turning = replicas.iter().filter(|replica| turning(replica));
        self.watched = turning.filter_map(watched).collect();
    }

    /// Production's container had ended well by itself in `control`.
    pub fn is_one_shot(&self, replica: &Replica) -> bool {
        self.one_shots.contains(replica)
    }

    /// What happened to a container in all of these spans, until now.
    pub fn of(&self, ground: &dyn Ground, replica: &Replica, spans: &[Span]) -> Tally {
        let of = |span: &Span| {
            let over = self.over.get(&(replica.clone(), *span)).copied().unwrap_or_default();
            match self.now == Some(*span) {
                true => over.and(self.since_it_began(ground, replica)),
                false => over,
            }
        };
        spans.iter().map(of).fold(Tally::default(), Tally::and)
    }

    fn since_it_began(&self, ground: &dyn Ground, replica: &Replica) -> Tally {
        let before = self.before.get(replica).copied().unwrap_or_default();
        self.tally(ground, replica).since(before)
    }

    fn tally(&self, ground: &dyn Ground, replica: &Replica) -> Tally {
        Tally::of(&ground.history(replica), self.watched.get(replica).copied())
    }
}

impl Tally {
    fn of(history: &History, watched: Option<Duration>) -> Self {
        Self {
            exits: history.telling_exits(watched),
            memory_kills: history.memory_kills,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            exits: self.exits.saturating_sub(before.exits),
            memory_kills: self.memory_kills.saturating_sub(before.memory_kills),
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            exits: self.exits + other.exits,
            memory_kills: self.memory_kills + other.memory_kills,
        }
    }
}

impl Span {
    /// Nothing but what production meets, too.
    pub fn lived(stage: StageId, role: Role) -> Self {
        let way = Way::Lived;
        Self { stage, role, way }
    }

    /// A release comes up.
    pub fn swapping(stage: StageId, role: Role) -> Self {
        let way = Way::Swapping;
        Self { stage, role, way }
    }

    /// A check strains it.
    pub fn strained(stage: StageId, role: Role) -> Self {
        let way = Way::Strained;
        Self { stage, role, way }
    }
}

/// Where the candidate lives as production does, until that stage.
pub fn of_candidate_until(stage: StageId) -> Vec<Span> {
    let stages = [StageId::Upgrade, StageId::Load, StageId::Rollback].into_iter();
    let until = stages.filter(|one| *one <= stage);
    until.map(|stage| Span::lived(stage, Role::Candidate)).collect()
}
