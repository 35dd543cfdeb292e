//! Who said what: every line of every container, with the stage in which it was said and the release whose turn it was.
//!
//! The lines of a container belong to the release in whose turn it stands there: while the baseline runs, everything is
//! said beside the baseline; from a swap on, beside the other one. A container that is replaced keeps to the turn before
//! the swap, so that what it says while it goes is its own release's and not its successor's.

use std::collections::{BTreeSet, HashMap};

use super::cursor::Cursor;
use super::kept::{Excerpt, Kept, Moment};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::world::replica::Replica;

/// Where a replica's log stood at a moment; the default is its beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark {
    containers: usize,
    lines: usize,
}

/// A container of a service.
struct Container {
    replica: Replica,
    // Of one that is being replaced: the turn to which it keeps.
    keeps_to: Option<Role>,
    kept: Kept,
    cursor: Cursor,
}

/// The log of every container.
pub(super) struct Store {
    stage: StageId,
    turn: Role,
    // In the order in which they were made.
    containers: Vec<Container>,
    by_id: HashMap<String, usize>,
    // Of `control`, by service.
    aside: HashMap<Replica, Vec<String>>,
}

impl Store {
    /// Empty, in control.
    pub fn new() -> Self {
        Self {
            stage: StageId::Control,
            turn: Role::Baseline,
            containers: Vec::new(),
            by_id: HashMap::new(),
            aside: HashMap::new(),
        }
    }

    /// From now on lines are said in this stage.
    pub fn enter(&mut self, stage: StageId) {
        self.stage = stage;
    }

    /// From now on it is this release's turn; the present containers of these replicas are being replaced.
    pub fn turn(&mut self, to: Role, replaced: &[Replica]) {
        let before = self.turn;
        for replica in replaced {
            let present = self.containers.iter_mut().rfind(|one| one.replica == *replica);
            if let Some(container) = present {
                container.keeps_to.get_or_insert(before);
            }
        }
        self.turn = to;
    }

    /// A container that was to be replaced, or stopped for a while, stays.
    pub fn stays(&mut self, id: &str) {
        let at = self.by_id.get(id).copied();
        if let Some(container) = at.and_then(|at| self.containers.get_mut(at)) {
            container.keeps_to = None;
        }
    }

    /// A container was made.
    pub fn open(&mut self, id: &str, replica: &Replica) -> StageId {
        self.by_id.insert(id.to_owned(), self.containers.len());
        self.containers.push(Container {
            replica: replica.clone(),
            keeps_to: None,
            kept: Kept::default(),
            cursor: Cursor::default(),
        });
        self.stage
    }

    /// How far the log of a container has been taken.
    pub fn cursor(&mut self, id: &str) -> Option<&mut Cursor> {
        let at = *self.by_id.get(id)?;
        self.containers.get_mut(at).map(|container| &mut container.cursor)
    }

    /// A container said something: in which stage, and which it was.
    pub fn push(&mut self, id: &str, line: String) -> Option<(StageId, &Replica)> {
        let container = self.containers.get_mut(*self.by_id.get(id)?)?;
        let moment = Moment {
            stage: self.stage,
            role: container.keeps_to.unwrap_or(self.turn),
        };
        container.kept.push(moment, line);
        Some((moment.stage, &container.replica))
    }

    /// Every replica of a service that has had a container.
    pub fn replicas_of(&self, service: &str) -> BTreeSet<Replica> {
        let own = self.containers.iter().filter(|one| one.replica.service == service);
        own.map(|one| one.replica.clone()).collect()
    }

    fn of<'s>(&'s self, replica: &'s Replica) -> impl Iterator<Item = &'s Kept> {
        let own = self.containers.iter().filter(move |one| one.replica == *replica);
        own.map(|one| &one.kept)
    }

    /// What a container said.
    pub fn of_container(&self, id: &str) -> Excerpt {
        let container = self.by_id.get(id).and_then(|at| self.containers.get(*at));
        container.map_or_else(Excerpt::default, |container| container.kept.after(0))
    }

