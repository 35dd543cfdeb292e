//! The candidate: what differs between production's model and the release's. The release's is that of its files and
//! variables, with images replaced by repository, and the entries of `candidate` over it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::compose::{self, LoadOptions, Project};
use crate::config::settings::{self, CandidateImage, NamedBy, Orphans, Settings};
use crate::prepare::alike;
use crate::prepare::production::{load_options, options_of};
use crate::prepare::wanted::repository_of;
use crate::world::candidates::{Candidates, ProjectNames};
use crate::world::from_compose;
use crate::world::model::{Build, PullPolicy, Service, World};
use crate::yaml::diagnostic::{Diagnostic, nearest};
use crate::yaml::file;
use crate::yaml::span::Source;
use crate::yaml::tree;

type Done = Result<(), Vec<Diagnostic>>;

/// What the release changes. Networks and volumes that it adds are added to production's: they must be there when it
/// comes.
///
/// # Errors
/// The user's mistakes. A variable that the release's files require and nobody sets is none: it is told in what is
/// returned.
pub(super) fn candidates(
    settings: &Settings,
    production: &Project,
    world: &mut World,
) -> Result<Candidates, Vec<Diagnostic>> {
    let project = match project(settings, production) {
        Ok(project) => project,
        Err(error) if error.required.is_some() => {
            return Ok(Candidates {
                refused: Some(with_place(&error)),
                ..Candidates::default()
            });
        }
        Err(error) => return Err(vec![error]),
    };
    let mut model = from_compose::world(&project).map_err(|error| vec![error])?;
    let changed = settings
        .next
        .as_ref()
        .map(|next| alike::changed(production, &project, &next.tops));
    if let (Some(next), Some(changed)) = (&settings.next, &changed) {
        alike::take_over(world, &mut model, changed, &next.tops);
    }
    let mut named = named_by_fragments(settings);
    by_repository(settings, &mut model, &mut named)?;
    by_service(settings, world, &mut model, &mut named)?;
    let mut asked: BTreeSet<String> = settings.candidate.keys().cloned().collect();
    asked.extend(changed.unwrap_or_default());
    let mut candidates = difference(settings, world, &model, named, &asked);
    candidates.unset = unset(production, &project, &candidates);
    candidates.other_project = other_project(settings, production).map_err(|error| vec![error])?;
    add_what_it_needs(world, model);
    Ok(candidates)
}

/// The release's files and variables, seen from production's project directory; and the fragments over them.
fn project(settings: &Settings, production: &Project) -> Result<Project, Diagnostic> {
    let mut project = match files_of_release(settings, production) {
        Some(options) => compose::load(&LoadOptions {
            project_name: Some(production.name.clone()),
            ..options
        })?,
        None => production.clone(),
    };
    for (name, candidate) in &settings.candidate {
        if let Some(fragment) = &candidate.compose {
            if !project.services.contains_key(name) {
                return Err(no_such_service(&candidate.span, name, project.services.keys()));
            }
            project = compose::merge_service_fragment(&project, name, fragment)?;
        }
    }
    Ok(project)
}

/// What `docker compose` would be given for the release, where that is files.
fn files_of_release(settings: &Settings, production: &Project) -> Option<LoadOptions> {
    match (&settings.release, &settings.next) {
        (Some(release), _) => Some(release_options(settings, release, production)),
        (None, Some(next)) => Some(options_of(&next.production)),
        (None, None) => None,
    }
}

fn release_options(settings: &Settings, release: &settings::Release, production: &Project) -> LoadOptions {
    let own = load_options(settings);
    let mut environment = own.environment.clone();
    environment.extend(release.environment.clone());
    LoadOptions {
        files: if release.compose.is_empty() {
            own.files.clone()
        } else {
            release.compose.clone()
        },
        project_directory: Some(production.directory.clone()),
        // What the release's variables say of them holds, as `.env` has it on production's host.
        profiles: match release.environment.contains_key("COMPOSE_PROFILES") {
            true => Vec::new(),
            false => own.profiles.clone(),
        },
        environment,
        dotenv: compose::Dotenv {
            variables: release.environment.clone(),
            ..own.dotenv.clone()
        },
        ..own
    }
}

/// Another name than production's is another project on production's machine.
fn other_project(settings: &Settings, production: &Project) -> Result<Option<ProjectNames>, Diagnostic> {
    let Some(options) = files_of_release(settings, production) else {
        return Ok(None);
    };
    let name = compose::name(&options)?;
    Ok((name != production.name).then(|| ProjectNames {
        production: production.name.clone(),
        release: name,
    }))
}

fn with_place(error: &Diagnostic) -> String {
    let place = error.place().map(|place| format!(" ({place})")).unwrap_or_default();
    format!("{}{place}", error.message)
}

fn by_repository(settings: &Settings, model: &mut World, named: &mut BTreeSet<String>) -> Done {
    let release = settings.release.iter().flat_map(|release| &release.images);
    for entry in release {
        if replace_repository(&entry.repository, &entry.image, model, named) == 0 {
            return Err(vec![nobody_runs(&entry.span, &entry.repository, model)]);
        }
    }
    Ok(())
}

/// How many services ran an image of the repository, and run this one now.
fn replace_repository(repository: &str, image: &str, model: &mut World, named: &mut BTreeSet<String>) -> usize {
    let wanted = repository_of(repository);
    let runs = |service: &&mut Service| repository_of(&service.image) == wanted;
    let mut count = 0;
    for service in model.services.values_mut().filter(runs) {
        replace_image(service, image);
        named.insert(service.name.clone());
        count += 1;
    }
    count
}

fn replace_image(service: &mut Service, image: &str) {
    image.clone_into(&mut service.image);
    service.build = None;
    // Production's policy is for production's registry; a build may be on this engine alone.
    service.pull_policy = PullPolicy::Missing;
}

