//! Which images a run needs, and what has to be done to have each: known before anything is pulled. What the lock
//! has a digest of is run by that digest, whatever its tag points to today.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};
use time::OffsetDateTime;

use crate::config::settings::{Settings, SuiteBody};
use crate::engine::Engine;
use crate::engine::image::ImageFacts;
use crate::engine::pull::credentials::Keyring;
use crate::engine::pull::failure::{PullFailure, Why};
use crate::engine::pull::reference::Reference;
use crate::lock::Lock;
use crate::plan::Plan;
use crate::record::image::{Had, ImagePlan};
use crate::record::step::{Step, Subject};
use crate::world::candidates::Candidates;
use crate::world::model::{PullPolicy, Service, World};

/// What is asked for a note's sake only is not waited for any longer.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// Everything that brings images into a run.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Production.
    pub world: &'a World,
    /// What replaces a part of it.
    pub candidate: &'a Candidates,
    /// Test containers: who wants it, image.
    pub tests: &'a [(String, String)],
}

/// What the engine lacks.
#[derive(Debug, Clone, Default)]
pub struct Looked {
    /// Every image of the run, with what will be done to have it.
    pub images: Vec<ImagePlan>,
    /// What no pull can bring.
    pub failures: Vec<PullFailure>,
}

impl Wanted<'_> {
    /// Every image, once, as far as it can be told without an engine.
    pub fn images(self, lock: Option<&Lock>) -> Vec<ImagePlan> {
        let mut all: Vec<(ImagePlan, PullPolicy)> = Vec::new();
        let digest = |service: &Service| {
            let facts = lock.and_then(|lock| lock.services.get(&service.name));
            facts.and_then(|facts| facts.digest.clone())
        };
        for service in self.world.services.values() {
            add(&mut all, of_service(service, digest(service)));
        }
        let named = |service: &&Service| self.candidate.named.contains(&service.name);
        for service in self.candidate.services.values().filter(named) {
            add(&mut all, of_service(service, None));
        }
        for (who, image) in self.tests {
            let plan = ImagePlan {
                image: image.clone(),
                digest: None,
                platform: None,
                wanted_by: vec![who.clone()],
                had: Had::IfMissing,
            };
            add(&mut all, (plan, PullPolicy::Missing));
        }
        all.into_iter().map(|(plan, _)| plan).collect()
    }

    /// The same with the engine's answer to each.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn look(self, engine: &Engine, now: OffsetDateTime) -> Result<Looked> {
        let services = || self.world.services.values().chain(self.candidate.services.values());
        let policy = |image: &ImagePlan| {
            let of = services().filter(|service| service.image == image.image);
            of.map(|service| service.pull_policy).max_by_key(|policy| policy.rank())
        };
        let mut looked = Looked {
            images: self.images(None),
            failures: Vec::new(),
        };
        let facts = try_join_all(looked.images.iter().map(|image| engine.image(&image.image))).await?;
        for (image, facts) in looked.images.iter_mut().zip(facts) {
            // Of the other platform's image of the same name, the engine has nothing.
            let facts = facts.filter(|facts| image.platform.as_ref().is_none_or(|wanted| facts.runs_as(wanted)));
            match decide(image, facts.as_ref(), policy(image).unwrap_or_default(), now) {
                Some(had) => image.had = had,
                None => {
                    let here = engine.tags_beside(&image.image).await;
                    looked.failures.push(PullFailure { here, ..never(image) });
                }
            }
        }
        Ok(looked)
    }
}

/// What has to be done; `None` = it is not there and must not be pulled.
fn decide(image: &ImagePlan, facts: Option<&ImageFacts>, policy: PullPolicy, now: OffsetDateTime) -> Option<Had> {
    let exact = Reference::of(&image.image).digest.is_some();
    let built = is_built(image.had);
    match (facts, policy) {
        (None, _) if built => Some(Had::Build),
        (Some(_), _) if built || exact => Some(Had::Present),
        (_, PullPolicy::Always) => Some(Had::Pull),
        (Some(facts), PullPolicy::Older(age)) if facts.older_than(age, now) => Some(Had::Pull),
        (Some(_), _) => Some(Had::Present),
        (None, PullPolicy::Never) => None,
        (None, _) => Some(Had::Pull),
    }
}

fn is_built(had: Had) -> bool {
    matches!(had, Had::BuildIfMissing | Had::BuildAlways)
}

fn never(image: &ImagePlan) -> PullFailure {
    PullFailure {
        image: image.image.clone(),
        wanted_by: image.wanted_by.clone(),
        why: Why::Never,
        words: String::new(),
        login: None,
        tries: 0,
        here: Vec::new(),
    }
}

