//! Prepare: from settings, production and lock to everything that a mirror is made from. One story for every command
//! that reads production: `run`, `up`, `plan`, `lock`, `doctor`.

mod addresses;
mod alerts;
mod alike;
mod beside;
pub mod budget;
pub mod candidate;
pub mod elsewhere;
pub mod fronts;
pub mod images;
mod names;
pub mod on_engine;
mod production;
mod secrets;
pub mod wanted;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::check::{Given, control, no_auth, release};
use crate::config::read::{self, Keys};
use crate::config::settings::Settings;
use crate::context::Context;
use crate::mirror::names::relays::Relays;
use crate::plan::shard::{self, Mine};
pub use crate::plan::shard::{Part, Spec, divide, joined};
use crate::plan::{self, Narrowing, Only, Plan};
use crate::prepare::candidate::candidates;
use crate::prepare::elsewhere::{Described, Elsewhere};
use crate::prepare::names::names_exist;
pub use crate::prepare::production::load_options;
use crate::text::redact::Redactor;
use crate::world::candidates::Candidates;
use crate::world::from_compose;
use crate::world::model::World;
use crate::world::one_tree;
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
    /// Where production's description is taken from, a ref of git or a folder; the working tree where absent.
    pub production_from: Option<String>,
    /// Only these stages, suites or checks.
    pub only: Vec<String>,
    /// One of several shards.
    pub shard: Option<Spec>,
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
    /// Where production's description comes from, where that is not the working tree: its files are there for as long.
    pub elsewhere: Option<Elsewhere>,
}

impl Prepared {
    /// Whether production as the working tree has it is what runs.
    pub fn alters_nothing(&self) -> bool {
        let given = Given {
            settings: &self.settings,
            world: &self.world,
            candidate: &self.candidate,
        };
        given.alters_nothing()
    }

    /// What can be divided of it among shards.
    pub fn parts(&self) -> Vec<Part> {
        shard::parts(&self.plan, &self.settings)
    }

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
    prepare_keys(asked, context, Keys::All, Named::ByLock)
}

/// The same for what production is, whatever is tried on it: only the keys that say so are resolved.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_production(asked: &Asked, context: &Context) -> Result<Prepared, Vec<Diagnostic>> {
    prepare_keys(asked, context, Keys::Production, Named::ByFiles)
}

fn prepare_keys(asked: &Asked, context: &Context, keys: Keys, named: Named) -> Result<Prepared, Vec<Diagnostic>> {
    let config = configuration(asked, context).map_err(|error| vec![error])?;
    let elsewhere = asked.production_from.as_deref();
    let elsewhere = elsewhere
        .map(|from| Elsewhere::find(from, &config, context))
        .transpose();
    let elsewhere = elsewhere.map_err(|error| vec![error])?;
    let options = read::Options {
        config,
        candidate_overrides: asked.candidate.clone(),
        production_from: elsewhere.as_ref().and_then(|elsewhere| elsewhere.base(context)),
        keys,
        withheld: context.withheld().map(|why| why.words().to_owned()),
        timeout: asked.timeout,
        environment: context.environment.clone(),
    };
    let prepared = read::load(&options).and_then(|mut settings| {
        if let Some(elsewhere) = &elsewhere {
            elsewhere.call_folder(&mut settings.production);
        }
        prepared(settings, asked, context, named)
    });
    match elsewhere {
        Some(elsewhere) => told(elsewhere, prepared),
        None => prepared,
    }
}

/// What was prepared with a description from elsewhere: files, those of mistakes too, are called as they are there.
fn told(elsewhere: Elsewhere, prepared: Result<Prepared, Vec<Diagnostic>>) -> Result<Prepared, Vec<Diagnostic>> {
    let why = elsewhere
        .warning
        .clone()
        .filter(|_| elsewhere.described == Described::Here);
    let why = why.map(|why| {
        Diagnostic::new(why).help("what is released is said by `--candidate`, `candidate` or `release` then")
    });
    let name = |errors: Vec<Diagnostic>| -> Vec<Diagnostic> {
        let named = errors.into_iter().map(|error| elsewhere.name(error));
        named.chain(why.clone()).collect()
    };
    let mut prepared = prepared.map_err(name)?;
    let plan = &mut prepared.plan;
    plan.production = Some(elsewhere.record.clone());
    let own = plan.notes.iter().map(|note| elsewhere.called(note));
    let unheard = elsewhere.unheard(&prepared.settings.unheard);
    plan.notes = elsewhere.notes.iter().cloned().chain(unheard).chain(own).collect();
    prepared.elsewhere = Some(elsewhere);
    Ok(prepared)
}

/// Whose word production's images are.
enum Named {
    /// The lock's: what is rehearsed.
    ByLock,
    /// The files' alone: what a lock is taken of, or compared with.
    ByFiles,
}

