//! The candidate: production's services with what the release changes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::compose::{self, Project};
use crate::config::settings::{CandidateImage, Settings};
use crate::world::from_compose;
use crate::world::model::{Build, PullPolicy, Service, World};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::span::Source;
use crate::yaml::tree;

/// The release's services.
#[derive(Debug, Clone, Default)]
pub struct Candidates {
    /// Production's, with what the release changes.
    pub services: BTreeMap<String, Service>,
    /// Those whose image the release names, whatever its name: no pin of production's is theirs.
    pub named: BTreeSet<String>,
}

/// Production's service with what the release changes: a fragment, an image, variables.
pub(super) fn candidates(
    settings: &Settings,
    project: &Project,
    world: &mut World,
) -> Result<Candidates, Vec<Diagnostic>> {
    let mut all = Candidates::default();
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
        let fragment = candidate.compose.as_deref();
        if candidate.image != CandidateImage::Unchanged || fragment.is_some_and(|file| names_image(file, name)) {
            all.named.insert(name.clone());
        }
        all.services.insert(name.clone(), service);
    }
    Ok(all)
}

/// Whether a fragment, which has been read, says what image the service runs.
fn names_image(fragment: &Path, service: &str) -> bool {
    let text = std::fs::read_to_string(fragment).unwrap_or_default();
    let source = Arc::new(Source {
        path: fragment.to_path_buf(),
        text,
    });
    let root = tree::parse(source).ok();
    let own = root.as_ref().and_then(|root| root.get("services")?.get(service));
    own.is_some_and(|own| own.get("image").or_else(|| own.get("build")).is_some())
}

/// Those whose release is named, and is what production runs: the same image with the same settings. `image`: an
/// image's own id.
pub fn same_as_production(candidates: &Candidates, world: &World, image: impl Fn(&str) -> String) -> Vec<String> {
    let is_same = |name: &&String| {
        let pair = candidates.services.get(*name).zip(world.services.get(*name));
        pair.is_some_and(|(new, old)| image(&new.image) == image(&old.image) && settings_of(new) == settings_of(old))
    };
    candidates.named.iter().filter(is_same).cloned().collect()
}

/// A service but for what it is made from and how that is had.
fn settings_of(service: &Service) -> Service {
    Service {
        image: String::new(),
        build: None,
        pull_policy: PullPolicy::default(),
        ..service.clone()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn service(image: &str) -> Service {
        Service {
            name: "web".to_owned(),
            image: image.to_owned(),
            ..Service::default()
        }
    }

    /// What is the same of a release under each name of one image.
    fn same(new: Service, named: &[&str]) -> Vec<String> {
        let of = |service: Service| BTreeMap::from([("web".to_owned(), service)]);
        let world = World {
            services: of(service("shop:1")),
            ..World::default()
        };
        let candidates = Candidates {
            services: of(new),
            named: named.iter().map(|name| (*name).to_owned()).collect(),
        };
        let ids = |image: &str| {
            if image.starts_with("shop:1") {
                "sha256:1"
            } else {
                "sha256:2"
            }
            .to_owned()
        };
        same_as_production(&candidates, &world, ids)
    }

    #[test]
    fn a_release_that_is_named_and_is_productions_own_is_nothing_to_rehearse() {
        assert_eq!(same(service("shop:1.0"), &["web"]), ["web"]);
        assert!(same(service("shop:2"), &["web"]).is_empty());
        // What only changes settings names no image; and settings are a release, too.
        assert!(same(service("shop:1"), &[]).is_empty());
        let mut other = service("shop:1.0");
        other.env.insert("A".to_owned(), Some("b".to_owned()));
        assert!(same(other, &["web"]).is_empty());
    }
}
