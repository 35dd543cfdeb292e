//! The candidate: production's services with what the release changes.

use std::collections::BTreeMap;

use crate::compose::{self, Project};
use crate::config::settings::{CandidateImage, Settings};
use crate::world::from_compose;
use crate::world::model::{Build, PullPolicy, Service, World};
use crate::yaml::diagnostic::Diagnostic;

/// Production's service with what the release changes: a fragment, an image, variables.
pub(super) fn candidates(
    settings: &Settings,
    project: &Project,
    world: &mut World,
) -> Result<BTreeMap<String, Service>, Vec<Diagnostic>> {
    let mut all = BTreeMap::new();
    for (name, candidate) in &settings.candidate {
        let Some(mut service) = world.services.get(name).cloned() else {
            return Err(vec![no_such_service(&candidate.span, name, world)]);
        };
        if let Some(fragment) = &candidate.compose {
            let merged = compose::merge_service_fragment(project, name, fragment).map_err(|error| vec![error])?;
            let other = from_compose::world(&merged).map_err(|error| vec![error])?;
            service = other.services.get(name).cloned().unwrap_or(service);
            world.add_networks(other.networks);
            world.volumes.extend(other.volumes);
            world.volumes.sort();
            world.volumes.dedup();
        }
        match &candidate.image {
            CandidateImage::Reference(image) => {
                service.image.clone_from(image);
                service.build = None;
                // Production's policy is for production's registry; a build may be on this engine alone.
                service.pull_policy = PullPolicy::Missing;
            }
            CandidateImage::Build {
                context,
                dockerfile,
                target,
                args,
            } => {
                service.build = Some(Build {
                    context: context.clone(),
                    dockerfile: dockerfile.clone(),
                    target: target.clone(),
                    args: args.clone(),
                    ..Build::default()
                });
            }
            CandidateImage::Unchanged => {}
        }
        service.env.extend(candidate.env.clone());
        all.insert(name.clone(), service);
    }
    Ok(all)
}

pub(super) fn no_such_service(span: &crate::yaml::span::Span, name: &str, world: &World) -> Diagnostic {
    let known = world.services.keys().map(String::as_str);
    let near = crate::yaml::diagnostic::nearest(name, known.clone());
    let way_out = near.map_or_else(
        || format!("production has {}", known.collect::<Vec<_>>().join(", ")),
        |near| format!("did you mean `{near}`?"),
    );
    Diagnostic::at(span, format!("production has no service `{name}`")).help(way_out)
}
