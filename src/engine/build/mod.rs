//! Images: what every service needs is on the engine before the mirror comes up, and has a digest to be named by.
//!
//! What is built has a name of this run alone: nobody's image of the same name is replaced, and none is swept with the
//! run that another one needs.

mod classic;
mod kit;
mod recipe;
pub mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use futures_util::future::try_join_all;

use kit::Kit;
use recipe::Recipe;
use wanted::{CommandFailed, Wanted};

use super::Engine;
use super::image::ImageFacts;
use super::line::agree::Dialect;
use super::pull::{Progress, Tell, Way};
use crate::record::container::PullState;
use crate::text::units::seconds;
use crate::world::model::{Build, BuildContext, PullPolicy, Service};

/// Gives what has to be built a name of its own: what the candidate builds, and of production's what the engine lacks
/// or `pull_policy: build` asks for. One recipe has one name, whoever runs it, and whoever runs what another service
/// builds has that one's.
///
/// # Errors
/// The engine does not answer.
pub async fn name_builds(
    engine: &Engine,
    services: &mut BTreeMap<String, Service>,
    candidate: &mut BTreeMap<String, Service>,
) -> Result<()> {
    let mut releases = Names::of(engine, "rehearsal-build");
    for own in candidate.values() {
        let production = services.get(&own.name);
        if production.is_none_or(|service| !service.is_built_as(own)) {
            releases.name(own);
        }
    }
    let mut productions = Names::of(engine, "rehearsal-production");
    for service in services.values().filter(|service| service.build.is_some()) {
        if service.pull_policy == PullPolicy::Build || engine.image(&service.image).await?.is_none() {
            productions.name(service);
        }
    }
    candidate.values_mut().for_each(|service| releases.give(service));
    services
        .values_mut()
        .chain(candidate.values_mut())
        .for_each(|service| productions.give(service));
    name_contexts(services, candidate);
    Ok(())
}

/// The names of what is built for this run alone.
struct Names {
    prefix: String,
    recipes: Vec<(Build, Option<String>, String)>,
    images: HashMap<String, String>,
}

impl Names {
    fn of(engine: &Engine, kind: &str) -> Self {
        Self {
            prefix: format!("{kind}:{}", engine.run()),
            recipes: Vec::new(),
            images: HashMap::new(),
        }
    }

    /// Names what a service builds, if it builds anything.
    fn name(&mut self, service: &Service) {
        let Some(build) = &service.build else { return };
        let platform = service.limits.platform.clone();
        let mut recipes = self.recipes.iter();
        let known = recipes.find(|(own, by, _)| own.makes_the_same_as(build) && *by == platform);
        let name = known.map(|(.., name)| name.clone()).unwrap_or_else(|| {
            let name = format!("{}-{}", self.prefix, service.name).to_lowercase();
            self.recipes.push((build.clone(), platform, name.clone()));
            name
        });
        self.images.entry(service.image.clone()).or_insert(name);
    }

    /// Lets a service run what has been named.
    fn give(&self, service: &mut Service) {
        if let Some(name) = self.images.get(&service.image) {
            service.image.clone_from(name);
        }
    }
}

/// A context that is another service's image is that image, of the same release where it has one of its own.
fn name_contexts(services: &mut BTreeMap<String, Service>, candidate: &mut BTreeMap<String, Service>) {
    let images = |services: &BTreeMap<String, Service>| -> BTreeMap<String, String> {
        let images = services.iter();
        images.map(|(name, own)| (name.clone(), own.image.clone())).collect()
    };
    let production = images(services);
    let mut release = production.clone();
    release.extend(images(candidate));
    for (services, images) in [(services, production), (candidate, release)] {
        let builds = services.values_mut().filter_map(|service| service.build.as_mut());
        for context in builds.flat_map(|build| build.contexts.values_mut()) {
            if let BuildContext::Service(name) = context
                && let Some(image) = images.get(name)
            {
                *context = BuildContext::Image(image.clone());
            }
        }
    }
}

/// Builds what the engine lacks, each once, at the same time but for those that begin with another's image; what is
/// pulled is there by now.
///
/// # Errors
/// The first image that is not there or cannot be built, by name, with the builder's words.
pub async fn resolve(engine: &Engine, services: &[&Service], tell: Tell<'_>) -> Result<HashMap<String, ImageFacts>> {
    let mut wanted: BTreeMap<&str, &Service> = BTreeMap::new();
    // Who knows how to build it is asked first.
    let builders = services.iter().filter(|service| service.build.is_some());
    for service in builders.chain(services) {
        wanted.entry(&service.image).or_insert(service);
    }
    let mut facts = HashMap::new();
    while !wanted.is_empty() {
        let (later, now) = wanted.iter().partition(|(_, service)| waits(service, &wanted));
        let (later, now): (BTreeMap<&str, &Service>, BTreeMap<&str, &Service>) = (later, now);
        anyhow::ensure!(
            !now.is_empty(),
            "builds begin with each other's images: {}",
            names(&later)
        );
        facts.extend(at_once(engine, now, tell).await?);
        wanted = later;
    }
    Ok(facts)
}

