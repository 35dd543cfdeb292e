//! The images of a run: which it needs and how each is had, what is pulled and built, and with whose logins.

use std::collections::HashMap;
use std::sync::LazyLock;

use anyhow::Result;
use time::OffsetDateTime;
use tokio::sync::OnceCell;

use crate::context::Context;
use crate::engine::image::ImageFacts;
use crate::engine::pull::credentials::Keyring;
use crate::engine::pull::failure::PullFailure;
use crate::engine::pull::{self, Tell};
use crate::engine::{Engine, build};
use crate::lock::Lock;
use crate::prepare::wanted::{self, Looked, Wanted};
use crate::record::image::{Had, ImagePlan};
use crate::text::redact::Redactor;
use crate::world::candidates::Candidates;
use crate::world::model::{Service, World};

/// One run's images on one engine. Logins are read once, and only where something is pinned, pulled or built.
pub struct Images<'a> {
    engine: Engine,
    context: &'a Context,
    redactor: Redactor,
    keyring: OnceCell<Keyring>,
}

impl<'a> Images<'a> {
    /// Asks nobody yet.
    pub fn of(engine: Engine, context: &'a Context, redactor: &Redactor) -> Self {
        Self {
            engine,
            context,
            redactor: redactor.clone(),
            keyring: OnceCell::new(),
        }
    }

    /// Where they are wanted.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Lets production's services run the lock's digests, names what is built, and says how every image will be had;
    /// with notes on tags that have moved on since the lock.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn look(
        &self,
        lock: Option<&Lock>,
        world: &mut World,
        candidate: &mut Candidates,
        tests: &[(String, String)],
        now: OffsetDateTime,
    ) -> Result<(Looked, Vec<String>)> {
        let mut notes = match lock {
            Some(lock) => self.pin(lock, world, candidate).await?,
            None => Vec::new(),
        };
        build::name_builds(&self.engine, &mut world.services, &mut candidate.services).await?;
        let wanted = Wanted {
            world,
            candidate,
            tests,
        };
        let looked = wanted.look(&self.engine, now).await?;
        let pulled = wanted::pulled(&self.engine, candidate, &looked.images).await?;
        if !pulled.is_empty() {
            notes.extend(wanted::outdated(&self.engine, self.logins().await, &pulled).await);
        }
        Ok((looked, notes))
    }

    /// Logins, as far as they can be read: what cannot be is told by the pull that needs it.
    async fn logins(&self) -> &Keyring {
        static NOBODY: LazyLock<Keyring> = LazyLock::new(Keyring::default);
        self.keyring().await.unwrap_or(&NOBODY)
    }

    async fn pin(&self, lock: &Lock, world: &mut World, candidate: &mut Candidates) -> Result<Vec<String>> {
        let pinned = wanted::pin(&self.engine, lock, world, candidate).await?;
        if pinned.is_empty() {
            return Ok(Vec::new());
        }
        wanted::moved(&self.engine, self.logins().await, &pinned).await
    }

    /// Pulls what is marked so. What cannot be had is returned, each image by its name.
    ///
    /// # Errors
    /// Logins cannot be read: the user's doing.
    pub async fn pull(&self, plans: &[ImagePlan], tell: Tell<'_>) -> Result<Vec<PullFailure>> {
        if !plans.iter().any(|image| image.had == Had::Pull) {
            return Ok(Vec::new());
        }
        Ok(pull::pull(&self.engine, self.keyring().await?, plans, tell).await)
    }

    /// Builds what is marked so; the facts of every service's image, by its reference.
    ///
    /// # Errors
    /// Logins cannot be read; an image is not there or cannot be built, by name, with the builder's words.
    pub async fn facts(
        &self,
        plans: &[ImagePlan],
        world: &World,
        candidate: &Candidates,
        tell: Tell<'_>,
    ) -> Result<HashMap<String, ImageFacts>> {
        let services: Vec<&Service> = world.services.values().chain(candidate.services.values()).collect();
        let logins = if plans.iter().any(|image| image.had == Had::Build) {
            self.keyring().await?.all().await
        } else {
            HashMap::new()
        };
        build::resolve(&self.engine.with_logins(logins), &services, tell).await
    }

    async fn keyring(&self) -> Result<&Keyring> {
        let read = || async {
            let keyring = Keyring::read(self.context, &self.redactor)?;
            Ok(keyring.with_index(self.engine.index().await))
        };
        self.keyring.get_or_try_init(read).await
    }
}
