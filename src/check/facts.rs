//! Facts: what happened in a run so far. Stages gather them, checks look at them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::traffic::Traffic;
use crate::mirror::failure::ServiceFailure;
use crate::mirror::start::Started;
use crate::mirror::swap::Swapped;
use crate::record::outcome::{Lost, Outcome, Part};
use crate::record::release::Role;
use crate::record::stage::StageId;
use crate::record::step::Subject;
use crate::record::test::TestRecord;

/// What happened.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Services of production, as they came up.
    pub started: Vec<Started>,
    /// How releases gave way to each other: the candidate took over in `upgrade`, the baseline came back in `rollback`.
    pub swaps: BTreeMap<StageId, Swap>,
    /// Every run of tests, in order.
    pub ran: Vec<Ran>,
    /// Exits that each service's container had behind it when a stage began.
    pub exits: BTreeMap<StageId, BTreeMap<String, usize>>,
    /// What the probe saw, where there was something to ask.
    pub traffic: BTreeMap<StageId, Result<Traffic, Lost>>,
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

    /// The same facts with other runs of tests.
    pub fn with_runs(&self, ran: Vec<Ran>) -> Self {
        Self { ran, ..self.clone() }
    }

    /// Exits of a service's container before a stage began.
    pub fn exits_before(&self, stage: StageId, service: &str) -> usize {
        let of_stage = self.exits.get(&stage);
        of_stage
            .and_then(|exits| exits.get(service))
            .copied()
            .unwrap_or_default()
    }

    /// How long a service of production took to be ready.
    pub fn start_of(&self, service: &str) -> Option<Duration> {
        let started = self.started.iter().find(|started| started.service == service)?;
        Some(started.took)
    }
}
