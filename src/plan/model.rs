//! The plan as data: stages, and in each the steps and the checks.

use serde::Serialize;

use super::difference::Difference;
use crate::check::pair::Pair;
use crate::record::check::CheckId;
use crate::record::image::ImagePlan;
use crate::record::partial::Partial;
use crate::record::release::{ProductionRecord, Release, Role};
use crate::record::shard::Shard;
use crate::record::stage::StageId;
use crate::record::step::Step;

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Always `rehearsal/v1`.
    pub schema: String,
    /// Replays the run.
    pub seed: u64,
    /// The configuration it was made from.
    pub config: String,
    /// Where production's description comes from, where that is not the working tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub production: Option<ProductionRecord>,
    /// What wants to replace production.
    pub candidate: Vec<Release>,
    /// What production runs in those places.
    pub baseline: Vec<Release>,
    /// Every other service.
    pub mirror: Vec<Release>,
    /// What the release changes, service by service.
    pub changes: Vec<Difference>,
    /// Every image that the run needs, and how each is had.
    pub images: Vec<ImagePlan>,
    /// In order.
    pub stages: Vec<StagePlan>,
    /// What it is of the whole, where it is one of several shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
    /// What the run leaves out.
    #[serde(skip)]
    pub partial: Vec<Partial>,
    /// What the mirror does not mirror, and what else a reader should know.
    pub notes: Vec<String>,
}

/// One stage of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StagePlan {
    /// Which.
    pub id: StageId,
    /// Why it is left out, if it is.
    pub skipped: Option<String>,
    /// In order; services of production come up side by side.
    pub steps: Vec<Planned>,
    /// The built-in checks that are answered here.
    pub checks: Vec<CheckPlan>,
}

/// One step of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Which; its name is the same in events and reports.
    pub id: Step,
    /// The release that it needs in place: a step on a candidate that did not come up does not run.
    pub on: Role,
    /// What it does, for people.
    pub what: String,
}

/// One check of a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckPlan {
    /// Which.
    pub id: CheckId,
    /// Why it is left out, if it is.
    pub skipped: Option<String>,
}

impl Plan {
    /// The stage with this id.
    pub fn stage(&self, id: StageId) -> Option<&StagePlan> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// Whether a stage has a step.
    pub fn has_step(&self, id: StageId, step: &Step) -> bool {
        let stage = self.stage(id);
        stage.is_some_and(|stage| stage.steps.iter().any(|planned| planned.id == *step))
    }

    /// Whether a check is asked in a stage.
    pub fn asks(&self, check: CheckId, id: StageId) -> bool {
        let planned = self.stage(id).filter(|stage| stage.skipped.is_none());
        let mut checks = planned.into_iter().flat_map(|stage| &stage.checks);
        checks.any(|planned| planned.id == check && planned.skipped.is_none())
    }

    /// The pair that is tried; `auth` are the services of the authentication dependency.
    pub fn pair(&self, auth: &[String]) -> Pair {
        Pair::of(&self.candidate, &self.baseline, &self.mirror, auth)
    }
}
