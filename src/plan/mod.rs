//! The plan: what will happen, as plain data, printed before anything does, and then executed step by step: nothing runs
//! that is not in it. Making it needs no engine and no clock, so the same configuration and seed always give the same
//! plan.

mod model;
mod names;
mod only;
mod stages;
mod words;

pub use model::{CheckPlan, Plan, Planned, StagePlan};
pub use only::Only;

use self::stages::image_of;
use crate::config::settings::{CandidateImage, Rollback, Settings};
use crate::mirror::border::door;
use crate::record::partial::Partial;
use crate::record::release::Release;
use crate::record::stage::StageId;
use crate::record::v1::SCHEMA;
use crate::world::model::World;

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
    notes.extend(door::raw_note(world));
    notes.extend(world.unmirrored.iter().cloned());
    notes.push(match &settings.production.lock {
        None => "no lock: production's facts are unrecorded, so nothing proves that this mirror equals production"
            .to_owned(),
        Some(lock) => format!("production's facts are those of `{}`", lock.display()),
    });
    notes
}