fn of_service(service: &Service, digest: Option<String>) -> (ImagePlan, PullPolicy) {
    let had = match (&service.build, service.pull_policy) {
        (Some(_), PullPolicy::Build) => Had::BuildAlways,
        (Some(_), _) => Had::BuildIfMissing,
        (None, PullPolicy::Missing | PullPolicy::Build) => Had::IfMissing,
        (None, PullPolicy::Always) => Had::Always,
        (None, PullPolicy::Never) => Had::Never,
        (None, PullPolicy::Older(_)) => Had::IfOlder,
    };
    let plan = ImagePlan {
        image: service.image.clone(),
        digest,
        platform: service.limits.platform.clone(),
        wanted_by: vec![service.name.clone()],
        had,
    };
    (plan, service.pull_policy)
}

/// One image that several want is one pull, by the policy that pulls most.
fn add(all: &mut Vec<(ImagePlan, PullPolicy)>, (plan, policy): (ImagePlan, PullPolicy)) {
    let same = |(other, _): &&mut (ImagePlan, PullPolicy)| {
        (&other.image, &other.digest, &other.platform) == (&plan.image, &plan.digest, &plan.platform)
    };
    match all.iter_mut().find(same) {
        None => all.push((plan, policy)),
        Some((other, known)) => {
            let more = plan.wanted_by.into_iter().filter(|who| !other.wanted_by.contains(who));
            other.wanted_by.extend(more.collect::<Vec<_>>());
            // What one service builds, another one runs.
            if (is_built(plan.had), policy.rank()) > (is_built(other.had), known.rank()) {
                (*known, other.had) = (policy, plan.had);
            }
        }
    }
}

/// The images of the planned suites' containers: who wants it, image.
pub fn of_tests(settings: &Settings, plan: &Plan, hurl: &str) -> Vec<(String, String)> {
    let mut subjects: Vec<&Subject> = Vec::new();
    for planned in plan.stages.iter().flat_map(|stage| &stage.steps) {
        match &planned.id {
            Step::Run(subject) if !subjects.contains(&subject) => subjects.push(subject),
            _ => {}
        }
    }
    // These are run by the checks that they are for.
    subjects.extend([&Subject::Rotate, &Subject::Revoke]);
    let of = |subject: &&Subject| {
        let body = settings.body(subject);
        body.map_or_else(Vec::new, |body| {
            of_body(&Step::Run((*subject).clone()).to_string(), body, hurl)
        })
    };
    subjects.iter().flat_map(of).collect()
}

fn of_body(step: &str, body: &SuiteBody, hurl: &str) -> Vec<(String, String)> {
    let container = body.container.as_ref().map(|container| container.image.as_str());
    let hurl = (!body.files.is_empty()).then_some(hurl);
    let images = container.into_iter().chain(hurl);
    images.map(|image| (step.to_owned(), image.to_owned())).collect()
}

/// Lets production's services be those of the lock where it has an image of another name or tag: what runs is what is
/// named, in the plan as in reports. One sentence for each.
pub fn named_by_lock(lock: &Lock, world: &mut World, candidate: &mut Candidates) -> Vec<String> {
    let mut notes = Vec::new();
    for (name, service) in &mut world.services {
        let Some(image) = image_of(lock, name).filter(|image| is_other(image, service)) else {
            continue;
        };
        notes.push(format!(
            "warning: production's files name {} for `{name}`, and the lock {image}: the lock decides; take it again if \
             production has moved on",
            service.image
        ));
        let unnamed = !candidate.named.contains(name);
        if let Some(same) = candidate.services.get_mut(name).filter(|_| unnamed) {
            same.image.clone_from(image);
        }
        service.image.clone_from(image);
    }
    notes
}

/// What the lock names, where it knows it by its digest, too.
fn image_of<'a>(lock: &'a Lock, service: &str) -> Option<&'a String> {
    let facts = lock.services.get(service)?;
    facts.image.as_ref().filter(|_| facts.digest.is_some())
}

/// Another repository or tag than the service's own. What is built here has the name that its builder gives it, and what
/// is known by a digest alone has none.
fn is_other(image: &str, service: &Service) -> bool {
    let (locked, own) = (Reference::of(image), Reference::of(&service.image));
    let tag = |reference: &Reference| reference.tag.clone().unwrap_or_else(|| "latest".to_owned());
    let repositories = (repository_of(image), repository_of(&service.image));
    let is_named = !image.starts_with("sha256:") && service.build.is_none() && own.digest.is_none();
    is_named && (repositories.0, tag(&locked)) != (repositories.1, tag(&own))
}