fn prepared(
    mut settings: Settings,
    asked: &Asked,
    context: &Context,
    named: Named,
) -> Result<Prepared, Vec<Diagnostic>> {
    let without_secrets = |error| vec![secrets::hidden(&settings.secrets, error)];
    let project = compose::load(&load_options(&settings)).map_err(without_secrets)?;
    let mut world = from_compose::world(&project).map_err(without_secrets)?;
    let mut candidate = candidates(&settings, &project, &mut world)?;
    candidate.cap_replicas(&mut world, settings.policy.max_replicas);
    let services = world.services.values_mut().chain(candidate.services.values_mut());
    one_tree::join(&mut services.collect::<Vec<_>>());
    names_exist(&settings, &world, &candidate.services)?;
    alerts::rules_say_so(&settings)?;
    beside::can_stand(&settings, &world, &candidate)?;
    let lock = settings.production.lock.as_deref();
    let lock = lock.and_then(|path| lock::read::load(path).ok());
    let disagreements = match (&lock, named) {
        (Some(lock), Named::ByLock) => wanted::named_by_lock(lock, &mut world, &mut candidate),
        _ => Vec::new(),
    };
    let seed = asked.seed.unwrap_or_else(|| seed_of(&settings));
    let given = Given {
        settings: &settings,
        world: &world,
        candidate: &candidate,
    };
    let (mut plan, mine) = planned(&given, seed, asked).map_err(|error| vec![error])?;
    let hurl = context.environment.get("REHEARSAL_HURL_IMAGE");
    let tests = wanted::of_tests(&settings, &plan, hurl.map_or(HURL_IMAGE, String::as_str));
    plan.images = Wanted {
        world: &world,
        candidate: &candidate,
        tests: &tests,
    }
    .images(lock.as_ref());
    let of_release = release::warnings(&candidate, &world).into_iter();
    let of_release = of_release.map(|warning| format!("warning: {}; {}", warning.title, warning.help));
    let refused = candidate.refused.iter().map(|why| release::refused(why).title);
    let said: Vec<String> = refused.chain(of_release).chain(release::notes(&candidate)).collect();
    plan.notes.splice(0..0, disagreements.into_iter().chain(said));
    plan.notes.extend(control::drive_engine(&world).map(|finding| {
        format!(
            "warning: {}, and no verdict is more than inconclusive; {}",
            finding.title, finding.help
        )
    }));
    let unasked = no_auth::warnings(&settings, &world, lock.as_ref());
    plan.notes.extend(
        unasked
            .iter()
            .map(|warning| format!("{}; {}", warning.title, warning.help)),
    );
    plan.notes.extend(addresses::notes(&settings, &world));
    let changed = candidate.services.keys().cloned().collect();
    let relays = Relays::of(settings.auth_services(), &world, &changed, |_| None);
    plan.notes.extend(relays.notes());
    plan.notes.extend(fronts::acts_as_issuer(&settings));
    plan.notes.extend(fronts::ended_tls(&settings));
    plan.notes.extend(secrets::ordinary(&settings.secrets, &plan.names()));
    plan.notes
        .extend(project.warnings.iter().map(|warning| warning.message.clone()));
    if let Some(mine) = mine {
        mine.narrow(&mut settings);
    }
    Ok(Prepared {
        settings,
        world,
        candidate,
        plan,
        elsewhere: None,
    })
}

/// The plan, and what of the whole it is where a shard was asked for.
fn planned(given: &Given<'_>, seed: u64, asked: &Asked) -> Result<(Plan, Option<Mine>), Diagnostic> {
    let only = Only::of(&asked.only, given.settings)?;
    let Some(spec) = &asked.shard else {
        return Ok((plan::make(given, seed, &Narrowing { only, mine: None }), None));
    };
    if !only.is_everything() {
        let error = Diagnostic::new("a shard is one of several parts of the whole, and `--only` asks for less");
        return Err(error.help("take `--only` or `--shard` away"));
    }
    let whole = plan::make(given, seed, &Narrowing::default());
    let mine = Mine::of(spec, shard::parts(&whole, given.settings))?;
    let narrowing = Narrowing {
        only,
        mine: Some(mine.clone()),
    };
    let mut plan = plan::make(given, seed, &narrowing);
    plan.shard = Some(mine.record(&plan, shard::digest(&whole, given.settings), given.settings));
    Ok((plan, Some(mine)))
}

fn configuration(asked: &Asked, context: &Context) -> Result<PathBuf, Diagnostic> {
    let found = asked.config.clone().or_else(|| read::find(&context.directory));
    found.ok_or_else(|| {
        let folder = context.directory.display();
        let message = format!("no `{}` in `{folder}` or above it", read::FILE_NAME);
        Diagnostic::new(message).help("name one with `--config`")
    })
}

/// The same configuration and candidate always have the same seed.
fn seed_of(settings: &Settings) -> u64 {
    use sha2::Digest as _;
    let mut hash = sha2::Sha256::new();
    hash.update(std::fs::read(&settings.file).unwrap_or_default());
    for (service, candidate) in &settings.candidate {
        hash.update(format!("{service}={:?}", candidate.image));
    }
    for entry in settings.release.iter().flat_map(|release| &release.images) {
        hash.update(format!("{}={}", entry.repository, entry.image));
    }
    // JSON readers keep 53 bits.
    hash.finalize()
        .iter()
        .take(6)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