    /// What a replica said in a stage.
    pub fn in_stage(&self, replica: &Replica, stage: StageId) -> Excerpt {
        self.at(replica, |moment| moment.stage == stage)
    }

    /// What a replica said in `control`, without what was set aside.
    pub fn known(&self, replica: &Replica) -> Vec<String> {
        let mut lines = self.in_stage(replica, StageId::Control).lines;
        for line in self.aside.get(replica).into_iter().flatten() {
            if let Some(at) = lines.iter().position(|known| known == line) {
                lines.remove(at);
            }
        }
        lines
    }

    /// These lines, said in `control`, are nothing that a replica is known to say.
    pub fn set_aside(&mut self, replica: &Replica, lines: &[String]) {
        if self.stage == StageId::Control {
            let aside = self.aside.entry(replica.clone()).or_default();
            aside.extend_from_slice(lines);
        }
    }

    /// What a replica said in a release's turn.
    pub fn in_turn(&self, replica: &Replica, role: Role) -> Excerpt {
        self.at(replica, |moment| moment.role == role)
    }

    /// What a replica said in a release's turn, in one stage.
    pub fn said(&self, replica: &Replica, stage: StageId, role: Role) -> Excerpt {
        self.at(replica, |moment| moment == Moment { stage, role })
    }

    fn at(&self, replica: &Replica, wanted: impl Fn(Moment) -> bool) -> Excerpt {
        let mut all = Excerpt::default();
        self.of(replica).for_each(|kept| all.extend(kept.at(&wanted)));
        all
    }

    /// The last lines of a replica, of whichever container.
    pub fn last(&self, replica: &Replica, count: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for kept in self.of(replica) {
            lines.extend(kept.last(count));
        }
        lines.split_off(lines.len().saturating_sub(count))
    }

    /// Where a replica's log stands now.
    pub fn mark(&self, replica: &Replica) -> Mark {
        Mark {
            containers: self.of(replica).count(),
            lines: self.of(replica).last().map_or(0, Kept::count),
        }
    }

    /// Where the log of a replica's present container begins.
    pub fn beginning(&self, replica: &Replica) -> Mark {
        Mark {
            lines: 0,
            ..self.mark(replica)
        }
    }

