//! Production on an engine: swept of what dead runs left, its images had, and everything that a mirror is made from. `run`
//! and `up` tell this one story; they differ in who listens.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use time::OffsetDateTime;
use tokio::sync::mpsc::UnboundedSender;

use super::Prepared;
use super::fronts::fronts;
use super::images::Images;
use crate::engine::archive::THIS_PROGRAM;
use crate::engine::image::ImageFacts;
use crate::engine::labels::RunLabels;
use crate::engine::line::address::Address;
use crate::engine::pull::Tell;
use crate::engine::pull::failure::PullFailure;
use crate::engine::pull::reference::Reference;
use crate::engine::{Engine, sweep};
use crate::lock::Lock;
use crate::mirror::{News, Setup};
use crate::text::redact::Redactor;

/// The engine at an address, swept of what dead runs left; with a remark where there was something to sweep.
///
/// # Errors
/// None answers there: the machine's doing.
pub async fn connect(address: &Address, labels: &RunLabels) -> Result<(Engine, Option<String>)> {
    let engine = Engine::connect(address, labels).await?;
    let remark = match sweep::sweep_dead(&engine).await {
        Ok(swept) if swept.is_empty() => None,
        Ok(swept) => Some(format!("removed what {} earlier run(s) had left behind", swept.len())),
        Err(error) => Some(format!("what earlier runs left could not be removed: {error:#}")),
    };
    Ok((engine, remark))
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
        let facts = images.facts(plans, &self.world, &self.candidate).await;
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
        Ok(Setup {
            engine: engine.clone(),
            prefix: String::new(),
            world: Arc::new(self.world.clone()),
            images: Arc::new(facts),
            redactor: listener.redactor,
            logs: listener.logs,
            news: listener.news,
            fronts: fronts(&self.settings, &self.world, engine.run(), lock)?,
            open: self.settings.policy.allow_egress.clone(),
            program: THIS_PROGRAM.into(),
        })
    }

    /// Names every release of the plan by its digest, as far as the engine knows it.
    pub async fn name_digests(&mut self, engine: &Engine) {
        let plan = &mut self.plan;
        for (releases, services) in [
            (&mut plan.candidate, &self.candidate.services),
            (&mut plan.baseline, &self.world.services),
            (&mut plan.mirror, &self.world.services),
        ] {
            for release in releases.iter_mut().filter(|release| release.digest.is_none()) {
                let service = services.get(&release.service);
                let image = service.map(|service| service.image.as_str()).unwrap_or_default();
                let facts = engine.image(image).await.ok().flatten();
                // What is run by its digest is known by it, pulled or not.
                let named = Reference::of(image).digest;
                release.digest = named.or(facts.map(|facts| facts.digest));
            }
        }
    }
}
