//! Prepare: from settings, production and lock to everything that a mirror is made from. One story for every command
//! that reads production: `run`, `up`, `plan`, `lock`, `doctor`.

mod addresses;
pub mod candidate;
pub mod fronts;
pub mod images;
mod names;
pub mod on_engine;
mod secrets;
pub mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::no_auth;
use crate::config::read::{self, Keys};
use crate::config::settings::Settings;
use crate::context::Context;
use crate::plan::{self, Only, Plan};
use crate::prepare::candidate::{Candidates, candidates};
use crate::prepare::names::names_exist;
use crate::text::redact::Redactor;
use crate::world::from_compose;
use crate::world::model::World;
use crate::yaml::diagnostic::Diagnostic;
use crate::{compose, lock};
use wanted::Wanted;

/// The public Hurl image that runs `files`.
pub const HURL_IMAGE: &str = "orangeopensource/hurl:7.1.0";

/// What a command was asked for, of all that a configuration says.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// The configuration; found upward from the working directory where absent.
    pub config: Option<PathBuf>,
    /// What replaces a service's release: service, image.
    pub candidate: Vec<(String, String)>,
    /// Only these stages, suites or checks.
    pub only: Vec<String>,
    /// Replays a run.
    pub seed: Option<u64>,
    /// The whole run's limit.
    pub timeout: Option<Duration>,
}

impl Asked {
    /// The configuration and nothing else.
    pub fn of(config: Option<&Path>) -> Self {
        Self {
            config: config.map(Path::to_path_buf),
            ..Self::default()
        }
    }
}

/// Everything a run is made from, before anything is started.
pub struct Prepared {
    /// What was asked.
    pub settings: Settings,
    /// Production, as the mirror will have it.
    pub world: World,
    /// The candidate's services.
    pub candidate: Candidates,
    /// What will happen.
    pub plan: Plan,
}

impl Prepared {
    /// Knows the secrets of the configuration.
    pub fn redactor(&self) -> Redactor {
        Redactor::marked(self.settings.secrets.values(), self.plan.names())
    }
}

/// Reads configuration and Compose files and makes the plan. Starts nothing.
///
/// # Errors
/// The user's mistakes, each with its place and the way out: exit code 2.
pub fn prepare(asked: &Asked, context: &Context) -> Result<Prepared, Vec<Diagnostic>> {
    prepared(settings(asked, Keys::All, context)?, asked, context, Named::ByLock)
}

/// The same for what production is, whatever is tried on it: only the keys that say so are resolved.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_production(asked: &Asked, context: &Context) -> Result<Prepared, Vec<Diagnostic>> {
    prepared(
        settings(asked, Keys::Production, context)?,
        asked,
        context,
        Named::ByFiles,
    )
}

/// Whose word production's images are.
enum Named {
    /// The lock's: what is rehearsed.
    ByLock,
    /// The files' alone: what a lock is taken of, or compared with.
    ByFiles,
}

fn prepared(settings: Settings, asked: &Asked, context: &Context, named: Named) -> Result<Prepared, Vec<Diagnostic>> {
    let without_secrets = |error| vec![secrets::hidden(&settings.secrets, error)];
    let project = compose::load(&load_options(&settings)).map_err(without_secrets)?;
    let mut world = from_compose::world(&project).map_err(without_secrets)?;
    let mut candidate = candidates(&settings, &project, &mut world)?;
    names_exist(&settings, &world, &candidate.services)?;
    let lock = settings.production.lock.as_deref();
    let lock = lock.and_then(|path| lock::read::load(path).ok());
    let disagreements = match (&lock, named) {
        (Some(lock), Named::ByLock) => wanted::named_by_lock(lock, &mut world, &mut candidate),
        _ => Vec::new(),
    };
    let seed = asked.seed.unwrap_or_else(|| seed_of(&settings));
    let only = Only::of(&asked.only, &settings).map_err(|error| vec![error])?;
    let mut plan = plan::make(&settings, &world, seed, &only);
    let hurl = context.environment.get("REHEARSAL_HURL_IMAGE");
    let tests = wanted::of_tests(&settings, &plan, hurl.map_or(HURL_IMAGE, String::as_str));
    plan.images = Wanted {
        world: &world,
        candidate: &candidate,
        tests: &tests,
    }
    .images(lock.as_ref());
    plan.notes.splice(0..0, disagreements);
    let unasked = no_auth::warnings(&settings, &world, lock.as_ref());
    plan.notes.extend(
        unasked
            .iter()
            .map(|warning| format!("{}; {}", warning.title, warning.help)),
    );
    plan.notes.extend(addresses::notes(&settings, &world));
    plan.notes.extend(secrets::ordinary(&settings.secrets, &plan.names()));
    plan.notes
        .extend(project.warnings.iter().map(|warning| warning.message.clone()));
    Ok(Prepared {
        settings,
        world,
        candidate,
        plan,
    })
}

fn settings(asked: &Asked, keys: Keys, context: &Context) -> Result<Settings, Vec<Diagnostic>> {
    let file = match &asked.config {
        Some(file) => file.clone(),
        None => read::find(&context.directory).ok_or_else(|| {
            let message = format!(
                "no `{}` in `{}` or above it",
                read::FILE_NAME,
                context.directory.display()
            );
            vec![Diagnostic::new(message).help("name one with `--config`")]
        })?,
    };
    read::load(&read::Options {
        config: file,
        candidate_overrides: asked.candidate.clone(),
        keys,
        withheld: context.withheld().map(|why| why.words().to_owned()),
        timeout: asked.timeout,
        environment: context.environment.clone(),
    })
}

/// What `docker compose` would be given for production.
pub fn load_options(settings: &Settings) -> compose::LoadOptions {
    let production = &settings.production;
    compose::LoadOptions {
        files: production.compose.clone(),
        project_directory: production.project_directory.clone(),
        profiles: production.profiles.clone(),
        env_file: production.env_file.iter().cloned().collect(),
        environment: production.environment.clone(),
        project_name: None,
    }
}

/// The same configuration and candidate always have the same seed.
fn seed_of(settings: &Settings) -> u64 {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(std::fs::read(&settings.file).unwrap_or_default());
    for (service, candidate) in &settings.candidate {
        hash.update(format!("{service}={:?}", candidate.image));
    }
    // JSON readers keep 53 bits.
    hash.finalize()
        .iter()
        .take(6)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