/// An image's repository, the same for each way of writing it.
pub(super) fn repository_of(image: &str) -> String {
    let whole = Reference::of(image).repository();
    let path = whole.strip_prefix("docker.io/").unwrap_or(&whole);
    path.strip_prefix("library/").unwrap_or(path).to_owned()
}

/// A service that runs the lock's digest in place of what its tag points to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// Service.
    pub service: String,
    /// As the configuration has it.
    pub tag: String,
    /// As the engine is asked for it.
    pub exact: String,
    /// The lock's.
    pub digest: String,
}

/// Lets production's services, and those of the candidate whose image the release does not name, run the images whose
/// digests the lock has. What was replaced.
///
/// # Errors
/// The engine does not answer.
pub async fn pin(engine: &Engine, lock: &Lock, world: &mut World, candidate: &mut Candidates) -> Result<Vec<Pinned>> {
    let mut all = Vec::new();
    for (name, service) in &mut world.services {
        let digest = lock.services.get(name).and_then(|facts| facts.digest.as_ref());
        let Some(digest) = digest else { continue };
        let Some(exact) = exact(engine, service, digest).await? else {
            continue;
        };
        all.push(Pinned {
            service: name.clone(),
            tag: service.image.clone(),
            exact: exact.clone(),
            digest: digest.clone(),
        });
        let unnamed = !candidate.named.contains(name);
        if let Some(same) = candidate.services.get_mut(name).filter(|_| unnamed) {
            same.image.clone_from(&exact);
            same.build = None;
        }
        service.image = exact;
        service.build = None;
    }
    Ok(all)
}

/// By what reference the engine is to run exactly this digest; `None` = the service's own is as good as any.
async fn exact(engine: &Engine, service: &Service, digest: &str) -> Result<Option<String>> {
    let pinned = Reference::of(&service.image).pinned(digest);
    if engine.image(&pinned).await?.is_some() {
        return Ok(Some(pinned));
    }
    let local = engine.image(&service.image).await?;
    if let Some(facts) = &local {
        if facts.id == digest {
            return Ok(None);
        }
        let suffix = format!("@{digest}");
        if let Some(other) = facts.repo_digests.iter().find(|known| known.ends_with(&suffix)) {
            return Ok(Some(other.clone()));
        }
    }
    // A lock has the image's own id where production's engine knew no registry's digest.
    if engine.image(digest).await?.is_some() {
        return Ok(Some(digest.to_owned()));
    }
    // Made on this machine: no registry has it. That it is another one, the comparison with the lock will show.
    let made_here = local.is_some_and(|facts| facts.repo_digests.is_empty());
    Ok((!made_here && service.build.is_none()).then_some(pinned))
}

/// Whose tags stand for something else by now, one sentence each: on this engine or, where a pull is due, in the
/// registry.
///
/// # Errors
/// The engine does not answer.
pub async fn moved(engine: &Engine, keyring: &Keyring, pinned: &[Pinned]) -> Result<Vec<String>> {
    let notes = try_join_all(pinned.iter().map(|one| one.moved(engine, keyring))).await?;
    Ok(notes.into_iter().flatten().collect())
}

/// A candidate's image that this engine has once pulled by its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    service: String,
    image: String,
    digests: Vec<String>,
}

/// The candidate's images that a registry may have others of by now: an engine that outlives a job has what some earlier
/// one has pulled.
///
/// # Errors
/// The engine does not answer.
pub async fn pulled(engine: &Engine, candidate: &Candidates, images: &[ImagePlan]) -> Result<Vec<Pulled>> {
    let stays = |service: &Service| {
        let mut own = images.iter().filter(|image| image.image == service.image);
        own.any(|image| image.had == Had::Present)
    };
    let by_tag = |service: &&Service| {
        let named = candidate.named.contains(&service.name) && service.build.is_none();
        named && stays(service) && Reference::of(&service.image).digest.is_none()
    };
    let services: Vec<&Service> = candidate.services.values().filter(by_tag).collect();
    let facts = try_join_all(services.iter().map(|service| engine.image(&service.image))).await?;
    let known = services.into_iter().zip(facts);
    Ok(known
        .filter_map(|(service, facts)| Pulled::of(service, &facts?))
        .collect())
}

/// Where the registry has another image under that tag, one sentence each.
pub async fn outdated(engine: &Engine, keyring: &Keyring, pulled: &[Pulled]) -> Vec<String> {
    let asked = pulled.iter().map(|one| one.outdated(engine, keyring));
    join_all(asked).await.into_iter().flatten().collect()
}

