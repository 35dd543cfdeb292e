//! Facts: what happened in a run so far. Stages gather them, checks look at them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ground::Copy;
use super::spans::Lived;
use super::traffic::Traffic;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::start::Started;
use crate::mirror::swap::Swapped;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;
use crate::suite::guarded::Guarded;
use crate::suite::login::Session;
use crate::world::replica::Replica;

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// On which mirror.
    pub on: Copy,
    /// Containers of production, as they came up.
    pub started: Vec<Started>,
    /// How releases gave way to each other: the candidate took over in `upgrade`, the baseline came back in `rollback`.
    pub swaps: BTreeMap<StageId, Swap>,
    /// Every run of tests, in order.
    pub ran: Vec<Ran>,
    /// How each container of the mirror lived.
    pub lived: Lived,
    /// What the probe saw, where there was something to ask.
    pub traffic: BTreeMap<StageId, Result<Traffic, Lost>>,
    /// What was said to attempts of ours that must fail, in order.
    pub aside: Vec<Aside>,
    /// What the first sign-in of a stage left that held, on this mirror.
    pub sessions: BTreeMap<StageId, Session>,
}

/// One release gave way to another.
#[derive(Debug, Clone)]
pub struct Swap {
    /// It came up; a service of it did not; or nobody can tell.
    pub outcome: Outcome<Vec<Swapped>, ServiceFailure>,
    /// From the order until ready.
    pub took: Duration,
    /// What was allowed.
    pub within: Duration,
}

/// What services said to attempts of ours that must fail, or of what was away while another release came.
#[derive(Debug, Clone)]
pub struct Aside {
    /// In which stage.
    pub stage: StageId,
    /// On which release.
    pub role: Role,
    /// Replica → lines.
    pub said: BTreeMap<Replica, Vec<String>>,
}

/// One run of a suite or of an entry of `data`.
#[derive(Debug, Clone)]
pub struct Ran {
    /// In which stage.
    pub stage: StageId,
    /// On which release.
    pub role: Role,
    /// What ran.
    pub subject: Subject,
    /// Its tests.
    pub tests: Vec<TestRecord>,
    /// Too few: how many ran, and how many are needed.
    pub too_few: Option<(u64, u64)>,
    /// Where something failed, the first line of the release's log that says why.
    pub cause: Option<String>,
    /// There, what the candidate and those it asked said meanwhile that they never said in `control`.
    pub said: Vec<String>,
    /// Requests of it that carried credentials and were answered as they must be.
    pub guarded: Vec<Guarded>,
}

impl Facts {
    /// The swap of a stage.
    ///
    /// # Errors
    /// It did not happen.
    pub fn swap(&self, stage: StageId) -> Result<&Swap, Lost> {
        let none = || Lost::new(Part::Step, format!("no release was put in another's place in {stage}"));
        self.swaps.get(&stage).ok_or_else(none)
    }

    /// The candidate has been in production's place.
    pub fn candidate_came_up(&self) -> bool {
        let swap = self.swaps.get(&StageId::Upgrade);
        swap.is_some_and(|swap| swap.outcome.held().is_some())
    }

    /// What ran on a release in a stage.
    pub fn ran_on(&self, stage: StageId, role: Role) -> impl Iterator<Item = &Ran> {
        self.ran
            .iter()
            .filter(move |ran| ran.stage == stage && ran.role == role)
    }

    /// The suites that have run on this mirror, in their order: those of other shards have not.
    pub fn suites(&self) -> Vec<Subject> {
        let mut suites: Vec<Subject> = Vec::new();
        for ran in self.ran.iter().filter(|ran| ran.stage == StageId::Control) {
            if matches!(ran.subject, Subject::Suite(_)) && !suites.contains(&ran.subject) {
                suites.push(ran.subject.clone());
            }
        }
        suites
    }

    /// The same facts with other runs of tests.
    pub fn with_runs(&self, ran: Vec<Ran>) -> Self {
        Self { ran, ..self.clone() }
    }

    /// The same facts on another mirror, on which nobody has signed in.
    pub fn elsewhere(&self) -> Self {
        Self {
            on: Copy::Untouched,
            sessions: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// The lines of a replica without those that say nothing of a release.
    pub fn without_aside(&self, stage: StageId, role: Role, replica: &Replica, mut lines: Vec<String>) -> Vec<String> {
        let own = self
            .aside
            .iter()
            .filter(|aside| (aside.stage, aside.role) == (stage, role));
        for line in own.filter_map(|aside| aside.said.get(replica)).flatten() {
            if let Some(at) = lines.iter().position(|known| known == line) {
                lines.remove(at);
            }
        }
        lines
    }

    /// How long a service of production took to be ready.
    pub fn start_of(&self, service: &str) -> Option<Duration> {
        let started = self.started.iter().find(|started| started.replica.service == service)?;
        Some(started.took)
    }
}
