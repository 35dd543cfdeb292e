//! Production on an engine: swept of what dead runs left, its images had, and everything that a mirror is made from. `run`
//! and `up` tell this one story; they differ in who listens.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedSender;

use super::Prepared;
use super::fronts::{ends_tls, fronts, signer};
use super::images::Images;
use crate::config::settings::Border;
use crate::engine::Engine;
use crate::engine::archive::THIS_PROGRAM;
use crate::engine::image::ImageFacts;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::network::Gateway;
use crate::engine::pull::Tell;
use crate::engine::pull::failure::PullFailure;
use crate::engine::pull::reference::Reference;
use crate::engine::sweep::{self, Swept};
use crate::lock::Lock;
use crate::mirror::names::relays::{Exposed, Relays};
use crate::mirror::{News, Setup};
use crate::record::release::Release;
use crate::text::redact::Redactor;
use crate::world::model::Service;

/// The engine at an address, swept of what dead runs left; with a remark where there was something to sweep.
///
/// # Errors
/// None answers there: the machine's doing.
pub async fn connect(address: &Address, labels: &RunLabels) -> Result<(Engine, Option<String>)> {
    let engine = Engine::connect(address, labels).await?;
    let remark = match sweep::sweep_dead(&engine).await {
        Ok(swept) => told(&swept),
        Err(error) => Some(format!("what earlier runs left could not be removed: {error:#}")),
    };
    Ok((engine, remark))
}

fn told(swept: &Swept) -> Option<String> {
    let removed = (swept.runs > 0).then(|| format!("removed what {} earlier run(s) had left behind", swept.runs));
    let told: Vec<String> = removed.into_iter().chain(swept.miscounted.words()).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Why an image is not there.
#[derive(Debug)]
pub enum NotHad {
    /// These cannot be had: each by name, with whose doing it is.
    Images(Vec<PullFailure>),
    /// One cannot be built, by name, with the builder's words.
    Build(anyhow::Error),
    /// Nobody could be asked: logins that cannot be read, an engine that does not answer.
    Machine(anyhow::Error),
}

/// What a command adds to its mirror.
pub struct Listener {
    /// Knows the run's secrets.
    pub redactor: Redactor,
    /// Where logs are written; `None` = kept in memory only.
    pub logs: Option<PathBuf>,
    /// Who wants to know.
    pub news: UnboundedSender<News>,
}

impl Prepared {
    /// Lets production's services run the lock's digests, and puts into the plan how every image will be had. What no
    /// pull can bring is returned.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn look(
        &mut self,
        images: &Images<'_>,
        lock: Option<&Lock>,
        tests: &[(String, String)],
        now: OffsetDateTime,
    ) -> Result<Vec<PullFailure>> {
        let (world, candidate) = (&mut self.world, &mut self.candidate);
        let (looked, notes) = images.look(lock, world, candidate, tests, now).await?;
        self.plan.notes.extend(notes);
        self.plan.images = looked.images;
        self.name_digests(images.engine()).await;
        Ok(looked.failures)
    }

    /// Pulls and builds what the engine lacks: the facts of every service's image, by its reference.
    ///
    /// # Errors
    /// What cannot be had.
    pub async fn have(&self, images: &Images<'_>, tell: Tell<'_>) -> Result<HashMap<String, ImageFacts>, NotHad> {
        let plans = &self.plan.images;
        let failures = images.pull(plans, tell).await.map_err(NotHad::Machine)?;
        if !failures.is_empty() {
            return Err(NotHad::Images(failures));
        }
        let facts = images.facts(plans, &self.world, &self.candidate, tell).await;
        facts.map_err(NotHad::Build)
    }

    /// Everything that a mirror is made from.
    ///
    /// # Errors
    /// The run's CA could not be made: the machine's doing.
    pub fn setup(
        &self,
        engine: &Engine,
        facts: HashMap<String, ImageFacts>,
        lock: Option<&Lock>,
        listener: Listener,
    ) -> Result<Setup> {
        let relays = self.relays(&facts);
        for note in relays
            .unseen()
            .into_iter()
            .filter(|note| !self.plan.notes.contains(note))
        {
            // Nobody who listens is nobody who misses it.
            let _told = listener.news.send(News::Note(note));
        }
        let fronts = fronts(&self.settings, &self.world, engine.run(), lock)?;
        Ok(Setup {
            engine: engine.clone(),
            prefix: String::new(),
            world: Arc::new(self.world.clone()),
            images: Arc::new(facts.clone()),
            redactor: listener.redactor,
            logs: listener.logs,
            restores: self.settings.data.restore.clone(),
            news: listener.news,
            ends_tls: ends_tls(&self.settings, &fronts, engine.run(), lock)?,
            fronts,
            relays,
            signer: signer(&self.settings)?.map(Arc::new),
            open: self.settings.policy.allow_egress.clone(),
            gateway: match self.settings.policy.border {
                Border::Heard => Gateway::Agent,
                Border::Closed => Gateway::Nobody,
            },
            program: THIS_PROGRAM.into(),
            shown: Arc::default(),
        })
    }

    /// How the authentication dependency is reached under its own names.
    fn relays(&self, facts: &HashMap<String, ImageFacts>) -> Relays {
        let of_image = |service: &Service| {
            let image = facts.get(&service.image).cloned().unwrap_or_default();
            let (tcp, udp) = (
                image.ports.into_iter().collect(),
                image.datagram_ports.into_iter().collect(),
            );
            Some(Exposed { tcp, udp })
        };
        let changed = self.candidate.services.keys().cloned().collect();
        Relays::of(self.settings.auth_services(), &self.world, &changed, of_image)
    }

    /// Names every release of the plan by its digest, as far as the engine knows it.
    pub async fn name_digests(&mut self, engine: &Engine) {
        for (release, service) in self.releases().filter(|(release, _)| release.digest.is_none()) {
            let facts = engine.image(&service.image).await.ok().flatten();
            name(release, service, facts.as_ref());
        }
    }

    /// The same by the images that are run: where a name was pulled anew, what the engine had under it counts no more.
    pub fn name_as_had(&mut self, had: &HashMap<String, ImageFacts>) {
        for (release, service) in self.releases() {
            if let Some(facts) = had.get(&service.image) {
                name(release, service, Some(facts));
            }
        }
    }

    /// Every release of the plan, with its service.
    fn releases(&mut self) -> impl Iterator<Item = (&mut Release, &Service)> {
        let (plan, candidate, world) = (&mut self.plan, &self.candidate.services, &self.world.services);
        let new = plan.candidate.iter_mut().map(move |release| (release, candidate));
        let old = plan.baseline.iter_mut().chain(&mut plan.mirror);
        new.chain(old.map(move |release| (release, world)))
            .filter_map(|(release, services)| {
                let service = services.get(&release.service)?;
                Some((release, service))
            })
    }
}

fn name(release: &mut Release, service: &Service, facts: Option<&ImageFacts>) {
    // What is run by its digest is known by it, pulled or not.
    let named = Reference::of(&service.image).digest;
    release.digest = named.or(facts.map(|facts| facts.digest.clone()));
    // Engines that keep images as containerd does give a digest to what was built here, too.
    if let Some(facts) = facts.filter(|_| service.build.is_none()) {
        release.pushed = facts.pushed(&service.image);
    }
}