/// The entries of `candidate`: images and variables. What the command line alone names may be a repository, too.
fn by_service(settings: &Settings, world: &World, model: &mut World, named: &mut BTreeSet<String>) -> Done {
    for (name, candidate) in &settings.candidate {
        let Some(service) = model.services.get_mut(name) else {
            match (&candidate.image, candidate.named_by) {
                (CandidateImage::Reference(image), NamedBy::CommandLine)
                    if replace_repository(name, image, model, named) > 0 => {}
                _ => {
                    let known = model.services.keys().chain(world.services.keys());
                    return Err(vec![no_such_service(&candidate.span, name, known)]);
                }
            }
            continue;
        };
        match &candidate.image {
            CandidateImage::Reference(image) => replace_image(service, image),
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
        if candidate.image != CandidateImage::Unchanged {
            named.insert(name.clone());
        }
    }
    Ok(())
}

/// Service by service: changed, added, removed. What is named is the candidate even where it is production's own.
fn difference(
    settings: &Settings,
    production: &World,
    model: &World,
    mut named: BTreeSet<String>,
    asked: &BTreeSet<String>,
) -> Candidates {
    let (mut services, mut staying) = (BTreeMap::new(), BTreeMap::new());
    let anew = built_anew(settings, production, model);
    for (name, service) in &model.services {
        let own = production.services.get(name);
        let is_built = |own: &Service| own.build.is_some() != service.build.is_some();
        let is_another = |own: &Service| own.image != service.image || is_built(own);
        let is_built_anew = |own: &Service| settings.next.is_some() && !own.is_built_as(service);
        if own.is_none_or(|own| is_another(own) || is_built_anew(own)) {
            named.insert(name.clone());
        }
        let runs_what_is_built = anew.contains(service.image.as_str());
        let stays = |own: &Service| own.stays_for(service) && own.replicas == service.replicas;
        let is_changed = !own.is_some_and(stays) || runs_what_is_built;
        if named.contains(name) || asked.contains(name) || is_changed {
            services.insert(name.clone(), service.clone());
        } else if own.is_some_and(|own| own != service) {
            staying.insert(name.clone(), service.clone());
        }
    }
    let gone = production
        .services
        .keys()
        .filter(|name| !model.services.contains_key(*name));
    let gone: BTreeSet<String> = gone.cloned().collect();
    let (removed, orphans) = match settings.release.as_ref().map(|release| release.orphans) {
        Some(Orphans::Keep) => (BTreeSet::new(), gone),
        _ => (gone, BTreeSet::new()),
    };
    Candidates {
        services,
        staying,
        named,
        removed,
        orphans,
        ..Candidates::default()
    }
}

/// Images that the release's files build otherwise than production's: whoever runs one is changed with it.
fn built_anew<'a>(settings: &Settings, production: &World, model: &'a World) -> BTreeSet<&'a str> {
    let all = model.services.values();
    let all = all.filter(|service| production.is_built_anew_by(service));
    let of_files = all.filter(|_| settings.next.is_some() || settings.release.is_some());
    of_files.map(|service| service.image.as_str()).collect()
}

/// Variables that are blank in what the release changes, and were not in production's.
fn unset(production: &Project, release: &Project, candidates: &Candidates) -> BTreeMap<String, BTreeSet<String>> {
    let none = BTreeSet::new();
    let new = release.unset.iter().filter_map(|(service, names)| {
        let known = production.unset.get(service).unwrap_or(&none);
        let new: BTreeSet<String> = names.difference(known).cloned().collect();
        let is_told = candidates.services.contains_key(service) && !new.is_empty();
        is_told.then(|| (service.clone(), new))
    });
    new.collect()
}

fn add_what_it_needs(world: &mut World, model: World) {
    world.add_networks(model.networks);
    world.engine_sockets.extend(model.engine_sockets);
    world.volumes.extend(model.volumes);
    world.volumes.sort();
    world.volumes.dedup();
    for note in model.unmirrored {
        if !world.unmirrored.contains(&note) {
            world.unmirrored.push(note);
        }
    }
}

/// Services of which a fragment says what image they run, even if it is production's.
fn named_by_fragments(settings: &Settings) -> BTreeSet<String> {
    let entries = settings.candidate.iter();
    let named =
        entries.filter(|(name, candidate)| candidate.compose.as_deref().is_some_and(|file| names_image(file, name)));
    named.map(|(name, _)| name.clone()).collect()
}

/// Whether a fragment, which has been read, says what image the service runs.
fn names_image(fragment: &Path, service: &str) -> bool {
    let text = file::text(fragment).unwrap_or_default();
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

pub(super) fn no_such_service<'a>(
    span: &crate::yaml::span::Span,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> Diagnostic {
    let known: BTreeSet<&str> = known.map(String::as_str).collect();
    let near = nearest(name, known.iter().copied());
    let way_out = near.map_or_else(
        || {
            let known = known.into_iter().collect::<Vec<_>>().join(", ");
            format!(
                "production has {known}; a service that the release adds comes with the release's own files: `release: \
                 {{compose: […]}}`"
            )
        },
        |near| format!("did you mean `{near}`?"),
    );
    Diagnostic::at(span, format!("production has no service `{name}`")).help(way_out)
}

fn nobody_runs(span: &crate::yaml::span::Span, repository: &str, model: &World) -> Diagnostic {
    let known: BTreeSet<String> = model
        .services
        .values()
        .map(|service| repository_of(&service.image))
        .collect();
    let way_out = match nearest(repository, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("they run {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Diagnostic::at(span, format!("no service runs an image of `{repository}`")).help(way_out)
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
            ..Candidates::default()
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
