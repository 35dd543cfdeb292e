//! Pulls: every image that the engine lacks, once, some at the same time, with the credentials of this machine's
//! logins. Whoever asks says which; [`credentials`] knows with what, [`failure`] why not.

pub mod credentials;
pub mod failure;
pub mod reference;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Result;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::CreateImageOptions;
use futures_util::StreamExt as _;
use strum::Display;

use super::Engine;
use crate::engine::words::engine_words;
use crate::record::container::PullState;
use crate::record::image::{Had, ImagePlan};
use crate::text::units::seconds;
use credentials::{Keyring, Login};
use failure::{PullFailure, Why, said};
use reference::Reference;

/// At the same time, as Docker's own client pulls layers.
const AT_ONCE: usize = 3;
/// Waits before the tries after the first.
const AGAIN_AFTER: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Progress is told at most this often for one image.
const TELL_EVERY: Duration = Duration::from_secs(3);

/// How an image gets to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "lowercase")]
pub enum Way {
    /// From a registry.
    Pull,
    /// From its recipe.
    Build,
}

/// What is to be known of an image on its way, while it happens.
#[derive(Debug, Clone)]
pub struct Progress {
    /// How it gets there.
    pub way: Way,
    /// Reference.
    pub image: String,
    /// How it gets on.
    pub state: PullState,
    /// Bytes, time, the registry's words.
    pub detail: Option<String>,
}

/// Who wants to know.
pub type Tell<'a> = &'a (dyn Fn(Progress) + Sync);

/// Pulls what is marked so. All are tried, so that one run tells everything that is missing.
pub async fn pull(engine: &Engine, keyring: &Keyring, images: &[ImagePlan], tell: Tell<'_>) -> Vec<PullFailure> {
    let wanted = images.iter().filter(|image| image.had == Had::Pull);
    let pulls = wanted.map(|image| Pull { engine, image, tell }.run(keyring));
    let ended: Vec<Result<(), PullFailure>> = futures_util::stream::iter(pulls)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    ended.into_iter().filter_map(Result::err).collect()
}

/// One image on its way.
struct Pull<'a> {
    engine: &'a Engine,
    image: &'a ImagePlan,
    tell: Tell<'a>,
}

impl Pull<'_> {
    async fn run(self, keyring: &Keyring) -> Result<(), PullFailure> {
        self.say(PullState::Begins, None);
        let begun = Instant::now();
        let mut ended = match keyring.of(&self.image.image).await {
            Ok(login) => self.with_patience(login.as_ref()).await,
            Err(error) => Err(self.failure(Why::Helper, said(&format!("{error:#}")), None, 0)),
        };
        if let Err(failure) = &mut ended {
            failure.here = self.engine.tags_beside(&self.image.image).await;
        }
        match &ended {
            Ok(()) => self.say(PullState::Done, Some(seconds(begun.elapsed()))),
            Err(failure) => self.say(PullState::Failed, Some(failure.to_string())),
        }
        ended
    }

    /// What the network did is tried again; what the registry said is taken as said.
    async fn with_patience(&self, login: Option<&Login>) -> Result<(), PullFailure> {
        let mut waits = AGAIN_AFTER.iter();
        let mut tries = 0;
        loop {
            tries += 1;
            let Err(words) = self.once(login).await else {
                return Ok(());
            };
            let why = Why::of(&words);
            match waits.next().filter(|_| why.passes(&words)) {
                Some(wait) => {
                    self.say(PullState::Again, Some(words));
                    tokio::time::sleep(*wait).await;
                }
                None => return Err(self.failure(why, words, login, tries)),
            }
        }
    }

    async fn once(&self, login: Option<&Login>) -> Result<(), String> {
        let (name, tag) = Reference::of(&self.image.image).parameters();
        let options = CreateImageOptions {
            from_image: Some(name),
            tag: Some(tag),
            platform: self.image.platform.clone().unwrap_or_default(),
            ..CreateImageOptions::default()
        };
        let credentials = login.map(|login| login.credentials.clone());
        let mut stream = Box::pin(self.engine.docker().create_image(Some(options), None, credentials));
        let mut bytes = Bytes::default();
        let mut told = Instant::now();
        while let Some(step) = stream.next().await {
            let step = step.map_err(|error| said(&engine_words(&error)))?;
            bytes.take(&step);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                self.say(PullState::Downloads, bytes.words());
            }
        }
        Ok(())
    }

    fn failure(&self, why: Why, words: String, login: Option<&Login>, tries: u32) -> PullFailure {
        PullFailure {
            image: self.image.image.clone(),
            wanted_by: self.image.wanted_by.clone(),
            why,
            words,
            login: login.map(|login| login.from.clone()),
            tries,
            here: Vec::new(),
        }
    }

    fn say(&self, state: PullState, detail: Option<String>) {
        (self.tell)(Progress {
            way: Way::Pull,
            image: self.image.image.clone(),
            state,
            detail,
        });
    }
}

/// Layer → bytes that arrived, bytes in all.
#[derive(Default)]
struct Bytes(HashMap<String, (i64, i64)>);

impl Bytes {
    fn take(&mut self, step: &CreateImageInfo) {
        let detail = step.progress_detail.as_ref();
        let counted = detail.and_then(|detail| Some((detail.current?, detail.total?)));
        if let (Some(layer), Some("Downloading"), Some(counted)) = (&step.id, step.status.as_deref(), counted) {
            self.0.insert(layer.clone(), counted);
        }
    }

    fn words(&self) -> Option<String> {
        let (some, all) = self
            .0
            .values()
            .fold((0, 0), |(some, all), (current, total)| (some + current, all + total));
        let mebi = |bytes: i64| bytes / (1024 * 1024);
        (all > 0).then(|| format!("{} of {} MiB", mebi(some), mebi(all)))
    }
}

impl Engine {
    /// What the engine asks for names without a registry, as `docker login` calls it; `None` where it does not say.
    pub async fn index(&self) -> Option<String> {
        self.docker().info().await.ok()?.index_server_address
    }

    /// The digest that a registry has for a reference now.
    ///
    /// # Errors
    /// The registry does not answer, refuses, or has no such image: as for a pull.
    pub async fn registry_digest(&self, reference: &str, keyring: &Keyring) -> Result<String, PullFailure> {
        let failure = |why, words, login: Option<Login>| PullFailure {
            image: reference.to_owned(),
            wanted_by: Vec::new(),
            why,
            words,
            login: login.map(|login| login.from),
            tries: 1,
            here: Vec::new(),
        };
        let login = keyring.of(reference).await;
        let login = login.map_err(|error| failure(Why::Helper, said(&format!("{error:#}")), None))?;
        let credentials = login.as_ref().map(|login| login.credentials.clone());
        match self.docker().inspect_registry_image(reference, credentials).await {
            Ok(found) => found
                .descriptor
                .digest
                .ok_or_else(|| failure(Why::Other, "it gives no digest".to_owned(), login)),
            Err(error) => {
                let words = said(&engine_words(&error));
                Err(failure(Why::of(&words), words, login))
            }
        }
    }
}