impl Pulled {
    /// `None` for what no registry gave: it was made here.
    fn of(service: &Service, facts: &ImageFacts) -> Option<Self> {
        let repository = repository_of(&service.image);
        let own = facts
            .repo_digests
            .iter()
            .filter(|known| repository_of(known) == repository);
        let digests: Vec<String> = own
            .filter_map(|known| Some(known.split_once('@')?.1.to_owned()))
            .collect();
        (!digests.is_empty()).then(|| Self {
            service: service.name.clone(),
            image: service.image.clone(),
            digests,
        })
    }

    /// Whoever cannot ask the registry has what this engine has.
    async fn outdated(&self, engine: &Engine, keyring: &Keyring) -> Option<String> {
        let asked = tokio::time::timeout(ASK_LIMIT, engine.registry_digest(&self.image, keyring)).await;
        let now = asked
            .ok()
            .and_then(Result::ok)
            .filter(|now| !self.digests.contains(now))?;
        let Self { service, image, .. } = self;
        Some(format!(
            "`{service}` runs {image} as this engine has it; in the registry it is {now} by now: pull it, or name a digest"
        ))
    }
}

impl Pinned {
    async fn moved(&self, engine: &Engine, keyring: &Keyring) -> Result<Option<String>> {
        let (here, ours) = tokio::try_join!(engine.image(&self.tag), engine.image(&self.exact))?;
        Ok(match (here, ours) {
            (Some(here), ours) => (Some(&here.id) != ours.as_ref().map(|facts| &facts.id))
                .then(|| self.words("on this engine", &here.digest)),
            (None, Some(_)) => None,
            (None, None) => {
                // Whatever keeps the registry from answering, the pull will tell it.
                let asked = tokio::time::timeout(ASK_LIMIT, engine.registry_digest(&self.tag, keyring)).await;
                let now = asked.ok().and_then(Result::ok).filter(|now| *now != self.digest);
                now.map(|now| self.words("in the registry", &now))
            }
        })
    }

    fn words(&self, place: &str, other: &str) -> String {
        let Self {
            service, tag, exact, ..
        } = self;
        format!("`{service}` runs {exact}, as the lock says; {place} {tag} is {other}")
    }
}

impl PullPolicy {
    /// The more it pulls, the higher.
    fn rank(self) -> u8 {
        match self {
            Self::Never => 0,
            Self::Missing => 1,
            Self::Older(_) => 2,
            Self::Always | Self::Build => 3,
        }
    }
}

impl ImageFacts {
    /// Whether it is for this platform, as far as both say.
    fn runs_as(&self, wanted: &str) -> bool {
        let mut parts = self.platform.split('/');
        wanted
            .split('/')
            .all(|word| parts.next().is_none_or(|own| own.is_empty() || own == word))
    }