/// Whether it begins with the image of one that is not there yet.
fn waits(service: &Service, wanted: &BTreeMap<&str, &Service>) -> bool {
    let mut contexts = service.build.iter().flat_map(|build| build.contexts.values());
    contexts.any(|context| matches!(context, BuildContext::Image(image) if wanted.contains_key(image.as_str())))
}

fn names(services: &BTreeMap<&str, &Service>) -> String {
    let names: Vec<&str> = services.values().map(|service| service.name.as_str()).collect();
    names.join(", ")
}

async fn at_once(
    engine: &Engine,
    wanted: BTreeMap<&str, &Service>,
    tell: Tell<'_>,
) -> Result<Vec<(String, ImageFacts)>> {
    let facts = wanted.into_iter().map(|(image, service)| async move {
        let facts = one(engine, service, tell)
            .await
            .with_context(|| format!("service `{}`", service.name))?;
        Ok::<_, anyhow::Error>((image.to_owned(), facts))
    });
    try_join_all(facts).await
}

async fn one(engine: &Engine, service: &Service, tell: Tell<'_>) -> Result<ImageFacts> {
    match (engine.image(&service.image).await?, &service.build) {
        (Some(facts), _) => Ok(facts),
        (None, Some(build)) => told(engine, Wanted { service, build }, tell).await,
        (None, None) => Err(anyhow!("image `{}` is not on the engine any more", service.image)),
    }
}

/// Says when it begins, and how it ends: it may take minutes.
async fn told(engine: &Engine, wanted: Wanted<'_>, tell: Tell<'_>) -> Result<ImageFacts> {
    let say = |state: PullState, detail: Option<String>| {
        tell(Progress {
            way: Way::Build,
            image: wanted.tag().to_owned(),
            state,
            detail,
        });
    };
    let begun = Instant::now();
    say(PullState::Begins, None);
    let mut built = build(engine, wanted).await;
    if built.as_ref().is_err_and(|error| error.is::<CommandFailed>()) {
        // Steps that went well are not done again.
        say(PullState::Again, None);
        built = build(engine, wanted).await;
    }
    match &built {
        Ok(_) => say(PullState::Done, Some(seconds(begun.elapsed()))),
        // The error itself has the builder's words.
        Err(_) => say(PullState::Failed, None),
    }
    built
}

/// By BuildKit; by the classic builder where the engine has no other.
async fn build(engine: &Engine, wanted: Wanted<'_>) -> Result<ImageFacts> {
    if let Some(refusal) = &wanted.build.refusal {
        return Err(wanted.refused(refusal));
    }
    for context in wanted.build.contexts.values() {
        if let BuildContext::Service(name) = context {
            let place = &wanted.build.place;
            let why = format!("{place}: build.additional_contexts names service `{name}`, which is not in the mirror");
            return Err(wanted.refused(&why));
        }
    }
    let recipe = Recipe::read(wanted.build)?;
    match Kit::of(engine).await? {
        Some(kit) => {
            read_by(engine, wanted, &recipe)?;
            kit.build(engine, wanted, &recipe).await
        }
        None => {
            done_without_kit(wanted)?;
            classic::build(engine, wanted, &recipe).await
        }
    }
}

/// Refuses what an older engine's own builder does not read, where the recipe asks for no other.
fn read_by(engine: &Engine, wanted: Wanted<'_>, recipe: &Recipe) -> Result<()> {
    if engine.dialect == Dialect::Heredocs || recipe.syntax().is_some() {
        return Ok(());
    }
    let contexts = (!wanted.build.contexts.is_empty()).then(|| {
        format!(
            "{}: this engine's builder does not know build.additional_contexts",
            wanted.build.place
        )
    });
    let heredocs = || {
        Some(format!(
            "{}: this engine's builder does not know heredocs",
            recipe.heredoc()?
        ))
    };
    match contexts.or_else(heredocs) {
        Some(what) => Err(wanted.refused(&format!("{what}; use Docker 23 or newer, or {}", Build::BEFORE))),
        None => Ok(()),
    }
}

fn done_without_kit(wanted: Wanted<'_>) -> Result<()> {
    let needs = wanted.build.needs_kit();
    if needs.is_empty() {
        return Ok(());
    }
    Err(wanted.refused(&format!(
        "{}: this engine has no BuildKit, which {} need; use Docker 20.10 or newer, or {}",
        wanted.build.place,
        needs.join(", "),
        Build::BEFORE
    )))
}
