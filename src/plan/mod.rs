//! The plan: what will happen, as plain data, printed before anything does, and then executed step by step: nothing runs
//! that is not in it. Making it needs no engine and no clock, so the same configuration and seed always give the same
//! plan.

mod asked;
mod difference;
mod model;
mod names;
mod narrowing;
mod only;
pub mod shard;
mod stages;
mod words;

pub use difference::Difference;
pub use model::{CheckPlan, Plan, Planned, StagePlan};
pub use narrowing::Narrowing;
pub use only::Only;

use std::collections::BTreeSet;

use crate::check::Given;
use crate::config::settings::{AuthChange, AuthFault, CandidateImage, Rollback, Settings};
use crate::engine::pull::reference::Reference;
use crate::mirror::border::door;
use crate::record::partial::Partial;
use crate::record::release::Release;
use crate::record::v1::SCHEMA;
use crate::world::candidates::Candidates;
use crate::world::model::{Mount, Service, Source, World};

/// Makes the plan.
pub fn make(given: &Given<'_>, seed: u64, narrowing: &Narrowing) -> Plan {
    let Given {
        settings,
        world,
        candidate: release,
    } = *given;
    let candidate = release.services.values().map(|service| Release {
        service: service.name.clone(),
        image: new_image_of(settings, service),
        digest: None,
        pushed: by_digest(&service.image),
    });
    let touched = release.touched();
    let own = |service: &Service| Release {
        service: service.name.clone(),
        image: service.image.clone(),
        digest: None,
        pushed: by_digest(&service.image),
    };
    let (changed, others): (Vec<&Service>, Vec<&Service>) = world
        .services
        .values()
        .partition(|service| touched.contains(&service.name));
    Plan {
        schema: SCHEMA.to_owned(),
        seed,
        config: settings.file.display().to_string(),
        production: None,
        candidate: candidate.collect(),
        baseline: changed.into_iter().map(own).collect(),
        mirror: others.into_iter().map(own).collect(),
        changes: difference::all(release, world),
        images: Vec::new(),
        stages: asked::stages(settings)
            .map(|id| stages::plan(id, given, narrowing))
            .collect(),
        shard: None,
        partial: partial(settings, release, narrowing),
        notes: notes(settings, world, release),
    }
}

/// What a reference alone says of how registries know an image.
fn by_digest(image: &str) -> Option<String> {
    let reference = Reference::of(image);
    reference.digest.as_ref().map(|digest| reference.pinned(digest))
}

/// What is built has no name that says anything.
fn new_image_of(settings: &Settings, service: &Service) -> String {
    let entry = settings.candidate.get(&service.name);
    match entry.map(|candidate| &candidate.image) {
        Some(CandidateImage::Build { context, .. }) => format!("built from {}", context.display()),
        _ => service.image.clone(),
    }
}

fn partial(settings: &Settings, release: &Candidates, narrowing: &Narrowing) -> Vec<Partial> {
    let forward = match &settings.stages.rollback {
        Rollback::ForwardOnly(reason) => Some(Partial::ForwardOnly(reason.clone())),
        Rollback::Within(_) => None,
    };
    let signed = settings.policy.unexercised.iter();
    let signed = signed.filter(|entry| release.services.contains_key(&entry.service));
    let signed = signed.map(|entry| Partial::Unexercised(entry.service.clone(), entry.reason.clone()));
    narrowing.partial().chain(forward).chain(signed).collect()
}

/// What nobody asks of a release while its authentication dependency fails.
fn faults_not_asked(settings: &Settings) -> Option<String> {
    settings.auth.as_ref()?;
    let asked = settings.stages.faults.as_ref();
    let bears = |fault: &&AuthFault| !asked.is_some_and(|asked| asked.auth.contains(fault));
    let follows = |change: &&AuthChange| !asked.is_some_and(|asked| asked.changes.contains(change));
    let faults = AuthFault::ALL.iter().filter(bears).map(|fault| fault.as_str());
    let changes = AuthChange::ALL.iter().filter(follows).map(|change| change.as_str());
    let not_asked: Vec<&str> = faults.chain(changes).collect();
    let words = not_asked.join(", ");
    (!not_asked.is_empty()).then(|| {
        format!("not asked: how a release bears faults of the authentication dependency ({words}); see stages.faults")
    })
}

/// What happens on a mirror that no stage shows.
fn apart(settings: &Settings) -> Option<String> {
    let faults = settings.stages.faults.as_ref()?;
    let is_asked = faults.changes.contains(&AuthChange::Rotation);
    settings.auth.as_ref()?.rotate.as_ref().filter(|_| is_asked)?;
    let words = "auth.rotate: when all else is over, another mirror comes up, and the product changes its key there, under \
                 production's release and then under the candidate";
    Some(words.to_owned())
}

/// A migration is as good as the rows that it meets.
fn empty_tables(settings: &Settings, world: &World) -> Option<String> {
    let keeps = |service: &Service| service.mounts.iter().any(is_kept);
    let is_given = !settings.data.restore.is_empty() || settings.data.seed.is_some();
    let words = "no data: neither data.restore nor data.seed fills production's volumes, and a migration on empty tables \
                 proves little";
    (!is_given && world.services.values().any(keeps)).then(|| words.to_owned())
}

/// What outlives a container, and is no file of the repository.
fn is_kept(mount: &Mount) -> bool {
    !mount.read_only && matches!(mount.source, Source::Volume(_) | Source::Anonymous)
}

/// What runs more often in production, or will, than here.
fn fewer_replicas(world: &World, release: &Candidates) -> Vec<String> {
    let all = world.services.values().chain(release.services.values());
    let fewer = all.filter_map(|service| Some((service.name.as_str(), service.replicas.fewer()?)));
    let fewer: BTreeSet<(&str, String)> = fewer.collect();
    let words =
        |(name, fewer): (&str, String)| format!("service `{name}`: {fewer} replicas run here (`policy.max_replicas`)");
    fewer.into_iter().map(words).collect()
}

fn notes(settings: &Settings, world: &World, release: &Candidates) -> Vec<String> {
    let mut notes = door::notes(&settings.policy.allow_egress);
    notes.extend(door::raw_note(world, settings.policy.border));
    notes.extend(world.unmirrored.iter().cloned());
    notes.extend(fewer_replicas(world, release));
    notes.push(match &settings.production.lock {
        None => "no lock: production's facts are unrecorded, so nothing proves that this mirror equals production"
            .to_owned(),
        Some(lock) => format!("production's facts are those of `{}`", lock.display()),
    });
    notes.extend(empty_tables(settings, world));
    notes.extend(faults_not_asked(settings));
    notes.extend(apart(settings));
    notes
}