    fn older_than(&self, age: Duration, now: OffsetDateTime) -> bool {
        self.tagged.is_none_or(|tagged| now - tagged > age)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::world::model::Build;

    fn service(name: &str, image: &str, policy: PullPolicy) -> Service {
        Service {
            name: name.to_owned(),
            image: image.to_owned(),
            pull_policy: policy,
            ..Service::default()
        }
    }

    fn world(services: impl IntoIterator<Item = Service>) -> World {
        World {
            services: services
                .into_iter()
                .map(|service| (service.name.clone(), service))
                .collect(),
            ..World::default()
        }
    }

    #[test]
    fn an_image_that_several_want_is_one_pull() {
        let world = world([
            service("a", "shop:1", PullPolicy::Missing),
            service("b", "shop:1", PullPolicy::Always),
            service("c", "other:1", PullPolicy::Never),
        ]);
        let tests = [("suite e2e".to_owned(), "shop:1".to_owned())];
        let candidate = Candidates {
            services: world.services.clone(),
            named: world.services.keys().cloned().collect(),
            ..Candidates::default()
        };
        let wanted = Wanted {
            world: &world,
            candidate: &candidate,
            tests: &tests,
        };
        let images = wanted.images(None);
        let told: Vec<_> = images
            .iter()
            .map(|image| (image.image.as_str(), image.wanted_by.join(" "), image.had))
            .collect();
        assert_eq!(
            told,
            [
                ("shop:1", "a b suite e2e".to_owned(), Had::Always),
                ("other:1", "c".to_owned(), Had::Never)
            ]
        );
    }

    #[test]
    fn where_the_lock_names_another_image_that_is_what_is_named() {
        let facts = |image: &str| crate::lock::ServiceFacts {
            image: Some(image.to_owned()),
            digest: Some("sha256:ab".to_owned()),
            ..Default::default()
        };
        let lock = Lock {
            services: BTreeMap::from([
                ("ldap".to_owned(), facts("ldap:2.4")),
                ("web".to_owned(), facts("shop:1")),
                ("same".to_owned(), facts("docker.io/library/redis:latest")),
                ("built".to_owned(), facts("project-built")),
            ]),
            ..no_lock()
        };
        let mut built = service("built", "built:dev", PullPolicy::Missing);
        built.build = Some(Build::default());
        let mut world = world([
            service("ldap", "ldap:2.6", PullPolicy::Missing),
            service("web", "shop:2", PullPolicy::Missing),
            service("same", "redis", PullPolicy::Missing),
            built,
        ]);
        let mut candidate = Candidates {
            services: world.services.clone(),
            named: ["web".to_owned()].into(),
            ..Candidates::default()
        };
        let notes = named_by_lock(&lock, &mut world, &mut candidate);
        let image = |services: &BTreeMap<String, Service>, name: &str| services[name].image.clone();
        assert_eq!(image(&world.services, "ldap"), "ldap:2.4");
        assert_eq!(image(&candidate.services, "ldap"), "ldap:2.4");
        // The release names its own.
        assert_eq!(image(&world.services, "web"), "shop:1");
        assert_eq!(image(&candidate.services, "web"), "shop:2");
        assert_eq!(image(&world.services, "same"), "redis");
        assert_eq!(image(&world.services, "built"), "built:dev");
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(
            notes[0].contains("production's files name ldap:2.6 for `ldap`, and the lock ldap:2.4"),
            "{notes:?}"
        );
    }

    fn no_lock() -> Lock {
        Lock {
            captured: crate::lock::Captured {
                at: OffsetDateTime::UNIX_EPOCH,
                from: String::new(),
                by: String::new(),
            },
            probes: BTreeMap::new(),
            services: BTreeMap::new(),
            auth: None,
        }
    }

    #[test]
    fn what_one_service_builds_another_runs() {
        let mut built = service("web", "shop:1", PullPolicy::Missing);
        built.build = Some(Build::default());
        let world = world([service("api", "shop:1", PullPolicy::Always), built]);
        let wanted = Wanted {
            world: &world,
            candidate: &Candidates::default(),
            tests: &[],
        };
        let images = wanted.images(None);
        assert_eq!(images.len(), 1);
        assert_eq!(
            (images[0].had, images[0].wanted_by.join(" ")),
            (Had::BuildIfMissing, "api web".to_owned())
        );
    }

    #[test]
    fn the_policy_decides_what_is_pulled() {
        let now = OffsetDateTime::UNIX_EPOCH + Duration::from_secs(86_400);
        let here = ImageFacts {
            tagged: Some(OffsetDateTime::UNIX_EPOCH),
            ..ImageFacts::default()
        };
        let hour = PullPolicy::Older(Duration::from_secs(3600));
        let week = PullPolicy::Older(Duration::from_secs(7 * 86_400));
        let of = |image: &str, facts: Option<&ImageFacts>, policy| {
            let (plan, _) = of_service(&service("a", image, policy), None);
            decide(&plan, facts, policy, now)
        };
        let cases = [
            (Some(&here), PullPolicy::Missing, Some(Had::Present)),
            (None, PullPolicy::Missing, Some(Had::Pull)),
            (Some(&here), PullPolicy::Always, Some(Had::Pull)),
            (Some(&here), PullPolicy::Never, Some(Had::Present)),
            (None, PullPolicy::Never, None),
            (Some(&here), hour, Some(Had::Pull)),
            (Some(&here), week, Some(Had::Present)),
            (None, week, Some(Had::Pull)),
        ];
        for (facts, policy, wanted) in cases {
            assert_eq!(of("shop:1", facts, policy), wanted, "{policy:?}");
        }
        // What a digest names does not move.
        assert_eq!(
            of("shop@sha256:ab", Some(&here), PullPolicy::Always),
            Some(Had::Present)
        );
    }

    #[test]
    fn a_platform_is_compared_as_far_as_both_say_it() {
        let facts = ImageFacts {
            platform: "linux/arm64/v8".to_owned(),
            ..ImageFacts::default()
        };
        assert!(facts.runs_as("linux/arm64") && facts.runs_as("linux/arm64/v8"));
        assert!(!facts.runs_as("linux/amd64") && !facts.runs_as("linux/arm64/v7"));
    }
}