    /// What a replica said after a mark. What a container before it says late is not among it.
    pub fn since(&self, replica: &Replica, mark: Mark) -> Excerpt {
        let mut all = Excerpt::default();
        let skipped = mark.containers.saturating_sub(1);
        for (number, kept) in self.of(replica).enumerate().skip(skipped) {
            let after = if number + 1 == mark.containers { mark.lines } else { 0 };
            all.extend(kept.after(after));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Production's `web` and `db`; `web` is being replaced, and both releases have spoken.
    fn swapped() -> Store {
        let mut store = Store::new();
        store.open("web-1", &web());
        store.open("db-1", &db());
        store.push("web-1", "listening".to_owned());
        store.push("db-1", "ready".to_owned());
        store.enter(StageId::Upgrade);
        store.turn(Role::Candidate, &[web()]);
        store.open("web-2", &web());
        store.push("web-1", "ERROR bye".to_owned());
        store.push("web-2", "listening anew".to_owned());
        store.push("web-1", "late words".to_owned());
        store.push("db-1", "connection reset".to_owned());
        store
    }

    fn web() -> Replica {
        Replica::only("web")
    }

    fn db() -> Replica {
        Replica::only("db")
    }

    fn said(store: &Store, replica: &Replica, role: Role) -> Vec<String> {
        store.in_turn(replica, role).lines
    }

    #[test]
    fn what_a_release_says_while_it_goes_is_its_own() {
        let store = swapped();
        let baseline = ["listening", "ERROR bye", "late words"];
        assert_eq!(said(&store, &web(), Role::Baseline), baseline);
        assert_eq!(said(&store, &web(), Role::Candidate), ["listening anew"]);
    }

    #[test]
    fn what_was_set_aside_is_not_known_unless_it_is_said_by_itself_too() {
        let mut store = Store::new();
        store.open("web-1", &web());
        for line in ["Traceback", "listening", "listening"] {
            store.push("web-1", line.to_owned());
        }
        store.set_aside(&web(), &["Traceback".to_owned(), "listening".to_owned()]);
        assert_eq!(store.known(&web()), ["listening"]);
    }

    #[test]
    fn what_stays_speaks_beside_whoever_has_the_turn() {
        let store = swapped();
        assert_eq!(said(&store, &db(), Role::Baseline), ["ready"]);
        assert_eq!(said(&store, &db(), Role::Candidate), ["connection reset"]);
    }

    #[test]
    fn what_is_stopped_and_started_again_speaks_beside_whoever_has_the_turn() {
        let mut store = Store::new();
        store.open("db-1", &db());
        store.turn(Role::Candidate, &[web(), db()]);
        store.push("db-1", "stopping".to_owned());
        store.stays("db-1");
        store.push("db-1", "ready again".to_owned());
        assert_eq!(said(&store, &db(), Role::Baseline), ["stopping"]);
        assert_eq!(said(&store, &db(), Role::Candidate), ["ready again"]);
    }

    #[test]
    fn a_candidate_that_was_never_made_has_said_nothing() {
        let mut store = Store::new();
        store.open("web-1", &web());
        store.turn(Role::Candidate, &[web()]);
        store.push("web-1", "still here".to_owned());
        assert_eq!(said(&store, &web(), Role::Candidate), Vec::<String>::new());
    }

    #[test]
    fn after_the_rollback_the_turn_is_the_baselines_again() {
        let mut store = swapped();
        store.enter(StageId::Rollback);
        store.turn(Role::Baseline, &[web()]);
        store.open("web-3", &web());
        store.push("web-2", "candidate goes".to_owned());
        store.push("web-3", "back".to_owned());
        assert_eq!(
            said(&store, &web(), Role::Candidate),
            ["listening anew", "candidate goes"]
        );
        assert_eq!(said(&store, &web(), Role::Baseline).last().unwrap(), "back");
        assert_eq!(
            store.in_stage(&web(), StageId::Rollback).lines,
            ["candidate goes", "back"]
        );
        let late = store.said(&web(), StageId::Rollback, Role::Candidate);
        assert_eq!(late.lines, ["candidate goes"]);
    }

    #[test]
    fn a_mark_parts_what_was_said_before_from_what_is_said_after() {
        let mut store = swapped();
        assert_eq!(store.since(&web(), store.beginning(&web())).lines, ["listening anew"]);
        let mark = store.mark(&web());
        assert_eq!(store.since(&web(), mark).lines, Vec::<String>::new());
        store.push("web-1", "later still".to_owned());
        store.push("web-2", "a".to_owned());
        store.open("web-3", &web());
        store.push("web-3", "b".to_owned());
        assert_eq!(store.since(&web(), mark).lines, ["a", "b"]);
        assert_eq!(store.since(&web(), Mark::default()).lines.len(), 7);
    }

    #[test]
    fn the_last_lines_are_the_last_containers_first() {
        let mut store = swapped();
        assert_eq!(store.last(&web(), 2), ["late words", "listening anew"]);
        store.open("web-3", &web());
        assert_eq!(store.last(&web(), 1), ["listening anew"]);
        assert_eq!(store.last(&Replica::only("nobody"), 5), Vec::<String>::new());
        assert_eq!(
            store.of_container("web-1").lines,
            ["listening", "ERROR bye", "late words"]
        );
    }

    #[test]
    fn each_replica_has_a_log_of_its_own() {
        let (first, second) = (Replica::numbered("web", 1), Replica::numbered("web", 2));
        let mut store = Store::new();
        store.open("a", &first);
        store.open("b", &second);
        store.push("a", "migrating".to_owned());
        store.push("b", "FATAL: locked".to_owned());
        assert_eq!(store.in_stage(&second, StageId::Control).lines, ["FATAL: locked"]);
        assert_eq!(store.last(&first, 5), ["migrating"]);
        assert_eq!(store.replicas_of("web"), [first, second].into());
    }
}
