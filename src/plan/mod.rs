//! The plan: what will happen, as plain data, printed before anything does, and then executed step by step: nothing runs
//! that is not in it. Making it needs no engine and no clock, so the same configuration and seed always give the same
//! plan.

pub mod only;
mod stages;
mod words;

use serde::Serialize;

pub use only::Only;

use crate::check::pair::Pair;
use crate::config::settings::{CandidateImage, Rollback, Settings};
use crate::mirror::door;
use crate::record::check::CheckId;
use crate::record::image::ImagePlan;
use crate::record::partial::Partial;
use crate::record::release::{Release, Role};
use crate::record::stage::StageId;
use crate::record::step::Step;
use crate::record::v1::SCHEMA;
use crate::world::model::World;

/// `plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Always `rehearsal/v1`.
    pub schema: String,
    /// Replays the run.
    pub seed: u64,
    /// The configuration it was made from.
    pub config: String,
    /// What wants to replace production.
    pub candidate: Vec<Release>,
    /// What production runs in those places.
    pub baseline: Vec<Release>,
    /// Every other service.
    pub mirror: Vec<Release>,
    /// Every image that the run needs, and how each is had.
    pub images: Vec<ImagePlan>,
    /// In order.
    pub stages: Vec<StagePlan>,
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

/// Makes the plan.
pub fn make(settings: &Settings, world: &World, seed: u64, only: &Only) -> Plan {
    let candidate = settings.candidate.iter().map(|(service, candidate)| Release {
        service: service.clone(),
        image: match &candidate.image {
            CandidateImage::Reference(image) => image.clone(),
            CandidateImage::Build { context, .. } => format!("built from {}", context.display()),
            CandidateImage::Unchanged => image_of(world, service),
        },
        digest: None,
    });
    let release = |service: &String| Release {
        service: service.clone(),
        image: image_of(world, service),
        digest: None,
    };
    let others = world
        .services
        .keys()
        .filter(|name| !settings.candidate.contains_key(*name));
    Plan {
        schema: SCHEMA.to_owned(),
        seed,
        config: settings.file.display().to_string(),
        candidate: candidate.collect(),
        baseline: settings.candidate.keys().map(release).collect(),
        mirror: others.map(release).collect(),
        images: Vec::new(),
        stages: StageId::ALL
            .iter()
            .map(|id| stages::plan(*id, settings, world, only))
            .collect(),
        partial: partial(settings, only),
        notes: notes(settings, world),
    }
}

fn partial(settings: &Settings, only: &Only) -> Vec<Partial> {
    let narrowed = (!only.is_everything()).then(|| Partial::Only(only.to_string()));
    let forward = match &settings.stages.rollback {
        Rollback::ForwardOnly(reason) => Some(Partial::ForwardOnly(reason.clone())),
        Rollback::Within(_) => None,
    };
    let signed = settings.policy.unexercised.iter();
    let signed = signed.filter(|entry| settings.candidate.contains_key(&entry.service));
    let signed = signed.map(|entry| Partial::Unexercised(entry.service.clone(), entry.reason.clone()));
    narrowed.into_iter().chain(forward).chain(signed).collect()
}

fn notes(settings: &Settings, world: &World) -> Vec<String> {
    let mut notes = door::notes(&settings.policy.allow_egress);
    notes.extend(world.unmirrored.iter().cloned());
    notes.push(match &settings.production.lock {
        None => "no lock: production's facts are unrecorded, so nothing proves that this mirror equals production"
            .to_owned(),
        Some(lock) => format!("production's facts are those of `{}`", lock.display()),
    });
    notes
}

fn image_of(world: &World, service: &str) -> String {
    let service = world.services.get(service);
    service.map(|service| service.image.clone()).unwrap_or_default()
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
